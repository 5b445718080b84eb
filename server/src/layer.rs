//! What happens to every request, whatever its service: a span, a place (see [`crate::work`]), a deadline, a limit on its
//! size, panics caught, a log line, and on the server's port a count.
//!
//! - `timeout.rs`: the deadline that the caller sets;
//! - `arriving.rs`: the request's body, bounded in size and in rest, and decompressed;
//! - `answering.rs`: an answer that is sent, one message or many, for which all this holds to its last byte;
//! - `giving_way.rs`: compressing, decompressing and long messages, off the runtime's threads;
//! - `headers.rs`: names of headers;
//! - `in_span.rs`: what runs, and ends, in the span;
//! - `line.rs`: the log line, and the count.
//!
//! The place comes before the body: a request that is refused costs no memory but its headers and what flow control lets
//! through, whatever it announces. Calls that stream have places of their own, as they may last. What comes beside a message, in the process
//! ([`crate::columns`]), is counted as its bytes are.
//!
//! tonic's own answers to a passed deadline (CANCELLED) and to too large a message (OUT_OF_RANGE) are neither what gRPC
//! names them nor carry details, so both are answered here first. A request that is given up is dropped: what still waits
//! for a thread is never begun, and what has begun on one finds its token cancelled and ends early where it looks at it
//! (`Services::wanted_rag`), or is completed; its answer is thrown away.

mod answering;
mod arriving;
mod giving_way;
mod headers;
mod in_span;
mod line;
#[cfg(test)]
mod tests;
mod timeout;
mod written;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

pub(crate) use self::answering::Watching;
use self::answering::{Answering, Ends};
pub(crate) use self::arriving::{Acknowledgements, Owed, patience};
use self::arriving::{Arriving, Compression, Decompressing, Pace};
use self::giving_way::Compressed;
pub(crate) use self::giving_way::{giving_way, is_compressed};
pub(crate) use self::headers::{code_in, is_grpc};
use self::in_span::InSpan;
pub(crate) use self::line::LONG;
use self::line::Line;
use self::timeout::grpc_timeout;
use self::written::written;
use crate::calls::{Called, Calls};
use crate::columns::Beside;
use crate::connections::Peer;
use crate::limits::UNPLACED_REQUEST_BYTES_MAX;
use crate::metrics::GrpcMetrics;
use crate::patience::Patience;
use crate::status;
use crate::work::{Place, Work};

/// The answer is sent so long before the deadline, for the caller to have it in time.
const ANSWER_AHEAD: Duration = Duration::from_millis(2);

/// A deadline that is later than clocks count is this far away.
pub(crate) const FOREVER: Duration = Duration::from_secs(30 * 365 * 86_400);

/// How the codec's complaints begin: about a message that is none, and about its compression.
const UNREADABLE: &str = "failed to decode Protobuf message";
const COMPRESSION_UNKNOWN: &str = "Content is compressed with";

/// What holds for every request.
#[derive(Clone, Debug)]
pub(crate) struct RequestLayer {
    pub(crate) request_timeout: Duration,
    /// The same, of calls that stream.
    pub(crate) stream_timeout: Duration,
    /// For how long a caller may take nothing of an answer.
    pub(crate) answer_stall_timeout: Duration,
    pub(crate) request_bytes_max: usize,
    pub(crate) calls: Calls,
    /// What counts and traces calls, if anything does.
    pub(crate) counts: Option<GrpcMetrics>,
    /// Where a request takes its place, before its body is read.
    pub(crate) work: Work,
    /// Becomes true when requests under way are to be given up.
    pub(crate) give_up: watch::Receiver<bool>,
    /// Who watches over answers that are sent.
    pub(crate) watching: Watching,
}

impl<S> Layer<S> for RequestLayer {
    type Service = RequestService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequestService { inner, rules: Arc::new(self.clone()) }
    }
}

/// The service that [`RequestLayer`] makes of another.
#[derive(Clone, Debug)]
pub(crate) struct RequestService<S> {
    inner: S,
    /// One for all requests, as each takes it along.
    rules: Arc<RequestLayer>,
}

