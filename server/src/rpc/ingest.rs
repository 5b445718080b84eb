//! Streams of what is to be stored, each message acknowledged when it is durable.
//!
//! ```text
//! messages -> read ahead -> store, on threads that may block -> acknowledgements, in the order of the messages
//! ```
//! Points are written message by message, in their order: a stream has two messages in memory at most, the one that is being stored and
//! the one after it, and a third being read. Documents that have come by the time that the ones before are stored are stored together, so that a
//! model has many chunks to embed at a time and nothing else to wait for; how many, and how many bytes are read and not acknowledged, is bounded.
//! Before those the windows of HTTP/2 hold the caller back. So it is the other way: whose acknowledgements are not taken is not read from
//! any more. A turn among the writes is taken for what has come, never for what may come, and for seconds of work.

mod documents;
mod points;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ragstone_proto::v1::{
    IngestDocumentsRequest, IngestDocumentsResponse, IngestPointsRequest, IngestPointsResponse,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument as _;

use self::documents::DocumentStream;
use self::points::PointStream;
use super::Services;
use crate::access::{Access, carried};
use crate::layer::{Acknowledgements, Owed, giving_way, is_compressed};
use crate::limits::INGEST_DOCUMENTS_BYTES_MAX;
use crate::status;
use crate::telemetry::Call;
use crate::work::Place;

/// Answers a stream of points.
pub(super) fn points(
    request: Request<Streaming<IngestPointsRequest>>,
    services: Services,
) -> Response<Answers<IngestPointsResponse>> {
    answer(request, PointStream { services, numbered: Numbered::default() })
}

/// Answers a stream of documents.
pub(super) fn documents(
    request: Request<Streaming<IngestDocumentsRequest>>,
    services: Services,
) -> Response<Answers<IngestDocumentsResponse>> {
    answer(request, DocumentStream { services, numbered: Numbered::default() })
}

/// Where acknowledgements go. Nobody takes them any more where sending fails, and whoever makes them is about to be ended.
type Out<A> = mpsc::Sender<Result<A, Status>>;

/// What stores the messages of one stream.
trait Store: Send + 'static {
    type Message: Send + 'static;
    type Answer: Send + 'static;

    /// Where they are stored.
    fn services(&self) -> &Services;

    /// Messages that are read ahead.
    const AHEAD: usize;
    /// Messages that are stored together, at most.
    const TOGETHER: usize;

    /// What a message takes of [`INGEST_DOCUMENTS_BYTES_MAX`]; nothing where messages are bounded by their number alone.
    fn bytes(message: &Self::Message) -> usize;

    /// Stores messages, and acknowledges each, in their order, when it is durable. An error ends the stream.
    fn store(
        &mut self,
        messages: Vec<(Self::Message, UnderWay)>,
        out: &Out<Self::Answer>,
    ) -> impl Future<Output = Result<(), Status>> + Send;
}

/// A message that is read and not acknowledged. Dropped, it gives back its room, and the caller is owed nothing for it any more.
struct UnderWay {
    _owed: Owed,
    /// None where there is no bound.
    _room: Option<OwnedSemaphorePermit>,
}

/// Acknowledgements on their way out. Dropped, it ends what makes them.
pub(crate) struct Answers<A> {
    answers: mpsc::Receiver<Result<A, Status>>,
    storing: tokio::task::JoinHandle<()>,
}

impl<A> Stream for Answers<A> {
    type Item = Result<A, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.answers.poll_recv(context)
    }
}

impl<A> Drop for Answers<A> {
    fn drop(&mut self) {
        self.storing.abort();
    }
}

/// Answers a stream.
fn answer<S: Store>(request: Request<Streaming<S::Message>>, store: S) -> Response<Answers<S::Answer>> {
    let owed = request.extensions().get::<Acknowledgements>().cloned().unwrap_or_default();
    let is_compressed = is_compressed(request.metadata().as_ref());
    let messages = request.into_inner();
    let access = store.services().access().clone();
    let (out, answers) = mpsc::channel(1);
    let (ahead, behind) = mpsc::channel(S::AHEAD);
    let told = owed.clone();
    let both = of_call(async move {
        let read = giving_way(read::<S>(messages, ahead, (owed, access)), (is_compressed, told));
        tokio::join!(read, store_all(behind, out, store));
    });
    let storing = match Place::current() {
        Some(place) => tokio::spawn(place.hold(both)),
        None => tokio::spawn(both),
    };
    Response::new(Answers { answers, storing })
}

/// The future, for a task of its own, that goes on being the call's that this task answers: its caller's, in its trace, and in its span, whose lines
/// of the log have its method and its trace.
fn of_call<F: Future>(future: F) -> impl Future<Output = F::Output> {
    Call::current().hold(carried(future)).in_current_span()
}

/// A message, or why there are no more.
type Read<M> = Result<(M, UnderWay), Status>;

