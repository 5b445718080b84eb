//! How often each value of a field occurs among some rows of a segment, in the order of the values.
//!
//! A sealed column is kept in that order, so counting is looking up which rows of each run are among them, or, where they are few,
//! which run each of them is in; of lists, the rows of each string. Of a growing segment the values are sorted. So segments can be merged value by value, in the memory of what
//! is in memory already, and of a sixteenth of the sealed rows at most, however many values there are; all of a column are sorted only while another thread is putting it in order.
//!
//! The order is of the values that the segment was written with. Rows that were updated since are left out of it and counted like those
//! of a growing segment, in a list of their own.

use std::borrow::Cow;

use super::parts::columns::InOrder;
use super::{Segment, SegmentView};
use crate::interrupt::{POLL_DISTANCES, Watch};
use crate::payload::{FieldId, ListedColumn, Passing, SortedColumn, ValueRef};

/// Of so many rows with the field one at least must match for going through all to be worth it.
const SPARSE: usize = 16;

/// Values and how often each occurs; ascending, each at least once.
pub(crate) type Counted<'a> = Box<dyn Iterator<Item = (ValueRef<'a>, u64)> + 'a>;

impl SegmentView {
    /// The values among some rows, in lists of which several may have a value. After an interruption some are missing.
    pub(crate) fn counted<'a>(
        &'a self,
        field: FieldId,
        among: &'a Passing,
        watch: &'a Watch,
    ) -> Vec<Counted<'a>> {
        if self.as_sealed().is_none() || !self.patches.is_about(field) {
            return vec![self.unpatched_counted(field, Cow::Borrowed(among), watch)];
        }
        let (others, patched) = among.parted(self.patches.slots());
        let others = self.unpatched_counted(field, Cow::Owned(others), watch);
        vec![others, self.by_rows(field, &patched, watch)]
    }

    /// The values among rows of a growing segment, or that no patch is about.
    fn unpatched_counted<'a>(
        &'a self,
        field: FieldId,
        among: Cow<'a, Passing>,
        watch: &'a Watch,
    ) -> Counted<'a> {
        if let Segment::Sealed(segment) = &self.segment {
            match segment.sorted(field, watch) {
                InOrder::Absent => return Box::new(std::iter::empty()),
                InOrder::Ready(column) => {
                    if let Some(runs) = column.run_of_rows() {
                        return by_run_of_rows(column, runs, &among, watch);
                    }
                    if among.count() * SPARSE >= self.rows as usize {
                        return by_runs(column, among, watch);
                    }
                }
                InOrder::Lists(column) if among.count() * SPARSE >= self.rows as usize => {
                    return by_texts(column, among, watch);
                }
                InOrder::Lists(_) | InOrder::Unknown => {}
            }
        }
        self.by_rows(field, &among, watch)
    }

    /// By the value of each row.
    fn by_rows<'a>(&'a self, field: FieldId, among: &Passing, watch: &Watch) -> Counted<'a> {
        let mut values = Vec::new();
        for (number, slot) in among.iter().enumerate() {
            if (number as u64).is_multiple_of(POLL_DISTANCES) && watch.poll() {
                break;
            }
            match self.value(slot, field) {
                Some(ValueRef::Strings(list)) => {
                    let first = values.len();
                    values.extend(list.iter().map(ValueRef::Text));
                    // A text that a row has twice counts once.
                    values[first..].sort_unstable_by(|a, b| a.order(*b));
                    let mut last = None;
                    let is_new = |value: &ValueRef<'a>| last.replace(*value) != Some(*value);
                    let of_row: Vec<ValueRef<'a>> = values.drain(first..).filter(is_new).collect();
                    values.extend(of_row);
                }
                value => values.extend(value),
            }
        }
        values.sort_unstable_by(|a, b| a.order(*b));
        let mut counted: Vec<(ValueRef<'a>, u64)> = Vec::new();
        for value in values {
            match counted.last_mut() {
                Some((last, count)) if last.order(value).is_eq() => *count += 1,
                _ => counted.push((value, 1)),
            }
        }
        Box::new(counted.into_iter())
    }
}

/// By the rows of each value.
fn by_runs<'a>(column: SortedColumn<'a>, among: Cow<'a, Passing>, watch: &'a Watch) -> Counted<'a> {
    let counted = move |run: usize| {
        let count = column.run(run).iter().filter(|row| among.contains(**row)).count();
        if count == 0 { None } else { Some((column.value(run)?, count as u64)) }
    };
    let goes_on = move |run: &usize| !(*run as u64).is_multiple_of(POLL_DISTANCES) || !watch.poll();
    Box::new((0..column.runs()).take_while(goes_on).filter_map(counted))
}

/// By the number of each row's value, of which there are few.
fn by_run_of_rows<'a>(column: SortedColumn<'a>, runs: &[u8], among: &Passing, watch: &Watch) -> Counted<'a> {
    let mut counts = [0_u64; SortedColumn::NO_RUN as usize + 1];
    for (number, slot) in among.iter().enumerate() {
        if (number as u64).is_multiple_of(POLL_DISTANCES) && watch.poll() {
            break;
        }
        counts[usize::from(runs[slot as usize])] += 1;
    }
    let counted =
        move |run: usize| (counts[run] > 0).then(|| Some((column.value(run)?, counts[run]))).flatten();
    Box::new((0..column.runs()).filter_map(counted))
}

/// By the rows of each string that lists hold.
fn by_texts<'a>(column: ListedColumn<'a>, among: Cow<'a, Passing>, watch: &'a Watch) -> Counted<'a> {
    let counted = move |text: usize| {
        let count = column.rows_of(text).iter().filter(|row| among.contains(**row)).count();
        if count == 0 { None } else { Some((ValueRef::Text(column.text(text)), count as u64)) }
    };
    // A string may be in every row, or in one.
    let mut passed = 0;
    let goes_on = move |text: &usize| {
        passed += 1 + column.rows_of(*text).len() as u64;
        if passed < POLL_DISTANCES {
            return true;
        }
        passed = 0;
        !watch.poll()
    };
    Box::new((0..column.texts()).take_while(goes_on).filter_map(counted))
}
