//! Snapshots of a database that is being written to, and what is restored from them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod collecting;
mod collections;
mod damaged;
mod interrupted;
mod moments;
mod slow;
mod support;

use std::sync::atomic::{AtomicBool, Ordering};

use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use ragstone::{Batch, Db, Point, Schema, Update};
use ragstone_snapshot::{Error, Repository, RestoreRequest, quietly};

use support::{Copies, contents, open, open_still, restored, version_of, writer_ids};

#[test]
fn what_is_restored_is_what_was_acknowledged_then() {
    const WRITERS: u64 = 3;
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let db = open(data.path());
    db.create_collection("a", Schema::new(2).unwrap()).unwrap();
    db.create_collection("b", Schema::new(2).unwrap()).unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Each writes its own ids over and over: the versions of its points never fall.
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (db, is_over) = (db.clone(), &is_over);
                scope.spawn(move || {
                    let mut receipts = Vec::new();
                    for version in 1.. {
                        let name = if version % 2 == 0 { "a" } else { "b" };
                        let points = writer_ids(writer, version)
                            .map(|id| Point::new(id, [version as f32, 1.0]).with("version", version as i64));
                        let receipt = db.collection(name).unwrap().upsert(points.collect()).unwrap();
                        receipts.push((receipt.position, writer, version));
                        if is_over.load(Ordering::Relaxed) {
                            return receipts;
                        }
                    }
                    unreachable!("it is over before the versions are")
                })
            })
            .collect();
        let mut taken = Vec::new();
        for number in 0..5 {
            let name = format!("s{number}");
            let before = db.pin().unwrap().position();
            let snapshot = copies.repository.take(&db, Some(&name), quietly).unwrap().snapshot;
            assert!(snapshot.position >= before, "what was acknowledged before is in it");
            taken.push(snapshot);
        }
        is_over.store(true, Ordering::Relaxed);
        let mut receipts: Vec<_> = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
        receipts.sort_unstable();
        for snapshot in taken {
            let directory = tempfile::tempdir().unwrap();
            let request = RestoreRequest::snapshot(&snapshot.name);
            copies.repository.restore(&request, directory.path(), quietly).unwrap();
            // The two that made the collections are no receipts.
            let until = receipts.iter().filter(|(position, ..)| *position <= snapshot.position);
            assert_eq!(until.clone().count() as u64 + 2, snapshot.position);
            let mut expected = [std::collections::BTreeMap::new(), std::collections::BTreeMap::new()];
            for (_, writer, version) in until {
                let points = writer_ids(*writer, *version).map(|id| (id, *version as i64));
                expected[(version % 2) as usize].extend(points);
            }
            let found = contents(&open(directory.path()));
            assert_eq!([&found["a"], &found["b"]], [&expected[0], &expected[1]], "{}", snapshot.name);
        }
    });
}

#[test]
fn what_is_there_is_not_uploaded_again() {
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let db = open_still(data.path());
    let notes = db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    notes.upsert((0..50).map(|id| version_of(id, 1)).collect()).unwrap();
    db.flush().unwrap();
    let first = copies.repository.take(&db, Some("first"), quietly).unwrap();
    assert_eq!(first.uploaded, first.snapshot.files.len());
    assert_eq!(first.uploaded_bytes, first.snapshot.size_bytes());
    // Nothing new: its manifest is that of the first.
    let again = copies.repository.take(&db, Some("again"), quietly).unwrap();
    assert_eq!((again.uploaded, again.snapshot.files), (0, first.snapshot.files.clone()));
    // A write: the log file that has it, and no manifest.
    notes.upsert(vec![version_of(3, 2)]).unwrap();
    let second = copies.repository.take(&db, Some("second"), quietly).unwrap();
    let segments = |files: &[ragstone_snapshot::SnapshotFile]| {
        files.iter().filter(|file| file.name.starts_with("segment-")).cloned().collect::<Vec<_>>()
    };
    assert_eq!(segments(&second.snapshot.files), segments(&first.snapshot.files));
    assert_eq!(second.uploaded, 2, "a file of the log, and the manifest that knows where it ends");
    // A directory that was restored has the same segments under another lineage: their content is there.
    let (restored, _keep) = restored(&copies.repository, &RestoreRequest::snapshot("second"));
    let third = copies.repository.take(&restored, Some("third"), quietly).unwrap();
    assert_ne!(third.snapshot.lineage, second.snapshot.lineage);
    assert_eq!(segments(&third.snapshot.files), segments(&first.snapshot.files));
}

/// A directory that was copied, or put back to an older state, uses the names of its files once more for other contents of
/// the same length. They used to be taken for what earlier snapshots have under those names.
#[test]
fn a_name_that_is_used_again_is_another_file() {
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let open = |path: &std::path::Path| {
        // No log is kept, so that segments and tombstones alone are what differs.
        let mut options = ragstone::DbOptions::default();
        (options.seal_rows, options.background) = (64, false);
        Db::open_with(path, options).unwrap()
    };
    let db = open(data.path());
    db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    drop(db);
    let empty = support::copied(data.path());
    let step = |path: &std::path::Path, name: &str, change: &dyn Fn(&ragstone::Collection)| {
        let db = open(path);
        change(&db.collection("notes").unwrap());
        db.flush().unwrap();
        let taken = copies.repository.take(&db, Some(name), quietly).unwrap();
        let (found, _keep) = restored(&copies.repository, &RestoreRequest::snapshot(name));
        assert_eq!(contents(&found), contents(&db), "{name}");
        taken
            .snapshot
            .files
            .into_iter()
            .map(|file| (file.name, file.size_bytes, file.object))
            .collect::<Vec<_>>()
    };
    let rows = |version| {
        move |notes: &ragstone::Collection| {
            notes.upsert((0..50).map(|id| version_of(id, version)).collect()).unwrap();
        }
    };
    let without =
        |id: u64| move |notes: &ragstone::Collection| assert!(notes.delete(&[id.into()]).unwrap().seq > 1);
    let full = step(data.path(), "full", &rows(1));
    let other_rows = step(empty.path(), "other-rows", &rows(2));
    let sealed = support::copied(data.path());
    let dead = step(data.path(), "dead", &without(3));
    let other_dead = step(sealed.path(), "other-dead", &without(4));
    for (kind, first, second) in [("segment-", full, other_rows), ("dead-", dead, other_dead)] {
        let of = |files: Vec<(String, u64, String)>| {
            files.into_iter().find(|file| file.0.starts_with(kind)).unwrap()
        };
        let (first, second) = (of(first), of(second));
        assert_eq!((&first.0, first.1), (&second.0, second.1), "one name, one length");
        assert_ne!(first.2, second.2);
    }
}

