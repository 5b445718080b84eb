//! A request's body on its way in: no message beyond the limit, and no resting for ever.
//!
//! A message is refused as soon as its length is known; those that came before it, if only in the same frame, are passed on first.
//! A body that holds a place must also go on arriving: otherwise a few callers who begin requests and send nothing would hold every
//! place for as long as a request may take. Within a message, and before the first, that is [`BODY_IDLE_SECONDS_MAX`]. Between the messages of a stream it is
//! [`STREAM_IDLE_SECONDS_MAX`], and does not count while the server owes the caller an acknowledgement
//! ([`Acknowledgements`]): who waits for it to go on has every right to rest.
//!
//! Only waiting counts: a body that nobody asks for more, because what came is still being stored, does not rest.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use tonic::Status;
use tonic::body::Body;

use crate::limits::{BODY_IDLE_SECONDS_MAX, STREAM_IDLE_SECONDS_MAX};
use crate::status;

/// How long a body may rest within a message, or before the first.
const BODY_IDLE: Duration = Duration::from_secs(BODY_IDLE_SECONDS_MAX);
/// How long a stream may rest between messages.
const STREAM_IDLE: Duration = Duration::from_secs(STREAM_IDLE_SECONDS_MAX);

/// What the server still owes the caller of a stream. The layer puts it into the extensions of such a request, for its handler.
#[derive(Clone, Debug, Default)]
pub(crate) struct Acknowledgements(Arc<AtomicUsize>);

/// One of them, owed until it is dropped.
#[derive(Debug)]
pub(crate) struct Owed(Acknowledgements);

impl Acknowledgements {
    /// Something has come that will be acknowledged.
    pub(crate) fn owe(&self) -> Owed {
        // Nothing is handed over with the count, so no order is needed.
        self.0.fetch_add(1, Ordering::Relaxed);
        Owed(self.clone())
    }

    fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a body is allowed to do.
#[derive(Clone, Debug)]
pub(super) enum Pace {
    /// Rest as it likes: calls that hold no place.
    Free,
    /// A message, which keeps coming.
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
    /// When the body is given up, while it is waited for.
    given_up: Option<Pin<Box<Sleep>>>,
}

impl Arriving {
    pub(super) fn new(inner: Body, bytes_max: usize, pace: Pace) -> Arriving {
        Arriving { inner, frames: Frames::new(bytes_max), pace, refused: None, given_up: None }
    }

    /// How long it may rest now, if it has an end.
    fn patience(&self) -> Option<Duration> {
        match self.pace {
            Pace::Free => None,
            Pace::Stream(_) if self.frames.are_between_messages() => Some(STREAM_IDLE),
            Pace::Message | Pace::Stream(_) => Some(BODY_IDLE),
        }
    }

