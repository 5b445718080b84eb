//! BM25: what a term that a row has contributes to its score.
//!
//! Robertson and Zaragoza, *The Probabilistic Relevance Framework: BM25 and Beyond* (2009), with the inverse document frequency
//! that is never negative and without the constant factor `k1 + 1`, both as Lucene has them:
//!
//! ```text
//! score(row) = sum over fields   boost(field)
//!            * sum over terms    idf(term) * count / (count + k1 * (1 - b + b * length / average))
//! idf(term)  = ln(1 + (rows - rows with it + 0.5) / (rows with it + 0.5))          k1 = 1.2, b = 0.75
//! ```
//! `count`: how often the row's field has the term; `length`: of how many terms it consists; `rows`: those whose field has
//! any; `average`: of their lengths. A term that the query has twice counts twice. All of these are of the live rows of the
//! whole view, so a score depends on nothing else: not on segments, and not on rows that are gone.
//!
//! **Saturation.** The fraction is `1 / (1 + s)` with `s = (k1 (1 - b) + k1 b length / average) / count`, the smaller the better. A block
//! of postings keeps its least `s` at the average when it was written. With another average the second summand
//! changes by the quotient of both, so `s` is never less than what is kept, times that quotient if it is below one:
//! a bound that holds for ever, and is tight as long as averages are alike.
//!
//! **Sums.** Contributions are rounded to multiples of a power of two, such that every sum of them is exact in an f32: so the
//! order in which a search comes upon them does not matter, and the same row has the same score to the last bit,
//! wherever it lies. The power is 2^-22 of the greatest score that the query could have.

use super::index::{Index, Lengths};

const K1: f32 = 1.2;
const B: f32 = 0.75;
/// What rounding can take from a bound.
const SLACK: f32 = 1e-5;

/// What is known of a field over all live rows of a view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldStatistics {
    /// Rows whose text has a term at all.
    pub(crate) rows: u64,
    /// Terms of all of them, repeated ones too.
    pub(crate) terms: u64,
}

impl FieldStatistics {
    fn average(&self) -> f32 {
        (self.terms as f64 / self.rows.max(1) as f64).max(1.0) as f32
    }

    /// How much a term says that so many rows have.
    pub(super) fn idf(&self, rows_with_it: u64) -> f64 {
        let with = rows_with_it.min(self.rows) as f64;
        (1.0 + (self.rows as f64 - with + 0.5) / (with + 0.5)).ln()
    }
}

/// How the contributions of a field's terms saturate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Saturation<'a> {
    pub(super) lengths: Lengths<'a>,
    constant: f32,
    per_term: f32,
}

impl<'a> Saturation<'a> {
    pub(super) fn new(lengths: Lengths<'a>, statistics: &FieldStatistics) -> Self {
        Self { lengths, constant: K1 * (1.0 - B), per_term: K1 * B / statistics.average() }
    }

    #[inline]
    fn norm(&self, slot: u32) -> f32 {
        self.constant + self.per_term * self.lengths.get(slot) as f32
    }

    /// The least saturation of some rows, a little less for rounding.
    pub(super) fn least(&self, slots: &[u32], counts: &[u32]) -> f32 {
        let each = slots.iter().zip(counts).map(|(slot, count)| self.norm(*slot) / *count as f32);
        each.fold(f32::INFINITY, f32::min) * (1.0 - SLACK)
    }

    /// By what the least saturations are to be multiplied that were written with other averages.
    fn carry(&self, written: &FieldStatistics) -> f32 {
        (self.per_term * written.average() / (K1 * B)).min(1.0)
    }
}

/// What a term contributes, in multiples of `quantum`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bm25<'a> {
    saturation: Saturation<'a>,
    /// Of the bounds in the index.
    carry: f32,
    /// Boost, idf and how often the query has the term.
    weight: f32,
    quantum: Quantum,
}

impl<'a> Bm25<'a> {
    /// For a term of an index, of a field with these statistics.
    pub(super) fn new(index: &'a Index, statistics: &FieldStatistics, weight: f32, quantum: Quantum) -> Self {
        let saturation = Saturation::new(index.lengths(), statistics);
        Self { saturation, carry: saturation.carry(&index.info.statistics), weight, quantum }
    }

    /// The contributions of rows.
    #[inline]
    pub(super) fn contributions(&self, slots: &[u32], counts: &[u32], out: &mut Vec<f32>) {
        let start = out.len();
        let Saturation { lengths, constant, per_term } = self.saturation;
        lengths.map_into(slots, out, |length| constant + per_term * length as f32);
        for (out, count) in out[start..].iter_mut().zip(counts) {
            let count = *count as f32;
            *out = self.quantum.round(self.weight * (count / (count + *out)));
        }
    }

    /// What no row exceeds of which the index says that it has at least this saturation.
    pub(super) fn bound_at(&self, least: f32) -> f32 {
        // Damaged bytes may say anything; `max` makes a number of what is none.
        let fraction = 1.0 / (1.0 + (least * self.carry).max(0.0));
        self.quantum.round(self.weight * fraction * (1.0 + SLACK)) + self.quantum.0
    }
}

/// The power of two that scores are multiples of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quantum(f32);

impl Quantum {
    /// For scores up to `greatest`.
    pub(super) fn for_scores(greatest: f64) -> Self {
        let exponent = (greatest.max(f64::MIN_POSITIVE).log2().ceil() as i32).clamp(-60, 60);
        Self(2f32.powi(exponent - 22))
    }

    /// The nearest multiple, but at least one: whoever has a term has a score.
    #[inline]
    fn round(self, value: f32) -> f32 {
        // Adding and subtracting a number whose last bit is worth a quantum rounds to multiples of it.
        let magic = self.0 * (1u32 << 23) as f32;
        ((value + magic) - magic).max(self.0)
    }
}
