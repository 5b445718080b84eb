//! The command line as a process, on a local directory and on a server, with the default model.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answers;
mod config;
mod documents;
mod eval;
mod exchange;
mod inference;
mod ingest;
mod keys;
mod logs;
mod operator;
mod points;
mod search;
#[cfg(unix)]
mod stopping;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod templates;
mod writes;

use serde_json::Value;
use support::{Scratch, Server, model};

const LEASE: &str =
    "# Lease\n\nThe lease ends on 31 May.\n\n## Deposit\n\nThe deposit is three rents — 2,400 € in all.\n";
const GARDEN: &str = "<html><head><title>Garden</title></head><body><h1>Garden</h1><p>The roses are cut in March.</p></body></html>";

/// A folder with two documents that are text and one file that is not.
pub(crate) fn notes(scratch: &Scratch) -> String {
    scratch.write("notes/lease.md", LEASE.as_bytes());
    scratch.write("notes/sub/garden.html", GARDEN.as_bytes());
    scratch.write("notes/broken.txt", b"abc\0\xff\xfe");
    scratch.path("notes")
}

fn slice(text: &str, start: u64, end: u64) -> String {
    text.chars().skip(start as usize).take((end - start) as usize).collect()
}

/// Both places that a command can work on, for tests that need no model.
pub(crate) fn in_both_places_without_a_model(test: impl Fn(&Scratch, &[&str])) {
    let scratch = Scratch::new();
    let data = scratch.path("data");
    test(&scratch, &["--data", &data]);
    let scratch = Scratch::new();
    let server = Server::start(&scratch.path("served"));
    test(&scratch, &["--url", &server.url()]);
}

/// Both places that a command can work on: a directory of its own and a server.
pub(crate) fn in_both_places(test: impl Fn(&Scratch, &[&str])) {
    let scratch = Scratch::new();
    let data = scratch.path("data");
    test(&scratch, &["--data", &data]);
    model();
    let scratch = Scratch::new();
    let server = Server::start(&scratch.path("served"));
    test(&scratch, &["--url", &server.url()]);
}

