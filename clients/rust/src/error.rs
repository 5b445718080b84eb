//! What can go wrong with a call: one type, read from the `google.rpc` details of the server's status.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::time::Duration;

use tonic::Status;
use tonic_types::StatusExt as _;

/// The result of a call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kinds of failure that gRPC tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// The call was given up.
    Cancelled,
    /// Something unknown.
    Unknown,
    /// A field of the request is wrong, whatever is stored.
    InvalidArgument,
    /// The deadline passed; a write may nevertheless have been applied.
    DeadlineExceeded,
    /// What was asked for does not exist.
    NotFound,
    /// What was to be made exists already.
    AlreadyExists,
    /// The server's operator does not allow it.
    PermissionDenied,
    /// The state of the server does not fit the request.
    FailedPrecondition,
    /// A limit on concurrency, size or space is reached.
    ResourceExhausted,
    /// The operation was aborted.
    Aborted,
    /// Beyond the valid range.
    OutOfRange,
    /// The server does not have this call.
    Unimplemented,
    /// A fault of the server.
    Internal,
    /// The server is not to be had now.
    Unavailable,
    /// Stored data is damaged.
    DataLoss,
    /// The caller is not known.
    Unauthenticated,
}

impl Code {
    fn from_tonic(code: tonic::Code) -> Code {
        match code {
            tonic::Code::Ok | tonic::Code::Unknown => Code::Unknown,
            tonic::Code::Cancelled => Code::Cancelled,
            tonic::Code::InvalidArgument => Code::InvalidArgument,
            tonic::Code::DeadlineExceeded => Code::DeadlineExceeded,
            tonic::Code::NotFound => Code::NotFound,
            tonic::Code::AlreadyExists => Code::AlreadyExists,
            tonic::Code::PermissionDenied => Code::PermissionDenied,
            tonic::Code::ResourceExhausted => Code::ResourceExhausted,
            tonic::Code::FailedPrecondition => Code::FailedPrecondition,
            tonic::Code::Aborted => Code::Aborted,
            tonic::Code::OutOfRange => Code::OutOfRange,
            tonic::Code::Unimplemented => Code::Unimplemented,
            tonic::Code::Internal => Code::Internal,
            tonic::Code::Unavailable => Code::Unavailable,
            tonic::Code::DataLoss => Code::DataLoss,
            tonic::Code::Unauthenticated => Code::Unauthenticated,
        }
    }
}

/// A field of a request that the server refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldViolation {
    /// The field's path: `points[3].vector`, `filter.and[1]`.
    pub field: String,
    /// What is wrong with it.
    pub description: String,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    code: Code,
    message: String,
    reason: Option<String>,
    metadata: BTreeMap<String, String>,
    field_violations: Vec<FieldViolation>,
    retry_after: Option<Duration>,
    never_sent: bool,
}

impl Error {
    /// The kind of failure.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The failure in words, naming the field and the limit where there is one.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The failure for programs: `COLLECTION_NOT_FOUND`, `LIMIT_EXCEEDED` … (`ErrorReason` of the wire API lists them).
    /// None where no Ragstone server answered.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// Data of the failure by name: `limit`, `max` and `actual` of a limit, `collection`, `model` …
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// The fields that were wrong.
    pub fn field_violations(&self) -> &[FieldViolation] {
        &self.field_violations
    }

    /// When the server asks to try again. Nothing of such a call was begun.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Whether the server certainly did nothing: it said so, or there was no connection to send the call over.
    pub(crate) fn not_begun(&self) -> bool {
        self.retry_after.is_some() || self.never_sent
    }

    pub(crate) fn new(code: Code, message: impl Into<String>) -> Error {
        Error {
            code,
            message: message.into(),
            reason: None,
            metadata: BTreeMap::new(),
            field_violations: Vec::new(),
            retry_after: None,
            never_sent: false,
        }
    }

