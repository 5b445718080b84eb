//! Finding chunks, in each mode.

use std::collections::HashMap;

use ragstone::query::{Fuse, Nearest, Query, Rescore, Source};
use ragstone::{Analyzer, PointId, Schema, View};

use super::*;
use crate::ingest::ChunkOptions;
use crate::rag::searching::in_chunks;
use crate::reserved::TEXT;
use crate::retrieve::feedback::{HEARD, SPEAKING, agreement, moved, said};
use crate::retrieve::fuse::{self, Candidate, Second};
use crate::retrieve::{RetrievalMode, RetrieveRequest};

fn ask(mode: RetrievalMode, question: &str) -> RetrieveRequest {
    RetrieveRequest { mode, ..RetrieveRequest::new(question) }
}

fn three_topics(rag: &Rag) {
    for topic in ["volcanoes", "glaciers", "deserts"] {
        let mut input = document(&format!("{topic}.md"), &long(topic, 3));
        input.metadata.insert("topic".into(), Value::from(topic));
        rag.ingest(C, input).unwrap();
    }
}

#[test]
fn each_mode_finds_chunks_and_says_by_which_scores() {
    let Fixture { rag, folder: _folder } = fixture();
    three_topics(&rag);
    for mode in RetrievalMode::ALL {
        let found = rag.retrieve(C, &RetrieveRequest { k: 3, ..ask(mode, "glaciers") }).unwrap();
        assert_eq!(found.chunks.len(), 3, "{mode}");
        assert!(found.chunks.is_sorted_by(|a, b| a.score >= b.score), "{mode}");
        for chunk in &found.chunks {
            assert_eq!(chunk.chunk.document, "glaciers.md", "{mode}");
            assert_eq!(chunk.scores.nearness.is_some(), mode != RetrievalMode::Text, "{mode}");
            assert_eq!(chunk.scores.words.is_some(), mode != RetrievalMode::Dense, "{mode}");
        }
        let stages: Vec<_> = found.timings_ms.iter().map(|(stage, _)| *stage).collect();
        let expected: &[_] = if mode == RetrievalMode::Text {
            &["search", "select", "total"]
        } else {
            &["embed", "search", "select", "total"]
        };
        assert_eq!(stages, expected, "{mode}");
    }
    // By word, the rows of documents are not found, though they hold the same text, nor do they count.
    let all = rag.retrieve(C, &RetrieveRequest { k: 1_000, ..ask(RetrievalMode::Text, "part") }).unwrap();
    let chunks: usize = ["volcanoes", "glaciers", "deserts"]
        .map(|topic| rag.chunks(C, &format!("{topic}.md")).unwrap().len())
        .iter()
        .sum();
    assert_eq!(all.chunks.len(), chunks);
}

#[test]
fn candidates_of_both_sides_get_both_exact_scores() {
    let Fixture { rag, folder: _folder } = fixture();
    three_topics(&rag);
    let k = 1_000;
    let of =
        |mode| rag.retrieve(C, &RetrieveRequest { k, ..ask(mode, "the glaciers of part 2") }).unwrap().chunks;
    let (dense, text) = (of(RetrievalMode::Dense), of(RetrievalMode::Text));
    let hybrid = of(RetrievalMode::Hybrid);
    assert_eq!(hybrid.len(), dense.len(), "every chunk has a vector");
    for found in &hybrid {
        let same = |other: &&crate::retrieve::RetrievedChunk| other.chunk == found.chunk;
        let near = dense.iter().find(same).and_then(|other| other.scores.nearness).unwrap();
        let words = text.iter().find(same).and_then(|other| other.scores.words).unwrap_or(0.0);
        assert!((found.scores.nearness.unwrap() - near).abs() < 1e-5);
        assert!((found.scores.words.unwrap() - words).abs() < 1e-5);
        assert!((0.0..=1.0).contains(&found.score), "{}", found.score);
    }
}

