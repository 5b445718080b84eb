//! A request's body on its way in: no message beyond the limit, and no resting for ever.
//!
//! A message is refused as soon as its length is known, or with the first bytes that none may have ([`elements`](crate::elements)); those that came before
//! it, if only in the same frame, are passed on first. So is a second message of a call that takes one: tonic reads whatever comes behind the first, and throws
//! it away.
//! A body must also go on arriving: otherwise a few callers who begin requests and send nothing would hold every
//! place for as long as a request may take. Within a message, and before the first, that is [`BODY_IDLE_SECONDS_MAX`]. Between the messages of a stream it is
//! [`STREAM_IDLE_SECONDS_MAX`], and does not count while the server owes the caller an acknowledgement
//! ([`Acknowledgements`]): who waits for it to go on has every right to rest.
//!
//! Nor may it come byte by byte: whoever sends one every ten seconds held a place as long as one who sends nothing, and for half an hour. A
//! message that has been waited for longer than [`BODY_IDLE_SECONDS_MAX`] must have brought [`BODY_BYTES_PER_SECOND_MIN`] for each second
//! beyond.
//!
//! Only waiting counts: a body that nobody asks for more, because what came is still being stored, does not rest.
//!
//! The codec takes a message apart as soon as its last bytes are there, and a long one takes it tens of milliseconds: many of them at a time would leave
//! others none of the processors. So the end of a long message is held until it has its turn ([`Turns`]), and passed on where no other task waits for the thread
//! ([`giving_way`](super::giving_way)). Where messages may be compressed, the codec is given what they become (`compressed.rs`).

mod compressed;
mod frames;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};
use tonic::Status;
use tonic::body::Body;

pub(super) use self::compressed::{Compression, Decompressing};
use self::frames::Frames;
use crate::at_once::AtOnce;
use crate::elements::Scan;
use crate::limits::{BODY_BYTES_PER_SECOND_MIN, BODY_IDLE_SECONDS_MAX, STREAM_IDLE_SECONDS_MAX};
use crate::memory::PART_BYTES;
use crate::status;
use crate::work::{Place, Turns};

/// How long a body may rest within a message, or before the first.
const BODY_IDLE: Duration = Duration::from_secs(BODY_IDLE_SECONDS_MAX);
/// How long a stream may rest between messages.
const STREAM_IDLE: Duration = Duration::from_secs(STREAM_IDLE_SECONDS_MAX);

/// How long a message may rest that was waited for so long and of which so many bytes have come.
pub(crate) fn patience(waited: Duration, arrived: u64) -> Duration {
    let earned = Duration::from_millis(arrived.saturating_mul(1_000) / BODY_BYTES_PER_SECOND_MIN);
    (BODY_IDLE + earned).saturating_sub(waited).min(BODY_IDLE)
}

/// What the server still owes the caller of a stream. The layer puts it into the extensions of such a request, for its handler.
#[derive(Clone, Debug, Default)]
pub(crate) struct Acknowledgements(Arc<Owing>);

#[derive(Debug, Default)]
struct Owing {
    count: AtomicUsize,
    /// What has come and is counted as the place's, and belongs to no acknowledgement yet.
    bytes: AtomicUsize,
    /// Whether the body is about to pass on the end of a message that takes long to read, and what it has its turn by.
    takes_long: AtomicBool,
    turn: Mutex<Option<OwnedSemaphorePermit>>,
}

/// One of them, owed until it is dropped, with the memory that its message takes.
#[derive(Debug)]
pub(crate) struct Owed {
    to: Acknowledgements,
    bytes: usize,
    place: Option<Place>,
}

impl Acknowledgements {
    /// Something has come that will be acknowledged.
    pub(crate) fn owe(&self) -> Owed {
        // Nothing is handed over with the count, so no order is needed.
        self.0.count.fetch_add(1, Ordering::Relaxed);
        let bytes = self.0.bytes.swap(0, Ordering::Relaxed);
        Owed { to: self.clone(), bytes, place: Place::current() }
    }

    /// Whether what comes when the body is polled next takes long to read.
    pub(super) fn takes_long(&self) -> bool {
        self.0.takes_long.load(Ordering::Relaxed)
    }

    /// It has come, and was read.
    pub(super) fn was_read(&self) {
        self.0.takes_long.store(false, Ordering::Relaxed);
        drop(self.turn().take());
    }

    /// It comes next, and has its turn.
    fn comes(&self, turn: OwnedSemaphorePermit) {
        *self.turn() = Some(turn);
        self.0.takes_long.store(true, Ordering::Relaxed);
    }

    fn turn(&self) -> MutexGuard<'_, Option<OwnedSemaphorePermit>> {
        self.0.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn any(&self) -> bool {
        self.0.count.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        self.to.0.count.fetch_sub(1, Ordering::Relaxed);
        if let Some(place) = &self.place {
            place.give_back(self.bytes);
        }
    }
}

/// What a body is allowed to do.
#[derive(Clone, Debug)]
pub(super) enum Pace {
    /// One message, which keeps coming.
    Message,
    /// Messages, which may be apart.
    Stream(Acknowledgements),
}

/// The body.
pub(super) struct Arriving {
    inner: Body,
    frames: Frames,
    pace: Pace,
    /// What the next message is refused with, behind those that were passed on.
    refused: Option<Status>,
    /// While the body is waited for: since when, and when it is given up.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
    /// For how long the message was waited for that is arriving, and what came of it.
    waited: Duration,
    arrived: u64,
    /// What came of it since other tasks were looked at.
    at_once: AtOnce,
    /// Whose memory it takes.
    place: Option<Place>,
    /// Of what long messages have turns, and who is told when one is to be read.
    turns: Option<(Turns, Acknowledgements)>,
    last: Last,
}

