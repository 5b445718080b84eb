//! HTML to Markdown.
//!
//! The text of a page is what a reader reads: scripts, styles, navigation, footers and form controls are left out. The
//! title becomes a heading of the first level unless the page has one that says the same. White space is what browsers show of it ([`spaces`]).
//!
//! HTML that was made to exhaust a server is refused. The parser's time grows with the square of the depth of nesting and
//! of the number of an element's attributes; so the page is parsed in pieces, and between two of them depth, nodes and time are
//! looked at: a node takes two hundred bytes, and four of the page. The converter walks the tree recursively and indents nested lists, so depth
//! costs stack, and depth times lines costs memory; and it pads [`tables`]. All are bounded before it is called. Like [`siblings`] it would join
//! in quadratic time, so they are joined before; and it looks at the time at most elements, since it converts some of them twice, and what is nested in
//! them twice as often each time. Real pages stay far below every bound.

mod buttons;
mod preformatted;
mod rows;
mod siblings;
mod spaces;
mod tables;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use htmd::element_handler::{HandlerResult, Handlers};
use htmd::{Element, HtmlToMarkdown, Node};
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::{NodeData, RcDom};

use crate::limits::HTML_NODES_MAX;

/// Elements inside one another, at most.
const DEPTH_MAX: usize = 256;
/// (Nodes + lines) x depth, at most; the converted text is no longer than the page plus a few bytes for each.
const INDENTED_LINES_MAX: usize = 64 << 20;
/// Bytes that are parsed between two looks at what it costs.
const PIECE_BYTES: usize = 64 << 10;
/// Time to parse and to convert a page in; a page of the largest size takes a second or two.
const TIME_MAX: Duration = Duration::from_secs(20);
/// Where a page has to declare its encoding, by the HTML standard.
const CHARSET_WITHIN_BYTES: usize = 1024;

/// Elements whose content is not the page's text.
const SKIPPED: [&str; 17] = [
    "script", "style", "noscript", "template", "nav", "footer", "iframe", "svg", "canvas", "object", "embed",
    "audio", "video", "button", "select", "textarea", "input",
];

/// Elements at which the time is looked at: those that the converter has a way of its own with, but for spans, which it takes in a shorter way as
/// long as nobody else asks for them.
const TIMED: &str = "a b blockquote body br caption code dd div dl dt em h1 h2 h3 h4 h5 h6 i li ol p pre section strong table td th tr \
                     ul";

/// Ends a conversion from within.
struct Late;

/// The page as Markdown, or why it is not converted.
pub(super) fn to_markdown(html: &str) -> Result<String, String> {
    to_markdown_within(html, TIME_MAX)
}

fn to_markdown_within(html: &str, time_max: Duration) -> Result<String, String> {
    let began = Instant::now();
    let title = Arc::new(Mutex::new(None::<String>));
    let seen = Arc::clone(&title);
    let converter = HtmlToMarkdown::builder()
        .skip_tags(SKIPPED.to_vec())
        .add_handler(vec!["title"], move |handlers: &dyn Handlers, element: Element<'_>| {
            let text = handlers.walk_children(element.node).content;
            seen.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(text);
            None
        })
        .add_handler(vec!["img"], |handlers: &dyn Handlers, element: Element<'_>| {
            // An image inside the page is megabytes of base64; only its description is text.
            let value = |name: &str| {
                element
                    .attrs
                    .iter()
                    .find(|attribute| &*attribute.name.local == name)
                    .map(|found| &*found.value)
            };
            if value("src").is_some_and(|source| source.trim_start().starts_with("data:")) {
                return value("alt").map(Into::into);
            }
            handlers.fallback(element)
        })
        .add_handler(TIMED.split(' ').collect(), move |handlers: &dyn Handlers, element: Element<'_>| {
            if began.elapsed() > time_max {
                // Not a panic: nothing is wrong, and nobody is told but who called.
                resume_unwind(Box::new(Late));
            }
            let is_heading = matches!(element.tag, "h1" | "h2" | "h3" | "h4" | "h5" | "h6");
            let converted = handlers.fallback(element);
            if is_heading { converted.map(on_one_line) } else { converted }
        })
        .build();
    let tree = parse(html, began, time_max)?;
    buttons::open(&tree);
    rows::align(&tree);
    preformatted::mark(&tree);
    siblings::join(&tree);
    spaces::collapse(&tree);
    tables::check(&tree)?;
    let body = catch_unwind(AssertUnwindSafe(|| converter.tree_to_markdown(&tree)));
    let body = body.or_else(|panic| match panic.downcast::<Late>() {
        Ok(_) => Err(format!("it takes more than {} s to convert; it is malformed", time_max.as_secs())),
        Err(panic) => resume_unwind(panic),
    })?;
    let title = title.lock().unwrap_or_else(PoisonError::into_inner).take();
    Ok(with_title(title.as_deref().unwrap_or_default(), body))
}