/// Both sides searched anew for every score.
fn searched_for_each_score(view: &View, question: &str, vector: &[f32]) -> Vec<(PointId, f32)> {
    const SIZE: usize = 400;
    let scores = |by: Source| -> HashMap<PointId, f32> {
        let sides: [Source; 2] = [Nearest::new(vector.to_vec()).into(), in_chunks(question).into()];
        let from = Fuse::reciprocal_rank(sides).candidates(SIZE);
        let query = Query::new(Rescore::new(from, by).candidates(SIZE), SIZE);
        let found = view.query(&query.filter(reserved::only_chunks(None))).unwrap();
        found.hits.into_iter().map(|hit| (hit.point.id, hit.score.unwrap())).collect()
    };
    let by_words = scores(in_chunks(question).into());
    let candidate = |(id, nearness): (PointId, f32)| {
        let words = by_words.get(&id).copied().unwrap_or_default();
        Candidate { id, nearness, words }
    };
    let near = scores(Nearest::new(vector.to_vec()).into());
    let first = fuse::first(near.into_iter().map(candidate).collect());
    assert_eq!(first.len(), SIZE, "more match than are candidates");
    let firsts: Vec<f32> = first.iter().take(HEARD).map(|(score, _)| *score).collect();
    let ids: Vec<PointId> = first.iter().take(HEARD).map(|(_, candidate)| candidate.id.clone()).collect();
    let best: Vec<Point> = view.get(&ids).unwrap().into_iter().flatten().collect();
    let texts: Vec<&str> = best.iter().map(|point| point.payload[TEXT].as_str().unwrap()).collect();
    let said = said(&firsts.iter().copied().zip(texts).collect::<Vec<_>>());
    let vectors: Vec<&[f32]> =
        best.iter().take(SPEAKING).filter_map(|point| point.vector.as_deref()).collect();
    let near = scores(Nearest::new(moved(vector, &vectors)).into());
    let said = scores(in_chunks(&said).into());
    let heard = |(_, candidate): (f32, Candidate)| {
        let of = |scores: &HashMap<PointId, f32>| scores.get(&candidate.id).copied().unwrap_or_default();
        let second = Second { nearness: of(&near), words: of(&said) };
        (candidate, second)
    };
    let second = fuse::second(first.into_iter().map(heard).collect(), agreement(&firsts));
    second.into_iter().map(|(score, candidate)| (candidate.id, score)).collect()
}

#[test]
fn one_search_of_each_side_ranks_as_a_search_for_each_score_does() {
    let Fixture { rag, folder: _folder } = fixture();
    rag.db().delete_collection(C).unwrap();
    let spec = CollectionSpec {
        chunks: ChunkOptions { tokens: 32, overlap: 0 },
        ..CollectionSpec::with_model("words")
    };
    rag.create_collection(C, spec).unwrap();
    for topic in ["volcanoes", "glaciers", "deserts"] {
        rag.ingest(C, document(&format!("{topic}.md"), &long(topic, 40))).unwrap();
    }
    // Rows that are being linked meanwhile would be found by the one or the other.
    rag.db().compact().unwrap();
    let view = rag.db().collection(C).unwrap().view();
    for question in ["the glaciers of part 2", "deserts", "described volcanoes and glaciers of part 17"] {
        let mut vectors =
            rag.embed(Some("words"), &[question], Role::Query, Overflow::Error).unwrap().vectors;
        let expected = searched_for_each_score(&view, question, &vectors.remove(0));
        for k in [1, 8, 200] {
            let found =
                rag.retrieve(C, &RetrieveRequest { k, ..ask(RetrievalMode::Hybrid, question) }).unwrap();
            let found: Vec<(PointId, f32)> = found
                .chunks
                .iter()
                .map(|found| (reserved::chunk_row(&found.chunk.document, found.chunk.ordinal), found.score))
                .collect();
            assert_eq!(found, expected[..k], "{question}");
        }
    }
}

/// A question whose nearest chunks are copies got one of them and nothing else, though others match.
#[test]
fn copies_do_not_keep_others_out() {
    let Fixture { rag, folder: _folder } = fixture();
    for at in 0..60 {
        let copy = "Glaciers, glaciers, glaciers and nothing else but glaciers.";
        rag.ingest(C, document(&format!("copy-{at}.txt"), copy)).unwrap();
    }
    for at in 0..12 {
        let note = format!("Note {at} is about glaciers, rivers and lakes.");
        rag.ingest(C, document(&format!("note-{at}.txt"), &note)).unwrap();
    }
    // Rows that are being linked meanwhile would be found or not.
    rag.db().compact().unwrap();
    for mode in RetrievalMode::ALL {
        let request = RetrieveRequest { k: 8, distinct: true, ..ask(mode, "glaciers") };
        let found = rag.retrieve(C, &request).unwrap().chunks;
        let copies = found.iter().filter(|found| found.chunk.document.starts_with("copy")).count();
        assert_eq!((found.len(), copies), (8, 1), "{mode}");
        let all = rag.retrieve(C, &RetrieveRequest { k: 40, ..request }).unwrap().chunks;
        assert_eq!(all.len(), 1 + 12, "{mode}: more are not there");
    }
}

#[test]
fn filters_hold_in_every_mode() {
    let Fixture { rag, folder: _folder } = fixture();
    three_topics(&rag);
    for mode in RetrievalMode::ALL {
        let mut request = ask(mode, "What are glaciers?");
        request.filter = Some(Filter::eq("topic", "deserts"));
        let found = rag.retrieve(C, &request).unwrap().chunks;
        assert!(found.iter().all(|found| found.chunk.document == "deserts.md"), "{mode}");
        assert_eq!(
            found.is_empty(),
            mode == RetrievalMode::Text,
            "{mode}: no word of the question is in deserts.md"
        );
        request.filter = Some(Filter::eq("colour", 1));
        let error = rag.retrieve(C, &request).unwrap_err().to_string();
        assert!(error.starts_with("filter.colour"), "{mode}: {error}");
    }
}

