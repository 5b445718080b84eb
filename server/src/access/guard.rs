//! The services of the API behind the question who asks.

use http::{Request, Response};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::Service as _;

use super::{Access, within};
use crate::rpc::Api;
use crate::work::Place;

/// The services, and who may call them; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Guarded {
    pub(crate) api: Api,
    pub(crate) access: Access,
}

impl Guarded {
    /// Makes a call, if it may be made.
    pub(crate) async fn call(mut self, request: Request<Body>) -> Response<Body> {
        let call = match self.access.admit(request.uri().path(), request.headers()).await {
            Ok(call) => call,
            Err(refused) => return refused.into_http(),
        };
        if let (Some(call), Some(place)) = (&call, Place::current())
            && let Err(refused) = call.takes(&place)
        {
            return refused.into_http();
        }
        let begun = call.clone();
        let Ok(response) = within(call, self.api.call(request)).await;
        let status = Status::from_header_map(response.headers());
        if let Some(begun) = begun
            && status.is_some_and(|status| status.code() == Code::PermissionDenied)
        {
            begun.note_refused();
        }
        response
    }
}
