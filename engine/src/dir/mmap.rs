//! Memory maps: the only `unsafe` of the engine crate.
//!
//! A sealed segment is read through a map, so that the operating system decides which of it is in memory.
//!
//! What a map cannot do is report an error: when a page cannot be read, because another program cut the file or because
//! the disk fails, the system ends the process with `SIGBUS`. So whoever looks for damage reads the file and not the map
//! (`segment/block_reader.rs`). Who cannot have it in a search either opens the database with
//! [`Storage::Resident`](crate::Storage::Resident), which does without maps of files (`resident.rs`).

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

use super::{Access, Blob, io_error};
use crate::error::Result;

/// A mapped file.
struct Mapped(Mmap);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Maps a whole file for reading. An empty file gives an empty blob.
#[expect(unsafe_code, reason = "a map is only as constant as its file; see SAFETY")]
pub(super) fn map(path: &Path, access: Access) -> Result<Blob> {
    let file = File::open(path).map_err(|source| io_error("open", path, source))?;
    let length_bytes = file.metadata().map_err(|source| io_error("stat", path, source))?.len();
    if length_bytes == 0 {
        return Ok(Arc::new(Vec::new()));
    }
    // SAFETY: the map must not see its bytes change. Only this process writes in the directory, which it holds
    // locked, or nobody does, where it holds it locked for reading; the engine writes each mapped byte once, before it is mapped, only ever appends after it, and never
    // truncates a file that it maps (only log files are truncated, and those are read, not mapped). Another program
    // that ignores the lock and rewrites the files breaks this, as it would break any database.
    let map = unsafe { Mmap::map(&file) }.map_err(|source| io_error("map", path, source))?;
    #[cfg(unix)]
    if access == Access::Scattered {
        // A wish: what is read is the same without it.
        let _ = map.advise(memmap2::Advice::Random);
    }
    #[cfg(not(unix))]
    let _ = access;
    Ok(Arc::new(Mapped(map)))
}
