//! Snapshots and restores that end before they are done, and go on.

use std::ops::ControlFlow;
use std::path::Path;

use ragstone::{Db, Schema};
use ragstone_snapshot::{Error, RestoreRequest, Until, quietly};

use super::support::{Copies, contents, open, open_still, restored, version_of};

#[test]
fn an_interrupted_snapshot_is_none_and_goes_on() {
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let db = open_still(data.path());
    let notes = db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    for version in 1..4 {
        notes.upsert((0..50).map(|id| version_of(id, version)).collect()).unwrap();
        db.pin().unwrap();
    }
    for steps in 0.. {
        let before = copies.objects("objects").len() + copies.objects("log").len();
        let mut left = steps;
        let result = copies.repository.take(&db, Some("s"), |progress| {
            assert!(progress.bytes <= progress.bytes_total);
            left -= 1;
            if left < 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(copies.objects("pending").is_empty());
        match result {
            Err(Error::Cancelled) => assert!(copies.repository.list().unwrap().is_empty()),
            Ok(taken) => {
                assert!(steps > 3 && before > 0, "it was interrupted at every step before");
                assert!(taken.uploaded <= 1, "the rest was there");
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    restored(&copies.repository, &RestoreRequest::newest());
}

#[test]
fn an_interrupted_restore_opens_nowhere_and_goes_on() {
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let db = open_still(data.path());
    let notes = db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    for version in 1..4 {
        notes.upsert((0..50).map(|id| version_of(id, version)).collect()).unwrap();
        db.flush().unwrap();
    }
    copies.repository.take(&db, Some("s"), quietly).unwrap();
    let last = notes.upsert(vec![version_of(3, 9)]).unwrap();
    copies.repository.archive(&db, quietly).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let request = RestoreRequest::until(Until::Position(last.position));
    for steps in 0.. {
        let mut left = steps;
        let result = copies.repository.restore(&request, directory.path(), |_| {
            left -= 1;
            if left < 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if result.is_ok() {
            assert!(steps > 2, "each file and the log is a step");
            break;
        }
        assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
        assert!(matches!(Db::open(directory.path()), Err(ragstone::Error::Restoring { .. })));
        // Not of another snapshot.
        let other = copies.repository.restore(&RestoreRequest::newest(), directory.path(), quietly);
        assert!(matches!(other, Err(Error::Engine(ragstone::Error::Invalid { .. }))), "{other:?}");
    }
    assert_eq!(contents(&open(directory.path())), contents(&db));
    let again = copies.repository.restore(&request, directory.path(), quietly).unwrap_err();
    assert!(again.to_string().contains("is not empty"), "{again}");
}

/// A disk that was bought for it, with an ext4 on it, was not empty.
#[test]
fn the_root_of_a_new_disk_is_restored_into() {
    let (data, copies, disk) = (tempfile::tempdir().unwrap(), Copies::new(), tempfile::tempdir().unwrap());
    let db = open_still(data.path());
    db.create_collection("notes", Schema::new(2).unwrap()).unwrap().upsert(vec![version_of(1, 1)]).unwrap();
    copies.repository.take(&db, None, quietly).unwrap();
    std::fs::create_dir(disk.path().join("lost+found")).unwrap();
    copies.repository.restore(&RestoreRequest::newest(), disk.path(), quietly).unwrap();
    assert_eq!(contents(&open_still(disk.path())), contents(&db));
}

/// The names of the files below a directory that begin like this.
fn files_of(path: &Path, kind: &str) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    let found = entries.filter(|entry| entry.file_name().to_str().unwrap().starts_with(kind));
    found.map(|entry| entry.path()).collect()
}

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// What a restore left when it was interrupted may have been damaged since. As long as files are copied, a damaged one is
/// fetched again; later, when log is being carried out, the restore fails and says which file it is.
#[test]
fn what_rots_between_is_fetched_again_or_named() {
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let db = open_still(data.path());
    let notes = db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    notes.upsert((0..50).map(|id| version_of(id, 1)).collect()).unwrap();
    db.flush().unwrap();
    // A file of the log, which is copied after the segment.
    notes.upsert(vec![version_of(2, 8)]).unwrap();
    copies.repository.take(&db, Some("s"), quietly).unwrap();
    notes.upsert(vec![version_of(3, 9)]).unwrap();
    copies.repository.archive(&db, quietly).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let request = RestoreRequest::until(Until::End);
    let restore_while = |goes_on: &dyn Fn() -> bool| {
        copies.repository.restore(&request, directory.path(), |_| {
            if goes_on() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
    };
    let segment = || files_of(directory.path(), "segment-").pop();
    let stopped = restore_while(&|| segment().is_none());
    assert!(matches!(stopped, Err(Error::Cancelled)), "{stopped:?}");
    let marker = || std::fs::read_to_string(directory.path().join("RESTORE")).unwrap_or_default();
    let sound = std::fs::read(segment().unwrap()).unwrap();
    flip(&segment().unwrap());
    assert!(marker().contains("copying files"));
    let stopped = restore_while(&|| !marker().contains("applying log"));
    assert!(matches!(stopped, Err(Error::Cancelled)), "{stopped:?}");
    assert!(std::fs::read(segment().unwrap()).unwrap() == sound, "it was fetched again");
    flip(&segment().unwrap());
    let error = restore_while(&|| true).unwrap_err();
    assert!(matches!(&error, Error::Engine(ragstone::Error::Corrupt { .. })), "{error}");
    assert!(error.to_string().contains("segment-"), "{error}");
    assert!(matches!(Db::open(directory.path()), Err(ragstone::Error::Restoring { .. })));
    flip(&segment().unwrap());
    restore_while(&|| true).unwrap();
    assert_eq!(contents(&open_still(directory.path())), contents(&db));
}
