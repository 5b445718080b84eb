//! What cannot be read is said, and keeps nobody from what can.

use std::collections::BTreeSet;
use std::fs::File;
use std::time::{Duration, SystemTime};

use ragstone::Schema;
use ragstone_snapshot::{CollectionRestore, Error, RestoreRequest, Until, quietly};

use super::support::{Copies, contents, open_still, restored, version_of};

/// Whoever took the next one was told of the damage of the one before, and had none.
#[test]
fn a_snapshot_is_taken_beside_one_that_cannot_be_read() {
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let db = open_still(data.path());
    let notes = db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    notes.upsert(vec![version_of(1, 1)]).unwrap();
    db.flush().unwrap();
    copies.repository.take(&db, Some("s"), quietly).unwrap();
    copies.write("snapshots/s", b"{}\n");
    let taken = copies.repository.take(&db, Some("t"), quietly).unwrap();
    assert_eq!(copies.repository.snapshot("t").unwrap(), taken.snapshot);
    let (found, _keep) = restored(&copies.repository, &RestoreRequest::snapshot("t"));
    assert_eq!(contents(&found)["notes"][&1], 1);
}

/// Whoever looked at the copies with the Finder, or copied them to a stick by it, had none that could be listed, restored without a name, or
/// collected; and what lay in a folder beside them was read under the name of one of them.
#[test]
fn what_no_snapshot_can_be_called_is_none() {
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let db = open_still(data.path());
    db.create_collection("notes", Schema::new(2).unwrap()).unwrap().upsert(vec![version_of(1, 1)]).unwrap();
    let taken = copies.repository.take(&db, Some("s"), quietly).unwrap();
    let others = ["snapshots/.DS_Store", "snapshots/._s", "snapshots/old/s", "snapshots/old/t"];
    others.iter().for_each(|name| copies.write(name, b"\0\x01Bud1"));
    assert_eq!(copies.repository.list().unwrap(), [taken.snapshot]);
    copies.repository.collect_garbage(quietly).unwrap();
    let (found, _keep) = restored(&copies.repository, &RestoreRequest::newest());
    assert_eq!(contents(&found), contents(&db));
}

/// Why nothing is restored.
fn refused(copies: &Copies, request: &RestoreRequest) -> Error {
    let directory = tempfile::tempdir().unwrap();
    copies.repository.restore(request, directory.path(), quietly).unwrap_err()
}

