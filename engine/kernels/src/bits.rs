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

type Count = fn(&[usize]) -> usize;
/// Writes a word for each 64 bytes.
type Select = fn(&[[u8; WORD_BITS]], &ByteSet, &mut [usize]);

/// Operations on sets of rows.
#[derive(Clone, Copy, Debug)]
pub struct KernelBits {
    ones: Count,
    blocks: Count,
    select: Select,
}

impl KernelBits {
    /// The kernel for this processor.
    pub fn new() -> Self {
        Self::with_isa(Isa::current())
    }

    /// The kernel of a given level, lowered to what the processor has.
    pub fn with_isa(isa: Isa) -> Self {
        let plain = Self { ones, blocks, select };
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

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::is_x86_feature_detected as has;
    use std::arch::x86_64::*;

    use super::{ByteSet, KernelBits, WORD_BITS};
    use crate::isa::Isa;

    /// For AVX2 or more.
    pub(super) fn kernel(isa: Isa, plain: KernelBits) -> KernelBits {
        let counting = match has!("popcnt") {
            true => KernelBits { ones: ones_counting, blocks: blocks_counting, ..plain },
            false => plain,
        };
        match isa {
            Isa::Scalar => plain,
            Isa::Avx2 => KernelBits { select: select_avx2, ..counting },
            Isa::Avx512 | Isa::Avx512Vnni | Isa::Amx if has!("avx512vpopcntdq") => {
                KernelBits { ones: ones_avx512, blocks: blocks_avx512, select: select_avx512 }
            }
            Isa::Avx512 | Isa::Avx512Vnni | Isa::Amx => KernelBits { select: select_avx512, ..counting },
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
