//! Connections of the HTTP port: accepted, bounded, ended.
//!
//! Whoever connects and asks for nothing, or asks now and then how the server is, which needs no credentials, would have all connections that there may be, and
//! nobody could be told that it lives. So for one that waits the one ends that has rested longest, as at the gRPC port ([`connections`](crate::connections)).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tower::Service as _;

use super::Stage;
use super::sending::holding;
use super::stall::Stalling;
use crate::connections::{Peer, Place, Places, pause_accepting};
use crate::layer::FOREVER;
use crate::tls::{Connection, Tls, handshake};

/// Bytes that a connection buffers, and so the most that a request's headers may have.
const BUFFER_BYTES_MAX: usize = 64 << 10;
/// What is for everybody, and so makes a connection of no use.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

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
    let (places, answers) = (Places::new(rules.max), Answers::new(router, rules));
    loop {
        let accepted = tokio::select! {
            _ = stage.wait_for(|stage| *stage >= Stage::Ending) => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let (stream, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                pause_accepting("HTTP", &error).await;
                continue;
            }
        };
        // Pieces of an answer are small, and each is wanted at once. Where that cannot be set, they come together.
        let _ = stream.set_nodelay(true);
        let (answers, acceptor) = (answers.clone(), tls.as_ref().map(Tls::http));
        let (watcher, mut stage) = (connections.watcher(), stage.clone());
        tokio::spawn(async move {
            let peer = place.peer.clone();
            let served = async {
                let stream = match acceptor {
                    None => Some(Connection::Plain(stream)),
                    // The port ends without waiting for handshakes.
                    Some(acceptor) => tokio::select! {
                        _ = stage.wait_for(|stage| *stage >= Stage::Ending) => None,
                        stream = handshake(acceptor, stream) => stream,
                    },
                };
                if let Some(stream) = stream {
                    answers.serve(stream, peer.clone(), watcher).await;
                }
            };
            tokio::select! {
                () = served => {}
                // For another one. What its client asked for last was not begun.
                () = peer.ends() => {}
            }
            drop(place);
        });
    }
    drop(listener);
    connections.shutdown().await;
}

/// The next connection, once there is a place for it.
async fn accept(listener: &TcpListener, places: &Places) -> std::io::Result<(TcpStream, Place)> {
    let (stream, address) = listener.accept().await?;
    Ok((stream, places.take(Some(address)).await))
}

/// What answers the requests of a connection.
#[derive(Clone)]
struct Answers {
    builder: http1::Builder,
    router: Router,
    write_timeout: Duration,
}

impl Answers {
    fn new(router: Router, rules: Connections) -> Answers {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(rules.header_timeout.min(FOREVER));
        builder.max_buf_size(BUFFER_BYTES_MAX);
        Answers { builder, router, write_timeout: rules.write_timeout }
    }

    /// Answers what comes by a connection, until it ends.
    async fn serve<S>(self, stream: S, peer: Peer, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let (router, origin) = (self.router, Origin(peer.address()));
        let service = service_fn(move |mut request: http::Request<Incoming>| {
            request.extensions_mut().insert(origin);
            answered(router.clone(), peer.clone(), request)
        });
        let stream = TokioIo::new(Stalling::new(stream, self.write_timeout));
        let connection = self.builder.serve_connection(stream, service);
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%error, "a connection to the HTTP port broke");
        }
    }
}

/// The answer to a request, for which its connection works until it is there; and until it has gone where it is of use.
async fn answered(
    mut router: Router,
    peer: Peer,
    request: http::Request<Incoming>,
) -> Result<Response, Infallible> {
    // It is refused to one that was hung up on, which nobody hears from any more.
    let working = peer.work().ok();
    let is_open = OPEN.contains(&request.uri().path());
    let response = router.call(request).await?;
    Ok(match working {
        Some(mut working) if !is_open && response.status().is_success() => {
            working.is_answered();
            holding(response, working)
        }
        // A refusal, or what is for everybody: it is short. Who asks on and on and takes none of it would have the connection work for as long as it may stall.
        _ => response,
    })
}

#[cfg(test)]
mod tests {
    use axum::extract::Request;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
    use tokio::time::{Instant, sleep};

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

    /// How long work takes.
    const WORK: Duration = Duration::from_secs(100);

    /// A connection that has a place, and its client, who asked for something and was told so much.
    async fn asked(places: &Places, path: &str, told: &str) -> DuplexStream {
        let place = places.take(None).await;
        let work = |request: Request| async move {
            if request.uri().path() == "/work" {
                sleep(WORK).await;
            }
            "told"
        };
        let long = Duration::from_secs(10_000);
        let rules = Connections { max: 1, header_timeout: long, write_timeout: long };
        let answers = Answers::new(Router::new().fallback(work), rules);
        let (mut client, server) = tokio::io::duplex(1 << 10);
        tokio::spawn(async move {
            let connections = GracefulShutdown::new();
            tokio::select! {
                () = answers.serve(server, place.peer.clone(), connections.watcher()) => {}
                () = place.peer.ends() => {}
            }
            drop(place);
        });
        client.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = vec![0; told.len()];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), told);
        client
    }

    /// Whoever asked now and then how the server is had its place for as long as they liked, and as many as there were places kept everybody out.
    #[tokio::test(start_paused = true)]
    async fn one_that_rests_ends_for_another_and_one_that_works_does_not() {
        let places = Places::new(1);
        let mut probing = asked(&places, "/healthz", "HTTP/1.1 200").await;
        let began = Instant::now();
        let mut working = asked(&places, "/work", "").await;
        assert!(began.elapsed() < WORK / 10, "{:?}", began.elapsed());
        probing.read_to_end(&mut Vec::new()).await.unwrap();
        let _another = asked(&places, "/readyz", "HTTP/1.1 200").await;
        assert!(began.elapsed() >= WORK, "{:?}", began.elapsed());
        let mut answer = Vec::new();
        working.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    }

    /// Its last answers waited to be taken, and it worked until it was given up: without credentials, and once more then.
    #[tokio::test(start_paused = true)]
    async fn one_that_takes_nothing_of_what_is_for_everybody_ends_for_another() {
        let places = Places::new(1);
        let mut probing = asked(&places, "/healthz", "HTTP/1.1 200").await;
        let asking = tokio::spawn(async move {
            // Until it is hung up on: the answers fill all room that there is on the way.
            while probing.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.is_ok() {}
        });
        let began = Instant::now();
        let _another = asked(&places, "/work", "").await;
        assert!(began.elapsed() < WORK / 10, "{:?}", began.elapsed());
        asking.await.unwrap();
    }
}
