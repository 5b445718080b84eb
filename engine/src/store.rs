//! What an open database is made of: directory, log, manifest and collections, and the rules between them.

mod replay;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rayon::prelude::*;

use crate::catalogue::{CATALOGUE, CatalogueChange};
use crate::collection::{CollectionCore, REST};
use crate::db::DbOptions;
use crate::dir::{Dir, DirLock, PinnedDir, corrupt};
use crate::error::{Error, Result};
use crate::limits::{COLLECTIONS_MAX, check_limit};
use crate::manifest::{CollectionEntry, MANIFEST_FILE, MANIFEST_NEW_FILE, Manifest, ManifestStore};
use crate::payload::FieldTable;
use crate::schema::Schema;
use crate::segment::{
    self, Check, DeadRows, Opening, SealedSegment, SegmentView, tombstone_file, tombstones,
};
use crate::signal::Signal;
use crate::snapshot::RESTORE_FILE;
use crate::threads::{Pools, Work};
use crate::validate;
use crate::vectors::Encodings;
use crate::verify::{Storage, Verify};
use crate::wal::{self, Log};
use replay::ClosedLog;

/// An open database.
pub(crate) struct Store {
    pub(crate) dir: Arc<dyn Dir>,
    /// The same, for whoever holds files of it.
    pub(crate) pinned: Arc<PinnedDir>,
    pub(crate) log: Box<dyn Log>,
    pub(crate) manifest: ManifestStore,
    pub(crate) options: DbOptions,
    /// Memory of all growing segments together.
    pub(crate) growing_bytes: Arc<AtomicU64>,
    next_segment: AtomicU64,
    /// Held for looking up and swapping, never while a collection works.
    collections: RwLock<BTreeMap<String, Arc<CollectionCore>>>,
    /// Held while a collection is made or removed: looked up first, then logged, then written to the manifest.
    changing: Mutex<()>,
    /// Held while log files are removed, and by whoever is about to hold them.
    pub(crate) cutting: Mutex<()>,
    pub(crate) signal: Signal,
    pub(crate) pools: Pools,
    _lock: Box<dyn DirLock>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens a database: locks the directory, checks every file as far as the options say, replays the log.
    ///
    /// # Errors
    /// [`Error::Restoring`] in a directory that is still being restored.
    pub(crate) fn open(dir: Arc<dyn Dir>, options: DbOptions) -> Result<Self> {
        let lock = dir.lock()?;
        let names = dir.list()?;
        if names.iter().any(|name| name == RESTORE_FILE) {
            return Err(Error::Restoring { path: dir.path().to_owned() });
        }
        Self::open_locked(dir, lock, options)
    }

    /// Opens a database in a locked directory.
    pub(crate) fn open_locked(dir: Arc<dyn Dir>, lock: Box<dyn DirLock>, options: DbOptions) -> Result<Self> {
        let pinned = Arc::new(PinnedDir::new(dir));
        let dir: Arc<dyn Dir> = pinned.clone();
        let names = dir.list()?;
        let is_fresh = is_fresh(&*dir, &names)?;
        let manifest = ManifestStore::open(dir.clone(), is_fresh)?;
        manifest.settle(options.keep_log_bytes)?;
        let root = manifest.current();
        if !is_fresh {
            remove_leftovers(&*dir, &names, &root)?;
        }
        let mut cores = open_collections(&*dir, &root, &options)?;
        let mut store = Self {
            pinned,
            log: Box::new(ClosedLog),
            manifest,
            growing_bytes: Arc::default(),
            next_segment: AtomicU64::new(root.next_segment),
            collections: RwLock::new(cores.values().map(|core| (core.name.clone(), core.clone())).collect()),
            changing: Mutex::new(()),
            cutting: Mutex::new(()),
            signal: Signal::default(),
            pools: Pools::new(),
            _lock: lock,
            dir,
            options,
        };
        store.log = Box::new(store.open_log(&mut cores, &root)?);
        store.log.keep(root.keep_log_bytes)?;
        cores.values().for_each(|core| core.end_replay(&store));
        Ok(store)
    }

    pub(crate) fn collection(&self, name: &str) -> Result<Arc<CollectionCore>> {
        let collections = self.collections.read().unwrap_or_else(PoisonError::into_inner);
        collections.get(name).cloned().ok_or_else(|| Error::CollectionNotFound { name: name.to_owned() })
    }

