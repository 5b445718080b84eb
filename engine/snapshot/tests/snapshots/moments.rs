//! Restoring to a moment between two snapshots.

use std::collections::BTreeMap;
use std::path::Path;

use ragstone::{Db, DbOptions, Schema};
use ragstone_snapshot::{Error, RestoreRequest, Until, quietly};

use super::support::{Contents, Copies, contents, copied, open_still, restored, version_of};

/// What one write, or one change of the collections, left.
struct Moment {
    position: u64,
    /// The collection that was written to, and the number of the write in it.
    write: Option<(&'static str, u64)>,
    contents: Contents,
}

/// Writes, makes and removes collections, seals now and then; each step is a moment.
fn history(db: &Db, mut step: impl FnMut(&Db, usize)) -> Vec<Moment> {
    let mut moments = Vec::new();
    let mut model = Contents::new();
    let create = |db: &Db, model: &mut Contents, name: &'static str| {
        db.create_collection(name, Schema::new(2).unwrap()).unwrap();
        model.insert(name.into(), BTreeMap::new());
    };
    for number in 0..40_usize {
        let version = number as i64 + 1;
        let write = match number {
            0 => {
                create(db, &mut model, "a");
                None
            }
            3 | 21 => {
                create(db, &mut model, "b");
                None
            }
            15 => {
                db.delete_collection("b").unwrap();
                model.remove("b");
                None
            }
            number => {
                let name = if number % 3 == 0 && model.contains_key("b") { "b" } else { "a" };
                let (start, points) = (number as u64 % 11, model.get_mut(name).unwrap());
                let collection = db.collection(name).unwrap();
                let receipt = if number % 7 == 6 {
                    points.remove(&start);
                    collection.delete(&[start.into()]).unwrap()
                } else {
                    points.extend((start..start + 9).map(|id| (id, version)));
                    collection.upsert((start..start + 9).map(|id| version_of(id, version)).collect()).unwrap()
                };
                Some((name, receipt.seq))
            }
        };
        if number % 8 == 7 {
            db.flush().unwrap();
        }
        let position = db.pin_log(u64::MAX).unwrap().position();
        moments.push(Moment { position, write, contents: model.clone() });
        step(db, number);
    }
    moments
}

#[test]
fn every_write_is_a_moment_that_can_be_restored() {
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let db = open_still(data.path());
    let moments = history(&db, |db, number| {
        if [0, 13].contains(&number) {
            copies.repository.take(db, Some(&format!("s{number}")), quietly).unwrap();
        }
        if number % 5 == 4 {
            copies.repository.archive(db, quietly).unwrap();
        }
    });
    let archived = copies.repository.archive(&db, quietly).unwrap();
    assert_eq!((archived.position, archived.gap), (moments.last().unwrap().position, None));
    assert_eq!(copies.repository.archive(&db, quietly).unwrap().uploaded, 0);
    for (number, moment) in moments.iter().enumerate() {
        let (found, _keep) =
            restored(&copies.repository, &RestoreRequest::until(Until::Position(moment.position)));
        assert_eq!(contents(&found), moment.contents, "moment {number}");
        // The first snapshot leads to every moment too, and each collection has its own count.
        let request = RestoreRequest {
            snapshot: Some("s0".into()),
            until: moment.write.map(|(name, seq)| Until::Write { collection: name.into(), seq }),
        };
        if let (Some((name, _)), 1..) = (moment.write, number)
            && (name == "a" || number < 15)
        {
            let (found, _keep) = restored(&copies.repository, &request);
            assert_eq!(contents(&found)[name], moment.contents[name], "moment {number}");
        }
    }
    let (found, _keep) = restored(&copies.repository, &RestoreRequest::until(Until::End));
    assert_eq!(contents(&found), contents(&db));
    // It goes on from there, as a history of its own.
    let before = found.pin().unwrap().position();
    assert_eq!(found.collection("a").unwrap().upsert(vec![version_of(1, 99)]).unwrap().position, before + 1);
    assert_ne!(found.lineage(), db.lineage());
}

