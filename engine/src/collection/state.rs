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
//! committed                                         then  submit
//! changing             of the store,                then  submit | committed | the manifest's   then  the log's state
//! cutting              of the store,                then  the manifest's   then  who holds files (`PinnedDir`) | the log's state
//! submit                                            then  apply | the log's state
//! ```
//! A commit cuts the log after it has let go of `committed`, so `cutting` comes behind `sealing` and `merging`; and behind
//! `changing` when a collection was removed. In a write, `submit` and `apply` come one after the other, but for one that
//! holds up others until they are applied (`resolving.rs`, and `write.rs` after a full disk refused some); in a replay, which one thread does, `submit` comes under `apply`. The lock of the signal is taken under any of them but the log's state, which
//! alone is looked at under it: what else writers wait for is told by atomics.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use arc_swap::ArcSwap;

use super::CollectionInfo;
use super::current::CurrentCache;
use super::queued::Queued;
use super::requests::{self, Remembered, Requests, request_file};
use crate::clock::Clock;
use crate::dir::Dir;
use crate::error::Result;
use crate::interrupt::CancelToken;
use crate::manifest::{CollectionEntry, SegmentEntry};
use crate::payload::FieldTable;
use crate::point::PointId;
use crate::schema::Schema;
use crate::scope::RowFilter;
use crate::segment::merge_policy::EARNED;
use crate::segment::patching::{self, Patched};
use crate::segment::{Opening, SealedSegment, SegmentView, patch_file, tombstone_file, tombstones};
use crate::text::Analyses;
use crate::vectors::Encodings;
use crate::verify::differs;

/// One consistent state.
#[derive(Clone, Debug)]
pub(crate) struct ViewState {
    /// The last write in it.
    pub(crate) seq: u64,
    /// As the collection was created.
    pub(crate) schema: Arc<Schema>,
    /// Every field, the written ones too, and those that came to be searched by word later.
    pub(crate) fields: Arc<FieldTable>,
    /// By dense vector.
    pub(crate) encodings: Arc<[Encodings]>,
    /// Oldest first. A live id is in one of them. Shared with copies of the state, until one of them comes to have others.
    pub(crate) segments: Arc<Vec<SegmentView>>,
    /// The time of the last write in it.
    pub(crate) time_us: i64,
    pub(crate) clock: Clock,
    /// Which rows are shown, in a view of a handle that does not show all.
    pub(super) rows: Option<Arc<RowFilter>>,
    /// The same without what has expired, as far as somebody asked.
    pub(super) current: CurrentCache,
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
        let (fields, texts) = (self.fields.to_map(), self.fields.texts_by_name());
        Schema { fields, texts, ..(*self.schema).clone() }
    }

    /// Live rows that have the default vector; without one, the first dense vector by name.
    pub(crate) fn vectors(&self) -> u64 {
        if let Some(rows) = self.compiled_rows() {
            return self.shown_vectors(&rows);
        }
        let first_vectors =
            |segment: &SegmentView| segment.all_dense().next().map_or(0, |dense| dense.live() as u64);
        self.segments.iter().map(first_vectors).sum()
    }

    /// The sealed segments.
    pub(crate) fn sealed(&self) -> impl Iterator<Item = &Arc<SealedSegment>> {
        self.segments.iter().filter_map(SegmentView::as_sealed)
    }

    /// Fails if damage was found in a segment: an answer without its rows would be a wrong one.
    pub(crate) fn check(&self) -> Result<()> {
        self.sealed().try_for_each(|sealed| sealed.check())
    }

    /// Sees to it that the ids and expiries of all segments were verified: a commit stores which rows died, and by these
    /// ids they were found, or of their expiry they died.
    pub(crate) fn verify_deaths(&self, dir: &dyn Dir) -> Result<()> {
        self.sealed().try_for_each(|sealed| sealed.verify_deaths_once(dir))
    }

    /// Segments that take no more rows and are not sealed yet.
    pub(crate) fn frozen(&self) -> impl Iterator<Item = &SegmentView> {
        self.segments.iter().filter(|segment| segment.frozen_at.is_some())
    }
}

/// What writers agree on before the log.
#[derive(Debug)]
pub(super) struct Submit {
    /// The fields as of the last queued write.
    pub(super) fields: FieldTable,
    /// How often the log had refused what was queued when they were last taken from a view.
    pub(super) refusals: u64,
    pub(super) next_seq: u64,
    /// Whether writes wait, as another collection is about to take the place of this one.
    pub(super) is_held: bool,
    /// The time of the last queued write, or a later one by which rows were left out of a segment.
    pub(super) time_us: i64,
}

/// The writer's side of applying.
#[derive(Debug)]
pub(super) struct Apply {
    /// The last applied write.
    pub(super) seq: u64,
    /// Whether rows become nodes at once; while the log is replayed they wait for its end.
    pub(super) links: bool,
    /// Of the fields that are searched by word; forgotten where nobody writes.
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
    /// Generation of the patch file, 0 without one.
    pub(super) patches: u64,
    /// Patches in it.
    pub(super) patched: usize,
    /// How many had been made by then.
    pub(super) made: u64,
}

impl Committed {
    /// The files beside the segment.
    pub(super) fn entry(&self, id: u64) -> SegmentEntry {
        SegmentEntry { id, tombstones: self.generation, patches: self.patches }
    }
}

/// What the manifest says of the files of a collection.
#[derive(Debug, Default)]
pub(super) struct CommittedFiles {
    pub(super) segments: BTreeMap<u64, Committed>,
    /// Generation of the file of requests, 0 without one.
    pub(super) requests: u64,
    /// How often a request had been added to it by then.
    pub(super) requested: u64,
    /// Requests in it.
    pub(super) remembered: usize,
}

