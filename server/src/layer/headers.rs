//! Headers of gRPC, by names that are made once: one that is looked for as a text is checked and lowered letter by letter each time, of which a call has a
//! dozen.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use tonic::Code;

/// The media type of gRPC.
const GRPC: &[u8] = b"application/grpc";

pub(super) static ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
pub(super) static ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
pub(super) static STATUS: HeaderName = HeaderName::from_static("grpc-status");
pub(super) static STATUS_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
pub(super) static TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// How a call ended, if that is among these headers or trailers.
pub(crate) fn code_in(headers: &HeaderMap) -> Option<Code> {
    headers.get(&STATUS).map(|code| Code::from_bytes(code.as_bytes()))
}

/// Whether a request says that it is one of gRPC: its media type, with the form of its messages behind a `+` or without. gRPC-Web, whose answers are of another
/// form, is not.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    media_type.split_at_checked(GRPC.len()).is_some_and(|(media_type, rest)| {
        media_type.eq_ignore_ascii_case(GRPC) && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
    })
}
