//! The values of a sealed segment's rows: a part for each field that some row has.
//!
//! ```text
//! column info = type u8 | count u32        rows that have the field
//! column part = section: column
//! ```
//! The bytes of a column are those of `payload/column.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use fixedbitset::FixedBitSet;

use super::{PartsFile, section};
use crate::codec::Encoder;
use crate::error::Result;
use crate::faults;
use crate::pace::{Halt, Pace, Steps};
use crate::payload::{
    Column, ColumnBuilder, ColumnEntry, ColumnIndex, FieldId, FieldTable, FilterCache, Sorted, SortedColumn,
    Test, ValueRef,
};
use crate::schema_codes::decode_field_type;
use crate::segment::blocks::{BlockWriter, Fault};
use crate::segment::meta::{Meta, Part, PartKind};
use crate::segment::writer::Writing;

/// Writes the columns of a new segment.
pub(in crate::segment) fn write(writing: &Writing<'_>, out: &mut BlockWriter) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for (field, (_, field_type)) in (0u16..).zip(writing.request.fields.iter()) {
        writing.go_on()?;
        let mut builder = ColumnBuilder::new(field_type, writing.rows.len());
        for (new, row) in writing.rows.iter().enumerate() {
            if let Some(value) = writing.source(row).value(row.slot, field) {
                builder.push(new, value);
            }
        }
        if let Some((entry, bytes)) = builder.finish() {
            let mut info = Encoder::new();
            info.u8(entry.field_type.code());
            info.u32(entry.count);
            let sections = vec![section(out, |out| out.write(&bytes))?];
            parts.push(Part { kind: PartKind::Column, number: field, info: info.into_bytes(), sections });
        }
    }
    faults::point(writing.step("seal.columns", "merge.columns"));
    Ok(parts)
}

/// What a part says of its column.
pub(in crate::segment) fn entry_of(part: &Part) -> Result<ColumnEntry, String> {
    let (field_type, count) = part.info(|input| Ok((decode_field_type(input)?, input.u32()?)))?;
    let [section] = part.sections()?;
    Ok(ColumnEntry { field_type, offset: section.offset, length_bytes: section.length_bytes, count })
}

/// A column in the order of its values, if that is there.
pub(in crate::segment) enum InOrder<'a> {
    /// No row has the field.
    Absent,
    Ready(SortedColumn<'a>),
    /// Another thread is sorting it.
    Busy,
}

/// The columns of a segment. Its methods take the bytes of the file that it was opened on.
pub(in crate::segment) struct SealedColumns {
    rows: usize,
    columns: BTreeMap<FieldId, Column>,
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
        for part in meta.of_kind(PartKind::Column) {
            let entry = entry_of(part).map_err(|reason| file.fault(reason))?;
            let start = file.range(part.sections[0], None)?.start;
            let column =
                Column::open(&entry, rows).ok_or((start, "a column does not fit its counts".to_owned()))?;
            columns.insert(part.number, column);
        }
        let indexes = columns.keys().map(|field| (*field, Sorted::default())).collect();
        Ok(Self { rows, columns, indexes, filters: FilterCache::new(rows, filter_cache_bytes) })
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

    /// The rows that have a field whose value passes.
    pub(in crate::segment) fn select(
        &self,
        file: &[u8],
        field: FieldId,
        test: &Arc<Test>,
    ) -> Arc<FixedBitSet> {
        self.filters.get(field, test, || {
            let column = self.columns.get(&field).filter(|column| test.is_of(column.field_type()));
            let (Some(column), Some(sorted)) = (column, self.indexes.get(&field)) else {
                return FixedBitSet::with_capacity(self.rows);
            };
            match sorted.get(|| ColumnIndex::new(column, file, self.rows)) {
                Some(index) => index.select(column, file, test, self.rows),
                None => column.tested(file, test, self.rows),
            }
        })
    }

    /// A column in the order of its values.
    pub(in crate::segment) fn sorted<'a>(&'a self, file: &'a [u8], field: FieldId) -> InOrder<'a> {
        let (Some(column), Some(sorted)) = (self.columns.get(&field), self.indexes.get(&field)) else {
            return InOrder::Absent;
        };
        match sorted.get(|| ColumnIndex::new(column, file, self.rows)) {
            Some(index) => InOrder::Ready(SortedColumn { index, column, file, rows: self.rows }),
            None => InOrder::Busy,
        }
    }

    /// Whether every column is of a field that the collection has.
    pub(in crate::segment) fn has_only(&self, fields: &FieldTable) -> bool {
        self.columns.keys().all(|field| usize::from(*field) < fields.len())
    }

    /// The fields that some row has.
    pub(in crate::segment) fn fields(&self) -> impl Iterator<Item = FieldId> {
        self.columns.keys().copied()
    }

    /// Checks the counts of the columns.
    pub(in crate::segment) fn check_structure(
        &self,
        file: &[u8],
        pace: &mut Pace<'_>,
    ) -> Result<(), Halt<Fault>> {
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
