//! Updates, batches, preconditions, requests that are sent twice, and removal by a condition.

use std::time::{Duration, SystemTime};

use ragstone_client::{
    Code, CreateCollection, Filter, IngestDocument, Point, PointId, Query, Range, Update, Value, Write,
};
use ragstone_proto::v1;
use ragstone_proto::v1::points_service_client::PointsServiceClient;
use ragstone_proto::v1::{precondition, write_operation};

use crate::fixture::{MODEL, Server, details, field, reason};

/// A collection `c` with three points.
async fn server_with_points() -> Server {
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    let point = |id: u64| Point::new(id, [1.0, id as f32]).with("year", 2020 + id as i64).with("draft", true);
    client.upsert_points("c", (0..3).map(point)).await.unwrap();
    server
}

async fn only(client: &ragstone_client::Client, id: u64) -> Point {
    client.get_points("c", [id]).await.unwrap().remove(0)
}

#[tokio::test]
async fn updates_change_fields_and_nothing_else() {
    let server = server_with_points().await;
    let client = server.client().await;
    let before = only(&client, 1).await;
    let updates = [
        Update::new(1).set("title", "one").set("year", 1999).unset("draft").unset("none"),
        Update::new("absent").set("title", "none"),
    ];
    let receipt = client.update_points("c", updates).await.unwrap();
    assert_eq!((receipt.points, receipt.missing, receipt.repeated), (1, 1, false));
    let after = only(&client, 1).await;
    assert_eq!(after.vector, before.vector);
    assert_eq!(after.payload, [("title".into(), "one".into()), ("year".into(), Value::Int(1999))].into());
    assert_eq!(after.etag, Some(receipt.seq));
    assert!(after.etag > before.etag);
    let found =
        client.query(Query::vector("c", [1.0, 1.0], 1).filter(Filter::eq("year", 1999))).await.unwrap();
    assert_eq!((&found.hits[0].id, found.hits[0].etag), (&PointId::Num(1), Some(receipt.seq)));
    server.stop().await;
}

#[tokio::test]
async fn a_batch_is_written_whole_and_only_if_what_it_expects_holds() {
    let server = server_with_points().await;
    let client = server.client().await;
    let etag = only(&client, 1).await.etag.unwrap();
    let transfer = |etag: u64| {
        Write::new("c")
            .update(Update::new(1).set("year", 2000))
            .upsert(Point::without_vector("log").with("what", "moved"))
            .delete(2)
            .expect_etag(1, etag)
            .expect_absent("log")
            .expect_present(2)
    };
    let receipt = client.write_points(transfer(etag)).await.unwrap();
    assert_eq!((receipt.points, receipt.missing), (3, 0));
    let error = client.write_points(transfer(etag)).await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::Aborted, Some("PRECONDITION_FAILED")));
    assert_eq!(error.field_violations()[0].field, "preconditions[0]");
    assert_eq!(error.metadata()["id"], "1");
    assert_eq!(error.metadata()["etag"], receipt.seq.to_string());
    let error = client.write_points(transfer(receipt.seq)).await.unwrap_err();
    assert_eq!(error.field_violations()[0].field, "preconditions[1]", "{error}");
    assert_eq!(client.count_points("c", None).await.unwrap(), 3);
    server.stop().await;
}

#[tokio::test]
async fn an_expired_point_is_gone() {
    let server = server_with_points().await;
    let client = server.client().await;
    let day = 86_400_000_000;
    let now =
        i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros()).unwrap();
    let points =
        [Point::new(7, [1.0, 0.5]).expires_at(now - day), Point::new(8, [1.0, 0.5]).expires_at(now + day)];
    client.upsert_points("c", points).await.unwrap();
    let found = client.get_points("c", [7, 8]).await.unwrap();
    assert_eq!(found.iter().map(|point| point.expires_at).collect::<Vec<_>>(), [Some(now + day)]);
    assert_eq!(client.count_points("c", None).await.unwrap(), 4);
    client
        .update_points("c", [Update::new(8).expires_at(1), Update::new(1).expires_at(now + day)])
        .await
        .unwrap();
    assert!(client.get_points("c", [8]).await.unwrap().is_empty());
    let found = client.query(Query::vector("c", [1.0, 1.0], 9)).await.unwrap();
    assert_eq!(found.hits.len(), 3);
    assert_eq!((&found.hits[0].id, found.hits[0].expires_at), (&PointId::Num(1), Some(now + day)));
    client.update_points("c", [Update::new(1).never_expires()]).await.unwrap();
    assert_eq!(only(&client, 1).await.expires_at, None);
    server.stop().await;
}

