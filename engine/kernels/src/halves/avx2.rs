//! AVX2 with FMA and F16C: eight half floats become a register of floats.

use std::arch::x86_64::*;

use super::{HALF_BYTES, in_fours};

pub(super) fn negated_dot(query: &[f32], rows: &[&[u8]], scales: &[f32], out: &mut [f32]) {
    #[target_feature(enable = "avx2,fma,f16c")]
    fn inner(query: &[f32], rows: &[&[u8]], scales: &[f32], out: &mut [f32]) {
        in_fours(rows, scales, out, |rows, scales| {
            // SAFETY: this function has the instruction set; the dispatch has checked that rows have two bytes for
            // each component of the query.
            let sums = unsafe { four::<false>(query, rows, scales) };
            std::array::from_fn(|i| -scales[i] * sums[i])
        });
    }
    // SAFETY: the dispatch has asked the processor.
    unsafe { inner(query, rows, scales, out) }
}

pub(super) fn squared_euclidean(query: &[f32], rows: &[&[u8]], scales: &[f32], out: &mut [f32]) {
    #[target_feature(enable = "avx2,fma,f16c")]
    fn inner(query: &[f32], rows: &[&[u8]], scales: &[f32], out: &mut [f32]) {
        // SAFETY: this function has the instruction set; the dispatch has checked that rows have two bytes for each
        // component of the query.
        in_fours(rows, scales, out, |rows, scales| unsafe { four::<true>(query, rows, scales) });
    }
    // SAFETY: the dispatch has asked the processor.
    unsafe { inner(query, rows, scales, out) }
}

/// The sums of squared differences if `SQUARED`, else of products, not scaled.
///
/// # Safety
/// The processor has the instruction set; all rows have two bytes for each component of the query.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn four<const SQUARED: bool>(query: &[f32], rows: &[&[u8]; 4], scales: [f32; 4]) -> [f32; 4] {
    let count = query.len();
    let scales = scales.map(|scale| _mm256_set1_ps(scale));
    let (mut even, mut odd) = ([_mm256_setzero_ps(); 4], [_mm256_setzero_ps(); 4]);
    let mut at = 0;
    // SAFETY: every load stays below `count` components of the query and of all rows, the last ones go through
    // buffers of eight.
    unsafe {
        while at + 16 <= count {
            let first = _mm256_loadu_ps(query.as_ptr().add(at));
            let second = _mm256_loadu_ps(query.as_ptr().add(at + 8));
            for i in 0..4 {
                let row = rows[i].as_ptr().add(at * HALF_BYTES);
                let halves = _mm256_cvtph_ps(_mm_loadu_si128(row.cast()));
                even[i] = add_term::<SQUARED>(even[i], first, halves, scales[i]);
                let halves = _mm256_cvtph_ps(_mm_loadu_si128(row.add(16).cast()));
                odd[i] = add_term::<SQUARED>(odd[i], second, halves, scales[i]);
            }
            at += 16;
        }
        while at < count {
            let left = (count - at).min(8);
            let mut buffer = [0.0_f32; 8];
            buffer[..left].copy_from_slice(&query[at..at + left]);
            let block = _mm256_loadu_ps(buffer.as_ptr());
            for i in 0..4 {
                let mut buffer = [0_u8; 8 * HALF_BYTES];
                let bytes = &rows[i][at * HALF_BYTES..(at + left) * HALF_BYTES];
                buffer[..bytes.len()].copy_from_slice(bytes);
                let halves = _mm256_cvtph_ps(_mm_loadu_si128(buffer.as_ptr().cast()));
                even[i] = add_term::<SQUARED>(even[i], block, halves, scales[i]);
            }
            at += 8;
        }
    }
    let sums: [__m256; 4] = std::array::from_fn(|i| _mm256_add_ps(even[i], odd[i]));
    let all = _mm256_hadd_ps(_mm256_hadd_ps(sums[0], sums[1]), _mm256_hadd_ps(sums[2], sums[3]));
    let quarter = _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps::<1>(all));
    let mut out = [0.0; 4];
    // SAFETY: `out` has room for the four lanes.
    unsafe { _mm_storeu_ps(out.as_mut_ptr(), quarter) };
    out
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn add_term<const SQUARED: bool>(sum: __m256, query: __m256, halves: __m256, scale: __m256) -> __m256 {
    if SQUARED {
        let difference = _mm256_fmsub_ps(halves, scale, query);
        _mm256_fmadd_ps(difference, difference, sum)
    } else {
        _mm256_fmadd_ps(halves, query, sum)
    }
}
