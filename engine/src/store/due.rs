//! What writes make due: rows to link, segments to seal and to merge; and what time alone does, which has rows expire.
//!
//! **Rows that expire while nobody writes** are due once they are many in their segment, like those that were deleted. When that can
//! be at the earliest, each segment tells by its lists of what expires when (`segment/expiry.rs`); the thread that merges sleeps until then, for a second at least
//! and a minute at most, however many collections there are.
//!
//! **Damage stays where it is.** Nothing of a collection in which damage was found goes into other files, so it cannot be
//! sealed or merged; the others can. Whoever goes through the collections passes over it, and only tells who asked.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::Store;
use crate::clock::NEVER;
use crate::collection::{CollectionCore, REST};
use crate::error::{Error, Result};
use crate::threads::Work;

/// While there are rows that expire, the clock is looked at so often: it may be set, or have slept.
const EXPIRY_LOOK: Duration = Duration::from_secs(60);

impl Store {
    /// Sees to it that what a write made due is done.
    pub(crate) fn after_write(&self, core: &Arc<CollectionCore>) -> Result<()> {
        let is_due = core.view().frozen().next().is_some() || self.is_memory_high() || self.is_log_long();
        if self.options.background {
            self.put_to_link(core.clone());
            self.link_signal.notify();
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

    fn is_log_long(&self) -> bool {
        self.log.size_bytes() > self.options.log_bytes_max
    }

    /// Collections in which no damage was found.
    fn sound_collections(&self) -> Vec<Arc<CollectionCore>> {
        let mut collections = self.collections();
        collections.retain(|core| core.check().is_ok());
        collections
    }

    /// Seals what is frozen, and what holds up memory or the log. Then there may be something to merge.
    ///
    /// # Errors
    /// What kept a segment from being written, unless that is damage in its collection: every read and write of that tells.
    pub(crate) fn seal_due(&self) -> Result<()> {
        // Without background threads a writer waits for it.
        let work = if self.options.background { Work::Seal } else { Work::Flush };
        let mut sealed = 0;
        let result = self.seal_due_counting(work, &mut sealed);
        if sealed > 0 {
            self.note_sealed();
        }
        self.signal.note_seal(&result);
        if sealed > 0 {
            self.signal.notify();
        }
        result
    }

    fn seal_due_counting(&self, work: Work, sealed: &mut usize) -> Result<()> {
        self.count_room();
        let mut others = Ok(());
        for core in self.sound_collections() {
            *sealed += self.pass_damage(&core, &mut others, |core| core.seal_frozen(self, work))?;
            self.signal.notify_waiters();
        }
        while self.is_memory_high()
            && !self.is_stopping()
            && let Some(largest) = self.sound_collections().iter().max_by_key(|core| core.growing_bytes())
            && largest.growing_bytes() > 0
            && others.is_ok()
        {
            *sealed += self.pass_damage(largest, &mut others, |core| core.flush(self, work))?;
            self.signal.notify_waiters();
        }
        if self.is_log_long() {
            self.free_log()?;
            let oldest = self.log.oldest();
            for core in self.sound_collections() {
                // What is stored does not hold it up; of a collection that could not be opened nothing will be.
                let last = oldest.iter().find(|(log_id, _)| *log_id == core.id).map(|(_, seq)| *seq);
                if last.is_some_and(|last| self.stored_seq(core.id) < last) {
                    *sealed += self.pass_damage(&core, &mut others, |core| core.flush(self, work))?;
                }
            }
        }
        others
    }

    /// Does something with every collection. Damage in one of them does not keep it from the others; the first is told in the
    /// end.
    pub(super) fn for_each_collection(&self, work: impl Fn(&CollectionCore) -> Result<()>) -> Result<()> {
        let mut first = Ok(());
        for core in self.collections() {
            match work(&core) {
                Err(error @ Error::Corrupt { .. }) => first = first.and(Err(error)),
                result => result?,
            }
        }
        first
    }

    /// Works on a collection. If damage is found in it, that is its own affair; damage that is nowhere in it (what was just
    /// written does not read back) waits for the end of the others' turn. Any other error ends it.
    fn pass_damage<T: Default>(
        &self,
        core: &Arc<CollectionCore>,
        others: &mut Result<()>,
        work: impl FnOnce(&CollectionCore) -> Result<T>,
    ) -> Result<T> {
        match work(core) {
            Err(error @ Error::Corrupt { .. }) => {
                tracing::error!(collection = %core.name(), %error, "a collection could not be sealed or merged");
                // Its memory cannot be had from now on.
                self.count_room();
                if core.check().is_ok() && others.is_ok() {
                    *others = Err(error);
                }
                Ok(T::default())
            }
            result => result,
        }
    }

    /// Makes rows nodes of their graphs, in turns of the collections that have some, until there are none left.
    pub(crate) fn link_due(&self) {
        while !self.is_stopping() {
            let next = self.to_link.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(core) = next else { return };
            // First, so that a write from now on puts it in again.
            core.is_to_link.store(false, Ordering::SeqCst);
            if core.link_some(self) {
                self.put_to_link(core);
            }
        }
    }

    /// Has a collection's rows made nodes.
    pub(super) fn put_to_link(&self, core: Arc<CollectionCore>) {
        if !core.is_to_link.swap(true, Ordering::SeqCst) {
            self.to_link.lock().unwrap_or_else(PoisonError::into_inner).push_back(core);
        }
    }

    /// Merges what is due, and what is left where nobody writes. Says when to look again at the latest.
    pub(crate) fn merge_due(&self) -> Result<Option<Duration>> {
        let merged = self.merge_all_due(Work::Merge);
        self.note_merges(&merged);
        merged?;
        let settled = self.settle_all();
        if settled.is_err() {
            self.note_merges(&settled);
        }
        settled.map(|look_again| look_again.then_some(REST).into_iter().chain(self.next_decay()).min())
    }

    /// In what time so many rows may have expired that there is something to rewrite, whoever writes or not.
    pub(crate) fn next_decay(&self) -> Option<Duration> {
        let now = self.options.clock.now_us();
        let first = self.sound_collections().iter().map(|core| core.next_decay(now)).min()?;
        let left = u64::try_from(first.saturating_sub(now)).unwrap_or_default();
        (first != NEVER).then(|| Duration::from_micros(left).clamp(REST, EXPIRY_LOOK))
    }

    fn settle_all(&self) -> Result<bool> {
        let (mut look_again, mut others) = (false, Ok(()));
        for core in self.sound_collections() {
            look_again |= self.merge_one(&core, &mut others, |core| core.settle(self))?;
        }
        others.map(|()| look_again)
    }

    /// Merges what is due; and further, collections with most segments first, where there are too many of them in all.
    pub(super) fn merge_all_due(&self, work: Work) -> Result<()> {
        let mut others = Ok(());
        self.count_room();
        for core in self.sound_collections() {
            self.merge_one(&core, &mut others, |core| core.merge(self, work))?;
        }
        if self.has_many_segments() {
            let mut collections = self.sound_collections();
            collections.retain(|core| core.sealed_count() > 1);
            collections.sort_by_key(|core| std::cmp::Reverse(core.sealed_count()));
            for core in collections {
                if self.is_stopping() || !self.has_many_segments() {
                    break;
                }
                self.merge_one(&core, &mut others, |core| core.merge_further(self, work))?;
            }
        }
        others
    }

    /// Merges in a collection, and tells writers at once if there are fewer segments. A merge that the disk has no room for
    /// holds up none of the others, which may want less: its error waits for the end of their turn.
    fn merge_one<T: Default>(
        &self,
        core: &Arc<CollectionCore>,
        others: &mut Result<()>,
        merge: impl FnOnce(&CollectionCore) -> Result<T>,
    ) -> Result<T> {
        let before = core.sealed_count();
        let merged = self.pass_damage(core, others, merge);
        if core.sealed_count() != before {
            self.count_room();
            self.signal.notify_waiters();
        }
        match merged {
            Err(error) if error.is_full() => {
                tracing::warn!(collection = %core.name(), %error, "the disk has no room for a merge");
                *others = std::mem::replace(others, Ok(())).and(Err(error));
                Ok(T::default())
            }
            merged => merged,
        }
    }
}
