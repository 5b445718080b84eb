//! A directory of collections: opening it, and the handle on it.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::background;
use crate::collection::{Collection, CollectionInfo};
use crate::dir::{Dir, RealDir};
use crate::error::Result;
use crate::lineage::Lineage;
use crate::schema::Schema;
use crate::snapshot::{Pin, PinnedLog};
use crate::verify::{Damage, OnDamage, Storage, Verify, VerifyProgress, VerifyReport};

pub(crate) use crate::store::Store;

/// How a database is opened.
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
            keep_log_bytes: None,
            background: true,
            verify: Verify::default(),
            storage: Storage::default(),
            on_damage: OnDamage::default(),
        }
    }
}

/// An open database directory; cheap to clone, shared between threads.
///
/// The directory is locked for as long as a `Db` or a [`Collection`] of it lives. Dropping the last of them ends the
/// background threads; nothing is lost, since every acknowledged write is in the log.
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// use ragstone::{Db, Error, Schema};
///
/// let db = Db::open(directory.path())?;
/// db.create_collection("notes", Schema::new(384)?)?;
/// assert!(matches!(Db::open(directory.path()), Err(Error::Locked { .. })));
/// drop(db);
/// assert_eq!(Db::open(directory.path())?.collections()[0].name, "notes");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Db {
    handle: Arc<DbHandle>,
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").field("path", &self.path()).finish_non_exhaustive()
    }
}

/// What every handle shares: the store and the threads that work on it.
pub(crate) struct DbHandle {
    store: Arc<Store>,
    path: PathBuf,
    threads: Vec<JoinHandle<()>>,
}

impl DbHandle {
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }
}

impl Drop for DbHandle {
    fn drop(&mut self) {
        self.store.stop();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a background thread of the database panicked");
            }
        }
    }
}

impl Db {
    /// Opens a directory, made if absent. That takes milliseconds, however large it is, and as long as reading the log:
    /// at most [`DbOptions::log_bytes_max`] and what is being written.
    ///
    /// Segments are compared with their checksums later, by a thread of the database ([`DbOptions::verify`]).
    ///
    /// # Errors
    /// [`Error::Locked`](crate::Error::Locked) if it is open already, [`Error::Restoring`](crate::Error::Restoring) if it
    /// is not restored to the end, [`Error::Corrupt`](crate::Error::Corrupt) with file and offset if manifest or log are
    /// damaged (of segments, see [`OnDamage`]), [`Error::Io`](crate::Error::Io) if the system refuses.
    pub fn open(path: impl AsRef<Path>) -> Result<Db> {
        Self::open_with(path, DbOptions::default())
    }

