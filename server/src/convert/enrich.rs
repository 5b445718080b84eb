//! Enrichment.

use ragstone_proto::v1;
use ragstone_rag::prompt::{Citation, DropReason, Dropped, EnrichRequest, Enriched};
use tonic::Status;

use super::filter::filter_in;
use super::retrieve::mode_in;
use super::{count, timings_out};

pub(crate) fn enrich_request(wire: v1::EnrichRequest) -> Result<(String, EnrichRequest), Status> {
    let mut request = EnrichRequest::new(wire.question);
    request.filter = filter_in(wire.filter)?;
    request.mode = mode_in(wire.mode)?;
    request.template = wire.template;
    request.k = wire.k.map_or(request.k, |k| k as usize);
    request.token_budget = wire.token_budget.map_or(request.token_budget, |tokens| tokens as usize);
    Ok((wire.collection, request))
}

pub(crate) fn enriched(enriched: Enriched) -> v1::EnrichResponse {
    v1::EnrichResponse {
        prompt: enriched.prompt,
        citations: enriched.citations.into_iter().map(citation).collect(),
        dropped: enriched.dropped.into_iter().map(dropped).collect(),
        prompt_tokens: count(enriched.prompt_tokens),
        timings: timings_out(enriched.timings_ms),
    }
}

fn citation(citation: Citation) -> v1::Citation {
    v1::Citation {
        index: count(citation.index),
        document: citation.document,
        heading: citation.heading,
        start: citation.start as u64,
        end: citation.end as u64,
        score: citation.score,
        text: citation.text,
    }
}

fn dropped(dropped: Dropped) -> v1::DroppedChunk {
    let reason = match dropped.reason {
        DropReason::Budget => v1::DropReason::Budget,
        DropReason::Duplicate => v1::DropReason::Duplicate,
    };
    v1::DroppedChunk {
        document: dropped.document,
        start: dropped.start as u64,
        end: dropped.end as u64,
        score: dropped.score,
        tokens: count(dropped.tokens),
        reason: reason.into(),
    }
}
