//! Too many requests, too slow requests, requests that panic.

use std::time::Duration;

use ragstone_client::{Client, Code, CreateCollection, Embed, Point, Query, RangeSearch};
use ragstone_proto::v1;
use ragstone_proto::v1::inference_service_client::InferenceServiceClient;
use ragstone_server::ServerConfig;

use crate::fixture::{MODEL, PANIC, Server, WAIT, config, details, eventually, reason};

#[tokio::test]
async fn one_request_too_many_is_refused_at_once_and_repeated_by_the_client() {
    let config = ServerConfig { concurrent_requests_max: 2, worker_threads_max: 1, ..config() };
    let server = Server::start_with(config).await;
    let client = server.client().await;
    let held: Vec<_> = (0..2)
        .map(|_| {
            let client = client.with_retries(100);
            tokio::spawn(async move { client.embed(Embed::new([WAIT])).await })
        })
        .collect();
    // One comes to the only thread, the other to the queue, whichever is first. Until both are there, a third is queued
    // itself: it gives up soon, and tries again.
    eventually("the first request's work", || server.gate.waiting() == 1).await;
    let mut raw = InferenceServiceClient::new(server.channel().await);
    let refused = loop {
        let mut request =
            tonic::Request::new(v1::EmbedRequest { texts: vec!["x".into()], ..Default::default() });
        request.set_timeout(Duration::from_millis(200));
        let status = raw.embed(request).await.expect_err("the only thread is taken");
        if status.code() == tonic::Code::ResourceExhausted {
            break status;
        }
    };
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (tonic::Code::ResourceExhausted, "TOO_MANY_REQUESTS")
    );
    let details = details(&refused);
    assert!(details.retry_info().unwrap().retry_delay.unwrap() > Duration::ZERO);
    assert_eq!(details.quota_failure().unwrap().violations[0].subject, "CONCURRENT_REQUESTS_MAX");

    // Listing models takes a place too. Its client comes back until there is one.
    let patient = client.with_retries(100).with_timeout(Duration::from_secs(20));
    let waiting = tokio::spawn(async move { patient.list_models().await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.gate.open();
    assert!(!waiting.await.unwrap().unwrap().is_empty());
    for request in held {
        assert_eq!(request.await.unwrap().unwrap().vectors.len(), 1);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_deadline_is_kept_and_said() {
    let server = Server::start().await;
    let started = std::time::Instant::now();
    let status = embed_by_hand(&server, "100m").await;
    assert!(started.elapsed() >= Duration::from_millis(90), "{:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (tonic::Code::DeadlineExceeded, "DEADLINE_EXCEEDED")
    );

    let client = server.client().await.with_timeout(Duration::from_millis(100));
    let error = client.embed(Embed::new([WAIT])).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded, "{error:?}");
    server.stop().await;
}

#[tokio::test]
async fn the_servers_own_deadline_bounds_callers_who_set_none() {
    let config = ServerConfig { request_timeout: Duration::from_millis(100), ..config() };
    let server = Server::start_with(config).await;
    let mut raw = InferenceServiceClient::new(server.channel().await);
    let status =
        raw.embed(v1::EmbedRequest { texts: vec![WAIT.into()], ..Default::default() }).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (tonic::Code::DeadlineExceeded, "DEADLINE_EXCEEDED")
    );
    server.stop().await;
}

/// A request that was given up keeps its place until its work is done; a queue of such work cannot grow without bound.
#[tokio::test]
async fn work_is_counted_until_it_is_done() {
    let config = ServerConfig { concurrent_requests_max: 1, worker_threads_max: 1, ..config() };
    let server = Server::start_with(config).await;
    let caller = tokio::spawn({
        let client = server.client().await;
        async move { client.embed(Embed::new([WAIT])).await }
    });
    eventually("the request's work", || server.gate.waiting() == 1).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    let client = server.client().await.with_retries(0);
    let error = client.embed(Embed::new(["x"])).await.unwrap_err();
    assert_eq!(error.reason(), Some("TOO_MANY_REQUESTS"));
    assert!(error.retry_after().is_some());
    server.gate.open();
    let patient = client.with_retries(100).with_timeout(Duration::from_secs(20));
    assert_eq!(patient.embed(Embed::new(["x"])).await.unwrap().vectors.len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_panic_is_an_error_of_its_request_alone() {
    let server = Server::start().await;
    let client: Client = server.client().await;
    let error = client.embed(Embed::new([PANIC])).await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::Internal, Some("FAULT")));
    // The same connection goes on.
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    assert_eq!(client.embed(Embed::new(["x"])).await.unwrap().vectors.len(), 1);
    server.stop().await;
}

/// Reads that ask for much have a turn among them, of which there is one here. They used to embed their texts in it, so that a slow model kept all
/// others waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_reads_wait_for_no_model_of_another() {
    let config = ServerConfig { large_requests_max: 1, ..config() };
    let server = Server::start_with(config).await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_model("notes", MODEL)).await.unwrap();
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    client.upsert_points("c", [Point::new(1_u64, [1.0, 0.0])]).await.unwrap();
    let [first, second, third] = [client.clone(), client.clone(), client.clone()];
    let held = [
        tokio::spawn(
            async move { first.query(Query::text("notes", WAIT, 1_000)).await.unwrap().timings.len() },
        ),
        tokio::spawn(async move {
            second.query_batch("notes", [Query::text("", WAIT, 1)]).await.unwrap()[0].timings.len()
        }),
        tokio::spawn(async move {
            third.search_range(RangeSearch::text("notes", WAIT, 0.5)).await.unwrap().timings.len()
        }),
    ];
    eventually("three reads wait for the model", || server.gate.waiting() == 3).await;
    assert_eq!(client.query(Query::vector("c", [1.0, 0.0], 1_000)).await.unwrap().hits.len(), 1);
    let batch = client.query_batch("c", [Query::vector("", [1.0, 0.0], 1)]).await.unwrap();
    assert_eq!(batch[0].hits.len(), 1);
    assert_eq!(client.search_range(RangeSearch::vector("c", [1.0, 0.0], 0.5)).await.unwrap().hits.len(), 1);
    assert_eq!(server.gate.waiting(), 3, "none of those with a text is done");
    server.gate.open();
    for (read, stages) in held.into_iter().zip([2, 0, 2]) {
        assert_eq!(read.await.unwrap(), stages, "`embed` and `search`, but for a batch");
    }
    server.stop().await;
}

