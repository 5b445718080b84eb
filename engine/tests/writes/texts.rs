//! Updates of fields that are searched by word.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ragstone::query::{Query, TextQuery};
use ragstone::{
    Analyzer, Batch, Clock, Collection, Db, Error, Expect, Filter, Point, Schema, SparseVector, Update,
};

use super::{copy_of, open, options};

fn schema() -> Schema {
    let schema = Schema::builder(2).sparse("words").text("title", Analyzer::English);
    schema.text("body", Analyzer::English).build().unwrap()
}

fn row(id: u64) -> Point {
    let words = SparseVector { indices: vec![7, id as u32 + 10], values: vec![1.0, 2.0] };
    let row = Point::new(id, [3.0, 4.0]).with("title", "green tea").with("number", id as i64);
    row.with_vector("words", words)
}

fn found(collection: &Collection, words: &str) -> usize {
    let found = collection.query(&Query::new(TextQuery::new(words), 100)).unwrap().hits.len();
    let matching = Filter::Match("title".into(), words.into());
    assert_eq!(collection.count(Some(&matching)).unwrap(), found as u64);
    found
}

fn get(collection: &Collection, id: u64) -> Option<Point> {
    collection.get(&[id.into()]).unwrap().remove(0)
}

#[test]
fn words_are_found_as_they_are_now_and_all_else_stays() {
    for seals in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let db = open(directory.path(), false);
        let collection = db.create_collection("c", schema()).unwrap();
        collection.upsert((0..9).map(row).collect()).unwrap();
        // A row with a patch, the texts of which change later.
        collection.update(vec![Update::new(3).set("number", 33)]).unwrap();
        if seals {
            db.flush().unwrap();
        }
        let before = get(&collection, 3).unwrap();
        let updates = vec![Update::new(3).set("title", "black coffee"), Update::new(77).set("title", "none")];
        let receipt = collection.update(updates).unwrap();
        assert_eq!((receipt.upserted, receipt.updated, receipt.missing), (0, 1, 1));
        collection.update(vec![Update::new(4).unset("title"), Update::new(4).set("new", true)]).unwrap();
        let mut expected = before.clone().with("title", "black coffee");
        expected.etag = Some(receipt.seq);
        let check = |collection: &Collection| {
            assert_eq!((found(collection, "tea"), found(collection, "coffee")), (7, 1));
            assert_eq!(collection.info().points, 9);
            assert_eq!(get(collection, 3).unwrap(), expected);
            let fourth = get(collection, 4).unwrap();
            assert_eq!((fourth.payload.len(), &fourth.payload["new"]), (2, &true.into()));
            assert_eq!(fourth.vectors, row(4).vectors);
        };
        check(&collection);
        drop((db, collection));
        let after = copy_of(directory.path());
        let db = open(after.path(), false);
        check(&db.collection("c").unwrap());
        db.compact().unwrap();
        check(&db.collection("c").unwrap());
    }
}

#[test]
fn within_a_batch_each_change_finds_what_those_before_it_left() {
    let directory = tempfile::tempdir().unwrap();
    let db = open(directory.path(), false);
    let collection = db.create_collection("c", schema()).unwrap();
    collection.upsert((0..4).map(row).collect()).unwrap();
    let title = |id: u64, words: &str| Update::new(id).set("title", words);
    let batch = Batch::new()
        // Of one row: a field, its words, and the field again.
        .update(Update::new(0).set("number", 5).set("other", 1))
        .update(title(0, "oolong"))
        .update(Update::new(0).set("number", 6))
        // Made by the batch.
        .upsert(row(9))
        .update(title(9, "oolong"))
        // Gone by then, and there again.
        .delete(1)
        .update(title(1, "oolong"))
        .upsert(row(1))
        // Changed, and gone after all.
        .update(title(2, "oolong"))
        .delete(2);
    let receipt = collection.write(batch).unwrap();
    let counts = [receipt.upserted, receipt.updated, receipt.missing, receipt.deleted];
    assert_eq!(counts, [2, 5, 1, 2]);
    assert_eq!((found(&collection, "oolong"), found(&collection, "tea")), (2, 2));
    let first = get(&collection, 0).unwrap();
    assert_eq!((&first.payload["number"], &first.payload["other"]), (&6.into(), &1.into()));
    assert_eq!(first.etag, Some(receipt.seq));
    assert!(get(&collection, 2).is_none());
}

