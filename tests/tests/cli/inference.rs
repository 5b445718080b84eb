//! `rerank` and `count-tokens`.

use crate::in_both_places_without_a_model;
use crate::support::Scratch;

const RERANKER: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../engine/rag/tests/data/tiny-rerankers/bert-one-sigmoid");

#[test]
fn rerank_prints_passages_by_their_scores() {
    let scratch = Scratch::new();
    let rerank = ["rerank", "--model", RERANKER, "what is a dog?", "the quick brown fox", "a", "text search"];
    let printed = scratch.json(&[], &rerank);
    let passages = printed["passages"].as_array().unwrap();
    assert_eq!(passages.len(), 3);
    let scores: Vec<f64> = passages.iter().map(|passage| passage["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|one, other| one >= other) && scores[0] > scores[2], "{printed}");
    let best = scratch.json(&[], &[&rerank[..], &["--top-k", "2"]].concat());
    assert_eq!(best["passages"].as_array().unwrap(), &passages[..2]);
    scratch.fails(&[], &[&rerank[..], &["--top-k", "0"]].concat(), &["--top-k"]);
    let long = "fox ".repeat(100);
    scratch.fails(&[], &["rerank", "--model", RERANKER, "fox", &long], &["passages[0]", "tokens"]);
    let cut = ["rerank", "--model", RERANKER, "--on-overflow", "truncate", "fox", &long];
    assert_eq!(scratch.json(&[], &cut)["passages"][0]["truncated"], true);
}

#[test]
fn count_tokens_counts_for_the_model_that_is_named() {
    in_both_places_without_a_model(|scratch, place| {
        let counts = scratch.json(place, &["count-tokens", "--model", "gpt-4o", "hello world", ""]);
        assert_eq!(counts["tokens"], serde_json::json!([2, 0]));
        assert_eq!(counts["estimated"], false);
    });
    let scratch = Scratch::new();
    let counts = scratch.json(&[], &["count-tokens", "--model", "https://host/v1#unknown", "hello world"]);
    assert_eq!((&counts["tokens"][0], &counts["estimated"]), (&4.into(), &true.into()));
    let counts = scratch.json(&[], &["count-tokens", "--model", RERANKER, "the quick brown fox"]);
    assert_eq!(counts["tokens"][0], 4);
}
