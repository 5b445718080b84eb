//! A sealed segment: an immutable file, mapped or in memory.
//!
//! It is a directory of parts (`meta.rs`), each of which has a file of its own in `parts/`: the ids of the rows, vectors,
//! columns. Opening decodes nothing but that directory, so it takes as long for a large file as for a small one.
//!
//! **Nothing read is trusted**, as it may not have been verified yet (`integrity.rs`).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use fixedbitset::FixedBitSet;

use super::block_reader::BlockReader;
use super::blocks::{self, Blocks, Fault};
use super::integrity::Integrity;
use super::made::MadeIndexes;
use super::meta::{Meta, PartKind};
use super::parts::PartsFile;
use super::parts::columns::{InOrder, SealedColumns};
use super::parts::dense::SealedDense;
use super::parts::expiries::SealedExpiries;
use super::parts::ids::SealedIds;
use super::parts::indexes::SealedIndexes;
use super::parts::multi::SealedMulti;
use super::parts::sparse::SealedSparse;
use super::parts::versions::SealedVersions;
use super::{AddedWords, segment_file};
use crate::clock::NEVER;
use crate::dir::{Access, Blob, Dir, corrupt};
use crate::error::Result;
use crate::interrupt::Watch;
use crate::payload::{FieldId, FieldTable, Screen, Test, ValueRef};
use crate::point::PointId;
use crate::schema::{Schema, VectorId, VectorKind};
use crate::text::{Analyzer, Index, IndexOf, SparseBuilder};
use crate::vectors::Encodings;
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
    /// By dense vector.
    pub(crate) encodings: &'a [Encodings],
    pub(crate) storage: Storage,
    pub(crate) check: Check,
    /// Of answers to conditions of filters, at most.
    pub(crate) filter_cache_bytes: usize,
}

impl<'a> Opening<'a> {
    /// From its file, checking the headers, by whoever asks no filters.
    pub(crate) fn mapped(schema: &'a Schema, encodings: &'a [Encodings]) -> Self {
        Self { schema, encodings, storage: Storage::Mapped, check: Check::Headers, filter_cache_bytes: 0 }
    }
}

