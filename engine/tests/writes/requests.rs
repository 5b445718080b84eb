//! Requests that are sent again.

use std::sync::Barrier;

use ragstone::{Batch, Collection, Error, Point, Update, WriteReceipt, limits};

use super::{copy_of, open, schema};

/// Counts, so that a request that is done twice shows.
fn batch(collection: &Collection, request: &str) -> Batch {
    let count = collection.get(&["count".into()]).unwrap()[0]
        .as_ref()
        .map_or(0, |point| point.payload["count"].as_int().unwrap());
    Batch::new()
        .upsert(Point::new("count", [1.0, 0.0]).with("count", count + 1))
        .update(Update::new("nobody").set("count", 1))
        .request(request)
}

fn write(collection: &Collection, request: &str) -> WriteReceipt {
    collection.write(batch(collection, request)).unwrap()
}

fn count(collection: &Collection) -> i64 {
    collection.get(&["count".into()]).unwrap()[0].as_ref().unwrap().payload["count"].as_int().unwrap()
}

#[test]
fn a_request_is_done_once_through_seals_crashes_and_reopening() {
    let mut directory = tempfile::tempdir().unwrap();
    let mut db = open(directory.path(), false);
    let mut collection = db.create_collection("c", schema()).unwrap();
    let mut receipts = Vec::new();
    for round in 0..40 {
        let request = format!("request {round}");
        let receipt = write(&collection, &request);
        assert_eq!((receipt.upserted, receipt.missing, receipt.repeated), (1, 1, false));
        receipts.push((request, receipt));
        match round % 5 {
            0 => db.flush().unwrap(),
            1 => db.compact().unwrap(),
            2 => {
                // As after a kill: closing changes no file.
                drop((db, collection));
                directory = copy_of(directory.path());
                db = open(directory.path(), round % 2 == 0);
                collection = db.collection("c").unwrap();
            }
            _ => {}
        }
        for (request, receipt) in &receipts {
            let mut expected = *receipt;
            expected.repeated = true;
            assert_eq!(write(&collection, request), expected);
        }
        assert_eq!(count(&collection), round + 1);
        assert_eq!(collection.info().seq, receipts.len() as u64, "what is repeated takes no number");
    }
    assert!(ragstone::check(copy_of(directory.path()).path()).unwrap().damaged.is_empty());
}

#[test]
fn of_two_at_once_one_is_done_and_both_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let db = open(directory.path(), true);
    let collection = db.create_collection("c", schema()).unwrap();
    for round in 0..30_i64 {
        let (batch, barrier) = (batch(&collection, &format!("{round}")), Barrier::new(4));
        let receipts: Vec<WriteReceipt> = std::thread::scope(|scope| {
            let send = || {
                barrier.wait();
                collection.write(batch.clone()).unwrap()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(send)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(receipts.iter().filter(|receipt| !receipt.repeated).count(), 1);
        let first = receipts[0];
        assert!(
            receipts.iter().all(|receipt| (receipt.seq, receipt.position) == (first.seq, first.position))
        );
        assert_eq!(count(&collection), round + 1);
    }
}

#[test]
fn what_failed_may_be_sent_again_and_what_is_old_is_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let db = open(directory.path(), false);
    let collection = db.create_collection("c", schema()).unwrap();
    let conditional = || batch(&collection, "a").expect("count", ragstone::Expect::Present);
    assert!(matches!(collection.write(conditional()), Err(Error::Precondition { .. })));
    write(&collection, "b");
    let first = collection.write(conditional()).unwrap();
    assert!(!first.repeated);
    // Its condition does not hold any more, and is not looked at.
    collection.delete(&["count".into()]).unwrap();
    assert!(collection.write(conditional()).unwrap().repeated);
    for id in 0..limits::REQUESTS_REMEMBERED - 1 {
        collection.upsert(vec![Point::new(id % 50, [1.0, 0.0])]).unwrap();
    }
    assert!(!write(&collection, "b").repeated);
    for (request, message) in [
        (String::new(), "request_id: it is empty".to_owned()),
        ("x".repeat(129), "request_id: 129 is beyond the limit REQUEST_ID_BYTES_MAX = 128".to_owned()),
    ] {
        assert_eq!(
            collection.write(Batch::new().delete(1).request(request)).unwrap_err().to_string(),
            message
        );
    }
}
