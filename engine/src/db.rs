//! A directory of collections: opening it, and the handle on it.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::background;
use crate::collection::{Collection, CollectionCore, CollectionInfo, Turns};
use crate::dir::{Dir, ReadOnlyDir, RealDir, VolatileDir};
use crate::error::{Error, Result};
use crate::interrupt::{CancelToken, check_wanted};
use crate::replacement::is_hidden;
use crate::schema::Schema;
use crate::scope::{RowFilter, Scope};
use crate::snapshot::{Pin, PinnedLog};
use crate::verify::{Damage, Verify, VerifyProgress, VerifyReport};

pub(crate) use crate::options::DbOptions;
pub(crate) use crate::store::Store;

/// An open database directory; cheap to clone, shared between threads.
///
/// The directory is locked for as long as a `Db` or a [`Collection`] of it lives, or a [`Pin`]. Dropping the last of them
/// waits for its threads to end; nothing is lost, since every acknowledged write is in the log.
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
    token: Option<CancelToken>,
    /// What of it is shown, if not all.
    pub(crate) scope: Option<Arc<dyn Scope>>,
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
    turns: Turns,
}

impl DbHandle {
    pub(crate) fn turns(&self) -> &Turns {
        &self.turns
    }

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
    /// [`Error::Locked`] if it is open already, [`Error::Restoring`] if it
    /// is not restored to the end, [`Error::Corrupt`] with file and offset if manifest or log are
    /// damaged (of segments, see [`OnDamage`](crate::OnDamage)), [`Error::Io`] if the system refuses, [`Error::Invalid`] for a `RAGSTONE_ISA` that
    /// names no instruction set.
    pub fn open(path: impl AsRef<Path>) -> Result<Db> {
        Self::open_with(path, DbOptions::default())
    }

    /// Opens a directory with options.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`Error::Invalid`] and [`Error::Limit`] for an option, as [`DbOptions`] says.
    pub fn open_with(path: impl AsRef<Path>, options: DbOptions) -> Result<Db> {
        options.check()?;
        if options.read_only {
            let dir = Arc::new(RealDir::existing(path.as_ref())?);
            return Self::open_in(Arc::new(ReadOnlyDir::new(dir)), options);
        }
        Self::open_in(Arc::new(RealDir::open(path.as_ref())?), options)
    }

    /// Opens a directory that is only to be read: no file in it is written, cut or removed. It may lie on a medium that
    /// cannot be written.
    ///
    /// Any number of processes may read a database at once, while none has it open for writing. **A reader beside a writer is
    /// refused**, either way round: a writer replaces the files that a reader would open next, and keeps in its own memory
    /// what it acknowledged last, so the reader would find an old state at best. Have the writer's process answer instead, as
    /// a server does, or read a copy.
    ///
    /// What a crash left is not repaired but passed over: the state is that of the last acknowledged write. Rows that are in
    /// the log alone become nodes of a graph in memory, by a thread of the database, as no seal can follow.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path();
    /// use ragstone::{Db, Error, Point, Schema, SearchRequest};
    ///
    /// Db::open(path)?.create_collection("notes", Schema::new(2)?)?.upsert(vec![Point::new(1, [1.0, 0.0])])?;
    ///
    /// let (reader, another) = (Db::open_read_only(path)?, Db::open_read_only(path)?);
    /// let notes = reader.collection("notes")?;
    /// assert_eq!(notes.search(&SearchRequest::new([1.0, 0.0], 1))?.hits.len(), 1);
    /// assert!(matches!(notes.delete(&[1.into()]), Err(Error::ReadOnly { .. })));
    /// assert!(matches!(Db::open(path), Err(Error::Locked { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Locked`] if it is open for writing; [`Error::Io`] if there is no database; [`Error::Corrupt`] with file and offset if its bytes are damaged. Every write is
    /// [`Error::ReadOnly`].
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Db> {
        Self::open_with(path, DbOptions { read_only: true, ..DbOptions::default() })
    }

