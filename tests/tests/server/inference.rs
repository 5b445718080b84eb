//! Re-ranking and counting tokens, over the wire.

use ragstone_client::{Code, OnOverflow, Rerank, ScoreScale};
use ragstone_server::ServerConfig;

use crate::fixture::{MODEL, Server, config};

/// A tiny cross-encoder of random weights, whose scores PyTorch gave too.
const RERANKER: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../engine/rag/tests/data/tiny-rerankers/bert-one-sigmoid");

async fn server() -> Server {
    Server::start_with(ServerConfig { allow_any_model: true, ..config() }).await
}

#[tokio::test]
async fn passages_come_back_by_their_scores() {
    let server = server().await;
    let client = server.client().await;
    let passages = ["the quick brown fox", "", "A VECTOR store is for text search, 42 dogs!", "a", ""];
    let request = Rerank::new(RERANKER, "what is a dog?", passages);
    let reranked = client.rerank(request.clone()).await.unwrap();
    assert_eq!((reranked.model.max_tokens, reranked.model.scale), (30, ScoreScale::Probability));
    assert_eq!(reranked.model.sha256.as_ref().map(String::len), Some(64));
    let mut indexes: Vec<usize> = reranked.passages.iter().map(|passage| passage.index).collect();
    assert!(reranked.passages.is_sorted_by(|one, other| one.score >= other.score));
    let same = |index| reranked.passages.iter().position(|passage| passage.index == index).unwrap();
    assert_eq!(same(4), same(1) + 1, "of equal scores the one that came first");
    indexes.sort_unstable();
    assert_eq!(indexes, [0, 1, 2, 3, 4]);
    assert!(reranked.passages.iter().all(|passage| !passage.truncated && passage.tokens > 3));

    let models = client.list_models().await.unwrap();
    let listed = models.iter().find(|model| model.name.ends_with("bert-one-sigmoid")).unwrap();
    assert!(listed.loaded && listed.info.is_none());
    assert_eq!(listed.reranker.as_ref(), Some(&reranked.model));

    let best = client.rerank(request.top_k(2)).await.unwrap();
    assert_eq!(best.passages, reranked.passages[..2]);
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_scored_is_named() {
    let server = server().await;
    let client = server.client().await;
    let long = "fox ".repeat(100);
    let cases = [
        (Rerank::new("", "q", ["a"]), "model"),
        (Rerank::new(RERANKER, "", ["a"]), "query"),
        (Rerank::new(RERANKER, long.as_str(), ["a"]), "query"),
        (Rerank::new(RERANKER, "q", ["a", long.as_str()]), "passages[1]"),
        (Rerank::new(RERANKER, "q", vec![""; 1_001]), "passages"),
        (Rerank::new(RERANKER, "q", ["x".repeat((1 << 20) + 1)]), "passages[0]"),
    ];
    for (request, field) in cases {
        let error = client.rerank(request).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{field}: {error}");
        assert_eq!(error.field_violations()[0].field, field, "{error}");
    }
    let cut = Rerank::new(RERANKER, "q", [long.as_str()]).on_overflow(OnOverflow::Truncate);
    let cut = client.rerank(cut).await.unwrap().passages;
    assert_eq!((cut[0].tokens, cut[0].truncated), (30, true));
    assert!(client.rerank(Rerank::new(RERANKER, "q", [""; 0])).await.unwrap().passages.is_empty());
    let error = client.rerank(Rerank::new("cross-encoder/absent", "q", ["a"])).await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::NotFound, Some("MODEL_NOT_FOUND")), "{error}");
    server.stop().await;
}

#[tokio::test]
async fn a_reranker_that_is_not_here_is_the_operators_to_allow() {
    let server = Server::start().await;
    let client = server.client().await;
    let error = client.rerank(Rerank::new(RERANKER, "q", ["a"])).await.unwrap_err();
    assert_eq!(
        (error.code(), error.reason()),
        (Code::PermissionDenied, Some("MODEL_NOT_ALLOWED")),
        "{error}"
    );
    let error = client.count_tokens("org/absent", ["a"]).await.unwrap_err();
    assert_eq!(
        (error.code(), error.reason()),
        (Code::PermissionDenied, Some("MODEL_NOT_ALLOWED")),
        "{error}"
    );
    server.stop().await;
}

#[tokio::test]
async fn tokens_are_those_of_the_model_that_is_named() {
    let server = Server::start().await;
    let client = server.client().await;
    let texts = ["hello world", "", "naïve 日本語 12345"];
    for (model, expected) in
        [("gpt-4o", [2, 0, 8]), ("gpt-4", [2, 0, 10]), (MODEL, [2, 0, 3]), ("", [2, 0, 3])]
    {
        let counts = client.count_tokens(model, texts).await.unwrap();
        assert_eq!((counts.tokens.as_slice(), counts.estimated), (expected.as_slice(), false), "{model}");
    }
    let error = client.count_tokens("gpt-4o", vec![""; 2_049]).await.unwrap_err();
    assert_eq!((error.code(), error.field_violations()[0].field.as_str()), (Code::InvalidArgument, "texts"));
    let error = client.count_tokens("gpt-4o", ["a".to_owned(), "x".repeat((1 << 20) + 1)]).await.unwrap_err();
    assert_eq!(
        (error.code(), error.field_violations()[0].field.as_str()),
        (Code::InvalidArgument, "texts[1]")
    );
    server.stop().await;
}
