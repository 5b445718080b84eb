//! The headings of a Markdown text and what lies under them.
//!
//! Only headings of the document itself count: one inside a list or a block quote divides that list or quote, not the
//! document. Sections lie one after another and together cover the text; a section's subtree is the run of sections
//! that follow it on deeper levels. Linear in the text.

use std::ops::Range;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::limits::DOCUMENT_CHUNKS_MAX;

/// Code points of a heading that are kept in paths; the chunk's text has all of it.
const TITLE_CHARS_MAX: usize = 120;
/// Headings that divide a text; later ones are text. So many cannot all be chunks anyway, and each costs memory.
const HEADINGS_MAX: usize = DOCUMENT_CHUNKS_MAX;
/// What a page ends with.
pub(super) const PAGE_END: char = '\u{c}';
/// Between the headings of a path.
pub(crate) const PATH_SEPARATOR: &str = " > ";

/// A heading and the text up to the next one. The first section of an outline has no heading.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Section {
    /// 1 to 6; 0 for what stands before the first heading.
    pub(super) level: u8,
    /// The heading's text.
    pub(super) title: String,
    /// Bytes, heading included.
    pub(super) range: Range<usize>,
    /// Where the heading ends and the section's own text begins.
    pub(super) body: usize,
    /// The section that this one lies in, by its place in the outline.
    pub(super) parent: Option<usize>,
    /// One past the last section of the subtree.
    pub(super) subtree_end: usize,
}

/// The sections of a text, at least one, in order and without gaps.
#[derive(Debug)]
pub(super) struct Outline {
    pub(super) sections: Vec<Section>,
    /// Whether no chunk reaches across a heading of the top level.
    pub(super) is_divided_at_the_top: bool,
    /// Whether titles say what a section is about, so that they are embedded with it; the number of a page does not.
    pub(super) says_what_it_is_about: bool,
}

impl Outline {
    /// The outline of a text without headings.
    pub(super) fn flat(text: &str) -> Outline {
        Outline::of(vec![section(0, String::new(), 0..text.len(), 0)])
    }

    /// The outline of sections that lie one after another and cover the text.
    fn of(mut sections: Vec<Section>) -> Outline {
        link(&mut sections);
        Outline { sections, is_divided_at_the_top: true, says_what_it_is_about: true }
    }

    /// The outline of a text that these sections, which are not linked yet, cover: small ones are joined with their neighbours.
    pub(super) fn items(sections: Vec<Section>) -> Outline {
        Outline { is_divided_at_the_top: false, ..Outline::of(sections) }
    }

    /// The outline of a text whose pages end with form feeds.
    pub(super) fn pages(text: &str) -> Outline {
        let mut start = 0;
        let pages = text.split_inclusive(PAGE_END).enumerate().map(|(at, page)| {
            let range = start..start + page.len();
            start = range.end;
            let body = range.start;
            section(1, format!("page {}", at + 1), range, body)
        });
        let sections: Vec<Section> = pages.collect();
        if sections.is_empty() {
            return Outline::flat(text);
        }
        Outline { says_what_it_is_about: false, ..Outline::of(sections) }
    }

    /// The outline of a Markdown text.
    pub(super) fn markdown(text: &str) -> Outline {
        let mut sections = Outline::flat(text).sections;
        for heading in headings(text) {
            if let Some(last) = sections.last_mut() {
                last.range.end = heading.range.start;
            }
            sections.push(section(
                heading.level,
                heading.title,
                heading.range.start..text.len(),
                heading.range.end,
            ));
        }
        Outline::of(sections)
    }

    /// The titles from the outermost heading down to the section's own.
    pub(super) fn titles(&self, section: Option<usize>) -> Vec<&str> {
        let mut titles: Vec<&str> = std::iter::successors(section, |at| self.sections[*at].parent)
            .map(|at| self.sections[at].title.as_str())
            .filter(|title| !title.is_empty())
            .collect();
        titles.reverse();
        titles
    }

    /// The innermost section that holds both; none, if they have no heading in common.
    pub(super) fn common_ancestor(&self, a: usize, b: usize) -> Option<usize> {
        let mut above = Some(a);
        while let Some(at) = above {
            if at <= b && b < self.sections[at].subtree_end {
                return Some(at);
            }
            above = self.sections[at].parent;
        }
        None
    }

    /// The smallest level of the headings: chunks do not reach across a heading of it.
    pub(super) fn top_level(&self) -> u8 {
        self.sections.iter().map(|section| section.level).filter(|level| *level > 0).min().unwrap_or(0)
    }
}

