//! Answers that are kept: whom they are given again, to which questions, and to which not.

use ragstone_client::{
    Answer, ChatMessage, ChatRole, Client, CreateCollection, Enrich, Filter, Generate, GenerateEvent,
    IngestDocument, RetrievalMode,
};
use ragstone_rag::answers::AnswerCacheOptions;
use ragstone_server::ServerConfig;
use ragstone_tests::chat::{ChatService, Reply, Step, end, piece};
use serde_json::json;

use crate::access::{asking, client, with_keys};
use crate::fixture::{MODEL, Server, config};
use crate::generate::with_notes;
use crate::http::{metric_of, post_at};

const QUESTION: &str = "What number has the tea?";
/// The same words.
const REWORDED: &str = "The tea has what number?";

fn keeping(config: ServerConfig) -> ServerConfig {
    let answer_cache = AnswerCacheOptions { entries_max: 100, ..AnswerCacheOptions::default() };
    ServerConfig { answer_cache, ..config }
}

/// The same, for questions that are near, too.
fn by_meaning(config: ServerConfig) -> ServerConfig {
    let config = keeping(config);
    let answer_cache = AnswerCacheOptions { similarity_min: 0.97, ..config.answer_cache };
    ServerConfig { answer_cache, ..config }
}

/// A service that answers with the tenants whose rows it was shown.
fn telling() -> ChatService {
    ChatService::start(|asked| {
        let prompt = asked.body.to_string();
        let is_shown = |tenant: &&str| prompt.contains(&format!("The tea of {tenant}"));
        let shown: Vec<&str> = ["a", "b"].into_iter().filter(is_shown).collect();
        let shown = shown.join(" and ");
        Reply::answer(&["Of ", shown.as_str()])
    })
}

async fn ingest(admin: &Client, tenant: &str, number: usize) {
    // So different that none is left out for saying what the other says.
    let more =
        if tenant == "a" { "is green and has number" } else { "was boiled twice in winter, upstairs:" };
    let text = format!("# Tea\n\nThe tea of {tenant} {more} {number}.");
    let document = IngestDocument::new("notes", format!("{tenant}{number}.md"), text);
    admin.ingest_document(document.metadata("tenant", tenant)).await.unwrap();
}

/// The answer, and the documents that it rests on.
async fn answer(client: &Client, request: Generate) -> (Answer, Vec<String>) {
    let mut generation = client.generate(request).await.unwrap();
    let (mut documents, mut told) = (Vec::new(), String::new());
    loop {
        match generation.next().await.unwrap().unwrap() {
            GenerateEvent::Evidence(evidence) => {
                documents.extend(evidence.citations.into_iter().map(|citation| citation.document));
            }
            GenerateEvent::Delta(text) => told.push_str(&text),
            GenerateEvent::Done(answer) => {
                assert_eq!(answer.text, told, "the pieces together");
                return (answer, documents);
            }
            other => panic!("{other:?}"),
        }
    }
}

fn question(text: &str) -> Enrich {
    Enrich::new("notes", text)
}

/// What is said, and whether it was kept.
async fn said(client: &Client, enrich: Enrich) -> (String, bool) {
    let (answer, documents) = answer(client, Generate::new(enrich)).await;
    for tenant in ["a", "b"] {
        let rests = documents.iter().any(|document| document.starts_with(tenant));
        assert_eq!(rests, answer.text["Of ".len()..].contains(tenant), "{documents:?}: {}", answer.text);
    }
    (answer.text, answer.cached)
}

fn fresh(text: &str) -> (String, bool) {
    (text.to_owned(), false)
}

