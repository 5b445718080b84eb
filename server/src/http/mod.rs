//! The HTTP port: what is asked without gRPC.
//!
//! | route | what it is |
//! |---|---|
//! | `GET /metrics` | metrics, for Prometheus ([`metrics`](crate::metrics) lists them) |
//! | `GET /healthz` | the process is alive |
//! | `GET /readyz` | it can do what it is there for; otherwise 503, and why |
//! | `GET /v1/models` | models, in the OpenAI protocol |
//! | `POST /v1/embeddings` | embeddings, in the OpenAI protocol |
//! | `POST /v1/chat/completions` | answers with citations, in the OpenAI protocol, streamed or not |
//!
//! The first three are answered from the first moment to the last: while the database is being opened, and while calls that were under way
//! when the server was asked to stop are completed. Work is refused in both, by 503.
//!
//! Where callers are told apart ([`access`](crate::access)), `/healthz` and `/readyz` are for everybody, and all else needs credentials.
//!
//! The port is off unless it is asked for (`ragstone serve --http-listen ADDR`): a port that nobody asked for is not opened.
//!
//! Invariants:
//! * Work passes the same gates, under the same limits of bytes and time, as that of gRPC, and ends when its caller leaves.
//! * What is logged of a request has its span (and so its `trace_id`, where it is traced), also by a stream while it is sent and when it is given up.
//! * Answers are counted beside requests, and both hold their place until they have gone. Those of `/metrics`, which have no place, are few at a time
//!   ([`METRICS_ANSWERS_MAX`]).
//! * Who stops taking an answer for [`answer_stall_timeout`](ServerConfig::answer_stall_timeout), or takes it byte by byte, loses the connection, and the answer ends.
//! * The connections are bounded ([`http_connections_max`](ServerConfig::http_connections_max)), and so is the time that headers and
//!   a body may take to arrive. Where all are taken the one that has rested longest ends for another: who asks for nothing keeps nobody out.
//! * A page in a browser cannot use it: a body must be declared as JSON, which other sites may not send without being allowed to, and
//!   a port on the loopback interface answers to no name but the machine's own (DNS rebinding).

mod answer;
mod health;
mod line;
mod listen;
mod openai;
mod port;
mod request;
mod sending;
mod stall;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tonic::Code;
use tower::Service as _;
use tracing::Instrument as _;
use tracing::field::Empty;

use self::answer::{ApiError, measured, text};
use self::line::Line;
use self::listen::{Accepting, Connections, Origin};
use self::port::{Port, other_method};
use self::sending::holding;
use crate::access::within;
use crate::config::ServerConfig;
use crate::late::Late;
use crate::limits::METRICS_ANSWERS_MAX;
use crate::metrics::Metrics;
use crate::rpc::Services;
use crate::status;
use crate::telemetry::{Call, Traces};
use crate::tls::Tls;

/// What is answered whatever the server is at.
const PROBES: [&str; 3] = ["/metrics", "/healthz", "/readyz"];

/// Routes that are counted under their own name, beside [`PROBES`]; all else is `unknown`, as callers may ask for anything.
const ROUTES: [&str; 3] = ["/v1/models", "/v1/embeddings", "/v1/chat/completions"];

/// How far the server's life is; each stage comes after those above it, and some may be left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    #[default]
    Serving,
    /// Nothing new is begun, and what is under way is completed. Who asks how the server is has an answer.
    Draining,
    /// Nothing is accepted any more; what is being sent is sent to its end.
    Ending,
    /// What is under way is given up.
    Closing,
}

/// The port, with a database or still without; cheap to clone.
#[derive(Clone)]
pub(crate) struct Front {
    metrics: Metrics,
    traces: Traces,
    stage: watch::Receiver<Stage>,
    opened: Late<Opened>,
    /// Requests for work whose answer has not ended.
    under_way: watch::Sender<usize>,
    connections: Connections,
    /// Who looks through the database for metrics: one at a time.
    scraping: Arc<Semaphore>,
    /// Metrics that are asked for, or are being sent.
    scrapes: Arc<Semaphore>,
    /// Whether callers are told apart.
    asks: bool,
    /// Whether the port is on the loopback interface.
    loopback: bool,
    /// What URLs of the port begin with.
    scheme: &'static str,
}

/// What there is once the database is open.
#[derive(Clone)]
struct Opened {
    services: Services,
    /// Whether the default model must be loaded for the server to be ready.
    needs_model: bool,
    work: Router,
}

impl Front {
    pub(crate) fn new(
        (metrics, traces): (Metrics, Traces),
        config: &ServerConfig,
        stage: watch::Receiver<Stage>,
    ) -> Front {
        Front {
            metrics,
            traces,
            stage,
            opened: Late::default(),
            under_way: watch::Sender::new(0),
            connections: Connections {
                max: config.http_connections_max.min(Semaphore::MAX_PERMITS),
                header_timeout: config.http_header_timeout,
                write_timeout: config.answer_stall_timeout,
            },
            scraping: Arc::new(Semaphore::new(1)),
            scrapes: Arc::new(Semaphore::new(METRICS_ANSWERS_MAX)),
            asks: config.access.is_on(),
            loopback: false,
            scheme: "http",
        }
    }

    /// The database is open.
    pub(crate) fn open(&self, services: Services, config: &ServerConfig) {
        let work = Port::new(services.clone(), config, self.stage.clone()).router();
        self.opened.come(Opened { services, needs_model: config.load_default_model, work });
    }

