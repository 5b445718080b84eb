//! What works over the HTTP port: the OpenAI protocol, over the services of an open database.

use std::time::Duration;

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};
use tokio::sync::watch;

use super::answer::ApiError;
use super::{Stage, openai};
use crate::config::ServerConfig;
use crate::rpc::Services;

/// What every route that works has; cheap to clone.
#[derive(Clone)]
pub(super) struct Port {
    pub(super) services: Services,
    pub(super) request_timeout: Duration,
    pub(super) request_bytes_max: usize,
    pub(super) response_bytes_max: usize,
    pub(super) stage: watch::Receiver<Stage>,
}

impl Port {
    pub(super) fn new(services: Services, config: &ServerConfig, stage: watch::Receiver<Stage>) -> Port {
        Port {
            services,
            request_timeout: config.request_timeout,
            request_bytes_max: config.request_bytes_max,
            response_bytes_max: config.response_bytes_max,
            stage,
        }
    }

    pub(super) fn router(self) -> Router {
        Router::new()
            .route("/v1/models", get(openai::models::list))
            .route("/v1/models/{*model}", get(openai::models::get))
            .route("/v1/embeddings", post(openai::embeddings::embed))
            .route("/v1/chat/completions", post(openai::chat::complete))
            .fallback(unknown)
            .method_not_allowed_fallback(other_method)
            .with_state(self)
    }
}

async fn unknown() -> Response {
    ApiError::unknown_route().into()
}

pub(super) async fn other_method() -> Response {
    ApiError::other_method().into()
}
