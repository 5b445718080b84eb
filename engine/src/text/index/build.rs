//! An index of rows.
//!
//! **Idea.** While rows come, each occurrence of a term is one pair of numbers (term, slot) in one vector: nothing is kept
//! for each term, so a term costs one look into a hash map. In the end the pairs are brought into the order of the terms by
//! counting; each term's are in the order of their slots by then.
//!
//! **Cost.** Eight bytes of memory an occurrence, and the distinct terms. Whoever has more than that begins another index in
//! time ([`TextBuilder::memory_bytes`]) and merges them.

use std::collections::HashMap;

use super::writer::{InMemory, sure};
use super::{Index, IndexWriter};
use crate::text::analysis::Analysis;
use crate::text::bm25::FieldStatistics;

/// Distinct terms, numbered as they come.
#[derive(Debug, Default)]
struct Terms {
    numbers: HashMap<Box<[u8]>, u32, super::super::hash::Seeded>,
    bytes: usize,
}

impl Terms {
    fn number(&mut self, term: &[u8]) -> u32 {
        if let Some(number) = self.numbers.get(term) {
            return *number;
        }
        let number = self.numbers.len() as u32;
        self.bytes += term.len() + 64;
        self.numbers.insert(term.into(), number);
        number
    }

    /// The terms in order, and for each number its place among them.
    fn sorted(self) -> (Vec<Box<[u8]>>, Vec<u32>) {
        let mut sorted: Vec<(Box<[u8]>, u32)> = self.numbers.into_iter().collect();
        sorted.sort_unstable();
        let mut places = vec![0; sorted.len()];
        for (place, (_, number)) in (0..).zip(&sorted) {
            places[*number as usize] = place;
        }
        (sorted.into_iter().map(|(term, _)| term).collect(), places)
    }
}

/// Brings pairs into the order of their terms; where each term's begin, and the end.
fn by_term<T: Copy + Default>(pairs: &[(u32, T)], places: &[u32]) -> (Vec<T>, Vec<usize>) {
    let mut starts = vec![0usize; places.len() + 1];
    pairs.iter().for_each(|(term, _)| starts[places[*term as usize] as usize + 1] += 1);
    for at in 1..starts.len() {
        starts[at] += starts[at - 1];
    }
    let mut next = starts.clone();
    let mut sorted = vec![T::default(); pairs.len()];
    for (term, value) in pairs {
        let next = &mut next[places[*term as usize] as usize];
        sorted[*next] = *value;
        *next += 1;
    }
    (sorted, starts)
}

/// Builds an index of texts.
#[derive(Debug)]
pub(crate) struct TextBuilder<'a> {
    analysis: &'a mut Analysis,
    terms: Terms,
    occurrences: Vec<(u32, u32)>,
    lengths: Vec<u32>,
}

impl<'a> TextBuilder<'a> {
    pub(crate) fn new(analysis: &'a mut Analysis) -> Self {
        Self { analysis, terms: Terms::default(), occurrences: Vec::new(), lengths: Vec::new() }
    }

    /// Adds the text of a row; rows come in ascending order.
    pub(crate) fn push(&mut self, slot: u32, text: &str) {
        self.lengths.resize(slot as usize, 0);
        let before = self.occurrences.len();
        let Self { analysis, terms, occurrences, .. } = self;
        analysis.document(text, &mut |term| occurrences.push((terms.number(term.as_bytes()), slot)));
        self.lengths.push((self.occurrences.len() - before) as u32);
    }

    /// Memory that it takes so far.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.occurrences.len() * 8 + self.terms.bytes + self.lengths.len() * 4
    }

    /// The index of so many rows; those that were not added have no text.
    pub(crate) fn finish(mut self, rows: u32) -> Index {
        self.lengths.resize(rows as usize, 0);
        let (terms, places) = self.terms.sorted();
        let (sorted, starts) = by_term(&self.occurrences, &places);
        drop(self.occurrences);
        let mut postings = Vec::new();
        let mut writer = IndexWriter::of_texts(&self.lengths, |bytes: &[u8]| -> InMemory {
            postings.extend_from_slice(bytes);
            Ok(())
        });
        let (mut slots, mut counts) = (Vec::new(), Vec::new());
        for (term, range) in terms.iter().zip(starts.windows(2)) {
            slots.clear();
            counts.clear();
            for run in sorted[range[0]..range[1]].chunk_by(|a, b| a == b) {
                slots.push(run[0]);
                counts.push(run.len() as u32);
            }
            sure(writer.add(term, &slots, &counts));
        }
        writer.finish().into_index(postings)
    }
}

/// Builds an index of sparse vectors.
#[derive(Debug, Default)]
pub(crate) struct SparseBuilder {
    terms: Terms,
    entries: Vec<(u32, (u32, u32))>,
    rows: u64,
}

impl SparseBuilder {
    /// Adds the vector of a row; rows come in ascending order, their indices too.
    pub(crate) fn push(&mut self, slot: u32, indices: &[u32], values: &[f32]) {
        self.rows += u64::from(!indices.is_empty());
        for (index, value) in indices.iter().zip(values) {
            self.entries.push((self.terms.number(&index.to_be_bytes()), (slot, value.to_bits())));
        }
    }

    /// The index of so many rows; those that were not added have no vector.
    pub(crate) fn finish(self, rows: u32) -> Index {
        let statistics = FieldStatistics { rows: self.rows, terms: self.entries.len() as u64 };
        let (terms, places) = self.terms.sorted();
        let (sorted, starts) = by_term(&self.entries, &places);
        drop(self.entries);
        let mut postings = Vec::new();
        let mut writer = IndexWriter::of_sparse(rows, statistics, |bytes: &[u8]| -> InMemory {
            postings.extend_from_slice(bytes);
            Ok(())
        });
        let (mut slots, mut values) = (Vec::new(), Vec::new());
        for (term, range) in terms.iter().zip(starts.windows(2)) {
            slots.clear();
            values.clear();
            for (slot, value) in &sorted[range[0]..range[1]] {
                slots.push(*slot);
                values.push(*value);
            }
            sure(writer.add(term, &slots, &values));
        }
        writer.finish().into_index(postings)
    }
}
