//! Compressing and decompressing, and reading and writing long messages, which bodies and the codec do while they are polled.
//!
//! **Problem.** Megabytes take milliseconds, or tens of these, on a thread of the runtime, which other calls wait for.
//! **Idea.** Where a message may be compressed, or a long one comes next, the runtime is told that this thread is about to be busy, and moves its other tasks to
//! another one ([`tokio::task::block_in_place`]). That costs some microseconds for each poll, and other calls do
//! not pay them. A runtime of one thread has nowhere to move them to. The system may have that other thread run on this one's processor, where it would wait for the
//! next tick: so this one stands back for it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::runtime::{Handle, RuntimeFlavor};
use tonic::Status;
use tonic::body::Body;

use super::Acknowledgements;
use super::headers::ENCODING;

/// Whether the messages under these headers may be compressed.
pub(crate) fn is_compressed(headers: &HeaderMap) -> bool {
    headers.get(&ENCODING).is_some_and(|encoding| encoding != "identity")
}

/// Does something long, on a thread that no other task waits for.
pub(super) fn give_way<T>(long: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(|| {
            // The thread that the tasks were moved to was just woken, and may wait for this processor.
            std::thread::yield_now();
            long()
        }),
        _ => long(),
    }
}

/// Polls a future that reads messages: those of a body that tells of long ones, or such as may be compressed.
pub(crate) async fn giving_way<F: Future>(
    future: F,
    (is_compressed, told): (bool, Acknowledgements),
) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        let reads_long = told.takes_long();
        if !reads_long && !is_compressed {
            return future.as_mut().poll(context);
        }
        let polled = give_way(|| future.as_mut().poll(context));
        if reads_long {
            told.was_read();
        }
        polled
    })
    .await
}

/// An answer that is compressed.
pub(super) struct Compressed(pub(super) Body);

impl HttpBody for Compressed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let inner = Pin::new(&mut self.get_mut().0);
        give_way(|| inner.poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The other task is done although the thread that it would have run on is busy until then.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn other_tasks_go_on_meanwhile() {
        let (tell, told) = std::sync::mpsc::channel();
        let busy = tokio::spawn(async move {
            tokio::spawn(async move { tell.send(()).unwrap() });
            giving_way(async move { told.recv().unwrap() }, (true, Acknowledgements::default())).await;
        });
        busy.await.unwrap();
    }

    #[tokio::test]
    async fn where_there_is_one_thread_it_is_done_there() {
        assert_eq!(giving_way(async { 7 }, (true, Acknowledgements::default())).await, 7);
    }

    #[test]
    fn identity_is_no_compression() {
        let mut headers = HeaderMap::new();
        assert!(!is_compressed(&headers));
        headers.insert("grpc-encoding", "identity".parse().unwrap());
        assert!(!is_compressed(&headers));
        headers.insert("grpc-encoding", "zstd".parse().unwrap());
        assert!(is_compressed(&headers));
    }
}
