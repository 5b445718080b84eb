//! The client against a server that answers as services do, well and badly.

mod callers;
mod log;

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::endpoint::check;
use super::*;
use crate::embed::stand_in::{Answer, Request, StandIn};

/// The vector that the stand-in gives a text.
fn vector(text: &str) -> Vec<f32> {
    vec![text.len() as f32, 1.0, -0.5]
}

/// A right answer, its embeddings in reverse order.
fn answer(request: &Request) -> Answer {
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let texts: Vec<&str> =
        body["input"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    let item = |(index, text): (usize, &&str)| json!({"index": index, "embedding": vector(text)});
    let data: Vec<Value> = texts.iter().enumerate().map(item).rev().collect();
    Answer::new(200, json!({"data": data, "usage": {"prompt_tokens": 7 * texts.len()}}).to_string())
}

fn connect(server: &StandIn) -> Result<RemoteEmbedder> {
    RemoteEmbedder::connect_with_key(&format!("{}/v1#small", server.url), Some("secret".to_owned()))
}

fn reason(result: Result<impl Sized>) -> String {
    match result {
        Ok(_) => panic!("was accepted"),
        Err(Error::Remote { url, reason } | Error::RemoteBusy { url, reason, .. }) => {
            format!("{url}: {reason}")
        }
        Err(error) => panic!("not Remote: {error}"),
    }
}

#[test]
fn texts_are_sent_in_batches_and_come_back_in_order() {
    let server = StandIn::start(answer);
    let embedder = connect(&server).unwrap();
    assert_eq!((embedder.info().dimension, embedder.info().normalize), (3, false));
    assert_eq!(embedder.info().pooling, Pooling::Remote);

    let texts: Vec<String> = (0..300).map(|len| "x".repeat(len)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let made = embedder.embed(&texts, Role::Query, Overflow::Error).unwrap();
    assert_eq!(made.vectors[0], vector(" "), "an empty text goes as a space");
    for (made, text) in made.vectors.iter().zip(&texts).skip(1) {
        assert_eq!(*made, vector(text));
    }
    assert_eq!((made.token_counts.len(), made.truncated.len()), (300, 300));
    let requests = server.requests();
    assert_eq!(requests.len(), 1 + 3, "the probe and three batches");
    for request in requests {
        assert_eq!(request.path, "/v1/embeddings");
        assert_eq!(request.headers["authorization"], "Bearer secret");
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!((&body["model"], &body["encoding_format"]), (&json!("small"), &json!("float")));
    }
    let one = embedder.embed(&["one"], Role::Plain, Overflow::Error).unwrap();
    assert_eq!(one.token_counts, [7], "the service's own count");
    assert_eq!(embedder.embed(&[], Role::Plain, Overflow::Error).unwrap(), Embeddings::default());
    let huge = "x".repeat(TEXT_BYTES_MAX + 1);
    let error = embedder.embed(&["", &huge], Role::Plain, Overflow::Error).unwrap_err();
    assert!(error.to_string().starts_with("texts[1]: "), "{error}");
}

#[test]
fn stated_dimensions_spare_the_probe_and_are_asked_for() {
    let server = StandIn::start(answer);
    let name = format!("{}/v1/?dimensions=3&max_tokens=512#small", server.url);
    let embedder = RemoteEmbedder::connect_with_key(&name, None).unwrap();
    assert!(server.requests().is_empty());
    assert_eq!((embedder.info().dimension, embedder.info().max_tokens), (3, 512));
    embedder.embed(&["a"], Role::Plain, Overflow::Error).unwrap();
    let request = &server.requests()[0];
    assert_eq!(request.path, "/v1/embeddings");
    assert!(!request.headers.contains_key("authorization"));
    assert_eq!(serde_json::from_slice::<Value>(&request.body).unwrap()["dimensions"], json!(3));
}

#[test]
fn what_may_pass_is_tried_again() {
    let mut answers = [429, 503].into_iter();
    let server = StandIn::start(move |request| match answers.next() {
        Some(status) => {
            Answer { headers: vec![("retry-after", "0".to_owned())], ..Answer::new(status, "later") }
        }
        None => answer(request),
    });
    connect(&server).unwrap();
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn waiting_is_bounded() {
    let server = StandIn::start(|_| Answer {
        headers: vec![("retry-after", "3600".to_owned())],
        ..Answer::new(429, r#"{"error":{"message":"slow down"}}"#)
    });
    let reason = reason(connect(&server));
    assert!(reason.contains("HTTP 429") && reason.ends_with("slow down"), "{reason}");
    assert_eq!(server.requests().len(), 1, "an hour is beyond the bound");
}

/// A wait that, added to what was waited before, is beyond what a duration holds panicked: the sum is bounded first.
#[test]
fn a_wait_beyond_every_duration_is_a_wait_too_long() {
    let mut waits = ["1".to_owned(), u64::MAX.to_string()].into_iter();
    let server = StandIn::start(move |_| Answer {
        headers: vec![("retry-after", waits.next().unwrap())],
        ..Answer::new(429, "slow down")
    });
    let reason = reason(connect(&server));
    assert!(reason.ends_with("slow down (2 tries)"), "{reason}");
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_refusal_is_reported_in_the_services_words() {
    let bodies = [
        (r#"{"error":{"message":"no such key"}}"#, "no such key"),
        (r#"{"detail":"no such key"}"#, "no such key"),
        (r#"[{"error":{"code":401,"message":"no such key"}}]"#, ": no such key"),
        ("plain words", "plain words"),
        ("", "no message"),
    ];
    for (body, words) in bodies {
        let server = StandIn::start(move |_| Answer::new(401, body));
        let reason = reason(connect(&server));
        assert!(reason.contains("/v1/embeddings: HTTP 401") && reason.ends_with(words), "{reason}");
        assert_eq!(server.requests().len(), 1, "a refusal is final");
    }
}

/// Voyage's service takes base64 alone as a format, and answers with numbers where none is asked for: no model of it could be loaded.
#[test]
fn a_service_that_refuses_the_format_is_asked_without() {
    let server = StandIn::start(|request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        match body.get("encoding_format") {
            Some(_) => Answer::new(400, r#"{"detail":"Value 'float' of 'encoding_format' is not valid"}"#),
            None => answer(request),
        }
    });
    let embedder = connect(&server).unwrap();
    assert_eq!(server.requests().len(), 2, "the probe, and once more without");
    let made = embedder.embed(&["a", "bb"], Role::Plain, Overflow::Error).unwrap();
    assert_eq!(made.vectors, [vector("a"), vector("bb")]);
    assert_eq!(server.requests().len(), 3, "it is not asked for again");
}

/// A refusal that repeats a text may name the field, too.
#[test]
fn a_refusal_for_another_reason_is_asked_about_once_more_and_not_remembered() {
    let server =
        StandIn::start(|request| match String::from_utf8_lossy(&request.body).contains("bad text") {
            true => Answer::new(400, "bad text in the field before encoding_format"),
            false => answer(request),
        });
    let embedder = connect(&server).unwrap();
    let refused = reason(embedder.embed(&["bad text"], Role::Plain, Overflow::Error));
    assert!(refused.ends_with("before encoding_format"), "{refused}");
    assert_eq!(server.requests().len(), 1 + 2, "the probe, and twice the text");
    embedder.embed(&["a"], Role::Plain, Overflow::Error).unwrap();
    let last: Value = serde_json::from_slice(&server.requests()[3].body).unwrap();
    assert_eq!(last["encoding_format"], "float");
}

/// Whoever may name a model sees what its service says.
#[test]
fn a_key_that_a_service_repeats_is_not_told_on() {
    for body in [r#"{"error":{"message":"no such key: secret."}}"#, "no such key: secret."] {
        let server = StandIn::start(move |_| Answer::new(401, body));
        let reason = reason(connect(&server));
        assert!(reason.ends_with("no such key: …."), "{reason}");
    }
}

#[test]
fn a_wrong_answer_is_refused() {
    let answers = [
        ("[1]", "is no list of embeddings"),
        (r#"{"error":{"message":"no credit for secret"}}"#, "no list of embeddings: no credit for …"),
        (r#"{"data":[]}"#, "0 embeddings for 1 texts"),
        (r#"{"data":[{"embedding":[]}]}"#, "0 components"),
        (r#"{"data":[{"embedding":[1e39]}]}"#, "not finite"),
        (r#"{"data":[{"index":1,"embedding":[1]}]}"#, "index 1 is out of range"),
    ];
    for (body, words) in answers {
        let server = StandIn::start(move |_| Answer::new(200, body));
        let reason = reason(connect(&server));
        assert!(reason.contains(words), "{body}: {reason}");
    }
    let twice = r#"{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}"#;
    let uneven = r#"{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[1,2]}]}"#;
    for (body, words) in [(twice, "there twice"), (uneven, "has 2 components, expected are 1")] {
        let response = serde_json::from_str(body).unwrap();
        let error = check(response, 2, None).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
    let server = StandIn::start(answer);
    let name = format!("{}/v1?dimensions=4#small", server.url);
    let embedder = RemoteEmbedder::connect_with_key(&name, None).unwrap();
    let reason = reason(embedder.embed(&["a"], Role::Plain, Overflow::Error));
    assert!(reason.contains("has 3 components, expected are 4"), "{reason}");
}

/// An answer beyond the limit was fetched five times, since how it was read counted as an error on the way.
#[test]
fn an_answer_that_is_too_large_is_fetched_once_and_one_that_breaks_off_again() {
    let server = StandIn::start(answer);
    let name = format!("{}/v1?dimensions=3#small", server.url);
    let mut embedder = RemoteEmbedder::connect_with_key(&name, None).unwrap();
    Arc::get_mut(&mut embedder.endpoint).unwrap().response_bytes_max = 20;
    let refused = reason(embedder.embed(&["a"], Role::Plain, Overflow::Error));
    assert!(refused.ends_with("the answer is beyond RESPONSE_BYTES_MAX = 20 bytes"), "{refused}");
    assert_eq!(server.requests().len(), 1);

    let mut cuts = [Some(10)].into_iter();
    let server = StandIn::start(move |request| Answer { cut: cuts.next().flatten(), ..answer(request) });
    connect(&server).unwrap();
    assert_eq!(server.requests().len(), 2);

    let wide = json!({"data": [{"embedding": vec![0.5; 70_000]}]}).to_string();
    let error = check(serde_json::from_str(&wide).unwrap(), 1, None).unwrap_err();
    assert_eq!(error, "embedding 0 has 70000 components, beyond DIMENSION_MAX = 65536");
}

/// The limit was on what came: an answer of kilobytes, compressed though nobody had asked for that, became gigabytes.
#[test]
fn an_answer_that_is_compressed_is_limited_by_what_it_becomes() {
    let server = StandIn::start(|request| {
        let plain = answer(request);
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(&plain.body).unwrap();
        packed.write_all(&vec![b' '; 1 << 20]).unwrap();
        let headers = vec![("content-encoding", "gzip".to_owned())];
        Answer { headers, body: packed.finish().unwrap(), ..plain }
    });
    let name = format!("{}/v1?dimensions=3#small", server.url);
    let connect = || RemoteEmbedder::connect_with_key(&name, None).unwrap();
    assert!(connect().embed(&["a"], Role::Plain, Overflow::Error).is_ok());
    let mut strict = connect();
    Arc::get_mut(&mut strict.endpoint).unwrap().response_bytes_max = 64 << 10;
    let refused = reason(strict.embed(&["a"], Role::Plain, Overflow::Error));
    assert!(refused.ends_with("the answer is beyond RESPONSE_BYTES_MAX = 65536 bytes"), "{refused}");
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|request| request.headers["accept-encoding"] == "identity"));
}

/// Whoever may name a URL could have the key sent there.
#[test]
fn the_key_is_for_one_service() {
    let cases = [
        ("https://host/v1", "https://host/v1", true),
        ("https://host/v1", "https://host/v1/", true),
        ("https://host/v1/team", "https://host/v1", true),
        ("https://host/v1", "https://host", true),
        ("https://host/v10", "https://host/v1", false),
        ("https://host/v2", "https://host/v1", false),
        ("http://host/v1", "https://host/v1", false),
        ("https://host.other/v1", "https://host", false),
        ("https://host@other/v1", "https://host", false),
        ("https://host:99/v1", "https://host", false),
        ("https://other/https://host/v1", "https://host/v1", false),
        ("https://host/v1/../v2", "https://host/v1", false),
        ("https://host/v1/a/%2E%2e/b", "https://host/v1", false),
        ("https://host/v1\\..\\v2", "https://host/v1", false),
        ("https://host/v1/a\\..\\..\\v2", "https://host/v1", false),
        ("https://host/v1/a%2F..%2f..%2fv2", "https://host/v1", false),
        ("https://host/v1/%252e%252e/v2", "https://host/v1", false),
        ("https://host/v1/..;a=b/v2", "https://host/v1", false),
        ("https://host/v1/a..b", "https://host/v1", true),
    ];
    for (base, service, is_for) in cases {
        assert_eq!(is_of(base, service), is_for, "{base} {service}");
    }
}

#[test]
fn names_are_understood_or_refused() {
    let name = Name::parse("https://host:1/v1/?dimensions=8#a/b").unwrap();
    assert_eq!((name.base, name.model), ("https://host:1/v1", "a/b"));
    assert_eq!((name.dimensions, name.max_tokens, name.batch, name.timeout), (Some(8), 8_191, 128, 120));
    let name =
        Name::parse("https://h?query_prefix=query:%20&passage_prefix=%C3%A9&batch=3&timeout=9#m").unwrap();
    assert_eq!((name.query_prefix.as_str(), name.passage_prefix.as_str()), ("query: ", "é"));
    assert_eq!((name.batch, name.timeout), (3, 9));
    let refused = [
        ("https://host/v1", "names no model"),
        ("https://host/v1#", "names no model"),
        ("https:///v1#m", "has no host"),
        ("https://user:hunter2@host/v1#m", "a user or password"),
        ("https://user:hunter2@host/v1", "a user or password"),
        ("https://host?dimensions=0#m", "no number from 1 to 65536 as dimensions"),
        ("https://host?dimensions=70000#m", "no number from 1 to 65536 as dimensions"),
        ("https://host?batch=2049#m", "no number from 1 to 2048 as batch"),
        ("https://host?timeout=x#m", "no number from 1 to 3600 as timeout"),
        ("https://host?query_prefix=%2#m", "query_prefix that is not percent-encoded"),
        ("https://host?passage_prefix=%+f#m", "passage_prefix that is not percent-encoded"),
        ("https://host?colour=1#m", "unknown setting colour"),
    ];
    for (name, words) in refused {
        let error = Name::parse(name).unwrap_err().to_string();
        assert!(error.contains(words) && !error.contains("hunter2"), "{name}: {error}");
    }
}

#[test]
fn how_requests_are_sent_makes_no_other_model() {
    let cases = [
        ("https://h/v1?batch=3&timeout=9#m", "https://h/v1#m", true),
        ("https://h/v1?dimensions=8&timeout=9#m", "https://h/v1?batch=3&dimensions=8#m", true),
        ("https://h/v1#m", "https://h/v1#n", false),
        ("https://h/v1#m", "https://h/v2#m", false),
        ("https://h/v1?dimensions=8#m", "https://h/v1?dimensions=9#m", false),
        ("https://h/v1?dimensions=8#m", "https://h/v1#m", false),
        ("https://h/v1?query_prefix=q#m", "https://h/v1#m", false),
        ("https://h/v1?max_tokens=7#m", "https://h/v1#m", false),
        ("a model of the user's own", "a model of the user's own", true),
        ("a model of the user's own", "another", false),
        ("https://h/v1#m", "another", false),
    ];
    for (one, other, same) in cases {
        assert_eq!((same_model(one, other), same_model(other, one)), (same, same), "{one} {other}");
    }
}

/// The texts that the last request held.
fn last_texts(server: &StandIn) -> Vec<String> {
    let body: Value = serde_json::from_slice(&server.requests().last().unwrap().body).unwrap();
    body["input"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[test]
fn prefixes_are_put_before_texts_of_their_role() {
    let server = StandIn::start(answer);
    let name = format!("{}/v1?dimensions=3&query_prefix=query:%20&passage_prefix=text:%20#m", server.url);
    let embedder = RemoteEmbedder::connect_with_key(&name, None).unwrap();
    let info = embedder.info();
    assert_eq!((info.query_prefix.as_str(), info.passage_prefix.as_str()), ("query: ", "text: "));
    for (role, sent) in [
        (Role::Query, ["query: a", "query: "]),
        (Role::Passage, ["text: a", "text: "]),
        (Role::Plain, ["a", " "]),
    ] {
        embedder.embed(&["a", ""], role, Overflow::Error).unwrap();
        assert_eq!(last_texts(&server), sent);
    }
    assert!(embedder.overhead_tokens(Role::Query) > embedder.overhead_tokens(Role::Plain));
}

#[test]
fn what_is_too_long_is_refused_or_cut_before_it_is_sent() {
    let server = StandIn::start(answer);
    let name = format!("{}/v1?dimensions=3&max_tokens=10&batch=2&query_prefix=q#m", server.url);
    let embedder = RemoteEmbedder::connect_with_key(&name, None).unwrap();
    // Three letters a token, and two for the service's own: 24 letters are 8 tokens, one more is too many.
    let (fits, long) = ("x".repeat(24), "x".repeat(25));
    let error = embedder.embed(&[&fits, &long], Role::Plain, Overflow::Error).unwrap_err();
    assert!(
        matches!(&error, Error::TokenLimit { field, tokens: 11, max: 10, .. } if field == "texts[1]"),
        "{error}"
    );
    assert!(server.requests().is_empty());
    let made = embedder.embed(&[&fits, &long, "é日本語日本語"], Role::Plain, Overflow::Truncate).unwrap();
    assert_eq!(made.truncated, [false, true, true]);
    assert_eq!(server.requests().len(), 2, "two texts a request");
    assert_eq!(embedder.texts_at_a_time(), 2);
    // 1.2 tokens, and 1.5 for each of four.
    assert_eq!(last_texts(&server), ["é日本語日"]);
    assert_eq!(made.vectors[1], vector(&fits));
    // The prefix is never cut: a token of its own, and one for what it may change.
    embedder.embed(&[&long], Role::Query, Overflow::Truncate).unwrap();
    assert_eq!(last_texts(&server), [format!("q{}", "x".repeat(18))]);
    let narrow = format!("{}/v1?dimensions=3&max_tokens=2#m", server.url);
    let narrow = RemoteEmbedder::connect_with_key(&narrow, None).unwrap();
    let refused = narrow.embed(&["x"], Role::Plain, Overflow::Truncate).unwrap_err();
    assert!(matches!(refused, Error::TokenLimit { tokens: 3, max: 2, .. }), "{refused}");
}

#[test]
fn openais_models_are_counted_by_their_own_tables() {
    let server = StandIn::start(answer);
    let name = format!("{}/v1?dimensions=3#text-embedding-3-small", server.url);
    let embedder = RemoteEmbedder::connect_with_key(&name, None).unwrap();
    assert_eq!(embedder.count_tokens("hello world"), 2);
}
