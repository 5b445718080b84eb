//! Holding writes for the moment in which another collection takes the place of one (`replacement.rs`).
//!
//! Writers wait before they get a number, so those that have one come to their end, and the view that is shown then is the last one.

use super::state::{CollectionCore, lock};
use crate::db::Store;
use crate::error::{Error, Result};

/// Writes wait until it is dropped.
#[must_use = "writes go on when this is dropped"]
pub(crate) struct Held<'a>(&'a CollectionCore);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        lock(&self.0.submit).is_held = false;
        self.0.released.notify_all();
    }
}

impl CollectionCore {
    /// Holds writes, and waits until those that are queued were applied.
    ///
    /// # Errors
    /// [`Error::Replacement`] if they are held already.
    pub(crate) fn hold_writes(&self, store: &Store) -> Result<Held<'_>> {
        if lock(&self.submit).is_held {
            return Err(Error::Replacement { name: self.name().to_string(), is_under_way: true });
        }
        // Another may hold them between: then this waits, and finds the collection replaced, or takes its turn.
        self.hold_writes_in_turn(store)
    }

    /// The same, but that it waits while they are held.
    pub(crate) fn hold_writes_in_turn(&self, store: &Store) -> Result<Held<'_>> {
        let mut submit = self.lock_submit(store, None)?;
        submit.is_held = true;
        let last = submit.next_seq - 1;
        drop(submit);
        let held = Held(self);
        self.wait_applied(store, last)?;
        Ok(held)
    }
}
