//! What a template's source may say.
//!
//! It has `for`, `if`, output, comparisons and a few filters, but nothing that assigns or concatenates: without doubling,
//! no value is larger than the input. [`check`] enforces that on the [`tags`] of the source before it is compiled, and
//! bounds what the compiler recurses into; a name that is not defined is an error, not an empty text.

use super::tags::{self, Kind, Token};
use crate::error::{Error, Result};
use crate::limits::{TEMPLATE_NESTING_MAX, TEMPLATE_OPERATORS_MAX};

const SYSTEM_LINE: &str = "{% system %}";
const USER_LINE: &str = "{% user %}";
const STATEMENTS: [&str; 6] = ["for", "endfor", "if", "elif", "else", "endif"];
/// The words among the operators.
const OPERATOR_WORDS: [&str; 7] = ["not", "and", "or", "in", "is", "if", "else"];

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
/// Neither has the colon of a slice, which copies a text for a few instructions, however long it is.
///
/// Refuses, too, what would exhaust the stack: minijinja's parser, its compiler and the destructor of its tree recurse into each
/// operator, filter, test, index and attribute of a chain, and into each `elif`, while its own bound counts brackets and statements
/// alone. So the operators of a tag are counted, and how deep statements are nested.
///
/// # Errors
/// [`Error::Template`], with the line.
pub(super) fn check(part: &Part<'_>) -> Result<()> {
    let source = part.source;
    let mut nesting = Nesting::default();
    let mut at = 0;
    while let Some(open) = source[at..].find('{').map(|found| at + found) {
        let end = match source.as_bytes().get(open + 1) {
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
        let tag = tags::tag(&source[open + 2..], end);
        check_tag(&tag.tokens, end == "%}", &mut nesting).map_err(|(at, what)| {
            let before = &source[..open + 2 + at];
            refused(part.lines_before + before.bytes().filter(|byte| *byte == b'\n').count() + 1, &what)
        })?;
        at = open + 2 + tag.bytes;
    }
    Ok(())
}

/// Where a tag is refused, and why.
type Refusal = (usize, String);

fn check_tag(tokens: &[Token<'_>], is_statement: bool, nesting: &mut Nesting) -> Result<(), Refusal> {
    let is_forbidden = |token: &&Token<'_>| {
        token.kind == Kind::Operator && token.text.starts_with(['~', '+', '*', '%', ',', '{', '}', ':'])
    };
    if let Some(token) = tokens.iter().find(is_forbidden) {
        return Err(unavailable(token.at, &format!("`{}`", token.text)));
    }
    let (keyword, expression) = match tokens {
        [first, expression @ ..] if is_statement => (first.text, expression),
        _ => ("", tokens),
    };
    if is_statement && !STATEMENTS.contains(&keyword) {
        return Err(unavailable(0, &format!("statement `{keyword}`")));
    }
    nesting.pass(keyword)?;
    check_expression(keyword, expression)
}

fn check_expression(keyword: &str, expression: &[Token<'_>]) -> Result<(), Refusal> {
    let (mut operators, mut brackets, mut searches) = (0, 0usize, 0);
    for &Token { kind, at, text } in expression {
        match (kind, text) {
            (Kind::Closing, _) if brackets == 0 => return Err((at, format!("`{text}` closes nothing"))),
            (Kind::Closing, _) => brackets -= 1,
            (Kind::Operator, "(" | "[") => brackets += 1,
            // A search through a text costs one instruction, however long it is.
            (Kind::Word, "in") => searches += 1,
            (Kind::Word, "recursive") if keyword == "for" => return Err(unavailable(at, "`recursive`")),
            (Kind::Word, _) if is_odd_number(text) => {
                return Err((at, format!("`{text}` is no number; numbers are written in decimal digits")));
            }
            _ => {}
        }
        if searches > usize::from(keyword == "for") {
            return Err(unavailable(at, "`in`"));
        }
        operators += usize::from(kind == Kind::Operator || OPERATOR_WORDS.contains(&text));
        if operators > TEMPLATE_OPERATORS_MAX {
            let limit = format!("TEMPLATE_OPERATORS_MAX = {TEMPLATE_OPERATORS_MAX}");
            return Err((at, format!("a tag has more operators than {limit}")));
        }
    }
    match expression.last() {
        Some(last) if brackets > 0 => Err((last.at, "a bracket is not closed in its tag".to_owned())),
        _ => Ok(()),
    }
}

/// Whether a word begins as a number and goes on with what minijinja may take for a word of its own.
fn is_odd_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit()) && !word.bytes().all(|byte| byte.is_ascii_digit())
}

/// The statements that are open, and how many levels each of them is: one, and one more for each `elif`.
#[derive(Default)]
struct Nesting(Vec<usize>);

impl Nesting {
    /// Takes a tag's statement, none where it has none.
    fn pass(&mut self, keyword: &str) -> Result<(), Refusal> {
        match keyword {
            "for" | "if" => self.0.push(1),
            "elif" => {
                if let Some(levels) = self.0.last_mut() {
                    *levels += 1;
                }
            }
            "endfor" | "endif" => {
                self.0.pop();
            }
            _ => {}
        }
        if self.0.iter().sum::<usize>() > TEMPLATE_NESTING_MAX {
            let limit = format!("TEMPLATE_NESTING_MAX = {TEMPLATE_NESTING_MAX}");
            return Err((
                0,
                format!("`{keyword}` is nested deeper than {limit}; each `elif` is a level too"),
            ));
        }
        Ok(())
    }
}

fn unavailable(at: usize, what: &str) -> Refusal {
    (at, format!("{what} is not available; templates have for, if, output, comparisons and filters"))
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