#[test]
fn ingest_then_ask_then_change_the_folder() {
    in_both_places(|scratch, place| {
        let folder = notes(scratch);
        // One of the files is no text: it is left out, which the exit code says.
        let arguments = ["ingest", &folder, "--model", model(), "--field", "year=2026"];
        let ingest = || scratch.json_with_code(place, &arguments, 3);
        let first = ingest();
        assert_eq!((&first["added"], &first["unchanged"]), (&2.into(), &0.into()), "{first}");
        assert_eq!(first["skipped"].as_array().unwrap().len(), 1, "{first}");
        assert!(first["skipped"][0]["path"].as_str().unwrap().ends_with("broken.txt"), "{first}");

        let asked = scratch.json(place, &["ask", "When does the lease end?"]);
        let citations = asked["citations"].as_array().unwrap();
        assert!(!citations.is_empty());
        for (place, citation) in citations.iter().enumerate() {
            assert_eq!(citation["index"], place as u64 + 1);
            let text = citation["text"].as_str().unwrap();
            // Each of its lines is marked as quoted.
            let prompt = asked["prompt"].as_str().unwrap();
            assert!(text.lines().all(|line| prompt.contains(line)), "{text}: {prompt}");
            if citation["document"] == "lease.md" {
                let (start, end) = (citation["start"].as_u64().unwrap(), citation["end"].as_u64().unwrap());
                assert_eq!(slice(LEASE, start, end), text);
                assert!(citation["heading"].as_str().unwrap().starts_with("Lease"));
            }
        }
        assert!(asked["timings_ms"]["total"].as_f64().unwrap() > 0.0);
        assert!(asked["dropped"].is_array());
        assert_eq!(
            (&asked["messages"][0]["role"], &asked["messages"][1]["role"]),
            (&"system".into(), &"user".into())
        );
        assert!(asked["tokens"]["total"].as_u64().unwrap() <= 4_000, "{asked}");
        assert!(citations[0]["chunks"][0]["scores"]["hybrid"].is_number(), "{asked}");
        let chat = r#"[{"role": "user", "content": "When does the lease end?"}, {"role": "assistant", "content": "In May [1]."}]"#;
        let options = [
            "--neighbours",
            "1",
            "--section",
            "--parents",
            "1",
            "--mmr",
            "0.7",
            "--per-document",
            "2",
            "--data-marking",
            "words",
        ];
        let ask = ["ask", "And how high is it?", "--messages", chat, "--budget", "900"];
        let chatted = scratch.json(place, &[&ask[..], &options].concat());
        assert_eq!(chatted["query"], "When does the lease end?\nAnd how high is it?");
        assert_eq!(chatted["messages"].as_array().unwrap().len(), 4, "{chatted}");
        let explained = scratch.run(place, &["ask", "When does the lease end?", "--explain"]);
        let explained = String::from_utf8(explained.stdout).unwrap();
        for shown in
            ["Searched for: When does the lease end?", "chunk 0 [", "(nearness ", ", hybrid ", "Tokens: "]
        {
            assert!(explained.contains(shown), "{shown}: {explained}");
        }
        let retrieved =
            scratch.json(place, &["retrieve", "When does the lease end?", "-k", "2", "--distinct"]);
        assert_eq!(retrieved["chunks"][0]["document"], "lease.md", "{retrieved}");
        assert!(retrieved["chunks"][0]["scores"]["words"].is_number(), "{retrieved}");

        scratch.write("notes/lease.md", LEASE.replace("May", "June").as_bytes());
        std::fs::remove_file(scratch.path("notes/sub/garden.html")).unwrap();
        let second = ingest();
        let counts = ["added", "replaced", "unchanged", "removed"].map(|name| second[name].as_u64().unwrap());
        assert_eq!(counts, [0, 1, 0, 1], "{second}");
        let third = ingest();
        let counts = ["added", "replaced", "unchanged", "removed"].map(|name| third[name].as_u64().unwrap());
        assert_eq!(counts, [0, 0, 1, 0], "{third}");

        let found = scratch.json(place, &["search", "lease", "-k", "50"]);
        let hits = found["hits"].as_array().unwrap();
        assert!(hits.iter().all(|hit| hit["payload"]["_document"] == "lease.md"), "{found}");
        assert!(hits.iter().any(|hit| hit["payload"]["_text"].as_str().unwrap().contains("June")), "{found}");
        let none = scratch.json(place, &["search", "lease", "--where", "year=1999"]);
        assert_eq!(none["hits"].as_array().unwrap().len(), 0);
        let filtered =
            |filter: &str| scratch.json(place, &["search", "lease", "--filter", filter])["hits"].clone();
        assert!(!filtered("year >= 2026 and _source != 'absent'").as_array().unwrap().is_empty());
        assert!(filtered("year < 2026.0 or _document prefix 'garden'").as_array().unwrap().is_empty());
    });
}

#[test]
fn collections_are_made_listed_described_and_deleted() {
    in_both_places(|scratch, place| {
        let make = [
            "collection",
            "create",
            "vectors",
            "--dimension",
            "4",
            "--metric",
            "l2",
            "--field",
            "lang=string",
            "--strict",
        ];
        let made = scratch.json(place, &make);
        assert_eq!(
            (&made["dimension"], &made["metric"], &made["model"]),
            (&4.into(), &"l2".into(), &Value::Null)
        );
        scratch.fails(place, &make, &["vectors", "exists"]);
        let listed = scratch.json(place, &["collection", "list"]);
        assert_eq!(listed["collections"][0]["name"], "vectors");
        assert_eq!(scratch.json(place, &["collection", "info", "vectors"])["fields"]["lang"], "string");
        assert_eq!(made["strict"], true);
        let shown = scratch.run(place, &["collection", "info", "vectors"]);
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert!(shown.contains("\n  strict     writes add no fields\n"), "{shown}");
        scratch.fails(place, &["search", "a text", "-c", "vectors"], &["vectors", "model"]);
        let etag = made["etag"].as_str().unwrap();
        let grow = |field: &str, etag: &str| {
            let arguments = ["collection", "add-field", "vectors", field, "--if-etag", etag];
            scratch.run(place, &[&["--json"], &arguments[..]].concat())
        };
        let grown: Value = serde_json::from_slice(&grow("year=int", etag).stdout).unwrap();
        let now = grown["etag"].as_str().unwrap();
        assert_ne!(now, etag);
        let refused = grow("day=int", etag);
        let reason = String::from_utf8(refused.stderr).unwrap();
        assert!(
            refused.status.code() == Some(1) && reason.contains(&format!("the etag {now} now")),
            "{reason}"
        );
        scratch.fails(place, &["collection", "delete", "vectors", "--if-etag", etag], &[now]);
        assert_eq!(scratch.json(place, &["collection", "info", "vectors"])["etag"], now);
        scratch.json(place, &["collection", "delete", "vectors", "--if-etag", now]);
        scratch.fails(place, &["collection", "info", "vectors"], &["vectors", "does not exist"]);
        scratch.fails(place, &["collection", "delete", "vectors"], &["vectors", "does not exist"]);
    });
}

