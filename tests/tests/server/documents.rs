//! Documents of every kind, files of records, and how a collection splits them.

use ragstone_client::{
    ChunkOptions, Code, CreateCollection, FieldType, Filter, IngestDocument, IngestRecords, IngestReport,
    IngestStatus, ListChunks, ListDocuments, MediaType, Query, RecordFormat, TextQuery,
};
use ragstone_proto::v1;
use ragstone_proto::v1::documents_service_client::DocumentsServiceClient;

use crate::fixture::{MODEL, Server, field, reason};

const LEASE_PDF: &[u8] = include_bytes!("../../../engine/rag/tests/data/pdf/lease.pdf");
const PASSWORD_PDF: &[u8] = include_bytes!("../../../engine/rag/tests/data/pdf/password.pdf");

#[tokio::test]
async fn documents_of_every_kind_are_stored_as_text() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_model("docs", MODEL)).await.unwrap();
    let stored = [
        ("lease.pdf", LEASE_PDF.to_vec(), MediaType::Pdf, "Lease > page"),
        (
            "main.rs",
            b"struct Moon;\n\nimpl Moon {\n    fn phase(&self) {}\n}\n".to_vec(),
            MediaType::Rust,
            "impl",
        ),
        ("a.py", b"class Moon:\n    def phase(self):\n        pass\n".to_vec(), MediaType::Python, "def"),
        ("a.go", b"package a\n\nfunc Phase() {}\n".to_vec(), MediaType::Go, "func"),
        ("a.sh", b"echo moon\n".to_vec(), MediaType::Code, "echo"),
        ("a.html", b"<h1>Moon</h1><p>It orbits.".to_vec(), MediaType::Html, "# Moon"),
        ("a.txt", b"moon".to_vec(), MediaType::Text, "moon"),
    ];
    for (id, content, media_type, _) in &stored {
        let report = client.ingest_document(IngestDocument::new("docs", *id, content.clone())).await.unwrap();
        assert!(report.status == IngestStatus::Added && report.chunks > 0, "{id}: {report:?}");
        assert_eq!(
            (report.chunks_added, report.chunks_kept, report.embedded),
            (report.chunks, 0, report.chunks)
        );
        let document = client.get_document("docs", id).await.unwrap();
        assert_eq!(document.media_type, *media_type, "{id}");
        let chunks = client.list_chunks(ListChunks::new("docs", *id)).await.unwrap().items;
        for chunk in &chunks {
            let slice: String =
                document.text.chars().skip(chunk.start).take(chunk.end - chunk.start).collect();
            assert_eq!((slice.as_str(), chunk.content_sha256.len()), (chunk.text.as_str(), 64));
        }
    }
    let pages = client.list_chunks(ListChunks::new("docs", "lease.pdf")).await.unwrap().items;
    assert_eq!(pages.last().unwrap().heading, "page 2");
    assert!(pages.last().unwrap().text.contains("roses are cut in March"));
    // Whatever the id says, the caller's word counts.
    let given = IngestDocument::new("docs", "a.md", "fn moon() {}\n").media_type(MediaType::Rust);
    client.ingest_document(given).await.unwrap();
    assert_eq!(client.get_document("docs", "a.md").await.unwrap().media_type, MediaType::Rust);

    for (id, content, words) in [
        ("b.pdf", PASSWORD_PDF.to_vec(), "password"),
        ("b.pdf", b"no pdf".to_vec(), "no PDF"),
        ("b.png", b"x".to_vec(), ".png"),
    ] {
        let error = client.ingest_document(IngestDocument::new("docs", id, content)).await.unwrap_err();
        assert_eq!((error.code(), error.reason()), (Code::InvalidArgument, Some("NOT_TEXT")));
        assert!(error.to_string().contains(words), "{error}");
    }
    server.stop().await;
}

#[tokio::test]
async fn only_chunks_that_changed_are_embedded() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_model("docs", MODEL)).await.unwrap();
    let text = |second: &str| format!("# One\n\nThe first section stays.\n\n# Two\n\n{second}\n");
    let put = async |second: &str| {
        client.ingest_document(IngestDocument::new("docs", "a.md", text(second))).await.unwrap()
    };
    assert_eq!(put("It is old.").await.embedded, 2);
    let report = put("It is new.").await;
    assert_eq!(report.status, IngestStatus::Replaced);
    assert_eq!(
        (report.chunks_added, report.chunks_kept, report.chunks_removed, report.embedded),
        (1, 1, 1, 1)
    );
    server.stop().await;
}