async fn read<S: Store>(
    mut messages: Streaming<S::Message>,
    ahead: mpsc::Sender<Read<S::Message>>,
    (owed, access): (Acknowledgements, Access),
) {
    let (room, mut is_first) = (Room::default(), true);
    loop {
        let read = match messages.message().await {
            Ok(Some(message)) => {
                let (owed, bytes) = (owed.owe(), S::bytes(&message));
                let under_way = UnderWay { _owed: owed, _room: room.take(bytes).await };
                access.next_message(is_first).await.map(|()| (message, under_way))
            }
            Ok(None) => return,
            Err(status) => Err(status),
        };
        is_first = false;
        let is_last = read.is_err();
        // Nobody listens any more once an error has ended the stream.
        if ahead.send(read).await.is_err() || is_last {
            return;
        }
    }
}

/// Room for the bytes of a stream that are under way.
struct Room(Arc<Semaphore>);

/// Bytes of a permit.
const ROOM_UNIT: usize = 1 << 10;
/// Permits of the whole.
const ROOM_UNITS: usize = INGEST_DOCUMENTS_BYTES_MAX / ROOM_UNIT;

impl Default for Room {
    fn default() -> Self {
        Room(Arc::new(Semaphore::new(ROOM_UNITS)))
    }
}

impl Room {
    /// Waits for room for so many bytes; more than there is at all have the whole of it.
    async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units =
            u32::try_from(bytes.div_ceil(ROOM_UNIT).min(ROOM_UNITS)).ok().filter(|units| *units > 0)?;
        Arc::clone(&self.0).acquire_many_owned(units).await.ok()
    }
}

async fn store_all<S: Store>(
    mut behind: mpsc::Receiver<Read<S::Message>>,
    out: Out<S::Answer>,
    mut store: S,
) {
    let mut read = Vec::new();
    while behind.recv_many(&mut read, S::TOGETHER).await > 0 {
        let (mut messages, mut outcome) = (Vec::with_capacity(read.len()), Ok(()));
        for read in read.drain(..) {
            match read {
                Ok(message) => messages.push(message),
                // It is the last; what came before it is stored all the same.
                Err(status) => outcome = Err(status),
            }
        }
        if let Err(status) = store.store(messages, &out).await.and(outcome) {
            // Nobody is there to be told where this fails.
            let _ = out.send(Err(status)).await;
            return;
        }
        if out.is_closed() {
            return;
        }
    }
}

/// What the messages of a stream have in common.
#[derive(Debug, Default)]
struct Numbered {
    collection: Option<String>,
    last: Option<u64>,
}

impl Numbered {
    /// The collection of a message, if that and its number may follow those before it.
    ///
    /// # Errors
    /// INVALID_ARGUMENT; `field` is the collection's.
    fn next(&mut self, sequence: u64, (field, name): (&str, String)) -> Result<String, Status> {
        if let Some(last) = self.last.filter(|last| sequence <= *last) {
            let reason = format!("{sequence} does not come after {last}, which the message before has");
            return Err(status::invalid("sequence", &reason));
        }
        self.last = Some(sequence);
        match &self.collection {
            None if name.is_empty() => Err(status::invalid(field, "the first message names it")),
            None => {
                self.collection = Some(name.clone());
                Ok(name)
            }
            Some(collection) if name.is_empty() || name == *collection => Ok(collection.clone()),
            Some(collection) => {
                Err(status::invalid(field, &format!("a stream is about one collection, {collection}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::logs::lines::Lines;

    /// That the disk was full while a stream was stored had neither the method nor the trace beside it.
    #[tokio::test]
    async fn what_is_logged_while_a_stream_is_stored_is_in_the_span_of_its_call() {
        let lines = Lines::begin();
        let span = tracing::info_span!("rpc", method = "/x/Y", trace_id = "0af7651916cd43dd");
        let storing = span.in_scope(|| tokio::spawn(of_call(async { tracing::error!("the disk is full") })));
        storing.await.unwrap();
        let text = lines.text();
        for words in ["the disk is full", r#"method="/x/Y""#, "0af7651916cd43dd"] {
            assert!(text.contains(words), "{text}");
        }
    }

    #[test]
    fn numbers_rise_and_the_collection_stays() {
        let mut numbered = Numbered::default();
        let mut next = |sequence, name: &str| numbered.next(sequence, ("collection", name.to_owned()));
        assert_eq!(next(0, "a").unwrap(), "a");
        assert_eq!(next(1, "").unwrap(), "a");
        assert_eq!(next(9, "a").unwrap(), "a");
        for (sequence, name) in [(9, ""), (3, ""), (10, "b")] {
            assert_eq!(next(sequence, name).unwrap_err().code(), tonic::Code::InvalidArgument);
        }
        assert!(Numbered::default().next(1, ("collection", String::new())).is_err());
    }

    #[tokio::test]
    async fn bytes_under_way_are_bounded_but_for_a_single_message() {
        let room = Room::default();
        let free = || room.0.available_permits() * ROOM_UNIT;
        assert!(room.take(0).await.is_none());
        let small = room.take(1).await;
        assert_eq!(free(), INGEST_DOCUMENTS_BYTES_MAX - ROOM_UNIT);
        let large = room.take(INGEST_DOCUMENTS_BYTES_MAX * 2);
        let mut large = std::pin::pin!(large);
        assert!(timeout(Duration::ZERO, large.as_mut()).await.is_err(), "there is another one");
        drop(small);
        let large = large.await;
        assert_eq!(free(), 0);
        drop(large);
        assert_eq!(free(), INGEST_DOCUMENTS_BYTES_MAX);
    }
}