/// A section that is not linked with others.
pub(super) fn section(level: u8, title: String, range: Range<usize>, body: usize) -> Section {
    Section { level, title, range, body, parent: None, subtree_end: 0 }
}

/// Finds every section's parent and the end of its subtree.
fn link(sections: &mut [Section]) {
    let mut open: Vec<usize> = Vec::new();
    for at in 0..sections.len() {
        let level = sections[at].level;
        while let Some(last) = open.last().copied() {
            // What stands before the first heading is nobody's parent.
            if sections[last].level != 0 && sections[last].level < level {
                break;
            }
            sections[last].subtree_end = at;
            open.pop();
        }
        sections[at].parent = open.last().copied();
        open.push(at);
    }
    for at in open {
        sections[at].subtree_end = sections.len();
    }
}

struct Heading {
    level: u8,
    title: String,
    range: Range<usize>,
}

fn headings(text: &str) -> Vec<Heading> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES;
    let from = front_matter(text);
    let (mut headings, mut depth, mut current) = (Vec::new(), 0usize, None::<Heading>);
    for (event, range) in Parser::new_ext(&text[from..], options).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { level, .. }) if depth == 0 => {
                let range = from + range.start..from + range.end;
                current = Some(Heading { level: number(level), title: String::new(), range });
                depth += 1;
            }
            Event::Start(_) => depth += 1,
            Event::End(TagEnd::Heading(_)) if depth == 1 => {
                depth = 0;
                if headings.len() == HEADINGS_MAX {
                    break;
                }
                headings.extend(
                    current.take().map(|heading| Heading {
                        title: tidy(without_attributes(&heading.title)),
                        ..heading
                    }),
                );
            }
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Text(piece) | Event::Code(piece) => {
                if let Some(heading) = &mut current {
                    heading.title.push_str(&piece);
                }
            }
            Event::SoftBreak | Event::HardBreak => {
                if let Some(heading) = &mut current {
                    heading.title.push(' ');
                }
            }
            _ => {}
        }
    }
    headings
}

/// Bytes of the metadata that a text begins with, empty lines aside: YAML between two lines of `---`, of which the second may be `...`, or TOML between
/// two of `+++`. The parser would take it anywhere, but further down such lines are rules, and between two of them stands text.
fn front_matter(text: &str) -> usize {
    let body = text.trim_start_matches(['\n', '\r']);
    let mut lines = body.split_inclusive('\n');
    let Some(opening) = lines.next() else { return 0 };
    let closing: &[&str] = match opening.trim_end() {
        "---" => &["---", "..."],
        "+++" => &["+++"],
        _ => return 0,
    };
    let mut end = text.len() - body.len() + opening.len();
    for (at, line) in lines.enumerate() {
        end += line.len();
        let content = line.trim_end();
        let is_closing = closing.contains(&content);
        // What begins with an empty line, or has none, is no metadata.
        if at == 0 && (is_closing || content.is_empty()) {
            return 0;
        }
        if is_closing {
            return end;
        }
    }
    0
}

/// A heading's text without the attributes behind it, `{#id .class key=value}`. The parser would take whatever stands in brackets there for
/// attributes, as in `GET /users/{id}`.
fn without_attributes(title: &str) -> &str {
    let title = title.trim_end();
    let Some((text, inside)) = title.strip_suffix('}').and_then(|title| title.rsplit_once('{')) else {
        return title;
    };
    let words = || inside.strip_prefix(':').unwrap_or(inside).split_whitespace();
    let is_name = |word: &str| {
        word.strip_prefix(['#', '.']).is_some_and(|name| name.starts_with(char::is_alphanumeric))
    };
    let is_attribute = |word: &str| is_name(word) || word.contains('=');
    if words().any(is_name) && words().all(is_attribute) { text } else { title }
}

