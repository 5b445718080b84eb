//! Connections of the HTTP port: accepted, bounded, ended.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use super::Stage;
use super::stall::Stalling;
use crate::tls::{Connection, Tls, handshake};

/// Bytes that a connection buffers, and so the most that a request's headers may have.
const BUFFER_BYTES_MAX: usize = 64 << 10;
/// How long nothing is accepted after the system refused to (no file descriptors are left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What holds for the connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connections {
    pub(super) max: usize,
    pub(super) header_timeout: Duration,
    /// How long a client may take nothing of what it is sent.
    pub(super) write_timeout: Duration,
}

/// Where connections come from.
pub(super) struct Accepting {
    pub(super) listener: TcpListener,
    /// Certificates, if connections begin with a handshake.
    pub(super) tls: Option<Tls>,
}

/// Serves until the stage is [`Stage::Ending`]; returns when every connection has ended.
pub(super) async fn serve(
    Accepting { listener, tls }: Accepting,
    router: Router,
    rules: Connections,
    mut stage: watch::Receiver<Stage>,
) {
    let connections = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(rules.max));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(rules.header_timeout).max_buf_size(BUFFER_BYTES_MAX);
    loop {
        let accepted = tokio::select! {
            _ = stage.wait_for(|stage| *stage >= Stage::Ending) => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let (stream, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "the HTTP port cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Pieces of an answer are small, and each is wanted at once. Where that cannot be set, they come together.
        let _ = stream.set_nodelay(true);
        let (http, router, acceptor) = (http.clone(), router.clone(), tls.as_ref().map(Tls::http));
        let (watcher, mut stage) = (connections.watcher(), stage.clone());
        tokio::spawn(async move {
            let stream = match acceptor {
                None => Some(Connection::Plain(stream)),
                // The port ends without waiting for handshakes.
                Some(acceptor) => tokio::select! {
                    _ = stage.wait_for(|stage| *stage >= Stage::Ending) => None,
                    stream = handshake(acceptor, stream) => stream,
                },
            };
            if let Some(stream) = stream {
                let connection = http.serve_connection(
                    TokioIo::new(Stalling::new(stream, rules.write_timeout)),
                    TowerToHyperService::new(router),
                );
                if let Err(error) = watcher.watch(connection).await {
                    tracing::debug!(%error, "a connection to the HTTP port broke");
                }
            }
            drop(place);
        });
    }
    drop(listener);
    connections.shutdown().await;
}

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}
