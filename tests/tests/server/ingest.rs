//! Streams of points and documents.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use ragstone_client::{Client, Code, CreateCollection, IngestDocument, IngestStatus, ListDocuments, Point};
use ragstone_proto::v1;
use ragstone_proto::v1::documents_service_client::DocumentsServiceClient;
use ragstone_proto::v1::points_service_client::PointsServiceClient;
use ragstone_server::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::StreamExt as _;

use crate::by_hand::ByHand;
use crate::fixture::{MODEL, SLOW, Server, config, eventually, field, reason};

fn batch(first: u64) -> Vec<Point> {
    (first..first + 50).map(|id| Point::new(id, [1.0, id as f32])).collect()
}

#[tokio::test]
async fn batches_are_acknowledged_in_order_and_kept() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    let mut acknowledged = Vec::new();
    let batches = tokio_stream::iter((0..20).map(|number| batch(number * 50)));
    let ingested = client
        .ingest_points("c", batches, |done| {
            assert_eq!((done.receipt.points, done.receipt.repeated, done.refused.len()), (50, false, 0));
            acknowledged.push((done.batch, done.receipt.seq));
        })
        .await
        .unwrap();
    assert_eq!((ingested.stored, ingested.refused), (1_000, 0));
    assert_eq!(acknowledged, (0..20).map(|number| (number, number + 1)).collect::<Vec<_>>());
    // What was acknowledged is there for who reads at least as much, and after a restart.
    let reader = client.reading_own_writes();
    assert_eq!(reader.count_points("c", None).await.unwrap(), 1_000);
    drop((client, reader));
    let directory = server.stop().await;
    let server = Server::start_over(directory, config()).await;
    assert_eq!(server.client().await.count_points("c", None).await.unwrap(), 1_000);
    server.stop().await;
}

#[tokio::test]
async fn a_stream_of_nothing_is_nothing() {
    let server = Server::start().await;
    let client = server.client().await;
    let ingested = client.ingest_points("c", tokio_stream::empty(), |_| {}).await.unwrap();
    assert_eq!(ingested.stored, 0);
    server.stop().await;
}

#[tokio::test]
async fn points_that_do_not_fit_are_refused_by_their_places_and_the_stream_goes_on() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    let good = |id: u64| Point::new(id, [1.0, 0.0]);
    let batches = [
        vec![good(1).with("year", 2026), Point::new(2, [1.0]), good(3).with("year", "last"), good(4)],
        vec![good(5).with("_kind", "x"), Point::new("", [1.0, 0.0]), good(6).with("year", true)],
        vec![good(7)],
    ];
    let refused = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&refused);
    let ingested = client
        .ingest_points("c", tokio_stream::iter(batches), move |done| {
            let items =
                done.refused.into_iter().map(|item| (done.batch, item.index, item.reason, item.field));
            told.lock().unwrap().extend(items);
        })
        .await
        .unwrap();
    assert_eq!((ingested.stored, ingested.refused), (3, 5));
    let expected = [
        (0, 1, "INVALID_FIELD", "points[1].vector"),
        (0, 2, "PAYLOAD_FIELD_TYPE", "points[2].payload.year"),
        (1, 0, "RESERVED_NAME", "points[0].payload._kind"),
        (1, 1, "INVALID_FIELD", "points[1].id"),
        (1, 2, "PAYLOAD_FIELD_TYPE", "points[2].payload.year"),
    ];
    let refused = std::mem::take(&mut *refused.lock().unwrap());
    let told: Vec<_> = refused.iter().map(|(b, i, r, f)| (*b, *i, r.as_str(), f.as_str())).collect();
    assert_eq!(told, expected);
    assert_eq!(client.get_points("c", [1, 3, 4, 5, 7]).await.unwrap().len(), 3);
    server.stop().await;
}

/// The status that a stream of these messages ends with, and how many of them were acknowledged before.
async fn ends(server: &Server, messages: Vec<v1::IngestPointsRequest>) -> (tonic::Status, usize) {
    let mut points = PointsServiceClient::new(server.channel().await);
    // Its caller does not end it: the server does.
    let messages = tokio_stream::iter(messages).chain(tokio_stream::pending());
    let mut answers = points.ingest_points(messages).await.unwrap().into_inner();
    let mut acknowledged = 0;
    loop {
        match answers.message().await {
            Ok(answer) => {
                assert!(answer.is_some(), "it ends with an error");
                acknowledged += 1;
            }
            Err(status) => return (status, acknowledged),
        }
    }
}