#[test]
fn words_of_headings_are_found_in_every_chunk_below_them() {
    let Fixture { rag, folder: _folder } = fixture();
    rag.ingest(
        C,
        document("a.md", &format!("# Zanzibar\n\n## Climate\n\n{}", "It rains a lot there. ".repeat(60))),
    )
    .unwrap();
    rag.ingest(C, document("b.md", "# Oslo\n\nIt snows a lot there.")).unwrap();
    let found = rag.retrieve(C, &ask(RetrievalMode::Text, "zanzibar")).unwrap().chunks;
    assert!(found.len() > 1 && found.iter().all(|found| found.chunk.document == "a.md"), "{found:?}");
    assert!(found.iter().any(|found| !found.chunk.text.contains("Zanzibar")));
}

#[test]
fn by_word_no_model_is_needed() {
    let Fixture { rag, folder } = fixture();
    three_topics(&rag);
    let without = Rag::new(rag.db().clone(), models(folder.path(), []));
    assert!(!without.retrieve(C, &ask(RetrievalMode::Text, "glaciers")).unwrap().chunks.is_empty());
    for mode in [RetrievalMode::Dense, RetrievalMode::Hybrid] {
        assert!(
            matches!(without.retrieve(C, &ask(mode, "glaciers")), Err(Error::ModelNotFound { .. })),
            "{mode}"
        );
    }
}

#[test]
fn a_collection_says_how_its_documents_are_split() {
    let Fixture { rag, folder: _folder } = fixture();
    let chunks = ChunkOptions { tokens: 40, overlap: 0 };
    let spec = CollectionSpec { chunks, analyzer: Analyzer::German, ..CollectionSpec::with_model("words") };
    let made = rag.create_collection("small", spec).unwrap();
    assert_eq!(made.schema.texts().get(TEXT), Some(&Analyzer::German));
    let text = long("alpha", 3);
    let small = rag.ingest("small", document("a.md", &text)).unwrap();
    let usual = rag.ingest(C, document("a.md", &text)).unwrap();
    assert!(small.chunks > 3 * usual.chunks, "{small:?} {usual:?}");
    assert_eq!(rag.ingest("small", document("a.md", &text)).unwrap().status, IngestStatus::Unchanged);
    for (tokens, overlap, field) in [(15, 0, "chunks.tokens"), (100, 51, "chunks.overlap")] {
        let chunks = ChunkOptions { tokens, overlap };
        let spec = CollectionSpec { chunks, ..CollectionSpec::with_model("words") };
        assert_eq!(field_of(&rag.create_collection("other", spec).unwrap_err()), field);
    }
}

#[test]
fn what_is_refused_names_the_part_of_the_request() {
    let Fixture { rag, folder: _folder } = fixture();
    three_topics(&rag);
    let many: String = (0..2_000).map(|at| format!("word{at} ")).collect();
    let cases = [
        ("question", ask(RetrievalMode::Text, " ")),
        ("question", ask(RetrievalMode::Text, &many)),
        ("question", ask(RetrievalMode::Hybrid, &"word ".repeat(300))),
        ("k", RetrieveRequest { k: 0, ..ask(RetrievalMode::Hybrid, "x") }),
        ("k", RetrieveRequest { k: K_MAX + 1, ..ask(RetrievalMode::Text, "x") }),
    ];
    for (field, request) in cases {
        assert_eq!(field_of(&rag.retrieve(C, &request).unwrap_err()), field);
    }
    let most = RetrieveRequest { k: K_MAX, ..ask(RetrievalMode::Hybrid, "glaciers") };
    assert!(!rag.retrieve(C, &most).unwrap().chunks.is_empty());
    // One that was made when chunks were not searched by word.
    let contract =
        rag.db().collection(C).unwrap().schema().attributes()[crate::reserved::MODEL_ATTRIBUTE].clone();
    let old = Schema::builder(DIMENSION).attribute(crate::reserved::MODEL_ATTRIBUTE, contract);
    let old = crate::reserved::FIELDS.iter().fold(old, |old, (field, kind)| old.field(*field, *kind));
    rag.db().create_collection("old", old.build().unwrap()).unwrap();
    rag.ingest("old", document("a.md", "glaciers")).unwrap();
    assert_eq!(field_of(&rag.retrieve("old", &ask(RetrievalMode::Hybrid, "glaciers")).unwrap_err()), "mode");
    assert_eq!(rag.retrieve("old", &ask(RetrievalMode::Dense, "glaciers")).unwrap().chunks.len(), 1);
}
