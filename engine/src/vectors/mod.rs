//! Vectors and how they are compared: what a graph walks on without knowing it.
//!
//! A segment numbers its rows; a [`Slot`] is such a number. [`Rows`] gives the exact components of a slot, and its
//! code where the segment keeps codes. An [`Encoding`] decides what the walk compares: it makes a [`Scorer`] for a
//! query and a [`PairScorer`] for building. The graph sees only those two, in blocks: one virtual call for all the
//! neighbours of a node, with SIMD and prefetching inside. This module is the only place that matches on
//! [`EncodingKind`].
//!
//! **Two encodings a collection.** A graph is built on distances between rows, which eight bits keep well and fewer do
//! not; and a quantiser should be trained on the rows it is for, which are not there while a segment grows. So
//! growing segments walk on `int8` (a scale for each row, nothing to train) whatever the schema says, but for `f32`;
//! sealed ones on the schema's encoding, trained on their rows when they are sealed. A quantiser is never older than
//! its segment.
//!
//! Distances: smaller is nearer under every metric. Cosine and dot give the negated inner product (under
//! cosine both sides have unit length), L2 the squared Euclidean distance; [`Encodings::score`] turns one into
//! the metric's score.
//!
//! A walk on codes ends with a second look at its nearest candidates on the exact rows: at as many as the
//! [`Scorer::margin`] leaves in doubt.

mod bit1;
mod centred;
mod codes;
mod doubt;
mod exact;
mod f16;
mod int4;
mod int8;
mod lift;
mod max_sim;
mod quantise;
mod rotate;
mod rows;
mod sketch;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ragstone_kernels::norm;

pub(crate) use codes::{Codec, CodesRef, GrowingCodes, Sample, SealedCodes};
pub(crate) use max_sim::MaxSim;
pub(crate) use rows::{GrowingRows, HalfRows, Rows, SealedRows, SharedBytes};
pub(crate) use sketch::{SealedSketches, Sieve, Sketcher};

use crate::schema::{DenseOptions, ElementType, EncodingKind, Metric, Schema};

/// The number of a row within its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub(crate) struct Slot(pub(crate) u32);

/// Rows of one segment at most: two bits of a slot are the graph's.
pub(crate) const SLOTS_MAX: usize = 1 << 30;

/// Rows gathered at a time: enough for the longest usual list of neighbours, small enough for the stack.
const BLOCK: usize = 64;

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

    /// Asks for what `score` will read of these slots, which are those of the next call.
    fn prefetch(&self, _slots: &[Slot]) {}

    /// [`score`](Self::score) of some slots, and [`prefetch`](Self::prefetch) of others meanwhile: a processor waits when it is
    /// asked for many lines at once.
    fn score_ahead(&self, slots: &[Slot], ahead: &[Slot], out: &mut [f32]) {
        self.prefetch(ahead);
        self.score(slots, out);
    }

    /// What makes squared distances of scores, or multiples of them: `score + shift`. `None` where nothing does.
    fn shift(&self) -> Option<f32> {
        None
    }

    /// How far an exact distance may be from the score, but for one in some hundred; zero where scores are exact.
    fn margin(&self) -> f32 {
        0.0
    }
}

/// Compares rows with rows: the distance that the graph is built on.
///
/// Under every metric it is a squared Euclidean distance, so it is symmetric, never negative and zero between
/// equal rows, which pruning relies on. On unit vectors that is twice the cosine distance. For the inner
/// product see `lift`.
pub(crate) trait PairScorer: Send + Sync {
    /// Writes the distance from row `from` to each of `slots` to `out`, which is as long.
    fn score(&self, from: Slot, slots: &[Slot], out: &mut [f32]);

    /// Asks for what `score` will read of these slots, which are those of the next call.
    fn prefetch(&self, _slots: &[Slot]) {}

    /// [`score`](Self::score) of some slots, and [`prefetch`](Self::prefetch) of others meanwhile.
    fn score_ahead(&self, from: Slot, slots: &[Slot], ahead: &[Slot], out: &mut [f32]) {
        self.prefetch(ahead);
        self.score(from, slots, out);
    }
}

/// A way to keep vectors for the walk.
pub(crate) trait Encoding: Send + Sync + std::fmt::Debug {
    /// What makes the codes that rows of this encoding carry; `None` where the walk compares the exact rows.
    fn codec(&self) -> Option<Arc<dyn Codec>>;

    /// A scorer on what the walk compares. `query` has the rows' dimension; under cosine it has unit length.
    /// The rows carry the codes of this encoding, if it has some.
    fn scorer<'a>(&'a self, query: &'a [f32], rows: &'a dyn Rows) -> Box<dyn Scorer + 'a>;
}

/// An encoding that keeps rows well enough to build graphs on.
pub(crate) trait PairEncoding: Encoding {
    /// The symmetric scorer that a graph over these rows is built on.
    fn pair_scorer<'a>(&'a self, rows: &'a dyn Rows) -> Box<dyn PairScorer + 'a>;
}

