//! A bit a component beside the codes, by which a scan rules rows out.
//!
//! **Problem.** A filter may leave half of all rows, none of them near the query: no walk finds the nearest of them quickly,
//! and comparing the codes of 30,000 rows takes as long as ten walks. **Idea.** A sketch is a fourth of the shortest code,
//! and tells how near a row may be at most (`ragstone_kernels::KernelSketch`, after RaBitQ): of the rows of a scan the codes of
//! few are compared, the exact vectors of fewer, and the result is the same but for rare rows (see below). So scans are the
//! better way up to tens of thousands of rows.
//!
//! ```text
//! sketch     = the signs of r, the row less the centroid, rotated                (`centred.rs`)
//! factors    = its two factors, each the upper half of a 32-bit float: the first in the upper half of a u32 | the second
//! parameters = error | usual length of r | greatest |second factor| | centroid
//! distance  >= constant + weight second - gain first (<s, q'> + DEVIATIONS error |q'|)
//! ```
//! The error is that of `first <s, q'>` in the root of the mean square, measured on pairs of rows at training as a part of
//! `first |q'|`. The first factor grows with the length of `r`, so every row gets the doubt that is its own. Two deviations leave
//! out one row in forty of those that belong to the result, if it lies just within the bound, and hardly any of the nearer
//! ones; with three, which leave out one in a thousand, more codes are compared for rows that are rarely missed.
//!
//! Sketches are a section of the segment's file, made when it is sealed (1.5 us a row), not when it is opened or first
//! scanned: opening takes no longer for a large file, and no search has to wait. A row takes `ceil(dimension / 64) * 8 + 4`
//! bytes, 52 at 384 components. Sketches are of all components, also where the walk compares a prefix.
//!
//! There are none where they would not help: of up to [`DIMENSION_MIN`] components, whose codes are as short as a cache
//! line or two; with one-bit codes, which are sketches; with `f32`, whose scans are exact.

use std::ops::Range;

use ragstone_kernels::{
    KernelSketch, SKETCH_BLOCK, SKETCH_PLANES, SKETCH_WORD, SketchBound, SketchQuery, SketchRows, norm,
    pack_factors, pack_sketch, sketch_bytes, unpack_factors,
};
use rayon::prelude::*;

use super::centred::{Centred, QueryRest, RowRest, centroid, inner};
use super::codes::Sample;
use super::rows::{RowsError, SharedBytes};
use super::{Rows, Slot, doubt};
use crate::schema::{DenseOptions, EncodingKind, Metric};

/// Components from which on rows have sketches.
const DIMENSION_MIN: usize = 129;
/// Rows encoded at a time by a thread.
const ENCODED: usize = 256;
/// What half a float loses, as a part of it.
const HALF_ROUNDING: f32 = 1.0 / 256.0;
/// Greatest level of a query's component, from zero on.
const LEVEL_MAX: f32 = ((1 << SKETCH_PLANES) - 1) as f32;
/// Half the distance of the query's levels in deviations of its components: the best for a normal distribution (Max 1960).
const HALF_STEP: f32 = 0.498;
/// Standard deviations of the error that a row gets in doubt.
const DEVIATIONS: f32 = 2.0;

/// Makes sketches and queries for them.
#[derive(Debug)]
pub(crate) struct Sketcher {
    centred: Centred,
    kernel: KernelSketch,
    /// Bits of a row.
    bits: usize,
}

/// What was learned from the rows.
#[derive(Clone, Copy)]
struct Parameters<'a> {
    error: f32,
    length: f32,
    second: f32,
    centroid: &'a [f32],
}

impl<'a> Parameters<'a> {
    /// `None` if these are not the parameters of rows of so many components.
    fn of(parameters: &'a [f32], components: usize) -> Option<Self> {
        match parameters {
            [error, length, second, centroid @ ..] if centroid.len() == components => {
                Some(Self { error: *error, length: *length, second: *second, centroid })
            }
            _ => None,
        }
    }
}

/// A row without its place.
struct Encoded {
    signs_of: Vec<f32>,
    length: f32,
    factors: u32,
}

/// The sketches of rows, with what was learned from them.
#[derive(Clone, Debug)]
pub(crate) struct MadeSketches {
    pub(crate) codes: Vec<u8>,
    pub(crate) factors: Vec<u32>,
    pub(crate) parameters: Vec<f32>,
}

