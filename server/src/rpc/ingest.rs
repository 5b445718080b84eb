//! Streams of what is to be stored, each message acknowledged when it is durable.
//!
//! ```text
//! messages -> read ahead (one) -> store, in order, on threads that may block -> acknowledgements
//! ```
//! A stream has two messages in memory at most, the one that is being stored and the one after it, and a third being read;
//! before those the windows of HTTP/2 hold the caller back. So it is the other way: whose acknowledgements are not
//! taken is not read from any more. The order of the messages is that of the writes.

mod documents;
mod points;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use ragstone_proto::v1::{
    IngestDocumentsRequest, IngestDocumentsResponse, IngestPointsRequest, IngestPointsResponse,
};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use self::documents::DocumentStream;
use self::points::PointStream;
use super::Services;
use crate::layer::{Acknowledgements, Owed, giving_way, is_compressed};
use crate::limits::INGEST_AHEAD_MAX;
use crate::status;
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

/// What stores the messages of one stream.
trait Store: Send + 'static {
    type Message: Send + 'static;
    type Answer: Send + 'static;

    /// Returns when what is acknowledged is durable. An error ends the stream.
    fn store(&mut self, message: Self::Message) -> impl Future<Output = Result<Self::Answer, Status>> + Send;
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
    let (out, answers) = mpsc::channel(1);
    let (ahead, behind) = mpsc::channel(INGEST_AHEAD_MAX);
    let both = async move {
        let read = giving_way(read(messages, ahead, owed), is_compressed);
        tokio::join!(read, store_all(behind, out, store));
    };
    let storing = match Place::current() {
        Some(place) => tokio::spawn(place.hold(both)),
        None => tokio::spawn(both),
    };
    Response::new(Answers { answers, storing })
}

/// A message, for which the caller is owed an acknowledgement; or why there are no more.
type Read<M> = Result<(M, Owed), Status>;

async fn read<M>(mut messages: Streaming<M>, ahead: mpsc::Sender<Read<M>>, owed: Acknowledgements) {
    loop {
        let read = match messages.message().await {
            Ok(Some(message)) => Ok((message, owed.owe())),
            Ok(None) => return,
            Err(status) => Err(status),
        };
        let is_last = read.is_err();
        // Nobody listens any more once an error has ended the stream.
        if ahead.send(read).await.is_err() || is_last {
            return;
        }
    }
}

async fn store_all<S: Store>(
    mut behind: mpsc::Receiver<Read<S::Message>>,
    out: mpsc::Sender<Result<S::Answer, Status>>,
    mut store: S,
) {
    while let Some(read) = behind.recv().await {
        let answer = match read {
            Ok((message, _owed)) => store.store(message).await,
            Err(status) => Err(status),
        };
        let is_last = answer.is_err();
        if out.send(answer).await.is_err() || is_last {
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
    use super::*;

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
}
