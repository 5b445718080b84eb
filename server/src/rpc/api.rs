//! The services behind their paths.
//!
//! A router would look each path up in a tree, twice, and put it in pieces for handlers that have no use for them; which service it is that a path names
//! is a comparison.

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use ragstone_proto::v1::admin_service_server::AdminServiceServer;
use ragstone_proto::v1::collections_service_server::CollectionsServiceServer;
use ragstone_proto::v1::documents_service_server::DocumentsServiceServer;
use ragstone_proto::v1::inference_service_server::InferenceServiceServer;
use ragstone_proto::v1::operations_service_server::OperationsServiceServer;
use ragstone_proto::v1::points_service_server::PointsServiceServer;
use ragstone_proto::v1::rag_service_server::RagServiceServer;
use ragstone_proto::v1::search_service_server::SearchServiceServer;
use ragstone_proto::v1::templates_service_server::TemplatesServiceServer;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::server::NamedService;
use tower::Service;

use super::Services;
use crate::status;

/// What the services answer; calls of others are not implemented. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Api(Arc<Servers>);

struct Servers {
    search: SearchServiceServer<Services>,
    points: PointsServiceServer<Services>,
    rag: RagServiceServer<Services>,
    documents: DocumentsServiceServer<Services>,
    collections: CollectionsServiceServer<Services>,
    templates: TemplatesServiceServer<Services>,
    inference: InferenceServiceServer<Services>,
    operations: OperationsServiceServer<Services>,
    admin: AdminServiceServer<Services>,
}

impl Api {
    /// The services, whose messages have so many bytes at most: the layer, which decompresses them, has refused longer ones.
    pub(super) fn new(services: &Services, request_bytes_max: usize) -> Api {
        macro_rules! service {
            ($server:ident) => {
                $server::new(services.clone())
                    .max_decoding_message_size(request_bytes_max)
                    .accept_compressed(CompressionEncoding::Zstd)
                    .accept_compressed(CompressionEncoding::Gzip)
                    .send_compressed(CompressionEncoding::Zstd)
                    .send_compressed(CompressionEncoding::Gzip)
            };
        }
        Api(Arc::new(Servers {
            search: service!(SearchServiceServer),
            points: service!(PointsServiceServer),
            rag: service!(RagServiceServer),
            documents: service!(DocumentsServiceServer),
            collections: service!(CollectionsServiceServer),
            templates: service!(TemplatesServiceServer),
            inference: service!(InferenceServiceServer),
            operations: service!(OperationsServiceServer),
            admin: service!(AdminServiceServer),
        }))
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

/// The answer to come.
type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// The call of a service, of a server's own clone.
fn answer<S>(server: &S, request: Request<Body>) -> Answer
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = Answer> + Clone,
{
    // They are always ready.
    server.clone().call(request)
}

impl Api {
    /// Makes a call.
    pub(crate) fn call(&self, request: Request<Body>) -> Answer {
        let servers = &*self.0;
        let service = service_of(request.uri().path());
        macro_rules! first_named {
            ($($field:ident: $server:ident,)*) => {
                match service {
                    $(Some(<$server<Services> as NamedService>::NAME) => answer(&servers.$field, request),)*
                    _ => Box::pin(ready(Ok(status::unknown_method().into_http()))),
                }
            };
        }
        first_named! {
            search: SearchServiceServer,
            points: PointsServiceServer,
            rag: RagServiceServer,
            documents: DocumentsServiceServer,
            collections: CollectionsServiceServer,
            templates: TemplatesServiceServer,
            inference: InferenceServiceServer,
            operations: OperationsServiceServer,
            admin: AdminServiceServer,
        }
    }
}

impl Service<Request<Body>> for Api {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        Api::call(self, request)
    }
}

/// The service of a path such as `/ragstone.v1.SearchService/Query`.
fn service_of(path: &str) -> Option<&str> {
    path.strip_prefix('/')?.split_once('/').map(|(service, _)| service)
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost_types::FileDescriptorSet;
    use ragstone_proto::v1::FILE_DESCRIPTOR_SET;
    use ragstone_rag::Rag;
    use tonic::{Code, Status};

    use super::*;
    use crate::config::ServerConfig;
    use crate::metrics::Metrics;
    use crate::recall::Recall;
    use crate::work::Work;

    #[test]
    fn services_are_the_first_part_of_a_path() {
        assert_eq!(service_of("/ragstone.v1.SearchService/Query"), Some("ragstone.v1.SearchService"));
        for other in ["", "/", "x", "/ragstone.v1.SearchService", "ragstone.v1.SearchService/Query"] {
            assert_eq!(service_of(other), None, "{other}");
        }
    }

    /// A service that was added to the API and forgotten here would answer nothing.
    #[tokio::test]
    async fn every_service_of_the_api_is_there_and_no_other() {
        let (config, work) = (ServerConfig::default(), Work::new(&ServerConfig::default()));
        let metrics = Metrics::new(work.clone(), Recall::new(0.0, work.clone()));
        let services = Services::new(&config, Rag::in_memory().unwrap(), work, metrics);
        let api = services.api(&config);
        let code = async |path: String| {
            let Ok(answer) = api.call(Request::post(path).body(Body::empty()).unwrap()).await;
            Status::from_header_map(answer.headers()).map(|status| status.code())
        };
        let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap().file;
        let named = files.iter().flat_map(|file| file.service.iter().map(move |service| (file, service)));
        for (file, service) in named {
            let method = service.method.iter().find(|method| !method.client_streaming()).unwrap();
            let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
            // Its one message is missing.
            assert_eq!(code(path.clone()).await, Some(Code::Internal), "{path}");
        }
        for other in ["/ragstone.v1.NoService/Query", "/ragstone.v1.SearchService/NoMethod", "/"] {
            assert_eq!(code(other.to_owned()).await, Some(Code::Unimplemented), "{other}");
        }
    }
}
