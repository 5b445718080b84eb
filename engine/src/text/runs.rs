//! The indexes of a segment in memory: appended to while others search.
//!
//! **Problem.** A view must find by word what was written before it was published, and nothing else, without locks and without a
//! copy of an index for each batch.
//!
//! **Idea.** As for ids (`segment/ids.rs`): the rows of each batch are an index of their own, a *run*, that never changes; runs of like
//! size are merged, so that there are O(log n) of them. A view holds the list of its runs. Rows that are dead by then are
//! left out of what is merged.
//!
//! **Invariants.** Runs follow each other: each begins with the row after the last of the one before. All indexes of a run are
//! over the same rows.
//!
//! **Cost.** A posting is written anew at each of log4(n / batch) merges, some ten nanoseconds each; up to three runs of each size are searched. What
//! a run has of rows is bounded, so that no write waits long for a merge.

use std::sync::Arc;

use super::Analyzer;
use super::analysis::Analyses;
use super::index::{Index, MergeSource, NOWHERE, SparseBuilder, TextBuilder, merge_in_memory};
use crate::segment::DeadRows;

/// Runs of like size that are merged.
const FAN_IN: usize = 4;
/// Rows of a run that is merged no more.
const ROWS_MAX: u32 = 1 << 15;

/// What an index is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum IndexOf {
    /// The text of the field with this number.
    Text(u16),
    /// The sparse vector with this number.
    Sparse(u16),
}

/// Consecutive rows and their indexes.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) first: u32,
    pub(crate) rows: u32,
    /// Those that some row has something for.
    pub(crate) indexes: Vec<(IndexOf, Arc<Index>)>,
}

impl Run {
    /// Indexes rows that follow others. `text` gives what a row, from 0, has in a field.
    pub(crate) fn of_texts<'a>(
        (first, rows): (u32, u32),
        fields: impl Iterator<Item = (u16, Analyzer)>,
        analyses: &mut Analyses,
        text: impl Fn(u32, u16) -> Option<&'a str>,
    ) -> Self {
        let mut indexes = Vec::new();
        for (field, analyzer) in fields {
            let mut builder = TextBuilder::new(analyses.of(analyzer));
            let mut has_text = false;
            for (slot, text) in (0..rows).filter_map(|slot| Some((slot, text(slot, field)?))) {
                has_text = true;
                builder.push(slot, text);
            }
            if has_text {
                indexes.push((IndexOf::Text(field), Arc::new(builder.finish(rows))));
            }
        }
        Self { first, rows, indexes }
    }

    /// Adds an index of the rows' sparse vectors.
    pub(crate) fn add_sparse<'a>(
        &mut self,
        number: u16,
        entries: impl Fn(u32) -> Option<(&'a [u32], &'a [f32])>,
    ) {
        let mut builder = SparseBuilder::default();
        let mut has_entries = false;
        for (slot, (indices, values)) in (0..self.rows).filter_map(|slot| Some((slot, entries(slot)?))) {
            has_entries = true;
            builder.push(slot, indices, values);
        }
        if has_entries {
            self.indexes.push((IndexOf::Sparse(number), Arc::new(builder.finish(self.rows))));
        }
    }

    pub(crate) fn index(&self, of: IndexOf) -> Option<&Arc<Index>> {
        self.indexes.iter().find(|(own, _)| *own == of).map(|(_, index)| index)
    }

    fn bytes(&self) -> usize {
        self.indexes.iter().map(|(_, index)| index.bytes() + size_of::<Index>()).sum()
    }

    fn level(&self) -> u32 {
        self.rows.max(1).ilog(FAN_IN as u32)
    }
}

/// The runs of a view, in the order of their rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs {
    runs: Vec<Arc<Run>>,
}

impl Runs {
    /// These runs and the one that follows.
    pub(crate) fn with(&self, run: Run, dead: &DeadRows) -> Self {
        let mut runs = self.runs.clone();
        runs.push(Arc::new(run));
        loop {
            let level = runs.last().map_or(0, |run| run.level());
            let is_like = |run: &&Arc<Run>| run.level() <= level && run.rows < ROWS_MAX;
            let alike = runs.iter().rev().take_while(is_like).count();
            if alike < FAN_IN {
                return Self { runs };
            }
            let merged = merged(&runs.split_off(runs.len() - alike), dead);
            runs.push(Arc::new(merged));
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().map(Arc::as_ref)
    }

    /// The first row that they do not have.
    pub(crate) fn end(&self) -> u32 {
        self.runs.last().map_or(0, |run| run.first + run.rows)
    }

    /// Memory of all.
    pub(crate) fn bytes(&self) -> usize {
        self.iter().map(Run::bytes).sum()
    }
}

/// One run of several that follow each other.
fn merged(runs: &[Arc<Run>], dead: &DeadRows) -> Run {
    let first = runs.first().map_or(0, |run| run.first);
    let rows = runs.iter().map(|run| run.rows).sum();
    let place = |slot: u32| if dead.contains(slot) { NOWHERE } else { slot - first };
    let slots: Vec<Vec<u32>> =
        runs.iter().map(|run| (run.first..run.first + run.rows).map(place).collect()).collect();
    let mut all: Vec<IndexOf> = runs.iter().flat_map(|run| run.indexes.iter().map(|(of, _)| *of)).collect();
    all.sort_unstable();
    all.dedup();
    let merge_one = |of: IndexOf| {
        let mut flavour = None;
        let mut sources = Vec::new();
        for (run, slots) in runs.iter().zip(&slots) {
            if let Some(index) = run.index(of) {
                flavour = Some(index.info.flavour);
                sources.push(MergeSource { index, slots });
            }
        }
        (of, Arc::new(merge_in_memory(flavour.unwrap_or(super::Flavour::Counts), &sources, rows)))
    };
    Run { first, rows, indexes: all.into_iter().map(merge_one).collect() }
}
