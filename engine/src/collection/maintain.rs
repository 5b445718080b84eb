//! Freezing, sealing, merging; what is committed to the manifest then, `commit.rs` says.
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
//!
//! An update sets a part of a row, so what it leaves depends on what it finds. Of an id that some write between F and T
//! replaced or deleted, the last of these sets all of the row, and what comes after finds it as it did at first. Of an id
//! that was only updated, the row is there at T as at F; each field that was changed is set once more, the last time to what
//! it was set to last; the others are as they were. So it is with versions. In between, a replayed row may lack what a write after it had set
//! at T (an update of a row that a later write deleted finds nothing): nobody reads before the end. Patch files are of a view like
//! tombstones, and all that is true of these is true of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::room::{size_of, sizes_of};
use super::state::{CollectionCore, ViewState, lock};
use crate::clock::NEVER;
use crate::db::Store;
use crate::error::Result;
use crate::faults::{self, Mutant};
use crate::payload::FieldId;
use crate::segment::merge_policy::{self, Aim, EARNED, deaths_left};
use crate::segment::{DeadRows, Patches, SealRequest, SealedFrom, Segment, SegmentView, seal};
use crate::threads::Work;

/// A collection to which nobody wrote for so long is at rest.
pub(crate) const REST: Duration = Duration::from_secs(1);
/// A collection that is all in memory is sealed at rest if it has so many rows: walks on the codes of sealed segments are
/// faster. So is one of which so many rows died in memory: a seal leaves them out, and gives their memory and log back.
const SEALED_AT_REST_MIN: usize = 4_096;

impl CollectionCore {
    /// Freezes the growing segment, if there is one; the number of the last write up to now.
    pub(crate) fn freeze(&self) -> u64 {
        let apply = lock(&self.apply);
        let mut next = ViewState::clone(&self.view.load());
        if let Some(view) = Arc::make_mut(&mut next.segments).last_mut()
            && matches!(view.segment, Segment::Growing(_))
            && view.frozen_at.is_none()
        {
            view.frozen_at = Some(apply.seq);
            self.view.store(Arc::new(next));
        }
        apply.seq
    }

