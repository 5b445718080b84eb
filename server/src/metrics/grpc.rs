//! gRPC requests, counted: a layer around all others.
//!
//! A request ends with its answer's trailers, which say how; in an answer without a body they are among its headers. One whose answer is
//! dropped before that was given up by its caller.

use std::collections::HashSet;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::Code;
use tonic::body::Body;
use tower::{Layer, Service};

use super::{Method, MethodCode, Metrics};

/// What a method is counted under that the server does not have: callers may name any.
const UNKNOWN: &str = "unknown";

/// Counts and times every request.
#[derive(Clone, Debug)]
pub(crate) struct GrpcMetricsLayer {
    metrics: Metrics,
    /// The paths of all methods.
    methods: Arc<HashSet<String>>,
}

impl GrpcMetricsLayer {
    /// For the methods of some encoded `FileDescriptorSet`s.
    pub(crate) fn new(metrics: Metrics, descriptors: &[&[u8]]) -> GrpcMetricsLayer {
        let sets = descriptors.iter().filter_map(|encoded| FileDescriptorSet::decode(*encoded).ok());
        let mut methods = HashSet::new();
        for file in sets.flat_map(|set| set.file) {
            for service in &file.service {
                let path = |name: &str| format!("/{}.{}/{name}", file.package(), service.name());
                methods.extend(service.method.iter().map(|method| path(method.name())));
            }
        }
        GrpcMetricsLayer { metrics, methods: Arc::new(methods) }
    }

    fn begin(&self, path: &str) -> Rpc {
        let known = self.methods.get(path).and_then(|path| path.strip_prefix('/')?.split_once('/'));
        let (service, method) = known.unwrap_or((UNKNOWN, UNKNOWN));
        self.metrics.families.grpc_in_flight.inc();
        Rpc {
            metrics: self.metrics.clone(),
            method: Method { service: service.to_owned(), method: method.to_owned() },
            started: Instant::now(),
            code: Code::Cancelled,
        }
    }
}

impl<S> Layer<S> for GrpcMetricsLayer {
    type Service = GrpcMetrics<S>;

    fn layer(&self, inner: S) -> Self::Service {
        GrpcMetrics { inner, layer: self.clone() }
    }
}

/// The service that [`GrpcMetricsLayer`] makes of another.
#[derive(Clone, Debug)]
pub(crate) struct GrpcMetrics<S> {
    inner: S,
    layer: GrpcMetricsLayer,
}

impl<S> Service<Request<Body>> for GrpcMetrics<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut rpc = self.layer.begin(request.uri().path());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            rpc.see(response.headers());
            Ok(response.map(|body| Body::new(Measured { inner: body, rpc: Some(rpc) })))
        })
    }
}

/// A request; it ends with the value.
struct Rpc {
    metrics: Metrics,
    method: Method,
    started: Instant,
    code: Code,
}

impl Rpc {
    /// Looks for the status among headers or trailers.
    fn see(&mut self, headers: &HeaderMap) {
        if let Some(status) = headers.get("grpc-status") {
            self.code = Code::from_bytes(status.as_bytes());
        }
    }
}

impl Drop for Rpc {
    fn drop(&mut self) {
        let families = &self.metrics.families;
        families.grpc_in_flight.dec();
        families.grpc_seconds.get_or_create(&self.method).observe(self.started.elapsed().as_secs_f64());
        let Method { service, method } = self.method.clone();
        families.grpc_requests.get_or_create(&MethodCode { service, method, code: name(self.code) }).inc();
    }
}

/// An answer's body, watched for its trailers.
struct Measured {
    inner: Body,
    rpc: Option<Rpc>,
}

impl HttpBody for Measured {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let (Some(trailers), Some(rpc)) = (frame.trailers_ref(), &mut self.rpc) {
                    rpc.see(trailers);
                }
            }
            Some(Err(status)) => {
                if let Some(rpc) = &mut self.rpc {
                    rpc.code = status.code();
                }
            }
            None => self.rpc = None,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The names that the gRPC protocol has for its codes.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
