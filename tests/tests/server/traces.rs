//! Traces as a collector gets them.

use ragstone_client::{
    CreateCollection, Embed, Enrich, Generate, IngestDocument, Query, RangeSearch, Rerank,
};
use ragstone_proto::v1;
use ragstone_proto::v1::rag_service_client::RagServiceClient;
use ragstone_proto::v1::search_service_client::SearchServiceClient;
use ragstone_rag::answers::AnswerCacheOptions;
use ragstone_server::{ServerConfig, TelemetryConfig};
use ragstone_tests::chat::{ChatService, Reply, Step, piece};
use serde_json::json;
use tonic::Request;

use crate::collector::{Collector, attribute};
use crate::fixture::{MODEL, Server, config};
use crate::generate::{answering, with_notes};
use crate::http::post_at;

const EMBEDDINGS: &str = "embeddings tests/bag-of-words";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

fn traced(collector: &Collector) -> ServerConfig {
    let telemetry = TelemetryConfig { otlp_endpoint: Some(collector.url()), ..TelemetryConfig::default() };
    ServerConfig { telemetry, ..config() }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A request with the caller's part of a trace.
fn called<T>(message: T, sampled: bool) -> Request<T> {
    let mut request = Request::new(message);
    let traceparent = format!("00-{TRACE}-{CALLER}-{:02x}", u8::from(sampled));
    request.metadata_mut().insert("traceparent", traceparent.parse().unwrap());
    request
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(parent, name)| ((*parent).to_owned(), (*name).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_a_tree_of_its_stages_without_a_word_of_it() {
    let (collector, service) = (Collector::start().await, answering());
    let server = Server::start_generating(traced(&collector), &[&service.named("small")]).await;
    with_notes(&server).await;
    let client = server.client().await;
    let ask = Generate::new(Enrich::new("notes", "When does the lease end?").k(3));
    let mut generation = client.generate(ask).await.unwrap();
    while let Some(event) = generation.next().await {
        event.unwrap();
    }
    server.stop().await;
    let call = "ragstone.v1.RagService/Generate";
    let trace = collector.trace(call).await;
    let expected = [
        (call, "retrieval"),
        ("retrieval", EMBEDDINGS),
        ("retrieval", "search"),
        ("retrieval", "select"),
        (call, "assemble"),
        (call, "chat small"),
    ];
    assert_eq!(trace.tree(), pairs(&expected));
    let queued = trace.all("queue");
    assert!(!queued.is_empty() && queued.iter().all(|span| span.parent_span_id == trace.root.span_id));

    assert_eq!((trace.root.kind, trace.root.parent_span_id.len()), (2, 0), "a server's, of no caller's");
    assert_eq!(attribute(&trace.root, "rpc.system.name").as_deref(), Some("grpc"));
    assert_eq!(attribute(&trace.root, "rpc.method").as_deref(), Some(call));
    assert_eq!(attribute(&trace.root, "rpc.response.status_code").as_deref(), Some("OK"));
    let retrieval = trace.span("retrieval");
    for (name, value) in [
        ("gen_ai.operation.name", "retrieval"),
        ("gen_ai.data_source.id", "notes"),
        ("gen_ai.retrieval.top_k", "3"),
        ("ragstone.results", "2"),
    ] {
        assert_eq!(attribute(retrieval, name).as_deref(), Some(value), "{name}");
    }
    let search = trace.span("search");
    for (name, value) in
        [("db.system.name", "ragstone"), ("db.collection.name", "notes"), ("db.operation.name", "search")]
    {
        assert_eq!(attribute(search, name).as_deref(), Some(value), "{name}");
    }
    let embedding = trace.span(EMBEDDINGS);
    for (name, value) in [
        ("gen_ai.operation.name", "embeddings"),
        ("gen_ai.provider.name", "ragstone"),
        ("gen_ai.request.model", MODEL),
    ] {
        assert_eq!(attribute(embedding, name).as_deref(), Some(value), "{name}");
    }
    let chat = trace.span("chat small");
    assert_eq!(chat.kind, 3, "a client's");
    for (name, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.request.model", "small"),
        ("gen_ai.request.stream", "true"),
        ("gen_ai.usage.input_tokens", "11"),
        ("gen_ai.usage.output_tokens", "7"),
        ("gen_ai.response.finish_reasons", r#"["stop"]"#),
    ] {
        assert_eq!(attribute(chat, name).as_deref(), Some(value), "{name}");
    }
    assert!(attribute(chat, "gen_ai.response.time_to_first_chunk").is_some());
    for stage in [EMBEDDINGS, "search", "select"].map(|name| trace.span(name)) {
        let within = retrieval.start_time_unix_nano <= stage.start_time_unix_nano
            && stage.start_time_unix_nano <= stage.end_time_unix_nano
            && stage.end_time_unix_nano <= retrieval.end_time_unix_nano;
        assert!(within, "{stage:?} {retrieval:?}");
    }

    // All that was told, of storing the documents too.
    let all = format!("{:?}", collector.requests());
    assert!(all.contains(r#""ragstone""#), "the service has a name: {all}");
    for word in ["lease", "Lease", "31 May", "Sourdough", "bread", "It ends"] {
        assert!(!all.contains(word), "{word} is in {all}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_was_kept_is_a_span_that_says_so() {
    let (collector, service) = (Collector::start().await, answering());
    let answer_cache = AnswerCacheOptions { entries_max: 8, ..AnswerCacheOptions::default() };
    let config = ServerConfig { answer_cache, ..traced(&collector) };
    let server = Server::start_generating(config, &[&service.named("small")]).await;
    with_notes(&server).await;
    let (question, address) = ("When does the lease end?", server.http_address);
    let ask = Generate::new(Enrich::new("notes", question));
    let mut generation = server.client().await.generate(ask).await.unwrap();
    while let Some(event) = generation.next().await {
        event.unwrap();
    }
    let body = json!({"model": "small@notes", "messages": [{"role": "user", "content": question}]});
    let ask = move || post_at(address, "/v1/chat/completions", "application/json", &body.to_string());
    let answer = tokio::task::spawn_blocking(ask).await.unwrap();
    assert_eq!((answer.status, &answer.json()["cached"]), (200, &json!(true)));
    server.stop().await;

    let call = "POST /v1/chat/completions";
    let trace = collector.trace(call).await;
    assert_eq!(trace.tree(), pairs(&[(call, "answer_cache")]));
    let kept = trace.span("answer_cache");
    for (name, value) in [
        ("ragstone.answer_cache", "hit"),
        ("gen_ai.data_source.id", "notes"),
        ("gen_ai.request.model", "small"),
    ] {
        assert_eq!(attribute(kept, name).as_deref(), Some(value), "{name}");
    }
    let first = collector.trace("ragstone.v1.RagService/Generate").await;
    assert_eq!((first.all("answer_cache").len(), first.all("chat small").len()), (0, 1));
    // Whatever spans have stands in the operators' table.
    let table = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../server/monitoring/README.md"));
    for attribute in collector.spans().iter().flat_map(|span| &span.attributes) {
        assert!(table.contains(&format!("`{}`", attribute.key)), "{}", attribute.key);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storing_embedding_and_reranking_are_told_too() {
    let collector = Collector::start().await;
    let config = ServerConfig { allow_any_model: true, ..traced(&collector) };
    let server = Server::start_with(config).await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_model("notes", MODEL)).await.unwrap();
    let document = IngestDocument::new("notes", "moon.md", "# Moon\n\nIt is far.");
    let stored = client.ingest_document(document).await.unwrap();
    client.embed(Embed::new(["one", "two"])).await.unwrap();
    let reranker =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../engine/rag/tests/data/tiny-rerankers/bert-one-sigmoid");
    client.rerank(Rerank::new(reranker, "what is far?", ["the moon", "the sea"])).await.unwrap();
    client.query(Query::text("notes", "far", 2)).await.unwrap();
    let by_document = Query::text("notes", "moon", 1).group("_document", 2);
    client.query_batch("notes", [Query::text("notes", "far", 2), by_document]).await.unwrap();
    client.search_range(RangeSearch::text("notes", "far", -1.0)).await.unwrap();
    assert!(client.get_collection("absent").await.is_err());
    server.stop().await;

    let call = "ragstone.v1.DocumentsService/IngestDocument";
    let trace = collector.trace(call).await;
    let mut tree = trace.tree();
    tree.sort();
    let expected = [
        ("ingest", EMBEDDINGS),
        ("ingest", "extract"),
        ("ingest", "split"),
        ("ingest", "store"),
        (call, "ingest"),
    ];
    assert_eq!(tree, pairs(&expected));
    let tokens = attribute(trace.span(EMBEDDINGS), "gen_ai.usage.input_tokens");
    assert_eq!(tokens, Some(stored.tokens.to_string()));
    assert_eq!(attribute(trace.span("ingest"), "gen_ai.data_source.id").as_deref(), Some("notes"));

    let trace = collector.trace("ragstone.v1.InferenceService/Embed").await;
    assert_eq!(trace.tree(), pairs(&[("ragstone.v1.InferenceService/Embed", EMBEDDINGS)]));
    assert_eq!(attribute(trace.span(EMBEDDINGS), "gen_ai.usage.input_tokens").as_deref(), Some("6"));
    let trace = collector.trace("ragstone.v1.InferenceService/Rerank").await;
    assert_eq!(trace.tree(), pairs(&[("ragstone.v1.InferenceService/Rerank", "rerank")]));
    let call = "ragstone.v1.SearchService/Query";
    let trace = collector.trace(call).await;
    let expected = [(call, "retrieval"), ("retrieval", EMBEDDINGS), ("retrieval", "search")];
    assert_eq!(trace.tree(), pairs(&expected));
    assert_eq!(attribute(trace.span("retrieval"), "gen_ai.retrieval.top_k").as_deref(), Some("2"));
    // Batches and ranges were spans without a part.
    for call in ["ragstone.v1.SearchService/BatchQuery", "ragstone.v1.SearchService/SearchRange"] {
        let trace = collector.trace(call).await;
        let expected = [(call, "retrieval"), ("retrieval", EMBEDDINGS), ("retrieval", "search")];
        assert_eq!(trace.tree(), pairs(&expected), "{call}");
        let retrieval = trace.span("retrieval");
        assert_eq!(attribute(retrieval, "gen_ai.data_source.id").as_deref(), Some("notes"));
        // There is one chunk; what a batch found in groups counts, too.
        let found = if call.ends_with("BatchQuery") { "2" } else { "1" };
        assert_eq!(attribute(retrieval, "ragstone.results").as_deref(), Some(found), "{call}");
    }

    let failed = collector.trace("ragstone.v1.CollectionsService/GetCollection").await.root;
    assert_eq!(attribute(&failed, "rpc.response.status_code").as_deref(), Some("NOT_FOUND"));
    assert_eq!(attribute(&failed, "error.type"), None, "the caller is at fault");
    let probes = collector.spans().iter().filter(|span| !span.name.contains("ragstone.v1.")).count();
    let parts = collector.spans().iter().filter(|span| !span.parent_span_id.is_empty()).count();
    assert_eq!(probes, parts, "what is no call of the API is a part of one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_is_the_parent_and_decides_whether_it_is_traced() {
    let collector = Collector::start().await;
    let config = traced(&collector);
    let telemetry = TelemetryConfig { trace_sample: 0.0, ..config.telemetry.clone() };
    let server = Server::start_with(ServerConfig { telemetry, ..config }).await;
    server.client().await.create_collection(CreateCollection::with_model("notes", MODEL)).await.unwrap();
    let channel = server.channel().await;
    let ask = v1::RetrieveRequest {
        collection: "notes".to_owned(),
        question: "Is it far?".to_owned(),
        ..v1::RetrieveRequest::default()
    };
    let mut rag = RagServiceClient::new(channel.clone());
    rag.retrieve(called(ask.clone(), true)).await.unwrap();
    rag.retrieve(Request::new(ask)).await.unwrap();
    let query = v1::QueryRequest::default();
    assert!(SearchServiceClient::new(channel).query(called(query, false)).await.is_err());
    let (body, address) = (json!({"input": "one"}).to_string(), server.http_address);
    let media = format!("application/json\r\ntraceparent: 00-{TRACE}-{CALLER}-01");
    let answer =
        tokio::task::spawn_blocking(move || post_at(address, "/v1/embeddings?key=hidden", &media, &body))
            .await
            .unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    server.stop().await;

    let embed = "POST /v1/embeddings";
    let retrieve = collector.trace("ragstone.v1.RagService/Retrieve").await.root;
    let http = collector.trace(embed).await;
    for root in [&retrieve, &http.root] {
        assert_eq!((hex(&root.trace_id), hex(&root.parent_span_id)), (TRACE.into(), CALLER.into()));
        assert_eq!(root.kind, 2);
    }
    assert!(http.tree().contains(&(embed.to_owned(), EMBEDDINGS.to_owned())), "{:?}", http.tree());
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/v1/embeddings"),
        ("url.path", "/v1/embeddings"),
        ("url.scheme", "http"),
        ("http.response.status_code", "200"),
    ] {
        assert_eq!(attribute(&http.root, name).as_deref(), Some(value), "{name}");
    }
    assert!(!format!("{:?}", collector.requests()).contains("hidden"), "of a URL nothing behind its path");
    let calls = ["ragstone.v1.RagService/Retrieve", embed];
    let is_part = |name: &str| !name.starts_with("ragstone.v1.") && !name.starts_with("POST ");
    assert!(collector.spans().iter().all(|span| calls.contains(&&*span.name) || is_part(&span.name)));
    assert!(collector.spans().iter().all(|span| hex(&span.trace_id) == TRACE));
}

/// The status that stands before such a stream is 200, and its span said nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_over_http_that_breaks_off_is_a_span_that_failed() {
    let service = ChatService::start(|_| Reply::stream(vec![piece("It"), Step::Break]));
    let collector = Collector::start().await;
    let server = Server::start_generating(traced(&collector), &[&service.named("small")]).await;
    with_notes(&server).await;
    let address = server.http_address;
    let messages = json!([{"role": "user", "content": "When does the lease end?"}]);
    let body = json!({"model": "small@notes", "stream": true, "messages": messages});
    let ask = move || post_at(address, "/v1/chat/completions", "application/json", &body.to_string());
    assert_eq!(tokio::task::spawn_blocking(ask).await.unwrap().status, 200);
    server.stop().await;
    let root = collector.trace("POST /v1/chat/completions").await.root;
    assert_eq!(attribute(&root, "http.response.status_code").as_deref(), Some("200"));
    assert_eq!(attribute(&root, "error.type").as_deref(), Some("GENERATE_FAILED"));
    assert_eq!(root.status.map(|status| status.code), Some(2), "an error");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_collector_calls_are_answered_and_the_server_ends() {
    // Nobody listens there any more.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let telemetry =
        TelemetryConfig { otlp_endpoint: Some(format!("http://{free}")), ..TelemetryConfig::default() };
    let server = Server::start_with(ServerConfig { telemetry, ..config() }).await;
    assert_eq!(server.client().await.embed(Embed::new(["one"])).await.unwrap().vectors.len(), 1);
    server.stop().await;
}
