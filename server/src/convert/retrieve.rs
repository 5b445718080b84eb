//! Retrieval.

use ragstone_proto::v1;
use ragstone_rag::retrieve::{RetrievalMode, RetrieveRequest, Retrieved, RetrievedChunk};
use tonic::Status;

use super::document::chunk;
use super::filter::filter_in;
use super::{timings_out, unknown_enum};

pub(crate) fn retrieve_request(wire: v1::RetrieveRequest) -> Result<(String, RetrieveRequest), Status> {
    let mut request = RetrieveRequest::new(wire.question);
    request.filter = filter_in(wire.filter)?;
    request.k = wire.k.map_or(request.k, |k| k as usize);
    request.mode = mode_in(wire.mode)?;
    Ok((wire.collection, request))
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

/// The chunks one by one, as they count against what a response may hold.
pub(crate) fn retrieved(found: Retrieved) -> (Vec<v1::RetrievedChunk>, Vec<v1::StageTiming>) {
    (found.chunks.into_iter().map(retrieved_chunk).collect(), timings_out(found.timings_ms))
}

fn retrieved_chunk(found: RetrievedChunk) -> v1::RetrievedChunk {
    let RetrievedChunk { score, nearness, words, .. } = found;
    v1::RetrievedChunk { chunk: Some(chunk(found.chunk)), score, nearness, words }
}
