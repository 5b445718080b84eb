//! A sealed segment: an immutable, memory-mapped file.
//!
//! ```text
//! vectors = f32 * dimension * vectors      rows 0 .. vectors, those that have a vector
//! codes, factors, parameters               of the same rows, as `vectors/codes.rs` says; empty where the walk
//!                                          compares the vectors
//! graph   = as `graph/sealed.rs` says, over the same rows
//! order   = u32 * rows                     slots in the order of their ids
//! id-ends = u64 * rows                     where the id of a slot ends among `ids`
//! ids     = key *                          by slot; key = 0 u8 | number u64 big-endian  |  1 u8 | UTF-8
//! columns = as `payload/column.rs` says, one for each field that some row has
//! meta    = segment u64 | rows u32 | vectors u32 | dimension u32 | metric u8 | encoding u8
//!         | walk-dimension u32 | section * 8 | count u32 (field u16 | type u8 | count u32 | section)*
//! section = offset u64 | length u64        in the order above
//! ```
//! Keys compare as bytes like ids do. A row is found by binary search through `order`: no index lies on the heap, and
//! opening decodes nothing but the meta section.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use fixedbitset::FixedBitSet;

use super::blocks::{self, VERSION_1};
use super::segment_file;
use crate::codec::{Decoded, Decoder, Encoder, u32_at, u64_at};
use crate::dir::{Blob, Dir, corrupt};
use crate::error::Result;
use crate::graph::SealedGraph;
use crate::manifest::{decode_encoding, decode_field_type, decode_metric, encoding_code, metric_code};
use crate::payload::{Column, ColumnEntry, FieldId, FieldTable, FilterCache, Test, ValueRef};
use crate::point::PointId;
use crate::schema::{EncodingKind, Metric, Schema};
use crate::vectors::{Codec, Encodings, RowsError, SealedCodes, SealedRows};

/// Where a section lies in its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) offset: u64,
    pub(super) length_bytes: u64,
}

/// Where the codes of the rows lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CodeSections {
    pub(super) codes: Section,
    pub(super) factors: Section,
    pub(super) parameters: Section,
}

/// The meta section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) segment: u64,
    pub(super) rows: u32,
    pub(super) vectors: u32,
    pub(super) dimension: u32,
    pub(super) metric: Metric,
    pub(super) encoding: EncodingKind,
    pub(super) walk_dimension: u32,
    pub(super) vector_rows: Section,
    pub(super) codes: CodeSections,
    pub(super) graph: Section,
    pub(super) order: Section,
    pub(super) id_ends: Section,
    pub(super) ids: Section,
    pub(super) columns: BTreeMap<FieldId, ColumnEntry>,
}

impl Meta {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new();
        out.u64(self.segment);
        out.u32(self.rows);
        out.u32(self.vectors);
        out.u32(self.dimension);
        out.u8(metric_code(self.metric));
        out.u8(encoding_code(self.encoding));
        out.u32(self.walk_dimension);
        let CodeSections { codes, factors, parameters } = self.codes;
        let of_rows = [self.vector_rows, codes, factors, parameters];
        for section in of_rows.into_iter().chain([self.graph, self.order, self.id_ends, self.ids]) {
            out.u64(section.offset);
            out.u64(section.length_bytes);
        }
        out.u32(self.columns.len() as u32);
        for (field, column) in &self.columns {
            out.u16(*field);
            out.u8(column.field_type.code());
            out.u32(column.count);
            out.u64(column.offset);
            out.u64(column.length_bytes);
        }
        out.into_bytes()
    }

    fn decode(bytes: &[u8], version: u32) -> Decoded<Self> {
        let mut decoder = Decoder::new(bytes);
        let input = &mut decoder;
        let segment = input.u64()?;
        let (rows, vectors, dimension) = (input.u32()?, input.u32()?, input.u32()?);
        let (metric, encoding) = (decode_metric(input)?, decode_encoding(input)?);
        let walk_dimension = if version == VERSION_1 { dimension } else { input.u32()? };
        let mut section =
            || -> Decoded<Section> { Ok(Section { offset: input.u64()?, length_bytes: input.u64()? }) };
        let vector_rows = section()?;
        let codes = match version {
            VERSION_1 => CodeSections::default(),
            _ => CodeSections { codes: section()?, factors: section()?, parameters: section()? },
        };
        let graph = section()?;
        let (order, id_ends, ids) = (section()?, section()?, section()?);
        let mut columns = BTreeMap::new();
        for _ in 0..input.count(23)? {
            let field = input.u16()?;
            let field_type = decode_field_type(input)?;
            let count = input.u32()?;
            let (offset, length_bytes) = (input.u64()?, input.u64()?);
            columns.insert(field, ColumnEntry { field_type, offset, length_bytes, count });
        }
        decoder.finish()?;
        Ok(Self {
            segment,
            rows,
            vectors,
            dimension,
            metric,
            encoding,
            walk_dimension,
            vector_rows,
            codes,
            graph,
            order,
            id_ends,
            ids,
            columns,
        })
    }
}

