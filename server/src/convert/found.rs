//! What queries find, and how.

use ragstone::query::{Explain, Facet, QueryHit, SegmentPlan, SegmentReport, Stage};
use ragstone::{Interrupted, SearchStats, Value};
use ragstone_proto::v1;

use super::count;
use super::point::id_out;
use super::value::{payload_out, value_out};
use super::vector::vectors_out;

pub(crate) fn hit(hit: QueryHit) -> v1::Hit {
    v1::Hit {
        id: Some(id_out(hit.point.id)),
        score: hit.score,
        payload: payload_out(hit.point.payload),
        vector: hit.point.vector.map(|values| v1::Vector { values }),
        vectors: vectors_out(hit.point.vectors),
        expires_at: hit.point.expires_at,
        etag: hit.point.etag,
    }
}

pub(crate) fn hit_group(value: Value, hits: Vec<v1::Hit>) -> v1::HitGroup {
    v1::HitGroup { value: Some(value_out(value)), hits }
}

pub(crate) fn query_stats(stats: SearchStats) -> v1::QueryStats {
    let interrupted = match stats.interrupted {
        None => v1::Interrupted::Unspecified,
        Some(Interrupted::Cancelled) => v1::Interrupted::Cancelled,
        // A cause that has no name yet is of the same kind: less than everything was done.
        Some(_) => v1::Interrupted::OutOfTime,
    };
    v1::QueryStats {
        segments: count(stats.segments),
        distances: stats.distances,
        exact: stats.exact,
        interrupted: interrupted.into(),
    }
}

pub(crate) fn explain(explain: Explain) -> v1::Explain {
    v1::Explain {
        exact: explain.exact,
        micros: explain.micros,
        stages: explain.stages.into_iter().map(stage).collect(),
    }
}

fn stage(stage: Stage) -> v1::Stage {
    v1::Stage {
        path: stage.path,
        runs: u32::try_from(stage.runs).unwrap_or(u32::MAX),
        wanted: stage.wanted,
        rows: stage.rows,
        exact: stage.exact,
        micros: stage.micros,
        postings: stage.postings,
        segments: stage.segments.into_iter().map(segment).collect(),
    }
}

fn segment(report: SegmentReport) -> v1::SegmentReport {
    v1::SegmentReport {
        segment: u32::try_from(report.segment).unwrap_or(u32::MAX),
        sealed: report.sealed,
        rows: report.rows,
        matching: report.matching,
        plans: report.plans.into_iter().map(|plan| segment_plan(plan).into()).collect(),
        distances: report.distances,
        found: report.found,
        exact: report.exact,
        micros: report.micros,
    }
}

fn segment_plan(plan: SegmentPlan) -> v1::SegmentPlan {
    match plan {
        SegmentPlan::Skip => v1::SegmentPlan::Skip,
        SegmentPlan::Walk => v1::SegmentPlan::Walk,
        SegmentPlan::FilteredWalk => v1::SegmentPlan::FilteredWalk,
        SegmentPlan::ScanRows => v1::SegmentPlan::ScanRows,
        SegmentPlan::ScanCodes => v1::SegmentPlan::ScanCodes,
        SegmentPlan::ScanSketches => v1::SegmentPlan::ScanSketches,
        SegmentPlan::Postings => v1::SegmentPlan::Postings,
        SegmentPlan::Sorted => v1::SegmentPlan::Sorted,
        SegmentPlan::Sort => v1::SegmentPlan::Sort,
        _ => v1::SegmentPlan::Unspecified,
    }
}

pub(crate) fn facet(facet: Facet) -> v1::FacetPointsResponse {
    let counts = facet
        .counts
        .into_iter()
        .map(|of| v1::FacetCount { value: Some(value_out(of.value)), count: of.count });
    v1::FacetPointsResponse { counts: counts.collect(), values: facet.values, points: facet.rows }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever explains a query reads the same names in a directory and at a server.
    #[test]
    fn a_plan_has_one_name() {
        for plan in SegmentPlan::ALL {
            let name = plan.to_string().to_uppercase().replace(' ', "_");
            assert_eq!(segment_plan(plan).as_str_name(), format!("SEGMENT_PLAN_{name}"));
        }
    }
}
