//! Chunks to prompt.
//!
//! Retrieved chunks become what a language model is asked: neighbours of one document are put together again, whole chunks are packed into the
//! token budget, best first, beside instructions, history and question, and a template renders them as the messages of a chat
//! ([`default_template`]). Nothing here knows a database: the input is chunks and a way to count tokens, so that every decision is a
//! pure function of them.
//!
//! Retrieved text is data from documents whose authors need not be trusted. It stands in the user's message, never in the system's, between
//! lines that hold a random delimiter which occurs in none of the texts, so no text can end its own quotation, and marked as quoted
//! ([`DataMarking`]).

pub(crate) mod assemble;
pub(crate) mod chat;
pub(crate) mod condense;
mod history;
mod language;
pub(crate) mod marking;
mod pack;
pub(crate) mod preview;
pub(crate) mod registry;
mod request;
mod response;
mod tags;
pub(crate) mod template;

pub use chat::{ChatMessage, ChatRole};
pub use marking::DataMarking;
pub use preview::SamplePassage;
pub use registry::{RegisteredTemplate, TemplateChoice, TemplateName};
pub use request::EnrichRequest;
pub use response::{Citation, CitedChunk, Enriched, TokenReport};
pub use template::default_template;

use crate::error::{Error, Result};
use crate::limits::TEXT_BYTES_MAX;

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
