//! Reflection, v1 and v1alpha: any gRPC client finds its way.

use prost::Message as _;
use prost_types::FileDescriptorProto;
use ragstone_server::limits::REFLECTION_CALLS_MAX;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

use crate::access::{asking, client, with_keys};
use crate::by_hand::ByHand;
use crate::fixture::{Server, reason, services};
use crate::health::check;

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

fn question() -> ServerReflectionRequest {
    let message_request = Some(MessageRequest::ListServices(String::new()));
    ServerReflectionRequest { host: String::new(), message_request }
}

/// Streams of a connection that stay open, as many as there may be, and what is answered beside them.
#[tokio::test]
async fn so_many_look_around_at_a_time_and_health_answers_all_the_same() {
    let server = Server::start().await;
    let channel = server.channel().await;
    let mut client = ServerReflectionClient::new(channel.clone());
    let mut held = Vec::new();
    for _ in 0..REFLECTION_CALLS_MAX {
        let (ask, asking) = tokio::sync::mpsc::channel(1);
        ask.send(question()).await.unwrap();
        let asking = ReceiverStream::new(asking);
        let mut answers = client.server_reflection_info(asking).await.unwrap().into_inner();
        assert!(answers.next().await.unwrap().is_ok());
        held.push((ask, answers));
    }
    let refused = client.server_reflection_info(tokio_stream::iter([question()])).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (tonic::Code::ResourceExhausted, "TOO_MANY_REQUESTS")
    );
    assert!(refused.message().contains("REFLECTION_CALLS_MAX"), "{refused:?}");
    assert_eq!(check(&mut HealthClient::new(channel), "").await, ServingStatus::Serving);
    held.pop();
    // Its end is heard of a moment later.
    let mut again = client.server_reflection_info(tokio_stream::iter([question()])).await;
    for _ in 0..4_000 {
        if again.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        again = client.server_reflection_info(tokio_stream::iter([question()])).await;
    }
    assert!(again.is_ok(), "{again:?}");
    drop((held, again));
    server.stop().await;
}

/// It was for everybody, and cost memory.
#[tokio::test]
async fn where_callers_are_told_apart_it_is_for_those_who_are_known() {
    let (directory, keys) = with_keys(&[&["read on c"]]);
    let server = Server::start_over(directory, asking()).await;
    for version in ["v1", "v1alpha"] {
        let path = format!("grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        let unknown = ByHand::begin(&server, &path, &[]).await.refused().await;
        assert_eq!(unknown.code(), tonic::Code::Unauthenticated, "{version}: {unknown:?}");
        let bearer = format!("Bearer {}", keys[0]);
        let mut known = ByHand::begin(&server, &path, &[("authorization", bearer.as_str())]).await;
        known.send(&question(), true);
        let (_, mut body) = known.answer().await;
        assert!(body.next().await.is_some(), "{version}");
    }
    server.stop().await;
}

/// Whoever had begun to look around went on, and had one of the few places for that, though their key had been taken back.
#[tokio::test]
async fn it_ends_with_the_key() {
    let (directory, keys) = with_keys(&[&["admin"], &["read on c"]]);
    let server = Server::start_over(directory, asking()).await;
    let operator = client(&server, &keys[0]).await;
    let (ask, asked) = tokio::sync::mpsc::channel(1);
    let mut request = tonic::Request::new(ReceiverStream::new(asked));
    request.metadata_mut().insert("authorization", format!("Bearer {}", keys[1]).parse().unwrap());
    ask.send(question()).await.unwrap();
    let mut looking = ServerReflectionClient::new(server.channel().await);
    let mut answers = looking.server_reflection_info(request).await.unwrap().into_inner();
    assert!(answers.next().await.unwrap().is_ok());
    operator.revoke_key(keys[1].split('_').nth(1).unwrap()).await.unwrap();
    ask.send(question()).await.unwrap();
    let ended = answers.next().await.unwrap().unwrap_err();
    assert_eq!((ended.code(), reason(&ended).as_str()), (tonic::Code::Unauthenticated, "UNAUTHENTICATED"));
    drop((ask, operator));
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
    assert_eq!(reason(&status), "UNKNOWN_METHOD");
    server.stop().await;
}
