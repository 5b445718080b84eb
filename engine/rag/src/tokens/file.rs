//! Counting with a `tokenizer.json`, whatever the model behind it.

use std::path::Path;

use tokenizers::Tokenizer;

use super::TokenCounter;
use crate::embed::local::{invalid, read_required};
use crate::error::Result;

/// The tokenizer of a directory.
pub(crate) struct TokenizerFile {
    model: String,
    tokenizer: Tokenizer,
}

impl TokenizerFile {
    /// Reads `tokenizer.json` of a directory, for the model that is called so.
    pub(crate) fn read(directory: &Path, model: &str) -> Result<TokenizerFile> {
        let path = directory.join("tokenizer.json");
        let wrong = |error: &dyn std::fmt::Display| invalid(&path, format!("is no tokenizer: {error}"));
        let mut tokenizer = Tokenizer::from_bytes(read_required(&path)?).map_err(|error| wrong(&error))?;
        // What the file says of cutting and filling up is for the model's inputs.
        tokenizer.with_truncation(None).map_err(|error| wrong(&error))?;
        tokenizer.with_padding(None);
        Ok(TokenizerFile { model: model.to_owned(), tokenizer })
    }
}

impl TokenCounter for TokenizerFile {
    fn model(&self) -> &str {
        &self.model
    }

    fn count(&self, text: &str) -> usize {
        // A tokenizer that refuses a text gets an upper bound: no token is less than a byte.
        self.tokenizer.encode_fast(text, false).map_or(text.len(), |encoding| encoding.len())
    }

    fn is_exact(&self) -> bool {
        true
    }
}
