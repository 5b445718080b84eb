//! How much of the memory of messages the long answers of one caller may have, until they have gone.
//!
//! **Problem.** Answers share a connection, and what that takes of one counts for all of them ([`patience`](crate::patience)): who takes 16 KiB a second of all
//! together keeps each of them for as long as a request may last. With as many large answers as a connection may have calls, all the memory that there
//! is for messages was one connection's for half an hour, and everybody's messages were refused.
//! **Idea.** Long answers of a caller have the share of that memory at most that a caller has of the places; where callers are not told apart, those of a connection.
//! One more is refused, with a pause after which it may come again. One alone never is, however large it is beside that share.
//!
//! What comes by the HTTP port is counted likewise where callers are told apart. Where they are not, it has no such bound, as a connection has one answer at a
//! time there; nor has what comes by no connection at all. Short answers are not counted: as many as there are places take less than is worth a look-up for each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tonic::Status;

use super::line::Whose;
use super::{Kind, Refusal, Work};
use crate::status;

/// What the long answers of every caller take; clones are one.
#[derive(Clone, Debug)]
pub(super) struct Unread {
    max: usize,
    /// Bytes. Locked for a look-up; nobody is in it who has none.
    held: Arc<Mutex<HashMap<Whose, usize>>>,
}

/// What one of them takes, until it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    whose: Whose,
    bytes: usize,
    unread: Unread,
}

impl Unread {
    /// So great a share of the memory for each.
    pub(super) fn new(share_max: f64, message_bytes_max: usize) -> Unread {
        Unread { max: (message_bytes_max as f64 * share_max) as usize, held: Arc::default() }
    }

    /// Counts an answer of so many bytes; not of whom nothing is known.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED: those that have not gone leave no room for it.
    fn hold(&self, whose: Whose, bytes: usize) -> Result<Option<Held>, Status> {
        if whose == Whose::Nobody {
            return Ok(None);
        }
        let mut all = self.held();
        let held = all.get(&whose).copied().unwrap_or_default();
        let together = held.saturating_add(bytes);
        if held > 0 && together > self.max {
            return Err(status::answers_not_taken(self.max));
        }
        all.insert(whose.clone(), together);
        drop(all);
        Ok(Some(Held { whose, bytes, unread: self.clone() }))
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Whose, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut all = self.unread.held();
        if let Some(held) = all.get_mut(&self.whose) {
            *held -= self.bytes;
            if *held == 0 {
                all.remove(&self.whose);
            }
        }
    }
}

impl Work {
    /// Counts a long answer as one of those of its caller, or connection, that have not gone.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED: these have as much as they may.
    pub(super) fn hold_unread(&self, kind: Kind, whose: Whose, bytes: usize) -> Result<Option<Held>, Status> {
        let held = self.0.unread.hold(whose, bytes);
        held.inspect_err(|_| self.gates(kind).refused.count(Refusal::CallerShare))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_share_until_it_has_gone_and_one_alone_is_never_refused() {
        let unread = Unread::new(0.5, 100);
        let (caller, connection) = (|| Whose::Caller("a".into()), || Whose::Connection(7));
        let alone = unread.hold(caller(), 90).unwrap();
        let refused = unread.hold(caller(), 1).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        assert!(refused.message().contains("CALLER_SHARE_MAX"), "{refused:?}");
        assert!(unread.hold(connection(), 90).unwrap().is_some(), "another one");
        drop(alone);
        let both = [30, 20].map(|bytes| unread.hold(caller(), bytes).unwrap());
        assert!(unread.hold(caller(), 1).is_err() && unread.hold(connection(), 50).is_ok());
        assert!(unread.hold(Whose::Nobody, usize::MAX).unwrap().is_none());
        drop(both);
        assert!(unread.held().is_empty(), "who has none is forgotten");
    }
}
