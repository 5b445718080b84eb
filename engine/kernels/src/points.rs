//! Which of some points are near another, 32 at a time.
//!
//! **Problem.** Of the rows along the rim of a circle each is compared with its centre, tens of thousands for a filter, and a bit is to say what
//! came of it. **Idea.** Coordinates lie together by axes, so that a few vectors are subtracted, squared and added, and what they are compared
//! with gives a bit for each. No product is fused with a sum: all levels give the same bits.

use crate::isa::Isa;

/// Points that are compared together: a bit of a word of 32 for each.
pub const POINTS: usize = 32;

/// The coordinates of some points: all `x`, all `y`, all `z`.
pub type Points = [[f32; POINTS]; 3];

/// Squares of distances that say what is near.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Squares {
    /// What is below is within.
    pub within: f32,
    /// What is neither below the one nor above the other is in doubt.
    pub beyond: f32,
}

/// A bit for each of some points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Near {
    /// Those that are below the bound.
    pub within: u32,
    /// Those that are neither below it nor beyond.
    pub in_doubt: u32,
}

type Compare = fn(&Points, [f32; 3], Squares) -> Near;

/// Compares points with another.
#[derive(Clone, Copy, Debug)]
pub struct KernelPoints {
    near: Compare,
}

impl KernelPoints {
    /// The kernel for this processor.
    pub fn new() -> Self {
        Self::with_isa(Isa::current())
    }

    /// The kernel of a given level, lowered to what the processor has.
    pub fn with_isa(isa: Isa) -> Self {
        match isa.min(Isa::detected()) {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => Self { near: x86::near_avx2 },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 | Isa::Avx512Vnni | Isa::Amx => Self { near: x86::near_avx512 },
            _ => Self { near },
        }
    }

    /// Which points are near a center: by the squares of their distances. What is no number is neither within nor in doubt.
    #[inline]
    pub fn near(&self, points: &Points, center: [f32; 3], squares: Squares) -> Near {
        (self.near)(points, center, squares)
    }
}

impl Default for KernelPoints {
    fn default() -> Self {
        Self::new()
    }
}

fn near(points: &Points, center: [f32; 3], squares: Squares) -> Near {
    let mut near = Near::default();
    let [xs, ys, zs] = points;
    for (at, ((x, y), z)) in xs.iter().zip(ys).zip(zs).enumerate() {
        let [x, y, z] = [x - center[0], y - center[1], z - center[2]];
        let square = x * x + y * y + z * z;
        near.within |= u32::from(square < squares.within) << at;
        near.in_doubt |= u32::from(square >= squares.within && square <= squares.beyond) << at;
    }
    near
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Near, POINTS, Points, Squares};

    pub(super) fn near_avx2(points: &Points, center: [f32; 3], squares: Squares) -> Near {
        const LANES: usize = 8;
        #[target_feature(enable = "avx2")]
        fn inner(points: &Points, center: [f32; 3], squares: Squares) -> Near {
            let center = center.map(|axis| _mm256_set1_ps(axis));
            let [within, beyond] = [squares.within, squares.beyond].map(|square| _mm256_set1_ps(square));
            let mut near = Near::default();
            for first in (0..POINTS).step_by(LANES) {
                let [x, y, z] = [0, 1, 2].map(|axis: usize| {
                    // SAFETY: eight of the 32 from a multiple of eight on.
                    let points = unsafe { _mm256_loadu_ps(points[axis][first..][..LANES].as_ptr()) };
                    let apart = _mm256_sub_ps(points, center[axis]);
                    _mm256_mul_ps(apart, apart)
                });
                let square = _mm256_add_ps(_mm256_add_ps(x, y), z);
                let below = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_LT_OQ>(square, within));
                let up_to = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_LE_OQ>(square, beyond));
                near.within |= (below as u32) << first;
                near.in_doubt |= ((up_to & !below) as u32) << first;
            }
            near
        }
        // SAFETY: the level has AVX2.
        unsafe { inner(points, center, squares) }
    }

    pub(super) fn near_avx512(points: &Points, center: [f32; 3], squares: Squares) -> Near {
        const LANES: usize = 16;
        #[target_feature(enable = "avx512f")]
        fn inner(points: &Points, center: [f32; 3], squares: Squares) -> Near {
            let center = center.map(|axis| _mm512_set1_ps(axis));
            let [within, beyond] = [squares.within, squares.beyond].map(|square| _mm512_set1_ps(square));
            let mut near = Near::default();
            for first in (0..POINTS).step_by(LANES) {
                let [x, y, z] = [0, 1, 2].map(|axis: usize| {
                    // SAFETY: sixteen of the 32 from a multiple of sixteen on.
                    let points = unsafe { _mm512_loadu_ps(points[axis][first..][..LANES].as_ptr()) };
                    let apart = _mm512_sub_ps(points, center[axis]);
                    _mm512_mul_ps(apart, apart)
                });
                let square = _mm512_add_ps(_mm512_add_ps(x, y), z);
                let below = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(square, within);
                let up_to = _mm512_cmp_ps_mask::<_CMP_LE_OQ>(square, beyond);
                near.within |= u32::from(below) << first;
                near.in_doubt |= u32::from(up_to & !below) << first;
            }
            near
        }
        // SAFETY: the level has AVX-512 F.
        unsafe { inner(points, center, squares) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Every level as the scalar one, which is as it is written: with what is no number, and squares that are just the bounds.
        #[test]
        fn near_points_are_told(
            coordinates in prop::collection::vec(prop_oneof![
                8 => -1.0_f32..=1.0,
                1 => Just(0.5_f32),
                1 => prop::sample::select(vec![f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 0.0]),
            ], 3 * POINTS),
            center in prop_oneof![Just([0.0_f32; 3]), any::<[i8; 3]>().prop_map(|axes| axes.map(|axis| f32::from(axis) / 128.0))],
            (within, wider) in (0.0_f32..4.0, prop_oneof![Just(0.0_f32), 0.0_f32..1.0]),
        ) {
            let points: Points = std::array::from_fn(|axis| std::array::from_fn(|at| coordinates[axis * POINTS + at]));
            // A point's own square is a bound of some cases.
            let of_first = (0..3).map(|axis| (points[axis][0] - center[axis]).powi(2)).sum::<f32>();
            let within = if wider == 0.0 && of_first.is_finite() { of_first } else { within };
            let squares = Squares { within, beyond: within + wider };
            let expected = near(&points, center, squares);
            prop_assert_eq!(expected.within & expected.in_doubt, 0);
            for isa in Isa::available() {
                prop_assert_eq!(KernelPoints::with_isa(isa).near(&points, center, squares), expected, "{:?}", isa);
            }
        }
    }

    #[test]
    fn bounds_are_in_doubt_and_what_is_no_number_is_nowhere() {
        let mut points = [[0.0; POINTS]; 3];
        points[0] = std::array::from_fn(|at| at as f32);
        points[1][1] = f32::INFINITY;
        points[2][2] = f32::NAN;
        for isa in Isa::available() {
            let near =
                KernelPoints::with_isa(isa).near(&points, [0.0; 3], Squares { within: 16.0, beyond: 36.0 });
            assert_eq!((near.within, near.in_doubt), (0b1001, 0b111_0000), "{isa:?}");
        }
    }
}
