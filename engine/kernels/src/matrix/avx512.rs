//! AVX-512 F, BW, DQ and VL: sixteen lanes, thirty-two registers.

use std::arch::x86_64::*;

use super::entry::entry_points;
use super::vector::Vector;

/// Proof that the processor has AVX-512 F, BW, DQ and VL.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

/// Register-to-register operations, each one instruction.
macro_rules! operations {
    ($($name:ident($($argument:ident),+) = $instruction:expr;)+) => {$(
        #[inline(always)]
        fn $name(self, $($argument: __m512),+) -> __m512 {
            // SAFETY: `self` proves that the processor has the instruction.
            unsafe { $instruction }
        }
    )+};
}

impl Avx512 {
    /// The proof, where the caller's own features are it.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) fn new() -> Avx512 {
        Avx512(())
    }
}

impl Vector for Avx512 {
    type Lanes = __m512;
    const LANES: usize = 16;
    const TILE_ROWS: usize = 12;

    operations! {
        add(a, b) = _mm512_add_ps(a, b);
        subtract(a, b) = _mm512_sub_ps(a, b);
        multiply(a, b) = _mm512_mul_ps(a, b);
        divide(a, b) = _mm512_div_ps(a, b);
        multiply_add(a, b, c) = _mm512_fmadd_ps(a, b, c);
        least(a, b) = _mm512_min_ps(a, b);
        most(a, b) = _mm512_max_ps(a, b);
        round(a) = _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a);
        power_of_two(a) = {
            let exponent = _mm512_add_epi32(_mm512_cvtps_epi32(a), _mm512_set1_epi32(127));
            _mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent))
        };
    }

    #[inline(always)]
    fn prefetch(self, at: *const u8) {
        // SAFETY: prefetching reads nothing and faults nowhere.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        // SAFETY: `self` proves that the processor has the instruction.
        unsafe { _mm512_set1_ps(value) }
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m512 {
        // SAFETY: the caller guarantees sixteen readable numbers; `self` proves the instruction.
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn load_half(self, from: *const u16) -> __m512 {
        // SAFETY: the caller guarantees sixteen readable numbers; `self` proves the instruction.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
    }
    #[inline(always)]
    unsafe fn load_integers(self, from: *const i32) -> __m512 {
        // SAFETY: the caller guarantees sixteen readable numbers; `self` proves the instruction.
        unsafe { _mm512_cvtepi32_ps(_mm512_loadu_si512(from.cast())) }
    }
    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut u8, value: __m512) {
        // SAFETY: the caller guarantees sixteen writable bytes; `self` proves the instructions.
        unsafe {
            let integers = _mm512_max_epi32(_mm512_cvtps_epi32(value), _mm512_setzero_si512());
            _mm_storeu_si128(to.cast(), _mm512_cvtusepi32_epi8(integers));
        }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, value: __m512) {
        // SAFETY: the caller guarantees sixteen writable numbers; `self` proves the instruction.
        unsafe { _mm512_storeu_ps(to, value) }
    }
}

entry_points!(Avx512, Avx512(()), "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c");
