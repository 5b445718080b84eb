//! What bad input gets: a code, a reason, the field's path; and nothing is written.

use std::collections::BTreeMap;

use ragstone_client::{Code, CreateCollection, IngestDocument, Point, Query};
use ragstone_proto::v1;
use ragstone_proto::v1::collections_service_client::CollectionsServiceClient;
use ragstone_proto::v1::documents_service_client::DocumentsServiceClient;
use ragstone_proto::v1::inference_service_client::InferenceServiceClient;
use ragstone_proto::v1::points_service_client::PointsServiceClient;
use ragstone_proto::v1::rag_service_client::RagServiceClient;
use ragstone_proto::v1::search_service_client::SearchServiceClient;
use tonic::Status;

use crate::fixture::{MAX_TOKENS, MODEL, Server, field, reason};

fn id(number: u64) -> Option<v1::PointId> {
    Some(v1::PointId { id: Some(v1::point_id::Id::Number(number)) })
}

fn text_id(text: &str) -> Option<v1::PointId> {
    Some(v1::PointId { id: Some(v1::point_id::Id::Text(text.to_owned())) })
}

fn vector(values: &[f32]) -> Option<v1::Vector> {
    Some(v1::Vector { values: values.to_vec() })
}

fn int(value: i64) -> v1::Value {
    v1::Value { kind: Some(v1::value::Kind::IntValue(value)) }
}

fn string(value: &str) -> v1::Value {
    v1::Value { kind: Some(v1::value::Kind::StringValue(value.to_owned())) }
}

fn payload(name: &str, value: v1::Value) -> BTreeMap<String, v1::Value> {
    BTreeMap::from([(name.to_owned(), value)])
}

fn filter(condition: v1::filter::Condition) -> v1::Filter {
    v1::Filter { condition: Some(condition) }
}

fn eq(field: &str, value: v1::Value) -> v1::Filter {
    filter(v1::filter::Condition::Eq(v1::filter::Eq { field: field.to_owned(), value: Some(value) }))
}

/// A server with the collection `c`: two components, cosine, one point with the int `year`.
async fn server_with_points() -> Server {
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    client.upsert_points("c", [Point::new(1, [1.0, 0.0]).with("year", 2026)]).await.unwrap();
    server
}

fn assert_invalid(status: &Status, expected_reason: &str, expected_field: &str) {
    assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status:?}");
    assert_eq!(
        (reason(status).as_str(), field(status).as_str()),
        (expected_reason, expected_field),
        "{status:?}"
    );
    assert!(status.message().starts_with(expected_field), "{status:?}");
}

