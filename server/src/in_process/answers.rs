//! Answers of a call that streams, and the messages of one that streams both ways.
//!
//! Over a connection, the transport moves both sides on, whichever of them the caller attends to. Here a task of the call's own does: otherwise a
//! caller who only sends would wait for a handler that nobody polls. It stops while [`ANSWERS_AHEAD`] answers are not taken, and so does the handler.

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::codec::Raw;
use super::{Call, Failed};

/// Answers that are there before somebody takes them. Of streams both ways one is an acknowledgement, of bytes, and their senders have fewer
/// messages than that under way, so that one who sends and reads in turn never waits for itself.
const ANSWERS_AHEAD: usize = 1_024;
/// Messages that are sent before the handler takes them; a further one waits.
const MESSAGES_AHEAD: usize = 2;

/// An answer, none after the last, or what the call failed with.
type Next = Result<Option<Bytes>, Failed>;

/// A call's answers. Dropped, they give the call up.
#[derive(Debug)]
pub struct Answers {
    coming: mpsc::Receiver<Next>,
    call: AbortHandle,
    is_over: bool,
}

/// Where the messages of a call go. Dropped, it says that there are no more.
#[derive(Clone, Debug)]
pub struct Messages(mpsc::Sender<Bytes>);

impl Answers {
    /// The next answer, as soon as it is there; none after the last. A future of it that is dropped loses none.
    ///
    /// # Errors
    /// What the call failed with, once; CANCELLED where it was given up ([`Answers::give_up`]).
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failed> {
        if self.is_over {
            return Ok(None);
        }
        let next = self.coming.recv().await.unwrap_or_else(|| Err(Failed::cancelled()));
        self.is_over = !matches!(next, Ok(Some(_)));
        next
    }

    /// Whether the next answer, or the end, is there, so that nobody would wait for it.
    #[must_use]
    pub fn has_come(&self) -> bool {
        self.is_over || !self.coming.is_empty() || self.coming.is_closed()
    }

    /// Gives the call up when it is aborted, also while somebody waits for an answer.
    #[must_use]
    pub fn give_up(&self) -> AbortHandle {
        self.call.clone()
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.call.abort();
    }
}

impl Messages {
    pub(super) fn new() -> (Messages, ReceiverStream<Bytes>) {
        let (messages, sent) = mpsc::channel(MESSAGES_AHEAD);
        (Messages(messages), ReceiverStream::new(sent))
    }

    /// Sends a message, as soon as there is room. Of a call that has ended, nothing comes of it: the answers tell why.
    pub async fn send(&self, message: Bytes) {
        // An error means that the call has ended.
        let _ = self.0.send(message).await;
    }
}

/// Begins a call on these threads.
pub(super) fn begin(
    threads: &Handle,
    call: Result<Call, Failed>,
    messages: impl Stream<Item = Bytes> + Send + 'static,
) -> Answers {
    let (answers, coming) = mpsc::channel(ANSWERS_AHEAD);
    let task = threads.spawn(async move {
        let ended = match call {
            Ok(call) => pass_on(call, messages, &answers).await.map_err(Failed::from),
            Err(failed) => Err(failed),
        };
        // An error means that nobody waits for the end.
        let _ = answers.send(ended.map(|()| None)).await;
    });
    Answers { coming, call: task.abort_handle(), is_over: false }
}

/// Makes the call, and passes its answers on as they come.
async fn pass_on(
    mut call: Call,
    messages: impl Stream<Item = Bytes> + Send + 'static,
    answers: &mpsc::Sender<Next>,
) -> Result<(), Status> {
    let Ok(()) = call.grpc.ready().await;
    let request = call.request(messages);
    let mut stream = call.grpc.streaming(request, call.path, Raw).await?.into_inner();
    while let Some(answer) = stream.message().await? {
        if answers.send(Ok(Some(answer))).await.is_err() {
            break;
        }
    }
    Ok(())
}
