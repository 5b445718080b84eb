//! The ids of a sealed segment's rows, and finding rows by them.
//!
//! ```text
//! ids part = no info; sections: order, id-ends, ids
//! order   = u32 * rows                     slots in the order of their ids
//! id-ends = u64 * rows                     where the id of a slot ends among `ids`
//! ids     = key *                          by slot; key = 0 u8 | number u64 big-endian  |  1 u8 | UTF-8
//! ```
//! Keys compare as bytes like ids do. A row is found by binary search through `order`: no index lies on the heap.
//!
//! **Nothing read is trusted**, as it may not have been verified yet (`integrity.rs`): a slot that is no row's, an end
//! beyond the ids or a key that is too long for an id stand for a row that is not there.

use std::cmp::Ordering;
use std::ops::Range;

use super::{PartsFile, section};
use crate::codec::{u32_at, u64_at};
use crate::dir::Blob;
use crate::error::Result;
use crate::limits::ID_BYTES_MAX;
use crate::pace::{Halt, Pace, Steps};
use crate::point::PointId;
use crate::segment::blocks::{BlockWriter, Fault};
use crate::segment::meta::{Meta, Part, PartKind};

/// Rows between two looks at the pace, where ids are checked: a few hundred kilobytes.
const ROWS_PER_STEP: usize = 1 << 14;

/// Writes the ids of the rows of a new segment, by slot.
pub(in crate::segment) fn write(
    out: &mut BlockWriter,
    ids: impl ExactSizeIterator<Item = PointId>,
) -> Result<Part> {
    let keys: Vec<Vec<u8>> = ids.map(|id| key_of_id(&id)).collect();
    let mut slots: Vec<u32> = (0..keys.len() as u32).collect();
    slots.sort_unstable_by(|a, b| keys[*a as usize].cmp(&keys[*b as usize]));
    let order = section(out, |out| slots.iter().try_for_each(|slot| out.write(&slot.to_le_bytes())))?;
    let mut end = 0u64;
    let id_ends = section(out, |out| {
        keys.iter().try_for_each(|key| {
            end += key.len() as u64;
            out.write(&end.to_le_bytes())
        })
    })?;
    let ids = section(out, |out| keys.iter().try_for_each(|key| out.write(key)))?;
    Ok(Part { kind: PartKind::Ids, number: 0, info: Vec::new(), sections: vec![order, id_ends, ids] })
}

/// The ids of a segment.
pub(in crate::segment) struct SealedIds {
    blob: Blob,
    rows: u32,
    pub(in crate::segment) order: Range<usize>,
    pub(in crate::segment) ends: Range<usize>,
    pub(in crate::segment) ids: Range<usize>,
}

impl SealedIds {
    pub(in crate::segment) fn open(file: &PartsFile<'_>, meta: &Meta) -> Result<Self, Fault> {
        let part = meta.part(PartKind::Ids, 0).ok_or_else(|| file.fault("the segment has no ids"))?;
        let [order, ends, ids] = part.sections().map_err(|reason| file.fault(reason))?;
        part.info(|_| Ok(())).map_err(|reason| file.fault(reason))?;
        let rows = file.rows as usize;
        Ok(Self {
            order: file.range(order, Some(rows * 4))?,
            ends: file.range(ends, Some(rows * 8))?,
            ids: file.range(ids, None)?,
            rows: file.rows,
            blob: file.blob.clone(),
        })
    }

    fn section(&self, range: &Range<usize>) -> &[u8] {
        &(*self.blob).as_ref()[range.clone()]
    }

    /// The key of a row; empty if the bytes do not give one.
    fn key(&self, slot: u32) -> &[u8] {
        if slot >= self.rows {
            return &[];
        }
        let ends = self.section(&self.ends);
        let start = if slot == 0 { 0 } else { u64_at(ends, slot as usize - 1) as usize };
        let end = u64_at(ends, slot as usize) as usize;
        let key = self.section(&self.ids).get(start..end).unwrap_or_default();
        // Damage must not make an id of a gigabyte.
        if key.len() <= 1 + ID_BYTES_MAX { key } else { &[] }
    }

    /// The id of a row.
    pub(in crate::segment) fn id(&self, slot: u32) -> PointId {
        id_of_key(self.key(slot))
    }

    /// Asks for what says where the id of a row is.
    pub(in crate::segment) fn prefetch_end(&self, slot: u32) {
        // That of the row before lies on the same cache line but for one row in eight.
        if let Some(end) = self.section(&self.ends).get(slot as usize * 8..).and_then(|rest| rest.get(..8)) {
            ragstone_kernels::prefetch(end);
        }
    }

