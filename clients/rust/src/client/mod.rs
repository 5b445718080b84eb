//! The client: a connection, and one method a call, in a file for each service.

mod admin;
mod aliases;
mod bearer;
mod collections;
mod documents;
mod inference;
mod ingest;
mod keys;
mod operations;
mod points;
mod rag;
mod search;
mod templates;
mod tls;
mod written;

use std::time::Duration;

use tonic::codec::CompressionEncoding;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};

use self::bearer::{ApiKey, Bearer};
use self::tls::Tls;
use self::written::{AtLeast, Written};
use crate::call::Policy;
use crate::error::{Code, Error, Result, explained, innermost};

pub use admin::RestoreCollection;
pub use aliases::Alias;
pub use operations::OperationWatch;

/// Where a server listens by default.
pub const DEFAULT_URL: &str = "http://127.0.0.1:6733";

/// Bytes of the largest answer that the client reads: the server's own limit and room for a larger one.
pub const MESSAGE_BYTES_MAX: usize = 256 << 20;

/// Items asked for at once by the methods that return all of them.
const LIST_PAGE_SIZE: u32 = 1_000;

/// What calls are made over: a connection, and the credentials that go with each of them.
type Calling = InterceptedService<Channel, Bearer>;

const WINDOW_BYTES: u32 = 4 << 20;
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How long the answer to a ping may take. A connection that lies idle may be gone without a word, as behind a gateway that
/// forgot it. The first call on it sends a ping at once, and has time left to be made again on another connection. On a slow
/// network pings wait behind data, so it is not shorter.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A service's generated client, as this client has it.
macro_rules! service {
    ($client:expr, $service:ident) => {{
        let service = $service::new($client.channel.clone())
            .max_decoding_message_size($crate::client::MESSAGE_BYTES_MAX);
        match $client.compression.map($crate::client::Compression::encoding) {
            Some(encoding) => service.send_compressed(encoding).accept_compressed(encoding),
            None => service,
        }
    }};
}
use service;

/// What messages are compressed with. Texts become a third of their bytes or less, vectors little fewer: it is for slow networks,
/// and costs time on a fast one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Known to every gRPC server and proxy.
    Gzip,
    /// Faster, and usually smaller.
    Zstd,
}

impl Compression {
    fn encoding(self) -> CompressionEncoding {
        match self {
            Self::Gzip => CompressionEncoding::Gzip,
            Self::Zstd => CompressionEncoding::Zstd,
        }
    }
}

/// How a client connects and calls.
///
/// ```no_run
/// use std::time::Duration;
/// use ragstone_client::Client;
///
/// # async fn run() -> Result<(), ragstone_client::Error> {
/// let client = Client::builder("http://127.0.0.1:6733")
///     .connect_timeout(Duration::from_secs(2))
///     .timeout(Duration::from_secs(10))
///     .retries(5)
///     .build()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ClientBuilder {
    url: String,
    connect_timeout: Duration,
    policy: Policy,
    compression: Option<Compression>,
    tls: Tls,
    api_key: Option<ApiKey>,
}