#[tokio::test]
async fn points_that_are_wrong_are_named_and_none_of_the_batch_is_written() {
    let server = server_with_points().await;
    let mut points = PointsServiceClient::new(server.channel().await);
    let good = v1::Point { id: id(2), vector: vector(&[0.0, 1.0]), ..Default::default() };
    let bad = |change: fn(&mut v1::Point)| {
        let mut point = v1::Point { id: id(3), ..good.clone() };
        change(&mut point);
        point
    };
    let cases = [
        (bad(|point| point.id = None), "INVALID_FIELD", "points[1].id"),
        (bad(|point| point.id = Some(v1::PointId { id: None })), "INVALID_FIELD", "points[1].id"),
        (bad(|point| point.id = text_id("")), "INVALID_FIELD", "points[1].id"),
        (bad(|point| point.id = text_id(&"x".repeat(513))), "LIMIT_EXCEEDED", "points[1].id"),
        (bad(|point| point.id = text_id("doc:a.md")), "RESERVED_NAME", "points[1].id"),
        (bad(|point| point.vector = vector(&[1.0])), "INVALID_FIELD", "points[1].vector"),
        (bad(|point| point.vector = vector(&[1.0, 2.0, 3.0])), "INVALID_FIELD", "points[1].vector"),
        (bad(|point| point.vector = vector(&[])), "INVALID_FIELD", "points[1].vector"),
        (bad(|point| point.vector = vector(&[f32::NAN, 1.0])), "INVALID_FIELD", "points[1].vector"),
        (bad(|point| point.vector = vector(&[f32::INFINITY, 1.0])), "INVALID_FIELD", "points[1].vector"),
        (bad(|point| point.vector = vector(&[0.0, 0.0])), "INVALID_FIELD", "points[1].vector"),
        (
            bad(|point| point.payload = payload("a", v1::Value { kind: None })),
            "INVALID_FIELD",
            "points[1].payload.a",
        ),
        (
            bad(|point| point.payload = payload("_text", string("x"))),
            "RESERVED_NAME",
            "points[1].payload._text",
        ),
        (
            bad(|point| point.payload = payload("year", string("x"))),
            "PAYLOAD_FIELD_TYPE",
            "points[1].payload.year",
        ),
        (
            bad(|point| {
                let kind = Some(v1::value::Kind::FloatValue(f64::NAN));
                point.payload = payload("price", v1::Value { kind });
            }),
            "INVALID_FIELD",
            "points[1].payload.price",
        ),
    ];
    for (point, expected_reason, expected_field) in cases {
        let request = v1::UpsertPointsRequest {
            collection: "c".into(),
            points: vec![good.clone(), point],
            ..Default::default()
        };
        let status = points.upsert_points(request).await.unwrap_err();
        assert_invalid(&status, expected_reason, expected_field);
    }
    let request = v1::DeletePointsRequest {
        collection: "c".into(),
        ids: vec![v1::PointId { id: None }],
        ..Default::default()
    };
    assert_invalid(&points.delete_points(request).await.unwrap_err(), "INVALID_FIELD", "ids[0]");
    let ids = vec![text_id("a").unwrap(), text_id("").unwrap()];
    let request = v1::DeletePointsRequest { collection: "c".into(), ids, ..Default::default() };
    assert_invalid(&points.delete_points(request).await.unwrap_err(), "INVALID_FIELD", "ids[1]");
    let request = v1::DeletePointsRequest {
        collection: "c".into(),
        ids: vec![text_id("doc#a#0").unwrap()],
        ..Default::default()
    };
    assert_invalid(&points.delete_points(request).await.unwrap_err(), "RESERVED_NAME", "ids[0]");

    let collection = server.client().await.get_collection("c").await.unwrap();
    assert_eq!(collection.points, 1, "nothing of a refused batch is written");
    server.stop().await;
}

