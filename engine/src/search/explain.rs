//! What a search did, told to whoever asked.
//!
//! A report is filled while the search goes its way: where nobody asked there is none to fill, and no clock is read.
//! Numbers are of what was really done, not of what was planned: a walk that a scan had to follow shows as both.

use std::time::Instant;

use super::SearchStats;
use super::plan::{ScanBy, Way};
use crate::interrupt::Watch;
use crate::segment::{Segment, SegmentView};

/// How an answer came about: [`SearchRequest::explain`](crate::SearchRequest::explain),
/// [`RangeRequest::explain`](crate::RangeRequest::explain), [`Query::explain`](crate::query::Query::explain).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explain {
    /// Whether the answer is exact: no stage took a way that may miss rows, and none was interrupted.
    pub exact: bool,
    /// All of it, in microseconds: stages, and reading the hits.
    pub micros: u64,
    /// What was done, each stage before those that read its rows.
    pub stages: Vec<Stage>,
}

/// One stage: a source of a query, or what is done with its rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stage {
    /// Which, as errors name it: `source.fuse.sources[0].nearest`; `search` for a plain search, `range` for one of a range.
    pub path: String,
    /// How often it ran: more than once where its first rows did not do for the stages after it.
    pub runs: u64,
    /// Candidates that it was asked for at last.
    pub wanted: u64,
    /// Rows that it gave at last.
    pub rows: u64,
    /// Whether these are the right ones, as far as the rows that it was given are.
    pub exact: bool,
    /// All runs, in microseconds, with the stages that they read.
    pub micros: u64,
    /// Postings read, of a search by word or by a sparse vector: entries of the lists of rows that have a term or a component.
    pub postings: u64,
    /// What was done in each segment, where the stage looks into segments: an entry for each run and part.
    pub segments: Vec<SegmentReport>,
}

/// What was done in one segment. A growing segment has two parts, where there are rows that are not linked yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SegmentReport {
    /// Its place among the segments of the view, oldest first.
    pub segment: u64,
    /// Whether it is a file; else it is in memory and grows.
    pub sealed: bool,
    /// Rows, dead ones included.
    pub rows: u64,
    /// Live rows that the stage may return: those that pass the filter and have the vector that it looks at; where lists of an inverted index
    /// are read, or values put in order, all that pass. Not counted where all rows were left out without a look, nor where the search was
    /// interrupted before: 0 of what is not [`exact`](Self::exact) says that, and not that none matches.
    pub matching: u64,
    /// The ways taken, in order; a second one follows where the first gave fewer rows than there are, and in a range a wider walk where
    /// one was not wide enough.
    pub plans: Vec<SegmentPlan>,
    /// Vectors or codes compared.
    pub distances: u64,
    /// Rows that it gave.
    pub found: u64,
    /// Whether none that should be among them can be missing. It is where none matches, unless the search was interrupted.
    pub exact: bool,
    /// In microseconds.
    pub micros: u64,
}

impl SegmentReport {
    /// Of a segment in which nothing was done yet.
    pub(crate) fn of(index: usize, segment: &SegmentView) -> Self {
        Self {
            segment: index as u64,
            sealed: matches!(segment.segment, Segment::Sealed(_)),
            rows: u64::from(segment.rows - segment.from),
            ..Self::default()
        }
    }
}

/// A way through a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SegmentPlan {
    /// No row can be found here.
    Skip,
    /// The graph, through all rows.
    Walk,
    /// The graph, through the rows that pass the filter.
    FilteredWalk,
    /// Every matching row, by its vector.
    ScanRows,
    /// Every matching row, by its code; rows in doubt by their vectors.
    ScanCodes,
    /// Every matching row, by its sketch; what that leaves by codes, and rows in doubt by their vectors.
    ScanSketches,
    /// The lists of rows of an inverted index, as far as they can change the answer.
    Postings,
    /// The order of a field's values, which is kept.
    Sorted,
    /// The values of every matching row, put in order.
    Sort,
}

