//! Reflection, v1 and v1alpha: any gRPC client finds its way.

use prost::Message as _;
use prost_types::FileDescriptorProto;
use tokio_stream::StreamExt as _;

use crate::fixture::{Server, services};

/// The two versions differ in their package's name alone, and so in every type.
macro_rules! reflect {
    ($version:ident, $server:expr) => {{
        use tonic_reflection::pb::$version::ServerReflectionRequest;
        use tonic_reflection::pb::$version::server_reflection_client::ServerReflectionClient;
        use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
        use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;

        let mut client = ServerReflectionClient::new($server.channel().await);
        let ask = |request: MessageRequest| ServerReflectionRequest {
            host: String::new(),
            message_request: Some(request),
        };
        let requests = vec![
            ask(MessageRequest::ListServices(String::new())),
            ask(MessageRequest::FileContainingSymbol("ragstone.v1.SearchService".to_owned())),
        ];
        let mut answers =
            client.server_reflection_info(tokio_stream::iter(requests)).await.unwrap().into_inner();
        let names: Vec<String> = match answers.next().await.unwrap().unwrap().message_response.unwrap() {
            MessageResponse::ListServicesResponse(list) => {
                list.service.into_iter().map(|service| service.name).collect()
            }
            other => panic!("{other:?}"),
        };
        let file = match answers.next().await.unwrap().unwrap().message_response.unwrap() {
            MessageResponse::FileDescriptorResponse(files) => {
                FileDescriptorProto::decode(files.file_descriptor_proto[0].as_slice()).unwrap()
            }
            other => panic!("{other:?}"),
        };
        (names, file)
    }};
}

fn assert_described((names, file): (Vec<String>, FileDescriptorProto)) {
    for service in services().into_iter().chain(["grpc.health.v1.Health".to_owned()]) {
        assert!(names.contains(&service), "{service} is not among {names:?}");
    }
    assert_eq!(file.package(), "ragstone.v1");
    assert_eq!(file.service[0].method[0].name(), "Query");
}

#[tokio::test]
async fn v1_describes_every_service() {
    let server = Server::start().await;
    assert_described(reflect!(v1, server));
    server.stop().await;
}

#[tokio::test]
async fn v1alpha_describes_every_service() {
    let server = Server::start().await;
    assert_described(reflect!(v1alpha, server));
    server.stop().await;
}

/// Also what there is not is answered with details.
#[tokio::test]
async fn a_method_that_there_is_not_is_said() {
    let server = Server::start().await;
    let mut client = tonic::client::Grpc::new(server.channel().await);
    client.ready().await.unwrap();
    let path = "/ragstone.v1.SearchService/Divine".parse().unwrap();
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let status = client.unary(tonic::Request::new(()), path, codec).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unimplemented);
    assert_eq!(crate::fixture::reason(&status), "UNKNOWN_METHOD");
    server.stop().await;
}