#[tokio::test]
async fn queries_that_are_wrong_are_named() {
    let server = server_with_points().await;
    let mut search = SearchServiceClient::new(server.channel().await);
    let good = v1::QueryRequest {
        collection: "c".into(),
        query: Some(v1::query_request::Query::Vector(v1::Vector { values: vec![1.0, 0.0] })),
        k: 1,
        ..Default::default()
    };
    let with_filter = |filter: v1::Filter| v1::QueryRequest { filter: Some(filter), ..good.clone() };
    let with_vector = |values: &[f32]| v1::QueryRequest {
        query: Some(v1::query_request::Query::Vector(v1::Vector { values: values.to_vec() })),
        ..good.clone()
    };
    use v1::filter::Condition;
    let unset = v1::Filter { condition: None };
    let and = |filters: Vec<v1::Filter>| filter(Condition::And(v1::filter::And { filters }));
    let deep = (0..33).fold(eq("year", int(1)), |inner, _| {
        filter(Condition::Not(Box::new(v1::filter::Not { filter: Some(Box::new(inner)) })))
    });
    let wide = filter(Condition::In(v1::filter::In { field: "year".into(), values: vec![int(1); 10_001] }));
    let range = |gt: Option<v1::Value>, field: &str| {
        filter(Condition::Range(v1::filter::Range { field: field.into(), gt, ..Default::default() }))
    };
    let cases = [
        (v1::QueryRequest { query: None, ..good.clone() }, "INVALID_FIELD", "query"),
        (v1::QueryRequest { k: 0, ..good.clone() }, "INVALID_FIELD", "k"),
        (v1::QueryRequest { k: 1_000_000, ..good.clone() }, "LIMIT_EXCEEDED", "k"),
        (v1::QueryRequest { ef: Some(0), ..good.clone() }, "INVALID_FIELD", "ef"),
        (v1::QueryRequest { ef: Some(1_000_000), ..good.clone() }, "LIMIT_EXCEEDED", "ef"),
        (with_vector(&[1.0]), "INVALID_FIELD", "vector"),
        (with_vector(&[f32::NAN, 0.0]), "INVALID_FIELD", "vector"),
        (with_vector(&[0.0, 0.0]), "INVALID_FIELD", "vector"),
        (with_filter(unset.clone()), "INVALID_FIELD", "filter"),
        (with_filter(and(vec![eq("year", int(1)), unset])), "INVALID_FIELD", "filter.and[1]"),
        (with_filter(eq("year", v1::Value { kind: None })), "INVALID_FIELD", "filter.eq.value"),
        (with_filter(eq("colour", int(1))), "UNKNOWN_PAYLOAD_FIELD", "filter.colour"),
        (with_filter(eq("year", string("x"))), "PAYLOAD_FIELD_TYPE", "filter.year"),
        (
            with_filter(and(vec![eq("year", int(1)), eq("year", string("x"))])),
            "PAYLOAD_FIELD_TYPE",
            "filter.and[1].year",
        ),
        (with_filter(range(None, "year")), "INVALID_FIELD", "filter.year"),
        (with_filter(range(Some(string("x")), "year")), "PAYLOAD_FIELD_TYPE", "filter.year.gt"),
        (with_filter(wide), "LIMIT_EXCEEDED", "filter"),
    ];
    for (request, expected_reason, expected_field) in cases {
        let status = search.query(request).await.unwrap_err();
        assert_invalid(&status, expected_reason, expected_field);
    }
    // So deep that the codec does not read it.
    let deeper = (0..200).fold(eq("year", int(1)), |inner, _| and(vec![inner]));
    let status = search.query(with_filter(deeper)).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (tonic::Code::InvalidArgument, "MALFORMED_MESSAGE")
    );
    let status = search.query(with_filter(deep)).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (tonic::Code::InvalidArgument, "LIMIT_EXCEEDED"));
    assert!(field(&status).starts_with("filter.not.not"), "{status:?}");

    let details = crate::fixture::details(
        &search.query(v1::QueryRequest { k: 1_000_000, ..good.clone() }).await.unwrap_err(),
    );
    let metadata = &details.error_info().unwrap().metadata;
    assert_eq!((metadata["limit"].as_str(), metadata["max"].as_str()), ("K_MAX", "10000"));
    assert_eq!(metadata["actual"], "1000000");
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let server = server_with_points().await;
    let channel = server.channel().await;
    let mut collections = CollectionsServiceClient::new(channel.clone());
    let mut points = PointsServiceClient::new(channel.clone());
    let mut search = SearchServiceClient::new(channel.clone());
    let mut documents = DocumentsServiceClient::new(channel.clone());
    let mut rag = RagServiceClient::new(channel);
    let collection = "none".to_owned();
    let name = collection.clone();
    let query = v1::QueryRequest {
        collection: collection.clone(),
        query: Some(v1::query_request::Query::Text("x".into())),
        k: 1,
        ..Default::default()
    };
    let ingest = v1::IngestDocumentRequest {
        collection: collection.clone(),
        id: "a.md".into(),
        content: "x".into(),
        ..Default::default()
    };
    let enrich =
        v1::EnrichRequest { collection: collection.clone(), question: "x".into(), ..Default::default() };
    let outcomes = [
        collections
            .get_collection(v1::GetCollectionRequest { name: name.clone(), ..Default::default() })
            .await
            .map(drop),
        collections
            .delete_collection(v1::DeleteCollectionRequest { name, ..Default::default() })
            .await
            .map(drop),
        points
            .upsert_points(v1::UpsertPointsRequest { collection: collection.clone(), ..Default::default() })
            .await
            .map(drop),
        points
            .get_points(v1::GetPointsRequest { collection: collection.clone(), ..Default::default() })
            .await
            .map(drop),
        points
            .delete_points(v1::DeletePointsRequest {
                collection: collection.clone(),
                ids: vec![],
                ..Default::default()
            })
            .await
            .map(drop),
        search.query(query).await.map(drop),
        documents.ingest_document(ingest).await.map(drop),
        documents
            .get_document(v1::GetDocumentRequest {
                collection: collection.clone(),
                id: "a".into(),
                ..Default::default()
            })
            .await
            .map(drop),
        documents
            .delete_document(v1::DeleteDocumentRequest {
                collection: collection.clone(),
                id: "a".into(),
                ..Default::default()
            })
            .await
            .map(drop),
        documents
            .list_documents(v1::ListDocumentsRequest { collection: collection.clone(), ..Default::default() })
            .await
            .map(drop),
        documents
            .list_chunks(v1::ListChunksRequest {
                collection: collection.clone(),
                document: "a".into(),
                ..Default::default()
            })
            .await
            .map(drop),
        rag.enrich(enrich).await.map(drop),
    ];
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let status = outcome.unwrap_err();
        assert_eq!(status.code(), tonic::Code::NotFound, "call {number}: {status:?}");
        assert_eq!(reason(&status), "COLLECTION_NOT_FOUND", "call {number}");
    }

    let client = server.client().await;
    client.create_collection(CreateCollection::with_model("docs", MODEL)).await.unwrap();
    let error = client.get_document("docs", "none").await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::NotFound, Some("DOCUMENT_NOT_FOUND")));
    server.stop().await;
}

