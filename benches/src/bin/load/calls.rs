//! Connections to a server, and what is called through them.

use std::str::FromStr;
use std::time::Duration;

use ragstone_benches::Failure;
use ragstone_proto::v1::collections_service_client::CollectionsServiceClient;
use ragstone_proto::v1::documents_service_client::DocumentsServiceClient;
use ragstone_proto::v1::points_service_client::PointsServiceClient;
use ragstone_proto::v1::rag_service_client::RagServiceClient;
use ragstone_proto::v1::search_service_client::SearchServiceClient;
use tonic::metadata::{Ascii, MetadataKey, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

const WINDOW_BYTES: u32 = 4 << 20;
const ANSWER_BYTES_MAX: usize = 256 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// After so long a call counts as failed.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// A header of each call.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    name: MetadataKey<Ascii>,
    value: MetadataValue<Ascii>,
}

impl FromStr for Header {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // What is wrong is told without the value, which may be a secret.
        let (name, value) = text.split_once('=').ok_or("it is not NAME=VALUE")?;
        let name = name
            .trim()
            .parse::<MetadataKey<Ascii>>()
            .map_err(|_| "the name is none that a header may have".to_owned())?;
        let value = value.trim().parse::<MetadataValue<Ascii>>();
        let mut value = value.map_err(|_| "the value is none that a header may have".to_owned())?;
        value.set_sensitive(true);
        Ok(Self { name, value })
    }
}

/// Adds headers to calls.
#[derive(Clone, Debug)]
pub(crate) struct Headers(Vec<Header>);

impl Interceptor for Headers {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        for Header { name, value } in &self.0 {
            request.metadata_mut().insert(name.clone(), value.clone());
        }
        Ok(request)
    }
}

type Transport = InterceptedService<Channel, Headers>;

/// One connection; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    channel: Channel,
    headers: Headers,
}

/// A client of a service, over the connection.
macro_rules! service {
    ($calls:expr, $client:ident) => {
        $client::with_interceptor($calls.channel.clone(), $calls.headers.clone())
            .max_decoding_message_size(ANSWER_BYTES_MAX)
    };
}

impl Calls {
    /// Connects; the headers are NAME=VALUE.
    pub(crate) async fn connect(url: &str, headers: &[String]) -> Result<Self, Failure> {
        let headers = headers.iter().map(|header| header.parse()).collect::<Result<Vec<Header>, String>>();
        let headers = headers.map_err(|error| format!("--header: {error}"))?;
        let mut endpoint = Endpoint::from_shared(url.to_owned())?
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .tcp_nodelay(true)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES);
        if url.starts_with("https://") {
            endpoint = endpoint.tls_config(ClientTlsConfig::new().with_native_roots())?;
        }
        let channel =
            endpoint.connect().await.map_err(|error| format!("cannot connect to {url}: {error}"))?;
        Ok(Self { channel, headers: Headers(headers) })
    }

    pub(crate) fn search(&self) -> SearchServiceClient<Transport> {
        service!(self, SearchServiceClient)
    }

    pub(crate) fn rag(&self) -> RagServiceClient<Transport> {
        service!(self, RagServiceClient)
    }

    pub(crate) fn points(&self) -> PointsServiceClient<Transport> {
        service!(self, PointsServiceClient)
    }

    pub(crate) fn documents(&self) -> DocumentsServiceClient<Transport> {
        service!(self, DocumentsServiceClient)
    }

    pub(crate) fn collections(&self) -> CollectionsServiceClient<Transport> {
        service!(self, CollectionsServiceClient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_name_and_a_value_which_no_error_repeats() {
        let header: Header = "authorization=Bearer a=b".parse().unwrap();
        assert_eq!((header.name.as_str(), header.value.to_str().unwrap()), ("authorization", "Bearer a=b"));
        for wrong in ["secret", "na me=secret", "name=secret\u{1}"] {
            let error = wrong.parse::<Header>().map(|_| ()).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
