//! Rows of tables, of whose cells none gets lost.
//!
//! Of a header the converter takes the `th` cells, of any other row the `td` cells: what heads a row would be lost, the rest of the row
//! would stand below the headers of other columns, and of a head of several rows there would be the first. So cells become `th` in the
//! header and `td` elsewhere, and further rows of a head, or of further heads, become a body. The header is what the converter takes for
//! it: the first row of the head, else the first row with a `th`. A table without either stays as it is.
//!
//! One pass.

use std::rc::Rc;

use htmd::Node;
use html5ever::LocalName;
use markup5ever_rcdom::NodeData;

/// Does so in all of a tree.
pub(super) fn align(tree: &Rc<Node>) {
    let mut open = vec![Rc::clone(tree)];
    while let Some(node) = open.pop() {
        if name(&node) == Some("table") {
            align_table(&node);
        }
        open.extend(node.children.borrow().iter().cloned());
    }
}

fn align_table(table: &Rc<Node>) {
    // Below a head without rows the converter looks for no header but in another head.
    let (mut has_header, mut has_head) = (false, false);
    for part in table.children.take() {
        match name(&part) {
            Some("thead") => {
                let further = rows_behind_the_first(&part, has_header);
                part.children.borrow().iter().filter(|row| has_headers(row)).for_each(|row| make(row, "th"));
                let body = renamed(&part, "tbody", table);
                for row in further {
                    make(&row, "td");
                    adopt(&body, row);
                }
                let is_empty = !part.children.borrow().iter().any(|row| name(row) == Some("tr"));
                // The converter would take a further head, which is empty now, for the header.
                if !has_header {
                    adopt(table, part);
                }
                if !body.children.borrow().is_empty() {
                    adopt(table, body);
                }
                has_header |= !is_empty;
                has_head = true;
                continue;
            }
            Some("tbody" | "tfoot") => {
                for row in part.children.borrow().iter().filter(|row| name(row) == Some("tr")) {
                    let is_header = !has_header && !has_head && has_headers(row);
                    make(row, if is_header { "th" } else { "td" });
                    has_header |= is_header;
                }
            }
            _ => {}
        }
        adopt(table, part);
    }
}

/// Takes the rows of a head from it, all but the first unless there is a header already.
fn rows_behind_the_first(head: &Rc<Node>, mut has_header: bool) -> Vec<Rc<Node>> {
    let (mut kept, mut further) = (Vec::new(), Vec::new());
    for child in head.children.take() {
        let is_row = name(&child) == Some("tr");
        if is_row && has_header {
            further.push(child);
        } else {
            kept.push(child);
        }
        has_header |= is_row;
    }
    *head.children.borrow_mut() = kept;
    further
}

fn has_headers(row: &Rc<Node>) -> bool {
    row.children.borrow().iter().any(|cell| name(cell) == Some("th"))
}

/// Makes all cells of a row those of a header, or of none.
fn make(row: &Rc<Node>, tag: &str) {
    let cells = row.children.take();
    for cell in cells {
        let is_other = matches!(name(&cell), Some("th" | "td")) && name(&cell) != Some(tag);
        if !is_other {
            row.children.borrow_mut().push(cell);
            continue;
        }
        let made = renamed(&cell, tag, row);
        for child in cell.children.take() {
            adopt(&made, child);
        }
        row.children.borrow_mut().push(made);
    }
}

/// An element as another, with another name and without children.
pub(super) fn renamed(element: &Node, tag: &str, parent: &Rc<Node>) -> Rc<Node> {
    let mut data = element.data.clone();
    if let NodeData::Element { name, .. } = &mut data {
        name.local = LocalName::from(tag);
    }
    let made = Node::new(data);
    made.parent.set(Some(Rc::downgrade(parent)));
    made
}

/// Adds a child.
pub(super) fn adopt(parent: &Rc<Node>, child: Rc<Node>) {
    child.parent.set(Some(Rc::downgrade(parent)));
    parent.children.borrow_mut().push(child);
}

/// The name of an element.
pub(super) fn name(node: &Node) -> Option<&str> {
    match &node.data {
        NodeData::Element { name, .. } => Some(&name.local),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::to_markdown;

    /// Prices stood below the name of the column before, without what they are the prices of.
    #[test]
    fn every_cell_of_a_table_is_there_and_in_its_column() {
        for (table, shown) in [
            (
                "<thead><tr><th></th><th>Price</th></tr></thead><tbody><tr><th>Tea</th><td>3</td></tr></tbody>",
                "|     | Price |\n| --- | ----- |\n| Tea | 3     |",
            ),
            (
                "<tr><th>Country<td>France<tr><th>Capital<td>Paris",
                "| Country | France |\n| ------- | ------ |\n| Capital | Paris  |",
            ),
            (
                "<thead><tr><th>A<td>B<tr><th>kg<th>l</thead><tr><td>1<td>2<tfoot><tr><th>Sum<td>3",
                "| A   | B |\n| --- | - |\n| kg  | l |\n| 1   | 2 |\n| Sum | 3 |",
            ),
            ("<thead><tr><td>A<td>B</thead><tr><td>1<td>2", "| A | B |\n| - | - |\n| 1 | 2 |"),
            (
                "<thead></thead><thead><tr><th>A<th>B</thead><tr><td>1<td>2<thead><tr><th>C<th>D",
                "| A | B |\n| - | - |\n| 1 | 2 |\n| C | D |",
            ),
            ("<tr><th>A<th>B<tr><td>1<td>2", "| A | B |\n| - | - |\n| 1 | 2 |"),
            ("<tr><td>a<td>b<tr><td>c<td>d", "a\n\nb\n\nc\n\nd"),
        ] {
            assert_eq!(to_markdown(&format!("<table>{table}</table>")).unwrap(), shown, "{table}");
        }
    }
}
