//! Exact components, compared as they are stored: all of them, or a prefix.

use std::sync::Arc;

use ragstone_kernels::{DistanceF32, KernelF16, KernelF32};

use super::lift::Lift;
use super::{BLOCK, Codec, Encoding, HalfRows, PairEncoding, PairScorer, Rows, Scorer, Slot};
use crate::schema::Metric;

/// The encoding that keeps nothing beside the rows.
#[derive(Debug)]
pub(super) struct Exact {
    metric: Metric,
    kernel: KernelF32,
    /// Of rows that are stored as half floats.
    halves: KernelF16,
    pairs: KernelF32,
    /// Components that are compared, if not all of them.
    prefix: Option<usize>,
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
            halves: KernelF16::new(distance),
            pairs: KernelF32::new(DistanceF32::SquaredEuclidean),
            prefix: None,
        }
    }

    /// Compares the first components only.
    pub(super) fn prefix(metric: Metric, components: usize) -> Self {
        Self { prefix: Some(components), ..Self::new(metric) }
    }
}

impl Encoding for Exact {
    fn codec(&self) -> Option<Arc<dyn Codec>> {
        None
    }

    fn scorer<'a>(&'a self, query: &'a [f32], rows: &'a dyn Rows) -> Box<dyn Scorer + 'a> {
        debug_assert_eq!(query.len(), rows.dimension(), "a query is checked before it comes here");
        let components = self.prefix.unwrap_or(query.len());
        // Nothing is known of the components left out, so every candidate is in doubt.
        let margin = if self.prefix.is_some() { f32::INFINITY } else { 0.0 };
        let query = &query[..components];
        match rows.halves() {
            Some(rows) => Box::new(HalfScorer { kernel: self.halves, query, rows, margin }),
            None => Box::new(QueryScorer { kernel: self.kernel, query, rows, margin }),
        }
    }
}

impl PairEncoding for Exact {
    fn pair_scorer<'a>(&'a self, rows: &'a dyn Rows) -> Box<dyn PairScorer + 'a> {
        Box::new(RowScorer { kernel: self.pairs, rows, lift: Lift::new(self.metric, rows) })
    }
}

struct QueryScorer<'a> {
    kernel: KernelF32,
    query: &'a [f32],
    rows: &'a dyn Rows,
    margin: f32,
}

impl Scorer for QueryScorer<'_> {
    fn score(&self, slots: &[Slot], out: &mut [f32]) {
        score_blocks(self.kernel, self.query, self.rows, slots, out);
    }

    fn margin(&self) -> f32 {
        self.margin
    }
}

/// Compares with as many components of half floats as the query has.
struct HalfScorer<'a> {
    kernel: KernelF16,
    query: &'a [f32],
    rows: HalfRows<'a>,
    margin: f32,
}

impl Scorer for HalfScorer<'_> {
    fn score(&self, slots: &[Slot], out: &mut [f32]) {
        let (mut gathered, scales): ([&[u8]; BLOCK], _) = ([&[]; BLOCK], [1.0; BLOCK]);
        for (slots, out) in slots.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
            for (slot, row) in slots.iter().zip(&mut gathered) {
                *row = &self.rows.row(*slot)[..self.query.len() * size_of::<u16>()];
            }
            self.kernel.many(self.query, &gathered[..slots.len()], &scales[..slots.len()], out);
            out.iter_mut().for_each(ordered);
        }
    }

    fn margin(&self) -> f32 {
        self.margin
    }
}

/// Components are finite but their products may overflow, and infinity minus infinity has no order.
fn ordered(distance: &mut f32) {
    if distance.is_nan() {
        *distance = f32::INFINITY;
    }
}

struct RowScorer<'a> {
    kernel: KernelF32,
    rows: &'a dyn Rows,
    lift: Option<Lift>,
}

impl PairScorer for RowScorer<'_> {
    fn score(&self, from: Slot, slots: &[Slot], out: &mut [f32]) {
        score_blocks(self.kernel, &self.rows.row(from), self.rows, slots, out);
        if let Some(lift) = self.lift {
            lift.add(self.rows, from, slots, out);
        }
    }
}

/// Compares with as many components of the rows as the query has.
fn score_blocks(kernel: KernelF32, query: &[f32], rows: &dyn Rows, slots: &[Slot], out: &mut [f32]) {
    let mut gathered: [&[f32]; BLOCK] = [&[]; BLOCK];
    for (slots, out) in slots.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
        let gathered = &mut gathered[..slots.len()];
        rows.gather(slots, gathered);
        if query.len() < rows.dimension() {
            gathered.iter_mut().for_each(|row| *row = &row[..query.len()]);
        }
        kernel.many(query, gathered, out);
        out.iter_mut().for_each(ordered);
    }
}
