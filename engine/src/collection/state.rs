//! What a view is made of, and the core of a collection: the owner of the current view.
//!
//! **Order of a write.** Checked without a lock; numbered and queued for the log under `submit`; durable; then applied
//! under `apply`, in the order of the numbers. So many writers share a sync, and the rows come out the same on every
//! replay. Readers take the current view from an atomic pointer and hold no lock at all.
//!
//! **Order of the locks**, where more than one is held at a time; each line from the first that is taken to the last:
//! ```text
//! sealing | merging    of a collection, never both; then  committed   then  the manifest's   then  the log's state
//!                                                   then  apply
//! changing             of the store,                then  submit | committed | the manifest's   then  the log's state
//! cutting              of the store,                then  the manifest's   then  who holds files (`PinnedDir`) | the log's state
//! submit                                            then  the log's state
//! ```
//! A commit cuts the log after it has let go of `committed`, so `cutting` comes behind `sealing` and `merging`; and behind
//! `changing` when a collection was removed. In a write, `submit` and `apply` come one after the other; in a replay, which one
//! thread does, `submit` comes under `apply`. The lock of the signal is taken under any of them but the log's state, which
//! alone is looked at under it: what else writers wait for is told by atomics.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;

use super::{CollectionInfo, WriteReceipt};
use crate::batch::PreparedBatch;
use crate::db::Store;
use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::limits::{BATCH_BYTES_MAX, check_limit};
use crate::manifest::CollectionEntry;
use crate::payload::FieldTable;
use crate::point::{Batch, PointId};
use crate::schema::Schema;
use crate::segment::merge_policy::EARNED;
use crate::segment::{Opening, SealedSegment, SegmentView, tombstone_file, tombstones};
use crate::text::Analyses;
use crate::validate;
use crate::vectors::Encodings;
use crate::verify::differs;
use crate::wal::Record;

/// One consistent state.
#[derive(Clone, Debug)]
pub(crate) struct ViewState {
    /// The last write in it.
    pub(crate) seq: u64,
    /// As the collection was created.
    pub(crate) schema: Arc<Schema>,
    /// Every field, the written ones too.
    pub(crate) fields: Arc<FieldTable>,
    /// By dense vector.
    pub(crate) encodings: Arc<[Encodings]>,
    /// Oldest first. A live id is in one of them.
    pub(crate) segments: Vec<SegmentView>,
}

impl ViewState {
    /// Segment and slot of a live row.
    pub(crate) fn locate(&self, id: &PointId) -> Option<(usize, u32)> {
        let segments = self.segments.iter().enumerate().rev();
        segments
            .filter(|(_, segment)| segment.rows > 0)
            .find_map(|(index, segment)| Some((index, segment.find(id)?)))
    }

    /// Segment and slot of a live row, looked for in sound segments alone; fails if it may be in a damaged one.
    pub(crate) fn locate_sound(&self, id: &PointId) -> Result<Option<(usize, u32)>> {
        let is_sound =
            |segment: &SegmentView| segment.as_sealed().is_none_or(|sealed| sealed.check().is_ok());
        let segments = self.segments.iter().enumerate().rev();
        let found = segments
            .filter(|(_, segment)| segment.rows > 0 && is_sound(segment))
            .find_map(|(index, segment)| Some((index, segment.find(id)?)));
        if found.is_none() {
            self.check()?;
        }
        Ok(found)
    }

    /// The default vector of a row.
    pub(crate) fn default_vector(&self, segment: usize, slot: u32) -> Option<Cow<'_, [f32]>> {
        // It is the first of the dense ones.
        self.schema.default_vector()?;
        self.segments[segment].dense(0).vector(slot)
    }

    pub(crate) fn schema_with_fields(&self) -> Schema {
        Schema { fields: self.fields.to_map(), ..(*self.schema).clone() }
    }

    /// The sealed segments.
    pub(crate) fn sealed(&self) -> impl Iterator<Item = &Arc<SealedSegment>> {
        self.segments.iter().filter_map(SegmentView::as_sealed)
    }

    /// Fails if damage was found in a segment: an answer without its rows would be a wrong one.
    pub(crate) fn check(&self) -> Result<()> {
        self.sealed().try_for_each(|sealed| sealed.check())
    }

    /// Sees to it that the ids of all segments were verified: a commit stores which rows died, and by these ids they
    /// were found.
    pub(crate) fn verify_ids(&self) -> Result<()> {
        self.sealed().try_for_each(|sealed| sealed.verify_ids_once())
    }

    /// Segments that take no more rows and are not sealed yet.
    pub(crate) fn frozen(&self) -> impl Iterator<Item = &SegmentView> {
        self.segments.iter().filter(|segment| segment.frozen_at.is_some())
    }
}

/// What writers agree on before the log.
#[derive(Debug)]
struct Submit {
    /// The fields as of the last queued write.
    fields: FieldTable,
    next_seq: u64,
}

