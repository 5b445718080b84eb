//! The same for the instructions of x86-64.

use std::arch::is_x86_feature_detected as has;
use std::arch::x86_64::*;

use super::{ByteSet, Cells, Count, KernelBits, Runs, STRIPS, WORD_BITS, Within};
use crate::isa::Isa;

/// For AVX2 or more.
pub(super) fn kernel(isa: Isa, plain: KernelBits) -> KernelBits {
    let counting = match has!("popcnt") {
        true => KernelBits { ones: ones_counting, blocks: blocks_counting, ..plain },
        false => plain,
    };
    match isa {
        Isa::Scalar => plain,
        Isa::Avx2 => KernelBits { select: select_avx2, within: within_avx2, ..counting },
        Isa::Avx512 | Isa::Avx512Vnni | Isa::Amx => {
            let (ones, blocks) = match has!("avx512vpopcntdq") {
                true => (ones_avx512 as Count, blocks_avx512 as Count),
                false => (counting.ones, counting.blocks),
            };
            let within = if has!("avx512vbmi") { within_avx512_vbmi as Within } else { within_avx512 };
            KernelBits { ones, blocks, select: select_avx512, within }
        }
    }
}

/// For a processor that has AVX-512 without what `kernel` asks for besides, if this one has that much.
#[cfg(test)]
pub(super) fn least_avx512(plain: KernelBits) -> Option<KernelBits> {
    (Isa::detected() >= Isa::Avx512).then_some(KernelBits { within: within_avx512, ..plain })
}

fn ones_counting(words: &[usize]) -> usize {
    #[target_feature(enable = "popcnt")]
    fn inner(words: &[usize]) -> usize {
        super::ones(words)
    }
    // SAFETY: `kernel` has asked the processor.
    unsafe { inner(words) }
}

fn blocks_counting(words: &[usize]) -> usize {
    #[target_feature(enable = "popcnt")]
    fn inner(words: &[usize]) -> usize {
        super::blocks(words)
    }
    // SAFETY: `kernel` has asked the processor.
    unsafe { inner(words) }
}

fn ones_avx512(words: &[usize]) -> usize {
    #[target_feature(enable = "avx512f,avx512vl,avx512vpopcntdq,popcnt")]
    fn inner(words: &[usize]) -> usize {
        super::ones(words)
    }
    // SAFETY: `kernel` has asked the processor.
    unsafe { inner(words) }
}

fn blocks_avx512(words: &[usize]) -> usize {
    #[target_feature(enable = "avx512f,avx512vl,avx512vpopcntdq,popcnt")]
    fn inner(words: &[usize]) -> usize {
        super::blocks(words)
    }
    // SAFETY: `kernel` has asked the processor.
    unsafe { inner(words) }
}

/// The bit of each upper half of a byte.
const BITS: i64 = i64::from_le_bytes([1, 2, 4, 8, 16, 32, 64, 128]);

fn select_avx2(bytes: &[[u8; WORD_BITS]], wanted: &ByteSet, out: &mut [usize]) {
    #[target_feature(enable = "avx2")]
    fn inner(bytes: &[[u8; WORD_BITS]], wanted: &ByteSet, out: &mut [usize]) {
        // SAFETY: both tables have sixteen bytes.
        let [low, high] = [&wanted.low, &wanted.high]
            .map(|table| unsafe { _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast())) });
        let (nibble, bits) = (_mm256_set1_epi8(15), _mm256_set1_epi64x(BITS));
        for (bytes, word) in bytes.iter().zip(out) {
            let halves = [0, 32].map(|from| {
                // SAFETY: 32 of the 64 bytes.
                let bytes = unsafe { _mm256_loadu_si256(bytes.as_ptr().add(from).cast()) };
                let place = _mm256_and_si256(bytes, nibble);
                let [low, high] = [low, high].map(|table| _mm256_shuffle_epi8(table, place));
                let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), nibble);
                let bit = _mm256_shuffle_epi8(bits, upper);
                let found = _mm256_and_si256(_mm256_blendv_epi8(low, high, bytes), bit);
                _mm256_movemask_epi8(_mm256_cmpeq_epi8(found, bit)) as u32
            });
            *word = halves[0] as usize | (halves[1] as usize) << 32;
        }
    }
    // SAFETY: the level has AVX2.
    unsafe { inner(bytes, wanted, out) }
}

fn select_avx512(bytes: &[[u8; WORD_BITS]], wanted: &ByteSet, out: &mut [usize]) {
    #[target_feature(enable = "avx512f,avx512bw")]
    fn inner(bytes: &[[u8; WORD_BITS]], wanted: &ByteSet, out: &mut [usize]) {
        // SAFETY: both tables have sixteen bytes.
        let [low, high] = [&wanted.low, &wanted.high]
            .map(|table| unsafe { _mm512_broadcast_i32x4(_mm_loadu_si128(table.as_ptr().cast())) });
        let (nibble, bits) = (_mm512_set1_epi8(15), _mm512_set1_epi64(BITS));
        for (bytes, word) in bytes.iter().zip(out) {
            // SAFETY: they are 64.
            let bytes = unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) };
            let place = _mm512_and_si512(bytes, nibble);
            let [low, high] = [low, high].map(|table| _mm512_shuffle_epi8(table, place));
            let upper = _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), nibble);
            let found = _mm512_mask_blend_epi8(_mm512_movepi8_mask(bytes), low, high);
            *word = _mm512_test_epi8_mask(found, _mm512_shuffle_epi8(bits, upper)) as usize;
        }
    }
    // SAFETY: the level has AVX-512 BW.
    unsafe { inner(bytes, wanted, out) }
}