    /// Every collection, by name.
    pub(crate) fn collections(&self) -> Vec<Arc<CollectionCore>> {
        self.collections.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(crate) fn create_collection(&self, name: &str, schema: Schema) -> Result<Arc<CollectionCore>> {
        validate::collection_name(name)?;
        self.log.check()?;
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.collection(name).is_ok() {
            return Err(Error::CollectionExists { name: name.to_owned() });
        }
        check_limit("collections", "COLLECTIONS_MAX", COLLECTIONS_MAX, self.collections().len() + 1)?;
        let fields = FieldTable::declared(&schema.fields);
        let entry =
            CollectionEntry { name: name.to_owned(), schema, fields, stored_seq: 0, segments: Vec::new() };
        let id = self.manifest.next_collection();
        self.change_catalogue(&CatalogueChange::Create { id, entry: entry.clone() })?;
        let core = Arc::new(CollectionCore::open(id, &entry, Vec::new()));
        core.end_replay(self);
        let mut collections = self.collections.write().unwrap_or_else(PoisonError::into_inner);
        collections.insert(name.to_owned(), core.clone());
        Ok(core)
    }

    pub(crate) fn delete_collection(&self, name: &str) -> Result<()> {
        self.log.check()?;
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let core = self.collection(name)?;
        core.mark_deleted();
        self.change_catalogue(&CatalogueChange::Delete { id: core.id })?;
        self.collections.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        core.remove_files(self);
        let cut = self.cut_log();
        self.signal.notify();
        self.poison_on_error(cut)
    }

    /// Seals everything and merges what is due.
    pub(crate) fn flush(&self) -> Result<()> {
        self.log.check()?;
        for core in self.collections() {
            core.flush(self, Work::Flush)?;
            core.merge(self, Work::Flush)?;
        }
        self.signal.note_seal(&Ok(()));
        self.signal.notify();
        Ok(())
    }

    /// Seals everything and merges it into as few segments as there can be.
    pub(crate) fn compact(&self) -> Result<()> {
        self.log.check()?;
        self.collections().iter().try_for_each(|core| core.compact(self))?;
        self.signal.note_seal(&Ok(()));
        self.signal.notify();
        Ok(())
    }

    /// Remembers a failure that leaves the disk's state unknown.
    pub(crate) fn poison_on_error<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result {
            self.poison(&error.to_string());
        }
        result
    }

    /// Refuses writes until the database is reopened, and tells whoever waits.
    pub(crate) fn poison(&self, cause: &str) {
        self.log.poison(cause);
        self.signal.notify();
    }

    /// Removes log files that no collection needs.
    pub(crate) fn cut_log(&self) -> Result<()> {
        let _cutting = self.cutting.lock().unwrap_or_else(PoisonError::into_inner);
        let manifest = self.manifest.current();
        let stored = |log_id| match manifest.collections.get(&log_id) {
            Some(entry) => entry.stored_seq,
            None if log_id == CATALOGUE => manifest.catalogue_seq,
            None => u64::MAX,
        };
        self.log.cut(manifest.log.next_file, &stored)
    }

    /// The last write of a collection that is in segments; all of them if it is deleted.
    pub(crate) fn stored_seq(&self, id: u64) -> u64 {
        self.manifest.current().collections.get(&id).map_or(u64::MAX, |entry| entry.stored_seq)
    }

    /// A number for a new segment.
    pub(crate) fn next_segment_id(&self) -> u64 {
        self.next_segment.fetch_add(1, Ordering::Relaxed)
    }

    /// Numbers below this were given to segments.
    pub(crate) fn segment_ids_given(&self) -> u64 {
        self.next_segment.load(Ordering::Relaxed)
    }

    /// Sees to it that what a write made due is done.
    pub(crate) fn after_write(&self, core: &CollectionCore) -> Result<()> {
        let is_due = core.view().frozen().next().is_some() || self.is_memory_high() || self.is_log_long();
        if self.options.background {
            if core.has_newly_decayed() | core.unsettles() || is_due {
                self.signal.notify();
            }
            return Ok(());
        }
        if !is_due {
            return Ok(());
        }
        match self.seal_due() {
            Err(error) if self.log.check().is_ok() => {
                // The write is in the log and in memory; the next one tries again.
                tracing::warn!(%error, "could not seal a segment");
                Ok(())
            }
            result => result,
        }
    }

    fn is_memory_high(&self) -> bool {
        self.growing_bytes.load(Ordering::Relaxed) > self.options.growing_bytes_max
    }

    /// Whether so much is in memory that writers wait.
    pub(crate) fn is_memory_full(&self) -> bool {
        self.growing_bytes.load(Ordering::Relaxed) > 2 * self.options.growing_bytes_max
    }

    fn is_log_long(&self) -> bool {
        self.log.size_bytes() > self.options.log_bytes_max
    }

    /// Seals what is frozen, and what holds up memory or the log. Then there may be something to merge.
    pub(crate) fn seal_due(&self) -> Result<()> {
        // Without background threads a writer waits for it.
        let work = if self.options.background { Work::Seal } else { Work::Flush };
        let mut sealed = 0;
        let result = self.seal_due_counting(work, &mut sealed);
        self.signal.note_seal(&result);
        if sealed > 0 {
            self.signal.notify();
        }
        result
    }

