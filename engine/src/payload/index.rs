//! The rows of a sealed column in the order of their values.
//!
//! **Problem.** Testing a condition on every row costs some ten nanoseconds a row, which at 60,000 rows is more than ten
//! walks; and to set a bit for each row that passes still costs one, which for half of the rows is more than a walk.
//! **Idea.** A sealed column never changes, so it is sorted once, when it is first asked about: a condition then
//! is a few runs of rows that follow each other in that order. At some places of the order, [`MARKS`] of them evenly
//! spread and one at both ends of every long run of equal values, the set of all rows before is kept as a bitmap. A run is
//! the difference of the sets at the marks next to its ends, two operations on words, and the rows between marks and ends.
//! Of a column with few distinct values, a byte a row says which one it has: then any list of them is found in one go through
//! the bytes (`ragstone_kernels::KernelBits`).
//!
//! **Cost.** Four bytes a row, four a distinct value, one of these values for every eight rows (no texts that take more than 32 bytes a row), and a bit a row for each mark, at most [`MARKS_MAX`] / 8 = 20 bytes a row,
//! and the byte, for columns that are filtered by. Sorting 60,000 rows takes 5 ms, once, and 16 bytes a row meanwhile (24 of
//! texts). Nothing of it is stored; a segment that is made when others have the index comes with its own. A search that comes while another sorts the column tests every row instead of waiting; one whose caller
//! leaves gives the sorting up, of large columns, once: the next one sorts to the end (`sorting.rs`, `field_index.rs`).

mod fences;
mod runs;

use std::ops::Range;

use fixedbitset::FixedBitSet;
use ragstone_kernels::{ByteSet, KernelBits};

use fences::Fences;
pub(crate) use runs::SortedColumn;

use super::ascending::ascending;
use super::sorting::{self, PIECE};
use super::{Column, FieldType, Test, ValueRef};
use crate::interrupt::Watch;

/// Marks that are spread over the order.
const MARKS: usize = 64;
/// Runs of at least one in so many of the rows get marks of their own: at most 48, with two marks each.
const LONG_RUN: usize = 48;
/// Marks in all.
const MARKS_MAX: usize = MARKS + 2 * LONG_RUN;
/// Words of a bitmap that take as long as a row that is set by itself.
const WORDS_A_ROW: usize = 4;
const WORD_BITS: usize = usize::BITS as usize;
/// In place of a value's number: the row has none.
const NO_VALUE: u8 = u8::MAX;
/// Runs up to which going by marks takes no longer than going through a byte a row.
const RUNS_BY_MARKS: usize = 2;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct ColumnIndex {
    /// Rows that have the field, by their values.
    rows: Vec<u32>,
    /// Where each run of equal values begins among `rows`, and the end.
    starts: Vec<u32>,
    /// Some places of `rows`, ascending, the first zero and the last the end.
    marks: Vec<u32>,
    /// For each mark the set of rows before it.
    before: Vec<usize>,
    /// Words of a set.
    words: usize,
    /// The number of each row's value in their order, where there are fewer values than [`NO_VALUE`]; else none.
    values: Vec<u8>,
    fences: Fences,
}

impl ColumnIndex {
    /// Whether values of a type have an order to sort them by.
    pub(crate) fn sorts(field_type: FieldType) -> bool {
        !matches!(field_type, FieldType::Strings | FieldType::Geo | FieldType::Json)
    }

    /// Sorts a column of a segment of `rows` rows; `None` if the watch ended it. Values that the file does not give (damage) are left out.
    pub(crate) fn new(column: &Column, file: &[u8], (rows, watch): (usize, &Watch)) -> Option<Self> {
        let (sorted, starts) = match column.field_type() {
            FieldType::String => sort(column, file, watch, |value| match value {
                ValueRef::Text(text) => text,
                _ => &[],
            }),
            _ => sort(column, file, watch, order_key),
        }?;
        let fences = Fences::new(column, file, (&sorted, &starts));
        let mut index = Self {
            fences,
            marks: marks(&starts),
            rows: sorted,
            starts,
            before: Vec::new(),
            words: rows.div_ceil(WORD_BITS),
            values: Vec::new(),
        };
        if index.starts.len() <= usize::from(NO_VALUE) {
            index.values.resize(rows, NO_VALUE);
            for (value, run) in index.starts.windows(2).enumerate() {
                let rows = &index.rows[run[0] as usize..run[1] as usize];
                rows.iter().for_each(|row| index.values[*row as usize] = value as u8);
            }
        }
        let mut set = vec![0; index.words];
        let mut from = 0;
        for mark in &index.marks {
            if rows > PIECE && watch.poll() {
                return None;
            }
            index.rows[from as usize..*mark as usize].iter().for_each(|row| toggle(&mut set, *row));
            from = *mark;
            index.before.extend_from_slice(&set);
        }
        Some(index)
    }

