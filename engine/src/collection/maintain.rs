//! Freezing, sealing, merging; and committing all of it to the manifest.
//!
//! A seal: the growing segment is frozen and a new one takes its place; the frozen one is written and synced as a
//! sealed segment; the next view shows that instead, with the deaths since; the manifest is brought up to that view;
//! the log is cut. A merge is the same with sealed segments as its sources.
//!
//! **Why the order is safe.** Let a segment be frozen after write F. The sealed file holds the rows alive at some later
//! moment T; the manifest then says that everything up to F is stored. A crash replays the writes after F. Those
//! between F and T had their effect already, and have it again: each sets the final state of the ids that it names, so
//! the outcome is the same. Tombstones are of a view, so of applied and hence durable writes; for the same reason it
//! does no harm that they may be newer than F.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::room::sizes_of;
use super::state::{CollectionCore, Committed, ViewState, lock};
use crate::db::Store;
use crate::dir::Dir;
use crate::error::Result;
use crate::faults::{self, Mutant};
use crate::manifest::SegmentEntry;
use crate::segment::merge_policy::{self, Aim, EARNED};
use crate::segment::{
    DeadRows, SealRequest, SealedFrom, Segment, SegmentView, seal, segment_file, tombstone_file, tombstones,
};
use crate::threads::Work;

/// A collection to which nobody wrote for so long is at rest.
pub(crate) const REST: Duration = Duration::from_secs(1);
/// A collection that is all in memory is sealed at rest if it has so many rows: walks on the codes of sealed segments are
/// faster.
const SEALED_AT_REST_MIN: usize = 4_096;

impl CollectionCore {
    /// Freezes the growing segment, if there is one; the number of the last write up to now.
    pub(crate) fn freeze(&self) -> u64 {
        let apply = lock(&self.apply);
        let mut next = ViewState::clone(&self.view.load());
        if let Some(view) = next.segments.last_mut()
            && matches!(view.segment, Segment::Growing(_))
            && view.frozen_at.is_none()
        {
            view.frozen_at = Some(apply.seq);
            self.view.store(Arc::new(next));
        }
        apply.seq
    }

    /// Makes some rows of the growing segment nodes of its graph; says whether there are more.
    pub(crate) fn link_some(&self, store: &Store) -> bool {
        let view = self.view();
        match view.segments.last() {
            Some(view @ SegmentView { segment: Segment::Growing(segment), frozen_at: None, .. }) => {
                segment.link_some(view, &store.pools)
            }
            _ => false,
        }
    }

    /// Memory of its growing segments.
    pub(crate) fn growing_bytes(&self) -> u64 {
        let of_segment = |view: &SegmentView| match &view.segment {
            Segment::Growing(segment) => segment.size_bytes(),
            Segment::Sealed(_) => 0,
        };
        self.view().segments.iter().map(of_segment).sum()
    }

    /// Stores everything up to now in segments, and says how many it sealed.
    pub(crate) fn flush(&self, store: &Store, work: Work) -> Result<usize> {
        let seq = self.freeze();
        let sealed = self.seal_frozen(store, work)?;
        // What the end of the database cut short is stored by the next one.
        if store.stored_seq(self.id) < seq && !store.is_stopping() {
            self.view().verify_ids()?;
            self.commit(store, seq)?;
        }
        Ok(sealed)
    }

    /// Seals every frozen segment, oldest first, and says how many.
    pub(crate) fn seal_frozen(&self, store: &Store, work: Work) -> Result<usize> {
        let _sealing = lock(&self.sealing);
        self.commit_owed(store)?;
        for sealed in 0.. {
            let view = self.view();
            let Some(frozen) = view.frozen().next() else { return Ok(sealed) };
            // The log has it; whoever closes the database does not wait for it.
            if store.is_stopping() {
                return Ok(sealed);
            }
            let seq = frozen.frozen_at.unwrap_or(view.seq);
            faults::point("seal.begin");
            // Whoever waits for room waits for this.
            let is_awaited = self.is_behind_with_seals();
            let work = if is_awaited && work == Work::Seal { Work::Flush } else { work };
            self.rewrite(store, work, std::slice::from_ref(frozen), &view)?;
            faults::point("seal.written");
            self.commit(store, seq)?;
            faults::point("seal.end");
        }
        unreachable!("each round seals a segment, of which there are not that many")
    }