#[test]
fn a_time_is_a_moment() {
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let db = open_still(data.path());
    let notes = db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    copies.repository.take(&db, Some("s"), quietly).unwrap();
    let mut moments = Vec::new();
    for version in 1..6 {
        notes.upsert(vec![version_of(1, version)]).unwrap();
        let time_us = db.pin().unwrap().time_us();
        assert!(moments.last().is_none_or(|(before, _)| *before <= time_us), "times never go back");
        moments.push((time_us, version));
    }
    copies.repository.archive(&db, quietly).unwrap();
    for (time_us, _) in &moments {
        let (found, _keep) = restored(&copies.repository, &RestoreRequest::until(Until::TimeUs(*time_us)));
        // Of two writes in one microsecond, both are in it.
        let last = moments.iter().rev().find(|(other, _)| other == time_us).unwrap().1;
        assert_eq!(contents(&found)["notes"][&1], last);
    }
    let before = RestoreRequest::until(Until::TimeUs(1));
    let directory = tempfile::tempdir().unwrap();
    let error = copies.repository.restore(&before, directory.path(), quietly).unwrap_err();
    assert!(matches!(error, Error::NoSnapshot { .. }), "{error}");
    assert!(error.to_string().contains("1970-01-01T00:00:00.000001Z"), "{error}");
}

/// What segments hold before it is archived is gone.
fn open_keeping_nothing(path: &Path) -> Db {
    let mut options = DbOptions::default();
    (options.background, options.keep_log_bytes) = (false, Some(0));
    Db::open_with(path, options).unwrap()
}

#[test]
fn what_is_missing_between_is_said() {
    what_is_missing_after_is_said(false);
}

/// The snapshot of a database at rest has no log, and so what was missing after it was measured from nothing.
#[test]
fn what_is_missing_after_a_snapshot_without_log_is_said() {
    what_is_missing_after_is_said(true);
}

fn what_is_missing_after_is_said(is_at_rest: bool) {
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let db = open_keeping_nothing(data.path());
    let notes = db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    if is_at_rest {
        notes.upsert(vec![version_of(0, 1)]).unwrap();
        db.flush().unwrap();
    }
    copies.repository.take(&db, Some("s"), quietly).unwrap();
    assert_eq!(copies.objects("log").is_empty(), is_at_rest);
    // Nobody knows what a damaged one leads to, and it does not keep log from being archived.
    copies.write("snapshots/damaged", b"{}\n");
    let first = notes.upsert(vec![version_of(1, 1)]).unwrap();
    let second = notes.upsert(vec![version_of(2, 1)]).unwrap();
    db.flush().unwrap();
    let third = notes.upsert(vec![version_of(3, 1)]).unwrap();
    let gap = copies.repository.archive(&db, quietly).unwrap().gap.unwrap();
    assert_eq!((gap.from, gap.to), (first.position, second.position));
    assert_eq!(copies.repository.archive(&db, quietly).unwrap().gap, None, "it was said");
    copies.remove("snapshots/damaged");
    assert_eq!(copies.repository.verify("s", quietly).unwrap().gap, Some(gap));
    let fails = |position: u64| {
        let directory = tempfile::tempdir().unwrap();
        let request = RestoreRequest::until(Until::Position(position));
        copies.repository.restore(&request, directory.path(), quietly).unwrap_err()
    };
    let error = fails(third.position);
    assert!(matches!(error, Error::MissingLog { from, to } if (from, to) == (gap.from, gap.to)), "{error}");
    // From the next snapshot on there is no gap.
    copies.repository.take(&db, Some("t"), quietly).unwrap();
    let error = fails(third.position + 1);
    assert!(matches!(error, Error::NotReached { position, .. } if position == third.position), "{error}");
    let directory = tempfile::tempdir().unwrap();
    let request = RestoreRequest { snapshot: Some("t".into()), until: Some(Until::Position(first.position)) };
    let error = copies.repository.restore(&request, directory.path(), quietly).unwrap_err();
    assert!(error.to_string().contains("beyond"), "{error}");
}

/// Between two snapshots no moment can be restored either, and those of another database are no way to it.
#[test]
fn what_was_never_archived_is_missing_from_the_first_snapshot_on() {
    let (data, other, copies) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), Copies::new());
    let take = |db: &Db, name: &str| copies.repository.take(db, Some(name), quietly).unwrap().snapshot;
    take(&open_keeping_nothing(other.path()), "other");
    let db = open_keeping_nothing(data.path());
    let notes = db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    let write = |version: i64| {
        notes.upsert((0..3).map(|id| version_of(id, version)).collect()).unwrap();
    };
    let at_rest = |version: i64, name: &str| {
        write(version);
        db.flush().unwrap();
        take(&db, name).position
    };
    let (first, second) = (at_rest(1, "first"), at_rest(2, "second"));
    write(3);
    let gap = copies.repository.archive(&db, quietly).unwrap().gap.unwrap();
    assert_eq!((gap.from, gap.to), (first + 1, second));
    let (found, _keep) = restored(&copies.repository, &RestoreRequest::until(Until::End));
    assert_eq!(contents(&found), contents(&db));
}

