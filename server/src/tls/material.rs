//! From files to what rustls serves with.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::{CertificateError, Error, RootCertStore, ServerConfig};

use super::TlsError;

/// The files of a server that has TLS.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
    pub(super) client_ca: Option<PathBuf>,
}

/// What is in them. It has a key, so it can be compared but not shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Material {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

/// What each port serves with: they differ in the protocol that is spoken within.
#[derive(Clone)]
pub(super) struct Configs {
    pub(super) grpc: Arc<ServerConfig>,
    pub(super) http: Arc<ServerConfig>,
    /// When the first of the certificates ends that both show, in seconds since 1970; none where that cannot be told.
    pub(super) ends_at: Option<u64>,
}

impl Material {
    pub(super) fn read(files: &Files) -> Result<Material, TlsError> {
        let read = |setting, file: &Path| {
            std::fs::read(file).map_err(|error| problem(setting, file, error.to_string()))
        };
        Ok(Material {
            cert: read("tls.cert", &files.cert)?,
            key: read("tls.key", &files.key)?,
            client_ca: files.client_ca.as_deref().map(|file| read("tls.client_ca", file)).transpose()?,
        })
    }

    pub(super) fn configs(&self, files: &Files) -> Result<Configs, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let chain = certificates("tls.cert", &files.cert, &self.cert)?;
        let ends_at = first_end(&chain);
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| {
            let reason = match error {
                rustls::pki_types::pem::Error::NoItemsFound => "no private key is in it".to_owned(),
                other => format!("no PEM: {other}"),
            };
            problem("tls.key", &files.key, reason)
        })?;
        // The name of the setting stands for all that is not a file's fault, which cannot be with versions that are built in.
        let versions = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| problem("tls.cert", &files.cert, error.to_string()))?;
        let builder = match (&files.client_ca, &self.client_ca) {
            (Some(file), Some(pem)) => {
                let roots = authorities(file, pem)?;
                versions.with_client_cert_verifier(verifier(roots, provider, file)?)
            }
            _ => versions.with_no_client_auth(),
        };
        // This also compares the key with the certificate.
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|error| problem("tls.key", &files.key, format!("with tls.cert: {error}")))?;
        if self.client_ca.is_some() {
            // Nobody looks at the certificate of a session that is resumed, and each resumption brings the means for the next one: whose
            // certificate has ended would go on for as long as they come back.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        let speaking = |protocol: &[u8]| {
            let mut config = config.clone();
            config.alpn_protocols = vec![protocol.to_vec()];
            Arc::new(config)
        };
        Ok(Configs { grpc: speaking(b"h2"), http: speaking(b"http/1.1"), ends_at })
    }
}

fn problem(setting: &'static str, file: &Path, reason: String) -> TlsError {
    TlsError { setting, file: file.to_owned(), reason }
}

/// The certificates of a file, of which there must be one at least.
fn certificates(
    setting: &'static str,
    file: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|error| problem(setting, file, format!("no PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(problem(setting, file, "no certificate is in it".to_owned()));
    }
    Ok(certificates)
}

/// When the first of these certificates ends: a client that needs it takes none of the chain then, and whether it knows of another way is not seen from here.
fn first_end(chain: &[CertificateDer<'_>]) -> Option<u64> {
    chain.iter().filter_map(end_of).min()
}

/// When a certificate ends, in seconds since 1970. No crate that we have reads that for others, but rustls says it of one that has ended, which it looks at
/// before anything else: so it is asked about the last moment of all.
fn end_of(certificate: &CertificateDer<'_>) -> Option<u64> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    let last_moment = UnixTime::since_unix_epoch(Duration::MAX);
    let roots = RootCertStore::empty();
    match verify_server_cert_signed_by_trust_anchor(&parsed, &roots, &[], last_moment, &[]) {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            Some(not_after.as_secs())
        }
        _ => None,
    }
}

fn authorities(file: &Path, pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("tls.client_ca", file, pem)? {
        roots.add(certificate).map_err(|error| problem("tls.client_ca", file, error.to_string()))?;
    }
    Ok(roots)
}

fn verifier(
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
    file: &Path,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| problem("tls.client_ca", file, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server's certificate until 2100, and that of the authority between it and its root, until 2040: the first year is written with four digits,
    /// the second with two.
    const CHAIN: &str = "\
-----BEGIN CERTIFICATE-----
MIHRMIGEoAMCAQICAQcwBQYDK2VwMBIxEDAOBgNVBAMMB2JldHdlZW4wIBcNMjAw
MTAxMDAwMDAwWhgPMjEwMDAxMDEwMDAwMDBaMBExDzANBgNVBAMMBnNlcnZlcjAq
MAUGAytlcAMhAMySfsiDGBYNWGpxVNzr27fUNUz9PC7iuCMzLsFmVJ2EMAUGAytl
cANBAM7LASu2mrBhT7KwhJaL/S0Vy28jBARxE1wPq8RVYQioJsB435Tz83ZEEe0m
QARRBpvslXP7EVmmiEGEJodougE=
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIHiMIGVoAMCAQICAQcwBQYDK2VwMA8xDTALBgNVBAMMBHJvb3QwHhcNMjAwMTAx
MDAwMDAwWhcNNDAwMTAxMDAwMDAwWjASMRAwDgYDVQQDDAdiZXR3ZWVuMCowBQYD
K2VwAyEACEbXIQGmH28uIn0z6GGHjsK148VH3yzW5Ofh0uBrgNSjEzARMA8GA1Ud
EwEB/wQFMAMBAf8wBQYDK2VwA0EAtgIqVpMS2Ta2yhJABK0ISTM2QkmnCcKHYdOX
u3I1uhyb3P+RfmcfCTL0qE1DvpilpAdcK3VshLpiMXuQGEFdAw==
-----END CERTIFICATE-----
";

    /// Clients turn away with the first that ends, and that need not be the server's own.
    #[test]
    fn the_first_certificate_of_a_chain_to_end_is_the_one_that_counts() {
        let chain = certificates("tls.cert", Path::new("chain.pem"), CHAIN.as_bytes()).unwrap();
        assert_eq!(chain.iter().map(end_of).collect::<Vec<_>>(), [Some(4_102_444_800), Some(2_208_988_800)]);
        assert_eq!(first_end(&chain), Some(2_208_988_800));
        assert_eq!(first_end(&chain[..1]), Some(4_102_444_800));
        assert_eq!(first_end(&[CertificateDer::from(vec![0])]), None);
    }
}
