//! The one SIMD algorithm, over a vector type of any width.
//!
//! ```text
//! for each group of four rows:
//!     for each block of 2 x WIDTH components:
//!         load the query's block once
//!         for each of the four rows: accumulate; prefetch the same block of the row four places on
//!     the tail: one block of WIDTH, then one partial load that reads nothing beyond the row
//! what is left of the rows: one at a time, with four accumulators
//! ```
//! Everything is `#[inline(always)]`: it takes the instruction set of the `#[target_feature]` function that
//! calls it.

use crate::prefetch::prefetch_line;

/// A vector of 32-bit floats.
///
/// # Safety
/// Every method needs the processor to have the implementor's instruction set; the loads need as many
/// readable floats at the pointer as they say.
pub(super) unsafe trait Lanes: Copy {
    /// Floats in a vector.
    const WIDTH: usize;
    unsafe fn zero() -> Self;
    /// Reads `WIDTH` floats, at any alignment.
    unsafe fn load(from: *const f32) -> Self;
    /// Reads `count < WIDTH` floats and fills up with zeros; touches nothing behind them.
    unsafe fn load_partial(from: *const f32, count: usize) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    /// `self * factor + addend`.
    unsafe fn multiply_add(self, factor: Self, addend: Self) -> Self;
    /// The sum of all lanes.
    unsafe fn sum(self) -> f32;
}

/// What is summed, and what becomes of the sum.
pub(super) trait Term {
    /// Adds the term of one pair of vectors to the accumulator.
    ///
    /// # Safety
    /// As for [`Lanes`].
    unsafe fn accumulate<L: Lanes>(sum: L, a: L, b: L) -> L;
    fn finish(sum: f32) -> f32;
}

pub(super) struct NegatedDot;
pub(super) struct SquaredEuclidean;

impl Term for NegatedDot {
    #[inline(always)]
    unsafe fn accumulate<L: Lanes>(sum: L, a: L, b: L) -> L {
        // SAFETY: the caller vouches for the instruction set.
        unsafe { a.multiply_add(b, sum) }
    }
    #[inline(always)]
    fn finish(sum: f32) -> f32 {
        -sum
    }
}

impl Term for SquaredEuclidean {
    #[inline(always)]
    unsafe fn accumulate<L: Lanes>(sum: L, a: L, b: L) -> L {
        // SAFETY: the caller vouches for the instruction set.
        unsafe {
            let difference = a.sub(b);
            difference.multiply_add(difference, sum)
        }
    }
    #[inline(always)]
    fn finish(sum: f32) -> f32 {
        sum
    }
}

/// The distance between two rows.
///
/// # Safety
/// The processor has the instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn one<L: Lanes, T: Term>(a: &[f32], b: &[f32]) -> f32 {
    assert!(a.len() == b.len(), "rows of {} and {} components", a.len(), b.len());
    let (count, a, b) = (a.len(), a.as_ptr(), b.as_ptr());
    // SAFETY: every load stays below `count`, the length of both rows; the caller vouches for the instruction
    // set.
    unsafe {
        let mut sums = [L::zero(); 4];
        let mut at = 0;
        while at + 4 * L::WIDTH <= count {
            for (i, sum) in sums.iter_mut().enumerate() {
                let from = at + i * L::WIDTH;
                *sum = T::accumulate(*sum, L::load(a.add(from)), L::load(b.add(from)));
            }
            at += 4 * L::WIDTH;
        }
        while at + L::WIDTH <= count {
            sums[0] = T::accumulate(sums[0], L::load(a.add(at)), L::load(b.add(at)));
            at += L::WIDTH;
        }
        if at < count {
            let (x, y) = (L::load_partial(a.add(at), count - at), L::load_partial(b.add(at), count - at));
            sums[1] = T::accumulate(sums[1], x, y);
        }
        T::finish(sums[0].add(sums[1]).add(sums[2].add(sums[3])).sum())
    }
}

/// The distances from a query to each of `rows`.
///
/// # Safety
/// The processor has the instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn many<L: Lanes, T: Term>(query: &[f32], rows: &[&[f32]], out: &mut [f32]) {
    super::check_lengths(query, rows, out);
    let (groups, rest) = rows.as_chunks::<4>();
    let (out_groups, out_rest) = out.as_chunks_mut::<4>();
    for (index, (group, distances)) in groups.iter().zip(out_groups).enumerate() {
        // Behind the last full group the rest is next; a place without a successor prefetches itself, which
        // is free.
        let ahead: [&[f32]; 4] =
            std::array::from_fn(|i| rows.get((index + 1) * 4 + i).map_or(group[i], |row| *row));
        // SAFETY: the instruction set is the caller's obligation; `check_lengths` has shown that all rows are
        // as long as the query.
        *distances = unsafe { four::<L, T>(query, group, &ahead) };
    }
    for (row, distance) in rest.iter().zip(out_rest) {
        // SAFETY: as above.
        *distance = unsafe { one::<L, T>(query, row) };
    }
}

/// Four distances at a time, the rows of `ahead` prefetched meanwhile.
///
/// # Safety
/// The processor has the instruction set of `L`; all rows are as long as the query.
#[inline(always)]
unsafe fn four<L: Lanes, T: Term>(query: &[f32], rows: &[&[f32]; 4], ahead: &[&[f32]; 4]) -> [f32; 4] {
    let count = query.len();
    let query = query.as_ptr();
    // SAFETY: every load stays below `count`, which the caller promises to be the length of all rows; a
    // prefetch may have any address.
    unsafe {
        let (mut even, mut odd) = ([L::zero(); 4], [L::zero(); 4]);
        let mut at = 0;
        while at + 2 * L::WIDTH <= count {
            let (first, second) = (L::load(query.add(at)), L::load(query.add(at + L::WIDTH)));
            for i in 0..4 {
                let row = rows[i].as_ptr().add(at);
                prefetch_line(ahead[i].as_ptr().wrapping_add(at));
                if L::WIDTH == 16 {
                    prefetch_line(ahead[i].as_ptr().wrapping_add(at + L::WIDTH));
                }
                even[i] = T::accumulate(even[i], first, L::load(row));
                odd[i] = T::accumulate(odd[i], second, L::load(row.add(L::WIDTH)));
            }
            at += 2 * L::WIDTH;
        }
        if at + L::WIDTH <= count {
            let first = L::load(query.add(at));
            for i in 0..4 {
                even[i] = T::accumulate(even[i], first, L::load(rows[i].as_ptr().add(at)));
            }
            at += L::WIDTH;
        }
        if at < count {
            let last = L::load_partial(query.add(at), count - at);
            for i in 0..4 {
                odd[i] = T::accumulate(odd[i], last, L::load_partial(rows[i].as_ptr().add(at), count - at));
            }
        }
        std::array::from_fn(|i| T::finish(even[i].add(odd[i]).sum()))
    }
}
