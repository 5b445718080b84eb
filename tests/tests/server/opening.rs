//! What is answered while the database is being opened.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use ragstone::Db;
use ragstone_client::{Client, Code, CreateCollection};
use ragstone_rag::Rag;
use ragstone_rag::embed::{ModelOptions, Models};
use ragstone_server::{Listeners, ServeError, ServerConfig, bind, open_and_serve};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt as _;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::fixture::{config, services};
use crate::health::check;
use crate::http::get_at;

/// A server whose database is opened when the test says so, or when this is dropped.
struct Opening {
    url: String,
    http_address: SocketAddr,
    open: mpsc::Sender<()>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), ServeError>>,
}

async fn begin(data: &Path, grace: Duration) -> Opening {
    let (grpc, http) = (bind("127.0.0.1:0").await.unwrap(), bind("127.0.0.1:0").await.unwrap());
    let url = format!("http://{}", grpc.local_addr().unwrap());
    let http_address = http.local_addr().unwrap();
    let (open, opens) = mpsc::channel::<()>();
    let (stop, stopped) = oneshot::channel::<()>();
    let path = data.to_owned();
    let opened = move || {
        let db = match opens.recv() {
            Ok(()) => Db::open(&path),
            // The test is over, and its directory may be gone.
            Err(_) => Db::in_memory(),
        };
        let cache_dir = path.with_extension("models");
        let options = ModelOptions { cache_dir, offline: true, ..ModelOptions::default() };
        db.map(|db| Rag::new(db, Models::new(options)))
    };
    let config = ServerConfig { load_default_model: false, shutdown_grace: grace, ..config() };
    let serving =
        tokio::spawn(open_and_serve(config, opened, Listeners { grpc, http: Some(http) }, async move {
            let _ = stopped.await;
        }));
    Opening { url, http_address, open, stop, serving }
}

impl Opening {
    async fn health(&self) -> HealthClient<Channel> {
        HealthClient::new(Channel::from_shared(self.url.clone()).unwrap().connect().await.unwrap())
    }

    async fn ended(self) -> Result<(), ServeError> {
        let _ = self.stop.send(());
        self.serving.await.unwrap()
    }
}

const GRACE: Duration = Duration::from_secs(20);

/// The ports used to be served only once the database was open: a large one looked like a server that is not there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_told_while_the_database_is_being_opened() {
    let directory = tempfile::tempdir().unwrap();
    let server = begin(&directory.path().join("data"), GRACE).await;
    let address = server.http_address;
    assert_eq!(get_at(address, "/healthz").status, 200);
    let ready = get_at(address, "/readyz");
    assert_eq!((ready.status, ready.body.as_str()), (503, "not ready: the database is being opened\n"));
    let metrics = get_at(address, "/metrics").body;
    assert!(metrics.contains("ragstone_places_max") && !metrics.contains("ragstone_points"), "{metrics}");
    let mut health = server.health().await;
    for service in services().into_iter().chain([String::new()]) {
        assert_eq!(check(&mut health, &service).await, ServingStatus::NotServing, "{service}");
    }
    let watched = health.watch(HealthCheckRequest { service: String::new() }).await.unwrap();
    let mut watched = watched.into_inner();
    assert_eq!(watched.next().await.unwrap().unwrap().status(), ServingStatus::NotServing);

    // A call that comes a little early waits.
    let client = Client::connect(&server.url).await.unwrap();
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.create_collection(CreateCollection::with_dimension("c", 2)).await }
    });
    server.open.send(()).unwrap();
    assert_eq!(watched.next().await.unwrap().unwrap().status(), ServingStatus::Serving);
    waiting.await.unwrap().unwrap();
    assert_eq!(get_at(address, "/readyz").status, 200);
    assert_eq!(client.get_collection("c").await.unwrap().points, 0);
    assert!(get_at(address, "/metrics").body.contains("ragstone_collections 1"));
    drop((watched, health, client));
    server.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_come_much_too_early_are_told_to_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let server = begin(&directory.path().join("data"), GRACE).await;
    let address = server.http_address;
    let models = tokio::task::spawn_blocking(move || get_at(address, "/v1/models"));
    let client = Client::connect(&server.url).await.unwrap().with_retries(0);
    let error = client.get_collection("c").await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::Unavailable, Some("OPENING")), "{error:?}");
    assert!(error.retry_after().is_some());
    let models = models.await.unwrap();
    assert_eq!((models.status, models.json()["error"]["code"].as_str()), (503, Some("opening")));
    assert!(models.head.contains("retry-after: 1"), "{models:?}");
    server.open.send(()).unwrap();
    drop(client);
    server.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_to_stop_does_not_wait_for_ever_for_its_database() {
    let directory = tempfile::tempdir().unwrap();
    let Opening { open, stop, serving, .. } =
        begin(&directory.path().join("data"), Duration::from_millis(200)).await;
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    // The thread ends with the runtime, which waits for it.
    drop(open);
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_ends_the_server_and_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("data");
    std::fs::write(&file, "no directory").unwrap();
    let Opening { open, stop, serving, .. } = begin(&file, GRACE).await;
    open.send(()).unwrap();
    let error = serving.await.unwrap().unwrap_err();
    assert!(matches!(error, ServeError::Open(_)), "{error}");
    drop(stop);
}
