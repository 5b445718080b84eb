//! How a database is opened.

use std::num::NonZero;

use ragstone_kernels::{ISA_VARIABLE, Isa};

use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::limits::{LOG_FILE_BYTES_MAX, LOG_QUEUE_BYTES_MAX, SEAL_ROWS_MAX, THREADS_MAX};
#[cfg(doc)]
use crate::snapshot::{Pin, PinnedLog};
use crate::verify::{OnDamage, Storage, Verify};
#[cfg(doc)]
use crate::{Collection, Db, View};

/// How a database is opened: what it may take of the process that it lives in, and how it keeps its files.
///
/// **Threads.** While it is open, a database has three or four threads of its own that sleep when nothing is due, and pools of
/// [`threads`](Self::threads) threads at most for each kind of work, made when that is first done: linking written rows,
/// flushing and verifying, searching in batches; half as many for sealing and for merging in the background. A single search runs on the
/// thread that calls it. rayon's global pool is never used. When the last [`Db`] and [`Collection`] are dropped, every thread has
/// ended; but the pools stay as long as a [`Pin`] or a [`PinnedLog`] does, which keeps its directory locked too. A [`View`] keeps
/// rows and no thread.
///
/// **Memory.** Rows that are not sealed yet take [`growing_bytes_max`](Self::growing_bytes_max), twice as much before
/// writers wait; what waits for the log [`log_queue_bytes`](Self::log_queue_bytes). Sealed segments are mapped files, which
/// the system takes out of memory as it likes, or in memory with [`Storage::Resident`]. Each keeps answers to recent conditions
/// of filters, [`filter_cache_bytes`](Self::filter_cache_bytes) at most, and an order of each field that was filtered by, eight to
/// 24 bytes a row. There is no cache besides, and nothing that databases of a process share.
///
/// **What is refused.** A bound of nothing is [`Error::Invalid`], and what is beyond a limit of [`limits`](crate::limits) is
/// [`Error::Limit`]; both name the option as `options.seal_rows`. Bounds of bytes without a limit may be as large as they like, and
/// bound nothing then.
///
/// **Files and maps.** A sealed segment takes two maps (one more for each field whose words lie beside it) and no open file: the
/// file is closed once it is mapped. So a database has
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
    /// Rows after which a growing segment is sealed; at most [`SEAL_ROWS_MAX`](crate::limits::SEAL_ROWS_MAX).
    pub seal_rows: usize,
    /// Bytes of memory after which a growing segment is sealed.
    pub seal_bytes: u64,
    /// Bytes of memory that all growing segments together take before the largest is sealed; writers wait at twice
    /// as much.
    pub growing_bytes_max: u64,
    /// Bytes of the log beyond which the collections that hold it up are sealed.
    pub log_bytes_max: u64,
    /// Bytes after which a new log file is begun; at most [`LOG_FILE_BYTES_MAX`](crate::limits::LOG_FILE_BYTES_MAX).
    pub log_file_bytes: u64,
    /// Bytes of writes that may wait for the log before further writers do; a larger batch goes alone. At most
    /// [`LOG_QUEUE_BYTES_MAX`](crate::limits::LOG_QUEUE_BYTES_MAX).
    pub log_queue_bytes: usize,
    /// Bytes that a sealed segment may keep of answers to conditions of filters; 0 keeps none. An answer takes a bit for each
    /// row of the segment, and is kept where four of them fit.
    pub filter_cache_bytes: usize,
    /// Sealed segments of all collections together before writers wait for merges; from two thirds on of what that
    /// leaves beside one for each collection, they are merged further than is due. It bounds the maps that a process takes, of which Linux allows 65,530 unless told otherwise
    /// (`vm.max_map_count`). No bound where nothing is left to merge: a collection has at least one for every two million rows.
    pub segments_max: usize,
    /// Threads of a pool, at most [`THREADS_MAX`](crate::limits::THREADS_MAX). Without a number, as many as the rayon pool has
    /// that the database is opened in, or else as there are processors.
    pub threads: Option<NonZero<usize>>,
    /// Nothing is written, and nothing may be: see [`Db::open_read_only`].
    pub read_only: bool,
    /// Bytes of the log that stay on disk after segments hold its writes, for an archive to fetch them
    /// ([`Db::pin_log`]): 0 keeps nothing, and beyond the bound the oldest goes, whether it was fetched or not. A file
    /// of it that is damaged where it begins is a gap: it is named in the log at each opening and by [`Db::verify`], counts for nothing here, and stays
    /// until [`repair`](crate::repair) puts it away. The database
    /// remembers it; `None` leaves it as it is, at first 0.
    pub keep_log_bytes: Option<u64>,
    /// Whether threads of the database seal and merge. Without them, a write that fills a segment seals it, and
    /// [`Db::flush`] merges; so does a write that finds no room for another segment, of its collection
    /// ([`UNMERGED_SEGMENTS_MAX`](crate::limits::UNMERGED_SEGMENTS_MAX)) or of all.
    pub background: bool,
    /// When segments are compared with their checksums.
    pub verify: Verify,
    /// Where segments are while the database is open.
    pub storage: Storage,
    /// What opening does about a damaged collection.
    pub on_damage: OnDamage,
    /// Tells the time by which rows [expire](crate::Point::expires_at): the system's.
    pub clock: Clock,
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
            filter_cache_bytes: 4 << 20,
            threads: None,
            read_only: false,
            keep_log_bytes: None,
            background: true,
            verify: Verify::default(),
            storage: Storage::default(),
            on_damage: OnDamage::default(),
            clock: Clock::default(),
        }
    }
}

