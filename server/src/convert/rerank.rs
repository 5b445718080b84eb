//! Passages by their scores, and counts of tokens.

use ragstone_proto::v1;
use ragstone_rag::embed::Overflow;
use ragstone_rag::rerank::{RerankerInfo, ScoreScale, Scores};
use tonic::Status;

use super::count;
use super::model::overflow;
use crate::limits::{EMBED_TEXTS_MAX, RERANK_PASSAGES_MAX, check_count};
use crate::status;

/// What RerankRequest asks for.
#[derive(Debug)]
pub(crate) struct Rerank {
    pub(crate) model: String,
    pub(crate) query: String,
    pub(crate) passages: Vec<String>,
    /// All, where there are fewer.
    pub(crate) top_k: usize,
    pub(crate) overflow: Overflow,
}

pub(crate) fn rerank(wire: v1::RerankRequest) -> Result<Rerank, Status> {
    check_count("passages", wire.passages.len(), ("RERANK_PASSAGES_MAX", RERANK_PASSAGES_MAX))?;
    if wire.model.is_empty() {
        return Err(status::invalid("model", "name a re-ranker; there is no default"));
    }
    Ok(Rerank {
        overflow: overflow(wire.on_overflow)?,
        top_k: if wire.top_k == 0 { usize::MAX } else { wire.top_k as usize },
        model: wire.model,
        query: wire.query,
        passages: wire.passages,
    })
}

pub(crate) fn rerank_response(scores: Scores, top_k: usize, info: RerankerInfo) -> v1::RerankResponse {
    let scored = scores.scores.into_iter().zip(scores.token_counts.into_iter().zip(scores.truncated));
    let passage = |(index, (score, (tokens, truncated)))| v1::RerankedPassage {
        index: count(index),
        score,
        tokens: count(tokens),
        truncated,
    };
    let mut passages: Vec<v1::RerankedPassage> = scored.enumerate().map(passage).collect();
    // Scores are finite; the sort keeps the order of equal ones.
    passages.sort_by(|one, other| other.score.total_cmp(&one.score));
    passages.truncate(top_k);
    v1::RerankResponse { passages, model: Some(reranker_info(info)) }
}

pub(super) fn reranker_info(info: RerankerInfo) -> v1::RerankerInfo {
    let scale = match info.scale {
        ScoreScale::Logit => v1::ScoreScale::Logit,
        ScoreScale::Probability => v1::ScoreScale::Probability,
    };
    v1::RerankerInfo {
        name: info.name,
        sha256: info.sha256.unwrap_or_default(),
        max_tokens: count(info.max_tokens),
        scale: scale.into(),
    }
}

pub(crate) fn check_texts(texts: &[String]) -> Result<(), Status> {
    check_count("texts", texts.len(), ("EMBED_TEXTS_MAX", EMBED_TEXTS_MAX))
}

pub(crate) fn count_tokens_response(tokens: Vec<usize>, exact: bool) -> v1::CountTokensResponse {
    v1::CountTokensResponse { tokens: tokens.into_iter().map(count).collect(), estimated: !exact }
}
