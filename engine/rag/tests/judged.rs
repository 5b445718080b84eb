//! Floors of two judged sets, with the default model and every default. The sets are not part of the project: `RAGSTONE_JUDGED_SETS` names a folder
//! with `cranfield` and `libafl-code` in it, each with `docs.jsonl`, `queries.jsonl` and `qrels.tsv`. Where it is not set, the test says so.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};

use ragstone_rag::embed::DEFAULT_MODEL;
use ragstone_rag::evaluate::{JudgedSet, Measure, ingest, measure};
use ragstone_rag::progress::Silent;
use ragstone_rag::retrieve::RetrievalMode;
use ragstone_rag::{CollectionSpec, Rag};

/// A set, and the nDCG@10 that it must not fall below by meaning, by word and by both.
const FLOORS: [(&str, [f64; 3]); 2] =
    [("cranfield", [0.395, 0.375, 0.435]), ("libafl-code", [0.58, 0.62, 0.69])];

fn set(folder: &Path) -> JudgedSet {
    let file = |name| folder.join(name);
    JudgedSet::read(&file("docs.jsonl"), &file("queries.jsonl"), &file("qrels.tsv")).unwrap()
}

#[test]
fn questions_find_their_documents() {
    let Some(folder) = std::env::var_os("RAGSTONE_JUDGED_SETS").map(PathBuf::from) else {
        eprintln!("SKIPPED: RAGSTONE_JUDGED_SETS names no folder of judged sets");
        return;
    };
    for (name, floors) in FLOORS {
        let set = set(&folder.join(name));
        let rag = Rag::in_memory().unwrap();
        rag.create_collection("c", CollectionSpec::with_model(DEFAULT_MODEL)).unwrap();
        ingest(&rag, "c", &set, &Silent).unwrap();
        for (mode, floor) in RetrievalMode::ALL.into_iter().zip(floors) {
            let found = measure(&rag, "c", &set, &Measure::new(mode), &Silent).unwrap();
            println!("{name}, {mode}: {:.4}", found.ndcg_at_10);
            assert!(found.ndcg_at_10 >= floor, "{name}, {mode}: {} < {floor}", found.ndcg_at_10);
        }
    }
}
