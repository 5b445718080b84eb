//! Headers of gRPC, by names that are made once: one that is looked for as a text is checked and lowered letter by letter each time, of which a call has a
//! dozen.

use http::{HeaderMap, HeaderName};
use tonic::Code;

pub(super) static ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
pub(super) static ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
pub(super) static STATUS: HeaderName = HeaderName::from_static("grpc-status");
pub(super) static STATUS_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
pub(super) static TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// How a call ended, if that is among these headers or trailers.
pub(crate) fn code_in(headers: &HeaderMap) -> Option<Code> {
    headers.get(&STATUS).map(|code| Code::from_bytes(code.as_bytes()))
}
