//! Taking a snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::{SystemTime, UNIX_EPOCH};

use ragstone::Db;
use ragstone::snapshot::{Pin, PinnedFile};

use crate::choose::Unreadable;
use crate::error::{Error, Result};
use crate::guard::Mark;
use crate::hash::Hash;
use crate::manifest::{Snapshot, SnapshotFile};
use crate::names::{self, LOG, LogObject, OBJECTS, SNAPSHOTS, object};
use crate::progress::{Meter, Progress};
use crate::repository::{Repository, Upload};

/// The name that the manifest of the database has among the files of a snapshot.
pub(crate) const DATABASE_MANIFEST: &str = "MANIFEST";

/// A snapshot that was taken, and what that took.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Taken {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Files that were uploaded; the others were there.
    pub uploaded: usize,
    /// Their bytes.
    pub uploaded_bytes: u64,
}

/// What is there already.
struct There {
    /// Objects, by name, with their lengths; none that is noted as damaged.
    objects: BTreeMap<String, u64>,
    /// Those that are.
    damaged: BTreeSet<String>,
    /// Segments of earlier snapshots of the same lineage, by their names and checksums.
    segments: BTreeMap<(String, Hash), SnapshotFile>,
    /// The archived log of the lineage.
    log: Vec<LogObject>,
}

impl There {
    fn look(repository: &Repository, pin: &Pin) -> Result<Self> {
        let lineage = format!("{LOG}/{}", pin.lineage());
        let mut objects = BTreeMap::new();
        for below in [OBJECTS, &lineage] {
            let found = repository.list_objects(below)?;
            objects.extend(found.into_iter().map(|meta| (repository.name_of(&meta.location), meta.size)));
        }
        let mut segments = BTreeMap::new();
        let unreadable = repository.look(|earlier| {
            if earlier.lineage == pin.lineage() {
                let named = earlier.files.into_iter();
                segments.extend(
                    named.filter_map(|file| Some(((file.name.clone(), file.checksums_sha256?), file))),
                );
            }
        })?;
        // One that nobody can read is no reason to have none that can be read.
        for Unreadable { why, .. } in unreadable {
            tracing::warn!(error = %why, "what only this snapshot has is read and compared again");
        }
        // Of the damaged ones too: they are of this history or of another.
        let log = objects.keys().filter_map(|object| LogObject::parse(object)).collect();
        let damaged = repository.noted_objects()?;
        objects.retain(|object, _| !damaged.contains(object));
        Ok(Self { objects, damaged, segments, log })
    }

    fn has(&self, object: &str, size_bytes: u64) -> bool {
        self.objects.get(object) == Some(&size_bytes)
    }

    /// A segment of an earlier snapshot whose object is there. A name is used once within a lineage, but for directories that were
    /// copied or put back to an older state; so its checksums must be the same too.
    fn known(&self, file: &PinnedFile, checksums: Hash) -> Option<&SnapshotFile> {
        let known = self.segments.get(&(file.name().to_owned(), checksums))?;
        (known.size_bytes == file.size_bytes() && self.has(&known.object, known.size_bytes)).then_some(known)
    }
}

/// A snapshot on its way.
struct Taking<'a> {
    repository: &'a Repository,
    mark: Mark<'a>,
    there: There,
    meter: Meter<'a>,
    files: Vec<SnapshotFile>,
    uploaded: BTreeSet<String>,
    uploaded_bytes: u64,
}

