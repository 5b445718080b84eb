//! Collections that nobody sees until they are whole: given a name or gone, through crashes, copies and refusals.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::{id_of, options, point, schema};
use crate::catalogue::{CATALOGUE, CatalogueChange};
use crate::dir::Dir;
use crate::dir::memory::MemoryDir;
use crate::wal::Record;
use crate::{Db, Error, Staged};

fn open(dir: &MemoryDir) -> Db {
    Db::open_in(Arc::new(dir.clone()), options()).unwrap()
}

fn filled(staged: Staged) -> Staged {
    staged.collection().upsert((0..9).map(|id| point(id, 7)).collect()).unwrap();
    staged
}

fn points(db: &Db) -> Vec<(String, u64)> {
    db.collections().into_iter().map(|info| (info.name.clone(), info.points)).collect()
}

/// How many collections there are, those included that nobody sees.
fn all(db: &Db) -> usize {
    db.any_store().collections().len()
}

#[test]
fn it_is_unseen_until_it_has_its_name_and_stays_over_a_restart() {
    let dir = MemoryDir::new();
    let db = open(&dir);
    let staged = filled(db.stage_collection("a", schema()).unwrap());
    let hidden = staged.collection().name().to_owned();
    assert!(db.collections().is_empty());
    assert!(matches!(db.collection(&hidden), Err(Error::CollectionNotFound { .. })));
    assert!(matches!(db.delete_collection(&hidden), Err(Error::CollectionNotFound { .. })));
    assert!(matches!(db.create_collection(&hidden, schema()), Err(Error::Invalid { .. })));
    assert!(matches!(db.stage_collection(&hidden, schema()), Err(Error::Invalid { .. })));
    assert!(db.pin().unwrap().collections().is_empty());
    let handle = staged.collection().clone();
    let published = staged.publish().unwrap();
    assert_eq!(published.name(), "a");
    handle.upsert(vec![point(9, 7)]).unwrap();
    assert_eq!(points(&db), [("a".to_owned(), 10)]);
    drop((handle, published, db));
    assert_eq!(points(&open(&dir)), [("a".to_owned(), 10)]);
}

#[test]
fn in_place_of_another_it_is_that_one_from_one_moment_to_the_next() {
    let dir = MemoryDir::new();
    let db = open(&dir);
    let rows = db.create_collection("a", schema()).unwrap();
    let before = rows.upsert(vec![point(1, 1), point(100, 1)]).unwrap();
    db.set_alias("x", "a").unwrap();
    let replacement = db.begin_replacement("a", schema()).unwrap();
    let staged = filled(db.stage_in_place_of("x", schema()).unwrap());
    assert_eq!(staged.name(), "a", "which the alias named");
    rows.upsert(vec![point(101, 1)]).unwrap();
    let view = rows.view();
    staged.publish().unwrap();
    assert!(matches!(rows.upsert(vec![point(1, 2)]), Err(Error::CollectionReplaced { .. })));
    assert_eq!(view.iter().count(), 3, "who reads goes on");
    // What was to replace the one that is gone went with it.
    assert!(replacement.collection().upsert(vec![point(1, 2)]).is_err());
    assert!(replacement.finish(|_| Ok::<(), Error>(())).is_err());
    drop((rows, view, replacement));
    let check = |db: &Db| {
        assert_eq!((points(db), all(db)), (vec![("a".to_owned(), 9)], 1));
        let found = db.collection("x").unwrap().get(&[id_of(1)]).unwrap().remove(0).unwrap();
        assert!(found.etag.unwrap() > before.seq + (1 << 20), "no etag of one is an etag of the other");
    };
    check(&db);
    drop(db);
    check(&open(&dir));
}

#[test]
fn whoever_comes_first_is_not_undone_and_what_is_given_up_is_gone() {
    let dir = MemoryDir::new();
    let db = open(&dir);
    drop(filled(db.stage_collection("a", schema()).unwrap()));
    assert_eq!(all(&db), 0);

    let late = filled(db.stage_collection("a", schema()).unwrap());
    db.create_collection("a", schema()).unwrap();
    assert!(matches!(late.publish(), Err(Error::CollectionExists { .. })));
    assert!(matches!(db.stage_collection("a", schema()), Err(Error::CollectionExists { .. })));
    db.set_alias("x", "a").unwrap();
    assert!(matches!(db.stage_collection("x", schema()), Err(Error::AliasExists { .. })));
    assert!(matches!(db.stage_in_place_of("b", schema()), Err(Error::CollectionNotFound { .. })));

    let late = filled(db.stage_in_place_of("a", schema()).unwrap());
    filled(db.stage_in_place_of("a", schema()).unwrap()).publish().unwrap();
    assert!(matches!(late.publish(), Err(Error::CollectionReplaced { .. })));
    let late = filled(db.stage_in_place_of("a", schema()).unwrap());
    db.delete_alias("x").unwrap();
    db.delete_collection("a").unwrap();
    assert!(matches!(late.publish(), Err(Error::CollectionNotFound { .. })));
    assert_eq!(all(&db), 0);
    db.flush().unwrap();
    drop(db);
    assert_eq!(all(&open(&dir)), 0);
    assert!(dir.list().unwrap().iter().all(|name| !name.starts_with("segment-")));
}

