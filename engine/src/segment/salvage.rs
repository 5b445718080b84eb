//! A damaged segment file: which of its bytes can be vouched for, and the rows that consist of nothing else.
//!
//! **Idea.** The footer, the table of checksums and the blocks are each made good by turning one bit back where that is
//! what is wrong. Blocks that stay wrong, or that the disk could not read, are not used. A row is saved if its vector, its id and all of
//! its values lie in sound blocks; codes, graph and the order of the ids are made again from the rows, so damage there costs nothing.
//! A table that is damaged where a block is sound gives itself away: with the block's own checksum in that entry, the
//! checksum of the table is right again.
//!
//! **Nothing read is trusted**, though its checksum holds: a file comes here because opening it failed, perhaps for what it says and not for its bytes.
//! A row is read within the sections that the directory names, and saved if its vectors are such as could be written.

use std::collections::BTreeMap;
use std::ops::Range;

use fixedbitset::FixedBitSet;

use super::GrowingRow;
use super::block_reader::BlockReader;
use super::blocks::{Blocks, Fault};
use super::meta::{Meta, PartKind, Section};
use super::parts::columns::ColumnsInfo;
use super::parts::dense::DenseInfo;
use super::parts::expiries::{self, EXPIRY_BYTES};
use super::parts::ids::{id_of_key, key_of_id};
use super::parts::multi::MultiInfo;
use super::parts::sparse::SparseInfo;
use super::parts::versions::{self, VERSION_BYTES};
use crate::clock::NEVER;
use crate::codec::{u32_at, u64_at};
use crate::dir::Dir;
use crate::error::Result;
use crate::limits::ID_BYTES_MAX;
use crate::mend::bits::{Flip, flipped};
use crate::payload::{Column, FieldId};
use crate::point::{PointId, SparseVector, Vector};
use crate::schema::{DenseOptions, ElementType, MultiOptions, Schema, VectorId, VectorKind};
use crate::validate;

/// What can be said of a damaged file.
pub(crate) struct Salvage {
    /// The file, with the bits turned back that could be.
    bytes: Vec<u8>,
    /// The bytes that were changed.
    pub(crate) turned: Vec<usize>,
    /// Blocks that cannot be vouched for.
    unsound: FixedBitSet,
    blocks: Blocks,
    parts: Parts,
}

/// The parts that rows are made of.
struct Parts {
    rows: u32,
    /// Of each vector.
    kinds: BTreeMap<VectorId, VectorKind>,
    dense: Vec<SavedDense>,
    sparse: Vec<SavedSparse>,
    multi: Vec<SavedMulti>,
    id_ends: Section,
    ids: Section,
    columns: Vec<(FieldId, Column)>,
    versions: Section,
    expiries: Option<Section>,
}

/// Where a dense vector lies.
struct SavedDense {
    number: VectorId,
    info: DenseInfo,
    rows: Section,
    nodes: SavedNodes,
}

/// Which rows have a vector, so many of them.
struct SavedNodes {
    count: u32,
    /// Not written if the first rows have it.
    present: Section,
    before: Section,
}

/// Where a sparse vector lies.
struct SavedSparse {
    number: VectorId,
    nodes: SavedNodes,
    ends: Section,
    indices: Section,
    values: Section,
}

impl SavedSparse {
    fn of(meta: &Meta, number: VectorId) -> Option<Self> {
        let part = meta.part(PartKind::Sparse, number)?;
        let count = SparseInfo::read(part, meta.rows).ok()?.count;
        let [present, before, ends, indices, values] = part.sections().ok()?;
        Some(Self { number, nodes: SavedNodes { count, present, before }, ends, indices, values })
    }
}

/// Where a multi-vector lies.
struct SavedMulti {
    number: VectorId,
    info: MultiInfo,
    nodes: SavedNodes,
    ends: Section,
    rows: Section,
}

impl SavedMulti {
    fn of(meta: &Meta, number: VectorId, options: &MultiOptions) -> Option<Self> {
        let part = meta.part(PartKind::Multi, number)?;
        let info = MultiInfo::read(part, meta.rows, options).ok()?;
        let [present, before, ends, rows] = part.sections().ok()?;
        Some(Self { number, info, nodes: SavedNodes { count: info.count, present, before }, ends, rows })
    }
}

