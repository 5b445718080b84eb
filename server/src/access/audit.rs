//! Who was refused, and who changed something: a log of its own target, `ragstone::audit`.
//!
//! One line for each decision that denies, and for each call that may change something once it is let through: when it comes to its collection, or when it
//! ends if it comes to none. It names the caller, the address that they come from, the call, the collection and the reason: never a key, a token, a claim,
//! a filter, a question or a text. `RUST_LOG=ragstone::audit=info` has it alone.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::action::Action;
use crate::limits::COLLECTION_NAME_BYTES_MAX;

/// What every line is logged under.
const TARGET: &str = "ragstone::audit";

/// Who asks for what, from where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) caller: &'a str,
    pub(super) call: &'a str,
    /// The other side of the connection, if it is known.
    pub(super) peer: Option<SocketAddr>,
}

/// A call was refused before it was begun, or a stream before its next message.
pub(super) fn denied(asked: Asked<'_>, reason: &'static str) {
    let Asked { caller, call, peer } = asked;
    tracing::warn!(target: TARGET, decision = "denied", caller, call, peer = peer.map(display), reason);
}

/// A key was made, given another secret, or taken back.
pub(super) fn key(caller: &str, change: &'static str, id: &str) {
    tracing::info!(target: TARGET, decision = "changed", caller, change, key = id);
}

/// What the log is told of a call that was let through.
#[derive(Debug)]
pub(super) struct Noted {
    caller: String,
    call: String,
    peer: Option<SocketAddr>,
    action: Action,
    /// The first one that it came to.
    collection: OnceLock<String>,
    is_told: AtomicBool,
}

impl Noted {
    pub(super) fn new(Asked { caller, call, peer }: Asked<'_>, action: Action) -> Noted {
        // What only reads is in no line.
        let is_told = AtomicBool::new(matches!(action, Action::Read | Action::Observe));
        let (caller, call, collection) = (caller.to_owned(), call.to_owned(), OnceLock::new());
        Noted { caller, call, peer, action, collection, is_told }
    }

    pub(super) fn asked(&self) -> Asked<'_> {
        Asked { caller: &self.caller, call: &self.call, peer: self.peer }
    }

    /// The call has come to a collection.
    pub(super) fn comes_to(&self, collection: &str) {
        if self.collection.get().is_none() {
            // It may be a name that nothing has.
            let end = collection.floor_char_boundary(COLLECTION_NAME_BYTES_MAX);
            let _ = self.collection.set(collection[..end].to_owned());
        }
        self.allowed();
    }

    /// The call was refused after all, before anything of it was begun.
    pub(super) fn not_begun(&self, reason: &'static str) {
        self.is_told.store(true, Ordering::Relaxed);
        denied(self.asked(), reason);
    }

    /// The call was let through, which is told once.
    fn allowed(&self) {
        if !self.is_told.swap(true, Ordering::Relaxed) {
            let Asked { caller, call, peer } = self.asked();
            let (action, collection) = (self.action.name(), self.collection.get().map(String::as_str));
            tracing::info!(
                target: TARGET, decision = "allowed", caller, call, peer = peer.map(display), collection, action
            );
        }
    }

    /// The call was refused when it came to what it is about.
    pub(super) fn refused(&self) {
        self.allowed();
        let Asked { caller, call, peer } = self.asked();
        let (collection, reason) = (self.collection.get().map(String::as_str), "out of scope");
        tracing::warn!(
            target: TARGET, decision = "denied", caller, call, peer = peer.map(display), collection, reason
        );
    }
}

/// With the last part of its call.
impl Drop for Noted {
    fn drop(&mut self) {
        self.allowed();
    }
}