impl ClientBuilder {
    /// The deadline of every call, its retries included, instead of each call's own default; a year at most.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.policy = self.policy.within(timeout);
        self
    }

    /// The API key, or the token, that goes with each call as `authorization: Bearer`; none by default. It is sent as it is: over a network, only to a
    /// server behind TLS.
    #[must_use]
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(ApiKey::new(key.into()));
        self
    }

    /// How long a connection may take to be made; 5 s by default.
    #[must_use]
    pub fn connect_timeout(mut self, connect_timeout: Duration) -> Self {
        self.connect_timeout = connect_timeout;
        self
    }

    /// How often a call is repeated at most, where that is safe; 3 by default, 0 for never.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.policy.retries = retries;
        self
    }

    /// Compresses requests, and asks for compressed answers; neither by default.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }

    /// Trusts the authorities of this PEM text alone, for `https://` URLs. Without it those are trusted that the system trusts, or, where
    /// it names none, Mozilla's.
    #[must_use]
    pub fn tls_ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.ca = Some(pem.into());
        self
    }

    /// Shows a certificate to servers that ask for one (mutual TLS), for `https://` URLs: PEM texts of the certificate, with those between
    /// it and its authority, and of its key.
    #[must_use]
    pub fn tls_identity(mut self, cert: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.tls.identity = Some((cert.into(), key.into()));
        self
    }

    /// Connects. A connection that breaks later is made anew by the next call.
    ///
    /// # Errors
    /// [`Code::InvalidArgument`] for a URL that is none (`http://HOST:PORT` and `https://HOST:PORT` are), for certificates that make no
    /// sense and for a key that no header can have, [`Code::Unavailable`] when nothing listens there, or not whom this client trusts.
    pub async fn build(self) -> Result<Client> {
        let (endpoint, bearer) = (self.endpoint()?, self.bearer()?);
        let channel = endpoint.connect().await.map_err(|error| {
            Error::new(Code::Unavailable, format!("cannot connect to {}: {}", self.url, explained(&error)))
        })?;
        Ok(self.over(channel, bearer))
    }

    /// A client that connects with its first call: for servers that are not up yet. Must be called within a Tokio
    /// runtime.
    ///
    /// # Errors
    /// [`Code::InvalidArgument`] for a URL that is none, for certificates that make no sense, and for a key that no header can have.
    pub fn build_lazy(self) -> Result<Client> {
        let (channel, bearer) = (self.endpoint()?.connect_lazy(), self.bearer()?);
        Ok(self.over(channel, bearer))
    }

    fn bearer(&self) -> Result<Bearer> {
        Bearer::of(self.api_key.as_ref())
    }

    fn over(&self, channel: Channel, bearer: Bearer) -> Client {
        let channel = InterceptedService::new(channel, bearer);
        Client { channel, policy: self.policy, compression: self.compression, written: Written::default() }
    }

    fn endpoint(&self) -> Result<Endpoint> {
        let invalid = |reason: &str| {
            Error::new(
                Code::InvalidArgument,
                format!("url `{}`: {reason}; expected http://HOST:PORT or https://HOST:PORT", self.url),
            )
        };
        let endpoint =
            Endpoint::from_shared(self.url.clone()).map_err(|error| invalid(&innermost(&error)))?;
        let endpoint = match endpoint.uri().scheme_str() {
            Some("https") => self.tls.secure(endpoint, self.connect_timeout)?,
            Some("http") if self.tls.is_asked_for() => {
                return Err(invalid("certificates are for https, and the scheme is http"));
            }
            Some("http") => endpoint,
            _ => return Err(invalid("the scheme is neither http nor https")),
        };
        Ok(endpoint
            .connect_timeout(self.connect_timeout)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES))
    }
}

/// A client of one server; cheap to clone, one connection shared by its clones.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Calling,
    policy: Policy,
    compression: Option<Compression>,
    written: Written,
}

impl Client {
    /// Connects with every default.
    ///
    /// # Errors
    /// As [`ClientBuilder::build`].
    pub async fn connect(url: impl Into<String>) -> Result<Client> {
        Self::builder(url).build().await
    }

    /// Says how to connect to a server.
    pub fn builder(url: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            url: url.into(),
            connect_timeout: CONNECT_TIMEOUT,
            policy: Policy { timeout: None, retries: 3 },
            compression: None,
            tls: Tls::default(),
            api_key: None,
        }
    }

    /// The same connection with another deadline for every call, retries included; a year at most.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Client {
        Client { policy: self.policy.within(timeout), ..self.clone() }
    }

    /// Has what is read through the client find what a write wrote, and all writes before it: the token is that of the write
    /// ([`write_token`](Self::write_token)), by whatever client of whatever server of the same database.
    ///
    /// ```no_run
    /// # use ragstone_client::{Client, Error, Point};
    /// # async fn run(writer: Client, reader: Client) -> Result<(), Error> {
    /// writer.upsert_points("notes", [Point::new(1, [1.0, 0.0])]).await?;
    /// let token = writer.write_token().expect("it wrote");
    /// assert_eq!(reader.at_least(token).get_points("notes", [1]).await?.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn at_least(&self, write_token: impl Into<String>) -> Client {
        Client { written: self.written.reading(AtLeast::Token(write_token.into())), ..self.clone() }
    }

    /// Has what is read through the client find what was written through it and its clones, whichever server answers.
    #[must_use]
    pub fn reading_own_writes(&self) -> Client {
        Client { written: self.written.reading(AtLeast::OwnWrites), ..self.clone() }
    }

    /// The token of the last write that this client, or a clone of it, had acknowledged.
    pub fn write_token(&self) -> Option<String> {
        self.written.last()
    }

    /// The same connection with another number of retries.
    #[must_use]
    pub fn with_retries(&self, retries: u32) -> Client {
        Client { policy: Policy { retries, ..self.policy }, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads on a connection that was gone failed when their time was over, and none was made again.
    #[test]
    fn a_read_has_time_for_another_connection_when_its_own_is_found_gone() {
        let read = crate::call::methods::GET_POINTS.timeout;
        assert!(KEEP_ALIVE_TIMEOUT + CONNECT_TIMEOUT < read);
    }
}
