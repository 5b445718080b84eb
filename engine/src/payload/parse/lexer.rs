//! A filter's text in tokens.
//!
//! ```text
//! word    = (letter | `_`) (letter | digit | `_` | `.` | `-`)*
//! number  = [`+` | `-`] digit+ [`.` digit+] [(`e` | `E`) [`+` | `-`] digit+]
//! quoted  = text in `"` or `'`, a name in backquotes; within, `\` begins an escape: \\ \" \' \` \n \r \t \u{1f600}
//! ```
//! Letters are those of any script. Whether a word is a keyword depends on where it stands: the parser knows.

use std::ops::Range;

use super::error::Problem;

const SYMBOLS: [&str; 11] = ["==", "!=", "<>", "<=", ">=", "=", "<", ">", "(", ")", ","];

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'a> {
    /// A keyword or a name.
    Word(&'a str),
    /// A name in backquotes.
    Name(String),
    Text(String),
    Number(&'a str),
    Symbol(&'static str),
    End,
}

/// A token and the bytes that it was.
#[derive(Clone, Debug)]
pub(super) struct Lexeme<'a> {
    pub(super) token: Token<'a>,
    pub(super) span: Range<usize>,
}

/// What is left of a text.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next token; [`Token::End`] at the end, as often as one likes.
    pub(super) fn next(&mut self) -> Result<Lexeme<'a>, Problem> {
        let rest = &self.text[self.at..];
        let start = self.at + (rest.len() - rest.trim_start().len());
        let rest = &self.text[start..];
        let (token, length) = match rest.chars().next() {
            None => (Token::End, 0),
            Some(quote @ ('"' | '\'' | '`')) => self.quoted(start, quote)?,
            Some(first) if first.is_alphabetic() || first == '_' => {
                let length = length_while(rest, is_of_word);
                (Token::Word(&rest[..length]), length)
            }
            Some(first) => match (number_length(rest), SYMBOLS.iter().find(|s| rest.starts_with(**s))) {
                (0, Some(symbol)) => (Token::Symbol(symbol), symbol.len()),
                (0, None) => {
                    let reason = format!("`{}` means nothing here", first.escape_debug());
                    return Err(Problem::new(&(start..start + first.len_utf8()), reason));
                }
                (length, _) => (Token::Number(&rest[..length]), length),
            },
        };
        self.at = start + length;
        Ok(Lexeme { token, span: start..self.at })
    }

    /// What stands between quotes, and its length with them.
    fn quoted(&self, start: usize, quote: char) -> Result<(Token<'a>, usize), Problem> {
        let mut text = String::new();
        let mut rest = self.text[start..].char_indices();
        rest.next();
        while let Some((at, character)) = rest.next() {
            match character {
                '\\' => {
                    let (character, length) = escaped(&self.text[start + at + 1..]).ok_or_else(|| {
                        let span = start + at..start + at + 1;
                        Problem::new(&span, r#"expected one of the escapes \\ \" \' \` \n \r \t \u{1f600}"#)
                    })?;
                    text.push(character);
                    (0..self.text[start + at + 1..][..length].chars().count()).for_each(|_| {
                        rest.next();
                    });
                }
                _ if character == quote => {
                    let token = if quote == '`' { Token::Name(text) } else { Token::Text(text) };
                    return Ok((token, at + quote.len_utf8()));
                }
                _ => text.push(character),
            }
        }
        Err(Problem::new(&(start..start + 1), format!("expected a closing {quote} for this one")))
    }
}

/// The character of an escape, and its length in bytes, from behind the backslash on.
fn escaped(rest: &str) -> Option<(char, usize)> {
    let character = match rest.chars().next()? {
        character @ ('\\' | '"' | '\'' | '`') => character,
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => {
            let (digits, _) = rest.strip_prefix("u{")?.split_once('}')?;
            let is_number = (1..=6).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
            let number = is_number.then(|| u32::from_str_radix(digits, 16).ok()).flatten()?;
            return Some((char::from_u32(number)?, "u{}".len() + digits.len()));
        }
        _ => return None,
    };
    Some((character, 1))
}

/// Whether a character may stand in a word, though not all of them at its beginning.
pub(super) fn is_of_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '.' | '-')
}

fn length_while(text: &str, is_part: impl Fn(char) -> bool) -> usize {
    text.find(|character| !is_part(character)).unwrap_or(text.len())
}

/// Bytes of the number that a text begins with; none if it does not.
fn number_length(text: &str) -> usize {
    let digits = |from: usize| length_while(&text[from..], |character| character.is_ascii_digit());
    let sign = |from: usize| usize::from(text[from..].starts_with(['+', '-']));
    let whole = sign(0) + digits(sign(0));
    if whole == sign(0) {
        return 0;
    }
    let mut end = whole;
    if text[end..].starts_with('.') && digits(end + 1) > 0 {
        end += 1 + digits(end + 1);
    }
    if text[end..].starts_with(['e', 'E']) {
        let exponent = end + 1 + sign(end + 1);
        end = if digits(exponent) > 0 { exponent + digits(exponent) } else { end };
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token<'_>> {
        let mut lexer = Lexer::new(text);
        let all = std::iter::repeat_with(|| lexer.next().unwrap().token);
        all.take_while(|token| *token != Token::End).collect()
    }

    #[test]
    fn numbers_end_where_they_end() {
        let cases = [
            ("1", vec![Token::Number("1")]),
            ("-1.5e-7)", vec![Token::Number("-1.5e-7"), Token::Symbol(")")]),
            ("500m", vec![Token::Number("500"), Token::Word("m")]),
            ("5e", vec![Token::Number("5"), Token::Word("e")]),
            ("year>=+20", vec![Token::Word("year"), Token::Symbol(">="), Token::Number("+20")]),
            ("a-b.c_1", vec![Token::Word("a-b.c_1")]),
        ];
        for (text, expected) in cases {
            assert_eq!(tokens(text), expected, "{text}");
        }
    }

    #[test]
    fn quotes_hold_anything() {
        assert_eq!(tokens(r#""a\"b\\\n\u{e4}'""#), [Token::Text("a\"b\\\nä'".into())]);
        assert_eq!(tokens(r"'it\'s'`a \`b`"), [Token::Text("it's".into()), Token::Name("a `b".into())]);
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        let wrong = |text: &str| Lexer::new(text).next().unwrap_err();
        assert_eq!(wrong("  \"abc").span, 2..3);
        assert_eq!(wrong(r#""a\x""#).span, 2..3);
        for text in [r#""\u{110000}""#, r#""\u{}""#, r#""\u{+1}""#, r#""\u12""#, r#""\"#] {
            assert!(wrong(text).reason.contains("escapes"), "{text}");
        }
        assert_eq!(wrong("%").reason, "`%` means nothing here");
        assert_eq!(wrong("-").span, 0..1);
        assert_eq!(wrong(".5").span, 0..1);
    }
}
