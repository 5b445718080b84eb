//! Whether the bytes of a sealed segment are what was written.
//!
//! Opening looks at the headers only, so most of a file is read by searches before anybody compared it with its
//! checksums. That is safe, since nothing read is trusted to be in bounds, but may give a wrong answer. So:
//! - whoever finds damage leaves it here, and every read asks first, once: from then on a segment gives an error and no
//!   answer;
//! - what goes into *other* files is verified before: a merge its sources, whatever commits the deaths of rows the ids
//!   by which they were found. Damage never gets a checksum of its own.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::SealedSegment;
use super::blocks::Fault;
use crate::codec::{u32_at, u64_at};
use crate::error::Result;
use crate::graph::GraphError;
use crate::pace::{Halt, Pace, Steps, at_once};
use crate::verify::Damage;

/// Rows between two looks at the pace, where ids are checked: a few hundred kilobytes.
const ROWS_PER_STEP: usize = 1 << 14;

/// What is known of a segment's bytes.
#[derive(Debug)]
pub(super) struct Integrity {
    file: PathBuf,
    /// The first damage that was found; stays until the database is reopened.
    damage: OnceLock<Damage>,
    /// Everything was found sound.
    is_verified: AtomicBool,
    /// The order of the ids, their ends and the ids were.
    has_verified_ids: AtomicBool,
}

impl Integrity {
    /// Of a file of which nothing is known, or which is known to be sound.
    pub(super) fn new(file: PathBuf, is_sound: bool) -> Self {
        let (all, ids) = (AtomicBool::new(is_sound), AtomicBool::new(is_sound));
        Self { file, damage: OnceLock::new(), is_verified: all, has_verified_ids: ids }
    }

    fn damage_of(&self, (offset, reason): Fault) -> Damage {
        Damage { file: self.file.clone(), offset: offset as u64, reason }
    }
}

impl SealedSegment {
    /// Fails if damage was found.
    pub(crate) fn check(&self) -> Result<()> {
        self.integrity.damage.get().map_or(Ok(()), |damage| Err(damage.clone().into()))
    }

    /// Whether all of it was found sound once, or written by this process.
    pub(crate) fn is_verified(&self) -> bool {
        self.integrity.is_verified.load(Ordering::Acquire)
    }

    /// Bytes that [`verify`](Self::verify) reads.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.bytes().len() as u64
    }

    /// Compares everything with its checksums, and if they match, the parts with one another. `pace` gets the bytes of
    /// each block as it was read, then zeros, and may end it early.
    pub(crate) fn verify(&self, pace: &mut Pace<'_>) -> ControlFlow<(), Vec<Damage>> {
        let mut faults = self.blocks.find_damage(self.bytes(), pace)?;
        if faults.is_empty() {
            match self.check_structure(pace) {
                Ok(()) => {}
                Err(Halt::Found(fault)) => faults.push(fault),
                Err(Halt::Ended) => return ControlFlow::Break(()),
            }
        }
        self.note(&faults);
        ControlFlow::Continue(faults.into_iter().map(|fault| self.integrity.damage_of(fault)).collect())
    }

    fn note(&self, faults: &[Fault]) {
        match faults.first() {
            None => self.integrity.is_verified.store(true, Ordering::Release),
            Some(fault) => {
                // Another finding may have come first; one is enough.
                let _ = self.integrity.damage.set(self.integrity.damage_of(fault.clone()));
            }
        }
    }

    /// Sees to it that everything was verified, with every thread of the current rayon pool.
    pub(crate) fn verify_once(&self) -> Result<()> {
        self.check()?;
        if !self.is_verified() {
            self.note(self.check_everything().err().as_slice());
        }
        self.check()
    }

    /// Sees to it that the ids were verified.
    pub(crate) fn verify_ids_once(&self) -> Result<()> {
        self.check()?;
        if !self.is_verified() && !self.integrity.has_verified_ids.load(Ordering::Acquire) {
            match self.check_ids() {
                Ok(()) => self.integrity.has_verified_ids.store(true, Ordering::Release),
                Err(fault) => self.note(&[fault]),
            }
        }
        self.check()
    }

    /// Checks every block, in parallel, and the structure.
    pub(super) fn check_everything(&self) -> Result<(), Fault> {
        self.blocks.check_all(self.bytes())?;
        at_once(|pace| self.check_structure(pace))
    }

    fn check_ids(&self) -> Result<(), Fault> {
        for range in [&self.order, &self.id_ends, &self.ids] {
            self.blocks.check(self.bytes(), range.clone())?;
        }
        at_once(|pace| self.check_id_structure(pace))
    }

    /// Checks what checksums do not: that the parts agree.
    fn check_structure(&self, pace: &mut Pace<'_>) -> Result<(), Halt<Fault>> {
        let graph_fault = |error: GraphError| (self.graph_range.start + error.offset(), error.to_string());
        self.graph.verify(pace).map_err(|halt| halt.map(graph_fault))?;
        // The counts of a column are a few bits for each row.
        let mut columns = Steps::new(pace, 1);
        for column in self.columns.values() {
            columns.one()?;
            if !column.has_right_counts(self.bytes()) {
                return Err(Halt::Found((column.start(), "the counts of a column do not match".into())));
            }
        }
        self.check_id_structure(pace)
    }

    fn check_id_structure(&self, pace: &mut Pace<'_>) -> Result<(), Halt<Fault>> {
        let rows = self.rows() as usize;
        let mut steps = Steps::new(pace, ROWS_PER_STEP);
        let no_slot = |at| (self.order.start + at, "no row's slot".to_owned());
        check_order(&self.bytes()[self.order.clone()], rows, &mut steps).map_err(|halt| halt.map(no_slot))?;
        let no_id = |at| (self.id_ends.start + at, "an id does not fit among the ids".to_owned());
        check_ends(&self.bytes()[self.id_ends.clone()], (rows, self.ids.len()), &mut steps)
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
fn check_ends(
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

#[cfg(test)]
mod tests {
    use super::*;

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