/// A heading, whose text ends with its line in Markdown: breaks and blocks within it are spaces.
fn on_one_line(heading: HandlerResult) -> HandlerResult {
    let lines: Vec<&str> = heading.content.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.len() < 2 {
        return heading;
    }
    HandlerResult { content: format!("\n\n{}\n\n", lines.join(" ")), ..heading }
}

fn with_title(title: &str, body: String) -> String {
    let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
    // A comment of code begins as a heading does.
    let mut fence = "";
    let heading = body.lines().find_map(|line| {
        let behind = line.trim_start_matches('`');
        let marks = &line[..line.len() - behind.len()];
        if !fence.is_empty() {
            if line == fence {
                fence = "";
            }
            return None;
        }
        if marks.len() >= 3 && !behind.contains('`') {
            fence = marks;
        }
        line.strip_prefix("# ")
    });
    let heading = heading.unwrap_or_default().trim();
    if title.is_empty() || (!heading.is_empty() && title.to_lowercase().contains(&heading.to_lowercase())) {
        return body;
    }
    if body.is_empty() { format!("# {title}") } else { format!("# {title}\n\n{body}") }
}

fn parse(html: &str, began: Instant, time_max: Duration) -> Result<Rc<Node>, String> {
    let mut parser = parse_document(RcDom::default(), ParseOpts::default());
    let mut done = 0;
    while done < html.len() {
        let end = html.ceil_char_boundary(done + PIECE_BYTES);
        parser.process(StrTendril::from_slice(&html[done..end]));
        done = end;
        let dom = &parser.tokenizer.sink.sink;
        // Nobody reads what is wrong with it, which can be more than it is.
        dom.errors.borrow_mut().clear();
        shape(&dom.document)?;
        if began.elapsed() > time_max {
            return Err(format!(
                "{done} of its {} bytes took too long to parse; it is malformed",
                html.len()
            ));
        }
    }
    let tree = parser.finish().document;
    let (nodes, depth) = shape(&tree)?;
    let lines = nodes + html.bytes().filter(|byte| *byte == b'\n').count();
    if lines.saturating_mul(depth) > INDENTED_LINES_MAX {
        return Err(format!("its {lines} nodes and lines are nested too deep ({depth} levels) for its size"));
    }
    Ok(tree)
}

/// How many nodes a tree has and how deep they are nested.
fn shape(tree: &Rc<Node>) -> Result<(usize, usize), String> {
    let (mut nodes, mut attributes, mut depth) = (0usize, 0usize, 0usize);
    let mut open = vec![(Rc::clone(tree), 0usize)];
    while let Some((node, level)) = open.pop() {
        nodes += 1;
        depth = depth.max(level);
        if let NodeData::Element { attrs, template_contents, .. } = &node.data {
            attributes += attrs.borrow().len();
            open.extend(template_contents.borrow().iter().map(|inside| (Rc::clone(inside), level + 1)));
        }
        open.extend(node.children.borrow().iter().map(|child| (Rc::clone(child), level + 1)));
    }
    if depth > DEPTH_MAX {
        return Err(format!("its elements are nested {depth} deep; {DEPTH_MAX} is the limit"));
    }
    let held = nodes + attributes;
    if held > HTML_NODES_MAX {
        return Err(format!(
            "it has {held} elements, texts and attributes, beyond the limit HTML_NODES_MAX = {HTML_NODES_MAX}"
        ));
    }
    Ok((nodes, depth))
}

