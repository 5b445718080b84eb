//! AVX-512 with VNNI: 64 products of bytes in one instruction.

use std::arch::x86_64::*;

use super::{FindRow, in_fours};

#[inline]
pub(super) fn int8<'a>(query: &[i8], rows: impl FindRow<'a>, out: &mut [i32]) {
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
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
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
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
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
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
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn four_int8<const FLIP: i8>(query: *const u8, count: usize, rows: &[&[u8]; 4]) -> [i32; 4] {
    let flip = _mm512_set1_epi8(FLIP);
    let mut sums = [_mm512_setzero_si512(); 4];
    let mut at = 0;
    // SAFETY: every load stays below `count`, the length of the query and of all rows; masked lanes are not
    // read from memory.
    unsafe {
        while at + 64 <= count {
            let block = _mm512_xor_si512(_mm512_loadu_si512(query.add(at).cast()), flip);
            for (sum, row) in sums.iter_mut().zip(rows) {
                let codes = _mm512_loadu_si512(row.as_ptr().add(at).cast());
                *sum = _mm512_dpbusd_epi32(*sum, codes, block);
            }
            at += 64;
        }
        if at < count {
            let mask = (1_u64 << (count - at)) - 1;
            // Flipped bytes behind the end meet zeros of the rows.
            let block = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, query.add(at).cast()), flip);
            for (sum, row) in sums.iter_mut().zip(rows) {
                let codes = _mm512_maskz_loadu_epi8(mask, row.as_ptr().add(at).cast());
                *sum = _mm512_dpbusd_epi32(*sum, codes, block);
            }
        }
    }
    sum_lanes(sums)
}

/// # Safety
/// The processor has the instruction set; the query is whole blocks, all rows are half as long.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn four_int4(query: &[i8], rows: &[&[u8]; 4]) -> [i32; 4] {
    let low_half = _mm512_set1_epi8(15);
    let mut sums = [_mm512_setzero_si512(); 4];
    for block in 0..query.len() / super::INT4_BLOCK {
        // SAFETY: a block is 128 bytes of the query and 64 of each row, and there are so many of them.
        unsafe {
            let low = _mm512_loadu_si512(query.as_ptr().add(block * 128).cast());
            let high = _mm512_loadu_si512(query.as_ptr().add(block * 128 + 64).cast());
            for (sum, row) in sums.iter_mut().zip(rows) {
                let codes = _mm512_loadu_si512(row.as_ptr().add(block * 64).cast());
                *sum = _mm512_dpbusd_epi32(*sum, _mm512_and_si512(codes, low_half), low);
                let codes = _mm512_and_si512(_mm512_srli_epi16::<4>(codes), low_half);
                *sum = _mm512_dpbusd_epi32(*sum, codes, high);
            }
        }
    }
    sum_lanes(sums)
}

/// The sums of four vectors at once: two rounds of interleaving leave each vector's lanes in a column.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn sum_lanes(sums: [__m512i; 4]) -> [i32; 4] {
    let [a, b, c, d] = sums;
    let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    let all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    let half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64::<1>(all));
    let quarter = _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half));
    let mut out = [0; 4];
    // SAFETY: `out` has room for the four lanes.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), quarter) };
    out
}
