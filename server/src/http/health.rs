//! Whether the process lives, and whether it is ready.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::answer::text;
use super::{Port, Stage};

const PLAIN: &str = "text/plain; charset=utf-8";

/// It answers, so it is alive; whether it should be given work is for [`ready`] to say.
pub(super) async fn alive() -> Response {
    text(StatusCode::OK, PLAIN, "ok\n".to_owned())
}

/// Whether it can do what it is there for: the database is open whenever the port answers, so what may be missing is the default model, a failure may
/// have ended writing, and it may be about to stop.
pub(super) async fn ready(State(port): State<Port>) -> Response {
    match port.missing() {
        None => text(StatusCode::OK, PLAIN, "ready\n".to_owned()),
        Some(reason) => text(StatusCode::SERVICE_UNAVAILABLE, PLAIN, format!("not ready: {reason}\n")),
    }
}

impl Port {
    /// What keeps the server from being ready.
    fn missing(&self) -> Option<String> {
        if *self.stage.borrow() != Stage::Serving {
            return Some("the server is shutting down".to_owned());
        }
        // Why is in the log; the words have paths.
        if self.services.rag().db().check_writes().is_err() {
            return Some("a failure has ended writing; the server is to be restarted".to_owned());
        }
        let model = self.services.loader().default_model();
        if self.needs_model && self.services.rag().models().loaded(model).is_none() {
            return Some(format!("the default model {model} is not loaded"));
        }
        None
    }
}
