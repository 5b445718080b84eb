//! From a listening socket to a clean end.
//!
//! ```text
//! opening -> serving -> (signal) draining -> (idle, or the grace period is over) closing -> stopped
//! ```
//! Opening: the ports answer, and health says NOT_SERVING until the database is open ([`late`](crate::late)). Draining: health says
//! NOT_SERVING, nothing new is begun, gRPC clients are told to go elsewhere (GOAWAY), requests under way are completed; the HTTP
//! port goes on telling how the server is. Closing: what is still under way is answered UNAVAILABLE; work that has reached a thread is
//! waited for; then the database is flushed. An acknowledged write is durable before it is acknowledged, so that nothing of this
//! decides whether it is kept: a process that is killed instead loses nothing either, it only opens more slowly.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use ragstone_rag::Rag;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;

use crate::access::Guarded;
use crate::calls::{self, Calls};
use crate::config::ServerConfig;
use crate::connections;
use crate::health::Health;
use crate::http::{Front, Stage};
use crate::late::{Late, Port};
use crate::layer::{RequestLayer, Watching, later};
use crate::limits::{HEADER_BYTES_MAX, STREAMS_PER_CONNECTION_MAX};
use crate::listen::{Listeners, ServeError};
use crate::metrics::{GrpcMetrics, Metrics};
use crate::open_calls::OpenCalls;
use crate::recall::Recall;
use crate::rpc::Services;
use crate::telemetry::Traces;
use crate::tls::{self, Tls};
use crate::work::Work;

/// Flow-control windows: a vector batch of megabytes should not wait for a round trip every 64 KiB. Those of connections hold more than one stream fills that
/// is not read for a while, and what is in them is in streams that have a place each.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// A peer that is gone without a word is noticed after this time, twice.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// How long closing waits for connections whose requests have been given up, and at least for work on threads.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// What ends a server. Of one type, whatever the caller has: what is generic is compiled in each crate that calls it, once for each type, and from here on that
/// is nearly all of the server.
type Shutdown<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
/// A server that runs; boxed for the same reason, as a future is compiled where it is first used by its type.
type Serving<'a> = Pin<Box<dyn Future<Output = Result<(), ServeError>> + Send + 'a>>;
/// What opens a database.
type Open = Box<dyn FnOnce() -> ragstone::Result<Rag> + Send>;

/// Serves `ragstone.v1`, health and reflection, and the HTTP port if there is one, until `shutdown` completes, then ends cleanly; returns when
/// everything is closed and flushed. The runtime that it is called on is to have [`ServerConfig::blocking_threads_max`] threads that may block.
///
/// # Errors
/// [`ServeError`]; nothing acknowledged is lost whatever it is.
pub async fn serve(
    config: ServerConfig,
    rag: Rag,
    listeners: impl Into<Listeners>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    serving(config, rag, listeners.into(), Box::pin(shutdown)).await
}

