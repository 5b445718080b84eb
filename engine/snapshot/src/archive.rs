//! Archiving the log: what was written since the last snapshot.

use std::cmp::Reverse;
use std::ops::ControlFlow;

use ragstone::snapshot::PinnedLog;
use ragstone::{Db, Lineage};

use crate::choose::Unreadable;
use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::names::{LOG, LogObject, contradicted};
use crate::progress::{Meter, Progress};
use crate::repository::{Repository, Upload};

/// What was archived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Archived {
    /// Files that were uploaded; the others were there.
    pub uploaded: usize,
    /// Their bytes.
    pub uploaded_bytes: u64,
    /// The position of the last write that is archived.
    pub position: u64,
    /// Writes that no archive will have: they were removed before they were archived
    /// ([`DbOptions::keep_log_bytes`](ragstone::DbOptions::keep_log_bytes)). No moment between them and the next snapshot can
    /// be restored. They are those since the log archived before, or since the first snapshot if that is later: no moment
    /// before it can be restored anyway. Of several gaps, which damage to what is kept may leave, it is the first.
    pub gap: Option<Gap>,
    /// Whether the place has a snapshot of this history ([`Lineage`]). Without one none of its log can be restored: a database that was
    /// restored, or repaired so that something is not as it was, begins a history, and needs a snapshot of its own.
    pub has_snapshot: bool,
}

/// Writes that are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// The position of the first.
    pub from: u64,
    /// That of the last.
    pub to: u64,
}

impl Repository {
    /// Uploads the log of a database that is not archived yet, everything acknowledged before included, and lets the
    /// database remove what it kept for that. Called every minute, it is what can be lost of a database whose disk is lost.
    /// Each file of the log that is still there is read, and compared with what is archived of it by its hash.
    ///
    /// # Errors
    /// [`Error::Diverged`] if other writes are archived at the same positions, and then nothing is
    /// removed; [`Error::Engine`], [`Error::Store`],
    /// [`Error::Cancelled`].
    pub fn archive(
        &self,
        db: &Db,
        mut progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Archived> {
        let pinned = db.pin_log(0)?;
        let there = self.archived_log(pinned.lineage())?;
        let damaged = self.noted_objects()?;
        let total = pinned.files().iter().map(|file| file.file().size_bytes()).sum();
        let mut meter = Meter::new(total, &mut progress);
        let gap = self.first_gap(&pinned, &there)?;
        let position = pinned.position();
        let mut archived = Archived { uploaded: 0, uploaded_bytes: 0, position, gap, has_snapshot: false };
        for log_file in pinned.files() {
            let (file, first, last) = (log_file.file(), log_file.first(), log_file.last());
            let size_bytes = file.size_bytes();
            let hash = Hash::of_reader(&mut file.reader()?, (file.name(), size_bytes), &mut meter)?;
            let object = LogObject { lineage: pinned.lineage(), first, last, hash };
            let name = object.name();
            if there.binary_search(&object).is_ok() && !damaged.contains(&name) {
                meter.advance(size_bytes)?;
                continue;
            }
            // Before anything else is said of its content.
            file.verify()?;
            object.check_is_of_one_history(&there)?;
            let upload = Upload { file: file.name(), size_bytes, hash, object: &name };
            self.upload(&upload, &mut file.reader()?, &mut meter, &mut || Ok(()))?;
            if damaged.contains(&name) {
                self.forget_damage(&name);
            }
            archived.uploaded += 1;
            archived.uploaded_bytes += size_bytes;
        }
        // Another history may have been put there meanwhile. Of two who look after they put theirs, one sees the other.
        let there = self.archived_log(pinned.lineage())?;
        let oldest = pinned.files().first().map_or(u64::MAX, |file| file.first());
        let mut both = there.iter().zip(contradicted(&there));
        if let Some((object, _)) = both.find(|(object, found)| *found && object.last >= oldest) {
            return Err(Error::Diverged { object: object.name() });
        }
        // What was written is there by now, whatever manifests cannot be reached.
        archived.has_snapshot = self.has_snapshot(pinned.lineage())?;
        db.release_log(position)?;
        Ok(archived)
    }

    /// The first writes that are missing before a file of the log. They follow on one another, but where one cannot be read or a crash left
    /// only some of several. What is missing before one that is archived was said when it was.
    fn first_gap(&self, pinned: &PinnedLog, there: &[LogObject]) -> Result<Option<Gap>> {
        let mut before = 0u64;
        for file in pinned.files() {
            // Of files that follow on one another nothing is looked for.
            if before.saturating_add(1) < file.first()
                && !there.iter().any(|object| object.first == file.first())
                && let Some(gap) = self.gap_between(before, file.first(), (pinned.lineage(), there))?
            {
                return Ok(Some(gap));
            }
            before = file.last();
        }
        Ok(None)
    }

    /// The writes right before a position that are neither archived, nor up to a position that is about to be, nor in the first snapshot.
    ///
    /// A garbage collection beside this removes log up to the first snapshot, one object after another: a list of what is archived may
    /// have what comes before an object that is gone.
    fn gap_between(
        &self,
        before: u64,
        first: u64,
        (lineage, log): (Lineage, &[LogObject]),
    ) -> Result<Option<Gap>> {
        let archived = log.iter().map(|object| object.last).filter(|last| *last < first);
        let archived = archived.max().unwrap_or(0).max(before);
        if archived.saturating_add(1) >= first {
            return Ok(None);
        }
        let last = self.first_snapshot(lineage)?.map(|position| position.max(archived));
        Ok(last
            .filter(|last| last.saturating_add(1) < first)
            .map(|last| Gap { from: last + 1, to: first - 1 }))
    }

    /// The position of the first snapshot of a lineage. One whose manifest is damaged does not count: log is to be archived
    /// all the more.
    fn first_snapshot(&self, lineage: Lineage) -> Result<Option<u64>> {
        let mut first: Option<u64> = None;
        let unreadable = self.look(|snapshot| {
            if snapshot.lineage == lineage {
                first = Some(first.map_or(snapshot.position, |first| first.min(snapshot.position)));
            }
        })?;
        for Unreadable { why, .. } in unreadable {
            tracing::warn!(error = %why, "whether log is missing after this snapshot is not known");
        }
        Ok(first)
    }

    /// Whether a lineage has a snapshot. The one that was written last is looked at first, so that of many mostly one is.
    fn has_snapshot(&self, lineage: Lineage) -> Result<bool> {
        let mut manifests = self.manifests()?;
        manifests.sort_unstable_by_key(|(_, meta)| Reverse(meta.last_modified));
        for (name, _) in manifests {
            match self.snapshot(&name) {
                Ok(snapshot) if snapshot.lineage == lineage => return Ok(true),
                // Nothing leads on from one that cannot be read.
                Ok(_) | Err(Error::NotFound { .. } | Error::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// The archived log of a lineage, in the order of positions.
    pub(crate) fn archived_log(&self, lineage: Lineage) -> Result<Vec<LogObject>> {
        let found = self.list_objects(&format!("{LOG}/{lineage}"))?;
        let mut objects: Vec<LogObject> =
            found.iter().filter_map(|meta| LogObject::parse(&self.name_of(&meta.location))).collect();
        objects.sort_unstable();
        Ok(objects)
    }
}
