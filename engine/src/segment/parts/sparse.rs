//! A sparse vector of a sealed segment: the entries of each row that has some, one after the other.
//!
//! ```text
//! sparse info = count u32 | entries u64
//! sparse part = sections: present, before, entry-ends, entry-indices, entry-values
//! entry-ends = u64 * count                 where the entries of a row end among all
//! entry-indices = u32 * entries            ascending within a row
//! entry-values = f32 * entries
//! ```
//! `count` rows have it; `present` and `before` say which (`nodes.rs`).
//!
//! **Nothing read is trusted**: ends that lead out of the sections stand for a row without the vector.

use std::ops::Range;

use super::ids::check_ends;
use super::nodes::{self, Nodes};
use super::{PartsFile, section};
use crate::codec::{Decoded, Decoder, Encoder, u64_at};
use crate::dir::Blob;
use crate::error::Result;
use crate::pace::{Halt, Pace, Steps};
use crate::schema::VectorId;
use crate::segment::SparseRow;
use crate::segment::blocks::{BlockWriter, Fault};
use crate::segment::meta::{Meta, Part, PartKind};
use crate::segment::placing::LiveRow;
use crate::segment::writer::Writing;

/// Rows between two looks at whether to stop.
const ROWS_PER_STEP: usize = 1 << 14;

/// What the directory says of a sparse vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::segment) struct SparseInfo {
    /// Rows that have it.
    pub(in crate::segment) count: u32,
    /// Entries of all rows.
    entries: u64,
}

impl SparseInfo {
    fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new();
        out.u32(self.count);
        out.u64(self.entries);
        out.into_bytes()
    }

    fn decode(input: &mut Decoder<'_>) -> Decoded<Self> {
        Ok(Self { count: input.u32()?, entries: input.u64()? })
    }

    /// What a part says.
    pub(in crate::segment) fn read(part: &Part, rows: u32) -> Result<Self, String> {
        match part.info(Self::decode)? {
            info if info.count <= rows => Ok(info),
            _ => Err("the segment belongs to another collection".into()),
        }
    }
}

/// Writes a sparse vector of the rows of a new segment.
pub(in crate::segment) fn write(
    writing: &Writing<'_>,
    out: &mut BlockWriter,
    number: VectorId,
) -> Result<Part> {
    let row_of = |row: &LiveRow| writing.source(row).sparse_row(row.slot, number);
    let (mut slots, mut ends, mut total) = (Vec::new(), Vec::new(), 0u64);
    for (slot, row) in (0u32..).zip(writing.rows) {
        if let Some(row) = row_of(row) {
            total += row.indices.len() as u64;
            slots.push(slot);
            ends.push(total);
        }
    }
    let rows = || slots.iter().filter_map(|slot| row_of(&writing.rows[*slot as usize]));
    let [present, before] = nodes::write(out, writing.rows.len(), slots.iter().copied())?;
    let ends = section(out, |out| ends.iter().try_for_each(|end| out.write(&end.to_le_bytes())))?;
    let each = |out: &mut BlockWriter, write: &dyn Fn(&mut BlockWriter, SparseRow<'_>) -> Result<()>| {
        rows().enumerate().try_for_each(|(index, row)| {
            if index % ROWS_PER_STEP == 0 {
                writing.go_on()?;
            }
            write(out, row)
        })
    };
    let indices = section(out, |out| {
        each(out, &|out, row| row.indices.iter().try_for_each(|index| out.write(&index.to_le_bytes())))
    })?;
    let values = section(out, |out| {
        each(out, &|out, row| row.values.iter().try_for_each(|value| out.write(&value.to_le_bytes())))
    })?;
    let info = SparseInfo { count: slots.len() as u32, entries: total }.encode();
    let sections = vec![present, before, ends, indices, values];
    Ok(Part { kind: PartKind::Sparse, number, info, sections })
}

/// A sparse vector of a segment.
pub(crate) struct SealedSparse {
    nodes: Nodes,
    info: SparseInfo,
    blob: Blob,
    ends: Range<usize>,
    indices: Range<usize>,
    values: Range<usize>,
}

impl SealedSparse {
    pub(in crate::segment) fn open(
        file: &PartsFile<'_>,
        meta: &Meta,
        number: VectorId,
    ) -> Result<Self, Fault> {
        let fault = |reason| file.fault(reason);
        let part = meta
            .part(PartKind::Sparse, number)
            .ok_or_else(|| file.fault("the segment belongs to another collection"))?;
        let info = SparseInfo::read(part, file.rows).map_err(fault)?;
        let [present, before, ends, indices, values] = part.sections().map_err(fault)?;
        let entry_bytes = usize::try_from(info.entries).unwrap_or(usize::MAX).saturating_mul(4);
        Ok(Self {
            nodes: Nodes::open(file, [present, before], info.count)?,
            info,
            blob: file.blob.clone(),
            ends: file.range(ends, Some(info.count as usize * 8))?,
            indices: file.range(indices, Some(entry_bytes))?,
            values: file.range(values, Some(entry_bytes))?,
        })
    }

    /// The entries of a row, if it has the vector.
    pub(in crate::segment) fn row(&self, slot: u32) -> Option<SparseRow<'_>> {
        let node = self.nodes.node_of(slot)? as usize;
        let file = (*self.blob).as_ref();
        let end_of = |node: usize| u64_at(&file[self.ends.clone()], node);
        let start = if node == 0 { 0 } else { end_of(node - 1) };
        let bytes_of = |entry: u64| usize::try_from(entry).ok()?.checked_mul(4);
        let entries = bytes_of(start)?..bytes_of(end_of(node))?;
        let indices = bytemuck::try_cast_slice(file[self.indices.clone()].get(entries.clone())?).ok()?;
        let values = bytemuck::try_cast_slice(file[self.values.clone()].get(entries)?).ok()?;
        Some(SparseRow { indices, values })
    }

    /// Checks that every row's entries are where they are said to be.
    pub(in crate::segment) fn check_structure(&self, pace: &mut Pace<'_>) -> Result<(), Halt<Fault>> {
        self.nodes.check_structure(pace)?;
        let mut steps = Steps::new(pace, ROWS_PER_STEP);
        let ends = &(*self.blob).as_ref()[self.ends.clone()];
        let lengths = (self.info.count as usize, self.info.entries as usize);
        check_ends(ends, lengths, &mut steps)
            .map_err(|halt| halt.map(|at| (self.ends.start + at, "a row's entries do not fit".to_owned())))
    }
}
