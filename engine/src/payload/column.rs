//! A field of a sealed segment as a column.
//!
//! ```text
//! column  = present u64 * words | before u32 * words | pad to 8 | values        words = rows / 64, rounded up
//! values  = bool: u8 * count;  int, timestamp: i64 * count;  float: f64 * count;  geo: (f64 | f64) * count
//!         | string, json: end u64 * count | UTF-8 bytes                         count = rows that have the field
//!         | strings: end u64 * count | list *
//! list    = ends u32 * (texts + 1) | UTF-8 bytes                                ends[0] = bytes of the ends
//! ```
//! Bit `row % 64` of word `row / 64` of `present` says whether a row has the field. Only those rows have a value, in
//! the order of the rows; `before[w]` counts the values before word `w`, so that the value of one row is found by
//! counting bits in one word. `end[i]` is where the i-th text ends among the bytes.
//!
//! The first filter on a column reads it from front to back (`index.rs`); the payload of a hit reads one value of each
//! column. Nothing is decoded when a segment opens. Nothing read is trusted either: where counts or ends lead
//! out of the column, a row has no value or an empty text.

use std::ops::Range;

use fixedbitset::FixedBitSet;

use super::{FieldType, GeoPoint, ListRef, Test, ValueRef};
use crate::codec::{u32_at, u64_at};
use crate::limits::PAYLOAD_BYTES_MAX;

/// Where a column lies in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColumnEntry {
    pub(crate) field_type: FieldType,
    pub(crate) offset: u64,
    pub(crate) length_bytes: u64,
    /// Rows that have the field.
    pub(crate) count: u32,
}

/// A column in a mapped file. Its methods take the bytes of the file that it was opened on.
#[derive(Debug)]
pub(crate) struct Column {
    field_type: FieldType,
    rows: usize,
    /// Rows that have the field.
    count: usize,
    present: Range<usize>,
    before: Range<usize>,
    /// The values, or the ends of the texts.
    values: Range<usize>,
    text: Range<usize>,
}

impl Column {
    /// Finds the parts of a column, which lies within its file; `None` if they do not fit into it.
    pub(crate) fn open(entry: &ColumnEntry, rows: usize) -> Option<Self> {
        let start = usize::try_from(entry.offset).ok()?;
        let end = start.checked_add(usize::try_from(entry.length_bytes).ok()?)?;
        let (words, count) = (rows.div_ceil(64), entry.count as usize);
        let present = start..start + words * 8;
        let before = present.end..present.end + words * 4;
        let values_start = start + (words * 12).next_multiple_of(8);
        let values = values_start..values_start + count * value_bytes(entry.field_type);
        let text = values.end..end;
        let fits = values.end <= end && (has_text(entry.field_type) || text.is_empty());
        fits.then_some(Self { field_type: entry.field_type, rows, count, present, before, values, text })
    }

    /// Where the column starts.
    pub(crate) fn start(&self) -> usize {
        self.present.start
    }

    /// Whether every count is what it counts.
    pub(crate) fn has_right_counts(&self, file: &[u8]) -> bool {
        self.counts(file) == Some(self.count)
    }

    /// Rows that have the field; `None` if the parts disagree.
    fn counts(&self, file: &[u8]) -> Option<usize> {
        let (present, before) = (file.get(self.present.clone())?, file.get(self.before.clone())?);
        let mut total = 0;
        for word in 0..self.rows.div_ceil(64) {
            let bits = u64_at(present, word);
            if bits & !self.rows_of(word) != 0 || u32_at(before, word) != total {
                return None;
            }
            total += bits.count_ones();
        }
        Some(total as usize)
    }

    /// The bits of a word that stand for rows.
    fn rows_of(&self, word: usize) -> u64 {
        !u64::MAX.checked_shl((self.rows - word * 64) as u32).unwrap_or(0)
    }

