//! Pins hold what they name, and a restore may die at any call.

mod cut;
mod names;
mod part;

use std::io::{Cursor, Read, Write};
use std::sync::Arc;

use super::{Pin, Restore, Until};
use crate::dir::{Dir, ReadOnlyDir, memory::MemoryDir};
use crate::faults::{Mutant, with};
use crate::wal::Record;
use crate::{
    Batch, Db, DbOptions, Error, Metric, Point, Result, Schema, ScrollRequest, Update, Value, WriteReceipt,
};

fn options() -> DbOptions {
    let keep_log_bytes = Some(1 << 20);
    DbOptions { seal_rows: 8, log_file_bytes: 600, background: false, keep_log_bytes, ..DbOptions::default() }
}

fn open(dir: &MemoryDir) -> Result<Db> {
    Db::open_in(Arc::new(dir.clone()), options())
}

fn schema() -> Schema {
    Schema::builder(2).metric(Metric::L2).build().unwrap()
}

fn write(db: &Db, ids: std::ops::Range<u64>, version: i64) -> u64 {
    write_to(db, "a", ids, version).position
}

fn write_to(db: &Db, name: &str, ids: std::ops::Range<u64>, version: i64) -> WriteReceipt {
    let points = ids.map(|id| Point::new(id, [version as f32, id as f32]).with("version", version));
    db.collection(name).unwrap().upsert(points.collect()).unwrap()
}

/// Changes the version alone.
fn update(db: &Db, ids: std::ops::Range<u64>, version: i64) {
    let update = |batch: Batch, id: u64| batch.update(Update::new(id).set("version", version));
    let batch = ids.fold(Batch::new().request(format!("request {version}")), update);
    db.collection("a").unwrap().write(batch).unwrap();
}

/// Of each collection, the versions in the order of the ids.
fn contents(db: &Db) -> Vec<(String, Vec<i64>)> {
    let versions = |name: &str| {
        let request = ScrollRequest { limit: 1_000, ..ScrollRequest::default() };
        let page = db.collection(name).unwrap().scroll(&request).unwrap();
        let version = |point: &Point| match point.payload["version"] {
            Value::Int(version) => version,
            ref other => panic!("{other:?}"),
        };
        page.points.iter().map(version).collect()
    };
    db.collections().into_iter().map(|info| (info.name.clone(), versions(&info.name))).collect()
}

fn bytes_of(mut reader: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    bytes
}

/// A copy, with the log after it.
struct Copied {
    manifest: Vec<u8>,
    files: Vec<(String, Vec<u8>)>,
    log: Vec<Vec<u8>>,
}

impl Copied {
    fn of(pin: &Pin) -> Self {
        let files = pin.files().iter().map(|file| {
            file.verify().unwrap();
            (file.name().to_owned(), bytes_of(file.reader().unwrap()))
        });
        Self { manifest: pin.manifest(), files: files.collect(), log: Vec::new() }
    }

    fn with_log(mut self, db: &Db, from: u64) -> Self {
        let pinned = db.pin_log(from).unwrap();
        self.log = pinned.files().iter().map(|file| bytes_of(file.file().reader().unwrap())).collect();
        self
    }

    fn restore(&self, dir: &MemoryDir, until: &Until) -> Result<()> {
        let restore = Restore::begin_in(Arc::new(dir.clone()), "copy")?;
        for (name, bytes) in &self.files {
            if !restore.has_files() && !restore.has(name)? {
                let mut file = restore.write(name)?;
                file.write_all(bytes).map_err(|source| crate::dir::io_error("write", dir.path(), source))?;
                file.commit()?;
            }
        }
        let mut opened = restore.open(&self.manifest)?;
        for bytes in &self.log {
            if opened.apply_log(Cursor::new(bytes), until)? {
                break;
            }
        }
        opened.finish().map(drop)
    }
}

