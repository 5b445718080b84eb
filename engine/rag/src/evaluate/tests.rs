use std::path::{Path, PathBuf};
use std::sync::Arc;

use ragstone::{Analyzer, Db, TextIndex};

use super::*;
use crate::CollectionSpec;
use crate::embed::{ModelOptions, Models};
use crate::progress::Silent;
use crate::testing::BagOfWords;

fn judged(gains: &[(&str, f64)]) -> Judgements {
    let mut judgements = Judgements::default();
    for (document, gain) in gains {
        assert!(judgements.insert(*document, *gain).is_none());
    }
    judgements
}

/// Worked by hand: 1/log2(2) = 1, 1/log2(3) = 0.63093, 1/log2(4) = 0.5, 1/log2(5) = 0.43068.
#[test]
fn figures_are_those_worked_by_hand() {
    let two = judged(&[("a", 3.0), ("b", 1.0)]);
    let odd = judged(&[("a", 1.0), ("b", 0.0), ("c", -2.0)]);
    // judgements, what was found, n, nDCG, recall, reciprocal rank
    type Case<'a> = (&'a Judgements, &'a [&'a str], usize, f64, f64, f64);
    let cases: [Case<'_>; 9] = [
        (&two, &["a", "b"], 10, 1.0, 1.0, 1.0),
        (&two, &["b", "a"], 10, (1.0 + 3.0 * 0.630_929_753_571) / (3.0 + 0.630_929_753_571), 1.0, 1.0),
        (&two, &["x", "y", "a"], 10, 3.0 * 0.5 / (3.0 + 0.630_929_753_571), 0.5, 1.0 / 3.0),
        (&two, &["x", "y", "a"], 2, 0.0, 0.0, 0.0),
        // The best ranking of one place has `a` alone.
        (&two, &["b"], 1, 1.0 / 3.0, 0.5, 1.0),
        (&two, &[], 10, 0.0, 0.0, 0.0),
        // What was judged and does not answer counts as what was not judged.
        (&odd, &["b", "c", "a"], 10, 0.5, 1.0, 1.0 / 3.0),
        (&odd, &["a"], 10, 1.0, 1.0, 1.0),
        (&judged(&[("a", 0.0)]), &["a"], 10, 0.0, 0.0, 0.0),
    ];
    for (judged, found, n, expected_ndcg, expected_recall, expected_rank) in cases {
        let gains: Vec<f64> = found.iter().map(|document| judged.gain(document)).collect();
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(close(ndcg(&gains, judged, n), expected_ndcg), "{found:?}: {}", ndcg(&gains, judged, n));
        assert!(close(recall(&gains, judged, n), expected_recall), "{found:?}");
        assert!(close(reciprocal_rank(&gains, n), expected_rank), "{found:?}");
    }
}

#[test]
fn latencies_are_those_that_a_part_did_not_exceed() {
    let of = |latencies_ms: Vec<f64>| Measured {
        mode: RetrievalMode::Dense,
        k: 10,
        recall_at_k: 0.0,
        queries: latencies_ms.len(),
        queries_truncated: 0,
        ndcg_at_10: 0.0,
        recall_at_10: 0.0,
        recall_at_100: 0.0,
        mrr_at_10: 0.0,
        latencies_ms,
    };
    let hundred = of((1..=100).map(f64::from).collect());
    assert_eq!([0.5, 0.95, 0.99, 1.0].map(|part| hundred.latency_ms(part)), [50.0, 95.0, 99.0, 100.0]);
    assert_eq!(of(vec![7.0]).latency_ms(0.0), 7.0);
    assert_eq!(of(Vec::new()).latency_ms(0.5), 0.0);
}

/// The files of a set in a folder of their own.
struct Files(tempfile::TempDir);

impl Files {
    fn new(documents: &str, queries: &str, judgements: &str) -> Files {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("docs", documents), ("queries", queries), ("qrels", judgements)] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Files(folder)
    }

    fn read(&self) -> Result<JudgedSet> {
        let file = |name| self.0.path().join(name);
        JudgedSet::read(&file("docs"), &file("queries"), &file("qrels"))
    }
}

const DOCUMENTS_OF_TWO: &str =
    "{\"id\": \"a\", \"title\": \"A\", \"text\": \"one\"}\n{\"_id\": 2, \"text\": \"two\"}\n";
const QUERIES_OF_TWO: &str = "{\"id\": \"q\", \"text\": \"one?\"}\n\n{\"id\": \"r\", \"text\": \"two?\"}\n";

