//! Garbage goes, and nothing else: also while snapshots are taken.

use std::collections::BTreeSet;
use std::fs::File;
use std::ops::ControlFlow;
use std::time::{Duration, SystemTime};

use ragstone::Schema;
use ragstone_snapshot::{Error, RestoreRequest, Until, quietly};

use super::support::{Copies, contents, open_still, restored, version_of};

#[test]
fn what_no_snapshot_names_goes() {
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let db = open_still(data.path());
    let notes = db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    for version in 1..4 {
        notes.upsert((0..20).map(|id| version_of(id, version)).collect()).unwrap();
        db.flush().unwrap();
        db.compact().unwrap();
        copies.repository.take(&db, Some(&format!("s{version}")), quietly).unwrap();
        notes.upsert(vec![version_of(0, version)]).unwrap();
        copies.repository.archive(&db, quietly).unwrap();
    }
    let all = copies.objects(".");
    assert_eq!(
        copies.repository.collect_garbage(quietly).unwrap().removed,
        1,
        "log before the first snapshot"
    );
    let before: BTreeSet<String> = copies.objects(".").into_iter().collect();
    assert_eq!(before.len() + 1, all.len());
    copies.repository.delete("s1").unwrap();
    copies.repository.delete("s2").unwrap();
    let collected = copies.repository.collect_garbage(quietly).unwrap();
    assert!(collected.removed > 2 && collected.removed_bytes > 0, "{collected:?}");
    let s3 = copies.repository.snapshot("s3").unwrap();
    let left: BTreeSet<String> = copies.objects("objects").into_iter().chain(copies.objects("log")).collect();
    assert_eq!(left.len(), collected.kept);
    let named: BTreeSet<String> = s3.files.iter().map(|file| file.object.clone()).collect();
    assert!(named.is_subset(&left));
    assert!(left.difference(&named).all(|object| object.starts_with("log/")), "{left:?}");
    let (found, _keep) = restored(&copies.repository, &RestoreRequest::until(Until::End));
    assert_eq!(contents(&found), contents(&db));
    copies.repository.delete("s3").unwrap();
    copies.repository.collect_garbage(quietly).unwrap();
    assert!(copies.objects(".").is_empty());
}

