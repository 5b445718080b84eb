//! What one caller may have of the memory of messages while others are there.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use h2::client::ResponseFuture;
use prost::Message as _;
use ragstone_abuse::Connection;
use ragstone_client::{CreateCollection, Point};
use ragstone_proto::v1;
use ragstone_server::ServerConfig;
use tonic::{Code, Status};

use crate::access::{asking, client, with_keys};
use crate::fixture::{Server, config, details};

const MIB: usize = 1 << 20;

/// Sends some bytes as the server takes them; its answer, if that comes before their end.
async fn send(answer: &mut ResponseFuture, body: &mut SendStream<Bytes>, mut rest: Bytes) -> Option<Status> {
    while !rest.is_empty() {
        body.reserve_capacity(rest.len());
        let free = tokio::select! {
            biased;
            answered = &mut *answer => return Status::from_header_map(answered.unwrap().headers()),
            free = poll_fn(|context| body.poll_capacity(context)) => free,
        };
        let Some(Ok(free)) = free else {
            return Status::from_header_map(answer.await.unwrap().headers());
        };
        // Where it has ended meanwhile, its answer comes next.
        let _ = body.send_data(rest.split_to(free.min(rest.len())), false);
    }
    None
}

/// Points of half a mebibyte each.
fn points(count: u64) -> impl Iterator<Item = Point> {
    (0..count).map(|id| Point::new(id, [1.0, id as f32]).with("text", "x".repeat(MIB / 2)))
}

/// Requests of which the last bytes did not come had all of it, and everybody else's were refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_of_many_large_messages_of_a_caller_leaves_memory_to_others() {
    let message = v1::UpsertPointsRequest { collection: "x".repeat(4 * MIB), ..Default::default() };
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    // As much of it that the one too many is refused well before its end: what is on its way then is less than a window.
    let half = Bytes::from([&[0_u8][..], &length, &message[..19 * MIB / 10]].concat());
    // A caller is known by a key, over many connections; where nobody is asked for one, a connection is a caller.
    for asks in [true, false] {
        let (directory, keys) = with_keys(&[&["admin"], &["write on *"]]);
        let config = if asks { asking() } else { config() };
        let config = ServerConfig { message_bytes_max: 16 * MIB, ..config };
        let server = Server::start_over(directory, config).await;
        let (other, bearer) = (client(&server, &keys[0]).await, format!("Bearer {}", keys[1]));
        other.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
        let (mut connections, mut calls) = (Vec::new(), Vec::new());
        let refused = loop {
            if asks || connections.is_empty() {
                connections.push(Connection::open(server.address).await.unwrap());
            }
            let connection = connections.last().unwrap();
            let headers = [("authorization", bearer.as_str())];
            let begun = connection.begin("PointsService/UpsertPoints", &headers).await;
            let (mut answer, mut body) = begun.unwrap();
            if let Some(refused) = send(&mut answer, &mut body, half.clone()).await {
                break refused;
            }
            calls.push((answer, body));
            assert!(calls.len() < 64, "all of them are taken");
        };
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
        assert_eq!(details(&refused).error_info().unwrap().metadata["limit"], "CALLER_SHARE_MAX");
        // More than would be left if a caller could have all.
        other.upsert_points("c", points(3)).await.unwrap();
        assert_eq!(other.count_points("c", None).await.unwrap(), 3);
        drop((calls, connections));
        // What they had is free again, and while it is one may have more than a share.
        while let Err(refused) = other.upsert_points("c", points(24)).await {
            assert_eq!(refused.reason(), Some("TOO_MANY_REQUESTS"), "{refused:?}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.stop().await;
    }
}