#[test]
fn a_set_is_read_as_others_write_it() {
    let head = "query-id\tcorpus-id\tscore\n";
    for head in ["", head, &format!("\u{feff}{head}")] {
        let qrels = format!("{head}q\ta\t2\r\nq\tgone\t1\nr\t2\t0\nunasked\ta\t1\n");
        let set = Files::new(DOCUMENTS_OF_TWO, QUERIES_OF_TWO, &qrels).read().unwrap();
        assert_eq!((set.documents.len(), set.queries.len()), (2, 1));
        assert_eq!((set.queries_skipped, set.documents_missing), (1, 1), "`r` has no answer");
        assert_eq!((set.documents[1].id.as_str(), set.documents[1].title.as_str()), ("2", ""));
        let judged = &set.queries[0].judgements;
        assert_eq!((judged.gain("a"), judged.gain("gone"), judged.gain("b")), (2.0, 1.0, 0.0));
    }
}

#[test]
fn bad_input_is_named_with_its_file_line_and_field() {
    let qrels = "q\ta\t1\n";
    let (a, q) = ("{\"id\": \"a\", \"text\": \"x\"}\n", "{\"id\": \"q\", \"text\": \"x\"}\n");
    // documents, questions, judgements, what the error says
    let cases: [(&str, &str, &str, &[&str]); 17] = [
        ("{\"id\": \"a\"}\n", q, qrels, &["docs, line 1", "`text`", "missing"]),
        (&format!("{a}{{\"text\": \"x\"}}"), q, qrels, &["docs, line 2", "`id`", "missing"]),
        (&format!("{a}\n{a}"), q, qrels, &["docs, line 3", "`id`", "line 1 too"]),
        ("{\"id\": 1.5, \"text\": \"x\"}", q, qrels, &["docs, line 1", "`id`", "string"]),
        ("{\"id\": \"\", \"text\": \"x\"}", q, qrels, &["docs, line 1", "`id`", "empty"]),
        ("{\"id\": \"a\", \"text\": 7}", q, qrels, &["docs, line 1", "`text`", "not a string"]),
        ("{\"id\": \"a\", \"title\": [], \"text\": \"x\"}", q, qrels, &["docs, line 1", "`title`"]),
        ("[]", q, qrels, &["docs, line 1", "object"]),
        ("{\"id\": ", q, qrels, &["docs, line 1", "JSON"]),
        ("", q, qrels, &["docs", "no document"]),
        (a, "{\"id\": \"q\", \"text\": \" \"}", qrels, &["queries, line 1", "`text`", "empty"]),
        (a, &format!("{q}{q}"), qrels, &["queries, line 2", "`id`", "`q`"]),
        (a, q, "q a 1\n", &["qrels, line 1", "tab"]),
        (a, q, "q\ta\t1\nq\tb\tmuch\n", &["qrels, line 2", "`gain`", "`much`"]),
        (a, q, "q\ta\tinf\n", &["line 1", "gain", "not a finite number"]),
        (a, q, "q\ta\t1\nq\ta\t1\n", &["qrels, line 2", "`document`", "before"]),
        (a, q, "x\ta\t1\n", &["queries", "no document is judged"]),
    ];
    for (documents, queries, qrels, words) in cases {
        let error = Files::new(documents, queries, qrels).read().unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{documents:?} {queries:?} {qrels:?}: {error}");
        }
    }
    let absent = JudgedSet::read(Path::new("/no/such"), Path::new("q"), Path::new("/no/such")).unwrap_err();
    assert!(matches!(absent, Error::Io { .. }), "{absent}");
}

#[test]
fn titles_are_said_once() {
    let of = |title: &str, text: &str| JudgedDocument {
        id: "a".into(),
        title: title.into(),
        text: text.into(),
        origin: Origin { file: "docs".into(), line: 1 },
    };
    assert_eq!(of("On tea", "Leaves.").whole(), "On tea\n\nLeaves.");
    assert_eq!(of("On tea", " On tea . Leaves.").whole(), " On tea . Leaves.");
    assert_eq!(of(" ", "Leaves.").whole(), "Leaves.");
}

fn miniature() -> JudgedSet {
    let file = |name| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/judged").join(name);
    JudgedSet::read(&file("docs.jsonl"), &file("queries.jsonl"), &file("qrels.tsv")).unwrap()
}

fn empty(folder: &Path) -> Rag {
    let models = ModelOptions { cache_dir: folder.to_owned(), offline: true, ..ModelOptions::default() };
    let models = Models::new(models);
    models.insert(Arc::new(BagOfWords::new("words", 256)));
    let rag = Rag::new(Db::in_memory().unwrap(), models);
    rag.create_collection("c", CollectionSpec::with_model("words")).unwrap();
    rag
}

fn over(folder: &Path, set: &JudgedSet) -> Rag {
    let rag = empty(folder);
    let ingested = ingest(&rag, "c", set, &Silent).unwrap();
    assert_eq!(ingested.documents, 30);
    assert!(ingested.chunks > 30, "a long document is split: {ingested:?}");
    rag
}