/// A segment in a mapped file.
pub(crate) struct SealedSegment {
    pub(crate) id: u64,
    rows: u32,
    vectors: u32,
    blob: Blob,
    /// Rows `0..vectors`.
    pub(crate) vector_rows: SealedRows,
    pub(crate) graph: SealedGraph,
    order: Range<usize>,
    id_ends: Range<usize>,
    ids: Range<usize>,
    columns: BTreeMap<FieldId, Column>,
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
    /// Opens a segment of a collection with this schema and checks all of it.
    pub(crate) fn open(dir: &dyn Dir, id: u64, schema: &Schema, encodings: &Encodings) -> Result<Self> {
        let name = segment_file(id);
        let blocks::Opened { blob, version, meta: meta_range } = blocks::open(dir, &name)?;
        let fault = |offset: usize, reason: String| corrupt(dir, &name, offset as u64, reason);
        let meta = Meta::decode(&(*blob).as_ref()[meta_range.clone()], version)
            .map_err(|error| fault(meta_range.start + error.offset, error.reason))?;
        let fits = meta.segment == id
            && meta.dimension as usize == schema.dimension
            && meta.metric == schema.metric
            && meta.encoding == schema.encoding
            && meta.walk_dimension as usize == schema.walk_dimension()
            && meta.vectors <= meta.rows;
        if !fits {
            return Err(fault(
                meta_range.start,
                "the segment belongs to another collection or number".into(),
            ));
        }
        Self::from_meta(blob, &meta, encodings.sealed.codec())
            .map_err(|(offset, reason)| fault(offset, reason))
    }

    fn from_meta(blob: Blob, meta: &Meta, codec: Option<Arc<dyn Codec>>) -> Result<Self, (usize, String)> {
        let length = (*blob).as_ref().len();
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
        let vector_bytes = meta.vectors as usize * meta.dimension as usize * 4;
        let vectors_range = range(meta.vector_rows, Some(vector_bytes))?;
        let vector_rows = SealedRows::new(blob.clone(), vectors_range.clone(), meta.dimension as usize)
            .map_err(|error| (vectors_range.start, error.to_string()))?;
        let vector_rows = match codec {
            None => vector_rows,
            Some(codec) => {
                let CodeSections { codes, factors, parameters } = meta.codes;
                let ranges = [range(codes, None)?, range(factors, None)?, range(parameters, None)?];
                let start = ranges[0].start;
                let codes = SealedCodes::new(blob.clone(), ranges, codec.layout(), meta.vectors as usize);
                vector_rows.with_codes(codes.map_err(|error: RowsError| (start, error.to_string()))?)
            }
        };
        let graph_range = range(meta.graph, None)?;
        let graph = SealedGraph::open(blob.clone(), graph_range.clone())
            .map_err(|error| (graph_range.start + error.offset(), error.to_string()))?;
        if graph.rows() != meta.vectors as usize || graph.len() != graph.rows() {
            return Err((graph_range.start, "the graph is over other rows than the segment's".into()));
        }
        let mut columns = BTreeMap::new();
        for (field, entry) in &meta.columns {
            let section = Section { offset: entry.offset, length_bytes: entry.length_bytes };
            let column_range = range(section, None)?;
            let column = Column::open(entry, rows, (*blob).as_ref())
                .ok_or((column_range.start, "a column does not fit its counts".to_owned()))?;
            columns.insert(*field, column);
        }
        let order = range(meta.order, Some(rows * 4))?;
        let id_ends = range(meta.id_ends, Some(rows * 8))?;
        let ids = range(meta.ids, None)?;
        let bytes = (*blob).as_ref();
        check_order(&bytes[order.clone()], rows)
            .map_err(|at| (order.start + at, "no row's slot".to_owned()))?;
        check_ends(&bytes[id_ends.clone()], rows, ids.len())
            .map_err(|at| (id_ends.start + at, "an id does not fit among the ids".to_owned()))?;
        Ok(Self {
            id: meta.segment,
            rows: meta.rows,
            vectors: meta.vectors,
            vector_rows,
            graph,
            order,
            id_ends,
            ids,
            columns,
            filters: FilterCache::default(),
            blob,
        })
    }

