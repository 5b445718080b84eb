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
//! strip, so two tables of 64 bytes say it of thousands of cells: where the run of a strip begins, and how many columns it has.

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
pub const STRIPS: usize = 64;

/// A run of columns of each strip of a grid, which may begin anew behind the last column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runs {
    first: [u8; STRIPS],
    count: [u8; STRIPS],
}

impl Default for Runs {
    fn default() -> Self {
        Self { first: [0; STRIPS], count: [0; STRIPS] }
    }
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

    /// Writes the set of rows whose cell of a grid is in some runs, by the strips, each below [`STRIPS`], and the columns of all rows, as words of
    /// which the last is filled up with zeros.
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
mod x86;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Of each level, and without what not every processor of a level has.
    fn kernels() -> Vec<KernelBits> {
        let kernels = Isa::available().map(KernelBits::with_isa);
        #[cfg(target_arch = "x86_64")]
        let kernels = kernels.chain(x86::least_avx512(KernelBits { ones, blocks, select, within }));
        kernels.collect()
    }

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
            for kernel in kernels() {
                let mut found = vec![usize::MAX; cells.len().div_ceil(WORD_BITS)];
                kernel.select_within((&strips, &columns), &runs, &mut found);
                for bit in 0..found.len() * WORD_BITS {
                    // The last one for its strip counts, column by column.
                    let is_wanted = cells.get(bit).is_some_and(|(strip, column)| {
                        let run = wanted.iter().rev().find(|(of, ..)| of == strip);
                        run.is_some_and(|(_, first, count)| {
                            (0..*count).any(|at| first.wrapping_add(at) == *column)
                        })
                    });
                    let is_found = found[bit / WORD_BITS] >> (bit % WORD_BITS) & 1 == 1;
                    prop_assert_eq!(is_found, is_wanted, "{} {:?}", bit, kernel);
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
