//! Limits on size: refused with a clear error, whole, and the connection goes on.

use ragstone_client::{Code, CreateCollection, Point, Query};
use ragstone_proto::v1;
use ragstone_proto::v1::points_service_client::PointsServiceClient;
use ragstone_server::ServerConfig;

use crate::fixture::{Server, config, details, field, reason};

#[tokio::test]
async fn a_message_beyond_the_limit_is_refused_and_the_connection_goes_on() {
    let server = Server::start_with(ServerConfig { request_bytes_max: 1 << 20, ..config() }).await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_dimension("c", 256)).await.unwrap();
    // 1 KiB of vector each: below and above the limit of 1 MiB.
    let points = |count: u64| (0..count).map(|number| Point::new(number, vec![1.0; 256]));
    for _ in 0..3 {
        let error = client.upsert_points("c", points(20_000)).await.unwrap_err();
        assert_eq!(
            (error.code(), error.reason()),
            (Code::ResourceExhausted, Some("REQUEST_TOO_LARGE")),
            "{error:?}"
        );
        assert_eq!(error.metadata().get("limit").map(String::as_str), Some("REQUEST_BYTES_MAX"));
        assert_eq!(error.metadata().get("max").map(String::as_str), Some("1048576"));
        assert!(error.message().contains("1048576"), "{error}");
    }
    assert_eq!(client.upsert_points("c", points(900)).await.unwrap().points, 900);
    assert_eq!(client.get_collection("c").await.unwrap().points, 900);
    server.stop().await;
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_refused() {
    let server = Server::start_with(ServerConfig { response_bytes_max: 1 << 20, ..config() }).await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    let text = "x".repeat(100 << 10);
    let points =
        (1..=20u64).map(|number| Point::new(number, [number as f32, 1.0]).with("text", text.as_str()));
    client.upsert_points("c", points).await.unwrap();
    let error = client.query(Query::vector("c", [1.0, 1.0], 20)).await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::ResourceExhausted, Some("RESPONSE_TOO_LARGE")));
    assert_eq!(
        client.query(Query::vector("c", [1.0, 1.0], 20).without_payload()).await.unwrap().hits.len(),
        20
    );
    assert_eq!(client.query(Query::vector("c", [1.0, 1.0], 5)).await.unwrap().hits.len(), 5);
    // One that is explained answers with none of its points, and was refused for their vectors.
    client.create_collection(CreateCollection::with_dimension("wide", 8_192)).await.unwrap();
    let points = (1..=40u64).map(|number| Point::new(number, vec![number as f32; 8_192]));
    client.upsert_points("wide", points).await.unwrap();
    let query = || Query::vector("wide", vec![1.0; 8_192], 40).exact(true).with_vectors();
    assert_eq!(client.query(query()).await.unwrap_err().reason(), Some("RESPONSE_TOO_LARGE"));
    assert!(client.explain(query()).await.unwrap().exact);
    server.stop().await;
}

/// A name that is far too long is refused without being sent back.
#[tokio::test]
async fn ten_megabytes_of_a_name_are_refused_in_short() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    let mut points = PointsServiceClient::new(server.channel().await);
    let long = "x".repeat(10 << 20);
    let id = |text: &str| Some(v1::PointId { id: Some(v1::point_id::Id::Text(text.to_owned())) });
    let upsert = |point: v1::Point| v1::UpsertPointsRequest {
        collection: "c".into(),
        points: vec![point],
        ..Default::default()
    };

    let point = v1::Point { id: id(&long), ..Default::default() };
    let status = points.upsert_points(upsert(point)).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (tonic::Code::InvalidArgument, "LIMIT_EXCEEDED"));
    assert_eq!(field(&status), "points[0].id");
    let info = details(&status).error_info().unwrap().clone();
    assert_eq!((info.metadata["limit"].as_str(), info.metadata["max"].as_str()), ("ID_BYTES_MAX", "512"));
    assert_eq!(info.metadata["actual"], (10 << 20).to_string());

    let value = v1::Value { kind: Some(v1::value::Kind::BoolValue(true)) };
    let payload = [(long.clone(), value)].into();
    let status = points
        .upsert_points(upsert(v1::Point { id: id("a"), payload, ..Default::default() }))
        .await
        .unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument, "{}", status.message());
    let request = v1::GetPointsRequest { collection: long, ..Default::default() };
    let status = points.get_points(request).await.unwrap_err();
    assert!(status.message().len() < 4_096 && status.details().len() < 16_384);
    assert_eq!(client.get_collection("c").await.unwrap().points, 0);
    server.stop().await;
}

