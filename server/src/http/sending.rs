//! Answers on their way out: written within their limit, counted, and with the place of their request until they have gone.
//!
//! **Problem.** What a handler answers waits for a caller who may take nothing: as many large answers as there are connections, after requests of a few kilobytes
//! each, which no bound of requests sees.
//! **Idea.** The bytes of an answer are counted as those of a request are, and both until all of it has been handed to the connection, as is the place. The connection
//! is given copies of pieces, so that of an answer that it was given whole it has a piece and no more ([`stall`](super::stall) ends those that nobody takes).
//! What an answer of `/metrics` holds instead is one of few permits: metrics are wanted most where there is neither a place nor memory left.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use http_body::{Body as HttpBody, Frame, SizeHint};
use serde::Serialize;

use super::answer::{ApiError, answer};
use crate::status;
use crate::work::Place;

/// Bytes that the connection is given at a time.
const PIECE_BYTES: usize = 64 << 10;

/// A value as JSON of so many bytes at most: what is beyond is counted and not kept.
pub(super) fn json_within(value: &impl Serialize, bytes_max: usize) -> Result<Vec<u8>, ApiError> {
    let mut bounded = Bounded { bytes: Vec::new(), bytes_max, written: 0 };
    serde_json::to_writer(&mut bounded, value).map_err(|error| {
        tracing::error!(%error, "an answer cannot be written as JSON");
        ApiError::from(status::fault())
    })?;
    match bounded.written > bytes_max {
        true => Err(status::response_too_large(bytes_max, bounded.written as u64).into()),
        false => Ok(bounded.bytes),
    }
}

/// Bytes up to a limit, and the number of all.
struct Bounded {
    bytes: Vec<u8>,
    bytes_max: usize,
    written: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written += bytes.len();
        match self.written <= self.bytes_max {
            true => self.bytes.extend_from_slice(bytes),
            false => self.bytes = Vec::new(),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The answer of these bytes of JSON, counted as the request's that this task answers.
pub(super) fn counted_json(bytes: Vec<u8>) -> Result<Response, ApiError> {
    if let Some(place) = Place::current() {
        place.take(bytes.len())?;
    }
    Ok(answer(StatusCode::OK, "application/json", Body::from(bytes)))
}

/// The answer, which holds something until it has gone: the place of its request.
pub(super) fn holding(response: Response, held: impl Send + Unpin + 'static) -> Response {
    response.map(|inner| Body::new(Sending { inner, rest: Bytes::new(), _held: held }))
}

/// The body of such an answer.
struct Sending<T> {
    inner: Body,
    /// What the connection was not given yet of the last frame.
    rest: Bytes,
    _held: T,
}

impl<T> Sending<T> {
    /// The next piece of what is left.
    fn piece(&mut self) -> Frame<Bytes> {
        let piece = self.rest.split_to(self.rest.len().min(PIECE_BYTES));
        Frame::data(Bytes::copy_from_slice(&piece))
    }
}

impl<T: Unpin> HttpBody for Sending<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(self.piece())));
        }
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| match frame.into_data() {
                Ok(data) if data.len() <= PIECE_BYTES => Frame::data(data),
                Ok(data) => {
                    self.rest = data;
                    self.piece()
                }
                Err(other) => other,
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.inner.size_hint(), self.rest.len() as u64);
        let mut whole = SizeHint::new();
        if let Some(upper) = inner.upper() {
            whole.set_upper(upper.saturating_add(rest));
        }
        whole.set_lower(inner.lower().saturating_add(rest));
        whole
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::config::ServerConfig;
    use crate::limits::SHORT_MESSAGE_BYTES_MAX;
    use crate::work::{Kind, Work};

    #[test]
    fn json_is_written_up_to_its_limit() {
        let value = ["x".repeat(7), "y".to_owned()];
        let json = r#"["xxxxxxx","y"]"#;
        assert_eq!(json_within(&value, json.len()).unwrap(), json.as_bytes());
        let error = json_within(&value, json.len() - 1).unwrap_err();
        assert_eq!(error.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert!(error.body().to_string().contains("15 bytes"), "{error:?}");
    }

    /// It ended with the handler, and the answer was nobody's.
    #[tokio::test]
    async fn an_answer_is_counted_and_has_its_place_until_it_has_gone() {
        const BYTES: usize = 150_000;
        let config = ServerConfig {
            concurrent_requests_max: 1,
            message_bytes_max: BYTES + BYTES / 2,
            ..ServerConfig::default()
        };
        let work = Work::new(&config);
        let answered = |bytes: usize| {
            let place = work.admit(Kind::Read, false)?;
            let response = place.within(|| counted_json(vec![7; bytes]));
            Ok::<_, tonic::Status>(response.map(|response| holding(response, place)))
        };
        let mut body = answered(BYTES).unwrap().unwrap().into_body();
        assert!(answered(1).is_err(), "its place is taken");
        let exact = |body: &Body| body.size_hint().exact();
        assert_eq!(exact(&body), Some(BYTES as u64));
        let mut pieces = Vec::new();
        while let Some(frame) = body.frame().await {
            pieces.push(frame.unwrap().into_data().unwrap().len());
            assert_eq!(exact(&body), Some((BYTES - pieces.iter().sum::<usize>()) as u64));
        }
        assert_eq!(pieces, [PIECE_BYTES, PIECE_BYTES, BYTES - 2 * PIECE_BYTES]);
        assert!(body.is_end_stream() && answered(1).is_err(), "it is not dropped yet");
        drop(body);
        let refused = answered(2 * BYTES).unwrap().unwrap_err();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS, "of memory there is less");
        assert!(answered(BYTES).unwrap().is_ok(), "what was counted is not any more");
    }

    /// Whoever was known had a share of the memory at most for what came by the other port, and all of it for what came by this one.
    #[test]
    fn long_answers_of_a_caller_leave_memory_to_others() {
        let long = SHORT_MESSAGE_BYTES_MAX as usize + 1;
        let work = Work::new(&ServerConfig { message_bytes_max: 4 * long, ..ServerConfig::default() });
        let answered = |caller: &str| {
            let place = work.admit(Kind::Read, false).unwrap();
            place.of_caller(&caller.into()).unwrap();
            let response = place.within(|| counted_json(vec![7; long]));
            response.map(|response| holding(response, place))
        };
        let [first, second, third] = ["a"; 3].map(|caller| answered(caller).unwrap());
        let refused = answered("a").unwrap_err();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS, "{refused:?}");
        drop(answered("b").unwrap());
        drop(first);
        drop((answered("a").unwrap(), second, third));
    }
}
