//! Answers from a model over real HTTP, through the library: what is sent, what comes of good and of bad answers, and what ends them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use ragstone::Db;
use ragstone_rag::embed::{
    Arithmetic, Embedder, Embeddings, ModelInfo, ModelOptions, Models, Overflow, Pooling, Role,
};
use ragstone_rag::generate::{
    Answer, FinishReason, GenerateEvent, GenerateModel, GenerateModels, GenerateRequest, Generation, Usage,
};
use ragstone_rag::ingest::DocumentInput;
use ragstone_rag::limits::{ANSWER_BYTES_MAX, STREAM_BYTES_MAX, STREAM_EVENT_BYTES_MAX};
use ragstone_rag::{CollectionSpec, Error, GenerateFailure, Rag, Result};
use ragstone_tests::chat::{ChatService, Reply, Step, end, event, piece};
use serde_json::json;

const QUESTION: &str = "When does the lease end?";

/// Counts letters: texts of the same letters are near.
struct Letters(ModelInfo);

impl Embedder for Letters {
    fn info(&self) -> &ModelInfo {
        &self.0
    }

    fn embed(&self, texts: &[&str], _: Role, _: Overflow) -> Result<Embeddings> {
        let mut embeddings = Embeddings::default();
        for text in texts {
            let mut vector = vec![0.01; 26];
            for letter in text.bytes().filter(u8::is_ascii_alphabetic) {
                vector[usize::from(letter.to_ascii_lowercase() - b'a')] += 1.0;
            }
            embeddings.vectors.push(vector);
            embeddings.token_counts.push(self.count_tokens(text));
            embeddings.truncated.push(false);
        }
        Ok(embeddings)
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn overhead_tokens(&self, _: Role) -> usize {
        0
    }
}

/// A collection `notes` of two documents, and this model to ask.
fn rag(model: &str) -> (tempfile::TempDir, Rag) {
    let folder = tempfile::tempdir().unwrap();
    let cache_dir = folder.path().join("models");
    let models = Models::new(ModelOptions { cache_dir, offline: true, ..ModelOptions::default() });
    models.insert(Arc::new(Letters(ModelInfo {
        name: "letters".into(),
        sha256: None,
        dimension: 26,
        max_tokens: 256,
        pooling: Pooling::Mean,
        normalize: false,
        query_prefix: String::new(),
        passage_prefix: String::new(),
        arithmetic: Arithmetic::Float,
    })));
    let generate = GenerateModels::new([GenerateModel::parse(model).unwrap()]).unwrap();
    let rag = Rag::new(Db::open(folder.path().join("data")).unwrap(), models).with_generate_models(generate);
    rag.create_collection("notes", CollectionSpec::with_model("letters")).unwrap();
    rag.ingest("notes", DocumentInput::new("lease.md", "# Lease\n\nThe lease ends on 31 May.")).unwrap();
    rag.ingest("notes", DocumentInput::new("bread.md", "# Bread\n\nSourdough proves overnight.")).unwrap();
    (folder, rag)
}

fn generation(model: &str) -> Generation {
    let (_folder, rag) = rag(model);
    rag.generate("notes", &GenerateRequest::new(QUESTION)).unwrap()
}

/// The pieces and the whole of an answer; evidence must come first.
fn hear(mut generation: Generation) -> Result<(Vec<String>, Answer)> {
    let first = generation.next().unwrap()?;
    assert!(matches!(first, GenerateEvent::Evidence(_)), "evidence comes first, not {first:?}");
    let mut pieces = Vec::new();
    while let Some(event) = generation.next() {
        match event {
            Ok(GenerateEvent::Delta(text)) => pieces.push(text),
            Ok(GenerateEvent::Done(answer)) => {
                assert!(generation.next().is_none(), "there is nothing behind the end");
                return Ok((pieces, answer));
            }
            Ok(evidence) => panic!("evidence comes once: {evidence:?}"),
            Err(error) => {
                assert!(generation.next().is_none(), "there is nothing behind an error");
                return Err(error);
            }
        }
    }
    panic!("no end")
}

/// What a service that answers like this leads to.
fn failure(reply: impl FnMut() -> Reply + Send + 'static) -> (GenerateFailure, String, usize) {
    let mut reply = reply;
    let service = ChatService::start(move |_| reply());
    let error = hear(generation(&service.named("small"))).unwrap_err();
    let Error::Generate { model, failure, reason } = error else { panic!("{error}") };
    assert_eq!(model, "small");
    (failure, reason, service.asked().len())
}

#[test]
fn evidence_comes_first_then_the_answer_then_what_it_cites() {
    let service = ChatService::start(|_| Reply::answer(&["It ends on 31 May ", "[1], as [9] says."]));
    let (_folder, rag) = rag(&format!("{}#large", service.named("small")));
    let mut request = GenerateRequest::new(QUESTION);
    request.options.max_tokens = Some(50);
    let mut generation = rag.generate("notes", &request).unwrap();
    assert_eq!(generation.model(), "small");
    let Some(Ok(GenerateEvent::Evidence(enriched))) = generation.next() else { panic!("no evidence") };
    assert!(service.asked().is_empty(), "the evidence is there before the model is asked");
    assert!(!enriched.citations.is_empty());
    let rest: Vec<_> = generation.map(Result::unwrap).collect();
    let [GenerateEvent::Delta(one), GenerateEvent::Delta(two), GenerateEvent::Done(answer)] = &rest[..]
    else {
        panic!("{rest:?}")
    };
    assert_eq!((one.as_str(), two.as_str()), ("It ends on 31 May ", "[1], as [9] says."));
    assert_eq!((&answer.text, answer.model.as_str()), (&format!("{one}{two}"), "small"));
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    assert_eq!(answer.usage, Some(Usage { prompt_tokens: 11, completion_tokens: 7 }));
    assert_eq!((&answer.citations.cited, &answer.citations.unknown), (&vec![1], &vec![9]));
    let unused: Vec<usize> =
        enriched.citations.iter().map(|citation| citation.index).filter(|n| *n != 1).collect();
    assert_eq!(answer.citations.unused, unused);
    let stages: Vec<&str> = answer.timings_ms.iter().map(|(stage, _)| *stage).collect();
    assert_eq!(stages, ["first_token", "generate"]);

    let asked = &service.asked()[0];
    assert_eq!(asked.path, "/v1/chat/completions");
    assert!(!asked.headers.contains_key("authorization"));
    assert_eq!((&asked.body["model"], &asked.body["stream"]), (&json!("large"), &json!(true)));
    assert_eq!(asked.body["max_tokens"], 50);
    let messages = asked.body["messages"].as_array().unwrap();
    let last = messages.last().unwrap();
    assert_eq!(last["role"], "user");
    let content = last["content"].as_str().unwrap();
    assert!(content.contains(QUESTION) && content.contains("31 May"), "{content}");
}

#[test]
fn what_may_pass_is_tried_again_until_a_token_has_come() {
    let mut replies = [
        Reply::error(429, "slow down").header("retry-after", "0"),
        Reply::error(503, "starting").header("retry-after", "0"),
        Reply::answer(&["Yes."]),
    ]
    .into_iter();
    let service = ChatService::start(move |_| replies.next().unwrap());
    let (pieces, _) = hear(generation(&service.named("small"))).unwrap();
    assert_eq!((pieces, service.asked().len()), (vec!["Yes.".to_owned()], 3));

    // A stream that breaks before its first token is begun again, one that breaks behind it is not.
    let mut replies = [Reply::stream(vec![Step::Break]), Reply::answer(&["Yes."])].into_iter();
    let service = ChatService::start(move |_| replies.next().unwrap());
    assert_eq!(hear(generation(&service.named("small"))).unwrap().0, ["Yes."]);
    assert_eq!(service.asked().len(), 2);
    let (kind, reason, asked) = failure(|| Reply::stream(vec![piece("Ye"), Step::Break]));
    assert_eq!((kind, asked), (GenerateFailure::Unavailable, 1), "{reason}");
    assert!(reason.contains("broke off"), "{reason}");
}

#[test]
fn trying_again_ends() {
    let (kind, reason, asked) = failure(|| Reply::error(500, "out of memory").header("retry-after", "0"));
    assert_eq!((kind, asked), (GenerateFailure::Unavailable, 3));
    assert!(reason.contains("HTTP 500: out of memory") && reason.ends_with("(3 tries)"), "{reason}");
    let (kind, reason, asked) = failure(|| Reply::error(429, "tomorrow").header("retry-after", "86400"));
    let day = GenerateFailure::Busy { retry_after: Some(Duration::from_secs(86_400)) };
    assert_eq!((kind, asked), (day, 1), "a day is not waited for: {reason}");
    let (kind, _, asked) = failure(|| Reply::error(429, "slow down").header("retry-after", "0"));
    assert_eq!((kind, asked), (GenerateFailure::Busy { retry_after: Some(Duration::ZERO) }, 3));
}

#[test]
fn a_pause_that_nobody_has_time_for_is_not_begun() {
    let service = ChatService::start(|_| Reply::error(429, "slow down").header("retry-after", "50"));
    let (_folder, rag) = rag(&service.named("small"));
    let rag = rag.wanted_until(Instant::now() + Duration::from_secs(40));
    let error = hear(rag.generate("notes", &GenerateRequest::new(QUESTION)).unwrap()).unwrap_err();
    let Error::Generate { failure, .. } = error else { panic!("{error}") };
    assert_eq!(failure, GenerateFailure::Busy { retry_after: Some(Duration::from_secs(50)) });
    assert_eq!(service.asked().len(), 1);
}

/// The connection is made, in the system's queue, and nobody says anything on it.
#[test]
fn stopping_ends_the_wait_for_a_service_that_is_silent() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut generation = generation(&format!("small=http://{}/v1", silent.local_addr().unwrap()));
    generation.next().unwrap().unwrap();
    let stopper = generation.stopper();
    let asking = std::thread::spawn(move || generation.next().unwrap().unwrap_err());
    stopper.stop();
    let error = asking.join().unwrap();
    assert!(matches!(error, Error::Generate { failure: GenerateFailure::Stopped, .. }), "{error}");
}