    /// Rewrites what is due, or until asked to stop.
    pub(crate) fn merge(&self, store: &Store, work: Work) -> Result<()> {
        self.merge_to(store, work, || Aim::Due)
    }

    /// Makes of all rows as few segments as there can be.
    pub(crate) fn compact(&self, store: &Store) -> Result<()> {
        self.flush(store, Work::Flush)?;
        self.merge_to(store, Work::Flush, || Aim::Fewest)
    }

    /// The same with what is sealed.
    pub(crate) fn merge_further(&self, store: &Store, work: Work) -> Result<()> {
        self.merge_to(store, work, || Aim::Fewest)
    }

    /// While nobody writes, merges what the rows have earned. Says whether to look again, after [`REST`]: now somebody
    /// writes.
    pub(crate) fn settle(&self, store: &Store) -> Result<bool> {
        // First, so that a write from now on is either seen here or wakes whoever settles.
        self.is_settled.store(true, Ordering::SeqCst);
        // Whoever holds the lock writes.
        let is_at_rest = self.apply.try_lock().is_ok_and(|apply| apply.applied_at.elapsed() >= REST);
        if !is_at_rest {
            self.is_settled.store(false, Ordering::SeqCst);
            return Ok(true);
        }
        let view = self.view();
        let growing = view.segments.iter().filter(|segment| segment.as_sealed().is_none());
        let growing: usize = growing.map(SegmentView::live).sum();
        let live: usize = view.segments.iter().map(SegmentView::live).sum();
        // Rows in memory earn their rewrites by being sealed.
        let earned = self.earned.load(Ordering::Relaxed) + EARNED * growing;
        let is_alone = growing == live && growing >= SEALED_AT_REST_MIN;
        if is_alone || ((1..live).contains(&growing) && live <= earned) {
            self.flush(store, Work::Seal)?;
        }
        self.merge_to(store, Work::Merge, || Aim::Settled { earned: self.earned.load(Ordering::Relaxed) })?;
        Ok(false)
    }

    /// Whether this write is the first since the collection was settled.
    pub(crate) fn unsettles(&self) -> bool {
        self.is_settled.swap(false, Ordering::SeqCst)
    }

    fn merge_to(&self, store: &Store, work: Work, aim: impl Fn() -> Aim) -> Result<()> {
        let _merging = lock(&self.merging);
        self.commit_owed(store)?;
        while !store.is_stopping() && !self.is_deleted() {
            let view = self.view();
            let sealed: Vec<&SegmentView> =
                view.segments.iter().filter(|segment| segment.as_sealed().is_some()).collect();
            let Some(chosen) = merge_policy::choose(&sizes_of(&view), aim()) else { return Ok(()) };
            let sources: Vec<SegmentView> = chosen.into_iter().map(|index| sealed[index].clone()).collect();
            faults::point("merge.begin");
            self.rewrite(store, work, &sources, &view)?;
            faults::point("merge.written");
            self.commit(store, 0)?;
            faults::point("merge.end");
            // Some may wait for there to be fewer segments.
            store.signal.notify_waiters();
        }
        Ok(())
    }

    /// Whether more segments than when last asked have so many dead rows that they are due to be rewritten.
    pub(crate) fn has_newly_decayed(&self) -> bool {
        let view = self.view.load();
        let decayed = sizes_of(&view).into_iter().filter(|size| merge_policy::is_decayed(*size)).count();
        self.decayed.swap(decayed, Ordering::Relaxed) < decayed
    }