/// A garbage collection removes log up to the first snapshot, and whoever archives meanwhile may find what came before an object
/// that is gone already. That was said to be missing.
#[test]
fn log_that_is_being_collected_is_not_missing() {
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let db = open_still(data.path());
    let notes = db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    let write_and_archive = |version: i64| {
        let position = notes.upsert(vec![version_of(1, version)]).unwrap().position;
        (position, copies.repository.archive(&db, quietly).unwrap().gap)
    };
    write_and_archive(1);
    let before = copies.objects("log");
    let (_, gap) = write_and_archive(2);
    assert_eq!(gap, None);
    copies.repository.take(&db, Some("s"), quietly).unwrap();
    for object in copies.objects("log").iter().filter(|object| !before.contains(*object)) {
        copies.remove(object);
    }
    // The log that the database has begins behind what is gone.
    db.flush().unwrap();
    let (_, gap) = write_and_archive(3);
    assert_eq!((before.len(), gap), (1, None));
}

#[test]
fn damaged_log_is_named_and_its_writes_are_not_half_there() {
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let db = open_still(data.path());
    let notes = db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    copies.repository.take(&db, Some("s"), quietly).unwrap();
    let there = copies.objects("log");
    let last = notes.upsert(vec![version_of(1, 1)]).unwrap().position;
    copies.repository.archive(&db, quietly).unwrap();
    let object = copies.objects("log").into_iter().find(|object| !there.contains(object)).unwrap();
    let sound = copies.read(&object);
    for at in 0..sound.len() {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        copies.write(&object, &bytes);
        let directory = tempfile::tempdir().unwrap();
        let request = RestoreRequest::until(Until::Position(last));
        let error = copies.repository.restore(&request, directory.path(), quietly).unwrap_err();
        assert!(matches!(&error, Error::Damaged { object: found, .. } if *found == object), "{error}");
        assert_eq!(copies.repository.verify("s", quietly).unwrap().damaged[0].object, object);
        // Repaired, the same restore goes on.
        copies.write(&object, &sound);
        if at % 16 == 0 {
            copies.repository.restore(&request, directory.path(), quietly).unwrap();
            assert_eq!(contents(&open_still(directory.path())), contents(&db));
        }
    }
}

#[test]
fn a_copied_directory_does_not_spoil_the_archive_of_the_first() {
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let db = open_still(data.path());
    let notes = db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    drop((notes, db));
    let others = [copied(data.path()), copied(data.path())];
    let archive = |directory: &tempfile::TempDir, version: i64, rows: u64| {
        let db = open_still(directory.path());
        let notes = db.collection("notes").unwrap();
        for row in 0..rows {
            notes.upsert(vec![version_of(row, version)]).unwrap();
        }
        // Segments have it now: without the archive, what is kept is the only log of it.
        db.flush().unwrap();
        let kept = || db.pin_log(0).unwrap().files().len();
        let before = kept();
        let archived = copies.repository.archive(&db, quietly);
        (archived, before, kept())
    };
    archive(&data, 1, 1).0.unwrap();
    // As many writes as the first, of as many bytes, and more of them: neither is taken for what is archived.
    for (directory, rows) in others.iter().zip([1, 2]) {
        let (archived, before, after) = archive(directory, 2, rows);
        assert!(matches!(archived, Err(Error::Diverged { .. })), "{rows} rows: {archived:?}");
        assert!(before > 0 && before == after, "the only log of these writes stays: {before}, {after}");
    }
    assert_eq!(archive(&data, 1, 0).0.unwrap().uploaded, 0);
}

/// A number of a write stands for nothing without its collection: a snapshot that was taken after the collection was deleted
/// is no way to a write of it, though it is the newest.
#[test]
fn a_write_of_a_deleted_collection_is_a_moment() {
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let db = open_still(data.path());
    copies.repository.take(&db, Some("s0"), quietly).unwrap();
    let notes = db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    let early = notes.upsert(vec![version_of(1, 1)]).unwrap().seq;
    notes.upsert(vec![version_of(1, 2)]).unwrap();
    copies.repository.take(&db, Some("s1"), quietly).unwrap();
    let late = notes.upsert(vec![version_of(1, 3)]).unwrap().seq;
    copies.repository.archive(&db, quietly).unwrap();
    db.delete_collection("notes").unwrap();
    copies.repository.take(&db, Some("s2"), quietly).unwrap();
    // Before the first snapshot that has the collection, and after it.
    for (seq, version) in [(early, 1), (late, 3)] {
        let until = Until::Write { collection: "notes".into(), seq };
        let (found, _keep) = restored(&copies.repository, &RestoreRequest::until(until));
        assert_eq!(contents(&found)["notes"][&1], version);
    }
}

