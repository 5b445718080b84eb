//! The rows of one term: which they are, and how often, or with what weight, each has it.
//!
//! ```text
//! list   = skip * blocks | block*            blocks = rows / 128, rounded up; a list of one block has no skips
//! skip   = last u32 | end u32 | bound f32 (| least f32, of weights)
//! block  = slot width u8 | count width u8 | slot gaps | counts less one              of texts
//!        | slot width u8 | slot gaps | weight f32 *                                  of sparse vectors
//! ```
//! A gap is the slot less the one before, less one; before the first of the list stands -1. `last` is the last slot of
//! a block, `end` where it ends among the blocks. What a skip says of the rows of its block is enough to pass it over:
//! for texts the least [`Saturation`], for weights the greatest and the least of them.
//!
//! Nothing read is trusted: whatever the bytes say, a block has as many rows as the list's length leaves for it, and slots and
//! values are what they are. Whoever uses a slot checks that there is such a row.

use super::pack::{BLOCK, BLOCK_BYTES_PER_BIT, pack, packed_bytes, unpack, width_of};
use crate::codec::u32_at;
use crate::text::bm25::Saturation;

/// What stands beside the slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// How often a text has the term: u32 from one.
    Counts,
    /// The weight of a dimension: the bits of a f32.
    Weights,
}

impl Flavour {
    fn skip_bytes(self) -> usize {
        match self {
            Flavour::Counts => 12,
            Flavour::Weights => 16,
        }
    }
}

/// What is known of a block without reading it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::text) struct Skip {
    pub(in crate::text) last: u32,
    end: u32,
    /// Of counts the least saturation, of weights the greatest.
    pub(in crate::text) bound: f32,
    /// The least weight.
    pub(in crate::text) least: f32,
}

/// The rows of a block.
#[derive(Debug)]
pub(in crate::text) struct Block {
    len: usize,
    slots: [u32; BLOCK],
    values: [u32; BLOCK],
}

impl Block {
    pub(in crate::text) fn new() -> Self {
        Self { len: 0, slots: [0; BLOCK], values: [0; BLOCK] }
    }

    pub(in crate::text) fn slots(&self) -> &[u32] {
        &self.slots[..self.len]
    }

    pub(in crate::text) fn values(&self) -> &[u32] {
        &self.values[..self.len]
    }
}

/// A list where it lies.
#[derive(Clone, Copy, Debug)]
pub(in crate::text) struct Postings<'a> {
    flavour: Flavour,
    count: usize,
    skips: &'a [u8],
    data: &'a [u8],
}

impl<'a> Postings<'a> {
    /// A list of so many rows.
    pub(super) fn open(bytes: &'a [u8], count: usize, flavour: Flavour) -> Self {
        let blocks = count.div_ceil(BLOCK);
        let skip_bytes = if blocks > 1 { blocks * flavour.skip_bytes() } else { 0 };
        match bytes.split_at_checked(skip_bytes) {
            Some((skips, data)) => Self { flavour, count, skips, data },
            None => Self { flavour, count: 0, skips: &[], data: &[] },
        }
    }

    /// Rows in it.
    pub(in crate::text) fn len(&self) -> usize {
        self.count
    }

    pub(in crate::text) fn blocks(&self) -> usize {
        self.count.div_ceil(BLOCK)
    }

    /// What is known of a block; `None` of a list of one block.
    pub(in crate::text) fn skip(&self, block: usize) -> Option<Skip> {
        let size = self.flavour.skip_bytes();
        let entry = self.skips.get(block * size..(block + 1) * size)?;
        let float = |index| f32::from_bits(u32_at(entry, index));
        let least = if self.flavour == Flavour::Weights { float(3) } else { 0.0 };
        Some(Skip { last: u32_at(entry, 0), end: u32_at(entry, 1), bound: float(2), least })
    }

    /// The last slot of a block; of the only one, that it could be any.
    pub(in crate::text) fn last(&self, block: usize) -> u32 {
        let at = block * self.flavour.skip_bytes();
        self.skips.get(at..at + 4).map_or(u32::MAX, |entry| u32_at(entry, 0))
    }

