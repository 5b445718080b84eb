//! A long answer of one message, written before it is sent.
//!
//! **Problem.** The transport has an answer written when it is about to send it, and megabytes take milliseconds: of many connections as many processors as
//! there are. **Idea.** So it is written behind its read, in a turn ([`Turns`]), on a thread that no other task waits for, and the transport finds it ready.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::Response;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

use super::giving_way::give_way;
use crate::work::Turns;

/// The answer, its message written in a turn.
pub(super) async fn written(answer: Response<Body>, turns: &Turns) -> Response<Body> {
    // Without a turn the server is shut down, and the transport has it written if there is still time.
    let Ok(_turn) = turns.take().await else { return answer };
    let (head, mut rest) = answer.into_parts();
    // The codec waits for nothing. If it did, whoever polls it next would be woken.
    let first = give_way(|| Pin::new(&mut rest).poll_frame(&mut Context::from_waker(Waker::noop())));
    let body = match first {
        Poll::Ready(Some(first)) => Body::new(Written { first: Some(first), rest }),
        Poll::Ready(None) | Poll::Pending => rest,
    };
    Response::from_parts(head, body)
}

/// A body whose first frame is there.
struct Written {
    first: Option<Result<Frame<Bytes>, Status>>,
    rest: Body,
}

impl HttpBody for Written {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(first)),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.first.is_some() { SizeHint::default() } else { self.rest.size_hint() }
    }
}
