//! Ending a request that blocks: because its caller no longer wants the answer, or because it takes too long.
//!
//! The problem: a thread that waits for a socket looks at nothing else, and the time-outs of an HTTP client count bytes,
//! while what must not take too long is a token (some services send comments for as long as a model thinks). The idea: a second thread
//! waits for whichever comes first, the deadline of what is awaited now or the word to stop, and then shuts the client
//! down, which closes its connection under the read. A deadline counts only while somebody waits, so that whoever
//! reads an answer slowly does not time it out, but for the deadline of the whole.
//!
//! Invariant: the thread ends with the [`Watch`], and the first cause of an end stays.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ureq::Agent;

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    FirstToken,
    NextToken,
    Whole,
}

/// Why waiting was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// Somebody said so.
    Stopped,
    /// It took too long.
    TimedOut(Phase),
}

/// Ends a generation from another thread: whoever waits for its next event gets an error at once, and the connection to the
/// model's endpoint is closed, which most endpoints take as a word to stop computing. A connection that is only being made is left to itself, seconds at most
/// ([`Patience::connect`](super::Patience::connect)). Clones are one.
#[derive(Clone)]
pub struct Stopper(Option<Arc<Shared>>);

impl Stopper {
    /// Of an answer that is there already, which nothing has to end.
    pub(super) fn of_nothing() -> Stopper {
        Stopper(None)
    }

    /// Ends the generation; after its end it does nothing.
    pub fn stop(&self) {
        if let Some(shared) = &self.0 {
            shared.end(Over::Stopped);
        }
    }

    /// Ends the generation when what it returns is dropped, as a future is whose caller has left.
    pub fn stop_on_drop(&self) -> StopOnDrop {
        StopOnDrop(self.clone())
    }
}

impl std::fmt::Debug for Stopper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stopper")
            .field("over", &self.0.as_ref().and_then(|shared| shared.lock().over))
            .finish()
    }
}

/// Stops a generation when it is dropped: [`Stopper::stop_on_drop`].
#[derive(Debug)]
#[must_use = "dropping it stops the generation"]
pub struct StopOnDrop(Stopper);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

struct Shared {
    /// Locked for a look or a change, never while anything is waited for.
    state: Mutex<State>,
    changed: Condvar,
    agent: Agent,
}

struct State {
    /// What is awaited now, if anything is.
    awaited: Option<(Phase, Instant)>,
    whole: Instant,
    over: Option<Over>,
    /// The watch is gone; its thread has nothing left to do.
    closed: bool,
}

impl State {
    fn next(&self) -> (Phase, Instant) {
        match self.awaited {
            Some((phase, deadline)) if deadline < self.whole => (phase, deadline),
            _ => (Phase::Whole, self.whole),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole at every moment; a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, cause: Over) {
        let mut state = self.lock();
        if state.over.is_none() && !state.closed {
            state.over = Some(cause);
            self.changed.notify_all();
            drop(state);
            self.agent.clone().shutdown();
        }
    }

    /// Waits for the deadlines, until the watch is closed or over.
    fn run(&self) {
        let mut state = self.lock();
        while state.over.is_none() && !state.closed {
            let (phase, deadline) = state.next();
            let now = Instant::now();
            if now >= deadline {
                drop(state);
                return self.end(Over::TimedOut(phase));
            }
            let waited = self.changed.wait_timeout(state, deadline - now);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The deadlines of one generation; the client that it is given is used for nothing else.
pub(super) struct Watch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// `total` counts from now.
    pub(super) fn start(agent: Agent, total: Duration) -> std::io::Result<Watch> {
        let state = State { awaited: None, whole: Instant::now() + total, over: None, closed: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), agent });
        let seen = shared.clone();
        let thread =
            std::thread::Builder::new().name("ragstone-generate".to_owned()).spawn(move || seen.run())?;
        Ok(Watch { shared, thread: Some(thread) })
    }

    pub(super) fn stopper(&self) -> Stopper {
        Stopper(Some(self.shared.clone()))
    }

    /// From now on this is awaited, for so long at most.
    pub(super) fn begin(&self, phase: Phase, patience: Duration) {
        self.shared.lock().awaited = Some((phase, Instant::now() + patience));
        self.shared.changed.notify_all();
    }

    /// Nothing is awaited any more.
    pub(super) fn rest(&self) {
        self.shared.lock().awaited = None;
    }

    /// Whether it is over, and why.
    pub(super) fn over(&self) -> Option<Over> {
        self.shared.lock().over
    }

    /// Whether so long a pause would end before the deadline of the whole.
    pub(super) fn has_time_for(&self, pause: Duration) -> bool {
        Instant::now() + pause < self.shared.lock().whole
    }

    /// Waits, unless it is over before.
    pub(super) fn pause(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut state = self.shared.lock();
        while state.over.is_none() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // It panicked, then; there is nothing left for it to do.
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    fn watch(total: Duration) -> Watch {
        Watch::start(ureq::agent(), total).unwrap()
    }

    #[test]
    fn what_takes_too_long_is_named() {
        let whole = watch(Duration::ZERO);
        whole.pause(LONG);
        assert_eq!(whole.over(), Some(Over::TimedOut(Phase::Whole)));
        let first = watch(LONG);
        first.begin(Phase::FirstToken, Duration::ZERO);
        first.pause(LONG);
        assert_eq!(first.over(), Some(Over::TimedOut(Phase::FirstToken)));
        first.stopper().stop();
        assert_eq!(first.over(), Some(Over::TimedOut(Phase::FirstToken)), "the first cause stays");
    }

    #[test]
    fn nothing_times_out_while_nothing_is_awaited() {
        let watch = watch(LONG);
        watch.begin(Phase::NextToken, LONG);
        watch.rest();
        watch.pause(Duration::from_millis(1));
        assert_eq!(watch.over(), None);
        assert!(watch.has_time_for(LONG / 2) && !watch.has_time_for(LONG));
    }

    #[test]
    fn a_stopper_ends_a_pause_and_shuts_the_client_down() {
        let agent = ureq::agent();
        let watch = Watch::start(agent.clone(), LONG).unwrap();
        let guard = watch.stopper().stop_on_drop();
        let other = std::thread::spawn(move || drop(guard));
        watch.pause(LONG);
        assert_eq!(watch.over(), Some(Over::Stopped));
        other.join().unwrap();
        assert!(agent.get("http://127.0.0.1:1").call().unwrap_err().to_string().contains("shut"));
        let stopper = watch.stopper();
        drop(watch);
        stopper.stop();
    }
}
