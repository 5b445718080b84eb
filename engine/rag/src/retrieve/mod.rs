//! Questions to chunks.
//!
//! **Problem.** A model's vectors find what means the same in other words, and miss names, numbers and identifiers that it never learned; words find
//! exactly those, and nothing else. Each fails on questions that the other answers.
//!
//! **Idea.** Both give candidates, and every candidate, whichever side it came from, gets its exact score of both sides: the nearness of
//! its vector and the BM25 of its text and headings. One score is made of the two (`fuse.rs`), the same rule for every collection; then
//! the best chunks say more of the question, and the candidates are scored by that as well (`feedback.rs`).
//!
//! **Cost.** Each side is searched once. What both found are some hundred candidates, which are compared with the question twice on either side, and the first
//! thirty chunks are read.

pub(crate) mod expand;
pub(crate) mod feedback;
pub(crate) mod fuse;
mod rerank;
pub(crate) mod select;
pub(crate) mod similar;

pub use expand::Expansion;
use ragstone::Filter;
pub use rerank::Rerank;
pub(crate) use rerank::rerank;
pub(crate) use select::{Pooled, Selection};

use crate::embed::Overflow;
use crate::error::{Error, Result};
use crate::ingest::Chunk;
use crate::prompt::check_text;

/// How chunks are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetrievalMode {
    /// By the nearness of their vectors to the question's.
    Dense,
    /// By the words of their texts and headings (BM25). No question is embedded.
    Text,
    /// By both.
    #[default]
    Hybrid,
}

impl RetrievalMode {
    /// Every mode.
    pub const ALL: [RetrievalMode; 3] = [Self::Dense, Self::Text, Self::Hybrid];

    /// Its name, which it is parsed from.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dense => "dense",
            Self::Text => "text",
            Self::Hybrid => "hybrid",
        }
    }
}

impl std::fmt::Display for RetrievalMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for RetrievalMode {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == name).ok_or_else(|| Error::Invalid {
            field: "mode".to_owned(),
            reason: format!("there is no mode `{name}`; there are dense, text and hybrid"),
        })
    }
}

/// Asks for the chunks that a question is about.
#[derive(Clone, Debug, PartialEq)]
pub struct RetrieveRequest {
    /// The question, in the user's words.
    pub question: String,
    /// How many chunks, 1 to [`K_MAX`](ragstone::limits::K_MAX).
    pub k: usize,
    /// Only chunks whose fields pass.
    pub filter: Option<Filter>,
    /// How they are found.
    pub mode: RetrievalMode,
    /// What becomes of a question of more tokens than the model reads; of its words none is left out.
    pub overflow: Overflow,
    /// Ranks the best of what is found anew.
    pub rerank: Option<Rerank>,
    /// Leaves out chunks whose score is less.
    pub min_score: Option<f32>,
    /// Leaves out chunks that say what a better one says already. Where the best are copies of few, more are looked at, 64 times as many as are wanted at
    /// most, until there are `k`; a re-ranker is given no more for that.
    pub distinct: bool,
    /// Chooses by maximal marginal relevance: how much relevance counts, 1 for relevance alone, 0 for novelty alone; `k` is
    /// [`MMR_CHUNKS_MAX`](crate::limits::MMR_CHUNKS_MAX) at most then, and they are chosen from the best
    /// [`MMR_POOL_MAX`](crate::limits::MMR_POOL_MAX) at most. Without it, chunks come in the order of their scores.
    pub mmr: Option<f32>,
    /// How many chunks of one document at most. Where the best are of few documents, more are looked at, the best [`K_MAX`](ragstone::limits::K_MAX) at most, until
    /// there are `k`. A re-ranker is given chunks of as many documents, too, [`RERANK_PASSAGES_MAX`](crate::limits::RERANK_PASSAGES_MAX) chunks at most.
    pub per_document: Option<usize>,
}

