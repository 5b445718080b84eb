//! The values of a sealed segment's rows: one part, whose section is an Arrow IPC file of all fields that some row has.
//!
//! ```text
//! columns info = count u16 (field u16 | type u8 | rows u32)* | count u32 (rows u32 | buffer *)*
//! buffer       = offset u64 | length u64
//! columns part = section: an Arrow IPC file
//! ```
//! First the fields, each with how many rows have it; then the record batches, each with the buffers of the fields in turn, by
//! their places in the segment's file. `payload/column.rs` says which buffers a field has, `payload/arrow.rs` what its array is.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use arrow_schema::ArrowError;
use fixedbitset::FixedBitSet;

use super::{PartsFile, section};
use crate::codec::{Decoded, Decoder, Encoder};
use crate::dir::{Access, corrupt};
use crate::error::{Error, Result};
use crate::faults;
use crate::interrupt::Watch;
use crate::pace::{Halt, Pace, Steps};
use crate::payload::{
    ArrowColumns, Column, ColumnEntry, FieldId, FieldIndex, FieldTable, FieldType, FilterCache, Indexed,
    Layout, ListedColumn, Screen, Sorted, SortedColumn, Test, ValueRef, buffers_of, layout,
};
use crate::schema_codes::decode_field_type;
use crate::segment::blocks::{BlockWriter, Fault};
use crate::segment::meta::{Meta, Part, PartKind};
use crate::segment::segment_file;
use crate::segment::writer::Writing;

/// What the directory says of the columns of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::segment) struct ColumnsInfo {
    /// Rows of each record batch.
    pub(in crate::segment) batch_rows: Vec<u32>,
    pub(in crate::segment) columns: Vec<(FieldId, ColumnEntry)>,
}

impl ColumnsInfo {
    fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new();
        out.u16(self.columns.len() as u16);
        for (field, entry) in &self.columns {
            out.u16(*field);
            out.u8(entry.field_type.code());
            out.u32(entry.count);
        }
        out.u32(self.batch_rows.len() as u32);
        for (batch, rows) in self.batch_rows.iter().enumerate() {
            out.u32(*rows);
            for (_, entry) in &self.columns {
                let each = buffers_of(entry.field_type);
                for buffer in &entry.buffers[batch * each..][..each] {
                    out.u64(buffer.start);
                    out.u64(buffer.end - buffer.start);
                }
            }
        }
        out.into_bytes()
    }

    fn decode(input: &mut Decoder<'_>) -> Decoded<Self> {
        let mut columns = Vec::new();
        for _ in 0..input.u16()? {
            let (field, field_type, count) = (input.u16()?, decode_field_type(input)?, input.u32()?);
            columns.push((field, ColumnEntry { field_type, count, buffers: Vec::new() }));
        }
        let mut batch_rows = Vec::new();
        for _ in 0..input.count(4)? {
            batch_rows.push(input.u32()?);
            for (_, entry) in &mut columns {
                for _ in 0..buffers_of(entry.field_type) {
                    let (offset, length) = (input.u64()?, input.u64()?);
                    let Some(end) = offset.checked_add(length) else {
                        return input.error("a buffer of a column does not fit any file");
                    };
                    entry.buffers.push(offset..end);
                }
            }
        }
        Ok(Self { batch_rows, columns })
    }

    /// Reads what a part says; the reason if it does not fit a segment of so many rows.
    pub(in crate::segment) fn read(part: &Part, rows: u32) -> Result<Self, String> {
        let info = part.info(Self::decode)?;
        let total: u64 = info.batch_rows.iter().map(|rows| u64::from(*rows)).sum();
        if total != u64::from(rows) {
            return Err(format!("the columns are of {total} rows, the segment has {rows}"));
        }
        Ok(info)
    }
}

