//! Reading what was written, and changing what was read: write tokens and etags.

use std::time::Duration;

use ragstone_client::{
    Client, Code, CreateCollection, Enrich, FieldType, Generate, IngestDocument, IngestRecords, ListChunks,
    ListDocuments, Point, Query, RangeSearch, RecordFormat, Retrieve, Scroll, UpdateCollection, Write,
};
use ragstone_proto::v1;
use ragstone_proto::v1::collections_service_client::CollectionsServiceClient;
use ragstone_server::ServerConfig;

use crate::fixture::{MODEL, Server, config, reason};

/// Every read of a collection, each with what the client asks for at least.
async fn reads(client: &Client) -> Vec<(&'static str, ragstone_client::Result<()>)> {
    let vector = || vec![1.0; 64];
    let enrich = client.enrich(Enrich::new("notes", "moon")).await;
    vec![
        ("get_collection", client.get_collection("notes").await.map(drop)),
        ("get_points", client.get_points("notes", [1]).await.map(drop)),
        ("scroll_points", client.scroll_points(Scroll::new("notes")).await.map(drop)),
        ("count_points", client.count_points("notes", None).await.map(drop)),
        ("facet_points", client.facet_points("notes", "year", None, 5).await.map(drop)),
        ("query", client.query(Query::vector("notes", vector(), 1)).await.map(drop)),
        ("batch_query", client.query_batch("notes", [Query::vector("notes", vector(), 1)]).await.map(drop)),
        ("search_range", client.search_range(RangeSearch::vector("notes", vector(), 0.1)).await.map(drop)),
        ("get_document", client.get_document("notes", "moon.md").await.map(drop)),
        ("list_documents", client.list_documents(ListDocuments::new("notes")).await.map(drop)),
        ("list_chunks", client.list_chunks(ListChunks::new("notes", "moon.md")).await.map(drop)),
        ("retrieve", client.retrieve(Retrieve::new("notes", "moon")).await.map(drop)),
        ("enrich", enrich.map(drop)),
    ]
}

async fn with_notes(config: ServerConfig) -> (Server, Client) {
    let server = Server::start_with(config).await;
    let client = server.client().await.with_retries(0);
    assert_eq!(client.write_token(), None);
    client.create_collection(CreateCollection::with_model("notes", MODEL)).await.unwrap();
    client.ingest_document(IngestDocument::new("notes", "moon.md", "# Moon\n\nIt is far.")).await.unwrap();
    client.upsert_points("notes", [Point::new(1, vec![1.0; 64]).with("year", 2026)]).await.unwrap();
    (server, client)
}

/// The token of a write that is still to come: one of this database, further on in its log.
fn later(token: &str, by: u64) -> String {
    let (database, position) = token.split_at(33);
    format!("{database}{:016x}", u64::from_str_radix(position, 16).unwrap() + by)
}

#[tokio::test]
async fn every_read_finds_what_its_token_stands_for_or_says_that_it_is_not_there_yet() {
    let (server, client) =
        with_notes(ServerConfig { read_wait: Duration::from_millis(20), ..config() }).await;
    let token = client.write_token().unwrap();
    for (name, read) in reads(&client.at_least(&token)).await {
        read.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }
    for (name, read) in reads(&client.at_least(later(&token, 1))).await {
        let error = read.expect_err(name);
        assert_eq!((error.code(), error.reason()), (Code::Unavailable, Some("NOT_CAUGHT_UP")), "{name}");
        assert!(error.retry_after().is_some(), "{name}");
        let number = |field: &str| error.metadata()[field].parse::<u64>().unwrap();
        assert_eq!(number("position"), number("reached") + 1, "{name}");
    }
    for (name, read) in reads(&client.at_least("no token")).await {
        let error = read.expect_err(name);
        assert_eq!(error.code(), Code::InvalidArgument, "{name}: {error:?}");
        assert_eq!(error.field_violations()[0].field, "at_least", "{name}");
    }
    // Of another database, as large as it may be.
    let other = Server::start().await;
    let writer = other.client().await;
    writer.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    for (name, read) in reads(&client.at_least(writer.write_token().unwrap())).await {
        let error = read.expect_err(name);
        let told = (error.code(), error.reason());
        assert_eq!(told, (Code::FailedPrecondition, Some("FOREIGN_WRITE_TOKEN")), "{name}");
    }
    other.stop().await;
    server.stop().await;
}

/// Alone of all reads it did not ask for what its client had written, and might answer without that.
#[tokio::test]
async fn an_answer_rests_on_what_its_token_stands_for() {
    let (server, client) =
        with_notes(ServerConfig { read_wait: Duration::from_millis(20), ..config() }).await;
    let reader = client.at_least(later(&client.write_token().unwrap(), 1));
    let error = reader.generate(Generate::new(Enrich::new("notes", "moon"))).await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::Unavailable, Some("NOT_CAUGHT_UP")));
    server.stop().await;
}

