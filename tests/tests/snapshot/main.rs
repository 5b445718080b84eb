//! `ragstone snapshot` and `ragstone restore` as processes, against a server that speaks S3 and a directory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/binary.rs"]
mod binary;
mod moto;

use std::path::Path;
use std::process::{Command, Output};

use binary::binary;
use moto::Moto;
use ragstone::{Db, DbOptions, Metric, Point, Schema, ScrollRequest};
use serde_json::Value;

const DIMENSION: usize = 384;
/// So many that their segment is uploaded in several parts.
const ROWS: u64 = 6_000;

/// A place with snapshots, and what a process must know to reach it.
struct Place<'a> {
    url: String,
    environment: &'a [(&'static str, String)],
}

impl Place<'_> {
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(binary());
        for variable in ["RAGSTONE_URL", "RAGSTONE_DATA", "AWS_ENDPOINT_URL", "AWS_PROFILE"] {
            command.env_remove(variable);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let arguments = arguments.iter().map(|word| if *word == "URL" { &self.url } else { *word });
        command.args(["--json", "--quiet"]).args(arguments).output().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?} failed:\n{out}\n{err}");
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments:?}: {error}:\n{out}"))
    }

    fn fails(&self, arguments: &[&str], words: &[&str]) {
        let output = self.run(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        assert!(!error.contains("panicked"), "{arguments:?}: {error}");
        for word in words {
            assert!(error.contains(word), "{arguments:?}: the error does not name {word:?}: {error}");
        }
    }
}

fn row(id: u64, version: u64) -> Point {
    let component = |at: u64| ((id * 31 + at * 17 + version) % 97) as f32 / 97.0 - 0.5;
    Point::new(id, (0..DIMENSION as u64).map(component).collect::<Vec<_>>()).with("version", version as i64)
}

fn open(path: &Path) -> Db {
    let mut options = DbOptions::default();
    options.keep_log_bytes = Some(1 << 30);
    options.background = false;
    Db::open_with(path, options).unwrap()
}

/// All points of the collection.
fn points(path: &Path) -> Vec<Point> {
    let db = open(path);
    let view = db.collection("notes").unwrap().view();
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let request = ScrollRequest { limit: 1_000, after, with_vectors: true, ..ScrollRequest::default() };
        let page = view.scroll(&request).unwrap();
        all.extend(page.points);
        match page.next {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
}

/// What each of the snapshots that were listed has under a key.
fn of_each<'a>(listed: &'a Value, key: &str) -> Vec<&'a str> {
    listed["snapshots"].as_array().unwrap().iter().map(|found| found[key].as_str().unwrap()).collect()
}