#[test]
fn what_is_pinned_stays_while_merges_remove_it() {
    let dir = MemoryDir::new();
    let db = open(&dir).unwrap();
    db.create_collection("a", schema()).unwrap();
    for version in 1..5 {
        write(&db, 0..8, version);
    }
    let pin = db.pin().unwrap();
    let before = contents(&db);
    for version in 5..9 {
        write(&db, 0..8, version);
    }
    db.compact().unwrap();
    db.delete_collection("a").unwrap();
    let names = |dir: &MemoryDir| dir.list().unwrap();
    let mut others = pin.files().iter().filter(|file| file.log_positions().is_none());
    assert!(others.all(|file| names(&dir).contains(&file.name().to_owned())));
    let copied = Copied::of(&pin);
    drop((pin, db));
    let left = names(&dir);
    let is_expected =
        |name: &String| ["MANIFEST", "kept-", "log-"].iter().any(|start| name.starts_with(start));
    assert!(left.iter().all(is_expected), "{left:?}");
    let target = MemoryDir::new();
    copied.restore(&target, &Until::End).unwrap();
    assert_eq!(contents(&open(&target).unwrap()), before);
}

/// A test of the torture's tests: this store makes copies that lack what was acknowledged last.
#[test]
fn the_mutant_forgets_the_log_that_is_being_written() {
    let dir = MemoryDir::new();
    let db = open(&dir).unwrap();
    db.create_collection("a", schema()).unwrap();
    let written = write(&db, 0..4, 1);
    let forgetful = with(Mutant::CopyWithoutOpenLog, || db.pin().unwrap().position());
    assert!(forgetful < written, "{forgetful}");
    assert_eq!(db.pin().unwrap().position(), written);
}

#[test]
fn a_pin_keeps_the_directory_locked() {
    let dir = MemoryDir::new();
    let db = open(&dir).unwrap();
    let pin = db.pin().unwrap();
    drop(db);
    assert!(matches!(open(&dir), Err(Error::Locked { .. })));
    drop(pin);
    open(&dir).unwrap();
}

/// A collection that is sealed before the others must not be taken for all of them: what says how far a resumed restore is was
/// once what its segments hold.
#[test]
fn a_restore_may_die_at_any_call() {
    let source = MemoryDir::new();
    let db = open(&source).unwrap();
    for name in ["a", "z"] {
        db.create_collection(name, schema()).unwrap();
    }
    write(&db, 0..10, 1);
    write(&db, 2..4, 2);
    db.flush().unwrap();
    // Of sealed rows: a file beside their segment, one of requests, and more in the log.
    update(&db, 0..2, 6);
    db.flush().unwrap();
    update(&db, 0..1, 7);
    let pin = db.pin().unwrap();
    let has = |kind: &str| pin.files().iter().any(|file| file.name().starts_with(kind));
    assert!(has("patch-") && has("requests-"));
    db.create_collection("b", schema()).unwrap();
    write(&db, 1..12, 3);
    update(&db, 7..9, 8);
    db.delete_collection("b").unwrap();
    write_to(&db, "z", 0..3, 3);
    let last = write_to(&db, "a", 5..6, 4);
    let expected = contents(&db);
    write(&db, 0..1, 5);
    let copied = Copied::of(&pin).with_log(&db, pin.position() + 1);
    for until in [
        Until::Position(last.position),
        Until::Write { collection: "a".into(), seq: last.seq },
        // As far as the copy goes: nothing of the log.
        Until::Write { collection: "a".into(), seq: 4 },
    ] {
        let expected = match &until {
            Until::Write { seq: 4, .. } => {
                vec![("a".into(), vec![7, 6, 2, 2, 1, 1, 1, 1, 1, 1]), ("z".into(), vec![])]
            }
            _ => expected.clone(),
        };
        dies_at_any_call(&copied, &until, &expected);
    }
}

fn dies_at_any_call(copied: &Copied, until: &Until, expected: &[(String, Vec<i64>)]) {
    for call in 0.. {
        let dir = MemoryDir::new();
        dir.crash_at(call);
        let is_over = copied.restore(&dir, until).is_ok();
        for seed in 0..3 {
            let after = dir.recovered(call * 3 + seed);
            // A copy of it, since opening an empty directory makes a database of it.
            match open(&after.copied()) {
                Err(Error::Restoring { .. }) => copied.restore(&after, until).unwrap(),
                Ok(db) if contents(&db).is_empty() => copied.restore(&after, until).unwrap(),
                Ok(db) => assert_eq!(contents(&db), expected, "call {call}, {until:?}"),
                Err(error) => panic!("call {call}: {error}"),
            }
            let restored = open(&after).unwrap();
            assert_eq!(contents(&restored), expected, "call {call}, {until:?}");
            // The log that it goes on with can be copied.
            write(&restored, 0..1, 9);
            let pin = restored.pin().unwrap();
            pin.files().iter().for_each(|file| file.verify().unwrap());
            restored.pin_log(0).unwrap().files().iter().for_each(|file| file.file().verify().unwrap());
        }
        if is_over {
            assert!(call > 20, "{call} calls");
            return;
        }
    }
}

