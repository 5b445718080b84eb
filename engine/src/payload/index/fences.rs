//! Some values of the order, close together, to search it by.
//!
//! **Problem.** The values themselves lie in the column's file, in the order of the rows: each step of a binary search is two or
//! three reads from anywhere, twenty steps for a million values. **Idea.** One value for every [`EVERY`] rows is kept beside the order, so
//! that all steps but the last three are in a small part of them; as an index of keys over blocks does in any table of sorted strings.
//! Values that have so many rows each, as those of a tenant key do, are all kept: then nothing is read from the column, whose lines and
//! pages are rarely at hand for the next of ten thousand tenants.

use std::ops::Range;

use super::super::{Column, FieldType, ValueRef};
use super::{SIGN, order_key};

/// Rows for which a value is kept, and so values from a fence to the next at most.
const EVERY: usize = 8;
/// Bytes of texts for each row, at most. Of longer ones none are kept: a column may have megabytes a row, which its file has already.
const TEXT_BYTES_A_ROW: usize = 32;
/// Fewer are searched as they are.
const VALUES_MIN: usize = 16 * EVERY;

/// Some values of an order.
#[derive(Debug, Default)]
pub(super) struct Fences {
    /// Values from a fence to the next; zero where there are none.
    every: usize,
    /// Of values that have a key.
    keys: Vec<u64>,
    /// Texts, one after the other, and where each ends.
    texts: Vec<u8>,
    ends: Vec<u32>,
}

impl Fences {
    /// Of an order of values, where the rows of each begin among `rows`, and the end.
    pub(super) fn new(column: &Column, file: &[u8], (rows, starts): (&[u32], &[u32])) -> Self {
        let runs = starts.len() - 1;
        if runs < VALUES_MIN {
            return Self::default();
        }
        // A value has a row at least.
        let every = (runs * EVERY).div_ceil(rows.len().max(1)).min(EVERY);
        let texts_max = (rows.len() * TEXT_BYTES_A_ROW).min(u32::MAX as usize);
        let mut fences = Self { every, ..Self::default() };
        for run in (0..runs).step_by(every) {
            // The order was made of the same values a moment ago.
            match column.get(file, rows[starts[run] as usize] as usize) {
                Some(ValueRef::Text(text)) if fences.texts.len() + text.len() <= texts_max => {
                    fences.texts.extend_from_slice(text);
                }
                None | Some(ValueRef::Text(_)) => return Self::default(),
                Some(value) => fences.keys.push(order_key(value)),
            }
            fences.ends.push(fences.texts.len() as u32);
        }
        fences
    }

    /// The runs between which the first is whose value is not before something, the one after them included; all of `within` that
    /// is not ruled out.
    pub(super) fn narrow(
        &self,
        field_type: FieldType,
        within: Range<usize>,
        is_before: &dyn Fn(ValueRef<'_>) -> bool,
    ) -> Range<usize> {
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if is_before(self.fence(field_type, middle)) { low = middle + 1 } else { high = middle }
        }
        // The fence before is before it, this one is not.
        let start =
            low.checked_sub(1).map_or(0, |fence| fence * self.every + 1).clamp(within.start, within.end);
        let end = if low < self.ends.len() { low * self.every } else { within.end };
        start..end.clamp(start, within.end)
    }