#[tokio::test]
async fn a_request_with_an_id_stores_or_removes_once() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_model("docs", MODEL)).await.unwrap();
    let monday = |text: &str| IngestDocument::new("docs", "a.md", text).request_id("monday");
    let first = client.ingest_document(monday("# Moon\n\nFar away.")).await.unwrap();
    let written = client.get_collection("docs").await.unwrap().seq;
    let again = client.ingest_document(monday("# Moon\n\nNear.")).await.unwrap();
    assert_eq!((first.status, first.repeated, again.repeated), (IngestStatus::Added, false, true));
    let counts = |report: &IngestReport| (report.chunks, report.chunks_added, report.embedded, report.tokens);
    assert_eq!((again.status, counts(&again)), (first.status, counts(&first)));
    assert_eq!(client.get_collection("docs").await.unwrap().seq, written);

    let mut raw = DocumentsServiceClient::new(server.channel().await);
    let remove = |request_id: &str| v1::DeleteDocumentRequest {
        collection: "docs".into(),
        id: "a.md".into(),
        request_id: request_id.into(),
    };
    let removed = raw.delete_document(remove("monday")).await.unwrap().into_inner();
    assert!(removed.deleted && !removed.repeated, "{removed:?}");
    client.ingest_document(IngestDocument::new("docs", "a.md", "# Sun\n\nNear.")).await.unwrap();
    let again = raw.delete_document(remove("monday")).await.unwrap().into_inner();
    assert!(again.deleted && again.repeated, "{again:?}");
    assert_eq!(client.get_document("docs", "a.md").await.unwrap().text, "# Sun\n\nNear.");
    // The client has the same, under an id of the caller's or one of its own.
    let again = client.delete_document_once("docs", "a.md", "monday").await.unwrap();
    assert!(again.deleted && again.repeated, "{again:?}");
    let removed = client.delete_document_once("docs", "a.md", "").await.unwrap();
    assert!(removed.deleted && !removed.repeated, "{removed:?}");
    assert!(!client.delete_document("docs", "a.md").await.unwrap());

    let too_long = "x".repeat(129);
    let status = raw.delete_document(remove(&too_long)).await.unwrap_err();
    assert_eq!((reason(&status).as_str(), field(&status).as_str()), ("LIMIT_EXCEEDED", "request_id"));
    let error = client.ingest_document(monday("text").request_id(too_long)).await.unwrap_err();
    assert_eq!(error.field_violations()[0].field, "request_id");
    server.stop().await;
}

#[tokio::test]
async fn every_record_of_a_file_is_a_document() {
    let server = Server::start().await;
    let client = server.client().await;
    let collection = CreateCollection::with_model("faq", MODEL).field("year", FieldType::Int);
    client.create_collection(collection).await.unwrap();
    let csv = "key,question,answer,year,lang\n\
               a,Which moon?,The one that orbits.,2026,en\n\
               b,Which tea?,Green.,2025,en\n\
               c,Which year?,None.,never,en\n\
               d,short row\n";
    let file = || {
        IngestRecords::new("faq", "faq.csv", RecordFormat::Csv, csv)
            .id_field("key")
            .text_fields(["question", "answer"])
            .source("site")
            .metadata("lang", "xx")
            .metadata("kind", "faq")
    };
    let done = client.ingest_records(file()).await.unwrap();
    assert_eq!((done.added, done.replaced, done.unchanged, done.failed), (2, 0, 0, 2), "{done:?}");
    assert_eq!((done.chunks, done.embedded), (2, 2));
    let reasons: Vec<&str> = done.failures.iter().map(|failure| failure.reason.as_str()).collect();
    assert!(
        reasons.iter().any(|reason| reason.contains("line 4, field `year`: the field is declared int")),
        "{reasons:?}"
    );
    assert!(reasons.iter().any(|reason| reason.contains("line 5: it has 2 fields")), "{reasons:?}");
    let again = client.ingest_records(file()).await.unwrap();
    assert_eq!((again.added, again.unchanged, again.tokens), (0, 2, 0));

    let document = client.get_document("faq", "faq.csv#a").await.unwrap();
    assert_eq!(
        (document.text.as_str(), document.source.as_str()),
        ("Which moon?\n\nThe one that orbits.", "site")
    );
    let metadata = |name: &str| document.metadata.get(name).cloned();
    assert_eq!(metadata("year"), Some(2026.into()));
    assert_eq!(
        (metadata("lang"), metadata("kind")),
        (Some("en".into()), Some("faq".into())),
        "a record's own field wins"
    );
    let late = Filter::eq("year", 2026).and(Filter::eq("_kind", "chunk"));
    let found = client.query(Query::by("faq", TextQuery::new("moon tea"), 10).filter(late)).await.unwrap();
    assert_eq!(found.hits.len(), 1, "fields are for filters");

    let lines = "{\"id\": 1, \"text\": \"One.\"}\nbroken\n{\"text\": \"Three.\"}\n";
    let done =
        client.ingest_records(IngestRecords::new("faq", "l", RecordFormat::JsonLines, lines)).await.unwrap();
    assert_eq!((done.added, done.failed, done.failures[0].id.as_str()), (2, 1, ""));
    let ids = client.list_documents(ListDocuments::new("faq")).await.unwrap().items;
    let ids: Vec<&str> = ids.iter().map(|document| document.id.as_str()).collect();
    assert_eq!(ids, ["faq.csv#a", "faq.csv#b", "l#1", "l#3"]);

    let mut raw = DocumentsServiceClient::new(server.channel().await);
    let request = || v1::IngestRecordsRequest {
        collection: "faq".into(),
        file: "f".into(),
        format: v1::RecordFormat::Csv.into(),
        ..Default::default()
    };
    let reserved = v1::Value { kind: Some(v1::value::Kind::StringValue("x".into())) };
    let cases = [
        (v1::IngestRecordsRequest { format: 0, ..request() }, "INVALID_FIELD", "format"),
        (v1::IngestRecordsRequest { format: 9, ..request() }, "INVALID_FIELD", "format"),
        (v1::IngestRecordsRequest { file: String::new(), ..request() }, "INVALID_FIELD", "file"),
        (v1::IngestRecordsRequest { file: "x".repeat(401), ..request() }, "LIMIT_EXCEEDED", "file"),
        (
            v1::IngestRecordsRequest { content: vec![b'x'; (16 << 20) + 1].into(), ..request() },
            "LIMIT_EXCEEDED",
            "content",
        ),
        (
            v1::IngestRecordsRequest { text_fields: vec!["a".into(); 65], ..request() },
            "LIMIT_EXCEEDED",
            "text_fields",
        ),
        (
            v1::IngestRecordsRequest { metadata: [("_kind".into(), reserved)].into(), ..request() },
            "RESERVED_NAME",
            "metadata._kind",
        ),
    ];
    for (request, wanted, named) in cases {
        let status = raw.ingest_records(request).await.unwrap_err();
        assert_eq!((reason(&status).as_str(), field(&status).as_str()), (wanted, named));
    }
    let absent = v1::IngestRecordsRequest { collection: "absent".into(), ..request() };
    assert_eq!(raw.ingest_records(absent).await.unwrap_err().code(), tonic::Code::NotFound);
    server.stop().await;
}