/// Many clients that read, add one and write count right: those who come too late read again.
#[tokio::test]
async fn compare_and_set_loses_no_write() {
    let server = server_with_points().await;
    let adding = (0..4).map(async |_| {
        let client = server.client().await;
        for _ in 0..10 {
            loop {
                let point = only(&client, 0).await;
                let year = point.payload["year"].as_int().unwrap() + 1;
                let write = Write::new("c")
                    .update(Update::new(0).set("year", year))
                    .expect_etag(0, point.etag.unwrap());
                match client.write_points(write).await {
                    Ok(_) => break,
                    Err(error) => assert_eq!(error.reason(), Some("PRECONDITION_FAILED"), "{error}"),
                }
            }
        }
    });
    futures_util::future::join_all(adding).await;
    let client = server.client().await;
    assert_eq!(only(&client, 0).await.payload["year"], Value::Int(2020 + 40));
    server.stop().await;
}

#[tokio::test]
async fn a_request_that_is_sent_twice_is_done_once_also_after_a_restart() {
    let server = server_with_points().await;
    let client = server.client().await;
    let write = || Write::new("c").update(Update::new(1).set("year", 1)).delete(7).request_id("once");
    let first = client.write_points(write()).await.unwrap();
    client.update_points("c", [Update::new(1).set("year", 2)]).await.unwrap();
    let again = client.write_points(write()).await.unwrap();
    assert_eq!((again.seq, again.points, again.repeated), (first.seq, first.points, true));
    assert_eq!(only(&client, 1).await.payload["year"], Value::Int(2));
    drop(client);
    let directory = server.stop().await;
    let server = Server::start_over(directory, crate::fixture::config()).await;
    let client = server.client().await;
    assert!(client.write_points(write()).await.unwrap().repeated);
    assert_eq!(only(&client, 1).await.payload["year"], Value::Int(2));
    server.stop().await;
}

