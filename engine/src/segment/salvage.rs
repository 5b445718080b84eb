//! A damaged segment file: which of its bytes can be vouched for, and the rows that consist of nothing else.
//!
//! **Idea.** The footer, the table of checksums and the blocks are each made good by turning one bit back where that is
//! what is wrong. Blocks that stay wrong are not read. A row is saved if its vector, its id and all of its values lie in
//! sound blocks; codes, graph and the order of the ids are made again from the rows, so damage there costs nothing.
//! A table that is damaged where a block is sound gives itself away: with the block's own checksum in that entry, the
//! checksum of the table is right again.

use std::ops::Range;

use fixedbitset::FixedBitSet;

use super::GrowingRow;
use super::blocks::{Blocks, Fault};
use super::meta::{Meta, PartKind, Section};
use super::parts::columns::entry_of;
use super::parts::dense::DenseInfo;
use super::parts::ids::{id_of_key, key_of_id};
use crate::codec::{u32_at, u64_at};
use crate::dir::Dir;
use crate::error::Result;
use crate::limits::ID_BYTES_MAX;
use crate::mend::bits::{Flip, flipped};
use crate::payload::{Column, ColumnEntry, FieldId, FieldType};
use crate::point::PointId;
use crate::schema::Schema;

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
    dense: (DenseInfo, Section),
    id_ends: Section,
    ids: Section,
    columns: Vec<(FieldId, ColumnEntry)>,
}

impl Parts {
    /// Those of a segment of a collection; `None` if its directory is not one of that.
    fn of(meta: &Meta, schema: &Schema) -> Option<Self> {
        let dense = meta.part(PartKind::Dense, 0)?;
        let info = DenseInfo::read(dense, meta.rows, schema).ok()?;
        let [_, id_ends, ids] = meta.part(PartKind::Ids, 0)?.sections().ok()?;
        let columns = meta.of_kind(PartKind::Column).map(|part| Some((part.number, entry_of(part).ok()?)));
        Some(Self {
            rows: meta.rows,
            dense: (info, *dense.sections.first()?),
            id_ends,
            ids,
            columns: columns.collect::<Option<_>>()?,
        })
    }
}

/// A row with its vector, or what is left of one.
pub(crate) enum Saved {
    Row(GrowingRow, Option<Vec<f32>>),
    Lost(Option<PointId>),
}

/// Every damaged place of a segment file, as far as its footer and table tell.
pub(crate) fn damaged_blocks(file: &[u8]) -> Vec<Fault> {
    let blocks = match Blocks::read(file) {
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
    /// Looks at a file; `None` if nothing in it can be vouched for.
    pub(crate) fn of(file: &[u8], id: u64, schema: &Schema) -> Option<Self> {
        let mut bytes = file.to_vec();
        let mut turned = Vec::new();
        let blocks = sound_footer(&mut bytes, &mut turned)?;
        mend_table(&blocks, &mut bytes, &mut turned);
        let mut unsound = FixedBitSet::with_capacity(blocks.count());
        for block in 0..blocks.count() {
            let (range, crc) = (blocks.range(block), blocks.crc(&bytes, block));
            if crc32fast::hash(&bytes[range.clone()]) == crc {
                continue;
            }
            match flipped(&bytes[range.clone()], crc) {
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
        let parts = Parts::of(&meta, schema).filter(|_| meta.segment == id)?;
        Some(Self { bytes, turned, unsound, blocks, parts })
    }

    /// Whether every byte can be vouched for now.
    pub(crate) fn is_whole(&self) -> bool {
        self.unsound.is_clear()
    }

    pub(crate) fn rows(&self) -> u32 {
        self.parts.rows
    }

    pub(crate) fn vectors(&self) -> u32 {
        self.parts.dense.0.vectors
    }

    /// The bytes at a place, if they can be vouched for.
    fn sound(&self, start: usize, length: usize) -> Option<&[u8]> {
        let range = start..start.checked_add(length)?;
        let bytes = self.bytes.get(range.clone())?;
        self.blocks.of(&range).all(|block| !self.unsound.contains(block)).then_some(bytes)
    }

    /// A row, if all of it can be vouched for.
    pub(crate) fn row(&self, slot: u32) -> Saved {
        let id = self.id(slot);
        let whole = || {
            let vector = match slot < self.parts.dense.0.vectors {
                true => Some(self.vector(slot)?),
                false => None,
            };
            let mut values = Vec::new();
            for (field, entry) in &self.parts.columns {
                if self.has_value(entry, slot)? {
                    let column = Column::open(entry, self.parts.rows as usize)?;
                    values.push((*field, column.get(&self.bytes, slot as usize)?.to_value()));
                }
            }
            Some(Saved::Row(GrowingRow { id: id.clone()?, values: values.into() }, vector))
        };
        whole().unwrap_or(Saved::Lost(id.clone()))
    }

    /// The id of a row, if that can be vouched for.
    pub(crate) fn id(&self, slot: u32) -> Option<PointId> {
        let end_of =
            |slot: usize| Some(u64_at(self.sound(self.parts.id_ends.offset as usize + slot * 8, 8)?, 0));
        let start = if slot == 0 { 0 } else { end_of(slot as usize - 1)? };
        let length = end_of(slot as usize)?.checked_sub(start)? as usize;
        let is_inside = start.checked_add(length as u64)? <= self.parts.ids.length_bytes;
        let key = self.sound((self.parts.ids.offset + start) as usize, length)?;
        let id = id_of_key(key);
        (is_inside && length <= 1 + ID_BYTES_MAX && key_of_id(&id) == key).then_some(id)
    }

    fn vector(&self, slot: u32) -> Option<Vec<f32>> {
        let (info, section) = &self.parts.dense;
        let length = info.dimension as usize * 4;
        let bytes = self.sound(section.offset as usize + slot as usize * length, length)?;
        let float = |at: &[u8]| f32::from_bits(u32_at(at, 0));
        Some(bytes.chunks_exact(4).map(float).collect())
    }

    /// Whether a row has a field; `None` if that, or where its value is, or the value, cannot be vouched for.
    fn has_value(&self, entry: &ColumnEntry, slot: u32) -> Option<bool> {
        let (start, words) = (entry.offset as usize, (self.parts.rows as usize).div_ceil(64));
        let (word, bit) = (slot as usize / 64, slot % 64);
        let present = u64_at(self.sound(start + word * 8, 8)?, 0);
        if present >> bit & 1 == 0 {
            return Some(false);
        }
        let before = u32_at(self.sound(start + words * 8 + word * 4, 4)?, 0);
        let index = before as usize + (present & ((1 << bit) - 1)).count_ones() as usize;
        let values = start + (words * 12).next_multiple_of(8);
        match entry.field_type {
            FieldType::Bool => self.sound(values + index, 1)?,
            FieldType::Int | FieldType::Float | FieldType::Timestamp => self.sound(values + index * 8, 8)?,
            FieldType::Geo => self.sound(values + index * 16, 16)?,
            FieldType::String | FieldType::Strings | FieldType::Json => {
                let end_of = |index: usize| Some(u64_at(self.sound(values + index * 8, 8)?, 0) as usize);
                let from = if index == 0 { 0 } else { end_of(index - 1)? };
                let length = end_of(index)?.checked_sub(from)?;
                self.sound(values + entry.count as usize * 8 + from, length)?
            }
        };
        Some(true)
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
