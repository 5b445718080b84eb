//! AVX2 with FMA: eight floats at a time.

use std::arch::x86_64::*;

use super::generic::{Lanes, NegatedDot, SquaredEuclidean, many, one};

#[derive(Clone, Copy)]
struct F32x8(__m256);

/// A window of eight words from here on has as many ones, in front, as are wanted.
static MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

// SAFETY: each method uses AVX, AVX2 and FMA only, and reads exactly what its contract says.
unsafe impl Lanes for F32x8 {
    const WIDTH: usize = 8;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller vouches for AVX.
        Self(unsafe { _mm256_setzero_ps() })
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for AVX and for eight floats.
        Self(unsafe { _mm256_loadu_ps(from) })
    }
    #[inline(always)]
    unsafe fn load_partial(from: *const f32, count: usize) -> Self {
        debug_assert!(count < 8);
        // SAFETY: `count < 8`, so the window of eight lies inside the table; masked lanes are not read from
        // memory.
        Self(unsafe {
            let mask = _mm256_loadu_si256(MASKS.as_ptr().add(8 - count).cast());
            _mm256_maskload_ps(from, mask)
        })
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: the caller vouches for AVX.
        Self(unsafe { _mm256_sub_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller vouches for AVX.
        Self(unsafe { _mm256_add_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn multiply_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: the caller vouches for FMA.
        Self(unsafe { _mm256_fmadd_ps(self.0, factor.0, addend.0) })
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        // SAFETY: the caller vouches for AVX.
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }
}

// The instances of the one algorithm. They are safe to call: the dispatch hands them out only where the
// processor has the instruction set, and this module is visible to nothing else.

pub(super) fn negated_dot(a: &[f32], b: &[f32]) -> f32 {
    #[target_feature(enable = "avx2,fma")]
    fn inner(a: &[f32], b: &[f32]) -> f32 {
        // SAFETY: this function has the instruction set.
        unsafe { one::<F32x8, NegatedDot>(a, b) }
    }
    // SAFETY: the dispatch has asked the processor.
    unsafe { inner(a, b) }
}

pub(super) fn squared_euclidean(a: &[f32], b: &[f32]) -> f32 {
    #[target_feature(enable = "avx2,fma")]
    fn inner(a: &[f32], b: &[f32]) -> f32 {
        // SAFETY: this function has the instruction set.
        unsafe { one::<F32x8, SquaredEuclidean>(a, b) }
    }
    // SAFETY: the dispatch has asked the processor.
    unsafe { inner(a, b) }
}

pub(super) fn negated_dot_many(query: &[f32], rows: &[&[f32]], out: &mut [f32]) {
    #[target_feature(enable = "avx2,fma")]
    fn inner(query: &[f32], rows: &[&[f32]], out: &mut [f32]) {
        // SAFETY: this function has the instruction set.
        unsafe { many::<F32x8, NegatedDot>(query, rows, out) }
    }
    // SAFETY: the dispatch has asked the processor.
    unsafe { inner(query, rows, out) }
}

pub(super) fn squared_euclidean_many(query: &[f32], rows: &[&[f32]], out: &mut [f32]) {
    #[target_feature(enable = "avx2,fma")]
    fn inner(query: &[f32], rows: &[&[f32]], out: &mut [f32]) {
        // SAFETY: this function has the instruction set.
        unsafe { many::<F32x8, SquaredEuclidean>(query, rows, out) }
    }
    // SAFETY: the dispatch has asked the processor.
    unsafe { inner(query, rows, out) }
}
