//! What repairs cannot save, what they say of it, and what they keep.

use std::fs;
use std::path::Path;

use ragstone::{Db, DbOptions, Point, check, repair};

use super::{contents, copied, files, open, point, schema, small};

/// Files of a log in which each write is a file of its own, so that damage to one is never at its end.
fn with_log(writes: &[(&str, u64, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut options = DbOptions::default();
    (options.background, options.log_file_bytes) = (false, 1);
    let db = Db::open_with(directory.path(), options).unwrap();
    for (collection, id, text) in writes {
        if db.collection(collection).is_err() {
            db.create_collection(collection, schema(3)).unwrap();
        }
        let point = point(*id, 1, 3).with("text", *text);
        db.collection(collection).unwrap().upsert(vec![point]).unwrap();
    }
    directory
}

/// Overwrites the place where a text stands in the log.
fn damage_log(path: &Path, text: &str) {
    let has = |bytes: &[u8]| bytes.windows(text.len()).position(|window| window == text.as_bytes());
    let of_log = |name: &String| name.starts_with("log-");
    let found = files(path).into_iter().filter(|(name, _)| of_log(name));
    let mut found = found.filter_map(|(name, bytes)| has(&bytes).map(|at| (name, bytes, at)));
    let (name, mut bytes, at) = found.next().unwrap();
    assert!(found.next().is_none(), "{text} stands in one file");
    bytes[at..at + text.len()].fill(0xdb);
    fs::write(path.join(name), bytes).unwrap();
}

/// Losses were once told by the gaps in a collection's numbers, and behind its last write there is none.
#[test]
fn the_last_write_of_a_collection_is_not_lost_in_silence() {
    let directory = with_log(&[
        ("a", 1, "first of a"),
        ("b", 1, "first of b"),
        ("a", 2, "last of a"),
        ("b", 2, "second of b"),
        ("b", 3, "third of b"),
    ]);
    // A gap is named as before, and nothing else is said of it.
    let other = copied(&files(directory.path()));
    damage_log(other.path(), "second of b");
    let lost = repair(other.path(), false).unwrap().lost;
    assert_eq!((lost.len(), &*lost[0].collection, &*lost[0].writes), (1, "b", &[2][..]), "{lost:?}");
    damage_log(directory.path(), "last of a");
    let plan = repair(directory.path(), true).unwrap();
    let report = repair(directory.path(), false).unwrap();
    assert_eq!(plan, report);
    let [loss] = &*report.lost else { panic!("{report:?}") };
    assert!(loss.what.starts_with("1 records of the log") && loss.collection.is_empty(), "{loss:?}");
    assert!(report.actions.iter().any(|action| action.contains("1 writes left out")), "{report:?}");
    let found = contents(&open(directory.path()).unwrap());
    assert_eq!((found["a"].len(), found["b"].len()), (1, 3));
    assert_eq!(repair(directory.path(), false).unwrap().lost, []);
}

/// Without the record that made it nothing is known of a collection but its writes, which were dropped without a word.
#[test]
fn writes_of_a_collection_whose_making_is_lost_are_named() {
    let directory = with_log(&[("a", 1, "first of a")]);
    let root = fs::read(directory.path().join("MANIFEST")).unwrap();
    let mut options = DbOptions::default();
    (options.background, options.log_file_bytes) = (false, 1);
    let db = Db::open_with(directory.path(), options).unwrap();
    let unmade = db.create_collection("unmade", schema(3)).unwrap();
    for id in 1..4 {
        unmade.upsert(vec![point(id, 1, 3)]).unwrap();
    }
    drop((unmade, db));
    // As if the manifest had been lost with a crash between two of its copies.
    for name in ["MANIFEST", "MANIFEST.copy"] {
        fs::write(directory.path().join(name), &root).unwrap();
    }
    damage_log(directory.path(), "unmade");
    let report = repair(directory.path(), false).unwrap();
    let writes: Vec<&[u64]> = report.lost.iter().map(|loss| &*loss.writes).collect();
    assert!(writes.contains(&&[1, 2, 3][..]) && report.lost.len() == 2, "{report:?}");
    let db = open(directory.path()).unwrap();
    assert_eq!(contents(&db).keys().collect::<Vec<_>>(), ["a"]);
    db.create_collection("unmade", schema(3)).unwrap().upsert(vec![point(9, 1, 3)]).unwrap();
    drop(db);
    assert_eq!(contents(&open(directory.path()).unwrap())["unmade"].len(), 1);
}

/// Rows that were replaced came back beside the newer ones, and a merge put both into one segment.
#[test]
fn without_its_tombstones_a_segment_has_no_row_that_another_has() {
    let directory = tempfile::tempdir().unwrap();
    let db = open(directory.path()).unwrap();
    let collection = db.create_collection("a", schema(3)).unwrap();
    let write = |ids: std::ops::Range<u64>, version| {
        collection.upsert(ids.map(|id| point(id, version, 3)).collect()).unwrap();
        db.flush().unwrap();
    };
    write(0..100, 1);
    write(5..10, 2);
    write(9..10, 3);
    collection.delete(&[50.into()]).unwrap();
    db.flush().unwrap();
    assert_eq!(collection.info().segments, 3);
    let expected = contents(&db);
    drop((collection, db));
    let whole = files(directory.path());
    let dead: Vec<&String> = whole.keys().filter(|name| name.starts_with("dead-")).collect();
    assert_eq!(dead.len(), 2, "{dead:?}");
    let segment_of = |dead: &str| format!("segment-{}", dead.split('-').nth(1).unwrap());
    // The tombstones of the first, of the second, of both; and with the first segment damaged, too.
    for (lost, is_segment_damaged) in
        [(&dead[..1], false), (&dead[1..], false), (&dead[..], false), (&dead[..], true)]
    {
        let mut damaged = whole.clone();
        for name in lost {
            damaged.get_mut(*name).unwrap().fill(0xdb);
        }
        if is_segment_damaged {
            // A vector of the first rows.
            damaged.get_mut(&segment_of(dead[0])).unwrap()[64..68].fill(0xdb);
        }
        let directory = copied(&damaged);
        let plan = repair(directory.path(), true).unwrap();
        let report = repair(directory.path(), false).unwrap();
        assert_eq!(plan, report);
        assert_eq!(check(directory.path()).unwrap().damaged, []);
        let db = open(directory.path()).unwrap();
        let collection = db.collection("a").unwrap();
        let found = contents(&db).remove("a").unwrap();
        if is_segment_damaged {
            // The file is one block, so nothing of the segment is left but what others have.
            assert!(found.iter().all(|point| expected["a"].contains(point)), "{found:?}");
            continue;
        }
        let deleted = |point: &&Point| point.id == 50.into();
        assert_eq!(found.iter().filter(deleted).count(), usize::from(lost.contains(&dead[0])), "{report:?}");
        let rest: Vec<Point> = found.iter().filter(|point| !deleted(point)).cloned().collect();
        assert_eq!(rest, expected["a"], "{report:?}");
        assert_eq!(collection.count(None).unwrap(), found.len() as u64);
        // What is deleted is gone, whatever is merged.
        collection.delete(&[7.into(), 9.into()]).unwrap();
        db.compact().unwrap();
        assert_eq!(collection.get(&[7.into(), 9.into()]).unwrap(), [None, None]);
        assert_eq!(collection.count(None).unwrap(), found.len() as u64 - 2);
    }
}

#[test]
fn every_repair_keeps_what_it_replaces() {
    let whole = small();
    let (path, kept) = (whole.path().join("MANIFEST"), whole.path().join("damaged"));
    let mut damaged = Vec::new();
    for round in 0..3 {
        let mut bytes = fs::read(&path).unwrap();
        bytes[30 + round] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(repair(whole.path(), false).unwrap().lost, []);
        damaged.push(bytes);
    }
    let names = ["MANIFEST", "MANIFEST.2", "MANIFEST.3"];
    assert_eq!(names.map(|name| fs::read(kept.join(name)).unwrap()).as_slice(), damaged);
    // The same once more is kept already.
    fs::write(&path, &damaged[1]).unwrap();
    repair(whole.path(), false).unwrap();
    assert!(!kept.join("MANIFEST.4").exists());
}