fn number(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

/// A title as it stands in paths: one line, of bounded length, without what parts the titles of a path.
pub(super) fn tidy(title: &str) -> String {
    let words = title.split_whitespace().map(|word| if word == PATH_SEPARATOR.trim() { "›" } else { word });
    let title = words.collect::<Vec<_>>().join(" ");
    match title.char_indices().nth(TITLE_CHARS_MAX) {
        None => title,
        Some((end, _)) => format!("{}…", title[..end].trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<(u8, String, &str)> {
        let outline = Outline::markdown(text);
        (0..outline.sections.len())
            .map(|at| {
                let section = &outline.sections[at];
                (section.level, outline.titles(Some(at)).join(PATH_SEPARATOR), &text[section.range.clone()])
            })
            .collect()
    }

    #[test]
    fn sections_cover_the_text_and_know_their_path() {
        let text = "intro\n\n# A\n\na\n\n### `deep` *one*\nb\n\n## B ##\nc\n\nSetext\n===\n\nd";
        let expected: Vec<(u8, String, &str)> = vec![
            (0, String::new(), "intro\n\n"),
            (1, "A".into(), "# A\n\na\n\n"),
            (3, "A > deep one".into(), "### `deep` *one*\nb\n\n"),
            (2, "A > B".into(), "## B ##\nc\n\n"),
            (1, "Setext".into(), "Setext\n===\n\nd"),
        ];
        assert_eq!(shown(text), expected);
    }

    #[test]
    fn only_headings_of_the_document_itself_divide_it() {
        let text = "---\ntitle: # no\n---\n\n> # quoted\n\n- # listed\n\n```\n# code\n```\n\n    # indented\n\n# Yes\n";
        let titles: Vec<String> = shown(text).into_iter().map(|(_, path, _)| path).collect();
        assert_eq!(titles, ["", "Yes"]);
    }

    /// What stood between two rules was taken for metadata, and headings there, as those of slides, were lost.
    #[test]
    fn metadata_is_what_a_text_begins_with() {
        let slides = "# One\n\na\n\n---\n# Two\n\nb\n\n---\n# Three\n\n+++\n# Four\n\n+++\n";
        let titles =
            |text: &str| -> Vec<String> { shown(text).into_iter().map(|(_, path, _)| path).collect() };
        for metadata in ["", "---\n# no: x\n\ny: z\n---  \n", "\n\n---\n# no: x\n...\n", "+++\n# no\n+++\n"] {
            let text = format!("{metadata}{slides}");
            assert_eq!(titles(&text), ["", "One", "Two", "Three", "Four"], "{text}");
            assert_eq!(shown(&text)[0].2, metadata);
            assert_eq!(titles(&text.replace('\n', "\r\n")), ["", "One", "Two", "Three", "Four"], "{text}");
        }
        for text in ["---\n\n# One\n\n---\n", "---\n---\n# One\n", "---\n# One\n", "--- x\n# One\n---\n"] {
            assert_eq!(titles(text), ["", "One"], "{text}");
        }
    }

    #[test]
    fn subtrees_and_common_ancestors() {
        let outline = Outline::markdown("# A\n## B\n### C\n## D\n# E\n");
        let ends: Vec<usize> = outline.sections.iter().map(|section| section.subtree_end).collect();
        assert_eq!(ends, [1, 5, 4, 4, 5, 6]);
        assert_eq!(outline.common_ancestor(3, 4), Some(1));
        assert_eq!(outline.common_ancestor(2, 3), Some(2));
        assert_eq!(outline.common_ancestor(4, 5), None);
        assert_eq!(outline.top_level(), 1);
    }

    /// Of `GET /users/{id}`, the title was `GET /users/`, and so it was of other paths.
    #[test]
    fn what_stands_in_brackets_is_of_the_title_unless_it_names_it() {
        for (heading, title) in [
            ("# GET /users/{id}", "GET /users/{id}"),
            ("# Any of {a, b=c}", "Any of {a, b=c}"),
            ("# Spread {...}", "Spread {...}"),
            ("# Closed }", "Closed }"),
            ("# Users {#users}", "Users"),
            ("# Users {: .wide #all-users key=1 } ##", "Users"),
            ("Users {id} {#users}\n===", "Users {id}"),
        ] {
            assert_eq!(shown(&format!("{heading}\n\ntext"))[1].1, title, "{heading}");
        }
    }

    /// `File > Save` was a section of one called `File`, whatever stood beside it.
    #[test]
    fn a_title_is_one_part_of_its_path() {
        let text = "# Menu\n\n## File\n\n## File > Save\n\n## > > as\n";
        let paths: Vec<String> = shown(text).into_iter().map(|(_, path, _)| path).collect();
        assert_eq!(paths, ["", "Menu", "Menu > File", "Menu > File › Save", "Menu > › › as"]);
    }

    #[test]
    fn headings_beyond_any_number_of_chunks_are_text() {
        let outline = Outline::markdown(&"# a\n".repeat(HEADINGS_MAX + 10));
        assert_eq!(outline.sections.len(), HEADINGS_MAX + 1);
    }

    #[test]
    fn titles_are_one_line_of_bounded_length() {
        let outline = Outline::markdown(&format!("# {}\n", "word ".repeat(1000)));
        assert!(outline.sections[1].title.chars().count() <= TITLE_CHARS_MAX + 1);
        assert!(outline.sections[1].title.ends_with('…'));
    }
}
