//! What a database takes of its process: threads within the bound that it was given, none after it was dropped.
//!
//! One test, alone in its process, as it counts all threads.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::num::NonZero;
use std::path::Path;
use std::time::{Duration, Instant};

use ragstone::{Db, DbOptions, Error, Filter, Point, Schema, SearchRequest, Verify, View, check, repair};

/// The names of the process's threads, sorted.
fn threads() -> Vec<String> {
    let mut names = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        // A thread may end meanwhile.
        names.extend(std::fs::read_to_string(task.unwrap().path().join("comm")));
    }
    names.sort();
    names
}

/// Waits until something holds, or for so long that it never will.
fn eventually(mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether these are the threads there are; the system takes one off its list a moment after it was joined.
#[track_caller]
fn assert_threads(expected: &[String]) {
    eventually(|| threads() == expected);
    assert_eq!(threads(), expected);
}

/// Searches as a batch.
fn search_batch(view: &View) {
    let request = |id: u64| SearchRequest::new([1.0, id as f32, 0.0, 0.5], 5).filter(Filter::eq("odd", true));
    let requests: Vec<SearchRequest> = (0..50).map(request).collect();
    assert!(view.search_batch(&requests).unwrap().iter().all(|response| response.hits.len() == 5));
}

/// Everything that starts threads.
fn work(db: &Db) -> View {
    let notes = match db.is_read_only() {
        true => db.collection("notes").unwrap(),
        false => db.create_collection("notes", Schema::new(4).unwrap()).unwrap(),
    };
    for part in (0..6_u64).filter(|_| !db.is_read_only()) {
        let ids = part * 200..(part + 1) * 200;
        let point = |id: u64| Point::new(id, [1.0, id as f32, (id % 7) as f32, 0.5]).with("odd", id % 2 == 1);
        notes.upsert(ids.map(point).collect()).unwrap();
        db.flush().unwrap();
    }
    let view = notes.view();
    search_batch(&view);
    assert_eq!(view.iter().count(), 1_200);
    if !db.is_read_only() {
        db.compact().unwrap();
    }
    db.verify(|_| std::ops::ControlFlow::Continue(())).unwrap();
    match db.pin() {
        Ok(pin) => pin.files().iter().for_each(|file| file.verify().unwrap()),
        Err(error) => assert!(matches!(error, Error::ReadOnly { .. } | Error::Invalid { .. }), "{error}"),
    }
    view
}

fn open(path: Option<&Path>, threads: usize, read_only: bool) -> Db {
    let mut options = DbOptions::default();
    (options.threads, options.read_only, options.seal_rows) = (NonZero::new(threads), read_only, 150);
    match path {
        Some(path) => Db::open_with(path, options).unwrap(),
        None => Db::in_memory_with(options).unwrap(),
    }
}

#[test]
fn threads_keep_to_their_bound_and_end_with_the_database() {
    let directory = tempfile::tempdir().unwrap();
    let before = threads();
    let cases = [(Some(directory.path()), 3, false), (Some(directory.path()), 2, true), (None, 1, false)];
    for (path, count, read_only) in cases {
        let db = open(path, count, read_only);
        let view = work(&db);
        // A thread has its parent's name until it first runs.
        let mut found = Vec::new();
        eventually(|| {
            found = threads();
            found.iter().filter(|name| !name.starts_with("ragstone-")).eq(&before)
        });
        let named = |name: &str| found.iter().filter(|thread| thread.starts_with(name)).count();
        assert_eq!(named("ragstone-"), found.len() - before.len(), "{found:?}");
        assert_eq!(named("ragstone-search"), count, "{found:?}");
        assert!(named("ragstone-flush") <= count, "{found:?}");
        let writing = ["ragstone-seal", "ragstone-merge"].map(named);
        assert!(if read_only { writing == [0, 0] } else { !writing.contains(&0) }, "{found:?}");
        drop(db);
        // A view has rows and no threads, and starts none.
        assert_threads(&before);
        search_batch(&view);
        assert_eq!(threads(), before);
    }
    a_pin_verifies_by_the_threads_of_the_database(directory.path(), &before);
    check(directory.path()).unwrap();
    assert_eq!(threads(), before);
    damage_segment(directory.path());
    assert_eq!(repair(directory.path(), false).unwrap().actions.len(), 1);
    assert_threads(&before);
}

/// Nothing was verified when a pin of a database that was just opened is, and nothing else has started a pool.
fn a_pin_verifies_by_the_threads_of_the_database(path: &Path, before: &[String]) {
    let mut options = DbOptions::default();
    (options.threads, options.verify, options.background) = (NonZero::new(3), Verify::OnDemand, false);
    let db = Db::open_with(path, options).unwrap();
    let pin = db.pin().unwrap();
    drop(db);
    assert!(Db::open(path).is_err(), "a pin keeps the directory locked");
    assert!(pin.files().iter().any(|file| file.name().starts_with("segment-")));
    pin.files().iter().for_each(|file| file.verify().unwrap());
    let mut found = Vec::new();
    eventually(|| {
        found = threads();
        found.iter().filter(|name| !name.starts_with("ragstone-flush")).eq(before)
    });
    assert_eq!(found.len(), before.len() + 3, "{found:?}");
    drop(pin);
    assert_threads(before);
}

/// Makes a repair write a segment anew.
fn damage_segment(path: &Path) {
    let names = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let is_segment =
        |path: &std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("segment-");
    let segment = names.into_iter().find(is_segment).unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[100..200].fill(0xff);
    std::fs::write(segment, bytes).unwrap();
}
