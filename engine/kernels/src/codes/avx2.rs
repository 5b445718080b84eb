//! AVX2: bytes are widened to 16 bits and multiplied in pairs, which is exact (the 8-bit multiplication of this
//! set saturates).

use std::arch::x86_64::*;

use super::{FindRow, in_fours};

#[inline]
pub(super) fn int8<'a>(query: &[i8], rows: impl FindRow<'a>, out: &mut [i32]) {
    #[target_feature(enable = "avx2,fma")]
    fn inner<'a>(query: &[i8], rows: impl FindRow<'a>, out: &mut [i32]) {
        // SAFETY: this function has the instruction set; rows are as long as the query.
        in_fours((query.len(), rows), out, |rows| unsafe {
            four_int8::<0>(query.as_ptr().cast(), query.len(), rows)
        });
    }
    // SAFETY: the dispatch has asked the processor.
    unsafe { inner(query, rows, out) }
}

#[inline]
pub(super) fn int8_of_row<'a>(from: &[u8], rows: impl FindRow<'a>, out: &mut [i32]) {
    #[target_feature(enable = "avx2,fma")]
    fn inner<'a>(from: &[u8], rows: impl FindRow<'a>, out: &mut [i32]) {
        // SAFETY: this function has the instruction set; rows are as long as `from`.
        in_fours((from.len(), rows), out, |rows| unsafe {
            four_int8::<-128>(from.as_ptr(), from.len(), rows)
        });
    }
    // SAFETY: the dispatch has asked the processor.
    unsafe { inner(from, rows, out) }
}

#[inline]
pub(super) fn int4<'a>(query: &[i8], rows: impl FindRow<'a>, out: &mut [i32]) {
    #[target_feature(enable = "avx2,fma")]
    fn inner<'a>(query: &[i8], rows: impl FindRow<'a>, out: &mut [i32]) {
        // SAFETY: this function has the instruction set; the dispatch has checked that the query is whole blocks;
        // rows are half as long.
        in_fours((query.len() / 2, rows), out, |rows| unsafe { four_int4(query, rows) });
    }
    // SAFETY: the dispatch has asked the processor.
    unsafe { inner(query, rows, out) }
}

/// `FLIP` is -128 for a query of unsigned bytes that stand for 128 less, zero for one of signed bytes: flipping
/// the top bit makes the one the other.
///
/// # Safety
/// The processor has the instruction set; `query` points to `count` bytes; all rows are as long.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn four_int8<const FLIP: i8>(query: *const u8, count: usize, rows: &[&[u8]; 4]) -> [i32; 4] {
    let flip = _mm_set1_epi8(FLIP);
    let mut sums = [_mm256_setzero_si256(); 4];
    let mut at = 0;
    // SAFETY: every load of 16 bytes stays below `count`, the length of the query and of all rows.
    unsafe {
        while at + 16 <= count {
            let block = _mm_xor_si128(_mm_loadu_si128(query.add(at).cast()), flip);
            let block = _mm256_cvtepi8_epi16(block);
            for (sum, row) in sums.iter_mut().zip(rows) {
                let codes = _mm256_cvtepu8_epi16(_mm_loadu_si128(row.as_ptr().add(at).cast()));
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(codes, block));
            }
            at += 16;
        }
    }
    let mut out = sum_lanes(sums);
    for (sum, row) in out.iter_mut().zip(rows) {
        for (i, code) in row.iter().enumerate().skip(at) {
            // SAFETY: `i` is below the row's length, which is that of the query.
            let component = unsafe { *query.add(i) } as i8 ^ FLIP;
            *sum += i32::from(component) * i32::from(*code);
        }
    }
    out
}

/// # Safety
/// The processor has the instruction set; the query is whole blocks, all rows are half as long.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn four_int4(query: &[i8], rows: &[&[u8]; 4]) -> [i32; 4] {
    let (low_half, ones) = (_mm256_set1_epi8(15), _mm256_set1_epi16(1));
    let mut sums = [_mm256_setzero_si256(); 4];
    for half_block in 0..query.len() / 64 {
        // SAFETY: the 32 bytes of each row, and those of the query that belong to their halves, 64 apart, lie
        // within blocks of 64 and 128 bytes, of which the rows and the query consist.
        unsafe {
            let from = half_block / 2 * 128 + half_block % 2 * 32;
            let low = _mm256_loadu_si256(query.as_ptr().add(from).cast());
            let high = _mm256_loadu_si256(query.as_ptr().add(from + 64).cast());
            for (sum, row) in sums.iter_mut().zip(rows) {
                let codes = _mm256_loadu_si256(row.as_ptr().add(half_block * 32).cast());
                // Four bits times eight: two such pairs, at most 2 * 2 * 15 * 128 = 7,680, do not saturate.
                let even = _mm256_maddubs_epi16(_mm256_and_si256(codes, low_half), low);
                let codes = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), low_half);
                let both = _mm256_add_epi16(even, _mm256_maddubs_epi16(codes, high));
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(both, ones));
            }
        }
    }
    sum_lanes(sums)
}

/// The sums of four vectors.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn sum_lanes(sums: [__m256i; 4]) -> [i32; 4] {
    let [a, b, c, d] = sums;
    let all = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    let four = _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256::<1>(all));
    let mut out = [0; 4];
    // SAFETY: `out` has room for the four lanes.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), four) };
    out
}
