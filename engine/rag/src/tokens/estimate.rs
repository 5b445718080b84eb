//! An upper estimate, for models whose tokenizer is not to be had.

use super::TokenCounter;

/// Estimates for any model.
pub(crate) struct Estimate {
    pub(crate) model: String,
}

impl TokenCounter for Estimate {
    fn model(&self) -> &str {
        &self.model
    }

    fn count(&self, text: &str) -> usize {
        estimate_tokens(text)
    }

    fn is_exact(&self) -> bool {
        false
    }
}

/// Tokens of a text, more rather than fewer, for the usual byte-level and word-piece vocabularies: three letters or
/// one digit or sign to a token, and every byte of what is not ASCII.
pub(crate) fn estimate_tokens(text: &str) -> usize {
    let (mut tokens, mut letters) = (0_usize, 0_usize);
    for character in text.chars() {
        if character.is_ascii_alphabetic() {
            letters += 1;
            continue;
        }
        tokens += letters.div_ceil(3);
        letters = 0;
        tokens += if character == ' ' { 0 } else { character.len_utf8() };
    }
    tokens + letters.div_ceil(3) + text.split("  ").count() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_rather_high() {
        let cases = [("", 0), ("a", 1), ("hello world", 4), ("3.14", 4), ("日本", 6), ("a  b", 3)];
        for (text, tokens) in cases {
            assert_eq!(estimate_tokens(text), tokens, "{text}");
        }
    }
}
