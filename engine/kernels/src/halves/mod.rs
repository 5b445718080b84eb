//! Distances between a query of 32-bit floats and rows of half floats.
//!
//! A half float has eleven bits of precision but reaches from 6e-8 to 65,504 only, so each row has a *scale*: its
//! components are the halves times that. With a power of two, as [`pack_f16`] wants it, that loses nothing.
//!
//! Half the bytes of the float kernels, the same sums in 32 bits: halves are widened in registers (`VCVTPH2PS`), which is
//! exact. So results of two instruction sets differ by the rounding of sums, never more.
//!
//! ```text
//! row = component * n       component = little-endian IEEE 754 binary16
//! ```
//! Four rows at a time, as the other kernels; rows further on are prefetched meanwhile.
//!
//! Nanoseconds for a row, ours / simsimd's (which compares half floats with half floats, a pair a call, without
//! prefetching), `benches/src/bin/kernels.rs` on an AMD Zen 5 with AVX-512, one core of two busy:
//!
//! | components | dot, cache | dot, memory | L2, cache | L2, memory |
//! |---|---|---|---|---|
//! | 384 | 9.7 / 39.6 | 55 / 323 | 11.2 / 42.4 | 60 / 345 |
//! | 768 | 21.9 / 79.7 | 98 / 444 | 25.1 / 86.0 | 103 / 486 |
//! | 1536 | 43.7 / 180 | 201 / 706 | 47.2 / 186 | 215 / 722 |

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;

use crate::distance::DistanceF32;
use crate::isa::Isa;
use crate::prefetch::prefetch;

/// Rows that are on their way to the cache while four are computed.
const AHEAD: usize = 8;

/// Bytes of a component.
const HALF_BYTES: usize = 2;

type Many = fn(&[f32], &[&[u8]], &[f32], &mut [f32]);

/// A distance to rows of half floats, on one instruction set.
#[derive(Clone, Copy, Debug)]
pub struct KernelF16 {
    many: Many,
}

impl KernelF16 {
    /// The kernel for this processor.
    pub fn new(distance: DistanceF32) -> Self {
        Self::with_isa(distance, Isa::current())
    }

    /// The kernel of a given level, lowered to what the processor has.
    pub fn with_isa(distance: DistanceF32, isa: Isa) -> Self {
        let many: Many = match (isa.min(Isa::detected()), distance) {
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx512 | Isa::Avx512Vnni | Isa::Amx, DistanceF32::NegatedDot) => avx512::negated_dot,
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx512 | Isa::Avx512Vnni | Isa::Amx, DistanceF32::SquaredEuclidean) => {
                avx512::squared_euclidean
            }
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx2, DistanceF32::NegatedDot) => avx2::negated_dot,
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx2, DistanceF32::SquaredEuclidean) => avx2::squared_euclidean,
            (_, DistanceF32::NegatedDot) => scalar::negated_dot,
            (_, DistanceF32::SquaredEuclidean) => scalar::squared_euclidean,
        };
        Self { many }
    }

    /// The distances from `query` to each of `rows`, whose components are its half floats times its place in
    /// `scales`, in `out`.
    ///
    /// # Panics
    /// If a row has not two bytes for each component of the query, or `rows`, `scales` and `out` differ in length.
    #[inline]
    pub fn many(&self, query: &[f32], rows: &[&[u8]], scales: &[f32], out: &mut [f32]) {
        assert!(rows.len() == out.len(), "{} rows, {} places for distances", rows.len(), out.len());
        assert!(rows.len() == scales.len(), "{} rows, {} scales", rows.len(), scales.len());
        for row in rows {
            let bytes = query.len() * HALF_BYTES;
            assert!(row.len() == bytes, "rows of {} and {bytes} bytes", row.len());
        }
        (self.many)(query, rows, scales, out);
    }
}

/// Writes a row's half floats: `x / scale`, rounded to the nearest; of a scale that is a power of two only the rounding
/// is lost.
///
/// # Panics
/// If `out` has not two bytes for each component.
pub fn pack_f16(row: &[f32], scale: f32, out: &mut [u8]) {
    let (places, rest) = out.as_chunks_mut::<HALF_BYTES>();
    assert!(rest.is_empty() && places.len() == row.len(), "two bytes a component");
    for (x, place) in row.iter().zip(places) {
        *place = half::f16::from_f32(x / scale).to_le_bytes();
    }
}

/// Reads a row's half floats, as [`pack_f16`] writes them with a scale of one.
///
/// # Panics
/// If `row` has not two bytes for each place of `out`.
pub fn unpack_f16(row: &[u8], out: &mut [f32]) {
    let (components, rest) = row.as_chunks::<HALF_BYTES>();
    assert!(rest.is_empty() && components.len() == out.len(), "two bytes a component");
    for (component, place) in components.iter().zip(out) {
        *place = half::f16::from_le_bytes(*component).to_f32();
    }
}

/// Calls `four` for each group of four rows, the last one filled up with its first row, while rows further on are
/// prefetched.
#[inline(always)]
fn in_fours(
    rows: &[&[u8]],
    scales: &[f32],
    out: &mut [f32],
    four: impl Fn(&[&[u8]; 4], [f32; 4]) -> [f32; 4],
) {
    rows.iter().take(AHEAD).for_each(|row| prefetch(row));
    let (groups, rest) = rows.as_chunks::<4>();
    let (scale_groups, rest_scales) = scales.as_chunks::<4>();
    let (out_groups, rest_out) = out.as_chunks_mut::<4>();
    let mut ahead = rows.get(AHEAD..).unwrap_or_default().iter();
    for ((group, scales), out) in groups.iter().zip(scale_groups).zip(out_groups) {
        ahead.by_ref().take(4).for_each(|row| prefetch(row));
        *out = four(group, *scales);
    }
    if let (Some(first), Some(scale)) = (rest.first(), rest_scales.first()) {
        let rows = std::array::from_fn(|i| *rest.get(i).unwrap_or(first));
        let distances = four(&rows, std::array::from_fn(|i| *rest_scales.get(i).unwrap_or(scale)));
        rest_out.copy_from_slice(&distances[..rest.len()]);
    }
}
