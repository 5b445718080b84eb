//! Segments in real files: opened by their headers, verified, in memory, cut.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use ragstone::{
    Db, DbOptions, Error, Metric, OnDamage, Point, PointId, Schema, SearchRequest, Storage, Verify,
};

const ROWS: u64 = 2_000;

fn open(path: &Path, verify: Verify, storage: Storage) -> Result<Db, Error> {
    let mut options = DbOptions::default();
    (options.background, options.verify, options.storage) = (false, verify, storage);
    options.on_damage = OnDamage::Refuse;
    Db::open_with(path, options)
}

fn vector(id: u64) -> Vec<f32> {
    (0..32).map(|component| ((id * 37 + component * 11) % 101) as f32 / 101.0).collect()
}

/// A database of one segment, whose vectors are in blocks that opening does not read; and that segment's file.
fn database() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let db = open(directory.path(), Verify::OnDemand, Storage::Mapped).unwrap();
    let schema = Schema::builder(32).metric(Metric::L2).build().unwrap();
    let points = (0..ROWS).map(|id| Point::new(id, vector(id))).collect();
    db.create_collection("a", schema).unwrap().upsert(points).unwrap();
    db.flush().unwrap();
    let files = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
    let mut segments =
        files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("segment-"));
    let segment = segments.next().unwrap();
    assert_eq!(segments.next(), None);
    (directory, segment)
}

fn flip(file: &Path, offset: u64) {
    let mut file = OpenOptions::new().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.write_all(&[byte[0] ^ 1]).unwrap();
}

fn nearest(db: &Db) -> Result<u64, Error> {
    let found = db.collection("a").unwrap().search(&SearchRequest::new(vector(7), 1))?;
    Ok(found.hits[0].id.to_string().parse().unwrap())
}

fn assert_corrupt<T: std::fmt::Debug>(result: Result<T, Error>, segment: &Path, at: u64) {
    match result {
        Err(Error::Corrupt { file, offset, .. }) => {
            assert_eq!(file.file_name(), segment.file_name());
            assert_eq!(offset, at);
        }
        other => panic!("{} is damaged: {other:?}", segment.display()),
    }
}

#[test]
fn damage_beyond_the_headers_is_found_by_a_verification() {
    let (directory, segment) = database();
    flip(&segment, 100_000);
    let db = open(directory.path(), Verify::OnDemand, Storage::Mapped).unwrap();
    nearest(&db).unwrap();
    let mut calls = 0;
    let report = db
        .verify(|progress| {
            calls += 1;
            assert!(progress.bytes <= progress.bytes_total);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(!report.cancelled && report.bytes > ROWS * 32 * 4, "{report:?}");
    let [damage] = &*report.damaged else { panic!("{report:?}") };
    assert_eq!((damage.file.file_name(), damage.offset), (segment.file_name(), 65_536));
    assert_corrupt(nearest(&db), &segment, 65_536);
    drop(db);
    assert_corrupt(open(directory.path(), Verify::OnOpen, Storage::Mapped), &segment, 65_536);
    assert_corrupt(open(directory.path(), Verify::OnDemand, Storage::Resident), &segment, 65_536);
    // The damage undone, all is well again.
    flip(&segment, 100_000);
    assert_eq!(nearest(&open(directory.path(), Verify::Background, Storage::Mapped).unwrap()).unwrap(), 7);
}

#[test]
fn a_segment_in_memory_outlives_its_file() {
    let (directory, segment) = database();
    let db = open(directory.path(), Verify::OnDemand, Storage::Resident).unwrap();
    let length = fs::metadata(&segment).unwrap().len();
    OpenOptions::new().write(true).open(&segment).unwrap().set_len(length / 2).unwrap();
    assert_eq!(nearest(&db).unwrap(), 7);
    let report = db.verify(|_| ControlFlow::Continue(())).unwrap();
    assert_eq!(report.damaged.len(), 1, "{report:?}");
    assert_eq!(nearest(&db).unwrap(), 7);
    drop(db);
    assert!(matches!(
        open(directory.path(), Verify::OnDemand, Storage::Mapped),
        Err(Error::Corrupt { file, .. }) if file.file_name() == segment.file_name()
    ));
}

/// A header's damage is found by opening, and costs one collection.
#[test]
fn a_damaged_collection_keeps_no_other_from_being_opened() {
    let (directory, segment) = database();
    let schema = || Schema::builder(32).metric(Metric::L2).build().unwrap();
    let db = Db::open(directory.path()).unwrap();
    db.create_collection("b", schema()).unwrap().upsert(vec![Point::new(1, vector(1))]).unwrap();
    db.collection("a").unwrap().upsert(vec![Point::new(ROWS, vector(ROWS))]).unwrap();
    drop(db);
    flip(&segment, 3);
    assert_corrupt(open(directory.path(), Verify::OnDemand, Storage::Mapped), &segment, 0);
    for _ in 0..2 {
        let db = Db::open(directory.path()).unwrap();
        let [(name, damage)] = &*db.damaged() else { panic!("{:?}", db.damaged()) };
        assert_eq!((&**name, damage.file.file_name()), ("a", segment.file_name()));
        assert_corrupt(db.collection("a"), &segment, 0);
        assert!(matches!(db.create_collection("a", schema()), Err(Error::CollectionExists { .. })));
        let others = db.collection("b").unwrap();
        others.upsert(vec![Point::new(2, vector(2))]).unwrap();
        assert_eq!(others.search(&SearchRequest::new(vector(2), 1)).unwrap().hits[0].id, 2.into());
        // Its part of the log is kept, whatever the others store.
        db.compact().unwrap();
        assert_eq!(db.verify(|_| ControlFlow::Continue(())).unwrap().damaged.len(), 1);
    }
    ragstone::repair(directory.path(), false).unwrap();
    let db = Db::open(directory.path()).unwrap();
    assert_eq!(db.damaged(), []);
    assert_eq!(db.collection("a").unwrap().info().points, ROWS + 1, "the write in the log too");
    drop(db);
    flip(&segment, 3);
    let db = Db::open(directory.path()).unwrap();
    db.delete_collection("a").unwrap();
    assert!(matches!(db.collection("a"), Err(Error::CollectionNotFound { .. })));
    db.create_collection("a", schema()).unwrap();
    drop(db);
    assert_eq!(Db::open(directory.path()).unwrap().damaged(), []);
}

/// Damage that a verification finds: what needs the damaged segment fails, what does not is answered.
#[test]
fn rows_of_sound_segments_are_read_by_id() {
    let (directory, segment) = database();
    flip(&segment, 100_000);
    let db = open(directory.path(), Verify::OnDemand, Storage::Mapped).unwrap();
    let rows = db.collection("a").unwrap();
    rows.upsert(vec![Point::new(5, vector(6)), Point::new(ROWS, vector(ROWS))]).unwrap();
    assert_eq!(db.verify(|_| ControlFlow::Continue(())).unwrap().damaged.len(), 1);
    let found = rows.get(&[5.into(), ROWS.into()]).unwrap();
    let of_second_write = |row: Point| Some(Point { etag: Some(2), ..row });
    let expected = [Point::new(5, vector(6)), Point::new(ROWS, vector(ROWS))].map(of_second_write);
    assert_eq!(found, expected);
    let in_the_damaged_one: [PointId; 2] = [5.into(), 6.into()];
    assert_corrupt(rows.get(&in_the_damaged_one), &segment, 65_536);
    assert_corrupt(rows.count(None), &segment, 65_536);
    assert_corrupt(nearest(&db), &segment, 65_536);
    assert_corrupt(rows.delete(&[5.into()]), &segment, 65_536);
}
