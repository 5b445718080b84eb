//! Rows in the order of a field: those of each segment (`segment/ordered.rs`), merged.

use super::run::{Found, Ranked, Run};
use crate::collection::ViewState;
use crate::interrupt::Watch;
use crate::payload::{FieldId, Passing};
use crate::search::{Reports, SearchStats, SegmentPlan};
use crate::segment::{OrderRequest, Place, by_value};
use crate::vectors::Slot;

/// See [`OrderBy`](super::OrderBy).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ordering {
    pub(crate) field: FieldId,
    pub(crate) descending: bool,
}

impl Ordering {
    pub(super) fn top(&self, run: &Run<'_>, n: usize, reports: &mut Reports) -> Found {
        let mut stats = SearchStats { exact: true, ..SearchStats::default() };
        let mut found = Vec::new();
        for (index, segment) in run.view.segments.iter().enumerate() {
            if run.watch.poll() {
                break;
            }
            stats.segments += 1;
            let mut begun = reports.begin(index, segment, &mut stats);
            let passing = segment.passing(run.filter.as_deref(), run.watch);
            let request = self.request(&passing, None, (n, run.watch));
            let (slots, by_order) = segment.ordered(&request);
            begun.takes(if by_order { SegmentPlan::Sorted } else { SegmentPlan::Sort }, passing.count());
            reports.end(begun, slots.len(), &mut stats, run.watch);
            found.extend(slots.into_iter().map(|slot| (index, slot)));
        }
        run.count(stats);
        let is_whole = run.watch.interrupted().is_none() && found.len() <= n;
        let found = self.merged(run.view, found, n);
        let is_whole = is_whole && found.len() < n;
        let ranked = |(segment, slot)| Ranked { score: 0.0, segment, slot: Slot(slot) };
        Found {
            rows: found.into_iter().map(ranked).collect(),
            is_whole,
            exact: run.watch.interrupted().is_none(),
        }
    }

    pub(super) fn rank(&self, run: &Run<'_>, rows: &[Ranked]) -> Vec<Ranked> {
        let found = rows.iter().map(|row| (row.segment, row.slot.0)).collect();
        let ranked = |(segment, slot)| Ranked { score: 0.0, segment, slot: Slot(slot) };
        self.merged(run.view, found, rows.len()).into_iter().map(ranked).collect()
    }

    /// The rows behind a place, of those that pass, by segment; segment and slot. After an interruption some are missing.
    pub(crate) fn after(
        &self,
        view: &ViewState,
        passing: &[Passing],
        after: Option<Place<'_>>,
        (limit, watch): (usize, &Watch),
    ) -> Vec<(usize, u32)> {
        let mut found = Vec::new();
        for ((index, segment), passing) in view.segments.iter().enumerate().zip(passing) {
            let (slots, _) = segment.ordered(&self.request(passing, after, (limit, watch)));
            found.extend(slots.into_iter().map(|slot| (index, slot)));
        }
        self.merged(view, found, limit)
    }

    fn request<'a>(
        &self,
        passing: &'a Passing,
        after: Option<Place<'a>>,
        (limit, watch): (usize, &'a Watch),
    ) -> OrderRequest<'a> {
        OrderRequest { field: self.field, descending: self.descending, passing, after, limit, watch }
    }

    /// The first of some rows.
    fn merged(&self, view: &ViewState, found: Vec<(usize, u32)>, limit: usize) -> Vec<(usize, u32)> {
        let mut valued: Vec<_> = found
            .into_iter()
            .map(|(index, slot)| (view.segments[index].value(slot, self.field), index, slot))
            .collect();
        valued.sort_by(|a, b| {
            let id = |row: &(_, usize, u32)| view.segments[row.1].id(row.2);
            by_value(self.descending, a.0, b.0).then_with(|| id(a).cmp(&id(b)))
        });
        valued.truncate(limit);
        valued.into_iter().map(|(_, index, slot)| (index, slot)).collect()
    }
}
