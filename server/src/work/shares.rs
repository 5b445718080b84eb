//! How many places of a kind one caller may have at a time.
//!
//! **Problem.** A place is taken before a request's body has come, and a body may take its time: a caller who begins as many requests as there are
//! places, and sends nothing more, has all of them for seconds, again and again, and nobody else is answered.
//! **Idea.** Who calls is known from the headers, so a request's place is counted as one of its caller's at once, or given back. Each has a share of
//! the places of a kind at most, and of those of streams.
//!
//! Where callers are not told apart nobody has a share. Their addresses would not tell them apart either: behind a proxy all have the same one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tonic::Status;

use super::Kind;
use crate::limits::CALLER_PLACES_MIN;
use crate::status;

/// What every caller has of the places; clones are one.
#[derive(Clone, Debug)]
pub(super) struct Shares {
    share_max: f64,
    /// Locked for a look-up. Nobody is in it who has none.
    taken: Arc<Mutex<HashMap<Holder, usize>>>,
}

/// Whose places: of which caller, kind, and whether of streams.
type Holder = (Arc<str>, Kind, bool);

/// A place that is counted as a caller's, until it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    holder: Holder,
    shares: Shares,
}

impl Shares {
    pub(super) fn new(share_max: f64) -> Shares {
        Shares { share_max, taken: Arc::default() }
    }

    /// Counts one of so many places as the holder's.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED: they have as many as they may.
    pub(super) fn take(&self, holder: Holder, places: usize) -> Result<Share, Status> {
        let max = self.max(places);
        let mut all = self.taken();
        let taken = all.entry(holder.clone()).or_insert(0);
        if *taken >= max {
            return Err(status::too_many_of_caller(max));
        }
        *taken += 1;
        drop(all);
        Ok(Share { holder, shares: self.clone() })
    }

    /// How many of so many places one caller may have.
    fn max(&self, places: usize) -> usize {
        ((places as f64 * self.share_max) as usize).max(CALLER_PLACES_MIN).min(places)
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Holder, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Whose place it is.
    pub(super) fn caller(&self) -> &Arc<str> {
        &self.holder.0
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut all = self.shares.taken();
        if let Some(taken) = all.get_mut(&self.holder) {
            *taken -= 1;
            if *taken == 0 {
                all.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(caller: &str, kind: Kind, streams: bool) -> Holder {
        (caller.into(), kind, streams)
    }

    #[test]
    fn each_caller_has_a_share_of_each_kind_and_gives_it_back() {
        let shares = Shares::new(0.25);
        let take = |caller, kind, streams| shares.take(holder(caller, kind, streams), 40);
        let taken: Vec<Share> = (0..10).map(|_| take("a", Kind::Read, false).unwrap()).collect();
        let refused = take("a", Kind::Read, false).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        assert!(refused.message().contains("CALLER_SHARE_MAX"), "{refused:?}");
        let others = [
            take("b", Kind::Read, false).unwrap(),
            take("a", Kind::Write, false).unwrap(),
            take("a", Kind::Read, true).unwrap(),
        ];
        drop((taken, others));
        assert!(shares.taken().is_empty(), "who has none is forgotten");
        assert!(take("a", Kind::Read, false).is_ok());
    }

    #[test]
    fn a_share_is_some_places_where_there_are_few() {
        for (share, places, expected) in
            [(0.25, 256, 64), (0.25, 64, 16), (0.25, 20, 8), (0.25, 3, 3), (1.0, 256, 256), (0.001, 1_000, 8)]
        {
            assert_eq!(Shares::new(share).max(places), expected, "{share} of {places}");
        }
    }
}
