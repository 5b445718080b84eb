//! AVX-512: a block is a register. Ones are counted by an instruction of their own, or looked up by halves of bytes.

use std::arch::x86_64::*;

use super::super::Listed;
use super::super::vnni::sum_lanes;
use super::{BLOCK_BYTES, PLANES, in_fours};

pub(super) fn counting(planes: &[u8], rows: &[&[u8]], out: &mut [i32]) {
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq")]
    fn inner(planes: &[u8], rows: &[&[u8]], out: &mut [i32]) {
        // SAFETY: this function has the instruction set; the dispatch has checked that the query is whole blocks of
        // planes and rows as many blocks.
        in_fours((planes.len() / PLANES, Listed(rows)), out, |rows| unsafe { four_counting(planes, rows) });
    }
    // SAFETY: the dispatch has asked the processor.
    unsafe { inner(planes, rows, out) }
}

pub(super) fn looking_up(planes: &[u8], rows: &[&[u8]], out: &mut [i32]) {
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn inner(planes: &[u8], rows: &[&[u8]], out: &mut [i32]) {
        // SAFETY: this function has the instruction set; the dispatch has checked that the query is whole blocks of
        // planes and rows as many blocks.
        in_fours((planes.len() / PLANES, Listed(rows)), out, |rows| unsafe { four_looking_up(planes, rows) });
    }
    // SAFETY: the dispatch has asked the processor.
    unsafe { inner(planes, rows, out) }
}

/// # Safety
/// The processor has the instruction set; the query is whole blocks of planes, all rows are as many blocks.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq")]
unsafe fn four_counting(planes: &[u8], rows: &[&[u8]; 4]) -> [i32; 4] {
    let mut sums = [_mm512_setzero_si512(); 4];
    for block in 0..planes.len() / (BLOCK_BYTES * PLANES) {
        // SAFETY: a block is 64 bytes of each row and of each of four planes, and there are so many of them.
        let (planes, codes) = unsafe { load(planes, rows, block) };
        for (sum, codes) in sums.iter_mut().zip(codes) {
            let ones = planes.map(|plane| _mm512_popcnt_epi32(_mm512_and_si512(codes, plane)));
            // From the highest plane down, doubling what is there.
            let high = _mm512_sub_epi32(ones[2], _mm512_add_epi32(ones[3], ones[3]));
            let middle = _mm512_add_epi32(ones[1], _mm512_add_epi32(high, high));
            let all = _mm512_add_epi32(ones[0], _mm512_add_epi32(middle, middle));
            *sum = _mm512_add_epi32(*sum, all);
        }
    }
    sum_lanes(sums)
}

/// # Safety
/// The processor has the instruction set; the query is whole blocks of planes, all rows are as many blocks.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn four_looking_up(planes: &[u8], rows: &[&[u8]; 4]) -> [i32; 4] {
    let half = _mm512_set1_epi8(15);
    let ones = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    let zeros = _mm512_sub_epi8(_mm512_set1_epi8(4), ones);
    let mut sums = [_mm512_setzero_si512(); 4];
    for block in 0..planes.len() / (BLOCK_BYTES * PLANES) {
        // SAFETY: a block is 64 bytes of each row and of each of four planes, and there are so many of them.
        let (planes, codes) = unsafe { load(planes, rows, block) };
        let low_planes = planes.map(|plane| _mm512_and_si512(plane, half));
        let high_planes = planes.map(|plane| _mm512_and_si512(_mm512_srli_epi16::<4>(plane), half));
        for (sum, codes) in sums.iter_mut().zip(codes) {
            let low = _mm512_and_si512(codes, half);
            let high = _mm512_and_si512(_mm512_srli_epi16::<4>(codes), half);
            // Bytes stay below 128: of the negative plane the zeros are counted, eight less its ones.
            let mut bytes = _mm512_setzero_si512();
            for plane in (0..PLANES).rev() {
                let table = if plane == PLANES - 1 { zeros } else { ones };
                let low = _mm512_shuffle_epi8(table, _mm512_and_si512(low, low_planes[plane]));
                let high = _mm512_shuffle_epi8(table, _mm512_and_si512(high, high_planes[plane]));
                let counts = _mm512_add_epi8(low, high);
                bytes = _mm512_add_epi8(_mm512_add_epi8(bytes, bytes), counts);
            }
            *sum = _mm512_add_epi32(*sum, _mm512_sad_epu8(bytes, _mm512_setzero_si512()));
        }
    }
    // Eight zeros of weight eight would be in each byte of a row without ones.
    let offset = 64 * (planes.len() / PLANES) as i32;
    sum_lanes(sums).map(|sum| sum - offset)
}

/// # Safety
/// The processor has the instruction set; the query has four planes of the block, all rows have the block.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load(planes: &[u8], rows: &[&[u8]; 4], block: usize) -> ([__m512i; PLANES], [__m512i; 4]) {
    // SAFETY: the caller's promise.
    unsafe {
        let planes = planes.as_ptr().add(block * BLOCK_BYTES * PLANES);
        (
            std::array::from_fn(|plane| _mm512_loadu_si512(planes.add(plane * BLOCK_BYTES).cast())),
            rows.map(|row| _mm512_loadu_si512(row.as_ptr().add(block * BLOCK_BYTES).cast())),
        )
    }
}
