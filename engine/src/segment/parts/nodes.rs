//! Which rows of a sealed segment have a vector, and how those are numbered.
//!
//! The rows that have a vector, the nodes of a dense one's graph, are numbered in the order of their slots and without gaps. If they are the
//! first rows of the segment, as they are for its first dense vector, node and slot are the same. Else:
//!
//! ```text
//! present = u64 * (rows / 64, rounded up)      bit row % 64 of word row / 64: whether a row has the vector
//! before  = u32 * (rows / 64, rounded up)      the rows before a word that have it
//! ```
//! A node is found by counting bits in one word, a slot by binary search among the counts. **Nothing read is trusted**: what does not
//! fit stands for a row without the vector, or for the first row.

use std::ops::Range;
use std::sync::Arc;

use fixedbitset::FixedBitSet;

use super::{PartsFile, section};
use crate::codec::{u32_at, u64_at};
use crate::dir::Blob;
use crate::error::Result;
use crate::pace::{Halt, Pace, Steps};
use crate::segment::blocks::{BlockWriter, Fault};
use crate::segment::meta::Section;

/// Words between two looks at the pace.
const WORDS_PER_STEP: usize = 1 << 13;

/// Writes which rows have the vector; nothing if they are the first ones. `slots` ascend.
pub(in crate::segment) fn write(
    out: &mut BlockWriter,
    rows: usize,
    slots: impl ExactSizeIterator<Item = u32>,
) -> Result<[Section; 2]> {
    let (count, mut words) = (slots.len(), vec![0u64; rows.div_ceil(64)]);
    let mut last = None;
    for slot in slots {
        words[slot as usize / 64] |= 1 << (slot % 64);
        last = Some(slot);
    }
    if last.is_none_or(|last| last as usize + 1 == count) {
        return Ok([Section::default(); 2]);
    }
    let present = section(out, |out| words.iter().try_for_each(|word| out.write(&word.to_le_bytes())))?;
    let mut total = 0;
    let before = section(out, |out| {
        words.iter().try_for_each(|word| {
            let before = total;
            total += word.count_ones();
            out.write(&before.to_le_bytes())
        })
    })?;
    Ok([present, before])
}

/// The numbers of the rows that have a vector.
pub(crate) enum Nodes {
    /// So many first rows have it, each under its slot.
    First(u32),
    Some(Present),
}

/// Rows anywhere in the segment.
pub(crate) struct Present {
    blob: Blob,
    words: Range<usize>,
    before: Range<usize>,
    rows: u32,
    count: u32,
}

impl Nodes {
    /// Of `count` rows.
    pub(in crate::segment) fn open(
        file: &PartsFile<'_>,
        sections: [Section; 2],
        count: u32,
    ) -> Result<Self, Fault> {
        if sections.iter().all(|section| section.length_bytes == 0) {
            return Ok(Self::First(count));
        }
        let words = (file.rows as usize).div_ceil(64);
        Ok(Self::Some(Present {
            words: file.range(sections[0], Some(words * 8))?,
            before: file.range(sections[1], Some(words * 4))?,
            blob: file.blob.clone(),
            rows: file.rows,
            count,
        }))
    }

    /// Whether each row that has the vector is its own number.
    pub(crate) fn are_slots(&self) -> bool {
        matches!(self, Self::First(_))
    }

    /// Whether a row has the vector.
    pub(crate) fn has(&self, slot: u32) -> bool {
        self.node_of(slot).is_some()
    }

    /// The number of a row that has the vector.
    #[inline]
    pub(crate) fn node_of(&self, slot: u32) -> Option<u32> {
        match self {
            Self::First(count) => (slot < *count).then_some(slot),
            Self::Some(present) => present.node_of(slot),
        }
    }

    /// The row of a number.
    #[inline]
    pub(crate) fn slot_of(&self, node: u32) -> u32 {
        match self {
            Self::First(_) => node,
            Self::Some(present) => present.slot_of(node),
        }
    }

    /// How many of these rows have the vector.
    pub(crate) fn count_of(&self, rows: &FixedBitSet) -> usize {
        match self {
            Self::First(count) => rows.count_ones(..(*count as usize).min(rows.len())),
            Self::Some(present) => rows.ones().filter(|slot| present.node_of(*slot as u32).is_some()).count(),
        }
    }

    /// Turns a set of rows into the set of those that have the vector, by their numbers.
    pub(crate) fn keep(&self, bits: &mut Arc<FixedBitSet>) {
        match self {
            Self::First(count) => {
                let first = *count as usize;
                if first < bits.len() {
                    Arc::make_mut(bits).remove_range(first..);
                }
            }
            Self::Some(present) => *bits = Arc::new(present.numbered(bits)),
        }
    }

    /// Checks that the counts are what they count.
    pub(in crate::segment) fn check_structure(&self, pace: &mut Pace<'_>) -> Result<(), Halt<Fault>> {
        match self {
            Self::First(_) => Ok(()),
            Self::Some(present) => present.check(pace),
        }
    }
}

impl Present {
    fn words(&self) -> usize {
        (self.rows as usize).div_ceil(64)
    }

    /// A word, without bits beyond the rows.
    #[inline]
    fn word(&self, at: usize) -> u64 {
        let word = u64_at(&(*self.blob).as_ref()[self.words.clone()], at);
        let rows = self.rows as usize - at * 64;
        if rows < 64 { word & ((1 << rows) - 1) } else { word }
    }