/// The answer to come.
type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<S> Service<Request<Body>> for RequestService<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = InSpan<Answer>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if let Some(peer) = request.extensions_mut().get_mut::<Peer>() {
            // Answers of the connection wait for it no longer.
            peer.runs();
        }
        let spare = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, spare);
        let rules = Arc::clone(&self.rules);
        let line = rules.begin(&request);
        let (span, call) = (line.span().clone(), line.call());
        let answer: Answer = Box::pin(rules.answer(inner, request, line));
        // Its handler finds a call that is traced in its task.
        let answer: Answer = if call.is_recorded() { Box::pin(call.hold(answer)) } else { answer };
        InSpan::new(span, answer)
    }
}

impl RequestLayer {
    /// A call begins: what is known of it is found here, once.
    fn begin(&self, request: &Request<Body>) -> Line {
        let called = self.calls.method(request.uri().path());
        let counted = self.counts.as_ref().map(|counts| counts.begin(called.known(), request.headers()));
        let span = match counted.as_ref().and_then(|counted| counted.call().trace_id()) {
            Some(trace_id) => {
                tracing::info_span!("rpc", method = called.path(), trace_id = trace_id.as_str())
            }
            None => called.span(),
        };
        Line::begin(called, span, counted)
    }

    async fn answer<S>(
        self: Arc<Self>,
        inner: S,
        request: Request<Body>,
        line: Line,
    ) -> Result<Response<Body>, Infallible>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    {
        let (started, shape) = (line.started(), line.called().shape());
        let longest = if shape.streams() { self.stream_timeout } else { self.request_timeout };
        let timeout = grpc_timeout(request.headers()).unwrap_or(Duration::MAX).min(longest);
        let deadline = later(started, timeout.saturating_sub(ANSWER_AHEAD));
        let place = line.called().kind().map(|kind| self.work.admit(kind, shape.streams())).transpose();
        let peer = request.extensions().get::<Peer>().cloned();
        let given_up = started.into_std().checked_add(timeout);
        let begun = place.and_then(|place| {
            let Some(place) = place else { return Ok((None, None)) };
            let working = peer.as_ref().map(Peer::work).transpose()?;
            Ok((Some(place.until(given_up).by(peer)), working))
        });
        let (response, place, mut working) = match begun {
            Ok((place, working)) => {
                // In its place from the beginning: what is handed on is copied, and it is large.
                let mut handled = pin!(self.handle(inner, request, line.called(), place.clone()));
                let handled = poll_fn(|context| caught(handled.as_mut(), context));
                // Made when they are first waited for: most calls are answered at once.
                let passed = async { tokio::time::sleep_until(deadline).await };
                let given_up = async {
                    let mut give_up = self.give_up.clone();
                    let _ = give_up.wait_for(|give_up| *give_up).await;
                };
                let response = tokio::select! {
                    biased;
                    outcome = handled => outcome.unwrap_or_else(|Panicked| status::fault().into_http()),
                    () = passed => status::deadline_exceeded(timeout).into_http(),
                    () = given_up => status::shutting_down().into_http(),
                };
                (response, place, working)
            }
            Err(refused) => (refused.into_http(), None, None),
        };
        let (mut head, mut body) = response.into_parts();
        if is_compressed(&head.headers) {
            body = Body::new(Compressed(body));
        }
        if head.headers.contains_key(&headers::STATUS) {
            head.headers = with_details(head.headers);
            line.end_with(code_in(&head.headers).unwrap_or(Code::Unknown), &head.headers);
            return Ok(Response::from_parts(head, body));
        }
        if let Some(working) = &mut working {
            working.is_answered();
        }
        let patience = match shape.server_streams {
            true => Patience::for_each(self.answer_stall_timeout),
            false => Patience::by_bytes(self.answer_stall_timeout),
        };
        let ends = Ends { deadline, timeout, patience };
        let answering = Answering::new(body, (place, working), line, (ends, &self.watching));
        Ok(Response::from_parts(head, Body::new(answering)))
    }

