//! An index of texts by itself, without rows or a database around it: what the search by word costs and finds, for measurements.

use std::sync::Arc;

use super::analysis::Analysis;
use super::index::{Gone, Index, MergeSource, TextBuilder, merge};
use super::query::{FieldQuery, Part, TextSearch};
use super::{Analyzer, Flavour};
use crate::error::Result;
use crate::interrupt::Watch;
use crate::segment::DeadRows;

/// Memory of a builder after which another one is begun.
const BUILDER_BYTES_MAX: usize = 64 << 20;

/// Texts, numbered from 0, that are searched by word.
#[derive(Debug)]
pub struct TextIndex {
    analyzer: Analyzer,
    index: Index,
}

impl TextIndex {
    /// Indexes texts.
    ///
    /// # Errors
    /// None yet: it is in memory.
    pub fn build<'a>(analyzer: Analyzer, texts: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut analysis = Analysis::new(analyzer);
        let mut texts = texts.into_iter().peekable();
        let mut runs: Vec<Index> = Vec::new();
        while texts.peek().is_some() || runs.is_empty() {
            let mut builder = TextBuilder::new(&mut analysis);
            let mut rows = 0;
            while builder.memory_bytes() < BUILDER_BYTES_MAX {
                let Some(text) = texts.next() else { break };
                builder.push(rows, text);
                rows += 1;
            }
            runs.push(builder.finish(rows)?);
        }
        let index = match <[Index; 1]>::try_from(runs) {
            Ok([index]) => index,
            Err(runs) => {
                let mut end = 0;
                let slots_of = |run: &Index| {
                    let start = end;
                    end += run.info.rows;
                    (start..end).collect()
                };
                let slots: Vec<Vec<u32>> = runs.iter().map(slots_of).collect();
                let source = |(index, slots)| MergeSource { index, slots };
                let sources: Vec<MergeSource<'_>> =
                    runs.iter().zip(slots.iter().map(Vec::as_slice)).map(source).collect();
                let mut postings = Vec::new();
                let written = merge(Flavour::Counts, &sources, end, |bytes| {
                    postings.extend_from_slice(bytes);
                    Ok(())
                })?;
                written.into_index(postings)
            }
        };
        Ok(Self { analyzer, index })
    }

    /// The best `k` texts for a query, best first, with their scores.
    pub fn search(&self, query: &str, k: usize) -> Vec<(u32, f32)> {
        let terms = Analysis::new(self.analyzer).query(query);
        let fields = [FieldQuery { boost: 1.0, terms }];
        let dead = Arc::<DeadRows>::default();
        let indexes = [Some(&self.index)];
        let gone = Gone { dead: &dead, first: 0 };
        let parts =
            [Part { segment: 0, indexes: &indexes, gone, rows: self.index.info.rows, admitted: None }];
        let answer = TextSearch::new(&fields, &parts).best(k, false, &Watch::default());
        answer.rows.into_iter().map(|row| (row.slot, row.score)).collect()
    }

    /// Bytes that it would take on a disk.
    pub fn size_bytes(&self) -> usize {
        self.index.bytes()
    }
}
