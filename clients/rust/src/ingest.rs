//! Streams of what is to be stored: messages are sent while others are being stored, and those that were not acknowledged when
//! a connection breaks are sent again over the next one.
//!
//! Invariants: a bounded number of messages is kept for that ([`Window`]); they are acknowledged in their order; and each
//! has a name (points) or content (documents) by which the server knows that it did it already.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;

use ragstone_proto::v1;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

use crate::call::Policy;
use crate::document::IngestReport;
use crate::error::{Code, Error, Result};
use crate::retry::{Repeat, may_repeat, pause};
use crate::write::WriteReceipt;

/// Batches of a stream of points that are sent and not acknowledged yet, at most; the next one waits.
pub const INGEST_UNACKNOWLEDGED_MAX: usize = 4;
/// The same of documents: as many as a server takes, which embeds those together that have come.
pub const INGEST_DOCUMENTS_UNACKNOWLEDGED_MAX: usize = 128;
/// Bytes of these documents; one more is sent while there are fewer.
pub const INGEST_DOCUMENTS_BYTES_MAX: usize = 16 << 20;

/// What of a stream may be under way, and what becomes of a message that the server does not take.
pub(crate) struct Window<M, A> {
    /// Messages that are sent and not acknowledged.
    pub(crate) messages: usize,
    /// Their bytes.
    pub(crate) bytes: usize,
    /// Those of a message.
    pub(crate) size: fn(&M) -> usize,
    /// How a message counts as acknowledged that is too large for the server; if it does not, it ends the stream.
    pub(crate) too_large: fn(&M, &Error) -> Option<A>,
}

impl Window<v1::IngestPointsRequest, v1::IngestPointsResponse> {
    pub(crate) fn of_points() -> Self {
        Self { messages: INGEST_UNACKNOWLEDGED_MAX, bytes: usize::MAX, size: |_| 0, too_large: |_, _| None }
    }
}

impl Window<v1::IngestDocumentsRequest, v1::IngestDocumentsResponse> {
    pub(crate) fn of_documents() -> Self {
        Self {
            messages: INGEST_DOCUMENTS_UNACKNOWLEDGED_MAX,
            bytes: INGEST_DOCUMENTS_BYTES_MAX,
            size: |message| message.document.as_ref().map_or(0, |document| document.content.len()),
            too_large: |message, error| {
                let refused = v1::RefusedItem {
                    index: 0,
                    reason: v1::ErrorReason::RequestTooLarge.into(),
                    field: String::new(),
                    message: error.message().to_owned(),
                };
                let outcome = Some(v1::ingest_documents_response::Outcome::Refused(refused));
                Some(v1::IngestDocumentsResponse { sequence: message.sequence, outcome })
            },
        }
    }
}

/// A point or document of a stream that the server did not store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedItem {
    /// Its place among those of its message, from 0.
    pub index: usize,
    /// Why, for programs: `INVALID_FIELD`, `LIMIT_EXCEEDED` … With `TOO_MANY_REQUESTS` it is a PDF whose turn among others did not come in time, and may be
    /// sent again.
    pub reason: String,
    /// The field that is wrong, as in `points[3].vector`; empty if it is no field.
    pub field: String,
    /// Why, for people.
    pub message: String,
}

impl RefusedItem {
    fn from_wire(wire: v1::RefusedItem) -> RefusedItem {
        let reason = wire.reason().as_str_name();
        RefusedItem {
            index: wire.index as usize,
            reason: reason.strip_prefix("ERROR_REASON_").unwrap_or(reason).to_owned(),
            field: wire.field,
            message: wire.message,
        }
    }
}

/// Points that were sent together and are durable, but for those that were refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PointsAcknowledged {
    /// Which of the stream's batches, from 0.
    pub batch: u64,
    /// What was written.
    pub receipt: WriteReceipt,
    /// What was not.
    pub refused: Vec<RefusedItem>,
}