/// Those that are more than anything may have are refused while they arrive, and by their own limit, too.
#[tokio::test]
async fn more_ids_than_a_look_up_takes_are_refused() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    for ids in [10_001, 100_001u64] {
        let error = client.get_points("c", 0..ids).await.unwrap_err();
        assert_eq!((error.code(), error.reason()), (Code::InvalidArgument, Some("LIMIT_EXCEEDED")));
        assert_eq!(error.field_violations()[0].field, "ids");
        let told = ["limit", "max", "actual"].map(|name| error.metadata()[name].clone());
        assert_eq!(told, ["GET_IDS_MAX".to_owned(), "10000".to_owned(), ids.to_string()]);
    }
    assert!(client.get_points("c", 0..10_000u64).await.unwrap().is_empty());
    server.stop().await;
}

/// Two bytes each on the wire: refused by their number before anything is made of them.
#[tokio::test]
async fn more_points_than_a_batch_takes_are_refused() {
    let server = Server::start().await;
    let mut points = PointsServiceClient::new(server.channel().await);
    let request = v1::UpsertPointsRequest {
        collection: "c".into(),
        points: vec![v1::Point::default(); 100_001],
        ..Default::default()
    };
    let status = points.upsert_points(request).await.unwrap_err();
    assert_eq!((reason(&status).as_str(), field(&status).as_str()), ("LIMIT_EXCEEDED", "points"));
    let request = v1::DeletePointsRequest {
        collection: "c".into(),
        ids: vec![v1::PointId::default(); 100_001],
        ..Default::default()
    };
    let status = points.delete_points(request).await.unwrap_err();
    assert_eq!((reason(&status).as_str(), field(&status).as_str()), ("LIMIT_EXCEEDED", "ids"));
    server.stop().await;
}

/// Payloads of many hits are fetched by slices: the same hits, in the same order, each with its own.
#[tokio::test]
async fn many_hits_come_with_their_payload_up_to_the_limit() {
    let server = Server::start_with(ServerConfig { response_bytes_max: 1 << 20, ..config() }).await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    let text = "x".repeat(4 << 10);
    let points = (0..450u64).map(|number| {
        let point = Point::new(number, [number as f32 + 1.0, 300.0]).with("number", number as i64);
        if number < 50 { point.with("text", text.as_str()) } else { point }
    });
    client.upsert_points("c", points).await.unwrap();
    let few = client.query(Query::vector("c", [1.0, 1.0], 100).exact(true)).await.unwrap();
    let many = client.query(Query::vector("c", [1.0, 1.0], 450).exact(true)).await.unwrap();
    assert_eq!(many.hits.len(), 450);
    assert_eq!(many.hits[..100], few.hits);
    for hit in &many.hits {
        let point = &client.get_points("c", [hit.id.clone()]).await.unwrap()[0];
        assert_eq!(hit.payload, point.payload);
    }
    let all = client.get_points("c", 0..450u64).await.unwrap();
    assert_eq!(all.len(), 450);

    let points = (0..450u64).map(|number| Point::new(number, [1.0, 1.0]).with("text", text.as_str()));
    client.upsert_points("c", points).await.unwrap();
    let query = client.query(Query::vector("c", [1.0, 1.0], 450)).await.unwrap_err();
    let get = client.get_points("c", 0..450u64).await.unwrap_err();
    for error in [query, get] {
        assert_eq!(error.reason(), Some("RESPONSE_TOO_LARGE"), "{error:?}");
        // Given up with the first item too many, not counted to the end.
        let actual: u64 = error.metadata()["actual"].parse().unwrap();
        assert!(actual < (1 << 20) + (8 << 10), "{actual}");
    }
    server.stop().await;
}