    /// Writes the live rows of the sources as one sealed segment, which takes their place in the view. After an error
    /// everything is as it was.
    fn rewrite(&self, store: &Store, work: Work, sources: &[SegmentView], view: &ViewState) -> Result<()> {
        view.verify_ids()?;
        let request = SealRequest {
            id: store.next_segment_id(),
            sources,
            schema: &self.schema,
            fields: &view.fields,
            encodings: &self.encodings,
            storage: store.options.storage,
            stop: store.signal.closing(),
            filter_cache_bytes: store.options.filter_cache_bytes,
        };
        let sealed = store.pools.run(work, || seal(&*store.dir, &request))??;
        self.count_rewrite(sources, sealed.as_ref());
        let _apply = lock(&self.apply);
        let mut next = ViewState::clone(&self.view.load());
        replace(&mut next, sources, sealed.as_ref());
        self.view.store(Arc::new(next));
        for source in sources {
            if let Segment::Growing(segment) = &source.segment {
                segment.release();
            }
        }
        Ok(())
    }

    /// Rows from memory earn rewrites, others spend them.
    fn count_rewrite(&self, sources: &[SegmentView], sealed: Option<&SealedFrom>) {
        let rows = sealed.map_or(0, |sealed| sealed.segment.rows() as usize);
        let is_seal = sources.iter().all(|source| source.as_sealed().is_none());
        let count = |earned: usize| match is_seal {
            true => earned.saturating_add(EARNED * rows),
            false => earned.saturating_sub(rows),
        };
        // Never fails: the closure always has an answer.
        let _ = self.earned.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |earned| Some(count(earned)));
    }

    /// Brings the manifest up to the view: its sealed segments, their tombstones, and that every write up to
    /// `stored_seq` is in them. Then removes what is not needed any more.
    ///
    /// A failure poisons the store: which manifest the disk has is unknown then. But on a full disk the manifest stays as
    /// it was, and is brought up to the view before anything else is rewritten.
    fn commit(&self, store: &Store, stored_seq: u64) -> Result<()> {
        let stored_seq = stored_seq.max(self.owed.load(Ordering::SeqCst).saturating_sub(1));
        let result = store.poison_on_error(self.try_commit(store, stored_seq));
        match &result {
            Ok(()) => {
                // More may be owed by now.
                let _ = self.owed.compare_exchange(stored_seq + 1, 0, Ordering::SeqCst, Ordering::SeqCst);
            }
            Err(_) => drop(self.owed.fetch_max(stored_seq + 1, Ordering::SeqCst)),
        }
        result
    }

    fn commit_owed(&self, store: &Store) -> Result<()> {
        match self.owed.load(Ordering::SeqCst) {
            0 => Ok(()),
            _ => self.commit(store, 0),
        }
    }

    fn try_commit(&self, store: &Store, stored_seq: u64) -> Result<()> {
        let mut committed = lock(&self.committed);
        let view = self.view();
        let (mut entries, mut next) = (Vec::new(), BTreeMap::new());
        for segment in &view.segments {
            let Some(sealed) = segment.as_sealed() else { continue };
            let mut state = committed.get(&sealed.id).copied().unwrap_or_default();
            if state.dead < segment.dead.count {
                state = Committed { generation: state.generation + 1, dead: segment.dead.count };
                let name = tombstone_file(sealed.id, state.generation);
                tombstones::write(&*store.dir, &name, sealed.id, segment.rows, &segment.dead)?;
            }
            entries.push(SegmentEntry { id: sealed.id, tombstones: state.generation, patches: 0 });
            next.insert(sealed.id, state);
        }
        faults::point("commit.tombstones");
        store.dir.sync()?;
        if faults::is(Mutant::CutLogBeforeManifest) {
            let manifest = store.manifest.current();
            let of_others = |id| manifest.collections.get(&id).map_or(u64::MAX, |entry| entry.stored_seq);
            let stored = |id| if id == self.id { stored_seq } else { of_others(id) };
            store.log.cut(u64::MAX, &stored)?;
        }
        faults::point("commit.files");
        let void = store.catalogue_void();
        // What no write will have had is in the log before a manifest counts it.
        store.log.fulfil()?;
        let (next_segment, log) = (store.segment_ids_given(), store.log.mark());
        let is_there = store.manifest.update(|manifest| {
            manifest.next_segment = next_segment.max(manifest.next_segment);
            manifest.note_log(log);
            manifest.catalogue_seq = manifest.catalogue_seq.max(void);
            let Some(entry) = manifest.collections.get_mut(&self.id) else { return Ok(false) };
            entry.segments = entries;
            entry.fields = (*view.fields).clone();
            entry.schema.fields = entry.fields.to_map();
            entry.stored_seq = entry.stored_seq.max(stored_seq);
            Ok(true)
        })?;
        faults::point("commit.manifest");
        if !is_there {
            // It was deleted meanwhile, and nobody else knows of what was just written.
            let written = std::mem::take(&mut next);
            remove_obsolete(&*store.dir, &written, &next, &view);
        }
        remove_obsolete(&*store.dir, &committed, &next, &view);
        faults::point("commit.removed");
        *committed = next;
        drop(committed);
        store.cut_log()
    }

    /// Removes the files of a collection that the manifest names no more, and forgets its memory.
    pub(crate) fn remove_files(&self, store: &Store) {
        let mut committed = lock(&self.committed);
        remove_obsolete(&*store.dir, &committed, &BTreeMap::new(), &self.view());
        committed.clear();
        for view in &self.view().segments {
            if let Segment::Growing(segment) = &view.segment {
                segment.release();
            }
        }
    }
}

