//! Connections of the gRPC port: bounded in number, and given up when they do not begin to speak.
//!
//! **Problem.** A connection costs memory and a file descriptor, and whoever connects and says nothing costs nobody else a byte: the keep-alive of
//! HTTP/2 begins with HTTP/2, and that of TCP is answered by the system of a peer whose program sleeps.
//! **Idea.** A connection takes a place before it is accepted, as on the HTTP port; whoever finds none waits in the system's queue. What HTTP/2
//! begins with must come within the time that the headers of a request to the HTTP port may take. From then on pings find out who is gone.
//! With TLS this begins behind the handshake, which has a bound and a time of its own ([`tls`](crate::tls)).
//!
//! What is written is put together first: HTTP/2 writes the head of an answer, the answer and its trailers apart, and each write is a system call, and
//! a packet that the caller wakes up for. It flushes where it has no more to say, so nothing waits.

mod peer;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use tokio::io::{AsyncRead, AsyncWrite, BufWriter, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_stream::StreamExt as _;
use tonic::transport::server::Connected;

pub(crate) use self::peer::{HealthCall, Peer};

/// Bytes that HTTP/2 begins with, whoever speaks it.
const PREFACE_BYTES: usize = 24;
/// Bytes that are put together to one write.
const WRITE_BYTES: usize = 16 << 10;

/// What knows where it comes from.
pub(crate) trait Remote {
    /// The address, if it is known.
    fn remote(&self) -> Option<SocketAddr>;
}

/// Some connections, so many at a time at most, each of which begins within the patience.
pub(crate) fn bounded<S, IO>(
    incoming: S,
    max: usize,
    patience: Duration,
) -> impl Stream<Item = io::Result<Connection<IO>>> + Send
where
    S: Stream<Item = io::Result<IO>> + Unpin + Send,
    IO: AsyncWrite + Remote + Send,
{
    let places = Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS)));
    futures_util::stream::unfold((incoming, places), move |(mut incoming, places)| async move {
        // The gate is never closed.
        let place = Arc::clone(&places).acquire_owned().await.ok()?;
        let accepted = incoming.next().await?;
        Some((accepted.map(|inner| Connection::new(inner, place, patience)), (incoming, places)))
    })
}

/// A connection, which has its place until it ends.
pub(crate) struct Connection<IO> {
    inner: BufWriter<IO>,
    /// Gone once it has begun.
    beginning: Option<Beginning>,
    /// What its calls know of it.
    peer: Peer,
    _place: OwnedSemaphorePermit,
}

/// A connection of which little has come so far.
struct Beginning {
    bytes: usize,
    given_up: Pin<Box<Sleep>>,
}

impl<IO: AsyncWrite + Remote> Connection<IO> {
    fn new(inner: IO, place: OwnedSemaphorePermit, patience: Duration) -> Connection<IO> {
        let (peer, given_up) = (Peer::at(inner.remote()), Box::pin(tokio::time::sleep(patience)));
        let inner = BufWriter::with_capacity(WRITE_BYTES, inner);
        let beginning = Some(Beginning { bytes: 0, given_up });
        Connection { inner, beginning, peer, _place: place }
    }
}

impl<IO> Connected for Connection<IO> {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Connection<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.inner).poll_read(context, buffer);
        let Some(beginning) = &mut self.beginning else { return outcome };
        if outcome.is_pending() {
            let given_up = beginning.given_up.as_mut().poll(context);
            return given_up.map(|()| Err(io::ErrorKind::TimedOut.into()));
        }
        beginning.bytes += buffer.filled().len() - before;
        if beginning.bytes >= PREFACE_BYTES {
            self.beginning = None;
        }
        outcome
    }
}

/// Not vectored: with that, HTTP/2 would not copy even short messages to what is before and behind them.
impl<IO: AsyncWrite + Unpin> AsyncWrite for Connection<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    impl Remote for DuplexStream {
        fn remote(&self) -> Option<SocketAddr> {
            None
        }
    }

    /// Both sides of some connections.
    fn pairs(count: usize) -> (Vec<DuplexStream>, Vec<io::Result<DuplexStream>>) {
        (0..count).map(|_| tokio::io::duplex(64)).map(|(client, server)| (client, Ok(server))).unzip()
    }

    #[tokio::test(start_paused = true)]
    async fn one_too_many_waits_for_another_to_end() {
        let (_clients, servers) = pairs(3);
        let mut incoming = pin!(bounded(tokio_stream::iter(servers), 2, PATIENCE));
        let first = incoming.next().await.unwrap().unwrap();
        let _second = incoming.next().await.unwrap().unwrap();
        assert!(tokio::time::timeout(10 * PATIENCE, incoming.next()).await.is_err(), "there is no place");
        drop(first);
        assert!(incoming.next().await.unwrap().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_must_begin_in_time_and_may_rest_then() {
        let (mut clients, servers) = pairs(3);
        let mut incoming = pin!(bounded(tokio_stream::iter(servers), 3, PATIENCE));
        let mut read = [0; PREFACE_BYTES];

        let mut silent = incoming.next().await.unwrap().unwrap();
        let error = silent.read_exact(&mut read).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);

        let mut slow = incoming.next().await.unwrap().unwrap();
        clients[1].write_all(&[7; PREFACE_BYTES - 1]).await.unwrap();
        let error = slow.read_exact(&mut read).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);

        let mut begun = incoming.next().await.unwrap().unwrap();
        clients[2].write_all(&[7; PREFACE_BYTES]).await.unwrap();
        begun.read_exact(&mut read).await.unwrap();
        assert!(tokio::time::timeout(10 * PATIENCE, begun.read_u8()).await.is_err(), "it rests");
        begun.write_all(b"8").await.unwrap();
        begun.flush().await.unwrap();
        assert_eq!(clients[2].read_u8().await.unwrap(), b'8');
    }
}
