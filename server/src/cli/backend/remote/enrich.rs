//! Enriched prompts: what is asked of a server, and what it answers, as it is printed.

use ragstone_client as client;
use ragstone_rag::prompt::{
    ChatMessage, ChatRole, DataMarking, EnrichRequest, SamplePassage, TemplateChoice,
};
use ragstone_rag::retrieve::{Expansion, RetrieveRequest};

use super::views::timings;
use super::{types, wire_size};
use crate::cli::backend::enriched::{
    CitationView, CitedChunkView, DroppedView, EnrichedView, MessageView, RetrievedChunkView, RetrievedView,
    ScoresView, TemplateView, TokensView,
};

pub(super) fn request(collection: &str, request: &EnrichRequest) -> client::Enrich {
    let wire = match request.messages.as_slice() {
        [question] if question.role == ChatRole::User => client::Enrich::new(collection, &question.content),
        messages => client::Enrich::chat(collection, messages.iter().map(said)),
    };
    let mut wire = wire
        .k(wire_size(request.k))
        .token_budget(wire_size(request.token_budget))
        .mode(types::mode(request.mode))
        .data_marking(marking(request.data_marking));
    if let Some(conditions) = &request.filter {
        wire = wire.filter(types::filter(conditions));
    }
    if let Some(rerank) = &request.rerank {
        wire = wire.rerank(rerank.model.as_str(), wire_size(rerank.candidates));
    }
    if let Some(min_score) = request.min_score {
        wire = wire.min_score(min_score);
    }
    if let Some(lambda) = request.mmr {
        wire = wire.mmr(lambda);
    }
    if let Some(chunks) = request.per_document {
        wire = wire.per_document(wire_size(chunks));
    }
    if let Some(model) = &request.tokens_of {
        wire = wire.tokens_of(model.as_str());
    }
    let Expansion { before, after, section, parents } = request.expand;
    if before + after > 0 {
        wire = wire.neighbours(wire_size(before), wire_size(after));
    }
    if section {
        wire = wire.section();
    }
    if parents > 0 {
        wire = wire.parents(wire_size(parents));
    }
    match &request.template {
        TemplateChoice::BuiltIn => wire,
        TemplateChoice::Source(source) => wire.template_source(source.as_str()),
        TemplateChoice::Registered(name) => wire.template(name.to_string()),
    }
}

fn said(message: &ChatMessage) -> client::ChatMessage {
    let role = match message.role {
        ChatRole::System => client::ChatRole::System,
        ChatRole::User => client::ChatRole::User,
        ChatRole::Assistant => client::ChatRole::Assistant,
    };
    client::ChatMessage::new(role, message.content.as_str())
}

fn marking(marking: DataMarking) -> client::DataMarking {
    match marking {
        DataMarking::Off => client::DataMarking::Off,
        DataMarking::Lines => client::DataMarking::Lines,
        DataMarking::Words => client::DataMarking::Words,
    }
}

pub(super) fn preview(
    template: &TemplateChoice,
    messages: &[ChatMessage],
    passages: &[SamplePassage],
    data_marking: DataMarking,
) -> client::PreviewTemplate {
    let wire = client::PreviewTemplate::chat(messages.iter().map(said)).data_marking(marking(data_marking));
    let wire = match template {
        TemplateChoice::BuiltIn => wire,
        TemplateChoice::Source(source) => wire.template_source(source.as_str()),
        TemplateChoice::Registered(name) => wire.template(name.to_string()),
    };
    let add = |wire: client::PreviewTemplate, passage: &SamplePassage| {
        wire.passage(passage.document.as_str(), passage.heading.as_str(), passage.text.as_str())
    };
    passages.iter().fold(wire, add)
}

pub(super) fn template(template: client::Template) -> TemplateView {
    let client::Template { name, version, registered_at, source } = template;
    TemplateView { name, version, registered_at, source }
}