/// A request takes its place before its body: one whose body does not come keeps others of its kind out, before theirs are
/// read, but neither writes nor the health service.
#[tokio::test]
async fn a_place_is_taken_before_the_body_is_read() {
    let config = ServerConfig { concurrent_requests_max: 1, ..config() };
    let server = Server::start_with(config).await;
    let client = server.client().await.with_retries(0);
    let socket = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let (sender, connection) = h2::client::handshake(socket).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::post(format!("{}/ragstone.v1.SearchService/Query", server.url()))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let (_response, body) = sender.ready().await.unwrap().send_request(request, false).unwrap();
    let refused = loop {
        match client.get_collection("c").await.unwrap_err() {
            error if error.code() == Code::NotFound => {}
            error => break error,
        }
    };
    assert_eq!(refused.reason(), Some("TOO_MANY_REQUESTS"), "{refused:?}");
    assert!(refused.retry_after().is_some());
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    let mut health = tonic_health::pb::health_client::HealthClient::new(server.channel().await);
    health.check(tonic_health::pb::HealthCheckRequest::default()).await.unwrap();
    // Its caller leaves, and the place is free.
    drop(body);
    connection.abort();
    let patient = client.with_retries(100);
    assert_eq!(patient.get_collection("c").await.unwrap().points, 0);
    server.stop().await;
}

/// Embeds [`WAIT`] over plain HTTP/2: tonic's own client keeps the deadline too, and would give up before the server's
/// answer comes.
async fn embed_by_hand(server: &Server, timeout: &str) -> tonic::Status {
    use prost::Message as _;
    let socket = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let (sender, connection) = h2::client::handshake(socket).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::post(format!("{}/ragstone.v1.InferenceService/Embed", server.url()))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", timeout)
        .body(())
        .unwrap();
    let message = v1::EmbedRequest { texts: vec![WAIT.into()], ..Default::default() }.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let frame = [&[0][..], &length, &message].concat();
    let (response, mut body) = sender.ready().await.unwrap().send_request(request, false).unwrap();
    body.send_data(frame.into(), true).unwrap();
    let response = response.await.unwrap();
    connection.abort();
    tonic::Status::from_header_map(response.headers()).expect("an error comes in the headers")
}
