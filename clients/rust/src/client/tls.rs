//! Whom a client trusts, and what it shows of itself.

use std::fmt;
use std::time::Duration;

use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use crate::error::{Code, Error, Result, innermost};

/// What the PEM text of a certificate has. rustls leaves out what it cannot read of a list of authorities, and would trust nobody then.
const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// PEM texts, as they were given.
#[derive(Clone, Default)]
pub(super) struct Tls {
    pub(super) ca: Option<Vec<u8>>,
    /// A certificate and its key.
    pub(super) identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// There is a key in it, which is nobody's to see.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("has_ca", &self.ca.is_some())
            .field("has_identity", &self.identity.is_some())
            .finish()
    }
}

impl Tls {
    pub(super) fn is_asked_for(&self) -> bool {
        self.ca.is_some() || self.identity.is_some()
    }

    /// The endpoint of an `https://` URL.
    pub(super) fn secure(&self, endpoint: Endpoint, handshake_timeout: Duration) -> Result<Endpoint> {
        let mut config = ClientTlsConfig::new().timeout(handshake_timeout);
        if let Some((cert, key)) = &self.identity {
            if !has_certificate(cert) {
                return Err(invalid("tls_identity", "no certificate is in it"));
            }
            config = config.identity(Identity::from_pem(cert, key));
        }
        let secured = match &self.ca {
            Some(ca) if !has_certificate(ca) => return Err(invalid("tls_ca", "no certificate is in it")),
            Some(ca) => endpoint.tls_config(config.ca_certificate(Certificate::from_pem(ca))),
            // A system without authorities, as a small container is, is no reason to trust nobody.
            None => endpoint
                .clone()
                .tls_config(config.clone().with_native_roots())
                .or_else(|_| endpoint.tls_config(config.with_webpki_roots())),
        };
        secured.map_err(|error| invalid("tls", &innermost(&error)))
    }
}

fn has_certificate(pem: &[u8]) -> bool {
    pem.windows(CERTIFICATE.len()).any(|part| part == CERTIFICATE)
}

fn invalid(what: &str, reason: &str) -> Error {
    Error::new(Code::InvalidArgument, format!("{what}: {reason}"))
}

#[cfg(test)]
mod tests {
    use crate::{Client, Code};

    #[tokio::test]
    async fn certificates_that_make_no_sense_are_refused_before_anybody_is_called() {
        let lazy = |builder: crate::ClientBuilder| builder.build_lazy().unwrap_err();
        let https = || Client::builder("https://127.0.0.1:1");
        let error = lazy(https().tls_ca("nothing"));
        assert_eq!(
            (error.code(), error.message()),
            (Code::InvalidArgument, "tls_ca: no certificate is in it")
        );
        let error = lazy(https().tls_identity("nothing", "secret"));
        assert_eq!(error.message(), "tls_identity: no certificate is in it");
        let error = lazy(Client::builder("http://127.0.0.1:1").tls_ca("x"));
        assert!(error.message().contains("for https"), "{error}");
        assert!(https().build_lazy().is_ok(), "with the authorities of the system, or Mozilla's");
        assert!(!format!("{:?}", https().tls_identity("cert", "secret")).contains("secret"));
    }
}
