//! Errors to `tonic::Status`, with `google.rpc` details.
//!
//! | what happened | code |
//! |---|---|
//! | a field is wrong, whatever is stored | INVALID_ARGUMENT, the field named in BadRequest |
//! | there is none, there is one already | NOT_FOUND, ALREADY_EXISTS |
//! | what is stored does not fit (another model, no model) | FAILED_PRECONDITION |
//! | a precondition of a write does not hold | ABORTED: read again, and decide anew |
//! | too much at once, too large, disk full | RESOURCE_EXHAUSTED, with QuotaFailure |
//! | not yet (model loading), no longer (shutting down) | UNAVAILABLE, with RetryInfo where nothing was begun |
//! | a model gives no answer | UNAVAILABLE; FAILED_PRECONDITION where it refuses the request |
//! | too late | DEADLINE_EXCEEDED |
//! | bytes on disk are damaged | DATA_LOSS |
//! | a fault of the machine or of ours | INTERNAL, and a line in the log |
//!
//! Messages and details are cut: they travel in headers, and may quote what a request holds.

mod models;
mod operations;

mod rag;

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::time::Duration;

use ragstone_proto::v1::{ERROR_DOMAIN, ErrorReason};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

pub(crate) use self::models::{model_loading, model_not_allowed};
pub(crate) use self::operations::{
    operation_cancelled, operation_cut_off, operation_exists, operation_not_found, operation_running,
    snapshot, snapshot_damaged, store_not_allowed, too_many_operations,
};
pub(crate) use self::rag::rag;
use crate::limits::{ERROR_DETAIL_BYTES_MAX, ERROR_MESSAGE_BYTES_MAX};

/// When a refused request may come back.
const BUSY_RETRY: Duration = Duration::from_millis(100);

/// Limits of the whole server rather than of one request.
const SERVER_LIMITS: [&str; 5] = [
    "COLLECTIONS_MAX",
    "ALIASES_MAX",
    "DB_ATTRIBUTES_MAX",
    "DB_ATTRIBUTES_BYTES_MAX",
    "OPERATIONS_RUNNING_MAX",
];

/// A status under construction.
struct Problem {
    code: Code,
    reason: ErrorReason,
    message: String,
    metadata: HashMap<String, String>,
    details: ErrorDetails,
}

impl Problem {
    fn new(code: Code, reason: ErrorReason, message: impl Into<String>) -> Problem {
        let message = cut(message.into(), ERROR_MESSAGE_BYTES_MAX);
        Problem { code, reason, message, metadata: HashMap::new(), details: ErrorDetails::new() }
    }

    fn with(mut self, name: &str, value: impl ToString) -> Problem {
        self.metadata.insert(name.to_owned(), detail(value.to_string()));
        self
    }

    /// Names the field that is wrong.
    fn field(mut self, field: impl Into<String>, description: impl Into<String>) -> Problem {
        self.details.add_bad_request_violation(detail(field.into()), detail(description.into()));
        self
    }

    fn quota(mut self, subject: &str, description: impl Into<String>) -> Problem {
        self.details.add_quota_failure_violation(subject, detail(description.into()));
        self
    }

    fn retry(mut self, after: Duration) -> Problem {
        self.details.set_retry_info(Some(after));
        self
    }

    fn status(mut self) -> Status {
        let reason = self.reason.as_str_name();
        let reason = reason.strip_prefix("ERROR_REASON_").unwrap_or(reason);
        self.details.set_error_info(reason, ERROR_DOMAIN, self.metadata);
        Status::with_error_details(self.code, self.message, self.details)
    }
}

fn detail(text: String) -> String {
    cut(text, ERROR_DETAIL_BYTES_MAX)
}

/// The text, cut at a character's boundary.
fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        text.push('…');
    }
    text
}

fn invalid_with(reason: ErrorReason, field: &str, description: &str) -> Problem {
    let field = wire_path(field);
    Problem::new(Code::InvalidArgument, reason, format!("{field}: {description}")).field(field, description)
}

/// The engine's path of a field, as the wire has it: a schema's parts are the request's own there.
fn wire_path(field: &str) -> Cow<'_, str> {
    match field.strip_prefix("schema.") {
        Some(part) => match part.strip_prefix("vectors") {
            Some(rest) => format!("vector_options{rest}").into(),
            None => part.into(),
        },
        None => field.into(),
    }
}