    /// The type of its values.
    pub(crate) fn field_type(&self) -> FieldType {
        self.field_type
    }

    /// The value of a row, if it has one.
    pub(crate) fn get<'a>(&self, file: &'a [u8], row: usize) -> Option<ValueRef<'a>> {
        let (word, bit) = (row / 64, row % 64);
        let present = u64_at(&file[self.present.clone()], word);
        if present >> bit & 1 == 0 {
            return None;
        }
        let within = (present & ((1 << bit) - 1)).count_ones();
        let index = u32_at(&file[self.before.clone()], word) as usize + within as usize;
        self.value(file, index)
    }

    /// Calls `each` with every row that has a value, in order.
    pub(crate) fn each<'a>(&self, file: &'a [u8], mut each: impl FnMut(usize, ValueRef<'a>)) {
        let present = &file[self.present.clone()];
        let mut index = 0;
        for word in 0..self.rows.div_ceil(64) {
            let mut bits = u64_at(present, word) & self.rows_of(word);
            while bits != 0 {
                if let Some(value) = self.value(file, index) {
                    each(word * 64 + bits.trailing_zeros() as usize, value);
                }
                index += 1;
                bits &= bits - 1;
            }
        }
    }

    /// The rows that have a value that passes, among `rows` rows, by testing each.
    pub(crate) fn tested(&self, file: &[u8], test: &Test, rows: usize) -> FixedBitSet {
        let mut passing = FixedBitSet::with_capacity(rows);
        self.each(file, |row, value| passing.set(row, test.passes(value)));
        passing
    }

    #[inline]
    fn value<'a>(&self, file: &'a [u8], index: usize) -> Option<ValueRef<'a>> {
        if index >= self.count {
            return None;
        }
        let values = &file[self.values.clone()];
        Some(match self.field_type {
            FieldType::Bool => ValueRef::Bool(values[index] != 0),
            FieldType::Int => ValueRef::Int(u64_at(values, index).cast_signed()),
            FieldType::Float => ValueRef::Float(f64::from_bits(u64_at(values, index))),
            FieldType::Timestamp => ValueRef::Timestamp(u64_at(values, index).cast_signed()),
            FieldType::Geo => {
                let [lat, lon] = [0, 1].map(|part| f64::from_bits(u64_at(values, index * 2 + part)));
                ValueRef::Geo(GeoPoint { lat, lon })
            }
            FieldType::String => ValueRef::Text(self.text(file, index)),
            FieldType::Json => ValueRef::Json(self.text(file, index)),
            FieldType::Strings => ValueRef::Strings(unpack(self.text(file, index))),
        })
    }

    fn text<'a>(&self, file: &'a [u8], index: usize) -> &'a [u8] {
        let values = &file[self.values.clone()];
        let start = if index == 0 { 0 } else { u64_at(values, index - 1) as usize };
        let end = u64_at(values, index) as usize;
        let text = file[self.text.clone()].get(start..end);
        text.filter(|text| text.len() <= PAYLOAD_BYTES_MAX).unwrap_or_default()
    }
}

fn pack(list: ListRef<'_>, out: &mut Vec<u8>) {
    let mut end = (list.len() + 1) * 4;
    out.extend_from_slice(&(end as u32).to_le_bytes());
    for text in list.iter() {
        end += text.len();
        out.extend_from_slice(&(end as u32).to_le_bytes());
    }
    list.iter().for_each(|text| out.extend_from_slice(text));
}

fn unpack(bytes: &[u8]) -> ListRef<'_> {
    let ends = if bytes.len() < 4 { 0 } else { u32_at(bytes, 0) as usize };
    ListRef::Packed { ends: bytes.get(..ends).unwrap_or_default(), bytes }
}

/// Whether the values of a type are of many lengths.
fn has_text(field_type: FieldType) -> bool {
    matches!(field_type, FieldType::String | FieldType::Strings | FieldType::Json)
}