/// The files of a collection, opened.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    pub(crate) segments: Vec<(SegmentView, SegmentEntry)>,
    pub(crate) requests: Remembered,
}

/// A collection.
#[derive(Debug)]
pub(crate) struct CollectionCore {
    /// Its log id too.
    pub(crate) id: u64,
    /// Another once it takes the place of the collection that has that.
    pub(super) name: RwLock<Arc<str>>,
    pub(super) schema: Arc<Schema>,
    /// By dense vector.
    pub(super) encodings: Arc<[Encodings]>,
    /// Numbers writes and queues them: the order of the log is the order of the numbers.
    pub(super) submit: Mutex<Submit>,
    pub(super) queued: Queued,
    pub(super) clock: Clock,
    pub(super) requests: Requests,
    /// Set under `submit`, so that no write is numbered after it; looked at without.
    pub(super) is_deleted: AtomicBool,
    /// Of one that is deleted: another has its name.
    pub(super) is_replaced: AtomicBool,
    /// Cancelled once it is gone for good: ends its merges.
    pub(super) removed: CancelToken,
    /// Tells writers that they are not held any more.
    pub(super) released: Condvar,
    /// Held while one batch is applied or a segment is swapped: each view is made from the one before.
    pub(super) apply: Mutex<Apply>,
    pub(super) applied: Condvar,
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
    /// Held while the manifest is brought up to the view; `None` once the collection is gone from it, for good.
    pub(super) committed: Mutex<Option<CommittedFiles>>,
}

/// A lock whose value stays sound when its holder panics.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CollectionCore {
    /// A collection as the manifest has it, with its opened files.
    pub(crate) fn open(
        id: u64,
        entry: &CollectionEntry,
        Opened { segments, requests }: Opened,
        clock: &Clock,
    ) -> Self {
        let schema = Arc::new(entry.schema.clone());
        let encodings: Arc<[Encodings]> = Encodings::all(&schema).into();
        let committed = segments
            .iter()
            .filter_map(|(segment, entry)| {
                let committed = Committed {
                    generation: entry.tombstones,
                    dead: segment.dead.count,
                    patches: entry.patches,
                    patched: segment.patches.count(),
                    made: segment.patches.made(),
                };
                Some((segment.as_sealed()?.id, committed))
            })
            .collect();
        // How often they were rewritten is not known; rows beside the largest segment are as good as new.
        let live = |(segment, _): &(SegmentView, SegmentEntry)| segment.live();
        let largest = segments.iter().map(live).max().unwrap_or_default();
        let earned = EARNED * (segments.iter().map(live).sum::<usize>() - largest);
        let view = ViewState {
            seq: entry.stored_seq,
            schema: schema.clone(),
            fields: Arc::new(entry.fields.clone()),
            encodings: encodings.clone(),
            segments: Arc::new(segments.into_iter().map(|(segment, _)| segment).collect()),
            time_us: entry.time_us,
            clock: clock.clone(),
            rows: None,
            current: CurrentCache::default(),
        };
        let (fields, next_seq, time_us) = (entry.fields.clone(), entry.stored_seq + 1, entry.time_us);
        let submit = Submit { fields, refusals: 0, next_seq, is_held: false, time_us };
        let committed = CommittedFiles {
            segments: committed,
            requests: entry.requests,
            requested: 0,
            remembered: requests.len(),
        };
        Self {
            id,
            name: RwLock::new(entry.name.as_str().into()),
            schema,
            encodings,
            submit: Mutex::new(submit),
            queued: Queued::default(),
            clock: clock.clone(),
            requests: requests.into(),
            is_deleted: AtomicBool::new(false),
            is_replaced: AtomicBool::new(false),
            removed: CancelToken::new(),
            released: Condvar::new(),
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
            committed: Mutex::new(Some(committed)),
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

    /// Compares the files beside segments that the manifest names with what they were when they were written or read.
    pub(crate) fn verify_beside(&self, dir: &dyn Dir) -> Result<()> {
        // Held, so that no commit replaces a file meanwhile.
        let guard = lock(&self.committed);
        let Some(committed) = &*guard else { return Ok(()) };
        for sealed in self.sealed_segments() {
            let Some(state) = committed.segments.get(&sealed.id) else { continue };
            if state.generation > 0 {
                let name = tombstone_file(sealed.id, state.generation);
                let dead = tombstones::read(dir, &name, sealed.id, sealed.rows())?;
                if dead.count != state.dead {
                    return Err(differs(dir, &name));
                }
            }
            if state.patches > 0 {
                let name = patch_file(sealed.id, state.patches);
                let of = Patched { segment: sealed.id, rows: sealed.rows(), fields: &self.view().fields };
                if patching::read(dir, &name, &of)?.count() != state.patched {
                    return Err(differs(dir, &name));
                }
            }
        }
        if committed.requests > 0 {
            let name = request_file(self.id, committed.requests);
            if requests::read(dir, &name, self.id)?.len() != committed.remembered {
                return Err(differs(dir, &name));
            }
        }
        Ok(())
    }

    pub(crate) fn info(&self) -> CollectionInfo {
        let view = self.view().current();
        let growing = view.segments.iter().filter(|segment| segment.as_sealed().is_none());
        CollectionInfo {
            id: self.id,
            name: self.name().to_string(),
            schema: view.schema_with_fields(),
            points: view.segments.iter().map(|segment| segment.live() as u64).sum(),
            vectors: view.vectors(),
            segments: view.segments.len(),
            growing: growing.map(|segment| segment.live() as u64).sum(),
            seq: view.seq,
        }
    }
}
