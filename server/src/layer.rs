//! What happens to every request, whatever its service: a span, a place (see [`crate::work`]), a deadline, a limit on its
//! size, panics caught, a log line.
//!
//! The place comes before the body: a request that is refused costs no memory but its headers and what flow control lets
//! through, whatever it announces.
//!
//! tonic's own answers to a passed deadline (CANCELLED) and to too large a message (OUT_OF_RANGE) are neither what gRPC
//! names them nor carry details, so both are answered here first. A request that is given up is dropped: what still waits
//! for a thread is never begun, and what has begun on one is completed and its answer thrown away.

use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use http::{HeaderMap, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::watch;
use tokio::time::Sleep;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::Instrument as _;

use crate::limits::BODY_IDLE_SECONDS_MAX;
use crate::status;
use crate::work::{Kind, Work};

/// The answer is sent so long before the deadline, for the caller to have it in time.
const ANSWER_AHEAD: Duration = Duration::from_millis(2);

/// How long a body that holds a place may rest.
const BODY_IDLE: Duration = Duration::from_secs(BODY_IDLE_SECONDS_MAX);

/// How the codec's complaint about a message begins.
const UNREADABLE: &str = "failed to decode Protobuf message";

/// What holds for every request.
#[derive(Clone, Debug)]
pub(crate) struct RequestLayer {
    pub(crate) request_timeout: Duration,
    pub(crate) request_bytes_max: usize,
    /// Where a request takes its place, before its body is read.
    pub(crate) work: Work,
    /// Becomes true when requests under way are to be given up.
    pub(crate) give_up: watch::Receiver<bool>,
}

impl<S> Layer<S> for RequestLayer {
    type Service = RequestService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequestService { inner, rules: self.clone() }
    }
}

/// The service that [`RequestLayer`] makes of another.
#[derive(Clone, Debug)]
pub(crate) struct RequestService<S> {
    inner: S,
    rules: RequestLayer,
}

impl<S> Service<Request<Body>> for RequestService<S>
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
        let spare = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, spare);
        let rules = self.rules.clone();
        let method = request.uri().path().to_owned();
        let span = tracing::info_span!("rpc", method = method.as_str());
        Box::pin(
            async move {
                let started = Instant::now();
                let response = rules.answer(inner, request).await;
                log(&method, &response, started.elapsed());
                Ok(response)
            }
            .instrument(span),
        )
    }
}

impl RequestLayer {
    async fn answer<S>(mut self, mut inner: S, request: Request<Body>) -> Response<Body>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    {
        let timeout = grpc_timeout(request.headers()).unwrap_or(Duration::MAX).min(self.request_timeout);
        let place = match Kind::of(request.uri().path()).map(|kind| self.work.admit(kind)).transpose() {
            Ok(place) => place,
            Err(refused) => return refused.into_http(),
        };
        let limited = place.is_some();
        let bytes_max = self.request_bytes_max;
        let request = request.map(|body| Body::new(LimitedBody::new(body, bytes_max, limited)));
        let handled = caught(async move {
            match place {
                Some(place) => place.hold(inner.call(request)).await,
                None => inner.call(request).await,
            }
        });
        tokio::select! {
            biased;
            outcome = handled => match outcome {
                Ok(Ok(response)) => detailed(response),
                Err(Panicked) => status::fault().into_http(),
            },
            () = tokio::time::sleep(timeout.saturating_sub(ANSWER_AHEAD)) => {
                status::deadline_exceeded(timeout).into_http()
            }
            _ = self.give_up.wait_for(|give_up| *give_up) => status::shutting_down().into_http(),
        }
    }
}

/// Gives details to what tonic answers before a handler is reached: a method that there is not, and a message that is no
/// message of its type (or a filter so deep that it is not even read).
fn detailed(response: Response<Body>) -> Response<Body> {
    if !response.headers().contains_key("grpc-status")
        || response.headers().contains_key("grpc-status-details-bin")
    {
        return response;
    }
    match Status::from_header_map(response.headers()) {
        Some(status) if status.code() == Code::Unimplemented => status::unknown_method().into_http(),
        Some(status) if status.code() == Code::Internal && status.message().starts_with(UNREADABLE) => {
            status::malformed(status.message()).into_http()
        }
        _ => response,
    }
}

/// A line a request; its code is in the headers unless the answer has a body, and then it is OK.
fn log(method: &str, response: &Response<Body>, elapsed: Duration) {
    let code =
        response.headers().get("grpc-status").map_or(Code::Ok, |status| Code::from_bytes(status.as_bytes()));
    let latency_ms = elapsed.as_secs_f64() * 1e3;
    match code {
        Code::Internal | Code::DataLoss | Code::Unknown => {
            tracing::error!(method, ?code, latency_ms, "request");
        }
        _ if method.starts_with("/grpc.health.") => tracing::debug!(method, ?code, latency_ms, "request"),
        _ => tracing::info!(method, ?code, latency_ms, "request"),
    }
}