    /// Opens a directory with options.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(path: impl AsRef<Path>, options: DbOptions) -> Result<Db> {
        Self::open_in(Arc::new(RealDir::open(path.as_ref())?), options)
    }

    /// Opens a database in a directory of any kind.
    pub(crate) fn open_in(dir: Arc<dyn Dir>, options: DbOptions) -> Result<Db> {
        let path = dir.path().to_owned();
        let (in_background, verify) = (options.background, options.verify);
        let store = Arc::new(Store::open(dir, options)?);
        // The handle first: if a thread cannot be started, its end is that of the others.
        let mut handle = DbHandle { store, path, threads: Vec::new() };
        if in_background {
            handle.threads = background::start(&handle.store)?;
        }
        if verify == Verify::Background {
            handle.threads.extend(background::start_verifier(&handle.store)?);
        }
        Ok(Db { handle: Arc::new(handle) })
    }

    /// What it is made of.
    #[cfg(test)]
    pub(crate) fn store(&self) -> &Store {
        &self.handle.store
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.handle.path
    }

    /// Makes a collection; durable when it returns.
    ///
    /// # Errors
    /// [`Error::CollectionExists`](crate::Error::CollectionExists); [`Error::Invalid`](crate::Error::Invalid) or
    /// [`Error::Limit`](crate::Error::Limit) for the name or for one collection too many.
    pub fn create_collection(&self, name: &str, schema: Schema) -> Result<Collection> {
        let core = self.handle.store.create_collection(name, schema)?;
        Ok(Collection::new(core, self.handle.clone()))
    }

    /// Finds a collection.
    ///
    /// # Errors
    /// [`Error::CollectionNotFound`](crate::Error::CollectionNotFound); [`Error::Corrupt`](crate::Error::Corrupt) if it
    /// could not be opened.
    pub fn collection(&self, name: &str) -> Result<Collection> {
        let core = self.handle.store.collection(name)?;
        Ok(Collection::new(core, self.handle.clone()))
    }

    /// Every collection, by name.
    pub fn collections(&self) -> Vec<CollectionInfo> {
        self.handle.store.collections().iter().map(|core| core.info()).collect()
    }

    /// Collections that could not be opened, and what is wrong with each ([`OnDamage::Isolate`]). They can be deleted, and
    /// nothing else, until [`repair`](crate::repair) made them good.
    pub fn damaged(&self) -> Vec<(String, Damage)> {
        self.handle.store.damaged()
    }

    /// Removes a collection and its rows; durable when it returns. Views of it stay as they are; writes through older
    /// handles fail.
    ///
    /// # Errors
    /// [`Error::CollectionNotFound`](crate::Error::CollectionNotFound).
    pub fn delete_collection(&self, name: &str) -> Result<()> {
        self.handle.store.delete_collection(name)
    }

    /// Writes what is still only in the log into segments, and merges segments as far as that is due. Never needed for
    /// durability: it makes searches faster and the next opening quicker.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) if the disk refuses. If it was a segment that could not be written, on a full disk
    /// say, nothing changed and writes go on; after any other failure they are [`Error::Poisoned`](crate::Error::Poisoned)
    /// until the database is reopened.
    pub fn flush(&self) -> Result<()> {
        self.handle.store.flush()
    }

    /// Like [`flush`](Self::flush), and then makes of each collection's rows as few segments as there can be, which is one
    /// up to two million rows: searches are fastest then. Left to itself, a database comes to the same state within seconds
    /// of the last write, but for small rests. It rewrites every row and takes as long as building the index.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// use ragstone::{Db, Point, Schema};
    ///
    /// let db = Db::open(directory.path())?;
    /// let notes = db.create_collection("notes", Schema::new(2)?)?;
    /// for id in 0..3_u64 {
    ///     notes.upsert(vec![Point::new(id, [id as f32, 1.0])])?;
    ///     db.flush()?;
    /// }
    /// db.compact()?;
    /// assert_eq!(notes.info().segments, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn compact(&self) -> Result<()> {
        self.handle.store.compact()
    }

    /// Which history its log positions belong to.
    pub fn lineage(&self) -> Lineage {
        self.handle.store.manifest.current().lineage
    }

    /// Holds the database as it is now: its files stay, unchanged, while the [`Pin`] lives, and writes go on. Everything
    /// that was acknowledged before is in it.
    ///
    /// # Errors
    /// [`Error::Poisoned`](crate::Error::Poisoned), or [`Error::Io`](crate::Error::Io) if a file cannot be looked at.
    pub fn pin(&self) -> Result<Pin> {
        Pin::new(&self.handle.store)
    }

    /// Holds the part of the log from a position on, as far as it is there, while the [`PinnedLog`] lives. What was
    /// acknowledged before is in it.
    ///
    /// # Errors
    /// As [`pin`](Self::pin).
    pub fn pin_log(&self, from: u64) -> Result<PinnedLog> {
        PinnedLog::new(&self.handle.store, from)
    }

    /// Says that the log up to a position is archived: what is only kept of it is removed.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) if the disk refuses.
    pub fn release_log(&self, position: u64) -> Result<()> {
        self.handle.store.release_log(position)
    }

    /// Reads every file and compares it with its checksums: manifest, log, tombstones and segments. It goes on beside
    /// reads and writes and covers what was there when it began.
    ///
    /// `progress` is called after about each megabyte; when it returns `Break`, the verification ends early and the
    /// report says so.
    ///
    /// Damage is in the report. Of a collection with a damaged segment, searches, pages, counts and writes fail from then
    /// on, until the database is opened again with sound files; rows by id are still read from the sound segments.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// use std::ops::ControlFlow;
    ///
    /// let db = ragstone::Db::open(directory.path())?;
    /// let report = db.verify(|progress| {
    ///     println!("{} of {} bytes", progress.bytes, progress.bytes_total);
    ///     ControlFlow::Continue(())
    /// })?;
    /// assert!(report.damaged.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) if a file cannot be read.
    pub fn verify(
        &self,
        mut progress: impl FnMut(VerifyProgress) -> ControlFlow<()>,
    ) -> Result<VerifyReport> {
        self.handle.store.verify(&mut progress)
    }
}
