//! Checking and repairing directories that are damaged in every way that can be told apart.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod losses;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use ragstone::{
    Analyzer, Db, DbOptions, Error, Filter, Metric, Point, PointId, Schema, ScrollRequest, SearchRequest,
    Verify, check, repair,
};

fn open(path: &Path) -> Result<Db, Error> {
    let mut options = DbOptions::default();
    (options.seal_rows, options.background, options.verify) = (4_000, false, Verify::OnOpen);
    options.log_file_bytes = 500;
    Db::open_with(path, options)
}

fn vector(id: u64, dimension: usize) -> Vec<f32> {
    (0..dimension as u64)
        .map(|component| ((id * 37 + component * 11 + id * component) % 101) as f32 / 101.0)
        .collect()
}

fn point(id: u64, version: i64, dimension: usize) -> Point {
    let point = Point::new(id, vector(id, dimension)).with("version", version);
    if id.is_multiple_of(3) { point.with("text", format!("row {id}")) } else { point }
}

type Contents = BTreeMap<String, Vec<Point>>;

fn contents(db: &Db) -> Contents {
    let all = ScrollRequest { limit: 10_000, with_vectors: true, ..ScrollRequest::default() };
    let of_one = |name: &str| db.collection(name).unwrap().scroll(&all).unwrap().points;
    db.collections().into_iter().map(|info| (info.name.clone(), of_one(&info.name))).collect()
}

fn schema(dimension: usize) -> Schema {
    Schema::builder(dimension).metric(Metric::L2).build().unwrap()
}

/// Every kind of file, and a log of several frames, files and collections.
fn small() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let db = open(directory.path()).unwrap();
    for name in ["a", "b"] {
        let collection = db.create_collection(name, schema(3)).unwrap();
        collection.upsert((0..20).map(|id| point(id, 1, 3)).collect()).unwrap();
        db.flush().unwrap();
        collection.delete(&[3.into(), 4.into()]).unwrap();
        db.flush().unwrap();
    }
    for version in 2..9 {
        for name in ["a", "b"] {
            db.collection(name).unwrap().upsert(vec![point(version as u64, version, 3)]).unwrap();
        }
    }
    directory
}

/// One segment of many blocks.
fn large() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let db = open(directory.path()).unwrap();
    let collection = db.create_collection("a", schema(64)).unwrap();
    collection.upsert((0..3_000).map(|id| point(id, 1, 64)).collect()).unwrap();
    collection.delete(&(0..100).map(PointId::Num).collect::<Vec<_>>()).unwrap();
    db.flush().unwrap();
    directory
}

fn files(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    files
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap()))
        .filter(|(name, _)| name != "LOCK")
        .collect()
}

fn copied(files: &BTreeMap<String, Vec<u8>>) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(directory.path().join(name), bytes).unwrap();
    }
    directory
}

