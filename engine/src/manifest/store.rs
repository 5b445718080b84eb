//! The root on disk and in memory: how one takes the place of the other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{MANIFEST_COPY_FILE, MANIFEST_FILE, MANIFEST_NEW_FILE, Manifest};
use crate::dir::{Dir, Lifetime, corrupt};
use crate::error::Result;
use crate::faults::{self, Mutant};
use crate::lineage::Lineage;
use crate::verify::differs;

/// The root on disk and in memory.
#[derive(Debug)]
pub(crate) struct ManifestStore {
    dir: Arc<dyn Dir>,
    /// Held while a change is written: changes are rare, and each builds on the one before it.
    current: Mutex<Manifest>,
    /// The root as it was read, of a database that is only read: what the log has beyond it is in `current` alone.
    as_read: Option<Manifest>,
}

impl ManifestStore {
    /// Reads the root, or makes the first one in a directory that `is_fresh`.
    pub(crate) fn open(dir: Arc<dyn Dir>, is_fresh: bool) -> Result<Self> {
        if is_fresh {
            let lineage = Lineage::new();
            let manifest = Manifest { next_collection: 1, next_segment: 1, lineage, ..Manifest::default() };
            write(&*dir, &manifest)?;
            return Ok(Self { dir, current: Mutex::new(manifest), as_read: None });
        }
        let bytes = dir.read(MANIFEST_FILE)?;
        let manifest = Manifest::decode(&bytes)
            .map_err(|(offset, reason)| corrupt(&*dir, MANIFEST_FILE, offset as u64, reason))?;
        // A crash may have come before the copy, or amid it.
        if dir.read(MANIFEST_COPY_FILE).ok().as_deref() != Some(&bytes) {
            // Nor is it known then whether the root's name is durable. It is before anything goes that only the root before it named.
            dir.sync()?;
            write_copy(&*dir, &bytes);
        }
        let as_read = (dir.lifetime() == Lifetime::ReadOnly).then(|| manifest.clone());
        Ok(Self { dir, current: Mutex::new(manifest), as_read })
    }

    /// Puts a root in the place of whatever there is.
    pub(crate) fn replace(dir: &dyn Dir, manifest: &Manifest) -> Result<()> {
        write(dir, manifest)
    }

    /// Brings the root up to an option, if that is set.
    pub(crate) fn settle(&self, keep_log_bytes: Option<u64>) -> Result<()> {
        let root = self.current();
        let keep_log_bytes = keep_log_bytes.unwrap_or(root.keep_log_bytes);
        if keep_log_bytes == root.keep_log_bytes {
            return Ok(());
        }
        self.update(|manifest| {
            manifest.keep_log_bytes = keep_log_bytes;
            Ok(())
        })
    }

    /// Compares the file with what this process wrote or read.
    pub(crate) fn verify(&self) -> Result<()> {
        let current = self.lock();
        let bytes = self.dir.read(MANIFEST_FILE)?;
        let manifest = Manifest::decode(&bytes)
            .map_err(|(offset, reason)| corrupt(&*self.dir, MANIFEST_FILE, offset as u64, reason))?;
        if manifest != *self.as_read.as_ref().unwrap_or(&current) {
            return Err(differs(&*self.dir, MANIFEST_FILE));
        }
        // That there is no copy is not damage.
        match self.dir.read(MANIFEST_COPY_FILE) {
            Ok(copy) if copy != bytes => Err(differs(&*self.dir, MANIFEST_COPY_FILE)),
            _ => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Manifest> {
        // The value is replaced as a whole after the write, so a panic leaves the old one.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the root while it cannot change.
    pub(crate) fn hold<T>(&self, look: impl FnOnce(&Manifest) -> T) -> T {
        look(&self.lock())
    }

    /// What the root says now.
    pub(crate) fn current(&self) -> Manifest {
        self.lock().clone()
    }

    /// Which history the database is of.
    pub(crate) fn lineage(&self) -> Lineage {
        self.lock().lineage
    }

    /// The id that the next collection gets.
    pub(crate) fn next_collection(&self) -> u64 {
        self.lock().next_collection
    }

    /// Changes the root; durable when it returns. An error from `change` changes nothing; an I/O error leaves
    /// unknown which root the disk holds, so the caller poisons the store.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut Manifest) -> Result<T>) -> Result<T> {
        self.update_after(change, |_| Ok(()))
    }

    /// The same, with something done when the new root is on the disk beside the old one: if that fails, the old one stays.
    pub(crate) fn update_after<T>(
        &self,
        change: impl FnOnce(&mut Manifest) -> Result<T>,
        before: impl FnOnce(&T) -> Result<()>,
    ) -> Result<T> {
        let mut current = self.lock();
        let mut next = current.clone();
        let value = change(&mut next)?;
        next.generation += 1;
        if self.dir.lifetime() == Lifetime::ReadOnly {
            // What the log has beyond the file is done in memory, at every opening anew.
            before(&value)?;
        } else {
            let bytes = prepare(&*self.dir, &next)?;
            before(&value)?;
            publish(&*self.dir, &bytes)?;
        }
        *current = next;
        Ok(value)
    }
}

fn write(dir: &dyn Dir, manifest: &Manifest) -> Result<()> {
    publish(dir, &prepare(dir, manifest)?)
}

/// Writes a root beside the one there is.
fn prepare(dir: &dyn Dir, manifest: &Manifest) -> Result<Vec<u8>> {
    let bytes = manifest.encode();
    let mut file = dir.create(MANIFEST_NEW_FILE)?;
    file.write(&bytes)?;
    file.sync()?;
    drop(file);
    faults::point("manifest.written");
    Ok(bytes)
}

/// Puts what was written in its place.
fn publish(dir: &dyn Dir, bytes: &[u8]) -> Result<()> {
    dir.rename(MANIFEST_NEW_FILE, MANIFEST_FILE)?;
    faults::point("manifest.renamed");
    if faults::is(Mutant::ManifestWithoutDirectorySync) {
        return Ok(());
    }
    dir.sync()?;
    write_copy(dir, bytes);
    Ok(())
}

/// Writes the copy. No answer depends on it: without it, a damaged manifest cannot be made good, that is all.
fn write_copy(dir: &dyn Dir, bytes: &[u8]) {
    let written = dir.create(MANIFEST_COPY_FILE).and_then(|mut file| {
        file.write(bytes)?;
        file.sync()
    });
    if let Err(error) = written {
        tracing::warn!(%error, "the manifest has no copy");
        // Half of one would look like damage.
        let _ = dir.remove(MANIFEST_COPY_FILE);
    }
}