pub(super) fn retrieval(collection: &str, request: &RetrieveRequest) -> client::Retrieve {
    let mut wire = client::Retrieve::new(collection, request.question.as_str())
        .k(wire_size(request.k))
        .mode(types::mode(request.mode));
    if let Some(conditions) = &request.filter {
        wire = wire.filter(types::filter(conditions));
    }
    if let Some(rerank) = &request.rerank {
        wire = wire.rerank(rerank.model.as_str(), wire_size(rerank.candidates));
    }
    if let Some(min_score) = request.min_score {
        wire = wire.min_score(min_score);
    }
    if request.distinct {
        wire = wire.distinct();
    }
    if let Some(lambda) = request.mmr {
        wire = wire.mmr(lambda);
    }
    match request.per_document {
        Some(chunks) => wire.per_document(wire_size(chunks)),
        None => wire,
    }
}

pub(super) fn retrieved(found: client::Retrieved) -> RetrievedView {
    let chunk = |found: client::RetrievedChunk| RetrievedChunkView {
        document: found.chunk.document,
        ordinal: found.chunk.ordinal as u64,
        heading: found.chunk.heading,
        start: found.chunk.start as u64,
        end: found.chunk.end as u64,
        score: found.score,
        scores: scores(found.scores),
        text: found.chunk.text,
    };
    RetrievedView {
        chunks: found.chunks.into_iter().map(chunk).collect(),
        dropped: found.dropped.into_iter().map(dropped).collect(),
        rerank_truncated: found.rerank_truncated as u64,
        timings_ms: timings(found.timings),
    }
}

pub(super) fn enriched(enriched: client::Enriched) -> EnrichedView {
    EnrichedView {
        prompt: enriched.prompt(),
        messages: enriched.messages.into_iter().map(message).collect(),
        query: enriched.query,
        citations: enriched.citations.into_iter().map(citation).collect(),
        dropped: enriched.dropped.into_iter().map(dropped).collect(),
        tokens: tokens(enriched.tokens),
        template: enriched.template,
        rerank_truncated: enriched.rerank_truncated as u64,
        timings_ms: timings(enriched.timings),
    }
}

pub(super) fn message(message: client::ChatMessage) -> MessageView {
    MessageView { role: message.role.as_str(), content: message.content }
}

fn citation(citation: client::Citation) -> CitationView {
    CitationView {
        index: citation.index as u64,
        document: citation.document,
        heading: citation.heading,
        start: citation.start as u64,
        end: citation.end as u64,
        score: citation.score,
        text: citation.text,
        chunks: citation.chunks.into_iter().map(cited).collect(),
    }
}

fn cited(chunk: client::CitedChunk) -> CitedChunkView {
    CitedChunkView {
        ordinal: chunk.ordinal as u64,
        start: chunk.start as u64,
        end: chunk.end as u64,
        score: chunk.score,
        scores: scores(chunk.scores),
        beside: chunk.beside.map(|ordinal| ordinal as u64),
    }
}

fn scores(scores: client::StageScores) -> ScoresView {
    let client::StageScores { nearness, words, hybrid, rerank, mmr, .. } = scores;
    ScoresView { nearness, words, hybrid, rerank, mmr }
}

fn dropped(dropped: client::DroppedChunk) -> DroppedView {
    DroppedView {
        document: dropped.document,
        ordinal: dropped.ordinal as u64,
        start: dropped.start as u64,
        end: dropped.end as u64,
        score: dropped.score,
        beside: dropped.beside.map(|ordinal| ordinal as u64),
        tokens: dropped.tokens as u64,
        reason: dropped.reason.as_str(),
    }
}

fn tokens(tokens: client::TokenReport) -> TokensView {
    TokensView {
        instructions: tokens.instructions as u64,
        context: tokens.context as u64,
        history: tokens.history as u64,
        question: tokens.question as u64,
        total: tokens.total as u64,
        budget: tokens.budget as u64,
        history_messages_dropped: tokens.history_messages_dropped as u64,
        counted_with: tokens.counted_with,
    }
}