    /// The first block from `from` on that a slot can be in.
    pub(in crate::text) fn block_of(&self, slot: u32, from: usize) -> usize {
        let (mut low, mut step) = (from, 1);
        // In leaps that double, as the next one asked for is mostly near.
        while low + step < self.blocks() && self.last(low + step - 1) < slot {
            low += step;
            step *= 2;
        }
        let mut high = (low + step).min(self.blocks());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.last(middle) < slot { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Whether a row is on the list.
    pub(in crate::text) fn contains(&self, slot: u32, block: &mut Block) -> bool {
        let at = self.block_of(slot, 0);
        if at >= self.blocks() {
            return false;
        }
        self.read(at, block);
        block.slots().binary_search(&slot).is_ok()
    }

    /// Reads a block.
    pub(in crate::text) fn read(&self, block: usize, out: &mut Block) {
        out.len = self.count.saturating_sub(block * BLOCK).min(BLOCK);
        let before = block.checked_sub(1).and_then(|before| self.skip(before));
        let start = before.map_or(0, |before| before.end as usize);
        let data = self.data.get(start..).unwrap_or_default();
        let (slots, values) = (&mut out.slots[..out.len], &mut out.values[..out.len]);
        let bytes_of = |width: u8| packed_bytes(slots.len(), width.min(32));
        match self.flavour {
            Flavour::Counts => {
                let [slot_width, count_width, packed @ ..] = data else { return out.len = 0 };
                let packed_counts = packed.get(bytes_of(*slot_width)..).unwrap_or_default();
                unpack(packed_counts, *count_width, values);
                values.iter_mut().for_each(|count| *count = count.saturating_add(1));
                unpack(packed, *slot_width, slots);
            }
            Flavour::Weights => {
                let [slot_width, packed @ ..] = data else { return out.len = 0 };
                let weights = packed.get(bytes_of(*slot_width)..).unwrap_or_default();
                values.fill(0);
                for (value, bytes) in values.iter_mut().zip(weights.as_chunks::<4>().0) {
                    *value = u32::from_le_bytes(*bytes);
                }
                unpack(packed, *slot_width, slots);
            }
        }
        let mut slot = before.map_or(u32::MAX, |before| before.last);
        for gap in slots {
            slot = slot.wrapping_add(*gap).wrapping_add(1);
            *gap = slot;
        }
    }
}

/// Writes lists.
#[derive(Debug)]
pub(super) struct ListWriter {
    flavour: Flavour,
    gaps: Vec<u32>,
    skips: Vec<u8>,
    blocks: Vec<u8>,
}

impl ListWriter {
    pub(super) fn new(flavour: Flavour) -> Self {
        debug_assert_eq!(BLOCK_BYTES_PER_BIT * 8, BLOCK);
        Self { flavour, gaps: Vec::new(), skips: Vec::new(), blocks: Vec::new() }
    }

    /// Appends the list of these rows, in ascending order, to `out`. `saturation` says of the lengths of texts what the bounds need.
    pub(super) fn write(
        &mut self,
        slots: &[u32],
        values: &[u32],
        saturation: &Saturation<'_>,
        out: &mut Vec<u8>,
    ) {
        self.skips.clear();
        self.blocks.clear();
        let mut before = u32::MAX;
        for (slots, values) in slots.chunks(BLOCK).zip(values.chunks(BLOCK)) {
            self.gaps.clear();
            for slot in slots {
                self.gaps.push(slot.wrapping_sub(before).wrapping_sub(1));
                before = *slot;
            }
            self.write_block(values);
            let bounds = match self.flavour {
                Flavour::Counts => vec![saturation.least(slots, values)],
                Flavour::Weights => {
                    let weights = || values.iter().map(|bits| f32::from_bits(*bits));
                    vec![weights().fold(f32::NEG_INFINITY, f32::max), weights().fold(f32::INFINITY, f32::min)]
                }
            };
            self.skips.extend(before.to_le_bytes());
            self.skips.extend((self.blocks.len() as u32).to_le_bytes());
            self.skips.extend(bounds.iter().flat_map(|bound| bound.to_le_bytes()));
        }
        if slots.len() > BLOCK {
            out.extend_from_slice(&self.skips);
        }
        out.extend_from_slice(&self.blocks);
    }

    fn write_block(&mut self, values: &[u32]) {
        let slot_width = width_of(&self.gaps);
        self.blocks.push(slot_width);
        match self.flavour {
            Flavour::Counts => {
                let counts: Vec<u32> = values.iter().map(|count| count.saturating_sub(1)).collect();
                let count_width = width_of(&counts);
                self.blocks.push(count_width);
                pack(&self.gaps, slot_width, &mut self.blocks);
                pack(&counts, count_width, &mut self.blocks);
            }
            Flavour::Weights => {
                pack(&self.gaps, slot_width, &mut self.blocks);
                self.blocks.extend(values.iter().flat_map(|bits| bits.to_le_bytes()));
            }
        }
    }
}
