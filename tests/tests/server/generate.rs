//! Answers of language models, over gRPC: the order of events, what is refused, and what ends an answer.

use ragstone_client::{
    Client, Code, CreateCollection, Enrich, FinishReason, Generate, GenerateEvent, IngestDocument, TokenUsage,
};
use ragstone_proto::v1;
use ragstone_proto::v1::rag_service_client::RagServiceClient;
use ragstone_server::ServerConfig;
use ragstone_tests::chat::{ChatService, Reply, Step, piece};
use serde_json::json;
use tonic::transport::Channel;

use crate::fixture::{MODEL, Server, config, eventually, field, reason};

const QUESTION: &str = "When does the lease end?";

/// A service that answers, cites the first passage and one that there is not.
pub(crate) fn answering() -> ChatService {
    ChatService::start(|_| Reply::answer(&["It ends on 31 May ", "[1], as [9] says."]))
}

/// Gives a server the collection `notes` of two documents.
pub(crate) async fn with_notes(server: &Server) {
    add_notes(&server.client().await).await;
}

/// The same by a client.
pub(crate) async fn add_notes(client: &Client) {
    client.create_collection(CreateCollection::with_model("notes", MODEL)).await.unwrap();
    for (id, text) in [
        ("lease.md", "# Lease\n\nThe lease ends on 31 May."),
        ("bread.md", "# Bread\n\nSourdough proves overnight."),
    ] {
        client.ingest_document(IngestDocument::new("notes", id, text)).await.unwrap();
    }
}

async fn server(service: &ChatService) -> Server {
    let server =
        Server::start_generating(config(), &[&service.named("small"), &service.named("other")]).await;
    with_notes(&server).await;
    server
}