fn kept(text: &str) -> (String, bool) {
    (text.to_owned(), true)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_given_again_to_its_caller_alone_until_something_is_written() {
    let service = telling();
    let of_a: &[&str] = &["read on * where tenant = 'a'"];
    let of_b: &[&str] = &["read on * where tenant = 'b'"];
    let (directory, keys) = with_keys(&[&["admin"], of_a, of_b, of_a]);
    let server =
        Server::start_generating_over(directory, by_meaning(asking()), &[&service.named("small")]).await;
    let mut clients = Vec::new();
    for key in &keys {
        clients.push(client(&server, key).await);
    }
    let [admin, a, b, another_of_a] = clients.as_slice() else { panic!("four clients") };
    admin.create_collection(CreateCollection::with_model("notes", MODEL)).await.unwrap();
    for tenant in ["a", "b"] {
        ingest(admin, tenant, 1).await;
    }
    assert_eq!(said(a, question(QUESTION)).await, fresh("Of a"));
    assert_eq!(said(a, question(QUESTION)).await, kept("Of a"));
    assert_eq!(said(a, question(REWORDED)).await, kept("Of a"));
    assert_eq!(service.asked().len(), 1);
    // Of another caller each, though one of them sees the same rows.
    assert_eq!(said(b, question(QUESTION)).await, fresh("Of b"));
    assert_eq!(said(b, question(REWORDED)).await, kept("Of b"));
    assert_eq!(said(another_of_a, question(QUESTION)).await, fresh("Of a"));
    assert_eq!(said(admin, question(QUESTION)).await, fresh("Of a and b"));
    for tenant in ["a", "b"] {
        let theirs = || question(QUESTION).filter(Filter::eq("tenant", tenant));
        assert_eq!(said(admin, theirs()).await, fresh(&format!("Of {tenant}")));
        assert_eq!(said(admin, theirs()).await, kept(&format!("Of {tenant}")));
    }
    assert_eq!(said(a, question("Whose saucer is that?")).await, fresh("Of a"), "another question");
    let asked = service.asked().len();
    assert_eq!(said(a, question(QUESTION)).await, kept("Of a"));
    // Whatever is written, whoever may see it.
    ingest(admin, "b", 2).await;
    assert_eq!(said(a, question(QUESTION)).await, fresh("Of a"));
    assert_eq!(said(a, question(QUESTION)).await, kept("Of a"));
    assert!(admin.delete_document("notes", "b1.md").await.unwrap());
    assert_eq!(said(a, question(QUESTION)).await, fresh("Of a"));
    assert_eq!(service.asked().len(), asked + 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_template_model_or_option_has_its_own_answers() {
    let service = telling();
    let models = [service.named("small"), service.named("large")];
    let server = Server::start_generating(keeping(config()), &[models[0].as_str(), models[1].as_str()]).await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_model("notes", MODEL)).await.unwrap();
    ingest(&client, "a", 1).await;
    let source = "{% for c in citations %}{{ c.text }}{% endfor %}{{ question }}";
    let ask = || Generate::new(question(QUESTION));
    client.register_template("t", source).await.unwrap();
    let named = || Generate::new(question(QUESTION).template("t"));
    let requests = [
        ask(),
        ask().model("large"),
        ask().temperature(0.5),
        ask().max_tokens(50),
        ask().seed(7),
        Generate::new(question(QUESTION).template_source(source)),
        named(),
        Generate::new(question(QUESTION).k(3)),
        Generate::new(question(QUESTION).token_budget(500)),
    ];
    for request in &requests {
        let (answer, _) = answer(&client, request.clone()).await;
        assert!(!answer.cached, "{request:?}");
    }
    for request in &requests {
        let (answer, _) = answer(&client, request.clone()).await;
        assert!(answer.cached && !answer.text.is_empty(), "{request:?}");
        assert_eq!(answer.usage.map(|usage| usage.completion_tokens), Some(7), "that of the first time");
    }
    assert_eq!(service.asked().len(), requests.len());
    // A name stands for its newest version; the first one has the name of the model that is asked by default.
    client.register_template("t", &format!("{source} Be brief.")).await.unwrap();
    assert!(!answer(&client, named()).await.0.cached);
    assert!(answer(&client, ask().model("small")).await.0.cached);
    // What was said before a question shapes its answer.
    let chat = || {
        let said = [(ChatRole::User, "Hello."), (ChatRole::Assistant, "Hello."), (ChatRole::User, QUESTION)];
        Generate::new(Enrich::chat("notes", said.map(|(role, text)| ChatMessage::new(role, text))))
    };
    for _ in 0..2 {
        assert!(!answer(&client, chat()).await.0.cached);
    }
    let told = |text: &str| {
        let said = [ChatMessage::new(ChatRole::System, text), ChatMessage::new(ChatRole::User, QUESTION)];
        Generate::new(Enrich::chat("notes", said))
    };
    assert!(!answer(&client, told("In German.")).await.0.cached);
    assert!(!answer(&client, told("In French.")).await.0.cached);
    assert!(answer(&client, told("In German.")).await.0.cached);
    let hits = metric_of(&server, r#"ragstone_answer_cache_lookups_total{outcome="hit"}"#);
    assert_eq!(hits, Some(requests.len() as f64 + 2.0));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_text_is_another_question_unless_nearness_is_asked_for() {
    let service = telling();
    for (config, is_kept) in [(keeping(config()), false), (by_meaning(config()), true)] {
        let server = Server::start_generating(config, &[&service.named("small")]).await;
        let client = server.client().await;
        client.create_collection(CreateCollection::with_model("notes", MODEL)).await.unwrap();
        ingest(&client, "a", 1).await;
        let by_word = |text: &str| question(text).mode(RetrievalMode::Text);
        assert_eq!(said(&client, question(QUESTION)).await, fresh("Of a"));
        assert_eq!(said(&client, question(REWORDED)).await, ("Of a".to_owned(), is_kept));
        assert_eq!(said(&client, question(&format!(" {QUESTION}\n"))).await, kept("Of a"));
        // What is searched by word alone has no vector to be near by.
        assert_eq!(said(&client, by_word(QUESTION)).await, fresh("Of a"));
        assert_eq!(said(&client, by_word(REWORDED)).await, fresh("Of a"));
        assert_eq!(said(&client, by_word(QUESTION)).await, kept("Of a"));
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_while_a_model_answered_is_in_the_next_answer() {
    let mut replies = [
        Reply::stream([piece("Of a"), Step::Wait].into_iter().chain(end("stop")).collect()),
        Reply::answer(&["Of a and b"]),
    ]
    .into_iter();
    let service =
        ChatService::start(move |_| replies.next().expect("a question more than there are answers"));
    let server = Server::start_generating(keeping(config()), &[&service.named("small")]).await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_model("notes", MODEL)).await.unwrap();
    ingest(&client, "a", 1).await;
    let mut generation = client.generate(Generate::new(question(QUESTION))).await.unwrap();
    while !matches!(generation.next().await.unwrap().unwrap(), GenerateEvent::Delta(_)) {}
    ingest(&client, "b", 1).await;
    service.open();
    assert!(matches!(generation.next().await.unwrap().unwrap(), GenerateEvent::Done(_)));
    assert_eq!(said(&client, question(QUESTION)).await, fresh("Of a and b"));
    assert_eq!(said(&client, question(QUESTION)).await, kept("Of a and b"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_whole_is_kept() {
    let mut replies = [
        Reply::stream(vec![piece("It"), Step::Break]),
        Reply::stream([piece("It")].into_iter().chain(end("length")).collect()),
        Reply::stream([piece("It")].into_iter().chain(end("content_filter")).collect()),
        // Whoever passes answers on may close one that broke off before.
        Reply::stream(vec![piece("It"), Step::Event("[DONE]".to_owned())]),
        Reply::answer(&["It ends ", "[1]."]),
    ]
    .into_iter();
    let service =
        ChatService::start(move |_| replies.next().expect("a question more than there are answers"));
    let server = Server::start_generating(keeping(config()), &[&service.named("small")]).await;
    with_notes(&server).await;
    let client = server.client().await;
    let ask = || Generate::new(question("When does the lease end?"));
    let mut broken = client.generate(ask()).await.unwrap();
    let failed = loop {
        match broken.next().await.unwrap() {
            Ok(GenerateEvent::Done(_)) => break false,
            Ok(_) => {}
            Err(_) => break true,
        }
    };
    assert!(failed);
    for _ in 0..4 {
        assert!(!answer(&client, ask()).await.0.cached);
    }
    let (again, documents) = answer(&client, ask()).await;
    assert!(again.cached && again.text == "It ends [1]." && again.citations.cited == [1]);
    assert_eq!(documents[0], "lease.md");
    assert_eq!(service.asked().len(), 5);

    // The HTTP port is asked by the same caller, nobody, and finds the same.
    let body = |stream: bool| {
        let messages = json!([{"role": "user", "content": "When does the lease end?"}]);
        json!({"model": "small@notes", "messages": messages, "stream": stream}).to_string()
    };
    let post =
        |stream| post_at(server.http_address, "/v1/chat/completions", "application/json", &body(stream));
    let whole = post(false).json();
    assert_eq!((&whole["cached"], &whole["citations"][0]["cited"]), (&json!(true), &json!(true)));
    assert_eq!(whole["choices"][0]["message"]["content"], "It ends [1].");
    assert!(post(true).body.contains("\"cached\":true"));
    assert_eq!(service.asked().len(), 5);
    server.stop().await;
}
