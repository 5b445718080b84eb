//! Sets of rows, a bit a row: counting them, and finding the rows whose byte is one of some.
//!
//! **Problem.** A filtered search goes through the set of admitted rows a few times before its first distance. Without the
//! instruction for it, which a binary for all processors does not use by itself, counting 60,000 bits takes two
//! microseconds, a tenth of a walk; and a set that is put together from dozens of runs of rows takes as long as a walk.
//!
//! **Idea.** Plain loops, compiled for each level: they become vectors of counts. And for a column of few distinct values a
//! byte a row that says which: 64 of them at a time are looked up in a table of 256 bits that lies in two registers, and are
//! a word of the set.
//!
//! ```text
//! table    = low[16] | high[16]           bit h of low[l]  is that of the byte 16 h + l
//!                                         bit h of high[l] is that of the byte 16 (h + 8) + l
//! wanted   = (byte < 128 ? low : high)[byte % 16] has bit byte / 16 % 8
//! ```
//!
//! Rows of a grid have two bytes, which *strip* of it and which column of the strip. What is wanted of a grid is a run of columns of each
//! strip, so two tables of 32 bytes say it of thousands of cells: where the run of a strip begins, and how many columns it has.

use crate::isa::Isa;

const WORD_BITS: usize = usize::BITS as usize;

/// Some of all 256 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteSet {
    low: [u8; 16],
    high: [u8; 16],
}

impl ByteSet {
    /// Adds a byte.
    pub fn insert(&mut self, byte: u8) {
        let half = if byte < 128 { &mut self.low } else { &mut self.high };
        half[usize::from(byte % 16)] |= 1 << (byte / 16 % 8);
    }

    /// Whether a byte is one of them.
    #[inline(always)]
    pub fn contains(&self, byte: u8) -> bool {
        let half = if byte < 128 { &self.low } else { &self.high };
        half[usize::from(byte % 16)] >> (byte / 16 % 8) & 1 == 1
    }
}

/// Strips of a grid.
pub const STRIPS: usize = 32;

/// A run of columns of each strip of a grid, which may begin anew behind the last column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    first: [u8; STRIPS],
    count: [u8; STRIPS],
}

impl Runs {
    /// Of a strip the columns from one on, so many, of 256 that follow one another in a circle.
    pub fn set(&mut self, strip: u8, first: u8, count: u8) {
        let strip = usize::from(strip) % STRIPS;
        (self.first[strip], self.count[strip]) = (first, count);
    }

    /// Whether a cell is in the run of its strip.
    #[inline(always)]
    pub fn contains(&self, strip: u8, column: u8) -> bool {
        let strip = usize::from(strip) % STRIPS;
        column.wrapping_sub(self.first[strip]) < self.count[strip]
    }
}