fn ask() -> Generate {
    Generate::new(Enrich::new("notes", QUESTION))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_comes_first_then_deltas_then_checked_citations() {
    let service = answering();
    let server = server(&service).await;
    let client = server.client().await;
    let request = ask().model("other").max_tokens(50).temperature(0.5).top_p(0.9).stop("END").seed(7);
    let mut generation = client.generate(request).await.unwrap();
    let mut events = Vec::new();
    while let Some(event) = generation.next().await {
        events.push(event.unwrap());
    }
    let [GenerateEvent::Evidence(evidence), deltas @ .., GenerateEvent::Done(answer)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(evidence.citations[0].document, "lease.md");
    let expected =
        ["It ends on 31 May ", "[1], as [9] says."].map(|text| GenerateEvent::Delta(text.to_owned()));
    assert_eq!(deltas, expected);
    assert_eq!(
        (answer.text.as_str(), answer.model.as_str()),
        ("It ends on 31 May [1], as [9] says.", "other")
    );
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    assert_eq!(answer.usage, Some(TokenUsage { prompt_tokens: 11, completion_tokens: 7 }));
    let checked = &answer.citations;
    assert_eq!((&checked.cited, &checked.unknown), (&vec![1], &vec![9]));
    assert_eq!(checked.cited.len() + checked.unused.len(), evidence.citations.len());
    let place = &checked.uses[0];
    assert_eq!((place.index, &answer.text[place.start..place.end]), (1, "[1]"));
    assert!(answer.timings.iter().any(|timing| timing.stage == "first_token"));
    let asked = &service.asked()[0].body;
    assert_eq!(
        (&asked["max_tokens"], &asked["temperature"], &asked["seed"]),
        (&50.into(), &0.5.into(), &7.into())
    );
    assert_eq!((&asked["top_p"], &asked["stop"][0]), (&0.9.into(), &"END".into()));
    server.stop().await;
}

/// Mistral's service refuses to be asked for the tokens that were taken, so that of its models there was no answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_refuses_to_be_asked_for_usage_is_asked_without() {
    let service = ChatService::start(|asked| match asked.body.get("stream_options") {
        Some(_) => {
            let place = ["body", "stream_options", "include_usage"];
            let detail = json!([{"type": "extra_forbidden", "loc": place, "input": true}]);
            let body = json!({"object": "error", "message": {"detail": detail}}).to_string();
            Reply { status: 422, headers: Vec::new(), steps: vec![Step::Raw(body.into_bytes())] }
        }
        None => Reply::answer(&["It ends on 31 May [1]."]),
    });
    let server = server(&service).await;
    let mut generation = server.client().await.generate(ask()).await.unwrap();
    let mut last = None;
    while let Some(event) = generation.next().await {
        last = Some(event.unwrap());
    }
    let Some(GenerateEvent::Done(answer)) = &last else { panic!("{last:?}") };
    assert_eq!(answer.text, "It ends on 31 May [1].");
    assert_eq!(answer.usage, Some(TokenUsage { prompt_tokens: 11, completion_tokens: 7 }));
    assert_eq!(service.asked().len(), 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_delta_is_there_before_the_answer_is_whole() {
    let rest = Reply::answer(&["end."]).steps;
    let service = ChatService::start(move |_| {
        Reply::stream([piece("It "), Step::Wait].into_iter().chain(rest.clone()).collect())
    });
    let server = server(&service).await;
    let mut generation = server.client().await.generate(ask()).await.unwrap();
    assert!(matches!(generation.next().await, Some(Ok(GenerateEvent::Evidence(_)))));
    assert_eq!(generation.next().await.unwrap().unwrap(), GenerateEvent::Delta("It ".into()));
    service.open();
    assert_eq!(generation.next().await.unwrap().unwrap(), GenerateEvent::Delta("end.".into()));
    assert!(matches!(generation.next().await, Some(Ok(GenerateEvent::Done(_)))));
    assert!(generation.next().await.is_none());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_leaves_ends_the_connection_to_the_model() {
    let service = ChatService::start(|_| Reply::stream(vec![piece("It "), Step::Hang]));
    let server = server(&service).await;
    let mut generation = server.client().await.generate(ask()).await.unwrap();
    generation.next().await.unwrap().unwrap();
    generation.next().await.unwrap().unwrap();
    // The model is silent now, and would be for ever.
    drop(generation);
    tokio::task::block_in_place(|| service.wait_until_left(1));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_known_before_the_stream_begins() {
    let service = answering();
    let server = server(&service).await;
    let mut rag = RagServiceClient::new(server.channel().await);
    let enrich = || {
        Some(v1::EnrichRequest {
            collection: "notes".into(),
            question: QUESTION.into(),
            ..Default::default()
        })
    };
    let cases = [
        (
            v1::GenerateRequest { enrich: enrich(), model: "absent".into(), ..Default::default() },
            "GENERATE_MODEL_NOT_FOUND",
            "",
        ),
        (
            v1::GenerateRequest { enrich: enrich(), model: service.base(), ..Default::default() },
            "GENERATE_MODEL_NOT_FOUND",
            "",
        ),
        (v1::GenerateRequest::default(), "INVALID_FIELD", "enrich"),
        (
            v1::GenerateRequest { enrich: enrich(), temperature: Some(2.5), ..Default::default() },
            "INVALID_FIELD",
            "temperature",
        ),
        (
            v1::GenerateRequest { enrich: enrich(), top_p: Some(0.0), ..Default::default() },
            "INVALID_FIELD",
            "top_p",
        ),
        (
            v1::GenerateRequest { enrich: enrich(), max_tokens: Some(1_000_001), ..Default::default() },
            "LIMIT_EXCEEDED",
            "max_tokens",
        ),
        (
            v1::GenerateRequest { enrich: enrich(), stop: vec!["x".into(); 5], ..Default::default() },
            "LIMIT_EXCEEDED",
            "stop",
        ),
        (
            v1::GenerateRequest { enrich: enrich(), stop: vec!["x".repeat(257)], ..Default::default() },
            "LIMIT_EXCEEDED",
            "stop[0]",
        ),
    ];
    for (request, expected, named) in cases {
        let shown = format!("{request:?}");
        let status = rag.generate(request).await.unwrap_err();
        assert_eq!(reason(&status), expected, "{shown}: {status}");
        if !named.is_empty() {
            assert_eq!(field(&status), named, "{shown}");
        }
    }
    assert!(service.asked().is_empty());
    server.stop().await;

    let none = Server::start().await;
    with_notes(&none).await;
    let error = none.client().await.generate(ask()).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    assert!(error.message().contains("--generate-model NAME=URL"), "{error}");
    none.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_of_the_model_have_codes_of_their_own() {
    type Case = (fn() -> Reply, Code, &'static str, &'static str);
    let cases: [Case; 4] = [
        (
            || Reply::error(400, "the prompt is too long"),
            Code::FailedPrecondition,
            "GENERATE_REFUSED",
            "too long",
        ),
        (
            || Reply::error(500, "down").header("retry-after", "0"),
            Code::Unavailable,
            "GENERATE_FAILED",
            "(3 tries)",
        ),
        // It was told that this is no stream, and not what is wrong.
        (
            || Reply::error(200, "the account has no credit"),
            Code::Unavailable,
            "GENERATE_FAILED",
            "the account has no credit",
        ),
        (|| Reply::stream(vec![piece("It"), Step::Break]), Code::Unavailable, "GENERATE_FAILED", "broke off"),
    ];
    for (reply, code, reason, words) in cases {
        let service = ChatService::start(move |_| reply());
        let server = server(&service).await;
        let mut generation = server.client().await.generate(ask()).await.unwrap();
        let error = loop {
            match generation.next().await.unwrap() {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!((error.code(), error.reason()), (code, Some(reason)), "{error}");
        assert!(error.message().contains(words), "{error}");
        assert!(!error.message().contains("127.0.0.1"), "addresses are the operator's: {error}");
        assert!(generation.next().await.is_none());
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_have_places_of_their_own() {
    let service = ChatService::start(|_| Reply::stream(vec![piece("It "), Step::Hang]));
    let config = ServerConfig { concurrent_generations_max: 1, worker_threads_max: 1, ..config() };
    let server = Server::start_generating(config, &[&service.named("small")]).await;
    with_notes(&server).await;
    let client = server.client().await.with_retries(0);
    let mut first = client.generate(ask()).await.unwrap();
    first.next().await.unwrap().unwrap();
    first.next().await.unwrap().unwrap();
    let refused = client.generate(ask()).await.unwrap_err();
    assert_eq!((refused.code(), refused.reason()), (Code::ResourceExhausted, Some("TOO_MANY_REQUESTS")));
    assert_eq!(refused.metadata()["limit"], "CONCURRENT_GENERATIONS_MAX");
    // Whatever waits for a model, searches have their turn.
    client.enrich(Enrich::new("notes", QUESTION)).await.unwrap();
    drop(first);
    tokio::task::block_in_place(|| service.wait_until_left(1));
    let mut next = None;
    for _ in 0..4_000 {
        match client.generate(ask()).await {
            Ok(generation) => {
                next = Some(generation);
                break;
            }
            Err(error) => assert_eq!(error.code(), Code::ResourceExhausted, "{error}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(next.is_some(), "the place is free again");
    drop(next);
    server.stop().await;
}

/// A caller who stays and takes nothing would otherwise keep a place for as long as they like.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_takes_nothing_gives_the_place_back() {
    let long = "x".repeat(8 << 10);
    let service = ChatService::start(move |_| Reply::answer(&[long.as_str(); 400]));
    let config = ServerConfig {
        concurrent_generations_max: 1,
        answer_stall_timeout: std::time::Duration::from_millis(200),
        ..config()
    };
    let server = Server::start_generating(config, &[&service.named("small")]).await;
    with_notes(&server).await;
    let client = server.client().await.with_retries(0);
    // One who lets the server send but little ahead.
    let endpoint = Channel::from_shared(server.url()).unwrap().initial_stream_window_size(65_535);
    let mut rag = RagServiceClient::new(endpoint.connect().await.unwrap());
    let enrich =
        v1::EnrichRequest { collection: "notes".into(), question: QUESTION.into(), ..Default::default() };
    let request = v1::GenerateRequest { enrich: Some(enrich), ..Default::default() };
    let mut first = rag.generate(request).await.unwrap().into_inner();
    first.message().await.unwrap().unwrap();
    let mut second = None;
    for _ in 0..4_000 {
        match client.generate(ask()).await {
            Ok(generation) => {
                second = Some(generation);
                break;
            }
            Err(error) => assert_eq!(error.code(), Code::ResourceExhausted, "{error}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(second.is_some(), "the place is free again though the first caller is still there");
    let ended = loop {
        match first.message().await {
            Ok(Some(_)) => {}
            ended => break ended,
        }
    };
    assert!(ended.is_err(), "the first answer is not whole");
    drop(second);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_stops_though_a_model_is_silent() {
    let service = ChatService::start(|_| Reply::stream(vec![piece("It "), Step::Hang]));
    let config = ServerConfig { shutdown_grace: std::time::Duration::from_millis(200), ..config() };
    let mut server = Server::start_generating(config, &[&service.named("small")]).await;
    with_notes(&server).await;
    let mut generation = server.client().await.generate(ask()).await.unwrap();
    generation.next().await.unwrap().unwrap();
    generation.next().await.unwrap().unwrap();
    server.ask_to_stop();
    server.ended().await.unwrap();
    drop(generation);
    tokio::task::block_in_place(|| service.wait_until_left(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_ends_an_answer() {
    let service = ChatService::start(|_| Reply::stream(vec![piece("It "), Step::Hang]));
    let server = server(&service).await;
    let client = server.client().await.with_timeout(std::time::Duration::from_millis(500));
    let mut generation = client.generate(ask()).await.unwrap();
    let mut last = None;
    while let Some(event) = generation.next().await {
        last = Some(event);
    }
    assert_eq!(last.unwrap().unwrap_err().code(), Code::DeadlineExceeded);
    drop(generation);
    let mut left = false;
    eventually("the model's caller leaves", || {
        left = left || {
            tokio::task::block_in_place(|| service.wait_until_left(1));
            true
        };
        left
    })
    .await;
    server.stop().await;
}
