//! Entries that come batch by batch, in order.
//!
//! **Idea.** The entries of a batch, sorted, are an immutable run, and runs of like size are merged: so a view holds a list of runs and looks
//! into each of some log2(n) without a lock, while a writer adds more.

use std::sync::Arc;

/// Sorted runs, largest first.
#[derive(Clone, Debug)]
pub(super) struct SortedRuns<T>(Vec<Arc<[T]>>);

impl<T> Default for SortedRuns<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy + Ord> SortedRuns<T> {
    /// These entries and some more.
    pub(super) fn with(&self, mut entries: Vec<T>) -> Self {
        let mut runs = self.0.clone();
        if entries.is_empty() {
            return Self(runs);
        }
        entries.sort_unstable();
        while let Some(last) = runs.pop_if(|last| last.len() <= 2 * entries.len()) {
            entries.extend_from_slice(&last);
            // Two sorted parts, which this merges.
            entries.sort();
        }
        runs.push(entries.into());
        Self(runs)
    }

    /// Each run.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &[T]> {
        self.0.iter().map(|run| &**run)
    }
}
