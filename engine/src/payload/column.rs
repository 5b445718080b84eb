//! A field of a sealed segment as a column: the arrays of a field in an Arrow IPC file.
//!
//! **Problem.** A value is read from a mapped file that nobody has verified yet, and a segment opens in microseconds.
//! **Idea.** The file is Arrow's to the letter (`arrow.rs` writes it, and whoever reads Arrow reads it), in record batches of some
//! thousand rows. Where each of a field's buffers lies is noted beside it, in the segment's directory: so opening reads
//! nothing of the file, a value is a few bytes at places that are computed, and damage to a batch's header costs no row.
//!
//! ```text
//! bool, int, timestamp, float   presence (a bit a row) | values (a bit a row; eight bytes)
//! string, json                  presence | ends i32 * (rows + 1) | UTF-8 bytes
//! geo                           presence | presence of the degrees | (longitude f64 | latitude f64) a row
//! strings                       presence | ends i32 * (rows + 1), of lists | presence of the texts | ends i32 | UTF-8 bytes
//! ```
//! A buffer of presence that is empty says that all are there. **Nothing read is trusted**: where ends lead out of a buffer, a
//! row has no value; texts are checked to be UTF-8 when they leave the engine.

mod ahead;

use std::ops::Range;

use fixedbitset::FixedBitSet;

use super::sorting::PIECE;
use super::{FieldType, GeoPoint, ListRef, Test, ValueRef};
use crate::codec::{u32_at, u64_at};
use crate::interrupt::{POLL_DISTANCES, Watch};
use crate::limits::{LIST_STRINGS_MAX, PAYLOAD_BYTES_MAX};

/// What a segment's directory says of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColumnEntry {
    pub(crate) field_type: FieldType,
    /// Rows that have the field.
    pub(crate) count: u32,
    /// Where its buffers lie in the file, batch after batch.
    pub(crate) buffers: Vec<Range<u64>>,
}

/// Buffers of a column in one batch.
pub(crate) fn buffers_of(field_type: FieldType) -> usize {
    match field_type {
        FieldType::Bool | FieldType::Int | FieldType::Timestamp | FieldType::Float => 2,
        FieldType::String | FieldType::Json | FieldType::Geo => 3,
        FieldType::Strings => 5,
    }
}

/// A column in a mapped file. Its methods take the bytes of the file that it was opened on.
#[derive(Debug)]
pub(crate) struct Column {
    field_type: FieldType,
    /// Rows that have the field.
    count: usize,
    batches: Vec<Batch>,
}

/// The rows of a column in one record batch.
#[derive(Debug)]
struct Batch {
    first: usize,
    rows: usize,
    present: Range<usize>,
    values: Values,
}

/// Buffers of values.
#[derive(Debug)]
enum Values {
    Bits(Range<usize>),
    Words(Range<usize>),
    Pairs(Range<usize>),
    Texts { ends: Range<usize>, bytes: Range<usize> },
    Lists { lists: Range<usize>, ends: Range<usize>, bytes: Range<usize> },
}

impl Column {
    /// Finds the buffers of a column over batches of so many rows; `None` if one does not fit its rows or the file.
    pub(crate) fn open(entry: &ColumnEntry, batch_rows: &[u32], file_bytes: usize) -> Option<Self> {
        let each = buffers_of(entry.field_type);
        if entry.buffers.len() != batch_rows.len() * each {
            return None;
        }
        let mut first = 0;
        let mut batches = Vec::with_capacity(batch_rows.len());
        for (rows, buffers) in batch_rows.iter().zip(entry.buffers.chunks(each)) {
            let rows = *rows as usize;
            let buffers = buffers.iter().map(|range| {
                let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
                (range.start <= range.end && range.end <= file_bytes).then_some(range)
            });
            let buffers = buffers.collect::<Option<Vec<_>>>()?;
            let values = Values::of(entry.field_type, &buffers, rows)?;
            let present = buffers.first()?.clone();
            if !present.is_empty() && present.len() < rows.div_ceil(8) {
                return None;
            }
            batches.push(Batch { first, rows, present, values });
            first += rows;
        }
        Some(Self { field_type: entry.field_type, count: entry.count as usize, batches })
    }

    /// Bytes of the longest value that there can be in a record batch.
    pub(crate) fn longest(&self, batch: usize) -> usize {
        self.batches.get(batch).map_or(0, |batch| match &batch.values {
            Values::Bits(_) => 1,
            Values::Words(_) => 8,
            Values::Pairs(_) => 16,
            Values::Texts { bytes, .. } => bytes.len(),
            Values::Lists { ends, bytes, .. } => ends.len() + bytes.len(),
        })
    }

    /// Where the column starts.
    pub(crate) fn start(&self) -> usize {
        self.batches.first().map_or(0, |batch| batch.present.start)
    }

