//! A model that takes long to load.

use ragstone_client::{Code, CreateCollection, Embed};
use ragstone_server::ServerConfig;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::fixture::{Server, config};

/// The default model is a directory whose configuration is a pipe that nobody writes to yet: its loading hangs for as long
/// as the test likes. Meanwhile requests for it are told to come back, others are served, and no thread is held.
#[cfg(unix)]
#[tokio::test]
async fn requests_for_a_model_that_is_being_loaded_are_told_to_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("config.json");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let default_model = directory.path().to_str().unwrap().to_owned();
    let server = Server::start_with(ServerConfig { default_model, worker_threads_max: 1, ..config() }).await;
    let client = server.client().await.with_retries(0);

    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.embed(Embed::new(["x"])).await }
    });
    // The only thread is free for those who need no model.
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::Unavailable, Some("MODEL_LOADING")), "{error}");
    assert!(error.retry_after().is_some_and(|pause| !pause.is_zero()));
    let mut health = HealthClient::new(server.channel().await);
    let request = HealthCheckRequest { service: "ragstone.v1.InferenceService".to_owned() };
    let status = health.check(request).await.unwrap().into_inner().status();
    assert_eq!(status, ServingStatus::NotServing);

    // What comes out of the pipe is no configuration: the load fails, and so do those that wait for it.
    let waiting = tokio::spawn(async move { client.embed(Embed::new(["x"])).await });
    tokio::task::spawn_blocking(move || std::fs::write(pipe, "nonsense")).await.unwrap().unwrap();
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::FailedPrecondition, Some("MODEL_INVALID")), "{error}");
    server.stop().await;
}