impl PointsAcknowledged {
    pub(crate) fn from_wire(wire: v1::IngestPointsResponse) -> PointsAcknowledged {
        let v1::IngestPointsResponse { sequence, seq, upserted, repeated, refused, .. } = wire;
        PointsAcknowledged {
            batch: sequence,
            receipt: WriteReceipt { seq, points: upserted as usize, missing: 0, repeated },
            refused: refused.into_iter().map(RefusedItem::from_wire).collect(),
        }
    }
}

/// A document that was stored, or refused.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DocumentAcknowledged {
    /// Which of the stream's documents, from 0.
    pub document: u64,
    /// What storing it did; or why it is not stored.
    pub outcome: std::result::Result<IngestReport, RefusedItem>,
}

impl DocumentAcknowledged {
    pub(crate) fn from_wire(wire: v1::IngestDocumentsResponse) -> Result<DocumentAcknowledged> {
        use v1::ingest_documents_response::Outcome;
        let outcome = match wire.outcome.ok_or_else(|| Error::missing("outcome"))? {
            Outcome::Stored(report) => Ok(IngestReport::from_wire(report)?),
            Outcome::Refused(refused) => Err(RefusedItem::from_wire(refused)),
        };
        Ok(DocumentAcknowledged { document: wire.sequence, outcome })
    }
}

/// What a whole stream came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ingested {
    /// Points or documents that are durable.
    pub stored: u64,
    /// Those that were refused.
    pub refused: u64,
}

/// A message with its number.
pub(crate) trait Numbered {
    fn sequence(&self) -> u64;
}

macro_rules! numbered {
    ($($message:ident),*) => {
        $(impl Numbered for v1::$message {
            fn sequence(&self) -> u64 {
                self.sequence
            }
        })*
    };
}
numbered!(IngestPointsRequest, IngestPointsResponse, IngestDocumentsRequest, IngestDocumentsResponse);

/// What a stream still has to do.
struct Work<M, A, S> {
    window: Window<M, A>,
    messages: Pin<Box<S>>,
    /// Whether `messages` has ended.
    is_exhausted: bool,
    unacknowledged: VecDeque<M>,
}

