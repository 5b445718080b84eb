//! Where a server listens, until when, and why it may not.

use std::future::Future;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::tls::TlsError;

/// Why a server did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address is not `HOST:PORT`, or its host is not known.
    #[error("cannot listen on `{address}`: {reason}; expected HOST:PORT, such as 127.0.0.1:6733")]
    Address {
        /// The address.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Another process listens there.
    #[error("cannot listen on {address}: the address is in use; is a server running there already?")]
    AddressInUse {
        /// The address.
        address: String,
    },
    /// The address is reached from elsewhere, and nobody who calls is asked who they are.
    #[error(
        "not listening on {address}: whoever reaches it could do everything; have callers told apart (--auth, or tokens) or show certificates \
         (--tls-client-ca), listen on 127.0.0.1, or insist (--insecure-listen)"
    )]
    Insecure {
        /// The address.
        address: String,
    },
    /// The operating system refused to listen.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// A part of the configuration is not acceptable.
    #[error("{field} {reason}")]
    Config {
        /// The part.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The certificates cannot be served.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Traces cannot be told: the collector's address, or a variable `OTEL_…` of the environment, is not understood.
    #[error("otlp_endpoint: {0}")]
    Telemetry(String),
    /// The descriptors of the API are unreadable.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The same, before reflection had them.
    #[error("the descriptors of the API: {0}")]
    Descriptors(#[from] prost::DecodeError),
    /// The transport failed.
    #[error("serving: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The database cannot be opened.
    #[error("opening the database: {0}")]
    Open(#[source] ragstone::Error),
    /// The thread that opens the database panicked; the panic's message is in the log.
    #[error("opening the database: {0}")]
    Opening(#[source] tokio::task::JoinError),
    /// The last flush failed. What was acknowledged is in the log nevertheless.
    #[error("flushing at the end: {0}")]
    Flush(#[source] ragstone::Error),
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signal(#[source] std::io::Error),
}

/// Where a server listens.
#[derive(Debug)]
pub struct Listeners {
    /// gRPC.
    pub grpc: TcpListener,
    /// The HTTP port, if there is to be one.
    pub http: Option<TcpListener>,
}

impl Listeners {
    /// The first address that is reached from other machines.
    pub(crate) fn beyond_loopback(&self) -> Option<SocketAddr> {
        let addresses = [Some(&self.grpc), self.http.as_ref()].into_iter().flatten();
        addresses
            .filter_map(|listener| listener.local_addr().ok())
            .find(|address| !address.ip().is_loopback())
    }
}

/// gRPC alone.
impl From<TcpListener> for Listeners {
    fn from(grpc: TcpListener) -> Listeners {
        Listeners { grpc, http: None }
    }
}

/// Listens on `HOST:PORT`; port 0 takes a free one ([`TcpListener::local_addr`] tells which).
///
/// # Errors
/// [`ServeError::Address`], [`ServeError::AddressInUse`], [`ServeError::Listen`].
pub async fn bind(address: &str) -> Result<TcpListener, ServeError> {
    let resolved: Vec<_> = tokio::net::lookup_host(address)
        .await
        .map_err(|error| ServeError::Address { address: address.to_owned(), reason: error.to_string() })?
        .collect();
    TcpListener::bind(resolved.as_slice()).await.map_err(|source| {
        let address = address.to_owned();
        match source.kind() {
            std::io::ErrorKind::AddrInUse => ServeError::AddressInUse { address },
            _ => ServeError::Listen { address, source },
        }
    })
}

/// Completes at SIGINT (Ctrl-C) or SIGTERM.
///
/// # Errors
/// [`ServeError::Signal`], at once, if they cannot be received.
pub fn shutdown_signal() -> Result<impl Future<Output = ()> + Send, ServeError> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signal)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signal)?;
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => tracing::info!(signal = "SIGINT", "asked to stop"),
                _ = terminate.recv() => tracing::info!(signal = "SIGTERM", "asked to stop"),
            }
        })
    }
    #[cfg(not(unix))]
    {
        Ok(async {
            if tokio::signal::ctrl_c().await.is_ok() {
                tracing::info!(signal = "Ctrl-C", "asked to stop");
            }
        })
    }
}