/// The whole path, at one place.
fn copies_and_moments(place: &Place<'_>) {
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name).to_str().unwrap().to_owned();
    let data = path("data");
    let write = |ids: std::ops::Range<u64>, version| {
        let db = open(Path::new(&data));
        let notes = match db.collection("notes") {
            Ok(notes) => notes,
            Err(_) => {
                let schema = Schema::builder(DIMENSION).metric(Metric::Dot).build().unwrap();
                db.create_collection("notes", schema).unwrap()
            }
        };
        let seqs = (ids.start..ids.end).step_by(1_000).map(|start| {
            let batch = start..(start + 1_000).min(ids.end);
            notes.upsert(batch.map(|id| row(id, version)).collect()).unwrap().seq
        });
        let seq = seqs.last().unwrap();
        db.flush().unwrap();
        seq
    };
    write(0..ROWS, 1);
    let first = place.json(&["snapshot", "--data", &data, "--to", "URL", "--name", "first"]);
    assert_eq!(first["uploaded"], first["files"]);
    assert!(first["uploaded_bytes"].as_u64().unwrap() > 9 << 20, "{first}");
    assert_eq!(first["uploaded_bytes"], first["bytes"]);
    let at_first = points(Path::new(&data));
    // Nothing new: nothing is uploaded but the snapshot's own list.
    let same = place.json(&["snapshot", "--data", &data, "--to", "URL"]);
    assert_eq!((&same["uploaded"], &same["bytes"]), (&0.into(), &first["bytes"]), "{same}");
    place.fails(&["snapshot", "--data", &data, "--to", "URL", "--name", "first"], &["first", "exists"]);

    let second = write(10..20, 2);
    let at_second = points(Path::new(&data));
    write(0..5, 3);
    let archived = place.json(&["snapshot", "archive", "--data", &data, "--to", "URL"]);
    assert!(archived["uploaded"].as_u64().unwrap() > 0 && archived["gap"].is_null(), "{archived}");
    assert_eq!(archived["has_snapshot"], true);

    let listed = place.json(&["snapshot", "list", "--at", "URL"]);
    let names = of_each(&listed, "name");
    assert_eq!(names, ["first", same["name"].as_str().unwrap()]);
    // Of one length, so that the last of them as texts is the newest: operators tell the age of the last copy by it.
    let created = of_each(&listed, "created");
    assert!(created[0] < created[1] && created.iter().all(|at| at.len() == 27), "{created:?}");
    let verified = place.json(&["snapshot", "verify", "first", "--at", "URL"]);
    assert_eq!(verified["restorable_until"], archived["position"]);
    assert!(verified["damaged"].as_array().unwrap().is_empty(), "{verified}");

    let restored = path("restored");
    place.json(&["restore", "--data", &restored, "--from", "URL", "--snapshot", "first"]);
    assert_eq!(points(Path::new(&restored)), at_first);
    place.fails(&["restore", "--data", &restored, "--from", "URL"], &["restored", "is not empty"]);
    let moment = path("moment");
    let until = format!("notes:{second}");
    place.json(&["restore", "--data", &moment, "--from", "URL", "--until", &until]);
    assert_eq!(points(Path::new(&moment)), at_second);
    let end = path("end");
    let found = place.json(&["restore", "--data", &end, "--from", "URL", "--until", "end"]);
    assert_eq!(found["position"], archived["position"]);
    assert_eq!(points(Path::new(&end)), points(Path::new(&data)));
    place.fails(&["restore", "--data", &path("x"), "--from", "URL", "--snapshot", "absent"], &["absent"]);
    place.fails(&["restore", "--data", &path("x"), "--from", "URL", "--until", "999999"], &["ends at"]);

    let deleted = place.json(&["snapshot", "delete", "first", names[1], "--at", "URL"]);
    assert_eq!(deleted["kept"], 0, "{deleted}");
    assert!(place.json(&["snapshot", "list", "--at", "URL"])["snapshots"].as_array().unwrap().is_empty());
}

#[test]
fn on_a_server_that_speaks_s3() {
    let moto = Moto::start();
    moto.make_bucket("copies");
    let environment = moto.environment();
    let place = Place { url: "s3://copies/deep/down".into(), environment: &environment };
    copies_and_moments(&place);
    // The large segment went in parts, and everything is gone.
    let left = moto.request("GET", "/copies?list-type=2");
    assert!(left.contains("<KeyCount>0</KeyCount>"), "{left}");
    let unfinished = moto.request("GET", "/copies?uploads");
    assert!(!unfinished.contains("<Upload>"), "{unfinished}");
    let absent = Place { url: "s3://no-such-bucket/x".into(), environment: &environment };
    absent.fails(&["snapshot", "list", "--at", "URL"], &["NoSuchBucket"]);
}

#[test]
fn in_a_directory() {
    let scratch = tempfile::tempdir().unwrap();
    let url = format!("file://{}/copies/deep", scratch.path().to_str().unwrap());
    copies_and_moments(&Place { url, environment: &[] });
}

#[test]
fn mistakes_are_named() {
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name).to_str().unwrap().to_owned();
    let place = Place { url: path("copies"), environment: &[] };
    place.fails(&["snapshot", "--data", &path("absent"), "--to", "URL"], &["absent", "no database"]);
    assert!(!scratch.path().join("absent").exists(), "a mistake makes no database");
    place.fails(&["snapshot", "list", "--at", "URL"], &["copies", "no such directory"]);
    place.fails(&["snapshot", "list", "--at", "ftp://host/x"], &["ftp"]);
    let held = open(&scratch.path().join("data"));
    place.fails(&["snapshot", "--data", &path("data"), "--to", "URL"], &["data", "in use", "admin snapshot"]);
    drop(held);
    place.json(&["snapshot", "--data", &path("data"), "--to", "URL"]);
    place.fails(
        &["restore", "--data", &path("new"), "--from", "URL", "--until", "notes:1"],
        &["ends at", "notes"],
    );
    for arguments in [&["snapshot"][..], &["restore", "--from", "x", "--until", "yesterday"]] {
        assert_eq!(place.run(arguments).status.code(), Some(2), "{arguments:?}");
    }
}