    /// Rows, the dead ones included.
    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }

    /// Rows with a vector; they come first.
    pub(crate) fn vectors(&self) -> u32 {
        self.vectors
    }

    fn bytes(&self) -> &[u8] {
        (*self.blob).as_ref()
    }

    fn key(&self, slot: u32) -> &[u8] {
        let ends = &self.bytes()[self.id_ends.clone()];
        let start = if slot == 0 { 0 } else { u64_at(ends, slot as usize - 1) as usize };
        let end = u64_at(ends, slot as usize) as usize;
        self.bytes()[self.ids.clone()].get(start..end).unwrap_or_default()
    }

    /// The id of a row.
    pub(crate) fn id(&self, slot: u32) -> PointId {
        id_of_key(self.key(slot))
    }

    /// The row with an id, dead or alive.
    pub(crate) fn find(&self, id: &PointId) -> Option<u32> {
        let position = self.position(id, Ordering::is_lt);
        let slot = self.slot_at(position)?;
        (self.key(slot) == key_of_id(id)).then_some(slot)
    }

    /// The row at a place in the order of the ids.
    pub(crate) fn slot_at(&self, position: u32) -> Option<u32> {
        (position < self.rows).then(|| u32_at(&self.bytes()[self.order.clone()], position as usize))
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
            let mut out = FixedBitSet::with_capacity(self.rows as usize);
            if let Some(column) = self.columns.get(&field) {
                column.select(self.bytes(), test, &mut out);
            }
            out
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

/// Checks that every slot is a row's; the error is where one is not.
fn check_order(order: &[u8], rows: usize) -> Result<(), usize> {
    (0..rows).find(|&at| u32_at(order, at) as usize >= rows).map_or(Ok(()), |at| Err(at * 4))
}

/// Checks that no end comes before the one before it, and the last is that of all; the error is where that is not so.
fn check_ends(ends: &[u8], rows: usize, length: usize) -> Result<(), usize> {
    let mut start = 0;
    for at in 0..rows {
        let end = u64_at(ends, at);
        if end < start || end > length as u64 {
            return Err(at * 8);
        }
        start = end;
    }
    if start == length as u64 { Ok(()) } else { Err(rows.saturating_sub(1) * 8) }
}

/// The key of an id: compares as bytes like ids compare.
pub(super) fn key_of_id(id: &PointId) -> Vec<u8> {
    match id {
        PointId::Num(number) => [&[0], &number.to_be_bytes()[..]].concat(),
        PointId::Str(text) => [&[1], text.as_bytes()].concat(),
    }
}

fn id_of_key(key: &[u8]) -> PointId {
    match key.split_first() {
        Some((0, number)) => PointId::Num(number.iter().fold(0, |value, &byte| value << 8 | u64::from(byte))),
        Some((_, text)) => PointId::Str(String::from_utf8_lossy(text).into_owned()),
        None => PointId::Str(String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_that_lead_out_of_the_segment_are_refused() {
        let order = |slots: [u32; 3]| check_order(&slots.map(u32::to_le_bytes).concat(), 3);
        assert_eq!((order([2, 0, 1]), order([2, 3, 1]), order([0, 1, u32::MAX])), (Ok(()), Err(4), Err(8)));
        let ends = |ends: [u64; 3]| check_ends(&ends.map(u64::to_le_bytes).concat(), 3, 9);
        assert_eq!((ends([3, 3, 9]), ends([4, 3, 9]), ends([3, 10, 9])), (Ok(()), Err(8), Err(8)));
        assert_eq!((ends([3, 3, 8]), ends([u64::MAX, 3, 9])), (Err(16), Err(0)));
    }

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
