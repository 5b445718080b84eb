//! A sealed segment: an immutable file, mapped or in memory.
//!
//! ```text
//! vectors = f32 * dimension * vectors      rows 0 .. vectors, those that have a vector
//! codes, factors, parameters               of the same rows, as `vectors/codes.rs` says; empty where the walk
//!                                          compares the vectors
//! sketches, factors, parameters            likewise, as `vectors/sketch.rs` says; empty where there are none
//! graph   = as `graph/sealed.rs` says, over the same rows
//! order   = u32 * rows                     slots in the order of their ids
//! id-ends = u64 * rows                     where the id of a slot ends among `ids`
//! ids     = key *                          by slot; key = 0 u8 | number u64 big-endian  |  1 u8 | UTF-8
//! columns = as `payload/column.rs` says, one for each field that some row has
//! meta    = as `meta.rs` says
//! ```
//! Keys compare as bytes like ids do. A row is found by binary search through `order`: no index lies on the heap, and
//! opening decodes nothing but the meta section, so it takes as long for a large file as for a small one.
//!
//! **Nothing read is trusted**, as it may not have been verified yet (`integrity.rs`): a slot that is no row's, an end
//! beyond the ids or a key that is too long for an id stand for a row that is not there.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use fixedbitset::FixedBitSet;

use super::blocks::{self, Blocks, Fault};
use super::integrity::Integrity;
use super::meta::{CodeSections, Meta, Section};
use super::segment_file;
use crate::codec::{u32_at, u64_at};
use crate::dir::{Access, Blob, Dir, corrupt};
use crate::error::Result;
use crate::graph::{GRAPH_HEADER_BYTES, SealedGraph};
use crate::limits::ID_BYTES_MAX;
use crate::payload::{Column, ColumnIndex, FieldId, FieldTable, FilterCache, Sorted, Test, ValueRef};
use crate::point::PointId;
use crate::schema::Schema;
use crate::vectors::{Encodings, RowsError, SealedCodes, SealedRows, SealedSketches};
use crate::verify::Storage;

/// How much of a file is checked before it is open. Footer, table of checksums and headers always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// All of it.
    Everything,
    /// Nothing more.
    Headers,
    /// Nothing more, and nothing later: this process has just written it.
    Written,
}

/// How a segment is opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening<'a> {
    /// Of the collection.
    pub(crate) schema: &'a Schema,
    pub(crate) encodings: &'a Encodings,
    pub(crate) storage: Storage,
    pub(crate) check: Check,
    /// Of answers to conditions of filters, at most.
    pub(crate) filter_cache_bytes: usize,
}

impl<'a> Opening<'a> {
    /// From its file, checking the headers, by whoever asks no filters.
    pub(crate) fn mapped(schema: &'a Schema, encodings: &'a Encodings) -> Self {
        Self { schema, encodings, storage: Storage::Mapped, check: Check::Headers, filter_cache_bytes: 0 }
    }
}

/// What opening a file gives.
struct Found {
    opened: blocks::Opened,
    /// The file mapped once more, for scattered reads.
    scattered: Blob,
    integrity: Integrity,
    filter_cache_bytes: usize,
}

/// A segment in a file.
pub(crate) struct SealedSegment {
    pub(crate) id: u64,
    rows: u32,
    vectors: u32,
    blob: Blob,
    pub(super) blocks: Blocks,
    pub(super) integrity: Integrity,
    /// Rows `0..vectors`, for whoever reads them one after the other.
    pub(crate) vector_rows: SealedRows,
    /// The same rows and their codes for whoever picks some: the rows through a map of their own, where a missing page
    /// comes alone. With the pages around it, each pick of a cold row would drive 31 others out of a full memory.
    pub(crate) picked_rows: SealedRows,
    pub(crate) graph: SealedGraph,
    pub(super) graph_range: Range<usize>,
    pub(super) order: Range<usize>,
    pub(super) id_ends: Range<usize>,
    pub(super) ids: Range<usize>,
    pub(super) columns: BTreeMap<FieldId, Column>,
    /// Of each column, once it is filtered by.
    indexes: BTreeMap<FieldId, Sorted>,
    filters: FilterCache,
}

