//! Records of the log become collections and rows; and changes of the catalogue become records.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::Store;
use crate::attributes::Attribute;
use crate::catalogue::{CATALOGUE, CatalogueChange};
use crate::collection::{CollectionCore, Opened};
use crate::dir::corrupt;
use crate::error::{Error, Result};
use crate::faults;
use crate::manifest::{MANIFEST_FILE, Manifest};
use crate::replacement::hidden_name;
use crate::staged::staged_name;
use crate::wal::{self, FileLog, Log, LogMark, LogOptions, Record};

/// A log that takes nothing: while the real one is being read there is none to write to.
#[derive(Debug)]
pub(super) struct UnreadLog;

impl Log for UnreadLog {
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

    fn mark(&self) -> LogMark {
        LogMark::default()
    }

    fn close(&self) -> Result<wal::ClosedLog> {
        Err(Error::Poisoned { cause: "the log is being read".into() })
    }
}

impl Store {
    /// Reads the log into the collections.
    pub(super) fn open_log(
        &self,
        cores: &mut BTreeMap<u64, Arc<CollectionCore>>,
        root: &Manifest,
    ) -> Result<FileLog> {
        let options = LogOptions {
            file_bytes: self.options.log_file_bytes,
            keep_bytes: root.keep_log_bytes,
            queue_bytes: self.options.log_queue_bytes,
            ..LogOptions::default()
        };
        FileLog::open(self.dir.clone(), options, root.log, &mut |file, place, record| {
            let wrong = |reason| corrupt(&*self.dir, file, place.offset as u64, reason);
            self.replay(cores, &record, place.position)?.map_err(wrong)
        })
    }

    /// Applies a record that is durable, unless it is applied already. The inner error is what is wrong with the record.
    pub(crate) fn replay(
        &self,
        cores: &mut BTreeMap<u64, Arc<CollectionCore>>,
        record: &Record<'_>,
        position: u64,
    ) -> Result<Result<(), String>> {
        if record.log_id == CATALOGUE {
            return self.replay_catalogue(cores, record);
        }
        Ok(match cores.get(&record.log_id) {
            Some(core) => {
                faults::point("recovery.record");
                core.replay(self, record, position)
            }
            // Of a deleted collection, or of a damaged one, for which the log is kept.
            None if record.log_id < self.manifest.next_collection() => Ok(()),
            None => Err(format!("the record is of collection {}, which never was", record.log_id)),
        })
    }

    fn replay_catalogue(
        &self,
        cores: &mut BTreeMap<u64, Arc<CollectionCore>>,
        record: &Record<'_>,
    ) -> Result<Result<(), String>> {
        let change = match CatalogueChange::replay(record, &mut self.manifest.current()) {
            Ok(None) => return Ok(Ok(())),
            Ok(Some(change)) => change,
            Err(reason) => return Ok(Err(reason)),
        };
        self.change_manifest(|_| record.seq, &change, |_| Ok(()))?;
        self.take_change(cores, change, record.seq);
        Ok(Ok(()))
    }

    /// Does in memory what a record of the catalogue says.
    fn take_change(
        &self,
        cores: &mut BTreeMap<u64, Arc<CollectionCore>>,
        change: CatalogueChange,
        revision: u64,
    ) {
        let mut attributes = self.attributes.write().unwrap_or_else(PoisonError::into_inner);
        match change {
            CatalogueChange::Create { id, entry } => {
                let core = Arc::new(CollectionCore::open(id, &entry, Opened::default(), &self.options.clock));
                self.write_names().collections.insert(entry.name, core.clone());
                cores.insert(id, core);
            }
            CatalogueChange::Delete { id } => self.forget(cores, id),
            CatalogueChange::Nothing => {}
            CatalogueChange::Attribute { key, value: Some(value) } => {
                attributes.insert(key, Attribute { value, revision });
            }
            CatalogueChange::Attribute { key, value: None } => drop(attributes.remove(&key)),
            CatalogueChange::Alias { alias, collection: Some(collection) } => {
                self.write_names().aliases.insert(alias, collection);
            }
            CatalogueChange::Alias { alias, collection: None } => {
                self.write_names().aliases.remove(&alias);
            }
            CatalogueChange::Replace { id, original } => self.replay_replacement(cores, id, original),
            CatalogueChange::Name { id, name, original } => self.replay_naming(cores, (id, name), original),
        }
    }

