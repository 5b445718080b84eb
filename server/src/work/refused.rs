//! How many requests were refused for want of room, by what there was none in.
//!
//! Each is counted once: who is refused a place has none to be counted for, and who is refused memory or a share ends there.

use std::sync::atomic::{AtomicU64, Ordering};

/// What there was no room in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Every place of the kind was taken.
    Places,
    /// The caller had as many of them as one may; or as much of the memory of messages.
    CallerShare,
    /// The messages of all calls took all the memory that they may.
    Memory,
}

impl Refusal {
    /// Every one.
    pub(crate) const ALL: [Refusal; 3] = [Refusal::Places, Refusal::CallerShare, Refusal::Memory];

    /// Its name, as metrics have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Refusal::Places => "places",
            Refusal::CallerShare => "caller_share",
            Refusal::Memory => "memory",
        }
    }
}

/// Those of a kind, so far.
#[derive(Debug, Default)]
pub(super) struct Refused {
    places: AtomicU64,
    caller_share: AtomicU64,
    memory: AtomicU64,
}

impl Refused {
    fn counter(&self, refusal: Refusal) -> &AtomicU64 {
        match refusal {
            Refusal::Places => &self.places,
            Refusal::CallerShare => &self.caller_share,
            Refusal::Memory => &self.memory,
        }
    }

    /// One more.
    pub(super) fn count(&self, refusal: Refusal) {
        // Nothing is handed over with the count, so no order is needed.
        self.counter(refusal).fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were.
    pub(super) fn so_far(&self, refusal: Refusal) -> u64 {
        self.counter(refusal).load(Ordering::Relaxed)
    }
}
