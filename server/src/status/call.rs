//! What can be wrong with a call as such, whatever it asks for: too many, too large, too slow, none of ours.

use std::time::Duration;

use http::{Response, StatusCode};
use ragstone_proto::v1::ErrorReason;
use tonic::body::Body;
use tonic::{Code, Status};

use super::{BUSY_RETRY, Problem};
use crate::limits::{BODY_BYTES_PER_SECOND_MIN, BODY_IDLE_SECONDS_MAX};

/// When a call that met a database being opened may come back.
const OPENING_RETRY: Duration = Duration::from_secs(1);

/// Every thread is taken and the queue is full; or so many calls stream.
pub(crate) fn too_many_requests(limit: &'static str, max: usize) -> Status {
    no_room(limit, max, format!("the server works on {limit} = {max} requests already; try again"))
}

/// What is under way leaves no room for it within a limit, for the moment.
fn no_room(limit: &'static str, max: usize, message: String) -> Status {
    Problem::new(Code::ResourceExhausted, ErrorReason::TooManyRequests, message.clone())
        .with("limit", limit)
        .with("max", max)
        .quota(limit, message)
        .retry(BUSY_RETRY)
        .status()
}

/// The caller has as many of the places of a kind as one may.
pub(crate) fn too_many_of_caller(max: usize) -> Status {
    let message = format!(
        "the caller has {max} calls of this kind under way, which is what CALLER_SHARE_MAX leaves one; try again"
    );
    no_room("CALLER_SHARE_MAX", max, message)
}

/// The messages that the server has already leave no room for this one.
pub(crate) fn messages_full(max: usize) -> Status {
    let message = format!(
        "the messages of all calls would take more than MESSAGE_BYTES_MAX = {max} bytes of memory; try again, or send or ask for less at once"
    );
    no_room("MESSAGE_BYTES_MAX", max, message)
}

/// The messages of the caller, or of the connection, leave no room for this one.
pub(crate) fn messages_of_caller(max: usize) -> Status {
    let message = format!(
        "the messages of the caller's calls would take more than {max} bytes of memory, which is what CALLER_SHARE_MAX leaves one of MESSAGE_BYTES_MAX \
         where less than an eighth of that is free; try again when some are answered and their answers taken, or send or ask for less at once"
    );
    no_room("CALLER_SHARE_MAX", max, message)
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
pub(crate) fn body_stalled() -> Status {
    let message = format!(
        "nothing of the request came for BODY_IDLE_SECONDS_MAX = {BODY_IDLE_SECONDS_MAX} s, or less than \
         BODY_BYTES_PER_SECOND_MIN = {BODY_BYTES_PER_SECOND_MIN} for each second beyond these; nothing was begun"
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

/// The caller of an answer took nothing of it for too long, or too little of it and of all else.
pub(crate) fn answer_stalled(after: Duration) -> Status {
    let message = format!(
        "nothing of the answer was taken for ANSWER_STALL_SECONDS_MAX = {} s, or of one that is not streamed, and of others by its connection, less \
         than BODY_BYTES_PER_SECOND_MIN = {BODY_BYTES_PER_SECOND_MIN} for each second that it waited beyond these",
        after.as_secs_f64()
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

/// The request does not say that it is one of gRPC. Others than gRPC's clients read the HTTP status, which is what gRPC has for this.
pub(crate) fn not_grpc() -> Response<Body> {
    let message = "content-type: this port answers gRPC alone, which is `application/grpc`";
    let mut response =
        Problem::new(Code::InvalidArgument, ErrorReason::MalformedMessage, message).status().into_http();
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    response
}

/// The server stops before the request is done.
pub(crate) fn shutting_down() -> Status {
    Problem::new(Code::Unavailable, ErrorReason::ShuttingDown, "the server is shutting down").status()
}

/// The database is being opened; nothing was begun.
pub(crate) fn opening() -> Status {
    Problem::new(Code::Unavailable, ErrorReason::Opening, "the database is being opened; try again")
        .retry(OPENING_RETRY)
        .status()
}

/// The caller left before the work was done; nobody reads this, but for who calls the engine by other ways.
pub(crate) fn cancelled() -> Status {
    Problem::new(Code::Cancelled, ErrorReason::Cancelled, "the call was cancelled").status()
}

/// The request panicked.
pub(crate) fn fault() -> Status {
    Problem::new(Code::Internal, ErrorReason::Fault, "a fault of the server; its log says more").status()
}
