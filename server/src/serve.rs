//! From a listening socket to a clean end.
//!
//! ```text
//! serving -> (signal) draining -> (idle, or the grace period is over) closing -> stopped
//! ```
//! Draining: health says NOT_SERVING, nothing new is accepted, clients are told to go elsewhere (GOAWAY), requests under
//! way are completed. Closing: what is still under way is answered UNAVAILABLE; work that has reached a thread is waited
//! for; then the database is flushed. An acknowledged write is durable before it is acknowledged, so that nothing of this
//! decides whether it is kept: a process that is killed instead loses nothing either, it only opens more slowly.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use ragstone_rag::Rag;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::calls::{self, Calls};
use crate::config::ServerConfig;
use crate::health::Health;
use crate::http::{Port, Stage};
use crate::layer::RequestLayer;
use crate::limits::{HEADER_BYTES_MAX, STREAMS_PER_CONNECTION_MAX};
use crate::metrics::GrpcMetricsLayer;
use crate::rpc;

/// Flow-control windows: a vector batch of megabytes should not wait for a round trip every 64 KiB.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// A peer that is gone without a word is noticed after this time, twice.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// How long closing waits for connections whose requests have been given up, and at least for work on threads.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// Why a server did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address is not `HOST:PORT`, or its host is not known.
    #[error("cannot listen on `{address}`: {reason}; expected HOST:PORT, such as 127.0.0.1:6733")]
    Address {
        /// The address.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Another process listens there.
    #[error("cannot listen on {address}: the address is in use; is a server running there already?")]
    AddressInUse {
        /// The address.
        address: String,
    },
    /// The operating system refused to listen.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// A part of the configuration is not acceptable.
    #[error("{field} {reason}")]
    Config {
        /// The part.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The descriptors of the API are unreadable.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The same, before reflection had them.
    #[error("the descriptors of the API: {0}")]
    Descriptors(#[from] prost::DecodeError),
    /// The transport failed.
    #[error("serving: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The last flush failed. What was acknowledged is in the log nevertheless.
    #[error("flushing at the end: {0}")]
    Flush(#[source] ragstone::Error),
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signal(#[source] std::io::Error),
}

/// Where a server listens.
#[derive(Debug)]
pub struct Listeners {
    /// gRPC.
    pub grpc: TcpListener,
    /// The HTTP port, if there is to be one.
    pub http: Option<TcpListener>,
}

/// gRPC alone.
impl From<TcpListener> for Listeners {
    fn from(grpc: TcpListener) -> Listeners {
        Listeners { grpc, http: None }
    }
}

/// Listens on `HOST:PORT`; port 0 takes a free one ([`TcpListener::local_addr`] tells which).
///
/// # Errors
/// [`ServeError::Address`], [`ServeError::AddressInUse`], [`ServeError::Listen`].
pub async fn bind(address: &str) -> Result<TcpListener, ServeError> {
    let resolved: Vec<_> = tokio::net::lookup_host(address)
        .await
        .map_err(|error| ServeError::Address { address: address.to_owned(), reason: error.to_string() })?
        .collect();
    TcpListener::bind(resolved.as_slice()).await.map_err(|source| {
        let address = address.to_owned();
        match source.kind() {
            std::io::ErrorKind::AddrInUse => ServeError::AddressInUse { address },
            _ => ServeError::Listen { address, source },
        }
    })
}

/// Completes at SIGINT (Ctrl-C) or SIGTERM.
///
/// # Errors
/// [`ServeError::Signal`], at once, if they cannot be received.
pub fn shutdown_signal() -> Result<impl Future<Output = ()> + Send, ServeError> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signal)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signal)?;
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => tracing::info!(signal = "SIGINT", "asked to stop"),
                _ = terminate.recv() => tracing::info!(signal = "SIGTERM", "asked to stop"),
            }
        })
    }
    #[cfg(not(unix))]
    {
        Ok(async {
            if tokio::signal::ctrl_c().await.is_ok() {
                tracing::info!(signal = "Ctrl-C", "asked to stop");
            }
        })
    }
}