    /// The handler's answer to a request that has come so far.
    fn handle<S>(
        &self,
        mut inner: S,
        request: Request<Body>,
        called: &Called,
        place: Option<Place>,
    ) -> impl Future<Output = Response<Body>>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    {
        let bytes_max = match &place {
            Some(_) => self.request_bytes_max,
            // Health and reflection, whose bytes are not counted: their requests are short.
            None => self.request_bytes_max.min(UNPLACED_REQUEST_BYTES_MAX),
        };
        let (shape, scan) = (called.shape(), called.scan());
        let turns = self.work.large_messages().clone();
        async move {
            if let (Some(place), Some(beside)) = (&place, request.extensions().get::<Beside>())
                && let Err(refused) = place.take(beside.bytes())
            {
                return refused.into_http();
            }
            let acknowledgements = Acknowledgements::default();
            let pace = match shape.client_streams {
                true => Pace::Stream(acknowledgements.clone()),
                false => Pace::Message,
            };
            let is_compressed = is_compressed(request.headers());
            let compression = if is_compressed { Compression::of(request.headers()) } else { None };
            let mut request = request.map(|body| {
                let arriving = Arriving::new(body, bytes_max, pace).counted(place.clone(), scan);
                let arriving = arriving.taking_turns(turns, acknowledgements.clone());
                match compression {
                    Some(compression) => Body::new(Decompressing::new(arriving, compression)),
                    None => Body::new(arriving),
                }
            });
            if shape.client_streams {
                request.extensions_mut().insert(acknowledgements.clone());
            }
            if !is_compressed {
                // Many clients accept what they never asked for; compressing costs more time than it saves on most networks.
                request.headers_mut().remove(&headers::ACCEPT_ENCODING);
            }
            let called = giving_way(inner.call(request), (is_compressed, acknowledgements));
            let Some(place) = place else {
                let Ok(response) = called.await;
                return response;
            };
            let Ok(response) = place.clone().hold(called).await;
            match place.answers_long() && !shape.server_streams {
                // Few are, and the others' futures have no room for it. In its place: turns are had by callers.
                true => Box::pin(place.clone().hold(written(response, self.work.large_answers()))).await,
                false => response,
            }
        }
    }
}

/// Gives details to what tonic answers by itself, in headers or trailers: a method that there is not, a message that is no
/// message of its type (or a filter so deep that it is not even read), or one that is compressed in a way that is not known.
fn with_details(mut headers: HeaderMap) -> HeaderMap {
    // Of what went well nothing is made: a status takes a copy of all headers along.
    if !matches!(code_in(&headers), Some(Code::Unimplemented | Code::Internal))
        || headers.contains_key(&headers::STATUS_DETAILS)
    {
        return headers;
    }
    let Some(status) = Status::from_header_map(&headers) else { return headers };
    let message = status.message();
    let better = match status.code() {
        Code::Unimplemented if message.starts_with(COMPRESSION_UNKNOWN) => {
            status::unknown_compression(message)
        }
        Code::Unimplemented => status::unknown_method(),
        Code::Internal if message.starts_with(UNREADABLE) => status::malformed(message),
        _ => return headers,
    };
    // What else stands there stays (`grpc-accept-encoding`). A status of ours can always be written as headers.
    let _ = better.add_header(&mut headers);
    headers
}

/// So long after a moment, or far away where clocks do not count so far.
pub(crate) fn later(moment: Instant, time: Duration) -> Instant {
    moment.checked_add(time).unwrap_or_else(|| moment + FOREVER)
}

struct Panicked;

/// Polls a future; a panic of it ends it with an error instead of ending the connection.
fn caught<F: Future>(future: Pin<&mut F>, context: &mut Context<'_>) -> Poll<Result<F::Output, Panicked>> {
    // The future is not polled again after a panic, so no broken state of it is ever seen.
    match catch_unwind(AssertUnwindSafe(|| future.poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(_) => Poll::Ready(Err(Panicked)),
    }
}
