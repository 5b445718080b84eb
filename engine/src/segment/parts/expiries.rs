//! When the rows of a sealed segment expire; only of one that has such rows.
//!
//! ```text
//! expiries part = first i64; sections: expiries, expiry-order
//! expiries = i64 * rows                    by slot: microseconds since 1970 (UTC), 2^63 - 1 of a row that does not expire
//! expiry-order = u32 * count               slots of those that do, in the order in which they do, of two at once the lower first
//! ```
//! `first` is the first of all. A slot that is no row's, as damage may leave it, is passed over.
//!
//! **Cost.** Twelve bytes a row in the file, none in memory.

use std::ops::Range;

use super::{PartsFile, section};
use crate::clock::NEVER;
use crate::codec::{u32_at, u64_at};
use crate::error::Result;
use crate::pace::{Halt, Pace, Steps};
use crate::segment::blocks::{BlockWriter, Fault};
use crate::segment::meta::{Meta, Part, PartKind, Section};

/// Bytes of an expiry.
pub(in crate::segment) const EXPIRY_BYTES: usize = 8;
/// Rows between two looks at the pace, where expiries are checked: a few hundred kilobytes.
const ROWS_PER_STEP: usize = 1 << 14;

/// Writes when the rows of a new segment expire, by slot; nothing if none does.
pub(in crate::segment) fn write(out: &mut BlockWriter, expiries: &[i64]) -> Result<Option<Part>> {
    let mut order: Vec<u32> =
        (0..expiries.len() as u32).filter(|slot| expiries[*slot as usize] != NEVER).collect();
    order.sort_by_key(|slot| expiries[*slot as usize]);
    let Some(first) = order.first().map(|slot| expiries[*slot as usize]) else { return Ok(None) };
    let by_slot = section(out, |out| expiries.iter().try_for_each(|at| out.write(&at.to_le_bytes())))?;
    let in_order = section(out, |out| order.iter().try_for_each(|slot| out.write(&slot.to_le_bytes())))?;
    let info = first.to_le_bytes().into();
    Ok(Some(Part { kind: PartKind::Expiries, number: 0, info, sections: vec![by_slot, in_order] }))
}

/// The first expiry, and where the expiries and their order lie.
pub(in crate::segment) fn find(meta: &Meta) -> Result<Option<(i64, [Section; 2])>, String> {
    let Some(part) = meta.part(PartKind::Expiries, 0) else { return Ok(None) };
    Ok(Some((part.info(|info| info.u64())?.cast_signed(), part.sections()?)))
}

/// When the rows of a segment expire.
#[derive(Debug)]
pub(in crate::segment) struct SealedExpiries {
    first: i64,
    pub(in crate::segment) by_slot: Range<usize>,
    pub(in crate::segment) order: Range<usize>,
}

impl SealedExpiries {
    pub(in crate::segment) fn open(file: &PartsFile<'_>, meta: &Meta) -> Result<Option<Self>, Fault> {
        let Some((first, [by_slot, order])) = find(meta).map_err(|reason| file.fault(reason))? else {
            return Ok(None);
        };
        let by_slot = file.range(by_slot, Some(file.rows as usize * EXPIRY_BYTES))?;
        let order = file.range(order, None)?;
        Ok(Some(Self { first, by_slot, order }))
    }

    /// When a row expires.
    pub(in crate::segment) fn get(&self, file: &[u8], slot: u32) -> i64 {
        let expiries = &file[self.by_slot.clone()];
        let is_there = (slot as usize + 1) * EXPIRY_BYTES <= expiries.len();
        if is_there { u64_at(expiries, slot as usize).cast_signed() } else { NEVER }
    }

    fn slot(&self, file: &[u8], place: usize) -> u32 {
        u32_at(&file[self.order.clone()], place)
    }

    /// How many rows expire by a moment.
    fn place(&self, file: &[u8], moment: i64) -> usize {
        if moment < self.first {
            return 0;
        }
        let (mut low, mut high) = (0, self.order.len() / 4);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.get(file, self.slot(file, middle)) <= moment { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// When so many rows, at least one, have expired after a moment.
    pub(in crate::segment) fn nth(&self, file: &[u8], after: i64, count: usize) -> i64 {
        // Asked by every query, and without a look at the file.
        if count == 1 && after < self.first {
            return self.first;
        }
        let place = self.place(file, after).saturating_add(count - 1);
        let is_there = place < self.order.len() / 4;
        // Damage may make it one that is over; to come back at once is no mistake.
        if is_there { self.get(file, self.slot(file, place)).max(after.saturating_add(1)) } else { NEVER }
    }

    /// The rows that expire after a moment, and by another.
    pub(in crate::segment) fn between<'a>(
        &'a self,
        file: &'a [u8],
        after: i64,
        by: i64,
    ) -> impl Iterator<Item = u32> + 'a {
        let rows = (self.by_slot.len() / EXPIRY_BYTES) as u32;
        (self.place(file, after)..self.place(file, by))
            .map(move |place| self.slot(file, place))
            .filter(move |slot| *slot < rows)
    }

    /// Checks that the order has each row that expires, in the order in which they do, and begins with the first.
    pub(in crate::segment) fn check_structure(
        &self,
        file: &[u8],
        pace: &mut Pace<'_>,
    ) -> Result<(), Halt<Fault>> {
        let rows = (self.by_slot.len() / EXPIRY_BYTES) as u32;
        let mut steps = Steps::new(pace, ROWS_PER_STEP);
        let mut expiring = 0;
        for slot in 0..rows {
            steps.one()?;
            expiring += usize::from(self.get(file, slot) != NEVER);
        }
        let found =
            |place: usize, reason: &str| Halt::Found((self.order.start + place * 4, reason.to_owned()));
        if self.order.len() != expiring * 4 {
            return Err(found(0, "the order of expiries is not of the rows that expire"));
        }
        let mut before = None;
        for place in 0..expiring {
            steps.one()?;
            let slot = self.slot(file, place);
            let expiry = (self.get(file, slot), slot);
            // Each after the one before it, so none twice.
            if slot >= rows || expiry.0 == NEVER || before.is_some_and(|before| before >= expiry) {
                return Err(found(place, "the order of expiries is wrong"));
            }
            if place == 0 && expiry.0 != self.first {
                return Err(found(0, "another row expires first"));
            }
            before = Some(expiry);
        }
        Ok(())
    }
}
