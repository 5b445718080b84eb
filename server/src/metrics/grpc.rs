//! gRPC requests, counted: a layer around all others.
//!
//! A request ends with its answer's trailers, which say how; in an answer without a body they are among its headers. One whose answer is
//! dropped before that was given up by its caller. So it is the place where the span of a request begins and ends, too.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::{Layer, Service};

use super::{Families, Method, MethodCode, Metrics};
use crate::layer::code_in;
use crate::status::code_name;
use crate::telemetry::{Call, Traces};

/// What a method is counted under that the server does not have: callers may name any.
const UNKNOWN: &str = "unknown";
/// How many codes there are.
const CODES: usize = 17;

/// Methods of other packages, which are health and reflection, are of no interest to who looks at traces.
const TRACED: &str = "ragstone.";

/// Counts, times and traces every request.
#[derive(Clone, Debug)]
pub(crate) struct GrpcMetricsLayer {
    metrics: Metrics,
    traces: Traces,
    /// Of all methods, by their paths.
    methods: Arc<HashMap<String, Arc<Series>>>,
    unknown: Arc<Series>,
}

impl GrpcMetricsLayer {
    /// For the methods of some encoded `FileDescriptorSet`s.
    pub(crate) fn new(metrics: Metrics, traces: Traces, descriptors: &[&[u8]]) -> GrpcMetricsLayer {
        let sets = descriptors.iter().filter_map(|encoded| FileDescriptorSet::decode(*encoded).ok());
        let mut methods = HashMap::new();
        for file in sets.flat_map(|set| set.file) {
            for service in &file.service {
                let name = format!("{}.{}", file.package(), service.name());
                let series = service.method.iter().map(|method| {
                    let path = format!("/{name}/{}", method.name());
                    (path, Arc::new(Series::new(&name, method.name())))
                });
                methods.extend(series);
            }
        }
        let unknown = Arc::new(Series::new(UNKNOWN, UNKNOWN));
        GrpcMetricsLayer { metrics, traces, methods: Arc::new(methods), unknown }
    }

    fn begin(self: &Arc<Self>, request: &Request<Body>) -> Rpc {
        let path = request.uri().path();
        let series = self.methods.get(path);
        let call = match series.and_then(|_| path.strip_prefix('/')) {
            Some(method) if !method.starts_with(TRACED) => Call::default(),
            method => self.traces.rpc(request.headers(), method),
        };
        self.metrics.shared.families.grpc_in_flight.inc();
        Rpc {
            layer: Arc::clone(self),
            series: Arc::clone(series.unwrap_or(&self.unknown)),
            started: Instant::now(),
            code: Code::Cancelled,
            call,
        }
    }
}

/// The series of a method, each looked up when it is first needed: a request makes no labels and takes no lock for them.
#[derive(Debug)]
struct Series {
    method: Method,
    seconds: OnceLock<Histogram>,
    /// By the number of the code.
    requests: [OnceLock<Counter>; CODES],
}

impl Series {
    fn new(service: &str, method: &str) -> Series {
        Series {
            method: Method { service: service.to_owned(), method: method.to_owned() },
            seconds: OnceLock::new(),
            requests: std::array::from_fn(|_| OnceLock::new()),
        }
    }

    /// A request has ended.
    fn ended(&self, families: &Families, code: Code, seconds: f64) {
        let histogram = self.seconds.get_or_init(|| families.grpc_seconds.get_or_create_owned(&self.method));
        histogram.observe(seconds);
        let find = || {
            let Method { service, method } = self.method.clone();
            families.grpc_requests.get_or_create_owned(&MethodCode { service, method, code: code_name(code) })
        };
        if let Some(counter) = self.requests.get(code as usize) {
            counter.get_or_init(find).inc();
        }
    }
}

impl<S> Layer<S> for GrpcMetricsLayer {
    type Service = GrpcMetrics<S>;

    fn layer(&self, inner: S) -> Self::Service {
        GrpcMetrics { inner, layer: Arc::new(self.clone()) }
    }
}

/// The service that [`GrpcMetricsLayer`] makes of another.
#[derive(Clone, Debug)]
pub(crate) struct GrpcMetrics<S> {
    inner: S,
    /// One for all requests.
    layer: Arc<GrpcMetricsLayer>,
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
        let mut rpc = self.layer.begin(&request);
        let call = rpc.call.clone();
        let answer = call.within(|| self.inner.call(request));
        Box::pin(async move {
            let response = call.hold(answer).await?;
            rpc.see(response.headers());
            Ok(response.map(|body| Body::new(Measured { inner: body, rpc: Some(rpc) })))
        })
    }
}

/// A request; it ends with the value.
struct Rpc {
    layer: Arc<GrpcMetricsLayer>,
    series: Arc<Series>,
    started: Instant,
    code: Code,
    call: Call,
}

impl Rpc {
    /// Looks for the status among headers or trailers.
    fn see(&mut self, headers: &HeaderMap) {
        if let Some(code) = code_in(headers) {
            self.code = code;
            if self.code != Code::Ok {
                let details = Status::from_header_map(headers).map(|status| status.get_error_details());
                let reason = details.as_ref().and_then(|details| details.error_info());
                self.layer.metrics.failed(reason.map(|info| info.reason.as_str()).unwrap_or_default());
            }
        }
    }
}

impl Drop for Rpc {
    fn drop(&mut self) {
        let families = &self.layer.metrics.shared.families;
        families.grpc_in_flight.dec();
        self.call.answered_rpc(code_name(self.code));
        self.series.ended(families, self.code, self.started.elapsed().as_secs_f64());
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What counts them has a place for each.
    #[test]
    fn every_code_has_its_number_and_its_name() {
        let names: Vec<&str> = (0..CODES as i32).map(|number| code_name(Code::from_i32(number))).collect();
        assert!((0..CODES).all(|number| Code::from_i32(number as i32) as usize == number));
        assert!(names.iter().enumerate().all(|(at, name)| !names[..at].contains(name)), "{names:?}");
        assert_eq!(Code::from_i32(CODES as i32), Code::Unknown, "there is no further one");
    }
}
