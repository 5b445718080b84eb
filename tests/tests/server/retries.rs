//! The client and a server that comes late, goes away, or is not there.

use std::time::Duration;

use ragstone_client::{Client, Code, CreateCollection, Point};
use ragstone_server::{ServeError, ServerConfig, bind};
use tokio_stream::StreamExt as _;

use crate::fixture::{Server, config};

#[tokio::test]
async fn nothing_listening_is_unavailable_and_says_where() {
    let listener = bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = Client::connect(&url).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(error.message().contains(&url), "{error}");

    let lazy = Client::builder(&url).retries(1).build_lazy().unwrap();
    assert_eq!(lazy.get_collection("c").await.unwrap_err().code(), Code::Unavailable);
    for wrong in ["", "127.0.0.1:1", "ftp://127.0.0.1:1", "http://"] {
        let error = Client::connect(wrong).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{wrong}: {error}");
    }
}

/// A server that is restarted in the middle is met again by the next call.
#[tokio::test]
async fn a_client_outlives_a_server() {
    let server = Server::start().await;
    let client = Client::builder(server.url()).retries(0).build().await.unwrap();
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    client.upsert_points("c", [Point::new(1, [1.0, 0.0])]).await.unwrap();
    let address = server.address;
    let directory = server.stop().await;
    assert_eq!(client.get_points("c", [1]).await.unwrap_err().code(), Code::Unavailable);

    let patient = client.with_retries(50).with_timeout(Duration::from_secs(20));
    let waiting = tokio::spawn(async move { patient.get_points("c", [1]).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    // A write that could not even be sent was not begun, and is repeated too.
    let writing = tokio::spawn({
        let client = Client::builder(format!("http://{address}")).retries(50).build_lazy().unwrap();
        async move { client.upsert_points("c", [Point::new(2, [1.0, 0.0])]).await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let server = Server::start_at(address, directory, config()).await;
    assert_eq!(writing.await.unwrap().unwrap().points, 1);
    assert_eq!(waiting.await.unwrap().unwrap().len(), 1);
    server.stop().await;
}

/// A stream with a deadline of its own failed when the server's passed while it rested, however much time it had left.
#[tokio::test]
async fn a_stream_that_the_server_ends_while_it_rests_goes_on() {
    let longest = Duration::from_millis(100);
    let server = Server::start_with(ServerConfig { stream_timeout: longest, ..config() }).await;
    let client = server.client().await.with_retries(50);
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    for client in [client.clone(), client.with_timeout(Duration::from_secs(600))] {
        let batches = [vec![Point::new(1, [1.0, 0.0])], vec![Point::new(2, [0.0, 1.0])]];
        let batches = tokio_stream::iter(batches).then(|batch| async move {
            tokio::time::sleep(longest * 2).await;
            batch
        });
        assert_eq!(client.ingest_points("c", batches, |_| {}).await.unwrap().stored, 2);
    }
    server.stop().await;
}

#[tokio::test]
async fn addresses_that_cannot_be_listened_on_are_said() {
    let listener = bind("127.0.0.1:0").await.unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let error = bind(&taken).await.unwrap_err();
    assert!(matches!(error, ServeError::AddressInUse { .. }), "{error}");
    assert!(error.to_string().contains(&taken), "{error}");
    for wrong in ["", "localhost", "127.0.0.1:99999", ":"] {
        let error = bind(wrong).await.unwrap_err();
        assert!(matches!(error, ServeError::Address { .. }), "{wrong}: {error}");
    }
}
