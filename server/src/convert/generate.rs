//! Answers of language models.

use ragstone_proto::v1;
use ragstone_proto::v1::generate_response::Event;
use ragstone_rag::generate::{
    Answer, CheckedCitations, CitationUse, FinishReason, GenerateEvent, GenerateOptions, GenerateRequest,
};
use tonic::Status;

use super::{count, enrich_request, enriched, timings_out};
use crate::status;

pub(crate) fn generate_request(wire: v1::GenerateRequest) -> Result<(String, GenerateRequest), Status> {
    let enrich = wire.enrich.ok_or_else(|| status::invalid("enrich", "it must be set"))?;
    let (collection, enrich) = enrich_request(enrich)?;
    let options = GenerateOptions {
        model: wire.model,
        max_tokens: wire.max_tokens,
        temperature: wire.temperature,
        top_p: wire.top_p,
        stop: wire.stop,
        seed: wire.seed,
        ..GenerateOptions::default()
    };
    Ok((collection, GenerateRequest { enrich, options }))
}

pub(crate) fn generated(event: GenerateEvent) -> v1::GenerateResponse {
    let event = match event {
        GenerateEvent::Evidence(evidence) => Event::Evidence(enriched(evidence)),
        GenerateEvent::Delta(text) => Event::Delta(text),
        GenerateEvent::Done(answer) => Event::Answer(answer_out(answer)),
    };
    v1::GenerateResponse { event: Some(event) }
}

fn answer_out(answer: Answer) -> v1::Answer {
    let finish_reason = match answer.finish_reason {
        FinishReason::Stop => v1::FinishReason::Stop,
        FinishReason::Length => v1::FinishReason::Length,
        FinishReason::ContentFilter => v1::FinishReason::ContentFilter,
        _ => v1::FinishReason::Unspecified,
    };
    v1::Answer {
        text: answer.text,
        model: answer.model,
        finish_reason: finish_reason.into(),
        finish_word: answer.finish_reason.as_str().to_owned(),
        citations: Some(citations(answer.citations)),
        usage: answer.usage.map(|usage| v1::TokenUsage {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
        }),
        timings: timings_out(answer.timings_ms),
        cached: answer.cached,
    }
}

fn citations(checked: CheckedCitations) -> v1::CheckedCitations {
    let counts = |numbers: Vec<usize>| numbers.into_iter().map(count).collect();
    let place = |CitationUse { index, start, end }: CitationUse| v1::CitationUse {
        index: count(index),
        start: start as u64,
        end: end as u64,
    };
    v1::CheckedCitations {
        uses: checked.uses.into_iter().map(place).collect(),
        cited: counts(checked.cited),
        unknown: counts(checked.unknown),
        unused: counts(checked.unused),
    }
}