/// The same over a database that is opened meanwhile, on a thread that may block: until it is open, health says that the server is not ready,
/// and calls that need the database wait a little and are then told to come back. A server that is asked to stop waits for the
/// opening within [`ServerConfig::shutdown_grace`]; one that takes longer is cut off, which loses nothing.
///
/// # Errors
/// [`ServeError::Open`] with what opening fails with, and as [`serve`].
pub async fn open_and_serve<F>(
    config: ServerConfig,
    open: F,
    listeners: impl Into<Listeners>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError>
where
    F: FnOnce() -> ragstone::Result<Rag> + Send + 'static,
{
    opening(config, Box::new(open), listeners.into(), Box::pin(shutdown)).await
}

fn serving(config: ServerConfig, rag: Rag, listeners: Listeners, shutdown: Shutdown<'_>) -> Serving<'_> {
    Box::pin(async move {
        let server = Server::new(config).await?;
        let services = server.services(rag);
        // Before anything is accepted: whoever comes finds it open.
        server.open(&services).await;
        server.run(Database::Open(services), listeners, shutdown).await
    })
}

fn opening(config: ServerConfig, open: Open, listeners: Listeners, shutdown: Shutdown<'_>) -> Serving<'_> {
    Box::pin(async move {
        let server = Server::new(config).await?;
        let opened = server.clone();
        let opening = tokio::task::spawn_blocking(move || {
            open().map(|rag| opened.services(rag)).map_err(ServeError::Open)
        });
        server.run(Database::Opening(opening), listeners, shutdown).await
    })
}

/// A database on its way to a server.
enum Database {
    Open(Services),
    Opening(JoinHandle<Result<Services, ServeError>>),
}

/// A server beside its database: what is there before that is open; clones are one.
#[derive(Clone)]
struct Server {
    config: ServerConfig,
    work: Work,
    metrics: Metrics,
    traces: Traces,
    health: Health,
    /// The services of the API, once there are any.
    calls: Late<Guarded>,
    front: Front,
    stage: watch::Sender<Stage>,
    /// What is answered without a database.
    open_calls: OpenCalls,
    tls: Option<Tls>,
}

impl Server {
    async fn new(config: ServerConfig) -> Result<Server, ServeError> {
        // This reads small files, before anybody is served.
        let tls = config.checked()?;
        let work = Work::new(&config);
        let recall = Recall::new(config.telemetry.recall_sample, work.clone());
        let metrics = Metrics::new(work.clone(), recall);
        if let Some(tls) = &tls {
            metrics.shown(tls.clone());
        }
        let traces = Traces::start(&config.telemetry)?;
        let (reporter, health_service) = tonic_health::server::health_reporter();
        let names = calls::services(ragstone_proto::v1::FILE_DESCRIPTOR_SET)?;
        let health = Health::start(reporter, names).await;
        let (stage, stages) = watch::channel(Stage::default());
        let front = Front::new((metrics.clone(), traces.clone()), &config, stages);
        let calls = Late::<Guarded>::default();
        let routes = Routes::default()
            .add_service(health_service)
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?)
            .prepare();
        let open_calls = OpenCalls::new(routes, config.access.is_on());
        Ok(Server { config, work, metrics, traces, health, calls, front, stage, open_calls, tls })
    }

    /// What works, over an open database. Blocks for a moment.
    fn services(&self, rag: Rag) -> Services {
        Services::new(&self.config, rag, self.work.clone(), self.metrics.clone())
    }

    /// From now on everything is answered.
    async fn open(&self, services: &Services) {
        let api = services.api(&self.config);
        self.calls.come(Guarded { api, access: services.access().clone() });
        self.front.open(services.clone(), &self.config);
        self.health.opened().await;
    }

    /// The gRPC port, until `drain` completes, or its sender is gone; what is then under way is given up when `give_up` becomes true.
    fn grpc(
        &self,
        listener: TcpListener,
        give_up: watch::Receiver<bool>,
        drain: oneshot::Receiver<()>,
    ) -> Result<impl Future<Output = Result<(), tonic::transport::Error>> + Send + use<>, ServeError> {
        let layer = RequestLayer {
            request_timeout: self.config.request_timeout,
            stream_timeout: self.config.stream_timeout,
            answer_stall_timeout: self.config.answer_stall_timeout,
            request_bytes_max: self.config.request_bytes_max,
            calls: Calls::of(&DESCRIPTORS)?,
            counts: Some(GrpcMetrics::new(self.metrics.clone(), self.traces.clone())),
            work: self.work.clone(),
            watching: Watching::start(give_up.clone()),
            give_up,
        };
        let port = Port::new(self.calls.clone(), self.open_calls.clone());
        let server = tonic::transport::Server::builder()
            .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
            .http2_max_header_list_size(HEADER_BYTES_MAX)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .http2_keepalive_interval(Some(KEEP_ALIVE))
            .layer(layer);
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true)).with_keepalive(Some(KEEP_ALIVE));
        let incoming = tls::incoming(incoming, self.tls.clone());
        let (max, patience) = (self.config.grpc_connections_max, self.config.http_header_timeout);
        let incoming = connections::bounded(incoming, max, patience);
        Ok(server.serve_with_incoming_shutdown(port, incoming, async move {
            // A dropped sender means the same: stop.
            let _ = drain.await;
        }))
    }

    async fn run(
        self,
        database: Database,
        listeners: Listeners,
        mut shutdown: Shutdown<'_>,
    ) -> Result<(), ServeError> {
        if self.config.is_for_this_machine_alone()
            && let Some(address) = listeners.beyond_loopback()
        {
            return Err(ServeError::Insecure { address: address.to_string() });
        }
        let Listeners { grpc, http } = listeners;
        let shown = |listener: &TcpListener| listener.local_addr().ok().map(|address| address.to_string());
        let (address, http_address) = (shown(&grpc), http.as_ref().and_then(shown));
        let (give_up, give_up_seen) = watch::channel(false);
        let (drain, draining) = oneshot::channel::<()>();
        let mut served = std::pin::pin!(self.grpc(grpc, give_up_seen, draining)?);
        let _reloading = self.tls.clone().map(|tls| AbortOnDrop(tokio::spawn(tls.reload())));
        let (front, tls) = (self.front.clone(), self.tls.clone());
        let mut http = AbortOnDrop(tokio::spawn(async move {
            if let Some(listener) = http {
                front.serve(listener, tls).await;
            }
        }));
        let database = match database {
            Database::Opening(mut opening) => {
                tracing::info!(address, http_address, "opening the database");
                tokio::select! {
                    ended = &mut served => return Ok(ended?),
                    opened = &mut opening => {
                        let services = opened.map_err(ServeError::Opening)??;
                        self.open(&services).await;
                        Database::Open(services)
                    }
                    () = &mut shutdown => Database::Opening(opening),
                }
            }
            open @ Database::Open(_) => open,
        };
        let mut loading = None;
        if let Database::Open(services) = &database {
            let keep =
                services.loader().clone().keep_default(self.config.load_default_model, self.health.clone());
            loading = Some(AbortOnDrop(tokio::spawn(keep)));
            tracing::info!(address, http_address, tls = self.tls.is_some(), "serving");
            tokio::select! {
                ended = &mut served => return Ok(ended?),
                () = &mut shutdown => {}
            }
        }
        drop(loading);
        tracing::info!(grace_s = self.config.shutdown_grace.as_secs_f64(), "draining");
        let grace = later(Instant::now(), self.config.shutdown_grace);
        self.stage.send_replace(Stage::Draining);
        self.health.stopping().await;
        let _ = drain.send(());
        self.health.end().await;
        let last = tokio::spawn(last_of(database, grace));
        let drained = match timeout_at(grace, &mut served).await {
            Ok(ended) => ended,
            Err(_) => {
                tracing::warn!("the grace period (shutdown_grace) is over; requests under way are given up");
                give_up.send_replace(true);
                self.stage.send_replace(Stage::Closing);
                // Streams that a client keeps open (reflection) end with the process.
                timeout(CLOSE_WAIT, &mut served).await.unwrap_or(Ok(()))
            }
        };
        if timeout_at(grace, self.front.idle()).await.is_err() {
            self.stage.send_replace(Stage::Closing);
        }
        let rag = last.await.map_err(ServeError::Opening)??;
        if timeout_at(grace.max(Instant::now() + CLOSE_WAIT), self.work.idle()).await.is_err() {
            tracing::warn!("work on threads goes on; its writes are kept if they reach the log");
        }
        // Until here whoever asked how the server is had an answer.
        self.stage.send_modify(|stage| *stage = Stage::Ending.max(*stage));
        if timeout_at(grace, &mut http.0).await.is_err() {
            self.stage.send_replace(Stage::Closing);
            // Connections that a client keeps open and that have no request end with the process.
            let _ = timeout(CLOSE_WAIT, &mut http.0).await;
        }
        let flushed = match rag {
            Some(rag) => flush(rag).await,
            None => Ok(()),
        };
        self.traces.end().await;
        flushed?;
        tracing::info!("stopped");
        Ok(drained?)
    }
}

/// Ends what goes on in a database by itself: the opening, if that is still under way, and operations, within the grace period or shortly
/// behind it. Streams of those who watch an operation end with it, or they would hold the shutdown up. What is returned is to be flushed.
async fn last_of(database: Database, grace: Instant) -> Result<Option<Rag>, ServeError> {
    let services = match database {
        Database::Open(services) => services,
        Database::Opening(opening) => match timeout_at(grace, opening).await {
            Ok(opened) => opened.map_err(ServeError::Opening)??,
            Err(_) => {
                tracing::warn!("the database is still being opened; that is cut off");
                return Ok(None);
            }
        },
    };
    let stopping = timeout_at(grace.max(Instant::now() + CLOSE_WAIT), services.operations().stop());
    if stopping.await.is_err() {
        tracing::warn!("an operation goes on; it is cut off");
    }
    Ok(Some(services.whole_rag().clone()))
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
