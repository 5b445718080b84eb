//! Connections of the HTTP port: accepted, bounded, ended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tower::Service as _;

use super::Stage;
use super::stall::Stalling;
use crate::connections::Remote as _;
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

/// Where a request comes from, if that is known: among its extensions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin(pub(super) Option<SocketAddr>);

/// Serves until the stage is [`Stage::Ending`]; returns when every connection has ended.
pub(super) async fn serve(
    Accepting { listener, tls }: Accepting,
    router: Router,
    rules: Connections,
    mut stage: watch::Receiver<Stage>,
) {
    let connections = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(rules.max));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(rules.header_timeout).max_buf_size(BUFFER_BYTES_MAX);
    loop {
        let accepted = tokio::select! {
            _ = stage.wait_for(|stage| *stage >= Stage::Ending) => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let (stream, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "the HTTP port cannot accept a connection; of too many open files, raise the limit (ulimit -n)");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Pieces of an answer are small, and each is wanted at once. Where that cannot be set, they come together.
        let _ = stream.set_nodelay(true);
        let (builder, router, acceptor) = (builder.clone(), router.clone(), tls.as_ref().map(Tls::http));
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
                let origin = Origin(stream.remote());
                let answered = service_fn(move |mut request: http::Request<Incoming>| {
                    request.extensions_mut().insert(origin);
                    router.clone().call(request)
                });
                let stream = TokioIo::new(Stalling::new(stream, rules.write_timeout));
                let connection = builder.serve_connection(stream, answered);
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

#[cfg(test)]
mod tests {
    use axum::extract::Request;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn a_request_is_told_where_it_comes_from() {
        let told = |request: Request| async move { format!("{:?}", request.extensions().get::<Origin>()) };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stage, stages) = watch::channel(Stage::default());
        let long = Duration::from_secs(60);
        let rules = Connections { max: 1, header_timeout: long, write_timeout: long };
        let accepting = Accepting { listener, tls: None };
        let served = tokio::spawn(serve(accepting, Router::new().fallback(told), rules, stages));
        let mut client = TcpStream::connect(address).await.unwrap();
        let asked = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        client.write_all(asked).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        let origin = Some(Origin(client.local_addr().ok()));
        assert!(answer.ends_with(&format!("{origin:?}")), "{answer}");
        stage.send_replace(Stage::Ending);
        served.await.unwrap();
    }
}