    #[inline]
    fn before(&self, at: usize) -> u32 {
        u32_at(&(*self.blob).as_ref()[self.before.clone()], at)
    }

    fn node_of(&self, slot: u32) -> Option<u32> {
        if slot >= self.rows {
            return None;
        }
        let (word, bit) = (self.word(slot as usize / 64), slot % 64);
        if word >> bit & 1 == 0 {
            return None;
        }
        let within = (word & ((1 << bit) - 1)).count_ones();
        let node = self.before(slot as usize / 64).saturating_add(within);
        (node < self.count).then_some(node)
    }

    fn slot_of(&self, node: u32) -> u32 {
        // The last word before which there are not more.
        let (mut low, mut high) = (0, self.words());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.before(middle) <= node { low = middle } else { high = middle }
        }
        let (mut word, mut skip) = (self.word(low), node.saturating_sub(self.before(low)));
        while skip > 0 && word != 0 {
            word &= word - 1;
            skip -= 1;
        }
        if word == 0 { 0 } else { low as u32 * 64 + word.trailing_zeros() }
    }

    /// The numbers of those rows that have the vector.
    fn numbered(&self, rows: &FixedBitSet) -> FixedBitSet {
        let mut out = FixedBitSet::with_capacity(self.count as usize);
        let mut next = 0;
        for (at, wanted) in u64s(rows).take(self.words()).enumerate() {
            let (word, first) = (self.word(at), next);
            next += word.count_ones() as usize;
            if next > self.count as usize {
                break;
            }
            if wanted & word == word {
                out.insert_range(first..next);
                continue;
            }
            let mut left = wanted & word;
            while left != 0 {
                let bit = left.trailing_zeros();
                out.insert(first + (word & ((1 << bit) - 1)).count_ones() as usize);
                left &= left - 1;
            }
        }
        out
    }

    fn check(&self, pace: &mut Pace<'_>) -> Result<(), Halt<Fault>> {
        let mut steps = Steps::new(pace, WORDS_PER_STEP);
        let mut total = 0u32;
        for at in 0..self.words() {
            steps.one()?;
            if self.before(at) != total {
                let reason = "a count of rows with a vector does not match".to_owned();
                return Err(Halt::Found((self.before.start + at * 4, reason)));
            }
            total += self.word(at).count_ones();
        }
        match total == self.count {
            true => Ok(()),
            false => {
                let reason = format!("{total} rows have the vector, not {}", self.count);
                Err(Halt::Found((self.words.start, reason)))
            }
        }
    }
}

/// A bitmap in words of 64 bits, whatever it keeps them in.
fn u64s(bits: &FixedBitSet) -> impl Iterator<Item = u64> {
    let per_word = (u64::BITS / usize::BITS) as usize;
    bits.as_slice().chunks(per_word).map(|words| {
        (0..).zip(words).fold(0, |word, (place, part)| word | (*part as u64) << (place * usize::BITS))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    fn present(rows: u32, slots: &[u32]) -> Present {
        let mut words = vec![0u64; (rows as usize).div_ceil(64)];
        slots.iter().for_each(|slot| words[*slot as usize / 64] |= 1 << (slot % 64));
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut total = 0u32;
        for word in &words {
            bytes.extend(total.to_le_bytes());
            total += word.count_ones();
        }
        let middle = words.len() * 8;
        let (words, before) = (0..middle, middle..bytes.len());
        Present { blob: Arc::new(bytes), words, before, rows, count: slots.len() as u32 }
    }

    #[test]
    fn nodes_number_the_rows_that_have_the_vector() {
        let mut random = SplitMix64(3);
        for rows in [1, 63, 64, 65, 300, 1_000] {
            for one_in in [1, 2, 7, 90] {
                let slots: Vec<u32> = (0..rows).filter(|_| random.below(one_in) == 0).collect();
                let nodes = Nodes::Some(present(rows, &slots));
                for (node, slot) in (0..).zip(&slots) {
                    assert_eq!((nodes.node_of(*slot), nodes.slot_of(node)), (Some(node), *slot));
                }
                assert_eq!((0..rows + 9).filter(|slot| nodes.has(*slot)).count(), slots.len());
                for share in [1, 2, 5] {
                    let mut bits = FixedBitSet::with_capacity(rows as usize);
                    (0..rows as usize)
                        .filter(|_| random.below(share) == 0)
                        .for_each(|slot| bits.insert(slot));
                    let expected: Vec<usize> =
                        (0..slots.len()).filter(|node| bits.contains(slots[*node] as usize)).collect();
                    assert_eq!(nodes.count_of(&bits), expected.len());
                    let mut bits = Arc::new(bits);
                    nodes.keep(&mut bits);
                    assert_eq!(bits.ones().collect::<Vec<_>>(), expected, "{rows} {one_in} {share}");
                }
            }
        }
    }

    #[test]
    fn counts_that_lie_lead_nowhere() {
        let mut lying = present(200, &[3, 70, 71, 199]);
        let mut bytes = (*lying.blob).as_ref().to_vec();
        assert!(crate::pace::at_once(|pace| lying.check(pace)).is_ok());
        bytes[lying.before.start + 4..][..4].copy_from_slice(&u32::MAX.to_le_bytes());
        lying.blob = Arc::new(bytes);
        assert_eq!(crate::pace::at_once(|pace| lying.check(pace)).unwrap_err().0, lying.before.start + 4);
        assert!((0..300).filter_map(|slot| lying.node_of(slot)).all(|node| node < 4));
        assert!((0..9).all(|node| lying.slot_of(node) < 200));
    }
}
