//! What a connection to the gRPC port is at: one side is the connection's, the other that of the calls that come by it.
//!
//! Calls learn of it from the extensions of their requests, where tonic puts it (`Connected`).

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tonic::Status;

use crate::limits::HEALTH_CALLS_PER_CONNECTION_MAX;
use crate::status;

/// A connection that is open; clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    address: Option<SocketAddr>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Calls for health that are under way.
    health_calls: usize,
}

impl Peer {
    /// Of a connection from an address.
    pub(super) fn at(address: Option<SocketAddr>) -> Peer {
        Peer { address, ..Peer::default() }
    }

    /// Where it comes from, if that is known.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
}

/// A call for health that is under way.
#[derive(Debug)]
pub(crate) struct HealthCall(Peer);

impl Drop for HealthCall {
    fn drop(&mut self) {
        self.0.state().health_calls -= 1;
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn a_connection_has_few_calls_for_health_at_a_time() {
        let (peer, other) = (Peer::default(), Peer::default());
        let mut calls: Vec<HealthCall> =
            (0..HEALTH_CALLS_PER_CONNECTION_MAX).map(|_| peer.health_call().unwrap()).collect();
        assert_eq!(peer.clone().health_call().unwrap_err().code(), Code::ResourceExhausted);
        assert!(other.health_call().is_ok(), "each has its own");
        calls.pop();
        assert!(peer.health_call().is_ok());
    }
}
