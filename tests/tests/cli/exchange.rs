//! Collections through files and back.

use serde_json::{Value, json};

use crate::support::{Scratch, Server};

const ROWS: &str = r#"
{"id": 1, "vector": [1.0, 0.0], "vectors": {"title": [0.5, 0.25, 1.0], "words": {"indices": [1, 7], "values": [0.5, 2.0]}}, "payload": {"title": "Tea", "year": 2019, "at": "2026-11-22T10:30:00Z"}}
{"id": "moon", "vector": [0.0, 1.0], "vectors": {"tokens": [[1.0, 0.0], [0.0, 1.0]]}, "payload": {"title": "Moon", "tags": ["sky", "night"], "where": {"lat": 52.5, "lon": 13.4}}}
{"id": 3, "payload": {"year": 2024, "rest": "{\"a\": [1, null]}"}}
"#;

fn rows(scratch: &Scratch, place: &[&str]) {
    let create = "collection create rows --dimension 2 --metric dot --options encoding=int8,degree=48 --vector title=3:l2:walk=2 \
                  --sparse words --multi tokens=2:dot --field at=timestamp --field where=geo --field rest=json --text title=english";
    scratch.json(place, &create.split_whitespace().collect::<Vec<_>>());
    scratch.write("rows.jsonl", ROWS.as_bytes());
    scratch.json(place, &["points", "upsert", "-c", "rows", &scratch.path("rows.jsonl")]);
}

fn scroll(scratch: &Scratch, place: &[&str], collection: &str) -> Value {
    let mut page = scratch.json(place, &["points", "scroll", "-c", collection, "--with-vectors"]);
    // Which write it was is a collection's own.
    page["points"].as_array_mut().unwrap().iter_mut().for_each(|point| point["etag"] = Value::Null);
    page
}

/// What a collection is, but for its name.
fn info(scratch: &Scratch, place: &[&str], collection: &str) -> Value {
    let mut info = scratch.json(place, &["collection", "info", collection]);
    (info["name"], info["etag"]) = (Value::Null, Value::Null);
    info
}

#[test]
fn collections_go_out_and_come_back() {
    crate::in_both_places_without_a_model(|scratch, place| {
        rows(scratch, place);
        for file in ["rows.parquet", "rows.arrow"] {
            let path = scratch.path(file);
            let written = scratch.json(place, &["export", "rows", &path]);
            assert_eq!(written["rows"], 3, "{written}");
            assert_eq!(written["bytes"], std::fs::metadata(&path).unwrap().len());
            scratch.fails(place, &["export", "rows", &path], &[file, "exists already"]);
            scratch.json(place, &["export", "rows", &path, "--overwrite"]);
            let copy = file.replace('.', "-");
            let read = scratch.json(place, &["import", &path, &copy]);
            assert_eq!((&read["rows"], &read["created"]), (&json!(3), &json!(true)), "{read}");
            assert_eq!(scroll(scratch, place, &copy), scroll(scratch, place, "rows"));
            assert_eq!(info(scratch, place, &copy), info(scratch, place, "rows"));
            let again = scratch.json(place, &["import", &path, &copy, "--batch", "1"]);
            assert_eq!((&again["rows"], &again["created"]), (&json!(3), &json!(false)), "{again}");
            assert_eq!(scroll(scratch, place, &copy), scroll(scratch, place, "rows"));
        }
        let few = scratch.path("few.parquet");
        let written =
            scratch.json(place, &["export", "rows", &few, "--filter", "year >= 2020", "--id", "key"]);
        assert_eq!(written["rows"], 1);
        let shown = scratch.run(place, &["import", &few, "few", "--except", "rest"]);
        let (out, err) = (String::from_utf8(shown.stdout).unwrap(), String::from_utf8(shown.stderr).unwrap());
        assert!(out.starts_with("few, which is new: 1 rows in ") && out.contains("  key: the ids"), "{out}");
        assert!(err.contains("Importing: 1 rows in "), "{err}");
    });
}

