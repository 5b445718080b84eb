//! The items of source code and what lies in them.
//!
//! **Problem.** A function, a method, a type is what a question about code is about, and its name with those of what it lies in says
//! where it is. **Idea.** The syntax tree gives the items; they become the sections of an [`Outline`], as headings divide a text: a
//! function is a section, a class one with its methods under it. Comments, attributes and decorators right before an item belong to it.
//! What stands between items (imports, constants) is a section without a title; what follows the last item of a class, if it is more than
//! brackets, one of the class. Items within functions are not told apart.
//!
//! A text that does not parse whole still has the items that do. Bounded in time and size: beyond either, code is a text without items.

use std::ops::{ControlFlow, Range};
use std::time::{Duration, Instant};

use tree_sitter::{Node, ParseOptions, ParseState, Parser, Tree};

use super::Language;
use super::outline::{Outline, Section, section, tidy};

/// Bytes of code that is parsed; a syntax tree takes some ten times as many.
const CODE_BYTES_MAX: usize = 4 << 20;
/// Time that code is parsed in; a megabyte of any sane code takes a fraction of a second.
const PARSE_TIME_MAX: Duration = Duration::from_secs(10);
/// Items within one another whose names make a path; deeper ones belong to the innermost of these.
const DEPTH_MAX: u8 = 16;

/// The outline of source code with this syntax.
pub(super) fn outline(text: &str, tree: &Tree) -> Outline {
    let mut items = Vec::new();
    let root = Scope { depth: 1, node: tree.root_node() };
    Finder { text, items: &mut items }.scope(root);
    Outline::items(sections(text, &items))
}

/// The syntax of code; `None` of a language without a grammar, and beyond the bounds.
pub(super) fn parse(text: &str, language: Language) -> Option<Tree> {
    if text.len() > CODE_BYTES_MAX {
        return None;
    }
    let mut parser = Parser::new();
    parser.set_language(&language.grammar()?.into()).ok()?;
    let began = Instant::now();
    let mut in_time = |_: &ParseState| match began.elapsed() > PARSE_TIME_MAX {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    let options = ParseOptions::new().progress_callback(&mut in_time);
    parser.parse_with_options(&mut |at, _| &text.as_bytes()[at..], None, Some(options))
}

/// A function, a type, a module: in the order of their starts, each before those in it.
#[derive(Debug)]
struct Item {
    range: Range<usize>,
    /// Where what lies in it begins, if anything may: what stands before is its head.
    body: Option<usize>,
    name: String,
    /// From 1.
    depth: u8,
}

/// Where items are looked for.
struct Scope<'tree> {
    depth: u8,
    node: Node<'tree>,
}

struct Finder<'a> {
    text: &'a str,
    items: &'a mut Vec<Item>,
}

impl Finder<'_> {
    /// The items of a scope, and those in them. Recursion is as deep as [`DEPTH_MAX`] and what is transparent within one another.
    fn scope(&mut self, scope: Scope<'_>) {
        // Scopes that are still to be looked at, the next one last: without recursion, as code may nest as deep as it likes.
        let mut open = vec![scope];
        while let Some(Scope { depth, node }) = open.pop() {
            let mut cursor = node.walk();
            let mut attached = None;
            let mut inner = Vec::new();
            for child in node.children(&mut cursor) {
                if let Some(item) = item(child) {
                    let start = self.attached_to(attached.take(), child.start_byte());
                    let name = name(item, self.text);
                    let range = start..child.end_byte();
                    let inside = body(item).filter(|_| depth < DEPTH_MAX);
                    self.items.push(Item { range, body: inside.map(|node| self.within(node)), name, depth });
                    inner.extend(inside.map(|node| Scope { depth: depth + 1, node }));
                } else if is_prelude(child.kind()) {
                    let start = self.attached_to(attached, child.start_byte());
                    attached = Some(start..child.end_byte());
                } else {
                    attached = None;
                    if is_transparent(child.kind()) {
                        inner.push(Scope { depth, node: child });
                    }
                }
            }
            open.extend(inner);
        }
        self.items.sort_by_key(|item| (item.range.start, item.depth));
    }

    /// Where what lies in a body begins: behind its bracket, if it has one.
    fn within(&self, body: Node<'_>) -> usize {
        let start = body.start_byte();
        start + usize::from(self.text[start..].starts_with('{'))
    }

    /// Where something starts with what stands right before it, and with its line's indentation.
    fn attached_to(&self, before: Option<Range<usize>>, start: usize) -> usize {
        match before {
            Some(before) if self.text[before.end..start].matches('\n').count() < 2 => before.start,
            _ => {
                let line = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
                if self.text[line..start].trim().is_empty() { line } else { start }
            }
        }
    }
}