impl DbOptions {
    /// Refuses what no database can be opened with. Nothing that is refused here is looked at again.
    pub(crate) fn check(&self) -> Result<()> {
        // Whoever compares instruction sets, or looks for a fault of one, would measure another than they name.
        Isa::asked().map_err(|reason| Error::invalid(ISA_VARIABLE, reason))?;
        let Self { seal_rows, seal_bytes, growing_bytes_max, log_bytes_max, log_file_bytes, .. } = *self;
        let (seal_rows, log_queue_bytes) = (seal_rows as u64, self.log_queue_bytes as u64);
        let threads = self.threads.map_or(1, |threads| threads.get() as u64);
        for (field, value) in [
            ("seal_rows", seal_rows),
            ("seal_bytes", seal_bytes),
            ("growing_bytes_max", growing_bytes_max),
            ("log_bytes_max", log_bytes_max),
            ("log_file_bytes", log_file_bytes),
            ("log_queue_bytes", log_queue_bytes),
            ("segments_max", self.segments_max as u64),
        ] {
            if value == 0 {
                return Err(Error::invalid(format!("options.{field}"), "it is 0, and must be 1 at least"));
            }
        }
        for (field, actual, limit, max) in [
            ("seal_rows", seal_rows, "SEAL_ROWS_MAX", SEAL_ROWS_MAX),
            ("log_file_bytes", log_file_bytes, "LOG_FILE_BYTES_MAX", LOG_FILE_BYTES_MAX),
            ("log_queue_bytes", log_queue_bytes, "LOG_QUEUE_BYTES_MAX", LOG_QUEUE_BYTES_MAX),
            ("threads", threads, "THREADS_MAX", THREADS_MAX),
        ] {
            if actual > max as u64 {
                return Err(Error::Limit {
                    field: format!("options.{field}"),
                    limit,
                    max: max as u64,
                    actual,
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Db, Point, Schema, SearchRequest};

    /// Opens with options, writes, seals and finds.
    fn works(options: DbOptions) -> Result<()> {
        let directory = tempfile::tempdir().unwrap();
        for db in [Db::open_with(directory.path(), options.clone())?, Db::in_memory_with(options)?] {
            let notes = db.create_collection("notes", Schema::new(2)?)?;
            for id in 0..9_u64 {
                notes.upsert(vec![Point::new(id, [1.0, id as f32]).with("odd", id % 2 == 1)])?;
            }
            db.compact()?;
            let odd = SearchRequest::new([1.0, 5.0], 9).filter(crate::Filter::eq("odd", true));
            assert_eq!(notes.search_batch(&[odd.clone(), odd])?[1].hits.len(), 4);
        }
        Ok(())
    }

    /// Sets one option.
    type Set = fn(&mut DbOptions, u64);

    const SEAL_ROWS: Set = |options, value| options.seal_rows = value as usize;
    const SEAL_BYTES: Set = |options, value| options.seal_bytes = value;
    const GROWING: Set = |options, value| options.growing_bytes_max = value;
    const LOG: Set = |options, value| options.log_bytes_max = value;
    const LOG_FILE: Set = |options, value| options.log_file_bytes = value;
    const LOG_QUEUE: Set = |options, value| options.log_queue_bytes = value as usize;
    const FILTER_CACHE: Set = |options, value| options.filter_cache_bytes = value as usize;
    const SEGMENTS: Set = |options, value| options.segments_max = value as usize;
    const THREADS: Set = |options, value| options.threads = NonZero::new(value as usize);
    const KEEP_LOG: Set = |options, value| options.keep_log_bytes = Some(value);

    fn with(set: Set, value: u64) -> DbOptions {
        let mut options = DbOptions { background: false, threads: NonZero::new(2), ..DbOptions::default() };
        set(&mut options, value);
        options
    }

    #[test]
    fn a_bound_of_nothing_is_refused_and_one_of_one_works() {
        for (name, set) in [
            ("seal_rows", SEAL_ROWS),
            ("seal_bytes", SEAL_BYTES),
            ("growing_bytes_max", GROWING),
            ("log_bytes_max", LOG),
            ("log_file_bytes", LOG_FILE),
            ("log_queue_bytes", LOG_QUEUE),
            ("segments_max", SEGMENTS),
        ] {
            let error = works(with(set, 0)).unwrap_err();
            assert_eq!(error.to_string(), format!("options.{name}: it is 0, and must be 1 at least"));
            works(with(set, 1)).unwrap();
        }
        for set in [FILTER_CACHE, KEEP_LOG] {
            works(with(set, 0)).unwrap();
        }
    }

    #[test]
    fn beyond_a_limit_an_option_is_refused_and_without_one_it_may_be_any_number() {
        for (name, limit, max, set) in [
            ("seal_rows", "SEAL_ROWS_MAX", SEAL_ROWS_MAX, SEAL_ROWS),
            ("log_file_bytes", "LOG_FILE_BYTES_MAX", LOG_FILE_BYTES_MAX, LOG_FILE),
            ("log_queue_bytes", "LOG_QUEUE_BYTES_MAX", LOG_QUEUE_BYTES_MAX, LOG_QUEUE),
            ("threads", "THREADS_MAX", THREADS_MAX, THREADS),
        ] {
            for actual in [max as u64 + 1, u64::MAX] {
                let message = format!("options.{name}: {actual} is beyond the limit {limit} = {max}");
                assert_eq!(works(with(set, actual)).unwrap_err().to_string(), message);
            }
            if name != "threads" {
                works(with(set, max as u64)).unwrap();
            }
        }
        // Twice the half of a u64 and more is nothing, in the arithmetic of machines: writers would wait for ever.
        for value in [1 << 63, u64::MAX] {
            for set in [SEAL_BYTES, GROWING, LOG, KEEP_LOG, FILTER_CACHE, SEGMENTS] {
                works(with(set, value)).unwrap();
                works(DbOptions { background: true, ..with(set, value) }).unwrap();
            }
        }
    }

    #[test]
    fn what_is_refused_leaves_no_directory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data");
        assert!(Db::open_with(&path, with(SEAL_ROWS, 0)).is_err());
        assert!(!path.exists());
    }
}