    /// Asks for the id of a row.
    pub(in crate::segment) fn prefetch(&self, slot: u32) {
        ragstone_kernels::prefetch(self.key(slot));
    }

    /// The row with an id, dead or alive.
    pub(in crate::segment) fn find(&self, id: &PointId) -> Option<u32> {
        let position = self.position(id, Ordering::is_lt);
        let slot = self.slot_at(position)?;
        (self.key(slot) == key_of_id(id)).then_some(slot)
    }

    /// The row at a place in the order of the ids.
    pub(in crate::segment) fn slot_at(&self, position: u32) -> Option<u32> {
        let slot = (position < self.rows).then(|| u32_at(self.section(&self.order), position as usize))?;
        (slot < self.rows).then_some(slot)
    }

    /// The place of the first id greater than `after`; of the first of all for `None`.
    pub(in crate::segment) fn position_after(&self, after: Option<&PointId>) -> u32 {
        after.map_or(0, |after| self.position(after, Ordering::is_le))
    }

    /// How many ids come before, by a comparison of each with `id`.
    fn position(&self, id: &PointId, before: impl Fn(Ordering) -> bool) -> u32 {
        let key = key_of_id(id);
        let (mut low, mut high) = (0, self.rows);
        while low < high {
            let middle = low + (high - low) / 2;
            let slot = u32_at(self.section(&self.order), middle as usize);
            if before(self.key(slot).cmp(&key)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Checks that order and ends lead to rows and ids.
    pub(in crate::segment) fn check_structure(&self, pace: &mut Pace<'_>) -> Result<(), Halt<Fault>> {
        let rows = self.rows as usize;
        let mut steps = Steps::new(pace, ROWS_PER_STEP);
        let no_slot = |at| (self.order.start + at, "no row's slot".to_owned());
        check_order(self.section(&self.order), rows, &mut steps).map_err(|halt| halt.map(no_slot))?;
        let no_id = |at| (self.ends.start + at, "an id does not fit among the ids".to_owned());
        check_ends(self.section(&self.ends), (rows, self.ids.len()), &mut steps)
            .map_err(|halt| halt.map(no_id))
    }
}

/// Checks that every slot is a row's; the error is where one is not.
fn check_order(order: &[u8], rows: usize, steps: &mut Steps<'_, '_>) -> Result<(), Halt<usize>> {
    for at in 0..rows {
        steps.one()?;
        if u32_at(order, at) as usize >= rows {
            return Err(Halt::Found(at * 4));
        }
    }
    Ok(())
}

/// Checks that no end comes before the one before it, and the last is that of all; the error is where that is not so.
pub(super) fn check_ends(
    ends: &[u8],
    (rows, length): (usize, usize),
    steps: &mut Steps<'_, '_>,
) -> Result<(), Halt<usize>> {
    let mut start = 0;
    for at in 0..rows {
        steps.one()?;
        let end = u64_at(ends, at);
        if end < start || end > length as u64 {
            return Err(Halt::Found(at * 8));
        }
        start = end;
    }
    if start == length as u64 { Ok(()) } else { Err(Halt::Found(rows.saturating_sub(1) * 8)) }
}

/// The key of an id: compares as bytes like ids compare.
pub(in crate::segment) fn key_of_id(id: &PointId) -> Vec<u8> {
    match id {
        PointId::Num(number) => [&[0], &number.to_be_bytes()[..]].concat(),
        PointId::Str(text) => [&[1], text.as_bytes()].concat(),
    }
}

pub(in crate::segment) fn id_of_key(key: &[u8]) -> PointId {
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
    use crate::pace::at_once;

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

    #[test]
    fn sections_that_lead_out_of_the_segment_are_refused() {
        let order = |slots: [u32; 3]| {
            at_once(|pace| check_order(&slots.map(u32::to_le_bytes).concat(), 3, &mut Steps::new(pace, 1)))
        };
        assert_eq!((order([2, 0, 1]), order([2, 3, 1]), order([0, 1, u32::MAX])), (Ok(()), Err(4), Err(8)));
        let ends = |ends: [u64; 3]| {
            let bytes = ends.map(u64::to_le_bytes).concat();
            at_once(|pace| check_ends(&bytes, (3, 9), &mut Steps::new(pace, 1)))
        };
        assert_eq!((ends([3, 3, 9]), ends([4, 3, 9]), ends([3, 10, 9])), (Ok(()), Err(8), Err(8)));
        assert_eq!((ends([3, 3, 8]), ends([u64::MAX, 3, 9])), (Err(16), Err(0)));
    }
}
