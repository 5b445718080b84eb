//! TLS of both ports: the server shows a certificate, and asks clients for one where it is told whose to take (mutual TLS).
//!
//! The problem: certificates live for days or weeks, servers for longer, and nobody wants to restart a database for a certificate. So the
//! files are read anew every few seconds ([`TlsFiles::reload_interval`]), and what they say holds for connections from then on; those that
//! are open stay as they are. Contents are compared rather than time stamps: they are a few kilobytes, and a file that was replaced within
//! a clock tick, or by one that is older, is seen too.
//!
//! Invariants:
//! * Files that cannot be read, make no sense or do not belong together (a certificate whose key has not been written yet) change nothing: what
//!   was served before is, and the log says once what is wrong. Only a server that starts with such files does not start.
//! * A port with TLS answers nobody without: a connection begins with a handshake, which has a time-out
//!   ([`TLS_HANDSHAKE_SECONDS_MAX`]), and of which so many are under way at most ([`TLS_HANDSHAKES_MAX`]).
//! * Slow handshakes keep nobody else waiting: each has a task of its own, and where there are as many as may be the longest ends for another.
//! * Where clients must show certificates, every connection begins with one that is good then: no session is resumed.
//!
//! TLS 1.2 and 1.3 by rustls, with the cryptography of ring. Deliberately absent: lists of revoked client certificates; those of a short life
//! do without, and an authority that is taken out of [`TlsFiles::client_ca`] is refused from the next reload on.
//!
//! [`TLS_HANDSHAKE_SECONDS_MAX`]: crate::limits::TLS_HANDSHAKE_SECONDS_MAX
//! [`TLS_HANDSHAKES_MAX`]: crate::limits::TLS_HANDSHAKES_MAX

mod connection;
mod incoming;
mod material;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

pub(crate) use self::connection::{Connection, handshake};
pub(crate) use self::incoming::incoming;
use self::material::{Configs, Files, Material};

/// Where the certificates of a server lie, all of them PEM files. No TLS by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, followed by those between it and its authority.
    pub cert: Option<PathBuf>,
    /// The key of the certificate (PKCS #8, PKCS #1 or SEC 1).
    pub key: Option<PathBuf>,
    /// Authorities whose clients alone are let in, by a whole handshake each time. Without it, clients are asked for no certificate.
    pub client_ca: Option<PathBuf>,
    /// How often the files are looked at anew.
    pub reload_interval: Duration,
}

impl Default for TlsFiles {
    fn default() -> Self {
        TlsFiles { cert: None, key: None, client_ca: None, reload_interval: Duration::from_secs(5) }
    }
}

impl TlsFiles {
    /// The first part that is not acceptable, and why.
    pub(crate) fn problem(&self) -> Option<(&'static str, &'static str)> {
        if self.cert.is_some() && self.key.is_none() {
            return Some(("tls.key", "is needed beside tls.cert"));
        }
        if self.cert.is_none() && self.key.is_some() {
            return Some(("tls.cert", "is needed beside tls.key"));
        }
        if self.cert.is_none() && self.client_ca.is_some() {
            return Some(("tls.cert", "is needed beside tls.client_ca"));
        }
        self.reload_interval.is_zero().then_some(("tls.reload_interval", "is 0 and must be above it"))
    }
}

/// Why TLS cannot be served with these files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} {}: {reason}", file.display())]
pub struct TlsError {
    /// The setting that names the file.
    pub setting: &'static str,
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it; nothing of a key is in it.
    pub reason: String,
}

/// The certificates that a server shows; clones are one.
#[derive(Clone)]
pub(crate) struct Tls {
    files: Arc<Files>,
    reload_interval: Duration,
    /// What the files said when the server started.
    first: Arc<Material>,
    configs: watch::Sender<Configs>,
}

impl Tls {
    /// Reads the files; none if there is to be no TLS. Blocks for a moment.
    pub(crate) fn load(config: &TlsFiles) -> Result<Option<Tls>, TlsError> {
        let (Some(cert), Some(key)) = (config.cert.clone(), config.key.clone()) else {
            return Ok(None);
        };
        let files = Files { cert, key, client_ca: config.client_ca.clone() };
        let first = Material::read(&files)?;
        let configs = watch::Sender::new(first.configs(&files)?);
        let reload_interval = config.reload_interval;
        Ok(Some(Tls { files: Arc::new(files), reload_interval, first: Arc::new(first), configs }))
    }

    /// What makes TLS of the next connection to the gRPC port.
    pub(crate) fn grpc(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.configs.borrow().grpc))
    }

    /// The same of the HTTP port.
    pub(crate) fn http(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.configs.borrow().http))
    }

    /// When the first of the certificates ends that connections are shown from now on, in seconds since 1970; none where that cannot be told.
    pub(crate) fn ends_at(&self) -> Option<u64> {
        self.configs.borrow().ends_at
    }

    /// Looks at the files again and again; ends never.
    pub(crate) async fn reload(self) {
        let mut seen = Ok(Material::clone(&self.first));
        loop {
            tokio::time::sleep(self.reload_interval).await;
            let files = Arc::clone(&self.files);
            let looking = tokio::task::spawn_blocking(move || {
                let read = Material::read(&files);
                let configs = (read != seen).then(|| read.clone().and_then(|read| read.configs(&files)));
                (read, configs)
            });
            let Ok((read, configs)) = looking.await else {
                // The runtime ends, or it panicked, and the panic's message is in the log.
                tracing::error!("certificates are not looked at any more");
                return;
            };
            seen = read;
            match configs {
                None => {}
                Some(Ok(configs)) => {
                    self.configs.send_replace(configs);
                    tracing::info!("new certificates hold for connections from now on");
                }
                Some(Err(error)) => {
                    tracing::error!(%error, "new certificates are not usable; those of before hold on");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_belong_together_come_together() {
        let file = || Some(PathBuf::from("x.pem"));
        let none = TlsFiles::default();
        assert_eq!(none.problem(), None);
        assert!(Tls::load(&none).is_ok_and(|tls| tls.is_none()));
        let problem = |files: TlsFiles| files.problem().map(|(setting, _)| setting);
        assert_eq!(problem(TlsFiles { cert: file(), ..none.clone() }), Some("tls.key"));
        assert_eq!(problem(TlsFiles { key: file(), ..none.clone() }), Some("tls.cert"));
        assert_eq!(problem(TlsFiles { client_ca: file(), ..none.clone() }), Some("tls.cert"));
        assert_eq!(problem(TlsFiles { cert: file(), key: file(), ..none.clone() }), None);
        let never = TlsFiles { reload_interval: Duration::ZERO, ..none };
        assert_eq!(problem(never), Some("tls.reload_interval"));
    }
}
