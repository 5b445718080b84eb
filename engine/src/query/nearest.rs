//! The rows nearest to a vector, through the search that there is for it (`search/`).

use super::node::Scores;
use super::run::{Found, Ranked, Run};
use crate::interrupt::POLL_DISTANCES;
use crate::schema::Metric;
use crate::search::{NearestQuery, Reports, Wanted, default_ef, nearest};
use crate::vectors::Slot;

/// See [`Nearest`](super::Nearest); what a [`Recommend`](super::Recommend) by the average vector becomes, too.
#[derive(Debug)]
pub(super) struct Near {
    /// In the form that is stored.
    pub(super) vector: Vec<f32>,
    pub(super) ef: Option<usize>,
    pub(super) exact: bool,
    /// Rows that are examples.
    pub(super) excluded: Vec<(usize, Slot)>,
}

impl Near {
    pub(super) fn top(&self, run: &Run<'_>, n: usize, reports: &mut Reports) -> Found {
        let n = n.min(run.live());
        if n == 0 {
            return Found { rows: Vec::new(), is_whole: true, exact: true };
        }
        let k = n + self.excluded.len();
        let ef = self.ef.unwrap_or_else(|| default_ef(k)).max(k);
        let wanted = Wanted { k, ef, exact: self.exact };
        let query = NearestQuery { vector: self.vector.clone(), filter: run.filter.clone(), wanted };
        let (found, stats) = nearest(run.view, &query, run.watch, reports);
        run.count(stats);
        let is_whole = found.len() < k && stats.interrupted.is_none();
        let score = |distance| run.view.encodings.score(distance);
        let rows = found.into_iter().map(|(distance, segment, slot)| Ranked {
            score: score(distance),
            segment,
            slot,
        });
        cut(run, rows, (n, &self.excluded), (is_whole, stats.exact))
    }

    pub(super) fn rank(&self, run: &Run<'_>, rows: &[Ranked]) -> Vec<Ranked> {
        let distances = distances(run, &self.vector, rows);
        let scored = rows.iter().zip(distances).filter_map(|(row, distance)| {
            Some(Ranked { score: run.view.encodings.score(distance?), ..*row })
        });
        let mut ranked: Vec<Ranked> = scored.filter(|row| !self.excluded.contains(&row.key())).collect();
        run.sort(&mut ranked, run.metric_scores());
        ranked
    }
}

/// The best `n` of what was found, without examples.
pub(super) fn cut(
    run: &Run<'_>,
    rows: impl Iterator<Item = Ranked>,
    (n, excluded): (usize, &[(usize, Slot)]),
    (is_whole, exact): (bool, bool),
) -> Found {
    let mut rows: Vec<Ranked> = rows.filter(|row| !excluded.contains(&row.key())).collect();
    run.sort(&mut rows, run.metric_scores());
    let is_whole = is_whole && rows.len() <= n;
    rows.truncate(n);
    Found { rows, is_whole, exact }
}

/// Exact distances of rows from a vector; none for rows without one, and those that an interruption left.
pub(super) fn distances(run: &Run<'_>, vector: &[f32], rows: &[Ranked]) -> Vec<Option<f32>> {
    let mut out = vec![None; rows.len()];
    let mut order: Vec<usize> = (0..rows.len()).collect();
    // Neighbours in a segment are neighbours in memory.
    order.sort_unstable_by_key(|at| rows[*at].key());
    for of_segment in order.chunk_by(|a, b| rows[*a].segment == rows[*b].segment) {
        let segment = &run.view.segments[rows[of_segment[0]].segment];
        let scorer = run.view.encodings.exact_scorer(vector, segment.picked_vectors());
        for places in of_segment.chunks(POLL_DISTANCES as usize) {
            if run.watch.poll() {
                return out;
            }
            let places: Vec<usize> =
                places.iter().copied().filter(|at| segment.has_vector(rows[*at].slot.0)).collect();
            let slots: Vec<Slot> = places.iter().map(|at| rows[*at].slot).collect();
            let mut distances = vec![0.0; slots.len()];
            scorer.score(&slots, &mut distances);
            run.compared(slots.len() as u64);
            places.into_iter().zip(distances).for_each(|(at, distance)| out[at] = Some(distance));
        }
    }
    out
}

impl Run<'_> {
    /// Which scores of the default vector's metric are better.
    pub(super) fn metric_scores(&self) -> Scores {
        match self.view.schema.metric {
            Metric::Cosine | Metric::Dot => Scores::Greater,
            Metric::L2 => Scores::Smaller,
        }
    }
}