/// Of whose rows an export is, is the same of a directory and of a server.
#[test]
fn an_export_is_of_all_tenants_or_of_those_that_its_filter_names() {
    crate::in_both_places_without_a_model(|scratch, place| {
        scratch.json(place, &["collection", "create", "chats", "--dimension", "2", "--tenant", "customer"]);
        let chat = |id: u64, customer: &str| json!({"id": id, "vector": [1.0, 0.0], "payload": {"customer": customer, "year": 2020 + id}});
        let chats = [chat(1, "a"), chat(2, "a"), chat(3, "b")].map(|chat| chat.to_string()).join("\n");
        scratch.write("chats.jsonl", chats.as_bytes());
        scratch.json(place, &["points", "upsert", "-c", "chats", &scratch.path("chats.jsonl")]);
        let path = scratch.path("chats.parquet");
        let export = |more: &[&str]| {
            let written = scratch.json(place, &[&["export", "chats", &path, "--overwrite"], more].concat());
            written["rows"].as_u64().unwrap()
        };
        assert_eq!(export(&[]), 3);
        assert_eq!(export(&["--where", "customer=a"]), 2);
        assert_eq!(export(&["--filter", "customer = \"a\" and year >= 2022"]), 1);
        assert_eq!(export(&["--filter", "all tenants and year >= 2022"]), 2);
        let forgotten = ["export", "chats", &path, "--overwrite", "--filter", "year >= 2022"];
        scratch.fails(place, &forgotten, &["keeps tenants apart by `customer`"]);
    });
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    crate::in_both_places_without_a_model(|scratch, place| {
        rows(scratch, place);
        let path = scratch.path("rows.parquet");
        scratch.json(place, &["export", "rows", &path]);
        scratch.fails(place, &["export", "absent", &scratch.path("a.arrow")], &["absent", "does not exist"]);
        scratch.fails(place, &["export", "rows", &scratch.path("a.csv")], &["a.csv", ".parquet"]);
        scratch.fails(place, &["export", "rows", &scratch.path("no/a.arrow")], &["no/a.arrow"]);
        scratch.fails(place, &["import", &scratch.path("absent.arrow"), "new"], &["absent.arrow"]);
        scratch.fails(place, &["import", &path, "new", "--metric", "l2"], &["metric"]);
        scratch.fails(place, &["import", &path, "new", "--columns", "colour"], &["`colour`", "`year`"]);
        scratch.write("bad.parquet", b"PAR1 and no more");
        scratch.fails(
            place,
            &["import", &scratch.path("bad.parquet"), "new"],
            &["bad.parquet", "cannot be read"],
        );
        scratch.fails(place, &["collection", "info", "new"], &["new", "does not exist"]);
        // A row that the collection refuses: of cosine, a vector has a direction.
        let create =
            "collection create cosine --dimension 2 --vector title=3 --sparse words --multi tokens=2";
        scratch.json(place, &create.split_whitespace().collect::<Vec<_>>());
        scratch.write("zero.jsonl", b"{\"id\": 2, \"vector\": [0.0, 0.0]}");
        scratch.json(place, &["points", "upsert", "-c", "rows", &scratch.path("zero.jsonl")]);
        scratch.json(place, &["export", "rows", &path, "--overwrite"]);
        let words = ["rows.parquet, row 2, column `vector`", "zero vector", "(1 rows are in)"];
        scratch.fails(place, &["import", &path, "cosine", "--batch", "1"], &words);
    });
}

/// A server is asked for as much of its own files as the program is of those here.
#[test]
fn a_server_writes_and_reads_its_own_files_as_is_asked_for() {
    let scratch = Scratch::new();
    let folder = scratch.path("files");
    std::fs::create_dir(&folder).unwrap();
    let server = Server::start_with(&scratch.path("served"), &["--exchange-dir", &folder]);
    let place = ["--url", &*server.url()];
    rows(&scratch, &place);
    let some = ["--format", "arrow", "--compression", "zstd", "--filter", "year >= 2020", "--id", "key"];
    let export = [&["admin", "export", "rows", "few.data"], &some[..]].concat();
    let written = scratch.json(&place, &export);
    assert_eq!(written["result"]["rows"], "1", "{written}");
    scratch.fails(&place, &export, &["exists already"]);
    scratch.json(&place, &[&export[..], &["--overwrite"]].concat());
    let import = ["admin", "import", "few.data", "few", "--format", "arrow"];
    scratch.fails(&place, &[&import[..], &["--columns", "colour"]].concat(), &["`colour`", "`key`"]);
    scratch.fails(&place, &[&import[..], &["--metric", "l2"]].concat(), &["metric"]);
    let read = scratch.json(&place, &[&import[..], &["--except", "rest", "--batch", "1"]].concat());
    assert_eq!(
        (&read["result"]["rows"], &read["result"]["created"]),
        (&json!("1"), &json!("true")),
        "{read}"
    );
    let points = scroll(&scratch, &place, "few");
    assert_eq!(points["points"][0]["payload"], json!({"year": 2024}));
}

/// Documents come back where nothing of other documents can be, and nowhere else.
#[test]
fn documents_go_out_and_come_back_into_a_new_collection() {
    let scratch = Scratch::new();
    let (served, local) = (scratch.path("served"), scratch.path("local"));
    let server = Server::start(&served);
    let (url, data) = (["--url", &*server.url()], ["--data", &*local]);
    let folder = crate::notes(&scratch);
    let path = scratch.path("notes.parquet");
    scratch.json_with_code(&url, &["ingest", &folder, "--model", crate::support::model()], 3);
    scratch.json(&url, &["export", "default", &path]);
    scratch.json(&data, &["import", &path, "default"]);
    let found = scratch.json(&data, &["search", "When does the lease end?", "-k", "1"]);
    assert_eq!(found["hits"][0]["payload"]["_document"], "lease.md", "{found}");
    scratch.fails(&data, &["import", &path, "default"], &["row 1", "column `id`", "documents"]);
    scratch.fails(&url, &["import", &path, "copy"], &["documents", "--data"]);
}
