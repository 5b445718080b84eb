//! A directory that nothing is written in, whatever opening a database does.
//!
//! **Problem.** Opening repairs: it cuts the torn tail of the log, and removes files that a crash left. On media that
//! cannot be written, or beside other readers, it may do neither; and whoever was promised that a database is only read
//! finds each file as it was.
//!
//! **Idea.** The repairs are kept here, as what this process sees of the directory: of a file that was cut, the bytes
//! before the cut; of a removed one, nothing. So recovery is the same code. What would make a file is refused: no code
//! comes here to write, as the log of such a database refuses writes first.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Access, Blob, Dir, DirFile, DirLock, Lifetime, Reader, io_error};
use crate::error::{Error, Result};

/// The directory.
#[derive(Debug)]
pub(crate) struct ReadOnlyDir {
    inner: Arc<dyn Dir>,
    /// Bytes that are left of the files that were cut; `None` of those that were removed.
    changed: Mutex<BTreeMap<String, Option<u64>>>,
}

impl ReadOnlyDir {
    pub(crate) fn new(inner: Arc<dyn Dir>) -> Self {
        Self { inner, changed: Mutex::default() }
    }

    fn changed(&self) -> MutexGuard<'_, BTreeMap<String, Option<u64>>> {
        // Each change is one insertion.
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refusal(&self) -> Error {
        Error::ReadOnly { path: self.path().to_owned() }
    }

    /// Fails if the file was removed; otherwise its length, if it was cut.
    fn cut(&self, operation: &'static str, name: &str) -> Result<Option<u64>> {
        match self.changed().get(name) {
            None => Ok(None),
            Some(Some(length_bytes)) => Ok(Some(*length_bytes)),
            Some(None) => {
                Err(io_error(operation, &self.file_path(name), std::io::ErrorKind::NotFound.into()))
            }
        }
    }
}

impl Dir for ReadOnlyDir {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    /// For reading, whatever for.
    fn lock(&self) -> Result<Box<dyn DirLock>> {
        self.inner.lock_shared()
    }

    fn lifetime(&self) -> Lifetime {
        Lifetime::ReadOnly
    }

    fn list(&self) -> Result<Vec<String>> {
        let mut names = self.inner.list()?;
        let changed = self.changed();
        names.retain(|name| changed.get(name) != Some(&None));
        Ok(names)
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        let cut = self.cut("read", name)?;
        let mut bytes = self.inner.read(name)?;
        if let Some(length) = cut.and_then(|length| usize::try_from(length).ok()) {
            bytes.truncate(length);
        }
        Ok(bytes)
    }

    fn size_bytes(&self, name: &str) -> Result<u64> {
        let cut = self.cut("look at", name)?;
        let size_bytes = self.inner.size_bytes(name)?;
        Ok(cut.map_or(size_bytes, |length| length.min(size_bytes)))
    }

    fn reader(&self, name: &str) -> Result<Box<dyn Reader>> {
        let cut = self.cut("open", name)?;
        let reader = self.inner.reader(name)?;
        Ok(match cut {
            Some(length) => Box::new(reader.take(length)),
            None => reader,
        })
    }

    /// Of segments, which are never cut.
    fn map(&self, name: &str, access: Access) -> Result<Blob> {
        self.cut("map", name)?;
        self.inner.map(name, access)
    }

    /// Of segments, which are never cut.
    fn load(&self, name: &str) -> Result<Blob> {
        self.cut("read", name)?;
        self.inner.load(name)
    }

    fn create(&self, _: &str) -> Result<Box<dyn DirFile>> {
        Err(self.refusal())
    }

    fn truncate(&self, name: &str, length_bytes: u64) -> Result<()> {
        self.cut("truncate", name)?;
        self.changed().insert(name.to_owned(), Some(length_bytes));
        Ok(())
    }

    /// There is nothing to make durable.
    fn sync_file(&self, _: &str) -> Result<()> {
        Ok(())
    }

    fn rename(&self, _: &str, _: &str) -> Result<()> {
        Err(self.refusal())
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.cut("remove", name)?;
        self.changed().insert(name.to_owned(), None);
        Ok(())
    }

    /// There is nothing to make durable.
    fn sync(&self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::RealDir;
    use crate::dir::memory::MemoryDir;

    #[test]
    fn changes_are_seen_here_and_made_nowhere() {
        let below = MemoryDir::new();
        for name in ["cut", "removed"] {
            below.create(name).unwrap().write(b"bytes").unwrap();
        }
        let calls = below.calls();
        let dir = ReadOnlyDir::new(Arc::new(below.clone()));
        dir.truncate("cut", 2).unwrap();
        dir.remove("removed").unwrap();
        dir.sync().unwrap();
        assert_eq!(dir.read("cut").unwrap(), b"by");
        assert!(matches!(dir.read("removed"), Err(Error::Io { operation: "read", .. })));
        assert!(dir.remove("removed").is_err() && dir.map("removed", Access::Near).is_err());
        assert_eq!(dir.list().unwrap(), ["cut"]);
        assert!(matches!(dir.create("new").err(), Some(Error::ReadOnly { .. })));
        assert!(matches!(dir.rename("cut", "new"), Err(Error::ReadOnly { .. })));
        assert_eq!(below.calls(), calls);
        assert_eq!((below.list().unwrap().len(), below.read("cut").unwrap()), (2, b"bytes".to_vec()));
    }
    /// Whoever asks for the length or the first bytes of a file of gigabytes does not read all of it.
    #[test]
    fn lengths_and_first_bytes_are_to_be_had_without_the_rest() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, b"before").unwrap();
        // It has a length and cannot be read.
        std::fs::create_dir(directory.path().join("folder")).unwrap();
        let dir = ReadOnlyDir::new(Arc::new(RealDir::existing(directory.path()).unwrap()));
        assert!(dir.read("folder").is_err() && dir.size_bytes("folder").is_ok());
        let text = |mut reader: Box<dyn Reader>| std::io::read_to_string(&mut reader).unwrap();
        let reader = dir.reader("file").unwrap();
        std::fs::write(&file, b"after").unwrap();
        assert_eq!(text(reader), "after", "nothing was read before it was asked for");
        dir.truncate("file", 3).unwrap();
        assert_eq!(
            (dir.size_bytes("file").unwrap(), text(dir.reader("file").unwrap())),
            (3, "aft".to_owned())
        );
        dir.truncate("file", 9).unwrap();
        assert_eq!(
            (dir.size_bytes("file").unwrap(), text(dir.reader("file").unwrap())),
            (5, "after".to_owned())
        );
        dir.remove("file").unwrap();
        assert!(dir.size_bytes("file").is_err() && dir.reader("file").is_err());
    }
}