/// Sends messages until all are acknowledged: `told` of each in their order.
pub(crate) async fn ingest<M, A, Open, Opened>(
    (policy, name, window): (Policy, &'static str, Window<M, A>),
    messages: impl Stream<Item = M> + Send,
    open: Open,
    mut told: impl FnMut(A) -> Result<()> + Send,
) -> Result<()>
where
    M: Numbered + Clone + Send + 'static,
    A: Numbered,
    Open: Fn(Request<ReceiverStream<M>>) -> Opened,
    Opened: Future<Output = Result<Response<Streaming<A>>, Status>>,
{
    let deadline = policy.timeout.map(|timeout| (Instant::now() + timeout, timeout));
    let messages = Box::pin(messages);
    let mut work = Work { window, messages, is_exhausted: false, unacknowledged: VecDeque::new() };
    let all = async {
        let mut failures = 0;
        while work.has_more().await {
            let Err(error) =
                work.connection(deadline.map(|(at, _)| at), &open, &mut told, &mut failures).await
            else {
                continue;
            };
            // The server's own deadline, as this stream has time left: whoever rests too long between messages loses nothing but the connection.
            let is_of_server =
                error.code() == Code::DeadlineExceeded && deadline.is_none_or(|(at, _)| Instant::now() < at);
            if is_of_server && work.unacknowledged.is_empty() {
                continue;
            }
            if let Some(refused) = work.too_large(&error) {
                failures = 0;
                told(refused)?;
                continue;
            }
            failures += 1;
            // What came while it passed is sent again: it has a name by which nothing is done twice.
            if failures > policy.retries || !(is_of_server || may_repeat(&error, Repeat::Safe)) {
                return Err(error);
            }
            let pause = pause(failures, &error);
            if deadline.is_some_and(|(at, _)| Instant::now() + pause >= at) {
                return Err(error);
            }
            sleep(pause).await;
        }
        Ok(())
    };
    match deadline {
        None => all.await,
        Some((at, timeout)) => {
            timeout_at(at, all).await.unwrap_or_else(|_| Err(Error::deadline(name, timeout)))
        }
    }
}

impl<M: Numbered + Clone + Send + 'static, A: Numbered, S: Stream<Item = M>> Work<M, A, S> {
    /// Whether anything is left to be sent or acknowledged; a stream is opened when there is.
    async fn has_more(&mut self) -> bool {
        if self.unacknowledged.is_empty() && !self.is_exhausted {
            self.next().await;
        }
        !self.unacknowledged.is_empty()
    }

    /// Takes the next message, if there is one.
    async fn next(&mut self) -> Option<M> {
        let next = self.messages.next().await;
        self.is_exhausted = next.is_none();
        self.unacknowledged.extend(next.clone());
        next
    }

    /// Whether another message may be sent.
    fn has_room(&self) -> bool {
        let bytes: usize = self.unacknowledged.iter().map(self.window.size).sum();
        self.unacknowledged.len() < self.window.messages && bytes < self.window.bytes
    }

    /// Takes back the message that is too large for the server, if the stream goes on without it. All before it were acknowledged, as
    /// the server has read them.
    fn too_large(&mut self, error: &Error) -> Option<A> {
        if error.reason() != Some("REQUEST_TOO_LARGE") {
            return None;
        }
        let refused = (self.window.too_large)(self.unacknowledged.front()?, error)?;
        self.unacknowledged.pop_front();
        Some(refused)
    }

    /// Works over one connection until all is done, or it breaks.
    async fn connection<Open, Opened>(
        &mut self,
        deadline: Option<Instant>,
        open: &Open,
        told: &mut (impl FnMut(A) -> Result<()> + Send),
        failures: &mut u32,
    ) -> Result<()>
    where
        Open: Fn(Request<ReceiverStream<M>>) -> Opened,
        Opened: Future<Output = Result<Response<Streaming<A>>, Status>>,
    {
        let (send, sent) = mpsc::channel(self.window.messages);
        for message in &self.unacknowledged {
            // There is room for all that may be unacknowledged, here and below.
            let _ = send.try_send(message.clone());
        }
        let mut send = Some(send).filter(|_| !self.is_exhausted);
        let mut request = Request::new(ReceiverStream::new(sent));
        if let Some(deadline) = deadline {
            request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        }
        let mut answers = open(request).await.map_err(|status| Error::from_status(&status))?.into_inner();
        loop {
            let may_send = send.is_some() && self.has_room();
            tokio::select! {
                answer = answers.message() => match answer.map_err(|status| Error::from_status(&status))? {
                    Some(answer) => {
                        *failures = 0;
                        let is_done = |message: &M| message.sequence() <= answer.sequence();
                        while self.unacknowledged.front().is_some_and(is_done) {
                            self.unacknowledged.pop_front();
                        }
                        told(answer)?;
                    }
                    None if self.unacknowledged.is_empty() => return Ok(()),
                    None => return Err(Error::new(Code::Unavailable, "the server ended the stream early")),
                },
                next = self.next(), if may_send => {
                    let sent = next.zip(send.as_ref()).map(|(message, send)| send.try_send(message));
                    if sent.is_none() {
                        send = None;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    /// It slept until its deadline, and told of nothing but that.
    #[tokio::test(start_paused = true)]
    async fn a_pause_beyond_the_deadline_is_told_and_not_waited() {
        let policy = Policy { timeout: Some(Duration::from_secs(10)), retries: 3 };
        let messages = tokio_stream::iter([v1::IngestPointsRequest::default()]);
        let open = |_: Request<ReceiverStream<v1::IngestPointsRequest>>| async {
            let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(30)));
            let status = Status::with_error_details(tonic::Code::ResourceExhausted, "slow down", details);
            Err::<Response<Streaming<v1::IngestPointsResponse>>, _>(status)
        };
        let started = Instant::now();
        let ended = ingest((policy, "IngestPoints", Window::of_points()), messages, open, |_| Ok(())).await;
        let error = ended.unwrap_err();
        assert_eq!(error.code(), Code::ResourceExhausted, "{error:?}");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
}
