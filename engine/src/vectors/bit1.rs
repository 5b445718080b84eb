//! A bit a component (Gao and Long 2024, "RaBitQ: Quantizing High-Dimensional Vectors with a Theoretical Error Bound for
//! Approximate Nearest Neighbor Search").
//!
//! ```text
//! r    = rotated(x - centroid), padded with zeros to whole cache lines of bits before the rotation
//! code = the signs of r                              s = those signs as +1 and -1
//! factors    = |r|^2 / <s, r> | under L2 |r|^2, else <x, centroid>
//! parameters = error | usual length of r | length of the rows if it is one | centroid
//! ```
//! `<r, q> ~ factor <s, q>` is right on average over rotations, whatever the row; its error is `.75 |r| |q| / sqrt(bits)`,
//! in the root of the mean square. All bits of a cache line are used: rows of 384 components become 512 bits, which costs
//! no memory that padding would not, and makes the error a seventh smaller than 384 bits do.
//!
//! The query is rotated once and kept in four bits, which adds a hundredth to the error. What is left of it is compared:
//!
//! ```text
//! L2            q' = rotated(q - centroid)             |x - q|^2 = |r|^2 + |q'|^2 - 2 <r, q'>
//! cosine, dot   q' = rotated(q - share centroid)       <x, q>    = <r, q'> + share <x, centroid> + <centroid, q - share centroid>
//! ```
//! `share = <q, centroid> / |centroid|^2` makes `q'` as short as it can be, and the error with it.
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

use super::codes::{CodeLayout, Sample};
use super::rotate::Rotation;
use super::{BLOCK, Codec, CodesRef, Encoding, Rows, Scorer, Slot, doubt, equal_length, shift};
use crate::schema::Metric;

/// Query components in four bits: -7 to 7.
const QUERY_MAX: f32 = 7.0;
/// What sums of 32 bits may lose, as a part of what is summed, made as large beside the error of a bit as it is of theirs.
const ROUNDING: f32 = 4e-6;

/// The encoding.
#[derive(Debug)]
pub(super) struct Bit1 {
    kernel: KernelBit1,
    codec: Arc<Bit1Codec>,
}

#[derive(Debug)]
struct Bit1Codec {
    metric: Metric,
    /// Components that are encoded: all, or the first ones.
    components: usize,
    rotation: Rotation,
}