/// A field of the request is wrong.
pub(crate) fn invalid(field: &str, description: &str) -> Status {
    invalid_with(ErrorReason::InvalidField, field, description).status()
}

/// A field of the request is beyond a limit.
pub(crate) fn beyond_limit(field: &str, limit: &'static str, max: u64, actual: u64) -> Status {
    let description = format!("{actual} is beyond the limit {limit} = {max}");
    let problem = if SERVER_LIMITS.contains(&limit) {
        Problem::new(Code::ResourceExhausted, ErrorReason::LimitExceeded, format!("{field}: {description}"))
            .quota(limit, description)
    } else {
        invalid_with(ErrorReason::LimitExceeded, field, &description)
    };
    problem.with("limit", limit).with("max", max).with("actual", actual).status()
}

/// An id or a payload field's name is kept for Ragstone, says a check of [`ragstone_rag::reserved`].
pub(crate) fn reserved(error: ragstone_rag::Error) -> Status {
    match error {
        ragstone_rag::Error::Invalid { field, reason } => {
            invalid_with(ErrorReason::ReservedName, &field, &reason).status()
        }
        other => rag(other),
    }
}

/// Every thread is taken and the queue is full; or so many calls stream.
pub(crate) fn too_many_requests(limit: &'static str, max: usize) -> Status {
    let message = format!("the server works on {limit} = {max} requests already; try again");
    Problem::new(Code::ResourceExhausted, ErrorReason::TooManyRequests, message.clone())
        .with("limit", limit)
        .with("max", max)
        .quota(limit, message)
        .retry(BUSY_RETRY)
        .status()
}

/// The request's message is larger than the server takes.
pub(crate) fn request_too_large(max: usize, actual: u64) -> Status {
    too_large(
        ErrorReason::RequestTooLarge,
        "REQUEST_BYTES_MAX",
        (max, actual),
        "the request; send less at once",
    )
}

/// The request's message would be larger than the server takes, once it is decompressed; how large is not known.
pub(crate) fn decompressed_too_large(max: usize) -> Status {
    let message = format!(
        "decompressed, the request is beyond the limit REQUEST_BYTES_MAX = {max} bytes; send less at once"
    );
    Problem::new(Code::ResourceExhausted, ErrorReason::RequestTooLarge, message.clone())
        .with("limit", "REQUEST_BYTES_MAX")
        .with("max", max)
        .quota("REQUEST_BYTES_MAX", message)
        .status()
}

/// The request is compressed in a way that the server does not know; the header `grpc-accept-encoding` lists those it does.
pub(crate) fn unknown_compression(complaint: &str) -> Status {
    Problem::new(Code::Unimplemented, ErrorReason::UnknownCompression, complaint).status()
}

/// The answer would be larger than the server gives.
pub(crate) fn response_too_large(max: usize, actual: u64) -> Status {
    too_large(
        ErrorReason::ResponseTooLarge,
        "RESPONSE_BYTES_MAX",
        (max, actual),
        "the response; ask for fewer items, or without vectors and payload",
    )
}

fn too_large(reason: ErrorReason, limit: &str, (max, actual): (usize, u64), what: &str) -> Status {
    let message = format!("{actual} bytes are beyond the limit {limit} = {max} of {what}");
    Problem::new(Code::ResourceExhausted, reason, message.clone())
        .with("limit", limit)
        .with("max", max)
        .with("actual", actual)
        .quota(limit, message)
        .status()
}

/// The request's deadline has passed; what it began may yet be completed.
pub(crate) fn deadline_exceeded(after: Duration) -> Status {
    let message = format!("the deadline of {} ms has passed; a write may yet be applied", after.as_millis());
    Problem::new(Code::DeadlineExceeded, ErrorReason::DeadlineExceeded, message).status()
}

/// The deadline of a stream has passed before its end.
pub(crate) fn stream_deadline_exceeded() -> Status {
    let message = "the deadline has passed before the answer's end";
    Problem::new(Code::DeadlineExceeded, ErrorReason::DeadlineExceeded, message).status()
}

/// The request's body stopped arriving.
pub(crate) fn body_stalled(after: Duration) -> Status {
    let message = format!(
        "nothing of the request came for BODY_IDLE_SECONDS_MAX = {} s; nothing was begun",
        after.as_secs()
    );
    Problem::new(Code::DeadlineExceeded, ErrorReason::DeadlineExceeded, message).status()
}