/// The item that a node is, or that it wraps: an export, a decorated definition, a template.
fn item(node: Node<'_>) -> Option<Node<'_>> {
    match node.kind() {
        "export_statement" | "expression_statement" => {
            let inner = node.child_by_field_name("declaration").or_else(|| node.named_child(0))?;
            is_item(inner).then_some(inner)
        }
        "decorated_definition" => node.child_by_field_name("definition"),
        "template_declaration" => {
            let last = node.named_child(u32::try_from(node.named_child_count()).ok()?.checked_sub(1)?)?;
            is_item(last).then_some(last)
        }
        _ => is_item(node).then_some(node),
    }
}

fn is_item(node: Node<'_>) -> bool {
    match node.kind() {
        // Rust
        "function_item" | "function_signature_item" | "struct_item" | "enum_item" | "union_item" | "trait_item"
        | "impl_item" | "mod_item" | "macro_definition"
        // Python, C, C++
        | "function_definition" | "class_definition" | "namespace_definition" | "type_definition"
        // JavaScript, TypeScript, Go, Java
        | "function_declaration" | "generator_function_declaration" | "class_declaration"
        | "abstract_class_declaration" | "method_definition" | "method_declaration" | "constructor_declaration"
        | "interface_declaration" | "enum_declaration" | "record_declaration" | "annotation_type_declaration"
        | "type_alias_declaration" | "type_declaration" | "internal_module" | "module" => node.is_named(),
        // With their fields; without, they are uses.
        "class_specifier" | "struct_specifier" | "enum_specifier" | "union_specifier" => node.child_by_field_name("body").is_some(),
        "lexical_declaration" | "variable_declaration" | "field_definition" | "public_field_definition" => {
            function_value(node).is_some()
        }
        _ => false,
    }
}

/// The declarator of `const f = () => …`.
fn function_value(node: Node<'_>) -> Option<Node<'_>> {
    let declarator = match node.kind() {
        "lexical_declaration" | "variable_declaration" => node.named_child(0)?,
        _ => node,
    };
    let value = declarator.child_by_field_name("value")?.kind();
    matches!(value, "arrow_function" | "function_expression" | "generator_function").then_some(declarator)
}

/// What the items of an item lie in, of one that has any.
fn body(item: Node<'_>) -> Option<Node<'_>> {
    match item.kind() {
        "trait_item"
        | "impl_item"
        | "mod_item"
        | "class_definition"
        | "class_specifier"
        | "struct_specifier"
        | "union_specifier"
        | "namespace_definition"
        | "class_declaration"
        | "abstract_class_declaration"
        | "interface_declaration"
        | "enum_declaration"
        | "record_declaration"
        | "internal_module"
        | "module" => item.child_by_field_name("body"),
        _ => None,
    }
}

/// What belongs to the item after it.
pub(super) fn is_prelude(kind: &str) -> bool {
    kind.ends_with("comment") || matches!(kind, "attribute_item" | "decorator" | "inner_attribute_item")
}

/// What items may lie in without being one.
fn is_transparent(kind: &str) -> bool {
    matches!(
        kind,
        "foreign_mod_item"
            | "declaration_list"
            | "linkage_specification"
            | "enum_body_declarations"
            | "preproc_if"
            | "preproc_ifdef"
            | "preproc_else"
            | "preproc_elif"
            | "ERROR"
    )
}

fn name(item: Node<'_>, text: &str) -> String {
    let of = |node: Node<'_>| text.get(node.byte_range()).unwrap_or_default();
    let field = |name| item.child_by_field_name(name).map(of);
    match item.kind() {
        "impl_item" => match (field("trait"), field("type")) {
            (Some(of_trait), Some(of_type)) => format!("impl {of_trait} for {of_type}"),
            (_, of_type) => format!("impl {}", of_type.unwrap_or_default()),
        },
        "lexical_declaration" | "variable_declaration" | "field_definition" | "public_field_definition" => {
            let declarator = function_value(item);
            let named = declarator.and_then(|node| {
                node.child_by_field_name("name").or_else(|| node.child_by_field_name("property"))
            });
            named.map(of).unwrap_or_default().to_owned()
        }
        "type_declaration" => {
            let spec = item.named_child(0).and_then(|spec| spec.child_by_field_name("name"));
            spec.map(of).unwrap_or_default().to_owned()
        }
        "method_declaration" if field("receiver").is_some() => {
            format!("{} {}", field("receiver").unwrap_or_default(), field("name").unwrap_or_default())
        }
        _ => field("name")
            .map_or_else(|| of_declarator(item).map(of).unwrap_or_default().to_owned(), str::to_owned),
    }
}

/// The name in a declarator of C: `*const f(int)` declares `f`.
fn of_declarator(item: Node<'_>) -> Option<Node<'_>> {
    let mut node = item.child_by_field_name("declarator")?;
    while let Some(inner) = node.child_by_field_name("declarator") {
        node = inner;
    }
    // A reference has its declarator in no field.
    Some(match node.kind() {
        "reference_declarator" => of_declarator_within(node),
        _ => node,
    })
}

fn of_declarator_within(mut node: Node<'_>) -> Node<'_> {
    while let Some(inner) = node.child_by_field_name("declarator").or_else(|| match node.kind() {
        "reference_declarator" => node.named_child(0),
        _ => None,
    }) {
        node = inner;
    }
    node
}

/// The sections of a text with these items.
fn sections(text: &str, items: &[Item]) -> Vec<Section> {
    let first = section(0, String::new(), 0..0, 0);
    let mut cover = Cover { text, sections: vec![first], open: Vec::new(), is_own: true };
    for item in items {
        cover.close(item.range.start);
        // What is parsed into one another where the text is broken may overlap.
        let start = item.range.start.max(cover.end());
        cover.fill(start);
        cover.push(item.depth, &item.name, start);
        cover.open.push(item);
        cover.is_own = true;
    }
    cover.close(text.len());
    cover.fill(text.len());
    let mut sections = cover.sections;
    for section in &mut sections {
        section.body = section.body.clamp(section.range.start, section.range.end);
    }
    sections
}

/// Sections from the start of a text up to somewhere.
struct Cover<'a> {
    text: &'a str,
    sections: Vec<Section>,
    /// Items that are not over, the innermost one last.
    open: Vec<&'a Item>,
    /// Whether the last section goes on: nothing lies in its item so far.
    is_own: bool,
}

impl Cover<'_> {
    fn end(&self) -> usize {
        self.sections.last().map_or(0, |section| section.range.end)
    }

    /// Ends the items that are over at a place.
    fn close(&mut self, at: usize) {
        while let Some(item) = self.open.pop_if(|item| item.range.end <= at) {
            let end = item.range.end.max(self.end());
            if !self.is_own && !is_closing(&self.text[self.end()..end]) {
                self.push(item.depth, &item.name, self.end());
            }
            self.extend(end);
            self.is_own = false;
        }
    }

    /// Covers the text up to a place, which lies in no item but the open ones.
    fn fill(&mut self, to: usize) {
        if !self.is_own && !is_closing(&self.text[self.end()..to]) {
            let depth = self.open.last().map_or(0, |item| item.depth);
            self.push(depth + 1, "", self.end());
        } else if let (Some(item), Some(last)) = (self.open.last(), self.sections.last_mut()) {
            // Of what has nothing but a head before its first item, the head goes with that.
            last.body = item.body.filter(|_| self.is_own).unwrap_or(last.body);
        }
        self.extend(to);
    }

    /// A section without length, at the end.
    fn push(&mut self, level: u8, name: &str, at: usize) {
        self.sections.push(section(level, tidy(name), at..at, at));
    }

    fn extend(&mut self, to: usize) {
        if let Some(section) = self.sections.last_mut() {
            section.range.end = to;
        }
    }
}

/// Whether a text is nothing but what closes what stands before it.
fn is_closing(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || "})];,".contains(c))
}

#[cfg(test)]
#[path = "code_tests.rs"]
mod tests;
