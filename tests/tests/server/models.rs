//! Models that take long to load, are nowhere to be had, or are not allowed.

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

/// The server is offline: a model that it does not have is looked for, once callers may name any, and not found.
#[tokio::test]
async fn a_model_that_is_nowhere_is_not_found() {
    let server = Server::start_with(ServerConfig { allow_any_model: true, ..config() }).await;
    let client = server.client().await;
    let error = client.embed(Embed::new(["x"]).model("org/absent")).await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::NotFound, Some("MODEL_NOT_FOUND")), "{error}");
    let error = client.pull_model("org/absent").await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::NotFound, Some("MODEL_NOT_FOUND")), "{error}");
    let error = client.create_collection(CreateCollection::with_model("d", "org/absent")).await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::NotFound, Some("MODEL_NOT_FOUND")), "{error}");
    server.stop().await;
}

/// A request must not make the server fetch a model, read a directory or call a URL of the caller's choice.
#[tokio::test]
async fn models_that_are_not_here_are_the_operators_to_allow() {
    let server = Server::start().await;
    let client = server.client().await;
    // A name of the hub would be fetched; `tests/server` is a directory where the tests run.
    for place in ["/etc", "../models", "org/absent", "tests/server", "http://169.254.169.254/v1#x"] {
        let errors = [
            client.embed(Embed::new(["x"]).model(place)).await.unwrap_err(),
            client.create_collection(CreateCollection::with_model("d", place)).await.unwrap_err(),
            client.pull_model(place).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!((error.code(), error.reason()), (Code::PermissionDenied, Some("MODEL_NOT_ALLOWED")));
        }
    }
    server.stop().await;
}
