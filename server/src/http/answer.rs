//! Answers of the HTTP port, and errors in the form of the OpenAI protocol.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use serde::Serialize;
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tracing::Span;

use super::UnderWay;
use super::line::Line;
use crate::metrics::HttpRequest;

/// Why a request to the HTTP port failed: `{"error": {"message", "type", "param", "code"}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    status: StatusCode,
    message: String,
    /// The field that is wrong.
    param: Option<String>,
    /// The reason for programs: that of the gRPC API (`ErrorReason`), in lower case.
    code: String,
    retry_after: Option<Duration>,
}

impl ApiError {
    fn new(status: StatusCode, code: &str, message: impl Into<String>) -> ApiError {
        ApiError { status, message: message.into(), param: None, code: code.to_owned(), retry_after: None }
    }

    /// A field of the body is wrong.
    pub(super) fn invalid(param: impl Into<String>, reason: &str) -> ApiError {
        let param = param.into();
        let message = format!("{param}: {reason}");
        ApiError { param: Some(param), ..ApiError::new(StatusCode::BAD_REQUEST, "invalid_field", message) }
    }

    /// The body is not what the route takes.
    pub(super) fn malformed(error: &serde_json::Error) -> ApiError {
        ApiError::new(
            StatusCode::BAD_REQUEST,
            "malformed_message",
            format!("the body is not understood: {error}"),
        )
    }