#[tokio::test]
async fn what_is_not_about_a_point_ends_the_stream() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    let message = |collection: &str, sequence: u64| v1::IngestPointsRequest {
        collection: collection.into(),
        sequence,
        ..Default::default()
    };
    let (status, _) = ends(&server, vec![message("nowhere", 0)]).await;
    assert_eq!((status.code(), reason(&status).as_str()), (tonic::Code::NotFound, "COLLECTION_NOT_FOUND"));
    let (status, acknowledged) =
        ends(&server, vec![message("c", 3), message("", 4), message("c", 4), message("c", 5)]).await;
    assert_eq!((field(&status).as_str(), acknowledged), ("sequence", 2));
    let (status, acknowledged) = ends(&server, vec![message("c", 0), message("d", 1)]).await;
    assert_eq!((field(&status).as_str(), acknowledged), ("collection", 1));
    let (status, acknowledged) = ends(&server, vec![message("", 0)]).await;
    assert_eq!((field(&status).as_str(), acknowledged), ("collection", 0));
    // None of so many fits.
    let unfit = v1::IngestPointsRequest { points: vec![v1::Point::default(); 1_001], ..message("c", 1) };
    let (status, acknowledged) = ends(&server, vec![message("c", 0), unfit]).await;
    assert_eq!((reason(&status).as_str(), acknowledged), ("LIMIT_EXCEEDED", 1));
    assert_eq!(
        crate::fixture::details(&status).error_info().unwrap().metadata["limit"],
        "INGEST_REFUSED_MAX"
    );
    let many = v1::IngestPointsRequest { points: vec![v1::Point::default(); 100_001], ..message("c", 0) };
    let (status, _) = ends(&server, vec![many]).await;
    assert_eq!((reason(&status).as_str(), field(&status).as_str()), ("LIMIT_EXCEEDED", "points"));
    server.stop().await;
}

/// A message beyond the limit ends the stream with the limit's name, also one that is not the first.
#[tokio::test]
async fn a_later_message_beyond_the_limit_is_said() {
    let server = Server::start_with(ServerConfig { request_bytes_max: 1 << 20, ..config() }).await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_dimension("c", 256)).await.unwrap();
    let mut call = ByHand::begin(&server, "PointsService/IngestPoints", &[]).await;
    call.send(&v1::IngestPointsRequest { collection: "c".into(), ..Default::default() }, false);
    call.send_bytes(0, &vec![0; (1 << 20) + 1], false);
    let (_, mut body) = call.answer().await;
    let mut acknowledged = 0;
    while body.next().await.is_some() {
        acknowledged += 1;
    }
    let status = body.ended().await;
    assert_eq!(reason(&status), "REQUEST_TOO_LARGE", "{status:?}");
    assert!(acknowledged <= 1);
    server.stop().await;
}

/// Streams have places of their own: those of short calls are not theirs.
#[tokio::test]
async fn a_stream_keeps_a_place_of_streams_as_long_as_it_lasts() {
    let config = ServerConfig { concurrent_streams_max: 1, concurrent_requests_max: 2, ..config() };
    let server = Server::start_with(config).await;
    let client = server.client().await.with_retries(0);
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    let mut call = ByHand::begin(&server, "PointsService/IngestPoints", &[]).await;
    call.send(&v1::IngestPointsRequest { collection: "c".into(), ..Default::default() }, false);
    let (_, mut body) = call.answer().await;
    assert!(body.next().await.is_some());
    let one = || tokio_stream::iter([batch(0)]);
    let refused = client.ingest_points("c", one(), |_| {}).await.unwrap_err();
    assert_eq!(refused.reason(), Some("TOO_MANY_REQUESTS"), "{refused:?}");
    assert_eq!(refused.metadata()["limit"], "CONCURRENT_STREAMS_MAX");
    client.upsert_points("c", batch(0)).await.unwrap();
    // Its caller leaves, and the place is free.
    drop(body);
    assert_eq!(client.with_retries(100).ingest_points("c", one(), |_| {}).await.unwrap().stored, 50);
    server.stop().await;
}

/// Passes connections on to a server, until told to cut them.
struct Proxy {
    address: SocketAddr,
    cut: tokio::sync::watch::Sender<u32>,
}