    /// The rows whose value passes, among as many as the segment has.
    pub(crate) fn select(&self, column: &Column, file: &[u8], test: &Test, rows: usize) -> FixedBitSet {
        let runs = self.runs(column, file, test);
        if runs.len() > RUNS_BY_MARKS && !self.values.is_empty() {
            let mut wanted = ByteSet::default();
            runs.into_iter().flat_map(|(first, end)| first..end).for_each(|value| wanted.insert(value as u8));
            let mut set = FixedBitSet::with_capacity(rows);
            KernelBits::new().select(&self.values, &wanted, set.as_mut_slice());
            return set;
        }
        let places = runs.into_iter().map(|(first, end)| self.starts[first]..self.starts[end]);
        self.set(places, rows)
    }

    /// The rows at some places of the order, no two of which overlap, among as many as the segment has.
    fn set(&self, places: impl Iterator<Item = Range<u32>>, rows: usize) -> FixedBitSet {
        let mut set = FixedBitSet::with_capacity(rows);
        let mut is_empty = true;
        for Range { start, end } in places {
            self.add((set.as_mut_slice(), is_empty), start as usize, end as usize);
            is_empty = false;
        }
        set
    }

    /// How many rows have a value that passes.
    pub(crate) fn count(&self, column: &Column, file: &[u8], test: &Test) -> usize {
        self.length(&self.runs(column, file, test))
    }

    /// The rows whose value passes, in ascending order; `None` if they are more than `max`.
    pub(crate) fn list(&self, column: &Column, file: &[u8], test: &Test, max: usize) -> Option<Vec<u32>> {
        let runs = self.runs(column, file, test);
        if self.length(&runs) > max {
            return None;
        }
        let mut rows = Vec::new();
        for (first, end) in runs {
            rows.extend_from_slice(&self.rows[self.starts[first] as usize..self.starts[end] as usize]);
        }
        Some(ascending(rows))
    }

    /// How many rows some runs have.
    fn length(&self, runs: &[(usize, usize)]) -> usize {
        runs.iter().map(|(first, end)| (self.starts[*end] - self.starts[*first]) as usize).sum()
    }

    /// Adds the rows at some places of the order to a set that has none of them: if it is empty, it need not be read.
    fn add(&self, (set, is_empty): (&mut [usize], bool), start: usize, end: usize) {
        let (first, last) = (self.nearest_mark(start), self.nearest_mark(end));
        let (from, to) = (self.marks[first] as usize, self.marks[last] as usize);
        let by_marks = start.abs_diff(from) + end.abs_diff(to) + self.words / WORDS_A_ROW;
        if end - start <= by_marks {
            self.rows[start..end].iter().for_each(|row| toggle(set, *row));
            return;
        }
        let sets = |mark: usize| &self.before[mark * self.words..][..self.words];
        let between = sets(first).iter().zip(sets(last)).map(|(a, b)| a ^ b);
        match is_empty {
            true if first == 0 => set.copy_from_slice(sets(last)),
            true => set.iter_mut().zip(between).for_each(|(word, rows)| *word = rows),
            false => set.iter_mut().zip(between).for_each(|(word, rows)| *word ^= rows),
        }
        // What the marks have too much or too little.
        for (place, mark) in [(start, from), (end, to)] {
            self.rows[place.min(mark)..place.max(mark)].iter().for_each(|row| toggle(set, *row));
        }
    }

    fn nearest_mark(&self, place: usize) -> usize {
        let after = self.marks.partition_point(|mark| (*mark as usize) < place).min(self.marks.len() - 1);
        let before = after.saturating_sub(1);
        let distance = |mark: usize| place.abs_diff(self.marks[mark] as usize);
        if distance(before) < distance(after) { before } else { after }
    }