    /// Makes some rows of the growing segment nodes of its graph; where the database is only read, those of frozen ones, too, as no seal does it. Says
    /// whether there are more.
    pub(crate) fn link_some(&self, store: &Store) -> bool {
        let is_to_link = |view: &&SegmentView| view.frozen_at.is_none() || store.is_read_only();
        self.view().segments.iter().filter(is_to_link).any(|view| match &view.segment {
            Segment::Growing(segment) => segment.link_some(view, &store.pools),
            Segment::Sealed(_) => false,
        })
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
            self.view().verify_deaths(&*store.dir)?;
            self.commit(store, seq)?;
        }
        Ok(sealed)
    }

    /// Seals every frozen segment, oldest first, and says how many.
    pub(crate) fn seal_frozen(&self, store: &Store, work: Work) -> Result<usize> {
        let _sealing = lock(&self.sealing);
        self.commit_owed(store)?;
        for sealed in 0.. {
            let view = self.droppable_view();
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

    /// While nobody writes, merges what the rows have earned, and drops what has expired, or died in memory, where that is much. Says whether
    /// to look again, after [`REST`]: now somebody writes.
    pub(crate) fn settle(&self, store: &Store) -> Result<bool> {
        // First, so that a write from now on is either seen here or wakes whoever settles.
        self.is_settled.store(true, Ordering::SeqCst);
        // Whoever holds the lock writes.
        let at_rest = self.apply.try_lock().ok().filter(|apply| apply.applied_at.elapsed() >= REST);
        let is_at_rest = at_rest.is_some();
        // Megabytes, which make thousands of writes faster, and none now.
        at_rest.into_iter().for_each(|mut apply| apply.analyses.forget());
        if !is_at_rest {
            self.is_settled.store(false, Ordering::SeqCst);
            return Ok(true);
        }
        let view = self.droppable_view();
        let in_memory = view.segments.iter().filter(|segment| segment.as_sealed().is_none());
        // What has expired or died in memory is dropped by a seal.
        let is_decayed = |segment: &SegmentView| {
            let has_many = segment.expired > 0 || segment.dead.count >= SEALED_AT_REST_MIN;
            has_many && deaths_left(size_of(segment)) == 0
        };
        let has_decayed = in_memory.clone().any(is_decayed);
        let growing: usize = in_memory.map(SegmentView::live).sum();
        let live: usize = view.segments.iter().map(SegmentView::live).sum();
        // Rows in memory earn their rewrites by being sealed.
        let earned = self.earned.load(Ordering::Relaxed) + EARNED * growing;
        let is_alone = growing == live && growing >= SEALED_AT_REST_MIN;
        if has_decayed || is_alone || ((1..live).contains(&growing) && live <= earned) {
            self.flush(store, Work::Seal)?;
        }
        self.merge_to(store, Work::Merge, || Aim::Settled { earned: self.earned.load(Ordering::Relaxed) })?;
        Ok(false)
    }

    /// A moment before which no segment has so many expired rows that it is due to be rewritten, now at the earliest; [`NEVER`] if
    /// none ever will. It may be too early.
    pub(crate) fn next_decay(&self, now: i64) -> i64 {
        let view = self.view();
        if view.first_expiry() == NEVER {
            return NEVER;
        }
        let view = view.at(now);
        let decays = |segment: &SegmentView| match deaths_left(size_of(segment)) {
            // Since somebody looked.
            0 if segment.expired > 0 => now,
            left => segment.no_sooner(now, left.max(1)),
        };
        view.segments.iter().map(decays).min().unwrap_or(NEVER)
    }

    /// Whether this write is the first since the collection was settled.
    pub(crate) fn unsettles(&self) -> bool {
        self.is_settled.swap(false, Ordering::SeqCst)
    }

    fn merge_to(&self, store: &Store, work: Work, aim: impl Fn() -> Aim) -> Result<()> {
        let _merging = lock(&self.merging);
        self.commit_owed(store)?;
        // First, so that a merge has the words to go by.
        self.write_words(store, work)?;
        while !store.is_stopping() && !self.is_deleted() {
            let view = self.droppable_view();
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

    /// The view without rows that have expired for every write to come. What has expired by a moment is left out of segments
    /// only if each write queued before that moment is applied, and each later one has a later time: so it makes no difference to
    /// any write whether such a row is still there.
    fn droppable_view(&self) -> Arc<ViewState> {
        if self.view.load().first_expiry() == NEVER {
            return self.view();
        }
        let (now, last) = {
            let mut submit = lock(&self.submit);
            submit.time_us = submit.time_us.max(self.clock.now_us());
            (submit.time_us, submit.next_seq - 1)
        };
        let view = self.view();
        view.at(if view.seq >= last { now } else { view.time_us })
    }

    /// Whether more segments than when last asked have so many dead rows that they are due to be rewritten.
    pub(crate) fn has_newly_decayed(&self) -> bool {
        let view = self.view.load();
        let decayed = sizes_of(&view).into_iter().filter(|size| merge_policy::is_decayed(*size)).count();
        self.decayed.swap(decayed, Ordering::Relaxed) < decayed
    }

    /// Writes the live rows of the sources as one sealed segment, which takes their place in the view. After an error
    /// everything is as it was, and so it is where a merge ended because the collection is gone.
    fn rewrite(&self, store: &Store, work: Work, sources: &[SegmentView], view: &ViewState) -> Result<()> {
        view.verify_deaths(&*store.dir)?;
        let mut indexed: BTreeMap<FieldId, u8> = BTreeMap::new();
        for (field, unasked) in view.sealed().flat_map(|sealed| sealed.indexed()) {
            let least = indexed.entry(field).or_insert(unasked);
            *least = unasked.min(*least);
        }
        let indexed: Vec<(FieldId, u8)> = indexed.into_iter().collect();
        let is_seal = sources.iter().all(|source| source.as_sealed().is_none());
        let stop = match is_seal {
            true => store.signal.closing(),
            // It may take an hour, and others wait for their turn.
            false => store.signal.closing().or(&self.removed),
        };
        let request = SealRequest {
            id: store.next_segment_id(),
            sources,
            schema: &self.schema,
            fields: &view.fields,
            encodings: &self.encodings,
            storage: store.options.storage,
            stop,
            filter_cache_bytes: store.options.filter_cache_bytes,
            indexed: &indexed,
        };
        let began = Instant::now();
        let sealed = match store.pools.run(work, || seal(&*store.dir, &request))? {
            Err(_) if !is_seal && self.removed.is_cancelled() => return Ok(()),
            sealed => sealed?,
        };
        let rewrites = if is_seal { &store.rewrites.seals } else { &store.rewrites.merges };
        rewrites.count(began.elapsed());
        self.count_rewrite(sources, sealed.as_ref());
        let mut apply = lock(&self.apply);
        let mut next = ViewState::clone(&self.view.load());
        replace(&mut next, sources, sealed.as_ref());
        self.view.store(Arc::new(next));
        if sources.iter().any(|source| source.as_sealed().is_none()) {
            apply.analyses.forget();
        }
        drop(apply);
        for source in sources {
            match &source.segment {
                Segment::Growing(segment) => segment.release(),
                Segment::Sealed(segment) => segment.remove_words(&*store.dir),
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
}

/// Puts a new segment in the place of its sources, with the rows that died since dead in it.
fn replace(next: &mut ViewState, sources: &[SegmentView], sealed: Option<&SealedFrom>) {
    let now = |source: &SegmentView| next.segments.iter().find(|segment| segment.is_same(source)).cloned();
    let sources_now: Vec<SegmentView> = sources.iter().filter_map(now).collect();
    let place = next.segments.iter().position(|segment| sources.iter().any(|source| source.is_same(segment)));
    let segments = Arc::make_mut(&mut next.segments);
    segments.retain(|segment| !sources.iter().any(|source| source.is_same(segment)));
    if let Some(sealed) = sealed {
        let mut dead: DeadRows = sealed.carried_over(&sources_now);
        if faults::is(Mutant::ForgetTombstonesOnMerge) {
            dead = DeadRows::default();
        }
        let mut patches = sealed.patched_since(&sources_now);
        if faults::is(Mutant::ForgetPatchesOnMerge) {
            patches = Patches::default();
        }
        let view = SegmentView::sealed(sealed.segment.clone(), (dead, patches), &next.fields);
        segments.insert(place.unwrap_or(0), view);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::DbOptions;
    use crate::dir::memory::MemoryDir;
    use crate::point::{Batch, Point, Update};
    use crate::schema::Schema;
    use crate::text::Analyzer;

    #[test]
    fn nothing_is_remembered_of_words_where_nobody_writes() {
        let options = DbOptions { background: false, ..DbOptions::default() };
        let store = Store::open(Arc::new(MemoryDir::new()), options).unwrap();
        let schema = Schema::builder(2).text("t", Analyzer::English).build().unwrap();
        let core = store.create_collection("c", schema, None).unwrap();
        let write = |id: u64| {
            let point = Point::new(id, [1.0, 0.0]).with("t", "walking to the sea");
            core.write(&store, Batch::new().upsert(point)).unwrap();
            assert!(!lock(&core.apply).analyses.is_empty());
        };
        write(1);
        assert!(core.settle(&store).unwrap(), "somebody wrote just now");
        assert!(!lock(&core.apply).analyses.is_empty());
        lock(&core.apply).applied_at = Instant::now().checked_sub(REST).unwrap();
        assert!(!core.settle(&store).unwrap());
        assert!(lock(&core.apply).analyses.is_empty());
        let update = Update::new(1).set("t", "walked along the shore");
        core.write(&store, Batch::new().update(update)).unwrap();
        assert!(!lock(&core.apply).analyses.is_empty(), "an update takes them and leaves them, too");
        write(2);
        core.flush(&store, Work::Flush).unwrap();
        assert!(lock(&core.apply).analyses.is_empty(), "those of what was sealed");
    }

    /// What was deleted before it was sealed kept its memory, and the log its file, until somebody wrote enough for a seal.
    #[test]
    fn what_died_in_memory_goes_where_nobody_writes() {
        let options = DbOptions { background: false, ..DbOptions::default() };
        let store = Store::open(Arc::new(MemoryDir::new()), options).unwrap();
        let core = store.create_collection("c", Schema::new(2).unwrap(), None).unwrap();
        let rows = SEALED_AT_REST_MIN as u64;
        let write = |op: fn(Batch, u64) -> Batch| {
            core.write(&store, (0..rows).fold(Batch::new(), op)).unwrap();
        };
        write(|batch, id| batch.upsert(Point::new(id, [1.0, id as f32])));
        write(|batch, id| batch.delete(id));
        assert!(core.growing_bytes() > 0);
        lock(&core.apply).applied_at = Instant::now().checked_sub(REST).unwrap();
        assert!(!core.settle(&store).unwrap());
        assert_eq!((core.growing_bytes(), core.view().segments.len()), (0, 0));
    }

    /// Words take less memory once their runs are merged. What they had taken before stayed counted, also when their segment was sealed: with each
    /// segment some more, until writers waited for memory that nobody had.
    #[test]
    fn memory_that_words_give_back_is_counted_no_more() {
        let options = DbOptions { background: false, ..DbOptions::default() };
        let store = Store::open(Arc::new(MemoryDir::new()), options).unwrap();
        let schema = Schema::without_vector().text("t", Analyzer::Standard).build().unwrap();
        let core = store.create_collection("c", schema, None).unwrap();
        // Words that have no beginning in common take the most.
        let word = |number: u64| -> String {
            let hash = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (0..8).map(|at| char::from(b'a' + (hash >> (60 - 4 * at) & 15) as u8)).collect()
        };
        let text = (1..=200).map(word).collect::<Vec<_>>().join(" ");
        let (mut shrank, mut before) = (0, 0);
        for id in 0..100_u64 {
            let point = Point::without_vector(id).with("t", text.as_str());
            core.write(&store, Batch::new().upsert(point)).unwrap();
            let counted = store.growing_bytes.load(Ordering::Relaxed);
            assert_eq!(counted, core.growing_bytes(), "{id}");
            shrank += usize::from(counted < before);
            before = counted;
        }
        assert!(shrank > 10, "{shrank} of a hundred writes merged runs");
        core.flush(&store, Work::Flush).unwrap();
        assert_eq!(store.growing_bytes.load(Ordering::Relaxed), 0);
    }
}