impl Proxy {
    async fn before(server: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cut, cuts) = tokio::sync::watch::channel(0);
        tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let mut cuts = cuts.clone();
                cuts.mark_unchanged();
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(server).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Proxy { address, cut }
    }
}

/// The connection breaks again and again; what was not acknowledged is sent again, and done once: the collection has had as many
/// writes as there are batches.
#[tokio::test]
async fn a_stream_that_breaks_goes_on_and_nothing_is_done_twice() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    let proxy = Proxy::before(server.address).await;
    let broken = Client::connect(format!("http://{}", proxy.address)).await.unwrap().with_retries(20);
    let (mut acknowledged, mut cuts) = (Vec::new(), 0);
    let batches = tokio_stream::iter((0..60).map(|number| batch(number * 50)));
    let ingested = broken
        .ingest_points("c", batches, |done| {
            acknowledged.push(done.batch);
            if done.batch % 7 == 3 {
                cuts += 1;
                proxy.cut.send_modify(|count| *count += 1);
            }
        })
        .await
        .unwrap();
    assert_eq!((ingested.stored, cuts), (3_000, 9));
    assert_eq!(acknowledged, (0..60).collect::<Vec<_>>(), "each once, in order");
    let collection = client.get_collection("c").await.unwrap();
    assert_eq!((collection.points, collection.seq), (3_000, 60));
    server.stop().await;
}

/// A server that is gone for good is told after the client's retries.
#[tokio::test]
async fn a_stream_gives_up_when_nobody_acknowledges() {
    let server = Server::start().await;
    let client = server.client().await.with_retries(1);
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    server.stop().await;
    let error = client.ingest_points("c", tokio_stream::iter([batch(0)]), |_| {}).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error:?}");
}

#[tokio::test]
async fn documents_are_stored_or_refused_one_by_one() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_model("notes", MODEL)).await.unwrap();
    let documents = || {
        tokio_stream::iter([
            IngestDocument::new("notes", "moon.md", "# Moon\n\nIt is far away."),
            IngestDocument::new("notes", "broken.bin", "no such kind of file"),
            IngestDocument::new("notes", "", "a document without an id"),
            IngestDocument::new("notes", "sun.txt", "The sun is near."),
        ])
    };
    for status in [IngestStatus::Added, IngestStatus::Unchanged] {
        let mut told = Vec::new();
        let ingested = client.ingest_documents(documents(), |done| told.push(done)).await.unwrap();
        assert_eq!((ingested.stored, ingested.refused), (2, 2));
        assert_eq!(told.iter().map(|done| done.document).collect::<Vec<_>>(), [0, 1, 2, 3]);
        for stored in [0, 3] {
            assert_eq!(told[stored].outcome.as_ref().unwrap().status, status);
        }
        assert_eq!(told[1].outcome.as_ref().unwrap_err().reason, "NOT_TEXT");
        let refused = told[2].outcome.as_ref().unwrap_err();
        assert_eq!((refused.reason.as_str(), refused.field.as_str()), ("INVALID_FIELD", "id"));
    }
    let error = client
        .ingest_documents(tokio_stream::iter([IngestDocument::new("nowhere", "a.md", "x")]), |_| {})
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Some("COLLECTION_NOT_FOUND"));
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    let error = client
        .ingest_documents(tokio_stream::iter([IngestDocument::new("c", "a.md", "x")]), |_| {})
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Some("COLLECTION_WITHOUT_MODEL"));
    server.stop().await;
}

/// A message of a stream of documents.
fn document(sequence: u64, id: &str, text: &str) -> v1::IngestDocumentsRequest {
    v1::IngestDocumentsRequest {
        sequence,
        document: Some(v1::IngestDocumentRequest {
            collection: "notes".into(),
            id: id.into(),
            content: text.to_owned().into_bytes().into(),
            ..Default::default()
        }),
    }
}

