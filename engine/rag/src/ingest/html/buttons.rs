//! Buttons that are headings.
//!
//! What a button says is no text of the page, but for one in a heading or a term: pages of questions show each answer only at a click on
//! its question, which is a button for that. So what such a button holds is put in its place, before the others are left out. One pass.

use std::rc::Rc;

use htmd::Node;
use markup5ever_rcdom::NodeData;

/// Does so in all of a tree.
pub(super) fn open(tree: &Rc<Node>) {
    let mut open = vec![(Rc::clone(tree), false)];
    while let Some((node, is_within)) = open.pop() {
        let is_within =
            is_within || matches!(name(&node), Some("h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "dt"));
        if is_within {
            lift(&node);
        }
        open.extend(node.children.borrow().iter().map(|child| (Rc::clone(child), is_within)));
    }
}

/// Puts what the buttons among a node's children hold in their place.
fn lift(node: &Rc<Node>) {
    let mut lifted = Vec::new();
    for child in node.children.take() {
        if name(&child) != Some("button") {
            lifted.push(child);
            continue;
        }
        for inner in child.children.take() {
            inner.parent.set(Some(Rc::downgrade(node)));
            lifted.push(inner);
        }
    }
    *node.children.borrow_mut() = lifted;
}

fn name(node: &Node) -> Option<&str> {
    match &node.data {
        NodeData::Element { name, .. } => Some(&name.local),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::to_markdown;

    /// Of a page of questions, the answers were left, each under an empty heading.
    #[test]
    fn a_button_in_a_heading_is_the_heading() {
        for (page, shown) in [
            (
                "<h2>\n <button type='button'> What does it <b>cost</b>? </button>\n</h2>\n<div>Nothing.</div>",
                "## What does it **cost**?\n\nNothing.",
            ),
            (
                "<h3>Ask <span><button>Why</button><svg></svg></span>?</h3>a<button>Buy</button>",
                "### Ask Why?\n\na",
            ),
            ("<button>Menu</button><p>a <button>Copy</button> b", "a b"),
        ] {
            assert_eq!(to_markdown(page).unwrap(), shown, "{page}");
        }
        let listed = to_markdown("<dl><dt><button>Who?</button></dt><dd>Anyone.</dd></dl>").unwrap();
        assert!(listed.contains("Who?") && listed.contains("Anyone."), "{listed}");
    }
}