/// A restore that was interrupted goes on with what is there, which may have been damaged meanwhile. It used to leave the
/// damaged collection out, with all archived log of it, and to end as if nothing were missing.
#[test]
fn what_rots_while_a_restore_is_interrupted_is_refused() {
    let source = MemoryDir::new();
    let db = open(&source).unwrap();
    db.create_collection("a", schema()).unwrap();
    write(&db, 0..9, 1);
    db.flush().unwrap();
    db.collection("a").unwrap().delete(&[3.into()]).unwrap();
    db.flush().unwrap();
    let pin = db.pin().unwrap();
    write(&db, 0..2, 2);
    let copied = Copied::of(&pin).with_log(&db, pin.position() + 1);
    let kinds = ["segment-", "dead-"];
    for kind in kinds {
        let (name, bytes) = copied.files.iter().find(|(name, _)| name.starts_with(kind)).unwrap();
        let dir = MemoryDir::new();
        let restore = Restore::begin_in(Arc::new(dir.clone()), "copy").unwrap();
        for (name, bytes) in &copied.files {
            let mut file = restore.write(name).unwrap();
            file.write_all(bytes).unwrap();
            file.commit().unwrap();
            assert_eq!(bytes_of(restore.reader(name).unwrap().unwrap()), *bytes);
        }
        assert!(restore.reader("segment-ffffffffffffffff").unwrap().is_none());
        drop(restore.open(&copied.manifest).unwrap());
        dir.flip(name, bytes.len() / 2);
        let error = copied.restore(&dir, &Until::End).unwrap_err();
        assert!(
            matches!(&error, Error::Corrupt { file, .. } if file.to_string_lossy().contains(kind)),
            "{error}"
        );
        assert!(matches!(open(&dir), Err(Error::Restoring { .. })), "it is still no database");
        dir.flip(name, bytes.len() / 2);
        copied.restore(&dir, &Until::End).unwrap();
        assert_eq!(contents(&open(&dir).unwrap()), contents(&db));
    }
}

/// One name, one length, another content: only the checksums tell.
#[test]
fn checksums_tell_segments_apart() {
    let segment_of = |version| {
        let dir = MemoryDir::new();
        let db = open(&dir).unwrap();
        db.create_collection("a", schema()).unwrap();
        write(&db, 0..9, version);
        db.flush().unwrap();
        db.collection("a").unwrap().delete(&[3.into()]).unwrap();
        db.flush().unwrap();
        let pin = db.pin().unwrap();
        let mut segments = pin.files().iter().filter(|file| file.name().starts_with("segment-"));
        let segment = segments.next().unwrap();
        let others = pin.files().iter().filter(|file| !file.name().starts_with("segment-"));
        others.for_each(|file| assert_eq!(file.checksums().unwrap(), None, "{}", file.name()));
        (segment.name().to_owned(), segment.size_bytes(), segment.checksums().unwrap().unwrap())
    };
    let (first, same, other) = (segment_of(1), segment_of(1), segment_of(2));
    assert_eq!(first, same);
    assert_eq!((&first.0, first.1), (&other.0, other.1));
    assert_ne!(first.2, other.2);
}

#[test]
fn what_is_not_a_restore_of_the_same_is_refused() {
    let dir = MemoryDir::new();
    drop(open(&dir).unwrap());
    let begin = |dir: &MemoryDir, source| Restore::begin_in(Arc::new(dir.clone()), source);
    let error = begin(&dir, "x").unwrap_err().to_string();
    assert!(error.contains("is not empty: it holds MANIFEST"), "{error}");
    let dir = MemoryDir::new();
    let restore = begin(&dir, "one").unwrap();
    for name in ["../x", "MANIFEST", "RESTORE", "kept-0000000000000001", "segment-1", "a"] {
        assert!(matches!(restore.write(name), Err(Error::Invalid { .. })), "{name}");
    }
    assert!(matches!(begin(&dir, "one"), Err(Error::Locked { .. })));
    drop(restore);
    let error = begin(&dir, "two").unwrap_err().to_string();
    assert!(error.contains("interrupted restore of another copy: one"), "{error}");
    assert!(matches!(open(&dir), Err(Error::Restoring { .. })));
    assert!(matches!(begin(&dir, "a\nb"), Err(Error::Invalid { .. })));
    // A segment that is not there is named.
    let db = open(&MemoryDir::new()).unwrap();
    db.create_collection("a", schema()).unwrap();
    write(&db, 0..9, 1);
    let error = begin(&dir, "one").unwrap().open(&db.pin().unwrap().manifest()).unwrap_err();
    assert!(
        matches!(&error, Error::Corrupt { file, .. } if file.to_string_lossy().contains("segment-")),
        "{error}"
    );
}

