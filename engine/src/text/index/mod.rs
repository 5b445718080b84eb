//! The inverted index: which rows have a term, in immutable bytes.
//!
//! One form serves everything: texts and sparse vectors, the file of a sealed segment and the runs of a growing one
//! (`runs.rs`). It is written once, from rows (`build.rs`) or from other indexes (`merge.rs`), and read where it lies.
//!
//! ```text
//! lengths, words, groups, postings      four sections, as `lengths.rs`, `words.rs` and `postings.rs` say
//! info  = flavour u8 | length-width u8 | rows u32 | rows with a term u32 | terms u64
//! ```
//! `rows` counts the slots, `terms` sums the lengths. A sparse vector's dimension is the term of its four bytes, highest first; it
//! has no lengths (width 0), and `terms` counts its entries.
//!
//! **Nothing read is trusted.** Opening checks that the sections have the lengths that the counts ask for; everything else is
//! checked where it is read, and costs no more than sound bytes of the same counts.

mod build;
mod dead;
mod lengths;
mod merge;
mod pack;
mod postings;
mod words;
mod writer;

use std::ops::Range;

pub(crate) use build::{SparseBuilder, TextBuilder};
pub(crate) use dead::{DeadCounts, Gone};
pub(super) use lengths::Lengths;
pub(crate) use merge::{MergeSource, NOWHERE, merge, merge_in_memory};
pub(super) use pack::BLOCK;
pub(crate) use postings::Flavour;
pub(super) use postings::{Block, Postings};
pub(super) use words::{Walk, Word, Words};
pub(crate) use writer::{IndexWriter, Written};

use super::bm25::FieldStatistics;
use crate::codec::{Decoded, Decoder, Encoder};
use crate::dir::Blob;

/// What is known of an index beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IndexInfo {
    pub(crate) flavour: Flavour,
    length_width: u8,
    /// Slots.
    pub(crate) rows: u32,
    /// Of all of them, dead ones too.
    pub(crate) statistics: FieldStatistics,
}

impl IndexInfo {
    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.u8(match self.flavour {
            Flavour::Counts => 0,
            Flavour::Weights => 1,
        });
        out.u8(self.length_width);
        out.u32(self.rows);
        out.u32(self.statistics.rows as u32);
        out.u64(self.statistics.terms);
    }

    pub(crate) fn decode(input: &mut Decoder<'_>) -> Decoded<Self> {
        let flavour = match input.u8()? {
            0 => Flavour::Counts,
            1 => Flavour::Weights,
            other => return input.error(format!("unknown kind of index {other}")),
        };
        let length_width = input.u8()?;
        let is_right = match flavour {
            Flavour::Counts => matches!(length_width, 1 | 2 | 4),
            Flavour::Weights => length_width == 0,
        };
        if !is_right {
            return input.error(format!("lengths of {length_width} bytes"));
        }
        let rows = input.u32()?;
        let with_terms = input.u32()?;
        if with_terms > rows {
            return input.error(format!("{with_terms} of {rows} rows have terms"));
        }
        let statistics = FieldStatistics { rows: u64::from(with_terms), terms: input.u64()? };
        Ok(Self { flavour, length_width, rows, statistics })
    }

    fn length_bytes(&self) -> usize {
        self.rows as usize * usize::from(self.length_width)
    }
}

/// Where the sections lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sections {
    pub(crate) lengths: Range<usize>,
    pub(crate) words: Range<usize>,
    pub(crate) groups: Range<usize>,
    pub(crate) postings: Range<usize>,
}

/// An index.
pub(crate) struct Index {
    pub(crate) info: IndexInfo,
    blob: Blob,
    sections: Sections,
    /// How many dead rows have a term, for terms that were asked for.
    pub(super) dead: DeadCounts,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("info", &self.info).finish_non_exhaustive()
    }
}

impl Index {
    /// An index in sections of a blob; `None` if they do not fit what is known of it, or lie outside.
    pub(crate) fn open(blob: Blob, sections: Sections, info: IndexInfo) -> Option<Self> {
        let bytes = (*blob).as_ref();
        let Sections { lengths, words, groups, postings } = &sections;
        let lies_inside =
            [lengths, words, groups, postings].iter().all(|range| bytes.get((**range).clone()).is_some());
        let fits = lengths.len() == info.length_bytes() && groups.len().is_multiple_of(16);
        (lies_inside && fits).then(|| Self { info, blob, sections, dead: DeadCounts::default() })
    }

    fn section(&self, range: &Range<usize>) -> &[u8] {
        &(*self.blob).as_ref()[range.clone()]
    }

    /// Bytes of all sections.
    pub(crate) fn bytes(&self) -> usize {
        let Sections { lengths, words, groups, postings } = &self.sections;
        [lengths, words, groups, postings].iter().map(|range| range.len()).sum()
    }

    pub(super) fn lengths(&self) -> Lengths<'_> {
        Lengths::new(self.section(&self.sections.lengths), self.info.length_width)
            .unwrap_or(Lengths::One(&[]))
    }

    pub(super) fn words(&self) -> Words<'_> {
        let Sections { words, groups, .. } = &self.sections;
        Words::new(self.section(words), self.section(groups), self.info.rows as usize)
    }

    /// The rows that have a word; none if its list is not there.
    pub(super) fn postings(&self, word: &Word) -> Postings<'_> {
        let all = self.section(&self.sections.postings);
        let (list, rows) = match all.get(word.list.clone()) {
            Some(list) => (list, word.rows),
            None => (&all[..0], 0),
        };
        Postings::open(list, rows, self.info.flavour)
    }

    /// The rows that have a term.
    pub(super) fn find(&self, term: &[u8]) -> Option<(Word, Postings<'_>)> {
        let word = self.words().find(term)?;
        let postings = self.postings(&word);
        Some((word, postings))
    }
}

#[cfg(test)]
impl Index {
    /// The same with other bytes here and there: (section, place, byte) each.
    pub(super) fn damaged(&self, damage: &[(usize, proptest::sample::Index, u8)]) -> Self {
        let mut bytes = (*self.blob).as_ref().to_vec();
        let Sections { lengths, words, groups, postings } = self.sections.clone();
        let sections = [lengths, words, groups, postings];
        for (section, place, byte) in damage {
            let range = sections[*section].clone();
            if !range.is_empty() {
                bytes[range.start + place.index(range.len())] = *byte;
            }
        }
        Self::open(std::sync::Arc::new(bytes), self.sections.clone(), self.info)
            .expect("the lengths are what they were")
    }
}