fn value_bytes(field_type: FieldType) -> usize {
    match field_type {
        FieldType::Bool => 1,
        FieldType::Geo => 16,
        _ => 8,
    }
}

/// Writes a column, row by row.
#[derive(Debug)]
pub(crate) struct ColumnBuilder {
    field_type: FieldType,
    present: Vec<u64>,
    before: Vec<u32>,
    count: u32,
    values: Vec<u8>,
    text: Vec<u8>,
}

impl ColumnBuilder {
    pub(crate) fn new(field_type: FieldType, rows: usize) -> Self {
        let words = rows.div_ceil(64);
        let (present, before) = (vec![0; words], vec![0; words]);
        Self { field_type, present, before, count: 0, values: Vec::new(), text: Vec::new() }
    }

    /// Adds the value of a row; rows come in ascending order.
    pub(crate) fn push(&mut self, row: usize, value: ValueRef<'_>) {
        self.present[row / 64] |= 1 << (row % 64);
        self.count += 1;
        match value {
            ValueRef::Bool(value) => self.values.push(u8::from(value)),
            ValueRef::Int(value) => self.values.extend_from_slice(&value.to_le_bytes()),
            ValueRef::Float(value) => self.values.extend_from_slice(&value.to_bits().to_le_bytes()),
            ValueRef::Timestamp(value) => self.values.extend_from_slice(&value.to_le_bytes()),
            ValueRef::Geo(GeoPoint { lat, lon }) => {
                self.values.extend([lat, lon].into_iter().flat_map(|part| part.to_bits().to_le_bytes()));
            }
            ValueRef::Text(text) | ValueRef::Json(text) => {
                self.text.extend_from_slice(text);
                self.values.extend_from_slice(&(self.text.len() as u64).to_le_bytes());
            }
            ValueRef::Strings(list) => {
                pack(list, &mut self.text);
                self.values.extend_from_slice(&(self.text.len() as u64).to_le_bytes());
            }
        }
    }

