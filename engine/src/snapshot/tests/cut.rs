//! Which files of the log are there when it was cut, and which positions it goes on with.

use super::*;

fn logs(dir: &MemoryDir) -> Vec<String> {
    let mut names = dir.list().unwrap();
    names.retain(|name| name.starts_with("log-"));
    names
}

/// The record that removed a collection was cut together with what was only of that one, and the manifest had been written before it: after the next
/// opening another write had its position, which an archive took for one that it has.
#[test]
fn no_position_is_given_again_to_what_follows_the_removal_of_a_collection() {
    let dir = MemoryDir::new();
    let db = open(&dir).unwrap();
    db.create_collection("a", schema()).unwrap();
    write(&db, 0..2, 1);
    db.delete_collection("a").unwrap();
    let archived = db.pin_log(0).unwrap().position();
    assert_eq!(archived, 3, "made, written and removed");
    drop(db);
    let db = open(&dir).unwrap();
    assert_eq!(db.pin_log(0).unwrap().position(), archived);
    db.create_collection("a", schema()).unwrap();
    assert_eq!(write(&db, 0..2, 2), archived + 2);
    let pinned = db.pin_log(0).unwrap();
    let positions: Vec<(u64, u64)> = pinned.files().iter().map(|file| (file.first(), file.last())).collect();
    assert_eq!(positions, [(1, 3), (4, 5)]);
    pinned.files().iter().for_each(|file| file.file().verify().unwrap());
    drop(pinned);
    db.flush().unwrap();
    assert!(logs(&dir).is_empty(), "the manifest is beyond all of it");
}

/// A file of the log that a copy held was there again after a crash, without those that came after it and that nobody held. It was taken for all that
/// lay between it and the next one, and was damaged then: no copy could be made until something was sealed.
#[test]
fn log_that_was_held_in_a_crash_is_gone_after_the_next_opening() {
    let dir = MemoryDir::new();
    let unkept = |dir: &MemoryDir| {
        Db::open_in(Arc::new(dir.clone()), DbOptions { keep_log_bytes: None, ..options() }).unwrap()
    };
    let db = unkept(&dir);
    db.create_collection("a", schema()).unwrap();
    write(&db, 0..2, 1);
    let pin = db.pin().unwrap();
    for version in 2..4 {
        write(&db, 0..2, version);
        db.flush().unwrap();
    }
    let last = write(&db, 0..2, 4);
    assert_eq!(logs(&dir).len(), 2, "what is held, and the last write");
    let crashed = dir.copied();
    let expected = contents(&db);
    drop((pin, db));
    let db = unkept(&crashed);
    assert_eq!(logs(&crashed).len(), 1);
    assert_eq!(contents(&db), expected);
    let pin = db.pin().unwrap();
    assert_eq!(pin.position(), last);
    pin.files().iter().for_each(|file| file.verify().unwrap());
}

/// So was what is kept for an archive: the archive was told of damage, and went no further.
#[test]
fn kept_log_that_was_held_in_a_crash_is_what_it_was() {
    let dir = MemoryDir::new();
    let db = open(&dir).unwrap();
    db.create_collection("a", schema()).unwrap();
    let write_and_flush = |version: i64| {
        let position = write(&db, 0..2, version);
        db.flush().unwrap();
        position
    };
    write_and_flush(1);
    let held = db.pin_log(0).unwrap();
    db.release_log(write_and_flush(2)).unwrap();
    let last = write_and_flush(3);
    let crashed = dir.copied();
    drop(held);
    let db = open(&crashed).unwrap();
    let pinned = db.pin_log(0).unwrap();
    let positions: Vec<(u64, u64)> = pinned.files().iter().map(|file| (file.first(), file.last())).collect();
    assert_eq!(positions, [(1, 2), (last, last)]);
    pinned.files().iter().for_each(|file| file.file().verify().unwrap());
    drop(pinned);
    db.release_log(last).unwrap();
    assert!(crashed.list().unwrap().iter().all(|name| !name.starts_with("kept-")));
}

/// A database that was open found nothing wrong with it, though its archive had a gap.
#[test]
fn kept_log_that_cannot_be_read_is_told_of_and_left_alone() {
    let dir = MemoryDir::new();
    let kept = || -> Vec<String> {
        dir.list().unwrap().into_iter().filter(|name| name.starts_with("kept-")).collect()
    };
    let db = open(&dir).unwrap();
    db.create_collection("a", schema()).unwrap();
    for version in 1..4 {
        write(&db, 0..2, version);
        db.flush().unwrap();
    }
    drop(db);
    let files = kept();
    assert_eq!(files.len(), 3);
    // In the header of the first frame.
    dir.flip(&files[1], 30);
    let db = open(&dir).unwrap();
    let report = db.verify(|_| std::ops::ControlFlow::Continue(())).unwrap();
    let [damage] = &report.damaged[..] else { panic!("{report:?}") };
    assert!(damage.file.ends_with(&files[1]), "{damage:?}");
    // There may be much of it: who does not want to wait any longer is asked behind each file.
    let mut asked = 0;
    let ended = |_| {
        asked += 1;
        if asked == 2 { std::ops::ControlFlow::Break(()) } else { std::ops::ControlFlow::Continue(()) }
    };
    assert!(db.verify(ended).unwrap().cancelled);
    let pinned = db.pin_log(0).unwrap();
    let positions: Vec<(u64, u64)> = pinned.files().iter().map(|file| (file.first(), file.last())).collect();
    assert_eq!(positions, [(1, 2), (4, 4)], "there is a gap");
    drop(pinned);
    db.release_log(4).unwrap();
    assert_eq!(kept(), files[1..2], "nobody knows what is in it");
    assert_eq!(contents(&db), [("a".to_owned(), vec![3, 3])]);
}
