//! AVX2 with FMA and F16C: eight lanes, sixteen registers.

use std::arch::x86_64::*;

use super::entry::entry_points;
use super::vector::Vector;

/// Proof that the processor has AVX2, FMA and F16C.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

/// Register-to-register operations, each one instruction.
macro_rules! operations {
    ($($name:ident($($argument:ident),+) = $instruction:expr;)+) => {$(
        #[inline(always)]
        fn $name(self, $($argument: __m256),+) -> __m256 {
            // SAFETY: `self` proves that the processor has the instruction.
            unsafe { $instruction }
        }
    )+};
}

impl Avx2 {
    /// The proof, where the caller's own features are it.
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(super) fn new() -> Avx2 {
        Avx2(())
    }
}

impl Vector for Avx2 {
    type Lanes = __m256;
    const LANES: usize = 8;
    const TILE_ROWS: usize = 6;

    operations! {
        add(a, b) = _mm256_add_ps(a, b);
        subtract(a, b) = _mm256_sub_ps(a, b);
        multiply(a, b) = _mm256_mul_ps(a, b);
        divide(a, b) = _mm256_div_ps(a, b);
        multiply_add(a, b, c) = _mm256_fmadd_ps(a, b, c);
        least(a, b) = _mm256_min_ps(a, b);
        most(a, b) = _mm256_max_ps(a, b);
        round(a) = _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a);
        power_of_two(a) = {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(a), _mm256_set1_epi32(127));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))
        };
    }

    #[inline(always)]
    fn prefetch(self, at: *const u8) {
        // SAFETY: prefetching reads nothing and faults nowhere.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
    #[inline(always)]
    fn splat(self, value: f32) -> __m256 {
        // SAFETY: `self` proves that the processor has the instruction.
        unsafe { _mm256_set1_ps(value) }
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m256 {
        // SAFETY: the caller guarantees eight readable numbers; `self` proves the instruction.
        unsafe { _mm256_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn load_half(self, from: *const u16) -> __m256 {
        // SAFETY: the caller guarantees eight readable numbers; `self` proves the instruction.
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.cast())) }
    }
    #[inline(always)]
    unsafe fn load_integers(self, from: *const i32) -> __m256 {
        // SAFETY: the caller guarantees eight readable numbers; `self` proves the instruction.
        unsafe { _mm256_cvtepi32_ps(_mm256_loadu_si256(from.cast())) }
    }
    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut u8, value: __m256) {
        // SAFETY: the caller guarantees eight writable bytes; `self` proves the instructions.
        unsafe {
            let integers = _mm256_cvtps_epi32(value);
            let (low, high) = (_mm256_castsi256_si128(integers), _mm256_extracti128_si256::<1>(integers));
            let bytes = _mm_packus_epi16(_mm_packs_epi32(low, high), _mm_setzero_si128());
            _mm_storel_epi64(to.cast(), bytes);
        }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, value: __m256) {
        // SAFETY: the caller guarantees eight writable numbers; `self` proves the instruction.
        unsafe { _mm256_storeu_ps(to, value) }
    }
}

entry_points!(Avx2, Avx2(()), "avx2,fma,f16c");
