//! The rows of a sealed column of lists by the strings that the lists hold.
//!
//! **Idea.** As in `index.rs`, but every element is sorted, not every row: a string's rows follow each other. A row may be of several
//! strings, so sets are united, not differences of marks; of a string that one row in [`LONG_ONE_IN`] holds, the set of its rows is
//! kept as a bitmap.
//!
//! **Cost.** Four bytes an element that is in a row once, twelve a distinct string, and at most a bit a row for each string that is in so
//! many rows; sorting takes 24 bytes an element meanwhile.

use fixedbitset::FixedBitSet;

use super::ascending::ascending;
use super::{Column, Test, ValueRef, sorting};
use crate::interrupt::Watch;

/// A string in one of so many rows has a bitmap.
const LONG_ONE_IN: usize = 32;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct ElementIndex {
    /// The rows of each string, one string after the other.
    rows: Vec<u32>,
    /// Where those of each begin, and the end.
    starts: Vec<u32>,
    /// Where each string stands: a row, and its place in the row's list.
    stands: Vec<(u32, u32)>,
    /// Bitmaps of some strings, by their numbers.
    long: Vec<(u32, FixedBitSet)>,
}

impl ElementIndex {
    /// Sorts the elements of a column of a segment of `rows` rows; `None` if the watch ended it.
    pub(crate) fn new(column: &Column, file: &[u8], (rows, watch): (usize, &Watch)) -> Option<Self> {
        let mut elements: Vec<(&[u8], u32, u32)> = Vec::new();
        let is_whole = column.each(file, watch, |row, value| {
            if let ValueRef::Strings(list) = value {
                let numbered = (0..).zip(list.iter());
                elements.extend(numbered.map(|(place, text)| (text, row as u32, place)));
            }
        });
        if !is_whole || !sorting::sort(&mut elements, watch) {
            return None;
        }
        elements.dedup_by_key(|(text, row, _)| (*text, *row));
        let is_first = |at: &usize| *at == 0 || elements[*at].0 != elements[*at - 1].0;
        let firsts: Vec<usize> = (0..elements.len()).filter(is_first).collect();
        let stands = firsts.iter().map(|at| (elements[*at].1, elements[*at].2)).collect();
        let mut starts: Vec<u32> = firsts.iter().map(|at| *at as u32).collect();
        starts.push(elements.len() as u32);
        let ordered: Vec<u32> = elements.iter().map(|(_, row, _)| *row).collect();
        let bitmap = |run: &[u32]| {
            let mut bits = FixedBitSet::with_capacity(rows);
            ordered[run[0] as usize..run[1] as usize].iter().for_each(|row| bits.insert(*row as usize));
            bits
        };
        let is_long = |run: &&[u32]| (run[1] - run[0]) as usize * LONG_ONE_IN >= rows;
        let runs = (0..).zip(starts.windows(2));
        let long = runs.filter(|(_, run)| is_long(run)).map(|(text, run)| (text, bitmap(run))).collect();
        Some(Self { rows: ordered, starts, stands, long })
    }

    /// The rows that hold one of the strings asked for, among as many as the segment has.
    pub(crate) fn select(&self, column: &Column, file: &[u8], test: &Test, rows: usize) -> FixedBitSet {
        let mut found = FixedBitSet::with_capacity(rows);
        for text in self.asked(column, file, test) {
            match self.long.binary_search_by_key(&(text as u32), |(long, _)| *long) {
                Ok(long) => found.union_with(&self.long[long].1),
                Err(_) => self.rows_of(text).iter().for_each(|row| found.insert(*row as usize)),
            }
        }
        found
    }

    /// At most how many rows these are.
    pub(crate) fn count(&self, column: &Column, file: &[u8], test: &Test) -> usize {
        self.asked(column, file, test).map(|text| self.rows_of(text).len()).sum()
    }

    /// These rows in ascending order; `None` if there may be more than `max`.
    pub(crate) fn list(&self, column: &Column, file: &[u8], test: &Test, max: usize) -> Option<Vec<u32>> {
        if self.count(column, file, test) > max {
            return None;
        }
        let rows = self.asked(column, file, test).flat_map(|text| self.rows_of(text)).copied().collect();
        Some(ascending(rows))
    }

    fn rows_of(&self, text: usize) -> &[u32] {
        &self.rows[self.starts[text] as usize..self.starts[text + 1] as usize]
    }

    /// The numbers of the strings asked for, of those that some row holds.
    fn asked<'a>(
        &'a self,
        column: &'a Column,
        file: &'a [u8],
        test: &'a Test,
    ) -> impl Iterator<Item = usize> + 'a {
        let wanted = match test {
            Test::ListAny(wanted) => wanted.as_slice(),
            _ => &[],
        };
        let text_at = move |at: &(u32, u32)| text_at(column, file, *at);
        wanted
            .iter()
            .filter_map(move |wanted| self.stands.binary_search_by(|at| text_at(at).cmp(wanted)).ok())
    }
}

/// The string at a place of a row's list; empty where the file does not give it.
fn text_at<'a>(column: &Column, file: &'a [u8], (row, place): (u32, u32)) -> &'a [u8] {
    match column.get(file, row as usize) {
        Some(ValueRef::Strings(list)) => list.get(place as usize),
        _ => &[],
    }
}

/// A sealed column of lists in the order of the strings that they hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListedColumn<'a> {
    pub(crate) index: &'a ElementIndex,
    pub(crate) column: &'a Column,
    pub(crate) file: &'a [u8],
}

impl<'a> ListedColumn<'a> {
    /// How many strings there are.
    pub(crate) fn texts(&self) -> usize {
        self.index.stands.len()
    }

    /// A string.
    pub(crate) fn text(&self, text: usize) -> &'a [u8] {
        text_at(self.column, self.file, self.index.stands[text])
    }

    /// The rows that hold it, ascending.
    pub(crate) fn rows_of(&self, text: usize) -> &'a [u32] {
        self.index.rows_of(text)
    }
}
