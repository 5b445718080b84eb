//! What threads of a database tell each other: that there may be work, that there may be room, that it is over.

use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::dir::io_error;
use crate::error::{Error, Result};
use crate::interrupt::{CancelToken, Token, Watch, check_wanted};

/// How often a writer that waits for room looks whether it is wanted still: who cancels its token wakes nobody.
const WANTED_LOOK: Duration = Duration::from_millis(100);

/// Wakes background threads for work, and writers that wait for room.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    state: Mutex<State>,
    changed: Condvar,
    /// Cancelled under the lock of the state, so that nobody who waits misses it; looked at without.
    stopping: CancelToken,
}

#[derive(Debug, Default)]
struct State {
    /// Counts the changes, so that none is missed between looking and sleeping.
    changes: u64,
    /// Why the last seal failed, until one succeeds.
    stall: Option<Stall>,
}

/// A failed seal, as every writer that has no room is told of it.
#[derive(Debug)]
struct Stall {
    kind: std::io::ErrorKind,
    message: String,
}

impl Signal {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A few values that no panic leaves half-changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Something became due.
    pub(crate) fn notify(&self) {
        self.lock().changes += 1;
        self.changed.notify_all();
    }

    /// Wakes writers that wait for room; it is no work for the threads.
    pub(crate) fn notify_waiters(&self) {
        // Through the lock, so that no writer is between looking and sleeping.
        drop(self.lock());
        self.changed.notify_all();
    }

    /// Remembers how a seal ended, for the writers without room.
    pub(crate) fn note_seal(&self, result: &Result<()>) {
        self.lock().stall = result.as_ref().err().map(|error| Stall {
            kind: if let Error::Io { source, .. } = error {
                source.kind()
            } else {
                std::io::ErrorKind::Other
            },
            message: error.to_string(),
        });
        self.changed.notify_all();
    }

    /// Waits until there is room, a check fails, the last seal failed, or it is not wanted any more. `path` is the database's, for the
    /// message. Both are asked under the lock of the signal: they take none but the log's.
    pub(crate) fn wait_for_room(
        &self,
        path: &Path,
        token: Token<'_>,
        has_room: impl Fn() -> bool,
        check: impl Fn() -> Result<()>,
    ) -> Result<()> {
        let mut state = self.lock();
        while !has_room() {
            check_wanted(token)?;
            check()?;
            if let Some(Stall { kind, message }) = &state.stall {
                return Err(io_error("seal a segment of", path, std::io::Error::new(*kind, message.clone())));
            }
            state = match token {
                None => self.wait(state),
                Some(_) => {
                    let waited = self.changed.wait_timeout(state, WANTED_LOOK);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        Ok(())
    }

    /// The count of changes, once it is another than `seen` or the time is over, if one is given; `None` when the
    /// database is closed.
    pub(crate) fn next_work(&self, seen: u64, latest: Option<Duration>) -> Option<u64> {
        let end = latest.map(|latest| Instant::now() + latest);
        let mut state = self.lock();
        while state.changes == seen && !self.is_stopping() {
            let Some(end) = end else {
                state = self.wait(state);
                continue;
            };
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        (!self.is_stopping()).then_some(state.changes)
    }

    /// Sleeps, whatever changes; then the count of changes, or `None` as soon as the database is closed.
    pub(crate) fn pause(&self, delay: Duration) -> Option<u64> {
        let end = Instant::now() + delay;
        let mut state = self.lock();
        while !self.is_stopping() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Some(state.changes);
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        None
    }

    /// Ends the background threads at their next pause, and what they are at at its next step.
    pub(crate) fn stop(&self) {
        let state = self.lock();
        self.stopping.cancel();
        drop(state);
        self.changed.notify_all();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// What long work looks at to learn whether to go on.
    pub(crate) fn closing(&self) -> Closing<'_> {
        Closing([Some(&self.stopping), None])
    }
}

/// Whether the result of some work is still wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closing<'a>([Option<&'a CancelToken>; 2]);

impl<'a> Closing<'a> {
    /// For whoever is never told to stop.
    pub(crate) const NEVER: Closing<'static> = Closing([None, None]);

    /// As soon as this is cancelled it is not.
    #[cfg(test)]
    pub(crate) fn by(token: &'a CancelToken) -> Self {
        Self([Some(token), None])
    }

    /// Nor as soon as this one is.
    pub(crate) fn or(self, token: &'a CancelToken) -> Self {
        Self([self.0[0], Some(token)])
    }

    pub(crate) fn is_set(self) -> bool {
        self.0.iter().flatten().any(|token| token.is_cancelled())
    }

    /// For work that looks at a watch.
    pub(crate) fn watch(self) -> Watch {
        Watch::new(None, self.0[0]).and(self.0[1])
    }
}
