//! Points of a user's own: written, changed, read, counted, searched and removed.

use serde_json::{Value, json};

use crate::support::Scratch;

const PAPERS: &str = r#"
{"id": 1, "vector": [1.0, 0.0], "payload": {"title": "Tea", "year": 2019, "lang": "en", "tags": ["drink", "leaf"]}}
{"id": 2, "vector": [0.9, 0.1], "payload": {"title": "Tee", "year": 2021, "lang": "de", "tags": ["drink"]}}
{"id": "moon", "vector": [0.0, 1.0], "payload": {"title": "Moon", "year": 2024, "lang": "en", "read": "2026-11-22T10:30:00Z"}}

{"id": "sun", "vector": [0.2, 0.9], "payload": {"title": "Sun", "year": 2025, "lang": "en", "at": {"lat": 52.5, "lon": 13.4}}}
"#;

/// A collection `papers` with four points.
fn papers(scratch: &Scratch, place: &[&str]) {
    let create = [
        "collection",
        "create",
        "papers",
        "--dimension",
        "2",
        "--field",
        "read=timestamp",
        "--field",
        "score=float",
    ];
    scratch.json(place, &create);
    scratch.write("papers.jsonl", PAPERS.as_bytes());
    let written = scratch.json(place, &["points", "upsert", "-c", "papers", &scratch.path("papers.jsonl")]);
    assert_eq!(written["points"], 4, "{written}");
}

fn ids(found: &Value) -> Vec<Value> {
    found["hits"].as_array().unwrap().iter().map(|hit| hit["id"].clone()).collect()
}

#[test]
fn points_are_written_read_and_come_back_as_they_were() {
    crate::in_both_places_without_a_model(|scratch, place| {
        papers(scratch, place);
        let found =
            scratch.json(place, &["points", "get", "-c", "papers", "moon", "7", "1", "--with-vectors"]);
        let points = found["points"].as_array().unwrap();
        assert_eq!(points.len(), 2, "{found}");
        assert_eq!(points[0]["id"], "moon");
        assert_eq!(points[0]["payload"]["read"], "2026-11-22T10:30:00Z");
        assert_eq!(points[1]["vector"], json!([1.0, 0.0]));
        assert_eq!(points[1]["payload"]["tags"], json!(["drink", "leaf"]));

        // What is printed can be read again: into another collection, by a pipe.
        scratch
            .json(place, &["collection", "create", "copy", "--dimension", "2", "--field", "read=timestamp"]);
        let all = scratch
            .run(place, &["points", "scroll", "-c", "papers", "--all", "--with-vectors", "--limit", "3"]);
        assert_eq!(String::from_utf8_lossy(&all.stdout).lines().count(), 4);
        scratch.write("all.jsonl", &all.stdout);
        scratch.json(place, &["points", "upsert", "-c", "copy", "--batch", "2", &scratch.path("all.jsonl")]);
        let strip = |mut page: Value| {
            page["points"].as_array_mut().unwrap().iter_mut().for_each(|point| point["etag"] = Value::Null);
            page
        };
        let scroll = |collection: &str| {
            strip(scratch.json(place, &["points", "scroll", "-c", collection, "--with-vectors"]))
        };
        assert_eq!(scroll("papers"), scroll("copy"));
    });
}

#[test]
fn points_are_searched_by_every_source() {
    crate::in_both_places_without_a_model(|scratch, place| {
        papers(scratch, place);
        let search = |more: &[&str]| scratch.json(place, &[&["search", "-c", "papers"], more].concat());
        assert_eq!(ids(&search(&["--vector", "[1, 0]", "-k", "2"])), [json!(1), json!(2)]);
        scratch.write("vector.json", b"[0.0, 1.0]");
        assert_eq!(ids(&search(&["--vector", &scratch.path("vector.json"), "-k", "1"])), [json!("moon")]);
        assert_eq!(ids(&search(&["--like", "moon", "-k", "1"])), [json!("sun")]);
        assert_eq!(ids(&search(&["--order-by", "year:desc", "-k", "2"])), [json!("sun"), json!("moon")]);
        let newest = search(&["--vector", "[1, 0]", "--order-by", "year:desc", "-k", "2"]);
        assert_eq!(ids(&newest), [json!(2), json!(1)], "of the two nearest");
        let filtered = search(&["--vector", "[1, 0]", "--where", "lang=en", "-k", "2", "--explain"]);
        assert_eq!(ids(&filtered), [json!(1), json!("sun")]);
        assert_eq!(filtered["exact"], true);
        assert_eq!(filtered["explain"]["stages"][0]["path"], "source.nearest");
        let grouped = search(&["--vector", "[1, 0]", "--group-by", "lang", "--per-group", "2", "-k", "2"]);
        assert_eq!(grouped["groups"][0]["value"], "en");
        assert_eq!(grouped["groups"][0]["hits"].as_array().unwrap().len(), 2);
        let few = search(&["--vector", "[1, 0]", "--threshold", "0.9", "--fields", "title"]);
        assert_eq!(
            (few["hits"].as_array().unwrap().len(), &few["hits"][1]["payload"]),
            (2, &json!({"title": "Tee"}))
        );
        let tree = json!({"fuse": {"sources": [
            {"nearest": {"query": [1, 0]}, "weight": 30},
            {"nearest": {"query": [0, 1]}},
        ], "weighted": {}}});
        scratch.write("source.json", tree.to_string().as_bytes());
        assert_eq!(ids(&search(&["--source", &scratch.path("source.json"), "-k", "1"])), [json!(1)]);
        // By words of text fields, alone and together with a vector.
        scratch
            .json(place, &["collection", "create", "texts", "--dimension", "2", "--text", "title=english"]);
        scratch.json(place, &["points", "upsert", "-c", "texts", &scratch.path("papers.jsonl")]);
        let texts = |more: &[&str]| scratch.json(place, &[&["search", "-c", "texts"], more].concat());
        assert_eq!(ids(&texts(&["--words", "moons"])), [json!("moon")]);
        assert_eq!(ids(&texts(&["--words", "tea moon", "--all-words"])), [] as [Value; 0]);
        let both = ["--vector", "[1, 0]", "--words", "sun", "--in", "title:2", "-k", "4"];
        assert_eq!(ids(&texts(&both))[0], json!("sun"));
        scratch.fails(place, &["search", "-c", "texts", "--vector", "[1, 0]", "--all-words"], &["--words"]);
        scratch.fails(place, &["search", "-c", "papers", "--words", "moon"], &["text"]);
        // For people, too.
        let shown = scratch.run(place, &["search", "-c", "papers", "--vector", "[1, 0]", "--explain"]);
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert!(shown.contains("\"title\":\"Tea\"") && shown.contains("Plan: exact"), "{shown}");
    });
}

