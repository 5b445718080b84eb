//! AVX2: ones are looked up by halves of bytes, 32 bytes at a time.

use std::arch::x86_64::*;

use super::super::Listed;
use super::super::avx2::sum_lanes;
use super::{BLOCK_BYTES, PLANES, in_fours};

pub(super) fn looking_up(planes: &[u8], rows: &[&[u8]], out: &mut [i32]) {
    #[target_feature(enable = "avx2,fma")]
    fn inner(planes: &[u8], rows: &[&[u8]], out: &mut [i32]) {
        // SAFETY: this function has the instruction set; the dispatch has checked that the query is whole blocks of
        // planes and rows as many blocks.
        in_fours((planes.len() / PLANES, Listed(rows)), out, |rows| unsafe { four(planes, rows) });
    }
    // SAFETY: the dispatch has asked the processor.
    unsafe { inner(planes, rows, out) }
}

/// # Safety
/// The processor has the instruction set; the query is whole blocks of planes, all rows are as many blocks.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn four(planes: &[u8], rows: &[&[u8]; 4]) -> [i32; 4] {
    const HALF_BLOCK_BYTES: usize = BLOCK_BYTES / 2;
    let half = _mm256_set1_epi8(15);
    let ones = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    let zeros = _mm256_sub_epi8(_mm256_set1_epi8(4), ones);
    let mut sums = [_mm256_setzero_si256(); 4];
    let row_bytes = planes.len() / PLANES;
    for at in (0..row_bytes).step_by(HALF_BLOCK_BYTES) {
        let in_planes = at / BLOCK_BYTES * BLOCK_BYTES * PLANES + at % BLOCK_BYTES;
        // SAFETY: the 32 bytes of each row, and those of the planes that belong to them, lie within blocks, of which the
        // rows and the query consist.
        let (planes, codes): ([__m256i; PLANES], [__m256i; 4]) = unsafe {
            let planes = planes.as_ptr().add(in_planes);
            (
                std::array::from_fn(|plane| _mm256_loadu_si256(planes.add(plane * BLOCK_BYTES).cast())),
                rows.map(|row| _mm256_loadu_si256(row.as_ptr().add(at).cast())),
            )
        };
        let low_planes = planes.map(|plane| _mm256_and_si256(plane, half));
        let high_planes = planes.map(|plane| _mm256_and_si256(_mm256_srli_epi16::<4>(plane), half));
        for (sum, codes) in sums.iter_mut().zip(codes) {
            let low = _mm256_and_si256(codes, half);
            let high = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), half);
            // Bytes stay below 128: of the negative plane the zeros are counted, eight less its ones.
            let mut bytes = _mm256_setzero_si256();
            for plane in (0..PLANES).rev() {
                let table = if plane == PLANES - 1 { zeros } else { ones };
                let low = _mm256_shuffle_epi8(table, _mm256_and_si256(low, low_planes[plane]));
                let high = _mm256_shuffle_epi8(table, _mm256_and_si256(high, high_planes[plane]));
                let counts = _mm256_add_epi8(low, high);
                bytes = _mm256_add_epi8(_mm256_add_epi8(bytes, bytes), counts);
            }
            *sum = _mm256_add_epi32(*sum, _mm256_sad_epu8(bytes, _mm256_setzero_si256()));
        }
    }
    // Eight zeros of weight eight would be in each byte of a row without ones.
    let offset = 64 * row_bytes as i32;
    sum_lanes(sums).map(|sum| sum - offset)
}