    /// Whether its buffers are these.
    pub(crate) fn lies_in(&self, buffers: &[Range<u64>]) -> bool {
        let each = buffers_of(self.field_type);
        buffers.len() == self.batches.len() * each
            && self.batches.iter().zip(buffers.chunks(each)).all(|(batch, buffers)| {
                let same = |own: &Range<usize>, at: usize| {
                    (own.start as u64, own.end as u64) == (buffers[at].start, buffers[at].end)
                };
                same(&batch.present, 0)
                    && match &batch.values {
                        Values::Bits(values) | Values::Words(values) => same(values, 1),
                        Values::Pairs(values) => same(values, 2),
                        Values::Texts { ends, bytes } => same(ends, 1) && same(bytes, 2),
                        Values::Lists { lists, ends, bytes } => {
                            same(lists, 1) && same(ends, 3) && same(bytes, 4)
                        }
                    }
            })
    }

    /// Whether as many rows have the field as the directory says.
    pub(crate) fn has_right_counts(&self, file: &[u8]) -> bool {
        let count =
            |batch: &Batch| batch.words(file).map(|(_, word)| word.count_ones() as usize).sum::<usize>();
        self.batches.iter().map(count).sum::<usize>() == self.count
    }

    /// The type of its values.
    pub(crate) fn field_type(&self) -> FieldType {
        self.field_type
    }

    /// The value of a row, if it has one.
    pub(crate) fn get<'a>(&self, file: &'a [u8], row: usize) -> Option<ValueRef<'a>> {
        self.get_of(row, |range| file.get(range)).flatten()
    }

    /// The value of a row, if it has one, from bytes that `read` may refuse: `None` if it refuses some that it takes.
    pub(crate) fn get_of<'a>(
        &self,
        row: usize,
        read: impl Fn(Range<usize>) -> Option<&'a [u8]>,
    ) -> Option<Option<ValueRef<'a>>> {
        let (batch, row) = self.batch_of(row)?;
        if !batch.present.is_empty() {
            let byte = read(within(&batch.present, row / 8, 1)?)?;
            if byte[0] >> (row % 8) & 1 == 0 {
                return Some(None);
            }
        }
        batch.values.get(row, self.field_type, &read).map(Some)
    }

    /// The batch of a row, and its place there.
    fn batch_of(&self, row: usize) -> Option<(&Batch, usize)> {
        let holds = |batch: &&Batch| (batch.first..batch.first + batch.rows).contains(&row);
        // Batches mostly have as many rows as the first.
        let likely = self.batches.first().and_then(|first| self.batches.get(row.checked_div(first.rows)?));
        let batch = likely.filter(holds).or_else(|| {
            let at = self.batches.partition_point(|batch| batch.first + batch.rows <= row);
            self.batches.get(at)
        })?;
        Some((batch, row - batch.first))
    }

    /// Calls `each` with every row that has a value, in order; whether it came to the end, which the watch may have prevented.
    pub(super) fn each<'a>(
        &self,
        file: &'a [u8],
        watch: &Watch,
        mut each: impl FnMut(usize, ValueRef<'a>),
    ) -> bool {
        let read = |range| file.get(range);
        let mut words = 0_usize;
        for batch in &self.batches {
            for (first, mut bits) in batch.words(file) {
                words += 1;
                if words.is_multiple_of(PIECE / 64) && watch.poll() {
                    return false;
                }
                while bits != 0 {
                    let row = first + bits.trailing_zeros() as usize;
                    if let Some(value) = batch.values.get(row, self.field_type, &read) {
                        each(batch.first + row, value);
                    }
                    bits &= bits - 1;
                }
            }
        }
        true
    }

    /// The rows that have a value, among `rows` rows.
    pub(crate) fn present(&self, file: &[u8], rows: usize) -> FixedBitSet {
        let mut present = FixedBitSet::with_capacity(rows);
        for batch in &self.batches {
            for (first, mut bits) in batch.words(file) {
                while bits != 0 {
                    present.set(batch.first + first + bits.trailing_zeros() as usize, true);
                    bits &= bits - 1;
                }
            }
        }
        present
    }

    /// The rows that have a value that passes, among `rows` rows, by testing each; `None` if the watch says to end.
    pub(crate) fn tested_by(
        &self,
        file: &[u8],
        test: &Test,
        (rows, watch): (usize, &Watch),
    ) -> Option<FixedBitSet> {
        let mut passing = FixedBitSet::with_capacity(rows);
        let mut tested = 0_u64;
        let read = |range| file.get(range);
        for batch in &self.batches {
            for (first, mut bits) in batch.words(file) {
                if tested.is_multiple_of(POLL_DISTANCES) && watch.poll() {
                    return None;
                }
                tested += u64::from(u64::BITS);
                while bits != 0 {
                    let row = first + bits.trailing_zeros() as usize;
                    if let Some(value) = batch.values.get(row, self.field_type, &read) {
                        passing.set(batch.first + row, test.passes(value));
                    }
                    bits &= bits - 1;
                }
            }
        }
        Some(passing)
    }

    /// The same to its end.
    #[cfg(test)]
    pub(crate) fn tested(&self, file: &[u8], test: &Test, rows: usize) -> FixedBitSet {
        self.tested_by(file, test, (rows, &Watch::default())).unwrap_or_default()
    }
}

