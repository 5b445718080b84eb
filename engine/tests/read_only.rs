//! Databases in real directories that are only read: what is refused, and that nothing is changed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::SystemTime;

use ragstone::{
    Batch, Db, DbOptions, Error, LockHolder, Metric, Point, Schema, ScrollRequest, SearchRequest, Storage,
    Verify,
};

/// Every file with its time of change and its bytes.
fn files(path: &Path) -> BTreeMap<String, (SystemTime, Vec<u8>)> {
    let of = |entry: fs::DirEntry| {
        let changed = entry.metadata().unwrap().modified().unwrap();
        (entry.file_name().into_string().unwrap(), (changed, fs::read(entry.path()).unwrap()))
    };
    fs::read_dir(path).unwrap().map(|entry| of(entry.unwrap())).collect()
}

fn points(ids: std::ops::Range<u64>) -> Vec<Point> {
    ids.map(|id| Point::new(id, [1.0, id as f32, 0.5]).with("even", id % 2 == 0)).collect()
}

fn schema() -> Schema {
    Schema::builder(3).metric(Metric::L2).build().unwrap()
}

/// Rows in a segment, rows in the log, and what a crash may have left.
fn database(path: &Path) {
    let mut options = DbOptions::default();
    options.background = false;
    let db = Db::open_with(path, options).unwrap();
    let notes = db.create_collection("notes", schema()).unwrap();
    notes.upsert(points(0..500)).unwrap();
    db.flush().unwrap();
    notes.upsert(points(500..900)).unwrap();
    notes.delete(&[3.into(), 700.into()]).unwrap();
    drop((db, notes));
    let is_log = |name: &String| name.starts_with("log-");
    let log = files(path).into_keys().rfind(is_log).unwrap();
    OpenOptions::new().append(true).open(path.join(log)).unwrap().write_all(b"RFRMtorn").unwrap();
    fs::write(path.join("segment-00000000000000ff"), b"of no collection").unwrap();
    for name in ["MANIFEST.new", "segment-0000000000000001.new"] {
        fs::write(path.join(name), b"half").unwrap();
    }
}

fn assert_read_only<T>(result: Result<T, Error>) {
    assert!(matches!(result.err(), Some(Error::ReadOnly { .. })));
}

#[test]
fn a_reader_finds_everything_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    database(path);
    let before = files(path);
    let (storages, verifies) =
        ([Storage::Mapped, Storage::Resident], [Verify::OnOpen, Verify::Background, Verify::OnDemand]);
    for (storage, verify) in storages.into_iter().flat_map(|storage| verifies.map(|verify| (storage, verify)))
    {
        let mut options = DbOptions::default();
        (options.storage, options.verify, options.read_only) = (storage, verify, true);
        // So many rows of the log would be several segments, sealed at once.
        options.seal_rows = 100;
        let db = Db::open_with(path, options).unwrap();
        assert!(db.is_read_only());
        let notes = db.collection("notes").unwrap();
        assert_eq!(notes.info().points, 898);
        let ids: Vec<_> = notes.view().iter().map(|point| point.unwrap().id).collect();
        let expected: Vec<_> = (0..900_u64).filter(|id| ![3, 700].contains(id)).map(Into::into).collect();
        assert_eq!(ids, expected);
        let found = notes.search(&SearchRequest::new([1.0, 650.0, 0.5], 5)).unwrap();
        let exact = notes.search(&SearchRequest::new([1.0, 650.0, 0.5], 5).exact()).unwrap();
        assert_eq!(found.hits, exact.hits);

        assert_read_only(notes.upsert(points(1..2)));
        assert_read_only(notes.delete(&[1.into()]));
        assert_read_only(notes.write(Batch::new()));
        assert_read_only(db.create_collection("new", schema()));
        assert_read_only(db.delete_collection("notes"));
        assert_read_only(db.flush());
        assert_read_only(db.compact());
        let report = db.verify(|_| std::ops::ControlFlow::Continue(())).unwrap();
        assert_eq!((report.damaged, report.cancelled), (vec![], false));
        drop((db, notes));
        assert!(files(path) == before);
    }
    // A writer repairs, and finds the same.
    let db = Db::open(path).unwrap();
    assert_eq!(db.collection("notes").unwrap().info().points, 898);
    for name in ["MANIFEST.new", "segment-00000000000000ff", "segment-0000000000000001.new"] {
        assert!(!path.join(name).exists(), "{name}");
    }
}

fn holder<T>(result: Result<T, Error>) -> LockHolder {
    match result.err() {
        Some(Error::Locked { holder, .. }) => holder,
        other => panic!("it is locked: {other:?}"),
    }
}

#[test]
fn many_read_or_one_writes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    database(path);
    let readers = [Db::open_read_only(path).unwrap(), Db::open_read_only(path).unwrap()];
    assert_eq!(holder(Db::open(path)), LockHolder::Reader);
    let [first, second] = readers;
    drop(first);
    let message = Db::open(path).unwrap_err().to_string();
    assert!(
        message.ends_with("is in use: another process or another Db has it open for reading"),
        "{message}"
    );
    drop(second);
    let writer = Db::open(path).unwrap();
    assert_eq!(holder(Db::open(path)), LockHolder::Writer);
    assert_eq!(holder(Db::open_read_only(path)), LockHolder::Writer);
    drop(writer);
    // A copy may lack the lock file; a reader then makes it, for writers to see.
    fs::remove_file(path.join("LOCK")).unwrap();
    let reader = Db::open_read_only(path).unwrap();
    assert_eq!(holder(Db::open(path)), LockHolder::Reader);
    drop(reader);
}

#[test]
fn where_there_is_no_database_nothing_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let not_found = |result: Result<Db, Error>| matches!(result.err(), Some(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound);
    assert!(not_found(Db::open_read_only(&missing)) && !missing.exists());
    assert!(not_found(Db::open_read_only(directory.path())));
    assert_eq!(files(directory.path()).into_keys().collect::<Vec<_>>(), ["LOCK"]);
    let mut options = DbOptions::default();
    options.read_only = true;
    assert!(
        matches!(Db::in_memory_with(options), Err(Error::Invalid { field, .. }) if field == "options.read_only")
    );
}

#[test]
fn rows_of_a_long_log_become_nodes_without_a_seal() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let mut options = DbOptions::default();
    options.background = false;
    let db = Db::open_with(path, options).unwrap();
    let notes = db.create_collection("notes", schema()).unwrap();
    notes.upsert(points(0..6_000)).unwrap();
    drop((db, notes));
    let db = Db::open_read_only(path).unwrap();
    let notes = db.collection("notes").unwrap();
    let request = SearchRequest::new([1.0, 77.0, 0.5], 1);
    // A thread makes them nodes; then a search walks, and compares few of them.
    let walks = || notes.search(&request).unwrap().stats.distances < 6_000;
    let start = std::time::Instant::now();
    while !walks() && start.elapsed() < std::time::Duration::from_secs(60) {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!(walks());
    assert_eq!(
        notes.scroll(&ScrollRequest { limit: 1, ..ScrollRequest::default() }).unwrap().points.len(),
        1
    );
}
