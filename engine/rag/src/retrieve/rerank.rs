//! Chunks ranked anew by a model that reads question and chunk together.
//!
//! A cross-encoder tells better than any fusion of scores which of some passages answer a question, at a cost for each of them that a search
//! does not have. So only the best of what was found are given to it, and come in the order of its scores; what was scored before is kept beside.

use super::{Pooled, RetrievedChunk};
use crate::embed::Overflow;
use crate::error::{Error, Result};
use crate::limits::RERANK_PASSAGES_MAX;
use crate::prompt::{check_max, check_range};
use crate::rerank::Reranker;

/// Chunks that are re-ranked where no number is given.
const CANDIDATES: usize = 50;
/// Chunks that are scored between one look at whether somebody still waits and the next.
const SLICE: usize = 32;

/// Asks for chunks to be ranked by a re-ranker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rerank {
    /// The model: a name, an `org/name` of the hub, a directory, as [`Models::reranker`](crate::embed::Models::reranker) takes it.
    pub model: String,
    /// How many of the chunks that are found are ranked anew, 1 to [`RERANK_PASSAGES_MAX`]; at least as many as are wanted,
    /// and more where [`per_document`](super::RetrieveRequest::per_document) leaves too few of these.
    pub candidates: usize,
}

impl Rerank {
    /// By a model, the first 50.
    pub fn new(model: impl Into<String>) -> Self {
        Self { model: model.into(), candidates: CANDIDATES }
    }

    /// Refuses what makes no sense.
    pub(crate) fn validate(&self, k: usize) -> Result<()> {
        if self.model.trim().is_empty() {
            return Err(Error::Invalid {
                field: "rerank.model".to_owned(),
                reason: "it must not be empty".to_owned(),
            });
        }
        check_range("rerank.candidates", self.candidates, "RERANK_PASSAGES_MAX", RERANK_PASSAGES_MAX)?;
        check_max("k", k, "RERANK_PASSAGES_MAX", RERANK_PASSAGES_MAX)
    }
}

/// Ranks chunks by what a re-ranker says of each with a question; how many of them it had to cut.
pub(crate) fn rerank(
    reranker: &dyn Reranker,
    question: &str,
    pool: &mut [Pooled],
    check_wanted: &dyn Fn() -> Result<()>,
) -> Result<usize> {
    let mut truncated = 0;
    for slice in pool.chunks_mut(SLICE) {
        check_wanted()?;
        let texts: Vec<String> = slice.iter().map(|pooled| passage(&pooled.found)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let scored = reranker.score_within(question, &texts, Overflow::Truncate).map_err(as_question)?;
        truncated += scored.truncated.iter().filter(|is_cut| **is_cut).count();
        for (pooled, score) in slice.iter_mut().zip(scored.scores) {
            pooled.found.score = score;
            pooled.found.scores.rerank = Some(score);
        }
    }
    // Those of equal scores stay in the order in which they were found.
    pool.sort_by(|a, b| b.found.score.total_cmp(&a.found.score));
    Ok(truncated)
}

/// What the re-ranker reads of a chunk: the headings above it, and its text.
fn passage(found: &RetrievedChunk) -> String {
    let chunk = &found.chunk;
    if chunk.heading.is_empty() { chunk.text.clone() } else { format!("{}\n{}", chunk.heading, chunk.text) }
}

/// The re-ranker's query is the request's question.
fn as_question(error: Error) -> Error {
    match error {
        Error::TokenLimit { field, model, tokens, max } if field == "query" => {
            Error::TokenLimit { field: "question".to_owned(), model, tokens, max }
        }
        Error::Limit { field, limit, max, actual } if field == "query" => {
            Error::Limit { field: "question".to_owned(), limit, max, actual }
        }
        other => other,
    }
}