    pub(super) fn not_json() -> ApiError {
        let message = "the body must be declared as `content-type: application/json`";
        ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "malformed_message", message)
    }

    pub(super) fn unknown_route() -> ApiError {
        // Who forgot the /v1 of a base URL, or asks for a newer part of the protocol, is told what there is.
        let message = "there is nothing at this path; of the OpenAI protocol there are /v1/models, /v1/embeddings and /v1/chat/completions";
        ApiError::new(StatusCode::NOT_FOUND, "unknown_method", message)
    }

    pub(super) fn other_method() -> ApiError {
        ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "unknown_method", "this path takes another method")
    }

    pub(super) fn foreign_host() -> ApiError {
        let message = "a port on the loopback interface answers to addresses and to `localhost`, not to this host; have a proxy send \
                       `localhost` as the host, or let the server listen on another address (--http-listen) to be asked by a name";
        ApiError::new(StatusCode::MISDIRECTED_REQUEST, "unknown_method", message)
    }

    pub(super) fn unknown_model(model: &str) -> ApiError {
        let message = format!("there is no model `{model}`; GET /v1/models lists those that there are");
        ApiError::new(StatusCode::NOT_FOUND, "model_not_found", message)
    }

    /// The same, with what to do about it.
    pub(super) fn with_advice(mut self, advice: &str) -> ApiError {
        self.message = format!("{}; {advice}", self.message);
        self
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// The reason for programs, as the gRPC API has it.
    pub(super) fn reason(&self) -> String {
        self.code.to_ascii_uppercase()
    }

    /// The error as clients of the protocol expect it, be it a whole answer or an event of a stream.
    pub(super) fn body(&self) -> Value {
        let kind = match self.status.as_u16() {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            400..500 => "invalid_request_error",
            _ => "server_error",
        };
        json!({"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}})
    }
}

impl From<Status> for ApiError {
    fn from(status: Status) -> ApiError {
        let details = status.get_error_details();
        let reason = details.error_info().map(|info| info.reason.as_str()).unwrap_or_default();
        let violations = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
        ApiError {
            status: http_status(status.code(), reason),
            message: status.message().to_owned(),
            param: violations.first().map(|violation| violation.field.clone()),
            code: reason.to_ascii_lowercase(),
            retry_after: details.retry_info().map(|retry| retry.retry_delay.unwrap_or_default()),
        }
    }
}

/// The status that OpenAI's clients understand as the gRPC code is meant: what they try again (409, 429, 5xx) may pass.
fn http_status(code: Code, reason: &str) -> StatusCode {
    match (code, reason) {
        (
            Code::ResourceExhausted,
            "TOO_MANY_REQUESTS" | "MODEL_RATE_LIMITED" | "RATE_LIMITED" | "QUOTA_EXCEEDED",
        ) => StatusCode::TOO_MANY_REQUESTS,
        (Code::ResourceExhausted, "REQUEST_TOO_LARGE" | "RESPONSE_TOO_LARGE") => {
            StatusCode::PAYLOAD_TOO_LARGE
        }
        (Code::ResourceExhausted, _) => StatusCode::INSUFFICIENT_STORAGE,
        (Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition, _) => StatusCode::BAD_REQUEST,
        (Code::NotFound, _) => StatusCode::NOT_FOUND,
        (Code::AlreadyExists | Code::Aborted, _) => StatusCode::CONFLICT,
        (Code::PermissionDenied, _) => StatusCode::FORBIDDEN,
        (Code::Unauthenticated, _) => StatusCode::UNAUTHORIZED,
        (Code::Unavailable, "GENERATE_FAILED") => StatusCode::BAD_GATEWAY,
        (Code::Unavailable | Code::Cancelled, _) => StatusCode::SERVICE_UNAVAILABLE,
        (Code::DeadlineExceeded, _) => StatusCode::GATEWAY_TIMEOUT,
        (Code::Unimplemented, _) => StatusCode::NOT_IMPLEMENTED,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The reason that an answer failed for, among its extensions: for whoever counts.
#[derive(Clone, Debug)]
struct Reason(String);

impl From<ApiError> for Response {
    fn from(error: ApiError) -> Response {
        let mut response = json_answer(error.status, &error.body());
        response.extensions_mut().insert(Reason(error.reason()));
        if error.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(after) = error.retry_after {
            // Whole seconds, as the header has it, and no fewer than were meant: who comes back too early is refused once more.
            let seconds = after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0));
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}

/// An answer of JSON.
pub(super) fn json_answer(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => answer(status, "application/json", Body::from(bytes)),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written as JSON");
            answer(StatusCode::INTERNAL_SERVER_ERROR, "application/json", Body::empty())
        }
    }
}

/// An answer of text.
pub(super) fn text(status: StatusCode, media: &'static str, text: String) -> Response {
    answer(status, media, Body::from(text))
}

/// An answer.
pub(super) fn answer(status: StatusCode, media: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    response
}

/// The answer, which is made in the request's span while it is sent, counted and logged when all of it has gone, and under way until then if it is of
/// work.
pub(super) fn measured(
    response: Response,
    span: Span,
    (counted, under_way): (HttpRequest, Option<UnderWay>),
    line: Option<Line>,
) -> Response {
    let status = response.status().as_u16();
    if let Some(Reason(reason)) = response.extensions().get() {
        counted.failed(reason);
    }
    response.map(|body| {
        let counted = Some(counted);
        let mut measured = Measured { inner: body, span, counted, line, status, _under_way: under_way };
        if measured.inner.is_end_stream() {
            measured.end();
        }
        Body::new(measured)
    })
}

/// A body that knows when all of it has gone.
struct Measured {
    inner: Body,
    /// Outlives the line: what is left of a stream ends behind it, and may log.
    span: Span,
    counted: Option<HttpRequest>,
    line: Option<Line>,
    status: u16,
    /// Ends with the body, which goes when all of it has been taken or the connection has.
    _under_way: Option<UnderWay>,
}

impl Measured {
    fn end(&mut self) {
        if let Some(mut counted) = self.counted.take() {
            counted.answered(self.status);
        }
        if let Some(line) = self.line.take() {
            line.end(self.status);
        }
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        // A stream that is given up may log, as one that goes on may.
        let given_up = std::mem::take(&mut self.inner);
        self.span.in_scope(|| drop(given_up));
    }
}

impl HttpBody for Measured {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let entered = this.span.enter();
        let polled = Pin::new(&mut this.inner).poll_frame(context);
        drop(entered);
        let frame = ready!(polled);
        // Nobody asks a body of known length for what comes behind its last frame.
        if frame.is_none() || this.inner.is_end_stream() {
            this.end();
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
    use crate::status;

    #[test]
    fn errors_have_the_protocols_form() {
        let refused = ApiError::from(status::too_many_requests("CONCURRENT_REQUESTS_MAX", 7));
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        let body = refused.body();
        assert_eq!(
            (&body["error"]["type"], &body["error"]["code"]),
            (&json!("rate_limit_error"), &json!("too_many_requests"))
        );
        let response = Response::from(refused);
        assert_eq!(response.headers()[RETRY_AFTER], "1");
        let waits = |ms| {
            let refused = ApiError::from(status::rate_limited(0.5, Duration::from_millis(ms)));
            Response::from(refused).headers()[RETRY_AFTER].clone()
        };
        assert_eq!([0, 1_000, 1_700, 2_000].map(waits), ["1", "1", "2", "2"]);
        let wrong = ApiError::from(status::invalid("temperature", "it must be 0 to 2"));
        assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
        assert_eq!(wrong.body()["error"]["param"], "temperature");
        assert_eq!(wrong.body()["error"]["type"], "invalid_request_error");
        assert_eq!(wrong, ApiError::invalid("temperature", "it must be 0 to 2"));
        let foreign = ApiError::foreign_host().body().to_string();
        assert!(foreign.contains("--http-listen"), "whoever is refused is told what to change: {foreign}");
        assert_eq!(ApiError::from(status::fault()).body()["error"]["type"], "server_error");
        assert_eq!(ApiError::from(status::request_too_large(1, 2)).status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(ApiError::from(status::shutting_down()).status, StatusCode::SERVICE_UNAVAILABLE);
    }
}
