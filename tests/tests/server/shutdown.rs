//! Stopping while clients write.

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::time::Duration;

use ragstone_client::{Code, CreateCollection, Embed, Point};
use ragstone_server::ServerConfig;

use crate::fixture::{Server, WAIT, config, eventually};
use crate::http::{get_at, post_at};

/// Writers go on until they are turned away; every write that was acknowledged is there afterwards, and none other than
/// those that were sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost() {
    let mut server = Server::start().await;
    let client = server.client().await.with_retries(0);
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    let (progress, mut seen) = tokio::sync::watch::channel(0u64);
    let writers: Vec<_> = (0..4u64)
        .map(|writer| {
            let (client, progress) = (client.clone(), progress.clone());
            tokio::spawn(async move {
                let mut acknowledged = BTreeSet::new();
                for number in 0.. {
                    let id = number * 4 + writer;
                    match client.upsert_points("c", [Point::new(id, [1.0, id as f32])]).await {
                        Ok(_) => acknowledged.insert(id),
                        Err(error) => {
                            assert_eq!(error.code(), Code::Unavailable, "{error:?}");
                            return (acknowledged, number);
                        }
                    };
                    progress.send_modify(|count| *count += 1);
                }
                unreachable!("the server stops")
            })
        })
        .collect();
    seen.wait_for(|count| *count >= 40).await.unwrap();
    server.ask_to_stop();
    let mut acknowledged = BTreeSet::new();
    let mut sent = 0;
    for writer in writers {
        let (ids, number) = writer.await.unwrap();
        acknowledged.extend(ids);
        sent += number + 1;
    }
    drop(client);
    server.ended().await.unwrap();
    assert!(acknowledged.len() >= 40);

    let server = Server::start_over(server.directory.take().unwrap(), config()).await;
    let client = server.client().await;
    let ids: Vec<u64> = acknowledged.iter().copied().collect();
    for some in ids.chunks(1_000) {
        let found = client.get_points("c", some.iter().copied()).await.unwrap();
        assert_eq!(found.len(), some.len());
    }
    assert!(client.get_collection("c").await.unwrap().points <= sent);
    server.stop().await;
}

#[tokio::test]
async fn requests_under_way_are_completed() {
    let mut server = Server::start().await;
    let client = server.client().await.with_retries(0);
    let request = tokio::spawn({
        let client = client.clone();
        async move { client.embed(Embed::new([WAIT])).await }
    });
    eventually("the request's work", || server.gate.waiting() == 1).await;
    server.ask_to_stop();
    // Nothing new is accepted.
    let url = server.url();
    for _ in 0..1_000 {
        if ragstone_client::Client::connect(&url).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(ragstone_client::Client::connect(&url).await.unwrap_err().code(), Code::Unavailable);
    server.gate.open();
    assert_eq!(request.await.unwrap().unwrap().vectors.len(), 1);
    server.ended().await.unwrap();
}

#[tokio::test]
async fn after_the_grace_period_requests_are_given_up() {
    let config = ServerConfig { shutdown_grace: Duration::from_millis(200), ..config() };
    let mut server = Server::start_with(config).await;
    let client = server.client().await.with_retries(0);
    let request = tokio::spawn(async move { client.embed(Embed::new([WAIT])).await });
    eventually("the request's work", || server.gate.waiting() == 1).await;
    server.ask_to_stop();
    let error = request.await.unwrap().unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::Unavailable, Some("SHUTTING_DOWN")), "{error:?}");
    server.ended().await.unwrap();
}

/// Who asks how the server is, as load balancers do, learns that it is about to stop while calls under way are completed. It used to find
/// nobody there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_http_port_tells_of_the_end_until_the_last_call_has_ended() {
    let mut server = Server::start().await;
    let address = server.http_address;
    let body = format!("{{\"input\": \"{WAIT}\"}}");
    let request =
        tokio::task::spawn_blocking(move || post_at(address, "/v1/embeddings", "application/json", &body));
    eventually("the request's work", || server.gate.waiting() == 1).await;
    assert_eq!(get_at(address, "/readyz").status, 200);
    server.ask_to_stop();
    eventually("readiness ends", || get_at(address, "/readyz").status == 503).await;
    assert_eq!(get_at(address, "/readyz").body, "not ready: the server is shutting down\n");
    assert_eq!(get_at(address, "/healthz").status, 200);
    assert_eq!(get_at(address, "/metrics").status, 200);
    let refused = get_at(address, "/v1/models");
    assert_eq!((refused.status, refused.json()["error"]["code"].as_str()), (503, Some("shutting_down")));
    assert!(!request.is_finished());
    server.gate.open();
    assert_eq!(request.await.unwrap().status, 200);
    server.ended().await.unwrap();
    assert!(TcpStream::connect(address).is_err(), "nothing listens any more");
}

/// A program that had set them to as long as can be had no answer over HTTP, and panicked when its server was to end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_may_be_longer_than_clocks_count() {
    let longest = Duration::MAX;
    let config = ServerConfig {
        request_timeout: longest,
        stream_timeout: longest,
        answer_stall_timeout: longest,
        http_header_timeout: longest,
        shutdown_grace: longest,
        ..config()
    };
    let server = Server::start_with(config).await;
    assert_eq!(get_at(server.http_address, "/healthz").status, 200);
    let asked = r#"{"messages": [{"role": "user", "content": "why?"}]}"#;
    let answer = post_at(server.http_address, "/v1/chat/completions", "application/json", asked);
    assert!((400..500).contains(&answer.status), "there is nothing to ask: {answer:?}");
    server.stop().await;
}
