//! One index of several: of the runs of a growing segment, and of the segments of a merge.
//!
//! Each source says under which slot each of its rows goes on, or that it is gone. Terms come from all sources in order; the list of
//! a term is that of all sources together. Nothing is analysed again.
//!
//! **Cost.** A few nanoseconds a posting, and sorting each list whose rows go on in another order, as those of seals and merges do; in memory the new
//! lengths, the dictionary, and one list at a time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::writer::{InMemory, sure};
use super::{Block, Flavour, Index, IndexWriter, Walk, Written};
use crate::text::bm25::FieldStatistics;

/// The slot of a row that is gone.
pub(crate) const NOWHERE: u32 = u32::MAX;

/// An index that goes into another.
#[derive(Debug)]
pub(crate) struct MergeSource<'a> {
    pub(crate) index: &'a Index,
    /// By old slot the new one, or [`NOWHERE`].
    pub(crate) slots: &'a [u32],
}

/// Merges indexes of one flavour into one of so many rows. `sink` takes the postings.
pub(crate) fn merge<E>(
    flavour: Flavour,
    sources: &[MergeSource<'_>],
    rows: u32,
    sink: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<Written, E> {
    let mut writer = match flavour {
        Flavour::Counts => IndexWriter::of_texts(&lengths(sources, rows), sink),
        Flavour::Weights => IndexWriter::of_sparse(rows, entries(sources, rows), sink),
    };
    let mut walks: Vec<Walk<'_>> = sources.iter().map(|source| source.index.words().walk()).collect();
    let mut next = BinaryHeap::new();
    for (at, walk) in walks.iter_mut().enumerate() {
        next.extend(walk.next().map(|word| Reverse((walk.term().to_vec(), at, Taken(word)))));
    }
    let mut list = List::default();
    let mut block = Block::new();
    while let Some(Reverse((term, at, Taken(word)))) = next.pop() {
        list.take(&sources[at], &word, rows, &mut block);
        next.extend(walks[at].next().map(|word| Reverse((walks[at].term().to_vec(), at, Taken(word)))));
        if next.peek().is_none_or(|Reverse((other, ..))| *other != term) {
            list.sort();
            if !list.slots.is_empty() {
                writer.add(&term, &list.slots, &list.values)?;
            }
            list.clear();
        }
    }
    Ok(writer.finish())
}

/// The same in memory.
pub(crate) fn merge_in_memory(flavour: Flavour, sources: &[MergeSource<'_>], rows: u32) -> Index {
    let mut postings = Vec::new();
    let written = merge(flavour, sources, rows, |bytes| -> InMemory {
        postings.extend_from_slice(bytes);
        Ok(())
    });
    sure(written).into_index(postings)
}

/// A word in the heap, which is ordered by what stands before it.
struct Taken(super::Word);

impl PartialEq for Taken {
    fn eq(&self, other: &Self) -> bool {
        self.0.number == other.0.number
    }
}

impl Eq for Taken {}

impl PartialOrd for Taken {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Taken {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.number.cmp(&other.0.number)
    }
}

/// The list of a term.
#[derive(Default)]
struct List {
    slots: Vec<u32>,
    values: Vec<u32>,
}

impl List {
    fn clear(&mut self) {
        self.slots.clear();
        self.values.clear();
    }

    /// Adds the rows of a source that go on.
    fn take(&mut self, source: &MergeSource<'_>, word: &super::Word, rows: u32, block: &mut Block) {
        let postings = source.index.postings(word);
        for at in 0..postings.blocks() {
            postings.read(at, block);
            for (slot, value) in block.slots().iter().zip(block.values()) {
                let new = source.slots.get(*slot as usize).copied().unwrap_or(NOWHERE);
                if new < rows {
                    self.slots.push(new);
                    self.values.push(*value);
                }
            }
        }
    }

    /// Puts the rows into ascending order, if they are not, each once.
    fn sort(&mut self) {
        if self.slots.is_sorted_by(|a, b| a < b) {
            return;
        }
        let mut pairs: Vec<(u32, u32)> = self.slots.drain(..).zip(self.values.drain(..)).collect();
        pairs.sort_by_key(|(slot, _)| *slot);
        pairs.dedup_by_key(|(slot, _)| *slot);
        (self.slots, self.values) = pairs.into_iter().unzip();
    }
}

fn lengths(sources: &[MergeSource<'_>], rows: u32) -> Vec<u32> {
    let mut lengths = vec![0; rows as usize];
    for source in sources {
        let old = source.index.lengths();
        for (slot, new) in (0..source.index.info.rows).zip(source.slots) {
            if let Some(length) = lengths.get_mut(*new as usize) {
                *length = old.get(slot);
            }
        }
    }
    lengths
}

/// How many vectors have entries, and how many.
fn entries(sources: &[MergeSource<'_>], rows: u32) -> FieldStatistics {
    let mut block = Block::new();
    let mut with = fixedbitset::FixedBitSet::with_capacity(rows as usize);
    let mut list = List::default();
    let mut terms = 0;
    for source in sources {
        let mut walk = source.index.words().walk();
        while let Some(word) = walk.next() {
            list.clear();
            list.take(source, &word, rows, &mut block);
            terms += list.slots.len() as u64;
            list.slots.iter().for_each(|slot| with.insert(*slot as usize));
        }
    }
    FieldStatistics { rows: with.count_ones(..) as u64, terms }
}
