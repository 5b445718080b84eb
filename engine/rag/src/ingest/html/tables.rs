//! What tables become, before they do.
//!
//! The converter writes each cell as wide as the widest of its column: a cell of a megabyte above ten thousand rows is ten gigabytes of
//! spaces. A cell is as wide as all of its lines together, with what stands before each in lists and quotations. So what a table will take
//! is reckoned from its rows and columns before it is converted, a little too high rather than too low.

use std::rc::Rc;

use htmd::Node;
use markup5ever_rcdom::NodeData;

/// Bytes that the tables of a page may become together: more than a text may have, since what is reckoned is too much.
const TABLES_BYTES_MAX: usize = 64 << 20;
/// Bytes that an element adds to its text: marks, brackets.
const ELEMENT_BYTES: usize = 8;
/// Bytes between two cells.
const CELL_BYTES: usize = 3;
/// Bytes before each line within an item of a list: as many as the longest number has, and more than there usually are.
const ITEM_BYTES: usize = 16;
/// Bytes before the lines within a quotation that an element makes: two for each, of which up to four are empty.
const QUOTE_BYTES: usize = 8;

/// Refuses a page whose tables would become too much.
pub(super) fn check(tree: &Rc<Node>) -> Result<(), String> {
    let mut left = TABLES_BYTES_MAX;
    let mut open = vec![Rc::clone(tree)];
    while let Some(node) = open.pop() {
        let tag = name(&node);
        // Tables within cells are written as text.
        if matches!(tag, Some("td" | "th")) {
            continue;
        }
        if tag == Some("table") && has_headers(&node) {
            left = left.checked_sub(bytes(&node)).ok_or_else(|| {
                "its tables are too large: each cell is written as wide as the widest of its column"
                    .to_owned()
            })?;
        }
        open.extend(node.children.borrow().iter().cloned());
    }
    Ok(())
}

/// Whether a table has headers: others are written as text. Those of tables within it are theirs.
fn has_headers(table: &Rc<Node>) -> bool {
    let mut open: Vec<Rc<Node>> = table.children.borrow().clone();
    while let Some(node) = open.pop() {
        match name(&node) {
            Some("table") => {}
            Some("th" | "thead") => return true,
            _ => open.extend(node.children.borrow().iter().cloned()),
        }
    }
    false
}

/// What a table becomes, at most.
fn bytes(table: &Node) -> usize {
    let (mut rows, mut widths) = (1usize, Vec::<usize>::new());
    for part in table.children.borrow().iter() {
        match name(part) {
            Some("tr") => measure(part, &mut rows, &mut widths),
            Some("thead" | "tbody" | "tfoot") => {
                // Of a head without rows the cells are a row.
                measure(part, &mut rows, &mut widths);
                for row in part.children.borrow().iter().filter(|row| name(row) == Some("tr")) {
                    measure(row, &mut rows, &mut widths);
                }
            }
            _ => {}
        }
    }
    let row =
        widths.iter().fold(CELL_BYTES, |row, width| row.saturating_add(*width).saturating_add(CELL_BYTES));
    rows.saturating_mul(row)
}

/// Counts a row, and widens its columns: those of its headers and those of its other cells.
fn measure(row: &Node, rows: &mut usize, widths: &mut Vec<usize>) {
    *rows += 1;
    let (mut headers, mut cells) = (0, 0);
    for cell in row.children.borrow().iter() {
        let column = match name(cell) {
            Some("th") => &mut headers,
            Some("td") => &mut cells,
            _ => continue,
        };
        if widths.len() <= *column {
            widths.push(0);
        }
        widths[*column] = widths[*column].max(width(cell));
        *column += 1;
    }
}

/// What stands around a part of a cell.
#[derive(Clone, Copy, Default)]
struct Around {
    /// Bytes before each of its lines.
    indent: usize,
    /// Whether white space stays as it is.
    is_kept: bool,
}

impl Around {
    fn within(self, tag: Option<&str>) -> Self {
        match tag {
            Some("li") => Self { indent: self.indent + ITEM_BYTES, ..self },
            Some("blockquote") => Self { indent: self.indent + QUOTE_BYTES, ..self },
            Some("pre" | "code") => Self { is_kept: true, ..self },
            _ => self,
        }
    }

    /// What the lines of a text have before them.
    fn before_lines(self, text: &str) -> usize {
        self.indent.saturating_mul(1 + text.bytes().filter(|byte| *byte == b'\n').count())
    }
}

/// Characters of a cell, those that are escaped as often as they may become.
fn width(cell: &Rc<Node>) -> usize {
    let (mut width, mut open) = (0usize, vec![(Rc::clone(cell), Around::default())]);
    while let Some((node, around)) = open.pop() {
        let around = around.within(name(&node));
        let own = match &node.data {
            NodeData::Text { contents } => {
                let text = contents.borrow();
                let before = if around.is_kept { around.before_lines(&text) } else { around.indent };
                text_width(&text, around.is_kept).saturating_add(before)
            }
            NodeData::Element { attrs, .. } => {
                // The class of code is the name of its language, which stands behind its fence.
                let shown: &[&str] = match name(&node) {
                    Some("pre" | "code") => &["href", "src", "alt", "title", "class"],
                    _ => &["href", "src", "alt", "title"],
                };
                let attributes = attrs.borrow();
                let attributes =
                    attributes.iter().filter(|attribute| shown.contains(&&*attribute.name.local));
                attributes.fold(ELEMENT_BYTES + around.indent, |own, attribute| {
                    own.saturating_add(attribute.value.len() + around.before_lines(&attribute.value))
                })
            }
            _ => 0,
        };
        width = width.saturating_add(own);
        open.extend(node.children.borrow().iter().map(|child| (Rc::clone(child), around)));
    }
    width
}

/// White space counts as one, unless it is kept; what is escaped becomes up to six characters.
fn text_width(text: &str, is_kept: bool) -> usize {
    let (mut width, mut was_space) = (0, false);
    for c in text.chars() {
        let is_space = c.is_ascii_whitespace();
        width += match c {
            _ if is_space => usize::from(is_kept || !was_space),
            '&' | '<' | '>' | '|' => 6,
            // Two fences, or two marks of code, are as long.
            '`' => 3,
            '\\' | '*' | '_' | '[' | ']' => 2,
            _ => 1,
        };
        was_space = is_space;
    }
    width
}

fn name(node: &Node) -> Option<&str> {
    match &node.data {
        NodeData::Element { name, .. } => Some(&name.local),
        _ => None,
    }
}