#[test]
fn names_are_used_once_and_lists_are_in_order() {
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let db = open(data.path());
    let unnamed = copies.repository.take(&db, None, quietly).unwrap().snapshot.name;
    copies.repository.take(&db, Some("b"), quietly).unwrap();
    copies.repository.take(&db, Some("a"), quietly).unwrap();
    assert!(matches!(copies.repository.take(&db, Some("a"), quietly), Err(Error::Exists { .. })));
    assert!(matches!(copies.repository.take(&db, Some("a/b"), quietly), Err(Error::Name { .. })));
    let names = || copies.repository.list().unwrap().into_iter().map(|found| found.name).collect::<Vec<_>>();
    assert_eq!(names(), [unnamed.clone(), "b".into(), "a".into()]);
    copies.repository.delete("b").unwrap();
    assert!(matches!(copies.repository.delete("b"), Err(Error::NotFound { .. })));
    assert_eq!(names(), [unnamed, "a".into()]);
}

#[test]
fn every_object_damaged_or_missing_is_named() {
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let db = open(data.path());
    let notes = db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    notes.upsert((0..50).map(|id| version_of(id, 1)).collect()).unwrap();
    db.flush().unwrap();
    notes.delete(&[7_u64.into()]).unwrap();
    let update = |id: u64| Batch::new().update(Update::new(id).set("version", 9)).request("nine");
    notes.write(update(5)).unwrap();
    db.flush().unwrap();
    notes.upsert(vec![version_of(3, 2)]).unwrap();
    let snapshot = copies.repository.take(&db, Some("s"), quietly).unwrap().snapshot;
    let kinds = ["MANIFEST", "segment-", "dead-", "patch-", "requests-", "log-"];
    assert!(kinds.iter().all(|kind| snapshot.files.iter().any(|file| file.name.starts_with(kind))));
    let objects = snapshot.files.iter().map(|file| file.object.clone()).chain(["snapshots/s".into()]);
    for object in objects {
        let sound = copies.read(&object);
        for at in [0, sound.len() / 2, sound.len() - 1] {
            let mut bytes = sound.clone();
            bytes[at] ^= 1;
            copies.write(&object, &bytes);
            assert_is_named(&copies, &object, &format!("{object} is damaged"));
        }
        copies.write(&object, &sound[1..]);
        assert_is_named(&copies, &object, &format!("{object} is damaged"));
        copies.remove(&object);
        let missing = if object == "snapshots/s" {
            "snapshot `s` does not exist".into()
        } else {
            format!("{object} is missing")
        };
        assert_is_named(&copies, &object, &missing);
        copies.write(&object, &sound);
    }
    assert!(copies.repository.verify("s", quietly).unwrap().damaged.is_empty());
    let (found, _keep) = restored(&copies.repository, &RestoreRequest::snapshot("s"));
    assert_eq!(contents(&found)["notes"][&5], 9, "an update of a sealed row");
    assert!(found.collection("notes").unwrap().write(update(6)).unwrap().repeated);
}

/// A restore fails and says why, leaves nothing that opens, and a verification finds the same.
fn assert_is_named(copies: &Copies, object: &str, message: &str) {
    let directory = tempfile::tempdir().unwrap();
    let error =
        copies.repository.restore(&RestoreRequest::snapshot("s"), directory.path(), quietly).unwrap_err();
    assert!(error.to_string().contains(message), "{error}, not {message}");
    match Db::open(directory.path()) {
        Err(ragstone::Error::Restoring { .. }) => {}
        // Nothing was begun.
        Ok(db) => assert!(object == "snapshots/s" && db.collections().is_empty()),
        Err(error) => panic!("{error}"),
    }
    match copies.repository.verify("s", quietly) {
        Ok(report) => assert_eq!(report.damaged[0].object, object),
        Err(error) => assert!(object == "snapshots/s" && error.to_string().contains(message), "{error}"),
    }
}

#[test]
fn a_store_of_ones_own_will_do() {
    let data = tempfile::tempdir().unwrap();
    let store = std::sync::Arc::new(InMemory::new());
    let repository = Repository::with_store(store.clone(), Path::from("deep/down")).unwrap();
    let db = open(data.path());
    db.create_collection("notes", Schema::new(2).unwrap()).unwrap().upsert(vec![version_of(1, 1)]).unwrap();
    repository.take(&db, Some("s"), quietly).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.head(&Path::from("deep/down/snapshots/s"))).unwrap();
    let (found, _keep) = restored(&repository, &RestoreRequest::newest());
    assert_eq!(contents(&found), contents(&db));
}