type Count = fn(&[usize]) -> usize;
/// Strips and columns of 64 rows.
type Cells<'a> = (&'a [[u8; WORD_BITS]], &'a [[u8; WORD_BITS]]);
/// Writes a word for each 64 of both.
type Within = fn(Cells<'_>, &Runs, &mut [usize]);
/// Writes a word for each 64 bytes.
type Select = fn(&[[u8; WORD_BITS]], &ByteSet, &mut [usize]);

/// Operations on sets of rows.
#[derive(Clone, Copy, Debug)]
pub struct KernelBits {
    ones: Count,
    blocks: Count,
    select: Select,
    within: Within,
}

impl KernelBits {
    /// The kernel for this processor.
    pub fn new() -> Self {
        Self::with_isa(Isa::current())
    }

    /// The kernel of a given level, lowered to what the processor has.
    pub fn with_isa(isa: Isa) -> Self {
        let plain = Self { ones, blocks, select, within };
        match isa.min(Isa::detected()) {
            #[cfg(target_arch = "x86_64")]
            isa @ (Isa::Avx512 | Isa::Avx512Vnni | Isa::Amx | Isa::Avx2) => x86::kernel(isa, plain),
            _ => plain,
        }
    }

    /// How many bits are set.
    pub fn count_ones(&self, words: &[usize]) -> usize {
        (self.ones)(words)
    }

    /// How many groups of eight bits have one that is set.
    pub fn count_blocks(&self, words: &[usize]) -> usize {
        (self.blocks)(words)
    }

    /// Writes the set of rows whose byte is wanted, as words of which the last is filled up with zeros.
    ///
    /// # Panics
    /// If there are fewer words than the bytes take.
    pub fn select(&self, bytes: &[u8], wanted: &ByteSet, out: &mut [usize]) {
        let (whole, rest) = bytes.as_chunks();
        let (words, last) = out[..bytes.len().div_ceil(WORD_BITS)].split_at_mut(whole.len());
        (self.select)(whole, wanted, words);
        for word in last {
            let bits = rest.iter().enumerate().map(|(bit, byte)| usize::from(wanted.contains(*byte)) << bit);
            *word = bits.sum();
        }
    }

    /// Writes the set of rows whose cell of a grid is in some runs, by the strips and the columns of all rows, as words of which the last is
    /// filled up with zeros.
    ///
    /// # Panics
    /// If there are fewer columns than strips, or fewer words than they take.
    pub fn select_within(&self, (strips, columns): (&[u8], &[u8]), runs: &Runs, out: &mut [usize]) {
        let columns = &columns[..strips.len()];
        let ((strips, last_strips), (columns, last_columns)) = (strips.as_chunks(), columns.as_chunks());
        let has_rest = usize::from(!last_strips.is_empty());
        let (words, last) = out[..strips.len() + has_rest].split_at_mut(strips.len());
        (self.within)((strips, columns), runs, words);
        for word in last {
            let cells = last_strips.iter().zip(last_columns).enumerate();
            let bits = cells.map(|(bit, (strip, column))| usize::from(runs.contains(*strip, *column)) << bit);
            *word = bits.sum();
        }
    }
}

impl Default for KernelBits {
    fn default() -> Self {
        Self::new()
    }
}

#[inline(always)]
fn ones(words: &[usize]) -> usize {
    words.iter().map(|word| word.count_ones() as usize).sum()
}

#[inline(always)]
fn blocks(words: &[usize]) -> usize {
    const LOWEST: usize = usize::MAX / 255;
    let blocks_of = |word: &usize| {
        let halves = word | word >> 4;
        let quarters = halves | halves >> 2;
        ((quarters | quarters >> 1) & LOWEST).count_ones() as usize
    };
    words.iter().map(blocks_of).sum()
}

fn select(bytes: &[[u8; WORD_BITS]], wanted: &ByteSet, out: &mut [usize]) {
    for (bytes, word) in bytes.iter().zip(out) {
        *word = bytes.iter().rev().fold(0, |word, byte| word << 1 | usize::from(wanted.contains(*byte)));
    }
}

fn within((strips, columns): Cells<'_>, runs: &Runs, out: &mut [usize]) {
    for ((strips, columns), word) in strips.iter().zip(columns).zip(out) {
        let cells = strips.iter().zip(columns).rev();
        *word =
            cells.fold(0, |word, (strip, column)| word << 1 | usize::from(runs.contains(*strip, *column)));
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::is_x86_feature_detected as has;
    use std::arch::x86_64::*;

    use super::{ByteSet, Cells, Count, KernelBits, Runs, WORD_BITS};
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
            Isa::Avx512 | Isa::Avx512Vnni | Isa::Amx if has!("avx512vpopcntdq") => {
                let (ones, blocks) = (ones_avx512 as Count, blocks_avx512 as Count);
                KernelBits { ones, blocks, select: select_avx512, within: within_avx512 }
            }
            Isa::Avx512 | Isa::Avx512Vnni | Isa::Amx => {
                KernelBits { select: select_avx512, within: within_avx512, ..counting }
            }
        }
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

    fn within_avx2((strips, columns): Cells<'_>, runs: &Runs, out: &mut [usize]) {
        /// The entry of each strip, by halves of a table.
        #[inline]
        #[target_feature(enable = "avx2")]
        fn entries([lower, upper]: [__m256i; 2], strips: __m256i) -> __m256i {
            // A strip's bit of the value 16 becomes the highest of its byte.
            let is_upper = _mm256_slli_epi16::<3>(strips);
            _mm256_blendv_epi8(
                _mm256_shuffle_epi8(lower, strips),
                _mm256_shuffle_epi8(upper, strips),
                is_upper,
            )
        }
        #[inline]
        #[target_feature(enable = "avx2")]
        fn half(table: &[u8; 16]) -> __m256i {
            // SAFETY: it has sixteen bytes.
            unsafe { _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast())) }
        }
        #[inline]
        #[target_feature(enable = "avx2")]
        fn load(bytes: &[u8; 32]) -> __m256i {
            // SAFETY: they are 32.
            unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
        }
        #[target_feature(enable = "avx2")]
        fn inner((strips, columns): Cells<'_>, runs: &Runs, out: &mut [usize]) {
            let ([first_low, first_high], _) = runs.first.as_chunks() else { return };
            let ([count_low, count_high], _) = runs.count.as_chunks() else { return };
            let (first, count) = ([half(first_low), half(first_high)], [half(count_low), half(count_high)]);
            for ((strips, columns), word) in strips.iter().zip(columns).zip(out) {
                let (strips, columns) = (strips.as_chunks().0, columns.as_chunks().0);
                *word = 0;
                for (at, (strip, column)) in strips.iter().zip(columns).enumerate() {
                    let strip = load(strip);
                    let from_first = _mm256_sub_epi8(load(column), entries(first, strip));
                    let left = _mm256_subs_epu8(entries(count, strip), from_first);
                    let is_beyond = _mm256_cmpeq_epi8(left, _mm256_setzero_si256());
                    *word |= (!_mm256_movemask_epi8(is_beyond) as u32 as usize) << (32 * at);
                }
            }
        }
        // SAFETY: the level has AVX2.
        unsafe { inner((strips, columns), runs, out) }
    }

    fn within_avx512((strips, columns): Cells<'_>, runs: &Runs, out: &mut [usize]) {
        /// The entry of each strip, by halves of a table.
        #[inline]
        #[target_feature(enable = "avx512f,avx512bw")]
        fn entries([lower, upper]: [__m512i; 2], strips: __m512i) -> __m512i {
            // A strip's bit of the value 16 becomes the highest of its byte.
            let is_upper = _mm512_movepi8_mask(_mm512_slli_epi16::<3>(strips));
            let lower = _mm512_shuffle_epi8(lower, strips);
            _mm512_mask_shuffle_epi8(lower, is_upper, upper, strips)
        }
        #[inline]
        #[target_feature(enable = "avx512f,avx512bw")]
        fn half(table: &[u8; 16]) -> __m512i {
            // SAFETY: it has sixteen bytes.
            unsafe { _mm512_broadcast_i32x4(_mm_loadu_si128(table.as_ptr().cast())) }
        }
        #[inline]
        #[target_feature(enable = "avx512f,avx512bw")]
        fn load(bytes: &[u8; WORD_BITS]) -> __m512i {
            // SAFETY: they are 64.
            unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
        }
        #[target_feature(enable = "avx512f,avx512bw")]
        fn inner((strips, columns): Cells<'_>, runs: &Runs, out: &mut [usize]) {
            let ([first_low, first_high], _) = runs.first.as_chunks() else { return };
            let ([count_low, count_high], _) = runs.count.as_chunks() else { return };
            let (first, count) = ([half(first_low), half(first_high)], [half(count_low), half(count_high)]);
            for ((strips, columns), word) in strips.iter().zip(columns).zip(out) {
                let strip = load(strips);
                let from_first = _mm512_sub_epi8(load(columns), entries(first, strip));
                *word = _mm512_cmplt_epu8_mask(from_first, entries(count, strip)) as usize;
            }
        }
        // SAFETY: the level has AVX-512 BW.
        unsafe { inner((strips, columns), runs, out) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against their definitions, on every level.
        #[test]
        fn sets_are_counted(words in prop::collection::vec(any::<usize>(), 0..70), spread in any::<usize>()) {
            let words: Vec<usize> = words.iter().map(|word| word & spread).collect();
            let bytes = || words.iter().flat_map(|word| word.to_ne_bytes());
            for isa in Isa::available() {
                let kernel = KernelBits::with_isa(isa);
                let ones: u32 = bytes().map(u8::count_ones).sum();
                prop_assert_eq!(kernel.count_ones(&words), ones as usize);
                prop_assert_eq!(kernel.count_blocks(&words), bytes().filter(|byte| *byte != 0).count());
            }
        }

        #[test]
        fn rows_of_runs_are_selected(
            cells in prop::collection::vec((0..STRIPS as u8, any::<u8>()), 0..300),
            wanted in prop::collection::vec((0..STRIPS as u8, any::<u8>(), any::<u8>()), 0..40),
        ) {
            let mut runs = Runs::default();
            wanted.iter().for_each(|(strip, first, count)| runs.set(*strip, *first, *count));
            let (strips, columns): (Vec<u8>, Vec<u8>) = cells.iter().copied().unzip();
            for isa in Isa::available() {
                let mut found = vec![usize::MAX; cells.len().div_ceil(WORD_BITS)];
                KernelBits::with_isa(isa).select_within((&strips, &columns), &runs, &mut found);
                for bit in 0..found.len() * WORD_BITS {
                    // The last one for its strip counts, column by column.
                    let is_wanted = cells.get(bit).is_some_and(|(strip, column)| {
                        let run = wanted.iter().rev().find(|(of, ..)| of == strip);
                        run.is_some_and(|(_, first, count)| {
                            (0..*count).any(|at| first.wrapping_add(at) == *column)
                        })
                    });
                    prop_assert_eq!(found[bit / WORD_BITS] >> (bit % WORD_BITS) & 1 == 1, is_wanted, "{}", bit);
                }
            }
        }

        #[test]
        fn rows_are_selected(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            wanted in prop::collection::vec(any::<u8>(), 0..256),
        ) {
            let mut set = ByteSet::default();
            wanted.iter().for_each(|byte| set.insert(*byte));
            for isa in Isa::available() {
                let mut found = vec![usize::MAX; bytes.len().div_ceil(WORD_BITS)];
                KernelBits::with_isa(isa).select(&bytes, &set, &mut found);
                prop_assert_eq!(found.len(), bytes.len().div_ceil(WORD_BITS));
                for bit in 0..found.len() * WORD_BITS {
                    let is_wanted = bytes.get(bit).is_some_and(|byte| wanted.contains(byte));
                    prop_assert_eq!(found[bit / WORD_BITS] >> (bit % WORD_BITS) & 1 == 1, is_wanted, "{}", bit);
                }
            }
        }
    }
}
