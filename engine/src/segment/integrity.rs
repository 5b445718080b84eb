//! Whether the bytes of a sealed segment are what was written.
//!
//! Opening looks at the headers only, so most of a file is read by searches before anybody compared it with its
//! checksums. That is safe, since nothing read is trusted to be in bounds, but may give a wrong answer. So:
//! - whoever finds damage leaves it here, and every read asks first, once: from then on a segment gives an error and no
//!   answer;
//! - what goes into *other* files is verified before: a merge its sources, whatever commits the deaths of rows the ids
//!   by which they were found, and when they expire, which they died of. Damage never gets a checksum of its own.

use std::ops::{ControlFlow, Range};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::block_reader::{BlockReader, Headers};
use super::blocks::Fault;
use super::{SealedSegment, segment_file};
use crate::dir::Dir;
use crate::error::Result;
use crate::pace::{Halt, Pace, at_once};
use crate::verify::Damage;

/// What is known of a segment's bytes.
#[derive(Debug)]
pub(super) struct Integrity {
    file: PathBuf,
    /// The first damage that was found; stays until the database is reopened.
    damage: OnceLock<Damage>,
    /// Everything was found sound.
    is_verified: AtomicBool,
    /// What the deaths of rows rest on was: the order of the ids, their ends, the ids, and the expiries with their order.
    has_verified_deaths: AtomicBool,
}

impl Integrity {
    /// Of a file of which nothing is known, or which is known to be sound.
    pub(super) fn new(file: PathBuf, is_sound: bool) -> Self {
        let (all, deaths) = (AtomicBool::new(is_sound), AtomicBool::new(is_sound));
        Self { file, damage: OnceLock::new(), is_verified: all, has_verified_deaths: deaths }
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

    /// Whether all of its file was found sound once, or written by this process.
    pub(crate) fn is_verified(&self) -> bool {
        self.integrity.is_verified.load(Ordering::Acquire)
    }

    /// Whether there is nothing left to verify, in its file and beside it.
    pub(crate) fn is_all_verified(&self) -> bool {
        self.is_verified() && self.has_verified_words()
    }

    /// Bytes that [`verify`](Self::verify) reads.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.bytes().len() as u64 + self.words_bytes()
    }

    /// Reads everything from its directory and compares it with its checksums, and if they match, the parts with one another; then the words that
    /// lie beside it, damage in which takes nothing but them out of use. `pace` gets the bytes of each block as it was read, then zeros, and may
    /// end it early.
    pub(crate) fn verify(&self, dir: &dyn Dir, pace: &mut Pace<'_>) -> ControlFlow<(), Vec<Damage>> {
        let mut faults = self.blocks.find_damage(&mut self.read_anew(dir), pace)?;
        if faults.is_empty() {
            match self.check_structure(pace) {
                Ok(()) => {}
                Err(Halt::Found(fault)) => faults.push(fault),
                Err(Halt::Ended) => return ControlFlow::Break(()),
            }
        }
        self.note(&faults);
        let mut damaged: Vec<Damage> =
            faults.into_iter().map(|fault| self.integrity.damage_of(fault)).collect();
        damaged.extend(self.verify_words(Some(dir), pace)?);
        ControlFlow::Continue(damaged)
    }

    /// Compares the parts with one another, of a file whose blocks were compared with their checksums just now.
    pub(crate) fn damaged_parts(&self) -> Option<Damage> {
        at_once(|pace| self.check_structure(pace)).err().map(|fault| self.integrity.damage_of(fault))
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

    /// Sees to it that everything was verified, with every thread of the current rayon pool: read from the directory, or through its map by
    /// whoever has none.
    pub(crate) fn verify_once(&self, dir: Option<&dyn Dir>) -> Result<()> {
        self.check()?;
        if !self.is_verified() {
            let file = dir.map(|dir| self.read_anew(dir));
            self.note(self.check_everything(file).err().as_slice());
        }
        if !self.has_verified_words() {
            // It is not ended early, and what is damaged is passed over.
            let _ = self.verify_words(dir, &mut |_| ControlFlow::Continue(()));
        }
        self.check()
    }

    /// Sees to it that the values of its rows were verified.
    pub(crate) fn verify_columns_once(&self, dir: &dyn Dir) -> Result<()> {
        self.check()?;
        if !self.is_verified()
            && let Err(fault) = self.check_sections(dir, [self.columns.section()])
        {
            self.note(&[fault]);
        }
        self.check()
    }

    /// Sees to it that what the deaths of rows rest on was verified.
    pub(crate) fn verify_deaths_once(&self, dir: &dyn Dir) -> Result<()> {
        self.check()?;
        if !self.is_verified() && !self.integrity.has_verified_deaths.load(Ordering::Acquire) {
            match self.check_deaths(dir) {
                Ok(()) => self.integrity.has_verified_deaths.store(true, Ordering::Release),
                Err(fault) => self.note(&[fault]),
            }
        }
        self.check()
    }

    fn read_anew(&self, dir: &dyn Dir) -> BlockReader {
        BlockReader::anew(dir, &segment_file(self.id), (self.blob(), &self.blocks))
    }

    /// Checks every block, in parallel, read from the file or where the segment is, and the structure.
    pub(super) fn check_everything(&self, file: Option<BlockReader>) -> Result<(), Fault> {
        match file {
            Some(file) => self.blocks.check_all_read(file)?,
            None => self.blocks.check_all(self.bytes())?,
        }
        at_once(|pace| self.check_structure(pace))
    }

    /// Reads the blocks in which some sections lie.
    fn check_sections(
        &self,
        dir: &dyn Dir,
        sections: impl IntoIterator<Item = Range<usize>>,
    ) -> Result<(), Fault> {
        let (blocks, mut headers) = Headers::read(self.read_anew(dir))?;
        sections.into_iter().try_for_each(|section| headers.check(&blocks, section))
    }

    fn check_deaths(&self, dir: &dyn Dir) -> Result<(), Fault> {
        let of_ids = [&self.ids.order, &self.ids.ends, &self.ids.ids];
        let of_expiries = self.expiries.iter().flat_map(|expiries| [&expiries.by_slot, &expiries.order]);
        self.check_sections(dir, of_ids.into_iter().chain(of_expiries).cloned())?;
        at_once(|pace| {
            self.ids.check_structure(pace)?;
            self.check_expiries(pace)
        })
    }

    fn check_expiries(&self, pace: &mut Pace<'_>) -> Result<(), Halt<Fault>> {
        self.expiries.iter().try_for_each(|expiries| expiries.check_structure(self.bytes(), pace))
    }

    /// Checks what checksums do not: that the parts agree.
    fn check_structure(&self, pace: &mut Pace<'_>) -> Result<(), Halt<Fault>> {
        self.dense.iter().try_for_each(|dense| dense.check_structure(pace))?;
        self.sparse.values().try_for_each(|sparse| sparse.check_structure(pace))?;
        self.multi.values().try_for_each(|multi| multi.check_structure(pace))?;
        self.columns.check_structure(self.bytes(), pace)?;
        self.check_expiries(pace)?;
        self.ids.check_structure(pace)
    }
}
