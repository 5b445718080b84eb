//! Passages by how well they answer a query.
//!
//! An embedder reads query and passage apart, which is what makes a search fast; a re-ranker reads both together, which is
//! slower by the number of passages and tells better which of the few that a search found are to the point. One trait,
//! [`Reranker`], and [`LocalReranker`], which runs any sequence-classification directory of the BERT family in this process.
//! [`Models::reranker`](crate::embed::Models::reranker) finds, fetches and loads one by name.

mod classifier;
mod local;

use serde::{Deserialize, Serialize};

use crate::embed::Overflow;
use crate::error::Result;
pub use local::LocalReranker;
pub(crate) use local::describe;

/// What a re-ranker makes of the number that its network gives for a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreScale {
    /// Nothing: a logit, from minus to plus infinity, above 0 where relevant is likelier than not.
    Logit,
    /// `1 / (1 + e^-logit)`: from 0 to 1.
    Probability,
}

/// What there is to know of a re-ranker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RerankerInfo {
    /// How the model is asked for: `cross-encoder/ms-marco-MiniLM-L6-v2`, a directory.
    pub name: String,
    /// SHA-256 of the weights, in hex; none for a re-ranker of the user's own without such.
    pub sha256: Option<String>,
    /// Tokens of a query and a passage that the model reads together, special tokens included.
    pub max_tokens: usize,
    /// What scores are.
    pub scale: ScoreScale,
}

/// Scores of some passages, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// One score a passage, finite; higher is more relevant. Those of different re-rankers cannot be compared.
    pub scores: Vec<f32>,
    /// Tokens read of each pair, special tokens included.
    pub token_counts: Vec<usize>,
    /// Whether the passage was cut.
    pub truncated: Vec<bool>,
}

/// Tells how well passages answer a query. Implementations are called from many threads.
pub trait Reranker: Send + Sync {
    /// What there is to know of it.
    fn info(&self) -> &RerankerInfo;

    /// One score a passage, in order; `passages` may be empty and may hold empty texts. The score of a passage does not depend on those
    /// beside it. Only passages are ever cut, never the query.
    ///
    /// # Errors
    /// [`Error::TokenLimit`](crate::Error::TokenLimit) naming `query`, if it leaves no room for a passage, or, under
    /// [`Overflow::Error`], `passages[i]`; [`Error::Limit`](crate::Error::Limit) beyond the bytes of one text.
    fn score_within(&self, query: &str, passages: &[&str], overflow: Overflow) -> Result<Scores>;

    /// One score a passage, in order, of as much of each as the model reads.
    ///
    /// # Errors
    /// As [`score_within`](Reranker::score_within), but for passages with too many tokens.
    fn score(&self, query: &str, passages: &[&str]) -> Result<Vec<f32>> {
        Ok(self.score_within(query, passages, Overflow::Truncate)?.scores)
    }
}
