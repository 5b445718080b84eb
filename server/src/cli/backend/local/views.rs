//! What the engine answers, as it is printed.

use ragstone::query::{Explain, SegmentReport};
use ragstone::{ElementType, EncodingKind, VectorKind, WriteReceipt};
use ragstone_rag::ingest::Document;
use ragstone_rag::rerank::Scores;

use crate::cli::backend::{
    ExplainView, RerankedPassageView, RerankedView, SegmentView, StageView, StoredDocument, WriteView,
};

pub(super) fn stored(document: Document) -> StoredDocument {
    StoredDocument { id: document.id, source: document.source }
}

pub(super) fn written(receipt: WriteReceipt) -> WriteView {
    WriteView {
        seq: receipt.seq,
        points: (receipt.upserted + receipt.updated + receipt.deleted) as u64,
        missing: receipt.missing as u64,
        repeated: receipt.repeated,
    }
}

/// As the client of a server says it.
pub(super) fn vector_kind(kind: &VectorKind) -> String {
    let encoding = |encoding: EncodingKind| format!("{encoding:?}").to_lowercase();
    let element = |element: ElementType| format!("{element:?}").to_lowercase();
    match kind {
        VectorKind::Dense(dense) => format!(
            "dense, {} dimensions, {}, stored as {}, walked as {}",
            dense.dimension,
            dense.metric,
            element(dense.element),
            encoding(dense.encoding)
        ),
        VectorKind::Multi(multi) => {
            let (dimension, metric) = (multi.dimension, multi.metric);
            format!("multi, {dimension} dimensions, {metric}, stored as {}", element(multi.element))
        }
        _ => "sparse".to_owned(),
    }
}

pub(super) fn explain(explain: Explain) -> ExplainView {
    let segment = |report: SegmentReport| SegmentView {
        segment: report.segment,
        sealed: report.sealed,
        rows: report.rows,
        matching: report.matching,
        plans: report.plans.iter().map(ToString::to_string).collect(),
        distances: report.distances,
        found: report.found,
        exact: report.exact,
        micros: report.micros,
    };
    let stages = explain.stages.into_iter().map(|stage| StageView {
        path: stage.path,
        runs: stage.runs,
        wanted: stage.wanted,
        rows: stage.rows,
        exact: stage.exact,
        micros: stage.micros,
        postings: stage.postings,
        segments: stage.segments.into_iter().map(segment).collect(),
    });
    ExplainView { exact: explain.exact, micros: explain.micros, stages: stages.collect() }
}

/// Scores as passages, the best first; of equal ones that which came first.
pub(super) fn reranked(model: String, scores: Scores) -> RerankedView {
    let read = scores.token_counts.into_iter().zip(scores.truncated);
    let passage = |(index, (score, (tokens, truncated)))| RerankedPassageView {
        index,
        score,
        tokens: tokens as u64,
        truncated,
    };
    let mut passages: Vec<_> = scores.scores.into_iter().zip(read).enumerate().map(passage).collect();
    passages.sort_by(|one, other| other.score.total_cmp(&one.score));
    RerankedView { model, passages }
}
