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
pub(crate) fn papers(scratch: &Scratch, place: &[&str]) {
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

pub(crate) fn ids(found: &Value) -> Vec<Value> {
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

/// What is written on Windows begins with a mark, which was taken for a broken line.
#[test]
fn files_may_begin_with_a_byte_order_mark() {
    crate::in_both_places_without_a_model(|scratch, place| {
        scratch.json(place, &["collection", "create", "papers", "--dimension", "2"]);
        scratch.write("papers.jsonl", format!("\u{feff}{}", PAPERS.trim_start()).as_bytes());
        scratch.write("write.jsonl", "\u{feff}{\"delete\": 2}\n".as_bytes());
        scratch.write("vector.json", "\u{feff}[0.0, 1.0]".as_bytes());
        let (papers, write) = (scratch.path("papers.jsonl"), scratch.path("write.jsonl"));
        assert_eq!(scratch.json(place, &["points", "upsert", "-c", "papers", &papers])["points"], 4);
        scratch.json(place, &["points", "write", "-c", "papers", "--file", &write]);
        let vector = scratch.path("vector.json");
        let found = scratch.json(place, &["search", "-c", "papers", "--vector", &vector]);
        assert_eq!(ids(&found).len(), 3, "{found}");
        let typed = ["search", "-c", "papers", "--vector", "0.0, 1.0"];
        scratch.fails(place, &typed, &["--vector 0.0, 1.0: neither JSON", "nor a file"]);
    });
}

#[test]
fn points_are_counted_paged_and_faceted() {
    crate::in_both_places_without_a_model(|scratch, place| {
        papers(scratch, place);
        let points = |more: &[&str]| scratch.json(place, &[&["points"], more, &["-c", "papers"]].concat());
        assert_eq!(points(&["count"])["count"], 4);
        assert_eq!(points(&["count", "--filter", "year > 2020 and <= 2024"])["count"], 2);
        assert_eq!(points(&["count", "--where", "read=2026-11-22T10:30:00Z"])["count"], 1);
        assert_eq!(points(&["count", "--where", "title=2024", "--where", "score=0"])["count"], 0);
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
        // Behind an id, which need not be there: numbers come before texts.
        for (after, wanted) in
            [("1", json!([2, "moon", "sun"])), ("rook", json!(["sun"])), ("sun", json!([]))]
        {
            let rest = points(&["scroll", "--after", after, "--without-payload", "--limit", "1", "--all"]);
            let rest = rest["points"].as_array().unwrap();
            assert_eq!(Value::from_iter(rest.iter().map(|point| point["id"].clone())), wanted);
            assert!(rest.iter().all(|point| point["payload"] == json!({})), "{rest:?}");
        }
        let both = ["points", "scroll", "-c", "papers", "--after", "1", "--order-by", "year"];
        assert_eq!(scratch.run(place, &both).status.code(), Some(2));
    });
}

#[test]
fn points_are_changed_only_as_expected() {
    crate::in_both_places_without_a_model(|scratch, place| {
        papers(scratch, place);
        let points = |more: &[&str]| scratch.json(place, &[&["points"], more, &["-c", "papers"]].concat());
        let fails = |more: &[&str], words: &[&str]| {
            scratch.fails(place, &[&["points"], more, &["-c", "papers"]].concat(), words);
        };
        let point = |id: &str| points(&["get", id])["points"][0].clone();
        let etag = point("1")["etag"].to_string();
        let update =
            ["update", "1", "moon", "absent", "--set", "score=3", "--set", "title=7", "--unset", "year"];
        let changed = points(&update);
        assert_eq!((&changed["points"], &changed["missing"]), (&json!(2), &json!(1)));
        let after = point("1");
        assert_eq!(after["payload"]["score"], 3.0, "a float field has floats");
        assert_eq!(after["payload"]["title"], "7", "a string field has texts");
        assert_eq!(after["payload"].get("year"), None);
        assert_ne!(after["etag"].to_string(), etag);

        fails(&["update", "1", "--set", "score=4", "--if-etag", &etag], &["etag", "preconditions[0]"]);
        let now = after["etag"].to_string();
        points(&["update", "1", "--set", "score=4", "--if-etag", &now]);
        assert_eq!(point("1")["payload"]["score"], 4.0);
        fails(&["update", "1", "2", "--set", "score=4", "--if-etag", &now], &["--if-etag", "one point"]);
        fails(&["delete", "absent", "--if-present"], &["absent"]);

        // A request that is sent again is not done again.
        scratch.write("one.jsonl", br#"{"id": "new", "payload": {"title": "one"}}"#);
        let file = scratch.path("one.jsonl");
        let first = points(&["upsert", &file, "--request-id", "r1", "--if-absent"]);
        points(&["update", "new", "--set", "title=two"]);
        let again = points(&["upsert", &file, "--request-id", "r1", "--if-absent"]);
        assert_eq!((&again["repeated"], &again["seq"]), (&json!(true), &first["seq"]));
        assert_eq!(point("new")["payload"]["title"], "two");
        fails(&["upsert", &file, "--if-absent"], &["new", "preconditions[0]"]);

        scratch.write(
            "changes.jsonl",
            b"{\"id\": 2, \"set\": {\"year\": 1999}}\n{\"id\": \"sun\", \"unset\": [\"at\"]}\n",
        );
        assert_eq!(points(&["update", "--file", &scratch.path("changes.jsonl")])["points"], 2);
        points(&["update", "moon", "--expires-at", "2096-01-01T00:00:00Z"]);
        assert_eq!(point("moon")["expires_at"], "2096-01-01T00:00:00Z");
        points(&["update", "moon", "--expires-at", "never"]);
        assert_eq!(point("moon").get("expires_at"), None);
        fails(&["update", "moon", "--expires-at", "soon"], &["--expires-at", "soon"]);
        assert_eq!(points(&["delete", "--filter", "year < 2000"])["points"], 1);
        assert_eq!(points(&["delete", "new", "2"])["points"], 1);
        assert_eq!(points(&["count"])["count"], 3);
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
        scratch.write("bad.jsonl", b"{\"id\": 1, \"id\": 2}");
        fails(&["points", "upsert", &scratch.path("bad.jsonl")], &["line 1", "the name `id` stands twice"]);
        scratch.write("bad.jsonl", b"{\"id\": \"doc:a\"}");
        fails(&["points", "upsert", &scratch.path("bad.jsonl")], &["doc:"]);
        fails(&["points", "update", "1", "--set", "_kind=chunk"], &["_kind"]);
        fails(&["points", "update", "1", "--set", "score"], &["--set", "NAME=VALUE"]);
        fails(&["points", "delete"], &["ids or a condition"]);
        fails(&["points", "delete", "1", "--where", "year=2019"], &["not both"]);
        fails(&["points", "upsert", &scratch.path("absent")], &["absent"]);
        fails(&["points", "scroll", "--page-token", "zz"], &["page"]);
        fails(&["points", "scroll", "--limit", "0"], &["limit"]);
        fails(&["points", "scroll", "--limit", "1001"], &["--limit: 1001", "PAGE_SIZE_MAX = 1000", "--all"]);
        fails(&["points", "facet", "colour"], &["colour"]);
        fails(&["search"], &["nothing to search by"]);
        fails(&["search", "--vector", "[1]"], &["2 components"]);
        fails(&["search", "--vector", "{\"a\": 1}"], &["--vector", "list of whole numbers"]);
        fails(&["search", "--like", "absent"], &["absent"]);
        fails(&["search", "--order-by", "colour"], &["colour"]);
        fails(&["search", "--vector", "[1, 0]", "--filter", "yaer > 3"], &["--filter", "column 1", "year"]);
        fails(&["search", "--vector", "[1, 0]", "--filter", "year >"], &["--filter", "column 7"]);
        fails(&["search", "--source", "{\"fuse\": {\"sources\": []}}"], &["source.fuse.sources"]);
    });
}

/// JSON is kept as it was written, whatever way it goes; what cannot be is refused.
#[test]
fn json_comes_back_as_it_was_written() {
    const WRITTEN: &str = r#"{"z": 12345678901234567890123, "a": [1.0, 1e400, 0.1000000000000000055511], "m": {"b": "x\ty ü", "a": -0}}"#;
    crate::in_both_places_without_a_model(|scratch, place| {
        let create = |name: &str| {
            let options = ["--dimension", "2", "--field", "extra=json", "--field", "score=float"];
            scratch.json(place, &[&["collection", "create", name], &options[..]].concat());
        };
        create("rows");
        create("copy");
        let line = format!(
            "{{\"id\": 1, \"payload\": {{\"year\": 1, \"extra\": {WRITTEN}, \"other\": {WRITTEN}}}}}\n"
        );
        scratch.write("rows.jsonl", line.as_bytes());
        scratch.json(place, &["points", "upsert", "-c", "rows", &scratch.path("rows.jsonl")]);
        scratch.json(place, &["points", "update", "-c", "rows", "1", "--set", &format!("set={WRITTEN}")]);
        // Without the white space between, of which there is none in its strings.
        let printed = WRITTEN.replace(": ", ":").replace(", ", ",");
        let shows_all = |arguments: &[&str]| {
            let output = scratch.run(place, arguments);
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            for field in ["extra", "other", "set"] {
                assert!(text.contains(&format!("\"{field}\":{printed}")), "{field}: {text}");
            }
            text
        };
        shows_all(&["points", "get", "-c", "rows", "1"]);
        shows_all(&["--json", "points", "get", "-c", "rows", "1"]);
        shows_all(&["--json", "points", "scroll", "-c", "rows"]);
        shows_all(&["--json", "search", "-c", "rows", "--order-by", "year"]);
        let scrolled = shows_all(&["points", "scroll", "-c", "rows"]);
        scratch.write("scrolled.jsonl", scrolled.as_bytes());
        scratch.json(place, &["points", "upsert", "-c", "copy", &scratch.path("scrolled.jsonl")]);
        shows_all(&["points", "get", "-c", "copy", "1"]);
        for file in ["rows.parquet", "rows.arrow"] {
            let path = scratch.path(file);
            scratch.json(place, &["export", "rows", &path]);
            scratch.json(place, &["import", &path, &file.replace('.', "-")]);
            shows_all(&["points", "get", "-c", &file.replace('.', "-"), "1"]);
        }
        for (payload, reason) in [
            (r#"{"score": 9007199254740993}"#, "payload.score: no float is 9007199254740993"),
            (r#"{"new": 9223372036854775809}"#, "payload.new: no float is 9223372036854775809"),
            (r#"{"score": 1e400}"#, "payload.score: 1e400 is beyond what a float is"),
        ] {
            scratch.write("bad.jsonl", format!("{{\"id\": 2, \"payload\": {payload}}}").as_bytes());
            let upsert = ["points", "upsert", "-c", "rows", &scratch.path("bad.jsonl")];
            scratch.fails(place, &upsert, &["bad.jsonl, line 1", reason]);
        }
        let broken = ["points", "update", "-c", "rows", "1", "--set", "extra={bad"];
        scratch.fails(place, &broken, &["--set extra: it begins as JSON, and is none"]);
        assert_eq!(scratch.json(place, &["points", "count", "-c", "rows"])["count"], 1);
    });
}

/// Documents are DocumentsService's alone to change, also for who works on the directory itself.
#[test]
fn documents_are_left_alone() {
    crate::in_both_places(|scratch, place| {
        let folder = crate::notes(scratch);
        scratch.json_with_code(
            place,
            &["ingest", &folder, "--model", crate::support::model(), "--field", "year=2026"],
            3,
        );
        scratch.write("own.jsonl", b"{\"id\": \"own\", \"payload\": {\"year\": 2026}}");
        scratch.json(place, &["points", "upsert", &scratch.path("own.jsonl")]);
        let before = scratch.json(place, &["points", "count"])["count"].as_u64().unwrap();
        assert!(before > 3);
        assert_eq!(scratch.json(place, &["points", "delete", "--filter", "year = 2026"])["points"], 1);
        assert_eq!(scratch.json(place, &["points", "count"])["count"], before - 1);
        scratch.fails(place, &["points", "delete", "doc:lease.md"], &["doc:"]);
        scratch.fails(place, &["points", "update", "doc:lease.md", "--set", "year=1"], &["doc:"]);
    });
}

#[test]
fn a_field_comes_to_be_searched_by_word() {
    crate::in_both_places_without_a_model(|scratch, place| {
        papers(scratch, place);
        let search = ["search", "-c", "papers", "--words", "moons"];
        scratch.fails(place, &search, &["text"]);
        let add = [
            "collection",
            "add-field",
            "papers",
            "pages=int",
            "--text",
            "title=english",
            "--text",
            "abstract",
        ];
        let added = scratch.json(place, &add);
        assert_eq!(added["texts"], json!({ "title": "english", "abstract": "english" }));
        assert_eq!(
            (&added["fields"]["pages"], &added["fields"]["abstract"]),
            (&json!("int"), &json!("string"))
        );
        assert_eq!(ids(&scratch.json(place, &search)), ["moon"]);
        let other = ["collection", "add-field", "papers", "--text", "title=german"];
        scratch.fails(place, &other, &["title", "english, not german"]);
        scratch.fails(place, &["collection", "add-field", "papers", "--text", "year"], &["year", "int"]);
        let nothing = scratch.run(place, &["collection", "add-field", "papers"]);
        assert_eq!(nothing.status.code(), Some(2), "neither a field nor a text");
    });
}

/// Points that do not fit are told of with their lines, and the others go in, however many batches there are.
#[test]
fn lines_that_do_not_fit_are_told_of_and_the_others_written() {
    crate::in_both_places_without_a_model(|scratch, place| {
        scratch.json(place, &["collection", "create", "rows", "--dimension", "2"]);
        let mut lines = String::new();
        for id in 0..25 {
            let vector = if id % 10 == 3 { "[1]" } else { "[1, 2]" };
            lines += &format!("{{\"id\": {id}, \"vector\": {vector}}}\n\n");
        }
        scratch.write("rows.jsonl", lines.as_bytes());
        let upsert = ["points", "upsert", "-c", "rows", "--batch", "4", &scratch.path("rows.jsonl")];
        let words = [
            "3 points were refused",
            "rows.jsonl, line 7:",
            "rows.jsonl, line 27:",
            "line 47:",
            "2 components",
        ];
        scratch.fails(place, &upsert, &words);
        assert_eq!(scratch.json(place, &["points", "count", "-c", "rows"])["count"], 22);
        let output = scratch.run(place, &[&["--json"], &upsert[..]].concat());
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&told["points"], told["refused"].as_array().unwrap().len()), (&22.into(), 3));
        assert!(told["refused"][2]["place"].as_str().unwrap().ends_with("rows.jsonl, line 47"));
    });
}

/// The last of them was taken, and the others gone without a word.
#[test]
fn what_is_declared_twice_is_refused() {
    crate::in_both_places_without_a_model(|scratch, place| {
        for twice in [
            ["--vector", "twin=3", "--sparse", "twin"],
            ["--vector", "twin=3", "--vector", "twin=4"],
            ["--field", "twin=int", "--field", "twin=float"],
            ["--text", "twin=code", "--text", "twin=english"],
        ] {
            let create = ["collection", "create", "bad", "--dimension", "3"];
            scratch.fails(place, &[&create[..], &twice[..]].concat(), &[".twin: "]);
        }
        let none = scratch.json(place, &["collection", "list"]);
        assert_eq!(none["collections"], json!([]));
    });
}
