//! Records of the log become collections and rows; and changes of the catalogue become records.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use super::Store;
use crate::catalogue::{CATALOGUE, CatalogueChange};
use crate::collection::CollectionCore;
use crate::dir::corrupt;
use crate::error::{Error, Result};
use crate::manifest::{MANIFEST_FILE, Manifest};
use crate::wal::{self, FileLog, Log, LogMark, LogOptions, Record};

/// A log that takes nothing: while the real one is being read there is none to write to.
#[derive(Debug)]
pub(super) struct ClosedLog;

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
    fn cut(&self, _: u64, _: &dyn Fn(u64) -> u64) -> Result<()> {
        Ok(())
    }
    fn keep(&self, _: u64) -> Result<()> {
        Ok(())
    }
    fn release(&self, _: u64) -> Result<()> {
        Ok(())
    }
    fn mark(&self) -> LogMark {
        LogMark::default()
    }
    fn close(&self) -> Result<wal::ClosedLog> {
        Err(Error::Poisoned { cause: "the log is being read".into() })
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
    /// Reads the log into the collections.
    pub(super) fn open_log(
        &self,
        cores: &mut BTreeMap<u64, Arc<CollectionCore>>,
        root: &Manifest,
    ) -> Result<FileLog> {
        let (file_bytes, keep_bytes) = (self.options.log_file_bytes, root.keep_log_bytes);
        let options = LogOptions { file_bytes, keep_bytes, ..LogOptions::default() };
        FileLog::open(self.dir.clone(), options, root.log, &mut |file, offset, record| {
            self.replay(cores, &record)?.map_err(|reason| corrupt(&*self.dir, file, offset as u64, reason))
        })
    }

    /// Applies a record that is durable, unless it is applied already. The inner error is what is wrong with the record.
    pub(crate) fn replay(
        &self,
        cores: &mut BTreeMap<u64, Arc<CollectionCore>>,
        record: &Record<'_>,
    ) -> Result<Result<(), String>> {
        if record.log_id == CATALOGUE {
            return self.replay_catalogue(cores, record);
        }
        Ok(match cores.get(&record.log_id) {
            Some(core) => core.replay(self, record),
            // Of a deleted collection.
            None if record.log_id < self.manifest.next_collection() => Ok(()),
            None => Err(format!("the record is of collection {}, which never was", record.log_id)),
        })
    }

    fn replay_catalogue(
        &self,
        cores: &mut BTreeMap<u64, Arc<CollectionCore>>,
        record: &Record<'_>,
    ) -> Result<Result<(), String>> {
        let done = self.manifest.catalogue_seq();
        if record.seq <= done {
            return Ok(Ok(()));
        }
        if record.seq != done + 1 {
            return Ok(Err(format!(
                "change {} of the catalogue follows {done}: some are missing",
                record.seq
            )));
        }
        let change = match CatalogueChange::decode(record.body) {
            Ok(change) => change,
            Err(error) => return Ok(Err(format!("byte {} of the record: {}", error.offset, error.reason))),
        };
        match self.change_manifest(record.seq, &change)? {
            Ok(()) => {}
            Err(reason) => return Ok(Err(reason)),
        }
        let mut collections = self.collections.write().unwrap_or_else(PoisonError::into_inner);
        match change {
            CatalogueChange::Create { id, entry } => {
                let core = Arc::new(CollectionCore::open(id, &entry, Vec::new()));
                collections.insert(entry.name, core.clone());
                cores.insert(id, core);
            }
            CatalogueChange::Delete { id } => {
                if let Some(core) = cores.remove(&id) {
                    collections.remove(&core.name);
                    core.mark_deleted();
                    core.remove_files(self);
                }
            }
        }
        Ok(Ok(()))
    }

    /// Writes a logged change of the catalogue to the manifest. The inner error is why it cannot be one.
    fn change_manifest(&self, seq: u64, change: &CatalogueChange) -> Result<Result<(), String>> {
        let root = self.manifest.current();
        let is_possible = match change {
            CatalogueChange::Create { id, entry } => {
                *id >= root.next_collection
                    && root.collections.values().all(|collection| collection.name != entry.name)
            }
            CatalogueChange::Delete { id } => root.collections.contains_key(id),
        };
        if !is_possible {
            return Ok(Err("the catalogue cannot have been changed so".into()));
        }
        let log = self.log.mark();
        self.manifest.update(|manifest| {
            manifest.catalogue_seq = seq;
            manifest.note_log(log);
            match change {
                CatalogueChange::Create { id, entry } => {
                    manifest.next_collection = id + 1;
                    manifest.collections.insert(*id, entry.clone());
                }
                CatalogueChange::Delete { id } => drop(manifest.collections.remove(id)),
            }
            Ok(())
        })?;
        Ok(Ok(()))
    }

    /// Logs a change of the catalogue, then does it. Only one is made at a time.
    pub(super) fn change_catalogue(&self, change: &CatalogueChange) -> Result<()> {
        let seq = self.manifest.catalogue_seq() + 1;
        let body = change.encode();
        self.log.wait(self.log.submit(Record { log_id: CATALOGUE, seq, body: &body })?)?;
        let changed = self
            .change_manifest(seq, change)
            .and_then(|possible| possible.map_err(|reason| corrupt(&*self.dir, MANIFEST_FILE, 0, reason)));
        self.poison_on_error(changed)
    }
}
