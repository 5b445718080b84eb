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

    /// Ranks the best `candidates` of what is found anew by a re-ranker; 1,000 at most.
    #[must_use]
    pub fn rerank(mut self, model: impl Into<String>, candidates: u32) -> Self {
        self.wire.rerank = Some(v1::Reranking { model: model.into(), candidates: Some(candidates) });
        self
    }

    /// Leaves out chunks whose score is less.
    #[must_use]
    pub fn min_score(mut self, min_score: f32) -> Self {
        self.wire.min_score = Some(min_score);
        self
    }

    /// Leaves out chunks that say what a better one says already.
    #[must_use]
    pub fn distinct(mut self) -> Self {
        self.wire.distinct = true;
        self
    }

    /// Chooses by maximal marginal relevance: how much relevance counts, from 1 for relevance alone to 0 for novelty alone.
    #[must_use]
    pub fn mmr(mut self, lambda: f32) -> Self {
        self.wire.mmr = Some(lambda);
        self
    }

    /// How many chunks of one document at most.
    #[must_use]
    pub fn per_document(mut self, chunks: u32) -> Self {
        self.wire.per_document = Some(chunks);
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
    /// What it is ranked by: the re-ranker's score if one was asked, else in mode dense its nearness, in mode text its words' score, in mode hybrid one made of both, from 0 to 1.
    pub score: f32,
    /// What each stage scored it by.
    pub scores: StageScores,
}

/// The scores of a chunk, by the stages that gave it one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct StageScores {
    /// How near its vector is to the question's, by the collection's metric; not in mode text.
    pub nearness: Option<f32>,
    /// BM25 of its text and headings, 0 if it has none of the question's words; not in mode dense.
    pub words: Option<f32>,
    /// One made of both, from 0 to 1; in mode hybrid.
    pub hybrid: Option<f32>,
    /// What the re-ranker says, if one was asked.
    pub rerank: Option<f32>,
    /// By which maximal marginal relevance chose it, if that was asked for.
    pub mmr: Option<f32>,
}

impl StageScores {
    pub(crate) fn from_wire(wire: Option<v1::StageScores>) -> StageScores {
        let v1::StageScores { nearness, words, hybrid, mmr, rerank } = wire.unwrap_or_default();
        StageScores { nearness, words, hybrid, rerank, mmr }
    }
}

/// Why a chunk that was found was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DropReason {
    /// Its score is below the least that was asked for.
    Score,
    /// A better chunk says the same.
    Duplicate,
    /// Maximal marginal relevance chose others, which are less like what was chosen already.
    Mmr,
    /// Its document has as many chunks as it may.
    PerDocument,
    /// The token budget was used up.
    Budget,
}

impl DropReason {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::Duplicate => "duplicate",
            Self::Mmr => "mmr",
            Self::PerDocument => "per_document",
            Self::Budget => "budget",
        }
    }
}

/// A chunk that was found and left out.
#[derive(Clone, Debug, PartialEq)]
pub struct DroppedChunk {
    /// The document's id.
    pub document: String,
    /// Its place among the document's chunks, from 0.
    pub ordinal: usize,
    /// Its first code point in the document's text, from 0.
    pub start: usize,
    /// One past its last code point.
    pub end: usize,
    /// What it was ranked by; see [`RetrievedChunk::score`].
    pub score: f32,
    /// Of a chunk that was not found but stands beside one that was: the place of that one in the document.
    pub beside: Option<usize>,
    /// Tokens that it would have taken.
    pub tokens: usize,
    /// Why it was left out.
    pub reason: DropReason,
}

impl DroppedChunk {
    pub(crate) fn from_wire(wire: v1::DroppedChunk) -> Result<DroppedChunk> {
        let reason = match wire.reason() {
            v1::DropReason::Budget => DropReason::Budget,
            v1::DropReason::Duplicate => DropReason::Duplicate,
            v1::DropReason::Score => DropReason::Score,
            v1::DropReason::Mmr => DropReason::Mmr,
            v1::DropReason::PerDocument => DropReason::PerDocument,
            v1::DropReason::Unspecified => return Err(Error::missing("dropped.reason")),
        };
        Ok(DroppedChunk {
            document: wire.document,
            ordinal: wire.ordinal as usize,
            start: wire.start as usize,
            end: wire.end as usize,
            score: wire.score,
            beside: wire.beside.map(|ordinal| ordinal as usize),
            tokens: wire.tokens as usize,
            reason,
        })
    }
}

/// What a question is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Retrieved {
    /// Best first.
    pub chunks: Vec<RetrievedChunk>,
    /// What was found and left out, and why: of the first `k`, and of those before one that is there.
    pub dropped: Vec<DroppedChunk>,
    /// How many chunks were cut for the re-ranker; nothing is cut of what is answered.
    pub rerank_truncated: usize,
    /// Milliseconds of each stage on the server, in order, `total` last.
    pub timings: Vec<StageTiming>,
}

impl Retrieved {
    pub(crate) fn from_wire(wire: v1::RetrieveResponse) -> Result<Retrieved> {
        let chunk = |found: v1::RetrievedChunk| {
            Ok(RetrievedChunk {
                chunk: Chunk::from_wire(found.chunk.ok_or_else(|| Error::missing("chunks.chunk"))?),
                score: found.score,
                scores: StageScores::from_wire(found.scores),
            })
        };
        Ok(Retrieved {
            chunks: wire.chunks.into_iter().map(chunk).collect::<Result<_>>()?,
            dropped: wire.dropped.into_iter().map(DroppedChunk::from_wire).collect::<Result<_>>()?,
            rerank_truncated: wire.rerank_truncated as usize,
            timings: timings_from_wire(wire.timings),
        })
    }
}
