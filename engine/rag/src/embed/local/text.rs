//! Text to tokens, within the number that the model reads.
//!
//! A tokenizer's own truncation and padding (`tokenizer.json` of the default model cuts at 128 and pads to 128) are
//! switched off: what is cut, and that anything is, is decided here.
//!
//! A text that is far over the limit is not tokenised to its end only to be cut: tokens of a beginning that ends
//! before a space are tokens of the whole, so a beginning that yields more tokens than the model reads decides.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use tokenizers::{Encoding, PostProcessor, Tokenizer, TruncationDirection};

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
pub(crate) struct Tokens {
    /// Rows of the vocabulary.
    pub(crate) ids: Vec<u32>,
    /// The segment of each.
    pub(super) segments: Vec<u32>,
    /// Whether the text was cut.
    pub(crate) truncated: bool,
    /// Tokens at the beginning that the pooling leaves out.
    pub(super) skip: usize,
}

/// A tokenizer and the limits of its model.
pub(crate) struct TextReader {
    tokenizer: Tokenizer,
    path: PathBuf,
    /// Special tokens before a text and behind it.
    frame: (usize, usize),
    max_tokens: usize,
    lower_case: bool,
}

impl TextReader {
    /// Reads `tokenizer.json`. `max_tokens` counts special tokens.
    pub(crate) fn read(directory: &Path, max_tokens: usize, lower_case: bool) -> Result<TextReader> {
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
        let (encoding, complete) = self.encode_beginning(&text, true)?;
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

    /// The tokens of a text, or of a beginning of it that has more than the model reads; whether they are those of the whole.
    fn encode_beginning(&self, text: &str, special: bool) -> Result<(Encoding, bool)> {
        let mut budget = (self.max_tokens * BYTES_PER_TOKEN).max(1 << 10);
        loop {
            let end = beginning(text, budget);
            let encoding = self.encode(&text[..end], special)?;
            let complete = end == text.len();
            if complete || encoding.len() > self.max_tokens + TOKENS_MARGIN {
                return Ok((encoding, complete));
            }
            budget *= 2;
        }
    }

    /// Tokens without special ones; an upper estimate for a text that the tokenizer refuses.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.encode(&self.prepare("", text), false).map_or(text.len(), |encoding| encoding.len())
    }

    /// The same of a text whose surrounding space and case stay, as [`TokenizerFile`](crate::tokens::TokenizerFile) counts.
    pub(super) fn count_as_it_stands(&self, text: &str) -> usize {
        self.encode(text, false).map_or(text.len(), |encoding| encoding.len())
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

    fn encode(&self, text: &str, special: bool) -> Result<Encoding> {
        let encoding = self.tokenizer.encode_fast(text, special);
        encoding.map_err(|error| invalid(&self.path, format!("cannot tokenise a text: {error}")))
    }
}

/// Reads pairs of a query and a passage, as a cross-encoder does: one sequence, with special tokens around and between.
///
/// Where both are longer than the model reads, the passage is cut, never the query: half a question is another question. (The
/// reference cuts whichever is longer, token by token, which is the same wherever the passage stays the longer one.)
pub(crate) struct PairReader<'a> {
    reader: &'a TextReader,
    query: Encoding,
    /// Tokens that are left for a passage.
    passage_tokens_max: usize,
}

impl TextReader {
    /// Reads pairs with a query. `refuse` makes the error for a query with which, special tokens included, so many tokens leave
    /// none for a passage.
    pub(crate) fn pairs_with(
        &self,
        query: &str,
        refuse: impl FnOnce(usize) -> Error,
    ) -> Result<PairReader<'_>> {
        let (encoded, complete) = self.encode_beginning(&self.prepare("", query), false)?;
        let added = self.tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(true));
        let taken = added + if complete { encoded.len() } else { self.count(query) };
        match self.max_tokens.checked_sub(taken).filter(|left| *left > 0) {
            Some(passage_tokens_max) => Ok(PairReader { reader: self, query: encoded, passage_tokens_max }),
            None => Err(refuse(taken)),
        }
    }
}

impl PairReader<'_> {
    /// The tokens of the query with a passage; `refuse` makes the error for a pair of so many tokens.
    pub(crate) fn read(
        &self,
        passage: &str,
        overflow: Overflow,
        refuse: impl FnOnce(usize) -> Error,
    ) -> Result<Tokens> {
        let passage = self.reader.prepare("", passage);
        let (mut encoding, complete) = self.reader.encode_beginning(&passage, false)?;
        let truncated = encoding.len() > self.passage_tokens_max;
        if truncated && overflow == Overflow::Error {
            let tokens = if complete { encoding.len() } else { self.reader.count(&passage) };
            return Err(refuse(tokens + self.reader.max_tokens - self.passage_tokens_max));
        }
        encoding.truncate(self.passage_tokens_max, 0, TruncationDirection::Right);
        // What is cut off would be put together with the query, too.
        encoding.take_overflowing();
        let pair = self.reader.tokenizer.post_process(self.query.clone(), Some(encoding), true);
        let pair = pair.map_err(|error| {
            invalid(&self.reader.path, format!("cannot put a pair of texts together: {error}"))
        })?;
        let (ids, segments) = (pair.get_ids().to_vec(), pair.get_type_ids().to_vec());
        Ok(Tokens { ids, segments, truncated, skip: 0 })
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
