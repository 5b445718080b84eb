//! The HTTP port without a client of its own: bytes over a socket, for what well-behaved clients do not do.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use ragstone_client::{CreateKey, Enrich, Generate};
use ragstone_server::ServerConfig;
use ragstone_tests::chat::{ChatService, Reply, Step, piece};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::access::{asking, client, with_keys};
use crate::fixture::{MODEL, Server, WAIT, config, eventually};
use crate::generate::{add_notes, answering, with_notes};

/// An answer: status, headers as they came, body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

fn exchange(server: &Server, request: &str) -> Answer {
    exchange_at(server.http_address, request)
}

/// Sends bytes and reads all that comes.
fn exchange_at(address: SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

fn get(server: &Server, path: &str) -> Answer {
    get_at(server.http_address, path)
}

pub(crate) fn get_at(address: SocketAddr, path: &str) -> Answer {
    get_with(address, path, "")
}

/// With further headers, each with its end.
pub(crate) fn get_with(address: SocketAddr, path: &str, headers: &str) -> Answer {
    let head = "host: localhost\r\nconnection: close\r\n";
    exchange_at(address, &format!("GET {path} HTTP/1.1\r\n{head}{headers}\r\n"))
}

fn post_as(server: &Server, path: &str, media: &str, body: &str) -> Answer {
    post_at(server.http_address, path, media, body)
}

pub(crate) fn post_at(address: SocketAddr, path: &str, media: &str, body: &str) -> Answer {
    let length = body.len();
    let head =
        format!("host: localhost\r\nconnection: close\r\ncontent-type: {media}\r\ncontent-length: {length}");
    exchange_at(address, &format!("POST {path} HTTP/1.1\r\n{head}\r\n\r\n{body}"))
}

fn post(server: &Server, path: &str, body: &Value) -> Answer {
    post_as(server, path, "application/json", &body.to_string())
}

/// The value of a metric.
fn metric(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// The value of a metric of a server now, which is asked for on this thread.
pub(crate) fn metric_of(server: &Server, name: &str) -> Option<f64> {
    metric(&get(server, "/metrics").body, name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_count_what_happened() {
    let service = answering();
    let server = Server::start_generating(config(), &[&service.named("small")]).await;
    with_notes(&server).await;
    let client = server.client().await;
    client.enrich(Enrich::new("notes", "When does the lease end?")).await.unwrap();
    assert!(client.get_collection("absent").await.is_err());
    let mut generation = client.generate(Generate::new(Enrich::new("notes", "When?"))).await.unwrap();
    while let Some(event) = generation.next().await {
        event.unwrap();
    }
    let mut text = String::new();
    // A request is counted when its answer has gone, which may be a moment after its client has it.
    let generated =
        r#"ragstone_grpc_requests_total{service="ragstone.v1.RagService",method="Generate",code="OK"}"#;
    let done = r#"ragstone_generations_total{model="small",outcome="done"}"#;
    eventually("every request is counted", || {
        let answer = get(&server, "/metrics");
        assert!(answer.status == 200 && answer.head.contains("text/plain; version=0.0.4"), "{answer:?}");
        text = answer.body;
        metric(&text, generated) == Some(1.0) && metric(&text, done) == Some(1.0)
    })
    .await;
    let value = |name: &str| metric(&text, name).unwrap_or_else(|| panic!("{name} is not there:\n{text}"));
    let rag = |method: &str, code: &str| {
        value(&format!(r#"ragstone_grpc_requests_total{{service="ragstone.v1.{method},code="{code}"}}"#))
    };
    assert_eq!(rag(r#"RagService",method="Enrich""#, "OK"), 1.0);
    assert_eq!(rag(r#"CollectionsService",method="GetCollection""#, "NOT_FOUND"), 1.0);
    assert_eq!(rag(r#"DocumentsService",method="IngestDocument""#, "OK"), 2.0);
    let seconds =
        r#"ragstone_grpc_request_duration_seconds_count{service="ragstone.v1.RagService",method="Enrich"}"#;
    assert_eq!(value(seconds), 1.0);
    assert_eq!(value("ragstone_grpc_requests_in_flight"), 0.0);
    assert_eq!(value("ragstone_http_requests_in_flight"), 1.0, "the scrape itself");
    assert_eq!(value("ragstone_collections"), 1.0);
    assert_eq!(value("ragstone_collections_damaged"), 0.0);
    assert!(value("ragstone_points") >= 4.0 && value("ragstone_segments") >= 1.0);
    assert!(value("ragstone_data_bytes") > 1_000.0);
    assert_eq!(value("ragstone_models_loaded"), 1.0);
    assert!(value(&format!(r#"ragstone_embedding_tokens_total{{model="{MODEL}"}}"#)) > 10.0);
    assert_eq!(value(r#"ragstone_generation_tokens_total{model="small",kind="completion"}"#), 7.0);
    assert_eq!(value(r#"ragstone_generation_first_token_seconds_count{model="small"}"#), 1.0);
    assert_eq!(value(r#"ragstone_generation_duration_seconds_count{model="small"}"#), 1.0);
    assert_eq!(value(r#"ragstone_requests_refused_total{kind="read",reason="places"}"#), 0.0);
    assert_eq!(value(r#"ragstone_places_max{kind="generate"}"#), 64.0);
    assert_eq!(value(&format!(r#"ragstone_build_info{{version="{}"}}"#, env!("CARGO_PKG_VERSION"))), 1.0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_cannot_make_up_labels() {
    let server = Server::start().await;
    for path in ["/secret-1", "/v1/secret-2", "/v1/models/secret-3"] {
        assert_eq!(get(&server, path).status, 404, "{path}");
    }
    let channel = server.channel().await;
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/ragstone.v1.SecretService/Four");
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    assert!(grpc.unary(tonic::Request::new(()), path, codec).await.is_err());
    let unknown = r#"ragstone_grpc_requests_total{service="unknown",method="unknown",code="UNIMPLEMENTED"}"#;
    let mut text = String::new();
    eventually("the call is counted", || {
        text = get(&server, "/metrics").body;
        metric(&text, unknown) == Some(1.0)
    })
    .await;
    assert!(!text.contains("secret") && !text.contains("Secret"), "{text}");
    assert_eq!(metric(&text, r#"ragstone_http_requests_total{route="unknown",status="404"}"#), Some(2.0));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_of_the_process_and_readiness_of_its_model() {
    let server = Server::start().await;
    assert_eq!(get(&server, "/healthz").body, "ok\n");
    let ready = get(&server, "/readyz");
    assert_eq!((ready.status, ready.body.as_str()), (200, "ready\n"));
    server.stop().await;

    let absent = ServerConfig { default_model: "nobody/nothing".to_owned(), ..config() };
    let server = Server::start_with(absent).await;
    assert_eq!(get(&server, "/healthz").status, 200);
    let missing = get(&server, "/readyz");
    assert_eq!(missing.status, 503);
    assert!(missing.body.contains("model nobody/nothing is not loaded"), "{missing:?}");
    server.stop().await;

    let unwanted =
        ServerConfig { default_model: "nobody/nothing".to_owned(), load_default_model: false, ..config() };
    let server = Server::start_with(unwanted).await;
    assert_eq!(get(&server, "/readyz").status, 200, "who brings vectors needs no model");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_request_is_refused() {
    let config = ServerConfig { request_bytes_max: 1_000, ..config() };
    let server = Server::start_with(config).await;
    let code = |answer: &Answer| answer.json()["error"]["code"].as_str().unwrap().to_owned();
    let embed = "/v1/embeddings";
    let answer = post_as(&server, embed, "text/plain", "{}");
    assert_eq!((answer.status, code(&answer).as_str()), (415, "malformed_message"));
    for body in ["", "{", "[]", "{}", r#"{"input": "a"} and more"#] {
        let answer = post_as(&server, embed, "application/json", body);
        assert_eq!((answer.status, code(&answer).as_str()), (400, "malformed_message"), "{body}");
    }
    let answer = post(&server, embed, &json!({"input": "x".repeat(2_000)}));
    assert_eq!((answer.status, code(&answer).as_str()), (413, "request_too_large"));
    assert_eq!(get(&server, embed).status, 405);
    let answer = get(&server, "/v1/completions");
    assert_eq!((answer.status, code(&answer).as_str()), (404, "unknown_method"));
    let answer = get(&server, "/v1/models/%ff");
    assert_eq!((answer.status, code(&answer).as_str()), (400, "invalid_field"), "no bare text");
    let answer = post(&server, "/chat/completions", &json!({"messages": []}));
    assert_eq!(answer.status, 404, "without the /v1 of the base URL");
    assert!(answer.body.contains("/v1/chat/completions"), "{answer:?}");
    let deep = format!("{{\"input\": {}\"a\"{}}}", "[".repeat(400), "]".repeat(400));
    assert_eq!(post_as(&server, embed, "application/json", &deep).status, 400);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_names_no_collection_is_told_how_where_there_is_no_default() {
    let service = answering();
    let server = Server::start_generating(config(), &[&service.named("small")]).await;
    with_notes(&server).await;
    let ask = |model: &str| {
        let chat = json!({"model": model, "messages": [{"role": "user", "content": "When?"}]});
        post(&server, "/v1/chat/completions", &chat)
    };
    let refused = ask("small");
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (404, &json!("collection_not_found")));
    assert!(refused.body.contains("as in small@notes"), "{refused:?}");
    assert!(!ask("small@absent").body.contains("as in"), "who named one knows how");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_in_browsers_cannot_use_the_port() {
    let server = Server::start().await;
    let from = |host: &str| {
        let head = format!("GET /v1/models HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        exchange(&server, &head).status
    };
    assert_eq!(from("evil.example"), 421, "a name that resolves to the loopback interface");
    assert_eq!(from(&server.http_address.to_string()), 200);
    assert_eq!(from("localhost:1234"), 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_too_many_is_refused_with_when_to_come_back() {
    let config = ServerConfig { concurrent_requests_max: 1, ..config() };
    let server = Server::start_with(config).await;
    let (held, waits) = (json!({"input": WAIT}), json!({"input": "a"}));
    let answer = tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            let first = scope.spawn(|| post(&server, "/v1/embeddings", &held));
            while server.gate.waiting() == 0 {
                std::thread::yield_now();
            }
            let refused = post(&server, "/v1/embeddings", &waits);
            // Metrics and health answer however busy the server is.
            let text = get(&server, "/metrics").body;
            assert_eq!(
                metric(&text, r#"ragstone_requests_refused_total{kind="read",reason="places"}"#),
                Some(1.0)
            );
            assert_eq!(metric(&text, r#"ragstone_places_taken{kind="read"}"#), Some(1.0));
            assert_eq!(get(&server, "/healthz").status, 200);
            server.gate.open();
            assert_eq!(first.join().unwrap().status, 200);
            refused
        })
    });
    assert_eq!(answer.status, 429);
    assert!(answer.head.contains("retry-after: 1"), "{answer:?}");
    assert_eq!(answer.json()["error"]["type"], "rate_limit_error");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_takes_too_long_is_given_up() {
    let service = ChatService::start(|_| Reply::stream(vec![piece("It "), Step::Hang]));
    let config = ServerConfig { request_timeout: Duration::from_millis(500), ..config() };
    let server = Server::start_generating(config, &[&service.named("small")]).await;
    with_notes(&server).await;
    let chat = |stream: bool| json!({"model": "small@notes", "stream": stream, "messages": [{"role": "user", "content": "When?"}]});
    let whole = post(&server, "/v1/chat/completions", &chat(false));
    assert_eq!((whole.status, &whole.json()["error"]["code"]), (504, &json!("deadline_exceeded")));
    let streamed = post(&server, "/v1/chat/completions", &chat(true));
    assert_eq!(streamed.status, 200);
    assert!(streamed.head.contains("text/event-stream"), "{streamed:?}");
    assert!(streamed.body.contains("deadline_exceeded") && !streamed.body.contains("[DONE]"), "{streamed:?}");
    let counted = metric_of(&server, r#"ragstone_errors_total{reason="DEADLINE_EXCEEDED"}"#);
    assert_eq!(counted, Some(2.0), "both, whatever the status was that the second began with");
    tokio::task::block_in_place(|| service.wait_until_left(2));
    server.stop().await;
}

/// Whose key had been taken back was told the rest all the same, as nobody is over gRPC.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_streams_ends_with_the_key() {
    let rest = Reply::answer(&["never told"]).steps;
    let service = ChatService::start(move |_| {
        Reply::stream([piece("It "), Step::Wait].into_iter().chain(rest.clone()).collect())
    });
    let (directory, keys) = with_keys(&[&["admin"]]);
    let server = Server::start_generating_over(directory, asking(), &[&service.named("small")]).await;
    let admin = client(&server, &keys[0]).await;
    add_notes(&admin).await;
    let (key, secret) = admin.create_key(CreateKey::new("x").grant("read on *")).await.unwrap();
    let chat =
        json!({"model": "small@notes", "stream": true, "messages": [{"role": "user", "content": "When?"}]});
    let body = chat.to_string();
    let head = format!(
        "host: localhost\r\nconnection: close\r\nauthorization: Bearer {secret}\r\n\
         content-type: application/json\r\ncontent-length: {}",
        body.len()
    );
    let mut stream = tokio::net::TcpStream::connect(server.http_address).await.unwrap();
    let request = format!("POST /v1/chat/completions HTTP/1.1\r\n{head}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut told = Vec::new();
    while !String::from_utf8_lossy(&told).contains(r#""It ""#) {
        assert!(stream.read_buf(&mut told).await.unwrap() > 0, "{}", String::from_utf8_lossy(&told));
    }
    admin.revoke_key(&key.id).await.unwrap();
    service.open();
    stream.read_to_end(&mut told).await.unwrap();
    let told = String::from_utf8(told).unwrap();
    assert!(told.contains("unauthenticated"), "{told}");
    assert!(!told.contains("never told") && !told.contains("[DONE]"), "{told}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_completes_what_is_under_way_and_gives_up_what_does_not_end() {
    let service = ChatService::start(|_| Reply::stream(vec![piece("It "), Step::Hang]));
    let config = ServerConfig { shutdown_grace: Duration::from_millis(300), ..config() };
    let mut server = Server::start_generating(config, &[&service.named("small")]).await;
    with_notes(&server).await;
    let chat =
        json!({"model": "small@notes", "stream": true, "messages": [{"role": "user", "content": "When?"}]});
    let address = server.http_address;
    let reading = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let body = chat.to_string();
        let head =
            format!("host: localhost\r\ncontent-type: application/json\r\ncontent-length: {}", body.len());
        write!(stream, "POST /v1/chat/completions HTTP/1.1\r\n{head}\r\n\r\n{body}").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    });
    tokio::task::block_in_place(|| service.wait_until_asked(1));
    server.ask_to_stop();
    server.ended().await.unwrap();
    let text = reading.await.unwrap();
    assert!(text.contains("It ") && text.contains("shutting_down"), "{text}");
    assert!(TcpStream::connect(address).is_err(), "nothing listens any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_bounded_and_headers_do_not_take_for_ever() {
    let config =
        ServerConfig { http_connections_max: 1, http_header_timeout: Duration::from_millis(300), ..config() };
    let server = Server::start_with(config).await;
    tokio::task::block_in_place(|| {
        // The one place is taken by who never says what they want, until that takes too long.
        let mut silent = TcpStream::connect(server.http_address).unwrap();
        silent.write_all(b"GET /healthz HTTP/1.1\r\nhost: local").unwrap();
        let waiting = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| get(&server, "/healthz"));
            let mut rest = Vec::new();
            silent.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            silent.read_to_end(&mut rest).unwrap();
            assert!(!String::from_utf8_lossy(&rest).contains("200"), "{rest:?}");
            waiting.join().unwrap()
        });
        assert_eq!(waiting.status, 200, "the place is free again");
    });
    server.stop().await;
}