/// A read that comes before the write that it is to find waits for it.
#[tokio::test]
async fn a_read_waits_for_the_write_that_it_is_to_find() {
    let (server, client) = with_notes(ServerConfig { read_wait: Duration::from_secs(600), ..config() }).await;
    let reader = client.at_least(later(&client.write_token().unwrap(), 1));
    let reading = tokio::spawn(async move { reader.get_points("notes", [2]).await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!reading.is_finished());
    client.upsert_points("notes", [Point::new(2, vec![1.0; 64])]).await.unwrap();
    assert_eq!(reading.await.unwrap().unwrap().len(), 1);
    server.stop().await;
}

/// Whoever asked for what nobody writes had a thread of the reads for as long as that was waited for: a few of them, and nobody else read anything.
#[tokio::test]
async fn who_waits_for_a_write_takes_no_turn_of_others() {
    let one_thread = ServerConfig { read_wait: Duration::from_secs(600), worker_threads_max: 1, ..config() };
    let (server, client) = with_notes(one_thread).await;
    let token = client.write_token().unwrap();
    let wait = || {
        let never = client.at_least(later(&token, 1_000));
        tokio::spawn(async move { never.count_points("notes", None).await })
    };
    let waiting: Vec<_> = (0..8).map(|_| wait()).collect();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(client.get_points("notes", [1]).await.unwrap().len(), 1);
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
    waiting.iter().for_each(|waiting| waiting.abort());
    // What the log cannot come to meanwhile is not waited for, nor is what is not there for who asks.
    let far = client.at_least(later(&token, u64::MAX / 2));
    assert_eq!(far.count_points("notes", None).await.unwrap_err().reason(), Some("NOT_CAUGHT_UP"));
    let absent = client.at_least(later(&token, 1)).count_points("absent", None).await.unwrap_err();
    assert_eq!(absent.reason(), Some("COLLECTION_NOT_FOUND"));
    server.stop().await;
}

/// Every write has a token, each greater than the one before, and reads by it find what was written.
#[tokio::test]
async fn every_write_has_a_token() {
    let (server, client) = with_notes(config()).await;
    let mut last = client.write_token().unwrap();
    let mut newer = |what: &str| {
        let token = client.write_token().unwrap();
        assert!(token > last, "{what}: {token} after {last}");
        last = token;
    };
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    newer("create_collection");
    client.add_fields("c", [("a", FieldType::Int)]).await.unwrap();
    newer("add_fields");
    client.upsert_points("c", [Point::new(1, [1.0, 0.0])]).await.unwrap();
    newer("upsert_points");
    client.update_points("c", [ragstone_client::Update::new(1).set("a", 2)]).await.unwrap();
    newer("update_points");
    client.write_points(Write::new("c").upsert(Point::new(2, [1.0, 0.0]))).await.unwrap();
    newer("write_points");
    client.delete_points("c", [1]).await.unwrap();
    newer("delete_points");
    client.ingest_points("c", tokio_stream::iter([vec![Point::new(3, [1.0, 0.0])]]), |_| {}).await.unwrap();
    newer("ingest_points");
    client.ingest_document(IngestDocument::new("notes", "a.txt", "a")).await.unwrap();
    newer("ingest_document");
    let documents = tokio_stream::iter([IngestDocument::new("notes", "b.txt", "b")]);
    client.ingest_documents(documents, |_| {}).await.unwrap();
    newer("ingest_documents");
    let records = IngestRecords::new("notes", "r", RecordFormat::JsonLines, "{\"text\": \"One.\"}\n");
    client.ingest_records(records).await.unwrap();
    newer("ingest_records");
    client.delete_document("notes", "a.txt").await.unwrap();
    newer("delete_document");
    client.delete_document_once("notes", "b.txt", "monday").await.unwrap();
    newer("delete_document_once");
    client.delete_collection("c").await.unwrap();
    newer("delete_collection");
    server.stop().await;
}

#[tokio::test]
async fn a_collection_is_changed_and_removed_only_as_it_was_read() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut raw = CollectionsServiceClient::new(server.channel().await);
    let made = client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    assert!(!made.etag.is_empty());
    // What it holds is not what it is.
    client.upsert_points("c", [Point::new(1, [1.0, 0.0])]).await.unwrap();
    assert_eq!(client.get_collection("c").await.unwrap().etag, made.etag);
    let listed = client.list_collections().await.unwrap();
    assert_eq!(listed[0].etag, made.etag);

    let update = |etag: &str, field: &str| v1::UpdateCollectionRequest {
        name: "c".into(),
        fields: [(field.to_owned(), v1::FieldType::Int.into())].into(),
        etag: etag.into(),
        ..Default::default()
    };
    let changed = raw.update_collection(update(&made.etag, "a")).await.unwrap().into_inner();
    let changed = changed.collection.unwrap().etag;
    assert_ne!(changed, made.etag);
    let status = raw.update_collection(update(&made.etag, "b")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (tonic::Code::Aborted, "PRECONDITION_FAILED"));
    let stale = UpdateCollection::new("c").field("b", FieldType::Int).etag(&made.etag);
    let error = client.update_collection(stale).await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::Aborted, Some("PRECONDITION_FAILED")));
    assert!(!client.get_collection("c").await.unwrap().fields.contains_key("b"));

    let error = client.delete_collection_if(&made).await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::Aborted, Some("PRECONDITION_FAILED")));
    assert_eq!(error.metadata()["etag"], changed);
    // Another one of the same name and definition is another one.
    let now = client.get_collection("c").await.unwrap();
    client.delete_collection("c").await.unwrap();
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    client.add_fields("c", [("a", FieldType::Int)]).await.unwrap();
    assert_eq!(client.delete_collection_if(&now).await.unwrap_err().code(), Code::Aborted);
    let now = client.get_collection("c").await.unwrap();
    client.delete_collection_if(&now).await.unwrap();
    assert_eq!(client.delete_collection_if(&now).await.unwrap_err().code(), Code::NotFound);
    server.stop().await;
}

