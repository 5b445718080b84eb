//! What the engine answers, as it is printed.

use anyhow::Result;
use ragstone::query::{Explain, SegmentReport};
use ragstone::{CollectionInfo, ElementType, EncodingKind, VectorKind, WriteReceipt};
use ragstone_rag::rerank::Scores;
use ragstone_rag::{Rag, TextOptions};
use ragstone_server::definition;

use crate::cli::backend::{
    ChunksView, CollectionView, ExplainView, RerankedPassageView, RerankedView, SegmentView, StageView,
    WriteView,
};

pub(super) fn written(receipt: WriteReceipt) -> WriteView {
    WriteView {
        seq: receipt.seq,
        points: (receipt.upserted + receipt.updated + receipt.deleted) as u64,
        missing: receipt.missing as u64,
        repeated: receipt.repeated,
    }
}

/// As the client of a server says it.
fn vector_kind(kind: &VectorKind) -> String {
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

/// A collection and what it holds.
pub(super) fn collection(rag: &Rag, info: CollectionInfo) -> Result<CollectionView> {
    let texts_of = TextOptions::of(&info)?;
    let model = rag.collection_model(&info.name)?;
    Ok(CollectionView {
        chunks: texts_of
            .map(|of| ChunksView { tokens: of.chunks.tokens as u64, overlap: of.chunks.overlap as u64 }),
        analyzer: texts_of.map(|of| of.analyzer.to_string()),
        etag: definition::etag(info.clone(), model.clone()),
        model: model.map(|model| model.name),
        name: info.name,
        points: info.points,
        vectors: info.vectors,
        dimension: info.schema.dimension() as u64,
        metric: info.schema.metric().to_string(),
        vector_options: info
            .schema
            .vectors()
            .iter()
            .map(|(name, kind)| (name.clone(), vector_kind(kind)))
            .collect(),
        texts: info
            .schema
            .texts()
            .iter()
            .map(|(name, analyzer)| (name.clone(), analyzer.to_string()))
            .collect(),
        tenant: info.schema.tenant().map(str::to_owned),
        strict: info.schema.strict(),
        fields: info.schema.fields().iter().map(|(name, kind)| (name.clone(), kind.to_string())).collect(),
    })
}