impl SavedDense {
    fn of(meta: &Meta, number: VectorId, options: &DenseOptions) -> Option<Self> {
        let part = meta.part(PartKind::Dense, number)?;
        let info = DenseInfo::read(part, meta.rows, options).ok()?;
        let [rows, _, _, _, _, _, _, _, present, before] = part.sections().ok()?;
        Some(Self { number, info, rows, nodes: SavedNodes { count: info.vectors, present, before } })
    }
}

impl Parts {
    /// Those of a segment of a collection; `None` if its directory is not one of that.
    fn of(meta: &Meta, schema: &Schema, bytes: usize) -> Option<Self> {
        let (mut dense, mut sparse, mut multi) = (Vec::new(), Vec::new(), Vec::new());
        let mut kinds = BTreeMap::new();
        for (number, _, kind) in schema.numbered() {
            kinds.insert(number, *kind);
            match kind {
                VectorKind::Dense(options) => dense.push(SavedDense::of(meta, number, options)?),
                VectorKind::Sparse(_) => sparse.push(SavedSparse::of(meta, number)?),
                VectorKind::Multi(options) => multi.push(SavedMulti::of(meta, number, options)?),
            }
        }
        let [_, id_ends, ids] = meta.part(PartKind::Ids, 0)?.sections().ok()?;
        let mut columns = Vec::new();
        if let Some(part) = meta.part(PartKind::Columns, 0) {
            let info = ColumnsInfo::read(part, meta.rows).ok()?;
            let open =
                |(field, entry): &(FieldId, _)| Some((*field, Column::open(entry, &info.batch_rows, bytes)?));
            columns = info.columns.iter().map(open).collect::<Option<_>>()?;
        }
        Some(Self {
            rows: meta.rows,
            kinds,
            dense,
            sparse,
            multi,
            id_ends,
            ids,
            columns,
            versions: versions::find(meta).ok()?,
            expiries: expiries::find(meta).ok()?.map(|(_, [by_slot, _])| by_slot),
        })
    }
}

/// A row with its dense vectors, or what is left of one.
pub(crate) enum Saved {
    Row(GrowingRow, Vec<(VectorId, Vector)>),
    Lost(Option<PointId>),
}

/// Every damaged place of a segment file, as far as its footer and table tell.
pub(crate) fn damaged_blocks(file: &mut BlockReader) -> Vec<Fault> {
    let blocks = match Blocks::read_from(file) {
        Ok(blocks) => blocks,
        Err(fault) => return vec![fault],
    };
    let mut never = |_| std::ops::ControlFlow::Continue(());
    match blocks.find_damage(file, &mut never) {
        std::ops::ControlFlow::Continue(faults) => faults,
        std::ops::ControlFlow::Break(()) => Vec::new(),
    }
}

impl Salvage {
    /// Looks at a file, of which some bytes, in ascending order, could not be read and are zeros; `None` if nothing in it can be vouched for.
    pub(crate) fn of(
        (mut bytes, unread): (Vec<u8>, &[Range<u64>]),
        id: u64,
        schema: &Schema,
    ) -> Option<Self> {
        let is_read = |range: &Range<usize>| {
            let next = unread.partition_point(|hole| hole.end <= range.start as u64);
            unread.get(next).is_none_or(|hole| hole.start >= range.end as u64)
        };
        let mut turned = Vec::new();
        let blocks = sound_footer(&mut bytes, &mut turned)?;
        mend_table(&blocks, &mut bytes, &mut turned);
        let mut unsound = FixedBitSet::with_capacity(blocks.count());
        for block in 0..blocks.count() {
            let (range, crc) = (blocks.range(block), blocks.crc(&bytes, block));
            if crc32fast::hash(&bytes[range.clone()]) == crc {
                continue;
            }
            // Zeros in the place of what was there may look like one flipped bit.
            let flip = if is_read(&range) { flipped(&bytes[range.clone()], crc) } else { None };
            match flip {
                Some(Flip::Content(at, mask)) => {
                    bytes[range.start + at] ^= mask;
                    turned.push(range.start + at);
                }
                // Its entry in the table was made good before, so the block is what is wrong.
                Some(Flip::Checksum) | None => unsound.insert(block),
            }
        }
        let meta_range = blocks.meta();
        let is_sound = |range: &Range<usize>| blocks.of(range).all(|block| !unsound.contains(block));
        let meta = is_sound(&meta_range).then(|| Meta::decode(&bytes[meta_range]).ok())??;
        let parts = Parts::of(&meta, schema, bytes.len()).filter(|_| meta.segment == id)?;
        Some(Self { bytes, turned, unsound, blocks, parts })
    }

