//! The connections of the gRPC port, as tonic takes them.
//!
//! With TLS a task accepts, another makes the handshake, and a channel hands over what is ready. The accepting task ends when tonic drops the
//! channel's other end, and with it the listener. What is accepted here and not yet taken is bounded by places of its own; what is taken, by
//! [`connections`](crate::connections), which also waits for what HTTP/2 begins with. Where all of the places are taken, the handshake that has lasted the longest
//! ends for another: who connects and says nothing has one for seconds, and as many as there are places would keep everybody out.

use std::io;

use futures_util::{Stream, StreamExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::TcpIncoming;

use super::{Connection, Tls, handshake};
use crate::connections::{Place, Places, pause_accepting};
use crate::limits::TLS_HANDSHAKES_MAX;

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
    let places = Places::new(TLS_HANDSHAKES_MAX);
    loop {
        let accepted = tokio::select! {
            () = ready.closed() => break,
            accepted = accept(&mut incoming, &places) => accepted,
        };
        let (stream, place) = match accepted {
            Some(Ok(accepted)) => accepted,
            Some(Err(error)) => {
                pause_accepting("gRPC", &error).await;
                continue;
            }
            None => break,
        };
        tokio::spawn(hand_over(handshake(tls.grpc(), stream), place, ready.clone()));
    }
}

/// Hands over what comes of a handshake, unless that ends for another one, which is to have its place.
async fn hand_over<C>(
    handshake: impl Future<Output = Option<C>>,
    place: Place,
    ready: mpsc::Sender<io::Result<C>>,
) {
    let connection = tokio::select! {
        // A server that ends waits for no handshake.
        () = ready.closed() => None,
        () = place.peer.ends() => None,
        connection = handshake => connection,
    };
    if let Some(connection) = connection {
        // It waits for nothing that its client is to do, and ends for nobody any more.
        let _working = place.peer.work().ok();
        // Nobody takes it any more if the server ends.
        let _ = ready.send(Ok(connection)).await;
    }
    // Not before somebody has taken it: where connections wait to be taken, no more of them are made.
    drop(place);
}

/// The next connection, once there is a place for its handshake; none after the last.
async fn accept(incoming: &mut TcpIncoming, places: &Places) -> Option<io::Result<(TcpStream, Place)>> {
    match incoming.next().await? {
        Ok(stream) => {
            let place = places.take(stream.peer_addr().ok()).await;
            Some(Ok((stream, place)))
        }
        Err(error) => Some(Err(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::limits::TLS_HANDSHAKE_SECONDS_MAX;

    /// Longer than who waits for a place looks for one that may end, and shorter than a handshake may take.
    const HALF: Duration = Duration::from_secs(TLS_HANDSHAKE_SECONDS_MAX / 2);

    /// As many as there were places kept everybody out for as long as a handshake may take, and then the next ones did.
    #[tokio::test(start_paused = true)]
    async fn a_handshake_that_lasts_ends_for_another() {
        let (places, (sender, mut taken)) = (Places::new(1), mpsc::channel::<io::Result<u8>>(READY_MAX));
        let silent = tokio::spawn(hand_over(pending(), places.take(None).await, sender));
        assert!(timeout(HALF, places.take(None)).await.is_ok());
        silent.await.unwrap();
        assert!(taken.recv().await.is_none(), "nothing came of it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_waits_to_be_taken_ends_for_no_other() {
        let (places, (sender, mut taken)) = (Places::new(1), mpsc::channel(1));
        sender.send(Ok(1)).await.unwrap();
        let waiting = tokio::spawn(hand_over(ready(Some(2)), places.take(None).await, sender));
        assert!(timeout(HALF, places.take(None)).await.is_err(), "it has the place until it is taken");
        for number in [1, 2] {
            assert_eq!(taken.recv().await.unwrap().unwrap(), number);
        }
        waiting.await.unwrap();
        assert!(timeout(HALF, places.take(None)).await.is_ok());
    }
}
