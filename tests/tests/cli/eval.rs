//! `ragstone eval` on the miniature set, and on input that is wrong.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::support::{Scratch, model};

fn judged(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../engine/rag/tests/data/judged");
    folder.join(name).to_str().unwrap().to_owned()
}

/// The arguments that name the set's files.
fn files() -> [String; 6] {
    let [docs, queries, qrels] = ["docs.jsonl", "queries.jsonl", "qrels.tsv"].map(judged);
    ["--docs".into(), docs, "--queries".into(), queries, "--qrels".into(), qrels]
}

fn arguments<'a>(files: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    let names = files.iter().map(String::as_str);
    ["eval"].into_iter().chain(names).chain(more.iter().copied()).collect()
}

fn figure(measured: &Value, name: &str) -> f64 {
    measured[name].as_f64().unwrap_or_else(|| panic!("no {name} in {measured}"))
}

#[test]
fn a_judged_set_is_measured_in_each_mode() {
    let scratch = Scratch::new();
    let files = files();
    let more = ["--model", model(), "--mode", "dense,text,hybrid"];
    let output = scratch.run(&["--json"], &arguments(&files, &more));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(err.contains("Ingesting") && err.contains("2 questions"), "progress and notes: {err}");
    let measured: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let modes: Vec<&str> = measured.iter().filter_map(|measured| measured["mode"].as_str()).collect();
    assert_eq!(modes, ["dense", "text", "hybrid"]);
    for measured in &measured {
        assert_eq!((&measured["documents"], &measured["queries"]), (&30.into(), &12.into()), "{measured}");
        assert!(figure(measured, "ndcg_at_10") > 0.8, "{measured}");
        assert_eq!((&measured["k"], &measured["recall_at_k"]), (&10.into(), &measured["recall_at_10"]));
        assert!(
            figure(measured, "recall_at_100") > 0.95 && figure(measured, "mrr_at_10") > 0.8,
            "{measured}"
        );
        let latency = |part| figure(&measured["latency_ms"], part);
        assert!(latency("p50") > 0.0 && latency("p50") <= latency("p95") && latency("p95") <= latency("p99"));
    }
    assert!(!Path::new(&scratch.path("ragstone-data")).exists(), "nothing is kept");

    let one = scratch.json(&[], &arguments(&files, &["--model", model(), "--chunk", "32/4", "-k", "3"]));
    assert!(one["k"] == 3 && figure(&one, "recall_at_k") <= figure(&one, "recall_at_10"), "{one}");
    assert_eq!((&one["mode"], &one["chunk"]["tokens"]), (&"hybrid".into(), &32.into()), "{one}");
    assert!(figure(&one, "chunks") > figure(&measured[0], "chunks"));
    let shown = scratch.run(&["--quiet"], &arguments(&files, &["--model", model(), "--mode", "text"]));
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(
        shown.contains("nDCG@10") && shown.contains("recall@100") && shown.contains("\ntext "),
        "{shown}"
    );
}

#[test]
fn bad_sets_and_bad_arguments_are_clear_errors() {
    let scratch = Scratch::new();
    scratch.write("docs.jsonl", b"{\"id\": \"a\", \"text\": \"x\"}\n{\"id\": \"b\"}\n");
    scratch.write("queries.jsonl", b"{\"id\": \"q\", \"text\": \"x\"}\n");
    scratch.write("qrels.tsv", b"q\ta\t1\nq\tb\n");
    let good = files();
    let with = |at: usize, name: &str| {
        let mut files = good.clone();
        files[at] = scratch.path(name);
        files
    };
    let cases = [
        (with(1, "docs.jsonl"), ["docs.jsonl, line 2", "`text`"]),
        (with(5, "qrels.tsv"), ["qrels.tsv, line 2", "tab"]),
        (with(3, "queries.jsonl"), ["queries.jsonl", "no document is judged"]),
        (with(3, "absent.jsonl"), ["absent.jsonl", "open"]),
    ];
    for (files, words) in &cases {
        scratch.fails(&[], &arguments(files, &[]), words);
    }
    scratch.fails(&[], &arguments(&good, &["-k", "0", "--model", model()]), &["k"]);
    let refused: [(&[&str], &str); 4] = [
        (&["--mode", "sparse"], "dense, text and hybrid"),
        (&["--chunk", "8"], "chunk.tokens"),
        (&["--analyzer", "klingon"], "klingon"),
        (&["--url", "http://127.0.0.1:1"], "no --url"),
    ];
    for (more, word) in refused {
        let output = scratch.run(&[], &arguments(&good, more));
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(word), "{error}");
    }
}
