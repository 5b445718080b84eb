//! Segments in real files: opened by their headers, verified, in memory, cut.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use ragstone::{Db, DbOptions, Error, Metric, Point, Schema, SearchRequest, Storage, Verify};

const ROWS: u64 = 2_000;

fn open(path: &Path, verify: Verify, storage: Storage) -> Result<Db, Error> {
    let mut options = DbOptions::default();
    (options.background, options.verify, options.storage) = (false, verify, storage);
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