/// Serves `ragstone.v1`, health and reflection, and the HTTP port if there is one, until `shutdown` completes, then ends cleanly; returns when
/// everything is closed and flushed.
///
/// # Errors
/// [`ServeError`]; nothing acknowledged is lost whatever it is.
pub async fn serve(
    config: ServerConfig,
    rag: Rag,
    listeners: impl Into<Listeners>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    if let Some((field, reason)) = config.problem() {
        return Err(ServeError::Config { field, reason });
    }
    let Listeners { grpc: listener, http } = listeners.into();
    let address = listener.local_addr().ok();
    let services = rpc::Services::new(&config, rag.clone());
    let (reporter, health_service) = tonic_health::server::health_reporter();
    let health = Health::start(reporter, calls::services(ragstone_proto::v1::FILE_DESCRIPTOR_SET)?).await;
    let (give_up, give_up_seen) = watch::channel(false);
    let layer = RequestLayer {
        request_timeout: config.request_timeout,
        stream_timeout: config.stream_timeout,
        answer_stall_timeout: config.answer_stall_timeout,
        request_bytes_max: config.request_bytes_max,
        calls: Calls::of(&DESCRIPTORS)?,
        work: services.work().clone(),
        give_up: give_up_seen,
    };
    let router = Server::builder()
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .layer(GrpcMetricsLayer::new(services.metrics().clone(), &DESCRIPTORS))
        .layer(layer)
        .add_service(health_service)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    let router = services.add_to(router, &config);

    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true)).with_keepalive(Some(KEEP_ALIVE));
    let (drain, draining) = oneshot::channel::<()>();
    let served = router.serve_with_incoming_shutdown(incoming, async move {
        // A dropped sender means the same: stop.
        let _ = draining.await;
    });
    let mut served = std::pin::pin!(served);
    let loading = AbortOnDrop(tokio::spawn(
        services.loader().clone().keep_default(config.load_default_model, health.clone()),
    ));
    let http_address = http.as_ref().and_then(|listener| listener.local_addr().ok());
    let (stage, stages) = watch::channel(Stage::Serving);
    let port = Port::new(services.clone(), &config, stages);
    let mut http = AbortOnDrop(tokio::spawn(async move {
        if let Some(listener) = http {
            port.serve(listener).await;
        }
    }));
    let shown = |address: Option<SocketAddr>| address.map(|address| address.to_string());
    tracing::info!(address = shown(address), http_address = shown(http_address), "serving");

    tokio::select! {
        ended = &mut served => return Ok(ended?),
        () = shutdown => {}
    }
    tracing::info!(grace_s = config.shutdown_grace.as_secs_f64(), "draining");
    let grace = Instant::now() + config.shutdown_grace;
    drop(loading);
    stage.send_replace(Stage::Draining);
    health.stopping().await;
    // Streams of those who watch an operation end with it, or they would hold the shutdown up.
    let operations = services.operations().clone();
    let stopping = tokio::spawn(async move { operations.stop().await });
    let _ = drain.send(());
    health.end().await;
    let drained = match timeout_at(grace, &mut served).await {
        Ok(ended) => ended,
        Err(_) => {
            tracing::warn!("the grace period is over; requests under way are given up");
            give_up.send_replace(true);
            stage.send_replace(Stage::Closing);
            // Streams that a client keeps open (reflection) end with the process.
            timeout(CLOSE_WAIT, &mut served).await.unwrap_or(Ok(()))
        }
    };
    if timeout_at(grace, &mut http.0).await.is_err() {
        stage.send_replace(Stage::Closing);
        // Connections that a client keeps open and that have no request end with the process.
        let _ = timeout(CLOSE_WAIT, &mut http.0).await;
    }
    let work = services.work().clone();
    drop(services);
    if timeout_at(grace.max(Instant::now() + CLOSE_WAIT), stopping).await.is_err() {
        tracing::warn!("an operation goes on; it is cut off");
    }
    if timeout_at(grace.max(Instant::now() + CLOSE_WAIT), work.idle()).await.is_err() {
        tracing::warn!("work on threads goes on; its writes are kept if they reach the log");
    }
    flush(rag).await?;
    tracing::info!("stopped");
    Ok(drained?)
}

/// What is served.
const DESCRIPTORS: [&[u8]; 4] = [
    ragstone_proto::v1::FILE_DESCRIPTOR_SET,
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
];

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(ragstone_proto::v1::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

async fn flush(rag: Rag) -> Result<(), ServeError> {
    match tokio::task::spawn_blocking(move || rag.db().flush()).await {
        Ok(flushed) => flushed.map_err(ServeError::Flush),
        // It panicked, and the panic's message is in the log. What was acknowledged is in the database's own log.
        Err(error) => {
            tracing::error!(%error, "flushing at the end");
            Ok(())
        }
    }
}

/// A background task that ends with its owner.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
