//! What a template's source may say.
//!
//! It has `for`, `if`, output, comparisons and a few filters, but nothing that assigns or concatenates: without doubling,
//! no value is larger than the input. [`check`] enforces that on the tags of the source before it is compiled;
//! a name that is not defined is an error, not an empty text.

use crate::error::{Error, Result};

const SYSTEM_LINE: &str = "{% system %}";
const USER_LINE: &str = "{% user %}";

/// A part of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub(super) source: &'a str,
    /// Lines of the source before it.
    pub(super) lines_before: usize,
}

/// The parts of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sections<'a> {
    /// Empty if there is none.
    pub(super) system: Part<'a>,
    pub(super) user: Part<'a>,
}

/// Cuts a source at the lines `{% system %}` and `{% user %}`.
///
/// # Errors
/// [`Error::Template`], with the line: a part that comes twice or in the wrong order, text before the first, no user's part.
pub(super) fn sections(source: &str) -> Result<Sections<'_>> {
    let mut marks = Vec::new();
    let mut at = 0;
    for (number, line) in source.split_inclusive('\n').enumerate() {
        let name = line.trim();
        if name == SYSTEM_LINE || name == USER_LINE {
            marks.push((name, at, at + line.len(), number + 1));
        }
        at += line.len();
    }
    let part = |from: usize, to: usize, lines_before: usize| Part { source: &source[from..to], lines_before };
    let none = Part { source: "", lines_before: 0 };
    let before = marks.first().map_or("", |(_, begin, ..)| &source[..*begin]);
    if !before.trim().is_empty() {
        return Err(refused(1, &format!("nothing may stand before `{SYSTEM_LINE}` or `{USER_LINE}`")));
    }
    match marks.as_slice() {
        [] => Ok(Sections { system: none, user: part(0, source.len(), 0) }),
        [(USER_LINE, _, end, line)] => Ok(Sections { system: none, user: part(*end, source.len(), *line) }),
        [(SYSTEM_LINE, _, end, line), (USER_LINE, user, user_end, user_line)] => {
            Ok(Sections { system: part(*end, *user, *line), user: part(*user_end, source.len(), *user_line) })
        }
        [(SYSTEM_LINE, _, _, line)] => Err(refused(
            *line,
            &format!("after the system's part, a line `{USER_LINE}` begins the user's; there is none"),
        )),
        [_, (name, _, _, line), ..] if *name == SYSTEM_LINE => {
            Err(refused(*line, &format!("`{SYSTEM_LINE}` stands once, and first")))
        }
        [.., (_, _, _, line)] => Err(refused(*line, &format!("`{USER_LINE}` stands once, and last"))),
    }
}

/// Refuses what could build values larger than the input: statements but `for` and `if`, and the operators and the comma
/// that put values together. Outside of string literals these characters have no other use in the tags that are left.
///
/// # Errors
/// [`Error::Template`], with the line.
pub(super) fn check(part: &Part<'_>) -> Result<()> {
    const STATEMENTS: [&str; 6] = ["for", "endfor", "if", "elif", "else", "endif"];
    let source = part.source;
    let refuse = |at: usize, what: String| {
        let line = part.lines_before + source[..at].bytes().filter(|byte| *byte == b'\n').count() + 1;
        let what =
            format!("{what} is not available; templates have for, if, output, comparisons and filters");
        Err(refused(line, &what))
    };
    let mut at = 0;
    while let Some(open) = source[at..].find("{").map(|found| at + found) {
        let close = match source.as_bytes().get(open + 1) {
            Some(b'#') => {
                let Some(end) = source[open + 2..].find("#}") else { return Ok(()) };
                at = open + 2 + end + 2;
                continue;
            }
            Some(b'%') => "%}",
            Some(b'{') => "}}",
            _ => {
                at = open + 1;
                continue;
            }
        };
        let inside = &source[open + 2..];
        let tag = tag(inside, close);
        if let Some((offset, c)) = tag.forbidden {
            return refuse(open + 2 + offset, format!("`{c}`"));
        }
        let mut words = tag.text.trim_start_matches('-').split(|c: char| !(c.is_alphanumeric() || c == '_'));
        let first = words.find(|word| !word.is_empty()).unwrap_or_default();
        if close == "%}" && !STATEMENTS.contains(&first) {
            return refuse(open, format!("statement `{first}`"));
        }
        // A search through a text costs one instruction, however long it is.
        let searches = without_literals(tag.text);
        let searches =
            searches.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| *word == "in");
        if searches.count() > usize::from(first == "for" && close == "%}") {
            return refuse(open, "`in`".to_owned());
        }
        if first == "for" && words.any(|word| word == "recursive") {
            return refuse(open, "`recursive`".to_owned());
        }
        at = open + 2 + tag.text.len();
    }
    Ok(())
}

/// A tag's inside with spaces for what stands in quotes.
fn without_literals(text: &str) -> String {
    let (mut quote, mut escaped) = (None, false);
    let bare = text.chars().map(|c| match quote {
        Some(_) if escaped => {
            escaped = false;
            ' '
        }
        Some(_) if c == '\\' => {
            escaped = true;
            ' '
        }
        Some(open) => {
            quote = Some(open).filter(|open| *open != c);
            ' '
        }
        None if c == '"' || c == '\'' => {
            quote = Some(c);
            ' '
        }
        None => c,
    });
    bare.collect()
}

struct Tag<'a> {
    text: &'a str,
    /// The first character that tags may not hold, and its place.
    forbidden: Option<(usize, char)>,
}

/// The inside of a tag, up to its end outside of string literals.
fn tag<'a>(inside: &'a str, close: &str) -> Tag<'a> {
    let (mut quote, mut escaped) = (None, false);
    for (at, c) in inside.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if inside[at..].starts_with(close) => return Tag { text: &inside[..at], forbidden: None },
            None if c == '"' || c == '\'' => quote = Some(c),
            None if "~+*%,{}".contains(c) => return Tag { text: &inside[..at], forbidden: Some((at, c)) },
            None => {}
        }
    }
    Tag { text: inside, forbidden: None }
}

fn refused(line: usize, what: &str) -> Error {
    Error::Template { reason: format!("line {line}: {what}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_cut_into_its_parts() {
        let cut =
            |source| sections(source).map(|of| (of.system.source, of.user.source, of.user.lines_before));
        assert_eq!(cut("a\nb").unwrap(), ("", "a\nb", 0));
        assert_eq!(cut("").unwrap(), ("", "", 0));
        assert_eq!(cut("{% user %}\na").unwrap(), ("", "a", 1));
        assert_eq!(cut("\n{% system %}\na\n  {% user %}\r\nb\n").unwrap(), ("a\n", "b\n", 4));
        assert_eq!(cut("say {% user %} here").unwrap(), ("", "say {% user %} here", 0));
        for (source, part) in [
            ("{% system %}\na", "line 1: after the system's part"),
            ("x\n{% user %}\na", "line 1: nothing may stand before"),
            ("{% user %}\na\n{% system %}\nb", "line 3: `{% system %}` stands once, and first"),
            ("{% system %}\n{% system %}\n{% user %}", "line 2: `{% system %}` stands once, and first"),
            ("{% system %}\n{% user %}\n{% user %}", "line 3: `{% user %}` stands once, and last"),
            ("{% user %}\n{% user %}", "line 2: `{% user %}` stands once, and last"),
        ] {
            let error = cut(source).unwrap_err().to_string();
            assert!(error.contains(part), "{source:?}: {error}");
        }
    }
}
