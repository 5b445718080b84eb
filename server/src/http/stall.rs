//! A connection whose other side must go on taking what it is sent.
//!
//! The problem: a client that stops reading lets the system's buffers fill, and then every write waits; the answer, and with it
//! the connection's place and the thread that waits for a language model, would be held for as long as the client likes. So a write that
//! waits for longer than it may fails, which ends the connection and drops the answer. Nor may a client take an answer byte by byte ([`Patience`]).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::patience::Patience;

/// The connection.
pub(super) struct Stalling<S> {
    inner: S,
    patience: Patience,
    /// Since when a write waits, if one does, and when that has been for too long.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<S> Stalling<S> {
    pub(super) fn new(inner: S, patience: Duration) -> Stalling<S> {
        Stalling { inner, patience: Patience::by_bytes(patience), waiting: None }
    }

    /// A write's outcome, by which so many bytes were taken, unless it waits and has waited for too long.
    fn watch<T>(
        &mut self,
        outcome: Poll<io::Result<T>>,
        bytes: usize,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            let waited = self.waiting.take().map_or(Duration::ZERO, |(since, _)| since.elapsed());
            self.patience.taken(bytes as u64, waited);
            return outcome;
        }
        let left = self.patience.lasts(0);
        let begin = || (Instant::now(), Box::pin(tokio::time::sleep(left)));
        let (_, given_up) = self.waiting.get_or_insert_with(begin);
        match given_up.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stalling<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stalling<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(context, bytes);
        let taken = if let Poll::Ready(Ok(taken)) = outcome { taken } else { 0 };
        self.watch(outcome, taken, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_flush(context);
        self.watch(outcome, 0, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_shutdown(context);
        self.watch(outcome, 0, context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::limits::BODY_BYTES_PER_SECOND_MIN;

    #[tokio::test(start_paused = true)]
    async fn a_write_that_nobody_takes_fails_in_time() {
        let (mut client, server) = tokio::io::duplex(8);
        let mut server = Stalling::new(server, Duration::from_secs(60));
        server.write_all(b"12345678").await.unwrap();
        let error = server.write_all(b"9").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        // Who takes something has as long again.
        let mut taken = [0; 8];
        client.read_exact(&mut taken).await.unwrap();
        let mut server = Stalling::new(server, Duration::from_secs(60));
        server.write_all(b"9").await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'9');
    }

    /// After how long a large write fails whose other side takes so many bytes each ten seconds; none if it is taken.
    async fn fails_after(bytes: usize) -> Option<Duration> {
        let (mut client, server) = tokio::io::duplex(bytes);
        let taking = tokio::spawn(async move {
            let mut taken = vec![0; bytes];
            while client.read_exact(&mut taken).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
        });
        let mut server = Stalling::new(server, Duration::from_secs(60));
        let began = Instant::now();
        let written = server.write_all(&vec![7; 100 * bytes]).await;
        let after = began.elapsed();
        taking.abort();
        written.err().map(|error| {
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            after
        })
    }

    /// Any byte that was taken gave it as long again.
    #[tokio::test(start_paused = true)]
    async fn an_answer_may_not_be_taken_byte_by_byte() {
        let second = BODY_BYTES_PER_SECOND_MIN as usize;
        assert_eq!(fails_after(1).await.map(|after| after.as_secs()), Some(60));
        // Half as fast as it must be: every ten seconds take five.
        assert_eq!(fails_after(5 * second).await.map(|after| after.as_secs() / 10), Some(11));
        assert_eq!(fails_after(11 * second).await, None);
    }
}
