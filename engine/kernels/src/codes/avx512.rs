//! AVX-512 without VNNI: bytes are widened to 16 bits and multiplied in pairs, which is exact (the 8-bit
//! multiplication of this set saturates).

use std::arch::x86_64::*;

use super::vnni::sum_lanes;
use super::{FindRow, in_fours};

#[inline]
pub(super) fn int8<'a>(query: &[i8], rows: impl FindRow<'a>, out: &mut [i32]) {
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
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
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
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
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
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
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn four_int8<const FLIP: i8>(query: *const u8, count: usize, rows: &[&[u8]; 4]) -> [i32; 4] {
    let flip = _mm256_set1_epi8(FLIP);
    let mut sums = [_mm512_setzero_si512(); 4];
    let mut at = 0;
    // SAFETY: the mask keeps every load below `count`, the length of the query and of all rows; masked lanes are
    // not read from memory.
    unsafe {
        while at < count {
            let mask = if count - at >= 32 { u32::MAX } else { (1 << (count - at)) - 1 };
            // Flipped bytes behind the end meet zeros of the rows.
            let block = _mm256_xor_si256(_mm256_maskz_loadu_epi8(mask, query.add(at).cast()), flip);
            let block = _mm512_cvtepi8_epi16(block);
            for (sum, row) in sums.iter_mut().zip(rows) {
                let codes = _mm256_maskz_loadu_epi8(mask, row.as_ptr().add(at).cast());
                let products = _mm512_madd_epi16(_mm512_cvtepu8_epi16(codes), block);
                *sum = _mm512_add_epi32(*sum, products);
            }
            at += 32;
        }
    }
    sum_lanes(sums)
}

/// # Safety
/// The processor has the instruction set; the query is whole blocks, all rows are half as long.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn four_int4(query: &[i8], rows: &[&[u8]; 4]) -> [i32; 4] {
    let (low_half, ones) = (_mm512_set1_epi8(15), _mm512_set1_epi16(1));
    let mut sums = [_mm512_setzero_si512(); 4];
    for block in 0..query.len() / super::INT4_BLOCK {
        // SAFETY: a block is 128 bytes of the query and 64 of each row, and there are so many of them.
        unsafe {
            let low = _mm512_loadu_si512(query.as_ptr().add(block * 128).cast());
            let high = _mm512_loadu_si512(query.as_ptr().add(block * 128 + 64).cast());
            for (sum, row) in sums.iter_mut().zip(rows) {
                let codes = _mm512_loadu_si512(row.as_ptr().add(block * 64).cast());
                // Four bits times eight: two such pairs, at most 2 * 2 * 15 * 128 = 7,680, do not saturate.
                let even = _mm512_maddubs_epi16(_mm512_and_si512(codes, low_half), low);
                let codes = _mm512_and_si512(_mm512_srli_epi16::<4>(codes), low_half);
                let both = _mm512_add_epi16(even, _mm512_maddubs_epi16(codes, high));
                *sum = _mm512_add_epi32(*sum, _mm512_madd_epi16(both, ones));
            }
        }
    }
    sum_lanes(sums)
}
