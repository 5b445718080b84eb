//! The OpenAI protocol, spoken by OpenAI's own Python client to the server, and by the server to a model's service.

use ragstone_tests::chat::{ChatService, Reply, Step, event, piece};
use serde_json::{Value, json};

use crate::fixture::{DIMENSION, MODEL, Server, config};
use crate::generate::{answering, with_notes};
use crate::python;

async fn server(service: &ChatService) -> Server {
    let server =
        Server::start_generating(config(), &[&service.named("small"), &service.named("other")]).await;
    with_notes(&server).await;
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_and_their_collections_are_listed() {
    let service = answering();
    let server = server(&service).await;
    let listed = python::run(&server.http_url(), "models").await;
    let expected = ["small", "other", "small@notes", "other@notes", MODEL];
    assert_eq!(listed["listed"], json!(expected));
    assert_eq!((&listed["one"], &listed["object"]), (&json!("other"), &json!("model")));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embeddings_are_those_of_the_grpc_port_in_both_encodings() {
    let service = answering();
    let server = server(&service).await;
    let made = python::run(&server.http_url(), "embeddings").await;
    let client = server.client().await;
    let texts = ["a lease", "", "sourdough bread"];
    let expected = client.embed(ragstone_client::Embed::new(texts)).await.unwrap();
    for (index, vector) in expected.vectors.iter().enumerate() {
        assert_eq!(vector.len(), DIMENSION);
        for encoding in ["packed", "plain"] {
            let given: Vec<f32> = serde_json::from_value(made[encoding][index].clone()).unwrap();
            assert_eq!(&given, vector, "{encoding} {index}");
        }
    }
    let lone: Vec<f32> = serde_json::from_value(made["lone"].clone()).unwrap();
    assert_eq!(lone, expected.vectors[0], "this model has no prefix");
    assert_eq!((&made["indexes"], &made["model"]), (&json!([0, 1, 2]), &json!(MODEL)));
    let tokens: usize = expected.token_counts.iter().sum();
    assert_eq!(
        (&made["usage"]["prompt_tokens"], &made["usage"]["total_tokens"]),
        (&json!(tokens), &json!(tokens))
    );
    server.stop().await;
}

/// The citations of an answer: the numbers, and whether each is cited.
fn cited(answer: &Value) -> Vec<(u64, Option<bool>)> {
    let citations = answer["citations"].as_array().unwrap();
    citations.iter().map(|one| (one["index"].as_u64().unwrap(), one["cited"].as_bool())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_has_citations_beside_what_the_protocol_has() {
    let service = answering();
    let server = server(&service).await;
    let answer = python::run(&server.http_url(), "chat").await;
    assert_eq!((&answer["object"], &answer["model"]), (&json!("chat.completion"), &json!("small@notes")));
    let choice = &answer["choices"][0];
    assert_eq!(choice["message"]["content"], "It ends on 31 May [1], as [9] says.");
    assert_eq!((&choice["message"]["role"], &choice["finish_reason"]), (&json!("assistant"), &json!("stop")));
    assert_eq!(answer["usage"]["total_tokens"], 18);
    let citation = &answer["citations"][0];
    assert_eq!((&citation["document"], &citation["cited"]), (&json!("lease.md"), &json!(true)));
    assert!(citation["text"].as_str().unwrap().contains("31 May"), "{citation}");
    assert_eq!(answer["unknown_citations"], json!([9]));
    let asked = &service.asked()[0].body;
    assert_eq!((&asked["temperature"], &asked["stop"]), (&json!(0.5), &json!(["END"])));
    let last = asked["messages"].as_array().unwrap().last().unwrap();
    assert!(last["content"].as_str().unwrap().contains("The lease ends on 31 May."), "{last}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_is_enriched_by_what_its_last_question_asks() {
    let service = answering();
    let server = server(&service).await;
    let answer = python::run(&server.http_url(), "defaults").await;
    assert_eq!(cited(&answer), [(1, Some(true))], "one chunk was asked for");
    let asked = &service.asked()[0].body;
    let last = asked["messages"].as_array().unwrap().last().unwrap();
    assert_eq!(last["role"], "user");
    assert!(last["content"].as_str().unwrap().contains("When does the lease end?"), "{last}");
    assert!(asked.get("ragstone").is_none(), "what is Ragstone's own is not passed on");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_has_the_evidence_first_and_checked_citations_last() {
    let service = answering();
    let server = server(&service).await;
    let chunks = python::run(&server.http_url(), "stream").await["chunks"].take();
    let chunks = chunks.as_array().unwrap();
    let [first, pieces @ .., finish, usage] = &chunks[..] else { panic!("{chunks:?}") };
    assert_eq!(first["choices"][0]["delta"]["role"], "assistant");
    assert!(cited(first).iter().all(|(_, cited)| cited.is_none()) && !cited(first).is_empty());
    let text: String =
        pieces.iter().map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().unwrap()).collect();
    assert_eq!((text.as_str(), pieces.len()), ("It ends on 31 May [1], as [9] says.", 2));
    assert_eq!(
        (&finish["choices"][0]["finish_reason"], &finish["unknown_citations"]),
        (&json!("stop"), &json!([9]))
    );
    assert_eq!(cited(finish)[0], (1, Some(true)));
    assert_eq!((&usage["choices"], &usage["usage"]["total_tokens"]), (&json!([]), &json!(18)));
    assert_eq!(cited(usage), cited(finish));
    assert!(
        chunks.iter().all(|chunk| chunk["id"] == first["id"] && chunk["object"] == "chat.completion.chunk")
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_leaves_a_stream_ends_the_connection_to_the_model() {
    let service = ChatService::start(|_| Reply::stream(vec![piece("It ends"), Step::Hang]));
    let server = server(&service).await;
    let left = python::run(&server.http_url(), "leave").await;
    assert_eq!(left["text"], "It ends");
    tokio::task::block_in_place(|| service.wait_until_left(1));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_fails_says_so() {
    let failed = event(&json!({"error": {"message": "out of memory"}}));
    let service = ChatService::start(move |_| Reply::stream(vec![piece("It ends"), failed.clone()]));
    let server = server(&service).await;
    let broken = python::run(&server.http_url(), "broken").await;
    assert_eq!(broken["text"], "It ends");
    assert!(broken["error"].as_str().unwrap().contains("out of memory"), "{broken}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_are_those_that_the_client_knows() {
    let service = answering();
    let server = server(&service).await;
    let found = python::run(&server.http_url(), "errors").await["errors"].take();
    let expected = [
        ("NotFoundError", 404, "generate_model_not_found", None),
        ("NotFoundError", 404, "collection_not_found", None),
        ("BadRequestError", 400, "invalid_field", Some("question")),
        ("BadRequestError", 400, "invalid_field", Some("temperature")),
        ("BadRequestError", 400, "invalid_field", Some("n")),
        ("BadRequestError", 400, "invalid_field", Some("tools")),
        ("BadRequestError", 400, "invalid_field", Some("messages[0].content[0].type")),
        ("BadRequestError", 400, "malformed_message", None),
        ("BadRequestError", 400, "unknown_payload_field", Some("filter")),
        ("BadRequestError", 400, "invalid_field", Some("ragstone.filter")),
        ("PermissionDeniedError", 403, "model_not_allowed", None),
        ("BadRequestError", 400, "invalid_field", Some("input")),
        ("BadRequestError", 400, "invalid_field", Some("dimensions")),
        ("BadRequestError", 400, "token_limit", Some("texts[0]")),
        ("NotFoundError", 404, "model_not_found", None),
    ];
    assert_eq!(found.as_array().unwrap().len(), expected.len(), "{found}");
    for (found, (name, status, code, param)) in found.as_array().unwrap().iter().zip(expected) {
        assert_eq!((&found[0], &found[1]), (&json!(name), &json!(status)), "{found}");
        assert_eq!(found[2]["code"], code, "{found}");
        let named = found[2]["param"].as_str();
        assert!(
            named.is_some() == param.is_some() && named.unwrap_or("").starts_with(param.unwrap_or("")),
            "{found}"
        );
        assert!(!found[2]["message"].as_str().unwrap().is_empty(), "{found}");
    }
    assert!(service.asked().is_empty(), "nothing of this reached the model");
    server.stop().await;
}