    pub(crate) fn deadline(method: &str, timeout: Duration) -> Error {
        Error::new(Code::DeadlineExceeded, format!("{method}: no answer within {} ms", timeout.as_millis()))
    }

    /// A field of a request that is wrong as it stands, so that no server is asked.
    pub(crate) fn invalid(field: String, description: &str) -> Error {
        let message = format!("{field}: {description}");
        let field_violations = vec![FieldViolation { field, description: description.to_owned() }];
        Error { field_violations, ..Error::new(Code::InvalidArgument, message) }
    }

    /// The server left out what its contract promises.
    pub(crate) fn missing(field: &str) -> Error {
        Error::new(Code::Internal, format!("the server's answer lacks `{field}`"))
    }

    pub(crate) fn from_status(status: &Status) -> Error {
        let details = status.get_error_details();
        let info = details.error_info();
        let violations = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
        Error {
            code: if connection_lost(status) { Code::Unavailable } else { Code::from_tonic(status.code()) },
            message: message(status),
            reason: info.map(|info| info.reason.clone()),
            metadata: info.map(|info| info.metadata.clone().into_iter().collect()).unwrap_or_default(),
            field_violations: violations
                .iter()
                .map(|violation| FieldViolation {
                    field: violation.field.clone(),
                    description: violation.description.clone(),
                })
                .collect(),
            retry_after: details.retry_info().map(|retry| retry.retry_delay.unwrap_or_default()),
            never_sent: connection_refused(status),
        }
    }
}

/// A status that no server sent: the transport made it of an error of its own, which it keeps as the source. What it then
/// calls cancelled, unknown or internal is a connection that was not made, or broke.
fn connection_lost(status: &Status) -> bool {
    status.source().is_some()
        && matches!(status.code(), tonic::Code::Cancelled | tonic::Code::Unknown | tonic::Code::Internal)
}

/// Whether the connection could not even be made.
fn connection_refused(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// What the server said, or what the transport met, down to its innermost cause ("connection refused").
fn message(status: &Status) -> String {
    match status.source() {
        Some(source) => format!("{}: {}", status.message(), explained(source)),
        None => status.message().to_owned(),
    }
}

/// The innermost cause of an error: those around it say only "transport error".
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// The innermost cause of what became of a connection, and what to do about it where that is known: the cause names the fault, not the mistake.
pub(crate) fn explained(error: &dyn std::error::Error) -> String {
    const HINTS: &[(&str, &str)] = &[
        ("Connection refused", "is a server running there? `ragstone serve` starts one"),
        ("InvalidContentType", "what listens there has no TLS: try http://"),
        (
            "frame with invalid size",
            "if what listens there has TLS, try https://; the port for gRPC is that of `--listen`",
        ),
        ("UnknownIssuer", "name the authority that vouches for the server (`--tls-ca`, `tls_ca`)"),
        ("CaUsedAsEndEntity", "the server's certificate is an authority's: it needs one with CA:FALSE"),
    ];
    let cause = innermost(error);
    match HINTS.iter().find(|(words, _)| cause.contains(*words)) {
        Some((_, hint)) => format!("{cause}; {hint}"),
        None => cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who mistook a scheme or a port was told of frames and types of content.
    #[test]
    fn mistakes_about_a_server_are_told_with_what_to_do() {
        let told = |cause: &str| explained(&std::io::Error::other(cause.to_owned()));
        assert!(told("Connection refused (os error 111)").ends_with("`ragstone serve` starts one"));
        assert!(told("received corrupt message of type InvalidContentType").ends_with("try http://"));
        assert!(told("connection error detected: frame with invalid size").contains("try https://"));
        assert!(told("invalid peer certificate: UnknownIssuer").contains("--tls-ca"));
        assert!(told("Other(OtherError(CaUsedAsEndEntity))").ends_with("CA:FALSE"));
        assert_eq!(told("broken pipe"), "broken pipe");
    }
}
