//! A directory in which files can be pinned: they stay while somebody copies them.
//!
//! **Problem.** A merge removes its sources, a seal cuts the log; a copy of the database that is under way still needs
//! them, for as long as a slow network takes.
//!
//! **Idea.** The engine removes files through its directory anyway, and never uses a name twice. So the directory counts
//! who holds a name; a removal of a held name is put off until nobody does. A crash meanwhile leaves the file as it leaves
//! any that the manifest does not name, and the next opening removes it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Access, Blob, Dir, DirFile, DirLock, Lifetime, Reader};
use crate::error::Result;

/// A directory and who holds which of its names.
#[derive(Debug)]
pub(crate) struct PinnedDir {
    inner: Arc<dyn Dir>,
    held: Mutex<BTreeMap<String, Held>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Held {
    by: usize,
    /// Whether it is to be removed when nobody holds it any more.
    is_removed: bool,
}

/// Names that stay while this lives.
#[derive(Debug)]
pub(crate) struct Pins {
    dir: Arc<PinnedDir>,
    names: Vec<String>,
}

impl PinnedDir {
    pub(crate) fn new(inner: Arc<dyn Dir>) -> Self {
        Self { inner, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<String, Held>> {
        // Counts that no panic leaves half-changed.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds the names that `choose` gives; no file is removed while it chooses.
    pub(crate) fn pin<T>(self: &Arc<Self>, choose: impl FnOnce() -> (T, Vec<String>)) -> (T, Pins) {
        let mut held = self.held();
        let (value, names) = choose();
        for name in &names {
            held.entry(name.clone()).or_default().by += 1;
        }
        drop(held);
        (value, Pins { dir: self.clone(), names })
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        let mut held = self.dir.held();
        for name in &self.names {
            let Some(entry) = held.get_mut(name) else { continue };
            entry.by -= 1;
            if entry.by > 0 {
                continue;
            }
            let is_removed = entry.is_removed;
            held.remove(name);
            if is_removed && let Err(error) = self.dir.inner.remove(name) {
                tracing::debug!(%error, "left an obsolete file for the next opening");
            }
        }
    }
}

impl Dir for PinnedDir {
    fn path(&self) -> &Path {
        self.inner.path()
    }
    fn lock(&self) -> Result<Box<dyn DirLock>> {
        self.inner.lock()
    }
    fn lock_shared(&self) -> Result<Box<dyn DirLock>> {
        self.inner.lock_shared()
    }
    fn lifetime(&self) -> Lifetime {
        self.inner.lifetime()
    }
    fn list(&self) -> Result<Vec<String>> {
        self.inner.list()
    }
    fn read(&self, name: &str) -> Result<Vec<u8>> {
        self.inner.read(name)
    }
    fn size_bytes(&self, name: &str) -> Result<u64> {
        self.inner.size_bytes(name)
    }
    fn reader(&self, name: &str) -> Result<Box<dyn Reader>> {
        self.inner.reader(name)
    }
    fn map(&self, name: &str, access: Access) -> Result<Blob> {
        self.inner.map(name, access)
    }
    fn load(&self, name: &str) -> Result<Blob> {
        self.inner.load(name)
    }
    fn create(&self, name: &str) -> Result<Box<dyn DirFile>> {
        self.inner.create(name)
    }
    fn truncate(&self, name: &str, length_bytes: u64) -> Result<()> {
        self.inner.truncate(name, length_bytes)
    }
    fn sync_file(&self, name: &str) -> Result<()> {
        self.inner.sync_file(name)
    }
    /// What has the name after this is held by nobody: only names that come into being by it are held before.
    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.inner.rename(from, to)
    }
    fn remove(&self, name: &str) -> Result<()> {
        let mut held = self.held();
        match held.get_mut(name) {
            Some(entry) => {
                entry.is_removed = true;
                Ok(())
            }
            None => self.inner.remove(name),
        }
    }
    fn sync(&self) -> Result<()> {
        self.inner.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::memory::MemoryDir;

    #[test]
    fn a_held_file_goes_when_the_last_lets_go() {
        let memory = MemoryDir::new();
        let dir = Arc::new(PinnedDir::new(Arc::new(memory.clone())));
        for name in ["a", "b"] {
            dir.create(name).unwrap();
        }
        let ((), first) = dir.pin(|| ((), vec!["a".into()]));
        let ((), second) = dir.pin(|| ((), vec!["a".into(), "b".into()]));
        dir.remove("a").unwrap();
        drop(first);
        assert_eq!(memory.list().unwrap(), ["a", "b"]);
        drop(second);
        assert_eq!(memory.list().unwrap(), ["b"]);
        dir.remove("b").unwrap();
        assert!(memory.list().unwrap().is_empty());
        assert!(dir.remove("b").is_err(), "what is not there cannot be removed");
    }
}
