//! Cross-encoders of every family against PyTorch, on the tiny random models of `make_tiny_rerankers.py`; and directories that
//! are none.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ragstone_kernels::Isa;
use ragstone_kernels::matrix::Precision;
use ragstone_rag::embed::{LoadOptions, ModelOptions, Models, Overflow};
use ragstone_rag::rerank::{LocalReranker, Reranker, RerankerInfo, ScoreScale, Scores};
use ragstone_rag::{Error, Result};
use serde::Deserialize;

#[derive(Deserialize)]
struct Expected {
    query: String,
    passage: String,
    tokens: usize,
    truncated: bool,
    score: f32,
}

fn tiny(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiny-rerankers").join(name)
}

fn load(directory: &Path) -> Result<LocalReranker> {
    LocalReranker::load(directory, "tiny", LoadOptions::default())
}

/// How far a score may be from the reference's, in each precision. The models are random, so that what rounding takes is more than
/// of a model that has learnt.
const TOLERANCES: [(Precision, f32); 3] =
    [(Precision::Single, 1e-4), (Precision::Half, 2e-2), (Precision::Int8, 0.3)];

fn check(name: &str, scale: ScoreScale, isa: Isa) {
    TOLERANCES.into_iter().for_each(|tolerance| check_within(name, scale, isa, tolerance));
}

fn check_within(name: &str, scale: ScoreScale, isa: Isa, (precision, tolerance): (Precision, f32)) {
    let directory = tiny(name);
    let options = LoadOptions { precision, isa, ..LoadOptions::default() };
    let reranker = LocalReranker::load(&directory, name, options).unwrap();
    assert_eq!(reranker.info().scale, scale, "{name}");
    let expected = fs::read(directory.join("expected.json")).unwrap();
    let expected: Vec<Expected> = serde_json::from_slice(&expected).unwrap();
    assert!(expected.len() >= 18 && expected.iter().any(|case| case.truncated), "{name}");
    for cases in expected.chunk_by(|one, other| one.query == other.query) {
        let passages: Vec<&str> = cases.iter().map(|case| case.passage.as_str()).collect();
        let made = reranker.score_within(&cases[0].query, &passages, Overflow::Truncate).unwrap();
        for (index, case) in cases.iter().enumerate() {
            let place = format!("{name} {isa:?} {precision:?} {:?} {:?}", case.query, case.passage);
            assert_eq!(made.token_counts[index], case.tokens, "{place}");
            assert_eq!(made.truncated[index], case.truncated, "{place}");
            let (ours, theirs) = (made.scores[index], case.score);
            assert!((ours - theirs).abs() < tolerance, "{place}: {ours} for {theirs}");
        }
        assert_eq!(reranker.score(&cases[0].query, &passages).unwrap(), made.scores);
    }
}

#[test]
fn every_family_agrees_with_its_reference() {
    for isa in Isa::available() {
        check("bert-one-sigmoid", ScoreScale::Probability, isa);
        check("bert-two-logits", ScoreScale::Logit, isa);
        check("distilbert-one-f16", ScoreScale::Logit, isa);
        check("mpnet-two-sigmoid", ScoreScale::Probability, isa);
        check("roberta-one-logit", ScoreScale::Logit, isa);
        check("xlm-roberta-one-logit", ScoreScale::Logit, isa);
    }
}

#[test]
fn a_passage_is_scored_alike_whatever_stands_beside_it() {
    let reranker = load(&tiny("bert-two-logits")).unwrap();
    let passages: Vec<String> = (0..40).map(|n| "the quick brown fox ".repeat(n % 7)).collect();
    let passages: Vec<&str> = passages.iter().map(String::as_str).collect();
    let together = reranker.score("what is a fox", &passages).unwrap();
    for (passage, score) in passages.iter().zip(&together) {
        assert_eq!(reranker.score("what is a fox", &[passage]).unwrap(), [*score]);
    }
    assert_ne!(together[1], together[2]);
    assert!(reranker.score("what is a fox", &[]).unwrap().is_empty());
}

