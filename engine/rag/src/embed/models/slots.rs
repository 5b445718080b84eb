//! What is loaded, by name, each once: whoever asks for the same meanwhile waits for it, and nobody else does.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};

/// Loaded models of one kind.
pub(super) struct Slots<T: ?Sized> {
    /// This lock is held for a look-up only; a slot's own lock is held while its model is fetched and loaded.
    by_name: Mutex<HashMap<String, Arc<Slot<T>>>>,
}

struct Slot<T: ?Sized> {
    /// Attempts that have ended.
    attempts: AtomicU64,
    state: Mutex<State<T>>,
}

struct State<T: ?Sized> {
    model: Option<Arc<T>>,
    /// Why the last attempt failed, for those who waited for it.
    failure: Option<Error>,
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
        let state = Mutex::new(State { model, failure: None });
        Arc::new(Slot { attempts: AtomicU64::new(0), state })
    }
}

impl<T: ?Sized> Slots<T> {
    /// The model of a name, loaded with `load` if it is not yet.
    pub(super) fn load(&self, name: &str, load: impl FnOnce() -> Result<Arc<T>>) -> Result<Arc<T>> {
        let slot = lock(&self.by_name).entry(name.to_owned()).or_insert_with(|| Slot::new(None)).clone();
        let before = slot.attempts.load(Ordering::Acquire);
        let mut state = lock(&slot.state);
        if let Some(model) = &state.model {
            return Ok(model.clone());
        }
        // An attempt that ended while this thread waited for it was also its own.
        if slot.attempts.load(Ordering::Acquire) != before
            && let Some(failure) = state.failure.as_ref().and_then(copy)
        {
            return Err(failure);
        }
        let loaded = load();
        slot.attempts.fetch_add(1, Ordering::Release);
        match loaded {
            Ok(model) => {
                *state = State { model: Some(model.clone()), failure: None };
                Ok(model)
            }
            Err(error) => {
                state.failure = copy(&error);
                Err(error)
            }
        }
    }

    /// The model of a name if it is loaded; one that is being loaded is not.
    pub(super) fn loaded(&self, name: &str) -> Option<Arc<T>> {
        let slot = lock(&self.by_name).get(name)?.clone();
        slot.state.try_lock().ok()?.model.clone()
    }

    /// Makes a model answer to a name.
    pub(super) fn insert(&self, name: String, model: Arc<T>) {
        lock(&self.by_name).insert(name, Slot::new(Some(model)));
    }

    /// All that are loaded, with their names.
    pub(super) fn all(&self) -> Vec<(String, Arc<T>)> {
        let slots: Vec<(String, Arc<Slot<T>>)> =
            lock(&self.by_name).iter().map(|(name, slot)| (name.clone(), slot.clone())).collect();
        let loaded = |(name, slot): (String, Arc<Slot<T>>)| {
            let model = slot.state.try_lock().ok()?.model.clone()?;
            Some((name, model))
        };
        slots.into_iter().filter_map(loaded).collect()
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