#[test]
fn a_refusal_is_final_and_in_the_services_words() {
    let (kind, reason, asked) = failure(|| Reply::error(400, "this prompt is too long"));
    assert_eq!((kind, asked), (GenerateFailure::Refused, 1));
    assert_eq!(reason, "HTTP 400: this prompt is too long");
    let (kind, reason, asked) = failure(|| Reply::error(400, "Is stream_options meant?"));
    assert_eq!((kind, asked), (GenerateFailure::Refused, 2), "once more without, and never again: {reason}");
    let (kind, reason, asked) = failure(|| Reply::error(401, "Incorrect API key provided: sk-secret"));
    assert_eq!((kind, asked), (GenerateFailure::Unavailable, 1));
    assert!(reason.contains("key") && !reason.contains("sk-secret"), "{reason}");
}

#[test]
fn a_key_goes_to_the_service_and_nowhere_else() {
    // A variable that cargo sets for every test.
    let key = std::env::var("CARGO_PKG_NAME").unwrap();
    let words = format!("the key {key} has no credit");
    let service = ChatService::start(move |_| Reply::error(402, &words));
    let error = hear(generation(&format!("{}?key_env=CARGO_PKG_NAME", service.named("small")))).unwrap_err();
    assert_eq!(service.asked()[0].headers["authorization"], format!("Bearer {key}"));
    assert!(error.to_string().ends_with("HTTP 402: the key … has no credit"), "{error}");
}

