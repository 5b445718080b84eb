//! What is printed of retrieved chunks and of an enriched prompt.

use serde::Serialize;

use super::Timings;

/// A message of the prompt.
#[derive(Debug, Serialize)]
pub(crate) struct MessageView {
    pub(crate) role: &'static str,
    pub(crate) content: String,
}

/// The scores of a chunk, by the stages that gave it one.
#[derive(Debug, Serialize)]
pub(crate) struct ScoresView {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nearness: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) words: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hybrid: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rerank: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mmr: Option<f32>,
}

/// A chunk that was found.
#[derive(Debug, Serialize)]
pub(crate) struct RetrievedChunkView {
    pub(crate) document: String,
    pub(crate) ordinal: u64,
    pub(crate) heading: String,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) score: f32,
    pub(crate) scores: ScoresView,
    pub(crate) text: String,
}

/// The chunks that a question is about.
#[derive(Debug, Serialize)]
pub(crate) struct RetrievedView {
    pub(crate) chunks: Vec<RetrievedChunkView>,
    pub(crate) dropped: Vec<DroppedView>,
    pub(crate) rerank_truncated: u64,
    pub(crate) timings_ms: Timings,
}

/// A chunk that a citation consists of.
#[derive(Debug, Serialize)]
pub(crate) struct CitedChunkView {
    pub(crate) ordinal: u64,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) score: f32,
    pub(crate) scores: ScoresView,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) beside: Option<u64>,
}

/// A passage that the prompt contains.
#[derive(Debug, Serialize)]
pub(crate) struct CitationView {
    pub(crate) index: u64,
    pub(crate) document: String,
    pub(crate) heading: String,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) score: f32,
    pub(crate) text: String,
    pub(crate) chunks: Vec<CitedChunkView>,
}

/// A chunk that was found and left out.
#[derive(Debug, Serialize)]
pub(crate) struct DroppedView {
    pub(crate) document: String,
    pub(crate) ordinal: u64,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) beside: Option<u64>,
    pub(crate) tokens: u64,
    pub(crate) reason: &'static str,
}

/// What the tokens of a prompt are spent on.
#[derive(Debug, Serialize)]
pub(crate) struct TokensView {
    pub(crate) instructions: u64,
    pub(crate) context: u64,
    pub(crate) history: u64,
    pub(crate) question: u64,
    pub(crate) total: u64,
    pub(crate) budget: u64,
    pub(crate) history_messages_dropped: u64,
    pub(crate) counted_with: String,
}

/// A question made answerable.
#[derive(Debug, Serialize)]
pub(crate) struct EnrichedView {
    /// All messages in one text.
    pub(crate) prompt: String,
    pub(crate) messages: Vec<MessageView>,
    pub(crate) query: String,
    pub(crate) citations: Vec<CitationView>,
    pub(crate) dropped: Vec<DroppedView>,
    pub(crate) tokens: TokensView,
    pub(crate) template: String,
    pub(crate) rerank_truncated: u64,
    pub(crate) timings_ms: Timings,
}

/// A version of a registered template.
#[derive(Debug, Serialize)]
pub(crate) struct TemplateView {
    pub(crate) name: String,
    pub(crate) version: u32,
    /// In microseconds since 1970.
    pub(crate) registered_at: i64,
    /// Not in a list.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) source: String,
}
