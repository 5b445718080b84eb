//! How much of the memory of messages one caller may have at a time.
//!
//! **Problem.** That memory is one for all calls. Who begins large requests and sends the last bytes of none has it for as long as a body may take, and who
//! takes large answers slowly for as long as a request may last: answers share a connection, and what that takes of one counts for all of them
//! ([`patience`](crate::patience)). With as many of either as one may have calls, all of it was one caller's, and everybody's messages were refused.
//! **Idea.** The calls of a caller have the share of that memory that a caller has of the places, requests and answers together; where callers are not told
//! apart, those of a connection, which may be a proxy's, and many callers'. As long as an eighth of all of it is free ([`BEYOND_SHARE_MAX`]) they may have
//! more, as nobody lacks it: many large requests of one who loads a collection are no misdeed. What would be more is refused, with a pause after which it may
//! come again.
//!
//! Nobody waits for room, so two messages of which half has come never wait for each other: one is refused and gives back what it has, and the other goes on.
//!
//! What comes by the HTTP port is counted likewise where callers are told apart. Where they are not, it has no such bound, as a connection has one request at a
//! time there; nor has what comes by no connection at all. Of each call the first [`UNSHARED_BYTES_MAX`](crate::limits::UNSHARED_BYTES_MAX) are not counted:
//! short messages, of which as many as there are places take little, cost no look-up.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tonic::Status;

use super::line::Whose;
use super::{Kind, Refusal, Work};
use crate::limits::BEYOND_SHARE_MAX;
use crate::status;

/// What the calls of every caller have; clones are one.
#[derive(Clone, Debug)]
pub(super) struct Portions {
    /// Bytes of the calls of one.
    max: usize,
    /// Bytes of all calls, up to which one may have more.
    beyond_max: usize,
    /// Bytes. Locked for a look-up; nobody is in it who has none.
    held: Arc<Mutex<HashMap<Whose, usize>>>,
}

/// What a call has of that, until it is dropped.
#[derive(Debug)]
pub(super) struct Portion {
    whose: Whose,
    /// Changed under the lock of all, so that it agrees with these.
    bytes: AtomicUsize,
    portions: Portions,
}

impl Portions {
    /// So great a share of the memory for each.
    pub(super) fn new(share_max: f64, message_bytes_max: usize) -> Portions {
        let part = |share: f64| (message_bytes_max as f64 * share) as usize;
        Portions { max: part(share_max), beyond_max: part(BEYOND_SHARE_MAX), held: Arc::default() }
    }

    /// That of a call, which has nothing so far.
    fn of_call(&self, whose: Whose) -> Portion {
        Portion { whose, bytes: AtomicUsize::new(0), portions: self.clone() }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Whose, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Portion {
    /// Counts some bytes more, with which all calls have so many.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED: what the caller has leaves no room for them; then they are not counted.
    fn take(&self, bytes: usize, of_all: usize) -> Result<(), Status> {
        let Portions { max, beyond_max, .. } = self.portions;
        let mut all = self.portions.held();
        // One that has none goes with the call.
        let held = all.entry(self.whose.clone()).or_default();
        let together = held.saturating_add(bytes);
        if together > max && of_all > beyond_max {
            drop(all);
            return Err(status::messages_of_caller(max));
        }
        *held = together;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Counts some bytes less. Those may be among them that were never counted.
    pub(super) fn give_back(&self, bytes: usize) {
        let mut all = self.portions.held();
        let mine = self.bytes.load(Ordering::Relaxed);
        let counted = bytes.min(mine);
        self.bytes.store(mine - counted, Ordering::Relaxed);
        if let Some(held) = all.get_mut(&self.whose) {
            *held -= counted;
            if *held == 0 {
                all.remove(&self.whose);
            }
        }
    }
}

impl Drop for Portion {
    fn drop(&mut self) {
        self.give_back(usize::MAX);
    }
}

impl Work {
    /// What a call has of the memory of messages, as one of these.
    pub(super) fn portion_of(&self, whose: Whose) -> Portion {
        self.0.portions.of_call(whose)
    }

    /// Counts bytes of messages of a call of a kind, which are among those of all, as its caller's.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED: the caller's calls have as much as they may; then they are not counted.
    pub(super) fn hold_of_caller(&self, kind: Kind, portion: &Portion, bytes: usize) -> Result<(), Status> {
        let taken = portion.take(bytes, self.0.memory.held());
        taken.inspect_err(|_| self.gates(kind).refused.count(Refusal::CallerShare))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_share_until_it_is_given_back_and_more_while_there_is_room() {
        let portions = Portions::new(0.5, 100);
        let caller = || portions.of_call(Whose::Caller("a".into()));
        let connection = || portions.of_call(Whose::Connection(7));
        let [first, second] = [caller(), caller()];
        first.take(30, 100).unwrap();
        second.take(20, 100).unwrap();
        let refused = second.take(1, 88).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        assert!(refused.message().contains("CALLER_SHARE_MAX"), "{refused:?}");
        let other = connection();
        other.take(50, 100).unwrap();
        assert!(connection().take(1, 88).is_err(), "both are of one connection");
        second.take(37, 87).expect("an eighth is free");
        drop(second);
        first.take(20, 100).unwrap();
        assert!(first.take(1, 88).is_err() && caller().take(1, 88).is_err());
        // Of a stream, what was counted is given back with what was not.
        first.give_back(51);
        caller().take(50, 100).unwrap();
        assert!(caller().take(51, 100).is_err());
        drop((first, other));
        assert!(portions.held().is_empty(), "who has none is forgotten");
    }
}