#[test]
fn kept_log_is_bounded_released_and_remembered() {
    let dir = MemoryDir::new();
    let kept = || dir.list().unwrap().iter().filter(|name| name.starts_with("kept-")).count();
    let db = open(&dir).unwrap();
    db.create_collection("a", schema()).unwrap();
    let mut positions = Vec::new();
    for version in 1..6 {
        positions.push(write(&db, 0..9, version));
        db.flush().unwrap();
    }
    let before = kept();
    assert!(before > 3, "{before} files");
    drop(db);
    // Opened by whoever knows nothing of it.
    let still = DbOptions { background: false, ..DbOptions::default() };
    let db = Db::open_in(Arc::new(dir.clone()), still.clone()).unwrap();
    assert_eq!(kept(), before);
    let pinned = db.pin_log(0).unwrap();
    assert_eq!((pinned.files()[0].first(), pinned.position()), (1, *positions.last().unwrap()));
    let ends: Vec<u64> = pinned.files().iter().map(|file| file.last()).collect();
    let firsts: Vec<u64> = pinned.files().iter().skip(1).map(|file| file.first() - 1).collect();
    assert_eq!(ends[..ends.len() - 1], firsts, "they follow one another");
    pinned.files().iter().for_each(|file| file.file().verify().unwrap());
    db.release_log(positions[1]).unwrap();
    assert_eq!(kept(), before, "they are pinned");
    drop(pinned);
    assert!(kept() < before);
    let first = db.pin_log(0).unwrap().files()[0].first();
    assert_eq!(first, positions[1] + 1);
    let restarted = write(&db, 0..1, 9);
    assert_eq!(restarted, positions.last().unwrap() + 1, "positions go on");
    drop(db);
    let db = Db::open_in(Arc::new(dir.clone()), DbOptions { keep_log_bytes: Some(1), ..still }).unwrap();
    assert_eq!(kept(), 0, "the bound is of bytes");
    db.flush().unwrap();
    assert_eq!(kept(), 0);
}

/// A crash between the log and the manifest: the collection is made, or removed, when the database is opened.
#[test]
fn a_logged_change_of_the_catalogue_is_carried_out_at_opening() {
    use crate::catalogue::{CATALOGUE, CatalogueChange};
    let dir = MemoryDir::new();
    let db = open(&dir).unwrap();
    db.create_collection("a", schema()).unwrap();
    write(&db, 0..9, 1);
    let id = db.pin().unwrap().root_ids()[0];
    let log = |db: &Db, seq, change: &CatalogueChange| {
        let body = change.encode();
        let log = &db.any_store().log;
        log.wait(log.submit(Record { log_id: CATALOGUE, seq, body: &body }).unwrap()).unwrap();
    };
    log(&db, 2, &CatalogueChange::Delete { id });
    drop(db);
    // Who may not write does it in memory, and the manifest is as sound as it was.
    let reader = Db::open_in(Arc::new(ReadOnlyDir::new(Arc::new(dir.clone()))), options()).unwrap();
    assert!(reader.collections().is_empty());
    let verified = reader.verify(|_| std::ops::ControlFlow::Continue(())).unwrap();
    assert_eq!(verified.damaged, []);
    drop(reader);
    let db = open(&dir).unwrap();
    assert!(db.collections().is_empty());
    assert!(dir.list().unwrap().iter().all(|name| !name.starts_with("segment-")));
    db.create_collection("a", schema()).unwrap();
    write(&db, 0..2, 2);
    drop(db);
    let db = open(&dir).unwrap();
    assert_eq!(contents(&db), [("a".to_owned(), vec![2, 2])]);
    // What cannot have been is damage.
    log(&db, 4, &CatalogueChange::Delete { id });
    drop(db);
    assert!(matches!(open(&dir), Err(Error::Corrupt { .. })));
}