/// Of two that change what they read at once, one must read again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_changes_of_one_state_one_is_made() {
    let server = Server::start().await;
    let client = server.client().await;
    for round in 0..10 {
        let name = format!("c{round}");
        let made = client.create_collection(CreateCollection::with_dimension(&name, 2)).await.unwrap();
        let changing: Vec<_> = (0..4)
            .map(|number| {
                let channel = server.channel();
                let request = v1::UpdateCollectionRequest {
                    name: name.clone(),
                    fields: [(format!("f{number}"), v1::FieldType::Int.into())].into(),
                    etag: made.etag.clone(),
                    ..Default::default()
                };
                async {
                    CollectionsServiceClient::new(channel.await).update_collection(request).await.is_ok()
                }
            })
            .collect();
        let done = futures_util::future::join_all(changing).await;
        assert_eq!(done.into_iter().filter(|is_done| *is_done).count(), 1);
        assert_eq!(client.get_collection(&name).await.unwrap().fields.len(), 1);
    }
    server.stop().await;
}

/// Removed twice under one name of the request it is removed once, and another one of its name is not.
#[tokio::test]
async fn a_collection_is_removed_once_for_each_request() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut raw = CollectionsServiceClient::new(server.channel().await);
    let delete = |request_id: &str| v1::DeleteCollectionRequest {
        name: "c".into(),
        request_id: request_id.into(),
        ..Default::default()
    };
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    for _ in 0..2 {
        raw.delete_collection(delete("first")).await.unwrap();
        assert_eq!(client.get_collection("c").await.unwrap_err().code(), Code::NotFound);
    }
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    raw.delete_collection(delete("first")).await.unwrap();
    client.get_collection("c").await.expect("it is another one");
    client.delete_collection("c").await.unwrap();
    let status = raw.delete_collection(delete("second")).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound);
    let status = raw.delete_collection(delete(&"x".repeat(129))).await.unwrap_err();
    assert_eq!(crate::fixture::field(&status), "request_id");
    server.stop().await;
}

/// Made twice under one name of the request it is made once, over restarts too.
#[tokio::test]
async fn a_collection_is_made_once_for_each_request() {
    let server = Server::start().await;
    let make = |request_id: &str| v1::CreateCollectionRequest {
        name: "c".into(),
        vectors: Some(v1::create_collection_request::Vectors::Dimension(2)),
        request_id: request_id.into(),
        ..Default::default()
    };
    let mut raw = CollectionsServiceClient::new(server.channel().await);
    let etag =
        |made: tonic::Response<v1::CreateCollectionResponse>| made.into_inner().collection.unwrap().etag;
    let made = etag(raw.create_collection(make("first")).await.unwrap());
    assert_eq!(etag(raw.create_collection(make("first")).await.unwrap()), made);
    for other in ["", "second"] {
        let status = raw.create_collection(make(other)).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::AlreadyExists, "{other}");
    }
    let status = raw.create_collection(make(&"x".repeat(129))).await.unwrap_err();
    assert_eq!(crate::fixture::field(&status), "request_id");
    drop(raw);
    let server = Server::start_over(server.stop().await, config()).await;
    let mut raw = CollectionsServiceClient::new(server.channel().await);
    assert_eq!(etag(raw.create_collection(make("first")).await.unwrap()), made);
    server.stop().await;
}
