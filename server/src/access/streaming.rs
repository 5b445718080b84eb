//! An answer that streams, which ends with the key of its caller, and says at its end whether something was refused.
//!
//! **Problem.** Whether a call may be made is asked when it begins, and a stream may last for a day: whose key was taken back, or has ended, would be told on
//! and on. **Idea.** What comes behind the headers passes here, and the key is looked at for each piece. Where the caller sends messages as well that is
//! done with those ([`Access::next_message`]): what was stored of them is acknowledged.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::body::Body;
use tonic::{Code, Status};

use super::{Access, Call};

/// The body of such an answer.
pub(super) struct Streaming {
    pub(super) inner: Body,
    pub(super) call: Call,
    pub(super) access: Access,
    /// Whether its messages end with the key.
    pub(super) ends_with_key: bool,
}

impl Access {
    /// The answer to a call, which streams; whether its messages end with the key, or those of its caller do.
    pub(crate) fn streaming(
        &self,
        response: Response<Body>,
        call: Call,
        ends_with_key: bool,
    ) -> Response<Body> {
        let access = self.clone();
        response.map(|inner| Body::new(Streaming { inner, call, access, ends_with_key }))
    }
}

impl HttpBody for Streaming {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        // An answer's status is in its trailers, or is its error.
        let (is_message, code) = match &frame {
            Some(Ok(frame)) => {
                let status = frame.trailers_ref().and_then(Status::from_header_map);
                (frame.is_data(), status.map(|status| status.code()))
            }
            Some(Err(status)) => (false, Some(status.code())),
            None => (false, None),
        };
        if code == Some(Code::PermissionDenied) {
            self.call.note_refused();
        }
        if is_message
            && self.ends_with_key
            && let Err(ended) = self.access.goes_on(&self.call)
        {
            // What makes it ends with it.
            self.inner = Body::empty();
            return Poll::Ready(Some(Err(ended)));
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