/// The writer's side of applying.
#[derive(Debug)]
pub(super) struct Apply {
    /// The last applied write.
    pub(super) seq: u64,
    /// Whether rows become nodes at once; while the log is replayed they wait for its end.
    pub(super) links: bool,
    /// Of the fields that are searched by word.
    pub(super) analyses: Analyses,
    /// When that write was applied.
    pub(super) applied_at: Instant,
}

/// What the manifest says of a sealed segment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Committed {
    /// Generation of the tombstone file, 0 without one.
    pub(super) generation: u64,
    /// Dead rows in it.
    pub(super) dead: usize,
}

/// A collection.
#[derive(Debug)]
pub(crate) struct CollectionCore {
    /// Its log id too.
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(super) schema: Arc<Schema>,
    /// By dense vector.
    pub(super) encodings: Arc<[Encodings]>,
    /// Numbers writes and queues them: the order of the log is the order of the numbers.
    submit: Mutex<Submit>,
    /// Set under `submit`, so that no write is numbered after it; looked at without.
    is_deleted: AtomicBool,
    /// Held while one batch is applied or a segment is swapped: each view is made from the one before.
    pub(super) apply: Mutex<Apply>,
    applied: Condvar,
    pub(super) view: ArcSwap<ViewState>,
    /// Held by whoever seals, so that a flush and the background do not seal the same segment twice.
    pub(super) sealing: Mutex<()>,
    /// Held by whoever merges, likewise.
    pub(super) merging: Mutex<()>,
    /// Segments that were due to be rewritten when last counted.
    pub(super) decayed: AtomicUsize,
    /// Rows that may be rewritten while nobody writes.
    pub(super) earned: AtomicUsize,
    /// Whether all that writes left to merge is merged, so that the next write is news to the thread that merges.
    pub(super) is_settled: AtomicBool,
    /// One more than the `stored_seq` of a commit that a full disk refused, which is to be made up for; 0 if none was.
    pub(super) owed: AtomicU64,
    /// Whether it waits for its rows to become nodes.
    pub(crate) is_to_link: AtomicBool,
    /// Held while the manifest is brought up to the view.
    pub(super) committed: Mutex<BTreeMap<u64, Committed>>,
}