#[tokio::test]
async fn a_collection_says_how_it_splits_documents() {
    let server = Server::start().await;
    let client = server.client().await;
    let plain = client.create_collection(CreateCollection::with_model("plain", MODEL)).await.unwrap();
    assert_eq!(
        (plain.chunks, plain.analyzer.as_deref()),
        (Some(ChunkOptions { tokens: 240, overlap: 30 }), Some("english"))
    );
    let small = CreateCollection::with_model("small", MODEL).chunks(16, 0).analyzer("code");
    let small = client.create_collection(small).await.unwrap();
    assert_eq!(
        (small.chunks, small.analyzer.as_deref()),
        (Some(ChunkOptions { tokens: 16, overlap: 0 }), Some("code"))
    );
    assert_eq!(client.get_collection("small").await.unwrap(), small);
    let vectors = client.create_collection(CreateCollection::with_dimension("vectors", 3)).await.unwrap();
    assert_eq!((vectors.chunks, vectors.analyzer), (None, None));

    let text = "word and word and ".repeat(12);
    let mut chunks = Vec::new();
    for name in ["plain", "small"] {
        chunks.push(
            client.ingest_document(IngestDocument::new(name, "a.txt", text.clone())).await.unwrap().chunks,
        );
    }
    assert!(chunks[1] > chunks[0], "{chunks:?}");

    let refused = [
        (CreateCollection::with_model("c", MODEL).chunks(15, 0), "INVALID_FIELD", "chunks.tokens"),
        (CreateCollection::with_model("c", MODEL).chunks(64, 33), "INVALID_FIELD", "chunks.overlap"),
        (CreateCollection::with_model("c", MODEL).chunks(65_537, 0), "LIMIT_EXCEEDED", "chunks.tokens"),
        (CreateCollection::with_model("c", MODEL).analyzer("klingon"), "INVALID_FIELD", "analyzer"),
        (CreateCollection::with_dimension("c", 3).chunks(64, 8), "INVALID_FIELD", "chunks"),
        (CreateCollection::with_dimension("c", 3).analyzer("code"), "INVALID_FIELD", "analyzer"),
    ];
    for (request, wanted, named) in refused {
        let error = client.create_collection(request).await.unwrap_err();
        assert_eq!((error.reason(), error.field_violations()[0].field.as_str()), (Some(wanted), named));
    }
    server.stop().await;
}