/// nDCG@10, recall@10, recall@100 and MRR@10 of the miniature set by word.
const EXPECTED_TEXT: [f64; 4] = [0.982_514_590_870, 0.958_333_333_333, 0.958_333_333_333, 1.0];

/// The same by an index of its own over the chunks, without a database and without a retrieval.
fn by_an_index_alone(rag: &Rag, set: &JudgedSet) -> [f64; 4] {
    let chunks: Vec<_> =
        set.documents.iter().flat_map(|document| rag.chunks("c", &document.id).unwrap()).collect();
    let texts: Vec<&str> = chunks.iter().map(|chunk| chunk.text.as_str()).collect();
    let index = TextIndex::build(Analyzer::English, &texts);
    let mut sums = [0.0; 4];
    for query in &set.queries {
        let mut documents: Vec<&str> = Vec::new();
        for (row, _) in index.search(&query.text, texts.len()) {
            let document = chunks[row as usize].document.as_str();
            if !documents.contains(&document) {
                documents.push(document);
            }
        }
        let judged = &query.judgements;
        let gains: Vec<f64> = documents.iter().map(|document| judged.gain(document)).collect();
        sums[0] += ndcg(&gains, judged, 10);
        sums[1] += recall(&gains, judged, 10);
        sums[2] += recall(&gains, judged, 100);
        sums[3] += reciprocal_rank(&gains, 10);
    }
    sums.map(|sum| sum / set.queries.len() as f64)
}

#[test]
fn the_miniature_set_has_the_figures_of_an_index_alone() {
    let folder = tempfile::tempdir().unwrap();
    let set = miniature();
    assert_eq!((set.documents.len(), set.queries.len(), set.queries_skipped), (30, 12, 2));
    let rag = over(folder.path(), &set);
    let text = measure(&rag, "c", &set, &Measure::new(RetrievalMode::Text), &Silent).unwrap();
    let figures = [text.ndcg_at_10, text.recall_at_10, text.recall_at_100, text.mrr_at_10];
    for expected in [by_an_index_alone(&rag, &set), EXPECTED_TEXT] {
        assert!(figures.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{figures:?} {expected:?}");
    }
    assert_eq!((text.k, text.recall_at_k), (10, text.recall_at_10));
    assert_eq!((text.queries, text.queries_truncated, text.latencies_ms.len()), (12, 0, 12));
    for mode in [RetrievalMode::Dense, RetrievalMode::Hybrid] {
        let measured = measure(&rag, "c", &set, &Measure { k: 3, ..Measure::new(mode) }, &Silent).unwrap();
        assert!(measured.k == 3 && measured.recall_at_k <= measured.recall_at_10, "{measured:?}");
        assert!(measured.ndcg_at_10 > 0.5 && measured.recall_at_100 > 0.95, "{measured:?}");
    }
}

#[test]
fn a_document_is_there_once_by_its_best_chunk() {
    let folder = tempfile::tempdir().unwrap();
    let rag = over(folder.path(), &miniature());
    let request =
        |k| RetrieveRequest { k, mode: RetrievalMode::Text, ..RetrieveRequest::new("lighthouse keeper") };
    let chunks = rag.retrieve("c", &request(10)).unwrap().chunks;
    assert!(chunks.iter().filter(|found| found.chunk.document == "lighthouse").count() > 1, "{chunks:?}");
    let alone = ranked(&rag, "c", request(1), DOCUMENTS).unwrap().documents;
    assert_eq!(alone, ["lighthouse"], "more chunks are asked for");
    let long =
        RetrieveRequest { overflow: Overflow::Truncate, ..RetrieveRequest::new("lighthouse ".repeat(300)) };
    let ranked = ranked(&rag, "c", long, DOCUMENTS).unwrap();
    assert!(ranked.truncated);
    assert_eq!(ranked.documents[0], "lighthouse");
}

/// Recall among the first 200 documents was that among the first 100.
#[test]
fn recall_is_counted_among_as_many_documents_as_chunks_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let origin = |line: usize| Origin { file: "set".into(), line };
    let mut set = JudgedSet::default();
    let mut judgements = Judgements::default();
    for line in 1..=DOCUMENTS + 25 {
        let (id, text) = (format!("d{line}"), format!("apples of tree {line}"));
        judgements.insert(id.as_str(), 1.0);
        set.documents.push(JudgedDocument { id, title: String::new(), text, origin: origin(line) });
    }
    set.queries.push(JudgedQuery { id: "q".into(), text: "apples".into(), judgements, origin: origin(1) });
    let rag = empty(folder.path());
    ingest(&rag, "c", &set, &Silent).unwrap();
    let text = Measure { k: DOCUMENTS + 25, ..Measure::new(RetrievalMode::Text) };
    let measured = measure(&rag, "c", &set, &text, &Silent).unwrap();
    assert_eq!((measured.recall_at_k, measured.recall_at_100, measured.recall_at_10), (1.0, 0.8, 0.08));
}
