//! What a search found, and how.

use std::collections::BTreeMap;

use ragstone_proto::v1;

use crate::error::{Error, Result};
use crate::point::{Payload, PointId, StageTiming, Value, payload_from_wire, timings_from_wire};
use crate::vector::{Vector, vectors_from_wire};

/// A point found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Hit {
    /// Its id.
    pub id: PointId,
    /// By the root of the source: of a vector its metric, cosine or inner product (larger is nearer) or Euclidean distance
    /// (smaller is nearer); of a fusion its sum. None where points are in the order of a field.
    pub score: Option<f32>,
    /// Its fields, as far as they were asked for.
    pub payload: Payload,
    /// Its vector, if that was asked for.
    pub vector: Option<Vec<f32>>,
    /// Its named vectors, as far as they were asked for.
    pub vectors: BTreeMap<String, Vector>,
    /// When it is gone, in microseconds since 1970 (UTC), if ever.
    pub expires_at: Option<i64>,
    /// The number of the write that last changed it: what [`Write::expect_etag`](crate::Write::expect_etag) knows it by.
    pub etag: Option<u64>,
}

impl Hit {
    fn from_wire(wire: v1::Hit) -> Result<Hit> {
        Ok(Hit {
            id: PointId::from_wire(wire.id)?,
            score: wire.score,
            payload: payload_from_wire(wire.payload)?,
            vector: wire.vector.map(|vector| vector.values),
            vectors: vectors_from_wire(wire.vectors)?,
            expires_at: wire.expires_at,
            etag: wire.etag,
        })
    }
}

/// Points of one value.
#[derive(Clone, Debug, PartialEq)]
pub struct HitGroup {
    /// The value that they have in common.
    pub value: Value,
    /// Best first.
    pub hits: Vec<Hit>,
}

/// Why a search ended before it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interrupted {
    /// Its caller left.
    Cancelled,
    /// Its time budget was spent.
    OutOfTime,
}

/// How a search was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryStats {
    /// Segments looked at.
    pub segments: usize,
    /// Vectors compared.
    pub distances: u64,
    /// Whether every matching point was compared, so that the answer is exact.
    pub exact: bool,
    /// Why it ended early, if it did: then better points may be missing.
    pub interrupted: Option<Interrupted>,
}

impl QueryStats {
    fn from_wire(wire: v1::QueryStats) -> QueryStats {
        let interrupted = match wire.interrupted() {
            v1::Interrupted::Unspecified => None,
            v1::Interrupted::Cancelled => Some(Interrupted::Cancelled),
            v1::Interrupted::OutOfTime => Some(Interrupted::OutOfTime),
        };
        QueryStats {
            segments: wire.segments as usize,
            distances: wire.distances,
            exact: wire.exact,
            interrupted,
        }
    }
}

/// How an answer came about.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Explain {
    /// Whether the answer is exact.
    pub exact: bool,
    /// All of it, in microseconds.
    pub micros: u64,
    /// What was done, each stage before those that read its points.
    pub stages: Vec<Stage>,
}

/// One stage: a source, or what is done with its points.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Stage {
    /// Which, as errors name it: `source.fuse.sources[0].nearest`; `range` for a range.
    pub path: String,
    /// How often it ran.
    pub runs: u32,
    /// Candidates that it was asked for at last.
    pub wanted: u64,
    /// Points that it gave at last.
    pub rows: u64,
    /// Whether these are the right ones.
    pub exact: bool,
    /// All runs, in microseconds, with the stages that they read.
    pub micros: u64,
    /// Entries read of the lists of points that a word or a component has.
    pub postings: u64,
    /// What was done in each segment.
    pub segments: Vec<SegmentReport>,
}

/// What was done in one segment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SegmentReport {
    /// Its place among the segments, oldest first.
    pub segment: u32,
    /// Whether it is a file; else it is in memory and grows.
    pub sealed: bool,
    /// Points, dead ones included.
    pub rows: u64,
    /// Live points that the stage may return. 0 of what is not `exact` says that they were not counted before the search was interrupted, and
    /// not that none matches.
    pub matching: u64,
    /// The ways taken, in order: `walk`, `filtered walk`, `scan codes` …
    pub plans: Vec<String>,
    /// Vectors or codes compared.
    pub distances: u64,
    /// Points that it gave.
    pub found: u64,
    /// Whether none that should be among them can be missing.
    pub exact: bool,
    /// In microseconds.
    pub micros: u64,
}

