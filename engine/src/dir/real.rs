//! The directory of a real file system.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::{Access, Blob, Dir, DirFile, DirLock, Reader, io_error, mmap, resident};
use crate::error::{Error, LockHolder, Result};

/// The file whose lock is the directory's lock: exclusive for who writes, shared for who only reads. It stays when the lock is given back: removing it would let two
/// processes lock two files of one name.
const LOCK_FILE: &str = "LOCK";

/// A directory on disk.
#[derive(Debug)]
pub(crate) struct RealDir {
    path: PathBuf,
}

impl RealDir {
    /// Opens a directory, made with its parents if absent.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            let missing = missing_directories(path);
            fs::create_dir_all(path).map_err(|source| io_error("create directory", path, source))?;
            // A new name lives in the parent: without this, a power loss could take the whole database with it.
            missing.into_iter().filter_map(parent_of).try_for_each(sync_directory)?;
        }
        Self::existing(path)
    }

    /// Opens a directory that is there.
    pub(crate) fn existing(path: &Path) -> Result<Self> {
        let path = path.canonicalize().map_err(|source| io_error("open", path, source))?;
        Ok(Self { path })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Dir for RealDir {
    fn path(&self) -> &Path {
        &self.path
    }

    fn lock(&self) -> Result<Box<dyn DirLock>> {
        let path = self.at(LOCK_FILE);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| io_error("open", &path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(HeldLock { _file: Some(file) })),
            Err(TryLockError::WouldBlock) => {
                // Readers let another one in, a writer does not. It goes at once.
                let holder =
                    if file.try_lock_shared().is_ok() { LockHolder::Reader } else { LockHolder::Writer };
                Err(Error::Locked { path: self.path.clone(), holder })
            }
            Err(TryLockError::Error(source)) => Err(io_error("lock", &path, source)),
        }
    }

    fn lock_shared(&self) -> Result<Box<dyn DirLock>> {
        let path = self.at(LOCK_FILE);
        let opened = File::open(&path).or_else(|error| match error.kind() {
            // A copy without the file: it is made, so that a writer finds it locked.
            ErrorKind::NotFound => OpenOptions::new().create(true).truncate(false).write(true).open(&path),
            _ => Err(error),
        });
        let file = match opened {
            Ok(file) => file,
            // Nobody has it open, and nobody can write here.
            Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => {
                return Ok(Box::new(HeldLock { _file: None }));
            }
            Err(source) => return Err(io_error("open", &path, source)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(Box::new(HeldLock { _file: Some(file) })),
            Err(TryLockError::WouldBlock) => {
                Err(Error::Locked { path: self.path.clone(), holder: LockHolder::Writer })
            }
            Err(TryLockError::Error(source)) => Err(io_error("lock", &path, source)),
        }
    }

    fn list(&self) -> Result<Vec<String>> {
        let failed = |source| io_error("list", &self.path, source);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            // A name that is not UTF-8 is none of ours.
            if let Ok(name) = entry.map_err(failed)?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.at(name);
        fs::read(&path).map_err(|source| io_error("read", &path, source))
    }

    fn size_bytes(&self, name: &str) -> Result<u64> {
        let path = self.at(name);
        let found = fs::metadata(&path).map_err(|source| io_error("stat", &path, source))?;
        Ok(found.len())
    }

    fn reader(&self, name: &str) -> Result<Box<dyn Reader>> {
        let path = self.at(name);
        let file = File::open(&path).map_err(|source| io_error("open", &path, source))?;
        Ok(Box::new(file))
    }

    fn map(&self, name: &str, access: Access) -> Result<Blob> {
        mmap::map(&self.at(name), access)
    }

    fn load(&self, name: &str) -> Result<Blob> {
        resident::load(&self.at(name))
    }

    fn create(&self, name: &str) -> Result<Box<dyn DirFile>> {
        let path = self.at(name);
        let file = File::create(&path).map_err(|source| io_error("create", &path, source))?;
        Ok(Box::new(RealFile { file, path }))
    }

    fn truncate(&self, name: &str, length_bytes: u64) -> Result<()> {
        let path = self.at(name);
        let file =
            OpenOptions::new().write(true).open(&path).map_err(|source| io_error("open", &path, source))?;
        file.set_len(length_bytes).map_err(|source| io_error("truncate", &path, source))?;
        file.sync_all().map_err(|source| io_error("sync", &path, source))
    }

    fn sync_file(&self, name: &str) -> Result<()> {
        let path = self.at(name);
        // Windows syncs only what is open for writing.
        let file = OpenOptions::new()
            .read(true)
            .write(cfg!(windows))
            .open(&path)
            .map_err(|source| io_error("open", &path, source))?;
        // Its length too: what cut it may have been killed before it synced that.
        file.sync_all().map_err(|source| io_error("sync", &path, source))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let path = self.at(from);
        fs::rename(&path, self.at(to)).map_err(|source| io_error("rename", &path, source))
    }

    fn remove(&self, name: &str) -> Result<()> {
        let path = self.at(name);
        fs::remove_file(&path).map_err(|source| io_error("remove", &path, source))
    }

    fn sync(&self) -> Result<()> {
        sync_directory(&self.path)
    }
}

/// The directories that are to be made for a path, itself first.
fn missing_directories(path: &Path) -> Vec<&Path> {
    path.ancestors().take_while(|ancestor| !ancestor.as_os_str().is_empty() && !ancestor.exists()).collect()
}

/// Where the name of a path lives; of a bare name, the working directory.
fn parent_of(path: &Path) -> Option<&Path> {
    let parent = path.parent()?;
    Some(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

/// Makes the names in a directory durable. Windows has no such call: there, metadata is journaled in order.
pub(crate) fn sync_directory(path: &Path) -> Result<()> {
    if cfg!(unix) {
        File::open(path)
            .and_then(|directory| directory.sync_all())
            .map_err(|source| io_error("sync", path, source))?;
    }
    Ok(())
}

/// The operating system gives the lock back when the file is closed, however the process ends.
struct HeldLock {
    /// Of a medium where nobody can write there may be none.
    _file: Option<File>,
}

impl DirLock for HeldLock {}

struct RealFile {
    file: File,
    path: PathBuf,
}

impl DirFile for RealFile {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|source| io_error("write", &self.path, source))
    }

    fn sync(&mut self) -> Result<()> {
        self.file.sync_data().map_err(|source| io_error("sync", &self.path, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_new_name_is_synced_where_it_lives() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("a/b/c");
        let parents = |path| missing_directories(path).into_iter().filter_map(parent_of).collect::<Vec<_>>();
        assert_eq!(parents(&deep), [deep.parent().unwrap(), &*directory.path().join("a"), directory.path()]);
        assert_eq!(parents(Path::new("no-such-name")), [Path::new(".")]);
        assert_eq!(parents(Path::new("no-such-name/b")), [Path::new("no-such-name"), Path::new(".")]);
        RealDir::open(&deep).unwrap();
        assert!(missing_directories(&deep).is_empty());
    }
}
