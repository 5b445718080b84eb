//! Questions made answerable.

use ragstone_proto::v1;

use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::point::{StageTiming, timings_from_wire};
use crate::retrieve::RetrievalMode;

/// Asks for an enriched prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Enrich {
    wire: v1::EnrichRequest,
}

impl Enrich {
    /// The question, in the user's words, with every default: 8 chunks, 2,000 tokens.
    pub fn new(collection: impl Into<String>, question: impl Into<String>) -> Self {
        Self {
            wire: v1::EnrichRequest {
                collection: collection.into(),
                question: question.into(),
                ..Default::default()
            },
        }
    }

    /// Chunks that are retrieved, 1 to 10,000.
    #[must_use]
    pub fn k(mut self, k: u32) -> Self {
        self.wire.k = Some(k);
        self
    }

    /// Tokens that the context may take, 1 to 1,000,000.
    #[must_use]
    pub fn token_budget(mut self, token_budget: u32) -> Self {
        self.wire.token_budget = Some(token_budget);
        self
    }

    /// Only chunks whose fields pass.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.wire.filter = Some(filter.into_wire());
        self
    }

    /// How chunks are found; by meaning and by word unless this is called.
    #[must_use]
    pub fn mode(mut self, mode: RetrievalMode) -> Self {
        self.wire.mode = mode.into_wire().into();
        self
    }

    /// A minijinja template instead of the built-in one.
    #[must_use]
    pub fn template(mut self, template: impl Into<String>) -> Self {
        self.wire.template = Some(template.into());
        self
    }

    pub(crate) fn into_wire(self) -> v1::EnrichRequest {
        self.wire
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
    /// Its first code point in the document's text, from 0.
    pub start: usize,
    /// One past its last code point.
    pub end: usize,
    /// What it was ranked by; see [`RetrievedChunk::score`](crate::RetrievedChunk::score).
    pub score: f32,
    /// Exactly that slice of the document's text.
    pub text: String,
}

/// Why a retrieved chunk is not in the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DropReason {
    /// The token budget was used up.
    Budget,
    /// A better chunk says the same.
    Duplicate,
}

/// A retrieved chunk that is not in the prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct DroppedChunk {
    /// The document's id.
    pub document: String,
    /// Its first code point in the document's text, from 0.
    pub start: usize,
    /// One past its last code point.
    pub end: usize,
    /// What it was ranked by; see [`RetrievedChunk::score`](crate::RetrievedChunk::score).
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
    pub dropped: Vec<DroppedChunk>,
    /// Tokens of the prompt, counted with the embedding model's tokenizer.
    pub prompt_tokens: usize,
    /// Milliseconds of each stage on the server, in order, `total` last.
    pub timings: Vec<StageTiming>,
}

impl Enriched {
    pub(crate) fn from_wire(wire: v1::EnrichResponse) -> Result<Enriched> {
        Ok(Enriched {
            prompt: wire.prompt,
            citations: wire.citations.into_iter().map(citation_from_wire).collect(),
            dropped: wire.dropped.into_iter().map(dropped_from_wire).collect::<Result<_>>()?,
            prompt_tokens: wire.prompt_tokens as usize,
            timings: timings_from_wire(wire.timings),
        })
    }
}

fn citation_from_wire(wire: v1::Citation) -> Citation {
    Citation {
        index: wire.index as usize,
        document: wire.document,
        heading: wire.heading,
        start: wire.start as usize,
        end: wire.end as usize,
        score: wire.score,
        text: wire.text,
    }
}

fn dropped_from_wire(wire: v1::DroppedChunk) -> Result<DroppedChunk> {
    let reason = match wire.reason() {
        v1::DropReason::Budget => DropReason::Budget,
        v1::DropReason::Duplicate => DropReason::Duplicate,
        v1::DropReason::Unspecified => return Err(Error::missing("dropped.reason")),
    };
    Ok(DroppedChunk {
        document: wire.document,
        start: wire.start as usize,
        end: wire.end as usize,
        score: wire.score,
        tokens: wire.tokens as usize,
        reason,
    })
}
