//! Carrying out archived log over a copy that was put into its place.
//!
//! How far it is, is told by the copy and the log read since, never by what segments hold (`restore.rs`).

use std::collections::BTreeMap;
use std::io::{Read, Seek};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::restore::RESTORE_FILE;
use crate::catalogue::{CATALOGUE, CatalogueChange};
use crate::collection::CollectionCore;
use crate::dir::io_error;
use crate::error::{Error, Result};
use crate::lineage::Lineage;
use crate::replacement::hidden_name;
use crate::staged::staged_name;
use crate::store::Store;
use crate::wal::{self, Ended, Place, Record};

/// Up to where archived log is carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Until {
    /// As far as it goes.
    End,
    /// Up to the write with this position, that of its [receipt](crate::WriteReceipt::position).
    Position(u64),
    /// Up to a moment, in microseconds since 1970 (UTC): the last writes that were logged by then.
    TimeUs(u64),
    /// Up to the write with this number in a collection, that of its [receipt](crate::WriteReceipt::seq).
    Write {
        /// The collection.
        collection: String,
        /// The number.
        seq: u64,
    },
}

/// A copy that is there and sound, and takes archived log.
#[derive(Debug)]
pub struct OpenedRestore {
    pub(super) store: Store,
    pub(super) cores: BTreeMap<u64, Arc<CollectionCore>>,
    pub(super) position: u64,
    pub(super) time_us: u64,
    /// By collection: the last write up to that position.
    pub(super) seqs: BTreeMap<String, u64>,
    pub(super) has_applied: bool,
    /// Whether an attempt before this one did everything but say so.
    pub(super) is_complete: bool,
}

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// The last write in it.
    pub position: u64,
    /// When it was logged: microseconds since 1970 (UTC).
    pub time_us: u64,
    /// The history that begins with it.
    pub lineage: Lineage,
}

/// Why the walk over a log file ended before its end.
enum Stop {
    Reached,
    Failed(Error),
}

impl OpenedRestore {
    /// The last write in it.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// When it was logged: microseconds since 1970 (UTC).
    pub fn time_us(&self) -> u64 {
        self.time_us
    }

    /// Whether everything up to there is in it, so that no more log is wanted. Of [`Until::End`] and [`Until::TimeUs`] only the
    /// next write tells, unless an interrupted restore had come to that already.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is beyond already: the copy is too new.
    pub fn has_reached(&self, until: &Until) -> Result<bool> {
        if self.is_complete {
            return Ok(true);
        }
        let (found, wanted) = match until {
            Until::End => return Ok(false),
            Until::TimeUs(time_us) if self.time_us > *time_us => (self.time_us, *time_us),
            Until::TimeUs(_) => return Ok(false),
            Until::Position(position) => (self.position, *position),
            Until::Write { collection, seq } => match self.seqs.get(collection) {
                Some(found) => (*found, *seq),
                None => return Ok(false),
            },
        };
        if found > wanted {
            return Err(Error::invalid("until", format!("the copy is at {found} already, beyond {wanted}")));
        }
        Ok(found == wanted)
    }

    /// Carries out the writes of a log file that come after those that are there, as far as `until`; whether that was
    /// reached. Files are given in the order of their positions, each at its start. A file is read twice, first to check it as
    /// a whole; one of its batches is in memory at a time.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming `log` if the file is damaged or does not follow on what is there; nothing of a damaged one
    /// is carried out. [`Error::Io`] if the file cannot be read or the disk refuses.
    pub fn apply_log(&mut self, mut file: impl Read + Seek, until: &Until) -> Result<bool> {
        if self.has_reached(until)? {
            return Ok(true);
        }
        let unread = |source| io_error("read", Path::new("a file of the archived log"), source);
        let failed = |ended: Ended<Error>| match ended {
            Ended::Damaged((offset, reason)) => Error::invalid("log", format!("byte {offset}: {reason}")),
            Ended::Unread(source) => unread(source),
            Ended::Stopped(error) => error,
        };
        wal::walk_closed(&mut file, None, |_, _| Ok(())).map_err(failed)?;
        file.rewind().map_err(unread)?;
        match wal::walk_closed(&mut file, None, |place, record| self.apply(place, &record, until)) {
            Ok(()) => Ok(false),
            Err(Ended::Stopped(Stop::Reached)) => Ok(true),
            Err(Ended::Stopped(Stop::Failed(error))) => Err(error),
            Err(Ended::Damaged(fault)) => Err(failed(Ended::Damaged(fault))),
            Err(Ended::Unread(source)) => Err(unread(source)),
        }
    }

    fn apply(&mut self, place: Place, record: &Record<'_>, until: &Until) -> Result<(), Stop> {
        let failed = |error| Stop::Failed(error);
        let wrong = |reason: String| Stop::Failed(Error::invalid("log", reason));
        if place.position <= self.position {
            return Ok(());
        }
        if matches!(until, Until::TimeUs(time_us) if place.time_us > *time_us) {
            return Err(Stop::Reached);
        }
        if place.position != self.position + 1 {
            return Err(wrong(format!("position {} follows {}", place.position, self.position)));
        }
        self.has_applied = true;
        let replayed = self.store.replay(&mut self.cores, record, place.position).map_err(failed)?;
        replayed.map_err(|reason| wrong(format!("position {}: {reason}", place.position)))?;
        (self.position, self.time_us) = (place.position, place.time_us);
        self.note_replacement(record);
        if record.log_id != CATALOGUE
            && let Some(core) = self.cores.get(&record.log_id)
        {
            self.seqs.insert(core.name().to_string(), record.seq);
            self.store.after_write(core).map_err(failed)?;
        }
        if self.has_reached(until).map_err(failed)? { Err(Stop::Reached) } else { Ok(()) }
    }

    /// What took the place of a collection has its name from then on, as has what was staged.
    fn note_replacement(&mut self, record: &Record<'_>) {
        if record.log_id != CATALOGUE {
            return;
        }
        let (id, before) = match CatalogueChange::decode(record.body) {
            Ok(CatalogueChange::Replace { id, original }) => (id, hidden_name(original)),
            Ok(CatalogueChange::Name { id, .. }) => (id, staged_name(id)),
            _ => return,
        };
        if let Some(core) = self.cores.get(&id) {
            let seq = self.seqs.remove(&before).unwrap_or_else(|| core.view().seq);
            self.seqs.insert(core.name().to_string(), seq);
        }
    }

    /// Makes it a database that can be opened.
    ///
    /// # Errors
    /// [`Error::Io`] if the disk refuses; the restore can be begun again.
    pub fn finish(self) -> Result<Restored> {
        if self.has_applied {
            // What was carried out is in no log of this directory.
            self.store.flush()?;
        }
        let lineage = Lineage::new();
        self.store.manifest.update(|manifest| {
            manifest.lineage = lineage;
            manifest.log.position = manifest.log.position.max(self.position);
            manifest.log.time_us = manifest.log.time_us.max(self.time_us);
            Ok(())
        })?;
        self.store.holds_log.store(false, Ordering::Relaxed);
        if self.has_applied {
            // All of it is in segments, and it ends before the position that the next write comes after.
            self.store.cut_log()?;
        }
        self.store.dir.remove(RESTORE_FILE)?;
        self.store.dir.sync()?;
        Ok(Restored { position: self.position, time_us: self.time_us, lineage })
    }
}
