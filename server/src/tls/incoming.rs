//! The connections of the gRPC port, as tonic takes them.
//!
//! With TLS a task accepts, another makes the handshake, and a channel hands over what is ready. The accepting task ends when tonic drops the
//! channel's other end, and with it the listener. What is accepted here and not yet taken is bounded by places of its own; what is taken, by
//! [`connections`](crate::connections), which also waits for what HTTP/2 begins with.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::TcpIncoming;

use super::{Connection, Tls, handshake};
use crate::limits::TLS_HANDSHAKES_MAX;

/// How long nothing is accepted after the system refused to (no file descriptors are left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections that are ready and not yet taken; tonic takes them at once, if there is a place.
const READY_MAX: usize = 16;

/// The connections, behind their handshakes if there are certificates. Must be called within a Tokio runtime.
pub(crate) fn incoming(
    accepted: TcpIncoming,
    tls: Option<Tls>,
) -> impl Stream<Item = io::Result<Connection>> + Send + Unpin + 'static {
    match tls {
        None => accepted.map(|accepted| accepted.map(Connection::Plain)).left_stream(),
        Some(tls) => {
            let (ready, taken) = mpsc::channel(READY_MAX);
            tokio::spawn(accept_all(accepted, tls, ready));
            ReceiverStream::new(taken).right_stream()
        }
    }
}

async fn accept_all(mut incoming: TcpIncoming, tls: Tls, ready: mpsc::Sender<io::Result<Connection>>) {
    let places = Arc::new(Semaphore::new(TLS_HANDSHAKES_MAX));
    loop {
        let accepted = tokio::select! {
            () = ready.closed() => break,
            accepted = accept(&mut incoming, &places) => accepted,
        };
        let (stream, place) = match accepted {
            Some(Ok(accepted)) => accepted,
            Some(Err(error)) => {
                tracing::warn!(%error, "the gRPC port cannot accept a connection; of too many open files, raise the limit (ulimit -n)");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
            None => break,
        };
        let (acceptor, ready) = (tls.grpc(), ready.clone());
        tokio::spawn(async move {
            // A server that ends waits for no handshake.
            let connection = tokio::select! {
                () = ready.closed() => None,
                connection = handshake(acceptor, stream) => connection,
            };
            if let Some(connection) = connection {
                // Nobody takes it any more if the server ends.
                let _ = ready.send(Ok(connection)).await;
            }
            // Not before somebody has taken it: where connections wait to be taken, no more of them are made.
            drop(place);
        });
    }
}

/// The next connection, once there is a place for its handshake; none after the last.
async fn accept(
    incoming: &mut TcpIncoming,
    places: &Arc<Semaphore>,
) -> Option<io::Result<(TcpStream, OwnedSemaphorePermit)>> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    let accepted = incoming.next().await?;
    Some(accepted.map(|stream| (stream, place)))
}