/// A stream of messages paused for too long, with nothing owed to its caller.
pub(crate) fn stream_rested(after: Duration) -> Status {
    let message = format!(
        "no message came for STREAM_IDLE_SECONDS_MAX = {} s; what was acknowledged is stored, go on with a new stream",
        after.as_secs()
    );
    Problem::new(Code::DeadlineExceeded, ErrorReason::DeadlineExceeded, message).status()
}

/// The server has no such method.
pub(crate) fn unknown_method() -> Status {
    Problem::new(Code::Unimplemented, ErrorReason::UnknownMethod, "the server has no such service or method")
        .status()
}

/// The bytes of the request are not a message of its type, or are nested too deeply.
pub(crate) fn malformed(complaint: &str) -> Status {
    Problem::new(Code::InvalidArgument, ErrorReason::MalformedMessage, complaint).status()
}

/// The server stops before the request is done.
pub(crate) fn shutting_down() -> Status {
    Problem::new(Code::Unavailable, ErrorReason::ShuttingDown, "the server is shutting down").status()
}

/// The caller left before the work was done; nobody reads this, but for who calls the engine by other ways.
fn cancelled() -> Status {
    Problem::new(Code::Cancelled, ErrorReason::Cancelled, "the call was cancelled").status()
}

/// The request panicked.
pub(crate) fn fault() -> Status {
    Problem::new(Code::Internal, ErrorReason::Fault, "a fault of the server; its log says more").status()
}

/// The engine refused or failed.
pub(crate) fn engine(error: ragstone::Error) -> Status {
    use ragstone::Error;
    let message = error.to_string();
    match error {
        Error::Invalid { field, reason } => invalid(&field, &reason),
        Error::Limit { field, limit, max, actual } => beyond_limit(&field, limit, max, actual),
        Error::Cancelled => cancelled(),
        Error::CollectionNotFound { name } => {
            Problem::new(Code::NotFound, ErrorReason::CollectionNotFound, message)
                .with("collection", name)
                .status()
        }
        Error::CollectionExists { name } => {
            Problem::new(Code::AlreadyExists, ErrorReason::CollectionExists, message)
                .with("collection", name)
                .status()
        }
        Error::AliasExists { .. }
        | Error::AliasNotFound { .. }
        | Error::CollectionAliased { .. }
        | Error::CollectionReplaced { .. }
        | Error::Replacement { .. } => operations::names(error),
        Error::UnknownField { field } => {
            invalid_with(ErrorReason::UnknownPayloadField, &field, "the collection has no such payload field")
                .status()
        }
        Error::FieldType { field, expected, actual } => {
            let description = format!("the field is {expected}, the value is {actual}");
            invalid_with(ErrorReason::PayloadFieldType, &field, &description)
                .with("expected", expected)
                .with("actual", actual)
                .status()
        }
        Error::Precondition { field, id, actual, .. } => {
            let problem = Problem::new(Code::Aborted, ErrorReason::PreconditionFailed, message.as_str());
            let problem = problem.field(field, message).with("id", id);
            match actual {
                Some(etag) => problem.with("etag", etag).status(),
                None => problem.status(),
            }
        }
        Error::Locked { .. } => {
            Problem::new(Code::FailedPrecondition, ErrorReason::StoreLocked, message).status()
        }
        Error::Corrupt { offset, .. } => {
            tracing::error!(error = %message, "stored data is damaged");
            Problem::new(Code::DataLoss, ErrorReason::StoreCorrupt, message).with("offset", offset).status()
        }
        Error::Io { source, .. } => io(source.kind(), message),
        Error::Poisoned { .. } => {
            tracing::error!(error = %message, "the store accepts no writes");
            Problem::new(Code::FailedPrecondition, ErrorReason::StorePoisoned, message).status()
        }
        _ => unknown(message),
    }
}

fn io(kind: ErrorKind, message: String) -> Status {
    tracing::error!(error = %message, "the operating system refused an operation");
    match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Problem::new(Code::ResourceExhausted, ErrorReason::StoreIo, message.clone())
                .quota("disk", message)
                .status()
        }
        _ => Problem::new(Code::Internal, ErrorReason::StoreIo, message).status(),
    }
}

/// The engine's errors are open-ended; one that this table does not know yet is ours to add.
fn unknown(message: String) -> Status {
    tracing::error!(error = %message, "an error without a code of its own");
    Problem::new(Code::Internal, ErrorReason::Fault, message).status()
}

#[cfg(test)]
mod tests;
