//! Calls of the gRPC port that are not of the API: health, and reflection. They take no place among those that work, so they have bounds of
//! their own.
//!
//! **Problem.** Health must answer whoever asks, however busy the server is: a server that does not is killed. Whoever reaches the port may ask it,
//! without credentials, and so it must cost next to nothing: a thousand streams of a connection that took nothing of what reflection
//! told them held a hundred mebibytes, and four such connections more than a server of a small machine has.
//! **Idea.** Reflection is for people who look around: few have it at a time ([`REFLECTION_CALLS_MAX`]), and where callers are told apart it needs
//! credentials, as all calls but health do, and counts as one of these once they are known to be good: who has none keeps nobody from it.
//! What it answers ends with their key, as that of other calls that stream does. Calls for health are few of each connection
//! ([`HEALTH_CALLS_PER_CONNECTION_MAX`](crate::limits::HEALTH_CALLS_PER_CONNECTION_MAX)), so that nobody takes those of another. Either is begun with the headers that it reads alone, and ends for the bounds when what makes its answer does.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tower::Service as _;

use crate::access::Guarded;
use crate::connections::{HealthCall, Peer};
use crate::late::Late;
use crate::limits::REFLECTION_CALLS_MAX;
use crate::status;

/// How the paths of these begin.
const OPEN: &str = "/grpc.";
/// How those of reflection do.
const REFLECTION: &str = "/grpc.reflection.";
/// What is read of a request's headers.
const READ: [&str; 4] = ["content-type", "te", "grpc-encoding", "grpc-accept-encoding"];

/// Whether a path is that of such a call.
pub(crate) fn is_open(path: &str) -> bool {
    path.starts_with(OPEN)
}

/// Whether a path is that of a call of reflection.
fn is_reflection(path: &str) -> bool {
    path.starts_with(REFLECTION)
}

/// Health and reflection; clones are one.
#[derive(Clone, Debug)]
pub(crate) struct OpenCalls {
    routes: Routes,
    reflections: Arc<Semaphore>,
    /// Whether callers are told apart.
    asks: bool,
}

/// What a call has of the bounds, until it is dropped.
#[derive(Debug)]
enum Held {
    Health { _call: Option<HealthCall> },
    Reflection { _permit: OwnedSemaphorePermit },
}

impl OpenCalls {
    /// These services; where callers are told apart, reflection asks who they are.
    pub(crate) fn new(routes: Routes, asks: bool) -> OpenCalls {
        OpenCalls { routes, reflections: Arc::new(Semaphore::new(REFLECTION_CALLS_MAX)), asks }
    }

    /// Whether a call is for those alone who are known.
    fn asks_of(&self, path: &str) -> bool {
        self.asks && is_reflection(path)
    }

    /// Makes a call; one that is for those alone who are known once there is a database, which knows them.
    pub(crate) async fn call(mut self, request: Request<Body>, database: Late<Guarded>) -> Response<Body> {
        let mut known = None;
        if self.asks_of(request.uri().path()) {
            let guarded = match guarded(&self.reflections, &database).await {
                Ok(guarded) => guarded,
                Err(refused) => return refused.into_http(),
            };
            let peer = request.extensions().get::<Peer>().and_then(Peer::address);
            // It is known at once, but for the few calls that wait for the keys of tokens.
            match guarded.access.admit(request.uri().path(), request.headers(), peer).await {
                Ok(call) => known = call.map(|call| (guarded.access, call)),
                Err(refused) => return refused.into_http(),
            }
        }
        let held = match self.take(&request) {
            Ok(held) => held,
            Err(refused) => return refused.into_http(),
        };
        let Ok(response) = self.routes.call(with_few_headers(request)).await;
        let response = match known {
            // What takes the messages of the call knows nothing of keys.
            Some((access, call)) => access.streaming(response, call, true),
            None => response,
        };
        response.map(|inner| Body::new(Holding { inner, _held: held }))
    }

    fn take(&self, request: &Request<Body>) -> Result<Held, Status> {
        if is_reflection(request.uri().path()) {
            return Ok(Held::Reflection { _permit: permit_of(&self.reflections)? });
        }
        let call = request.extensions().get::<Peer>().map(Peer::health_call).transpose()?;
        Ok(Held::Health { _call: call })
    }
}