impl Bit1 {
    pub(super) fn new(metric: Metric, components: usize) -> Self {
        let rotation = Rotation::new(components.next_multiple_of(BIT1_BLOCK));
        let codec = Arc::new(Bit1Codec { metric, components, rotation });
        Self { kernel: KernelBit1::new(), codec }
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

fn inner(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// The mean of rows.
fn centroid(rows: &[&[f32]]) -> Vec<f32> {
    let mut sums = vec![0.0_f64; rows.first().map_or(0, |row| row.len())];
    for row in rows {
        sums.iter_mut().zip(*row).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    sums.into_iter().map(|sum| (sum / rows.len() as f64) as f32).collect()
}

impl Bit1Codec {
    /// `rotated(vector - share centroid)`, and the length of it. Without a centroid nothing is taken off.
    fn rest(&self, vector: &[f32], share: f32, centroid: &[f32]) -> (Vec<f32>, f32) {
        let mut rest = vector.to_vec();
        rest.iter_mut().zip(centroid).for_each(|(x, centre)| *x -= share * centre);
        let length = norm(&rest);
        rest.resize(self.components.next_multiple_of(BIT1_BLOCK), 0.0);
        self.rotation.apply(&mut rest);
        (rest, length)
    }

    /// A query as rows are compared with.
    fn query(&self, query: &[f32], centroid: &[f32]) -> Query {
        let share = match self.metric {
            Metric::L2 => 1.0,
            Metric::Cosine | Metric::Dot => {
                let share = inner(query, centroid) / inner(centroid, centroid);
                if share.is_finite() { share } else { 0.0 }
            }
        };
        let (rest, length) = self.rest(query, share, centroid);
        let greatest = rest.iter().fold(0.0_f32, |greatest, x| greatest.max(x.abs()));
        let step = if greatest / QUERY_MAX >= f32::MIN_POSITIVE { greatest / QUERY_MAX } else { 1.0 };
        let components: Vec<i8> =
            rest.iter().map(|x| (x / step).round().clamp(-QUERY_MAX, QUERY_MAX) as i8).collect();
        let mut planes = vec![0; components.len() / 2];
        pack_planes(&components, &mut planes);
        let sum = components.iter().map(|component| i32::from(*component)).sum();
        let (constant, weight, gain) = match self.metric {
            Metric::L2 => (length * length, 1.0, 2.0),
            Metric::Cosine | Metric::Dot => {
                let across: f32 = query.iter().zip(centroid).map(|(x, c)| (x - share * c) * c).sum();
                (-across, -share, 1.0)
            }
        };
        let whole_length = if self.metric == Metric::L2 { length } else { norm(query) };
        Query { planes, sum, step, length, whole_length, constant, weight, gain }
    }

    /// What errors of distances grow with, for rows with so long a rest; and, where the query has nothing left, with what
    /// is subtracted.
    fn reach(&self, query: &Query, row_length: f32, centroid_length: f32) -> f32 {
        let subtracted = match self.metric {
            Metric::L2 => (query.whole_length + row_length) * (query.whole_length + row_length),
            Metric::Cosine | Metric::Dot => query.whole_length * (row_length + centroid_length),
        };
        query.gain * query.length * row_length + ROUNDING * subtracted
    }
}

/// A query in bit planes, and how a product with it becomes a distance:
/// `constant + weight * second factor - gain * <r, q'>`.
struct Query {
    planes: Vec<u8>,
    /// The sum of its components.
    sum: i32,
    /// What a component of one stands for.
    step: f32,
    /// Of what is left of the query.
    length: f32,
    /// Of what stands in the sums.
    whole_length: f32,
    constant: f32,
    weight: f32,
    gain: f32,
}

impl Query {
    #[inline(always)]
    fn distance(&self, product: i32, factors: &[f32]) -> f32 {
        let inner = (self.step * factors[0]) * (2 * product - self.sum) as f32;
        (self.constant + self.weight * factors[1]) - self.gain * inner
    }
}

impl Codec for Bit1Codec {
    fn layout(&self) -> CodeLayout {
        CodeLayout { bytes: self.components.next_multiple_of(BIT1_BLOCK) / 8, factors: 2 }
    }

    fn train(&self, sample: &Sample<'_>) -> Vec<f32> {
        let rows: Vec<&[f32]> = sample.iter().map(|row| &row[..self.components]).collect();
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
            lengths.push(self.rest(row, 1.0, &centroid).1);
        }
        let kernel = KernelBit1::new();
        let centroid_length = norm(&centroid);
        let errors = doubt::pairs(rows.len()).map(|(from, to)| {
            let query = self.query(rows[from], &centroid);
            let (code, factors) = &encoded[to];
            let mut product = [0];
            kernel.many(&query.planes, &[code], &mut product);
            let exact: f32 = match self.metric {
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
        let row = &row[..self.components];
        let centroid =
            Parameters::of(parameters, self.components).map_or(&[][..], |learned| learned.centroid);
        let (rest, length) = self.rest(row, 1.0, centroid);
        pack_signs(&rest, code);
        let squared = length * length;
        let magnitudes: f32 = rest.iter().map(|x| x.abs()).sum();
        let factor = Some(squared / magnitudes).filter(|factor| factor.is_finite()).unwrap_or_default();
        let second = if self.metric == Metric::L2 { squared } else { inner(row, centroid) };
        factors.copy_from_slice(&[factor, second]);
    }
}

impl Encoding for Bit1 {
    fn codec(&self) -> Option<Arc<dyn Codec>> {
        Some(self.codec.clone())
    }

    fn scorer<'a>(&'a self, query: &'a [f32], rows: &'a dyn Rows) -> Box<dyn Scorer + 'a> {
        let codes = rows.codes();
        let learned = Parameters::of(codes.parameters(), self.codec.components);
        let centroid = learned.map_or(&[][..], |learned| learned.centroid);
        let query = self.codec.query(&query[..self.codec.components], centroid);
        let margin = match learned {
            Some(Parameters { error, length, .. }) if self.codec.components == rows.dimension() => {
                doubt::margin(error * self.codec.reach(&query, length, norm(centroid)))
            }
            // Nothing is known of the components left out, so every candidate is in doubt.
            _ => f32::INFINITY,
        };
        // The nearest estimates are those that erred most to that side, and a ratio to one that is all error means nothing: so
        // distances count as far as they may be. At equal recall that costs the same as distances as they are, within a tenth,
        // and a seventh to a third less than not to stop (two sets of text embeddings, recall from .98 to .99).
        let equal_length = learned.map(|learned| learned.equal_length);
        let shift = shift(self.codec.metric, query.whole_length, equal_length).map(|shift| shift + margin);
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