/// A segment in a file.
pub(crate) struct SealedSegment {
    pub(crate) id: u64,
    rows: u32,
    blob: Blob,
    pub(super) blocks: Blocks,
    pub(super) integrity: Integrity,
    pub(super) ids: SealedIds,
    /// In the order of their numbers.
    pub(crate) dense: Box<[SealedDense]>,
    /// By number.
    pub(super) sparse: BTreeMap<VectorId, SealedSparse>,
    pub(super) multi: BTreeMap<VectorId, SealedMulti>,
    pub(super) columns: SealedColumns,
    indexes: SealedIndexes,
    /// By field, the words that lie beside its file.
    pub(super) added: ArcSwap<BTreeMap<FieldId, Arc<AddedWords>>>,
    pub(super) made: MadeIndexes,
    versions: SealedVersions,
    pub(super) expiries: Option<SealedExpiries>,
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
        // Before the file is opened to be read, as a thread opens one file at a time.
        let scattered = match opening.storage {
            Storage::Mapped => Some(dir.map(&name, Access::Scattered)?),
            Storage::Resident => None,
        };
        let opened = blocks::open(dir, &name, opening.storage)?;
        let fault = |(offset, reason): Fault| corrupt(dir, &name, offset as u64, reason);
        let start = opened.meta.start;
        let meta = Meta::decode(&(*opened.blob).as_ref()[opened.meta.clone()])
            .map_err(|error| fault((start + error.offset, error.reason)))?;
        if meta.segment != id {
            return Err(fault((start, format!("the file is of segment {}", meta.segment))));
        }
        let integrity = Integrity::new(dir.file_path(&name), opening.check != Check::Headers);
        let scattered = scattered.unwrap_or_else(|| opened.blob.clone());
        let segment = Self::from_meta(opened, (scattered, integrity), (&meta, opening)).map_err(fault)?;
        if opening.check == Check::Everything {
            let file = match opening.storage {
                Storage::Mapped => Some(BlockReader::open(dir, &name)?),
                Storage::Resident => None,
            };
            segment.check_everything(file).map_err(fault)?;
        }
        Ok(segment)
    }

    /// Finds the parts, checks the lengths of their sections, and the blocks of those that are read right away.
    fn from_meta(
        opened: blocks::Opened,
        (scattered, integrity): (Blob, Integrity),
        (meta, opening): (&Meta, &Opening<'_>),
    ) -> Result<Self, Fault> {
        let blocks::Opened { blob, blocks, meta: meta_range, headers } = opened;
        let file = PartsFile {
            blob: &blob,
            scattered: &scattered,
            blocks: &blocks,
            headers: RefCell::new(headers),
            end: meta_range.start,
            rows: meta.rows,
        };
        let open = |((number, _, options), encodings): ((_, _, _), _)| {
            SealedDense::open(&file, meta, number, (options, encodings))
        };
        let dense =
            opening.schema.dense().zip(opening.encodings).map(open).collect::<Result<Box<[_]>, _>>()?;
        if meta.of_kind(PartKind::Dense).count() != dense.len() {
            return Err(file.fault("the segment belongs to another collection"));
        }
        let (mut sparse, mut multi) = (BTreeMap::new(), BTreeMap::new());
        for (number, _, kind) in opening.schema.numbered() {
            match kind {
                VectorKind::Dense(_) => {}
                VectorKind::Sparse(_) => {
                    drop(sparse.insert(number, SealedSparse::open(&file, meta, number)?))
                }
                VectorKind::Multi(options) => {
                    multi.insert(number, SealedMulti::open(&file, meta, (number, options))?);
                }
            }
        }
        let columns = SealedColumns::open(&file, meta, opening.filter_cache_bytes)?;
        let ids = SealedIds::open(&file, meta)?;
        let indexes = SealedIndexes::open(&file, meta)?;
        let versions = SealedVersions::open(&file, meta)?;
        let expiries = SealedExpiries::open(&file, meta)?;
        let (id, rows) = (meta.segment, meta.rows);
        Ok(Self {
            id,
            rows,
            ids,
            dense,
            sparse,
            multi,
            columns,
            indexes,
            added: ArcSwap::default(),
            made: MadeIndexes::default(),
            versions,
            expiries,
            blocks,
            integrity,
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

    pub(super) fn bytes(&self) -> &[u8] {
        (*self.blob).as_ref()
    }

    pub(super) fn blob(&self) -> &Blob {
        &self.blob
    }

    /// The id of a row.
    pub(crate) fn id(&self, slot: u32) -> PointId {
        self.ids.id(slot)
    }

    /// Asks for what says where the id of a row is.
    pub(super) fn prefetch_id_end(&self, slot: u32) {
        self.ids.prefetch_end(slot);
    }

    /// Asks for the id of a row.
    pub(super) fn prefetch_id(&self, slot: u32) {
        self.ids.prefetch(slot);
    }

    /// The row with an id, dead or alive.
    pub(crate) fn find(&self, id: &PointId) -> Option<u32> {
        self.ids.find(id)
    }

    /// The row at a place in the order of the ids.
    pub(crate) fn slot_at(&self, position: u32) -> Option<u32> {
        self.ids.slot_at(position)
    }

    /// The place of the first id greater than `after`; of the first of all for `None`.
    pub(crate) fn position_after(&self, after: Option<&PointId>) -> u32 {
        self.ids.position_after(after)
    }

    /// The number of the write that last changed a row.
    pub(crate) fn version(&self, slot: u32) -> u64 {
        self.versions.get(self.bytes(), slot)
    }

    /// Asks for it.
    pub(super) fn prefetch_version(&self, slot: u32) {
        self.versions.prefetch(self.bytes(), slot);
    }

    /// When a row expires.
    pub(crate) fn expires_at(&self, slot: u32) -> i64 {
        self.expiries.as_ref().map_or(NEVER, |expiries| expiries.get(self.bytes(), slot))
    }

    /// When so many rows, at least one, have expired after a moment.
    pub(super) fn nth_expiry(&self, after: i64, count: usize) -> i64 {
        self.expiries.as_ref().map_or(NEVER, |expiries| expiries.nth(self.bytes(), after, count))
    }

    /// The rows that expire after a moment and by another.
    pub(super) fn expiring(&self, after: i64, by: i64) -> impl Iterator<Item = u32> {
        let expiries = self.expiries.iter();
        expiries.flat_map(move |expiries| expiries.between(self.bytes(), after, by))
    }

    /// The value of a field of a row.
    pub(crate) fn value(&self, slot: u32, field: FieldId) -> Option<ValueRef<'_>> {
        self.columns.value(self.bytes(), slot, field)
    }

    /// Bytes that no row's values exceed together.
    pub(crate) fn row_bytes_max(&self) -> usize {
        self.columns.row_bytes_max()
    }

    /// The rows that have a field whose value passes; `None` if the watch ended going through them.
    pub(crate) fn select(&self, field: FieldId, test: &Arc<Test>, watch: &Watch) -> Option<Arc<FixedBitSet>> {
        self.columns.select(self.bytes(), (field, test), watch)
    }

    /// The fields that were filtered or ordered by, so that their columns are in order, and for each how many segments in succession
    /// came with that and were not asked for it.
    pub(crate) fn indexed(&self) -> impl Iterator<Item = (FieldId, u8)> {
        self.columns.indexed()
    }

    /// Puts columns of a new segment in order, each as the successor of one of these.
    pub(super) fn make_ahead(&self, indexed: &[(FieldId, u8)], watch: &Watch) {
        for successor in indexed {
            if watch.poll() {
                return;
            }
            self.columns.make_ahead(self.bytes(), *successor, watch);
        }
    }

    /// A column in the order of its values.
    pub(super) fn sorted(&self, field: FieldId, watch: &Watch) -> InOrder<'_> {
        self.columns.sorted(self.bytes(), field, watch)
    }

    /// The words of a field as an analyser finds them, if they are stored in its file.
    pub(super) fn own_words(&self, field: FieldId, analyzer: Analyzer) -> Option<Arc<Index>> {
        self.indexes.text(field, analyzer).cloned()
    }

    /// The same, if they are stored beside its file.
    pub(super) fn added_words(&self, field: FieldId, analyzer: Analyzer) -> Option<Arc<Index>> {
        self.added.load().get(&field)?.index(analyzer).cloned()
    }

    /// The index of a sparse vector.
    pub(crate) fn sparse_index(&self, number: VectorId) -> Option<Arc<Index>> {
        let rows = self.sparse.get(&number)?;
        if let Some(index) = self.indexes.sparse(number) {
            return Some(index.clone());
        }
        Some(self.made.get((IndexOf::Sparse(number), None, 0), || {
            let mut builder = SparseBuilder::default();
            for (slot, row) in (0..self.rows).filter_map(|slot| Some((slot, rows.row(slot)?))) {
                builder.push(slot, row.indices, row.values);
            }
            builder.finish(self.rows)
        }))
    }

    /// Whether that is stored, or is none.
    pub(super) fn stores_sparse_index(&self, number: VectorId) -> bool {
        !self.sparse.contains_key(&number) || self.indexes.sparse(number).is_some()
    }

    /// At most how many rows have a field whose value passes, if the column has an index.
    pub(crate) fn count(&self, field: FieldId, test: &Test, watch: &Watch) -> Option<usize> {
        self.columns.count(self.bytes(), (field, test), watch)
    }

    /// These rows in ascending order, likewise; `None` if there may be more than `max`, too.
    pub(crate) fn list(&self, asked: (FieldId, &Test), max: usize, watch: &Watch) -> Option<Vec<u32>> {
        self.columns.list(self.bytes(), asked, max, watch)
    }

    /// What lets through all of these and few others, if there is such a thing, the condition is asked for the first time, and about so many pass.
    pub(super) fn screen(&self, asked: (FieldId, &Test), least: usize, watch: &Watch) -> Option<Screen<'_>> {
        self.columns.screen(self.bytes(), (asked, least), watch)
    }

    /// Whether every column is of a field that the collection has.
    pub(crate) fn has_only(&self, fields: &FieldTable) -> bool {
        self.columns.has_only(fields) && self.indexes.has_only(fields)
    }

    /// The fields that some row has.
    pub(crate) fn fields(&self) -> impl Iterator<Item = FieldId> {
        self.columns.fields()
    }
}