/// Puts a new segment in the place of its sources, with the rows that died since dead in it.
fn replace(next: &mut ViewState, sources: &[SegmentView], sealed: Option<&SealedFrom>) {
    let now = |source: &SegmentView| next.segments.iter().find(|segment| segment.is_same(source)).cloned();
    let sources_now: Vec<SegmentView> = sources.iter().filter_map(now).collect();
    let place = next.segments.iter().position(|segment| sources.iter().any(|source| source.is_same(segment)));
    next.segments.retain(|segment| !sources.iter().any(|source| source.is_same(segment)));
    if let Some(sealed) = sealed {
        let mut dead: DeadRows = sealed.carried_over(&sources_now);
        if faults::is(Mutant::ForgetTombstonesOnMerge) {
            dead = DeadRows::default();
        }
        let view = SegmentView::sealed(sealed.segment.clone(), dead);
        next.segments.insert(place.unwrap_or(0), view);
    }
}

/// Removes files that the manifest named before and does not now. Failing is harmless: what is left is removed when
/// the database is opened.
fn remove_obsolete(
    dir: &dyn Dir,
    before: &BTreeMap<u64, Committed>,
    now: &BTreeMap<u64, Committed>,
    view: &ViewState,
) {
    let mut names = Vec::new();
    for (id, state) in before {
        let kept = now.get(id);
        if kept.is_none() {
            names.push(segment_file(*id));
        }
        if state.generation > 0 && kept.is_none_or(|kept| kept.generation != state.generation) {
            names.push(tombstone_file(*id, state.generation));
        }
    }
    if now.is_empty() {
        // A deleted collection: segments that were sealed meanwhile were never committed.
        let sealed = view.segments.iter().filter_map(SegmentView::as_sealed);
        names.extend(
            sealed.filter(|sealed| !before.contains_key(&sealed.id)).map(|sealed| segment_file(sealed.id)),
        );
    }
    for name in names {
        if let Err(error) = dir.remove(&name) {
            tracing::debug!(%error, "left an obsolete file for the next opening");
        }
    }
}