    /// A new database in memory, which ends with its last handle: for tests, and for what can be made anew.
    ///
    /// It is the same engine: rows are sealed and merged in the background, searches are as fast, limits hold. Only the log is missing,
    /// and a write is acknowledged as soon as it can be found.
    ///
    /// ```
    /// use ragstone::{Db, Point, Schema, SearchRequest};
    ///
    /// let db = Db::in_memory()?;
    /// let notes = db.create_collection("notes", Schema::new(2)?)?;
    /// notes.upsert(vec![Point::new("tea", [1.0, 0.2]), Point::new("sun", [0.1, 0.9])])?;
    /// assert_eq!(notes.search(&SearchRequest::new([1.0, 0.0], 1))?.hits[0].id, "tea".into());
    /// # Ok::<(), ragstone::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Io`] if the system has no thread to give.
    pub fn in_memory() -> Result<Db> {
        Self::in_memory_with(DbOptions::default())
    }

    /// A new database in memory, with options. Those about files mean nothing here: the log's, [`DbOptions::verify`] and
    /// [`DbOptions::storage`].
    ///
    /// # Errors
    /// As [`in_memory`](Self::in_memory); [`Error::Invalid`] and [`Error::Limit`] for an option, as [`DbOptions`] says, and
    /// for a database that is only to be read.
    pub fn in_memory_with(options: DbOptions) -> Result<Db> {
        options.check()?;
        if options.read_only {
            return Err(Error::invalid("options.read_only", "a new database has nothing to read"));
        }
        Self::open_in(Arc::new(VolatileDir::new()), options)
    }

    /// Opens a database in a directory of any kind.
    pub(crate) fn open_in(dir: Arc<dyn Dir>, options: DbOptions) -> Result<Db> {
        let path = dir.path().to_owned();
        let (in_background, verify) = (options.background, options.verify);
        let store = Arc::new(Store::open(dir, options)?);
        // The handle first: if a thread cannot be started, its end is that of the others.
        let mut handle = DbHandle { store, path, threads: Vec::new(), turns: Turns::default() };
        if in_background {
            handle.threads = background::start(&handle.store)?;
        }
        if verify == Verify::Background {
            handle.threads.extend(background::start_verifier(&handle.store)?);
        }
        Ok(Db { handle: Arc::new(handle), token: None, scope: None })
    }

