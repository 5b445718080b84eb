//! Where nobody reads what is printed, where it cannot be written, and files whose names are no text.

use std::process::{Output, Stdio};

use serde_json::json;

use crate::support::Scratch;

/// A pipe that nobody reads from.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// A collection `rows` with one point, in `data`.
fn rows(scratch: &Scratch, place: &[&str]) {
    scratch.json(place, &["collection", "create", "rows", "--dimension", "2"]);
    scratch.write("rows.jsonl", b"{\"id\": 1, \"vector\": [1.0, 0.0]}\n");
    scratch.json(place, &["points", "upsert", "-c", "rows", &scratch.path("rows.jsonl")]);
}

fn ended(output: &Output, code: i32) -> String {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert!(!error.contains("panicked"), "{error}");
    error
}

/// `ragstone … | head` ended in a panic, and with exit code 101.
#[test]
fn what_is_printed_and_not_read_is_the_end_of_the_work() {
    let scratch = Scratch::new();
    let data = scratch.path("data");
    let place = ["--data", &*data];
    rows(&scratch, &place);
    let (file, copies) = (scratch.path("rows.parquet"), scratch.path("copies"));
    let commands: [&[&str]; 4] = [
        &["export", "rows", &file],
        &["import", &file, "copy"],
        &["snapshot", "--to", &copies],
        &["collection", "delete", "rows"],
    ];
    for arguments in commands {
        ended(&scratch.command(&place, arguments).stdout(unread()).output().unwrap(), 0);
    }
    let listed = scratch.json(&place, &["collection", "list"]);
    let listed = listed["collections"].as_array().unwrap();
    let names: Vec<_> = listed.iter().map(|of| (&of["name"], &of["points"])).collect();
    assert_eq!(names, [(&json!("copy"), &json!(1))]);
}

/// Where nobody read what is wrong, nothing was: `set -o pipefail; ragstone check | head -1` let a script go on.
#[test]
fn a_failure_is_one_whether_or_not_it_is_read_of() {
    let scratch = Scratch::new();
    let data = scratch.path("data");
    let place = ["--data", &*data];
    rows(&scratch, &place);
    scratch.write("unfit.jsonl", b"{\"id\": 2, \"vector\": [1.0]}\n");
    let upsert = ["points", "upsert", "-c", "rows", &scratch.path("unfit.jsonl")];
    ended(&scratch.command(&place, &upsert).stdout(unread()).output().unwrap(), 1);
    let manifest = std::path::Path::new(&data).join("MANIFEST");
    let mut bytes = std::fs::read(&manifest).unwrap();
    bytes[30] ^= 4;
    std::fs::write(&manifest, bytes).unwrap();
    let commands: [&[&str]; 2] = [&["check"], &["check", "--json"]];
    for check in commands {
        ended(&scratch.command(&place, check).stdout(unread()).output().unwrap(), 1);
    }
}

/// `ragstone … 2>&1 | head` ended the work half way, in a panic that nobody read.
#[test]
fn work_goes_on_where_nobody_reads_of_its_progress() {
    let scratch = Scratch::new();
    let data = scratch.path("data");
    let place = ["--data", &*data];
    rows(&scratch, &place);
    let file = scratch.path("rows.parquet");
    ended(&scratch.command(&place, &["export", "rows", &file]).stderr(unread()).output().unwrap(), 0);
    assert!(std::path::Path::new(&file).is_file());
    // And the exit code is that of the failure.
    ended(&scratch.command(&place, &["collection", "info", "absent"]).stderr(unread()).output().unwrap(), 1);
}

/// A million points went in without a word until they were there.
#[test]
fn many_writes_tell_how_far_they_are() {
    crate::in_both_places_without_a_model(|scratch, place| {
        rows(scratch, place);
        let line = |id: u64| json!({"id": id, "vector": [1.0, 0.0]}).to_string();
        let mut lines: Vec<String> = (0..5).map(line).collect();
        scratch.write("more.jsonl", lines.join("\n").as_bytes());
        let more = scratch.path("more.jsonl");
        let upsert = ["points", "upsert", "-c", "rows", &more];
        let told = |more: &[&str]| ended(&scratch.run(place, &[&upsert[..], more].concat()), 0);
        assert_eq!(told(&[]), "");
        let told = told(&["--batch", "2"]);
        assert!(told.contains("Writing\n") && told.contains("Writing: 5 points in "), "{told}");
        // What ends it does not say how far it was.
        lines.push("{".to_owned());
        scratch.write("more.jsonl", lines.join("\n").as_bytes());
        let broken = [&upsert[..], &["--batch", "2"]].concat();
        scratch.fails(place, &broken, &["4 points are written; then: ", "more.jsonl, line 6: "]);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_full_disk_does_not_take_is_an_error() {
    let scratch = Scratch::new();
    let data = scratch.path("data");
    let place = ["--data", &*data];
    rows(&scratch, &place);
    let file = scratch.path("rows.parquet");
    let commands: [&[&str]; 2] = [&["collection", "list"], &["export", "rows", &file]];
    for arguments in commands {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let error = ended(&scratch.command(&place, arguments).stdout(full).output().unwrap(), 1);
        assert!(error.contains("No space left"), "{error}");
    }
}

/// The rows were written, and then the program panicked as it told so.
#[cfg(target_os = "linux")]
#[test]
fn a_file_may_have_a_name_that_is_no_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let scratch = Scratch::new();
    let data = scratch.path("data");
    let place = ["--data", &*data];
    rows(&scratch, &place);
    let file = std::path::Path::new(&data).with_file_name(OsStr::from_bytes(b"\xff.parquet"));
    let export = scratch.command(&place, &["--json", "export", "rows"]).arg(file).output().unwrap();
    ended(&export, 0);
    let told: serde_json::Value = serde_json::from_slice(&export.stdout).unwrap();
    assert!(told["file"].as_str().unwrap().ends_with("\u{fffd}.parquet"), "{told}");
}
