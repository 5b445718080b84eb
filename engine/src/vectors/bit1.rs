//! A bit a component (Gao and Long 2024, "RaBitQ: Quantizing High-Dimensional Vectors with a Theoretical Error Bound for
//! Approximate Nearest Neighbor Search").
//!
//! ```text
//! code       = the signs of r, the row less the centroid, rotated          (`centred.rs`)
//! factors    = as there
//! parameters = error | usual length of r | length of the rows if it is one | centroid
//! ```
//! Before the rotation `r` is padded with zeros to whole cache lines of bits. The error of `<r, q>` is `.75 |r| |q| / sqrt(bits)`,
//! in the root of the mean square. All bits of a cache line are used: rows of 384 components become 512 bits, which costs
//! no memory that padding would not, and makes the error a seventh smaller than 384 bits do.
//!
//! The query is rotated once and kept in four bits, which adds a hundredth to the error.
//!
//! A row is a cache line at 384 components, a sixth of its `int8` code. The error is some forty times as large: nearly
//! every candidate is in doubt, so the exact rows decide among all `ef` of them, and a walk has to be half as wide again for
//! the same recall. Recall@10 on 60,000 text embeddings of 384 components, and queries a second of one thread:
//!
//! | ef | 32 | 48 | 64 | 96 | 128 | 256 |
//! |---|---|---|---|---|---|---|
//! | `bit1` | .922 43,500 | .952 35,100 | .967 29,700 | .980 22,800 | .988 18,200 | .9965 11,200 |
//! | `int8` | .950 41,000 | .970 34,800 | .977 28,900 | .985 22,100 | .990 18,800 | .9960 11,000 |
//!
//! So it costs little speed, and with codes, factors and links a row takes 200 bytes of memory where `int8` takes 524. The
//! exact rows are read from the disk's cache or the disk: where they do not fit in memory either, a search reads `ef` of
//! them.

use std::sync::Arc;

use ragstone_kernels::{BIT1_BLOCK, KernelBit1, norm, pack_planes, pack_signs};

use super::centred::{Centred, QueryRest, centroid, inner};
use super::codes::{CodeLayout, Sample};
use super::{BLOCK, Codec, CodesRef, Encoding, Rows, Scorer, Slot, doubt, equal_length, shift};
use crate::schema::Metric;

/// Query components in four bits: -7 to 7.
const QUERY_MAX: f32 = 7.0;

/// The encoding.
#[derive(Debug)]
pub(super) struct Bit1 {
    kernel: KernelBit1,
    codec: Arc<Bit1Codec>,
}

#[derive(Debug)]
struct Bit1Codec {
    centred: Centred,
}

impl Bit1 {
    pub(super) fn new(metric: Metric, components: usize) -> Self {
        let centred = Centred::new(metric, components, components.next_multiple_of(BIT1_BLOCK));
        Self { kernel: KernelBit1::new(), codec: Arc::new(Bit1Codec { centred }) }
    }
}

/// What was learned from the rows.
#[derive(Clone, Copy)]
struct Parameters<'a> {
    error: f32,
    length: f32,
    equal_length: f32,
    centroid: &'a [f32],
}

impl<'a> Parameters<'a> {
    /// `None` if these are not the parameters of rows of so many components.
    fn of(parameters: &'a [f32], components: usize) -> Option<Self> {
        match parameters {
            [error, length, equal_length, centroid @ ..] if centroid.len() == components => {
                Some(Self { error: *error, length: *length, equal_length: *equal_length, centroid })
            }
            _ => None,
        }
    }
}

impl Bit1Codec {
    /// A query as rows are compared with.
    fn query(&self, query: &[f32], centroid: &[f32]) -> Query {
        let rest = self.centred.query(query, centroid);
        let greatest = rest.rest.iter().fold(0.0_f32, |greatest, x| greatest.max(x.abs()));
        let step = if greatest / QUERY_MAX >= f32::MIN_POSITIVE { greatest / QUERY_MAX } else { 1.0 };
        let components: Vec<i8> =
            rest.rest.iter().map(|x| (x / step).round().clamp(-QUERY_MAX, QUERY_MAX) as i8).collect();
        let mut planes = vec![0; components.len() / 2];
        pack_planes(&components, &mut planes);
        let sum = components.iter().map(|component| i32::from(*component)).sum();
        Query { planes, sum, step, rest }
    }

    /// What errors of distances grow with, for rows with so long a rest; and, where the query has nothing left, with what
    /// is subtracted.
    fn reach(&self, query: &Query, row_length: f32, centroid_length: f32) -> f32 {
        let rounding = self.centred.rounding(&query.rest, row_length, centroid_length);
        query.rest.gain * query.rest.length * row_length + rounding
    }
}

/// A query in bit planes.
struct Query {
    planes: Vec<u8>,
    /// The sum of its components.
    sum: i32,
    /// What a component of one stands for.
    step: f32,
    rest: QueryRest,
}