/// A lock whose value stays sound when its holder panics.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CollectionCore {
    /// A collection as the manifest has it, with its opened segments and their tombstone generations.
    pub(crate) fn open(id: u64, entry: &CollectionEntry, segments: Vec<(SegmentView, u64)>) -> Self {
        let schema = Arc::new(entry.schema.clone());
        let encodings: Arc<[Encodings]> = Encodings::all(&schema).into();
        let committed = segments
            .iter()
            .filter_map(|(segment, generation)| {
                let committed = Committed { generation: *generation, dead: segment.dead.count };
                Some((segment.as_sealed()?.id, committed))
            })
            .collect();
        // How often they were rewritten is not known; rows beside the largest segment are as good as new.
        let live = |(segment, _): &(SegmentView, u64)| segment.live();
        let largest = segments.iter().map(live).max().unwrap_or_default();
        let earned = EARNED * (segments.iter().map(live).sum::<usize>() - largest);
        let view = ViewState {
            seq: entry.stored_seq,
            schema: schema.clone(),
            fields: Arc::new(entry.fields.clone()),
            encodings: encodings.clone(),
            segments: segments.into_iter().map(|(segment, _)| segment).collect(),
        };
        let submit = Submit { fields: entry.fields.clone(), next_seq: entry.stored_seq + 1 };
        Self {
            id,
            name: entry.name.clone(),
            schema,
            encodings,
            submit: Mutex::new(submit),
            is_deleted: AtomicBool::new(false),
            apply: Mutex::new(Apply {
                seq: entry.stored_seq,
                links: false,
                analyses: Analyses::default(),
                applied_at: Instant::now(),
            }),
            applied: Condvar::new(),
            view: ArcSwap::from_pointee(view),
            sealing: Mutex::new(()),
            merging: Mutex::new(()),
            decayed: AtomicUsize::new(0),
            earned: AtomicUsize::new(earned),
            // Whoever settles may have looked already, without this one: the first write is to wake it.
            is_settled: AtomicBool::new(true),
            owed: AtomicU64::new(0),
            is_to_link: AtomicBool::new(false),
            committed: Mutex::new(committed),
        }
    }

    /// The current view.
    pub(crate) fn view(&self) -> Arc<ViewState> {
        self.view.load_full()
    }

    /// The sealed segments, as of now.
    pub(crate) fn sealed_segments(&self) -> Vec<Arc<SealedSegment>> {
        self.view.load().sealed().cloned().collect()
    }

    /// How a file of one of its segments is looked at.
    pub(crate) fn opening(&self) -> Opening<'_> {
        Opening::mapped(&self.schema, &self.encodings)
    }

    /// Compares the tombstone files that the manifest names with what they were when they were written or read.
    pub(crate) fn verify_tombstones(&self, dir: &dyn Dir) -> Result<()> {
        // Held, so that no commit replaces a file meanwhile.
        let committed = lock(&self.committed);
        for sealed in self.sealed_segments() {
            let Some(state) = committed.get(&sealed.id).filter(|state| state.generation > 0) else {
                continue;
            };
            let name = tombstone_file(sealed.id, state.generation);
            let dead = tombstones::read(dir, &name, sealed.id, sealed.rows())?;
            if dead.count != state.dead {
                return Err(differs(dir, &name));
            }
        }
        Ok(())
    }

    pub(crate) fn info(&self) -> CollectionInfo {
        let view = self.view();
        let first_vectors =
            |segment: &SegmentView| segment.all_dense().next().map_or(0, |dense| dense.live() as u64);
        let growing = view.segments.iter().filter(|segment| segment.as_sealed().is_none());
        CollectionInfo {
            name: self.name.clone(),
            schema: view.schema_with_fields(),
            points: view.segments.iter().map(|segment| segment.live() as u64).sum(),
            vectors: view.segments.iter().map(first_vectors).sum(),
            segments: view.segments.len(),
            growing: growing.map(|segment| segment.live() as u64).sum(),
            seq: view.seq,
        }
    }

    /// Checks, logs and applies a batch.
    pub(crate) fn write(self: &Arc<Self>, store: &Store, batch: Batch) -> Result<WriteReceipt> {
        store.log.check()?;
        // What a write replaces is looked up in every segment.
        self.view.load().check()?;
        let prepared = validate::prepare(batch, &self.schema)?;
        if prepared.changes.is_empty() {
            let position = store.log.mark().position;
            return Ok(WriteReceipt { seq: self.view().seq, position, upserted: 0, deleted: 0 });
        }
        self.log_and_apply(store, prepared, self.schema.strict)
    }

    /// Logs and applies a batch that was checked, but for its fields. A `strict` one brings no new ones.
    pub(super) fn log_and_apply(
        self: &Arc<Self>,
        store: &Store,
        prepared: PreparedBatch,
        strict: bool,
    ) -> Result<WriteReceipt> {
        let body = prepared.encode();
        check_limit("points", "BATCH_BYTES_MAX", BATCH_BYTES_MAX, body.len())?;
        store.wait_for_room(self)?;
        let (seq, ticket) = {
            let mut submit = lock(&self.submit);
            if self.is_deleted() {
                return Err(Error::CollectionNotFound { name: self.name.clone() });
            }
            validate::resolve_fields(&prepared, &mut submit.fields, strict)?;
            let seq = submit.next_seq;
            let ticket = store.log.submit(Record { log_id: self.id, seq, body: &body })?;
            submit.next_seq += 1;
            (seq, ticket)
        };
        if let Err(error) = store.log.wait(ticket) {
            if error.is_full() {
                // Its number stands for nothing, and comes in its turn.
                self.apply_in_turn(store, seq, PreparedBatch::default())?;
            }
            return Err(error);
        }
        let receipt = self.apply_in_turn(store, seq, prepared)?;
        store.after_write(self)?;
        Ok(WriteReceipt { position: ticket.0, ..receipt })
    }

    /// Applies a durable batch after the one before it.
    fn apply_in_turn(&self, store: &Store, seq: u64, batch: PreparedBatch) -> Result<WriteReceipt> {
        /// Wakes the writers after this one. If applying panics, they find the lock poisoned, and so must the log be:
        /// it would go on storing writes that can no more be applied.
        struct Wake<'a>(&'a Condvar, &'a Store);
        impl Drop for Wake<'_> {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    self.1.poison("applying an earlier write panicked");
                }
                self.0.notify_all();
            }
        }
        let panicked = || Error::Poisoned { cause: "applying an earlier write panicked".into() };
        let _wake = Wake(&self.applied, store);
        let mut apply = self.apply.lock().map_err(|_| panicked())?;
        while apply.seq + 1 < seq {
            // A write is durable only together with all before it, so those are on their way here.
            apply = self.applied.wait(apply).map_err(|_| panicked())?;
        }
        Ok(self.apply_batch(&mut apply, store, seq, batch))
    }

    /// Applies a record of the log that is being replayed; one that the segments have already changes nothing.
    ///
    /// The error is what is wrong with the record.
    pub(crate) fn replay(&self, store: &Store, record: &Record<'_>) -> Result<(), String> {
        let mut apply = lock(&self.apply);
        if record.seq <= apply.seq {
            return Ok(());
        }
        if record.seq != apply.seq + 1 {
            return Err(format!("write {} follows write {}: some are missing", record.seq, apply.seq));
        }
        let batch = PreparedBatch::decode(record.body, &self.schema)
            .map_err(|error| format!("byte {} of the record: {}", error.offset, error.reason))?;
        let mut submit = lock(&self.submit);
        validate::resolve_fields(&batch, &mut submit.fields, false).map_err(|error| error.to_string())?;
        submit.next_seq = record.seq + 1;
        drop(submit);
        self.apply_batch(&mut apply, store, record.seq, batch);
        Ok(())
    }

    /// Refuses writes from now on, or takes them again.
    pub(crate) fn mark_deleted(&self, is_deleted: bool) {
        let _submit = lock(&self.submit);
        self.is_deleted.store(is_deleted, Ordering::SeqCst);
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.is_deleted.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests;
