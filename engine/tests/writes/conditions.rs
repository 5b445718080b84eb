//! Compare and set.

use std::sync::atomic::{AtomicU64, Ordering};

use ragstone::{Batch, Collection, Db, Error, Expect, Point, PointId};

use super::{copy_of, open, options, schema};

const THREADS: u64 = 4;
const INCREMENTS: i64 = 60;
const COUNTERS: u64 = 3;

fn get(collection: &Collection, id: &PointId) -> Option<Point> {
    collection.get(std::slice::from_ref(id)).unwrap().remove(0)
}

fn count_of(point: &Point) -> i64 {
    point.payload["count"].as_int().unwrap()
}

/// Adds one to a counter, trying again as often as somebody else was faster. Says how often that was.
fn increment(collection: &Collection, id: &PointId) -> u64 {
    for lost in 0.. {
        let (expect, count) = match get(collection, id) {
            None => (Expect::Absent, 0),
            Some(point) => (Expect::Etag(point.etag.unwrap()), count_of(&point)),
        };
        let next = Point::new(id.clone(), [1.0, 2.0]).with("count", count + 1);
        match collection.write(Batch::new().upsert(next).expect(id.clone(), expect)) {
            Ok(_) => return lost,
            Err(Error::Precondition { field, id: of, expected, actual }) => {
                assert_eq!((&*field, &of, expected), ("preconditions[0]", id, expect));
                assert_ne!(actual, point_etag(expect));
            }
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!("it tries until it succeeds")
}

fn point_etag(expect: Expect) -> Option<u64> {
    if let Expect::Etag(etag) = expect { Some(etag) } else { None }
}

/// Threads that count, beside others that write without asking: other rows, and these with their own numbers.
fn count(collection: &Collection) {
    let lost = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for number in 0..INCREMENTS {
                    let id = PointId::Num(number.unsigned_abs() % COUNTERS);
                    lost.fetch_add(increment(collection, &id), Ordering::Relaxed);
                }
            });
        }
        scope.spawn(|| {
            for number in 0..INCREMENTS * 2 {
                collection.upsert(vec![Point::new(1_000 + number as u64 % 9, [1.0, number as f32])]).unwrap();
            }
        });
    });
    assert!(lost.load(Ordering::Relaxed) > 0, "threads got in one another's way");
}

fn total(collection: &Collection) -> i64 {
    (0..COUNTERS).filter_map(|id| get(collection, &PointId::Num(id))).map(|point| count_of(&point)).sum()
}

#[test]
fn counters_lose_no_increment() {
    for background in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let db = open(directory.path(), background);
        let collection = db.create_collection("c", schema()).unwrap();
        count(&collection);
        assert_eq!(total(&collection), THREADS as i64 * INCREMENTS);
        let etags: Vec<_> =
            (0..COUNTERS).map(|id| get(&collection, &PointId::Num(id)).unwrap().etag).collect();
        drop((db, collection));
        let after = copy_of(directory.path());
        let db = open(after.path(), background);
        let collection = db.collection("c").unwrap();
        assert_eq!(total(&collection), THREADS as i64 * INCREMENTS, "after reopening");
        db.compact().unwrap();
        let kept: Vec<_> =
            (0..COUNTERS).map(|id| get(&collection, &PointId::Num(id)).unwrap().etag).collect();
        assert_eq!(kept, etags, "an etag outlives seals, merges and reopening");
        count(&collection);
        assert_eq!(total(&collection), 2 * THREADS as i64 * INCREMENTS);
    }
}

#[test]
fn counters_in_memory_lose_none_either() {
    let db = Db::in_memory_with(options(true)).unwrap();
    let collection = db.create_collection("c", schema()).unwrap();
    count(&collection);
    assert_eq!(total(&collection), THREADS as i64 * INCREMENTS);
}

#[test]
fn all_conditions_hold_or_nothing_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let db = open(directory.path(), false);
    let collection = db.create_collection("c", schema()).unwrap();
    let first = collection.upsert(vec![Point::new("a", [1.0, 0.0]), Point::new("b", [1.0, 0.0])]).unwrap();
    let write = |conditions: &[(&str, Expect)]| {
        let batch = Batch::new().upsert(Point::new("new", [0.0, 1.0])).delete("b");
        collection.write(conditions.iter().fold(batch, |batch, (id, expect)| batch.expect(*id, *expect)))
    };
    let (etag, old) = (Expect::Etag(first.seq), Expect::Etag(first.seq - 1));
    for (conditions, message) in [
        (
            vec![("a", Expect::Absent)],
            "preconditions[0]: row `a` is expected to be absent, and has the etag 1",
        ),
        (
            vec![("a", etag), ("c", Expect::Present)],
            "preconditions[1]: row `c` is expected to be there, and is absent",
        ),
        (
            vec![("a", etag), ("b", old)],
            "preconditions[1]: row `b` is expected to have the etag 0, and has the etag 1",
        ),
        (
            vec![("new", Expect::Etag(9))],
            "preconditions[0]: row `new` is expected to have the etag 9, and is absent",
        ),
    ] {
        assert_eq!(write(&conditions).unwrap_err().to_string(), message);
        assert_eq!((collection.info().points, collection.info().seq), (2, 1), "nothing is written");
    }
    let written = write(&[("a", etag), ("b", Expect::Present), ("new", Expect::Absent)]).unwrap();
    assert_eq!((written.seq, written.upserted, written.deleted), (2, 1, 1));
    assert_eq!(get(&collection, &"new".into()).unwrap().etag, Some(2));
    assert!(matches!(write(&[("b", Expect::Present)]), Err(Error::Precondition { actual: None, .. })));
    // Without changes they are looked at all the same.
    let nothing = collection.write(Batch::new().expect("a", Expect::Absent));
    assert!(matches!(nothing, Err(Error::Precondition { .. })));
    assert_eq!(collection.write(Batch::new().expect("a", Expect::Present)).unwrap().seq, 2);
    let invalid = collection.write(Batch::new().expect("", Expect::Present)).unwrap_err().to_string();
    assert_eq!(invalid, "preconditions[0].id: an id is not empty");
}

/// An etag is that of the row, not of the collection: other writes do not change it, nor do seals.
#[test]
fn an_etag_changes_with_its_row_alone() {
    let directory = tempfile::tempdir().unwrap();
    let db = open(directory.path(), false);
    let collection = db.create_collection("c", schema()).unwrap();
    for id in 0..100_u64 {
        collection.upsert(vec![Point::new(id, [1.0, 0.0])]).unwrap();
    }
    collection.upsert(vec![Point::new(7, [1.0, 1.0])]).unwrap();
    db.flush().unwrap();
    for point in &collection.view() {
        let point = point.unwrap();
        let PointId::Num(id) = point.id else { panic!("{point:?}") };
        assert_eq!(point.etag, Some(if id == 7 { 101 } else { id + 1 }));
    }
}