    /// The values that pass, by their numbers, in order: from where to where, as few pairs as say it.
    fn runs(&self, column: &Column, file: &[u8], test: &Test) -> Vec<(usize, usize)> {
        let places = test.places(&|from, is_before| self.first(column, file, from, is_before));
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for (first, end) in places.into_iter().filter(|(first, end)| first < end) {
            match runs.last_mut() {
                Some((_, last)) if *last == first => *last = end,
                _ => runs.push((first, end)),
            }
        }
        runs
    }
}

impl ColumnIndex {
    /// The first run from `from` on whose value is not before something.
    fn first(
        &self,
        column: &Column,
        file: &[u8],
        from: usize,
        is_before: &dyn Fn(ValueRef<'_>) -> bool,
    ) -> usize {
        let runs = self.starts.len() - 1;
        let in_column = |run: usize| column.get(file, self.rows[self.starts[run] as usize] as usize);
        let kept = |run: usize| self.fences.value(column.field_type(), run);
        let value = |run: usize| kept(run).or_else(|| in_column(run));
        let passed = |run: usize| value(run).is_some_and(is_before);
        // Whoever asks from somewhere on mostly asks for the end of one value.
        if from > 0
            && let Some(near) = (from..runs.min(from + 2)).find(|run| !passed(*run))
        {
            return near;
        }
        let Range { start: mut low, end: mut high } =
            self.fences.narrow(column.field_type(), from.min(runs)..runs, is_before);
        while low < high {
            let middle = low + (high - low) / 2;
            if passed(middle) { low = middle + 1 } else { high = middle }
        }
        low
    }
}

#[inline]
fn toggle(set: &mut [usize], row: u32) {
    set[row as usize / WORD_BITS] ^= 1 << (row as usize % WORD_BITS);
}

const SIGN: u64 = 1 << 63;

/// A number that compares as values do; both zeros are equal.
fn order_key(value: ValueRef<'_>) -> u64 {
    match value {
        ValueRef::Bool(value) => u64::from(value),
        ValueRef::Int(value) | ValueRef::Timestamp(value) => value.cast_unsigned() ^ SIGN,
        ValueRef::Float(value) => {
            let bits = (value + 0.0).to_bits();
            if bits & SIGN == 0 { bits | SIGN } else { !bits }
        }
        ValueRef::Text(_) | ValueRef::Strings(_) | ValueRef::Geo(_) | ValueRef::Json(_) => 0,
    }
}

/// The rows in the order of their values' keys, and where each run of equal ones begins, and the end; `None` if the watch ended it.
fn sort<'a, K: Ord + Copy>(
    column: &Column,
    file: &'a [u8],
    watch: &Watch,
    key: impl Fn(ValueRef<'a>) -> K,
) -> Option<(Vec<u32>, Vec<u32>)> {
    let mut keyed: Vec<(K, u32)> = Vec::new();
    let is_whole = column.each(file, watch, |row, value| keyed.push((key(value), row as u32)));
    if !is_whole || !sorting::sort(&mut keyed, watch) {
        return None;
    }
    let is_first = |place: &usize| *place == 0 || keyed[*place].0 != keyed[*place - 1].0;
    let mut starts: Vec<u32> = (0..keyed.len()).filter(is_first).map(|place| place as u32).collect();
    starts.push(keyed.len() as u32);
    Some((keyed.into_iter().map(|(_, row)| row).collect(), starts))
}

/// Where to mark an order with these runs.
fn marks(starts: &[u32]) -> Vec<u32> {
    let rows = starts.last().map_or(0, |end| *end as usize);
    let spread = (0..=MARKS).map(|mark| (rows * mark / MARKS) as u32);
    let long = starts.windows(2).filter(|run| (run[1] - run[0]) as usize * LONG_RUN >= rows.max(1));
    let mut marks: Vec<u32> = spread.chain(long.flatten().copied()).collect();
    marks.sort_unstable();
    marks.dedup();
    debug_assert!(marks.len() <= MARKS_MAX + 1, "two marks for each of 48 runs, and those spread");
    marks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Value;
    use crate::payload::column::tests::column_of as file_of;
    use proptest::prelude::*;
    use std::ops::Bound;

    fn column_of(values: &[Option<i64>]) -> Option<(Column, Vec<u8>)> {
        let values: Vec<Option<Value>> = values.iter().map(|value| value.map(Value::Int)).collect();
        let (entry, batch_rows, file) = file_of(&values, FieldType::Int, 1_000);
        Some((Column::open(&entry, &batch_rows, file.len())?, file))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        /// Against testing every row: few long runs, many short ones, and both.
        #[test]
        fn a_condition_selects_what_passes(
            (distinct, heavy) in (prop_oneof![1_i64..300, 1_i64..3_000], 0_i64..40),
            seeds in prop::collection::vec(any::<u32>(), 1..3_000),
            asked in prop::collection::vec(0_i64..3_000, 0..60),
            range in (0_i64..3_000, 0_i64..3_000),
        ) {
            let value = |seed: &u32| match seed % 11 {
                0 => None,
                1..6 if heavy > 0 => Some(i64::from(*seed >> 8) % heavy),
                _ => Some(i64::from(*seed >> 8) % distinct),
            };
            let values: Vec<Option<i64>> = seeds.iter().map(value).collect();
            let Some((column, file)) = column_of(&values) else { return Ok(()) };
            let index = ColumnIndex::new(&column, &file, (values.len(), &Watch::default())).unwrap();
            prop_assert!(index.before.len() <= (MARKS_MAX + 1) * index.words);
            let mut asked: Vec<i64> = asked.into_iter().map(|value| value % distinct).collect();
            asked.sort_unstable();
            for test in [
                Test::IntIn(asked),
                Test::IntIn((0..heavy).collect()),
                Test::IntRange(Bound::Included(range.0), Bound::Excluded(range.1)),
                Test::IntRange(Bound::Unbounded, Bound::Included(range.1)),
            ] {
                let selected = index.select(&column, &file, &test, values.len());
                let passes = |value: &Option<i64>| value.is_some_and(|value| test.passes(ValueRef::Int(value)));
                let expected: Vec<usize> = (0..values.len()).filter(|row| passes(&values[*row])).collect();
                prop_assert_eq!(index.count(&column, &file, &test), expected.len());
                let list = index.list(&column, &file, &test, expected.len()).unwrap();
                prop_assert!(expected.is_empty() || index.list(&column, &file, &test, expected.len() - 1).is_none());
                prop_assert!(list.iter().map(|row| *row as usize).eq(expected.iter().copied()));
                prop_assert_eq!(selected.ones().collect::<Vec<_>>(), expected, "{:?}", test);
                prop_assert_eq!(selected.len(), values.len());
            }
        }

        #[test]
        fn keys_compare_like_values(a in any::<f64>(), b in any::<f64>(), x in any::<i64>(), y in any::<i64>()) {
            let (float, int) = (ValueRef::Float, ValueRef::Int);
            prop_assert_eq!(order_key(float(a)).cmp(&order_key(float(b))), float(a).order(float(b)));
            prop_assert_eq!(order_key(int(x)).cmp(&order_key(int(y))), x.cmp(&y));
        }
    }

    #[test]
    fn both_zeros_are_one_value() {
        assert_eq!(order_key(ValueRef::Float(-0.0)), order_key(ValueRef::Float(0.0)));
        assert!(order_key(ValueRef::Float(-f64::MIN_POSITIVE)) < order_key(ValueRef::Float(0.0)));
    }

    #[test]
    fn marks_stay_few() {
        for runs in [0, 1, 2, 47, 48, 49, 64, 1_000] {
            let starts: Vec<u32> = (0..=runs).map(|run| run * 30).collect();
            let marks = marks(&starts);
            assert!(marks.len() <= MARKS_MAX + 1, "{runs}: {}", marks.len());
            assert_eq!((marks[0], marks[marks.len() - 1]), (0, runs * 30));
        }
        // Long runs apart from each other share no mark.
        let apart: Vec<u32> =
            (0..40).flat_map(|pair| [pair * 101, pair * 101 + 100]).chain([40 * 101]).collect();
        let marks = marks(&apart);
        assert!(marks.len() > 128 && marks.len() <= MARKS_MAX + 1, "{}", marks.len());
    }
}