impl Sketcher {
    /// For the sealed segments of a dense vector; `None` where sketches do not help.
    pub(crate) fn new(options: &DenseOptions) -> Option<Self> {
        let dimension = options.dimension;
        let is_exact = options.encoding == EncodingKind::F32 && options.walked() == dimension;
        if dimension < DIMENSION_MIN || is_exact || options.encoding == EncodingKind::Bit1 {
            return None;
        }
        let bits = dimension.next_multiple_of(SKETCH_WORD);
        let centred = Centred::new(options.metric, dimension, bits);
        Some(Self { centred, kernel: KernelSketch::new(), bits })
    }

    /// What a row takes.
    #[cfg(test)]
    pub(crate) fn row_bytes(&self) -> usize {
        self.bits / 8 + size_of::<u32>()
    }

    fn words(&self) -> usize {
        self.bits / SKETCH_WORD
    }

    /// Learns from a sample of rows and makes the sketches of all, with every thread of the current rayon pool.
    pub(crate) fn make(&self, sample: &Sample<'_>, rows: &dyn Rows) -> MadeSketches {
        let parameters = self.train(sample);
        let mut codes = vec![0; sketch_bytes(rows.len(), self.words())];
        let mut factors = vec![0; rows.len()];
        let chunks =
            codes.par_chunks_mut(ENCODED / SKETCH_BLOCK * self.bits).zip(factors.par_chunks_mut(ENCODED));
        chunks.enumerate().for_each(|(chunk, (codes, factors))| {
            let centroid = &parameters[parameters.len() - self.centred.components..];
            for (number, factors) in factors.iter_mut().enumerate() {
                let row = self.encode(&rows.row(Slot((chunk * ENCODED + number) as u32)), centroid);
                // As many bytes as a row has bits: eight rows.
                let block = &mut codes[number / SKETCH_BLOCK * self.bits..][..self.bits];
                pack_sketch(&row.signs_of, block, number % SKETCH_BLOCK);
                *factors = row.factors;
            }
        });
        MadeSketches { codes, factors, parameters }
    }

    fn encode(&self, row: &[f32], centroid: &[f32]) -> Encoded {
        let RowRest { signs_of, length, factors: [first, second] } = self.centred.row(row, centroid);
        // What is a length must not be made longer by rounding: the distance is a least one.
        let second = if self.centred.metric == Metric::L2 { second * (1.0 - HALF_ROUNDING) } else { second };
        Encoded { signs_of, length, factors: pack_factors(first, second) }
    }

    fn train(&self, sample: &Sample<'_>) -> Vec<f32> {
        let centroid = centroid(sample);
        let encoded: Vec<Encoded> = sample.iter().map(|row| self.encode(row, &centroid)).collect();
        let queries: Vec<(QueryRest, Levels)> = sample
            .iter()
            .map(|row| {
                let rest = self.centred.query(row, &centroid);
                let levels = Levels::new(&rest.rest);
                (rest, levels)
            })
            .collect();
        let errors = doubt::pairs(sample.len()).map(|(from, to)| {
            let ((query, levels), row) = (&queries[from], &encoded[to]);
            let first = unpack_factors(row.factors).0;
            let estimate = first * levels.scale * levels.product(&row.signs_of) as f32;
            (estimate - inner(&row.signs_of, &query.rest)) / (first * query.length)
        });
        let error = doubt::root_mean_square(errors);
        let length = doubt::usual_length(encoded.iter().map(|row| row.length).collect());
        let second = encoded.iter().map(|row| unpack_factors(row.factors).1.abs()).fold(0.0, f32::max);
        [&[error, length, second][..], &centroid].concat()
    }

    /// What sifts these rows for this query; `None` if they have no sketches.
    pub(crate) fn sieve<'a>(&self, query: &[f32], rows: &'a dyn Rows) -> Option<Sieve<'a>> {
        let sketches = rows.sketches()?;
        let learned = Parameters::of(sketches.parameters, self.centred.components)?;
        let rest = self.centred.query(query, learned.centroid);
        let levels = Levels::new(&rest.rest);
        let lost = match self.centred.metric {
            Metric::L2 => 0.0,
            Metric::Cosine | Metric::Dot => rest.weight.abs() * learned.second * HALF_ROUNDING,
        };
        let rounding = self.centred.rounding(&rest, learned.length, norm(learned.centroid));
        let bound = SketchBound {
            constant: rest.constant - rounding - lost,
            weight: rest.weight,
            scale: rest.gain * levels.scale,
            slack: rest.gain * DEVIATIONS * learned.error * rest.length,
        };
        let query = SketchQuery::new(&levels.components, bound);
        Some(Sieve { kernel: self.kernel, query, rows: sketches.rows })
    }
}