    /// Whether every byte can be vouched for now.
    pub(crate) fn is_whole(&self) -> bool {
        self.unsound.is_clear()
    }

    pub(crate) fn rows(&self) -> u32 {
        self.parts.rows
    }

    /// The bytes at a place, if they can be vouched for.
    fn sound(&self, start: usize, length: usize) -> Option<&[u8]> {
        let range = start..start.checked_add(length)?;
        let bytes = self.bytes.get(range.clone())?;
        self.blocks.of(&range).all(|block| !self.unsound.contains(block)).then_some(bytes)
    }

    /// The bytes at a place of a section, if they are within it and can be vouched for.
    fn within(&self, section: Section, start: usize, length: usize) -> Option<&[u8]> {
        let end = start.checked_add(length)?;
        if end as u64 > section.length_bytes {
            return None;
        }
        self.sound(usize::try_from(section.offset).ok()?.checked_add(start)?, length)
    }

    /// A row, if all of it can be vouched for.
    pub(crate) fn row(&self, slot: u32) -> Saved {
        let id = self.id(slot);
        let whole = || {
            let vectors = self.vectors(slot)?;
            let mut values = Vec::new();
            for (field, column) in &self.parts.columns {
                let read = |range: Range<usize>| self.sound(range.start, range.len());
                if let Some(value) = column.get_of(slot as usize, read)? {
                    values.push((*field, value.to_value()));
                }
            }
            let (version, expires_at) = (self.version(slot), self.expires_at(slot)?);
            let row = GrowingRow { version, expires_at, ..GrowingRow::new(id.clone()?, values) };
            Some(Saved::Row(row, vectors))
        };
        whole().unwrap_or(Saved::Lost(id.clone()))
    }

    /// The id of a row, if that can be vouched for.
    pub(crate) fn id(&self, slot: u32) -> Option<PointId> {
        let (start, length) = self.between(self.parts.id_ends, slot)?;
        let key = self.within(self.parts.ids, start, length).filter(|key| key.len() <= 1 + ID_BYTES_MAX)?;
        let id = id_of_key(key);
        (key_of_id(&id) == key).then_some(id)
    }

    /// The version of a row. One that is lost takes nothing with it: whoever compares it with an etag reads the row again.
    fn version(&self, slot: u32) -> u64 {
        let version = self.within(self.parts.versions, slot as usize * VERSION_BYTES, VERSION_BYTES);
        version.map_or(versions::LOST, |bytes| u64_at(bytes, 0))
    }

    /// When a row expires, if that can be vouched for: a row that is to be no more must not be for ever.
    fn expires_at(&self, slot: u32) -> Option<i64> {
        let Some(section) = self.parts.expiries else { return Some(NEVER) };
        let bytes = self.within(section, slot as usize * EXPIRY_BYTES, EXPIRY_BYTES)?;
        Some(u64_at(bytes, 0).cast_signed())
    }

    /// The vectors of a row; `None` if one of them cannot be vouched for, or nobody could have written it.
    fn vectors(&self, slot: u32) -> Option<Vec<(VectorId, Vector)>> {
        let mut vectors = Vec::new();
        for dense in &self.parts.dense {
            if let Some(node) = self.node(&dense.nodes, slot)? {
                vectors.push((dense.number, Vector::Dense(self.components(dense, node)?)));
            }
        }
        for sparse in &self.parts.sparse {
            if let Some(node) = self.node(&sparse.nodes, slot)? {
                vectors.push((sparse.number, Vector::Sparse(self.entries(sparse, node)?)));
            }
        }
        for multi in &self.parts.multi {
            if let Some(node) = self.node(&multi.nodes, slot)? {
                vectors.push((multi.number, Vector::Multi(self.many(multi, node)?)));
            }
        }
        let is_one = |(number, vector): &(VectorId, Vector)| {
            let kind = self.parts.kinds.get(number);
            kind.is_some_and(|kind| validate::vector("", vector.clone(), kind).is_ok())
        };
        vectors.iter().all(is_one).then_some(vectors)
    }

