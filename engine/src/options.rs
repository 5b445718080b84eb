//! How a database is opened.

use std::num::NonZero;

use crate::verify::{OnDamage, Storage, Verify};
#[cfg(doc)]
use crate::{Collection, Db, View};

/// How a database is opened: what it may take of the process that it lives in, and how it keeps its files.
///
/// **Threads.** While it is open, a database has three or four threads of its own that sleep when nothing is due, and pools of
/// [`threads`](Self::threads) threads at most for each kind of work, made when that is first done: linking written rows,
/// flushing, searching in batches; half as many for sealing and for merging in the background. A single search runs on the thread that
/// calls it. When the last [`Db`] and [`Collection`] are dropped, every thread has ended.
///
/// **Memory.** Rows that are not sealed yet take [`growing_bytes_max`](Self::growing_bytes_max), twice as much before
/// writers wait; what waits for the log [`log_queue_bytes`](Self::log_queue_bytes). Sealed segments are mapped files, which
/// the system takes out of memory as it likes, or in memory with [`Storage::Resident`]. Each keeps answers to recent conditions
/// of filters, 4 MiB at most, and an order of each field that was filtered by, eight to 24 bytes a row. There is no cache
/// besides, and nothing that databases of a process share.
///
/// **Files and maps.** A sealed segment takes two maps and no open file: the file is closed once it is mapped. So a database has
/// a dozen files open at most (the lock, the log, what is being written or copied), and twice
/// [`segments_max`](Self::segments_max) maps. A merge's segments have theirs until it is done, and those that a [`View`]
/// shows for as long as it lives; a seal adds one segment for each collection that waits for room.
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// use std::num::NonZero;
///
/// use ragstone::{Db, DbOptions};
///
/// let mut options = DbOptions::default();
/// options.threads = NonZero::new(2);
/// options.growing_bytes_max = 128 << 20;
/// options.seal_bytes = 64 << 20;
/// options.log_queue_bytes = 32 << 20;
/// let db = Db::open_with(directory.path(), options)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DbOptions {
    /// Rows after which a growing segment is sealed.
    pub seal_rows: usize,
    /// Bytes of memory after which a growing segment is sealed.
    pub seal_bytes: u64,
    /// Bytes of memory that all growing segments together take before the largest is sealed; writers wait at twice
    /// as much.
    pub growing_bytes_max: u64,
    /// Bytes of the log beyond which the collections that hold it up are sealed.
    pub log_bytes_max: u64,
    /// Bytes after which a new log file is begun.
    pub log_file_bytes: u64,
    /// Bytes of writes that may wait for the log before further writers do; a larger batch goes alone. At most 2 GiB.
    pub log_queue_bytes: usize,
    /// Sealed segments of all collections together before writers wait for merges; from two thirds on, collections are
    /// merged further than is due. It bounds the maps that a process takes, of which Linux allows 65,530 unless told otherwise
    /// (`vm.max_map_count`). No bound where nothing is left to merge: a collection has at least one for every two million rows.
    pub segments_max: usize,
    /// Threads of a pool. Without a number, as many as the rayon pool has that the database is opened in, or else as
    /// there are processors.
    pub threads: Option<NonZero<usize>>,
    /// Nothing is written, and nothing may be: see [`Db::open_read_only`].
    pub read_only: bool,
    /// Bytes of the log that stay on disk after segments hold its writes, for an archive to fetch them
    /// ([`Db::pin_log`]): 0 keeps nothing, and beyond the bound the oldest goes, whether it was fetched or not. The database
    /// remembers it; `None` leaves it as it is, at first 0.
    pub keep_log_bytes: Option<u64>,
    /// Whether threads of the database seal and merge. Without them, a write that fills a segment seals it, and only
    /// [`Db::flush`] merges.
    pub background: bool,
    /// When segments are compared with their checksums.
    pub verify: Verify,
    /// Where segments are while the database is open.
    pub storage: Storage,
    /// What opening does about a damaged collection.
    pub on_damage: OnDamage,
}

impl Default for DbOptions {
    fn default() -> Self {
        Self {
            seal_rows: 65_536,
            seal_bytes: 256 << 20,
            growing_bytes_max: 1 << 30,
            log_bytes_max: 2 << 30,
            log_file_bytes: 64 << 20,
            log_queue_bytes: 256 << 20,
            segments_max: 30_000,
            threads: None,
            read_only: false,
            keep_log_bytes: None,
            background: true,
            verify: Verify::default(),
            storage: Storage::default(),
            on_damage: OnDamage::default(),
        }
    }
}