fn named(damaged: &[ragstone::Damage]) -> BTreeSet<String> {
    damaged.iter().map(|damage| damage.file.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn any_flipped_bit_is_named_and_turned_back() {
    let whole = small();
    let before = files(whole.path());
    let expected = contents(&open(copied(&before).path()).unwrap());
    assert_eq!(check(whole.path()).unwrap().damaged, []);
    for kind in ["MANIFEST", "MANIFEST.copy", "segment-", "dead-", "log-"] {
        assert!(before.keys().any(|name| name.starts_with(kind)), "{kind}");
    }
    for (name, bytes) in &before {
        for offset in (0..bytes.len()).step_by(1 + bytes.len() / 14) {
            let story = format!("byte {offset} of {name}");
            let mut damaged = before.clone();
            damaged.get_mut(name).unwrap()[offset] ^= 1 << (offset % 8);
            let directory = copied(&damaged);
            let found = check(directory.path()).unwrap().damaged;
            assert_eq!(named(&found), [name.clone()].into(), "{story}: {found:?}");
            assert!(found[0].offset as usize <= offset, "{story}: {found:?}");
            let plan = repair(directory.path(), true).unwrap();
            assert_eq!(files(directory.path()), damaged, "{story}: a dry run changes nothing");
            let done = repair(directory.path(), false).unwrap();
            assert_eq!((&done, &done.lost), (&plan, &Vec::new()), "{story}");
            assert_eq!(check(directory.path()).unwrap().damaged, [], "{story}");
            assert_eq!(contents(&open(directory.path()).unwrap()), expected, "{story}");
            let kept = fs::read(directory.path().join("damaged").join(name)).unwrap();
            assert_eq!(kept, damaged[name], "{story}: the damaged file is kept");
        }
    }
}

fn segment(path: &Path) -> (String, PathBuf) {
    let name = files(path).into_keys().find(|name| name.starts_with("segment-")).unwrap();
    (name.clone(), path.join(name))
}

#[test]
fn of_a_segment_with_a_hole_every_other_row_is_saved() {
    let whole = large();
    let before = files(whole.path());
    let expected = contents(&open(copied(&before).path()).unwrap()).remove("a").unwrap();
    let (name, _) = segment(whole.path());
    let length = before[&name].len();
    let (mut without_loss, mut with_loss, mut without_ids) = (0, 0, 0);
    // A sector of every block but the last, which says what the file is.
    for offset in (30_000..length - (64 << 10)).step_by(64 << 10) {
        let directory = copied(&before);
        let mut damaged = before[&name].clone();
        damaged[offset..offset + 512].fill(0xdb);
        fs::write(directory.path().join(&name), damaged).unwrap();
        assert_eq!(named(&check(directory.path()).unwrap().damaged), [name.clone()].into());
        let report = repair(directory.path(), false).unwrap();
        let lost: BTreeSet<PointId> = report.lost.iter().flat_map(|loss| loss.ids.iter().cloned()).collect();
        let nameless: u64 = report.lost.iter().filter_map(|loss| loss.rows_without_id).sum();
        let db = open(directory.path()).unwrap();
        let rest: Vec<Point> = match nameless {
            0 => expected.iter().filter(|point| !lost.contains(&point.id)).cloned().collect(),
            // The ids of all rows lie in two blocks.
            _ => Vec::new(),
        };
        assert_eq!(lost.len() + nameless as usize + rest.len(), expected.len());
        let mut found = contents(&db).remove("a").unwrap();
        // A version is lost without its row: no etag that anybody has is met then.
        found.iter_mut().zip(&rest).filter(|(found, _)| found.etag == Some(0)).for_each(|(found, row)| {
            found.etag = row.etag;
        });
        assert_eq!(found, rest, "hole at {offset}");
        for point in rest.iter().step_by(97) {
            let query = SearchRequest::new(point.vector.clone().unwrap(), 1).ef(200);
            let hits = db.collection("a").unwrap().search(&query).unwrap().hits;
            assert!(hits[0].score < 1e-3, "{} is found in the graph made anew", point.id);
        }
        drop(db);
        assert_eq!(check(directory.path()).unwrap().damaged, []);
        match (lost.len(), nameless) {
            (0, 0) => without_loss += 1,
            (1..400, 0) => with_loss += 1,
            _ => without_ids += 1,
        }
    }
    let holes = (without_loss, with_loss, without_ids);
    assert!(without_loss > 1 && with_loss > 5 && without_ids <= 2, "{holes:?}");
}

#[test]
fn of_a_log_with_a_hole_every_other_write_is_saved() {
    let whole = small();
    let before = files(whole.path());
    let expected = contents(&open(copied(&before).path()).unwrap());
    let logs: Vec<&String> = before.keys().filter(|name| name.starts_with("log-")).collect();
    assert!(logs.len() > 1, "{logs:?}");
    let mut lost = 0;
    for offset in (40..before[logs[0]].len()).step_by(23) {
        let directory = copied(&before);
        let mut damaged = before[logs[0]].clone();
        let end = damaged.len().min(offset + 5);
        damaged[offset..end].fill(0xdb);
        fs::write(directory.path().join(logs[0]), damaged).unwrap();
        if check(directory.path()).unwrap().damaged.is_empty() {
            continue;
        }
        assert!(matches!(open(directory.path()), Err(Error::Corrupt { .. })));
        let report = repair(directory.path(), false).unwrap();
        let writes: usize = report.lost.iter().map(|loss| loss.writes.len()).sum();
        assert!(writes <= 2, "{report:?}");
        lost += writes;
        let db = open(directory.path()).unwrap();
        let found = contents(&db);
        // Each of the last writes changed one row; with it lost, that row is as it was before.
        let differing = |name: &str| {
            let versions = |contents: &Contents| {
                contents[name]
                    .iter()
                    .map(|point| (point.id.clone(), point.clone()))
                    .collect::<BTreeMap<_, _>>()
            };
            let (found, expected) = (versions(&found), versions(&expected));
            expected.iter().filter(|(id, point)| found.get(id) != Some(point)).count()
        };
        assert!(differing("a") + differing("b") <= writes, "{report:?}");
        // It takes writes again, and keeps them.
        db.collection("a").unwrap().upsert(vec![point(77, 9, 3)]).unwrap();
        drop(db);
        let found = open(directory.path()).unwrap().collection("a").unwrap().get(&[77.into()]).unwrap();
        assert_eq!(found, [Some(Point { etag: found[0].as_ref().unwrap().etag, ..point(77, 9, 3) })]);
    }
    assert!(lost > 3, "{lost} writes were lost");
}

#[test]
fn a_manifest_that_is_gone_is_taken_from_its_copy() {
    let whole = small();
    let before = files(whole.path());
    let expected = contents(&open(copied(&before).path()).unwrap());
    for rubbish in [None, Some(&b"rubbish"[..])] {
        let directory = copied(&before);
        let manifest = directory.path().join("MANIFEST");
        fs::remove_file(&manifest).unwrap();
        if let Some(rubbish) = rubbish {
            fs::write(&manifest, rubbish).unwrap();
        }
        assert!(matches!(open(directory.path()), Err(Error::Corrupt { .. })));
        let report = check(directory.path()).unwrap();
        assert_eq!(named(&report.damaged), ["MANIFEST".to_owned()].into());
        assert_eq!(repair(directory.path(), false).unwrap().lost, []);
        assert_eq!(contents(&open(directory.path()).unwrap()), expected);
        // With both gone, everything is read all the same, and nothing is invented.
        let directory = copied(&before);
        for name in ["MANIFEST", "MANIFEST.copy"] {
            fs::write(directory.path().join(name), b"rubbish").unwrap();
        }
        assert!(matches!(repair(directory.path(), false), Err(Error::Corrupt { .. })));
        let (name, path) = segment(directory.path());
        let mut bytes = fs::read(&path).unwrap();
        bytes[100] ^= 0x77;
        fs::write(&path, bytes).unwrap();
        assert!(named(&check(directory.path()).unwrap().damaged).contains(&name));
    }
}

#[test]
fn a_segment_that_is_gone_costs_its_rows_and_no_others() {
    let whole = small();
    let directory = copied(&files(whole.path()));
    let (name, path) = segment(directory.path());
    fs::remove_file(path).unwrap();
    assert_eq!(named(&check(directory.path()).unwrap().damaged), [name].into());
    let report = repair(directory.path(), false).unwrap();
    assert_eq!((report.lost.len(), &*report.lost[0].collection), (1, "a"));
    assert_eq!(report.lost[0].rows_without_id, None);
    let found = contents(&open(directory.path()).unwrap());
    assert_eq!((found["a"].len(), found["b"].len()), (7, 20));
}

#[test]
fn only_a_database_at_rest_is_checked() {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(check(directory.path()), Err(Error::Invalid { .. })));
    assert!(matches!(check(directory.path().join("nothing")), Err(Error::Io { .. })));
    let db = open(directory.path()).unwrap();
    assert!(matches!(check(directory.path()), Err(Error::Locked { .. })));
    assert!(matches!(repair(directory.path(), true), Err(Error::Locked { .. })));
    drop(db);
    assert!(check(directory.path()).unwrap().damaged.is_empty());
}

#[test]
fn damaged_words_beside_a_segment_cost_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let db = open(directory.path()).unwrap();
    let collection = db.create_collection("a", schema(3)).unwrap();
    collection.upsert((0..20).map(|id| point(id, 1, 3)).collect()).unwrap();
    db.flush().unwrap();
    collection.add_text("text", Analyzer::Standard).unwrap();
    drop((collection, db));
    let whole = files(directory.path());
    let name = whole.keys().find(|name| name.starts_with("words-")).unwrap();
    assert_eq!(check(directory.path()).unwrap().notes, <[String; 0]>::default());
    let rows = Filter::Match("text".into(), "row".into());
    for offset in (0..whole[name].len()).step_by(37) {
        let directory = copied(&whole);
        let path = directory.path().join(name);
        let mut bytes = whole[name].clone();
        bytes[offset] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(named(&check(directory.path()).unwrap().damaged), [name.clone()].into());
        let dry = repair(directory.path(), true).unwrap();
        assert!(path.exists());
        let report = repair(directory.path(), false).unwrap();
        assert_eq!(report, dry);
        assert_eq!((report.lost.len(), report.actions.len()), (0, 1));
        assert!(!path.exists() && directory.path().join("damaged").join(name).exists());
        assert!(check(directory.path()).unwrap().damaged.is_empty());
        let db = open(directory.path()).unwrap();
        assert_eq!(db.collection("a").unwrap().count(Some(&rows)).unwrap(), 7);
    }
    // Of other damage they may be, too, so they go with it.
    let directory = copied(&whole);
    let (_, path) = segment(directory.path());
    let mut bytes = fs::read(&path).unwrap();
    bytes[100..120].fill(0x55);
    fs::write(&path, &bytes).unwrap();
    repair(directory.path(), false).unwrap();
    assert!(!directory.path().join(name).exists());
}
