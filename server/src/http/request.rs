//! What a request to the HTTP port must be, and what it works under.

use std::future::Future;
use std::net::IpAddr;

use axum::body::Body;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;

use super::Stage;
use super::answer::ApiError;
use super::port::Port;
use super::sending::holding;
use crate::access::Call;
use crate::layer::patience;
use crate::status;
use crate::work::{Kind, Place};

impl Port {
    /// Answers a request that works: it takes a place before its body is read, until its answer has gone, and is given up at its deadline and when the
    /// server closes. A caller who leaves drops the future.
    pub(super) async fn admitted<F>(&self, kind: Kind, handle: F) -> Response
    where
        F: Future<Output = Result<Response, ApiError>>,
    {
        let place = match self.services.work().admit(kind, false) {
            Ok(place) => place.until(std::time::Instant::now().checked_add(self.request_timeout)),
            Err(refused) => return ApiError::from(refused).into(),
        };
        if let Some(call) = Call::current()
            && let Err(refused) = call.takes(&place)
        {
            return ApiError::from(refused).into();
        }
        let answered = tokio::select! {
            biased;
            answered = place.clone().hold(handle) => answered,
            () = tokio::time::sleep(self.request_timeout) => {
                Err(status::deadline_exceeded(self.request_timeout).into())
            }
            () = self.closing() => Err(status::shutting_down().into()),
        };
        match answered {
            Ok(response) => holding(response, place),
            Err(error) => error.into(),
        }
    }

    /// Completes when what is under way is to be given up.
    pub(super) fn closing(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stage = self.stage.clone();
        async move {
            // A sender that is gone means the same.
            let _ = stage.wait_for(|stage| *stage == Stage::Closing).await;
        }
    }

    /// What is understood of the JSON of a request's body, which is read within the limits and looked at on a thread that may block.
    pub(super) async fn json<T, U>(
        &self,
        request: Request<Body>,
        understand: fn(T) -> Result<U, ApiError>,
    ) -> Result<U, ApiError>
    where
        T: DeserializeOwned + 'static,
        U: Send + 'static,
    {
        if !is_json(request.headers()) {
            return Err(ApiError::not_json());
        }
        let body = read(request.into_body(), self.request_bytes_max).await?;
        let understood = self.services.work().run(move || {
            let parsed = serde_json::from_slice(&body).map_err(|error| ApiError::malformed(&error))?;
            understand(parsed)
        });
        understood.await?
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let media =
        headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    media.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

async fn read(mut body: Body, bytes_max: usize) -> Result<Bytes, ApiError> {
    let (mut bytes, began) = (BytesMut::new(), tokio::time::Instant::now());
    loop {
        // Nothing but waiting happens here.
        let patience = patience(began.elapsed(), bytes.len() as u64);
        let Ok(frame) = tokio::time::timeout(patience, body.frame()).await else {
            return Err(status::body_stalled().into());
        };
        let Some(frame) = frame else { return Ok(bytes.freeze()) };
        let frame =
            frame.map_err(|error| status::malformed(&format!("the request's body broke off: {error}")))?;
        if let Some(data) = frame.data_ref() {
            let whole = bytes.len() + data.len();
            if whole > bytes_max {
                return Err(status::request_too_large(bytes_max, whole as u64).into());
            }
            if let Some(place) = Place::current() {
                place.take(data.len())?;
            }
            bytes.extend_from_slice(data);
        }
    }
}

/// Whether a `Host` header means this machine by itself: a literal address or `localhost`, whatever the port.
pub(super) fn is_own_host(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_machine_itself_is_its_own_host() {
        for own in
            ["localhost", "LOCALHOST:80", "127.0.0.1:6734", "127.0.0.1", "[::1]:6734", "[::1]", "10.0.0.1:1"]
        {
            assert!(is_own_host(own), "{own}");
        }
        for other in [
            "evil.example",
            "evil.example:6734",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
            ":80",
        ] {
            assert!(!is_own_host(other), "{other}");
        }
    }

    #[test]
    fn json_is_declared_as_such() {
        let declared = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(http::header::CONTENT_TYPE, value.parse().unwrap());
            is_json(&headers)
        };
        assert!(declared("application/json") && declared("Application/JSON; charset=utf-8"));
        assert!(!declared("text/plain") && !declared("application/x-www-form-urlencoded"));
        assert!(!is_json(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit() {
        assert_eq!(read(Body::from(vec![7; 10]), 10).await.unwrap().len(), 10);
        assert_eq!(read(Body::from(vec![7; 11]), 10).await.unwrap_err().status().as_u16(), 413);
    }
}
