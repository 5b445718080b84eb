//! Distances between rows of 32-bit floats.
//!
//! A search spends nearly all its time here, and most of that waiting for memory. So the unit of work is a
//! *batch*, one query against many rows, four rows at a time: the query is loaded once for four rows, eight
//! accumulators keep both multipliers busy, and while four rows are computed the next four are on their way
//! to the cache.
//!
//! The layers: [`scalar`] is the reference and the portable path; `generic` is the one SIMD algorithm, over a
//! trait of a dozen operations; `avx2` and `avx512` implement that trait and instantiate the algorithm;
//! [`KernelF32`] is the one dispatch, made once. All of them sum in 32 bits: results of two levels differ by
//! rounding, never more.
//!
//! Nanoseconds for a row, ours / simsimd's (a pair a call, without prefetching), with AVX-512
//! (`benches/src/bin/kernels.rs` on an AMD Zen 5, one core of two busy):
//!
//! | components | dot, cache | dot, memory | L2, cache | L2, memory |
//! |---|---|---|---|---|
//! | 384 | 17.3 / 31.0 | 80 / 423 | 17.6 / 29.3 | 70 / 191 |
//! | 768 | 26.4 / 41.1 | 109 / 250 | 26.2 / 41.0 | 114 / 271 |
//! | 1536 | 55.3 / 77.8 | 197 / 483 | 54.2 / 79.2 | 224 / 524 |

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod generic;
mod scalar;

use crate::isa::Isa;

/// What is computed between two rows. Smaller is nearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DistanceF32 {
    /// The inner product, negated.
    NegatedDot,
    /// The squared Euclidean distance.
    SquaredEuclidean,
}

type One = fn(&[f32], &[f32]) -> f32;
type Many = fn(&[f32], &[&[f32]], &mut [f32]);

/// A distance on one instruction set, chosen once and then called without further branches.
#[derive(Clone, Copy, Debug)]
pub struct KernelF32 {
    one: One,
    many: Many,
}

impl KernelF32 {
    /// The kernel for this processor.
    pub fn new(distance: DistanceF32) -> Self {
        Self::with_isa(distance, Isa::current())
    }

    /// The kernel of a given level, lowered to what the processor has.
    pub fn with_isa(distance: DistanceF32, isa: Isa) -> Self {
        match (isa.min(Isa::detected()), distance) {
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx512 | Isa::Avx512Vnni | Isa::Amx, DistanceF32::NegatedDot) => {
                Self { one: avx512::negated_dot, many: avx512::negated_dot_many }
            }
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx512 | Isa::Avx512Vnni | Isa::Amx, DistanceF32::SquaredEuclidean) => {
                Self { one: avx512::squared_euclidean, many: avx512::squared_euclidean_many }
            }
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx2, DistanceF32::NegatedDot) => {
                Self { one: avx2::negated_dot, many: avx2::negated_dot_many }
            }
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx2, DistanceF32::SquaredEuclidean) => {
                Self { one: avx2::squared_euclidean, many: avx2::squared_euclidean_many }
            }
            (_, DistanceF32::NegatedDot) => Self { one: scalar::negated_dot, many: scalar::negated_dot_many },
            (_, DistanceF32::SquaredEuclidean) => {
                Self { one: scalar::squared_euclidean, many: scalar::squared_euclidean_many }
            }
        }
    }

    /// The distance between two rows.
    ///
    /// # Panics
    /// If the rows differ in length.
    #[inline]
    pub fn one(&self, a: &[f32], b: &[f32]) -> f32 {
        (self.one)(a, b)
    }

    /// The distances from `query` to each of `rows`, in `out`.
    ///
    /// # Panics
    /// If a row differs in length from the query, or `out` from `rows`.
    #[inline]
    pub fn many(&self, query: &[f32], rows: &[&[f32]], out: &mut [f32]) {
        (self.many)(query, rows, out);
    }
}

/// The Euclidean length of a row, right also where the squares of its components overflow or vanish.
///
/// The same on every processor, to the last bit: graphs are built on lengths, and a graph does not depend on where it
/// is built. So it has one path, summed in a fixed order.
pub fn norm(row: &[f32]) -> f32 {
    let squares = scalar::squares(row);
    // Between these bounds no partial sum can have lost more than rounding.
    if squares.is_finite() && squares > 1e-30 {
        return squares.sqrt();
    }
    let wide = row.iter().fold(0.0, |sum, x| sum + f64::from(*x) * f64::from(*x));
    wide.sqrt() as f32
}

/// One check for all the kernels, so that the loops behind it need none.
#[inline(always)]
fn check_lengths(query: &[f32], rows: &[&[f32]], out: &[f32]) {
    assert!(rows.len() == out.len(), "{} rows, {} places for distances", rows.len(), out.len());
    for row in rows {
        assert!(row.len() == query.len(), "rows of {} and {} components", query.len(), row.len());
    }
}
