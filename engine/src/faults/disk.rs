//! The disk that dies, for tests of what is built on the engine.

use std::sync::Arc;

use crate::dir::memory::MemoryDir;
use crate::error::Result;
use crate::{Db, DbOptions};

/// A disk in memory that is gone from a call on, and what it has when the power comes back: what was synced, and an arbitrary part of the
/// rest. Clones are one disk.
///
/// ```
/// use ragstone::faults::Disk;
/// use ragstone::{DbOptions, Point, Schema};
///
/// let disk = Disk::new();
/// let db = disk.open(DbOptions::default())?;
/// let notes = db.create_collection("notes", Schema::new(2)?)?;
/// notes.upsert(vec![Point::new(1, [1.0, 0.0])])?;
/// disk.crash_at(disk.calls());
/// assert!(notes.upsert(vec![Point::new(2, [0.0, 1.0])]).is_err());
///
/// let found = disk.recovered(7).open(DbOptions::default())?.collection("notes")?;
/// assert_eq!(found.count(None)?, 1);
/// # Ok::<(), ragstone::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Disk(MemoryDir);

impl Disk {
    /// An empty disk that works.
    pub fn new() -> Self {
        Self(MemoryDir::new())
    }

    /// Opens the database on it.
    ///
    /// # Errors
    /// As [`Db::open_with`].
    pub fn open(&self, options: DbOptions) -> Result<Db> {
        options.check()?;
        Db::open_in(Arc::new(self.0.clone()), options)
    }

    /// Calls so far that change something: writes, syncs, and new, other and removed names of files.
    pub fn calls(&self) -> u64 {
        self.0.calls()
    }

    /// The machine dies at the changing call with this number: it fails, and so do all after it.
    pub fn crash_at(&self, call: u64) {
        self.0.crash_at(call);
    }

    /// The disk after the crash: names and bytes that were synced, and a part of the others that the seed chooses.
    #[must_use]
    pub fn recovered(&self, seed: u64) -> Self {
        Self(self.0.recovered(seed))
    }
}

impl Default for Disk {
    fn default() -> Self {
        Self::new()
    }
}
