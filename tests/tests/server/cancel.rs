//! A call that is no longer wanted, as its deadline passes or its caller leaves, ends its work: nothing more is embedded, and nothing
//! stored.

use std::future::Future;

use prost::Message;
use ragstone_client::{Code, CreateCollection, Embed, IngestDocument};
use ragstone_proto::v1;
use ragstone_server::ServerConfig;

use crate::by_hand::ByHand;
use crate::fixture::{MODEL, Server, WAIT, config, eventually};
use crate::http::metric_of;

/// Texts that the stand-in model is given at a time: the slice that was begun is embedded to its end.
const SLICE: usize = 64;

/// Makes a call that comes to the gate and loses its caller there: its deadline passes, and the answer to that comes when the server has
/// given it up.
async fn lost(server: &Server, path: &str, message: &impl Message) {
    for timeout_ms in [200, 1_000, 5_000, 25_000] {
        let timeout = format!("{timeout_ms}m");
        let mut call = ByHand::begin(server, path, &[("grpc-timeout", &timeout)]).await;
        call.send(message, true);
        assert_eq!(call.refused().await.code(), tonic::Code::DeadlineExceeded);
        if server.gate.waiting() == 1 {
            return;
        }
    }
    panic!("{path} does not come to the gate");
}

/// Makes a call that comes to the gate, and drops it there; returns when the server knows that its caller has left.
async fn left<T: Send + 'static>(
    server: &Server,
    (service, method): (&str, &str),
    call: impl Future<Output = T> + Send + 'static,
) {
    let caller = tokio::spawn(call);
    eventually("the call's work", || server.gate.waiting() == 1).await;
    caller.abort();
    let labels = format!(r#"service="ragstone.v1.{service}",method="{method}",code="CANCELLED""#);
    let given_up = format!("ragstone_grpc_requests_total{{{labels}}}");
    eventually("the call is given up", || metric_of(server, &given_up) == Some(1.0)).await;
}

/// A document of more than 400 passages, the first of which waits: each paragraph is one, as two are too long for one.
fn long_document() -> String {
    let paragraph = |number: usize| format!("{}\n\n", format!("word{number} ").repeat(25));
    format!("{WAIT}\n\n{}", (0..400).map(paragraph).collect::<String>())
}

/// One call of a kind at a time: the next one's turn comes when the work of the one before has ended.
fn one_by_one() -> ServerConfig {
    ServerConfig { concurrent_requests_max: 1, worker_threads_max: 1, ..config() }
}

#[tokio::test]
async fn texts_are_not_embedded_for_nobody() {
    let server = Server::start_with(one_by_one()).await;
    let mut texts = vec![WAIT.to_owned()];
    texts.extend((0..2_000).map(|number| format!("text {number}")));
    lost(&server, "InferenceService/Embed", &v1::EmbedRequest { texts, ..Default::default() }).await;
    server.gate.open();
    let client = server.client().await.with_retries(1_000);
    assert_eq!(client.embed(Embed::new(["one more"])).await.unwrap().vectors.len(), 1);
    let embedded = server.gate.embedded();
    assert!(embedded <= 65, "{embedded} of 2,001 texts: those of the slice that was begun, and one more");
    server.stop().await;
}

#[tokio::test]
async fn a_document_is_not_embedded_or_stored_for_nobody() {
    let server = Server::start_with(one_by_one()).await;
    let client = server.client().await.with_retries(1_000);
    client.create_collection(CreateCollection::with_model("notes", MODEL)).await.unwrap();
    let request = v1::IngestDocumentRequest {
        collection: "notes".into(),
        id: "long.txt".into(),
        content: long_document().into_bytes().into(),
        ..Default::default()
    };
    lost(&server, "DocumentsService/IngestDocument", &request).await;
    server.gate.open();
    // A write's turn comes when the work of the one before it has ended.
    client.upsert_points("notes", [ragstone_client::Point::without_vector("own")]).await.unwrap();
    let embedded = server.gate.embedded();
    assert!((1..200).contains(&embedded), "{embedded} of more than 400 passages");
    let missing = client.get_document("notes", "long.txt").await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    server.stop().await;
}

/// The caller is the Rust client, whose future is dropped; the place of its call is free once the slice under way has ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_whose_caller_leaves_is_not_embedded_or_stored() {
    let server = Server::start_with(one_by_one()).await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_model("notes", MODEL)).await.unwrap();
    let (caller, document) = (client.clone(), IngestDocument::new("notes", "long.txt", long_document()));
    let call = async move { caller.ingest_document(document).await };
    left(&server, ("DocumentsService", "IngestDocument"), call).await;
    server.gate.open();
    let taken = r#"ragstone_places_taken{kind="write"}"#;
    eventually("the place is free", || metric_of(&server, taken) == Some(0.0)).await;
    let embedded = server.gate.embedded();
    assert!((1..=SLICE).contains(&embedded), "{embedded} of more than 400 passages");
    assert_eq!(client.get_document("notes", "long.txt").await.unwrap_err().code(), Code::NotFound);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_whose_caller_leaves_are_not_embedded() {
    let server = Server::start_with(one_by_one()).await;
    let mut texts = vec![WAIT.to_owned()];
    texts.extend((0..2_000).map(|number| format!("text {number}")));
    let caller = server.client().await;
    let call = async move { caller.embed(Embed::new(texts)).await };
    left(&server, ("InferenceService", "Embed"), call).await;
    server.gate.open();
    let taken = r#"ragstone_places_taken{kind="read"}"#;
    eventually("the place is free", || metric_of(&server, taken) == Some(0.0)).await;
    let embedded = server.gate.embedded();
    assert!((1..=SLICE).contains(&embedded), "{embedded} of 2,001 texts");
    server.stop().await;
}

/// What comes after the embedding of a query's text, the search, is not begun either: the next read waits for nothing but that.
#[tokio::test]
async fn a_query_is_not_searched_for_nobody() {
    let server = Server::start_with(one_by_one()).await;
    let client = server.client().await.with_retries(1_000);
    client.create_collection(CreateCollection::with_model("notes", MODEL)).await.unwrap();
    let text = v1::query_request::Query::Text(WAIT.into());
    let query = v1::QueryRequest { query: Some(text), k: 10, ..Default::default() };
    let one = v1::QueryRequest { collection: "notes".into(), ..query.clone() };
    lost(&server, "SearchService/Query", &one).await;
    server.gate.open();
    assert_eq!(client.count_points("notes", None).await.unwrap(), 0);
    server.stop().await;
}
