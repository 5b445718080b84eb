//! Models and what they embed.

use ragstone_proto::v1;
use ragstone_rag::embed::{Arithmetic, Embeddings, ModelEntry, ModelInfo, Overflow, Pooling, Role};
use tonic::Status;

use super::rerank::reranker_info;
use super::{count, unknown_enum};
use crate::limits::{EMBED_TEXTS_MAX, check_count};

pub(crate) fn embed_options(wire: &v1::EmbedRequest) -> Result<(Role, Overflow), Status> {
    check_count("texts", wire.texts.len(), ("EMBED_TEXTS_MAX", EMBED_TEXTS_MAX))?;
    let role = match v1::TextRole::try_from(wire.role) {
        Ok(v1::TextRole::Query) => Role::Query,
        Ok(v1::TextRole::Passage) => Role::Passage,
        Ok(v1::TextRole::Plain | v1::TextRole::Unspecified) => Role::Plain,
        Err(_) => return Err(unknown_enum("role", wire.role)),
    };
    Ok((role, overflow(wire.on_overflow)?))
}

pub(super) fn overflow(wire: i32) -> Result<Overflow, Status> {
    match v1::OnOverflow::try_from(wire) {
        Ok(v1::OnOverflow::Error | v1::OnOverflow::Unspecified) => Ok(Overflow::Error),
        Ok(v1::OnOverflow::Truncate) => Ok(Overflow::Truncate),
        Err(_) => Err(unknown_enum("on_overflow", wire)),
    }
}

pub(crate) fn embed_response(embeddings: Embeddings, model: ModelInfo) -> v1::EmbedResponse {
    let counts = embeddings.token_counts.into_iter().zip(embeddings.truncated);
    let embedding = |(values, (tokens, truncated))| v1::Embedding {
        vector: Some(v1::Vector { values }),
        tokens: count(tokens),
        truncated,
    };
    v1::EmbedResponse {
        embeddings: embeddings.vectors.into_iter().zip(counts).map(embedding).collect(),
        model: Some(model_info(model)),
    }
}

/// `default` is the server's default model, which need not be the library's.
pub(crate) fn model(entry: ModelEntry, default: &str) -> v1::Model {
    v1::Model {
        default: entry.name == default || entry.info.as_ref().is_some_and(|info| info.name == default),
        loaded: entry.loaded,
        info: entry.info.map(model_info),
        reranker: entry.reranker.map(reranker_info),
        name: entry.name,
    }
}

pub(super) fn model_info(info: ModelInfo) -> v1::ModelInfo {
    let pooling = match info.pooling {
        Pooling::Cls => v1::Pooling::Cls,
        Pooling::Mean => v1::Pooling::Mean,
        Pooling::Max => v1::Pooling::Max,
        Pooling::MeanSqrtLen => v1::Pooling::MeanSqrtLen,
        Pooling::LastToken => v1::Pooling::LastToken,
        Pooling::WeightedMean => v1::Pooling::WeightedMean,
        Pooling::Remote => v1::Pooling::Remote,
    };
    let arithmetic = match info.arithmetic {
        Arithmetic::Float => v1::Arithmetic::Float,
        Arithmetic::Int8 => v1::Arithmetic::Int8,
    };
    v1::ModelInfo {
        name: info.name,
        sha256: info.sha256.unwrap_or_default(),
        dimension: count(info.dimension),
        max_tokens: count(info.max_tokens),
        pooling: pooling.into(),
        normalize: info.normalize,
        query_prefix: info.query_prefix,
        passage_prefix: info.passage_prefix,
        arithmetic: arithmetic.into(),
    }
}
