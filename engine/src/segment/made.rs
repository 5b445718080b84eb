//! Indexes that are stored nowhere: each is made in memory when it is first asked for, and kept with its segment.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::text::{Analyzer, Index, IndexOf};

/// What an index is of, the analyser of a text, and the first of its rows.
pub(super) type MadeOf = (IndexOf, Option<Analyzer>, u32);

/// An index that somebody makes, and others wait for.
type Made = Arc<OnceLock<Arc<Index>>>;

/// The indexes of a segment that are stored nowhere.
#[derive(Debug, Default)]
pub(super) struct MadeIndexes(Mutex<BTreeMap<MadeOf, Made>>);

impl MadeIndexes {
    /// An index; `make` makes it for who asks first.
    pub(super) fn get(&self, of: MadeOf, make: impl FnOnce() -> Index) -> Arc<Index> {
        let made = self.lock().entry(of).or_default().clone();
        // Not under the lock: others ask for other ones meanwhile.
        made.get_or_init(|| Arc::new(make())).clone()
    }

    /// Those that are made.
    pub(super) fn all(&self) -> Vec<(MadeOf, Arc<Index>)> {
        self.lock().iter().filter_map(|(of, made)| Some((*of, made.get()?.clone()))).collect()
    }

    /// An index, if it is made.
    pub(super) fn find(&self, of: MadeOf) -> Option<Arc<Index>> {
        self.lock().get(&of)?.get().cloned()
    }

    /// What they take in memory.
    pub(super) fn bytes(&self) -> usize {
        self.lock()
            .values()
            .filter_map(|made| made.get())
            .map(|index| index.bytes() + size_of::<Index>())
            .sum()
    }

    /// Forgets the indexes of a field or vector, as they are stored now.
    pub(super) fn forget(&self, of: IndexOf) {
        self.lock().retain(|(own, ..), _| *own != of);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<MadeOf, Made>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
