//! What a collection is called, and whether it is there still: another may take its place, or it may be removed.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::state::{CollectionCore, lock};
use crate::error::Error;

impl CollectionCore {
    pub(crate) fn name(&self) -> Arc<str> {
        self.name.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn rename(&self, name: Arc<str>) {
        *self.name.write().unwrap_or_else(PoisonError::into_inner) = name;
    }

    /// The number that the next write gets.
    pub(crate) fn next_seq(&self) -> u64 {
        lock(&self.submit).next_seq
    }

    /// Refuses writes from now on, because another collection has the name.
    pub(crate) fn mark_replaced(&self) {
        self.is_replaced.store(true, Ordering::SeqCst);
        self.mark_deleted(true);
    }

    /// Why it takes no writes, once it takes none.
    pub(super) fn gone(&self) -> Error {
        let name = self.name().to_string();
        match self.is_replaced.load(Ordering::SeqCst) {
            true => Error::CollectionReplaced { name },
            false => Error::CollectionNotFound { name },
        }
    }

    /// Refuses writes from now on, or takes them again.
    pub(crate) fn mark_deleted(&self, is_deleted: bool) {
        let _submit = lock(&self.submit);
        self.is_deleted.store(is_deleted, Ordering::SeqCst);
        // Those who are held need not wait for their turn to be refused.
        self.released.notify_all();
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.is_deleted.load(Ordering::SeqCst)
    }
}
