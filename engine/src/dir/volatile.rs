//! A directory in memory of the process, for a database that ends with it.
//!
//! **Idea.** A file is written in pieces and then read whole, which is all that the engine does with one. While it is
//! written it is a list of pieces, so that none is moved as it grows. When it is first mapped after that, it becomes one
//! anonymous map (`resident.rs`: page-aligned, on huge pages), piece by piece, each given back as it is copied. So a
//! segment is there once, where searches read it, and searches are as fast as on a file that is in memory.
//!
//! **Cost.** No call waits for a disk. Sealing reads back what it has written of a segment (its vectors): until the file
//! is closed, these bytes are there twice.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Access, Blob, Dir, DirFile, DirLock, Lifetime, Reader, io_error, over, resident};
use crate::error::{Error, LockHolder, Result};

/// A piece takes small writes until it has so many bytes.
const PIECE_BYTES: usize = 1 << 20;

/// The bytes of a file.
#[derive(Default)]
struct Content {
    /// All bytes, unless they are in `whole` alone.
    pieces: Vec<Vec<u8>>,
    length: usize,
    /// The bytes as one, as of some moment.
    whole: Option<Blob>,
    /// Whether it may get more bytes.
    is_open: bool,
}

impl Content {
    fn append(&mut self, bytes: &[u8]) {
        match self.pieces.last_mut() {
            Some(last) if last.len() + bytes.len() <= PIECE_BYTES => last.extend_from_slice(bytes),
            _ => self.pieces.push(bytes.to_vec()),
        }
        self.length += bytes.len();
    }

    fn whole(&mut self, path: &Path) -> Result<Blob> {
        if let Some(whole) = self.whole.as_ref().filter(|whole| (***whole).as_ref().len() == self.length) {
            return Ok(whole.clone());
        }
        let mut kept = std::mem::take(&mut self.pieces);
        let is_open = self.is_open;
        let made = resident::fill(path, self.length, |memory| {
            let mut from = 0;
            for piece in &mut kept {
                memory[from..from + piece.len()].copy_from_slice(piece);
                from += piece.len();
                if !is_open {
                    *piece = Vec::new();
                }
            }
            Ok(())
        });
        // Without memory nothing was copied, and nothing given back.
        if is_open || made.is_err() {
            self.pieces = kept;
        }
        let made = made?;
        self.whole = Some(made.clone());
        Ok(made)
    }

    fn bytes(&self) -> Vec<u8> {
        match &self.whole {
            Some(whole) if self.pieces.is_empty() => (**whole).as_ref().to_vec(),
            _ => self.pieces.concat(),
        }
    }
}

type File = Arc<Mutex<Content>>;

fn content(file: &File) -> MutexGuard<'_, Content> {
    // What panics here is an allocation, before anything changed.
    file.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The directory.
pub(crate) struct VolatileDir {
    path: PathBuf,
    files: Mutex<BTreeMap<String, File>>,
    locked: Arc<AtomicBool>,
}

impl std::fmt::Debug for VolatileDir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VolatileDir").finish_non_exhaustive()
    }
}

impl VolatileDir {
    pub(crate) fn new() -> Self {
        Self { path: ":memory:".into(), files: Mutex::default(), locked: Arc::default() }
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, File>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn missing(&self, operation: &'static str, name: &str) -> Error {
        io_error(operation, &self.file_path(name), std::io::ErrorKind::NotFound.into())
    }

    fn file(&self, operation: &'static str, name: &str) -> Result<File> {
        self.files().get(name).cloned().ok_or_else(|| self.missing(operation, name))
    }
}

impl Dir for VolatileDir {
    fn path(&self) -> &Path {
        &self.path
    }

    fn lock(&self) -> Result<Box<dyn DirLock>> {
        if self.locked.swap(true, Ordering::SeqCst) {
            return Err(Error::Locked { path: self.path.clone(), holder: LockHolder::Writer });
        }
        Ok(Box::new(VolatileLock(self.locked.clone())))
    }

    fn lifetime(&self) -> Lifetime {
        Lifetime::Volatile
    }

    fn list(&self) -> Result<Vec<String>> {
        Ok(self.files().keys().cloned().collect())
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        Ok(content(&self.file("read", name)?).bytes())
    }

