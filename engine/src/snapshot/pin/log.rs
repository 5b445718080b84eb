//! Holding a part of the log: closed files, under the names that they have and may get when they are cut.

use std::sync::{Arc, PoisonError};

use super::{Held, Kind, PinnedFile};
use crate::dir::Pins;
use crate::error::Result;
use crate::lineage::Lineage;
use crate::store::Store;
use crate::wal::{self, ClosedFile, ClosedLog, LogMark};

/// The part of the log from a position on, as far as it is there; the files stay while this lives.
#[derive(Debug)]
pub struct PinnedLog {
    lineage: Lineage,
    mark: LogMark,
    files: Vec<PinnedLogFile>,
    _held: Arc<Held>,
}

/// A file of the log that takes no more writes.
#[derive(Clone, Debug)]
pub struct PinnedLogFile {
    first: u64,
    last: u64,
    file: PinnedFile,
}

impl PinnedLog {
    pub(crate) fn new(store: &Arc<Store>, from: u64) -> Result<Self> {
        let cutting = store.cutting.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = store.log.close()?;
        let (files, pins) = pin_log_files(store, &closed, |_| true);
        drop(cutting);
        let root = Arc::new(store.manifest.current());
        let lineage = root.lineage;
        let held = Arc::new(Held { _pins: vec![pins], store: store.clone(), root });
        let wanted = files.iter().filter(|file| file.first > 0 && file.last >= from);
        let files = wanted.map(|file| pinned(file, &held)).collect();
        Ok(Self { lineage, mark: closed.mark, files, _held: held })
    }

    /// Which history the positions belong to.
    pub fn lineage(&self) -> Lineage {
        self.lineage
    }

    /// The last write in it, or before it if there is none in it.
    pub fn position(&self) -> u64 {
        self.mark.position
    }

    /// The files, oldest first. The first may begin before the position that was asked for, or after it, if what lies
    /// between is no longer there; the others follow one another, but behind one that was held when the machine died what came after it
    /// may be missing.
    pub fn files(&self) -> &[PinnedLogFile] {
        &self.files
    }
}

impl PinnedLogFile {
    /// The position of its first write.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The position of its last write.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The file.
    pub fn file(&self) -> &PinnedFile {
        &self.file
    }
}

/// The file, as somebody holds it.
pub(super) fn pinned(closed: &ClosedFile, held: &Arc<Held>) -> PinnedLogFile {
    let ClosedFile { number, size_bytes, first, last, is_kept } = *closed;
    let name = if is_kept { wal::kept_name(number) } else { wal::file_name(number) };
    let kind = Kind::Log { number, positions: (first, last) };
    let file = PinnedFile { name, size_bytes, kind, held: held.clone() };
    PinnedLogFile { first, last, file }
}

/// Holds closed files, under the names that they have and may get.
pub(super) fn pin_log_files(
    store: &Store,
    closed: &ClosedLog,
    wanted: impl Fn(&ClosedFile) -> bool,
) -> (Vec<ClosedFile>, Pins) {
    let files: Vec<ClosedFile> = closed.files.iter().filter(|file| wanted(file)).cloned().collect();
    let names =
        files.iter().flat_map(|file| [wal::file_name(file.number), wal::kept_name(file.number)]).collect();
    store.pinned.pin(|| (files, names))
}

impl Store {
    /// Removes what is kept of the log up to a position.
    pub(crate) fn release_log(&self, position: u64) -> Result<()> {
        let _cutting = self.cutting.lock().unwrap_or_else(PoisonError::into_inner);
        self.log.release(position)
    }
}
