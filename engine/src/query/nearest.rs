//! The rows nearest to a vector, through the search that there is for it (`search/`).

use super::node::Scores;
use super::run::{Found, Ranked, Run};
use crate::collection::ViewState;
use crate::interrupt::POLL_DISTANCES;
use crate::schema::{DenseOptions, Metric};
use crate::search::{NearestQuery, Reports, Wanted, default_ef, nearest};
use crate::vectors::Slot;

/// See [`Nearest`](super::Nearest); what a [`Recommend`](super::Recommend) by the average vector becomes, too.
#[derive(Debug)]
pub(super) struct Near {
    /// Of the vector among the dense ones.
    pub(super) place: usize,
    /// In the form that is compared.
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
        let of = (self.place, dense(run.view, self.place));
        let query = NearestQuery::of(of, self.vector.clone(), run.filter.clone(), wanted);
        let (found, stats) = nearest(run.view, &query, run.watch, reports);
        run.count(stats);
        let is_whole = found.len() < k && stats.interrupted.is_none();
        let score = |distance| run.view.encodings[self.place].score(distance);
        let rows = found.into_iter().map(|(distance, segment, slot)| Ranked {
            score: score(distance),
            segment,
            slot,
        });
        let mut rows: Vec<Ranked> = rows.filter(|row| !self.excluded.contains(&row.key())).collect();
        run.sort(&mut rows, metric_scores(dense(run.view, self.place).metric));
        let is_whole = is_whole && rows.len() <= n;
        rows.truncate(n);
        Found { rows, is_whole, exact: stats.exact }
    }

    pub(super) fn rank(&self, run: &Run<'_>, rows: &[Ranked]) -> Vec<Ranked> {
        let distances = distances(run, (self.place, &self.vector), rows);
        let scored = rows.iter().zip(distances).filter_map(|(row, distance)| {
            Some(Ranked { score: run.view.encodings[self.place].score(distance?), ..*row })
        });
        let mut ranked: Vec<Ranked> = scored.filter(|row| !self.excluded.contains(&row.key())).collect();
        run.sort(&mut ranked, metric_scores(dense(run.view, self.place).metric));
        ranked
    }
}

/// Exact distances of rows from a vector; none for rows without one, and those that an interruption left.
pub(super) fn distances(
    run: &Run<'_>,
    (place, vector): (usize, &[f32]),
    rows: &[Ranked],
) -> Vec<Option<f32>> {
    let mut out = vec![None; rows.len()];
    let mut order: Vec<usize> = (0..rows.len()).collect();
    // Neighbours in a segment are neighbours in memory.
    order.sort_unstable_by_key(|at| rows[*at].key());
    for of_segment in order.chunk_by(|a, b| rows[*a].segment == rows[*b].segment) {
        let rows_of = run.view.segments[rows[of_segment[0]].segment].dense(place);
        let scorer = run.view.encodings[place].exact_scorer(vector, rows_of.picked_vectors());
        for places in of_segment.chunks(POLL_DISTANCES as usize) {
            if run.watch.poll() {
                return out;
            }
            let (places, nodes): (Vec<usize>, Vec<Slot>) =
                places.iter().filter_map(|at| Some((*at, rows_of.node_of(rows[*at].slot)?))).unzip();
            let mut distances = vec![0.0; nodes.len()];
            scorer.score(&nodes, &mut distances);
            run.compared(nodes.len() as u64);
            places.into_iter().zip(distances).for_each(|(at, distance)| out[at] = Some(distance));
        }
    }
    out
}

/// The options of the dense vector in a place.
pub(super) fn dense(view: &ViewState, place: usize) -> &DenseOptions {
    match view.schema.dense().nth(place) {
        Some((.., options)) => options,
        None => unreachable!("a place that the schema gave"),
    }
}

/// Which scores of a metric are better.
pub(super) fn metric_scores(metric: Metric) -> Scores {
    match metric {
        Metric::Cosine | Metric::Dot => Scores::Greater,
        Metric::L2 => Scores::Smaller,
    }
}
