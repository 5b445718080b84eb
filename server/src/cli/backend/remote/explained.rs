//! How an answer came about, as the client tells it.

use ragstone_client as client;

use crate::cli::backend::{ExplainView, SegmentView, StageView};

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