/// Two who archive at the very same time may both find nothing there. Nobody can tell then which of the two histories is meant.
#[test]
fn log_of_two_histories_is_not_restored_from() {
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let db = open_still(data.path());
    let notes = db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    copies.repository.take(&db, Some("s"), quietly).unwrap();
    let before = copies.objects("log");
    let last = notes.upsert(vec![version_of(1, 1)]).unwrap().position;
    copies.repository.archive(&db, quietly).unwrap();
    let object = copies.objects("log").into_iter().find(|object| !before.contains(object)).unwrap();
    let (head, hash) = object.rsplit_once('-').unwrap();
    copies.write(&format!("{head}-{}", hash.chars().rev().collect::<String>()), b"another history");
    let directory = tempfile::tempdir().unwrap();
    let request = RestoreRequest::until(Until::Position(last));
    let error = copies.repository.restore(&request, directory.path(), quietly).unwrap_err();
    assert!(matches!(error, Error::Diverged { .. }), "{error}");
    let found = copies.repository.verify("s", quietly).unwrap();
    assert!(found.position < last && found.damaged[0].reason.contains("same lineage"), "{found:?}");
    let archived = copies.repository.archive(&db, quietly);
    assert!(matches!(archived, Err(Error::Diverged { .. })), "nothing is released: {archived:?}");
    restored(&copies.repository, &RestoreRequest::snapshot("s"));
}

/// The log that came with the snapshot ends before the moment, and what was carried out after it is in no file. It was kept
/// once as if it reached up to there, and then no archive and no snapshot could be made any more.
#[test]
fn a_database_restored_to_a_moment_is_copied_like_any_other() {
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let db = open_still(data.path());
    let notes = db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    notes.upsert((0..9).map(|id| version_of(id, 1)).collect()).unwrap();
    copies.repository.take(&db, Some("s"), quietly).unwrap();
    let moments: Vec<u64> =
        (2..6).map(|version| notes.upsert(vec![version_of(1, version)]).unwrap().position).collect();
    copies.repository.archive(&db, quietly).unwrap();
    let request = RestoreRequest { snapshot: Some("s".into()), until: Some(Until::Position(moments[2])) };
    let directory = tempfile::tempdir().unwrap();
    copies.repository.restore(&request, directory.path(), quietly).unwrap();
    let names = || std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!names().any(|name| name.to_string_lossy().starts_with("kept-")), "{:?}", names());
    let found = open_still(directory.path());
    let copies = Copies::new();
    copies.repository.take(&found, Some("t"), quietly).unwrap();
    let notes = found.collection("notes").unwrap();
    let next = notes.upsert(vec![version_of(1, 9)]).unwrap();
    assert_eq!(next.position, moments[2] + 1);
    found.flush().unwrap();
    assert!(names().any(|name| name.to_string_lossy().starts_with("kept-")), "what comes is kept");
    let archived = copies.repository.archive(&found, quietly).unwrap();
    assert_eq!((archived.position, archived.gap), (next.position, None));
    let request = RestoreRequest::until(Until::Position(next.position));
    let (again, _keep) = restored(&copies.repository, &request);
    assert_eq!(contents(&again), contents(&found));
}

/// The log of a database that had been restored was archived beside the snapshots of the one that it was copied from. None leads to it, so that a
/// restore to the end lacked all of it, and nobody had been told.
#[test]
fn log_that_no_snapshot_leads_to_is_told_of() {
    let (data, copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let db = open_still(data.path());
    db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    let has_snapshot = |db: &Db| copies.repository.archive(db, quietly).unwrap().has_snapshot;
    assert!(!has_snapshot(&db));
    copies.repository.take(&db, Some("s"), quietly).unwrap();
    assert!(has_snapshot(&db));
    let (other, _keep) = restored(&copies.repository, &RestoreRequest::newest());
    other.collection("notes").unwrap().upsert(vec![version_of(1, 1)]).unwrap();
    assert!(!has_snapshot(&other));
    copies.repository.take(&other, Some("t"), quietly).unwrap();
    assert!(has_snapshot(&other) && has_snapshot(&db));
}
