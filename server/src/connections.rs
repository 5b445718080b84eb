//! Connections of the gRPC port: bounded in number, given up when they do not begin to speak, and closed for others when they rest.
//!
//! **Problem.** A connection costs memory and a file descriptor, and whoever connects and says nothing costs nobody else a byte: the keep-alive of
//! HTTP/2 begins with HTTP/2, and that of TCP is answered by the system of a peer whose program sleeps.
//! Nor does whoever speaks HTTP/2, answers pings and calls nothing, and a few of those would have all connections that there may be, for ever and without credentials.
//! **Idea.** A connection takes a place; whoever finds none waits, one at a time accepted and the others in the system's queue. What HTTP/2
//! begins with must come within the time that the headers of a request to the HTTP port may take. From then on pings find out who is gone. And for one that
//! waits the connection ends that has rested longest, those first by which nothing was ever answered (`places.rs`, `peer.rs`): a client hears of it by GOAWAY and
//! connects anew when it has something to ask.
//! With TLS this begins behind the handshake, which has a bound and a time of its own ([`tls`](crate::tls)).
//!
//! The HTTP port has places of its own, and ends connections that rest likewise ([`http`](crate::http)).
//!
//! What is written is put together first: HTTP/2 writes the head of an answer, the answer and its trailers apart, and each write is a system call, and
//! a packet that the caller wakes up for. It flushes where it has no more to say, so nothing waits.
//! But for this: a connection is polled as soon as one of its calls is answered, before others that came with it have run. What these are about to be answered is
//! worth a turn of the runtime's: it is polled behind them, as any task is that another thread wakes, and all of it is one write. Where threads are free, calls
//! run as they come, and those that run are not waited for.

mod peer;
mod places;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use tokio::io::{AsyncRead, AsyncWrite, BufWriter, ReadBuf};
use tokio::time::Sleep;
use tokio_stream::StreamExt as _;
use tonic::transport::server::Connected;

pub(crate) use self::peer::{HealthCall, Peer, Working};
pub(crate) use self::places::{Place, Places};
use crate::at_once::AtOnce;

/// Bytes that HTTP/2 begins with, whoever speaks it.
const PREFACE_BYTES: usize = 24;
/// How long nothing is accepted after the system refused to (no file descriptors are left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Bytes that are put together to one write.
const WRITE_BYTES: usize = 16 << 10;
/// How often a flush is put off at most for calls that are to run: once in a turn of the runtime's, and once more for each call that comes in it.
const TURNS_MAX: u32 = 4;
/// A frame of HTTP/2: the connection ends, for no error, and of no call was anything begun that its client waits for, so that whatever is on its way may be made
/// anew elsewhere: those that were answered have been for long, and none begins from now on. The end that HTTP/2 has of itself says the same by the number of
/// the last call, and is tonic's to begin, of all connections at once.
const GO_AWAY: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// What knows where it comes from.
pub(crate) trait Remote {
    /// The address, if it is known.
    fn remote(&self) -> Option<SocketAddr>;
}

/// Says that the system refused to accept a connection at a port, and waits for a moment before it is asked again.
pub(crate) async fn pause_accepting(port: &str, error: &io::Error) {
    tracing::warn!(%error, "the {port} port cannot accept a connection; of too many open files, raise the limit (ulimit -n)");
    tokio::time::sleep(ACCEPT_PAUSE).await;
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
    futures_util::stream::unfold((incoming, Places::new(max)), move |(mut incoming, places)| async move {
        let inner = loop {
            match incoming.next().await? {
                Ok(inner) => break inner,
                // Told of it, tonic would ask for the next one at once, again and again, and say nothing.
                Err(error) => pause_accepting("gRPC", &error).await,
            }
        };
        let place = places.take(inner.remote()).await;
        let connection = Connection::new(inner, place, patience);
        Some((Ok::<_, io::Error>(connection), (incoming, places)))
    })
}

/// A connection, which has its place until it ends.
pub(crate) struct Connection<IO> {
    inner: BufWriter<IO>,
    /// Gone once it has begun.
    beginning: Option<Beginning>,
    /// What was read of it since other tasks were looked at.
    at_once: AtOnce,
    place: Place,
    /// How often the flush that is wanted was put off.
    put_off: u32,
    /// Whether it ended for another, of which its client has not heard this.
    hung_up: bool,
    goodbye: &'static [u8],
}

/// A connection of which little has come so far.
struct Beginning {
    bytes: usize,
    given_up: Pin<Box<Sleep>>,
}

impl<IO: AsyncWrite> Connection<IO> {
    fn new(inner: IO, place: Place, patience: Duration) -> Connection<IO> {
        let given_up = Box::pin(tokio::time::sleep(patience));
        let inner = BufWriter::with_capacity(WRITE_BYTES, inner);
        let beginning = Some(Beginning { bytes: 0, given_up });
        let at_once = AtOnce::default();
        Connection { inner, beginning, at_once, place, put_off: 0, hung_up: false, goodbye: &[] }
    }
}

impl<IO: AsyncWrite + Unpin> Connection<IO> {
    /// Whether what there is to flush waits for calls to run. Who polls it is woken then, behind these.
    fn puts_off(&mut self, context: &Context<'_>) -> bool {
        let puts_off = !self.hung_up
            && self.put_off < TURNS_MAX
            && !self.inner.buffer().is_empty()
            && self.place.peer.has_calls_to_run();
        if puts_off {
            self.put_off += 1;
            context.waker().wake_by_ref();
        }
        puts_off
    }

    /// Says that it is over, if there is something to say, and ends.
    fn poll_goodbye(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.goodbye.is_empty() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(context, self.goodbye))?;
            self.goodbye = self.goodbye.get(written..).unwrap_or_default();
        }
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl<IO> Connection<IO> {
    /// A write's outcome, unless it waits and the connection is to end: who takes nothing would keep its place.
    fn unless_it_ends<T>(&self, outcome: Poll<io::Result<T>>, context: &Context<'_>) -> Poll<io::Result<T>> {
        match outcome.is_pending() && (self.hung_up || self.place.peer.is_told_to_end(context)) {
            true => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            false => outcome,
        }
    }
}

impl<IO> Connected for Connection<IO> {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.place.peer.of_service()
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Connection<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.hung_up || self.place.peer.hangs_up(context) {
            // As if the client had: HTTP/2 ends, and says nothing of why.
            if !std::mem::replace(&mut self.hung_up, true) {
                self.goodbye = GO_AWAY;
            }
            return Poll::Ready(Ok(()));
        }
        ready!(self.at_once.poll_more(context));
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.inner).poll_read(context, buffer);
        let read = buffer.filled().len() - before;
        match outcome.is_pending() {
            true => self.at_once.waits(),
            false => self.at_once.takes(read),
        }
        let Some(beginning) = &mut self.beginning else { return outcome };
        if outcome.is_pending() {
            let given_up = beginning.given_up.as_mut().poll(context);
            return given_up.map(|()| Err(io::ErrorKind::TimedOut.into()));
        }
        beginning.bytes += read;
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
        let outcome = Pin::new(&mut self.inner).poll_write(context, bytes);
        if let Poll::Ready(Ok(taken)) = &outcome {
            self.place.peer.takes(*taken);
        }
        self.unless_it_ends(outcome, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.puts_off(context) {
            return Poll::Pending;
        }
        let outcome = Pin::new(&mut self.inner).poll_flush(context);
        if outcome.is_ready() {
            self.put_off = 0;
        }
        self.unless_it_ends(outcome, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = self.poll_goodbye(context);
        self.unless_it_ends(outcome, context)
    }
}

#[cfg(test)]
mod tests;