#[test]
fn it_gives_way_to_a_snapshot_and_a_snapshot_to_it() {
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let db = open_still(data.path());
    let notes = db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    notes.upsert((0..20).map(|id| version_of(id, 1)).collect()).unwrap();
    copies.repository.take(&db, Some("old"), quietly).unwrap();
    copies.repository.delete("old").unwrap();
    let mut refused = 0;
    copies
        .repository
        .take(&db, Some("new"), |_| {
            let collected = Copies::at(&copies).repository.collect_garbage(quietly);
            assert!(matches!(collected, Err(Error::Busy { .. })), "{collected:?}");
            refused += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(refused > 0);
    // What it found there, it names: all is still there.
    assert!(copies.repository.verify("new", quietly).unwrap().damaged.is_empty());
    copies.write("objects/aa/garbage", b"x");
    copies
        .repository
        .collect_garbage(|_| {
            let taken = Copies::at(&copies).repository.take(&db, Some("third"), quietly);
            assert!(matches!(taken, Err(Error::Busy { .. })), "{taken:?}");
            ControlFlow::Continue(())
        })
        .unwrap();
    copies.repository.take(&db, Some("third"), quietly).unwrap();
}

/// Two collections shared one mark: whoever ended first removed it, and a snapshot that began then relied on an object that
/// the other was about to remove.
#[test]
fn the_end_of_one_collection_leaves_the_mark_of_another() {
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let db = open_still(data.path());
    let notes = db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    notes.upsert((0..20).map(|id| version_of(id, 1)).collect()).unwrap();
    copies.repository.take(&db, Some("old"), quietly).unwrap();
    copies.repository.delete("old").unwrap();
    let mut steps = 0;
    copies
        .repository
        .collect_garbage(|_| {
            steps += 1;
            if steps == 1 {
                // The first knows by now what it is going to remove. It is put back, as if the second had not seen it.
                let garbage: Vec<_> =
                    copies.objects("objects").into_iter().chain(copies.objects("log")).collect();
                let garbage: Vec<_> = garbage.into_iter().map(|name| (copies.read(&name), name)).collect();
                Copies::at(&copies).repository.collect_garbage(quietly).unwrap();
                garbage.iter().for_each(|(bytes, name)| copies.write(name, bytes));
            }
            let taken = Copies::at(&copies).repository.take(&db, Some("new"), quietly);
            assert!(matches!(taken, Err(Error::Busy { .. })), "{taken:?}");
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(steps > 1);
    copies.repository.take(&db, Some("new"), quietly).unwrap();
    assert!(copies.repository.verify("new", quietly).unwrap().damaged.is_empty());
}

/// The same of two snapshots that want one name: the one that gives up leaves the mark of the other.
#[test]
fn the_end_of_one_snapshot_leaves_the_mark_of_its_namesake() {
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let db = open_still(data.path());
    db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    copies
        .repository
        .take(&db, Some("s"), |_| {
            let other = Copies::at(&copies).repository.take(&db, Some("s"), |_| ControlFlow::Break(()));
            assert!(matches!(other, Err(Error::Cancelled)), "{other:?}");
            let collected = Copies::at(&copies).repository.collect_garbage(quietly);
            let error = collected.unwrap_err().to_string();
            assert!(error.contains("snapshot `s` is under way"), "{error}");
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(copies.repository.verify("s", quietly).unwrap().damaged.is_empty());
}

#[test]
fn marks_of_the_dead_are_removed_after_an_hour() {
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let db = open_still(data.path());
    db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    let age = |object: &str, minutes: u64| {
        copies.write(object, b"at work\n");
        let then = SystemTime::now() - Duration::from_secs(60 * minutes);
        File::options().write(true).open(copies.path(object)).unwrap().set_modified(then).unwrap();
    };
    age("pending/0123456789abcdef-dead", 50);
    let error = copies.repository.collect_garbage(quietly).unwrap_err();
    assert!(error.to_string().contains("snapshot `dead` is under way"), "{error}");
    age("pending/0123456789abcdef-dead", 70);
    copies.repository.collect_garbage(quietly).unwrap();
    age("collecting/0", 50);
    assert!(matches!(copies.repository.take(&db, Some("s"), quietly), Err(Error::Busy { .. })));
    age("collecting/0", 70);
    copies.repository.take(&db, Some("s"), quietly).unwrap();
    assert!(copies.objects("pending").is_empty() && copies.objects("collecting").is_empty());
    // Of collections, by the next one too, which does not give way to those of the living.
    age("collecting/dead", 70);
    age("collecting/living", 50);
    copies.repository.collect_garbage(quietly).unwrap();
    assert_eq!(copies.objects("collecting"), ["collecting/living"]);
}

/// A process that is killed while it writes an object leaves a file that no listing shows. The torture found them: they
/// stayed for ever.
#[test]
fn what_the_dead_left_half_written_goes_after_an_hour() {
    let copies = Copies::new();
    let left = [("objects/aa/dead#1", 70), ("objects/aa/alive#1", 50), ("log/a/dead#12", 70)];
    for (object, minutes) in left.into_iter().chain([("collecting/dead#1", 70)]) {
        copies.write(object, b"half");
        let then = SystemTime::now() - Duration::from_secs(60 * minutes);
        File::options().write(true).open(copies.path(object)).unwrap().set_modified(then).unwrap();
    }
    let collected = copies.repository.collect_garbage(quietly).unwrap();
    assert_eq!((collected.removed, collected.removed_bytes, collected.kept), (3, 12, 0));
    assert_eq!(copies.objects("."), ["./objects/aa/alive#1"]);
}

/// The root of a disk has a folder that nobody may read, and a place may lie beside a whole tree of something else. Collecting
/// looked into all of it and failed. What even root cannot read by its path is one that is too long.
#[cfg(target_os = "linux")]
#[test]
fn what_else_is_at_the_place_is_not_looked_into() {
    let copies = Copies::new();
    let deep = |folder: &str| (0..12).fold(copies.path(folder), |path, _| path.join("a".repeat(200)));
    let (upper, lower) = (deep("lost+found"), deep("lower"));
    std::fs::create_dir_all(&upper).unwrap();
    std::fs::create_dir_all(&lower).unwrap();
    std::fs::rename(copies.path("lower"), upper.join("lower")).unwrap();
    let too_long = lower.strip_prefix(copies.path("")).unwrap();
    assert!(std::fs::read_dir(upper.join(too_long)).is_err());
    copies.write("objects/aa/garbage", b"x");
    assert_eq!(copies.repository.collect_garbage(quietly).unwrap().removed, 1);
}

/// A snapshot that slept for an hour is taken for dead; awake again, it must not name what was collected.
#[test]
fn a_snapshot_that_was_given_up_is_none() {
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let db = open_still(data.path());
    db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    let taken = copies.repository.take(&db, Some("s"), |_| {
        copies.objects("pending").iter().for_each(|mark| copies.remove(mark));
        ControlFlow::Continue(())
    });
    assert!(matches!(taken, Err(Error::GivenUp { .. })), "{taken:?}");
    assert!(copies.repository.list().unwrap().is_empty());
}

#[test]
fn nothing_is_collected_while_a_snapshot_cannot_be_read() {
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let db = open_still(data.path());
    db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    copies.repository.take(&db, Some("s"), quietly).unwrap();
    let before = copies.objects("objects");
    copies.write("snapshots/s", b"{}\n");
    assert!(matches!(copies.repository.collect_garbage(quietly), Err(Error::Damaged { .. })));
    assert_eq!(copies.objects("objects"), before);
}