/// The rest of a query in odd integers.
struct Levels {
    components: Vec<i8>,
    /// What a product of one stands for: such that the query's product with itself is right.
    scale: f32,
}

impl Levels {
    fn new(rest: &[f32]) -> Self {
        let squared: f32 = rest.iter().map(|x| x * x).sum();
        let inverse = 1.0 / (HALF_STEP * (squared / rest.len() as f32).sqrt());
        let half = if inverse.is_finite() { inverse / 2.0 } else { 0.0 };
        // The odd integer nearest to a quotient is twice the half's floor and one; the conversion cuts.
        let levels = 1 << SKETCH_PLANES;
        let level = |x: f32| 2 * (x * half + levels as f32 / 2.0).clamp(0.0, LEVEL_MAX) as i32 + 1 - levels;
        let components: Vec<i8> = rest.iter().map(|x| level(*x) as i8).collect();
        let product: f32 = rest.iter().zip(&components).map(|(x, level)| x * f32::from(*level)).sum();
        let scale = Some(squared / product).filter(|scale| scale.is_finite()).unwrap_or_default();
        Self { components, scale }
    }

    /// The product with a row's signs.
    fn product(&self, signs_of: &[f32]) -> i32 {
        let signed = |(x, level): (&f32, &i8)| if *x >= 0.0 { i32::from(*level) } else { -i32::from(*level) };
        signs_of.iter().zip(&self.components).map(signed).sum()
    }
}

/// Rules rows out by their sketches.
pub(crate) struct Sieve<'a> {
    kernel: KernelSketch,
    query: SketchQuery,
    rows: SketchRows<'a>,
}

impl Sieve<'_> {
    /// Appends the rows whose distance may be `bound` or less to `out`, in order. Bit `i` of `bits` is row `first + i`; panics
    /// if one is no row's.
    pub(crate) fn sift(&self, (bits, first): (&[usize], usize), bound: f32, out: &mut Vec<u32>) {
        self.kernel.sift(&self.query, self.rows, (bits, first), bound, out);
    }
}

/// Sketches wherever they lie.
#[derive(Clone, Copy)]
pub(crate) struct SketchesRef<'a> {
    rows: SketchRows<'a>,
    parameters: &'a [f32],
}

/// Sketches in immutable bytes.
///
/// # Bytes
/// ```text
/// sketches   = blocks of eight rows, a bit a component, as the kernel has them
/// factors    = u32 * rows
/// parameters = f32 *
/// ```
#[derive(Clone)]
pub(crate) struct SealedSketches {
    bytes: SharedBytes,
    codes: Range<usize>,
    factors: Range<usize>,
    parameters: Vec<f32>,
    words: usize,
}

impl SealedSketches {
    /// The sketches of `rows` rows in the given ranges.
    pub(crate) fn new(
        bytes: SharedBytes,
        [codes, factors, parameters]: [Range<usize>; 3],
        sketcher: &Sketcher,
        rows: usize,
    ) -> Result<Self, RowsError> {
        let all = (*bytes).as_ref();
        let part = |range: &Range<usize>| {
            let outside = RowsError::Range { start: range.start, end: range.end, len: all.len() };
            all.get(range.clone()).ok_or(outside)
        };
        let length = |bytes: &[u8], wanted: usize| match bytes.len() == wanted {
            true => Ok(()),
            false => Err(RowsError::Length { len: bytes.len(), row_bytes: wanted / rows.max(1) }),
        };
        let words = sketcher.words();
        length(part(&codes)?, sketch_bytes(rows, words))?;
        length(part(&factors)?, rows * size_of::<u32>())?;
        bytemuck::try_cast_slice::<u8, u32>(part(&factors)?)
            .map_err(|_| RowsError::Alignment { start: factors.start })?;
        let parameters = bytemuck::try_cast_slice::<u8, f32>(part(&parameters)?)
            .map_err(|_| RowsError::Alignment { start: parameters.start })?
            .to_vec();
        Ok(Self { bytes, codes, factors, parameters, words })
    }

    pub(super) fn view(&self) -> SketchesRef<'_> {
        let all = (*self.bytes).as_ref();
        let factors = bytemuck::cast_slice(&all[self.factors.clone()]);
        let rows = SketchRows::new(&all[self.codes.clone()], factors, self.words);
        SketchesRef { rows, parameters: &self.parameters }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::schema::ElementType;
    use crate::vectors::{Encodings, SealedRows};

    const METRICS: [Metric; 3] = [Metric::Cosine, Metric::Dot, Metric::L2];