/// Writes the columns of a new segment; no part if no row has a field.
pub(in crate::segment) fn write(writing: &Writing<'_>, out: &mut BlockWriter) -> Result<Option<Part>> {
    let some_row_has =
        |field: FieldId| writing.rows.iter().any(|row| writing.source(row).value(row.slot, field).is_some());
    let fields: Vec<(FieldId, &str, FieldType)> = (0..)
        .zip(writing.request.fields.iter())
        .map(|(field, (name, field_type))| (field, name, field_type))
        .filter(|(field, ..)| some_row_has(*field))
        .collect();
    if fields.is_empty() {
        return Ok(None);
    }
    let mut counts = vec![0; fields.len()];
    let section = section(out, |out| write_arrow(writing, out, &fields, &mut counts))?;
    out.flush()?;
    let name = segment_file(writing.request.id);
    let blob = writing.dir.map(&name, Access::Near)?;
    let range = section.offset as usize..(section.offset + section.length_bytes) as usize;
    let types: Vec<FieldType> = fields.iter().map(|(.., field_type)| *field_type).collect();
    let Layout { batch_rows, buffers } = layout((*blob).as_ref(), range, &types)
        .map_err(|reason| corrupt(writing.dir, &name, section.offset, reason))?;
    let entries = fields.iter().zip(counts).zip(buffers);
    let columns = entries.map(|(((field, _, field_type), count), buffers)| {
        (*field, ColumnEntry { field_type: *field_type, count, buffers })
    });
    let info = ColumnsInfo { batch_rows, columns: columns.collect() }.encode();
    faults::point(writing.step("seal.columns", "merge.columns"));
    Ok(Some(Part { kind: PartKind::Columns, number: 0, info, sections: vec![section] }))
}

/// Writes the Arrow file, and counts the rows that have each field.
fn write_arrow(
    writing: &Writing<'_>,
    out: &mut BlockWriter,
    fields: &[(FieldId, &str, FieldType)],
    counts: &mut [u32],
) -> Result<()> {
    let mut sink = Sink { out, error: None };
    let mut write = || -> Result<Result<(), ArrowError>> {
        let mut columns = match ArrowColumns::new(&mut sink, fields) {
            Ok(columns) => columns,
            Err(error) => return Ok(Err(error)),
        };
        for row in writing.rows {
            let source = writing.source(row);
            let is_full = columns.push(&mut |place| {
                let value = source.value(row.slot, fields[place].0);
                counts[place] += u32::from(value.is_some());
                value
            });
            if is_full {
                writing.go_on()?;
                if let Err(error) = columns.end_batch() {
                    return Ok(Err(error));
                }
            }
        }
        Ok(columns.finish())
    };
    let written = write()?;
    match (sink.error, written) {
        (Some(error), _) => Err(error),
        (None, Ok(())) => Ok(()),
        (None, Err(error)) => Err(Error::invalid("columns", error.to_string())),
    }
}

/// Where Arrow writes to: it tells of its own errors only, so that of the file is kept.
struct Sink<'a> {
    out: &'a mut BlockWriter,
    error: Option<Error>,
}

impl io::Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes).map_err(|error| {
            self.error = Some(error);
            io::Error::other("the segment's file could not be written")
        })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A column in the order of its values, if that is there.
