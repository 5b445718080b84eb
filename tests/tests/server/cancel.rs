//! A call that is no longer wanted ends its work: nothing more is embedded, and nothing stored.

use prost::Message;
use ragstone_client::{Code, CreateCollection, Embed};
use ragstone_proto::v1;
use ragstone_server::ServerConfig;

use crate::by_hand::ByHand;
use crate::fixture::{MODEL, Server, WAIT, config};

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
    // Its first passage waits; each paragraph is a passage, as two are too long for one.
    let paragraph = |number: usize| format!("{}\n\n", format!("word{number} ").repeat(25));
    let text = format!("{WAIT}\n\n{}", (0..400).map(paragraph).collect::<String>());
    let request = v1::IngestDocumentRequest {
        collection: "notes".into(),
        id: "long.txt".into(),
        content: text.into_bytes().into(),
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
