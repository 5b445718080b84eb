//! Writing an index: lists in the order of their terms, the dictionary beside them.
//!
//! Lists go out as they come, so that an index of any size is written in the memory that its dictionary, the lengths and its longest
//! list take.

use std::convert::Infallible;
use std::sync::Arc;

use super::lengths::encode;
use super::postings::ListWriter;
use super::words::WordsWriter;
use super::{Flavour, Index, IndexInfo, Lengths, Sections};
use crate::text::bm25::{FieldStatistics, Saturation};

/// The sections but for the postings, which are where they were written.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) info: IndexInfo,
    pub(crate) lengths: Vec<u8>,
    pub(crate) words: Vec<u8>,
    pub(crate) groups: Vec<u8>,
}

impl Written {
    /// The index in memory, of the postings that were written to a vector.
    pub(crate) fn into_index(self, postings: Vec<u8>) -> Index {
        let mut blob =
            Vec::with_capacity(self.lengths.len() + self.words.len() + self.groups.len() + postings.len());
        let mut add = |bytes: &[u8]| {
            let start = blob.len();
            blob.extend_from_slice(bytes);
            start..blob.len()
        };
        let sections = Sections {
            lengths: add(&self.lengths),
            words: add(&self.words),
            groups: add(&self.groups),
            postings: add(&postings),
        };
        Index { info: self.info, blob: Arc::new(blob), sections, dead: super::DeadCounts::default() }
    }
}

/// What comes of writing to memory.
pub(crate) type InMemory<T = ()> = Result<T, Infallible>;

/// The value of what cannot fail.
pub(crate) fn sure<T>(result: InMemory<T>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// Writes an index.
pub(crate) struct IndexWriter<S> {
    info: IndexInfo,
    lengths: Vec<u8>,
    lists: ListWriter,
    words: WordsWriter,
    list: Vec<u8>,
    sink: S,
}

impl<E, S: FnMut(&[u8]) -> Result<(), E>> IndexWriter<S> {
    /// Of texts with these numbers of terms, by slot. `sink` takes the postings.
    pub(crate) fn of_texts(lengths: &[u32], sink: S) -> Self {
        let (length_width, bytes) = encode(lengths);
        let statistics = FieldStatistics {
            rows: lengths.iter().filter(|length| **length > 0).count() as u64,
            terms: lengths.iter().map(|length| u64::from(*length)).sum(),
        };
        let info =
            IndexInfo { flavour: Flavour::Counts, length_width, rows: lengths.len() as u32, statistics };
        Self::new(info, bytes, sink)
    }

    /// Of so many sparse vectors with so many entries, `with_entries` of which have some.
    pub(crate) fn of_sparse(rows: u32, statistics: FieldStatistics, sink: S) -> Self {
        let info = IndexInfo { flavour: Flavour::Weights, length_width: 0, rows, statistics };
        Self::new(info, Vec::new(), sink)
    }

    fn new(info: IndexInfo, lengths: Vec<u8>, sink: S) -> Self {
        let (lists, words) = (ListWriter::new(info.flavour), WordsWriter::default());
        Self { info, lengths, lists, words, list: Vec::new(), sink }
    }

    /// Adds a term with its rows, both in ascending order.
    pub(crate) fn add(&mut self, term: &[u8], slots: &[u32], values: &[u32]) -> Result<(), E> {
        let lengths = Lengths::new(&self.lengths, self.info.length_width).unwrap_or(Lengths::One(&[]));
        let saturation = Saturation::new(lengths, &self.info.statistics);
        self.list.clear();
        self.lists.write(slots, values, &saturation, &mut self.list);
        self.words.add(term, slots.len(), self.list.len());
        (self.sink)(&self.list)
    }

    pub(crate) fn finish(self) -> Written {
        let WordsWriter { words, groups, .. } = self.words;
        Written { info: self.info, lengths: self.lengths, words, groups }
    }
}
