//! What an enriched prompt consists of.

use super::chat::ChatMessage;
use crate::retrieve::{DroppedChunk, StageScores};

/// A passage that the prompt contains under `[index]`: a chunk, or neighbouring chunks put together.
#[derive(Clone, Debug, PartialEq)]
pub struct Citation {
    /// The number in the prompt, from 1.
    pub index: usize,
    /// The document's id.
    pub document: String,
    /// The headings above all of it, joined by ` > `.
    pub heading: String,
    /// First code point in the document's text.
    pub start: usize,
    /// One past the last code point.
    pub end: usize,
    /// The best score among its chunks, which it is ranked by.
    pub score: f32,
    /// Exactly that slice of the document's text.
    pub text: String,
    /// The chunks that it consists of, in the order of the text.
    pub chunks: Vec<CitedChunk>,
}

/// A chunk that a citation consists of.
#[derive(Clone, Debug, PartialEq)]
pub struct CitedChunk {
    /// The chunk's place among the document's chunks, from 0.
    pub ordinal: usize,
    /// First code point in the document's text.
    pub start: usize,
    /// One past the last code point.
    pub end: usize,
    /// What it was ranked by.
    pub score: f32,
    /// Its scores by each stage of the retrieval; none if it was not found.
    pub scores: StageScores,
    /// Of a chunk that was not found but stands beside one that was ([`EnrichRequest::expand`](super::EnrichRequest::expand)): the place of that one
    /// in the document.
    pub beside: Option<usize>,
}

/// What the tokens of a prompt are spent on. The parts add up to the total.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenReport {
    /// The system's message, what the template says beside question and passages, and what each message takes besides its text.
    pub instructions: usize,
    /// Passages, the lines that name their source and set them apart.
    pub context: usize,
    /// What was said before the question.
    pub history: usize,
    /// The question.
    pub question: usize,
    /// All messages.
    pub total: usize,
    /// What was allowed.
    pub budget: usize,
    /// Messages of the history that were left out, as there was no room for their turns.
    pub history_messages_dropped: usize,
    /// The model whose tokenizer counted: that of [`tokens_of`](super::EnrichRequest::tokens_of), else the embedding model.
    pub counted_with: String,
}

/// A question made answerable.
#[derive(Clone, Debug, PartialEq)]
pub struct Enriched {
    /// What to send to a language model: instructions as the system's message, if there are any, what was said before, and last the user's
    /// message, with passages and question. No text of a document stands in another message than the last.
    pub messages: Vec<ChatMessage>,
    /// What was searched for: the question, and of the user's messages before it those that it cannot do without.
    pub query: String,
    /// What the prompt's `[n]` stand for, in order.
    pub citations: Vec<Citation>,
    /// What was found and left out, and why.
    pub dropped: Vec<DroppedChunk>,
    /// What the prompt's tokens are spent on.
    pub tokens: TokenReport,
    /// The template that rendered it: `name@version`, `built-in`, or `given` with the request.
    pub template: String,
    /// Whether the query was cut for the embedding model, as it has more tokens than that reads.
    pub truncated: bool,
    /// How many chunks were cut for the re-ranker, as they have more tokens with the query than that reads. Of the prompt nothing is cut.
    pub rerank_truncated: usize,
    /// Milliseconds of each stage, in order, `total` last.
    pub timings_ms: Vec<(&'static str, f64)>,
}

impl Enriched {
    /// All messages in one text, for a model that takes one. Who says what is lost.
    pub fn prompt(&self) -> String {
        self.messages.iter().map(|message| message.content.as_str()).collect::<Vec<_>>().join("\n\n")
    }
}
