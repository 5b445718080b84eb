//! What a re-ranker does to what is found.

use super::enrichment::{check, topics};
use super::*;
use crate::limits::RERANK_PASSAGES_MAX;
use crate::rerank::{Reranker, RerankerInfo, ScoreScale, Scores};
use crate::retrieve::{Rerank, RetrieveRequest};

/// Prefers passages that say `line 7`, whatever the question is.
struct Sevens(RerankerInfo);

impl Sevens {
    fn new() -> Sevens {
        Sevens(RerankerInfo {
            name: "sevens".into(),
            sha256: None,
            max_tokens: 512,
            scale: ScoreScale::Logit,
        })
    }
}

impl Reranker for Sevens {
    fn info(&self) -> &RerankerInfo {
        &self.0
    }

    fn score_within(&self, query: &str, passages: &[&str], _: Overflow) -> Result<Scores> {
        assert!(!query.is_empty());
        let score = |text: &&str| if text.contains("line 7") { 3.0 } else { -5.0 - text.len() as f32 / 1e4 };
        Ok(Scores {
            scores: passages.iter().map(score).collect(),
            token_counts: vec![1; passages.len()],
            truncated: passages.iter().map(|text| text.contains("line 7")).collect(),
        })
    }
}

#[test]
fn a_re_ranker_has_the_last_word_on_what_was_found() {
    let Fixture { rag, folder: _folder } = topics();
    rag.models().insert_reranker(Arc::new(Sevens::new()));
    let ask = RetrieveRequest { k: 6, ..RetrieveRequest::new("openly known glaciers number 1") };
    let plain = rag.retrieve(C, &ask).unwrap();
    assert!(plain.chunks.iter().all(|found| found.scores.rerank.is_none()));
    let rerank = Rerank { candidates: 12, ..Rerank::new("sevens") };
    let request = RetrieveRequest { rerank: Some(rerank), ..ask.clone() };
    let found = rag.retrieve(C, &request).unwrap();
    assert_eq!(found.chunks.len(), 6);
    assert!(found.chunks[0].chunk.text.contains("line 7"), "{:?}", found.chunks[0]);
    assert!(found.chunks.is_sorted_by(|a, b| a.score >= b.score) && found.rerank_truncated > 0);
    let wide = rag.retrieve(C, &RetrieveRequest { k: 12, ..ask }).unwrap().chunks;
    for chunk in &found.chunks {
        let before = wide.iter().find(|other| other.chunk == chunk.chunk).expect("of the candidates");
        assert_eq!(chunk.scores.hybrid, before.scores.hybrid);
        assert_eq!(chunk.scores.rerank, Some(chunk.score));
    }
    let stages: Vec<_> = found.timings_ms.iter().map(|(stage, _)| *stage).collect();
    assert_eq!(stages, ["embed", "search", "rerank", "select", "total"]);
    let request = EnrichRequest {
        rerank: Some(Rerank::new("sevens")),
        mmr: Some(0.9),
        min_score: Some(0.0),
        ..EnrichRequest::new("openly known glaciers number 1")
    };
    let enriched = rag.enrich(C, &request).unwrap();
    check(&rag, &enriched);
    assert!(!enriched.citations.is_empty() && enriched.citations.iter().all(|it| it.text.contains("line 7")));
    for (rerank, k, field) in [
        (Rerank::new(" "), 1, "rerank.model"),
        (Rerank { candidates: 0, ..Rerank::new("sevens") }, 1, "rerank.candidates"),
        (Rerank { candidates: RERANK_PASSAGES_MAX + 1, ..Rerank::new("sevens") }, 1, "rerank.candidates"),
        (Rerank::new("sevens"), RERANK_PASSAGES_MAX + 1, "k"),
    ] {
        let request = RetrieveRequest { rerank: Some(rerank), k, ..RetrieveRequest::new("x") };
        assert_eq!(refusals::field_of(&rag.retrieve(C, &request).unwrap_err()), field);
    }
    let absent = RetrieveRequest { rerank: Some(Rerank::new("absent")), ..RetrieveRequest::new("x") };
    assert!(matches!(rag.retrieve(C, &absent), Err(Error::ModelNotFound { .. })));
}