    /// SplitMix64 as a stream of numbers between -1 and 1.
    fn random(state: &mut u64) -> f32 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    /// Rows off the origin, of one length under cosine and of several else.
    fn rows_of(count: usize, dimension: usize, metric: Metric) -> Vec<f32> {
        let state = &mut (dimension as u64);
        let mut rows: Vec<f32> =
            (0..count * dimension).map(|i| random(state) + (i % dimension % 3) as f32 * 0.2).collect();
        for (number, row) in rows.chunks_exact_mut(dimension).enumerate() {
            let length = if metric == Metric::Cosine { 1.0 } else { 0.5 + (number % 8) as f32 };
            let factor = length / norm(row);
            row.iter_mut().for_each(|x| *x *= factor);
        }
        rows
    }

    fn sealed(rows: &[f32], dimension: usize, sketcher: &Sketcher) -> SealedRows {
        let bytes: SharedBytes = Arc::new(bytemuck::cast_slice::<f32, u8>(rows).to_vec());
        let length = rows.len() * 4;
        let plain = SealedRows::new(bytes, 0..length, (dimension, ElementType::F32)).unwrap();
        let sample: Vec<&[f32]> = rows.chunks_exact(dimension).collect();
        let made = sketcher.make(&sample, &plain);
        let mut all = made.codes;
        let codes = 0..all.len();
        all.extend(made.factors.iter().flat_map(|factors| factors.to_le_bytes()));
        let factors = codes.end..all.len();
        all.extend(made.parameters.iter().flat_map(|value| value.to_le_bytes()));
        let parameters = factors.end..all.len();
        let all: SharedBytes = Arc::new(all);
        for wrong in [
            [codes.start..codes.end - 64, factors.clone(), parameters.clone()],
            [codes.clone(), factors.start..factors.end - 4, parameters.clone()],
            [codes.clone(), factors.clone(), parameters.start..parameters.end + 4],
            [codes.clone(), factors.clone(), parameters.start + 1..parameters.end],
        ] {
            assert!(SealedSketches::new(all.clone(), wrong, sketcher, plain.len()).is_err());
        }
        let sketches = SealedSketches::new(all, [codes, factors, parameters], sketcher, plain.len());
        plain.with_sketches(sketches.unwrap())
    }

    /// Of the rows within a distance nearly all stay, and most others go.
    #[test]
    fn near_rows_stay_under_every_metric() {
        for metric in METRICS {
            for dimension in [129, 200, 384] {
                let encodings = Encodings::new(&DenseOptions::new(dimension).metric(metric));
                let all = rows_of(1_003, dimension, metric);
                let rows = sealed(&all, dimension, encodings.sketcher.as_ref().unwrap());
                let slots: Vec<Slot> = (0..rows.len() as u32).map(Slot).collect();
                let bits: Vec<usize> = (0..rows.len().div_ceil(64))
                    .map(
                        |word| {
                            if word == rows.len() / 64 { (1 << (rows.len() % 64)) - 1 } else { usize::MAX }
                        },
                    )
                    .collect();
                let (mut near, mut stayed, mut kept) = (0, 0, 0);
                for query in all.chunks_exact(dimension).step_by(50) {
                    let mut distances = vec![0.0; rows.len()];
                    encodings.exact_scorer(query, &rows).score(&slots, &mut distances);
                    let mut sorted = distances.clone();
                    sorted.sort_unstable_by(f32::total_cmp);
                    let mut out = Vec::new();
                    encodings.sieve(query, &rows).unwrap().sift((&bits, 0), sorted[20], &mut out);
                    kept += out.len();
                    near += 20;
                    stayed += out.iter().filter(|slot| distances[**slot as usize] < sorted[20]).count();
                }
                assert!(stayed * 100 >= near * 96, "{metric:?} {dimension}: {stayed} of {near}");
                assert!(kept * 10 < rows.len() * 21 * 7, "{metric:?} {dimension}: {kept}");
            }
        }
    }

    #[test]
    fn sketches_are_where_they_help() {
        let has = |options: DenseOptions| Sketcher::new(&options).is_some();
        assert!(has(DenseOptions::new(129)) && !has(DenseOptions::new(128)));
        assert!(!has(DenseOptions::new(384).encoding(EncodingKind::F32)));
        assert!(has(DenseOptions::new(384).encoding(EncodingKind::F32).walk_dimension(64)));
        assert!(!has(DenseOptions::new(384).encoding(EncodingKind::Bit1)));
    }
}
