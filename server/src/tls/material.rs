//! From files to what rustls serves with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

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
        Ok(Configs { grpc: speaking(b"h2"), http: speaking(b"http/1.1") })
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
