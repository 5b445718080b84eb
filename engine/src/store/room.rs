//! What writers wait for, before their write is logged: memory, seals, merges.
//!
//! **Problem.** Whoever writes faster than the background seals would fill the memory; whoever writes faster than it merges
//! would pile up segments, each of which every search looks into and which takes two maps of the process.
//!
//! **Idea.** A writer waits while growing segments take twice [`growing_bytes_max`](crate::DbOptions::growing_bytes_max),
//! while two segments of its collection wait for their seal, while its collection has [`UNMERGED_SEGMENTS_MAX`] segments that
//! are to be merged, or all collections together have [`segments_max`](crate::DbOptions::segments_max) that can be.
//!
//! **Nobody waits for what does not come:**
//! - of a seal that failed, every writer without room is told, until one succeeds;
//! - when merges fail (a large one wants much more of a full disk than a seal), writers go on, and segments pile up until one
//!   succeeds;
//! - what is left when nothing can be merged further is no reason to wait;
//! - a collection in which damage was found is neither sealed nor merged any more. Its writers are told of the damage, and
//!   the memory that it keeps does not count, or it would hold up all others;
//! - writers of a deleted collection are told so, and those whose handle is cancelled.
//!
//! [`UNMERGED_SEGMENTS_MAX`]: crate::limits::UNMERGED_SEGMENTS_MAX

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::Store;
use crate::collection::CollectionCore;
use crate::error::Result;
use crate::interrupt::{Token, check_wanted};
use crate::threads::Work;

/// What background work leaves for writers to look at, without a lock.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Memory of collections in which damage was found.
    stuck_bytes: AtomicU64,
    /// Sealed segments of all collections, when last counted.
    segments: AtomicUsize,
    /// Collections that had any: there can be no fewer segments.
    segments_least: AtomicUsize,
    /// Whether the last merges failed.
    merges_fail: AtomicBool,
    /// Whether merges left as many segments as there are because they cannot become fewer.
    is_merged_out: AtomicBool,
}

impl Store {
    fn sealable_bytes(&self) -> u64 {
        let stuck = self.room.stuck_bytes.load(Ordering::Relaxed);
        self.growing_bytes.load(Ordering::Relaxed).saturating_sub(stuck)
    }

    pub(super) fn is_memory_high(&self) -> bool {
        self.sealable_bytes() > self.options.growing_bytes_max
    }

    /// Whether so much is in memory that writers wait.
    fn is_memory_full(&self) -> bool {
        self.sealable_bytes() > self.options.growing_bytes_max.saturating_mul(2)
    }

    /// Looks which memory cannot be sealed, and counts the segments.
    pub(super) fn count_room(&self) {
        let collections = self.collections();
        let stuck = collections.iter().filter(|core| core.check().is_err());
        self.room.stuck_bytes.store(stuck.map(|core| core.growing_bytes()).sum(), Ordering::Relaxed);
        let counts = collections.iter().map(|core| core.sealed_count());
        let (segments, least) = counts.fold((0, 0), |(all, any), count| (all + count, any + count.min(1)));
        self.room.segments.store(segments, Ordering::Relaxed);
        self.room.segments_least.store(least, Ordering::Relaxed);
    }

    /// Whether all collections together have so many segments that they are merged further than is due: two thirds of those
    /// that the bound leaves beside one for each collection.
    pub(super) fn has_many_segments(&self) -> bool {
        let [segments, least] =
            [&self.room.segments, &self.room.segments_least].map(|count| count.load(Ordering::Relaxed));
        let (more, room) = (segments - least.min(segments), self.options.segments_max.saturating_sub(least));
        more > room - room / 3
    }

    /// After seals: there are other segments, and may be more to merge.
    pub(super) fn note_sealed(&self) {
        self.count_room();
        self.room.is_merged_out.store(false, Ordering::Relaxed);
        if !self.options.background {
            // No thread tries again, so the next writer without room does.
            self.room.merges_fail.store(false, Ordering::Relaxed);
        }
    }

    /// How merging went, of everything that is due.
    pub(super) fn note_merges<T>(&self, result: &Result<T>) {
        self.count_room();
        self.room.merges_fail.store(result.is_err(), Ordering::Relaxed);
        self.room.is_merged_out.store(result.is_ok(), Ordering::Relaxed);
        self.signal.notify_waiters();
    }

    /// Whether writers wait for merges. Takes no lock.
    fn is_behind_with_merges(&self, core: &CollectionCore) -> bool {
        let has_too_many = || self.room.segments.load(Ordering::Relaxed) >= self.options.segments_max;
        !self.room.merges_fail.load(Ordering::Relaxed)
            && (core.is_behind_with_merges()
                || (has_too_many() && !self.room.is_merged_out.load(Ordering::Relaxed)))
    }

    /// Takes no lock, as it is asked under that of the signal.
    fn has_room(&self, core: &CollectionCore) -> bool {
        let waits =
            || core.is_behind_with_seals() || self.is_memory_full() || self.is_behind_with_merges(core);
        core.is_deleted() || !waits()
    }

    /// Waits until a collection may take a write, for as long as that is wanted. Without background threads, does the work that is waited for.
    ///
    /// # Errors
    /// [`Error::Cancelled`](crate::Error::Cancelled); the log's; [`Error::Corrupt`](crate::Error::Corrupt) if damage was found in the collection meanwhile; and
    /// [`Error::Io`](crate::Error::Io) if the last seal failed: waiting for it could take for ever.
    pub(crate) fn wait_for_room(&self, core: &CollectionCore, token: Token<'_>) -> Result<()> {
        if self.options.background {
            let check = || self.log.check().and_then(|()| core.check());
            self.signal.wait_for_room(self.dir.path(), token, || self.has_room(core), check)?;
        } else if !self.has_room(core) {
            self.make_room(core)?;
        }
        // It may have taken minutes.
        check_wanted(token)
    }

    /// Does the work that a write waits for, where no thread does.
    fn make_room(&self, core: &CollectionCore) -> Result<()> {
        self.seal_due()?;
        core.check()?;
        if self.is_behind_with_merges(core) {
            let merged = self.merge_all_due(Work::Flush);
            self.note_merges(&merged);
            if let Err(error) = merged {
                self.log.check()?;
                tracing::warn!(%error, "could not merge segments");
            }
        }
        Ok(())
    }
}
