//! Vectors and how they are compared: what a graph walks on without knowing it.
//!
//! A segment numbers its rows; a [`Slot`] is such a number. [`Rows`] gives the exact components of a slot. An
//! [`Encoding`] decides what the walk compares: it makes a [`Scorer`] for a query and a [`PairScorer`] for
//! building. The graph sees only those two, in blocks: one virtual call for all the neighbours of a node,
//! with SIMD and prefetching inside. This module is the only place that matches on [`EncodingKind`].
//!
//! Distances: smaller is nearer under every metric. Cosine and dot give the negated inner product (under
//! cosine both sides have unit length), L2 the squared Euclidean distance; [`Encoding::score`] turns one into
//! the metric's score.
//!
//! An encoding that walks on codes (integers, bits) keeps them beside the rows, gives scorers over the codes
//! and says in [`Encoding::rerank`] how many candidates to compare again with [`Encoding::exact_scorer`].

mod exact;
mod rows;

use std::sync::Arc;

pub(crate) use rows::{GrowingRows, Rows, SealedRows, SharedBytes};

use crate::schema::{EncodingKind, Metric};

/// The number of a row within its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub(crate) struct Slot(pub(crate) u32);

/// Rows of one segment at most: two bits of a slot are the graph's.
pub(crate) const SLOTS_MAX: usize = 1 << 30;

impl Slot {
    /// As an index into arrays over all rows.
    #[inline]
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Compares one query with rows.
pub(crate) trait Scorer {
    /// Writes the distance of each of `slots` to `out`, which is as long. Every slot is one of the rows that
    /// the scorer was made for. Order does not matter and slots may repeat. A result is never NaN.
    fn score(&self, slots: &[Slot], out: &mut [f32]);
}

/// Compares rows with rows: the distance that the graph is built on.
///
/// Under every metric it is a squared Euclidean distance, so it is symmetric, never negative and zero between
/// equal rows, which pruning relies on. On unit vectors that is twice the cosine distance. For the inner
/// product see `exact`.
pub(crate) trait PairScorer: Send + Sync {
    /// Writes the distance from row `from` to each of `slots` to `out`, which is as long.
    fn score(&self, from: Slot, slots: &[Slot], out: &mut [f32]);
}

/// A way to keep vectors for the walk.
pub(crate) trait Encoding: Send + Sync + std::fmt::Debug {
    /// A scorer on what the walk compares. `query` has the rows' dimension; under cosine it has unit length.
    fn scorer<'a>(&'a self, query: &'a [f32], rows: &'a dyn Rows) -> Box<dyn Scorer + 'a>;

    /// A scorer on the exact rows: for scans, and for the second look at a walk's candidates.
    fn exact_scorer<'a>(&'a self, query: &'a [f32], rows: &'a dyn Rows) -> Box<dyn Scorer + 'a>;

    /// The symmetric scorer that a graph over these rows is built on.
    fn pair_scorer<'a>(&'a self, rows: &'a dyn Rows) -> Box<dyn PairScorer + 'a>;

    /// How many of a walk's candidates to compare again exactly for `k` results after a walk of width `ef`;
    /// `None` where the walk's distances are exact already.
    fn rerank(&self, k: usize, ef: usize) -> Option<usize>;

    /// The metric's score of an exact distance, as a [`Hit`](crate::Hit) carries it.
    fn score(&self, distance: f32) -> f32;
}

/// The encoding of a collection.
pub(crate) fn encoding(kind: EncodingKind, metric: Metric) -> Arc<dyn Encoding> {
    match kind {
        EncodingKind::F32 => Arc::new(exact::Exact::new(metric)),
    }
}