/// A permit of reflection.
fn permit_of(reflections: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Status> {
    let full = |_| status::too_many_requests("REFLECTION_CALLS_MAX", REFLECTION_CALLS_MAX);
    Arc::clone(reflections).try_acquire_owned().map_err(full)
}

/// What knows callers, which few wait for: until it is there nobody is known whom they could keep from anything.
async fn guarded(reflections: &Arc<Semaphore>, database: &Late<Guarded>) -> Result<Guarded, Status> {
    if let Some(guarded) = database.now() {
        return Ok(guarded);
    }
    let _waiting = permit_of(reflections)?;
    database.for_call().await.ok_or_else(status::opening)
}

/// The request without what nobody reads of its headers, which may be kilobytes, for as long as it lasts.
fn with_few_headers(mut request: Request<Body>) -> Request<Body> {
    let mut few = HeaderMap::with_capacity(READ.len());
    for name in READ {
        if let Some(value) = request.headers_mut().remove(name) {
            few.insert(name, value);
        }
    }
    *request.headers_mut() = few;
    request
}

/// A body, and what is held until it goes.
struct Holding {
    inner: Body,
    _held: Held,
}

impl HttpBody for Holding {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Waker;

    use ragstone::Db;
    use ragstone_rag::Rag;
    use ragstone_rag::embed::{ModelOptions, Models};
    use tonic::Code;

    use super::*;
    use crate::access::{AccessConfig, JwtConfig};
    use crate::config::ServerConfig;
    use crate::metrics::Metrics;
    use crate::recall::Recall;
    use crate::rpc::Services;
    use crate::work::Work;

    /// The services of an empty database, which ask for a key, or for a token that is signed by a key of a set that cannot be read.
    fn asking() -> Late<Guarded> {
        let jwt = JwtConfig::new("/nowhere/keys.json", "issuer", "audience");
        let access = AccessConfig { required: true, jwt, ..AccessConfig::default() };
        let config = ServerConfig { access, ..ServerConfig::default() };
        let work = Work::new(&config);
        let metrics = Metrics::new(work.clone(), Recall::new(0.0, work.clone()));
        let models = Models::new(ModelOptions { offline: true, ..ModelOptions::default() });
        let rag = Rag::new(Db::in_memory().unwrap(), models);
        let services = Services::new(&config, rag, work, metrics);
        let database = Late::default();
        database.come(Guarded { api: services.api(&config), access: services.access().clone() });
        database
    }

    /// Permits were taken before anybody was asked who they are.
    #[tokio::test]
    async fn who_is_not_known_has_no_permit_of_reflection_and_needs_none_to_be_told_so() {
        let (calls, database) = (OpenCalls::new(Routes::default(), true), asking());
        let with = |credentials: &str| {
            let request = Request::post("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
            request.header("authorization", credentials).body(Body::empty()).unwrap()
        };
        let all = Arc::clone(&calls.reflections).try_acquire_many_owned(REFLECTION_CALLS_MAX as u32).unwrap();
        let refused = calls.clone().call(with("Bearer rsk_0123456789abcdef_x"), database.clone()).await;
        let status = Status::from_header_map(refused.headers()).unwrap();
        assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
        drop(all);
        // The key of this token is being looked for.
        let token = "Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ.e30.AA";
        let mut asked = pin!(calls.clone().call(with(token), database));
        assert!(asked.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(calls.reflections.available_permits(), REFLECTION_CALLS_MAX);
    }

    #[test]
    fn what_is_open_is_known_by_its_path() {
        let reflection = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
        assert!(is_open("/grpc.health.v1.Health/Check") && is_open(reflection));
        assert!(is_reflection(reflection) && !is_reflection("/grpc.health.v1.Health/Check"));
        assert!(!is_open("/ragstone.v1.SearchService/Query"));
    }

    #[tokio::test]
    async fn reflection_has_so_many_at_a_time_and_asks_where_callers_are_told_apart() {
        let calls = OpenCalls::new(Routes::default(), true);
        let of = |path: &str| Request::post(path).body(Body::empty()).unwrap();
        let reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
        assert!(calls.asks_of(reflection) && !calls.asks_of("/grpc.health.v1.Health/Check"));
        assert!(!OpenCalls::new(Routes::default(), false).asks_of(reflection));
        let mut held: Vec<Held> =
            (0..REFLECTION_CALLS_MAX).map(|_| calls.take(&of(reflection)).unwrap()).collect();
        let refused = calls.clone().take(&of(reflection)).unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert!(calls.take(&of("/grpc.health.v1.Health/Check")).is_ok(), "health is not reflection");
        held.pop();
        assert!(calls.take(&of(reflection)).is_ok());
    }

    #[test]
    fn what_nobody_reads_of_the_headers_goes() {
        let request = Request::post("/grpc.health.v1.Health/Check")
            .header("content-type", "application/grpc")
            .header("x-flood", "x".repeat(1_000))
            .body(Body::empty());
        let request = with_few_headers(request.unwrap());
        assert_eq!(request.headers().len(), 1);
        assert_eq!(request.headers()["content-type"], "application/grpc");
    }
}
