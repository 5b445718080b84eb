//! The credentials that go with each call.

use std::fmt;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::error::{Code, Error, Result};

/// An API key or a token, which shows in nothing.
#[derive(Clone)]
pub(super) struct ApiKey(String);

impl ApiKey {
    pub(super) fn new(key: String) -> ApiKey {
        ApiKey(key)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}

/// Adds a header to each call.
#[derive(Clone, Debug)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    pub(super) fn of(key: Option<&ApiKey>) -> Result<Bearer> {
        let Some(ApiKey(key)) = key else { return Ok(Bearer(None)) };
        let mut value = MetadataValue::<Ascii>::try_from(format!("Bearer {key}")).map_err(|_| {
            Error::new(Code::InvalidArgument, "api key: it has characters that no header has".to_owned())
        })?;
        value.set_sensitive(true);
        Ok(Bearer(Some(value)))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> std::result::Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_with_a_call_and_shows_in_nothing() {
        let key = ApiKey::new("rsk_0123456789abcdef_hush".to_owned());
        let mut bearer = Bearer::of(Some(&key)).unwrap();
        let request = bearer.call(Request::new(())).unwrap();
        assert_eq!(request.metadata().get("authorization").unwrap(), "Bearer rsk_0123456789abcdef_hush");
        let shown = format!("{key:?} {bearer:?} {request:?}");
        assert!(!shown.contains("hush"), "{shown}");
        assert!(Bearer::of(None).unwrap().call(Request::new(())).unwrap().metadata().is_empty());
        assert!(Bearer::of(Some(&ApiKey::new("a\nb".to_owned()))).is_err());
    }
}