impl Query {
    #[inline(always)]
    fn distance(&self, product: i32, factors: &[f32]) -> f32 {
        let QueryRest { constant, weight, gain, .. } = self.rest;
        let inner = (self.step * factors[0]) * (2 * product - self.sum) as f32;
        (constant + weight * factors[1]) - gain * inner
    }
}

impl Codec for Bit1Codec {
    fn layout(&self) -> CodeLayout {
        CodeLayout { bytes: self.centred.components.next_multiple_of(BIT1_BLOCK) / 8, factors: 2 }
    }

    fn train(&self, sample: &Sample<'_>) -> Vec<f32> {
        let rows: Vec<&[f32]> = sample.iter().map(|row| &row[..self.centred.components]).collect();
        let centroid = centroid(&rows);
        let mut parameters = vec![0.0, 0.0, equal_length(sample)];
        parameters.extend(&centroid);
        let layout = self.layout();
        let (mut code, mut factors) = (vec![0; layout.bytes], [0.0; 2]);
        let mut encoded = Vec::with_capacity(rows.len());
        let mut lengths = Vec::with_capacity(rows.len());
        for row in &rows {
            self.encode(row, &parameters, &mut code, &mut factors);
            encoded.push((code.clone(), factors));
            lengths.push(self.centred.row(row, &centroid).length);
        }
        let kernel = KernelBit1::new();
        let centroid_length = norm(&centroid);
        let errors = doubt::pairs(rows.len()).map(|(from, to)| {
            let query = self.query(rows[from], &centroid);
            let (code, factors) = &encoded[to];
            let mut product = [0];
            kernel.many(&query.planes, &[code], &mut product);
            let exact: f32 = match self.centred.metric {
                Metric::Cosine | Metric::Dot => -inner(rows[from], rows[to]),
                Metric::L2 => rows[from].iter().zip(rows[to]).map(|(x, y)| (x - y) * (x - y)).sum(),
            };
            (query.distance(product[0], factors) - exact) / self.reach(&query, lengths[to], centroid_length)
        });
        parameters[0] = doubt::root_mean_square(errors);
        parameters[1] = doubt::usual_length(lengths);
        parameters
    }

    fn encode(&self, row: &[f32], parameters: &[f32], code: &mut [u8], factors: &mut [f32]) {
        let learned = Parameters::of(parameters, self.centred.components);
        let rest = self.centred.row(row, learned.map_or(&[][..], |learned| learned.centroid));
        pack_signs(&rest.signs_of, code);
        factors.copy_from_slice(&rest.factors);
    }
}

impl Encoding for Bit1 {
    fn codec(&self) -> Option<Arc<dyn Codec>> {
        Some(self.codec.clone())
    }

    fn scorer<'a>(&'a self, query: &'a [f32], rows: &'a dyn Rows) -> Box<dyn Scorer + 'a> {
        let codes = rows.codes();
        let learned = Parameters::of(codes.parameters(), self.codec.centred.components);
        let centroid = learned.map_or(&[][..], |learned| learned.centroid);
        let query = self.codec.query(&query[..self.codec.centred.components], centroid);
        let margin = match learned {
            Some(Parameters { error, length, .. }) if self.codec.centred.components == rows.dimension() => {
                doubt::margin(error * self.codec.reach(&query, length, norm(centroid)))
            }
            // Nothing is known of the components left out, so every candidate is in doubt.
            _ => f32::INFINITY,
        };
        // The nearest estimates are those that erred most to that side, and a ratio to one that is all error means nothing: so
        // distances count as far as they may be. At equal recall that costs the same as distances as they are, within a tenth,
        // and a seventh to a third less than not to stop (two sets of text embeddings, recall from .98 to .99).
        let equal_length = learned.map(|learned| learned.equal_length);
        let shift = shift(self.codec.centred.metric, query.rest.whole_length, equal_length)
            .map(|shift| shift + margin);
        Box::new(QueryScorer { kernel: self.kernel, query, codes, shift, margin })
    }
}

struct QueryScorer<'a> {
    kernel: KernelBit1,
    query: Query,
    codes: CodesRef<'a>,
    shift: Option<f32>,
    margin: f32,
}

impl Scorer for QueryScorer<'_> {
    fn score(&self, slots: &[Slot], out: &mut [f32]) {
        let mut products = [0; BLOCK];
        self.codes.in_blocks(slots, out, |codes, factors, out| {
            let products = &mut products[..codes.len()];
            self.kernel.many(&self.query.planes, codes, products);
            for ((factors, product), distance) in factors.iter().zip(products).zip(out) {
                *distance = self.query.distance(*product, factors);
            }
        });
    }

    fn prefetch(&self, slots: &[Slot]) {
        self.codes.prefetch(slots);
    }

    fn shift(&self) -> Option<f32> {
        self.shift
    }

    fn margin(&self) -> f32 {
        self.margin
    }
}