impl SegmentPlan {
    /// Every plan.
    pub const ALL: [SegmentPlan; 9] = [
        SegmentPlan::Skip,
        SegmentPlan::Walk,
        SegmentPlan::FilteredWalk,
        SegmentPlan::ScanRows,
        SegmentPlan::ScanCodes,
        SegmentPlan::ScanSketches,
        SegmentPlan::Postings,
        SegmentPlan::Sorted,
        SegmentPlan::Sort,
    ];
}

/// The name that the wire has for it, too, in small letters.
impl std::fmt::Display for SegmentPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            SegmentPlan::Skip => "skip",
            SegmentPlan::Walk => "walk",
            SegmentPlan::FilteredWalk => "filtered walk",
            SegmentPlan::ScanRows => "scan rows",
            SegmentPlan::ScanCodes => "scan codes",
            SegmentPlan::ScanSketches => "scan sketches",
            SegmentPlan::Postings => "postings",
            SegmentPlan::Sorted => "sorted",
            SegmentPlan::Sort => "sort",
        })
    }
}

impl From<ScanBy> for SegmentPlan {
    fn from(by: ScanBy) -> Self {
        match by {
            ScanBy::Rows => SegmentPlan::ScanRows,
            ScanBy::Codes => SegmentPlan::ScanCodes,
            ScanBy::Sketches => SegmentPlan::ScanSketches,
        }
    }
}

impl From<Way> for SegmentPlan {
    fn from(way: Way) -> Self {
        if way.among_admitted { SegmentPlan::FilteredWalk } else { SegmentPlan::Walk }
    }
}

/// Microseconds since a moment.
pub(crate) fn micros_since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// The reports of one stage, if somebody wants them.
#[derive(Debug, Default)]
pub(crate) struct Reports(Option<Vec<SegmentReport>>, u64);

/// The report of a segment that is being looked at, if somebody wants it.
pub(crate) struct Begun(Option<(SegmentReport, Instant, SearchStats)>);

impl Reports {
    /// Reports for who wants them.
    pub(crate) fn wanted(is_wanted: bool) -> Self {
        Self(is_wanted.then(Vec::new), 0)
    }

    /// A look at a segment begins; `stats` are those of the segments before.
    pub(crate) fn begin(&self, index: usize, segment: &SegmentView, stats: &mut SearchStats) -> Begun {
        if self.0.is_none() {
            return Begun(None);
        }
        let before = *stats;
        // Of this segment alone, until it ends.
        stats.exact = true;
        Begun(Some((SegmentReport::of(index, segment), Instant::now(), before)))
    }

    /// It ends, having given so many rows.
    pub(crate) fn end(&mut self, begun: Begun, found: usize, stats: &mut SearchStats, watch: &Watch) {
        if let (Begun(Some((mut report, began, before))), Some(reports)) = (begun, &mut self.0) {
            report.distances = stats.distances - before.distances;
            report.exact = stats.exact && watch.interrupted().is_none();
            report.found = found as u64;
            report.micros = micros_since(began);
            stats.exact &= before.exact;
            reports.push(report);
        }
    }

    /// A segment that was looked at together with others.
    pub(crate) fn push(&mut self, report: impl FnOnce() -> SegmentReport) {
        if let Some(reports) = &mut self.0 {
            reports.push(report());
        }
    }

    /// So many postings were read.
    pub(crate) fn read(&mut self, postings: u64) {
        self.1 += postings;
    }

    /// How many were.
    pub(crate) fn postings(&self) -> u64 {
        self.1
    }

    /// What was reported.
    pub(crate) fn finish(self) -> Option<Vec<SegmentReport>> {
        self.0
    }
}

impl Begun {
    /// The matching rows are counted, for the report alone: the time that it takes is not the segment's. They are not, and stay 0, if the
    /// search was interrupted: what ended is not begun anew to be told of.
    pub(crate) fn counts(&mut self, count: impl FnOnce() -> usize) {
        if let Some((report, began, _)) = &mut self.0 {
            let paused = Instant::now();
            report.matching = count() as u64;
            *began += paused.elapsed();
        }
    }

    /// A way is taken through so many matching rows.
    pub(crate) fn takes(&mut self, plan: impl Into<SegmentPlan>, matching: usize) {
        if let Some((report, ..)) = &mut self.0 {
            report.plans.push(plan.into());
            report.matching = matching as u64;
        }
    }
}
