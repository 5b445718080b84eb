//! What an open database is made of: directory, log, manifest and collections, and the rules between them.

mod changing;
mod due;
mod logs;
mod replay;
mod room;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::attributes::Attributes;
use crate::collection::CollectionCore;
use crate::db::DbOptions;
use crate::dir::{Dir, DirLock, Lifetime, PinnedDir};
use crate::error::{Error, Result};
use crate::faults;
use crate::latencies::Rewrites;
use crate::manifest::ManifestStore;
use crate::opening::{is_fresh, open_collections, remove_leftovers};
use crate::signal::Signal;
use crate::snapshot::RESTORE_FILE;
use crate::threads::{Pools, Work};
use crate::verify::Damage;
use crate::wal::Log;
use replay::UnreadLog;

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
    room: room::Room,
    /// Held for looking up and swapping, never while a collection works.
    names: RwLock<changing::Names>,
    /// As the manifest has them, for who reads them while that is being written.
    pub(crate) attributes: RwLock<Attributes>,
    /// Collections that could not be opened: their ids and what is wrong.
    damaged: RwLock<BTreeMap<String, (u64, Damage)>>,
    /// Held while the catalogue is changed: looked up first, then logged, then written to the manifest.
    changing: Mutex<()>,
    /// Held while log files are removed, and by whoever is about to hold them.
    pub(crate) cutting: Mutex<()>,
    /// Set while a copy is being restored: its log, which tells how far it goes, stays then.
    pub(crate) holds_log: AtomicBool,
    /// The last number of a change of the catalogue that a full disk refused; 0 if none was.
    catalogue_void: AtomicU64,
    pub(crate) signal: Signal,
    /// Tells the thread that links of new rows.
    pub(crate) link_signal: Signal,
    /// Collections with rows that are not nodes yet.
    to_link: Mutex<VecDeque<Arc<CollectionCore>>>,
    pub(crate) rewrites: Rewrites,
    /// Views know of them too, without keeping them: they end with this.
    pub(crate) pools: Arc<Pools>,
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
        faults::point("recovery.locked");
        let names = dir.list()?;
        if names.iter().any(|name| name == RESTORE_FILE) {
            return Err(Error::Restoring { path: dir.path().to_owned() });
        }
        let store = Self::open_locked(dir, lock, options)?;
        store.remove_staged();
        if !store.is_read_only() {
            // What a crash kept from being removed, or somebody who held it. Of what came after that, some is gone.
            store.cut_log()?;
        }
        Ok(store)
    }

    /// Opens a database in a locked directory.
    pub(crate) fn open_locked(
        dir: Arc<dyn Dir>,
        lock: Box<dyn DirLock>,
        mut options: DbOptions,
    ) -> Result<Self> {
        let pinned = Arc::new(PinnedDir::new(dir));
        let dir: Arc<dyn Dir> = pinned.clone();
        let names = dir.list()?;
        let is_fresh = is_fresh(&*dir, &names)?;
        let lifetime = dir.lifetime();
        // A database that is only read is there already.
        let manifest = ManifestStore::open(dir.clone(), is_fresh && lifetime != Lifetime::ReadOnly)?;
        if lifetime != Lifetime::ReadOnly {
            manifest.settle(options.keep_log_bytes)?;
        }
        let root = manifest.current();
        faults::point("recovery.manifest");
        if !is_fresh {
            remove_leftovers(&*dir, &names, &root)?;
        }
        if lifetime == Lifetime::ReadOnly {
            // What the log holds is one segment then, which takes rows until they are nodes: no seal will link them.
            (options.seal_rows, options.seal_bytes) = (usize::MAX, u64::MAX);
        }
        let pools = Arc::new(Pools::new(options.threads, dir.path()));
        let (mut cores, damaged) = match root.collections.is_empty() {
            true => Default::default(),
            false => pools.run(Work::Flush, || open_collections(&*dir, (&root, &names), &options))??,
        };
        faults::point("recovery.segments");
        let mut store = Self {
            pinned,
            log: Box::new(UnreadLog),
            manifest,
            growing_bytes: Arc::default(),
            next_segment: AtomicU64::new(root.next_segment),
            room: room::Room::default(),
            names: RwLock::new(changing::Names {
                collections: cores.values().map(|core| (core.name().to_string(), core.clone())).collect(),
                aliases: root.aliases.clone(),
            }),
            attributes: RwLock::new(root.attributes.clone()),
            damaged: RwLock::new(damaged),
            changing: Mutex::new(()),
            cutting: Mutex::new(()),
            holds_log: AtomicBool::new(false),
            rewrites: Rewrites::default(),
            catalogue_void: AtomicU64::new(0),
            signal: Signal::default(),
            link_signal: Signal::default(),
            to_link: Mutex::default(),
            pools,
            _lock: lock,
            dir,
            options,
        };
        store.log = match lifetime {
            Lifetime::Durable => Box::new(store.open_log(&mut cores, &root)?),
            Lifetime::Volatile => Box::new(logs::VolatileLog::default()),
            Lifetime::ReadOnly => {
                let read = store.open_log(&mut cores, &root)?;
                Box::new(logs::ReadOnlyLog { read, path: store.dir.path().to_owned() })
            }
        };
        if lifetime != Lifetime::ReadOnly {
            store.log.keep(root.keep_log_bytes)?;
        }
        for core in cores.values() {
            core.end_replay(&store);
            if store.is_read_only() {
                store.put_to_link(core.clone());
            }
        }
        store.count_room();
        faults::point("recovery.end");
        Ok(store)
    }

    /// Collections that could not be opened, and why.
    pub(crate) fn damaged(&self) -> Vec<(String, Damage)> {
        let damaged = self.damaged.read().unwrap_or_else(PoisonError::into_inner);
        damaged.iter().map(|(name, (_, damage))| (name.clone(), damage.clone())).collect()
    }

    /// Seals everything and merges what is due. Of a damaged collection, its error, once the others are done.
    pub(crate) fn flush(&self) -> Result<()> {
        self.rewrite_all(|core| {
            core.flush(self, Work::Flush)?;
            core.merge(self, Work::Flush)
        })
    }

    /// Seals everything and merges it into as few segments as there can be. Of a damaged collection, its error, once the others
    /// are done.
    pub(crate) fn compact(&self) -> Result<()> {
        self.rewrite_all(|core| core.compact(self))
    }

    fn rewrite_all(&self, rewrite: impl Fn(&CollectionCore) -> Result<()>) -> Result<()> {
        self.log.check()?;
        let rewritten = self.for_each_collection(rewrite);
        self.note_sealed();
        if matches!(rewritten, Ok(()) | Err(Error::Corrupt { .. })) {
            self.signal.note_seal(&Ok(()));
        }
        self.signal.notify();
        rewritten
    }

    /// Remembers a failure that leaves the disk's state unknown. A full disk does not: what it refuses are files that no
    /// manifest names.
    pub(crate) fn poison_on_error<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result
            && !error.is_full()
        {
            self.poison(&error.to_string());
        }
        result
    }

    /// Refuses writes until the database is reopened, and tells whoever waits.
    pub(crate) fn poison(&self, cause: &str) {
        self.log.poison(cause);
        self.signal.notify();
    }

    /// Removes log files that no collection needs. One with a record beyond what the manifest says of the log stays, though that record be
    /// a change of the catalogue, which is in the manifest itself.
    pub(crate) fn cut_log(&self) -> Result<()> {
        if self.holds_log.load(Ordering::Relaxed) {
            return Ok(());
        }
        let _cutting = self.cutting.lock().unwrap_or_else(PoisonError::into_inner);
        let manifest = self.manifest.current();
        self.log.cut(manifest.log, &|log_id| manifest.stored(log_id))
    }

    /// Has the manifest say how far the log is, if its oldest file is kept by that alone: no collection that is sealed would have it go.
    pub(crate) fn free_log(&self) -> Result<()> {
        if self.holds_log.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (manifest, mark) = (self.manifest.current(), self.log.mark());
        if self.log.oldest().into_iter().any(|(log_id, last)| manifest.stored(log_id) < last) {
            return Ok(());
        }
        // What is kept for another reason, as what a full disk left at its end, has no manifest written each time that somebody looks.
        let is_noted = mark.next_file <= manifest.log.next_file && mark.position <= manifest.log.position;
        let noted = match is_noted {
            true => Ok(()),
            false => self.manifest.update(|manifest| {
                manifest.note_log(mark);
                Ok(())
            }),
        };
        self.poison_on_error(noted.and_then(|()| self.cut_log()))
    }

    /// The last change of the catalogue that a full disk refused. Its number stands for nothing.
    pub(crate) fn catalogue_void(&self) -> u64 {
        self.catalogue_void.load(Ordering::SeqCst)
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