    /// Forgets a collection that is removed, with its aliases and what was to replace it.
    fn forget(&self, cores: &mut BTreeMap<u64, Arc<CollectionCore>>, id: u64) {
        if let Some(core) = cores.remove(&id) {
            let name = core.name();
            let mut names = self.write_names();
            names.collections.remove(&*name);
            names.aliases.retain(|_, collection| **collection != *name);
            drop(names);
            core.mark_deleted(true);
            core.remove_files(self);
        }
        cores.retain(|_, core| *core.name() != *hidden_name(id));
        self.forget_replacement(id);
        let mut damaged = self.damaged.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) =
            damaged.iter().find(|(_, (damaged, _))| *damaged == id).map(|(name, _)| name.clone())
        {
            damaged.remove(&name);
            self.write_names().aliases.retain(|_, collection| *collection != name);
        }
    }

    /// One of the two may be one that could not be opened.
    fn replay_replacement(&self, cores: &mut BTreeMap<u64, Arc<CollectionCore>>, id: u64, original: u64) {
        let hidden = hidden_name(original);
        let (old, new) = (cores.remove(&original), cores.get(&id));
        let mut damaged = self.damaged.write().unwrap_or_else(PoisonError::into_inner);
        let of_damaged = damaged.iter().find(|(_, (id, _))| *id == original).map(|(name, _)| name.clone());
        let name = of_damaged.clone().or_else(|| old.as_ref().map(|core| core.name().to_string()));
        let Some(name) = name else { return };
        if of_damaged.is_some() {
            damaged.remove(&name);
        }
        let mut names = self.write_names();
        names.collections.remove(&name);
        match (new, damaged.remove(&hidden)) {
            (Some(new), _) => {
                names.collections.remove(&hidden);
                new.rename(name.as_str().into());
                names.collections.insert(name, new.clone());
            }
            (None, Some(damage)) => drop(damaged.insert(name, damage)),
            (None, None) => {}
        }
        drop(names);
        if let Some(old) = old {
            old.mark_replaced();
            old.remove_files(self);
        }
    }

    /// Each may be one that could not be opened.
    fn replay_naming(
        &self,
        cores: &mut BTreeMap<u64, Arc<CollectionCore>>,
        (id, name): (u64, String),
        original: Option<u64>,
    ) {
        let mut old = None;
        if let Some(original) = original {
            old = cores.remove(&original);
            cores.retain(|_, core| *core.name() != *hidden_name(original));
            self.forget_replacement(original);
        }
        let staged = staged_name(id);
        let mut damaged = self.damaged.write().unwrap_or_else(PoisonError::into_inner);
        // One of this name is the original.
        damaged.remove(&name);
        let mut names = self.write_names();
        match (cores.get(&id), damaged.remove(&staged)) {
            (Some(new), _) => {
                names.collections.remove(&staged);
                new.rename(name.as_str().into());
                names.collections.insert(name, new.clone());
            }
            (None, damage) => {
                names.collections.remove(&name);
                if let Some(damage) = damage {
                    damaged.insert(name, damage);
                }
            }
        }
        drop(names);
        if let Some(old) = old {
            old.mark_replaced();
            old.remove_files(self);
        }
    }

    /// Does a change of the catalogue in the manifest, after `log`, which gets its number.
    fn change_manifest(
        &self,
        number: impl FnOnce(&Manifest) -> u64,
        change: &CatalogueChange,
        log: impl FnOnce(u64) -> Result<()>,
    ) -> Result<u64> {
        let mark = self.log.mark();
        let changed = self.manifest.update_after(
            |manifest| {
                let seq = number(manifest);
                manifest.note_log(mark);
                let impossible = |reason| corrupt(&*self.dir, MANIFEST_FILE, 0, reason);
                change.apply(seq, manifest).map(|()| seq).map_err(impossible)
            },
            |seq| log(*seq),
        );
        self.poison_on_error(changed)
    }

    /// Logs a change of the catalogue and does it in the manifest; its number. Only one is made at a time.
    pub(crate) fn change_catalogue(&self, change: &CatalogueChange) -> Result<u64> {
        let body = change.encode();
        let number = |manifest: &Manifest| manifest.catalogue_seq.max(self.catalogue_void()) + 1;
        self.change_manifest(number, change, |seq| {
            let ticket = self.log.submit(Record { log_id: CATALOGUE, seq, body: &body })?;
            faults::point("write.catalogue");
            self.log.wait(ticket).inspect_err(|error| {
                if error.is_full() {
                    self.catalogue_void.store(seq, Ordering::SeqCst);
                }
            })
        })
    }
}
