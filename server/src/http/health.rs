//! Whether the process lives, and whether it is ready.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::answer::text;
use super::{Front, Opened, Stage};

const PLAIN: &str = "text/plain; charset=utf-8";

/// It answers, so it is alive; whether it should be given work is for [`ready`] to say.
pub(super) async fn alive() -> Response {
    text(StatusCode::OK, PLAIN, "ok\n".to_owned())
}

/// Whether it can do what it is there for: the database may still be being opened, the default model missing, a failure may have ended
/// writing, and the server may be about to stop.
pub(super) async fn ready(State(front): State<Front>) -> Response {
    match front.missing() {
        None => text(StatusCode::OK, PLAIN, "ready\n".to_owned()),
        Some(reason) => text(StatusCode::SERVICE_UNAVAILABLE, PLAIN, format!("not ready: {reason}\n")),
    }
}

impl Front {
    /// What keeps the server from being ready.
    fn missing(&self) -> Option<String> {
        if *self.stage.borrow() != Stage::Serving {
            return Some("the server is shutting down".to_owned());
        }
        let Some(Opened { services, needs_model, .. }) = self.opened.now() else {
            return Some("the database is being opened".to_owned());
        };
        // Why is in the log; the words have paths.
        if services.whole_rag().db().check_writes().is_err() {
            return Some("a failure has ended writing; the server is to be restarted".to_owned());
        }
        let model = services.loader().default_model();
        if needs_model && services.whole_rag().models().loaded(model).is_none() {
            // A directory of this machine or an address of another may be its name, and everybody may ask.
            let named = if self.asks { String::new() } else { format!(" {model}") };
            return Some(format!("the default model{named} is not loaded"));
        }
        None
    }
}
