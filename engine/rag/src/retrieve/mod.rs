//! Questions to chunks.
//!
//! **Problem.** A model's vectors find what means the same in other words, and miss names, numbers and identifiers that it never learned; words find
//! exactly those, and nothing else. Each fails on questions that the other answers.
//!
//! **Idea.** Both give candidates, and every candidate, whichever side it came from, gets its exact score of both sides: the nearness of
//! its vector and the BM25 of its text and headings. One score is made of the two (`fuse.rs`), the same rule for every collection; then
//! the best chunks say more of the question, and the candidates are scored by that as well (`feedback.rs`).
//!
//! **Cost.** Each side is searched once for every score, which is four walks and four runs through the postings, and the first thirty
//! chunks are read: about what embedding the question costs, as long as a collection is not of millions.

pub(crate) mod feedback;
pub(crate) mod fuse;

use ragstone::Filter;

use crate::embed::Overflow;
use crate::error::{Error, Result};
use crate::ingest::Chunk;
use crate::prompt::{check_range, check_text};

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
        }
    }

    /// Refuses what no collection could answer.
    pub(crate) fn validate(&self) -> Result<()> {
        check_text("question", &self.question)?;
        check_range("k", self.k, "K_MAX", ragstone::limits::K_MAX)
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
    /// The white space between the document's previous chunk and this one, if it is known and they do not overlap.
    pub(crate) gap: Option<String>,
}

/// What a question is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Retrieved {
    /// Best first.
    pub chunks: Vec<RetrievedChunk>,
    /// Whether the question was cut, as it has more tokens than the model reads.
    pub truncated: bool,
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
