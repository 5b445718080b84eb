//! Restoring: a snapshot, and the archived log after it up to a moment.

use std::io::{Seek, Write};
use std::ops::ControlFlow;
use std::path::Path;

use ragstone::snapshot::{OpenedRestore, Restore, Restored, Until};

use crate::error::{Error, Result, describe};
use crate::hash::Hash;
use crate::manifest::{Snapshot, SnapshotFile};
use crate::names::{LogObject, contradicted};
use crate::progress::{Meter, Progress};
use crate::repository::Repository;
use crate::take::DATABASE_MANIFEST;

/// What is to be restored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoreRequest {
    /// The snapshot to begin with; without it the newest that is not beyond the moment, of the database of which the newest
    /// snapshot is. Of a write of a collection, the newest that has the collection with that write yet to come; if no snapshot
    /// has the collection so, the newest before the collection was made. One that cannot be read is passed over, with a warning in the log, if that
    /// changes nothing of this.
    pub snapshot: Option<String>,
    /// The moment; without it that of the snapshot, and no archived log is used.
    pub until: Option<Until>,
}

impl RestoreRequest {
    /// The newest snapshot, as it was taken.
    pub fn newest() -> Self {
        Self::default()
    }

    /// A snapshot, as it was taken.
    pub fn snapshot(name: &str) -> Self {
        Self { snapshot: Some(name.to_owned()), until: None }
    }

    /// The database as it was at a moment.
    pub fn until(until: Until) -> Self {
        Self { snapshot: None, until: Some(until) }
    }
}

impl Repository {
    /// Restores into an empty directory, made if absent. Every object is compared with its hash, then everything with the
    /// checksums of its file; until all is done nothing can open the directory. Interrupted, it goes on where it was when it
    /// is called again with the same request.
    ///
    /// The restored database has a [`Lineage`](ragstone::Lineage) of its own.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NoSnapshot`]; [`Error::Undecided`] if one that cannot be read may be the one to begin with;
    /// [`Error::Damaged`] and [`Error::Missing`] name the object; [`Error::MissingLog`], [`Error::NotReached`], [`Error::Diverged`];
    /// [`Error::Engine`] if the directory is not empty, what an interruption left is damaged, or the disk refuses; [`Error::Store`],
    /// [`Error::Cancelled`].
    pub fn restore(
        &self,
        request: &RestoreRequest,
        path: impl AsRef<Path>,
        mut progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Restored> {
        let snapshot = match &request.snapshot {
            Some(name) => self.snapshot(name)?,
            None => self.choose(request.until.as_ref())?,
        };
        let moment = request.until.as_ref().map_or_else(|| "its end".to_owned(), describe);
        let source = format!("{} of {} until {moment}", snapshot.name, Hash::of(&snapshot.encode()));
        let mut meter = Meter::new(snapshot.size_bytes(), &mut progress);
        let restore = Restore::begin(&path, &source)?;
        let opened = self.restore_files(&snapshot, restore, &mut meter)?;
        let opened = match &request.until {
            Some(until) => Moment { repository: self, until, scratch: path.as_ref() }
                .reach(&snapshot, opened, &mut meter)?,
            None => opened,
        };
        Ok(opened.finish()?)
    }

    fn restore_files(
        &self,
        snapshot: &Snapshot,
        restore: Restore,
        meter: &mut Meter<'_>,
    ) -> Result<OpenedRestore> {
        let manifest = self.fetch(&snapshot.files, &restore, meter)?;
        Ok(restore.open(&manifest)?)
    }

    /// Puts files of a snapshot into their places, but for those that are there; the manifest, if it is one of them.
    pub(crate) fn fetch<'a>(
        &self,
        files: impl IntoIterator<Item = &'a SnapshotFile>,
        restore: &Restore,
        meter: &mut Meter<'_>,
    ) -> Result<Vec<u8>> {
        let mut manifest = Vec::new();
        for file in files {
            let object = (file.object.as_str(), Some(file.size_bytes), &file.sha256);
            if file.name == DATABASE_MANIFEST {
                self.download(object, &mut manifest, meter)?;
            } else if restore.has_files() || is_there(restore, file, meter)? {
                meter.advance(file.size_bytes)?;
            } else {
                let mut writer = restore.write(&file.name)?;
                self.download(object, &mut writer, meter)?;
                writer.flush().map_err(|source| Error::File { file: file.name.clone(), source })?;
                writer.commit()?;
            }
        }
        Ok(manifest)
    }

    /// Copies a file of the log, compared with its hash. How long it is.
    pub(crate) fn download_log(
        &self,
        object: &LogObject,
        writer: &mut dyn Write,
        meter: &mut Meter<'_>,
    ) -> Result<u64> {
        self.download((&object.name(), None, &object.hash), writer, meter)
    }
}

/// Whether a file is there, from before an interruption, as it was uploaded. One that was damaged meanwhile is fetched again.
fn is_there(restore: &Restore, file: &SnapshotFile, meter: &mut Meter<'_>) -> Result<bool> {
    let Some(mut reader) = restore.reader(&file.name)? else { return Ok(false) };
    match Hash::of_reader(&mut reader, (&file.name, file.size_bytes), meter) {
        Ok(hash) => Ok(hash == file.sha256),
        Err(Error::File { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A moment that archived log leads to.
struct Moment<'a> {
    repository: &'a Repository,
    until: &'a Until,
    /// Where files of the log lie while they are carried out, without a name.
    scratch: &'a Path,
}

impl Moment<'_> {
    fn reach(
        &self,
        snapshot: &Snapshot,
        mut opened: OpenedRestore,
        meter: &mut Meter<'_>,
    ) -> Result<OpenedRestore> {
        let mut is_reached = opened.has_reached(self.until)?;
        let log = self.repository.archived_log(snapshot.lineage)?;
        for (object, is_contradicted) in log.iter().zip(contradicted(&log)) {
            if is_reached || object.last <= opened.position() {
                continue;
            }
            if is_contradicted {
                return Err(Error::Diverged { object: object.name() });
            }
            let next = opened.position() + 1;
            if object.first > next {
                return Err(Error::MissingLog { from: next, to: object.first - 1 });
            }
            is_reached = self.apply(object, &mut opened, meter)?;
            meter.advance(0)?;
        }
        let is_exact = matches!(self.until, Until::Position(_) | Until::Write { .. });
        if is_exact && !is_reached {
            return Err(Error::NotReached { position: opened.position(), until: self.until.clone() });
        }
        Ok(opened)
    }

    /// Carries out a file of the log: first it is fetched as a whole, to disk since it may be of any size, and compared with
    /// its hash.
    fn apply(&self, object: &LogObject, opened: &mut OpenedRestore, meter: &mut Meter<'_>) -> Result<bool> {
        let unwritten = |source| Error::File { file: format!("the copy of {}", object.name()), source };
        let mut file = tempfile::tempfile_in(self.scratch).map_err(unwritten)?;
        self.repository.download_log(object, &mut file, meter)?;
        file.rewind().map_err(unwritten)?;
        opened.apply_log(file, self.until).map_err(|error| match error {
            ragstone::Error::Invalid { field, reason } if field == "log" => {
                Error::Damaged { object: object.name(), reason }
            }
            error => error.into(),
        })
    }
}

#[cfg(test)]
mod tests;