    /// The bytes of the column, if any row has the field; its entry lacks only the offset.
    pub(crate) fn finish(mut self) -> Option<(ColumnEntry, Vec<u8>)> {
        if self.count == 0 {
            return None;
        }
        let mut total = 0;
        for (before, present) in self.before.iter_mut().zip(&self.present) {
            *before = total;
            total += present.count_ones();
        }
        let mut bytes: Vec<u8> = self.present.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.extend(self.before.iter().flat_map(|count| count.to_le_bytes()));
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.append(&mut self.values);
        bytes.append(&mut self.text);
        let entry = ColumnEntry {
            field_type: self.field_type,
            offset: 0,
            length_bytes: bytes.len() as u64,
            count: self.count,
        };
        Some((entry, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::payload::{
        ColumnIndex, CompiledFilter, FieldId, FieldSource, FieldTable, Filter, Json, Range, Value,
    };

    fn round_trip(values: &[Option<Value>], field_type: FieldType) -> (Column, Vec<u8>) {
        let mut builder = ColumnBuilder::new(field_type, values.len());
        for (row, value) in values.iter().enumerate() {
            if let Some(value) = value {
                builder.push(row, value.as_ref());
            }
        }
        let (mut entry, bytes) = builder.finish().unwrap();
        // Not at the start of the file, as in a segment.
        entry.offset = 64;
        let mut file = vec![0xAA; 64];
        file.extend(bytes);
        let column = Column::open(&entry, values.len()).unwrap();
        assert!(column.has_right_counts(&file));
        let one_less = ColumnEntry { count: entry.count - 1, ..entry.clone() };
        let lies = Column::open(&one_less, values.len());
        assert!(lies.is_none_or(|column| !column.has_right_counts(&file)));
        // Presence and counts.
        for damaged in 64..64 + values.len().div_ceil(64) * 12 {
            let mut file = file.clone();
            file[damaged] ^= 0x80;
            assert!(!column.has_right_counts(&file), "byte {damaged}");
            // Reading goes on, with whatever values.
            assert!((0..values.len()).filter_map(|row| column.get(&file, row)).count() <= values.len());
            let every = Test::Bool { accepts: [true, true] };
            ColumnIndex::new(&column, &file, values.len()).select(&column, &file, &every, values.len());
        }
        (column, file)
    }

    #[test]
    fn every_value_comes_back() {
        let make = |field_type, i: i64| match field_type {
            FieldType::Bool => Value::Bool(i % 2 == 0),
            FieldType::Int => Value::Int(-i),
            FieldType::Float => Value::Float(i as f64 / 4.0),
            FieldType::String => Value::String("ä".repeat(i as usize % 5)),
            FieldType::Timestamp => Value::Timestamp(i << 40),
            FieldType::Strings => Value::Strings((0..i % 4).map(|n| "ö".repeat(n as usize)).collect()),
            FieldType::Geo => Value::Geo(GeoPoint::new(i as f64 / 4.0, -i as f64 / 2.0)),
            FieldType::Json => Value::Json(Json::new(format!("[{i}]")).unwrap()),
        };
        for field_type in FieldType::ALL {
            let values: Vec<_> = (0..201).map(|i| (i % 3 != 1).then(|| make(field_type, i))).collect();
            let (column, file) = round_trip(&values, field_type);
            for (row, value) in values.iter().enumerate() {
                assert_eq!(column.get(&file, row).map(ValueRef::to_value), *value);
            }
        }
    }

    #[test]
    fn a_filter_selects_the_rows_that_pass() {
        struct One(Column, Vec<u8>);
        impl FieldSource for One {
            fn rows(&self) -> usize {
                self.0.rows
            }
            fn select(&self, _: FieldId, test: &Arc<Test>) -> Arc<FixedBitSet> {
                let index = ColumnIndex::new(&self.0, &self.1, self.0.rows);
                let found = index.select(&self.0, &self.1, test, self.0.rows);
                let tested = self.0.tested(&self.1, test, self.0.rows);
                assert_eq!(found, tested, "{test:?}");
                Arc::new(found)
            }
            fn select_text(&self, _: FieldId, _: crate::Analyzer, _: &str) -> Arc<FixedBitSet> {
                Arc::default()
            }
        }
        let values: Vec<_> = (0..130).map(|i| (i % 2 == 0).then_some(Value::Int(i % 10))).collect();
        let (column, file) = round_trip(&values, FieldType::Int);
        let mut fields = FieldTable::default();
        fields.add("n", FieldType::Int);
        let source = One(column, file);
        let rows = |filter: Filter| -> Vec<usize> {
            CompiledFilter::new(&filter, &fields).unwrap().run(&source).ones().collect()
        };
        assert_eq!(rows(Filter::eq("n", 4i64)), (0..130).filter(|i| i % 10 == 4).collect::<Vec<_>>());
        // A row without the field fails the condition and so passes its negation.
        let not = rows(Filter::Not(Box::new(Filter::eq("n", 4i64))));
        assert_eq!(not, (0..130).filter(|i| i % 10 != 4).collect::<Vec<_>>());
        let range = |gte: Option<i64>, lt: Option<i64>| {
            let (gte, lt) = (gte.map(Value::Int), lt.map(Value::Int));
            rows(Filter::Range("n".into(), Range { gte, lt, ..Range::default() })).len()
        };
        assert_eq!([range(Some(2), None), range(None, Some(9)), range(Some(3), Some(4))], [52, 65, 0]);
        let twice = Filter::In("n".into(), [8i64, 2, 8, 7, 0, 4].map(Value::Int).into());
        assert_eq!(rows(twice).len(), 52);
        assert_eq!(rows(Filter::And(vec![])).len(), 130);
        assert_eq!(rows(Filter::Or(vec![])).len(), 0);
    }
}