    /// Serves until the stage is [`Stage::Ending`]; returns when every connection has ended.
    pub(crate) async fn serve(mut self, listener: TcpListener, tls: Option<Tls>) {
        self.loopback = listener.local_addr().is_ok_and(|address: SocketAddr| address.ip().is_loopback());
        self.scheme = if tls.is_some() { "https" } else { "http" };
        let (stage, connections) = (self.stage.clone(), self.connections);
        listen::serve(Accepting { listener, tls }, self.router(), connections, stage).await;
    }

    /// Returns when no request for work is under way.
    pub(crate) async fn idle(&self) {
        // The sender is `self`.
        let _ = self.under_way.subscribe().wait_for(|requests| *requests == 0).await;
    }

    fn router(self) -> Router {
        Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(health::alive))
            .route("/readyz", get(health::ready))
            .fallback(work)
            .method_not_allowed_fallback(other_method)
            .layer(middleware::from_fn_with_state(self.clone(), every_request))
            .with_state(self)
    }
}

/// A request for work, from its headers to the end of its answer.
struct UnderWay(watch::Sender<usize>);

impl UnderWay {
    fn begin(requests: &watch::Sender<usize>) -> UnderWay {
        requests.send_modify(|requests| *requests += 1);
        UnderWay(requests.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|requests| *requests -= 1);
    }
}

/// What happens to every request: counted, logged, refused if its host is none of ours.
async fn every_request(State(front): State<Front>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let route = match path.starts_with("/v1/models/") {
        true => "/v1/models",
        false => PROBES.into_iter().chain(ROUTES).find(|route| *route == path).unwrap_or("unknown"),
    };
    // Of probes and scrapes, which come every few seconds, nobody wants to see a trace.
    let call = match ROUTES.contains(&route) {
        true => front.traces.http(&request, (route, front.scheme)),
        false => Call::default(),
    };
    let span = tracing::info_span!("http", route, trace_id = Empty);
    if let Some(trace_id) = call.trace_id() {
        span.record("trace_id", trace_id.as_str());
    }
    let mut counted = front.metrics.http(route, call.clone());
    let mut line = Some(Line::begin(route, span.clone()));
    let under_way = (!PROBES.contains(&route)).then(|| UnderWay::begin(&front.under_way));
    let is_head = request.method() == http::Method::HEAD;
    let host = request.headers().get(http::header::HOST).and_then(|host| host.to_str().ok());
    let response = match host {
        Some(host) if front.loopback && !request::is_own_host(host) => ApiError::foreign_host().into(),
        _ => call.hold(next.run(request)).instrument(span.clone()).await,
    };
    if is_head {
        // Nobody asks for the body that such an answer does not have.
        let status = response.status().as_u16();
        counted.answered(status);
        line.take().into_iter().for_each(|line| line.end(status));
    }
    measured(response, span, (counted, under_way), line)
}

/// The address that a request comes from, if it is known.
fn origin_of(request: &Request) -> Option<SocketAddr> {
    request.extensions().get::<Origin>().and_then(|Origin(address)| *address)
}

async fn metrics(State(front): State<Front>, request: Request) -> Response {
    let origin = origin_of(&request);
    // Without a database nobody can be told apart, and there is little to see.
    let refused = match (front.asks, front.opened.now()) {
        (false, _) => None,
        (true, None) => Some(status::opening()),
        (true, Some(opened)) => {
            let access = opened.services.access();
            access.admit(request.uri().path(), request.headers(), origin).await.err()
        }
    };
    if let Some(refused) = refused {
        return ApiError::from(refused).into();
    }
    // Until the answer has gone: as many as there are connections would be held by who takes none.
    let Ok(scrape) = front.scrapes.clone().try_acquire_owned() else {
        let refused = status::too_many_requests("METRICS_ANSWERS_MAX", METRICS_ANSWERS_MAX);
        return ApiError::from(refused).into();
    };
    let metrics = front.metrics.clone();
    let Ok(turn) = front.scraping.clone().acquire_owned().await else {
        return ApiError::from(status::shutting_down()).into();
    };
    // The turn ends with the work, though its caller may leave.
    let lines = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        metrics.text()
    });
    match lines.await {
        Ok(lines) => holding(text(StatusCode::OK, crate::metrics::CONTENT_TYPE, lines), scrape),
        Err(_) => ApiError::from(status::fault()).into(),
    }
}

/// All other requests: they work, if the server does.
async fn work(State(front): State<Front>, request: Request) -> Response {
    if *front.stage.borrow() != Stage::Serving {
        return ApiError::from(status::shutting_down()).into();
    }
    match front.opened.for_call().await {
        Some(Opened { mut work, services, .. }) => {
            let origin = origin_of(&request);
            match services.access().admit(request.uri().path(), request.headers(), origin).await {
                Ok(call) => {
                    let begun = call.clone();
                    let Ok(response) = within(call, work.call(request)).await;
                    if let Some(begun) = begun.filter(|_| response.status() == StatusCode::FORBIDDEN) {
                        begun.note_refused();
                    }
                    response
                }
                Err(refused) if refused.code() == Code::Unimplemented => ApiError::unknown_route().into(),
                Err(refused) => ApiError::from(refused).into(),
            }
        }
        None => ApiError::from(status::opening()).into(),
    }
}
