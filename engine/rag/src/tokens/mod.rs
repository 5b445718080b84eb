//! How many tokens a text is to a model.
//!
//! A prompt must fit the model that it is for, and only that model's own tokenizer says whether it does. One trait,
//! [`TokenCounter`]; [`Models::token_counter`](crate::embed::Models::token_counter) has one for each of
//!
//! | model | counted with |
//! |---|---|
//! | `gpt-4o`, `gpt-5`, `o3` …, `gpt-4`, `text-embedding-3-small` …, `o200k_base`, `cl100k_base` | OpenAI's tables, built in |
//! | an embedding model that is loaded | its own tokenizer |
//! | a directory, `owner/name` | its `tokenizer.json`; of the hub's models, that file alone is fetched |
//! | `https://host/v1#name` | OpenAI's tables if `name` is one of its models, else a high estimate |
//!
//! A count is the same whether the model is loaded or not.
//!
//! Counts are of the text alone: neither the special tokens that a model puts around it nor those of a chat's turns.

mod estimate;
mod file;
mod openai;
pub(crate) mod scripts;

use std::sync::Arc;

use crate::embed::Embedder;
pub(crate) use estimate::Estimate;
pub(crate) use file::TokenizerFile;
pub(crate) use openai::OpenAi;

/// Counts the tokens of texts as one model does. Implementations are called from many threads.
pub trait TokenCounter: Send + Sync {
    /// The model that it counts for.
    fn model(&self) -> &str;

    /// Tokens of a text, without special ones. Of two texts together they are at most one more than of both apart, for every
    /// separator between them that is a line's end.
    fn count(&self, text: &str) -> usize;

    /// Whether counts are the model's own, not estimates.
    fn is_exact(&self) -> bool;
}

/// Whether a model's tokenizer is built in: nothing is read or fetched for it.
pub fn is_built_in(model: &str) -> bool {
    openai::is_known(model)
}

/// Counts as a loaded embedding model does.
pub(crate) struct OfEmbedder(pub(crate) Arc<dyn Embedder>);

impl TokenCounter for OfEmbedder {
    fn model(&self) -> &str {
        &self.0.info().name
    }

    fn count(&self, text: &str) -> usize {
        self.0.count_tokens_as_it_stands(text)
    }

    fn is_exact(&self) -> bool {
        self.0.counts_exactly()
    }
}