impl RetrieveRequest {
    /// The question with every default: 8 chunks, found by meaning and by word.
    pub fn new(question: impl Into<String>) -> Self {
        Self {
            question: question.into(),
            k: 8,
            filter: None,
            mode: RetrievalMode::default(),
            overflow: Overflow::Error,
            rerank: None,
            min_score: None,
            distinct: false,
            mmr: None,
            per_document: None,
        }
    }

    /// Refuses what no collection could answer.
    pub(crate) fn validate(&self) -> Result<()> {
        check_text("question", &self.question)?;
        if let Some(rerank) = &self.rerank {
            rerank.validate(self.k)?;
        }
        self.selection().validate()
    }

    /// What is kept of what is found.
    pub(crate) fn selection(&self) -> Selection {
        let Self { k, min_score, distinct, mmr, per_document, .. } = self;
        Selection {
            k: *k,
            min_score: *min_score,
            distinct: *distinct,
            mmr: *mmr,
            per_document: *per_document,
        }
    }
}

/// A chunk that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct RetrievedChunk {
    /// The chunk.
    pub chunk: Chunk,
    /// What it is ranked by: the re-ranker's score if there is one, else in mode dense its nearness, in mode text its words' score, in mode hybrid one
    /// made of both, from 0 to 1.
    pub score: f32,
    /// What each stage scored it by.
    pub scores: StageScores,
    /// Of a chunk that was not found but stands beside one that was: the place of that one in the document.
    pub(crate) beside: Option<usize>,
    /// The white space between the document's previous chunk and this one, if it is known and they do not overlap.
    pub(crate) gap: Option<String>,
}

impl RetrievedChunk {
    /// The same, left out; it would have taken so many tokens.
    pub(crate) fn dropped(&self, reason: DropReason, tokens: usize) -> DroppedChunk {
        let Chunk { document, ordinal, start, end, .. } = &self.chunk;
        DroppedChunk {
            document: document.clone(),
            ordinal: *ordinal,
            start: *start,
            end: *end,
            score: self.score,
            beside: self.beside,
            tokens,
            reason,
        }
    }
}

/// The scores of a chunk, by the stages that gave it one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageScores {
    /// How near its vector is to the question's, by the collection's metric; not in mode text.
    pub nearness: Option<f32>,
    /// BM25 of its text and headings, 0 if it has none of the question's words; not in mode dense. How rare a word is, is counted over all chunks of the
    /// collection, whatever the filter.
    pub words: Option<f32>,
    /// One made of both, from 0 to 1; in mode hybrid.
    pub hybrid: Option<f32>,
    /// What the re-ranker says, if one was asked.
    pub rerank: Option<f32>,
    /// By which maximal marginal relevance chose it, if that was asked for.
    pub mmr: Option<f32>,
}

/// Why a chunk that was found was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// The chunk's place among the document's chunks, from 0.
    pub ordinal: usize,
    /// First code point in the document's text.
    pub start: usize,
    /// One past the last code point.
    pub end: usize,
    /// What it was ranked by.
    pub score: f32,
    /// Of a chunk that was not found but stands beside one that was: the place of that one in the document.
    pub beside: Option<usize>,
    /// Tokens that it would have taken.
    pub tokens: usize,
    /// Why it was left out.
    pub reason: DropReason,
}

/// What a question is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Retrieved {
    /// Best first.
    pub chunks: Vec<RetrievedChunk>,
    /// What was found and left out, and why: of the first `k`, and of those before one that is there, but for chunks that were only passed over to fill up what
    /// `per_document` left.
    pub dropped: Vec<DroppedChunk>,
    /// Whether the question was cut, as it has more tokens than the model reads.
    pub truncated: bool,
    /// How many chunks were cut for the re-ranker, as they have more tokens with the question than that reads. Nothing is cut of what is returned.
    pub rerank_truncated: usize,
    /// Milliseconds of each stage, in order, `total` last.
    pub timings_ms: Vec<(&'static str, f64)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_have_names() {
        for mode in RetrievalMode::ALL {
            assert_eq!(mode.to_string().parse::<RetrievalMode>().unwrap(), mode);
        }
        assert!("sparse".parse::<RetrievalMode>().is_err_and(|error| error.to_string().contains("`sparse`")));
    }
}
