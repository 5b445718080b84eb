//! What a row's value is worth to a clause: BM25 of counts, products of weights.

use std::ops::AddAssign;

use super::super::bm25::Bm25;
use super::super::index::{Block, Postings};

/// A sum of contributions.
pub(in crate::text) trait Score: Copy + PartialOrd + AddAssign + std::fmt::Debug {
    /// What a row has that no clause contributed to: a zero that no sum gives, as none is added that has its sign.
    const UNTOUCHED: Self;
    /// The sum of nothing.
    const ZERO: Self;

    fn is_touched(self) -> bool;

    /// For answers.
    fn to_f32(self) -> f32;

    /// A sum of bounds, made greater by what rounding may have taken.
    fn plus(self, other: Self) -> Self;

    fn minus(self, other: Self) -> Self;
}

impl Score for f32 {
    const UNTOUCHED: f32 = -0.0;
    const ZERO: f32 = 0.0;

    #[inline]
    fn is_touched(self) -> bool {
        self.to_bits() != Self::UNTOUCHED.to_bits()
    }

    fn to_f32(self) -> f32 {
        self
    }

    // All are multiples of one quantum: nothing is rounded.
    #[inline]
    fn plus(self, other: f32) -> f32 {
        self + other
    }

    #[inline]
    fn minus(self, other: f32) -> f32 {
        self - other
    }
}

/// Sums of bounds exceed those of contributions by this share.
const SLACK: f64 = 1e-12;

impl Score for f64 {
    const UNTOUCHED: f64 = -0.0;
    const ZERO: f64 = 0.0;

    #[inline]
    fn is_touched(self) -> bool {
        self.to_bits() != Self::UNTOUCHED.to_bits()
    }

    fn to_f32(self) -> f32 {
        self as f32
    }

    #[inline]
    fn plus(self, other: f64) -> f64 {
        let sum = self + other;
        sum + (self.abs() + other.abs()) * SLACK
    }

    #[inline]
    fn minus(self, other: f64) -> f64 {
        let difference = self - other;
        difference - (self.abs() + other.abs()) * SLACK
    }
}

/// What a clause makes of the values beside its slots.
pub(in crate::text) trait Weighing {
    type Score: Score;

    /// Whether no contribution is less than zero: what one clause gives, no other takes away.
    const ADDS: bool;

    /// Appends the contributions of rows. None has the sign of [`Score::UNTOUCHED`] if it is zero.
    fn contributions(&self, slots: &[u32], values: &[u32], out: &mut Vec<Self::Score>);

    /// What no row of a block exceeds, at least zero; for all blocks of a list that has no bounds, `None`.
    fn bound(&self, postings: &Postings<'_>, block: usize) -> Option<Self::Score>;
}

impl Weighing for Bm25<'_> {
    type Score = f32;

    const ADDS: bool = true;

    fn contributions(&self, slots: &[u32], values: &[u32], out: &mut Vec<f32>) {
        Bm25::contributions(self, slots, values, out);
    }

    fn bound(&self, postings: &Postings<'_>, block: usize) -> Option<f32> {
        Some(self.bound_at(postings.skip(block)?.bound))
    }
}

/// The products of a query's weight with those of rows.
#[derive(Clone, Copy, Debug)]
pub(in crate::text) struct Dot {
    pub(in crate::text) weight: f32,
}

impl Dot {
    #[inline]
    fn times(&self, value: f32) -> f64 {
        let product = f64::from(self.weight) * f64::from(value);
        // Damaged bytes may say anything; and no zero has a sign.
        if product.is_finite() { product + 0.0 } else { 0.0 }
    }
}

impl Weighing for Dot {
    type Score = f64;

    const ADDS: bool = false;

    fn contributions(&self, _: &[u32], values: &[u32], out: &mut Vec<f64>) {
        out.extend(values.iter().map(|value| self.times(f32::from_bits(*value))));
    }

    fn bound(&self, postings: &Postings<'_>, block: usize) -> Option<f64> {
        let skip = postings.skip(block)?;
        Some(self.times(skip.bound).max(self.times(skip.least)).max(0.0))
    }
}

/// Reads a block and weighs it.
pub(in crate::text) fn weigh<W: Weighing>(
    weighing: &W,
    postings: &Postings<'_>,
    at: usize,
    block: &mut Block,
    out: &mut Vec<W::Score>,
) {
    postings.read(at, block);
    weighing.contributions(block.slots(), block.values(), out);
}