    fn seal_due_counting(&self, work: Work, sealed: &mut usize) -> Result<()> {
        for core in self.collections() {
            *sealed += core.seal_frozen(self, work)?;
            self.signal.notify_waiters();
        }
        while self.is_memory_high()
            && let Some(largest) = self.collections().iter().max_by_key(|core| core.growing_bytes())
            && largest.growing_bytes() > 0
        {
            *sealed += largest.flush(self, work)?;
            self.signal.notify_waiters();
        }
        if self.is_log_long() {
            let oldest = self.log.oldest();
            for core in self.collections().iter().filter(|core| oldest.contains(&core.id)) {
                *sealed += core.flush(self, work)?;
            }
        }
        Ok(())
    }

    /// Merges what is due, and what is left where nobody writes. Says when to look again at the latest.
    pub(crate) fn merge_due(&self) -> Result<Option<Duration>> {
        let collections = self.collections();
        collections.iter().try_for_each(|core| core.merge(self, Work::Merge))?;
        let mut look_again = false;
        for core in &collections {
            look_again |= core.settle(self)?;
        }
        Ok(look_again.then_some(REST))
    }

    /// Waits for what background work brings about. Without background threads, does that work.
    ///
    /// # Errors
    /// The log's, and [`Error::Io`] if the last seal failed: waiting for it could take for ever.
    pub(crate) fn wait_for_room(&self, has_room: impl Fn() -> bool) -> Result<()> {
        if !self.options.background {
            return if has_room() { Ok(()) } else { self.seal_due() };
        }
        self.signal.wait_for_room(self.dir.path(), has_room, || self.log.check())
    }

    /// Ends the background threads at their next pause.
    pub(crate) fn stop(&self) {
        self.signal.stop();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.signal.is_stopping()
    }
}

/// Whether the directory holds no database yet.
fn is_fresh(dir: &dyn Dir, names: &[String]) -> Result<bool> {
    if names.iter().any(|name| name == MANIFEST_FILE) {
        return Ok(false);
    }
    let of_ours = names.iter().find(|name| wal::is_log_file(name) || segment::parse_file(name).is_some());
    match of_ours {
        None => Ok(true),
        Some(name) => {
            Err(corrupt(dir, MANIFEST_FILE, 0, format!("the file is missing, but {name} is there")))
        }
    }
}

/// Removes the files that a crash left and the manifest does not name. Names of other kinds are left alone.
fn remove_leftovers(dir: &dyn Dir, names: &[String], root: &Manifest) -> Result<()> {
    let named = root.segments();
    let mut removed = false;
    for name in names {
        let is_leftover = match segment::parse_file(name) {
            Some((id, None)) => !named.iter().any(|(segment, _)| *segment == id),
            Some((id, Some(generation))) => !named.contains(&(id, generation)),
            None => name == MANIFEST_NEW_FILE,
        };
        if is_leftover {
            dir.remove(name)?;
            removed = true;
        }
    }
    if removed { dir.sync() } else { Ok(()) }
}

/// Opens every segment, in parallel, and makes the collections of them.
fn open_collections(
    dir: &dyn Dir,
    root: &Manifest,
    options: &DbOptions,
) -> Result<BTreeMap<u64, Arc<CollectionCore>>> {
    let check = match (options.storage, options.verify) {
        (Storage::Resident, _) | (_, Verify::OnOpen) => Check::Everything,
        (Storage::Mapped, Verify::Background | Verify::OnDemand) => Check::Headers,
    };
    root.collections
        .par_iter()
        .map(|(id, entry)| {
            let encodings = Encodings::new(&entry.schema);
            let opening =
                Opening { schema: &entry.schema, encodings: &encodings, storage: options.storage, check };
            let segments = entry
                .segments
                .par_iter()
                .map(|segment| {
                    let sealed = Arc::new(SealedSegment::open(dir, segment.id, &opening)?);
                    if !sealed.has_only(&entry.fields) {
                        let reason = "a column is of a field that the collection does not have";
                        return Err(corrupt(dir, &segment::segment_file(segment.id), 0, reason));
                    }
                    let dead = match segment.tombstones {
                        0 => DeadRows::default(),
                        generation => {
                            let name = tombstone_file(segment.id, generation);
                            tombstones::read(dir, &name, segment.id, sealed.rows(), sealed.vectors())?
                        }
                    };
                    Ok((SegmentView::sealed(sealed, dead), segment.tombstones))
                })
                .collect::<Result<Vec<_>>>()?;
            Ok((*id, Arc::new(CollectionCore::open(*id, entry, segments))))
        })
        .collect()
}
