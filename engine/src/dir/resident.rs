//! Files in memory of the process: for those who want no page fault in a search, or no map at all, or no file.
//!
//! The memory is an anonymous map, so it begins on a page (its words are aligned) and from two megabytes on asks for
//! huge pages: random rows miss the TLB less. Nothing that happens to the file later is seen: a file that is cut or
//! rewritten under a running process harms it no more.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use memmap2::{Mmap, MmapMut};

use super::{Blob, io_error};
use crate::error::Result;

#[cfg(target_os = "linux")]
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Bytes that never change.
struct Resident(Mmap);

impl AsRef<[u8]> for Resident {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Reads a whole file. An empty file gives an empty blob.
pub(super) fn load(path: &Path) -> Result<Blob> {
    let mut file = File::open(path).map_err(|source| io_error("open", path, source))?;
    let length_bytes = file.metadata().map_err(|source| io_error("stat", path, source))?.len();
    let length = usize::try_from(length_bytes)
        .map_err(|_| io_error("allocate memory for", path, ErrorKind::OutOfMemory.into()))?;
    fill(path, length, |memory| file.read_exact(memory).map_err(|source| io_error("read", path, source)))
}

/// So many bytes of memory, filled. `path` is what they are of, for messages.
pub(super) fn fill(path: &Path, length: usize, write: impl FnOnce(&mut [u8]) -> Result<()>) -> Result<Blob> {
    if length == 0 {
        return Ok(Arc::new(Vec::new()));
    }
    let mut memory =
        MmapMut::map_anon(length).map_err(|source| io_error("allocate memory for", path, source))?;
    #[cfg(target_os = "linux")]
    if memory.len() >= HUGE_PAGE_BYTES {
        // A wish: a kernel without huge pages refuses it, and all works on small ones.
        let _ = memory.advise(memmap2::Advice::HugePage);
    }
    write(&mut memory)?;
    let memory = memory.make_read_only().map_err(|source| io_error("protect memory of", path, source))?;
    Ok(Arc::new(Resident(memory)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        for length in [0_usize, 1, 4096, (2 << 20) + 7] {
            let bytes: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            std::fs::write(&path, &bytes).unwrap();
            let blob = load(&path).unwrap();
            std::fs::write(&path, b"cut").unwrap();
            assert!((*blob).as_ref() == bytes, "{length} bytes");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(load(&path).is_err());
    }
}
