//! Restoring: a snapshot, and the archived log after it up to a moment.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;

use ragstone::snapshot::{OpenedRestore, Restore, Restored, Until};

use crate::error::{Error, Result, describe};
use crate::hash::Hash;
use crate::manifest::Snapshot;
use crate::names::LogObject;
use crate::progress::{Meter, Progress};
use crate::repository::Repository;
use crate::take::DATABASE_MANIFEST;

/// What is to be restored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoreRequest {
    /// The snapshot to begin with; without it the newest that is not beyond the moment, of the database of which the newest
    /// snapshot is.
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

impl Snapshot {
    /// Whether a moment can be reached from it.
    fn is_before(&self, until: &Until) -> bool {
        match until {
            Until::Position(position) => self.position <= *position,
            Until::TimeUs(time_us) => self.time_us <= *time_us,
            Until::Write { collection, seq } => {
                self.collections.iter().all(|(name, found)| name != collection || found <= seq)
            }
            _ => true,
        }
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
    /// [`Error::NotFound`], [`Error::NoSnapshot`]; [`Error::Damaged`] and [`Error::Missing`] name the object;
    /// [`Error::MissingLog`], [`Error::NotReached`]; [`Error::Engine`] if the directory is not empty or the disk refuses;
    /// [`Error::Store`], [`Error::Cancelled`].
    pub fn restore(
        &self,
        request: &RestoreRequest,
        path: impl AsRef<Path>,
        mut progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Restored> {
        let snapshot = self.choose(request)?;
        let moment = request.until.as_ref().map_or_else(|| "its end".to_owned(), describe);
        let source = format!("{} of {} until {moment}", snapshot.name, Hash::of(&snapshot.encode()));
        let mut meter = Meter::new(snapshot.size_bytes(), &mut progress);
        let restore = Restore::begin(path, &source)?;
        let mut opened = self.restore_files(&snapshot, restore, &mut meter)?;
        if let Some(until) = &request.until {
            self.restore_log(&snapshot, &mut opened, until, &mut meter)?;
        }
        Ok(opened.finish()?)
    }

    /// The snapshot to begin with.
    fn choose(&self, request: &RestoreRequest) -> Result<Snapshot> {
        if let Some(name) = &request.snapshot {
            return self.snapshot(name);
        }
        let mut snapshots = self.list()?;
        let newest = snapshots.last().map(|newest| newest.lineage);
        snapshots.retain(|snapshot| Some(snapshot.lineage) == newest);
        if let Some(until) = &request.until {
            snapshots.retain(|snapshot| snapshot.is_before(until));
        }
        let last = snapshots.into_iter().max_by_key(|snapshot| (snapshot.position, snapshot.created_us));
        last.ok_or_else(|| Error::NoSnapshot { until: request.until.clone() })
    }

    fn restore_files(
        &self,
        snapshot: &Snapshot,
        restore: Restore,
        meter: &mut Meter<'_>,
    ) -> Result<OpenedRestore> {
        let mut manifest = Vec::new();
        for file in &snapshot.files {
            let object = (file.object.as_str(), file.size_bytes, &file.sha256);
            if file.name == DATABASE_MANIFEST {
                self.download(object, &mut manifest, meter)?;
            } else if restore.has_files() || restore.has(&file.name)? {
                meter.advance(file.size_bytes)?;
            } else {
                let mut writer = restore.write(&file.name)?;
                self.download(object, &mut writer, meter)?;
                writer.flush().map_err(|source| Error::File { file: file.name.clone(), source })?;
                writer.commit()?;
            }
        }
        Ok(restore.open(&manifest)?)
    }

    fn restore_log(
        &self,
        snapshot: &Snapshot,
        opened: &mut OpenedRestore,
        until: &Until,
        meter: &mut Meter<'_>,
    ) -> Result<()> {
        let mut is_reached = opened.has_reached(until)?;
        for object in self.archived_log(snapshot.lineage)? {
            if is_reached || object.last <= opened.position() {
                continue;
            }
            let next = opened.position() + 1;
            if object.first > next {
                return Err(Error::MissingLog { from: next, to: object.first - 1 });
            }
            let bytes = self.log_bytes(&object)?;
            meter.expect(bytes.len() as u64);
            is_reached = opened.apply_log(&bytes, until).map_err(|error| match error {
                ragstone::Error::Invalid { field, reason } if field == "log" => {
                    Error::Damaged { object: object.name(), reason }
                }
                error => error.into(),
            })?;
            meter.advance(bytes.len() as u64)?;
        }
        let is_exact = matches!(until, Until::Position(_) | Until::Write { .. });
        if is_exact && !is_reached {
            return Err(Error::NotReached { position: opened.position(), until: until.clone() });
        }
        Ok(())
    }

    /// A file of the log, compared with its hash.
    pub(crate) fn log_bytes(&self, object: &LogObject) -> Result<bytes::Bytes> {
        let name = object.name();
        let bytes = self.get(&name)?;
        match Hash::of(&bytes) == object.hash {
            true => Ok(bytes),
            false => Err(Error::Damaged { object: name, reason: "its hash does not match".into() }),
        }
    }
}