/// The client repeats a write whose connection broke, as the server knows it by its request id.
#[tokio::test]
async fn writes_outlive_a_server() {
    let server = server_with_points().await;
    let (address, url) = (server.address, server.url());
    let client = ragstone_client::Client::builder(&url).retries(50).build().await.unwrap();
    let patient = client.with_timeout(Duration::from_secs(20));
    let directory = server.stop().await;
    let writing =
        tokio::spawn(async move { patient.update_points("c", [Update::new(1).set("year", 7)]).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let server = Server::start_at(address, directory, crate::fixture::config()).await;
    assert_eq!(writing.await.unwrap().unwrap().points, 1);
    server.stop().await;
}

#[tokio::test]
async fn points_are_removed_by_a_condition_and_documents_stay() {
    let server = server_with_points().await;
    let client = server.client().await;
    let recent = Filter::range("year", Range::new().gte(2021));
    assert_eq!(client.delete_points_where("c", recent).await.unwrap().points, 2);
    assert_eq!(client.count_points("c", None).await.unwrap(), 1);

    client.create_collection(CreateCollection::with_model("docs", MODEL)).await.unwrap();
    client.ingest_document(IngestDocument::new("docs", "a.md", "one two").metadata("year", 1)).await.unwrap();
    client.upsert_points("docs", [Point::without_vector(1).with("year", 1)]).await.unwrap();
    let all = client.count_points("docs", None).await.unwrap();
    assert_eq!(client.delete_points_where("docs", Filter::eq("year", 1)).await.unwrap().points, 1);
    assert_eq!(client.count_points("docs", None).await.unwrap(), all - 1);
    let error = client.delete_points_where("docs", Filter::eq("colour", 1)).await.unwrap_err();
    assert_eq!(error.field_violations()[0].field, "filter.colour");
    server.stop().await;
}

#[tokio::test]
async fn writes_that_are_wrong_are_named_and_nothing_is_written() {
    let server = server_with_points().await;
    let mut points = PointsServiceClient::new(server.channel().await);
    let id = |text: &str| Some(v1::PointId { id: Some(v1::point_id::Id::Text(text.to_owned())) });
    let string = |text: &str| v1::Value { kind: Some(v1::value::Kind::StringValue(text.to_owned())) };
    let update = |id: Option<v1::PointId>, set: &[(&str, v1::Value)], unset: &[&str]| v1::PointUpdate {
        id,
        set: set.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        unset: unset.iter().map(|name| (*name).to_owned()).collect(),
        ..Default::default()
    };
    let good = || update(id("a"), &[("title", string("x"))], &[]);
    let cases = [
        (update(None, &[], &[]), "INVALID_FIELD", "updates[1].id"),
        (update(id(""), &[], &[]), "INVALID_FIELD", "updates[1].id"),
        (update(id("doc:a"), &[], &[]), "RESERVED_NAME", "updates[1].id"),
        (update(id("b"), &[("_kind", string("x"))], &[]), "RESERVED_NAME", "updates[1].set._kind"),
        (update(id("b"), &[], &["a", "_kind"]), "RESERVED_NAME", "updates[1].unset[1]._kind"),
        (update(id("b"), &[("year", string("x"))], &[]), "PAYLOAD_FIELD_TYPE", "updates[1].set.year"),
        (update(id("b"), &[("a", v1::Value { kind: None })], &[]), "INVALID_FIELD", "updates[1].set.a"),
        (update(id("b"), &[("title", string("x"))], &["title"]), "INVALID_FIELD", "updates[1].set.title"),
    ];
    for (wrong, expected_reason, expected_field) in cases {
        let updates = vec![good(), wrong];
        let request = v1::UpdatePointsRequest { collection: "c".into(), updates, ..Default::default() };
        let status = points.update_points(request).await.unwrap_err();
        assert_eq!((reason(&status).as_str(), field(&status).as_str()), (expected_reason, expected_field));
    }

    let operation = |operation| v1::WriteOperation { operation };
    use write_operation::Operation;
    let upsert = |id: Option<v1::PointId>, values: Vec<f32>| v1::Point {
        id,
        vector: Some(v1::Vector { values }),
        ..Default::default()
    };
    let cases = [
        (operation(None), "INVALID_FIELD", "operations[1]"),
        (
            operation(Some(Operation::Upsert(upsert(id("x"), vec![1.0])))),
            "INVALID_FIELD",
            "operations[1].upsert.vector",
        ),
        (
            operation(Some(Operation::Upsert(upsert(id("doc#a#0"), vec![])))),
            "RESERVED_NAME",
            "operations[1].upsert.id",
        ),
        (
            operation(Some(Operation::Update(update(id("b"), &[("year", string("x"))], &[])))),
            "PAYLOAD_FIELD_TYPE",
            "operations[1].update.set.year",
        ),
        (operation(Some(Operation::Delete(id("doc:a").unwrap()))), "RESERVED_NAME", "operations[1].delete"),
        (operation(Some(Operation::Delete(id("").unwrap()))), "INVALID_FIELD", "operations[1].delete"),
    ];
    for (wrong, expected_reason, expected_field) in cases {
        let operations = vec![operation(Some(Operation::Delete(id("a").unwrap()))), wrong];
        let request = v1::WritePointsRequest { collection: "c".into(), operations, ..Default::default() };
        let status = points.write_points(request).await.unwrap_err();
        assert_eq!((reason(&status).as_str(), field(&status).as_str()), (expected_reason, expected_field));
    }

    let with = |preconditions: Vec<v1::Precondition>, request_id: &str| v1::UpdatePointsRequest {
        collection: "c".into(),
        updates: vec![good()],
        preconditions,
        request_id: request_id.to_owned(),
    };
    let expects = |id, expect| vec![v1::Precondition { id, expect }];
    let cases = [
        (with(expects(id("a"), None), ""), "INVALID_FIELD", "preconditions[0]"),
        (
            with(expects(None, Some(precondition::Expect::Exists(true))), ""),
            "INVALID_FIELD",
            "preconditions[0].id",
        ),
        (with(vec![], &"x".repeat(129)), "LIMIT_EXCEEDED", "request_id"),
    ];
    for (request, expected_reason, expected_field) in cases {
        let status = points.update_points(request).await.unwrap_err();
        assert_eq!((reason(&status).as_str(), field(&status).as_str()), (expected_reason, expected_field));
    }
    let status = points
        .update_points(with(expects(id("a"), Some(precondition::Expect::Etag(1))), ""))
        .await
        .unwrap_err();
    assert_eq!((status.code(), field(&status).as_str()), (tonic::Code::Aborted, "preconditions[0]"));
    assert!(!details(&status).error_info().unwrap().metadata.contains_key("etag"), "there is no such point");

    let filter = v1::Filter { condition: Some(v1::filter::Condition::AllTenants(v1::filter::AllTenants {})) };
    let by_both = v1::DeletePointsRequest {
        collection: "c".into(),
        ids: vec![id("a").unwrap()],
        filter: Some(filter),
        ..Default::default()
    };
    assert_eq!(field(&points.delete_points(by_both).await.unwrap_err()), "ids");
    assert_eq!(server.client().await.count_points("c", None).await.unwrap(), 3);
    server.stop().await;
}
