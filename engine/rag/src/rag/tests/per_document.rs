//! Shares of documents: as many chunks as are wanted, if so many documents match.

use std::collections::HashMap;

use super::*;
use crate::ingest::ChunkOptions;
use crate::rerank::{Reranker, RerankerInfo, ScoreScale, Scores};
use crate::retrieve::{Rerank, RetrievalMode, RetrieveRequest, RetrievedChunk};

/// One document whose many chunks all come before those of the others, and small ones.
fn one_above_all() -> Fixture {
    let fixture = fixture();
    fixture.rag.db().delete_collection(C).unwrap();
    let chunks = ChunkOptions { tokens: 24, overlap: 0 };
    let spec = CollectionSpec { chunks, ..CollectionSpec::with_model("words") };
    fixture.rag.create_collection(C, spec).unwrap();
    // The first three are told apart by their scores, and each line is a chunk.
    let more = |at: usize| "glaciers ".repeat(3_usize.saturating_sub(at));
    let line = |at: usize| {
        format!(
            "Glaciers and {}glaciers, the glaciers, entry {at}: glaciers of ice and glaciers.\n\n",
            more(at)
        )
    };
    let large: String = (0..150).map(line).collect();
    fixture.rag.ingest(C, document("large.txt", &large)).unwrap();
    for at in 0..30 {
        let some = (0..3)
            .map(|line| format!("Note {at}, line {line}: what is said of glaciers, rivers and lakes.\n\n"));
        fixture.rag.ingest(C, document(&format!("small-{at}.txt"), &some.collect::<String>())).unwrap();
    }
    // Rows that are being linked meanwhile would be found or not.
    fixture.rag.db().compact().unwrap();
    fixture
}

/// What a share leaves of a whole ranking.
fn capped(whole: &[RetrievedChunk], most: usize, k: usize) -> Vec<&RetrievedChunk> {
    let mut shares: HashMap<&str, usize> = HashMap::new();
    let mut kept = Vec::new();
    for found in whole {
        let share = shares.entry(&found.chunk.document).or_default();
        *share += 1;
        if *share <= most && kept.len() < k {
            kept.push(found);
        }
    }
    kept
}

/// How many chunks there are of each document.
fn documents(found: &[RetrievedChunk]) -> HashMap<&str, usize> {
    let mut documents: HashMap<&str, usize> = HashMap::new();
    found.iter().for_each(|found| *documents.entry(&found.chunk.document).or_default() += 1);
    documents
}

#[test]
fn there_are_as_many_chunks_as_documents_allow() {
    let Fixture { rag, folder: _folder } = one_above_all();
    for mode in RetrievalMode::ALL {
        let ask = RetrieveRequest { mode, ..RetrieveRequest::new("glaciers") };
        let whole = rag.retrieve(C, &RetrieveRequest { k: K_MAX, ..ask.clone() }).unwrap().chunks;
        assert!(whole.len() > 200, "{mode}: {}", whole.len());
        let ahead = whole.iter().take_while(|found| found.chunk.document == "large.txt").count();
        assert!(ahead > 4 * 8, "{mode}: {ahead} of the large document come first");
        for (most, k) in [(1, 1), (1, 8), (2, 8), (3, 20), (1, 31), (1, 40), (3, 200)] {
            let request = RetrieveRequest { k, per_document: Some(most), ..ask.clone() };
            let found = rag.retrieve(C, &request).unwrap().chunks;
            let expected = capped(&whole, most, k);
            let enough = documents(&whole).values().map(|chunks| most.min(*chunks)).sum();
            assert_eq!(found.len(), k.min(enough), "{mode}: {most} of {k}");
            assert_eq!(found.len(), expected.len(), "{mode}: {most} of {k}");
            for (found, expected) in found.iter().zip(expected) {
                // Which of two chunks of equal scores stands for a document is not said.
                assert_eq!(found.chunk.document, expected.chunk.document, "{mode}: {most} of {k}");
                assert!((found.score - expected.score).abs() < 1e-5, "{mode}: {most} of {k}");
            }
        }
    }
}

#[test]
fn what_is_too_low_or_said_already_is_not_filled_up_with() {
    let Fixture { rag, folder: _folder } = one_above_all();
    let ask = RetrieveRequest { mode: RetrievalMode::Dense, k: 8, ..RetrieveRequest::new("glaciers") };
    let shared = RetrieveRequest { per_document: Some(1), ..ask.clone() };
    let found = rag.retrieve(C, &shared).unwrap().chunks;
    let least = found[3].score;
    let high = rag.retrieve(C, &RetrieveRequest { min_score: Some(least), ..shared.clone() }).unwrap().chunks;
    let expected: Vec<&RetrievedChunk> = found.iter().filter(|found| found.score >= least).collect();
    assert_eq!(high.iter().collect::<Vec<_>>(), expected);
    assert!(high.len() >= 4);
    // Copies of one note, and one note more: of the copies one is kept, and others come in their places.
    for at in 0..40 {
        let note = "Glaciers, glaciers, glaciers and nothing else but glaciers.";
        rag.ingest(C, document(&format!("copy-{at}.txt"), note)).unwrap();
    }
    for mmr in [None, Some(0.5)] {
        let request = RetrieveRequest { distinct: true, mmr, ..shared.clone() };
        let distinct = rag.retrieve(C, &request).unwrap().chunks;
        assert_eq!(distinct.len(), 8, "{mmr:?}");
        assert!(documents(&distinct).values().all(|chunks| *chunks == 1));
        assert!(distinct.iter().filter(|found| found.chunk.document.starts_with("copy")).count() <= 1);
    }
}

/// Prefers short passages, and says how many it was given.
struct Shortest(RerankerInfo, Arc<std::sync::atomic::AtomicUsize>);

impl Reranker for Shortest {
    fn info(&self) -> &RerankerInfo {
        &self.0
    }

    fn score_within(&self, _: &str, passages: &[&str], _: Overflow) -> Result<Scores> {
        self.1.fetch_add(passages.len(), Ordering::Relaxed);
        Ok(Scores {
            scores: passages.iter().map(|text| -(text.len() as f32)).collect(),
            token_counts: vec![1; passages.len()],
            truncated: vec![false; passages.len()],
        })
    }
}

#[test]
fn a_re_ranker_is_given_chunks_of_enough_documents_once() {
    let Fixture { rag, folder: _folder } = one_above_all();
    let info =
        RerankerInfo { name: "shortest".into(), sha256: None, max_tokens: 512, scale: ScoreScale::Logit };
    let given = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    rag.models().insert_reranker(Arc::new(Shortest(info, given.clone())));
    for min_score in [None, Some(-1e6)] {
        let request = RetrieveRequest {
            k: 8,
            per_document: Some(1),
            min_score,
            rerank: Some(Rerank { candidates: 20, ..Rerank::new("shortest") }),
            ..RetrieveRequest::new("glaciers")
        };
        given.store(0, Ordering::Relaxed);
        let found = rag.retrieve(C, &request).unwrap().chunks;
        assert_eq!(found.len(), 8);
        assert!(documents(&found).values().all(|chunks| *chunks == 1));
        assert!(found.iter().all(|found| found.scores.rerank.is_some()));
        // The twenty, and some of other documents: four times the seven that were missing.
        assert_eq!(given.load(Ordering::Relaxed), 20 + 4 * 7);
    }
}
