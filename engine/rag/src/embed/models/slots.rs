//! What is loaded, by name, each once: whoever asks for the same meanwhile waits for it, and nobody else does. Who stops waiting is let go: the
//! one that loads may have minutes where the other has a second.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::Duration;

use crate::embed::Wanted;
use crate::error::{Error, Result};

/// How often whoever waits for another's attempt looks whether it has ended.
const LOOK: Duration = Duration::from_millis(10);

/// Loaded models of one kind.
pub(super) struct Slots<T: ?Sized> {
    /// This lock is held for a look-up only; a slot's own lock is held while its model is fetched and loaded.
    by_name: Mutex<HashMap<String, Arc<Slot<T>>>>,
}

struct Slot<T: ?Sized> {
    /// Attempts that have ended.
    attempts: AtomicU64,
    model: OnceLock<Arc<T>>,
    /// Why the last attempt failed, for those who waited for it; locked by the one that is under way.
    failure: Mutex<Option<Error>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these locks protect is whole at every moment; a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: ?Sized> Default for Slots<T> {
    fn default() -> Self {
        Slots { by_name: Mutex::default() }
    }
}

impl<T: ?Sized> Slot<T> {
    fn new(model: Option<Arc<T>>) -> Arc<Slot<T>> {
        let model = model.map_or_else(OnceLock::new, OnceLock::from);
        Arc::new(Slot { attempts: AtomicU64::new(0), model, failure: Mutex::default() })
    }

    /// The model, loaded with `load` if it is not yet.
    fn load(&self, wanted: Wanted<'_>, load: impl FnOnce() -> Result<Arc<T>>) -> Result<Arc<T>> {
        if let Some(model) = self.model.get() {
            return Ok(model.clone());
        }
        let before = self.attempts.load(Ordering::Acquire);
        let mut failure = self.turn(wanted)?;
        if let Some(model) = self.model.get() {
            return Ok(model.clone());
        }
        // An attempt that ended while this thread waited for it was also its own.
        if self.attempts.load(Ordering::Acquire) != before
            && let Some(failure) = failure.as_ref().and_then(copy)
        {
            return Err(failure);
        }
        let loaded = load();
        self.attempts.fetch_add(1, Ordering::Release);
        match loaded {
            Ok(model) => Ok(self.model.get_or_init(|| model).clone()),
            Err(error) => {
                *failure = copy(&error);
                Err(error)
            }
        }
    }

    /// The turn to load the model, once nobody else has it.
    fn turn(&self, wanted: Wanted<'_>) -> Result<MutexGuard<'_, Option<Error>>> {
        loop {
            match self.failure.try_lock() {
                Ok(turn) => return Ok(turn),
                Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => wanted.pause(LOOK)?,
            }
        }
    }
}

impl<T: ?Sized> Slots<T> {
    /// The model of a name, loaded with `load` if it is not yet.
    ///
    /// # Errors
    /// What `load` gives; as [`Wanted::check`] while another loads it.
    pub(super) fn load(
        &self,
        name: &str,
        wanted: Wanted<'_>,
        load: impl FnOnce() -> Result<Arc<T>>,
    ) -> Result<Arc<T>> {
        let slot = lock(&self.by_name).entry(name.to_owned()).or_insert_with(|| Slot::new(None)).clone();
        let loaded = slot.load(wanted, load);
        if loaded.is_err() {
            self.leave(name, slot);
        }
        loaded
    }

    /// A name of which nothing is there is forgotten with the last who asked for it: callers may be allowed to name any.
    fn leave(&self, name: &str, slot: Arc<Slot<T>>) {
        let mut by_name = lock(&self.by_name);
        drop(slot);
        let is_idle = |slot: &Arc<Slot<T>>| Arc::strong_count(slot) == 1 && slot.model.get().is_none();
        if by_name.get(name).is_some_and(is_idle) {
            by_name.remove(name);
        }
    }

    /// The model of a name if it is loaded; one that is being loaded is not.
    pub(super) fn loaded(&self, name: &str) -> Option<Arc<T>> {
        lock(&self.by_name).get(name)?.model.get().cloned()
    }

    /// Makes a model answer to a name.
    pub(super) fn insert(&self, name: String, model: Arc<T>) {
        lock(&self.by_name).insert(name, Slot::new(Some(model)));
    }

    /// All that are loaded, with their names.
    pub(super) fn all(&self) -> Vec<(String, Arc<T>)> {
        let by_name = lock(&self.by_name);
        let loaded =
            by_name.iter().filter_map(|(name, slot)| Some((name.clone(), slot.model.get()?.clone())));
        loaded.collect()
    }
}

/// A copy of an error that others waited for; none of one that cannot be copied, who must try themselves.
fn copy(error: &Error) -> Option<Error> {
    match error {
        Error::ModelNotFound { model, sources } => {
            Some(Error::ModelNotFound { model: model.clone(), sources: sources.clone() })
        }
        Error::ModelInvalid { path, reason } => {
            Some(Error::ModelInvalid { path: path.clone(), reason: reason.clone() })
        }
        Error::Remote { url, reason } => Some(Error::Remote { url: url.clone(), reason: reason.clone() }),
        Error::RemoteBusy { url, reason, retry_after } => {
            let (url, reason, retry_after) = (url.clone(), reason.clone(), *retry_after);
            Some(Error::RemoteBusy { url, reason, retry_after })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Each name that was ever asked for kept its place, though there may be no such model.
    #[test]
    fn a_name_that_failed_is_forgotten() {
        let slots = Slots::<str>::default();
        let fails = || -> Result<Arc<str>> { Err(ragstone::Error::Cancelled.into()) };
        for name in ["a", "b"] {
            assert!(slots.load(name, Wanted::always(), fails).is_err());
        }
        assert!(lock(&slots.by_name).is_empty());
        slots.load("a", Wanted::always(), || Ok(Arc::from("model"))).unwrap();
        assert_eq!(lock(&slots.by_name).len(), 1);
    }

    /// Whoever came second waited for as long as the first one did, whatever became of its own caller.
    #[test]
    fn who_stops_waiting_for_the_attempt_of_another_is_let_go() {
        let slots = Slots::<str>::default();
        let looks = Cell::new(0);
        let check = || -> Result<()> {
            looks.set(looks.get() + 1);
            if looks.get() < 3 { Ok(()) } else { Err(ragstone::Error::Cancelled.into()) }
        };
        let loaded = slots.load("a", Wanted::always(), || {
            let second = slots.load("a", Wanted::while_ok(&check), || panic!("another loads it"));
            assert!(matches!(second, Err(Error::Engine(ragstone::Error::Cancelled))));
            assert!(slots.loaded("a").is_none() && slots.all().is_empty());
            Ok(Arc::from("model"))
        });
        assert_eq!(&*loaded.unwrap(), "model");
        // What is there is given to whoever asks.
        let again = slots.load("a", Wanted::while_ok(&check), || panic!("it is loaded"));
        assert_eq!((&*again.unwrap(), slots.all().len()), ("model", 1));
        assert_eq!(looks.get(), 3);
    }
}
