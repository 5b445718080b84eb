//! A directory on a disk that fails: what cannot be read of a file is zeros here, and remembered.
//!
//! **Problem.** Whoever repairs a database on a dying disk wants all that can still be read of each file. An ordinary read of a file ends at the first
//! sector that is gone; touching a map of it there ends the process.
//!
//! **Idea.** Files are read in blocks, and one that the system cannot read again in pages, those that fail as zeros. So every reader of files works as it
//! is: zeros do not fit the checksums. Which bytes they stand for is known afterwards ([`FailingDir::unreadable`]), so that they are named as
//! what they are. Only errors of the medium are borne ([`is_unreadable`]), others are errors as ever.
//!
//! **Maps** and [`Dir::reader`] are those of the directory below: a file is mapped only after all of it was read.
//!
//! **Cost.** A disk may take seconds for each read that fails. A block is tried once, each of its pages once more, and what failed is not tried again.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Access, Blob, Dir, DirFile, DirLock, Lifetime, Reader, cannot_be_read, io_error, is_unreadable};
use crate::error::Result;

/// Bytes that are read at once.
const BLOCK_BYTES: u64 = 64 << 10;
/// Bytes that are given up at once.
const PAGE_BYTES: u64 = 4 << 10;

/// The directory.
#[derive(Debug)]
pub(crate) struct FailingDir {
    inner: Arc<dyn Dir>,
    /// By file, in the order of their places; none touches the next.
    unreadable: Mutex<BTreeMap<String, Vec<Unreadable>>>,
}

/// Bytes of a file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) range: Range<u64>,
    /// Where they are, and what the system says of them.
    pub(crate) reason: String,
}

impl FailingDir {
    pub(crate) fn new(inner: Arc<dyn Dir>) -> Self {
        Self { inner, unreadable: Mutex::default() }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Unreadable>>> {
        // What was read is as true after a panic.
        self.unreadable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What could not be read of a file so far by [`Dir::read`] and [`around`](Self::around).
    pub(crate) fn unreadable(&self, name: &str) -> Vec<Unreadable> {
        self.all().get(name).cloned().unwrap_or_default()
    }

    /// Reads a file from its start, what cannot be read as zeros.
    pub(crate) fn around<'a>(&'a self, name: &'a str) -> Result<Around<'a>> {
        let mut file = self.inner.reader(name)?;
        let length = file.seek(SeekFrom::End(0));
        let length = length.map_err(|source| io_error("read", &self.file_path(name), source))?;
        Ok(Around { dir: self, name, file, length, position: 0, careful_until: 0 })
    }

    /// The first bytes of a file that are known to be unreadable and end behind a place.
    fn next_unreadable(&self, name: &str, position: u64) -> Option<Range<u64>> {
        let all = self.all();
        let of_file = all.get(name)?;
        let next = of_file.partition_point(|known| known.range.end <= position);
        of_file.get(next).map(|known| known.range.clone())
    }

    /// Remembers bytes none of which was known to be unreadable.
    fn note(&self, name: &str, mut range: Range<u64>, source: &io::Error) {
        let mut all = self.all();
        let of_file = all.entry(name.to_owned()).or_default();
        let at = of_file.partition_point(|known| known.range.end < range.start);
        while let Some(known) = of_file.get(at).filter(|known| known.range.start <= range.end) {
            range = range.start.min(known.range.start)..range.end.max(known.range.end);
            of_file.remove(at);
        }
        let reason = cannot_be_read(&range, source);
        of_file.insert(at, Unreadable { range, reason });
    }

    fn forget(&self, name: &str) -> Option<Vec<Unreadable>> {
        self.all().remove(name)
    }
}

/// A file that is read around what cannot be read.
pub(crate) struct Around<'a> {
    dir: &'a FailingDir,
    name: &'a str,
    file: Box<dyn Reader>,
    length: u64,
    position: u64,
    /// Up to here each page is read by itself: the block could not be read.
    careful_until: u64,
}

impl Read for Around<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let position = self.position;
            let next = self.dir.next_unreadable(self.name, position).unwrap_or(self.length..self.length);
            let is_unread = next.start <= position && position < next.end;
            let step = if position < self.careful_until { PAGE_BYTES } else { BLOCK_BYTES };
            let end_of_step = position / step * step + step;
            let end = if is_unread { next.end } else { end_of_step.min(next.start.max(position)) };
            let left = end.min(self.length).saturating_sub(position);
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(into.len());
            let piece = &mut into[..length];
            if is_unread || length == 0 {
                piece.fill(0);
                self.position += length as u64;
                return Ok(length);
            }
            match self.file.seek(SeekFrom::Start(position)).and_then(|_| self.file.read(piece)) {
                Ok(read) => {
                    self.position += read as u64;
                    return Ok(read);
                }
                Err(source) if !is_unreadable(&source) => return Err(source),
                Err(_) if step > PAGE_BYTES => self.careful_until = end_of_step,
                Err(source) => self.dir.note(self.name, position..position + left, &source),
            }
        }
    }
}

