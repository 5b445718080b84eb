//! What a connection to a port is at: one side is the connection's, the other that of the calls that come by it.
//!
//! Calls of gRPC learn of it from the extensions of their requests, where tonic puts it (`Connected`).
//!
//! ```text
//! resting -> working -> resting -> told to end -> hung up
//!                          ^            |
//!                          +- working <-+  (a call that comes before it has heard)
//! ```
//! A call works while it has a place; one for health, or of reflection, does not. A connection rests while none works. Calls that are refused leave one as it
//! was by which none was answered: whoever has no credentials would otherwise keep it from resting.
//!
//! Once it is hung up on no call works any more: a client is told then that what it asked for last was not begun, and asks for it anew elsewhere. Both are
//! decided under one lock, as a call may come in just that moment.
//!
//! What it takes of what is written is counted, as all its answers share it: none of them waits alone ([`patience`](crate::patience)).
//!
//! **Calls that have come and do not run yet** are known by what the transport makes for them. It has a service for each connection, with what that says of
//! itself (`Connected`), and clones both for a call as soon as that has come; once the call runs its clone is dropped. So clones of that are counted
//! ([`Peer::of_service`]), and no others. If it ever kept one more, there would always seem to be such a call, for which nobody waits for long.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;
use tonic::Status;

use crate::limits::HEALTH_CALLS_PER_CONNECTION_MAX;
use crate::status;

/// A connection that was never of use is closed for another once it has rested for so long; by then who connects to call has called.
const NEVER_USED: Duration = Duration::from_secs(1);
/// One that was: what it was answered may still be on its way.
const USED: Duration = Duration::from_secs(10);

/// A connection that is open; clones are one.
#[derive(Debug)]
pub(crate) struct Peer {
    open: Arc<Open>,
    /// Whether it is its service's, or that of a call that has come and does not run yet.
    is_of_service: bool,
}

#[derive(Debug)]
struct Open {
    address: Option<SocketAddr>,
    /// Bytes that it has taken so far of what there was to write.
    taken: AtomicU64,
    /// Its service, and those of calls that have come and do not run yet.
    services: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Calls for health that are under way.
    health_calls: usize,
    /// Calls that work.
    working: usize,
    /// Whether any was answered.
    is_used: bool,
    /// When the last of these ended, or it was opened.
    rests_since: Instant,
    is_told_to_end: bool,
    is_hung_up: bool,
    /// Who reads from it.
    reader: Option<Waker>,
}

impl State {
    fn is_told_to_end(&mut self, context: &Context<'_>) -> bool {
        match &self.reader {
            Some(reader) if reader.will_wake(context.waker()) => {}
            _ => self.reader = Some(context.waker().clone()),
        }
        self.is_told_to_end
    }
}

impl Peer {
    /// One that is opened now, from an address.
    pub(crate) fn at(address: Option<SocketAddr>) -> Peer {
        let state = State {
            health_calls: 0,
            working: 0,
            is_used: false,
            rests_since: Instant::now(),
            is_told_to_end: false,
            is_hung_up: false,
            reader: None,
        };
        let (taken, services) = (AtomicU64::new(0), AtomicUsize::new(0));
        let open = Arc::new(Open { address, taken, services, state: Mutex::new(state) });
        Peer { open, is_of_service: false }
    }

    /// The same for its service, whose clones are those of calls.
    pub(super) fn of_service(&self) -> Peer {
        // Nothing is handed over with the count, so no order is needed.
        self.open.services.fetch_add(1, Ordering::Relaxed);
        Peer { open: Arc::clone(&self.open), is_of_service: true }
    }