struct Panicked;

/// Polls a future; a panic of it ends it with an error instead of ending the connection.
async fn caught<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(move |context| {
        // The future is not polled again after a panic, so no broken state of it is ever seen.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(Panicked)),
        }
    })
    .await
}

/// The deadline that the caller set: up to eight digits and a unit, as the gRPC protocol writes it.
fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3_600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// A request's body, refused as soon as the length of its (first) message is known to be beyond the limit. Later messages
/// of a stream are left to the codec, which has the same limit.
///
/// A body that holds a place must also go on arriving: otherwise a few callers who begin requests and send nothing would
/// hold every place for as long as a request may take.
struct LimitedBody {
    inner: Body,
    bytes_max: usize,
    /// When the body is given up, unless more of it comes; none for streams that may rest (reflection).
    idle: Option<Pin<Box<Sleep>>>,
    /// The message's prefix: a flag and its length in four bytes, big-endian.
    prefix: [u8; 5],
    prefix_bytes: usize,
}

impl LimitedBody {
    fn new(inner: Body, bytes_max: usize, limited: bool) -> LimitedBody {
        let idle = limited.then(|| Box::pin(tokio::time::sleep(BODY_IDLE)));
        LimitedBody { inner, bytes_max, idle, prefix: [0; 5], prefix_bytes: 0 }
    }

    /// The inner body's next frame, unless it rests for too long.
    fn poll_inner(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(context);
        let Some(idle) = &mut self.idle else { return frame };
        if frame.is_ready() {
            idle.as_mut().reset(tokio::time::Instant::now() + BODY_IDLE);
            return frame;
        }
        ready!(idle.as_mut().poll(context));
        Poll::Ready(Some(Err(status::body_stalled(BODY_IDLE))))
    }

    fn inspect(&mut self, data: &Bytes) -> Result<(), Status> {
        if self.prefix_bytes == self.prefix.len() {
            return Ok(());
        }
        let wanted = &mut self.prefix[self.prefix_bytes..];
        let taken = wanted.len().min(data.remaining());
        wanted[..taken].copy_from_slice(&data[..taken]);
        self.prefix_bytes += taken;
        let [_, length @ ..] = self.prefix;
        let length = u64::from(u32::from_be_bytes(length));
        if self.prefix_bytes == self.prefix.len() && length > self.bytes_max as u64 {
            return Err(status::request_too_large(self.bytes_max, length));
        }
        Ok(())
    }
}

impl HttpBody for LimitedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(self.poll_inner(context));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && let Err(status) = self.inspect(data)
        {
            return Poll::Ready(Some(Err(status)));
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

    fn timeout_of(value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", value.parse().unwrap());
        grpc_timeout(&headers)
    }

    #[test]
    fn timeouts_are_read_as_the_protocol_writes_them() {
        assert_eq!(timeout_of("2H"), Some(Duration::from_secs(7_200)));
        assert_eq!(timeout_of("3M"), Some(Duration::from_secs(180)));
        assert_eq!(timeout_of("99999999S"), Some(Duration::from_secs(99_999_999)));
        assert_eq!(timeout_of("250m"), Some(Duration::from_millis(250)));
        assert_eq!(timeout_of("7u"), Some(Duration::from_micros(7)));
        assert_eq!(timeout_of("7n"), Some(Duration::from_nanos(7)));
        for wrong in ["", "S", "100000000S", "5", "-5S", "5s", "5 S", "+5S"] {
            assert_eq!(timeout_of(wrong), None, "{wrong}");
        }
        assert_eq!(grpc_timeout(&HeaderMap::new()), None);
    }

    #[test]
    fn lengths_are_seen_through_any_cut_of_the_frames() {
        let message = [&[0u8][..], &1_000u32.to_be_bytes(), &[7; 20]].concat();
        for cut in 0..message.len() {
            for (bytes_max, fits) in [(1_000, true), (999, false)] {
                let mut body = LimitedBody::new(Body::empty(), bytes_max, false);
                let (first, second) = message.split_at(cut);
                let outcome = body
                    .inspect(&Bytes::copy_from_slice(first))
                    .and_then(|()| body.inspect(&Bytes::copy_from_slice(second)));
                assert_eq!(outcome.is_ok(), fits, "cut at {cut}");
            }
        }
    }

    #[tokio::test]
    async fn a_panic_becomes_an_error() {
        assert!(caught(async { 1 }).await.is_ok());
        assert!(caught(async { panic!("deliberate") }).await.is_err());
    }
}