#[test]
fn points_are_counted_paged_and_faceted() {
    crate::in_both_places_without_a_model(|scratch, place| {
        papers(scratch, place);
        let points = |more: &[&str]| scratch.json(place, &[&["points"], more, &["-c", "papers"]].concat());
        assert_eq!(points(&["count"])["count"], 4);
        assert_eq!(points(&["count", "--where", "lang=de"])["count"], 1);
        let facet = points(&["facet", "lang"]);
        assert_eq!(facet["counts"][0], json!({"value": "en", "count": 3}));
        assert_eq!((&facet["values"], &facet["points"]), (&json!(2), &json!(4)));
        let first = points(&["scroll", "--order-by", "year:desc", "--limit", "3", "--fields", "year"]);
        let years = |page: &Value| -> Vec<i64> {
            page["points"]
                .as_array()
                .unwrap()
                .iter()
                .map(|point| point["payload"]["year"].as_i64().unwrap())
                .collect()
        };
        assert_eq!(years(&first), [2025, 2024, 2021]);
        let token = first["next_page_token"].as_str().unwrap();
        let second =
            points(&["scroll", "--order-by", "year:desc", "--fields", "year", "--page-token", token]);
        assert_eq!((years(&second), &second["next_page_token"]), (vec![2019], &Value::Null));
    });
}

#[test]
fn what_is_wrong_is_said_where_it_stands() {
    crate::in_both_places_without_a_model(|scratch, place| {
        papers(scratch, place);
        let fails = |arguments: &[&str], words: &[&str]| {
            scratch.fails(place, &[arguments, &["-c", "papers"]].concat(), words);
        };
        scratch.write("bad.jsonl", b"{\"id\": 1}\n\n{\"id\": 2, \"payload\": {\"score\": \"high\"}}\n");
        fails(
            &["points", "upsert", &scratch.path("bad.jsonl")],
            &["bad.jsonl, line 3", "payload.score", "float"],
        );
        scratch.write("bad.jsonl", b"{\"id\": 1");
        fails(&["points", "upsert", &scratch.path("bad.jsonl")], &["bad.jsonl, line 1"]);
        scratch.write("bad.jsonl", b"{\"id\": \"doc:a\"}");
        fails(&["points", "upsert", &scratch.path("bad.jsonl")], &["doc:"]);
        fails(&["points", "upsert", &scratch.path("absent")], &["absent"]);
        fails(&["points", "scroll", "--page-token", "zz"], &["page"]);
        fails(&["points", "scroll", "--limit", "0"], &["limit"]);
        fails(&["points", "facet", "colour"], &["colour"]);
        fails(&["search"], &["nothing to search by"]);
        fails(&["search", "--vector", "[1]"], &["2 components"]);
        fails(&["search", "--vector", "{\"a\": 1}"], &["--vector", "list of whole numbers"]);
        fails(&["search", "--like", "absent"], &["absent"]);
        fails(&["search", "--order-by", "colour"], &["colour"]);
        fails(&["search", "--source", "{\"fuse\": {\"sources\": []}}"], &["source.fuse.sources"]);
    });
}

/// Documents are DocumentsService's alone to change, also for who works on the directory itself.
#[test]
fn documents_are_left_alone() {
    crate::in_both_places(|scratch, place| {
        let folder = crate::notes(scratch);
        scratch.json(place, &["ingest", &folder, "--model", crate::support::model(), "--field", "year=2026"]);
        scratch.write("own.jsonl", b"{\"id\": \"own\", \"payload\": {\"year\": 2026}}");
        scratch.json(place, &["points", "upsert", &scratch.path("own.jsonl")]);
        let before = scratch.json(place, &["points", "count"])["count"].as_u64().unwrap();
        assert!(before > 3);
        assert_eq!(scratch.json(place, &["points", "delete", "own"])["points"], 1);
        assert_eq!(scratch.json(place, &["points", "count"])["count"], before - 1);
        scratch.fails(place, &["points", "delete", "doc:lease.md"], &["doc:"]);
    });
}
