//! Disks that cannot read some bytes any more. The process ended without a word where a segment had them, as it was read through its map; any other
//! file that had them ended the check, or the repair.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::*;
use crate::dir::bad_sectors::BadSectorsDir;
use crate::{Db, DbOptions, Metric, Point, Schema, ScrollRequest, Verify};

const BLOCK_BYTES: u64 = 64 << 10;
const PAGE_BYTES: u64 = 4 << 10;

fn open(path: &Path) -> Db {
    let (verify, background, log_file_bytes) = (Verify::OnOpen, false, 500);
    let options = DbOptions { seal_rows: 4_000, verify, background, log_file_bytes, ..DbOptions::default() };
    Db::open_with(path, options).unwrap()
}

fn point(id: u64, dimension: u64) -> Point {
    let component = |at: u64| ((id * 37 + at * 11 + id * at) % 101) as f32 / 101.0;
    Point::new(id, (0..dimension).map(component).collect::<Vec<_>>()).with("row", id as i64)
}

fn schema(dimension: usize) -> Schema {
    Schema::builder(dimension).metric(Metric::L2).build().unwrap()
}

/// A collection of one segment.
fn large() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let db = open(directory.path());
    let collection = db.create_collection("a", schema(64)).unwrap();
    collection.upsert((0..3_000).map(|id| point(id, 64)).collect()).unwrap();
    db.flush().unwrap();
    directory
}

/// Two collections with segments and tombstones, and a log of several files.
fn small() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let db = open(directory.path());
    for name in ["a", "b"] {
        let collection = db.create_collection(name, schema(3)).unwrap();
        collection.upsert((0..20).map(|id| point(id, 3)).collect()).unwrap();
        db.flush().unwrap();
        collection.delete(&[3.into()]).unwrap();
        db.flush().unwrap();
    }
    for id in 30..40 {
        db.collection("a").unwrap().upsert(vec![point(id, 3)]).unwrap();
    }
    directory
}

fn rows(db: &Db, name: &str) -> BTreeMap<PointId, Point> {
    let all = ScrollRequest { limit: 10_000, with_vectors: true, ..ScrollRequest::default() };
    let points = db.collection(name).unwrap().scroll(&all).unwrap().points;
    points.into_iter().map(|point| (point.id.clone(), Point { etag: None, ..point })).collect()
}

/// The directory on a disk that cannot read these bytes of a file.
fn on_bad_disk(path: &Path, name: &str, range: Range<u64>) -> Arc<BadSectorsDir> {
    let disk = BadSectorsDir::new(Arc::new(RealDir::open(path).unwrap()));
    disk.spoil(name, range);
    Arc::new(disk)
}

fn check_on(disk: &Arc<BadSectorsDir>) -> Vec<Damage> {
    check::check(&FailingDir::new(disk.clone())).unwrap().damaged
}

fn repair_on(disk: &Arc<BadSectorsDir>, is_dry_run: bool) -> RepairReport {
    repair::repair(Arc::new(FailingDir::new(disk.clone())), is_dry_run).unwrap()
}

fn names(path: &Path) -> Vec<String> {
    let mut names = RealDir::open(path).unwrap().list().unwrap();
    names.retain(|name| name == crate::manifest::MANIFEST_COPY_FILE || files::Kind::of(name).is_some());
    names
}

fn segment_of(path: &Path) -> String {
    names(path).into_iter().find(|name| files::Kind::of(name) == Some(files::Kind::Segment)).unwrap()
}

#[test]
fn a_block_that_cannot_be_read_is_named_and_costs_its_rows_alone() {
    let whole = large();
    let expected = rows(&open(whole.path()), "a");
    let name = segment_of(whole.path());
    let bytes = std::fs::read(whole.path().join(&name)).unwrap();
    let mut with_loss = 0;
    // A sector of every third block. The last says what the file is.
    for block in (0..bytes.len() as u64 / BLOCK_BYTES - 1).step_by(3) {
        let directory = tempfile::tempdir().unwrap();
        for name in names(whole.path()) {
            std::fs::copy(whole.path().join(&name), directory.path().join(&name)).unwrap();
        }
        let (start, end) = (block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES);
        let sector = start + 9_000;
        let disk = on_bad_disk(directory.path(), &name, sector..sector + 512);
        let found = check_on(&disk);
        let [damage] = &*found else { panic!("block {block}: {found:?}") };
        assert!(damage.file.ends_with(&name) && damage.offset == start, "{damage:?}");
        let named = format!("bytes {start} to {} cannot be read: ", end - 1);
        assert!(damage.reason.starts_with(&named), "{damage:?}");

        let plan = repair_on(&disk, true);
        let report = repair_on(&disk, false);
        assert_eq!((&plan, &report.damaged), (&report, &found));
        let lost: BTreeSet<PointId> = report.lost.iter().flat_map(|loss| loss.ids.iter().cloned()).collect();
        let nameless: u64 = report.lost.iter().filter_map(|loss| loss.rows_without_id).sum();
        let saved = rows(&open(directory.path()), "a");
        assert_eq!(saved.len() + lost.len() + nameless as usize, expected.len(), "block {block}");
        assert!(saved.iter().all(|(id, row)| expected[id] == *row && !lost.contains(id)), "block {block}");
        with_loss += usize::from(!lost.is_empty() && lost.len() < 400 && nameless == 0);
        assert_eq!(check_on(&disk), []);

        // What can be read is kept, with zeros in the place of the rest.
        let page = (sector / PAGE_BYTES * PAGE_BYTES) as usize;
        let mut kept = bytes.clone();
        kept[page..page + PAGE_BYTES as usize].fill(0);
        assert!(std::fs::read(directory.path().join("damaged").join(&name)).unwrap() == kept);
    }
    assert!(with_loss > 2, "{with_loss} blocks with vectors");
}

#[test]
fn any_file_that_cannot_be_read_is_named_and_nothing_else_is_lost_with_it() {
    let whole = small();
    let all = names(whole.path());
    for kind in ["MANIFEST", "MANIFEST.copy", "segment-", "dead-", "log-"] {
        assert!(all.iter().any(|name| name.starts_with(kind)), "{kind}");
    }
    let expected = rows(&open(whole.path()), "b");
    let all = names(whole.path());
    for name in &all {
        let directory = tempfile::tempdir().unwrap();
        for name in &all {
            std::fs::copy(whole.path().join(name), directory.path().join(name)).unwrap();
        }
        let length = std::fs::metadata(whole.path().join(name)).unwrap().len();
        let disk = on_bad_disk(directory.path(), name, 0..length);
        let found = check_on(&disk);
        assert!(!found.is_empty(), "{name}");
        for damage in &found {
            assert!(damage.file.ends_with(name) && damage.reason.contains("cannot be read"), "{damage:?}");
        }
        let plan = repair_on(&disk, true);
        let report = repair_on(&disk, false);
        assert_eq!(plan, report, "{name}");
        assert_eq!(check_on(&disk), [], "{name}");
        let db = open(directory.path());
        let found = rows(&db, "b");
        assert!(found.iter().all(|(id, row)| expected.get(id).is_none_or(|old| old == row)), "{name}");
        let is_all_there = found.len() >= expected.len() && rows(&db, "a").len() >= 29;
        assert!(is_all_there || !report.lost.is_empty(), "{name}: {report:?}");
    }
}