    fn reader(&self, name: &str) -> Result<Box<dyn Reader>> {
        Ok(over(self.map(name, Access::Near)?))
    }

    fn map(&self, name: &str, _: Access) -> Result<Blob> {
        content(&self.file("map", name)?).whole(&self.file_path(name))
    }

    fn load(&self, name: &str) -> Result<Blob> {
        self.map(name, Access::Near)
    }

    fn create(&self, name: &str) -> Result<Box<dyn DirFile>> {
        let file = File::new(Mutex::new(Content { is_open: true, ..Content::default() }));
        self.files().insert(name.to_owned(), file.clone());
        Ok(Box::new(VolatileFile(file)))
    }

    fn truncate(&self, name: &str, length_bytes: u64) -> Result<()> {
        let file = self.file("truncate", name)?;
        let mut content = content(&file);
        let mut bytes = content.bytes();
        bytes.truncate(usize::try_from(length_bytes).unwrap_or(usize::MAX));
        *content = Content { length: bytes.len(), pieces: vec![bytes], ..Content::default() };
        Ok(())
    }

    /// There is nothing to make durable.
    fn sync_file(&self, _: &str) -> Result<()> {
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let mut files = self.files();
        let file = files.remove(from).ok_or_else(|| self.missing("rename", from))?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.files().remove(name).map(drop).ok_or_else(|| self.missing("remove", name))
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }
}

struct VolatileLock(Arc<AtomicBool>);

impl DirLock for VolatileLock {}

impl Drop for VolatileLock {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

struct VolatileFile(File);

impl DirFile for VolatileFile {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        content(&self.0).append(bytes);
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Drop for VolatileFile {
    fn drop(&mut self) {
        content(&self.0).is_open = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(dir: &VolatileDir, name: &str) -> Vec<u8> {
        (*dir.map(name, Access::Scattered).unwrap()).as_ref().to_vec()
    }

    #[test]
    fn a_file_is_what_was_written_and_is_kept_once() {
        let dir = VolatileDir::new();
        let bytes: Vec<u8> = (0..3 * PIECE_BYTES + 5).map(|i| (i % 251) as u8).collect();
        let mut file = dir.create("file").unwrap();
        let (first, second) = bytes.split_at(2 * PIECE_BYTES + 1);
        first.chunks(70_000).for_each(|part| file.write(part).unwrap());
        let early = dir.map("file", Access::Near).unwrap();
        second.chunks(7_001).for_each(|part| file.write(part).unwrap());
        assert!(dir.read("file").unwrap() == bytes && mapped(&dir, "file") == bytes);
        assert!((*early).as_ref() == first, "what was mapped stays as it was");
        file.sync().unwrap();
        file.write(b"end").unwrap();
        drop(file);
        let whole = dir.map("file", Access::Near).unwrap();
        assert!((*whole).as_ref() == [&bytes[..], b"end"].concat());
        assert!(Arc::ptr_eq(&whole, &dir.load("file").unwrap()));
        assert!(content(&dir.file("read", "file").unwrap()).pieces.is_empty());
        assert!(dir.read("file").unwrap() == (*whole).as_ref());
    }

    #[test]
    fn names_are_a_directorys() {
        let dir = VolatileDir::new();
        dir.create("b").unwrap().write(b"bytes").unwrap();
        dir.create("a").unwrap();
        assert_eq!((dir.list().unwrap(), mapped(&dir, "a")), (vec!["a".into(), "b".into()], Vec::new()));
        dir.rename("b", "a").unwrap();
        let view = dir.map("a", Access::Near).unwrap();
        dir.truncate("a", 2).unwrap();
        assert_eq!((dir.list().unwrap(), mapped(&dir, "a")), (vec!["a".into()], b"by".to_vec()));
        dir.remove("a").unwrap();
        assert_eq!((*view).as_ref(), b"bytes");
        for error in [dir.read("a").err(), dir.remove("a").err(), dir.rename("a", "b").err()] {
            assert!(
                matches!(error, Some(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound)
            );
        }
        let lock = dir.lock().unwrap();
        assert!(matches!(dir.lock().err(), Some(Error::Locked { holder: LockHolder::Writer, .. })));
        drop(lock);
        dir.lock().unwrap();
    }
}
