//! Services of models that have no room now: whoever asked is told when to come back, over gRPC and over HTTP.

use std::time::Duration;

use ragstone_client::{Code, CreateCollection, Embed, Enrich, Error, Generate, IngestRecords, RecordFormat};
use ragstone_server::ServerConfig;
use ragstone_tests::chat::{ChatService, Reply, Step};
use serde_json::json;

use crate::fixture::{Server, config, eventually};
use crate::generate::with_notes;
use crate::http::{metric_of, post_at};

/// A service that asks to be tried again so many seconds later.
fn service(seconds: &'static str) -> ChatService {
    ChatService::start(move |_| Reply::error(429, "slow down").header("retry-after", seconds))
}

fn assert_busy(error: &Error, seconds: u64) {
    let is = (error.code(), error.reason());
    assert_eq!(is, (Code::ResourceExhausted, Some("MODEL_RATE_LIMITED")), "{error:?}");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(seconds)), "{error:?}");
    assert!(error.message().contains("slow down"), "{error}");
}

async fn refused_answer(server: &Server) -> Error {
    let ask = Generate::new(Enrich::new("notes", "When does the lease end?"));
    let mut generation = server.client().await.with_retries(0).generate(ask).await.unwrap();
    loop {
        if let Err(error) = generation.next().await.unwrap() {
            return error;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_language_model_without_room_says_when_to_come_back() {
    let service = service("86400");
    let server = Server::start_generating(config(), &[&service.named("small")]).await;
    with_notes(&server).await;
    assert_busy(&refused_answer(&server).await, 86_400);
    let body =
        json!({"model": "small@notes", "messages": [{"role": "user", "content": "When?"}]}).to_string();
    let answer = post_at(server.http_address, "/v1/chat/completions", "application/json", &body);
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (429, &json!("model_rate_limited")));
    assert!(answer.head.contains("retry-after: 86400"), "{answer:?}");
    assert_eq!(service.asked().len(), 2, "a day is not waited for");
    server.stop().await;
}

/// The call used to wait for its deadline in the pause, and to end with nothing but that it had passed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_beyond_the_deadline_is_told_and_not_waited_for() {
    let service = service("50");
    let longest = Duration::from_secs(40);
    let config = ServerConfig { request_timeout: longest, stream_timeout: longest, ..config() };
    let server = Server::start_generating(config, &[&service.named("small")]).await;
    with_notes(&server).await;
    assert_busy(&refused_answer(&server).await, 50);
    assert_eq!(service.asked().len(), 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_embedding_service_without_room_says_when_to_come_back() {
    let service = service("86400");
    let server = Server::start_with(ServerConfig { allow_any_model: true, ..config() }).await;
    let model = format!("{}?dimensions=3#small", service.base());
    let client = server.client().await.with_retries(0);
    assert_busy(&client.embed(Embed::new(["a"]).model(&model)).await.unwrap_err(), 86_400);
    let body = json!({"model": model, "input": "a"}).to_string();
    let answer = post_at(server.http_address, "/v1/embeddings", "application/json", &body);
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (429, &json!("model_rate_limited")));
    assert!(answer.head.contains("retry-after: 86400"), "{answer:?}");
    // Without the dimension, loading the model asks for it, and is refused likewise.
    let probed = format!("{}#small", service.base());
    assert_busy(&client.embed(Embed::new(["a"]).model(&probed)).await.unwrap_err(), 86_400);
    assert_eq!(service.asked().len(), 3);
    server.stop().await;
}

/// Whoever is told when to come back takes it that nothing was begun: the client asked again, which could undo what others had stored since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_stored_some_records_is_not_told_to_send_them_again() {
    let mut requests = 0;
    let service = ChatService::start(move |asked| {
        requests += 1;
        if requests == 1 {
            let texts = asked.body["input"].as_array().unwrap().len();
            let data = vec![json!({"embedding": [1.0, 0.0, 0.0]}); texts];
            let body = json!({"data": data}).to_string();
            let headers = vec![("content-type", "application/json".to_owned())];
            return Reply { status: 200, headers, steps: vec![Step::Raw(body.into_bytes())] };
        }
        let mut busy = Reply::error(429, "slow down").header("retry-after", "86400");
        busy.steps.insert(0, Step::Wait);
        busy
    });
    let server = Server::start_with(ServerConfig { allow_any_model: true, ..config() }).await;
    let client = server.client().await;
    let model = format!("{}?dimensions=3#small", service.base());
    client.create_collection(CreateCollection::with_model("notes", &model)).await.unwrap();
    // More than one request has texts.
    let line = |number: usize| json!({"text": format!("Record {number}.")}).to_string() + "\n";
    let lines: String = (0..100).map(line).collect();
    let caller = client.clone();
    let ingesting = tokio::spawn(async move {
        caller.ingest_records(IngestRecords::new("notes", "l", RecordFormat::JsonLines, lines)).await
    });
    eventually("some records are stored", || metric_of(&server, "ragstone_points") > Some(0.0)).await;
    service.open();
    let error = ingesting.await.unwrap().unwrap_err();
    assert_eq!((error.reason(), error.retry_after()), (Some("MODEL_RATE_LIMITED"), None), "{error:?}");
    assert_eq!(service.asked().len(), 2);
    server.stop().await;
}
