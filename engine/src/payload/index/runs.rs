//! The order of a column itself: its values, one after the other, and the rows of each.

use std::ops::Range;

use fixedbitset::FixedBitSet;

use super::super::{Column, ValueRef};
use super::ColumnIndex;

/// A sealed column in the order of its values. A *run* is the rows of one value, ascending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SortedColumn<'a> {
    pub(crate) index: &'a ColumnIndex,
    pub(crate) column: &'a Column,
    pub(crate) file: &'a [u8],
    /// Of the segment.
    pub(crate) rows: usize,
}

impl<'a> SortedColumn<'a> {
    /// How many values there are.
    pub(crate) fn runs(&self) -> usize {
        self.index.starts.len() - 1
    }

    /// The rows of a value.
    pub(crate) fn run(&self, run: usize) -> &'a [u32] {
        let starts = &self.index.starts;
        &self.index.rows[starts[run] as usize..starts[run + 1] as usize]
    }

    /// A value; `None` if the file does not give it.
    pub(crate) fn value(&self, run: usize) -> Option<ValueRef<'a>> {
        self.column.get(self.file, *self.run(run).first()? as usize)
    }

    /// The first run whose value is not before something.
    pub(crate) fn first(&self, is_before: impl Fn(ValueRef<'_>) -> bool) -> usize {
        self.index.first(self.column, self.file, 0, &is_before)
    }

    /// The rows of some runs as a set, by marks where there are many.
    pub(crate) fn set(&self, runs: Range<usize>) -> FixedBitSet {
        let starts = &self.index.starts;
        self.index.set(std::iter::once(starts[runs.start]..starts[runs.end]), self.rows)
    }

    /// The number of each row's value, [`NO_RUN`](Self::NO_RUN) where it has none; where there are few values.
    pub(crate) fn run_of_rows(&self) -> Option<&'a [u8]> {
        (!self.index.values.is_empty()).then_some(&self.index.values)
    }

    /// In place of a value's number.
    pub(crate) const NO_RUN: u8 = super::NO_VALUE;
}