/// The `charset=` of the page's first kilobyte.
pub(super) fn declared_charset(content: &[u8]) -> Option<String> {
    let head =
        String::from_utf8_lossy(&content[..content.len().min(CHARSET_WITHIN_BYTES)]).to_ascii_lowercase();
    let at = head.find("charset=")? + "charset=".len();
    let value = head[at..].trim_start_matches(['"', '\'']);
    let end = value.find(|c: char| !(c.is_ascii_alphanumeric() || "-_:.".contains(c))).unwrap_or(value.len());
    (end > 0).then(|| value[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn structure_survives_and_junk_does_not() {
        let page =
            "<!doctype html><html><head><title>Guide</title><style>p{}</style><script>evil()</script></head>
            <body><nav><a href=/>Home</a></nav><h1>Guide</h1><p>Read <b>this</b> &amp; that.</p>
            <h2>List</h2><ul><li>one</li><li>two</li></ul><img alt='A chart' src='data:image/png;base64,AAAA'>
            <pre><code>let x = 1;
let y = 2;</code></pre><footer>Imprint</footer></body></html>";
        let text = to_markdown(page).unwrap();
        assert!(text.starts_with("# Guide\n\nRead **this** & that."), "{text}");
        for kept in ["## List", "one", "two", "A chart", "let x = 1;\nlet y = 2;"] {
            assert!(text.contains(kept), "{kept} is missing: {text}");
        }
        for gone in ["evil", "p{}", "Home", "Imprint", "base64"] {
            assert!(!text.contains(gone), "{gone} is there: {text}");
        }
    }

    #[test]
    fn the_title_is_a_heading_unless_the_page_has_it() {
        assert_eq!(to_markdown("<title> A\n B </title><p>x").unwrap(), "# A B\n\nx");
        assert_eq!(to_markdown("<title>B - Site</title><h1>b</h1><p>x").unwrap(), "# b\n\nx");
        assert_eq!(to_markdown("<title>A</title>").unwrap(), "# A");
        let code =
            to_markdown("<title>Install it</title><h2>B</h2><pre><code># install\nrun</code></pre>").unwrap();
        assert_eq!(code, "# Install it\n\n## B\n\n```\n# install\nrun\n```", "a comment is no heading");
        let fence = to_markdown("<title>Tea</title><pre>```\n# x\n</pre><h1>Tea</h1>").unwrap();
        assert_eq!(fence, "````\n```\n# x\n````\n\n# Tea", "a fence within code ends none");
        assert_eq!(to_markdown("").unwrap(), "");
    }

    /// What stood behind a break was text below a heading of half a sentence.
    #[test]
    fn a_heading_is_one_line() {
        for (page, shown) in [
            ("<h1>Ship faster.<br>Sleep <b>better</b>.</h1><p>x", "# Ship faster. Sleep **better**.\n\nx"),
            ("<h2><div>Prices</div> <div>for teams</div></h2>x<br>y", "## Prices for teams\n\nx  \ny"),
            ("<title>A B</title><h1>A<br>B</h1>", "# A B"),
            ("<h3>one</h3>", "### one"),
        ] {
            assert_eq!(to_markdown(page).unwrap(), shown, "{page}");
        }
    }

    #[test]
    fn depth_is_bounded_before_the_converter_recurses() {
        let deep = format!("{}x{}", "<div>".repeat(100_000), "</div>".repeat(100_000));
        assert!(to_markdown(&deep).unwrap_err().contains("limit"));
        let allowed = format!("{}x{}", "<div>".repeat(DEPTH_MAX - 10), "</div>".repeat(DEPTH_MAX - 10));
        assert_eq!(to_markdown(&allowed).unwrap(), "x");
        let quotes = format!("{}x", "<ul><li><blockquote>".repeat((DEPTH_MAX - 10) / 3));
        assert!(to_markdown(&quotes).unwrap().ends_with('x'));
    }

    #[test]
    fn indentation_times_lines_is_bounded() {
        let page = format!("{}{}", "<ul><li>".repeat(100), "<li>x".repeat(400_000));
        assert!(to_markdown(&page).unwrap_err().contains("too deep"));
    }

    /// A node takes many times the bytes that make it: 4 MiB of breaks took 216 MiB.
    #[test]
    fn nodes_are_bounded() {
        for piece in ["<br>", "<p>", "<!---->", "</p>", "<p b c d>"] {
            let reason = to_markdown(&format!("<body>{}", piece.repeat(HTML_NODES_MAX))).unwrap_err();
            assert!(reason.contains("HTML_NODES_MAX"), "{piece}: {reason}");
        }
        let hidden = format!("<template>{}</template>", "<br>".repeat(HTML_NODES_MAX));
        assert!(to_markdown(&hidden).unwrap_err().contains("HTML_NODES_MAX"));
        assert!(to_markdown(&"<br>".repeat(100_000)).is_ok());
    }

    /// A megabyte of these took 3 s, and four more than a minute.
    #[test]
    fn like_siblings_are_joined_in_one_pass() {
        let count = 250_000;
        let joined = to_markdown(&"<b>a</b>".repeat(count)).unwrap();
        assert_eq!(joined, format!("**{}**", "a".repeat(count)));
        let mixed = to_markdown(&"<b>a</b><strong>b</strong><x>c</x><x>d</x>".repeat(2)).unwrap();
        assert_eq!(mixed, "**ab**cd**ab**cd");
    }

    #[test]
    fn siblings_are_joined_where_the_converter_does() {
        for html in [
            "<p><b>a</b><b>b</b> <i>c</i><em>d</em><u>e</u><u>f</u></p>",
            "<p><b>a</b><b class=x>b</b><b class=x>c</b><b></b><b>d</b></p>",
            "<p><b>a</b><b><i>b</i></b><a href=x>c</a><a href=x>d</a></p>",
            "<ol><li>1</li><b>a</b><b>b</b><li>2</li></ol>",
            "<ul><b>a</b><b>b</b></ul><div>a</div><div>b</div>",
            "<table><tr><th><b>a</b><b>b</b></th></tr><tr><td><code>c</code><code>d</code></td></tr></table>",
            "<pre><b>a</b><b>b</b></pre><code>a</code><code>b</code><span>a</span><span>b</span>",
            "<x>a</x><x>b</x><y>c</y><x>d</x><svg>e</svg><svg>f</svg>",
        ] {
            let tree = || parse(html, Instant::now(), TIME_MAX).unwrap();
            let (before, after) = (tree(), tree());
            siblings::join(&after);
            // Joins what is left.
            let shown = |tree: &Rc<Node>| HtmlToMarkdown::new().tree_to_markdown(tree);
            assert_eq!(shown(&after), shown(&before), "{html}");
        }
    }

    /// Each cell is as wide as the widest of its column, in every row.
    #[test]
    fn tables_are_reckoned_before_they_are_written() {
        let wide = format!("<table><tr><th>{}{}</table>", "x".repeat(1 << 20), "<tr><td>y".repeat(10_000));
        assert!(to_markdown(&wide).unwrap_err().contains("tables"));
        let square = format!("<table><tr>{}{}</table>", "<th>x".repeat(10_000), "<tr><td>y".repeat(10_000));
        assert!(to_markdown(&square).unwrap_err().contains("tables"));
        let under = |wide: String, rows: usize| {
            format!("<table><tr><th>x<tr><td>{wide}{}</table>", "<tr><td>y".repeat(rows))
        };
        for wide in [
            under(format!("<pre>a{}b</pre>", "\n".repeat(1 << 20)), 1_000),
            under(format!("{}{}", "<ul><li>".repeat(100), "<li>a".repeat(5_000)), 500),
            under(format!("{}<pre>{}</pre>", "<blockquote>".repeat(200), "a\n".repeat(10_000)), 500),
            under(format!("<pre class=language-{}>a</pre>", "x".repeat(1 << 20)), 1_000),
            under(format!("<pre>{}</pre>", "`".repeat(1 << 20)), 25),
        ] {
            assert!(to_markdown(&wide).unwrap_err().contains("tables"), "lines of a cell make it wide");
        }
        let few = "<ul><li>a<li>b</ul><blockquote><pre>c\n  d</pre></blockquote>".to_owned();
        assert!(to_markdown(&under(few, 10_000)).is_ok());
        let usual = format!("<table><tr><th>Name<th>What{}</table>", "<tr><td>y<td>a|b".repeat(10_000));
        assert!(to_markdown(&usual).unwrap().contains("| y    | a&#124;b |"));
        let layout = format!("<table><tr><td>{}{}</table>", "x".repeat(1 << 20), "<tr><td>y".repeat(1_000));
        assert!(to_markdown(&layout).is_ok(), "without headers nothing is padded");
        let within = "<tr><td><table><tr><th>y</table>".repeat(1_000);
        let page = format!("<table><tr><td>{}{within}</table>", "x".repeat(1 << 20));
        assert!(to_markdown(&page).is_ok(), "headers of tables within it are none of its own");
    }

    /// A table of which there is nothing but its caption is converted twice, and so is a table in that: twice as often with each.
    #[test]
    fn a_conversion_that_does_not_end_is_ended() {
        let nested = "<table><thead></thead><caption>".repeat(60);
        let reason = to_markdown_within(&nested, Duration::from_millis(300)).unwrap_err();
        assert!(reason.contains("to convert"), "{reason}");
    }

    #[test]
    fn the_charset_is_found_where_pages_declare_it() {
        assert_eq!(declared_charset(b"<meta charset=utf-8>").as_deref(), Some("utf-8"));
        let content = b"<meta http-equiv='Content-Type' content='text/html; charset=windows-1252'>";
        assert_eq!(declared_charset(content).as_deref(), Some("windows-1252"));
        assert_eq!(declared_charset(b"<p>plain"), None);
    }

    fn soup() -> impl Strategy<Value = String> {
        let tags = "html head body title p div span table thead tbody tr td th caption ul ol li dl dt a b i em code pre br \
                    hr img h1 h2 h6 blockquote svg math template script style textarea select option form frameset iframe";
        let name = proptest::sample::select(tags.split_whitespace().collect::<Vec<_>>());
        let piece = prop_oneof![
            3 => name.clone().prop_map(|name| format!("<{name}>")),
            2 => name.clone().prop_map(|name| format!("</{name}>")),
            1 => (name, "[a-z='\" /]{0,12}").prop_map(|(name, rest)| format!("<{name} {rest}>")),
            3 => "[a-z 0-9.*_#|`\n-]{0,12}",
            1 => "\\PC{0,8}",
            1 => proptest::sample::select(vec!["<!--", "-->", "<![CDATA[", "]]>", "<?x?>", "<!doctype html>", "&amp;", "&#0;", "<", "&"])
                .prop_map(str::to_owned),
        ];
        proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn any_soup_of_tags_gives_text_or_a_reason(html in soup()) {
            let first = to_markdown(&html);
            prop_assert_eq!(&first, &to_markdown(&html), "conversion is deterministic");
        }
    }
}
