//! Errors to `tonic::Status`, with `google.rpc` details.
//!
//! | what happened | code |
//! |---|---|
//! | a field is wrong, whatever is stored | INVALID_ARGUMENT, the field named in BadRequest |
//! | there is none, there is one already | NOT_FOUND, ALREADY_EXISTS |
//! | what is stored does not fit (another model, no model) | FAILED_PRECONDITION |
//! | a precondition of a write does not hold | ABORTED: read again, and decide anew |
//! | who asks is not known, or may not do that | UNAUTHENTICATED, PERMISSION_DENIED |
//! | more calls than are granted | RESOURCE_EXHAUSTED, with QuotaFailure and RetryInfo |
//! | too much at once, too large, disk full | RESOURCE_EXHAUSTED, with QuotaFailure |
//! | other PDFs are being read, for longer than this one waits | RESOURCE_EXHAUSTED, with QuotaFailure and RetryInfo |
//! | too much for a model's service (its 429) | RESOURCE_EXHAUSTED, with QuotaFailure, and RetryInfo if it says when |
//! | not yet (database opening, model loading, keys of tokens not read), no longer (shutting down) | UNAVAILABLE, with RetryInfo where nothing was begun |
//! | a model gives no answer | UNAVAILABLE; FAILED_PRECONDITION where it refuses the request |
//! | too late | DEADLINE_EXCEEDED |
//! | bytes on disk are damaged | DATA_LOSS |
//! | a fault of the machine or of ours | INTERNAL, and a line in the log |
//!
//! Messages and details are cut: they travel in headers, and may quote what a request holds.

mod access;
mod call;
mod models;
mod operations;
mod rag;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::time::Duration;

use ragstone_proto::v1::{ERROR_DOMAIN, ErrorReason, RefusedItem};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

pub(crate) use self::access::{
    key, key_set_not_read, permission_denied, quota_exceeded, rate_limited, unauthenticated,
};
pub(crate) use self::call::{
    answer_stalled, body_stalled, cancelled, deadline_exceeded, decompressed_too_large, fault, malformed,
    messages_full, messages_of_caller, not_grpc, opening, request_too_large, response_too_large,
    shutting_down, stream_deadline_exceeded, stream_rested, too_many_of_caller, too_many_requests,
    unknown_compression, unknown_method,
};
pub(crate) use self::models::{model_loading, model_not_allowed};
pub(crate) use self::operations::{
    exchange, no_exchange_folder, operation_cancelled, operation_copied, operation_cut_off, operation_exists,
    operation_not_found, operation_running, snapshot, snapshot_damaged, store_not_allowed,
    too_many_operations,
};
pub(crate) use self::rag::rag;
use crate::limits::{ERROR_DETAIL_BYTES_MAX, ERROR_MESSAGE_BYTES_MAX};

/// When a refused request may come back.
const BUSY_RETRY: Duration = Duration::from_millis(100);

/// The limit by which PDFs wait for their turns.
const PDF_TURNS: &str = "PDF_PROCESSES_MAX";

/// Limits of the whole server, or of what a caller has of it, rather than of one request.
const SERVER_LIMITS: [&str; 7] = [
    "COLLECTIONS_MAX",
    "ALIASES_MAX",
    "GRANT_NAMES_MAX",
    "DB_ATTRIBUTES_MAX",
    "KEYS_MAX",
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

/// The names that the gRPC protocol has for its codes.
pub(crate) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
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

/// The database has not come to what a read is to find.
pub(crate) fn not_caught_up(position: u64, reached: u64) -> Status {
    let message = format!(
        "the server is at position {reached} of the log, and the write to be found at {position}; try again"
    );
    Problem::new(Code::Unavailable, ErrorReason::NotCaughtUp, message)
        .with("position", position)
        .with("reached", reached)
        .retry(BUSY_RETRY)
        .status()
}

/// A write token of another database.
pub(crate) fn foreign_write_token() -> Status {
    let message = "at_least: the write token is of another database, or of this one before it was restored";
    Problem::new(Code::FailedPrecondition, ErrorReason::ForeignWriteToken, message)
        .field("at_least", "a token of another database")
        .status()
}

/// A collection is not what a change of it expects.
pub(crate) fn collection_changed(name: &str, etag: &str) -> Status {
    let message = format!("collection `{name}` has the etag {etag} now: read it again, and decide anew");
    Problem::new(Code::Aborted, ErrorReason::PreconditionFailed, message.as_str())
        .field("etag", message)
        .with("collection", name)
        .with("etag", etag)
        .status()
}

/// What a stream says of a part that is not acceptable, if that is about the part alone: its field, its limit, its form, or its turn among the PDFs. Of
/// whatever else fails the status is returned as it is, for the stream as a whole.
pub(crate) fn refused_item(status: Status, index: usize) -> Result<RefusedItem, Status> {
    let details = status.get_error_details();
    let info = details.error_info();
    let waited_for_its_turn =
        info.and_then(|info| info.metadata.get("limit")).is_some_and(|limit| limit == PDF_TURNS);
    if status.code() != Code::InvalidArgument && !waited_for_its_turn {
        return Err(status);
    }
    let reason = info.map(|info| format!("ERROR_REASON_{}", info.reason));
    let reason = reason.and_then(|name| ErrorReason::from_str_name(&name)).unwrap_or_default();
    let violations = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
    Ok(RefusedItem {
        index: u32::try_from(index).unwrap_or(u32::MAX),
        reason: reason.into(),
        field: violations.first().map(|violation| violation.field.clone()).unwrap_or_default(),
        message: status.message().to_owned(),
    })
}

/// The engine refused or failed.
pub(crate) fn engine(error: ragstone::Error) -> Status {
    use ragstone::Error;
    let message = error.to_string();
    match error {
        Error::Invalid { field, reason } => invalid(&field, &reason),
        Error::Limit { field, limit, max, actual } => beyond_limit(&field, limit, max, actual),
        Error::Cancelled => cancelled(),
        Error::OutOfScope { field } => access::out_of_scope(&field, message),
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
            tracing::error!(error = %message, "stored data is damaged: `ragstone check` names every place, `ragstone repair` or a snapshot mends it");
            Problem::new(Code::DataLoss, ErrorReason::StoreCorrupt, message).with("offset", offset).status()
        }
        Error::Io { source, .. } => io(source.kind(), message),
        Error::Poisoned { .. } => {
            tracing::error!(error = %message, "the store accepts no writes: restart the server once the disk is sound");
            Problem::new(Code::FailedPrecondition, ErrorReason::StorePoisoned, message).status()
        }
        _ => unknown(message),
    }
}

fn io(kind: ErrorKind, message: String) -> Status {
    match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            tracing::error!(error = %message, "the disk is full: writes are taken again once there is room");
            Problem::new(Code::ResourceExhausted, ErrorReason::StoreIo, message.clone())
                .quota("disk", message)
                .status()
        }
        _ => {
            tracing::error!(error = %message, "the operating system refused an operation");
            Problem::new(Code::Internal, ErrorReason::StoreIo, message).status()
        }
    }
}

/// The engine's errors are open-ended; one that this table does not know yet is ours to add.
fn unknown(message: String) -> Status {
    tracing::error!(error = %message, "an error without a code of its own");
    Problem::new(Code::Internal, ErrorReason::Fault, message).status()
}
