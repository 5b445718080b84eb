//! The standard health service.

use std::sync::Arc;

use ragstone_server::ServerConfig;
use ragstone_server::limits::HEALTH_CALLS_PER_CONNECTION_MAX;
use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::fixture::{BagOfWords, Server, config, services};

const INFERENCE: &str = "ragstone.v1.InferenceService";

pub(crate) async fn check(client: &mut HealthClient<Channel>, service: &str) -> ServingStatus {
    client.check(HealthCheckRequest { service: service.to_owned() }).await.unwrap().into_inner().status()
}

#[tokio::test]
async fn everything_serves_but_inference_before_any_model_is_there() {
    let config =
        ServerConfig { default_model: "tests/late".to_owned(), load_default_model: false, ..config() };
    let server = Server::start_with(config).await;
    let mut client = HealthClient::new(server.channel().await);
    assert_eq!(check(&mut client, "").await, ServingStatus::Serving);
    for service in services().into_iter().filter(|service| service != INFERENCE) {
        assert_eq!(check(&mut client, &service).await, ServingStatus::Serving, "{service}");
    }
    assert_eq!(check(&mut client, INFERENCE).await, ServingStatus::NotServing);
    let unknown = client.check(HealthCheckRequest { service: "nobody".to_owned() }).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);

    // A watcher is told when the default model is there.
    let watched = client.watch(HealthCheckRequest { service: INFERENCE.to_owned() }).await.unwrap();
    let mut watched = watched.into_inner();
    assert_eq!(watched.next().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    server.models.insert(Arc::new(BagOfWords::new("tests/late", Arc::clone(&server.gate))));
    assert_eq!(watched.next().await.unwrap().unwrap().status(), ServingStatus::Serving);
    assert_eq!(check(&mut client, INFERENCE).await, ServingStatus::Serving);
    server.stop().await;
}

/// Whoever reaches the port may ask, so that each connection has few calls at a time, and takes none of those of others.
#[tokio::test]
async fn a_connection_has_few_calls_at_a_time() {
    let server = Server::start().await;
    let mut client = HealthClient::new(server.channel().await);
    let mut watched = Vec::new();
    for _ in 0..HEALTH_CALLS_PER_CONNECTION_MAX {
        watched.push(client.watch(HealthCheckRequest::default()).await.unwrap().into_inner());
    }
    let refused = client.check(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("HEALTH_CALLS_PER_CONNECTION_MAX"), "{refused:?}");
    let mut other = HealthClient::new(server.channel().await);
    assert_eq!(check(&mut other, "").await, ServingStatus::Serving);
    drop(watched);
    server.stop().await;
}

#[tokio::test]
async fn watchers_are_told_of_the_end_and_do_not_hold_it_up() {
    let mut server = Server::start().await;
    let mut client = HealthClient::new(server.channel().await);
    let mut watched = client.watch(HealthCheckRequest { service: String::new() }).await.unwrap().into_inner();
    assert_eq!(watched.next().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let started = std::time::Instant::now();
    server.ask_to_stop();
    assert_eq!(watched.next().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert!(watched.next().await.is_none(), "the stream ends");
    server.ended().await.unwrap();
    assert!(started.elapsed() < config().shutdown_grace, "{:?}", started.elapsed());
}