#[test]
fn no_redirect_is_followed() {
    let elsewhere = ChatService::start(|_| Reply::answer(&["from elsewhere"]));
    let target = format!("{}/chat/completions", elsewhere.base());
    let (kind, reason, _) = failure(move || Reply::error(307, "there").header("location", &target));
    assert_eq!(kind, GenerateFailure::Unavailable);
    assert!(reason.contains("redirects are not followed"), "{reason}");
    assert!(elsewhere.asked().is_empty());
}

#[test]
fn what_is_another_protocol_is_refused() {
    type Case = (fn() -> Reply, &'static str);
    let cases: [Case; 4] = [
        (
            || Reply { headers: vec![("content-type", "text/html".into())], ..Reply::answer(&["x"]) },
            "answers with text/html",
        ),
        (|| Reply::stream(vec![Step::Event("{".into())]), "an event of another protocol"),
        (
            || Reply::stream(vec![Step::Raw(vec![b'x'; STREAM_EVENT_BYTES_MAX + 1])]),
            "STREAM_EVENT_BYTES_MAX = 1048576",
        ),
        (|| Reply::stream(vec![event(&json!([]))]), "an event of another protocol"),
    ];
    for (reply, words) in cases {
        let (kind, reason, asked) = failure(reply);
        assert_eq!((kind, asked), (GenerateFailure::Foreign, 1), "{reason}");
        assert!(reason.contains(words), "{reason}");
    }
    let (kind, reason, _) =
        failure(|| Reply::stream(vec![piece("x"), event(&json!({"error": {"message": "overloaded"}}))]));
    assert_eq!((kind, reason.as_str()), (GenerateFailure::Unavailable, "failed: overloaded"));
}

#[test]
fn an_answer_ends_in_each_of_the_ways_that_services_have() {
    let ended = |steps: Vec<Step>| {
        let service = ChatService::start(move |_| Reply::stream(steps.clone()));
        hear(generation(&service.named("small"))).unwrap().1
    };
    let [finish, usage, done] = end("length");
    assert_eq!(
        ended(vec![piece("a"), finish.clone(), usage, done.clone()]).finish_reason,
        FinishReason::Length
    );
    let bare = ended(vec![piece("a"), finish]);
    assert_eq!(
        (bare.finish_reason, bare.usage),
        (FinishReason::Length, None),
        "closed without the closing event"
    );
    assert_eq!(ended(vec![piece("a"), end("stop")[0].clone(), Step::Break]).text, "a", "broken off");
    assert_eq!(ended(vec![piece("a"), done.clone()]).finish_reason, FinishReason::Stop);
    assert_eq!(ended(vec![done]).text, "", "a model may say nothing");
    let odd =
        ended(vec![Step::Raw(b": thinking\r\n\r\n".to_vec()), piece("a"), end("tool_calls")[0].clone()]);
    assert_eq!(odd.finish_reason, FinishReason::Other("tool_calls".into()));
}

#[test]
fn an_endless_answer_is_given_up_at_the_limit() {
    let block = "x".repeat(STREAM_EVENT_BYTES_MAX / 2);
    let service =
        ChatService::start(move |_| Reply::stream(vec![piece(&block); 2 * ANSWER_BYTES_MAX / block.len()]));
    let error = hear(generation(&service.named("small"))).unwrap_err();
    assert!(error.to_string().contains("ANSWER_BYTES_MAX = 4194304"), "{error}");
}

#[test]
fn a_stream_that_says_nothing_is_given_up_at_the_limit() {
    let mut comment = vec![b'x'; STREAM_EVENT_BYTES_MAX / 2];
    (comment[0], comment[STREAM_EVENT_BYTES_MAX / 2 - 1]) = (b':', b'\n');
    let (kind, reason, asked) = failure(move || {
        Reply::stream(vec![Step::Raw(comment.clone()); 2 * STREAM_BYTES_MAX / STREAM_EVENT_BYTES_MAX + 1])
    });
    assert_eq!((kind, asked), (GenerateFailure::Foreign, 1));
    assert!(reason.contains("STREAM_BYTES_MAX = 67108864"), "{reason}");
}

#[test]
fn a_model_that_keeps_silent_is_given_up() {
    let cases: [(&str, Vec<Step>, &str); 3] = [
        (
            "first_token_s=1",
            vec![Step::Raw(b": still thinking\n\n".to_vec()), Step::Hang],
            "first_token_s = 1",
        ),
        ("next_token_s=1", vec![piece("And"), Step::Hang], "next_token_s = 1"),
        ("total_s=1", vec![piece("And"), Step::Hang], "total_s = 1"),
    ];
    for (setting, steps, words) in cases {
        let service = ChatService::start(move |_| Reply::stream(steps.clone()));
        let error = hear(generation(&format!("{}?{setting}", service.named("small")))).unwrap_err();
        let Error::Generate { failure, reason, .. } = error else { panic!("{error}") };
        assert_eq!(failure, GenerateFailure::TimedOut, "{reason}");
        assert!(reason.contains(words), "{reason}");
        service.wait_until_left(1);
        assert_eq!(service.asked().len(), 1, "what timed out is not tried again");
    }
}

#[test]
fn stopping_closes_the_connection() {
    let service = ChatService::start(|_| Reply::stream(vec![piece("And"), Step::Hang]));
    let mut generation = generation(&service.named("small"));
    generation.next().unwrap().unwrap();
    assert_eq!(generation.next().unwrap().unwrap(), GenerateEvent::Delta("And".into()));
    let stopper = generation.stopper();
    let other = std::thread::spawn(move || stopper.stop());
    let error = generation.next().unwrap().unwrap_err();
    assert!(matches!(error, Error::Generate { failure: GenerateFailure::Stopped, .. }), "{error}");
    other.join().unwrap();
    service.wait_until_left(1);
    assert!(generation.next().is_none());
}

#[test]
fn dropping_closes_the_connection() {
    let service = ChatService::start(|_| Reply::stream(vec![piece("And"), Step::Hang]));
    let mut generation = generation(&service.named("small"));
    generation.next().unwrap().unwrap();
    generation.next().unwrap().unwrap();
    drop(generation);
    service.wait_until_left(1);
}

#[test]
fn stopping_ends_the_pause_between_tries() {
    let service = ChatService::start(|_| Reply::error(503, "later").header("retry-after", "60"));
    let mut generation = generation(&service.named("small"));
    generation.next().unwrap().unwrap();
    let stopper = generation.stopper();
    let asking = std::thread::spawn(move || generation.next().unwrap().unwrap_err());
    service.wait_until_asked(1);
    stopper.stop();
    let error = asking.join().unwrap();
    assert!(matches!(error, Error::Generate { failure: GenerateFailure::Stopped, .. }), "{error}");
    assert_eq!(service.asked().len(), 1);
}

#[test]
fn a_model_that_is_not_listed_is_not_asked() {
    let service = ChatService::start(|_| Reply::answer(&["Yes."]));
    let (_folder, rag) = rag(&service.named("small"));
    let mut request = GenerateRequest::new(QUESTION);
    request.options.model = service.base();
    let error = rag.generate("notes", &request).unwrap_err();
    assert!(matches!(error, Error::GenerateModelNotFound { .. }), "{error}");
    request.options.model = String::new();
    request.options.temperature = Some(3.0);
    let error = rag.generate("notes", &request).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error}");
    assert!(service.asked().is_empty());
}

#[test]
fn a_service_that_is_not_there_is_an_error() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = hear(generation(&format!("small=http://127.0.0.1:{port}/v1?total_s=20"))).unwrap_err();
    let Error::Generate { failure, reason, .. } = error else { panic!("{error}") };
    assert_eq!(failure, GenerateFailure::Unavailable, "{reason}");
    assert!(reason.ends_with("(3 tries)"), "{reason}");
}
