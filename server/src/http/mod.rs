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
//! The port is off unless it is asked for (`ragstone serve --http-listen ADDR`): a port that nobody asked for is not opened.
//!
//! Invariants:
//! * Work passes the same gates, under the same limits of bytes and time, as that of gRPC, and ends when its caller leaves.
//! * Who stops taking an answer for [`answer_stall_timeout`](ServerConfig::answer_stall_timeout) loses the connection, and the answer ends.
//! * The connections are bounded ([`http_connections_max`](ServerConfig::http_connections_max)), and so is the time that headers and
//!   a body may take to arrive.
//! * A page in a browser cannot use it: a body must be declared as JSON, which other sites may not send without being allowed to, and
//!   a port on the loopback interface answers to no name but the machine's own (DNS rebinding).

mod answer;
mod health;
mod listen;
mod openai;
mod request;
mod stall;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use http::StatusCode;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use self::answer::{ApiError, measured, text};
use self::listen::Connections;
use crate::config::ServerConfig;
use crate::rpc::Services;

/// Routes that are counted under their own name; all else is `unknown`, as callers may ask for anything.
const ROUTES: [&str; 6] =
    ["/metrics", "/healthz", "/readyz", "/v1/models", "/v1/embeddings", "/v1/chat/completions"];

/// How far the server's life is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    #[default]
    Serving,
    /// Nothing new is begun.
    Draining,
    /// What is under way is given up.
    Closing,
}

/// What every route works with; cheap to clone.
#[derive(Clone)]
pub(crate) struct Port {
    services: Services,
    request_timeout: Duration,
    request_bytes_max: usize,
    /// Whether the default model must be loaded for the server to be ready.
    needs_model: bool,
    stage: watch::Receiver<Stage>,
    connections: Connections,
    /// Who looks through the database for metrics: one at a time.
    scraping: Arc<Semaphore>,
    /// Whether the port is on the loopback interface.
    loopback: bool,
}

impl Port {
    pub(crate) fn new(services: Services, config: &ServerConfig, stage: watch::Receiver<Stage>) -> Port {
        Port {
            services,
            request_timeout: config.request_timeout,
            request_bytes_max: config.request_bytes_max,
            needs_model: config.load_default_model,
            stage,
            connections: Connections {
                max: config.http_connections_max.min(Semaphore::MAX_PERMITS),
                header_timeout: config.http_header_timeout,
                write_timeout: config.answer_stall_timeout,
            },
            scraping: Arc::new(Semaphore::new(1)),
            loopback: false,
        }
    }

    /// Serves until the stage is [`Stage::Draining`]; returns when every connection has ended.
    pub(crate) async fn serve(mut self, listener: TcpListener) {
        self.loopback = listener.local_addr().is_ok_and(|address: SocketAddr| address.ip().is_loopback());
        let (stage, connections) = (self.stage.clone(), self.connections);
        listen::serve(listener, self.router(), connections, stage).await;
    }

    fn router(self) -> Router {
        Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(health::alive))
            .route("/readyz", get(health::ready))
            .route("/v1/models", get(openai::models::list))
            .route("/v1/models/{*model}", get(openai::models::get))
            .route("/v1/embeddings", post(openai::embeddings::embed))
            .route("/v1/chat/completions", post(openai::chat::complete))
            .fallback(unknown)
            .method_not_allowed_fallback(other_method)
            .layer(middleware::from_fn_with_state(self.clone(), every_request))
            .with_state(self)
    }
}

/// What happens to every request: counted, logged, refused if its host is none of ours.
async fn every_request(State(port): State<Port>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let route = match path.starts_with("/v1/models/") {
        true => "/v1/models",
        false => ROUTES.into_iter().find(|route| *route == path).unwrap_or("unknown"),
    };
    let mut counted = port.services.metrics().http(route);
    let is_head = request.method() == http::Method::HEAD;
    let host = request.headers().get(http::header::HOST).and_then(|host| host.to_str().ok());
    let response = match host {
        Some(host) if port.loopback && !request::is_own_host(host) => ApiError::foreign_host().into(),
        _ => next.run(request).await,
    };
    if is_head {
        // Nobody asks for the body that such an answer does not have.
        counted.answered(response.status().as_u16());
    }
    measured(response, counted, route)
}

async fn metrics(State(port): State<Port>) -> Response {
    let metrics = port.services.metrics().clone();
    let Ok(turn) = port.scraping.clone().acquire_owned().await else {
        return ApiError::from(crate::status::shutting_down()).into();
    };
    // The turn ends with the work, though its caller may leave.
    let lines = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        metrics.text()
    });
    match lines.await {
        Ok(lines) => text(StatusCode::OK, crate::metrics::CONTENT_TYPE, lines),
        Err(_) => ApiError::from(crate::status::fault()).into(),
    }
}

async fn unknown() -> Response {
    ApiError::unknown_route().into()
}

async fn other_method() -> Response {
    ApiError::other_method().into()
}
