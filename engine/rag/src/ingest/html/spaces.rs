//! White space as browsers show it, before a page is converted.
//!
//! Pages are indented and wrapped for those who write them. Of that nothing is shown: spaces, tabs and line ends in a row are one space; a space
//! after a space is none, whatever elements are between the two; nor is one at the beginning or the end of a line, which blocks and breaks begin and
//! end. What is preformatted (`pre`) stays as it is. So says CSS (Text, level 3: phase I and II of white space processing) of what has no style of
//! its own, and styles are not looked at. The converter does so within one text alone, and keeps the lines of inline code.
//!
//! Soft hyphens go, too: they say where a word may be divided, and who searches for the word writes none.
//!
//! One pass, in the order of the page.

use std::cell::RefCell;
use std::rc::Rc;

use htmd::Node;
use html5ever::tendril::StrTendril;
use markup5ever_rcdom::NodeData;

use super::{SKIPPED, siblings};

/// Where a word may be divided at the end of a line.
const SOFT_HYPHEN: char = '\u{ad}';

/// Does so in all of a tree, whose depth is bounded.
pub(super) fn collapse(tree: &Rc<Node>) {
    let mut line = Line::default();
    line.go_on(tree);
    line.end();
}

/// A line that texts are added to.
#[derive(Default)]
struct Line {
    /// Whether anything is shown in it.
    is_begun: bool,
    /// The text that ends with a space, if the line does so.
    space: Option<Rc<Node>>,
}

impl Line {
    /// Adds what is below a node.
    fn go_on(&mut self, node: &Rc<Node>) {
        node.children.borrow().iter().for_each(|child| self.add(child));
    }

    fn add(&mut self, node: &Rc<Node>) {
        match &node.data {
            NodeData::Text { contents } => self.add_text(node, contents),
            NodeData::Element { name, .. } => match &*name.local {
                // Nobody sees these here.
                skipped if SKIPPED.contains(&skipped) => {}
                "br" | "pre" => self.end(),
                "img" => self.show(),
                "code" => self.add_code(node),
                block if siblings::is_block(block) => {
                    self.end();
                    self.go_on(node);
                    self.end();
                }
                _ => self.go_on(node),
            },
            _ => self.go_on(node),
        }
    }

    fn add_text(&mut self, node: &Rc<Node>, contents: &RefCell<StrTendril>) {
        let mut collapsed = String::with_capacity(contents.borrow().len());
        for c in contents.borrow().chars() {
            if c == SOFT_HYPHEN {
                continue;
            }
            if !c.is_ascii_whitespace() {
                collapsed.push(c);
                self.show();
            } else if self.is_begun && self.space.is_none() {
                collapsed.push(' ');
                self.space = Some(Rc::clone(node));
            }
        }
        *contents.borrow_mut() = StrTendril::from(collapsed);
    }

    /// Adds code. Of a space at its end the converter makes none, so that one behind it counts.
    fn add_code(&mut self, node: &Rc<Node>) {
        let before = self.space.clone();
        self.go_on(node);
        let is_before = match (&before, &self.space) {
            (Some(before), Some(space)) => Rc::ptr_eq(before, space),
            _ => false,
        };
        if !is_before {
            self.drop_space();
        }
    }

    /// Something other than a space is in it.
    fn show(&mut self) {
        self.is_begun = true;
        self.space = None;
    }

    /// Ends it, without the space at its end.
    fn end(&mut self) {
        self.drop_space();
        self.is_begun = false;
    }

    fn drop_space(&mut self) {
        if let Some(node) = self.space.take()
            && let NodeData::Text { contents } = &node.data
        {
            contents.borrow_mut().pop_back(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::to_markdown;

    /// Of a page as people write it, a space was before each line that began with an element, and inline code had its lines.
    #[test]
    fn a_page_is_the_same_however_it_is_indented() {
        let indented = "
            <body>
                <div>
                    <span>
                        The probe
                    </span>
                    <a>
                        landed
                    </a> by <b>
                        parachute
                    </b>
                    ,
                    <br>
                    on
                    <code>
                        Titan
                          moon
                    </code>
                    <img alt='chart' src='data:x'>
                    .
                </div>
                <section>
                    <label>
                        Saturn
                    </label>
                    <ul>
                        <li>
                            <span> large </span>
                        </li>
                        <li>
                            ringed
                        </li>
                    </ul>
                </section>
            </body>";
        let shown = "The probe landed by **parachute** ,  \non `Titan moon` chart .\n\nSaturn\n\n";
        let text = to_markdown(indented).unwrap();
        assert!(text.starts_with(shown), "{text:?}");
        for item in ["large\n", "ringed"] {
            let line = text.split_inclusive('\n').find(|line| line.ends_with(item));
            assert!(line.is_some_and(|line| line.starts_with('*') || line.starts_with('-')), "{text:?}");
        }
        let lines = indented.lines().map(str::trim_start).collect::<Vec<_>>();
        assert_eq!(to_markdown(&lines.join("\n")).unwrap(), text);
        assert_eq!(to_markdown(&lines.join(" ")).unwrap(), text);
    }

    #[test]
    fn spaces_are_where_browsers_show_them() {
        for (html, shown) in [
            ("<p>a <b> b </b> c</p>", "a **b** c"),
            ("<p>a<b> b</b></p>", "a **b**"),
            ("<p>a<script> x </script> b</p>", "a b"),
            ("<p>a <!-- x --> b</p>", "a b"),
            ("<p> <b> </b> a</p>", "a"),
            ("a <p> b </p> c", "a\n\nb\n\nc"),
            ("<div>a <div>b</div> c </div>", "a\n\nb\n\nc"),
            ("<article> a </article> <article> b </article>", "a\n\nb"),
            ("<p>a <br> b</p>", "a  \nb"),
            ("<p><code> a </code> b</p>", "`a` b"),
            ("<p>a <code>b\n  c </code>d</p>", "a `b c`d"),
            ("<p>a&nbsp; b</p>", "a\u{a0} b"),
            ("<p>a\r\n\t b</p>", "a b"),
            ("<h1>Donau&shy;dampf&shy;schiff</h1><p>a &shy; b", "# Donaudampfschiff\n\na b"),
            ("<table><tr> <td> a </td> <td> <span> b </span> </td> </tr></table>", "a\n\nb"),
        ] {
            assert_eq!(to_markdown(html).unwrap(), shown, "{html}");
        }
    }

    #[test]
    fn what_is_preformatted_stays_as_it_is() {
        let page = "<p> a </p> <pre>  b\n    c  <i> d</i>\n</pre> <p> e";
        assert_eq!(to_markdown(page).unwrap(), "a\n\n```\n  b\n    c   *d*\n```\n\ne");
        let code = "<div>\n  <pre><code>fn f() {\n    1\n}\n</code></pre>\n</div>";
        assert_eq!(to_markdown(code).unwrap(), "```\nfn f() {\n    1\n}\n```");
    }

    #[test]
    fn spaces_after_spaces_take_one_pass() {
        let page = format!("<p>{}a", "<b> </b>\n".repeat(10_000));
        assert_eq!(to_markdown(&page).unwrap(), "a");
    }
}
