//! What the client answers, as it is printed.

use ragstone_client as client;

use crate::cli::backend::{
    ChunksView, CollectionView, ExplainView, SegmentView, StageView, Timings, WriteView,
};

pub(super) fn collection(collection: client::Collection) -> CollectionView {
    CollectionView {
        name: collection.name,
        points: collection.points,
        vectors: collection.vectors,
        dimension: collection.dimension as u64,
        metric: collection.metric.to_string(),
        vector_options: collection
            .vector_options
            .into_iter()
            .map(|(name, kind)| (name, kind.to_string()))
            .collect(),
        model: collection.model.map(|model| model.name),
        chunks: collection.chunks.map(|client::ChunkOptions { tokens, overlap }| ChunksView {
            tokens: tokens.into(),
            overlap: overlap.into(),
        }),
        analyzer: collection.analyzer,
        texts: collection.texts,
        tenant: collection.tenant,
        strict: collection.strict,
        fields: collection.fields.into_iter().map(|(name, kind)| (name, kind.to_string())).collect(),
        etag: collection.etag,
    }
}

pub(super) fn written(receipt: client::WriteReceipt) -> WriteView {
    WriteView {
        seq: receipt.seq,
        points: receipt.points as u64,
        missing: receipt.missing as u64,
        repeated: receipt.repeated,
    }
}

pub(super) fn timings(timings: Vec<client::StageTiming>) -> Timings {
    timings.into_iter().map(|timing| (timing.stage, timing.milliseconds)).collect()
}

pub(super) fn explain(explain: client::Explain) -> ExplainView {
    let segment = |report: client::SegmentReport| SegmentView {
        segment: u64::from(report.segment),
        sealed: report.sealed,
        rows: report.rows,
        matching: report.matching,
        plans: report.plans,
        distances: report.distances,
        found: report.found,
        exact: report.exact,
        micros: report.micros,
    };
    let stages = explain.stages.into_iter().map(|stage| StageView {
        path: stage.path,
        runs: u64::from(stage.runs),
        wanted: stage.wanted,
        rows: stage.rows,
        exact: stage.exact,
        micros: stage.micros,
        postings: stage.postings,
        segments: stage.segments.into_iter().map(segment).collect(),
    });
    ExplainView { exact: explain.exact, micros: explain.micros, stages: stages.collect() }
}
