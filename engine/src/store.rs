//! What an open database is made of: directory, log, manifest and collections, and the rules between them.

mod due;
mod logs;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rayon::prelude::*;

use crate::collection::CollectionCore;
use crate::db::DbOptions;
use crate::dir::{Dir, DirLock, Lifetime, corrupt};
use crate::error::{Error, Result};
use crate::limits::{COLLECTIONS_MAX, check_limit};
use crate::manifest::{CollectionEntry, MANIFEST_FILE, MANIFEST_NEW_FILE, Manifest, ManifestStore};
use crate::payload::FieldTable;
use crate::schema::Schema;
use crate::segment::{
    self, Check, DeadRows, Opening, SealedSegment, SegmentView, tombstone_file, tombstones,
};
use crate::signal::Signal;
use crate::threads::{Pools, Work};
use crate::validate;
use crate::vectors::Encodings;
use crate::verify::{Storage, Verify};
use crate::wal::{self, FileLog, Log, LogOptions};

/// Bytes that may be queued for the log, whatever the options say: a frame tells its length in 32 bits.
const LOG_QUEUE_BYTES_MAX: usize = 2 << 30;

/// An open database.
pub(crate) struct Store {
    pub(crate) dir: Arc<dyn Dir>,
    pub(crate) log: Box<dyn Log>,
    pub(crate) manifest: ManifestStore,
    pub(crate) options: DbOptions,
    /// Memory of all growing segments together.
    pub(crate) growing_bytes: Arc<AtomicU64>,
    next_segment: AtomicU64,
    /// Held for looking up and swapping, never while a collection works.
    collections: RwLock<BTreeMap<String, Arc<CollectionCore>>>,
    /// Held while a collection is made or removed: looked up first, then written to the manifest.
    changing: Mutex<()>,
    pub(crate) signal: Signal,
    /// Tells the thread that links of new rows.
    pub(crate) link_signal: Signal,
    /// Collections with rows that are not nodes yet.
    to_link: Mutex<VecDeque<Arc<CollectionCore>>>,
    pub(crate) pools: Pools,
    _lock: Box<dyn DirLock>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// A log that takes nothing: while the real one is being read there is none to write to.
#[derive(Debug)]
struct ClosedLog;

impl Log for ClosedLog {
    fn submit(&self, _: wal::Record<'_>) -> Result<wal::Ticket> {
        self.check().map(|()| wal::Ticket(0))
    }
    fn wait(&self, _: wal::Ticket) -> Result<()> {
        self.check()
    }
    fn poison(&self, _: &str) {}
    fn check(&self) -> Result<()> {
        Err(Error::Poisoned { cause: "the log is being read".into() })
    }
    fn cut(&self, _: &dyn Fn(u64) -> u64) -> Result<()> {
        Ok(())
    }
    fn verify(&self) -> Result<()> {
        self.check()
    }
    fn size_bytes(&self) -> u64 {
        0
    }
    fn oldest(&self) -> Vec<u64> {
        Vec::new()
    }
}

impl Store {
    /// Opens a database: locks the directory, checks every file as far as the options say, replays the log.
    pub(crate) fn open(dir: Arc<dyn Dir>, mut options: DbOptions) -> Result<Self> {
        let lock = dir.lock()?;
        let names = dir.list()?;
        let is_fresh = is_fresh(&*dir, &names)?;
        let lifetime = dir.lifetime();
        // A database that is only read is there already.
        let manifest = ManifestStore::open(dir.clone(), is_fresh && lifetime != Lifetime::ReadOnly)?;
        let root = manifest.current();
        if !is_fresh {
            remove_leftovers(&*dir, &names, &root)?;
        }
        if lifetime == Lifetime::ReadOnly {
            // What the log holds is one segment then, which takes rows until they are nodes: no seal will link them.
            (options.seal_rows, options.seal_bytes) = (usize::MAX, u64::MAX);
        }
        let pools = Pools::new(options.threads);
        let cores = match root.collections.is_empty() {
            true => BTreeMap::new(),
            false => pools.run(Work::Flush, || open_collections(&*dir, &root, &options))?,
        };
        let mut store = Self {
            log: Box::new(ClosedLog),
            manifest,
            growing_bytes: Arc::default(),
            next_segment: AtomicU64::new(root.next_segment),
            collections: RwLock::new(cores.values().map(|core| (core.name.clone(), core.clone())).collect()),
            changing: Mutex::new(()),
            signal: Signal::default(),
            link_signal: Signal::default(),
            to_link: Mutex::default(),
            pools,
            _lock: lock,
            dir,
            options,
        };
        store.log = match lifetime {
            Lifetime::Durable => Box::new(store.replay(&cores, root.next_collection)?),
            Lifetime::Volatile => Box::new(logs::VolatileLog::default()),
            Lifetime::ReadOnly => {
                let read = store.replay(&cores, root.next_collection)?;
                Box::new(logs::ReadOnlyLog { read, path: store.dir.path().to_owned() })
            }
        };
        for core in cores.values() {
            core.end_replay(&store);
            if store.is_read_only() {
                store.put_to_link(core.clone());
            }
        }
        Ok(store)
    }

    /// Reads the log into the collections.
    fn replay(&self, cores: &BTreeMap<u64, Arc<CollectionCore>>, next_collection: u64) -> Result<FileLog> {
        let options = LogOptions {
            file_bytes: self.options.log_file_bytes,
            queue_bytes: self.options.log_queue_bytes.min(LOG_QUEUE_BYTES_MAX),
        };
        FileLog::open(self.dir.clone(), options, &mut |file, offset, record| {
            let fault = |reason: String| corrupt(&*self.dir, file, offset as u64, reason);
            match cores.get(&record.log_id) {
                Some(core) => core.replay(self, &record).map_err(fault),
                // Of a deleted collection.
                None if record.log_id < next_collection => Ok(()),
                None => Err(fault(format!("the record is of collection {}, which never was", record.log_id))),
            }
        })
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
        let added = self.manifest.update(|manifest| {
            let id = manifest.next_collection;
            manifest.next_collection += 1;
            manifest.collections.insert(id, entry.clone());
            Ok(id)
        });
        let core = Arc::new(CollectionCore::open(self.poison_on_error(added)?, &entry, Vec::new()));
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
        let removed = self.manifest.update(|manifest| {
            manifest.collections.remove(&core.id);
            Ok(())
        });
        self.poison_on_error(removed)?;
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
        let manifest = self.manifest.current();
        let stored = |log_id| manifest.collections.get(&log_id).map_or(u64::MAX, |entry| entry.stored_seq);
        self.log.cut(&stored)
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
        self.link_signal.stop();
        self.signal.stop();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.signal.is_stopping()
    }

    /// Whether it was opened for reading only.
    pub(crate) fn is_read_only(&self) -> bool {
        self.dir.lifetime() == Lifetime::ReadOnly
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