    /// What lies between the end before and that of a node: the first, and how many.
    fn between(&self, ends: Section, node: u32) -> Option<(usize, usize)> {
        let end_of = |node: u32| usize::try_from(u64_at(self.within(ends, node as usize * 8, 8)?, 0)).ok();
        let start = if node == 0 { 0 } else { end_of(node - 1)? };
        Some((start, end_of(node)?.checked_sub(start)?))
    }

    fn entries(&self, sparse: &SavedSparse, node: u32) -> Option<SparseVector> {
        let (start, count) = self.between(sparse.ends, node)?;
        let part = |section: Section| self.within(section, start.checked_mul(4)?, count.checked_mul(4)?);
        let indices = part(sparse.indices)?.chunks_exact(4).map(|bytes| u32_at(bytes, 0)).collect();
        Some(SparseVector { indices, values: ElementType::F32.read(part(sparse.values)?) })
    }

    fn many(&self, multi: &SavedMulti, node: u32) -> Option<Vec<Vec<f32>>> {
        let (start, count) = self.between(multi.ends, node)?;
        let width = multi.info.vector_bytes();
        let bytes = self.within(multi.rows, start.checked_mul(width)?, count.checked_mul(width)?)?;
        Some(bytes.chunks_exact(width).map(|row| multi.info.element.read(row)).collect())
    }

    /// The number of a row among those that have a vector; `None` if that cannot be vouched for.
    fn node(&self, nodes: &SavedNodes, slot: u32) -> Option<Option<u32>> {
        if nodes.present.length_bytes == 0 {
            return Some((slot < nodes.count).then_some(slot));
        }
        let (word, bit) = (slot as usize / 64, slot % 64);
        let present = u64_at(self.within(nodes.present, word * 8, 8)?, 0);
        if present >> bit & 1 == 0 {
            return Some(None);
        }
        let before = u32_at(self.within(nodes.before, word * 4, 4)?, 0);
        let node = before.checked_add((present & ((1 << bit) - 1)).count_ones())?;
        (node < nodes.count).then_some(Some(node))
    }

    fn components(&self, dense: &SavedDense, node: u32) -> Option<Vec<f32>> {
        let length = dense.info.dimension as usize * dense.info.element.size_bytes();
        let bytes = self.within(dense.rows, node as usize * length, length)?;
        Some(dense.info.element.read(bytes))
    }

    /// Writes the file anew with its bits turned back, in the place of the damaged one.
    pub(crate) fn replace(&self, dir: &dyn Dir, name: &str) -> Result<()> {
        let new = format!("{name}.new");
        let mut file = dir.create(&new)?;
        self.bytes.chunks(1 << 20).try_for_each(|chunk| file.write(chunk))?;
        file.sync()?;
        drop(file);
        dir.rename(&new, name)?;
        dir.sync()
    }
}

/// The footer, with a bit turned back if need be.
fn sound_footer(bytes: &mut [u8], turned: &mut Vec<usize>) -> Option<Blocks> {
    if let Ok(blocks) = Blocks::read(bytes) {
        return Some(blocks);
    }
    let start = bytes.len().checked_sub(Blocks::FOOTER_BYTES)?;
    crate::mend::bits::correct(&mut bytes[start..])?;
    turned.push(start);
    Blocks::read(bytes).ok()
}

/// Makes the table good where its blocks tell what is wrong, or one bit is.
fn mend_table(blocks: &Blocks, bytes: &mut [u8], turned: &mut Vec<usize>) {
    if blocks.check_table(bytes).is_ok() {
        return;
    }
    let mut table = blocks.table(bytes).to_vec();
    let start = blocks.table_start();
    match flipped(&table, blocks.table_crc()) {
        Some(Flip::Content(at, mask)) => table[at] ^= mask,
        Some(Flip::Checksum) | None => {
            for block in 0..blocks.count() {
                let crc = crc32fast::hash(&bytes[blocks.range(block)]);
                table[block * 4..block * 4 + 4].copy_from_slice(&crc.to_le_bytes());
            }
            if crc32fast::hash(&table) != blocks.table_crc() {
                return;
            }
        }
    }
    turned.push(start);
    bytes[start..start + table.len()].copy_from_slice(&table);
}