impl Explain {
    pub(crate) fn from_wire(wire: v1::Explain) -> Explain {
        let stages = wire.stages.into_iter().map(|stage| Stage {
            path: stage.path,
            runs: stage.runs,
            wanted: stage.wanted,
            rows: stage.rows,
            exact: stage.exact,
            micros: stage.micros,
            postings: stage.postings,
            segments: stage.segments.into_iter().map(SegmentReport::from_wire).collect(),
        });
        Explain { exact: wire.exact, micros: wire.micros, stages: stages.collect() }
    }
}

impl SegmentReport {
    fn from_wire(wire: v1::SegmentReport) -> SegmentReport {
        let plan = |plan: v1::SegmentPlan| {
            let name = plan.as_str_name();
            name.strip_prefix("SEGMENT_PLAN_").unwrap_or(name).to_lowercase().replace('_', " ")
        };
        SegmentReport {
            plans: wire.plans().map(plan).collect(),
            segment: wire.segment,
            sealed: wire.sealed,
            rows: wire.rows,
            matching: wire.matching,
            distances: wire.distances,
            found: wire.found,
            exact: wire.exact,
            micros: wire.micros,
        }
    }
}

/// The points found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct QueryResult {
    /// Best first; fewer than `k` only if fewer points match. None where groups were asked for.
    pub hits: Vec<Hit>,
    /// In the order of their best points; none where they were not asked for.
    pub groups: Vec<HitGroup>,
    /// How they were found.
    pub stats: QueryStats,
    /// How, in full, if that was asked for.
    pub explain: Option<Explain>,
    /// Milliseconds of each stage on the server.
    pub timings: Vec<StageTiming>,
}

impl QueryResult {
    pub(crate) fn from_wire(wire: v1::QueryResponse) -> Result<QueryResult> {
        let hits = |hits: Vec<v1::Hit>| hits.into_iter().map(Hit::from_wire).collect::<Result<_>>();
        let group = |group: v1::HitGroup| {
            let value = group.value.ok_or_else(|| Error::missing("group.value"))?;
            Ok(HitGroup { value: Value::from_wire(value)?, hits: hits(group.hits)? })
        };
        Ok(QueryResult {
            hits: hits(wire.hits)?,
            groups: wire.groups.into_iter().map(group).collect::<Result<_>>()?,
            stats: QueryStats::from_wire(wire.stats.unwrap_or_default()),
            explain: wire.explain.map(Explain::from_wire),
            timings: timings_from_wire(wire.timings),
        })
    }
}

/// The points of a range.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RangeResult {
    /// Nearest first.
    pub hits: Vec<Hit>,
    /// Whether there are more than the limit, so that the farthest were left out.
    pub truncated: bool,
    /// How they were found.
    pub stats: QueryStats,
    /// How, in full, if that was asked for: one stage, `range`.
    pub explain: Option<Explain>,
    /// Milliseconds of each stage on the server.
    pub timings: Vec<StageTiming>,
}

impl RangeResult {
    pub(crate) fn from_wire(wire: v1::SearchRangeResponse) -> Result<RangeResult> {
        Ok(RangeResult {
            hits: wire.hits.into_iter().map(Hit::from_wire).collect::<Result<_>>()?,
            truncated: wire.truncated,
            stats: QueryStats::from_wire(wire.stats.unwrap_or_default()),
            explain: wire.explain.map(Explain::from_wire),
            timings: timings_from_wire(wire.timings),
        })
    }
}

/// The values of a field.
#[derive(Clone, Debug, PartialEq)]
pub struct Facet {
    /// The most frequent values, each with the number of points that have it; of equally frequent ones the least first.
    pub counts: Vec<(Value, u64)>,
    /// How many different values there are, listed or not.
    pub values: u64,
    /// Points that have the field; of a list also those whose list is empty.
    pub points: u64,
}

impl Facet {
    pub(crate) fn from_wire(wire: v1::FacetPointsResponse) -> Result<Facet> {
        let count = |of: v1::FacetCount| {
            let value = of.value.ok_or_else(|| Error::missing("counts.value"))?;
            Ok((Value::from_wire(value)?, of.count))
        };
        Ok(Facet {
            counts: wire.counts.into_iter().map(count).collect::<Result<_>>()?,
            values: wire.values,
            points: wire.points,
        })
    }
}