#[tokio::test]
async fn collections_that_are_wrong_are_named() {
    let server = server_with_points().await;
    let mut collections = CollectionsServiceClient::new(server.channel().await);
    use v1::create_collection_request::Vectors;
    let good = v1::CreateCollectionRequest {
        name: "new".into(),
        vectors: Some(Vectors::Dimension(2)),
        ..Default::default()
    };
    let dimension = |dimension: u32| v1::CreateCollectionRequest {
        vectors: Some(Vectors::Dimension(dimension)),
        ..good.clone()
    };
    let fields = |name: &str, field_type: i32| v1::CreateCollectionRequest {
        fields: BTreeMap::from([(name.to_owned(), field_type)]),
        ..good.clone()
    };
    let cases = [
        (v1::CreateCollectionRequest { vectors: None, ..good.clone() }, "INVALID_FIELD", "vectors"),
        (v1::CreateCollectionRequest { name: String::new(), ..good.clone() }, "INVALID_FIELD", "name"),
        (v1::CreateCollectionRequest { name: "x".repeat(129), ..good.clone() }, "LIMIT_EXCEEDED", "name"),
        (v1::CreateCollectionRequest { metric: 99, ..good.clone() }, "INVALID_FIELD", "metric"),
        (dimension(0), "INVALID_FIELD", "dimension"),
        (dimension(8_193), "LIMIT_EXCEEDED", "dimension"),
        (fields("a", 0), "INVALID_FIELD", "fields.a"),
        (fields("a", 77), "INVALID_FIELD", "fields.a"),
        (fields("_a", 1), "RESERVED_NAME", "fields._a"),
        (fields("", 1), "INVALID_FIELD", "fields."),
    ];
    for (request, expected_reason, expected_field) in cases {
        let status = collections.create_collection(request).await.unwrap_err();
        assert_invalid(&status, expected_reason, expected_field);
    }
    let request = v1::CreateCollectionRequest { name: "c".into(), ..good };
    let status = collections.create_collection(request).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::AlreadyExists);
    assert_eq!(reason(&status), "COLLECTION_EXISTS");

    let request = v1::ListCollectionsRequest { page_size: 1_001, page_token: String::new() };
    assert_invalid(&collections.list_collections(request).await.unwrap_err(), "LIMIT_EXCEEDED", "page_size");
    let request = v1::ListCollectionsRequest { page_size: 0, page_token: "zz".into() };
    assert_invalid(&collections.list_collections(request).await.unwrap_err(), "INVALID_FIELD", "page_token");
    assert_eq!(server.client().await.list_collections().await.unwrap().len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn text_needs_a_model() {
    let server = server_with_points().await;
    let client = server.client().await;
    let query = client.query(Query::text("c", "moon", 1)).await.unwrap_err();
    let ingest = client.ingest_document(IngestDocument::new("c", "a.md", "moon")).await.unwrap_err();
    for error in [query, ingest] {
        assert_eq!(
            (error.code(), error.reason()),
            (Code::FailedPrecondition, Some("COLLECTION_WITHOUT_MODEL"))
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn texts_and_documents_that_are_wrong_are_named() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_model("docs", MODEL)).await.unwrap();
    let channel = server.channel().await;
    let mut inference = InferenceServiceClient::new(channel.clone());
    let mut documents = DocumentsServiceClient::new(channel.clone());
    let mut rag = RagServiceClient::new(channel);

    let long = "word ".repeat(MAX_TOKENS);
    let embed = |texts: Vec<String>| v1::EmbedRequest { texts, ..Default::default() };
    let status = inference.embed(embed(vec!["a".into(), long.clone()])).await.unwrap_err();
    assert_invalid(&status, "TOKEN_LIMIT", "texts[1]");
    let status = inference.embed(embed(vec![String::new(); 2_049])).await.unwrap_err();
    assert_invalid(&status, "LIMIT_EXCEEDED", "texts");
    let status = inference.embed(embed(vec!["x".repeat((1 << 20) + 1)])).await.unwrap_err();
    assert_invalid(&status, "LIMIT_EXCEEDED", "texts[0]");
    let status = inference.embed(v1::EmbedRequest { role: 9, ..Default::default() }).await.unwrap_err();
    assert_invalid(&status, "INVALID_FIELD", "role");
    let status =
        inference.embed(v1::EmbedRequest { on_overflow: 9, ..Default::default() }).await.unwrap_err();
    assert_invalid(&status, "INVALID_FIELD", "on_overflow");

    let ingest = |id: &str, content: Vec<u8>| v1::IngestDocumentRequest {
        collection: "docs".into(),
        id: id.into(),
        content: content.into(),
        ..Default::default()
    };
    let status = documents.ingest_document(ingest("a.txt", vec![0xff, 0xfe, 0, 1])).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (tonic::Code::InvalidArgument, "NOT_TEXT"));
    let status = documents.ingest_document(ingest("", b"x".to_vec())).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (tonic::Code::InvalidArgument, "INVALID_FIELD"));
    let status = documents.ingest_document(ingest("a.md", vec![b'x'; (16 << 20) + 1])).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (tonic::Code::InvalidArgument, "LIMIT_EXCEEDED"));
    let request = v1::IngestDocumentRequest { media_type: 99, ..ingest("a.md", b"x".to_vec()) };
    assert_invalid(&documents.ingest_document(request).await.unwrap_err(), "INVALID_FIELD", "media_type");
    let metadata = payload("_kind", string("chunk"));
    let request = v1::IngestDocumentRequest { metadata, ..ingest("a.md", b"x".to_vec()) };
    assert_invalid(&documents.ingest_document(request).await.unwrap_err(), "RESERVED_NAME", "metadata._kind");
    let none = client.list_documents(ragstone_client::ListDocuments::new("docs")).await.unwrap();
    assert_eq!(none.items, []);

    let enrich = |change: fn(&mut v1::EnrichRequest)| {
        let mut request =
            v1::EnrichRequest { collection: "docs".into(), question: "moon".into(), ..Default::default() };
        change(&mut request);
        request
    };
    let cases = [
        (enrich(|request| request.question.clear()), "INVALID_FIELD", "question"),
        (enrich(|request| request.question = "word ".repeat(MAX_TOKENS)), "TOKEN_LIMIT", "question"),
        (enrich(|request| request.k = Some(0)), "INVALID_FIELD", "k"),
        (enrich(|request| request.k = Some(1_000_000)), "LIMIT_EXCEEDED", "k"),
        (enrich(|request| request.token_budget = Some(0)), "INVALID_FIELD", "token_budget"),
        (enrich(|request| request.token_budget = Some(2_000_000)), "LIMIT_EXCEEDED", "token_budget"),
        (
            enrich(|request| request.template_source = Some("{{ unclosed".into())),
            "TEMPLATE_INVALID",
            "template",
        ),
        (enrich(|request| request.template = Some("a b".into())), "INVALID_FIELD", "template"),
    ];
    for (request, expected_reason, expected_field) in cases {
        let status = rag.enrich(request).await.unwrap_err();
        assert_invalid(&status, expected_reason, expected_field);
    }
    let request = enrich(|request| request.filter = Some(eq("colour", int(1))));
    let status = rag.enrich(request).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (tonic::Code::InvalidArgument, "UNKNOWN_PAYLOAD_FIELD")
    );
    assert!(field(&status).starts_with("filter") && field(&status).ends_with(".colour"), "{status:?}");
    server.stop().await;
}

/// The typed client gives all of it without any gRPC in sight.
#[tokio::test]
async fn the_client_reads_the_details() {
    let server = server_with_points().await;
    let client = server.client().await;
    let error = client.upsert_points("c", [Point::new(5, [1.0])]).await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::InvalidArgument, Some("INVALID_FIELD")));
    assert_eq!(error.field_violations()[0].field, "points[0].vector");
    assert!(!error.field_violations()[0].description.is_empty());
    let error = client.query(Query::vector("c", [1.0, 0.0], 1_000_000)).await.unwrap_err();
    assert_eq!(error.metadata().get("limit").map(String::as_str), Some("K_MAX"));
    assert_eq!(error.retry_after(), None);
    server.stop().await;
}
