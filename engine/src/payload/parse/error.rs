//! What is wrong with a filter's text, and where: the line is shown with a caret under the place.

use std::ops::Range;

/// Characters of a line that are shown around the place.
const SHOWN_CHARS: usize = 100;

/// Why a text is no filter.
///
/// Printed, it shows the line and points at the place:
/// ```
/// let error = ragstone::Filter::parse("year >= and draft").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "column 9: expected a value, found `and`\n  year >= and draft\n          ^^^"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{}column {column}: {reason}\n{shown}", if *line > 1 { format!("line {line}, ") } else { String::new() })]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// The first character of what is wrong, from 1, counted in characters within its line.
    pub column: usize,
    /// What is wrong, and what was expected.
    pub reason: String,
    /// The line, and carets under what is wrong.
    shown: String,
}

/// Something wrong with some bytes of a text.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) span: Range<usize>,
    pub(super) reason: String,
}

impl Problem {
    pub(super) fn new(span: &Range<usize>, reason: impl Into<String>) -> Self {
        Self { span: span.clone(), reason: reason.into() }
    }

    /// The problem with its line.
    pub(super) fn within(self, text: &str) -> ParseError {
        let before = &text[..self.span.start];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let end = text[start..].find('\n').map_or(text.len(), |length| start + length);
        let column = text[start..self.span.start].chars().count();
        // What is wrong may go on over lines; its first is shown.
        let length = text[self.span.start..self.span.end.min(end).max(self.span.start)].chars().count();
        ParseError {
            line: before.matches('\n').count() + 1,
            column: column + 1,
            reason: self.reason,
            shown: shown(&text[start..end], column, length.max(1)),
        }
    }
}

/// A line, or what surrounds the place in a long one, over carets.
fn shown(line: &str, column: usize, length: usize) -> String {
    let length = length.min(SHOWN_CHARS / 2);
    let first = (column + length).saturating_sub(SHOWN_CHARS);
    let mut characters = line.chars().skip(first);
    // One column a character, and nothing that steers a terminal.
    let harmless = |character: char| if character.is_control() { ' ' } else { character };
    let part: String = characters.by_ref().take(SHOWN_CHARS).map(harmless).collect();
    let (head, tail) = (if first > 0 { "…" } else { "" }, if characters.next().is_some() { "…" } else { "" });
    let indent = " ".repeat(column - first + head.chars().count());
    format!("  {head}{part}{tail}\n  {indent}{}", "^".repeat(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, span: Range<usize>) -> ParseError {
        Problem::new(&span, "wrong").within(text)
    }

    #[test]
    fn columns_count_characters_of_their_line() {
        let error = at("größe = ä", 10..12);
        assert_eq!((error.line, error.column), (1, 9));
        assert_eq!(error.to_string(), "column 9: wrong\n  größe = ä\n          ^");
        let error = at("a = 1\n and\tb", 11..12);
        assert_eq!(error.to_string(), "line 2, column 6: wrong\n   and b\n       ^");
        let end = at("a =", 3..3);
        assert_eq!(end.to_string(), "column 4: wrong\n  a =\n     ^");
    }

    #[test]
    fn of_a_long_line_the_place_is_shown() {
        let text = "x".repeat(500);
        let error = at(&text, 300..303).to_string();
        let lines: Vec<&str> = error.lines().collect();
        assert_eq!(lines[1].chars().count(), 2 + SHOWN_CHARS + 2);
        let (under, carets) = (lines[2].find('^').unwrap(), lines[2].matches('^').count());
        assert_eq!((under, carets), (2 + 1 + SHOWN_CHARS - 3, 3));
    }
}
