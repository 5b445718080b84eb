//! Passages by how well they answer a query, and counts of tokens.

use ragstone_proto::v1;

use crate::error::{Error, Result};
use crate::inference::OnOverflow;

/// Passages to bring into the order of how well they answer a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Rerank {
    wire: v1::RerankRequest,
}

impl Rerank {
    /// At most 1,000 passages of at most 1 MiB each, with a model such as `cross-encoder/ms-marco-MiniLM-L6-v2`.
    pub fn new<T: Into<String>>(
        model: impl Into<String>,
        query: impl Into<String>,
        passages: impl IntoIterator<Item = T>,
    ) -> Self {
        let passages = passages.into_iter().map(Into::into).collect();
        let (model, query) = (model.into(), query.into());
        Self { wire: v1::RerankRequest { model, query, passages, ..Default::default() } }
    }

    /// Returns only the best ones; all by default.
    #[must_use]
    pub fn top_k(mut self, top_k: u32) -> Self {
        self.wire.top_k = top_k;
        self
    }

    /// What happens to a passage with more tokens than the model reads beside the query; an error by default.
    #[must_use]
    pub fn on_overflow(mut self, on_overflow: OnOverflow) -> Self {
        self.wire.on_overflow = on_overflow.into_wire().into();
        self
    }

    pub(crate) fn into_wire(self) -> v1::RerankRequest {
        self.wire
    }
}

/// What a re-ranker's scores are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScoreScale {
    /// A logit, above 0 where relevant is likelier than not.
    Logit,
    /// Its sigmoid, from 0 to 1.
    Probability,
}

impl ScoreScale {
    fn from_wire(wire: i32) -> Result<ScoreScale> {
        match v1::ScoreScale::try_from(wire) {
            Ok(v1::ScoreScale::Logit) => Ok(ScoreScale::Logit),
            Ok(v1::ScoreScale::Probability) => Ok(ScoreScale::Probability),
            Ok(v1::ScoreScale::Unspecified) | Err(_) => Err(Error::missing("scale")),
        }
    }
}

/// A re-ranker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RerankerInfo {
    /// How it is asked for.
    pub name: String,
    /// SHA-256 of the weights, in hex, where there are any.
    pub sha256: Option<String>,
    /// Tokens of a query and a passage that it reads together, special tokens included.
    pub max_tokens: usize,
    /// What its scores are.
    pub scale: ScoreScale,
}

impl RerankerInfo {
    pub(crate) fn from_wire(wire: v1::RerankerInfo) -> Result<RerankerInfo> {
        Ok(RerankerInfo {
            scale: ScoreScale::from_wire(wire.scale)?,
            name: wire.name,
            sha256: Some(wire.sha256).filter(|sha256| !sha256.is_empty()),
            max_tokens: wire.max_tokens as usize,
        })
    }
}

/// A passage and its score.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RerankedPassage {
    /// Which of the passages it is, from 0.
    pub index: usize,
    /// How well it answers the query: higher is better. Scores of different models cannot be compared.
    pub score: f32,
    /// Tokens read of query and passage together, special tokens included.
    pub tokens: usize,
    /// Whether the passage was cut.
    pub truncated: bool,
}

/// The passages by their scores.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Reranked {
    /// The best first.
    pub passages: Vec<RerankedPassage>,
    /// What scored them.
    pub model: RerankerInfo,
}

impl Reranked {
    pub(crate) fn from_wire(wire: v1::RerankResponse) -> Result<Reranked> {
        let model = wire.model.ok_or_else(|| Error::missing("model"))?;
        let passage = |passage: v1::RerankedPassage| RerankedPassage {
            index: passage.index as usize,
            score: passage.score,
            tokens: passage.tokens as usize,
            truncated: passage.truncated,
        };
        Ok(Reranked {
            passages: wire.passages.into_iter().map(passage).collect(),
            model: RerankerInfo::from_wire(model)?,
        })
    }
}

/// The tokens of some texts, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenCounts {
    /// One number a text; special tokens and prefixes do not count.
    pub tokens: Vec<usize>,
    /// Whether the numbers are estimates.
    pub estimated: bool,
}

impl TokenCounts {
    pub(crate) fn from_wire(wire: v1::CountTokensResponse) -> TokenCounts {
        let tokens = wire.tokens.into_iter().map(|tokens| tokens as usize).collect();
        TokenCounts { tokens, estimated: wire.estimated }
    }
}
