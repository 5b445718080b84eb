//! The connections of the gRPC port, as tonic takes them.
//!
//! With TLS a task accepts, another makes the handshake, and a channel hands over what is ready. The accepting task ends when tonic drops the
//! channel's other end, and with it the listener. What is accepted here and not yet taken is bounded by places of its own; what is taken, by
//! [`connections`](crate::connections), which also waits for what HTTP/2 begins with. Where all of the places are taken, the handshake that has lasted the longest
//! ends for another: who connects and says nothing has one for seconds, and as many as there are places would keep everybody out.

use std::io;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::TcpIncoming;

use super::{Connection, Tls, handshake};
use crate::connections::{Place, Places};
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
            tokio::spawn(accept_all(accepted, tls, ready, TLS_HANDSHAKES_MAX));
            ReceiverStream::new(taken).right_stream()
        }
    }
}

async fn accept_all(
    mut incoming: TcpIncoming,
    tls: Tls,
    ready: mpsc::Sender<io::Result<Connection>>,
    max: usize,
) {
    let places = Places::new(max);
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
                // For another one.
                () = place.peer.ends() => None,
                connection = handshake(acceptor, stream) => connection,
            };
            if let Some(connection) = connection {
                // It waits for nothing that its client is to do, and ends for nobody any more.
                let _working = place.peer.work().ok();
                // Nobody takes it any more if the server ends.
                let _ = ready.send(Ok(connection)).await;
            }
            // Not before somebody has taken it: where connections wait to be taken, no more of them are made.
            drop(place);
        });
    }
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
    use std::sync::Arc;

    use rustls::ServerConfig;
    use rustls::server::{ClientHello, ResolvesServerCert};
    use rustls::sign::CertifiedKey;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;
    use tokio::sync::watch;
    use tokio::time::Instant;

    use super::super::material::{Configs, Files, Material};
    use super::*;
    use crate::limits::TLS_HANDSHAKE_SECONDS_MAX;

    /// No handshake comes so far.
    #[derive(Debug)]
    struct NoCertificate;

    impl ResolvesServerCert for NoCertificate {
        fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            None
        }
    }

    fn tls() -> Tls {
        let file = tempfile::NamedTempFile::new().unwrap();
        let files = Files { cert: file.path().to_owned(), key: file.path().to_owned(), client_ca: None };
        let first = Material::read(&files).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(NoCertificate));
        let grpc = Arc::new(config);
        let configs = watch::Sender::new(Configs { http: Arc::clone(&grpc), grpc });
        Tls { files: Arc::new(files), reload_interval: Duration::MAX, first: Arc::new(first), configs }
    }

    /// As many as there were places kept everybody out for as long as a handshake may take, and then the next ones did.
    #[tokio::test(start_paused = true)]
    async fn a_handshake_that_lasts_ends_for_another() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // Both are there before anything is accepted.
        let connect = || std::net::TcpStream::connect(address).unwrap();
        let (silent, _another) = (connect(), connect());
        silent.set_nonblocking(true).unwrap();
        let mut silent = TcpStream::from_std(silent).unwrap();
        let (ready, _taken) = mpsc::channel(READY_MAX);
        tokio::spawn(accept_all(TcpIncoming::from(listener), tls(), ready, 1));
        let began = Instant::now();
        // It may also be reset.
        assert_eq!(silent.read(&mut [0]).await.unwrap_or_default(), 0);
        let half = Duration::from_secs(TLS_HANDSHAKE_SECONDS_MAX) / 2;
        assert!(began.elapsed() < half, "{:?}", began.elapsed());
    }
}
