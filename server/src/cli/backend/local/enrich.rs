//! Enriched prompts of the library, as they are printed.

use ragstone_rag::prompt::{ChatMessage, Citation, CitedChunk, Enriched, RegisteredTemplate, TokenReport};
use ragstone_rag::retrieve::{DroppedChunk, Retrieved, RetrievedChunk, StageScores};

use crate::cli::backend::enriched::{
    CitationView, CitedChunkView, DroppedView, EnrichedView, MessageView, RetrievedChunkView, RetrievedView,
    ScoresView, TemplateView, TokensView,
};

pub(super) fn retrieved(found: Retrieved) -> RetrievedView {
    let chunk = |found: RetrievedChunk| RetrievedChunkView {
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
        timings_ms: found.timings_ms.into_iter().collect(),
    }
}

pub(super) fn enriched(enriched: Enriched) -> EnrichedView {
    EnrichedView {
        prompt: enriched.prompt(),
        messages: enriched.messages.into_iter().map(message).collect(),
        query: enriched.query,
        citations: enriched.citations.into_iter().map(citation).collect(),
        dropped: enriched.dropped.into_iter().map(dropped).collect(),
        tokens: tokens(enriched.tokens),
        template: enriched.template,
        rerank_truncated: enriched.rerank_truncated as u64,
        timings_ms: enriched.timings_ms.into_iter().collect(),
    }
}

pub(super) fn message(message: ChatMessage) -> MessageView {
    MessageView { role: message.role.as_str(), content: message.content }
}

fn citation(citation: Citation) -> CitationView {
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

fn cited(chunk: CitedChunk) -> CitedChunkView {
    CitedChunkView {
        ordinal: chunk.ordinal as u64,
        start: chunk.start as u64,
        end: chunk.end as u64,
        score: chunk.score,
        scores: scores(chunk.scores),
        beside: chunk.beside.map(|ordinal| ordinal as u64),
    }
}

fn scores(scores: StageScores) -> ScoresView {
    let StageScores { nearness, words, hybrid, rerank, mmr } = scores;
    ScoresView { nearness, words, hybrid, rerank, mmr }
}

fn dropped(dropped: DroppedChunk) -> DroppedView {
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

fn tokens(tokens: TokenReport) -> TokensView {
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

pub(super) fn template(template: RegisteredTemplate) -> TemplateView {
    let RegisteredTemplate { name, version, registered_at, source } = template;
    TemplateView { name, version, registered_at, source }
}
