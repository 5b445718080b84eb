//! AVX-512: sixteen floats at a time.

use std::arch::x86_64::*;

use super::generic::{Lanes, NegatedDot, SquaredEuclidean, many, one};

#[derive(Clone, Copy)]
struct F32x16(__m512);

// SAFETY: each method uses AVX-512F only, and reads exactly what its contract says.
unsafe impl Lanes for F32x16 {
    const WIDTH: usize = 16;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller vouches for AVX-512F.
        Self(unsafe { _mm512_setzero_ps() })
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for AVX-512F and for sixteen floats.
        Self(unsafe { _mm512_loadu_ps(from) })
    }
    #[inline(always)]
    unsafe fn load_partial(from: *const f32, count: usize) -> Self {
        debug_assert!(count < 16);
        // SAFETY: the caller vouches for AVX-512F and for `count` floats; masked lanes are not read from
        // memory.
        Self(unsafe { _mm512_maskz_loadu_ps((1_u16 << count).wrapping_sub(1), from) })
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: the caller vouches for AVX-512F.
        Self(unsafe { _mm512_sub_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller vouches for AVX-512F.
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn multiply_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: the caller vouches for AVX-512F.
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, addend.0) })
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        // SAFETY: the caller vouches for AVX-512F.
        unsafe { _mm512_reduce_add_ps(self.0) }
    }
}

// The instances of the one algorithm. They are safe to call: the dispatch hands them out only where the
// processor has the instruction set, and this module is visible to nothing else.

pub(super) fn negated_dot(a: &[f32], b: &[f32]) -> f32 {
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn inner(a: &[f32], b: &[f32]) -> f32 {
        // SAFETY: this function has the instruction set.
        unsafe { one::<F32x16, NegatedDot>(a, b) }
    }
    // SAFETY: the dispatch has asked the processor.
    unsafe { inner(a, b) }
}

pub(super) fn squared_euclidean(a: &[f32], b: &[f32]) -> f32 {
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn inner(a: &[f32], b: &[f32]) -> f32 {
        // SAFETY: this function has the instruction set.
        unsafe { one::<F32x16, SquaredEuclidean>(a, b) }
    }
    // SAFETY: the dispatch has asked the processor.
    unsafe { inner(a, b) }
}

pub(super) fn negated_dot_many(query: &[f32], rows: &[&[f32]], out: &mut [f32]) {
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn inner(query: &[f32], rows: &[&[f32]], out: &mut [f32]) {
        // SAFETY: this function has the instruction set.
        unsafe { many::<F32x16, NegatedDot>(query, rows, out) }
    }
    // SAFETY: the dispatch has asked the processor.
    unsafe { inner(query, rows, out) }
}

pub(super) fn squared_euclidean_many(query: &[f32], rows: &[&[f32]], out: &mut [f32]) {
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn inner(query: &[f32], rows: &[&[f32]], out: &mut [f32]) {
        // SAFETY: this function has the instruction set.
        unsafe { many::<F32x16, SquaredEuclidean>(query, rows, out) }
    }
    // SAFETY: the dispatch has asked the processor.
    unsafe { inner(query, rows, out) }
}
