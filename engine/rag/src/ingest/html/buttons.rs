//! Buttons that are headings.
//!
//! What a button says is no text of the page, but for one that is all of a heading or a term: pages of questions show each answer only at a
//! click on its question, which is a button for that. So what such a button holds is put in its place, before the others are left out. One
//! beside the words of a heading, which copies a link to it, is a button as others are. Cost: one pass, and one more over headings.

use std::rc::Rc;

use htmd::Node;
use markup5ever_rcdom::NodeData;

use super::SKIPPED;
use super::rows::{adopt, name};

/// Does so in all of a tree.
pub(super) fn open(tree: &Rc<Node>) {
    // With each node, whether the outermost heading that it stands in is nothing but buttons; none, if it stands in no heading.
    let mut open = vec![(Rc::clone(tree), None::<bool>)];
    while let Some((node, above)) = open.pop() {
        let is_of_buttons = above.or_else(|| is_heading(&node).then(|| !has_words(&node)));
        if is_of_buttons == Some(true) {
            lift(&node);
        }
        open.extend(node.children.borrow().iter().map(|child| (Rc::clone(child), is_of_buttons)));
    }
}

fn is_heading(node: &Node) -> bool {
    matches!(name(node), Some("h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "dt"))
}

/// Whether a reader finds words in it, those of buttons aside; a number before a question is none.
fn has_words(heading: &Rc<Node>) -> bool {
    let mut open = vec![Rc::clone(heading)];
    while let Some(node) = open.pop() {
        if let NodeData::Text { contents } = &node.data
            && contents.borrow().chars().any(char::is_alphabetic)
        {
            return true;
        }
        if name(&node).is_none_or(|tag| !SKIPPED.contains(&tag)) {
            open.extend(node.children.borrow().iter().cloned());
        }
    }
    false
}

/// Puts what the buttons among a node's children hold in their place.
fn lift(node: &Rc<Node>) {
    for child in node.children.take() {
        if name(&child) == Some("button") {
            child.children.take().into_iter().for_each(|inner| adopt(node, inner));
        } else {
            adopt(node, child);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::to_markdown;

    /// Of a page of questions, the answers were left, each under an empty heading.
    #[test]
    fn a_button_that_is_all_of_a_heading_is_the_heading() {
        for (page, shown) in [
            (
                "<h2>\n <button type='button'> What does it <b>cost</b>? </button>\n</h2>\n<div>Nothing.</div>",
                "## What does it **cost**?\n\nNothing.",
            ),
            (
                "<h3><i>1) </i><span><button>Why</button><svg></svg></span>?</h3>a<button>Buy</button>",
                "### *1)* Why?\n\na",
            ),
            ("<h2>Prices <button>Copy link</button></h2>a", "## Prices\n\na"),
            ("<button>Menu</button><p>a <button>Copy</button> b", "a b"),
        ] {
            assert_eq!(to_markdown(page).unwrap(), shown, "{page}");
        }
        let listed = to_markdown("<dl><dt><button>Who?</button></dt><dd>Anyone.</dd></dl>").unwrap();
        assert!(listed.contains("Who?") && listed.contains("Anyone."), "{listed}");
    }
}