impl std::fmt::Debug for SealedSegment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedSegment")
            .field("id", &self.id)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl SealedSegment {
    /// Opens a segment.
    pub(crate) fn open(dir: &dyn Dir, id: u64, opening: &Opening<'_>) -> Result<Self> {
        let name = segment_file(id);
        let opened = blocks::open(dir, &name, opening.storage)?;
        let fault = |(offset, reason): Fault| corrupt(dir, &name, offset as u64, reason);
        let start = opened.meta.start;
        let meta = Meta::decode(&(*opened.blob).as_ref()[opened.meta.clone()], opened.version)
            .map_err(|error| fault((start + error.offset, error.reason)))?;
        if !meta.belongs_to(id, opening.schema) {
            let reason = "the segment belongs to another collection or number";
            return Err(fault((start, reason.into())));
        }
        let integrity = Integrity::new(dir.file_path(&name), opening.check != Check::Headers);
        let scattered = match opening.storage {
            Storage::Mapped => dir.map(&name, Access::Scattered)?,
            Storage::Resident => opened.blob.clone(),
        };
        let found = Found { opened, scattered, integrity, filter_cache_bytes: opening.filter_cache_bytes };
        let segment = Self::from_meta(found, &meta, opening.encodings).map_err(fault)?;
        if opening.check == Check::Everything {
            segment.check_everything().map_err(fault)?;
        }
        Ok(segment)
    }

    /// Finds the sections, checks their lengths, and the blocks of those that are read right away.
    fn from_meta(
        Found { opened, scattered, integrity, filter_cache_bytes }: Found,
        meta: &Meta,
        encodings: &Encodings,
    ) -> Result<Self, Fault> {
        let blocks::Opened { blob, blocks, meta: meta_range, .. } = opened;
        let length = meta_range.start;
        let range = |section: Section, expected: Option<usize>| {
            let start = usize::try_from(section.offset).unwrap_or(usize::MAX);
            let bytes = usize::try_from(section.length_bytes).unwrap_or(usize::MAX);
            let end = start.checked_add(bytes).filter(|end| *end <= length);
            match end {
                Some(end) if expected.is_none_or(|expected| expected == bytes) => Ok(start..end),
                _ => Err((start.min(length), "a section does not fit the segment".to_owned())),
            }
        };
        let rows = meta.rows as usize;
        let vector_bytes = (meta.vectors as usize).saturating_mul(meta.dimension as usize).saturating_mul(4);
        let vectors_range = range(meta.vector_rows, Some(vector_bytes))?;
        let rows_of = |bytes: &Blob| {
            SealedRows::new(bytes.clone(), vectors_range.clone(), meta.dimension as usize)
                .map_err(|error| (vectors_range.start, error.to_string()))
        };
        let (vector_rows, picked_rows) = (rows_of(&blob)?, rows_of(&scattered)?);
        let (vector_rows, picked_rows) = match encodings.sealed.codec() {
            None => (vector_rows, picked_rows),
            Some(codec) => {
                let CodeSections { codes, factors, parameters } = meta.codes;
                let ranges = [range(codes, None)?, range(factors, None)?, range(parameters, None)?];
                let start = ranges[0].start;
                // The parameters are copied now.
                blocks.check((*blob).as_ref(), ranges[2].clone())?;
                let codes = SealedCodes::new(blob.clone(), ranges, codec.layout(), meta.vectors as usize);
                let codes = codes.map_err(|error: RowsError| (start, error.to_string()))?;
                (vector_rows.with_codes(codes.clone()), picked_rows.with_codes(codes))
            }
        };
        let vector_rows = match &encodings.sketcher {
            None => vector_rows,
            Some(sketcher) => {
                let CodeSections { codes, factors, parameters } = meta.sketches;
                let ranges = [range(codes, None)?, range(factors, None)?, range(parameters, None)?];
                let start = ranges[0].start;
                blocks.check((*blob).as_ref(), ranges[2].clone())?;
                let sketches = SealedSketches::new(blob.clone(), ranges, sketcher, meta.vectors as usize);
                vector_rows.with_sketches(sketches.map_err(|error: RowsError| (start, error.to_string()))?)
            }
        };
        let graph_range = range(meta.graph, None)?;
        let header_end = graph_range.end.min(graph_range.start + GRAPH_HEADER_BYTES);
        blocks.check((*blob).as_ref(), graph_range.start..header_end)?;
        let graph = SealedGraph::open(blob.clone(), graph_range.clone())
            .map_err(|error| (graph_range.start + error.offset(), error.to_string()))?;
        if graph.rows() != meta.vectors as usize || graph.len() != graph.rows() {
            return Err((graph_range.start, "the graph is over other rows than the segment's".into()));
        }
        let mut columns = BTreeMap::new();
        for (field, entry) in &meta.columns {
            let section = Section { offset: entry.offset, length_bytes: entry.length_bytes };
            let start = range(section, None)?.start;
            let column =
                Column::open(entry, rows).ok_or((start, "a column does not fit its counts".to_owned()))?;
            columns.insert(*field, column);
        }
        let indexes = columns.keys().map(|field| (*field, Sorted::default())).collect();
        let order = range(meta.order, Some(rows * 4))?;
        let id_ends = range(meta.id_ends, Some(rows * 8))?;
        let ids = range(meta.ids, None)?;
        Ok(Self {
            id: meta.segment,
            rows: meta.rows,
            vectors: meta.vectors,
            blocks,
            integrity,
            vector_rows,
            picked_rows,
            graph,
            graph_range,
            order,
            id_ends,
            ids,
            columns,
            indexes,
            filters: FilterCache::new(rows, filter_cache_bytes),
            blob,
        })
    }

    /// The checksums that its file carries, and its footer.
    pub(crate) fn checksums(&self) -> &[u8] {
        self.blocks.checksums((*self.blob).as_ref())
    }

    /// Rows, the dead ones included.
    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }

    /// Rows with a vector; they come first.
    pub(crate) fn vectors(&self) -> u32 {
        self.vectors
    }

    pub(super) fn bytes(&self) -> &[u8] {
        (*self.blob).as_ref()
    }

    /// The key of a row; empty if the bytes do not give one.
    fn key(&self, slot: u32) -> &[u8] {
        if slot >= self.rows {
            return &[];
        }
        let ends = &self.bytes()[self.id_ends.clone()];
        let start = if slot == 0 { 0 } else { u64_at(ends, slot as usize - 1) as usize };
        let end = u64_at(ends, slot as usize) as usize;
        let key = self.bytes()[self.ids.clone()].get(start..end).unwrap_or_default();
        // Damage must not make an id of a gigabyte.
        if key.len() <= 1 + ID_BYTES_MAX { key } else { &[] }
    }

    /// The id of a row.
    pub(crate) fn id(&self, slot: u32) -> PointId {
        id_of_key(self.key(slot))
    }

    /// Asks for what says where the id of a row is.
    pub(super) fn prefetch_id_end(&self, slot: u32) {
        let ends = &self.bytes()[self.id_ends.clone()];
        // That of the row before lies on the same cache line but for one row in eight.
        if let Some(end) = ends.get(slot as usize * 8..).and_then(|rest| rest.get(..8)) {
            ragstone_kernels::prefetch(end);
        }
    }

    /// Asks for the id of a row.
    pub(super) fn prefetch_id(&self, slot: u32) {
        ragstone_kernels::prefetch(self.key(slot));
    }

    /// The row with an id, dead or alive.
    pub(crate) fn find(&self, id: &PointId) -> Option<u32> {
        let position = self.position(id, Ordering::is_lt);
        let slot = self.slot_at(position)?;
        (self.key(slot) == key_of_id(id)).then_some(slot)
    }

    /// The row at a place in the order of the ids.
    pub(crate) fn slot_at(&self, position: u32) -> Option<u32> {
        let slot =
            (position < self.rows).then(|| u32_at(&self.bytes()[self.order.clone()], position as usize))?;
        (slot < self.rows).then_some(slot)
    }

    /// The place of the first id greater than `after`; of the first of all for `None`.
    pub(crate) fn position_after(&self, after: Option<&PointId>) -> u32 {
        after.map_or(0, |after| self.position(after, Ordering::is_le))
    }

    /// How many ids come before, by a comparison of each with `id`.
    fn position(&self, id: &PointId, before: impl Fn(Ordering) -> bool) -> u32 {
        let key = key_of_id(id);
        let (mut low, mut high) = (0, self.rows);
        while low < high {
            let middle = low + (high - low) / 2;
            let slot = u32_at(&self.bytes()[self.order.clone()], middle as usize);
            if before(self.key(slot).cmp(&key)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The value of a field of a row.
    pub(crate) fn value(&self, slot: u32, field: FieldId) -> Option<ValueRef<'_>> {
        self.columns.get(&field)?.get(self.bytes(), slot as usize)
    }

    /// The rows that have a field whose value passes.
    pub(crate) fn select(&self, field: FieldId, test: &Arc<Test>) -> Arc<FixedBitSet> {
        self.filters.get(field, test, || {
            let rows = self.rows as usize;
            let Some(column) = self.columns.get(&field).filter(|column| test.is_of(column.field_type()))
            else {
                return FixedBitSet::with_capacity(rows);
            };
            let Some(sorted) = self.indexes.get(&field) else {
                return FixedBitSet::with_capacity(rows);
            };
            match sorted.get(|| ColumnIndex::new(column, self.bytes(), rows)) {
                Some(index) => index.select(column, self.bytes(), test, rows),
                None => column.tested(self.bytes(), test, rows),
            }
        })
    }

    /// Whether every column is of a field that the collection has.
    pub(crate) fn has_only(&self, fields: &FieldTable) -> bool {
        self.columns.keys().all(|field| usize::from(*field) < fields.len())
    }

    /// The fields that some row has.
    pub(crate) fn fields(&self) -> impl Iterator<Item = FieldId> {
        self.columns.keys().copied()
    }
}

/// The key of an id: compares as bytes like ids compare.
pub(super) fn key_of_id(id: &PointId) -> Vec<u8> {
    match id {
        PointId::Num(number) => [&[0], &number.to_be_bytes()[..]].concat(),
        PointId::Str(text) => [&[1], text.as_bytes()].concat(),
    }
}

pub(super) fn id_of_key(key: &[u8]) -> PointId {
    match key.split_first() {
        Some((0, number)) => PointId::Num(match number.first_chunk() {
            Some(bytes) => u64::from_be_bytes(*bytes),
            // No key of ours: as good as any.
            None => number.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)),
        }),
        Some((_, text)) => PointId::Str(String::from_utf8_lossy(text).into_owned()),
        None => PointId::Str(String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_compare_like_ids() {
        let mut ids: Vec<PointId> = [0, 1, 255, 256, u64::MAX].map(PointId::Num).into();
        ids.extend(["", "\0", "a", "ab", "b", "ä", "z"].map(PointId::from));
        for a in &ids {
            assert_eq!(id_of_key(&key_of_id(a)), *a);
            for b in &ids {
                assert_eq!(key_of_id(a).cmp(&key_of_id(b)), a.cmp(b), "{a} {b}");
            }
        }
    }
}