impl Repository {
    /// Takes a snapshot of a database, while reads and writes of it go on. It has everything that was acknowledged before.
    /// Without a name it is called after the time. `progress` is called every few megabytes, and may end it; run again, it
    /// uploads what is not there yet.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Exists`]; [`Error::Engine`] if a file of the database is damaged; [`Error::Diverged`] if the log
    /// at the place is of another history of the same lineage; [`Error::Busy`] beside a garbage collection; [`Error::Store`],
    /// [`Error::Cancelled`].
    pub fn take(
        &self,
        db: &Db,
        name: Option<&str>,
        mut progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Taken> {
        let created_us = now_us();
        let name = name.map_or_else(|| name_of_time(created_us), str::to_owned);
        names::check_name(&name)?;
        if self.find(&format!("{SNAPSHOTS}/{name}"))?.is_some() {
            return Err(Error::Exists { name });
        }
        let mark = Mark::of_snapshot(self, &name)?;
        let pin = db.pin()?;
        let there = There::look(self, &pin)?;
        let manifest = pin.manifest();
        let total = pin.files().iter().map(PinnedFile::size_bytes).sum::<u64>() + manifest.len() as u64;
        let mut taking = Taking {
            repository: self,
            mark,
            there,
            meter: Meter::new(total, &mut progress),
            files: Vec::new(),
            uploaded: BTreeSet::new(),
            uploaded_bytes: 0,
        };
        taking.add_manifest(&manifest)?;
        pin.files().iter().try_for_each(|file| taking.add(file, &pin))?;
        let Taking { mark, files, uploaded, uploaded_bytes, .. } = taking;
        let snapshot = Snapshot {
            name,
            lineage: pin.lineage(),
            position: pin.position(),
            time_us: pin.time_us(),
            created_us,
            collections: pin.collections().iter().map(|found| (found.name.clone(), found.seq)).collect(),
            files,
        };
        mark.complete(&snapshot.name, snapshot.encode())?;
        Ok(Taken { snapshot, uploaded: uploaded.len(), uploaded_bytes })
    }
}

impl Taking<'_> {
    fn add_manifest(&mut self, bytes: &[u8]) -> Result<()> {
        let (name, size_bytes, sha256) = (DATABASE_MANIFEST, bytes.len() as u64, Hash::of(bytes));
        let (name, object) = (name.to_owned(), object(&sha256));
        self.upload(SnapshotFile { name, size_bytes, object, sha256, checksums_sha256: None }, &mut &*bytes)
    }

    /// Sees to it that a file is there, and notes it.
    fn add(&mut self, file: &PinnedFile, pin: &Pin) -> Result<()> {
        self.mark.renew()?;
        let checksums_sha256 = file.checksums()?.map(|checksums| Hash::of(&checksums));
        if let Some(known) = checksums_sha256.and_then(|checksums| self.there.known(file, checksums)) {
            self.files.push(known.clone());
            return self.meter.advance(file.size_bytes());
        }
        let (name, size_bytes) = (file.name(), file.size_bytes());
        let sha256 = Hash::of_reader(&mut file.reader()?, (name, size_bytes), &mut self.meter)?;
        let log = file.log_positions();
        let log = log.map(|(first, last)| LogObject { lineage: pin.lineage(), first, last, hash: sha256 });
        let object = log.as_ref().map_or_else(|| object(&sha256), LogObject::name);
        // What is there under this hash was verified before it was put there.
        if !self.there.has(&object, size_bytes) {
            file.verify()?;
            log.map_or(Ok(()), |log| log.check_is_of_one_history(&self.there.log))?;
        }
        let name = name.to_owned();
        self.upload(SnapshotFile { name, size_bytes, object, sha256, checksums_sha256 }, &mut file.reader()?)
    }

    fn upload(&mut self, file: SnapshotFile, reader: &mut dyn std::io::Read) -> Result<()> {
        let SnapshotFile { name, size_bytes, object, sha256, .. } = &file;
        if self.there.has(object, *size_bytes) || self.uploaded.contains(object) {
            self.meter.advance(*size_bytes)?;
        } else {
            let upload = Upload { file: name, size_bytes: *size_bytes, hash: *sha256, object };
            self.repository.upload(&upload, reader, &mut self.meter, &mut || self.mark.renew())?;
            if self.there.damaged.contains(object) {
                self.repository.forget_damage(object);
            }
            self.uploaded.insert(object.clone());
            self.uploaded_bytes += size_bytes;
        }
        self.mark.renew()?;
        self.files.push(file);
        Ok(())
    }
}

/// Microseconds since 1970.
fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// `20261122T103059.123456Z`: names are in the order of time.
fn name_of_time(time_us: u64) -> String {
    let time = i64::try_from(time_us).ok().and_then(chrono::DateTime::from_timestamp_micros);
    time.unwrap_or_default().format("%Y%m%dT%H%M%S%.6fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_name() {
        let name = name_of_time(1_700_000_000_120_000);
        assert_eq!(name, "20231114T221320.120000Z");
        names::check_name(&name).unwrap();
    }
}
