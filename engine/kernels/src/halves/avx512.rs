//! AVX-512: sixteen half floats become a register of floats.

use std::arch::x86_64::*;

use super::{HALF_BYTES, in_fours};

pub(super) fn negated_dot(query: &[f32], rows: &[&[u8]], scales: &[f32], out: &mut [f32]) {
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
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
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
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
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn four<const SQUARED: bool>(query: &[f32], rows: &[&[u8]; 4], scales: [f32; 4]) -> [f32; 4] {
    let count = query.len();
    let scales = scales.map(|scale| _mm512_set1_ps(scale));
    let (mut even, mut odd) = ([_mm512_setzero_ps(); 4], [_mm512_setzero_ps(); 4]);
    let mut at = 0;
    // SAFETY: every load stays below `count` components of the query and of all rows; masked lanes are not read from
    // memory.
    unsafe {
        while at + 32 <= count {
            let first = _mm512_loadu_ps(query.as_ptr().add(at));
            let second = _mm512_loadu_ps(query.as_ptr().add(at + 16));
            for i in 0..4 {
                let row = rows[i].as_ptr().add(at * HALF_BYTES);
                let halves = _mm512_cvtph_ps(_mm256_loadu_si256(row.cast()));
                even[i] = add_term::<SQUARED>(even[i], first, halves, scales[i]);
                let halves = _mm512_cvtph_ps(_mm256_loadu_si256(row.add(32).cast()));
                odd[i] = add_term::<SQUARED>(odd[i], second, halves, scales[i]);
            }
            at += 32;
        }
        while at < count {
            let mask = if count - at >= 16 { u16::MAX } else { (1 << (count - at)) - 1 };
            let block = _mm512_maskz_loadu_ps(mask, query.as_ptr().add(at));
            for i in 0..4 {
                let row = rows[i].as_ptr().add(at * HALF_BYTES);
                let halves = _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, row.cast()));
                even[i] = add_term::<SQUARED>(even[i], block, halves, scales[i]);
            }
            at += 16;
        }
    }
    sum_lanes(std::array::from_fn(|i| _mm512_add_ps(even[i], odd[i])))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add_term<const SQUARED: bool>(sum: __m512, query: __m512, halves: __m512, scale: __m512) -> __m512 {
    if SQUARED {
        let difference = _mm512_fmsub_ps(halves, scale, query);
        _mm512_fmadd_ps(difference, difference, sum)
    } else {
        _mm512_fmadd_ps(halves, query, sum)
    }
}

/// The sums of four vectors at once: two rounds of interleaving leave each vector's lanes in a column.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn sum_lanes(sums: [__m512; 4]) -> [f32; 4] {
    let [a, b, c, d] = sums;
    let ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    let cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    let (ab, cd) = (_mm512_castps_pd(ab), _mm512_castps_pd(cd));
    let (low, high) = (_mm512_unpacklo_pd(ab, cd), _mm512_unpackhi_pd(ab, cd));
    let all = _mm512_add_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high));
    let half = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps::<1>(all));
    let quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps::<1>(half));
    let mut out = [0.0; 4];
    // SAFETY: `out` has room for the four lanes.
    unsafe { _mm_storeu_ps(out.as_mut_ptr(), quarter) };
    out
}
