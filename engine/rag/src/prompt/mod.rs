//! Hits to prompt.
//!
//! Retrieved chunks become what a language model is asked: chunks that say the same as a better one are dropped,
//! neighbours of one document are put together again, whole chunks are packed into the token budget, best first, and a
//! template renders them with the question ([`default_template`]). Nothing here knows a database: the input is hits and
//! a way to count tokens, so that every decision is a pure function of them.
//!
//! Retrieved text is data from documents whose authors need not be trusted. It stands between lines that hold a random
//! delimiter which occurs in none of the texts, so no text can end its own quotation.

pub(crate) mod pack;
pub(crate) mod render;
mod similar;

pub use render::default_template;

use ragstone::Filter;

use crate::error::{Error, Result};
use crate::limits::{CONTEXT_TOKENS_MAX, TEMPLATE_BYTES_MAX, TEXT_BYTES_MAX};
use crate::retrieve::RetrievalMode;

/// Asks for an enriched prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct EnrichRequest {
    /// The question, in the user's words.
    pub question: String,
    /// Chunks that are retrieved, 1 to [`K_MAX`](ragstone::limits::K_MAX).
    pub k: usize,
    /// Tokens that the context may take, 1 to [`CONTEXT_TOKENS_MAX`]: the texts and the lines that name their source,
    /// counted with the embedding model's tokenizer; not the instructions and the question.
    pub token_budget: usize,
    /// Only chunks whose fields pass.
    pub filter: Option<Filter>,
    /// How chunks are found.
    pub mode: RetrievalMode,
    /// A minijinja template instead of the built-in one; see [`default_template`].
    pub template: Option<String>,
}

impl EnrichRequest {
    /// The question with every default: 8 chunks, found by meaning and by word, 2,000 tokens.
    pub fn new(question: impl Into<String>) -> Self {
        Self {
            question: question.into(),
            k: 8,
            token_budget: 2_000,
            filter: None,
            mode: RetrievalMode::default(),
            template: None,
        }
    }

    /// Refuses what no collection could answer.
    pub(crate) fn validate(&self) -> Result<()> {
        check_text("question", &self.question)?;
        check_range("k", self.k, "K_MAX", ragstone::limits::K_MAX)?;
        check_range("token_budget", self.token_budget, "CONTEXT_TOKENS_MAX", CONTEXT_TOKENS_MAX)?;
        let bytes = self.template.as_ref().map_or(0, String::len);
        check_max("template", bytes, "TEMPLATE_BYTES_MAX", TEMPLATE_BYTES_MAX)
    }
}

/// A chunk that the prompt contains under `[index]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Citation {
    /// The number in the prompt, from 1.
    pub index: usize,
    /// The document's id.
    pub document: String,
    /// The headings above it, joined by ` > `.
    pub heading: String,
    /// First code point in the document's text.
    pub start: usize,
    /// One past the last code point.
    pub end: usize,
    /// The retrieval's score, as the mode has it.
    pub score: f32,
    /// Exactly that slice of the document's text.
    pub text: String,
}

/// Why a retrieved chunk is not in the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The token budget was used up.
    Budget,
    /// A better chunk says the same.
    Duplicate,
}

/// A retrieved chunk that is not in the prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropped {
    /// The document's id.
    pub document: String,
    /// First code point in the document's text.
    pub start: usize,
    /// One past the last code point.
    pub end: usize,
    /// The retrieval's score, as the mode has it.
    pub score: f32,
    /// Tokens that it would have taken.
    pub tokens: usize,
    /// Why it was left out.
    pub reason: DropReason,
}

/// A question made answerable.
#[derive(Clone, Debug, PartialEq)]
pub struct Enriched {
    /// What to send to a language model, as the user's message.
    pub prompt: String,
    /// What the prompt's `[n]` stand for, in order.
    pub citations: Vec<Citation>,
    /// What was retrieved and left out.
    pub dropped: Vec<Dropped>,
    /// Tokens of the prompt, counted with the embedding model's tokenizer.
    pub prompt_tokens: usize,
    /// Milliseconds of each stage, in order, `total` last.
    pub timings_ms: Vec<(&'static str, f64)>,
}

/// Refuses an empty text and one beyond [`TEXT_BYTES_MAX`].
pub(crate) fn check_text(field: &str, text: &str) -> Result<()> {
    if text.trim().is_empty() {
        return Err(Error::Invalid { field: field.to_owned(), reason: "it must not be empty".to_owned() });
    }
    check_max(field, text.len(), "TEXT_BYTES_MAX", TEXT_BYTES_MAX)
}

/// Refuses 0 and what is beyond a limit.
pub(crate) fn check_range(field: &str, actual: usize, limit: &'static str, max: usize) -> Result<()> {
    if actual == 0 {
        return Err(Error::Invalid { field: field.to_owned(), reason: format!("it must be 1 to {max}") });
    }
    check_max(field, actual, limit, max)
}

/// Refuses what is beyond a limit.
pub(crate) fn check_max(field: &str, actual: usize, limit: &'static str, max: usize) -> Result<()> {
    if actual > max {
        return Err(Error::Limit { field: field.to_owned(), limit, max: max as u64, actual: actual as u64 });
    }
    Ok(())
}