/// The bytes that end a long message.
#[derive(Default)]
enum Last {
    /// None are held.
    #[default]
    Nothing,
    /// They wait for their turn.
    Waiting(Bytes, Turn),
    /// They have it, and are what comes next.
    Next(Bytes),
}

/// A turn to come.
type Turn = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, Status>> + Send>>;

fn turn_of(turns: Turns) -> Turn {
    Box::pin(async move { turns.take().await })
}

impl Arriving {
    pub(super) fn new(inner: Body, bytes_max: usize, pace: Pace) -> Arriving {
        let mut frames = Frames::new(bytes_max);
        frames.is_of_one = matches!(pace, Pace::Message);
        Arriving {
            inner,
            frames,
            pace,
            refused: None,
            waiting: None,
            waited: Duration::ZERO,
            arrived: 0,
            at_once: AtOnce::default(),
            place: None,
            turns: None,
            last: Last::Nothing,
        }
    }

    /// The same, which takes memory of a place: its bytes, and its parts if they can be counted.
    pub(super) fn counted(mut self, place: Option<Place>, scan: Option<Scan>) -> Arriving {
        self.place = place;
        self.frames.scan = scan;
        self
    }

    /// The same, in which messages that take long to read have turns, which who polls it is told of.
    pub(super) fn taking_turns(mut self, turns: Turns, told: Acknowledgements) -> Arriving {
        self.turns = Some((turns, told));
        self
    }

    /// A long message has its turn, and is what comes next.
    fn has_turn(&self, turn: OwnedSemaphorePermit) {
        if let Some((_, told)) = &self.turns {
            told.comes(turn);
        }
    }

    /// Counts bytes that have come, and the parts that begin in them.
    fn count(&mut self, bytes: usize) -> Result<(), Status> {
        let parts = std::mem::take(&mut self.frames.parts);
        let Some(place) = &self.place else { return Ok(()) };
        let taken = bytes.saturating_add(parts.saturating_mul(PART_BYTES));
        place.take(taken)?;
        if let Pace::Stream(acknowledgements) = &self.pace {
            acknowledgements.0.bytes.fetch_add(taken, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether it is a stream between two messages, where it may.
    fn rests(&self) -> bool {
        matches!(self.pace, Pace::Stream(_)) && self.frames.are_between_messages()
    }

    /// How long it may rest now.
    fn patience(&self) -> Duration {
        if self.rests() { STREAM_IDLE } else { patience(self.waited, self.arrived) }
    }

    /// More has come, or the end.
    fn come(&mut self) {
        if let Some((since, _)) = self.waiting.take()
            && !self.rests()
        {
            self.waited += since.elapsed();
        }
    }

    /// Ready when it has rested for too long.
    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<Status> {
        let patience = self.patience();
        let end = || Instant::now() + patience;
        let begin = || (Instant::now(), Box::pin(tokio::time::sleep_until(end())));
        let (_, given_up) = self.waiting.get_or_insert_with(begin);
        loop {
            ready!(given_up.as_mut().poll(context));
            match &self.pace {
                Pace::Stream(owed) if patience == STREAM_IDLE && owed.any() => given_up.as_mut().reset(end()),
                Pace::Stream(_) if patience == STREAM_IDLE => {
                    return Poll::Ready(status::stream_rested(patience));
                }
                _ => return Poll::Ready(status::body_stalled()),
            }
        }
    }

    /// What is held, once it has its turn.
    fn poll_last(&mut self, context: &mut Context<'_>) -> Option<Poll<Result<Frame<Bytes>, Status>>> {
        match std::mem::take(&mut self.last) {
            Last::Nothing => None,
            Last::Next(data) => Some(Poll::Ready(Ok(Frame::data(data)))),
            Last::Waiting(data, mut turn) => Some(match turn.as_mut().poll(context) {
                Poll::Pending => {
                    self.last = Last::Waiting(data, turn);
                    Poll::Pending
                }
                Poll::Ready(Err(status)) => Poll::Ready(Err(status)),
                Poll::Ready(Ok(turn)) => {
                    self.has_turn(turn);
                    self.last = Last::Next(data);
                    // Who polls it looks whether that takes long before it does so again.
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
            }),
        }
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(held) = self.poll_last(context) {
            return held.map(Some);
        }
        if let Some(status) = self.refused.take() {
            return Poll::Ready(Some(Err(status)));
        }
        ready!(self.at_once.poll_more(context));
        let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) else {
            self.at_once.waits();
            return self.poll_rest(context).map(|status| Some(Err(status)));
        };
        self.come();
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            let passed = match self.frames.pass(data) {
                Ok(()) => data.len(),
                Err((0, status)) => return Poll::Ready(Some(Err(status))),
                Err((before, status)) => {
                    self.refused = Some(status);
                    before
                }
            };
            if let Err(status) = self.count(passed) {
                return Poll::Ready(Some(Err(status)));
            }
            self.at_once.takes(passed);
            self.arrived += passed as u64;
            if self.rests() {
                (self.waited, self.arrived) = (Duration::ZERO, 0);
            }
            if std::mem::take(&mut self.frames.long_ended)
                && let Some((turns, _)) = &self.turns
            {
                let turn = turn_of(turns.clone());
                self.last = Last::Waiting(data.slice(..passed), turn);
                return self.poll_frame(context);
            }
            if passed < data.len() {
                return Poll::Ready(Some(Ok(Frame::data(data.slice(..passed)))));
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.last, Last::Nothing) && self.refused.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests;
