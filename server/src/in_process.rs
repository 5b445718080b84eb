//! The services of the API inside this process: no port, no connection, nobody to be asked who they are.
//!
//! **Problem.** A binding for another language needs every call of the API, with the same answers, limits and errors as a server's. Bound one by
//! one, they would be a second API that falls behind the first.
//! **Idea.** The services are the server's own, behind the same layer (places, deadlines, limits, panics caught), and calls are what they are on the
//! wire: a path, messages as bytes, a status with its details. Only the wire is left out. What would be copied for it alone, a table of vectors, goes
//! beside its message ([`Columns`]).
//!
//! - `answers.rs`: a stream of answers, and of messages to it;
//! - `arrow.rs`: collections to and from Arrow streams, which no wire has;
//! - `codec.rs`: messages that stay bytes;
//! - `failed.rs`: why a call failed.
//!
//! Invariants:
//! * a call whose future or [`Answers`] are dropped is given up, as one is whose caller leaves a server;
//! * threads belong to the engine and end with it; when [`InProcess::close`] returns, the directory can be opened again;
//! * what a process that was forked off inherits is refused, rather than waited for: its threads are not there.

mod answers;
mod arrow;
mod codec;
mod failed;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::mem;
use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use ragstone_rag::Rag;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;
use tonic::Request;
use tonic::client::Grpc;
use tower::Layer as _;

pub use self::answers::{Answers, Messages};
use self::codec::Raw;
pub use self::failed::Failed;
use crate::access::AccessConfig;
use crate::calls::Calls;
use crate::columns::Beside;
pub use crate::columns::Columns;
use crate::config::ServerConfig;
use crate::layer::{RequestLayer, RequestService, Watching};
use crate::metrics::Metrics;
use crate::recall::Recall;
use crate::rpc::{Api, Services};
use crate::status;
use crate::work::Work;

/// Threads that pass calls on, at least, and make short searches; what lasts or waits for the disk has threads of its own.
const THREADS_MIN: usize = 2;
/// How long closing waits for threads whose work is over.
const CLOSE_WAIT: Duration = Duration::from_secs(1);
/// The call that takes columns.
const UPSERT_POINTS: &str = "/ragstone.v1.PointsService/UpsertPoints";
/// A deadline that is later is none.
const TIMEOUT_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The services of the API over a database of this process; every method may be called from any thread.
///
/// ```
/// use bytes::Bytes;
/// use prost::Message;
/// use ragstone_proto::v1;
/// use ragstone_rag::Rag;
/// use ragstone_server::{InProcess, ServerConfig};
///
/// let engine = InProcess::new(ServerConfig::default(), Rag::in_memory()?)?;
/// let request = v1::CreateCollectionRequest {
///     name: "notes".to_owned(),
///     vectors: Some(v1::create_collection_request::Vectors::Dimension(3)),
///     ..Default::default()
/// };
/// let path = "/ragstone.v1.CollectionsService/CreateCollection";
/// let call = engine.unary(path, Bytes::from(request.encode_to_vec()), None);
/// let made = v1::CreateCollectionResponse::decode(engine.handle()?.block_on(call)?)?;
/// assert_eq!(made.collection.map(|collection| collection.name), Some("notes".to_owned()));
///
/// let again = engine.unary(path, Bytes::from(request.encode_to_vec()), None);
/// assert_eq!(engine.handle()?.block_on(again).unwrap_err().code, "ALREADY_EXISTS");
/// engine.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct InProcess {
    /// None once it is closed. Locked for a look-up.
    open: Mutex<Option<Open>>,
    handle: Handle,
    request_bytes_max: usize,
    /// The process that its threads are of.
    process: u32,
}

/// What an engine consists of until it is closed.
struct Open {
    runtime: Runtime,
    service: RequestService<Api>,
    services: Services,
    work: Work,
    give_up: watch::Sender<bool>,
    grace: Duration,
}

/// A call that is about to be made.
struct Call {
    grpc: Grpc<RequestService<Api>>,
    path: PathAndQuery,
    timeout: Option<Duration>,
}

