//! The services of the API behind the question who asks.

use http::{Request, Response};
use tonic::body::Body;
use tonic::{Code, Status};

use super::{Access, within};
use crate::connections::Peer;
use crate::layer::Acknowledgements;
use crate::rpc::Api;
use crate::work::Place;

/// The services, and who may call them; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Guarded {
    pub(crate) api: Api,
    pub(crate) access: Access,
}

impl Guarded {
    /// The services, where callers are not told apart: of a call that is made nothing is asked then.
    pub(crate) fn for_all(&self) -> Option<&Api> {
        (!self.access.0.is_on).then_some(&self.api)
    }

    /// Makes a call, if it may be made.
    pub(crate) async fn call(&self, request: Request<Body>) -> Response<Body> {
        let peer = request.extensions().get::<Peer>().and_then(Peer::address);
        let call = match self.access.admit(request.uri().path(), request.headers(), peer).await {
            Ok(call) => call,
            Err(refused) => return refused.into_http(),
        };
        let takes_messages = request.extensions().get::<Acknowledgements>().is_some();
        let answer = |request: Request<Body>| self.api.call(request);
        // Callers are not told apart.
        let Some(call) = call else {
            let Ok(response) = answer(request).await;
            return response;
        };
        let place = Place::current();
        if let Some(place) = &place
            && let Err(refused) = call.takes(place)
        {
            return refused.into_http();
        }
        let streams = place.is_some_and(|place| place.streams());
        let Ok(response) = within(Some(call.clone()), answer(request)).await;
        let status = Status::from_header_map(response.headers());
        if status.is_some_and(|status| status.code() == Code::PermissionDenied) {
            call.note_refused();
        }
        if !streams {
            return response;
        }
        self.access.streaming(response, call, !takes_messages)
    }
}
