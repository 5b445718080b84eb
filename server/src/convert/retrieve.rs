//! Retrieval.

use ragstone_proto::v1;
use ragstone_rag::retrieve::{
    DropReason, DroppedChunk, Rerank, RetrievalMode, RetrieveRequest, Retrieved, RetrievedChunk, StageScores,
};
use tonic::Status;

use super::document::chunk;
use super::filter::filter_in;
use super::{count, timings_out, unknown_enum};

pub(crate) fn retrieve_request(wire: v1::RetrieveRequest) -> Result<(String, RetrieveRequest), Status> {
    let mut request = RetrieveRequest::new(wire.question);
    request.filter = filter_in(wire.filter)?;
    request.k = wire.k.map_or(request.k, |k| k as usize);
    request.mode = mode_in(wire.mode)?;
    request.rerank = wire.rerank.map(reranking);
    request.min_score = wire.min_score;
    request.distinct = wire.distinct;
    request.mmr = wire.mmr;
    request.per_document = wire.per_document.map(|chunks| chunks as usize);
    Ok((wire.collection, request))
}

pub(super) fn reranking(wire: v1::Reranking) -> Rerank {
    let rerank = Rerank::new(wire.model);
    let candidates = wire.candidates.map_or(rerank.candidates, |candidates| candidates as usize);
    Rerank { candidates, ..rerank }
}

pub(super) fn mode_in(wire: i32) -> Result<RetrievalMode, Status> {
    match v1::RetrievalMode::try_from(wire) {
        Ok(v1::RetrievalMode::Unspecified) => Ok(RetrievalMode::default()),
        Ok(v1::RetrievalMode::Dense) => Ok(RetrievalMode::Dense),
        Ok(v1::RetrievalMode::Text) => Ok(RetrievalMode::Text),
        Ok(v1::RetrievalMode::Hybrid) => Ok(RetrievalMode::Hybrid),
        Err(_) => Err(unknown_enum("mode", wire)),
    }
}

/// An answer without its chunks, and these one by one, as they count against what a response may hold.
pub(crate) fn retrieved(found: Retrieved) -> (v1::RetrieveResponse, Vec<v1::RetrievedChunk>) {
    let head = v1::RetrieveResponse {
        chunks: Vec::new(),
        timings: timings_out(found.timings_ms),
        dropped: found.dropped.into_iter().map(dropped).collect(),
        rerank_truncated: count(found.rerank_truncated),
    };
    (head, found.chunks.into_iter().map(retrieved_chunk).collect())
}

fn retrieved_chunk(found: RetrievedChunk) -> v1::RetrievedChunk {
    v1::RetrievedChunk {
        chunk: Some(chunk(found.chunk)),
        score: found.score,
        scores: Some(stage_scores(found.scores)),
    }
}

pub(super) fn stage_scores(scores: StageScores) -> v1::StageScores {
    let StageScores { nearness, words, hybrid, rerank, mmr } = scores;
    v1::StageScores { nearness, words, hybrid, mmr, rerank }
}

pub(super) fn dropped(dropped: DroppedChunk) -> v1::DroppedChunk {
    let reason = match dropped.reason {
        DropReason::Budget => v1::DropReason::Budget,
        DropReason::Duplicate => v1::DropReason::Duplicate,
        DropReason::Score => v1::DropReason::Score,
        DropReason::Mmr => v1::DropReason::Mmr,
        DropReason::PerDocument => v1::DropReason::PerDocument,
    };
    v1::DroppedChunk {
        document: dropped.document,
        ordinal: count(dropped.ordinal),
        start: dropped.start as u64,
        end: dropped.end as u64,
        score: dropped.score,
        tokens: count(dropped.tokens),
        reason: reason.into(),
        beside: dropped.beside.map(count),
    }
}