pub(in crate::segment) enum InOrder<'a> {
    /// No row has the field.
    Absent,
    Ready(SortedColumn<'a>),
    Lists(ListedColumn<'a>),
    /// Its values have no order, or another thread is putting them into it, or the watch ended that.
    Unknown,
}

/// The columns of a segment. Its methods take the bytes of the file that it was opened on.
pub(in crate::segment) struct SealedColumns {
    rows: usize,
    /// Where the Arrow file lies.
    section: Range<usize>,
    pub(in crate::segment) columns: BTreeMap<FieldId, Column>,
    /// No row's values are longer than this together: what one record batch has of them.
    row_bytes_max: usize,
    /// Of each column, once it is filtered by.
    indexes: BTreeMap<FieldId, Sorted>,
    filters: FilterCache,
}

impl SealedColumns {
    pub(in crate::segment) fn open(
        file: &PartsFile<'_>,
        meta: &Meta,
        filter_cache_bytes: usize,
    ) -> Result<Self, Fault> {
        let rows = file.rows as usize;
        let mut columns = BTreeMap::new();
        let (mut section, mut row_bytes_max) = (0..0, 0);
        if let Some(part) = meta.part(PartKind::Columns, 0) {
            let info = ColumnsInfo::read(part, file.rows).map_err(|reason| file.fault(reason))?;
            let [arrow] = part.sections().map_err(|reason| file.fault(reason))?;
            section = file.range(arrow, None)?;
            for (field, entry) in &info.columns {
                let column = Column::open(entry, &info.batch_rows, section.end)
                    .ok_or((section.start, "a column does not fit its rows".to_owned()))?;
                columns.insert(*field, column);
            }
            let longest = |batch| columns.values().map(|column| column.longest(batch)).sum::<usize>();
            row_bytes_max = (0..info.batch_rows.len()).map(longest).max().unwrap_or(0);
        }
        let indexes = columns.keys().map(|field| (*field, Sorted::default())).collect();
        let filters = FilterCache::new(rows, filter_cache_bytes);
        Ok(Self { rows, section, columns, row_bytes_max, indexes, filters })
    }

    /// Bytes that no row's values exceed together.
    pub(in crate::segment) fn row_bytes_max(&self) -> usize {
        self.row_bytes_max
    }

    /// The value of a field of a row.
    pub(in crate::segment) fn value<'a>(
        &self,
        file: &'a [u8],
        slot: u32,
        field: FieldId,
    ) -> Option<ValueRef<'a>> {
        self.columns.get(&field)?.get(file, slot as usize)
    }

    /// The rows that have a field whose value passes; `None` if the watch ended making the index, or going through them, as is done while
    /// another thread makes it.
    pub(in crate::segment) fn select(
        &self,
        file: &[u8],
        (field, test): (FieldId, &Arc<Test>),
        watch: &Watch,
    ) -> Option<Arc<FixedBitSet>> {
        self.filters.get(field, test, || {
            let column = self.columns.get(&field).filter(|column| test.is_of(column.field_type()));
            let Some(column) = column else { return Some(FixedBitSet::with_capacity(self.rows)) };
            if **test == Test::Exists {
                return Some(column.present(file, self.rows));
            }
            let indexed = Indexed { column, file, rows: self.rows };
            let selected = self.index(field, indexed, watch).map(|index| index.select(indexed, test));
            selected.or_else(|| column.tested_by(file, test, (self.rows, watch)))
        })
    }

    /// A column in the order of its values.
    pub(in crate::segment) fn sorted<'a>(
        &'a self,
        file: &'a [u8],
        field: FieldId,
        watch: &Watch,
    ) -> InOrder<'a> {
        let Some(column) = self.columns.get(&field) else { return InOrder::Absent };
        let rows = self.rows;
        match self.index(field, Indexed { column, file, rows }, watch) {
            Some(FieldIndex::Values(index)) => InOrder::Ready(SortedColumn { index, column, file, rows }),
            Some(FieldIndex::Elements(index)) => InOrder::Lists(ListedColumn { index, column, file }),
            _ => InOrder::Unknown,
        }
    }

    /// The index of a column, if there is one for its type, as [`Sorted::get`] has it.
    fn index(&self, field: FieldId, indexed: Indexed<'_>, watch: &Watch) -> Option<&FieldIndex> {
        let sorted = self.indexes.get(&field).filter(|_| FieldIndex::is_for(indexed.column.field_type()))?;
        sorted.get(watch, |watch| FieldIndex::new(indexed, watch))
    }

    /// The fields that have an index by now, each as [`Sorted::unasked`] says.
    pub(in crate::segment) fn indexed(&self) -> impl Iterator<Item = (FieldId, u8)> {
        self.indexes.iter().filter_map(|(field, sorted)| Some((*field, sorted.unasked()?)))
    }

    /// [Makes](Sorted::make_ahead) such an index before anybody asks.
    pub(in crate::segment) fn make_ahead(&self, file: &[u8], (field, unasked): (FieldId, u8), watch: &Watch) {
        let Some((column, sorted)) = self.columns.get(&field).zip(self.indexes.get(&field)) else { return };
        let indexed = Indexed { column, file, rows: self.rows };
        sorted.make_ahead(unasked, watch, |watch| FieldIndex::new(indexed, watch));
    }

    /// At most how many rows have a field whose value passes, if the column has an index.
    pub(in crate::segment) fn count(
        &self,
        file: &[u8],
        asked: (FieldId, &Test),
        watch: &Watch,
    ) -> Option<usize> {
        self.of_index(file, asked, watch, FieldIndex::count).unwrap_or(Some(0))
    }

    /// These rows in ascending order, likewise; `None` if there may be more than `max`, too.
    pub(in crate::segment) fn list(
        &self,
        file: &[u8],
        asked: (FieldId, &Test),
        max: usize,
        watch: &Watch,
    ) -> Option<Vec<u32>> {
        let list = |index: &FieldIndex, indexed: Indexed<'_>, test: &Test| index.list(indexed, test, max);
        self.of_index(file, asked, watch, list).map_or_else(|| Some(Vec::new()), Option::flatten)
    }

    /// What lets through all of these and few others, if the column has such a thing, the condition is asked for the first time, and about so many
    /// pass.
    pub(in crate::segment) fn screen<'a>(
        &'a self,
        file: &'a [u8],
        ((field, test), least): ((FieldId, &Test), usize),
        watch: &Watch,
    ) -> Option<Screen<'a>> {
        let screen = |index: &'a FieldIndex, _: Indexed<'a>, test: &Test| {
            if self.filters.is_first(field, test) { index.screen(test, least) } else { None }
        };
        self.of_index(file, (field, test), watch, screen)?.flatten()
    }

    /// What the index of a column says; `None` if no row has a value that could pass, `Some(None)` if there is no index.
    fn of_index<'a, T>(
        &'a self,
        file: &'a [u8],
        (field, test): (FieldId, &Test),
        watch: &Watch,
        ask: impl Fn(&'a FieldIndex, Indexed<'a>, &Test) -> T,
    ) -> Option<Option<T>> {
        let column = self.columns.get(&field).filter(|column| test.is_of(column.field_type()))?;
        if *test == Test::Exists || !FieldIndex::is_for(column.field_type()) {
            return Some(None);
        }
        let indexed = Indexed { column, file, rows: self.rows };
        Some(self.index(field, indexed, watch).map(|index| ask(index, indexed, test)))
    }

    /// Whether every column is of a field that the collection has.
    pub(in crate::segment) fn has_only(&self, fields: &FieldTable) -> bool {
        self.columns.keys().all(|field| usize::from(*field) < fields.len())
    }

    /// Where all of them lie.
    pub(in crate::segment) fn section(&self) -> Range<usize> {
        self.section.clone()
    }

    /// The fields that some row has.
    pub(in crate::segment) fn fields(&self) -> impl Iterator<Item = FieldId> {
        self.columns.keys().copied()
    }

    /// Checks the counts of the columns, and that the Arrow file says the same of them as the directory.
    pub(in crate::segment) fn check_structure(
        &self,
        file: &[u8],
        pace: &mut Pace<'_>,
    ) -> Result<(), Halt<Fault>> {
        if self.columns.is_empty() {
            return Ok(());
        }
        let found = |reason: String| Halt::Found((self.section.start, reason));
        let types: Vec<FieldType> = self.columns.values().map(Column::field_type).collect();
        let layout = layout(file, self.section.clone(), &types).map_err(found)?;
        let agrees =
            self.columns.values().zip(&layout.buffers).all(|(column, buffers)| column.lies_in(buffers));
        if !agrees {
            let reason = "the Arrow file's buffers are not where the segment's directory has them";
            return Err(found(reason.into()));
        }
        // The counts of a column are a few bits for each row.
        let mut columns = Steps::new(pace, 1);
        for column in self.columns.values() {
            columns.one()?;
            if !column.has_right_counts(file) {
                return Err(Halt::Found((column.start(), "the counts of a column do not match".into())));
            }
        }
        Ok(())
    }
}
