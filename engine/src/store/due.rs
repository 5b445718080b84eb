//! What writes make due: rows to link, segments to seal and to merge.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::Store;
use crate::collection::{CollectionCore, REST};
use crate::error::Result;
use crate::threads::Work;

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

    fn is_memory_high(&self) -> bool {
        self.growing_bytes.load(Ordering::Relaxed) > self.options.growing_bytes_max
    }

    /// Whether so much is in memory that writers wait.
    pub(crate) fn is_memory_full(&self) -> bool {
        self.growing_bytes.load(Ordering::Relaxed) > self.options.growing_bytes_max.saturating_mul(2)
    }

    fn is_log_long(&self) -> bool {
        self.log.size_bytes() > self.options.log_bytes_max
    }

    /// Seals what is frozen, and what holds up memory or the log. Then there may be something to merge.
    pub(crate) fn seal_due(&self) -> Result<()> {
        // Without background threads a writer waits for it.
        let work = if self.options.background { Work::Seal } else { Work::Flush };
        let mut sealed = 0;
        let result = self.seal_due_counting(work, &mut sealed);
        self.signal.note_seal(&result);
        if sealed > 0 {
            self.signal.notify();
        }
        result
    }

    fn seal_due_counting(&self, work: Work, sealed: &mut usize) -> Result<()> {
        for core in self.collections() {
            *sealed += core.seal_frozen(self, work)?;
            self.signal.notify_waiters();
        }
        while self.is_memory_high()
            && let Some(largest) = self.collections().iter().max_by_key(|core| core.growing_bytes())
            && largest.growing_bytes() > 0
        {
            *sealed += largest.flush(self, work)?;
            self.signal.notify_waiters();
        }
        if self.is_log_long() {
            let oldest = self.log.oldest();
            for core in self.collections().iter().filter(|core| oldest.contains(&core.id)) {
                *sealed += core.flush(self, work)?;
            }
        }
        Ok(())
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
        let collections = self.collections();
        collections.iter().try_for_each(|core| core.merge(self, Work::Merge))?;
        let mut look_again = false;
        for core in &collections {
            look_again |= core.settle(self)?;
        }
        Ok(look_again.then_some(REST))
    }
}