/// The shift of a scorer of this metric for a query of this length. `equal_length` is that of all rows, zero if they
/// differ.
fn shift(metric: Metric, query_length: f32, equal_length: Option<f32>) -> Option<f32> {
    match metric {
        // |x - y|^2 = 2 (1 - <x, y>) on the unit sphere.
        Metric::Cosine => Some(1.0),
        // Among rows of one length the same.
        Metric::Dot => equal_length.filter(|length| *length > 0.0).map(|length| query_length * length),
        Metric::L2 => Some(0.0),
    }
}

/// The length that errors in products with rows are estimated by: few rows are longer; none under the inner product, where
/// the longest are the answers.
fn row_length(metric: Metric, sample: &Sample<'_>) -> f32 {
    let lengths: Vec<f32> = sample.iter().map(|row| norm(row)).collect();
    match metric {
        Metric::Dot => lengths.into_iter().fold(0.0, f32::max),
        Metric::Cosine | Metric::L2 => doubt::usual_length(lengths),
    }
}

/// The length of the rows, but for what half floats round; zero if they differ.
fn equal_length(sample: &Sample<'_>) -> f32 {
    let lengths = || sample.iter().map(|row| norm(row));
    let (least, greatest) = (lengths().fold(f32::INFINITY, f32::min), lengths().fold(0.0, f32::max));
    if greatest <= least * 1.005 { greatest } else { 0.0 }
}

/// The encodings of a dense vector.
#[derive(Debug)]
pub(crate) struct Encodings {
    metric: Metric,
    /// Exact rows: for scans, and for the second look at a walk's candidates.
    exact: exact::Exact,
    /// Of segments that grow, and what graphs are built on.
    pub(crate) growing: Arc<dyn PairEncoding>,
    /// Of sealed segments.
    pub(crate) sealed: Arc<dyn Encoding>,
    /// Of sealed segments besides, for scans.
    pub(crate) sketcher: Option<Sketcher>,
}

impl Encodings {
    /// The encodings of all dense vectors of a schema, in the order of their numbers.
    pub(crate) fn all(schema: &Schema) -> Vec<Self> {
        schema.dense().map(|(_, _, options)| Self::new(options)).collect()
    }

    /// The encodings that a dense vector asks for.
    pub(crate) fn new(options: &DenseOptions) -> Self {
        let (metric, dimension) = (options.metric, options.dimension);
        let walked = options.walked();
        let int8 = || Arc::new(int8::Int8::new(metric, walked));
        let (growing, sealed): (Arc<dyn PairEncoding>, Arc<dyn Encoding>) = match options.encoding {
            // Graphs are not built on half floats: none of the kernels compares two of them.
            EncodingKind::F32 if walked == dimension && options.element == ElementType::F32 => {
                let exact = Arc::new(exact::Exact::new(metric));
                (exact.clone(), exact)
            }
            EncodingKind::F32 if walked == dimension => (int8(), Arc::new(exact::Exact::new(metric))),
            EncodingKind::F32 => (int8(), Arc::new(exact::Exact::prefix(metric, walked))),
            EncodingKind::F16 => (int8(), Arc::new(f16::F16::new(metric, walked))),
            EncodingKind::Int8 => (int8(), int8()),
            EncodingKind::Int4 => (int8(), Arc::new(int4::Int4::new(metric, walked))),
            EncodingKind::Bit1 => (int8(), Arc::new(bit1::Bit1::new(metric, walked))),
        };
        Self { metric, exact: exact::Exact::new(metric), growing, sealed, sketcher: Sketcher::new(options) }
    }

    /// A scorer on the exact rows.
    pub(crate) fn exact_scorer<'a>(&'a self, query: &'a [f32], rows: &'a dyn Rows) -> Box<dyn Scorer + 'a> {
        self.exact.scorer(query, rows)
    }

    /// What rules rows out by their sketches; `None` of rows that have none.
    pub(crate) fn sieve<'a>(&self, query: &[f32], rows: &'a dyn Rows) -> Option<Sieve<'a>> {
        self.sketcher.as_ref()?.sieve(query, rows)
    }

    /// The metric's score of an exact distance, as a [`Hit`](crate::Hit) carries it.
    pub(crate) fn score(&self, distance: f32) -> f32 {
        match self.metric {
            // Adding zero turns -0.0 into 0.0.
            Metric::Cosine | Metric::Dot => -distance + 0.0,
            Metric::L2 => distance.max(0.0).sqrt(),
        }
    }

    /// The greatest distance whose [`score`](Self::score) is at least as near as this finite one, which is not negative
    /// under L2.
    pub(crate) fn reach(&self, score: f32) -> f32 {
        match self.metric {
            Metric::Cosine | Metric::Dot => -score,
            Metric::L2 => {
                // A square and its root are both rounded: a few steps at most from here.
                let mut distance = score * score;
                while distance.sqrt() > score {
                    distance = distance.next_down();
                }
                while distance.next_up().sqrt() <= score {
                    distance = distance.next_up();
                }
                distance
            }
        }
    }
}
