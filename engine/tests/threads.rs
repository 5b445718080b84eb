//! What a database takes of its process: threads within the bound that it was given, none after it was dropped.
//!
//! One test, alone in its process, as it counts all threads.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::num::NonZero;
use std::path::Path;
use std::time::{Duration, Instant};

use ragstone::{Db, DbOptions, Filter, Point, Schema, SearchRequest};

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

/// Everything that starts threads.
fn work(db: &Db) {
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
    let request = |id: u64| SearchRequest::new([1.0, id as f32, 0.0, 0.5], 5).filter(Filter::eq("odd", true));
    let requests: Vec<SearchRequest> = (0..50).map(request).collect();
    assert!(notes.search_batch(&requests).unwrap().iter().all(|response| response.hits.len() == 5));
    assert_eq!(notes.view().iter().count(), 1_200);
    if !db.is_read_only() {
        db.compact().unwrap();
    }
    db.verify(|_| std::ops::ControlFlow::Continue(())).unwrap();
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
        work(&db);
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
        // The system takes a thread off its list a moment after it was joined.
        eventually(|| threads() == before);
        assert_eq!(threads(), before);
    }
}
