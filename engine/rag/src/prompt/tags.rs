//! The tokens of a template's tags.
//!
//! What is decided about a tag before minijinja sees it must not depend on how cleverly it is written. So tags are cut
//! into tokens as minijinja's lexer does, or finer: it reads on beyond a `}}` that stands within brackets, and ends a number
//! where a letter follows (`1in` is `1 in`). [`language`](super::language) refuses both, so that where the two would
//! differ, nothing is compiled.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Letters, digits and `_`.
    Word,
    /// What stands in quotes, with them.
    Literal,
    /// `)` or `]`.
    Closing,
    /// Every other character, and those that make one operator.
    Operator,
}

/// A piece of a tag, and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) at: usize,
    pub(super) text: &'a str,
}

/// The inside of a tag, up to its end outside of quotes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tag<'a> {
    pub(super) tokens: Vec<Token<'a>>,
    /// Bytes before the two characters that end it; all there are if it doesn't end.
    pub(super) bytes: usize,
}

/// Cuts what follows a `{{` or `{%`, to the end that belongs to it. A `-` at either end takes white space and is no token.
pub(super) fn tag<'a>(inside: &'a str, end: &str) -> Tag<'a> {
    let mut tokens = Vec::new();
    let mut at = usize::from(inside.starts_with('-'));
    while let Some(first) = inside[at..].chars().next() {
        let rest = &inside[at..];
        if rest.strip_prefix('-').unwrap_or(rest).starts_with(end) {
            return Tag { tokens, bytes: at + usize::from(first == '-') };
        }
        if first.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        let (kind, bytes) = match first {
            '"' | '\'' => (Kind::Literal, literal(rest, first)),
            ')' | ']' => (Kind::Closing, 1),
            _ if is_of_word(first) => (Kind::Word, rest.find(|c: char| !is_of_word(c)).unwrap_or(rest.len())),
            _ if ["==", "!=", ">=", "<=", "//"].iter().any(|pair| rest.starts_with(pair)) => {
                (Kind::Operator, 2)
            }
            _ => (Kind::Operator, first.len_utf8()),
        };
        tokens.push(Token { kind, at, text: &rest[..bytes] });
        at += bytes;
    }
    Tag { tokens, bytes: inside.len() }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Bytes of a literal with its quotes, to the end of the source if it is not closed.
fn literal(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut<'a>(inside: &'a str, end: &str) -> (Vec<&'a str>, &'a str) {
        let tag = tag(inside, end);
        (tag.tokens.iter().map(|token| token.text).collect(), &inside[tag.bytes..])
    }

    #[test]
    fn tags_are_cut_at_their_ends() {
        assert_eq!(cut(" a.b[0]|f }} x", "}}"), (vec!["a", ".", "b", "[", "0", "]", "|", "f"], "}} x"));
        assert_eq!(cut("- a -}}", "}}"), (vec!["a"], "}}"));
        assert_eq!(cut("--a--}}", "}}"), (vec!["-", "a", "-"], "}}"));
        assert_eq!(cut("a -}b}}", "}}"), (vec!["a", "-", "}", "b"], "}}"));
        assert_eq!(cut(" if a>=1!=b %}x", "%}"), (vec!["if", "a", ">=", "1", "!=", "b"], "%}x"));
        assert_eq!(cut("'}}' \"\\\"}}\" }}", "}}"), (vec!["'}}'", "\"\\\"}}\""], "}}"));
        assert_eq!(
            cut("'\\\\'}}", "}}"),
            (vec!["'\\\\'"], "}}"),
            "an escaped backslash does not escape the quote"
        );
        assert_eq!(cut("a 'é}}", "}}"), (vec!["a", "'é}}"], ""), "a text that does not end");
        assert_eq!(cut("größe\u{b}1in", "}}"), (vec!["größe", "\u{b}", "1in"], ""));
        assert_eq!(cut("", "}}"), (vec![], ""));
        assert_eq!(cut("-", "}}"), (vec![], ""));
    }
}
