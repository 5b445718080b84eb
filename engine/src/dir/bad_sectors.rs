//! A directory with a disk below that cannot read some bytes: reading them is the error EIO.
//!
//! A map, which on a real disk ends the process where such a byte is touched, has wrong bytes in their place: whoever goes by
//! them is found out.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Access, Blob, Dir, DirFile, DirLock, Reader, io_error};
use crate::error::Result;

const EIO: i32 = 5;

/// The directory.
#[derive(Debug)]
pub(crate) struct BadSectorsDir {
    inner: Arc<dyn Dir>,
    bad: Mutex<BTreeMap<String, Vec<Range<u64>>>>,
    failed_reads: Arc<AtomicU64>,
}

impl BadSectorsDir {
    pub(crate) fn new(inner: Arc<dyn Dir>) -> Self {
        Self { inner, bad: Mutex::default(), failed_reads: Arc::default() }
    }

    /// From now on these bytes of the file cannot be read.
    pub(crate) fn spoil(&self, name: &str, range: Range<u64>) {
        let mut bad = self.bad.lock().unwrap_or_else(PoisonError::into_inner);
        bad.entry(name.to_owned()).or_default().push(range);
    }

    /// How often a reader met a bad byte.
    pub(crate) fn failed_reads(&self) -> u64 {
        self.failed_reads.load(Ordering::Relaxed)
    }

    fn bad(&self, name: &str) -> Vec<Range<u64>> {
        self.bad.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned().unwrap_or_default()
    }

    fn forget(&self, name: &str) {
        self.bad.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

struct BadReader {
    file: Box<dyn Reader>,
    bad: Vec<Range<u64>>,
    failed_reads: Arc<AtomicU64>,
}

impl Read for BadReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let start = self.file.stream_position()?;
        let end = start + into.len() as u64;
        if self.bad.iter().any(|bad| bad.start < end && start < bad.end) {
            self.failed_reads.fetch_add(1, Ordering::Relaxed);
            return Err(io::Error::from_raw_os_error(EIO));
        }
        self.file.read(into)
    }
}

impl Seek for BadReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl Dir for BadSectorsDir {
    fn path(&self) -> &Path {
        self.inner.path()
    }
    fn lock(&self) -> Result<Box<dyn DirLock>> {
        self.inner.lock()
    }
    fn list(&self) -> Result<Vec<String>> {
        self.inner.list()
    }
    fn read(&self, name: &str) -> Result<Vec<u8>> {
        match self.bad(name).is_empty() {
            true => self.inner.read(name),
            false => Err(io_error("read", &self.file_path(name), io::Error::from_raw_os_error(EIO))),
        }
    }
    fn size_bytes(&self, name: &str) -> Result<u64> {
        self.inner.size_bytes(name)
    }
    fn reader(&self, name: &str) -> Result<Box<dyn Reader>> {
        let (file, bad) = (self.inner.reader(name)?, self.bad(name));
        Ok(Box::new(BadReader { file, bad, failed_reads: self.failed_reads.clone() }))
    }
    fn map(&self, name: &str, access: Access) -> Result<Blob> {
        let (blob, bad) = (self.inner.map(name, access)?, self.bad(name));
        if bad.is_empty() {
            return Ok(blob);
        }
        let mut bytes = (*blob).as_ref().to_vec();
        for range in bad {
            bytes[range.start as usize..range.end as usize].fill(0xdb);
        }
        Ok(Arc::new(bytes))
    }
    fn load(&self, name: &str) -> Result<Blob> {
        Ok(Arc::new(self.read(name)?))
    }
    fn create(&self, name: &str) -> Result<Box<dyn DirFile>> {
        self.forget(name);
        self.inner.create(name)
    }
    fn truncate(&self, name: &str, length_bytes: u64) -> Result<()> {
        self.inner.truncate(name, length_bytes)
    }
    fn sync_file(&self, name: &str) -> Result<()> {
        self.inner.sync_file(name)
    }
    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.forget(to);
        self.inner.rename(from, to)
    }
    fn remove(&self, name: &str) -> Result<()> {
        self.forget(name);
        self.inner.remove(name)
    }
    fn sync(&self) -> Result<()> {
        self.inner.sync()
    }
}
