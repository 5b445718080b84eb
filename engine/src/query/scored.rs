//! Rows by a vector that has no graph: each of them is scored.
//!
//! Multi-vectors are compared by MaxSim (`search/multi.rs`), sparse ones by their inner product. Larger is nearer under both.
//! Multi-vectors of all rows are compared; the best by a sparse one are found through its index (`search/entries.rs`), exactly too.
//!
//! **Cost.** Of multi-vectors every row that passes the filter is looked at, so such a source usually ranks the candidates of another
//! ([`Rescore`](super::Rescore)), or stands under a filter.

use super::node::Scores;
use super::run::{Found, Ranked, Run};
use crate::interrupt::POLL_DISTANCES;
use crate::point::SparseVector;
use crate::schema::VectorId;
use crate::search::multi::MultiQuery;
use crate::search::{EntriesSearch, KeptRows, Reports, SearchStats, SegmentPlan};
use crate::segment::{SegmentView, SparseRow};
use crate::text::Scored as TextScored;
use crate::vectors::Slot;

/// Rows between two looks at the watch: a row has some hundred vectors or entries.
const ROWS_AT_ONCE: usize = POLL_DISTANCES as usize / 64;

/// What rows are scored by.
#[derive(Debug)]
pub(super) enum Scored {
    Multi(MultiQuery),
    Sparse(VectorId, SparseVector),
}

impl Scored {
    /// The scores of some rows of a segment; none of those that lack the vector.
    fn scores(&self, segment: &SegmentView, slots: &[u32]) -> Vec<Option<f32>> {
        match self {
            Scored::Multi(query) => query.scores(segment, slots),
            Scored::Sparse(number, query) => {
                slots.iter().map(|slot| product(query, segment.sparse_row(*slot, *number)?)).collect()
            }
        }
    }

    /// Whether it gives a row, a segment and a slot, if it is asked for enough.
    pub(super) fn gives(&self, run: &Run<'_>, (segment, slot): (usize, u32)) -> bool {
        let segment = &run.view.segments[segment];
        match self {
            Scored::Multi(query) => query.has(segment, slot),
            Scored::Sparse(..) => self.scores(segment, &[slot]).iter().any(Option::is_some),
        }
    }

    pub(super) fn top(&self, run: &Run<'_>, n: usize, reports: &mut Reports) -> Found {
        let n = n.min(run.live());
        if n == 0 {
            return Found { rows: Vec::new(), is_whole: true, exact: true };
        }
        if let Scored::Sparse(number, query) = self {
            return through_index(run, n, &EntriesSearch::new(run.view, *number, query), reports);
        }
        let mut stats = SearchStats { exact: true, ..SearchStats::default() };
        let mut kept = KeptRows::new(f32::INFINITY, n);
        'segments: for (index, segment) in run.view.segments.iter().enumerate() {
            let mut begun = reports.begin(index, segment, &mut stats);
            stats.segments += 1;
            let slots: Vec<u32> = segment.passing(run.filter.as_deref(), run.watch).iter().collect();
            begun.takes(SegmentPlan::ScanRows, 0);
            let mut found = 0;
            for slots in slots.chunks(ROWS_AT_ONCE) {
                if run.watch.poll() {
                    reports.end(begun, found, &mut stats, run.watch);
                    break 'segments;
                }
                for (slot, score) in slots.iter().zip(self.scores(segment, slots)) {
                    let Some(score) = score else { continue };
                    stats.distances += 1;
                    found += 1;
                    kept.offer((-score, index, Slot(*slot)));
                }
            }
            // Which have the vector is known by now.
            begun.counts(|| found);
            reports.end(begun, found, &mut stats, run.watch);
        }
        run.count(stats);
        let is_interrupted = run.watch.interrupted().is_some();
        let (found, truncated) = kept.finish();
        let ranked =
            |(negated, segment, slot): (f32, usize, Slot)| Ranked { score: -negated + 0.0, segment, slot };
        let mut rows: Vec<Ranked> = found.into_iter().map(ranked).collect();
        run.sort(&mut rows, Scores::Greater);
        Found { rows, is_whole: !truncated && !is_interrupted, exact: !is_interrupted }
    }

    pub(super) fn rank(&self, run: &Run<'_>, rows: &[Ranked]) -> Vec<Ranked> {
        let mut ranked = Vec::with_capacity(rows.len());
        for rows in rows.chunks(ROWS_AT_ONCE) {
            if run.watch.poll() {
                break;
            }
            for row in rows {
                let scores = self.scores(&run.view.segments[row.segment], &[row.slot.0]);
                ranked.extend(scores.into_iter().flatten().map(|score| Ranked { score, ..*row }));
            }
            run.compared(rows.len() as u64);
        }
        run.sort(&mut ranked, Scores::Greater);
        ranked
    }
}

/// The best rows by a sparse vector, through the indexes of all segments together: exact, though not every row is looked at.
fn through_index(run: &Run<'_>, n: usize, search: &EntriesSearch<'_>, reports: &mut Reports) -> Found {
    let found = search.best(n, run.filter.as_deref(), run.watch);
    run.count(SearchStats { segments: found.read.len(), exact: true, ..SearchStats::default() });
    found.report(run.view, run.filter.as_deref(), reports, run.watch);
    let is_interrupted = run.watch.interrupted().is_some();
    let ranked =
        |row: &TextScored| Ranked { score: row.score + 0.0, segment: row.segment, slot: Slot(row.slot) };
    let mut rows: Vec<Ranked> = found.rows.iter().map(ranked).collect();
    run.sort(&mut rows, Scores::Greater);
    Found { is_whole: rows.len() < n && !is_interrupted, rows, exact: !is_interrupted }
}

/// The inner product of two sparse vectors; none if they have no component in common, as such a row has none of what is
/// asked for.
fn product(query: &SparseVector, row: SparseRow<'_>) -> Option<f32> {
    let (mut product, mut at, mut is_met) = (0.0, 0, false);
    for (index, value) in query.indices.iter().zip(&query.values) {
        at += row.indices[at..].partition_point(|found| found < index);
        if row.indices.get(at) == Some(index) {
            product += f64::from(*value) * f64::from(row.values[at]);
            is_met = true;
        }
    }
    is_met.then_some(product as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_of_common_components() {
        let query = SparseVector { indices: vec![1, 5, 9], values: vec![1.0, 2.0, -1.0] };
        let of = |indices: &[u32], values: &[f32]| product(&query, SparseRow { indices, values });
        assert_eq!(of(&[1, 4, 9], &[3.0, 9.0, 3.0]), Some(0.0));
        assert_eq!(of(&[5, 10], &[0.5, 1.0]), Some(1.0));
        assert_eq!(of(&[0, 4], &[1.0, 1.0]), None);
        assert_eq!(of(&[], &[]), None);
    }
}
