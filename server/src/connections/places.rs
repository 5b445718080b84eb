//! Places of connections, and which of them ends for another.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::Peer;

/// How long is waited for one that was told to end, or for one that may be told to, before all are looked at anew.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The places, and who has them; clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    peers: Arc<Mutex<Vec<Peer>>>,
}

/// A place of a connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    pub(crate) peer: Peer,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.peers().retain(|peer| !peer.is(&self.peer));
    }
}

impl Places {
    pub(crate) fn new(max: usize) -> Places {
        Places { free: Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS))), peers: Arc::default() }
    }

    fn peers(&self) -> MutexGuard<'_, Vec<Peer>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one from an address, once there is one; of those that rest one ends for it.
    pub(crate) async fn take(&self, address: Option<SocketAddr>) -> Place {
        let free = || Arc::clone(&self.free);
        let permit = loop {
            if let Ok(permit) = free().try_acquire_owned() {
                break permit;
            }
            self.end_one();
            // The gate is never closed.
            if let Ok(Ok(permit)) = timeout(LOOK_AGAIN, free().acquire_owned()).await {
                break permit;
            }
        };
        let peer = Peer::at(address);
        self.peers().push(peer.clone());
        Place { places: self.clone(), peer, _permit: permit }
    }

    /// Tells the one to end that has rested longest, of those that were never of use first.
    fn end_one(&self) {
        let now = Instant::now();
        let resting = |peer: &Peer| Some((peer.may_end(now)?, peer.clone()));
        // It is told once the list is free again: who wakes up may leave it.
        let longest = self.peers().iter().filter_map(resting).min_by_key(|(rest, _)| *rest);
        if let Some((_, peer)) = longest {
            peer.tell_to_end();
        }
    }
}
