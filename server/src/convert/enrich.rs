//! Enrichment.

use ragstone_proto::v1;
use ragstone_rag::prompt::{
    ChatMessage, ChatRole, Citation, CitedChunk, DataMarking, EnrichRequest, Enriched, TemplateChoice,
    TemplateName, TokenReport,
};
use ragstone_rag::retrieve::Expansion;
use tonic::Status;

use super::filter::filter_in;
use super::retrieve::{dropped, mode_in, reranking, stage_scores};
use super::{count, timings_out, unknown_enum};
use crate::limits::{CHAT_MESSAGES_MAX, check_count};
use crate::status;

pub(crate) fn enrich_request(wire: v1::EnrichRequest) -> Result<(String, EnrichRequest), Status> {
    let mut request = EnrichRequest::chat(conversation(wire.question, wire.messages)?);
    request.filter = filter_in(wire.filter)?;
    request.mode = mode_in(wire.mode)?;
    request.template = template_choice(wire.template, wire.template_source)?;
    request.data_marking = data_marking(wire.data_marking)?;
    request.k = wire.k.map_or(request.k, |k| k as usize);
    request.token_budget = wire.token_budget.map_or(request.token_budget, |tokens| tokens as usize);
    request.rerank = wire.rerank.map(reranking);
    request.tokens_of = wire.tokens_of;
    request.min_score = wire.min_score;
    request.mmr = wire.mmr;
    request.per_document = wire.per_document.map(|chunks| chunks as usize);
    request.expand = wire.expand.map(expansion).unwrap_or_default();
    Ok((wire.collection, request))
}

/// A question alone is a conversation of one message.
pub(super) fn conversation(
    question: String,
    messages: Vec<v1::ChatMessage>,
) -> Result<Vec<ChatMessage>, Status> {
    if messages.is_empty() {
        return Ok(vec![ChatMessage::user(question)]);
    }
    if !question.is_empty() {
        return Err(status::invalid(
            "question",
            "give a question or messages, whose last one is the question",
        ));
    }
    check_count("messages", messages.len(), ("CHAT_MESSAGES_MAX", CHAT_MESSAGES_MAX))?;
    let message = |(at, message): (usize, v1::ChatMessage)| {
        let role = role_in(&format!("messages[{at}].role"), message.role)?;
        Ok(ChatMessage { role, content: message.content })
    };
    messages.into_iter().enumerate().map(message).collect()
}

fn role_in(field: &str, wire: i32) -> Result<ChatRole, Status> {
    match v1::ChatRole::try_from(wire) {
        Ok(v1::ChatRole::System) => Ok(ChatRole::System),
        Ok(v1::ChatRole::User) => Ok(ChatRole::User),
        Ok(v1::ChatRole::Assistant) => Ok(ChatRole::Assistant),
        Ok(v1::ChatRole::Unspecified) => Err(status::invalid(field, "it must be set")),
        Err(_) => Err(unknown_enum(field, wire)),
    }
}

fn expansion(wire: v1::Expansion) -> Expansion {
    let v1::Expansion { before, after, section, parents } = wire;
    Expansion { before: before as usize, after: after as usize, section, parents: parents as usize }
}

/// Which template a request names or brings.
pub(super) fn template_choice(
    name: Option<String>,
    source: Option<String>,
) -> Result<TemplateChoice, Status> {
    match (name, source) {
        (Some(_), Some(_)) => {
            Err(status::invalid("template_source", "give a registered template or a source, not both"))
        }
        (Some(name), None) => template_name(&name).map(TemplateChoice::Registered),
        (None, Some(source)) => Ok(TemplateChoice::Source(source)),
        (None, None) => Ok(TemplateChoice::BuiltIn),
    }
}

pub(crate) fn template_name(text: &str) -> Result<TemplateName, Status> {
    text.parse().map_err(|error| match error {
        ragstone_rag::Error::Invalid { reason, .. } => status::invalid("template", &reason),
        other => status::rag(other),
    })
}

pub(super) fn data_marking(wire: i32) -> Result<DataMarking, Status> {
    match v1::DataMarking::try_from(wire) {
        Ok(v1::DataMarking::Unspecified) => Ok(DataMarking::default()),
        Ok(v1::DataMarking::Off) => Ok(DataMarking::Off),
        Ok(v1::DataMarking::Lines) => Ok(DataMarking::Lines),
        Ok(v1::DataMarking::Words) => Ok(DataMarking::Words),
        Err(_) => Err(unknown_enum("data_marking", wire)),
    }
}

pub(crate) fn enriched(enriched: Enriched) -> v1::EnrichResponse {
    v1::EnrichResponse {
        messages: enriched.messages.into_iter().map(message).collect(),
        query: enriched.query,
        citations: enriched.citations.into_iter().map(citation).collect(),
        dropped: enriched.dropped.into_iter().map(dropped).collect(),
        tokens: Some(token_report(enriched.tokens)),
        timings: timings_out(enriched.timings_ms),
        template: enriched.template,
        rerank_truncated: count(enriched.rerank_truncated),
    }
}

pub(super) fn message(message: ChatMessage) -> v1::ChatMessage {
    let role = match message.role {
        ChatRole::System => v1::ChatRole::System,
        ChatRole::User => v1::ChatRole::User,
        ChatRole::Assistant => v1::ChatRole::Assistant,
    };
    v1::ChatMessage { role: role.into(), content: message.content }
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
        chunks: citation.chunks.into_iter().map(cited).collect(),
    }
}

fn cited(chunk: CitedChunk) -> v1::CitedChunk {
    v1::CitedChunk {
        ordinal: count(chunk.ordinal),
        start: chunk.start as u64,
        end: chunk.end as u64,
        score: chunk.score,
        scores: Some(stage_scores(chunk.scores)),
        beside: chunk.beside.map(count),
    }
}

fn token_report(tokens: TokenReport) -> v1::TokenReport {
    v1::TokenReport {
        instructions: count(tokens.instructions),
        context: count(tokens.context),
        history: count(tokens.history),
        question: count(tokens.question),
        total: count(tokens.total),
        budget: count(tokens.budget),
        history_messages_dropped: count(tokens.history_messages_dropped),
        counted_with: tokens.counted_with,
    }
}
