//! Turns: how many work on something at a time, and how long the others wait for theirs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tonic::Status;

use super::Place;
use super::line::{Line, Whose};
use crate::metrics::SECONDS;
use crate::status;
use crate::telemetry::Call;

/// Turns of one kind; clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Turns(Arc<Queue>);

#[derive(Debug)]
struct Queue {
    /// What metrics and traces call the kind.
    name: &'static str,
    permits: Arc<Semaphore>,
    /// Where several kinds share turns, and have them by turns of their callers: the first of each kind's line stands among those who are next.
    line: Option<Line>,
    waited: Histogram,
    waiting: AtomicU64,
}

impl Turns {
    pub(super) fn new(name: &'static str, max: usize) -> Turns {
        Turns::among(name, Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS))), false)
    }

    /// Turns for several kinds, which have them by turns, and so have the callers of each: however many of one wait, who is the first of another waits for
    /// few of them.
    pub(super) fn for_several(name: &'static str, max: usize) -> Turns {
        Turns::among(name, Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS))), true)
    }

    /// The same turns for another kind, whose waiting is counted apart.
    pub(super) fn shared_with(&self, name: &'static str) -> Turns {
        Turns::among(name, Arc::clone(&self.0.permits), self.0.line.is_some())
    }

    fn among(name: &'static str, permits: Arc<Semaphore>, in_line: bool) -> Turns {
        let line = in_line.then(Line::new);
        let (waited, waiting) = (Histogram::new(SECONDS), AtomicU64::new(0));
        Turns(Arc::new(Queue { name, permits, line, waited, waiting }))
    }

    /// Waits for a turn, for the request whose place this task has.
    ///
    /// # Errors
    /// UNAVAILABLE when the server is shut down.
    pub(crate) async fn take(&self) -> Result<OwnedSemaphorePermit, Status> {
        let began = Instant::now();
        let waiting = Waiting::begin(&self.0.waiting);
        let closed = |_| status::shutting_down();
        let first = match &self.0.line {
            Some(line) => {
                let whose = Place::current().map_or(Whose::Nobody, |place| place.whose());
                Some(line.first(whose).await?)
            }
            None => None,
        };
        let turn = Arc::clone(&self.0.permits).acquire_owned().await.map_err(closed)?;
        drop((first, waiting));
        self.had(began.elapsed());
        Ok(turn)
    }

    /// A turn if one is free.
    pub(super) fn take_now(&self) -> Option<SemaphorePermit<'_>> {
        let turn = self.0.permits.try_acquire().ok()?;
        self.had(Duration::ZERO);
        Some(turn)
    }

    /// A turn if one is free, for what nobody waits for and nobody counts.
    pub(super) fn take_spare(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.permits).try_acquire_owned().ok()
    }

    /// Somebody had to wait so long for a turn.
    fn had(&self, waited: Duration) {
        self.0.waited.observe(waited.as_secs_f64());
        Call::current().queued(self.0.name, waited);
    }

    /// Turns that nobody has.
    pub(super) fn free(&self) -> usize {
        self.0.permits.available_permits()
    }

    /// Its name, as metrics have it.
    pub(crate) fn name(&self) -> &'static str {
        self.0.name
    }

    /// How long was waited for turns.
    pub(crate) fn waited(&self) -> &Histogram {
        &self.0.waited
    }

    /// How many wait now.
    pub(crate) fn waiting(&self) -> u64 {
        self.0.waiting.load(Ordering::Relaxed)
    }
}

/// One of those who wait.
struct Waiting<'a>(&'a AtomicU64);

impl Waiting<'_> {
    fn begin(waiting: &AtomicU64) -> Waiting<'_> {
        waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
