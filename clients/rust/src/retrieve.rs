//! Chunks that questions are about.

use ragstone_proto::v1;

use crate::document::Chunk;
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::point::{StageTiming, timings_from_wire};

/// How chunks are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetrievalMode {
    /// By the nearness of their vectors to the question's.
    Dense,
    /// By the words of their texts and headings (BM25). It needs no model.
    Text,
    /// By both: the candidates of each get their exact scores of both, of which one is made.
    #[default]
    Hybrid,
}

impl RetrievalMode {
    pub(crate) fn into_wire(self) -> v1::RetrievalMode {
        match self {
            Self::Dense => v1::RetrievalMode::Dense,
            Self::Text => v1::RetrievalMode::Text,
            Self::Hybrid => v1::RetrievalMode::Hybrid,
        }
    }
}

/// Asks for the chunks that a question is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Retrieve {
    wire: v1::RetrieveRequest,
}

impl Retrieve {
    /// The question, in the user's words, with every default: 8 chunks, found by meaning and by word.
    pub fn new(collection: impl Into<String>, question: impl Into<String>) -> Self {
        Self {
            wire: v1::RetrieveRequest {
                collection: collection.into(),
                question: question.into(),
                ..Default::default()
            },
        }
    }

    /// How many chunks, 1 to 10,000.
    #[must_use]
    pub fn k(mut self, k: u32) -> Self {
        self.wire.k = Some(k);
        self
    }

    /// Only chunks whose fields pass.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.wire.filter = Some(filter.into_wire());
        self
    }

    /// How they are found.
    #[must_use]
    pub fn mode(mut self, mode: RetrievalMode) -> Self {
        self.wire.mode = mode.into_wire().into();
        self
    }

    pub(crate) fn into_wire(self) -> v1::RetrieveRequest {
        self.wire
    }
}

/// A chunk that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct RetrievedChunk {
    /// The chunk.
    pub chunk: Chunk,
    /// What it is ranked by: in mode dense its nearness, in mode text its words' score, in mode hybrid one made of both, from 0 to 1.
    pub score: f32,
    /// How near its vector is to the question's, by the collection's metric; not in mode text.
    pub nearness: Option<f32>,
    /// BM25 of its text and headings, 0 if it has none of the question's words; not in mode dense.
    pub words: Option<f32>,
}

/// What a question is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Retrieved {
    /// Best first.
    pub chunks: Vec<RetrievedChunk>,
    /// Milliseconds of each stage on the server, in order, `total` last.
    pub timings: Vec<StageTiming>,
}

impl Retrieved {
    pub(crate) fn from_wire(wire: v1::RetrieveResponse) -> Result<Retrieved> {
        let chunk = |found: v1::RetrievedChunk| {
            Ok(RetrievedChunk {
                chunk: Chunk::from_wire(found.chunk.ok_or_else(|| Error::missing("chunks.chunk"))?),
                score: found.score,
                nearness: found.nearness,
                words: found.words,
            })
        };
        Ok(Retrieved {
            chunks: wire.chunks.into_iter().map(chunk).collect::<Result<_>>()?,
            timings: timings_from_wire(wire.timings),
        })
    }
}