    /// The value of a run, if it is one of those that are kept.
    pub(super) fn value(&self, field_type: FieldType, run: usize) -> Option<ValueRef<'_>> {
        let fence = run.checked_div(self.every).filter(|fence| fence * self.every == run)?;
        (fence < self.ends.len()).then(|| self.fence(field_type, fence))
    }

    fn fence(&self, field_type: FieldType, fence: usize) -> ValueRef<'_> {
        if field_type == FieldType::String {
            let start = fence.checked_sub(1).map_or(0, |before| self.ends[before]);
            return ValueRef::Text(&self.texts[start as usize..self.ends[fence] as usize]);
        }
        let key = self.keys[fence];
        match field_type {
            FieldType::Float => {
                ValueRef::Float(f64::from_bits(if key & SIGN == 0 { !key } else { key ^ SIGN }))
            }
            FieldType::Timestamp => ValueRef::Timestamp((key ^ SIGN).cast_signed()),
            _ => ValueRef::Int((key ^ SIGN).cast_signed()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ColumnIndex;
    use super::*;
    use crate::interrupt::Watch;
    use crate::payload::column::tests::column_of;
    use crate::payload::{Test, Value};

    const ROWS: usize = 4_000;

    fn indexed(value: impl Fn(usize) -> Value) -> (ColumnIndex, Column, Vec<u8>) {
        let values: Vec<Option<Value>> = (0..ROWS).map(|row| Some(value(row))).collect();
        let field_type = value(0).field_type();
        let (entry, batch_rows, file) = column_of(&values, field_type, 700);
        let column = Column::open(&entry, &batch_rows, file.len()).unwrap();
        let index = ColumnIndex::new(&column, &file, (ROWS, &Watch::default())).unwrap();
        (index, column, file)
    }

    fn name(value: usize) -> String {
        format!("tenant-{value:04}")
    }

    /// A value is kept for every eight rows, and found whether it is kept or not.
    #[test]
    fn the_more_rows_a_value_has_the_more_values_are_kept() {
        for (values, kept) in
            [(VALUES_MIN - 1, 0), (400, 400), (500, 500), (501, 251), (1_000, 500), (ROWS, 500)]
        {
            let (texts, of_texts, file) = indexed(|row| Value::String(name(row % values)));
            let (ints, of_ints, int_file) = indexed(|row| Value::Int((row % values) as i64));
            assert_eq!([texts.fences.ends.len(), ints.fences.ends.len()], [kept; 2], "of {values}");
            for value in 0..values {
                let own: Vec<u32> = (value as u32..ROWS as u32).step_by(values).collect();
                let text = Test::TextIn(vec![name(value).into_bytes().into()]);
                assert_eq!(
                    texts.list(&of_texts, &file, &text, ROWS).as_ref(),
                    Some(&own),
                    "{value} of {values}"
                );
                let int = Test::IntIn(vec![value as i64]);
                assert_eq!(ints.list(&of_ints, &int_file, &int, ROWS), Some(own), "{value} of {values}");
            }
            for absent in ["", "tenant-", "tenant-0007x", "u"] {
                let test = Test::TextIn(vec![absent.as_bytes().into()]);
                assert_eq!(texts.list(&of_texts, &file, &test, ROWS), Some(Vec::new()), "{absent:?}");
            }
        }
    }

    /// Gigabytes of texts were copied into memory, each time that a segment came with the index of their column.
    #[test]
    fn of_long_texts_none_are_kept() {
        for (bytes, kept) in [(200, 500), (600, 0)] {
            let long = |value: usize| format!("{value:04}{}", "x".repeat(bytes - 4));
            let (texts, of_texts, file) = indexed(|row| Value::String(long(row % 500)));
            assert_eq!((texts.fences.ends.len(), texts.fences.texts.len()), (kept, kept * bytes));
            for value in [0, 7, 8, 250, 499] {
                let own: Vec<u32> = (value as u32..ROWS as u32).step_by(500).collect();
                let test = Test::TextIn(vec![long(value).into_bytes().into()]);
                assert_eq!(texts.list(&of_texts, &file, &test, ROWS), Some(own), "{value} of {bytes} bytes");
            }
        }
    }

    /// There is no column to read here.
    #[test]
    fn a_value_of_many_rows_is_found_without_the_column() {
        let (texts, of_texts, _) = indexed(|row| Value::String(name(row % 500)));
        let (ints, of_ints, _) = indexed(|row| Value::Int((row % 500) as i64));
        for value in [0, 7, 8, 250, 499] {
            let own: Vec<u32> = (value as u32..ROWS as u32).step_by(500).collect();
            let test = Test::TextIn(vec![name(value).into_bytes().into()]);
            assert_eq!(texts.list(&of_texts, &[], &test, 8).as_ref(), Some(&own));
            assert_eq!(ints.list(&of_ints, &[], &Test::IntIn(vec![value as i64]), 8), Some(own));
        }
    }
}
