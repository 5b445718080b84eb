//! A high estimate, for models whose tokenizer is not to be had: above what text of words counts, in any script (`scripts.rs`), and no bound. Letters
//! that make no words may be a token each.

use super::TokenCounter;
use super::scripts::{Letters, is_of_word};

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

/// Letters of a word: vocabularies have no pieces for what is longer, which is keys, hashes and data.
const WORD_LETTERS_MAX: usize = 24;

/// Letters without anything between them.
#[derive(Default)]
struct Run {
    letters: usize,
    /// Capitals behind the first letter: each may begin a piece of its own.
    capitals: usize,
}

impl Run {
    fn tokens(&self) -> usize {
        let within = self.letters.min(WORD_LETTERS_MAX);
        (within.div_ceil(3) + (self.letters - within) + self.capitals).min(self.letters)
    }
}

/// Tokens of a text, more rather than fewer, for the usual byte-level and word-piece vocabularies: three letters or one digit or
/// sign to a token, every capital within a word, every letter beyond those of a word, other scripts by their rates, and every byte of other signs.
fn estimate_tokens(text: &str) -> usize {
    let (mut tokens, mut run, mut letters) = (0_usize, Run::default(), Letters::default());
    for character in text.chars() {
        if character.is_ascii_alphabetic() {
            tokens += std::mem::take(&mut letters).tokens();
            run.capitals += usize::from(run.letters > 0 && character.is_ascii_uppercase());
            run.letters += 1;
            continue;
        }
        tokens += std::mem::take(&mut run).tokens();
        if !character.is_ascii() && is_of_word(character) {
            letters.add(character);
            continue;
        }
        tokens += std::mem::take(&mut letters).tokens();
        tokens += if character == ' ' { 0 } else { character.len_utf8() };
    }
    tokens + run.tokens() + letters.tokens() + text.split("  ").count() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_rather_high() {
        let long = "x".repeat(1_000);
        let cases = [
            ("", 0),
            ("a", 1),
            ("hello world", 4),
            ("Hello World", 4),
            ("helloWorld", 5),
            ("HTTP", 4),
            ("aGVsbG8", 6),
            ("3.14", 4),
            ("日本", 3),
            ("日本 a语b", 7),
            ("— 5", 4),
            ("a  b", 3),
            (&long, 984),
        ];
        for (text, tokens) in cases {
            assert_eq!(estimate_tokens(text), tokens, "{text}");
        }
    }
}
