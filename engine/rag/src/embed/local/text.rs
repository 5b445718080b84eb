//! Text to tokens, within the number that the model reads.
//!
//! A tokenizer's own truncation and padding (`tokenizer.json` of the default model cuts at 128 and pads to 128) are
//! switched off: what is cut, and that anything is, is decided here.
//!
//! A text that is far over the limit is not tokenised to its end only to be cut: tokens of a beginning that ends
//! before a space are tokens of the whole, so a beginning that yields more tokens than the model reads decides.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use tokenizers::Tokenizer;

use super::files::{invalid, read_required};
use crate::embed::Overflow;
use crate::error::{Error, Result};

/// Bytes of a beginning for each token that the model reads: more than ordinary text has.
const BYTES_PER_TOKEN: usize = 16;
/// Tokens by which a beginning must be over the limit before the rest is ignored: room for a tokenizer that looks
/// some characters ahead.
const TOKENS_MARGIN: usize = 32;

/// What the network reads of one text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    /// Rows of the vocabulary.
    pub(super) ids: Vec<u32>,
    /// The segment of each.
    pub(super) segments: Vec<u32>,
    /// Whether the text was cut.
    pub(super) truncated: bool,
    /// Tokens at the beginning that the pooling leaves out.
    pub(super) skip: usize,
}

/// A tokenizer and the limits of its model.
pub(super) struct TextReader {
    tokenizer: Tokenizer,
    path: PathBuf,
    /// Special tokens before a text and behind it.
    frame: (usize, usize),
    max_tokens: usize,
    lower_case: bool,
}

impl TextReader {
    /// Reads `tokenizer.json`. `max_tokens` counts special tokens.
    pub(super) fn read(directory: &Path, max_tokens: usize, lower_case: bool) -> Result<TextReader> {
        let path = directory.join("tokenizer.json");
        let wrong = |error: &dyn std::fmt::Display| invalid(&path, format!("is no tokenizer: {error}"));
        let mut tokenizer = Tokenizer::from_bytes(read_required(&path)?).map_err(|error| wrong(&error))?;
        tokenizer.with_truncation(None).map_err(|error| wrong(&error))?;
        tokenizer.with_padding(None);
        let probe = tokenizer.encode("a", true).map_err(|error| wrong(&error))?;
        let special = probe.get_special_tokens_mask();
        let before = special.iter().take_while(|special| **special == 1).count();
        let behind = special[before..].iter().rev().take_while(|special| **special == 1).count();
        if before + behind >= max_tokens {
            let reason = format!("adds {} special tokens, but the model reads {max_tokens}", before + behind);
            return Err(invalid(&path, reason));
        }
        Ok(TextReader { tokenizer, frame: (before, behind), max_tokens, lower_case, path })
    }

    /// The tokens of a prefix and a text; `refuse` makes the error for a text of so many tokens.
    pub(super) fn read_text(
        &self,
        (prefix, text): (&str, &str),
        overflow: Overflow,
        refuse: impl FnOnce(usize) -> Error,
    ) -> Result<Tokens> {
        let text = self.prepare(prefix, text);
        let mut budget = (self.max_tokens * BYTES_PER_TOKEN).max(1 << 10);
        let (encoding, complete) = loop {
            let end = beginning(&text, budget);
            let encoding = self.encode(&text[..end], true)?;
            let complete = end == text.len();
            if complete || encoding.len() > self.max_tokens + TOKENS_MARGIN {
                break (encoding, complete);
            }
            budget *= 2;
        };
        let (mut ids, mut segments) = (encoding.get_ids().to_vec(), encoding.get_type_ids().to_vec());
        let truncated = ids.len() > self.max_tokens;
        if truncated && overflow == Overflow::Error {
            let tokens = if complete { ids.len() } else { self.encode(&text, true)?.len() };
            return Err(refuse(tokens));
        }
        if truncated {
            // The text is cut; the special tokens behind it stay.
            let cut = self.max_tokens - self.frame.1..ids.len() - self.frame.1;
            ids.drain(cut.clone());
            segments.drain(cut);
        }
        Ok(Tokens { ids, segments, truncated, skip: 0 })
    }

    /// Tokens without special ones; an upper estimate for a text that the tokenizer refuses.
    pub(super) fn count(&self, text: &str) -> usize {
        self.encode(&self.prepare("", text), false).map_or(text.len(), |encoding| encoding.len())
    }

    /// Special tokens of every text.
    pub(super) fn special_tokens(&self) -> usize {
        self.frame.0 + self.frame.1
    }

    /// Tokens of a prefix, with the special ones before it: what a pooling without prefix leaves out.
    pub(super) fn prefix_tokens(&self, prefix: &str) -> usize {
        if prefix.is_empty() { 0 } else { self.frame.0 + self.count(prefix) }
    }

    /// As sentence-transformers does: surrounding space goes, and upper case where the directory says so.
    fn prepare<'a>(&self, prefix: &str, text: &'a str) -> Cow<'a, str> {
        let text: Cow<'a, str> = match prefix {
            "" => Cow::Borrowed(text.trim()),
            prefix => Cow::Owned(format!("{prefix}{text}").trim().to_owned()),
        };
        if self.lower_case { Cow::Owned(text.to_lowercase()) } else { text }
    }

    fn encode(&self, text: &str, special: bool) -> Result<tokenizers::Encoding> {
        let encoding = self.tokenizer.encode_fast(text, special);
        encoding.map_err(|error| invalid(&self.path, format!("cannot tokenise a text: {error}")))
    }
}

/// Where a beginning of at least `budget` bytes may end: at the end, or before a space between a visible character
/// and a plain letter or digit, with which no normalisation joins what stands before.
fn beginning(text: &str, budget: usize) -> usize {
    let bytes = text.as_bytes();
    let splits = |at: &usize| {
        bytes[*at] == b' ' && bytes[*at - 1].is_ascii_graphic() && bytes[*at + 1].is_ascii_alphanumeric()
    };
    (budget.max(1)..bytes.len().saturating_sub(1)).find(splits).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_ends_where_a_word_does() {
        assert_eq!(beginning("ab cd ef", 0), 2);
        assert_eq!(beginning("ab cd ef", 3), 5);
        assert_eq!(beginning("ab cd ef", 6), 8);
        assert_eq!(beginning("ab  cd", 1), 6);
        assert_eq!(beginning("ab \u{301}cd", 1), 7);
        assert_eq!(beginning("ab ", 1), 3);
        assert_eq!(beginning("", 5), 0);
        assert_eq!(beginning("日本 a b", 1), 8);
    }
}
