//! Deleting by a filter, alone and beside writers that change what matches.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use ragstone::{Batch, Collection, Db, Error, Expect, Filter, Point, PointId, Range, Update, limits};

use super::{open, schema};

fn row(id: u64, year: i64) -> Point {
    Point::new(id, [1.0, id as f32]).with("year", year)
}

fn ids(collection: &Collection) -> BTreeSet<u64> {
    let id = |point: ragstone::Result<Point>| match point.unwrap().id {
        PointId::Num(id) => id,
        PointId::Str(id) => panic!("{id}"),
    };
    collection.view().iter().map(id).collect()
}

fn before(year: i64) -> Filter {
    Filter::Range("year".into(), Range { lt: Some(year.into()), ..Range::default() })
}

#[test]
fn what_matches_goes_in_one_write() {
    let directory = tempfile::tempdir().unwrap();
    let db = open(directory.path(), false);
    let collection = db.create_collection("c", schema()).unwrap();
    let unknown = collection.delete_where(&before(2000)).unwrap_err();
    assert!(matches!(unknown, Error::UnknownField { .. }), "{unknown}");
    for id in 0..200 {
        collection.upsert(vec![row(id, 1900 + id as i64)]).unwrap();
    }
    // Some match no more, one does now.
    collection.update(vec![Update::new(3).set("year", 2050), Update::new(5).unset("year")]).unwrap();
    collection.update(vec![Update::new(199).set("year", 1800)]).unwrap();
    let receipt = collection.delete_where(&before(1990)).unwrap();
    assert_eq!((receipt.deleted, receipt.seq), (89, 203));
    assert_eq!(ids(&collection), (90..199).chain([3, 5]).collect());
    let nothing = collection.delete_where(&before(1990)).unwrap();
    assert_eq!((nothing.deleted, nothing.seq), (0, 203), "nothing to delete is no write");
    drop((db, collection));
    assert_eq!(
        ids(&open(directory.path(), false).collection("c").unwrap()),
        (90..199).chain([3, 5]).collect()
    );
}

/// Rows go to and fro between matching and not. Whatever a writer saved is never deleted: it looks for its row under an etag.
#[test]
fn a_row_that_was_saved_in_time_stays() {
    const ROWS: u64 = 40;
    let directory = tempfile::tempdir().unwrap();
    let db = open(directory.path(), true);
    let collection = db.create_collection("c", schema()).unwrap();
    collection.upsert((0..ROWS).map(|id| row(id, 1980)).collect()).unwrap();
    let is_over = AtomicBool::new(false);
    let saved = std::thread::scope(|scope| {
        let deleter = scope.spawn(|| {
            let mut deleted = 0;
            while !is_over.load(Ordering::SeqCst) {
                deleted += collection.delete_where(&before(2000)).unwrap().deleted;
            }
            deleted
        });
        let writers: Vec<_> = (0..3_u64)
            .map(|writer| {
                let collection = &collection;
                scope.spawn(move || {
                    let mut saved = 0;
                    for round in 0..60 {
                        let id = (round * 7) % 13 * 3 + writer;
                        collection.upsert(vec![row(id, 1980)]).unwrap();
                        let save = Batch::new()
                            .update(Update::new(id).set("year", 2020))
                            .expect(id, Expect::Present);
                        if collection.write(save).is_ok() {
                            saved += 1;
                            // Nobody else writes it: each writer has rows of its own.
                            let own = collection.get(&[id.into()]).unwrap().remove(0);
                            assert!(
                                own.is_some_and(|point| point.payload["year"].as_int() == Some(2020)),
                                "row {id} was saved before it was deleted"
                            );
                        }
                    }
                    saved
                })
            })
            .collect();
        let saved: usize = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
        is_over.store(true, Ordering::SeqCst);
        assert!(deleter.join().unwrap() > 0);
        saved
    });
    assert!(saved > 0, "some were saved");
    collection.delete_where(&before(2000)).unwrap();
    let matching = collection.count(Some(&before(2000))).unwrap();
    assert_eq!(matching, 0);
}

/// Of too many ids it was said that there are too many `points`, which the call has none of.
#[test]
fn what_is_wrong_with_ids_is_said_of_ids() {
    let collection = Db::in_memory().unwrap().create_collection("c", schema()).unwrap();
    let too_many = vec![PointId::Num(1); limits::BATCH_OPS_MAX + 1];
    match collection.delete(&too_many).unwrap_err() {
        Error::Limit { field, limit, .. } => assert_eq!((field.as_str(), limit), ("ids", "BATCH_OPS_MAX")),
        error => panic!("{error}"),
    }
    let empty = collection.delete(&[1.into(), "".into()]).unwrap_err().to_string();
    assert!(empty.starts_with("ids[1]: "), "{empty}");
}