impl Dir for FailingDir {
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
        let mut file = self.around(name)?;
        let failed = |source| io_error("read", &self.file_path(name), source);
        let mut bytes = Vec::new();
        let length = usize::try_from(file.length).unwrap_or(usize::MAX);
        bytes.try_reserve_exact(length).map_err(|_| failed(ErrorKind::OutOfMemory.into()))?;
        file.read_to_end(&mut bytes).map_err(failed)?;
        Ok(bytes)
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
        self.inner.rename(from, to)?;
        self.forget(to);
        if let Some(of_file) = self.forget(from) {
            self.all().insert(to.to_owned(), of_file);
        }
        Ok(())
    }
    fn remove(&self, name: &str) -> Result<()> {
        self.forget(name);
        self.inner.remove(name)
    }
    fn sync(&self) -> Result<()> {
        self.inner.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::bad_sectors::BadSectorsDir;
    use crate::dir::memory::MemoryDir;

    const NAME: &str = "file";

    fn bytes() -> Vec<u8> {
        (0..200_000_u32).map(|at| (at % 251) as u8 | 1).collect()
    }

    /// With bytes that cannot be read: from the first to before the second of each two.
    fn failing(bad: &[(u64, u64)]) -> (Arc<BadSectorsDir>, FailingDir) {
        let memory = MemoryDir::new();
        memory.create(NAME).unwrap().write(&bytes()).unwrap();
        let disk = Arc::new(BadSectorsDir::new(Arc::new(memory)));
        bad.iter().for_each(|(start, end)| disk.spoil(NAME, *start..*end));
        (disk.clone(), FailingDir::new(disk))
    }

    #[test]
    fn what_cannot_be_read_is_zeros_and_known_and_all_else_is_read() {
        let end = bytes().len() as u64;
        for bad in [
            vec![],
            vec![(0, 1)],
            vec![(5_000, 5_001)],
            vec![(60_000, 70_000), (131_072, 131_073)],
            vec![(end - 1, end)],
            vec![(0, end)],
        ] {
            let (_, dir) = failing(&bad);
            // Whole pages.
            let pages_of = |(first, behind): &(u64, u64)| {
                first / PAGE_BYTES * PAGE_BYTES..behind.next_multiple_of(PAGE_BYTES).min(end)
            };
            let pages: Vec<Range<u64>> = bad.iter().map(pages_of).collect();
            let mut expected = bytes();
            for range in &pages {
                expected[range.start as usize..range.end as usize].fill(0);
            }
            for _ in 0..2 {
                assert!(dir.read(NAME).unwrap() == expected, "{bad:?}");
                let unreadable = dir.unreadable(NAME);
                let ranges: Vec<Range<u64>> = unreadable.iter().map(|known| known.range.clone()).collect();
                assert_eq!(ranges, pages);
                for Unreadable { range, reason } in unreadable {
                    let named = format!("bytes {} to {} cannot be read: ", range.start, range.end - 1);
                    assert!(reason.starts_with(&named), "{reason}");
                }
            }
        }
    }

    /// A disk may take half a minute for each.
    #[test]
    fn what_failed_is_not_tried_again() {
        let (disk, dir) = failing(&[(65_536, 65_537), (69_632, 69_633)]);
        dir.read(NAME).unwrap();
        assert_eq!(disk.failed_reads(), 3, "the block and two of its pages");
        dir.read(NAME).unwrap();
        let mut pieces = Vec::new();
        io::copy(&mut dir.around(NAME).unwrap(), &mut pieces).unwrap();
        assert!(pieces == dir.read(NAME).unwrap());
        assert_eq!(disk.failed_reads(), 3);
    }

    #[test]
    fn what_is_known_of_a_file_goes_with_it() {
        let (disk, dir) = failing(&[(0, 1)]);
        dir.read(NAME).unwrap();
        dir.rename(NAME, "other").unwrap();
        assert_eq!((dir.unreadable(NAME).len(), dir.unreadable("other").len()), (0, 1));
        disk.create("new").unwrap();
        dir.rename("new", "other").unwrap();
        assert_eq!(dir.unreadable("other"), []);
    }
}