/// Entries of a quarter of a table: as many as a shuffle looks up.
const QUARTER: usize = 16;
/// Added to a place in a table with saturation, it leaves those of the first quarter below 128, which a shuffle takes the entry of; of all others it makes zero.
const OUTSIDE: i8 = 0x70;

fn within_avx2((strips, columns): Cells<'_>, runs: &Runs, out: &mut [usize]) {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn quarters(table: &[u8; STRIPS]) -> [__m256i; STRIPS / QUARTER] {
        // SAFETY: a quarter has sixteen bytes.
        std::array::from_fn(|at| unsafe {
            _mm256_broadcastsi128_si256(_mm_loadu_si128(table[at * QUARTER..][..QUARTER].as_ptr().cast()))
        })
    }
    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(bytes: &[u8; 32]) -> __m256i {
        // SAFETY: they are 32.
        unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
    }
    #[target_feature(enable = "avx2")]
    fn inner((strips, columns): Cells<'_>, runs: &Runs, out: &mut [usize]) {
        let (firsts, counts) = (quarters(&runs.first), quarters(&runs.count));
        for ((strips, columns), word) in strips.iter().zip(columns).zip(out) {
            let (strips, columns) = (strips.as_chunks().0, columns.as_chunks().0);
            *word = 0;
            for (at, (strip, column)) in strips.iter().zip(columns).enumerate() {
                let strip = load(strip);
                let (mut first, mut count) = (_mm256_setzero_si256(), _mm256_setzero_si256());
                for (quarter, (firsts, counts)) in firsts.iter().zip(&counts).enumerate() {
                    let place = _mm256_xor_si256(strip, _mm256_set1_epi8((quarter * QUARTER) as i8));
                    let place = _mm256_adds_epu8(place, _mm256_set1_epi8(OUTSIDE));
                    first = _mm256_or_si256(first, _mm256_shuffle_epi8(*firsts, place));
                    count = _mm256_or_si256(count, _mm256_shuffle_epi8(*counts, place));
                }
                let left = _mm256_subs_epu8(count, _mm256_sub_epi8(load(column), first));
                let is_beyond = _mm256_cmpeq_epi8(left, _mm256_setzero_si256());
                *word |= (!_mm256_movemask_epi8(is_beyond) as u32 as usize) << (32 * at);
            }
        }
    }
    // SAFETY: the level has AVX2.
    unsafe { inner((strips, columns), runs, out) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn load_avx512(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: they are 64.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

fn within_avx512((strips, columns): Cells<'_>, runs: &Runs, out: &mut [usize]) {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn quarters(table: &[u8; STRIPS]) -> [__m512i; STRIPS / QUARTER] {
        // SAFETY: a quarter has sixteen bytes.
        std::array::from_fn(|at| unsafe {
            _mm512_broadcast_i32x4(_mm_loadu_si128(table[at * QUARTER..][..QUARTER].as_ptr().cast()))
        })
    }
    #[target_feature(enable = "avx512f,avx512bw")]
    fn inner((strips, columns): Cells<'_>, runs: &Runs, out: &mut [usize]) {
        let (firsts, counts) = (quarters(&runs.first), quarters(&runs.count));
        for ((strips, columns), word) in strips.iter().zip(columns).zip(out) {
            let strip = load_avx512(strips);
            let (mut first, mut count) = (_mm512_setzero_si512(), _mm512_setzero_si512());
            for (quarter, (firsts, counts)) in firsts.iter().zip(&counts).enumerate() {
                let place = _mm512_xor_si512(strip, _mm512_set1_epi8((quarter * QUARTER) as i8));
                let place = _mm512_adds_epu8(place, _mm512_set1_epi8(OUTSIDE));
                first = _mm512_or_si512(first, _mm512_shuffle_epi8(*firsts, place));
                count = _mm512_or_si512(count, _mm512_shuffle_epi8(*counts, place));
            }
            let from_first = _mm512_sub_epi8(load_avx512(columns), first);
            *word = _mm512_cmplt_epu8_mask(from_first, count) as usize;
        }
    }
    // SAFETY: the level has AVX-512 BW.
    unsafe { inner((strips, columns), runs, out) }
}

/// With the instruction that looks up a whole table.
fn within_avx512_vbmi((strips, columns): Cells<'_>, runs: &Runs, out: &mut [usize]) {
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn inner((strips, columns): Cells<'_>, runs: &Runs, out: &mut [usize]) {
        let (firsts, counts) = (load_avx512(&runs.first), load_avx512(&runs.count));
        for ((strips, columns), word) in strips.iter().zip(columns).zip(out) {
            let strip = load_avx512(strips);
            let from_first = _mm512_sub_epi8(load_avx512(columns), _mm512_permutexvar_epi8(strip, firsts));
            *word = _mm512_cmplt_epu8_mask(from_first, _mm512_permutexvar_epi8(strip, counts)) as usize;
        }
    }
    // SAFETY: `kernel` has asked the processor.
    unsafe { inner((strips, columns), runs, out) }
}
