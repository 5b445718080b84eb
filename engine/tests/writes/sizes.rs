//! A row's payload stays within its limit, however many updates add to it.

use std::sync::Barrier;

use ragstone::limits::PAYLOAD_BYTES_MAX;
use ragstone::{Analyzer, Batch, Collection, Error, Point, Schema, Update, WriteReceipt};

use super::{copy_of, open};

/// Eight of these are beyond the limit, as the names of fields count, too.
const PART: usize = PAYLOAD_BYTES_MAX / 8;

fn schema() -> Schema {
    Schema::builder(2).text("title", Analyzer::Standard).build().unwrap()
}

fn part(number: u64) -> Update {
    Update::new(1).set(format!("part{number}"), "x".repeat(PART))
}

fn update(collection: &Collection, update: Update) -> Result<WriteReceipt, Error> {
    // Another row first, so that the error has a place to name, and something else to leave as it is.
    collection.write(Batch::new().update(Update::new(2).set("other", 1)).update(update))
}

fn payload_bytes(collection: &Collection) -> usize {
    let row = collection.get(&[1.into()]).unwrap().remove(0).unwrap();
    let bytes = |value: &ragstone::Value| value.as_str().map_or(8, str::len);
    row.payload.iter().map(|(name, value)| name.len() + bytes(value)).sum()
}

fn assert_refused(collection: &Collection, too_much: Update) {
    let before = collection.get(&[1.into(), 2.into()]).unwrap();
    let fields = collection.info().schema.fields().len();
    match update(collection, too_much).unwrap_err() {
        Error::Limit { field, limit, max, actual } => {
            assert_eq!((field.as_str(), limit), ("points[1].payload", "PAYLOAD_BYTES_MAX"));
            assert!(max == PAYLOAD_BYTES_MAX as u64 && actual > max, "{actual}");
        }
        error => panic!("{error}"),
    }
    assert!(collection.get(&[1.into(), 2.into()]).unwrap() == before, "the batch changed something");
    assert_eq!(collection.info().schema.fields().len(), fields, "a refused batch brings no field");
}

#[test]
fn updates_beside_a_row_do_not_take_it_over_the_limit() {
    let mut directory = tempfile::tempdir().unwrap();
    let mut db = open(directory.path(), false);
    let mut collection = db.create_collection("c", schema()).unwrap();
    let rows = [1, 2].map(|id| Point::new(id, [1.0, 0.5]).with("title", "a few words"));
    collection.upsert(rows.into()).unwrap();
    for number in 0..7 {
        assert_eq!(update(&collection, part(number)).unwrap().updated, 2);
        // As patches of a row in memory, of a sealed one, and folded into it.
        match number {
            2 => db.flush().unwrap(),
            4 => db.compact().unwrap(),
            _ => {}
        }
    }
    assert_refused(&collection, part(7));
    // Beside the row, and as a row that is written anew for its words.
    assert_refused(&collection, Update::new(1).set("title", "y".repeat(PART)));
    assert_refused(&collection, part(7).set("title", "other words"));
    // In one batch, the update that goes too far is named.
    let last = Update::new(1).set("x", "y".repeat(PART / 2));
    let batch =
        Batch::new().update(last.clone().unset("title")).update(last.clone().set("y", "y".repeat(PART)));
    let error = collection.write(batch).unwrap_err();
    assert!(matches!(error, Error::Limit { ref field, .. } if field == "points[1].payload"), "{error}");
    // In place of another, or where one is given up, there is room.
    update(&collection, part(6)).unwrap();
    update(&collection, part(7).unset("part0")).unwrap();
    assert_refused(&collection, part(0));
    update(&collection, part(0).unset("part1").set("title", "other words")).unwrap();
    update(&collection, part(0)).unwrap();
    let bytes = payload_bytes(&collection);
    assert!((7 * PART..=PAYLOAD_BYTES_MAX).contains(&bytes), "{bytes}");
    // What is replaced in the same batch begins anew.
    let anew = Batch::new().upsert(Point::new(1, [1.0, 0.0])).update(part(3)).update(part(4));
    assert_eq!(collection.write(anew).unwrap().updated, 2);
    let too_much = (0..8).fold(Batch::new().upsert(Point::new(3, [1.0, 0.0])), |batch, number| {
        batch.update(Update { id: 3.into(), ..part(number) })
    });
    let error = collection.write(too_much).unwrap_err();
    assert!(matches!(error, Error::Limit { ref field, .. } if field == "points[8].payload"), "{error}");
    // After a kill, too.
    drop((db, collection));
    directory = copy_of(directory.path());
    db = open(directory.path(), false);
    collection = db.collection("c").unwrap();
    for number in [0, 1, 2, 5, 6] {
        update(&collection, part(number)).unwrap();
    }
    assert_refused(&collection, part(7));
    drop(db);
}

#[test]
fn of_updates_at_once_as_many_are_taken_as_fit() {
    let directory = tempfile::tempdir().unwrap();
    let db = open(directory.path(), true);
    let collection = db.create_collection("c", schema()).unwrap();
    collection.upsert(vec![Point::new(1, [1.0, 0.0]), Point::new(2, [1.0, 0.0])]).unwrap();
    let barrier = Barrier::new(10);
    let taken: usize = std::thread::scope(|scope| {
        let send = |number| {
            let (collection, barrier) = (&collection, &barrier);
            scope.spawn(move || {
                barrier.wait();
                usize::from(update(collection, part(number)).is_ok())
            })
        };
        let threads: Vec<_> = (0..10).map(send).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(taken, 7);
    assert!(payload_bytes(&collection) <= PAYLOAD_BYTES_MAX);
}

#[test]
fn a_request_that_was_done_is_repeated_however_large_the_row_is_by_now() {
    let directory = tempfile::tempdir().unwrap();
    let db = open(directory.path(), false);
    let collection = db.create_collection("c", schema()).unwrap();
    collection.upsert(vec![Point::new(1, [1.0, 0.0])]).unwrap();
    let first = || Batch::new().update(part(0)).request("first");
    assert!(!collection.write(first()).unwrap().repeated);
    collection.update(vec![part(1).unset("part0")]).unwrap();
    for number in 2..8 {
        collection.update(vec![part(number)]).unwrap();
    }
    assert!(collection.write(first()).unwrap().repeated);
    assert!(collection.write(Batch::new().update(part(0))).is_err());
}
