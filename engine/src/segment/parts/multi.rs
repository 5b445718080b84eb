//! A multi-vector of a sealed segment: the vectors of each row that has some, one after the other.
//!
//! ```text
//! multi info = count u32 | vectors u64 | dimension u32 | metric u8 | element u8
//! multi part = sections: present, before, vector-ends, vector-rows
//! vector-ends = u64 * count                where the vectors of a row end among all
//! vector-rows = element * dimension * vectors
//! ```
//! `count` rows have it; `present` and `before` say which (`nodes.rs`). There is no index: it is searched exactly.
//!
//! **Nothing read is trusted**: ends that lead out of the section stand for a row without vectors.

use std::ops::Range;

use super::ids::check_ends;
use super::nodes::{self, Nodes};
use super::{PartsFile, section};
use crate::codec::{Decoded, Decoder, Encoder, u64_at};
use crate::dir::Blob;
use crate::error::Result;
use crate::pace::{Halt, Pace, Steps};
use crate::schema::{ElementType, Metric, MultiOptions, VectorId};
use crate::schema_codes::{decode_element, decode_metric, element_code, metric_code};
use crate::segment::MultiRow;
use crate::segment::blocks::{BlockWriter, Fault};
use crate::segment::meta::{Meta, Part, PartKind};
use crate::segment::writer::Writing;

/// Rows between two looks at whether to stop.
const ROWS_PER_STEP: usize = 1 << 12;

/// What the directory says of a multi-vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::segment) struct MultiInfo {
    /// Rows that have it.
    pub(in crate::segment) count: u32,
    /// Vectors of all rows.
    vectors: u64,
    pub(in crate::segment) dimension: u32,
    metric: Metric,
    pub(in crate::segment) element: ElementType,
}

impl MultiInfo {
    fn of(options: &MultiOptions, count: u32, vectors: u64) -> Self {
        let MultiOptions { dimension, metric, element } = *options;
        Self { count, vectors, dimension: dimension as u32, metric, element }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new();
        out.u32(self.count);
        out.u64(self.vectors);
        out.u32(self.dimension);
        out.u8(metric_code(self.metric));
        out.u8(element_code(self.element));
        out.into_bytes()
    }

    fn decode(input: &mut Decoder<'_>) -> Decoded<Self> {
        let (count, vectors, dimension) = (input.u32()?, input.u64()?, input.u32()?);
        Ok(Self { count, vectors, dimension, metric: decode_metric(input)?, element: decode_element(input)? })
    }

    /// What a part says, if it is about such a multi-vector.
    pub(in crate::segment) fn read(part: &Part, rows: u32, options: &MultiOptions) -> Result<Self, String> {
        let info = part.info(Self::decode)?;
        if info != Self::of(options, info.count, info.vectors) || info.count > rows {
            return Err("the segment belongs to another collection".into());
        }
        Ok(info)
    }

    /// Bytes of a vector.
    pub(in crate::segment) fn vector_bytes(&self) -> usize {
        self.dimension as usize * self.element.size_bytes()
    }
}

/// Writes a multi-vector of the rows of a new segment.
pub(in crate::segment) fn write(
    writing: &Writing<'_>,
    out: &mut BlockWriter,
    (number, options): (VectorId, &MultiOptions),
) -> Result<Part> {
    let (mut slots, mut ends, mut total) = (Vec::new(), Vec::new(), 0u64);
    let mut bytes = vec![0; options.dimension * options.element.size_bytes()];
    let rows = section(out, |out| {
        for (slot, row) in (0u32..).zip(writing.rows) {
            if (slot as usize).is_multiple_of(ROWS_PER_STEP) {
                writing.go_on()?;
            }
            let Some(vectors) = writing.source(row).multi_row(row.slot, number) else { continue };
            for vector in vectors.iter(options.dimension) {
                options.element.write(&vector, &mut bytes);
                out.write(&bytes)?;
                total += 1;
            }
            slots.push(slot);
            ends.push(total);
        }
        Ok(())
    })?;
    let ends = section(out, |out| ends.iter().try_for_each(|end| out.write(&end.to_le_bytes())))?;
    let [present, before] = nodes::write(out, writing.rows.len(), slots.iter().copied())?;
    let info = MultiInfo::of(options, slots.len() as u32, total).encode();
    Ok(Part { kind: PartKind::Multi, number, info, sections: vec![present, before, ends, rows] })
}

/// A multi-vector of a segment.
pub(crate) struct SealedMulti {
    nodes: Nodes,
    info: MultiInfo,
    blob: Blob,
    ends: Range<usize>,
    rows: Range<usize>,
}

impl SealedMulti {
    pub(in crate::segment) fn open(
        file: &PartsFile<'_>,
        meta: &Meta,
        (number, options): (VectorId, &MultiOptions),
    ) -> Result<Self, Fault> {
        let fault = |reason| file.fault(reason);
        let part = meta
            .part(PartKind::Multi, number)
            .ok_or_else(|| file.fault("the segment belongs to another collection"))?;
        let info = MultiInfo::read(part, file.rows, options).map_err(fault)?;
        let [present, before, ends, rows] = part.sections().map_err(fault)?;
        let row_bytes =
            usize::try_from(info.vectors).unwrap_or(usize::MAX).saturating_mul(info.vector_bytes());
        Ok(Self {
            nodes: Nodes::open(file, [present, before], info.count)?,
            info,
            blob: file.blob.clone(),
            ends: file.range(ends, Some(info.count as usize * 8))?,
            rows: file.range(rows, Some(row_bytes))?,
        })
    }

    /// The vectors of a row, if it has some.
    pub(in crate::segment) fn row(&self, slot: u32) -> Option<MultiRow<'_>> {
        let node = self.nodes.node_of(slot)? as usize;
        let file = (*self.blob).as_ref();
        let end_of = |node: usize| u64_at(&file[self.ends.clone()], node);
        let start = if node == 0 { 0 } else { end_of(node - 1) };
        let bytes_of = |end: u64| usize::try_from(end).ok()?.checked_mul(self.info.vector_bytes());
        let bytes = file[self.rows.clone()].get(bytes_of(start)?..bytes_of(end_of(node))?)?;
        match self.info.element {
            ElementType::F32 => bytemuck::try_cast_slice(bytes).ok().map(MultiRow::Floats),
            ElementType::F16 => Some(MultiRow::Halves(bytes)),
        }
    }

    /// Checks that every row's vectors are where they are said to be.
    pub(in crate::segment) fn check_structure(&self, pace: &mut Pace<'_>) -> Result<(), Halt<Fault>> {
        self.nodes.check_structure(pace)?;
        let mut steps = Steps::new(pace, ROWS_PER_STEP);
        let ends = &(*self.blob).as_ref()[self.ends.clone()];
        let lengths = (self.info.count as usize, self.info.vectors as usize);
        check_ends(ends, lengths, &mut steps)
            .map_err(|halt| halt.map(|at| (self.ends.start + at, "a row's vectors do not fit".to_owned())))
    }
}
