//! Preformatted text, as code.
//!
//! What stands in `pre` the converter writes as it is, unless it is in `code` as well, which many generators of documentation leave out.
//! In Markdown a comment of a script is a heading then, which divides the page, and dashes make one of the line above them. So `code` is
//! put around what a `pre` holds, unless it holds code or blocks itself.

use std::rc::Rc;

use htmd::Node;
use markup5ever_rcdom::NodeData;

use super::rows::{adopt, name, renamed};
use super::siblings;

/// Does so in all of a tree.
pub(super) fn mark(tree: &Rc<Node>) {
    let mut open = vec![Rc::clone(tree)];
    while let Some(node) = open.pop() {
        if name(&node) == Some("pre") && is_plain(&node) {
            let code = renamed(&node, "code", &node);
            for child in node.children.take() {
                adopt(&code, child);
            }
            node.children.borrow_mut().push(code);
            continue;
        }
        open.extend(node.children.borrow().iter().cloned());
    }
}

/// Whether there is text in it, and neither code nor a block.
fn is_plain(pre: &Rc<Node>) -> bool {
    let mut open: Vec<Rc<Node>> = pre.children.borrow().clone();
    let mut has_text = false;
    while let Some(node) = open.pop() {
        if let NodeData::Text { contents } = &node.data {
            has_text = has_text || !contents.borrow().trim().is_empty();
        }
        if name(&node).is_some_and(|tag| tag == "code" || siblings::is_block(tag)) {
            return false;
        }
        open.extend(node.children.borrow().iter().cloned());
    }
    has_text
}

#[cfg(test)]
mod tests {
    use super::super::to_markdown;

    /// Of documentation, comments of examples were headings of the first level, and each example was a chapter.
    #[test]
    fn what_is_preformatted_is_code() {
        let page =
            "<h1>Start</h1><div><pre><span># Install</span>\n<span>run</span> it\n---\n</pre></div><p>x";
        assert_eq!(to_markdown(page).unwrap(), "# Start\n\n```\n# Install\nrun it\n---\n```\n\nx");
        let marked = "<pre><code>a\n</code></pre>";
        assert_eq!(to_markdown(marked).unwrap(), "```\na\n```");
        let other = to_markdown("<pre><h2>A</h2></pre><pre></pre><pre> <b> </b>\n</pre>").unwrap();
        assert!(other.contains("## A") && !other.contains('`'), "{other}");
    }
}