/// Whoever holds writes to take the same place comes first. What took hours to make was given up for that moment once, also where the other was.
#[test]
fn it_waits_for_another_that_is_about_to_take_the_place() {
    let db = open(&MemoryDir::new());
    db.create_collection("a", schema()).unwrap();
    for is_given_up in [true, false] {
        let replacement = db.begin_replacement("a", schema()).unwrap();
        let staged = filled(db.stage_in_place_of("a", schema()).unwrap());
        let (tell, told) = mpsc::channel();
        let finished = replacement.finish(|_| {
            std::thread::spawn(move || tell.send(staged.publish().map(drop)));
            assert!(told.recv_timeout(Duration::from_millis(50)).is_err(), "it waits");
            if is_given_up { Err(Error::Cancelled) } else { Ok(()) }
        });
        assert_eq!(finished.is_err(), is_given_up);
        match told.recv_timeout(Duration::from_secs(60)).unwrap() {
            Ok(()) => assert!(is_given_up),
            Err(Error::CollectionReplaced { .. }) => assert!(!is_given_up),
            Err(error) => panic!("{error}"),
        }
        let points = if is_given_up { 9 } else { 0 };
        assert_eq!((self::points(&db), all(&db)), (vec![("a".to_owned(), points)], 1));
    }
}

/// At each call of the file system the process may die: there is what was before or what comes after, and nothing beside it.
#[test]
fn a_crash_leaves_the_one_or_the_other() {
    let run = |dir: &MemoryDir, in_place: bool| -> crate::Result<()> {
        let db = Db::open_in(Arc::new(dir.clone()), options())?;
        if in_place {
            db.create_collection("a", schema())?.upsert(vec![point(1, 1)])?;
        }
        let staged = match in_place {
            true => db.stage_in_place_of("a", schema())?,
            false => db.stage_collection("a", schema())?,
        };
        staged.collection().upsert((0..9).map(|id| point(id, 7)).collect())?;
        db.flush()?;
        staged.publish().map(drop)
    };
    for in_place in [false, true] {
        let calls = {
            let counting = MemoryDir::new();
            run(&counting, in_place).unwrap();
            counting.calls()
        };
        for call in 0..calls {
            let dir = MemoryDir::new();
            dir.crash_at(call);
            let done = run(&dir, in_place);
            let db = open(&dir.recovered(call));
            let found = points(&db);
            let count = found.first().map(|(_, points)| *points);
            assert_eq!((all(&db), found.len()), (found.len(), usize::from(count.is_some())), "call {call}");
            let may_be: &[Option<u64>] = match (in_place, done.is_ok()) {
                (_, true) => &[Some(9)],
                (false, false) => &[None, Some(9)],
                (true, false) => &[None, Some(0), Some(1), Some(9)],
            };
            assert!(may_be.contains(&count), "call {call}: {count:?} after {done:?}");
        }
    }
}

/// A crash between the log and the manifest.
#[test]
fn a_name_that_was_logged_is_given_at_the_next_opening() {
    for in_place in [false, true] {
        let dir = MemoryDir::new();
        let db = open(&dir);
        if in_place {
            db.create_collection("a", schema()).unwrap().upsert(vec![point(1, 1)]).unwrap();
        }
        let staged = match in_place {
            true => filled(db.stage_in_place_of("a", schema()).unwrap()),
            false => filled(db.stage_collection("a", schema()).unwrap()),
        };
        let change = CatalogueChange::Name {
            id: staged.collection().id(),
            name: "a".into(),
            original: in_place.then(|| db.collection("a").unwrap().id()),
        };
        let seq = if in_place { 3 } else { 2 };
        let (body, log) = (change.encode(), &db.any_store().log);
        log.wait(log.submit(Record { log_id: CATALOGUE, seq, body: &body }).unwrap()).unwrap();
        // As a process that dies leaves it.
        let dead = dir.recovered(1);
        let db = open(&dead);
        assert_eq!((points(&db), all(&db)), (vec![("a".to_owned(), 9)], 1), "in place: {in_place}");
        db.collection("a").unwrap().upsert(vec![point(9, 7)]).unwrap();
        drop(db);
        assert_eq!(points(&open(&dead)), [("a".to_owned(), 10)]);
    }
}
