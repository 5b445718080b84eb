//! What a request has of the server while it is answered: its place behind the gates, and memory for its messages.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;
use tonic::Status;

use super::line::Whose;
use super::portions::Portion;
use super::shares::Share;
use super::{Kind, Work};
use crate::connections::Peer;
use crate::limits::{SHORT_MESSAGE_BYTES_MAX, UNSHARED_BYTES_MAX};

/// A request's place. Work that has begun shares it, so that it is free when the last of both has ended.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(super) kind: Kind,
    streams: bool,
    /// When its request is given up.
    deadline: Option<Instant>,
    shared: Arc<Taken>,
}

/// What a request has of the server.
#[derive(Debug)]
struct Taken {
    _admitted: OwnedSemaphorePermit,
    work: Work,
    /// Of the memory of messages, what counts as its caller's. Gone before the connection, by whose number it may be known.
    portion: OnceLock<Portion>,
    /// By which connection it came, if that is known. All calls of one share it, so the place is cloned without it.
    peer: OnceLock<Peer>,
    /// Of the caller, once that is known.
    share: OnceLock<Share>,
    /// Of the memory of messages.
    bytes: AtomicUsize,
    /// Whether its answer takes long to write.
    answers_long: AtomicBool,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.work.release(*self.bytes.get_mut());
    }
}

tokio::task_local! {
    /// The place of the request that the task answers. Handlers are tonic's to call, and pass nothing on.
    static PLACE: Place;
}

impl Place {
    /// The place that a permit gives, with nothing of the memory taken so far.
    pub(super) fn new(kind: Kind, streams: bool, permit: OwnedSemaphorePermit, work: Work) -> Place {
        let (bytes, answers_long) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (portion, peer, share) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        let taken = Taken { _admitted: permit, work, portion, peer, share, bytes, answers_long };
        Place { kind, streams, deadline: None, shared: Arc::new(taken) }
    }

    /// The future, its place held, and known to what it runs.
    pub(crate) fn hold<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        PLACE.scope(self, future)
    }

    /// What the closure returns; the place is known to what it runs.
    pub(crate) fn within<T>(&self, run: impl FnOnce() -> T) -> T {
        PLACE.sync_scope(self.clone(), run)
    }

    /// Whether it is of a call that streams.
    pub(crate) fn streams(&self) -> bool {
        self.streams
    }

    /// The same place, of a request that is given up then.
    pub(crate) fn until(self, deadline: Option<Instant>) -> Place {
        Place { deadline, ..self }
    }

    /// The same place, of a request that came by this connection.
    pub(crate) fn by(self, peer: Option<Peer>) -> Place {
        if let Some(peer) = peer {
            // A request comes by one.
            let _ = self.shared.peer.set(peer);
        }
        self
    }

    /// Whose it is, as far as that is known.
    pub(super) fn whose(&self) -> Whose {
        match (self.shared.share.get(), self.shared.peer.get()) {
            (Some(share), _) => Whose::Caller(Arc::clone(share.caller())),
            (None, Some(peer)) => Whose::Connection(peer.number()),
            (None, None) => Whose::Nobody,
        }
    }

    /// Counts it as one of a caller's, as long as it is taken: of the first who is told of it.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED: the caller has as many places of the kind as they may.
    pub(crate) fn of_caller(&self, caller: &Arc<str>) -> Result<(), Status> {
        if self.shared.share.get().is_none() {
            let share = self.shared.work.share(caller, self.kind, self.streams)?;
            // Told twice at once, it gives the second back.
            let _ = self.shared.share.set(share);
        }
        Ok(())
    }

    /// Counts bytes of its messages, until the place is free or they are [given back](Self::give_back).
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when the messages of all requests take too much, or those of its caller.
    pub(crate) fn take(&self, bytes: usize) -> Result<(), Status> {
        let shared = &self.shared;
        shared.work.hold(self.kind, bytes)?;
        if let Err(refused) = self.take_of_caller(bytes) {
            shared.work.release(bytes);
            return Err(refused);
        }
        shared.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Counts them as its caller's, if that is known, and from where its messages are no short ones any more.
    fn take_of_caller(&self, bytes: usize) -> Result<(), Status> {
        let shared = &self.shared;
        let is_short = || shared.bytes.load(Ordering::Relaxed).saturating_add(bytes) <= UNSHARED_BYTES_MAX;
        let portion = match shared.portion.get() {
            Some(portion) => portion,
            None if is_short() => return Ok(()),
            None => match self.whose() {
                Whose::Nobody => return Ok(()),
                whose => shared.portion.get_or_init(|| shared.work.portion_of(whose)),
            },
        };
        shared.work.hold_of_caller(self.kind, portion, bytes)
    }

    /// Counts them no more; at most as many as were taken.
    pub(crate) fn give_back(&self, bytes: usize) {
        self.shared.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.shared.work.release(bytes);
        if let Some(portion) = self.shared.portion.get() {
            portion.give_back(bytes);
        }
    }

    /// Counts bytes of its answer, until it has gone, and that a long one takes long to write. Those of a write are never refused, as it is done by then,
    /// and are few; nor are those of a stream, which go one by one.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(crate) fn take_answer(&self, bytes: usize) -> Result<(), Status> {
        if self.kind == Kind::Read && !self.streams {
            self.take(bytes)?;
        }
        // One that is refused is short.
        if is_long(bytes) {
            self.shared.answers_long.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether its answer takes long to write.
    pub(crate) fn answers_long(&self) -> bool {
        self.shared.answers_long.load(Ordering::Relaxed)
    }

    /// When the request is given up that this task answers, if it is.
    pub(crate) fn current_deadline() -> Option<Instant> {
        PLACE.try_with(|place| place.deadline).ok().flatten()
    }

    /// The place of the request that this task answers, for a task that it spawns.
    pub(crate) fn current() -> Option<Place> {
        PLACE.try_with(Place::clone).ok()
    }
}

/// Whether an answer of so many bytes is a long one.
fn is_long(bytes: usize) -> bool {
    bytes as u64 > SHORT_MESSAGE_BYTES_MAX
}
