//! Like elements beside one another, made one before the converter does.
//!
//! The converter makes one of siblings such as `<b>a</b><b>b</b>`, by removing the second from the list of children and copying the text of
//! the first, which takes time that grows with the square of how many there are: 4 MiB of them took minutes. What it would join is joined
//! here in one pass, so that it finds nothing to do. The text is the same, because the rule is.

use std::cell::RefCell;
use std::rc::Rc;

use htmd::Node;
use html5ever::tendril::StrTendril;
use markup5ever_rcdom::NodeData;

/// The blocks, as the converter lists them, in order: elements that are never joined.
const BLOCKS: [&str; 66] = [
    "address",
    "article",
    "aside",
    "base",
    "basefont",
    "blockquote",
    "body",
    "caption",
    "center",
    "col",
    "colgroup",
    "dd",
    "details",
    "dialog",
    "dir",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "frame",
    "frameset",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hr",
    "html",
    "iframe",
    "legend",
    "li",
    "link",
    "main",
    "menu",
    "menuitem",
    "nav",
    "noframes",
    "ol",
    "optgroup",
    "option",
    "p",
    "param",
    "pre",
    "script",
    "search",
    "section",
    "style",
    "summary",
    "table",
    "tbody",
    "td",
    "textarea",
    "tfoot",
    "th",
    "thead",
    "title",
    "tr",
    "track",
    "ul",
];

/// Joins them in all of a tree.
pub(super) fn join(tree: &Rc<Node>) {
    let mut open = vec![Rc::clone(tree)];
    while let Some(node) = open.pop() {
        // The items of a numbered list are converted one by one.
        if name(&node) != Some("ol") {
            join_children(&node);
        }
        open.extend(node.children.borrow().iter().cloned());
    }
}

fn join_children(node: &Node) {
    let mut children = node.children.borrow_mut();
    let mut joined: Vec<Rc<Node>> = Vec::with_capacity(children.len());
    for child in children.drain(..) {
        match joined.last() {
            Some(last) if are_alike(last, &child) => append(last, &child),
            _ => joined.push(child),
        }
    }
    *children = joined;
}

/// Adds the text of one element to that of another.
fn append(to: &Node, from: &Node) {
    with_text(to, |text| {
        with_text(from, |further| text.borrow_mut().push_slice(&further.borrow()));
    });
}

/// Shows the text that is all that an element has.
fn with_text(element: &Node, show: impl FnOnce(&RefCell<StrTendril>)) {
    if let [only] = element.children.borrow().as_slice()
        && let NodeData::Text { contents } = &only.data
    {
        show(contents);
    }
}

fn has_text_alone(element: &Node) -> bool {
    let mut found = false;
    with_text(element, |_| found = true);
    found
}

fn name(node: &Node) -> Option<&str> {
    match &node.data {
        NodeData::Element { name, .. } => Some(&name.local),
        _ => None,
    }
}

/// Whether an element is a block.
pub(super) fn is_block(tag: &str) -> bool {
    BLOCKS.binary_search(&tag).is_ok()
}

/// Whether the converter makes one of two siblings.
fn are_alike(first: &Node, second: &Node) -> bool {
    let (
        NodeData::Element {
            name: first_name,
            attrs: first_attributes,
            template_contents: first_template,
            mathml_annotation_xml_integration_point: first_point,
        },
        NodeData::Element {
            name: second_name,
            attrs: second_attributes,
            template_contents: second_template,
            mathml_annotation_xml_integration_point: second_point,
        },
    ) = (&first.data, &second.data)
    else {
        return false;
    };
    let (first_tag, second_tag) = (&*first_name.local, &*second_name.local);
    let means_the_same =
        matches!((first_tag, second_tag), ("i", "em") | ("em", "i") | ("b", "strong") | ("strong", "b"));
    first_tag != "a"
        && (first_name == second_name || means_the_same)
        && first_point == second_point
        && first_template.borrow().is_none()
        && second_template.borrow().is_none()
        && has_text_alone(first)
        && has_text_alone(second)
        && first_attributes == second_attributes
        && !is_block(first_tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_among_them() {
        assert!(BLOCKS.is_sorted() && BLOCKS.iter().all(|block| is_block(block)));
        assert!(!is_block("span") && !is_block("") && !is_block("zebra"));
    }
}