    /// The call runs that this came with.
    pub(crate) fn runs(&mut self) {
        if std::mem::take(&mut self.is_of_service) {
            self.open.services.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Whether calls have come that do not run yet.
    pub(super) fn has_calls_to_run(&self) -> bool {
        self.open.services.load(Ordering::Relaxed) > 1
    }

    /// Where it comes from, if that is known.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.open.address
    }

    /// It has taken so many bytes more.
    pub(crate) fn takes(&self, bytes: usize) {
        // Nothing is handed over with the count, so no order is needed.
        self.open.taken.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.open.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a call for health, which is under way until what is returned is dropped.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when too many are under way.
    pub(crate) fn health_call(&self) -> Result<HealthCall, Status> {
        let mut state = self.state();
        if state.health_calls >= HEALTH_CALLS_PER_CONNECTION_MAX {
            let (limit, max) = ("HEALTH_CALLS_PER_CONNECTION_MAX", HEALTH_CALLS_PER_CONNECTION_MAX);
            return Err(status::too_many_requests(limit, max));
        }
        state.health_calls += 1;
        Ok(HealthCall(self.clone()))
    }

    /// Begins a call that works until what is returned is dropped.
    ///
    /// # Errors
    /// CANCELLED where the connection was hung up on, which nobody hears of.
    pub(crate) fn work(&self) -> Result<Working, Status> {
        let mut state = self.state();
        if state.is_hung_up {
            return Err(status::cancelled());
        }
        state.working += 1;
        state.is_told_to_end = false;
        Ok(Working { peer: self.clone(), is_answered: false })
    }

    /// Whether it is to end, which who reads from it is woken for.
    pub(super) fn is_told_to_end(&self, context: &Context<'_>) -> bool {
        self.state().is_told_to_end(context)
    }

    /// The same, and it is hung up on if it is: no call works from then on.
    pub(super) fn hangs_up(&self, context: &Context<'_>) -> bool {
        let mut state = self.state();
        let is_told = state.is_told_to_end(context);
        state.is_hung_up |= is_told;
        state.is_hung_up
    }

    /// Returns once it is to end for another, and is hung up on. For who serves it: one waits at a time.
    pub(crate) async fn ends(&self) {
        poll_fn(|context| if self.hangs_up(context) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// Whether it was of use, and since when it has rested, if it may be closed for another: those that are less come first.
    pub(super) fn may_end(&self, now: Instant) -> Option<(bool, Instant)> {
        let state = self.state();
        let long = if state.is_used { USED } else { NEVER_USED };
        let may_end = state.working == 0
            && !state.is_told_to_end
            && now.saturating_duration_since(state.rests_since) >= long;
        may_end.then_some((state.is_used, state.rests_since))
    }

    /// Tells it to end, unless a call has come meanwhile.
    pub(super) fn tell_to_end(&self) {
        let mut state = self.state();
        if state.working > 0 {
            return;
        }
        state.is_told_to_end = true;
        if let Some(reader) = state.reader.take() {
            drop(state);
            reader.wake();
        }
    }

    /// What tells it from all others that are open.
    pub(crate) fn number(&self) -> usize {
        Arc::as_ptr(&self.open).addr()
    }

    /// Whether both are one.
    pub(super) fn is(&self, other: &Peer) -> bool {
        Arc::ptr_eq(&self.open, &other.open)
    }
}

impl Clone for Peer {
    fn clone(&self) -> Peer {
        match self.is_of_service {
            true => self.of_service(),
            false => Peer { open: Arc::clone(&self.open), is_of_service: false },
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.runs();
    }
}

/// A call for health that is under way.
#[derive(Debug)]
pub(crate) struct HealthCall(Peer);

impl Drop for HealthCall {
    fn drop(&mut self) {
        self.0.state().health_calls -= 1;
    }
}

/// A call that works.
#[derive(Debug)]
pub(crate) struct Working {
    peer: Peer,
    is_answered: bool,
}

impl Working {
    /// It was not refused.
    pub(crate) fn is_answered(&mut self) {
        self.is_answered = true;
    }

    /// Bytes that its connection has taken so far, of all that there was to write.
    pub(crate) fn taken(&self) -> u64 {
        self.peer.open.taken.load(Ordering::Relaxed)
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        let mut state = self.peer.state();
        state.working -= 1;
        state.is_used |= self.is_answered;
        if state.is_used {
            state.rests_since = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn a_connection_has_few_calls_for_health_at_a_time() {
        let (peer, other) = (Peer::at(None), Peer::at(None));
        let mut calls: Vec<HealthCall> =
            (0..HEALTH_CALLS_PER_CONNECTION_MAX).map(|_| peer.health_call().unwrap()).collect();
        assert_eq!(peer.clone().health_call().unwrap_err().code(), Code::ResourceExhausted);
        assert!(other.health_call().is_ok(), "each has its own");
        calls.pop();
        assert!(peer.health_call().is_ok());
    }

    #[test]
    fn calls_are_known_to_have_come_until_they_run_or_are_gone() {
        let peer = Peer::at(None);
        let service = peer.of_service();
        assert!(!peer.has_calls_to_run());
        let comes = service.clone();
        let mut call = comes.clone();
        assert!(peer.has_calls_to_run());
        call.runs();
        drop(comes);
        let _others = [peer.clone(), call.clone()];
        assert!(!peer.has_calls_to_run(), "it runs, and what it takes along is no other");
        call.runs();
        let gone = service.clone();
        assert!(peer.has_calls_to_run(), "it runs only once");
        drop(gone);
        assert!(!peer.has_calls_to_run());
    }

    #[tokio::test(start_paused = true)]
    async fn one_may_end_once_it_has_rested_and_while_nothing_works() {
        let peer = Peer::at(None);
        let opened = Instant::now();
        let may_end = || peer.may_end(Instant::now());
        assert_eq!(may_end(), None, "it was just opened");
        tokio::time::advance(NEVER_USED).await;
        assert_eq!(may_end(), Some((false, opened)));
        // Refused, and health: it goes on resting.
        drop(peer.work().unwrap());
        let _health = peer.health_call().unwrap();
        assert_eq!(may_end(), Some((false, opened)));
        let mut working = peer.work().unwrap();
        working.is_answered();
        tokio::time::advance(USED).await;
        assert_eq!(may_end(), None, "a call works");
        drop(working);
        let rests_since = Instant::now();
        tokio::time::advance(NEVER_USED).await;
        assert_eq!(may_end(), None, "its answer may be on its way");
        tokio::time::advance(USED).await;
        assert_eq!(may_end(), Some((true, rests_since)));
        assert!((false, rests_since) < (true, opened), "one that was never of use comes first");
    }

    #[test]
    fn a_call_that_comes_before_it_has_heard_keeps_it_open() {
        let peer = Peer::at(None);
        let context = Context::from_waker(Waker::noop());
        peer.tell_to_end();
        assert!(peer.is_told_to_end(&context) && peer.may_end(Instant::now()).is_none());
        let working = peer.work().unwrap();
        assert!(!peer.is_told_to_end(&context) && !peer.hangs_up(&context));
        peer.tell_to_end();
        assert!(!peer.is_told_to_end(&context), "it works");
        drop(working);
        peer.tell_to_end();
        assert!(peer.is_told_to_end(&context));
    }

    /// It was begun, and its client was told that it was not.
    #[test]
    fn a_call_that_comes_after_it_is_not_begun() {
        let peer = Peer::at(None);
        let context = Context::from_waker(Waker::noop());
        assert!(!peer.hangs_up(&context) && peer.work().is_ok());
        peer.tell_to_end();
        assert!(peer.hangs_up(&context));
        assert_eq!(peer.work().unwrap_err().code(), Code::Cancelled);
        assert!(peer.hangs_up(&context), "that changes nothing");
    }
}
