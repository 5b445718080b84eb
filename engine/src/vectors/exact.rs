//! 32-bit floats, compared as they are.
//!
//! The inner product is no distance: a row need not be its own nearest. A graph for it is built on Euclidean
//! distances, as the search for the largest product is that for the row nearest to a query infinitely far
//! away. Alone that leaves the long rows, which most such queries want, with links into the crowd of the
//! short ones. So a row shorter than the [`LIFT`] gets one more component that brings it up to that (a
//! reduction in the way of Bachrach et al. 2014, who bring all up to the longest, which one long row spoils):
//! `|x - y|^2 + (e(x) - e(y))^2` with `e(x)^2 = LIFT mean - |x|^2`, if positive. Rows of equal length are not
//! affected.
//!
//! Measured at equal width on clustered rows of lengths .5 to 1.5: recall .94 against .73 with plain
//! Euclidean distances, .81 with Bachrach's and .69 with the inner product itself; on log-normal lengths the
//! order is the same. Where a few rows are several times as long as the rest, walks need to be wider than
//! usual.

use ragstone_kernels::{DistanceF32, KernelF32};

use super::{Encoding, PairScorer, Rows, Scorer, Slot};
use crate::schema::Metric;

/// Rows gathered at a time: enough for the longest usual list of neighbours, small enough for the stack.
const BLOCK: usize = 64;

/// The squared length that shorter rows are brought up to, in means of the squared lengths. One to two are
/// alike.
const LIFT: f32 = 1.5;

/// The encoding that keeps nothing beside the rows.
#[derive(Debug)]
pub(super) struct Exact {
    metric: Metric,
    kernel: KernelF32,
    pairs: KernelF32,
}

impl Exact {
    pub(super) fn new(metric: Metric) -> Self {
        let distance = match metric {
            Metric::Cosine | Metric::Dot => DistanceF32::NegatedDot,
            Metric::L2 => DistanceF32::SquaredEuclidean,
        };
        Self {
            metric,
            kernel: KernelF32::new(distance),
            pairs: KernelF32::new(DistanceF32::SquaredEuclidean),
        }
    }
}

impl Encoding for Exact {
    fn scorer<'a>(&'a self, query: &'a [f32], rows: &'a dyn Rows) -> Box<dyn Scorer + 'a> {
        debug_assert_eq!(query.len(), rows.dimension(), "a query is checked before it comes here");
        Box::new(QueryScorer { kernel: self.kernel, query, rows })
    }

    fn exact_scorer<'a>(&'a self, query: &'a [f32], rows: &'a dyn Rows) -> Box<dyn Scorer + 'a> {
        self.scorer(query, rows)
    }

    fn pair_scorer<'a>(&'a self, rows: &'a dyn Rows) -> Box<dyn PairScorer + 'a> {
        let lift = (self.metric == Metric::Dot)
            // Rows of databases from before lengths were bounded may be infinitely long on average, and infinity minus
            // infinity has no order.
            .then(|| (LIFT * rows.mean_squared_length()).min(f32::MAX));
        Box::new(RowScorer { kernel: self.pairs, rows, lift })
    }

    fn rerank(&self, _k: usize, _ef: usize) -> Option<usize> {
        None
    }

    fn score(&self, distance: f32) -> f32 {
        match self.metric {
            // Adding zero turns -0.0 into 0.0.
            Metric::Cosine | Metric::Dot => -distance + 0.0,
            Metric::L2 => distance.sqrt(),
        }
    }
}

struct QueryScorer<'a> {
    kernel: KernelF32,
    query: &'a [f32],
    rows: &'a dyn Rows,
}

impl Scorer for QueryScorer<'_> {
    fn score(&self, slots: &[Slot], out: &mut [f32]) {
        score_blocks(self.kernel, self.query, self.rows, slots, out);
    }
}

struct RowScorer<'a> {
    kernel: KernelF32,
    rows: &'a dyn Rows,
    /// The squared length that shorter rows are brought up to.
    lift: Option<f32>,
}

impl PairScorer for RowScorer<'_> {
    fn score(&self, from: Slot, slots: &[Slot], out: &mut [f32]) {
        score_blocks(self.kernel, self.rows.row(from), self.rows, slots, out);
        let Some(lift) = self.lift else {
            return;
        };
        let extra = |squared: f32| (lift - squared).max(0.0).sqrt();
        let mut squared = [0.0; BLOCK];
        self.rows.squared_lengths(&[from], &mut squared[..1]);
        let own = extra(squared[0]);
        for (slots, out) in slots.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
            let squared = &mut squared[..slots.len()];
            self.rows.squared_lengths(slots, squared);
            for (distance, squared) in out.iter_mut().zip(squared) {
                let difference = own - extra(*squared);
                *distance += difference * difference;
            }
        }
    }
}

fn score_blocks(kernel: KernelF32, query: &[f32], rows: &dyn Rows, slots: &[Slot], out: &mut [f32]) {
    let mut gathered: [&[f32]; BLOCK] = [&[]; BLOCK];
    for (slots, out) in slots.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
        let gathered = &mut gathered[..slots.len()];
        rows.gather(slots, gathered);
        kernel.many(query, gathered, out);
        for distance in out.iter_mut() {
            // Components are finite but their products may overflow, and infinity minus infinity has no
            // order.
            if distance.is_nan() {
                *distance = f32::INFINITY;
            }
        }
    }
}
