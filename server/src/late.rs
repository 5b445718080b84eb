//! What is there only once the database is open.
//!
//! Opening a large directory may take minutes. The ports answer meanwhile: health says that the server is not ready, and why. Whoever calls
//! what needs the database waits for it a little and is then told to come back, so that a restart that takes a moment fails no call.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use tokio::sync::watch;
use tonic::body::Body;
use tower::Service;

use crate::access::Guarded;
use crate::layer::is_grpc;
use crate::limits::OPEN_WAIT;
use crate::open_calls::{OpenCalls, is_open};
use crate::status;
use crate::work::Kind;

/// A value that comes when the database is open, or before, and stays; clones are one.
pub(crate) struct Late<T>(Arc<Coming<T>>);

struct Coming<T> {
    /// Nearly every call finds it there, and waits for no lock.
    value: OnceLock<T>,
    is_there: watch::Sender<bool>,
}

impl<T: Clone> Late<T> {
    /// It is there from now on; what comes first stays.
    pub(crate) fn come(&self, value: T) {
        let _ = self.0.value.set(value);
        self.0.is_there.send_replace(true);
    }

    /// The value, if it is there.
    pub(crate) fn now(&self) -> Option<T> {
        self.get().cloned()
    }

    /// The value, if it comes within so long.
    async fn within(&self, wait: Duration) -> Option<T> {
        if let Some(value) = self.now() {
            return Some(value);
        }
        let mut comes = self.0.is_there.subscribe();
        let coming = tokio::time::timeout(wait, comes.wait_for(|is_there| *is_there));
        // Either it took too long, or the sender is gone, which is `self`.
        drop(coming.await.ok()?.ok()?);
        self.now()
    }

    /// The value for a call, which waits for it a little.
    pub(crate) async fn for_call(&self) -> Option<T> {
        self.within(OPEN_WAIT).await
    }
}

impl<T> Late<T> {
    /// The value itself, if it is there.
    fn get(&self) -> Option<&T> {
        self.0.value.get()
    }
}

impl<T> Default for Late<T> {
    fn default() -> Self {
        Self(Arc::new(Coming { value: OnceLock::new(), is_there: watch::Sender::new(false) }))
    }
}

impl<T> Clone for Late<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Late<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Late").field("is_there", &self.get().is_some()).finish()
    }
}

/// What the gRPC port answers: calls of services that need the database, and of those that do not. Clones are one, and cheap: the transport makes some for
/// each request.
#[derive(Clone, Debug)]
pub(crate) struct Port(Arc<Answers>);

#[derive(Debug)]
struct Answers {
    calls: Late<Guarded>,
    /// Health and reflection.
    open: OpenCalls,
}

impl Port {
    pub(crate) fn new(calls: Late<Guarded>, open: OpenCalls) -> Port {
        Port(Arc::new(Answers { calls, open }))
    }
}

impl Service<Request<Body>> for Port {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if !is_grpc(request.headers()) {
            return Box::pin(async { Ok(status::not_grpc()) });
        }
        let path = request.uri().path();
        if is_open(path) {
            let (open, calls) = (self.0.open.clone(), self.0.calls.clone());
            return Box::pin(async move { Ok(open.call(request, calls).await) });
        }
        // What the API does not have takes no place, and so waits for nothing.
        if Kind::of(path).is_none() {
            return Box::pin(async { Ok(status::unknown_method().into_http()) });
        }
        // Nearly every call, where nobody is asked who they are: it is the service's, and nothing is around it.
        if let Some(api) = self.0.calls.get().and_then(Guarded::for_all) {
            return api.call(request);
        }
        let answers = Arc::clone(&self.0);
        Box::pin(async move {
            if let Some(guarded) = answers.calls.get() {
                return Ok(guarded.call(request).await);
            }
            Ok(match answers.calls.for_call().await {
                Some(guarded) => guarded.call(request).await,
                None => status::opening().into_http(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use tonic::service::Routes;
    use tonic::{Code, Status};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_late_is_waited_for_and_then_there_at_once() {
        let late = Late::<i32>::default();
        assert_eq!((late.now(), late.for_call().await), (None, None));
        let waiting = tokio::spawn({
            let late = late.clone();
            async move { late.for_call().await }
        });
        tokio::time::sleep(OPEN_WAIT / 2).await;
        late.come(7);
        assert_eq!(waiting.await.unwrap(), Some(7));
        assert_eq!((late.now(), late.within(Duration::ZERO).await), (Some(7), Some(7)));
    }

    /// It was read as gRPC whatever it said: a client of another protocol got an answer with the status 200 that it could not read.
    #[tokio::test]
    async fn who_does_not_speak_grpc_is_told_so_by_http() {
        let mut port = Port::new(Late::default(), OpenCalls::new(Routes::default(), false));
        let types = [
            ("application/grpc", StatusCode::OK, Code::Unimplemented),
            ("application/grpc+proto", StatusCode::OK, Code::Unimplemented),
            ("Application/GRPC; x=1", StatusCode::OK, Code::Unimplemented),
            ("application/json", StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument),
            ("application/grpc-web+proto", StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument),
            ("", StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument),
        ];
        for path in ["/x/Y", "/grpc.x/Y"] {
            for (media_type, status, code) in types {
                let request = Request::post(path).header("content-type", media_type).body(Body::empty());
                let response = port.call(request.unwrap()).await.unwrap();
                let told = Status::from_header_map(response.headers()).unwrap();
                assert_eq!((response.status(), told.code()), (status, code), "{path} {media_type}");
            }
            let response = port.call(Request::post(path).body(Body::empty()).unwrap()).await.unwrap();
            assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{path} without a type");
        }
    }
}
