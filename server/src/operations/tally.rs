//! How operations ended, counted by kind, for metrics: most are begun by a timer, so nobody watches the one that fails.
//!
//! Counts begin with the server, and those that a crash of the server before cut off are among the failed. When one last succeeded, and when one last failed, is known of
//! those that the database keeps, too: or after a restart nobody could tell how old the last snapshot is, nor that the stop cut one off, which a server that ends
//! counts for nobody. Nor does a counter tell more that is at 1 once it has begun anew, and was at 1 before.

use std::collections::BTreeMap;

use super::{Kind, Operation, State};

/// How operations of a kind ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    pub(crate) cancelled: u64,
    /// When the last one that succeeded ended, in microseconds since 1970.
    pub(crate) last_success_us: Option<u64>,
    /// The same of the last one that failed.
    pub(crate) last_failure_us: Option<u64>,
}

/// The same of every kind: of one that nobody has asked for yet, too, as a counter that comes into being at 1 has no rate.
#[derive(Clone, Debug)]
pub(crate) struct Tallies(BTreeMap<Kind, Tally>);

impl Default for Tallies {
    fn default() -> Self {
        Self(Kind::ALL.map(|kind| (kind, Tally::default())).into())
    }
}

impl Tallies {
    /// One has ended.
    pub(super) fn count(&mut self, ended: &Operation) {
        let tally = self.0.entry(ended.asked.kind).or_default();
        match ended.state {
            State::Running => {}
            State::Succeeded => tally.succeeded += 1,
            State::Failed => tally.failed += 1,
            State::Cancelled => tally.cancelled += 1,
        }
        self.remember(ended);
    }

    /// One ended, now or before the server began.
    pub(super) fn remember(&mut self, ended: &Operation) {
        let tally = self.0.entry(ended.asked.kind).or_default();
        let last = match ended.state {
            State::Succeeded => &mut tally.last_success_us,
            State::Failed => &mut tally.last_failure_us,
            State::Running | State::Cancelled => return,
        };
        *last = (*last).max(Some(ended.updated_us));
    }

    /// Of each kind.
    pub(crate) fn by_kind(&self) -> impl Iterator<Item = (Kind, Tally)> + '_ {
        self.0.iter().map(|(kind, tally)| (*kind, *tally))
    }
}