#[test]
fn bad_input_is_a_clear_error() {
    in_both_places(|scratch, place| {
        let folder = notes(scratch);
        scratch.json_with_code(place, &["ingest", &folder, "--model", model()], 3);
        scratch.fails(place, &["ask", "  "], &["question"]);
        scratch.fails(place, &["search", "x", "-k", "0"], &["k"]);
        scratch.fails(place, &["search", "x", "-k", "1000000"], &["k", "1000000"]);
        scratch.fails(place, &["search", "x", "-c", "absent"], &["absent"]);
        scratch.fails(place, &["search", "x", "--where", "nofield=1"], &["nofield"]);
        scratch.fails(
            place,
            &["search", "x", "--filter", "_document = and _chunks > 1"],
            &[
                "--filter: column 13: expected a value, found `and`",
                "\n  _document = and",
                "\n              ^^^\n",
            ],
        );
        scratch.fails(
            place,
            &["ask", "x", "--filter", "_documnt = 'a'"],
            &["column 1", "did you mean `_document`"],
        );
        scratch.fails(place, &["search", "x", "--where", "_chunks=x"], &["--where _chunks", "int"]);
        scratch.fails(place, &["ask", "x", "--budget", "0"], &["token_budget"]);
        scratch.fails(place, &["ask", "x", "--budget", "20"], &["token_budget", "tokens"]);
        scratch.fails(place, &["ask", "x", "--mmr", "2"], &["mmr"]);
        scratch.fails(place, &["ask", "x", "--neighbours", "33"], &["expand", "NEIGHBOURS_MAX"]);
        scratch.fails(
            place,
            &["ask", "--messages", r#"[{"role": "tool", "content": "x"}]"#],
            &["message 0", "tool"],
        );
        scratch.fails(place, &["retrieve", "x", "--per-document", "0"], &["per_document"]);
        scratch.fails(place, &["ask", &"word ".repeat(20_000)], &["question", "tokens"]);
        scratch.fails(place, &["collection", "create", "bad name"], &["name"]);
        scratch.fails(place, &["collection", "create", "big", "--dimension", "10000000"], &["dimension"]);
        scratch.fails(place, &["ingest", &scratch.path("absent")], &["absent"]);
        scratch.write("template.txt", b"{{ absent_variable }}");
        scratch.fails(place, &["ask", "x", "--template-file", &scratch.path("template.txt")], &["template"]);
        scratch.fails(place, &["ingest", &folder, "--field", "_kind=x"], &["_kind"]);
    });
}

#[test]
fn embed_prints_vectors_and_token_counts() {
    let scratch = Scratch::new();
    let printed = scratch.json(&[], &["embed", "--model", model(), "a lease", ""]);
    let dimension = printed["dimension"].as_u64().unwrap();
    assert_eq!(printed["vectors"].as_array().unwrap().len(), 2);
    assert_eq!(printed["vectors"][0].as_array().unwrap().len() as u64, dimension);
    assert_eq!(printed["token_counts"].as_array().unwrap().len(), 2);
    let long = "word ".repeat(2_000);
    scratch.fails(&[], &["embed", "--model", model(), &long], &["texts[0]", "tokens"]);
    let cut = scratch.json(&[], &["embed", "--model", model(), "--on-overflow", "truncate", &long]);
    assert_eq!(cut["truncated"][0], true);
}

#[test]
fn an_incomplete_model_directory_is_named() {
    let scratch = Scratch::new();
    scratch.write("model/config.json", b"{}");
    let model = scratch.path("model");
    scratch.fails(&[], &["embed", "x", "--model", &model], &["model"]);
    scratch.fails(
        &[],
        &["embed", "x", "--offline", "--model", "nobody/nothing"],
        &["nobody/nothing", "cache"],
    );
}

#[test]
fn a_mistyped_data_directory_is_not_made() {
    let scratch = Scratch::new();
    let absent = scratch.path("absent");
    scratch.fails(&["--data", &absent], &["search", "x"], &["absent"]);
    let import = ["import", &scratch.path("no.parquet"), "rows"];
    scratch.fails(&["--data", &absent], &import, &["cannot open", "no.parquet"]);
    assert!(!std::path::Path::new(&absent).exists());
    // A folder of something else became a database, of which was said that it had no collections.
    scratch.write("photos/moon.png", b"\x89PNG");
    scratch.write("photos/LOCK", b"");
    let photos = scratch.path("photos");
    scratch.fails(&["--data", &photos], &["collection", "list"], &["photos", "no database"]);
    scratch.fails(&["--data", &photos], &["points", "count"], &["photos", "no database"]);
    let picture = scratch.path("photos/moon.png");
    scratch.fails(&["--data", &picture], &["collection", "list"], &["moon.png", "no such directory"]);
    assert_eq!(std::fs::read_dir(&photos).unwrap().count(), 2);
}

#[test]
fn damage_is_named_repaired_and_told() {
    let scratch = Scratch::new();
    let data = scratch.path("data");
    let place = ["--data", &*data];
    scratch.json(&place, &["collection", "create", "notes", "--dimension", "3"]);
    assert_eq!(scratch.json(&place, &["check"])["damaged"].as_array().unwrap().len(), 0);
    let manifest = std::path::Path::new(&data).join("MANIFEST");
    let mut bytes = std::fs::read(&manifest).unwrap();
    bytes[30] ^= 4;
    std::fs::write(&manifest, bytes).unwrap();
    let output = scratch.run(&place, &["--json", "check"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["damaged"][0]["file"].as_str().unwrap().ends_with("MANIFEST"), "{report}");
    scratch.fails(&place, &["check"], &["1 damaged place", "repair"]);
    let plan = scratch.json(&place, &["repair", "--dry-run"]);
    assert_eq!(scratch.run(&place, &["check"]).status.code(), Some(1), "a dry run changes nothing");
    let done = scratch.json(&place, &["repair"]);
    assert_eq!((&done["actions"], done["lost"].as_array().unwrap().len()), (&plan["actions"], 0));
    assert_eq!(scratch.json(&place, &["check"])["damaged"].as_array().unwrap().len(), 0);
    assert_eq!(scratch.json(&place, &["collection", "list"])["collections"][0]["name"], "notes");
}

/// It was in no list, and nobody said why.
#[test]
fn a_damaged_collection_is_named_by_whatever_leaves_it_out() {
    let scratch = Scratch::new();
    let data = scratch.path("data");
    let db = ragstone::Db::open(&data).unwrap();
    let notes = db.create_collection("notes", ragstone::Schema::new(2).unwrap()).unwrap();
    notes.upsert(vec![ragstone::Point::new(1, [1.0, 0.0])]).unwrap();
    db.flush().unwrap();
    drop((notes, db));
    let is_segment = |file: &std::fs::DirEntry| file.file_name().to_str().unwrap().starts_with("segment-");
    let mut files = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap());
    let segment = files.find(is_segment).unwrap().path();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[3] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let listed = scratch.run(&["--data", &data], &["collection", "list"]);
    let told = String::from_utf8(listed.stderr).unwrap();
    assert!(listed.status.success() && told.contains("collection `notes` is left out"), "{told}");
}

#[test]
fn a_directory_that_a_server_has_open_says_so() {
    let scratch = Scratch::new();
    let data = scratch.path("data");
    let _server = Server::start(&data);
    scratch.fails(&["--data", &data], &["collection", "list"], &["--url"]);
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let scratch = Scratch::new();
    scratch.fails(&["--url", "http://127.0.0.1:9"], &["collection", "list"], &["127.0.0.1:9"]);
}

/// A typing error was passed over, and the best of the processor's instructions were used without a word.
#[test]
fn instructions_that_there_are_not_are_refused() {
    let scratch = Scratch::new();
    let data = scratch.path("data");
    let create = |isa: &str| {
        let name = format!("with-{isa}");
        let create = ["collection", "create", &name, "--dimension", "2"];
        let mut command = scratch.command(&["--data", &data], &create);
        let output = command.env("RAGSTONE_ISA", isa).output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    for isa in ["scalar", ""] {
        let (is_done, told) = create(isa);
        assert!(is_done, "{isa}: {told}");
    }
    let (is_done, told) = create("avx-2");
    assert!(
        !is_done && told.contains("RAGSTONE_ISA") && told.contains("`avx-2` is none of scalar, avx2"),
        "{told}"
    );
}