/// Each call of the model takes so long that all others have come by then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_that_come_together_are_embedded_together_and_acknowledged_in_order() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_model("notes", MODEL)).await.unwrap();
    let before = server.gate.calls();
    let documents = (0..60).map(|number| match number {
        7 => IngestDocument::new("notes", "broken.bin", "no such kind of file"),
        59 => IngestDocument::new("notes", "0.txt", "the later one of its id"),
        _ => IngestDocument::new("notes", format!("{number}.txt"), format!("{SLOW} text {number}")),
    });
    let mut told = Vec::new();
    let documents = tokio_stream::iter(documents);
    let ingested = client.ingest_documents(documents, |done| told.push(done)).await.unwrap();
    assert_eq!((ingested.stored, ingested.refused), (59, 1));
    assert_eq!(told.iter().map(|done| done.document).collect::<Vec<_>>(), (0..60).collect::<Vec<_>>());
    assert_eq!(told[7].outcome.as_ref().unwrap_err().reason, "NOT_TEXT");
    assert_eq!(told[59].outcome.as_ref().unwrap().status, IngestStatus::Replaced);
    let calls = server.gate.calls() - before;
    assert!(calls <= 30, "{calls} calls for 59 documents");
    assert_eq!(client.get_document("notes", "0.txt").await.unwrap().text, "the later one of its id");
    server.stop().await;
}

#[tokio::test]
async fn what_comes_before_the_end_of_a_stream_of_documents_is_stored_and_acknowledged() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_model("notes", MODEL)).await.unwrap();
    let numbered = [(3, "a.txt"), (4, "b.txt"), (4, "c.txt"), (5, "d.txt")];
    let messages = numbered.map(|(sequence, id)| document(sequence, id, "text"));
    let messages = tokio_stream::iter(messages).chain(tokio_stream::pending());
    let mut documents = DocumentsServiceClient::new(server.channel().await);
    let mut answers = documents.ingest_documents(messages).await.unwrap().into_inner();
    let mut acknowledged = Vec::new();
    let status = loop {
        match answers.message().await {
            Ok(answer) => acknowledged.push(answer.expect("it ends with an error").sequence),
            Err(status) => break status,
        }
    };
    assert_eq!((field(&status).as_str(), acknowledged), ("sequence", vec![3, 4]));
    let stored = client.list_documents(ListDocuments::new("notes")).await.unwrap().items;
    assert_eq!(stored.iter().map(|document| document.id.as_str()).collect::<Vec<_>>(), ["a.txt", "b.txt"]);
    server.stop().await;
}

/// A document that the server does not even read is refused like another.
#[tokio::test]
async fn a_document_beyond_the_limit_of_messages_is_refused_and_the_others_are_stored() {
    let server = Server::start_with(ServerConfig { request_bytes_max: 1 << 20, ..config() }).await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_model("notes", MODEL)).await.unwrap();
    let large = "word ".repeat(1 << 18);
    let documents = (0..6).map(|number| match number {
        0 | 3 => IngestDocument::new("notes", format!("{number}.txt"), large.as_str()),
        _ => IngestDocument::new("notes", format!("{number}.txt"), format!("text {number}")),
    });
    let mut told = Vec::new();
    let ingested =
        client.ingest_documents(tokio_stream::iter(documents), |done| told.push(done)).await.unwrap();
    assert_eq!((ingested.stored, ingested.refused), (4, 2));
    for (number, done) in told.iter().enumerate() {
        assert_eq!(done.document, number as u64);
        match &done.outcome {
            Ok(report) => assert_eq!(report.status, IngestStatus::Added),
            Err(refused) => assert_eq!((number % 3, refused.reason.as_str()), (0, "REQUEST_TOO_LARGE")),
        }
    }
    server.stop().await;
}

/// What comes behind the document that is being stored when its caller leaves is not begun.
#[tokio::test]
async fn a_stream_whose_caller_leaves_ends() {
    let server = Server::start_with(ServerConfig { concurrent_streams_max: 1, ..config() }).await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_model("notes", MODEL)).await.unwrap();
    let mut call = ByHand::begin(&server, "DocumentsService/IngestDocuments", &[]).await;
    call.send(&document(0, "held.txt", crate::fixture::WAIT), false);
    call.send(&document(1, "next.txt", "never stored"), false);
    let (_, body) = call.answer().await;
    eventually("the first document's embedding", || server.gate.waiting() == 1).await;
    drop(body);
    // The place is free once the work on the first document has ended, which it does when it is let go.
    let patient = client.with_retries(1_000);
    let other = tokio::spawn(async move {
        let one = tokio_stream::iter([IngestDocument::new("notes", "other.txt", "stored")]);
        patient.ingest_documents(one, |_| {}).await
    });
    tokio::task::yield_now().await;
    server.gate.open();
    assert_eq!(other.await.unwrap().unwrap().stored, 1);
    server.stop().await;
}
