//! The file-system seam: everything that the engine asks of a directory, and nothing else.
//!
//! A database is one flat directory. The engine reaches it through [`Dir`] only, so that others can stand for that of a
//! file system (`real.rs`):
//! - memory of the process, for a database that ends with it (`volatile.rs`);
//! - any directory, with all changes kept from it (`read_only.rs`);
//! - any directory on a disk that fails: what cannot be read is zeros, and known (`failing.rs`);
//! - in tests, a disk that loses power between any two calls, tears what was not synced, and runs full (`memory.rs`).
//!   It keeps each file twice and is no base for `volatile.rs`, which keeps each byte once and where it is searched.
//!
//! What an implementation promises, and all that recovery relies on:
//! - after `DirFile::sync` or `Dir::sync_file` returned, the bytes written to that file survive a crash;
//! - after `Dir::sync` returned, the creations, renames and removals before it survive a crash;
//! - without them, any part may be lost: of a file's unsynced bytes, any may be missing or torn, in any order;
//! - `rename` replaces its target atomically: after a crash the name leads to the old file or the new one.

#[cfg(test)]
pub(crate) mod bad_sectors;
mod failing;
#[cfg(test)]
pub(crate) mod hooked;
#[cfg(any(test, feature = "faults"))]
pub(crate) mod memory;
mod mmap;
mod pinned;
mod read_only;
mod real;
mod resident;
mod volatile;

use std::io::{self, Cursor, Read, Seek};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};

pub(crate) use failing::{FailingDir, Unreadable};
pub(crate) use pinned::{PinnedDir, Pins};
pub(crate) use read_only::ReadOnlyDir;
pub(crate) use real::{RealDir, sync_directory};
pub(crate) use volatile::VolatileDir;

/// Bytes of a file that never changes, mapped or read.
pub(crate) type Blob = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// A file that is read piece by piece, from any place on. What the system cannot read is an error, where touching a map of the file would end the
/// process.
pub(crate) trait Reader: Read + Seek + Send {}

impl<R: Read + Seek + Send> Reader for R {}

/// How the bytes of a map are going to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Much of what lies around a byte too: a missing page brings its neighbours.
    Near,
    /// Here and there: a missing page comes alone.
    Scattered,
}

/// Keeps the directory locked while it lives.
pub(crate) trait DirLock: Send + Sync {}

/// What becomes of what is written in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// It outlives the process.
    Durable,
    /// It ends with the process, so that no log could ever be read again.
    Volatile,
    /// Nothing is written.
    ReadOnly,
}

/// A directory that holds one database.
pub(crate) trait Dir: Send + Sync + std::fmt::Debug {
    /// Where it is, for messages.
    fn path(&self) -> &Path;

    /// Takes the directory for this `Db` alone.
    ///
    /// # Errors
    /// [`Error::Locked`] if another process, or another `Db` of this one, has it.
    fn lock(&self) -> Result<Box<dyn DirLock>>;

    /// Takes the directory for reading, together with others who read. Where that is not possible, for this `Db` alone.
    ///
    /// # Errors
    /// [`Error::Locked`] if somebody has it for writing.
    fn lock_shared(&self) -> Result<Box<dyn DirLock>> {
        self.lock()
    }

    /// What becomes of what is written.
    fn lifetime(&self) -> Lifetime {
        Lifetime::Durable
    }

    /// Names of the files in it, sorted.
    fn list(&self) -> Result<Vec<String>>;

    /// Reads a whole file into memory.
    fn read(&self, name: &str) -> Result<Vec<u8>>;

    /// Bytes of a file.
    fn size_bytes(&self, name: &str) -> Result<u64> {
        Ok(self.read(name)?.len() as u64)
    }

    /// Reads a file piece by piece.
    fn reader(&self, name: &str) -> Result<Box<dyn Reader>> {
        Ok(Box::new(Cursor::new(self.read(name)?)))
    }

    /// The bytes of a file, mapped where that is possible. The caller promises that they will not change.
    fn map(&self, name: &str, access: Access) -> Result<Blob>;

    /// The bytes of a file in memory of this process, whatever happens to the file later.
    fn load(&self, name: &str) -> Result<Blob>;

    /// Makes an empty file, replacing one of that name, to be written from the start.
    fn create(&self, name: &str) -> Result<Box<dyn DirFile>>;

    /// Cuts a file to `length_bytes` and syncs it.
    fn truncate(&self, name: &str, length_bytes: u64) -> Result<()>;

    /// Makes durable what a file holds, whoever wrote it: a process that was killed may have written bytes and not synced them.
    fn sync_file(&self, name: &str) -> Result<()>;

    /// Gives a file another name, replacing one that has it.
    fn rename(&self, from: &str, to: &str) -> Result<()>;

    /// Removes a file.
    fn remove(&self, name: &str) -> Result<()>;

    /// Makes creations, renames and removals durable.
    fn sync(&self) -> Result<()>;

    /// The path of a file, for messages.
    fn file_path(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

/// A file being written, from its start to its end.
pub(crate) trait DirFile: Send {
    /// Appends bytes.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;

    /// Makes everything written so far durable.
    fn sync(&mut self) -> Result<()>;
}

/// An [`Error::Io`] of an operation on a path.
pub(crate) fn io_error(operation: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Io { operation, path: path.to_owned(), source }
}

/// An [`Error::Corrupt`] of a file.
pub(crate) fn corrupt(dir: &dyn Dir, name: &str, offset: u64, reason: impl Into<String>) -> Error {
    Error::Corrupt { file: dir.file_path(name), offset, reason: reason.into() }
}

/// What is said of bytes of a file that the system cannot read.
pub(crate) fn cannot_be_read(range: &Range<u64>, source: &io::Error) -> String {
    format!("bytes {} to {} cannot be read: {source}", range.start, range.end.saturating_sub(1))
}

/// Whether an error of reading tells of the medium, and not of what the system lacks or does not allow.
pub(crate) fn is_unreadable(source: &io::Error) -> bool {
    let codes: &[i32] = if cfg!(windows) {
        // ERROR_CRC, ERROR_SECTOR_NOT_FOUND, ERROR_READ_FAULT, ERROR_IO_DEVICE.
        &[23, 27, 30, 1117]
    } else if cfg!(target_os = "linux") {
        // EIO; of file systems with checksums EBADMSG and EUCLEAN.
        &[5, 74, 117]
    } else {
        // EIO.
        &[5]
    };
    source.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// Reads a blob piece by piece.
pub(crate) fn over(blob: Blob) -> Box<dyn Reader> {
    struct Bytes(Blob);
    impl AsRef<[u8]> for Bytes {
        fn as_ref(&self) -> &[u8] {
            (*self.0).as_ref()
        }
    }
    Box::new(Cursor::new(Bytes(blob)))
}
