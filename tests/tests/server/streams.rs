//! Calls whose answers stream keep what every call has (deadline, an end with the server's grace) to their last message.

use std::time::Duration;

use ragstone_server::ServerConfig;
use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

use crate::by_hand::ByHand;
use crate::fixture::{Server, config, reason};

/// The headers come at once, and the deadline passes after them.
#[tokio::test]
async fn a_stream_ends_at_its_deadline() {
    let server = Server::start().await;
    let mut call = ByHand::begin(&server, "grpc.health.v1.Health/Watch", &[("grpc-timeout", "100m")]).await;
    call.send(&HealthCheckRequest::default(), true);
    let (headers, mut body) = call.answer().await;
    assert!(!headers.contains_key("grpc-status"));
    assert!(body.next().await.is_some(), "the first status");
    assert!(body.next().await.is_none());
    let status = body.ended().await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
    server.stop().await;
}

/// Its caller keeps it open, and would hold the server up for ever.
#[tokio::test]
async fn a_stream_is_given_up_when_the_grace_is_over() {
    let grace = Duration::from_millis(200);
    let mut server = Server::start_with(ServerConfig { shutdown_grace: grace, ..config() }).await;
    let mut client = ServerReflectionClient::new(server.channel().await);
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let asking = tokio_stream::iter([ask]).chain(tokio_stream::pending());
    let mut answers = client.server_reflection_info(asking).await.unwrap().into_inner();
    assert!(answers.next().await.unwrap().is_ok());
    server.ask_to_stop();
    let status = answers.next().await.unwrap().unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "SHUTTING_DOWN"));
    server.ended().await.unwrap();
}