    /// Ready when it has rested for too long.
    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<Status> {
        let Some(patience) = self.patience() else { return Poll::Pending };
        let end = || Instant::now() + patience;
        let given_up = self.given_up.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end())));
        loop {
            ready!(given_up.as_mut().poll(context));
            match &self.pace {
                Pace::Stream(owed) if patience == STREAM_IDLE && owed.any() => given_up.as_mut().reset(end()),
                Pace::Stream(_) if patience == STREAM_IDLE => {
                    return Poll::Ready(status::stream_rested(patience));
                }
                _ => return Poll::Ready(status::body_stalled(patience)),
            }
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
        if let Some(status) = self.refused.take() {
            return Poll::Ready(Some(Err(status)));
        }
        let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) else {
            return self.poll_rest(context).map(|status| Some(Err(status)));
        };
        self.given_up = None;
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && let Err((before, status)) = self.frames.pass(data)
        {
            if before == 0 {
                return Poll::Ready(Some(Err(status)));
            }
            self.refused = Some(status);
            return Poll::Ready(Some(Ok(Frame::data(data.slice(..before)))));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.refused.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Where in its messages a body is. A message begins with a prefix: a flag and its length in four bytes, big-endian.
#[derive(Debug)]
struct Frames {
    bytes_max: usize,
    prefix: [u8; 5],
    prefix_bytes: usize,
    /// Bytes of the message that are still to come.
    rest: u64,
    has_begun: bool,
}

impl Frames {
    fn new(bytes_max: usize) -> Frames {
        Frames { bytes_max, prefix: [0; 5], prefix_bytes: 0, rest: 0, has_begun: false }
    }

    /// Whether a message has ended, and no other has begun.
    fn are_between_messages(&self) -> bool {
        self.has_begun && self.rest == 0 && self.prefix_bytes == 0
    }

    /// Follows some bytes of the body.
    ///
    /// # Errors
    /// A message longer than may be, and how many of the bytes come before it.
    fn pass(&mut self, mut data: &[u8]) -> Result<(), (usize, Status)> {
        let (bytes, mut before) = (data.len(), 0);
        while !data.is_empty() {
            if self.rest > 0 {
                let passed = usize::try_from(self.rest).unwrap_or(usize::MAX).min(data.len());
                self.rest -= passed as u64;
                data = &data[passed..];
                continue;
            }
            self.has_begun = true;
            if self.prefix_bytes == 0 {
                before = bytes - data.len();
            }
            let wanted = &mut self.prefix[self.prefix_bytes..];
            let taken = wanted.len().min(data.len());
            wanted[..taken].copy_from_slice(&data[..taken]);
            data = &data[taken..];
            self.prefix_bytes += taken;
            if self.prefix_bytes == self.prefix.len() {
                let [_, length @ ..] = self.prefix;
                let length = u64::from(u32::from_be_bytes(length));
                if length > self.bytes_max as u64 {
                    return Err((before, status::request_too_large(self.bytes_max, length)));
                }
                (self.prefix_bytes, self.rest) = (0, length);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::sync::mpsc;
    use tonic::Code;

    use super::*;

    fn message(bytes: usize) -> Vec<u8> {
        [&[0u8][..], &u32::try_from(bytes).unwrap().to_be_bytes(), &vec![7; bytes]].concat()
    }

    #[test]
    fn lengths_are_seen_through_any_cut_of_the_frames() {
        let messages = [message(3), message(0), message(1_000)].concat();
        for cut in 0..messages.len() {
            for (bytes_max, fits) in [(1_000, true), (999, false)] {
                let mut frames = Frames::new(bytes_max);
                let (first, second) = messages.split_at(cut);
                let outcome = frames.pass(first).and_then(|()| frames.pass(second));
                assert_eq!(outcome.is_ok(), fits, "cut at {cut}");
                assert_eq!(frames.are_between_messages(), fits, "cut at {cut}");
            }
        }
    }

    #[test]
    fn between_messages_is_neither_before_the_first_nor_within_one() {
        let message = message(20);
        for cut in 0..=message.len() {
            let mut frames = Frames::new(20);
            frames.pass(&message[..cut]).unwrap();
            assert_eq!(frames.are_between_messages(), cut == message.len(), "cut at {cut}");
        }
    }

    /// A body that a test fills.
    struct Filled(mpsc::UnboundedReceiver<Bytes>);

    impl HttpBody for Filled {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            self.0.poll_recv(context).map(|data| data.map(|data| Ok(Frame::data(data))))
        }
    }

    fn body(pace: Pace) -> (mpsc::UnboundedSender<Bytes>, Arriving) {
        let (fill, filled) = mpsc::unbounded_channel();
        (fill, Arriving::new(Body::new(Filled(filled)), 1_000, pace))
    }

    /// The code that a body fails with, and after how many seconds; it must not yield anything before.
    async fn fails(body: &mut Arriving) -> (Code, u64) {
        let began = Instant::now();
        let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
        (frame.expect("it does not end").expect_err("it fails").code(), began.elapsed().as_secs())
    }

    async fn passes(body: &mut Arriving) {
        poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn what_comes_before_too_long_a_message_is_passed_on() {
        let (fill, mut body) = body(Pace::Stream(Acknowledgements::default()));
        fill.send([message(3), message(7), message(2_000)].concat().into()).unwrap();
        let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await.unwrap().unwrap();
        assert_eq!(*frame.data_ref().unwrap(), [message(3), message(7)].concat());
        let refused = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await.unwrap();
        assert_eq!(refused.unwrap_err().code(), Code::ResourceExhausted);
    }

    const STALLED: (Code, u64) = (Code::DeadlineExceeded, BODY_IDLE_SECONDS_MAX);
    const RESTED: (Code, u64) = (Code::DeadlineExceeded, STREAM_IDLE_SECONDS_MAX);

    #[tokio::test(start_paused = true)]
    async fn a_message_must_keep_coming_also_on_a_stream() {
        for pace in [Pace::Message, Pace::Stream(Acknowledgements::default())] {
            let (_fill, mut nothing) = body(pace.clone());
            assert_eq!(fails(&mut nothing).await, STALLED, "{pace:?}");
            let (fill, mut begun) = body(pace.clone());
            fill.send(message(20)[..9].to_vec().into()).unwrap();
            passes(&mut begun).await;
            assert_eq!(fails(&mut begun).await, STALLED, "{pace:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_may_rest_between_messages_and_longer_while_it_is_owed_something() {
        let owed = Acknowledgements::default();
        let (fill, mut body) = body(Pace::Stream(owed.clone()));
        fill.send(message(20).into()).unwrap();
        passes(&mut body).await;
        let acknowledgement = owed.owe();
        let patient = Duration::from_secs(5 * STREAM_IDLE_SECONDS_MAX);
        assert!(tokio::time::timeout(patient, fails(&mut body)).await.is_err(), "it is owed something");
        fill.send(message(0).into()).unwrap();
        passes(&mut body).await;
        drop(acknowledgement);
        assert_eq!(fails(&mut body).await, RESTED);
    }

    #[tokio::test(start_paused = true)]
    async fn only_waiting_counts() {
        let (fill, mut body) = body(Pace::Stream(Acknowledgements::default()));
        fill.send(message(20).into()).unwrap();
        passes(&mut body).await;
        // The handler stores what came, for an hour, and asks for nothing: neither can the caller send anything.
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        assert_eq!(fails(&mut body).await, RESTED, "counted from when more was asked for");
    }

    #[tokio::test(start_paused = true)]
    async fn what_holds_no_place_may_rest() {
        let (_fill, mut body) = body(Pace::Free);
        assert!(tokio::time::timeout(Duration::from_secs(86_400), fails(&mut body)).await.is_err());
    }
}