impl InProcess {
    /// Over an open database, with its own threads. Of the configuration, what is about ports, connections, keys and telemetry has no meaning here.
    /// Blocks for a moment.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a part of the configuration; INTERNAL where the system has no threads left.
    pub fn new(config: ServerConfig, rag: Rag) -> Result<InProcess, Failed> {
        config.check().map_err(Failed::of_config)?;
        // Nobody is asked who they are, so nobody would be who may see anything.
        let config = ServerConfig { access: AccessConfig::default(), ..config };
        let threads =
            std::thread::available_parallelism().map_or(THREADS_MIN, |cores| cores.get().max(THREADS_MIN));
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .max_blocking_threads(config.blocking_threads_max())
            .thread_name("ragstone")
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| Failed::internal(format!("threads of the engine: {error}")))?;
        let handle = runtime.handle().clone();
        let _within = handle.enter();
        let work = Work::new(&config);
        let metrics = Metrics::new(work.clone(), Recall::new(config.telemetry.recall_sample, work.clone()));
        let services = Services::new(&config, rag, work.clone(), metrics);
        let (give_up, given_up) = watch::channel(false);
        let api = [ragstone_proto::v1::FILE_DESCRIPTOR_SET];
        let layer = RequestLayer {
            request_timeout: config.request_timeout,
            stream_timeout: config.stream_timeout,
            answer_stall_timeout: config.answer_stall_timeout,
            request_bytes_max: config.request_bytes_max,
            calls: Calls::of(&api).map_err(|error| Failed::internal(error.to_string()))?,
            counts: None,
            work: work.clone(),
            watching: Watching::start(given_up.clone()),
            give_up: given_up,
        };
        let service = layer.layer(services.api(&config));
        let open = Open { runtime, service, services, work, give_up, grace: config.shutdown_grace };
        Ok(InProcess {
            open: Mutex::new(Some(open)),
            handle: handle.clone(),
            request_bytes_max: config.request_bytes_max,
            process: process::id(),
        })
    }

    /// The runtime that calls are to be made on: what its methods return is to be spawned there, or blocked on.
    ///
    /// # Errors
    /// FAILED_PRECONDITION in a process that was forked off, which has none of its threads.
    pub fn handle(&self) -> Result<&Handle, Failed> {
        if self.is_inherited() { Err(Failed::forked()) } else { Ok(&self.handle) }
    }

    /// Makes a call of one message that has one answer, within so long. Its work ends when the future is dropped.
    ///
    /// # Errors
    /// What the call fails with; FAILED_PRECONDITION once the engine is closed, and in a process that was forked off.
    pub fn unary(
        &self,
        path: &str,
        message: Bytes,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<Bytes, Failed>> + Send + use<> {
        let call = self.call(path, timeout);
        async move { call?.unary(message, None).await }
    }

    /// Upserts points of which columns come beside the message, a `ragstone.v1.UpsertPointsRequest`. They are copied, once, before this returns.
    ///
    /// # Errors
    /// As [`InProcess::unary`]; what is wrong with the columns fails the call, as if the message had the points.
    pub fn upsert_columns(
        &self,
        message: Bytes,
        columns: Columns<'_>,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<Bytes, Failed>> + Send + use<> {
        let call = self.call(UPSERT_POINTS, timeout);
        let call = call.and_then(|call| Ok((call, columns.beside(message.len(), self.request_bytes_max)?)));
        async move {
            let (call, beside) = call?;
            call.unary(message, Some(beside)).await
        }
    }

    /// Makes a call of one message that has any number of answers. It is under way when this returns; what it fails with is told by the answers.
    ///
    /// # Errors
    /// Those of [`InProcess::handle`].
    pub fn stream(&self, path: &str, message: Bytes, timeout: Option<Duration>) -> Result<Answers, Failed> {
        Ok(answers::begin(self.handle()?, self.call(path, timeout), tokio_stream::once(message)))
    }

    /// Makes a call of any number of messages and answers, likewise.
    ///
    /// # Errors
    /// Those of [`InProcess::handle`].
    pub fn duplex(&self, path: &str, timeout: Option<Duration>) -> Result<(Messages, Answers), Failed> {
        let (messages, sent) = Messages::new();
        Ok((messages, answers::begin(self.handle()?, self.call(path, timeout), sent)))
    }

    /// Ends the engine: calls under way are given up (UNAVAILABLE), work that has reached a thread is waited for within
    /// [`ServerConfig::shutdown_grace`], and the database is flushed. When this returns, its directory can be opened again. A second time it does
    /// nothing. Blocks: not to be called from asynchronous code.
    ///
    /// # Errors
    /// What the flush fails with; what was acknowledged is kept nevertheless.
    pub fn close(&self) -> Result<(), Failed> {
        if self.is_inherited() {
            // Its threads are in the other process, which goes on with the database; one of them may have held the lock when this one was forked.
            mem::forget(self.open.try_lock().ok().and_then(|mut open| open.take()));
            return Ok(());
        }
        let Some(open) = self.state().take() else { return Ok(()) };
        open.close()
    }

    /// A call to a path, unless the engine is closed.
    fn call(&self, path: &str, timeout: Option<Duration>) -> Result<Call, Failed> {
        if self.is_inherited() {
            return Err(Failed::forked());
        }
        let service = self.state().as_ref().ok_or_else(Failed::closed)?.service.clone();
        let path = PathAndQuery::try_from(path).map_err(|_| status::unknown_method())?;
        let grpc = Grpc::new(service).max_decoding_message_size(usize::MAX);
        Ok(Call { grpc, path, timeout })
    }

    fn state(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this is another process than the one that opened it.
    fn is_inherited(&self) -> bool {
        process::id() != self.process
    }
}

impl Call {
    fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        if let Some(timeout) = self.timeout {
            request.set_timeout(timeout.min(TIMEOUT_MAX));
        }
        request
    }

    /// Makes it, of one message and what goes beside it.
    async fn unary(mut self, message: Bytes, beside: Option<Beside>) -> Result<Bytes, Failed> {
        let Ok(()) = self.grpc.ready().await;
        let mut request = self.request(message);
        if let Some(beside) = beside {
            request.extensions_mut().insert(beside);
        }
        Ok(self.grpc.unary(request, self.path, Raw).await?.into_inner())
    }
}

impl Open {
    fn close(self) -> Result<(), Failed> {
        let Open { runtime, service, services, work, give_up, grace } = self;
        give_up.send_replace(true);
        let ended = runtime.block_on(async {
            tokio::time::timeout(grace, async {
                services.operations().stop().await;
                work.idle().await;
            })
            .await
        });
        if ended.is_err() {
            tracing::warn!("work on threads goes on; its writes are kept if they reach the log");
        }
        let db = services.whole_rag().db().clone();
        drop((service, services, work));
        // What is left on it holds the database, too.
        runtime.shutdown_timeout(CLOSE_WAIT);
        if db.is_read_only() { Ok(()) } else { Ok(db.flush()?) }
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        if self.is_inherited() {
            // Nobody else has it, so that whoever held the lock when the process was forked is no matter; what would wait for its threads is left.
            mem::forget(self.open.get_mut().unwrap_or_else(PoisonError::into_inner).take());
        } else if let Err(error) = self.close() {
            tracing::error!(%error, "closing the engine");
        }
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").field("is_open", &self.state().is_some()).finish_non_exhaustive()
    }
}