    /// The same database, through a handle whose work ends when the token is cancelled, and so does that of the collections
    /// and views which are had from it. Reads under way end between some rows or segments (what makes an index, as the first filter by a
    /// field does, ends with it, but the second time such a filter makes it to the end) and fail with [`Error::Cancelled`]; a search gives what it has and says so, as by a token of its own. A write
    /// that has not begun (one that waits for a [replacement](crate::Replacement::finish), or for seals and merges to make room, has not) is refused; one that
    /// has is completed, but for [`Collection::delete_where`], which may end between its parts.
    ///
    /// ```
    /// use ragstone::{CancelToken, Db, Error, Schema};
    ///
    /// let db = Db::in_memory()?;
    /// db.create_collection("notes", Schema::new(2)?)?;
    /// let token = CancelToken::new();
    /// let notes = db.cancelled_by(token.clone()).collection("notes")?;
    /// assert_eq!(notes.count(None)?, 0);
    /// token.cancel(); // from this thread or another
    /// assert!(matches!(notes.count(None), Err(Error::Cancelled)));
    /// assert_eq!(db.collection("notes")?.count(None)?, 0, "other handles go on");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn cancelled_by(&self, token: CancelToken) -> Db {
        Db { token: Some(token), ..self.clone() }
    }

    /// Whether what is done through this handle is still wanted: for what goes on between its calls.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if not.
    pub fn check_wanted(&self) -> Result<()> {
        check_wanted(self.token.as_ref())
    }

    /// What it is made of.
    pub(crate) fn any_store(&self) -> &Store {
        &self.handle.store
    }

    pub(crate) fn handle_of(&self, core: Arc<CollectionCore>) -> Collection {
        self.handle_on(core, None)
    }

    /// A handle that shows these rows alone, if there is a restriction.
    pub(crate) fn handle_on(&self, core: Arc<CollectionCore>, rows: Option<Arc<RowFilter>>) -> Collection {
        Collection::new(core, self.handle.clone(), (self.token.clone(), rows))
    }

    /// The directory; `:memory:` of a database in memory.
    pub fn path(&self) -> &Path {
        &self.handle.path
    }

    /// Whether it was opened for reading only.
    pub fn is_read_only(&self) -> bool {
        self.handle.store.is_read_only()
    }

    /// Makes a collection; durable when it returns.
    ///
    /// # Errors
    /// [`Error::CollectionExists`] or [`Error::AliasExists`]; [`Error::Invalid`] or
    /// [`Error::Limit`] for the name or for one collection too many.
    pub fn create_collection(&self, name: &str, schema: Schema) -> Result<Collection> {
        self.check_whole(name)?;
        let made = self.handle.store.create_collection(name, schema, self.scope.as_deref());
        Ok(self.handle_of(made.map_err(|error| self.veiled(error))?))
    }

    /// Finds a collection by its name or an [alias](Self::set_alias).
    ///
    /// # Errors
    /// [`Error::CollectionNotFound`]; [`Error::Corrupt`] if it
    /// could not be opened.
    pub fn collection(&self, name: &str) -> Result<Collection> {
        let (core, rows) = self.seen(name)?;
        Ok(self.handle_on(core, rows))
    }

    /// Every collection, by name.
    pub fn collections(&self) -> Vec<CollectionInfo> {
        // By the names that they have at one moment: another may take the place of one at the next.
        let names = self.handle.store.read_names();
        let shown = names.collections.iter().filter(|(name, _)| !is_hidden(name));
        let cores: Vec<Arc<CollectionCore>> = shown.map(|(_, core)| core.clone()).collect();
        drop(names);
        cores.into_iter().filter_map(|core| self.info_of(core)).collect()
    }

    /// Collections that could not be opened, and what is wrong with each ([`OnDamage::Isolate`](crate::OnDamage::Isolate)). They can be deleted, and
    /// nothing else, until [`repair`](crate::repair) made them good.
    pub fn damaged(&self) -> Vec<(String, Damage)> {
        self.handle.store.damaged().into_iter().filter(|(name, _)| self.shows(name)).collect()
    }

    /// Removes a collection and its rows; durable when it returns. Views of it stay as they are; writes through older
    /// handles fail.
    ///
    /// What was to [replace](crate::Replacement) it is removed as well.
    ///
    /// # Errors
    /// [`Error::CollectionNotFound`]; [`Error::CollectionAliased`] while an alias names it, [`Error::AliasExists`] for an alias.
    pub fn delete_collection(&self, name: &str) -> Result<()> {
        self.check_whole(name)?;
        self.handle.store.delete_collection(name, None).map_err(|error| self.veiled(error))
    }

    /// Removes a collection as [`delete_collection`](Self::delete_collection) does, if it is still this one that has its name: not
    /// another one that was made since.
    ///
    /// # Errors
    /// [`Error::CollectionNotFound`].
    pub fn delete_this_collection(&self, collection: &Collection) -> Result<()> {
        self.check_whole(collection.name())?;
        self.handle.store.delete_collection(collection.name(), Some(collection.id()))
    }

    /// Writes what is still only in the log into segments, and merges segments as far as that is due. Never needed for
    /// durability: it makes searches faster and the next opening quicker.
    ///
    /// # Errors
    /// [`Error::Io`] if the disk refuses. If it was a segment that could not be written, on a full disk
    /// say, nothing changed and writes go on; after any other failure they are [`Error::Poisoned`]
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

    /// Reads every file and compares it with its checksums: manifest, log, what is kept of it for an archive, tombstones and segments. It goes on beside
    /// reads and writes and covers what was there when it began.
    ///
    /// `progress` is called before segments are read, behind each file of the log that is kept, and after about each megabyte of segments; when it
    /// returns `Break`, the verification ends early and the report says so.
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
    /// [`Error::Io`] if the system does not let a file be read. What the disk cannot read is in the report.
    pub fn verify(
        &self,
        mut progress: impl FnMut(VerifyProgress) -> ControlFlow<()>,
    ) -> Result<VerifyReport> {
        self.handle.store.verify(&mut progress)
    }
}