#[test]
fn conditions_requests_and_expiry_hold_as_for_any_update() {
    let (directory, now) = (tempfile::tempdir().unwrap(), Arc::new(AtomicI64::new(0)));
    let mut options = options(false);
    let told = now.clone();
    options.clock = Clock::new(move || told.load(Ordering::SeqCst));
    let db = Db::open_with(directory.path(), options).unwrap();
    let collection = db.create_collection("c", schema()).unwrap();
    collection.upsert(vec![row(1).expires_at(10), row(2)]).unwrap();
    let update = |id: u64| Batch::new().update(Update::new(id).set("title", "black coffee"));
    let refused = collection.write(update(2).expect(2, Expect::Etag(7)));
    assert!(matches!(refused, Err(Error::Precondition { actual: Some(1), .. })));
    assert_eq!(found(&collection, "coffee"), 0);
    let first = collection.write(update(2).expect(2, Expect::Etag(1)).request("r")).unwrap();
    let again = collection.write(update(2).expect(2, Expect::Etag(1)).request("r")).unwrap();
    assert_eq!((again.seq, again.updated, again.repeated), (first.seq, 1, true));
    // It keeps when it expires, and is not brought back.
    collection.write(update(1)).unwrap();
    assert_eq!(get(&collection, 1).unwrap().expires_at, Some(10));
    assert_eq!(found(&collection, "coffee"), 2);
    now.store(10, Ordering::SeqCst);
    assert_eq!(found(&collection, "coffee"), 1);
    let late = Batch::new().update(Update::new(1).set("title", "tea").never_expires());
    assert_eq!(collection.write(late).unwrap().missing, 1);
    assert!(get(&collection, 1).is_none());
}

/// Writers of one row's fields, with words and without, lose nothing of what the others wrote.
#[test]
fn nobody_undoes_what_others_update_meanwhile() {
    const ROUNDS: i64 = 40;
    for background in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let db = open(directory.path(), background);
        let collection = db.create_collection("c", schema()).unwrap();
        collection.upsert((0..3).map(row).collect()).unwrap();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let collection = &collection;
                scope.spawn(move || {
                    for round in 1..=ROUNDS {
                        let update = |id: u64| {
                            let update = Update::new(id).set(format!("by {writer}"), round);
                            match writer {
                                0 => update.set("title", format!("tea of round {round}")),
                                1 => update.set("body", format!("coffee of round {round}")),
                                _ => update,
                            }
                        };
                        let receipt = collection.update((0..3).map(update).collect()).unwrap();
                        assert_eq!(receipt.updated, 3);
                    }
                });
            }
        });
        let check = |collection: &Collection| {
            for id in 0..3 {
                let row = get(collection, id).unwrap();
                for writer in 0..4 {
                    assert_eq!(row.payload[&format!("by {writer}")], ROUNDS.into(), "{writer}: {row:?}");
                }
                assert_eq!(row.payload["title"].as_str(), Some("tea of round 40"));
                assert_eq!(row.payload["body"].as_str(), Some("coffee of round 40"));
                assert!(row.vector.is_some() && row.vectors.contains_key("words"));
            }
            assert_eq!((found(collection, "40 tea"), collection.info().points), (3, 3));
        };
        check(&collection);
        drop((db, collection));
        let after = copy_of(directory.path());
        check(&open(after.path(), false).collection("c").unwrap());
    }
}

#[test]
fn a_strict_collection_takes_no_unknown_name() {
    let db = Db::in_memory_with(options(false)).unwrap();
    let schema = Schema::builder(2).text("title", Analyzer::English).strict(true).build().unwrap();
    let collection = db.create_collection("c", schema).unwrap();
    collection.upsert(vec![Point::new(1, [1.0, 0.0]).with("title", "tea")]).unwrap();
    let update = Update::new(1).set("title", "coffee").unset("nobody has it");
    let error = collection.update(vec![update]).unwrap_err().to_string();
    assert!(error.starts_with("points[0].payload.nobody has it"), "{error}");
    assert_eq!(found(&collection, "tea"), 1);
}