impl Batch {
    /// The rows that have a value, as words of 64 bits with the first row of each.
    fn words<'a>(&'a self, file: &'a [u8]) -> impl Iterator<Item = (usize, u64)> + 'a {
        let present = file.get(self.present.clone()).unwrap_or_default();
        (0..self.rows).step_by(64).map(move |first| {
            let rows = (self.rows - first).min(64);
            let of_rows = u64::MAX >> (64 - rows);
            let bits = if self.present.is_empty() { u64::MAX } else { word(present, first / 8) };
            (first, bits & of_rows)
        })
    }
}

/// Eight bytes, with zeros for those beyond the end.
fn word(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes.get(at..).unwrap_or_default();
    let mut word = [0; 8];
    let length = bytes.len().min(8);
    word[..length].copy_from_slice(&bytes[..length]);
    u64::from_le_bytes(word)
}

/// Some bytes of a buffer.
fn within(buffer: &Range<usize>, start: usize, length: usize) -> Option<Range<usize>> {
    let start = buffer.start.checked_add(start)?;
    let end = start.checked_add(length)?;
    (end <= buffer.end).then_some(start..end)
}

impl Values {
    /// `None` if the buffers are too short for so many rows.
    fn of(field_type: FieldType, buffers: &[Range<usize>], rows: usize) -> Option<Self> {
        let fits =
            |buffer: usize, bytes: usize| buffers.get(buffer).filter(|range| range.len() >= bytes).cloned();
        Some(match field_type {
            FieldType::Bool => Values::Bits(fits(1, rows.div_ceil(8))?),
            FieldType::Int | FieldType::Timestamp | FieldType::Float => Values::Words(fits(1, rows * 8)?),
            FieldType::Geo => Values::Pairs(fits(2, rows * 16)?),
            FieldType::String | FieldType::Json => {
                Values::Texts { ends: fits(1, (rows + 1) * 4)?, bytes: fits(2, 0)? }
            }
            FieldType::Strings => {
                Values::Lists { lists: fits(1, (rows + 1) * 4)?, ends: fits(3, 0)?, bytes: fits(4, 0)? }
            }
        })
    }

    #[inline]
    fn get<'a>(
        &self,
        row: usize,
        field_type: FieldType,
        read: &impl Fn(Range<usize>) -> Option<&'a [u8]>,
    ) -> Option<ValueRef<'a>> {
        Some(match self {
            Values::Bits(bits) => ValueRef::Bool(read(within(bits, row / 8, 1)?)?[0] >> (row % 8) & 1 == 1),
            Values::Words(words) => {
                let word = u64_at(read(within(words, row * 8, 8)?)?, 0);
                match field_type {
                    FieldType::Float => ValueRef::Float(f64::from_bits(word)),
                    FieldType::Timestamp => ValueRef::Timestamp(word.cast_signed()),
                    _ => ValueRef::Int(word.cast_signed()),
                }
            }
            Values::Pairs(pairs) => {
                let pair = read(within(pairs, row * 16, 16)?)?;
                let [lon, lat] = [0, 1].map(|part| f64::from_bits(u64_at(pair, part)));
                ValueRef::Geo(GeoPoint { lat, lon })
            }
            Values::Texts { ends, bytes } => {
                let (start, end) = pair_of_ends(read(within(ends, row * 4, 8)?)?)?;
                let text = read(within(bytes, start, end - start)?)?;
                match field_type {
                    FieldType::Json => ValueRef::Json(text),
                    _ => ValueRef::Text(text),
                }
            }
            Values::Lists { lists, ends, bytes } => {
                let (start, end) = pair_of_ends(read(within(lists, row * 4, 8)?)?)?;
                if end - start > LIST_STRINGS_MAX {
                    return None;
                }
                // One more end than there are texts; of no text, none is needed.
                if start == end {
                    return Some(ValueRef::Strings(ListRef::Owned(&[])));
                }
                let ends = read(within(ends, start * 4, (end - start + 1) * 4)?)?;
                let (start, end) = (u32_at(ends, 0) as usize, u32_at(ends, end - start) as usize);
                let length = end.checked_sub(start).filter(|length| *length <= PAYLOAD_BYTES_MAX)?;
                ValueRef::Strings(ListRef::Packed { ends, bytes: read(within(bytes, start, length)?)? })
            }
        })
    }
}

/// Where something starts and ends; `None` if that is backwards, or longer than any value.
fn pair_of_ends(bytes: &[u8]) -> Option<(usize, usize)> {
    let (start, end) = (u32_at(bytes, 0) as usize, u32_at(bytes, 1) as usize);
    (start <= end && end - start <= PAYLOAD_BYTES_MAX).then_some((start, end))
}

#[cfg(test)]
pub(crate) mod tests;
