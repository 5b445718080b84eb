//! A query on its way: the view, the filter, the watch, and what there is to tell of it in the end.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Instant;

use super::node::{Node, Scores};
use crate::collection::ViewState;
use crate::error::Result;
use crate::interrupt::Watch;
use crate::payload::{CompiledFilter, Filter};
use crate::point::PointId;
use crate::search::{Reports, SearchStats, Stage, micros_since};
use crate::vectors::Slot;

/// A row of the view, and the score that a source gave it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ranked {
    pub(super) score: f32,
    pub(super) segment: usize,
    pub(super) slot: Slot,
}

impl Ranked {
    /// Which row it is.
    pub(super) fn key(&self) -> (usize, Slot) {
        (self.segment, self.slot)
    }
}

/// What a source gave.
#[derive(Debug)]
pub(super) struct Found {
    /// Best first.
    pub(super) rows: Vec<Ranked>,
    /// Whether no other row matches.
    pub(super) is_whole: bool,
    /// Whether no better row can be missing.
    pub(super) exact: bool,
}

/// What is told of a query, filled while it runs.
#[derive(Debug, Default)]
pub(super) struct Journal {
    stats: RefCell<SearchStats>,
    stages: Option<RefCell<Vec<Stage>>>,
}

impl Journal {
    pub(super) fn new(explains: bool) -> Self {
        Self { stats: RefCell::default(), stages: explains.then(RefCell::default) }
    }

    /// What was done, and each stage of it, if that is wanted.
    pub(super) fn finish(self) -> (SearchStats, Option<Vec<Stage>>) {
        (self.stats.into_inner(), self.stages.map(RefCell::into_inner))
    }
}

/// See the module's text.
pub(super) struct Run<'a> {
    pub(super) view: &'a ViewState,
    pub(super) filter: Option<Arc<CompiledFilter>>,
    pub(super) watch: &'a Watch,
    journal: &'a Journal,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        view: &'a ViewState,
        filter: Option<&Filter>,
        watch: &'a Watch,
        journal: &'a Journal,
    ) -> Result<Self> {
        let filter = view.compiled(filter)?.map(Arc::new);
        Ok(Self { view, filter, watch, journal })
    }

    /// Over rows that are given, whichever filter they would pass.
    pub(super) fn of_given(view: &'a ViewState, watch: &'a Watch, journal: &'a Journal) -> Self {
        Self { view, filter: None, watch, journal }
    }

    /// The same over those of its rows that pass other filters too.
    pub(super) fn narrowed(&self, filter: Option<&Filter>, more: &[Filter]) -> Result<Self> {
        let filters: Vec<&Filter> = filter.into_iter().chain(more).collect();
        let filter = Some(Arc::new(self.view.compiled_all(&filters)?));
        Ok(Self { filter, ..*self })
    }

    /// Live rows: no source gives more.
    pub(super) fn live(&self) -> usize {
        self.view.segments.iter().map(|segment| segment.live()).sum()
    }

    pub(super) fn id(&self, row: &Ranked) -> PointId {
        self.view.segments[row.segment].id(row.slot.0)
    }

    /// Puts rows in order, those of equal scores in the order of their ids.
    pub(super) fn sort(&self, rows: &mut [Ranked], scores: Scores) {
        let by_score = |a: &Ranked, b: &Ranked| match scores {
            Scores::Absent => Ordering::Equal,
            Scores::Greater => b.score.total_cmp(&a.score),
            Scores::Smaller => a.score.total_cmp(&b.score),
        };
        rows.sort_by(by_score);
        // Ids are read of few rows: most scores differ.
        for tied in rows.chunk_by_mut(|a, b| by_score(a, b).is_eq()) {
            if tied.len() > 1 {
                tied.sort_by_cached_key(|row| self.id(row));
            }
        }
    }

    /// Counts what a source did.
    pub(super) fn count(&self, stats: SearchStats) {
        let mut all = self.journal.stats.borrow_mut();
        all.segments = all.segments.max(stats.segments);
        all.distances += stats.distances;
    }

    /// Counts vectors that were compared one by one.
    pub(super) fn compared(&self, distances: u64) {
        self.journal.stats.borrow_mut().distances += distances;
    }

    /// Reports for a stage, if somebody wants them.
    pub(super) fn reports(&self) -> Reports {
        Reports::wanted(self.journal.stages.is_some())
    }

    /// When a stage begins, if somebody wants to know.
    pub(super) fn begin(&self) -> Option<Instant> {
        self.journal.stages.is_some().then(Instant::now)
    }

    /// Notes what a stage did.
    pub(super) fn end(
        &self,
        node: &Node<'_>,
        begun: Option<Instant>,
        wanted: usize,
        found: &Found,
        reports: Reports,
    ) {
        let (Some(stages), Some(begun)) = (&self.journal.stages, begun) else { return };
        let mut stages = stages.borrow_mut();
        let known = stages.iter().position(|stage| stage.path == node.path);
        let at = known.unwrap_or_else(|| {
            stages.push(Stage { path: node.path.clone(), exact: true, ..Stage::default() });
            stages.len() - 1
        });
        let stage = &mut stages[at];
        stage.runs += 1;
        stage.wanted = wanted as u64;
        stage.rows = found.rows.len() as u64;
        stage.exact = found.exact;
        stage.micros += micros_since(begun);
        stage.postings += reports.postings();
        stage.segments.extend(reports.finish().unwrap_or_default());
    }
}
