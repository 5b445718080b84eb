//! Connections of the gRPC port, when all that there may be are taken.

use std::time::Duration;

use ragstone_client::{Client, Embed};
use ragstone_server::ServerConfig;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::fixture::{Server, WAIT, config, eventually};

/// A connection that speaks HTTP/2, answers pings and calls nothing; the task ends with it.
async fn idle(server: &Server) -> (h2::client::SendRequest<bytes::Bytes>, JoinHandle<Result<(), h2::Error>>) {
    let socket = TcpStream::connect(server.address).await.unwrap();
    let (sender, connection) = h2::client::handshake(socket).await.unwrap();
    let driven = tokio::spawn(connection);
    (sender.ready().await.unwrap(), driven)
}

/// So many kept everybody out for as long as they liked, without credentials.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_that_rest_keep_nobody_out() {
    let server = Server::start_with(ServerConfig { grpc_connections_max: 4, ..config() }).await;
    let mut resting = Vec::new();
    for _ in 0..4 {
        resting.push(idle(&server).await);
    }
    for _ in 0..2 {
        let client = server.client().await.with_timeout(Duration::from_secs(30));
        assert!(client.list_collections().await.unwrap().is_empty());
    }
    let ended = || resting.iter().filter(|(_, driven)| driven.is_finished()).count();
    eventually("some were told that it is over", || ended() > 0).await;
    for (_, driven) in resting {
        if driven.is_finished() {
            let ended = driven.await.unwrap();
            assert!(ended.is_ok(), "told by GOAWAY, for no error: {ended:?}");
        }
    }
    server.stop().await;
}

/// Nobody loses a call to whoever comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_works_is_not_closed_for_another() {
    let server = Server::start_with(ServerConfig { grpc_connections_max: 1, ..config() }).await;
    let first = server.client().await.with_timeout(Duration::from_secs(60));
    let working = tokio::spawn(async move { first.embed(Embed::new([WAIT])).await.map(drop) });
    eventually("it works", || server.gate.waiting() == 1).await;
    let url = server.url();
    let waiting = tokio::spawn(async move {
        let second = Client::connect(url).await.unwrap().with_timeout(Duration::from_secs(60));
        second.list_collections().await.map(drop)
    });
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!working.is_finished() && !waiting.is_finished());
    server.gate.open();
    working.await.unwrap().unwrap();
    waiting.await.unwrap().unwrap();
    server.stop().await;
}