/// Nothing was restored beside one that was damaged, however old, unless a snapshot was named.
#[test]
fn a_snapshot_is_restored_beside_an_older_one_that_cannot_be_read() {
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let db = open_still(data.path());
    let notes = db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    let write = |version: i64| notes.upsert(vec![version_of(1, version)]).unwrap();
    let take = |name: &str| copies.repository.take(&db, Some(name), quietly).unwrap().snapshot;
    let first = write(1);
    take("s");
    write(2);
    let newest = take("t");
    let last = write(3);
    copies.repository.archive(&db, quietly).unwrap();
    copies.write("snapshots/s", b"{}\n");
    let of_last = Until::Write { collection: "notes".into(), seq: last.seq };
    let moments = [None, Some(Until::End), Some(Until::Position(last.position)), Some(of_last)];
    let requests = moments.map(|until| RestoreRequest { snapshot: None, until });
    // As the store says, it was written after the other was begun: so it may be the newest.
    for request in &requests {
        let error = refused(&copies, request);
        let Error::Undecided { name, readable, .. } = &error else { panic!("{error}") };
        assert_eq!((name.as_str(), readable.as_deref()), ("s", Some("t")), "{request:?}");
        assert!(error.to_string().ends_with("of those that can be read it would be `t`"), "{error}");
    }
    let (again, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let other = open_still(again.path());
    let restore = || {
        copies.repository.restore_collection(&other, &CollectionRestore::new("notes"), scratch.path(), |_| {
            std::ops::ControlFlow::Continue(())
        })
    };
    assert!(matches!(restore(), Err(Error::Undecided { .. })));
    let hour_before =
        SystemTime::UNIX_EPOCH + Duration::from_micros(newest.created_us) - Duration::from_secs(3_600);
    let damaged = File::options().write(true).open(copies.path("snapshots/s")).unwrap();
    damaged.set_modified(hour_before).unwrap();
    for (request, version) in requests.iter().zip([2, 3, 3, 3]) {
        let (found, _keep) = restored(&copies.repository, request);
        assert_eq!(contents(&found)["notes"][&1], version, "{request:?}");
    }
    assert_eq!(restore().unwrap().snapshot, "t");
    // What only the damaged one may lead to is not said to be led to by none.
    let error = refused(&copies, &RestoreRequest::until(Until::Position(first.position)));
    assert!(matches!(&error, Error::Undecided { readable: None, .. }), "{error}");
    assert!(matches!(copies.repository.list(), Err(Error::Damaged { .. })));
}

/// What could not be read of kept log was left out, and nobody was told: the files before and after it were archived as if they followed on
/// one another.
#[test]
fn kept_log_that_cannot_be_read_is_missing() {
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let db = open_still(data.path());
    let notes = db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    copies.repository.take(&db, Some("s"), quietly).unwrap();
    let positions = [1, 2, 3].map(|version| {
        let position = notes.upsert(vec![version_of(1, version)]).unwrap().position;
        db.flush().unwrap();
        position
    });
    drop((notes, db));
    let names = std::fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap().path());
    let mut kept: Vec<_> =
        names.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("kept-")).collect();
    kept.sort();
    // The first is of the snapshot; then comes one of each write.
    assert_eq!(kept.len(), 4);
    std::fs::write(&kept[2], b"damaged").unwrap();
    let db = open_still(data.path());
    let archive = || copies.repository.archive(&db, quietly).unwrap();
    let gap = archive().gap.unwrap();
    assert_eq!((gap.from, gap.to), (positions[1], positions[1]));
    assert_eq!(archive().gap, None, "it was said");
    let error = refused(&copies, &RestoreRequest::until(Until::Position(positions[2])));
    assert!(matches!(error, Error::MissingLog { from, to } if (from, to) == (gap.from, gap.to)), "{error}");
}

/// An object of the right length was taken for sound by every later snapshot, also after a verification had found it damaged.
#[test]
fn what_was_found_damaged_is_uploaded_again() {
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let db = open_still(data.path());
    let notes = db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    notes.upsert((0..50).map(|id| version_of(id, 1)).collect()).unwrap();
    db.flush().unwrap();
    let take = |name: &str| copies.repository.take(&db, Some(name), quietly).unwrap();
    let damaged = |name: &str| copies.repository.verify(name, quietly).unwrap().damaged;
    let flip = |object: &str| {
        let mut bytes = copies.read(object);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        copies.write(object, &bytes);
    };
    let objects: BTreeSet<_> = take("first").snapshot.files.into_iter().map(|file| file.object).collect();
    objects.iter().for_each(|object| flip(object));
    assert_eq!(take("second").uploaded, 0, "nobody knows of it yet");
    let found: BTreeSet<_> = damaged("second").into_iter().map(|found| found.object).collect();
    assert_eq!(found, objects);
    assert_eq!(take("third").uploaded, objects.len());
    assert!(["first", "second", "third"].iter().all(|name| damaged(name).is_empty()));
    assert!(copies.objects("damaged").is_empty());
    assert_eq!(take("fourth").uploaded, 0);
    // Archived log, too.
    notes.upsert(vec![version_of(1, 2)]).unwrap();
    let archive = || copies.repository.archive(&db, quietly).unwrap().uploaded;
    assert!(archive() > 0);
    let last = copies.objects("log").pop().unwrap();
    flip(&last);
    assert_eq!(damaged("first").len(), 1);
    assert_eq!((archive(), archive()), (1, 0));
    assert!(damaged("first").is_empty() && copies.objects("damaged").is_empty());
    let (found, _keep) = restored(&copies.repository, &RestoreRequest::until(Until::End));
    assert_eq!(contents(&found), contents(&db));
    // What nobody uploads again is forgotten with what it is of.
    flip(&last);
    damaged("first");
    copies.repository.collect_garbage(quietly).unwrap();
    assert_eq!(copies.objects("damaged"), [format!("damaged/{last}")]);
    ["first", "second", "third", "fourth"].iter().for_each(|name| copies.repository.delete(name).unwrap());
    copies.repository.collect_garbage(quietly).unwrap();
    assert!(copies.objects(".").is_empty());
}