#[test]
fn what_is_too_long_is_cut_or_refused_by_name() {
    let reranker = load(&tiny("bert-one-sigmoid")).unwrap();
    let long = "fox ".repeat(100);
    let refused = reranker.score_within("fox", &["fox", &long], Overflow::Error).unwrap_err();
    assert!(
        matches!(&refused, Error::TokenLimit { field, tokens: 104, max: 30, .. } if field == "passages[1]"),
        "{refused}"
    );
    let refused = reranker.score(&long, &["fox"]).unwrap_err();
    assert!(
        matches!(&refused, Error::TokenLimit { field, tokens: 103, max: 30, .. } if field == "query"),
        "{refused}"
    );
    // One token is left for the passage.
    let fits = reranker.score_within(&"fox ".repeat(26), &["fox fox"], Overflow::Truncate).unwrap();
    assert_eq!((fits.token_counts[0], fits.truncated[0]), (30, true));
    let huge = "x".repeat((1 << 20) + 1);
    for (query, passages, name) in [(huge.as_str(), ["a", "a"], "query"), ("a", ["a", &huge], "passages[1]")]
    {
        let refused = reranker.score(query, &passages).unwrap_err();
        assert!(
            matches!(&refused, Error::Limit { field, limit: "TEXT_BYTES_MAX", .. } if field == name),
            "{refused}"
        );
    }
}

/// Copies a tiny re-ranker, with a change to its configuration.
fn changed(name: &str, change: impl FnOnce(&mut serde_json::Value)) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(tiny(name)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, directory.path().join(path.file_name().unwrap())).unwrap();
    }
    let path = directory.path().join("config.json");
    let mut config = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut config);
    fs::write(&path, serde_json::to_vec(&config).unwrap()).unwrap();
    directory
}

#[test]
fn directories_that_are_no_rerankers_say_why() {
    let cases = [
        (
            changed("bert-one-sigmoid", |config| config["architectures"] = ["BertModel"].into()),
            "architectures is BertModel",
        ),
        (
            changed("bert-one-sigmoid", |config| {
                config["id2label"] = serde_json::json!({"0": "a", "1": "b"})
            }),
            "tensor classifier.weight has the shape [1, 24], expected is [2, 24]",
        ),
        (
            changed("bert-two-logits", |config| config["model_type"] = "roberta".into()),
            "tensor classifier.dense.weight is missing",
        ),
    ];
    for (directory, reason) in cases {
        let error = load(directory.path()).err().unwrap().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

fn models(cache: &Path) -> Models {
    Models::new(ModelOptions { cache_dir: cache.to_owned(), offline: true, ..ModelOptions::default() })
}

#[test]
fn rerankers_are_loaded_once_by_name() {
    let cache = tempfile::tempdir().unwrap();
    let models = models(cache.path());
    let path = tiny("bert-one-sigmoid");
    let first = models.reranker(path.to_str().unwrap()).unwrap();
    assert!(Arc::ptr_eq(&first, &models.reranker(path.to_str().unwrap()).unwrap()));
    assert_eq!(first.info().max_tokens, 30);
    assert!(matches!(models.reranker("cross-encoder/absent"), Err(Error::ModelNotFound { .. })));
    assert!(matches!(models.reranker("https://host/v1#m"), Err(Error::Invalid { .. })));
}

/// Scores passages by their length.
struct Length(RerankerInfo);

impl Reranker for Length {
    fn info(&self) -> &RerankerInfo {
        &self.0
    }
    fn score_within(&self, _: &str, passages: &[&str], _: Overflow) -> Result<Scores> {
        Ok(Scores {
            scores: passages.iter().map(|passage| passage.len() as f32).collect(),
            token_counts: passages.iter().map(|passage| passage.len()).collect(),
            truncated: vec![false; passages.len()],
        })
    }
}

#[test]
fn a_reranker_of_ones_own_answers_to_its_name() {
    let cache = tempfile::tempdir().unwrap();
    let models = models(cache.path());
    models.insert_reranker(Arc::new(Length(RerankerInfo {
        name: "length".to_owned(),
        sha256: None,
        max_tokens: 100,
        scale: ScoreScale::Logit,
    })));
    assert_eq!(models.reranker("length").unwrap().score("", &["ab", "c"]).unwrap(), [2.0, 1.0]);
}
