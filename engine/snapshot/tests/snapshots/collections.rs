//! One collection of a snapshot goes into a database that serves.

use std::ops::ControlFlow;

use ragstone::{
    Analyzer, Clock, Db, DbOptions, DenseOptions, FieldType, Filter, Metric, Point, Schema, ScrollRequest,
};
use ragstone_snapshot::{CollectionProgress, CollectionRestore, Error, quietly};

use super::support::{Copies, open, open_still, version_of};

fn schema() -> Schema {
    Schema::builder(2)
        .metric(Metric::L2)
        .vector("colour", DenseOptions::new(2).metric(Metric::L2))
        .field("owner", FieldType::String)
        .tenant("owner")
        .text("body", Analyzer::Standard)
        .attribute("model", "of the layer above")
        .build()
        .unwrap()
}

/// Points of two tenants, some without a default vector, some that expire, a string among the ids.
fn points() -> Vec<Point> {
    let point = |id: u64| {
        let mut point = version_of(id, 1)
            .with("owner", if id.is_multiple_of(2) { "acme" } else { "other" })
            .with("body", format!("text number {id}"))
            .with_vector("colour", [id as f32, 1.0]);
        if id % 5 == 4 {
            point.vector = None;
        }
        if id.is_multiple_of(7) { point.expires_at(4_102_444_800_000_000) } else { point }
    };
    let mut points: Vec<Point> = (0..200).map(point).collect();
    points.push(Point::without_vector("named").with("owner", "acme"));
    points
}

/// All there is in a collection, but for the numbers of writes.
fn rows(db: &Db, name: &str) -> Vec<Point> {
    let collection = db.collection(name).unwrap();
    let filter = collection.schema().tenant().map(|_| Filter::AllTenants);
    let request = ScrollRequest { filter, with_vectors: true, ..ScrollRequest::default() };
    let view = collection.view();
    view.rows(&request).unwrap().map(|row| Point { etag: None, ..row.unwrap() }).collect()
}

fn goes_on(_: CollectionProgress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn is_empty(folder: &std::path::Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn it_is_what_it_was_and_the_others_are_as_they_are() {
    let (data, copies, scratch) = (tempfile::tempdir().unwrap(), Copies::new(), tempfile::tempdir().unwrap());
    let db = open(data.path());
    let notes = db.create_collection("notes", schema()).unwrap();
    notes.upsert(points()).unwrap();
    // Some rows in segments, others in the log, and what came after the schema.
    db.flush().unwrap();
    notes.add_field("later", FieldType::Int).unwrap();
    notes.upsert(vec![version_of(300, 1).with("owner", "acme").with("later", 5_i64)]).unwrap();
    notes.delete(&[3.into()]).unwrap();
    let plain = Schema::builder(2).metric(Metric::L2).build().unwrap();
    let other = db.create_collection("other", plain).unwrap();
    other.upsert(vec![version_of(1, 1)]).unwrap();
    let (before, schema_before, other_before) = (rows(&db, "notes"), notes.schema(), rows(&db, "other"));
    copies.repository.take(&db, Some("s"), quietly).unwrap();
    other.upsert(vec![version_of(1, 2)]).unwrap();
    notes.upsert(vec![version_of(1, 2).with("owner", "other")]).unwrap();

    // Beside it, in place of it, and where there is none any more.
    let beside = CollectionRestore::new("notes").snapshot("s").named("before");
    let mut seen = Vec::new();
    let restored = copies
        .repository
        .restore_collection(&db, &beside, scratch.path(), |progress| {
            seen.push(progress);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!((restored.snapshot.as_str(), restored.rows, restored.replaced), ("s", 201, false));
    assert!(matches!(seen[0], CollectionProgress::Fetching(_)), "{seen:?}");
    let verifies = |at: &CollectionProgress| matches!(at, CollectionProgress::Verifying(_));
    assert!(seen.iter().any(verifies), "however little that is: {seen:?}");
    let last = CollectionProgress::Copying { rows: 201, rows_total: 201 };
    assert_eq!(seen.last(), Some(&last));
    let replacing = CollectionRestore::new("notes").replace();
    let restored = copies.repository.restore_collection(&db, &replacing, scratch.path(), goes_on).unwrap();
    assert!(restored.replaced);
    assert!(matches!(
        notes.delete(&[1.into()]),
        Err(ragstone::Error::CollectionReplaced { name }) if name == "notes"
    ));
    db.delete_collection("other").unwrap();
    let gone = CollectionRestore::new("other").replace();
    assert!(!copies.repository.restore_collection(&db, &gone, scratch.path(), goes_on).unwrap().replaced);
    assert!(is_empty(scratch.path()));
    drop((notes, other));
    let check = |db: &Db| {
        for name in ["notes", "before"] {
            let collection = db.collection(name).unwrap();
            assert_eq!(rows(db, name), before);
            assert_eq!(collection.schema(), schema_before);
            let page = ScrollRequest {
                filter: Some(Filter::eq("owner", "acme")),
                limit: 1_000,
                ..ScrollRequest::default()
            };
            assert_eq!(collection.scroll(&page).unwrap().points.len(), 102);
        }
        assert_eq!(rows(db, "other"), other_before);
    };
    check(&db);
    drop(db);
    check(&open(data.path()));
}

/// Ended at each of its steps it leaves nothing, and the collection that it was to replace as it is.
#[test]
fn ended_early_it_leaves_nothing_behind() {
    let (data, copies, scratch) = (tempfile::tempdir().unwrap(), Copies::new(), tempfile::tempdir().unwrap());
    let db = open_still(data.path());
    let notes = db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    // More than one write takes.
    notes.upsert((0..5_000).map(|id| version_of(id, 1)).collect()).unwrap();
    copies.repository.take(&db, Some("s"), quietly).unwrap();
    notes.upsert(vec![version_of(1, 2)]).unwrap();
    let (before, mut copying) = (rows(&db, "notes"), 0);
    for steps in 0.. {
        let (mut left, mut is_copying) = (steps, false);
        let request = CollectionRestore::new("notes").replace();
        let result = copies.repository.restore_collection(&db, &request, scratch.path(), |progress| {
            is_copying |= matches!(progress, CollectionProgress::Copying { .. });
            left -= 1;
            if left < 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(is_empty(scratch.path()));
        // One that was hidden still would be copied with the database.
        assert_eq!((db.collections().len(), db.pin().unwrap().collections().len()), (1, 1));
        match result {
            Err(Error::Cancelled) => {
                assert_eq!(rows(&db, "notes"), before);
                notes.upsert(vec![version_of(1, 2)]).unwrap();
                copying += usize::from(is_copying);
            }
            Ok(restored) => {
                assert_eq!(restored.rows, 5_000);
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(copying >= 3, "it was ended among the rows {copying} times");
    assert_ne!(rows(&db, "notes"), before);
    drop((notes, db));
    assert_eq!(rows(&open_still(data.path()), "notes").len(), 5_000);
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_fetched() {
    let (data, copies, scratch) = (tempfile::tempdir().unwrap(), Copies::new(), tempfile::tempdir().unwrap());
    let db = open_still(data.path());
    let refused = |request: &CollectionRestore| {
        let never = |_: CollectionProgress| -> ControlFlow<()> { panic!("something was fetched") };
        let error = copies.repository.restore_collection(&db, request, scratch.path(), never).unwrap_err();
        let checked = copies.repository.check_collection_restore(&db, request).unwrap_err();
        assert_eq!(error.to_string(), checked.to_string());
        error
    };
    let notes = CollectionRestore::new("notes");
    assert!(matches!(refused(&notes), Error::NoSnapshot { .. }));
    db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    copies.repository.take(&db, Some("s"), quietly).unwrap();
    assert!(matches!(refused(&notes.clone().snapshot("t")), Error::NotFound { .. }));
    assert!(matches!(refused(&notes), Error::Engine(ragstone::Error::CollectionExists { .. })));
    assert!(matches!(
        refused(&CollectionRestore::new("nothing")),
        Error::NoCollection { snapshot, collection } if (snapshot.as_str(), collection.as_str()) == ("s", "nothing")
    ));
    let bad = refused(&notes.clone().named(".notes").replace());
    assert!(matches!(bad, Error::Engine(ragstone::Error::Invalid { .. })), "{bad}");
    db.set_alias("alias", "notes").unwrap();
    for request in [notes.clone().named("alias"), notes.clone().named("alias").replace()] {
        assert!(matches!(refused(&request), Error::Engine(ragstone::Error::AliasExists { .. })));
    }
    // Somebody makes one while the snapshot is being fetched: that stays.
    let late = notes.clone().named("late");
    let result = copies.repository.restore_collection(&db, &late, scratch.path(), |progress| {
        if matches!(progress, CollectionProgress::Copying { .. }) && db.collection("late").is_err() {
            db.create_collection("late", Schema::new(3).unwrap()).unwrap();
        }
        ControlFlow::Continue(())
    });
    assert!(matches!(result, Err(Error::Engine(ragstone::Error::CollectionExists { .. }))), "{result:?}");
    assert_eq!(db.collection("late").unwrap().schema().dimension(), 3);
}

/// What a snapshot has of other collections may be large, or lost.
#[test]
fn only_what_it_needs_is_fetched() {
    let (data, copies, scratch) = (tempfile::tempdir().unwrap(), Copies::new(), tempfile::tempdir().unwrap());
    let db = open_still(data.path());
    for (name, count) in [("small", 10), ("large", 1_000)] {
        // Vectors that stay as they are when they are written once more.
        let schema = Schema::builder(2).metric(Metric::L2).build().unwrap();
        let collection = db.create_collection(name, schema).unwrap();
        collection.upsert((0..count).map(|id| version_of(id, 1)).collect()).unwrap();
    }
    db.flush().unwrap();
    // In the log alone.
    db.collection("small").unwrap().upsert(vec![version_of(10, 2)]).unwrap();
    let before = rows(&db, "small");
    copies.repository.take(&db, Some("s"), quietly).unwrap();
    let restore = |name: &str| {
        let (mut fetched, mut has_verified) = (0, false);
        let request = CollectionRestore::new(name).named("again").replace();
        let result = copies.repository.restore_collection(&db, &request, scratch.path(), |progress| {
            match progress {
                CollectionProgress::Fetching(at) => {
                    assert!(at.bytes <= at.bytes_total && !has_verified, "{at:?}");
                    fetched = at.bytes;
                }
                CollectionProgress::Verifying(_) => has_verified = true,
                CollectionProgress::Copying { .. } => {}
            }
            ControlFlow::Continue(())
        });
        (result, fetched)
    };
    let (large, small) = (restore("large"), restore("small"));
    assert_eq!((large.0.unwrap().rows, small.0.unwrap().rows), (1_000, 11));
    assert!(small.1 < large.1, "{} bytes of {}", small.1, large.1);
    assert_eq!(rows(&db, "again"), before);
    let objects = copies.objects("objects");
    copies.remove(objects.iter().max_by_key(|object| copies.read(object).len()).unwrap());
    assert_eq!(restore("small").0.unwrap().rows, 11);
    assert!(matches!(restore("large").0, Err(Error::Missing { .. })));
    assert_eq!(rows(&db, "again"), before);
    assert!(is_empty(scratch.path()));
}

/// Whatever gets the name while the rows are copied has it: there is never a collection and an alias of one name.
#[test]
fn an_alias_that_gets_the_name_meanwhile_keeps_it() {
    let (data, copies, scratch) = (tempfile::tempdir().unwrap(), Copies::new(), tempfile::tempdir().unwrap());
    let db = open_still(data.path());
    for name in ["notes", "other", "place"] {
        db.create_collection(name, Schema::new(2).unwrap()).unwrap();
    }
    copies.repository.take(&db, Some("s"), quietly).unwrap();
    let restore = |request: &CollectionRestore, meanwhile: &dyn Fn()| {
        let mut is_copying = false;
        let result = copies.repository.restore_collection(&db, request, scratch.path(), |progress| {
            let copies_now = matches!(progress, CollectionProgress::Copying { .. });
            if copies_now && !std::mem::replace(&mut is_copying, true) {
                meanwhile();
            }
            ControlFlow::Continue(())
        });
        assert!(is_copying);
        result.unwrap_err()
    };
    let notes = CollectionRestore::new("notes");
    for (name, request) in [("a", notes.clone().named("a")), ("b", notes.clone().named("b").replace())] {
        let error = restore(&request, &|| db.set_alias(name, "other").unwrap());
        assert!(matches!(error, Error::Engine(ragstone::Error::AliasExists { .. })), "{error}");
    }
    // The one whose place it was to take goes.
    let error = restore(&notes.clone().named("place").replace(), &|| {
        db.delete_collection("place").unwrap();
        db.set_alias("place", "other").unwrap();
    });
    assert!(matches!(error, Error::Engine(ragstone::Error::CollectionNotFound { .. })), "{error}");
    for alias in ["a", "b", "place"] {
        assert_eq!(db.collection(alias).unwrap().name(), "other");
    }
    let names: Vec<String> = db.collections().into_iter().map(|info| info.name.clone()).collect();
    assert_eq!(names, ["notes", "other"]);
    assert!(is_empty(scratch.path()));
}

#[test]
fn a_damaged_snapshot_is_refused_and_what_has_expired_is_left_out() {
    let (data, copies, scratch) = (tempfile::tempdir().unwrap(), Copies::new(), tempfile::tempdir().unwrap());
    let mut options = DbOptions::default();
    (options.background, options.clock) = (false, Clock::new(|| 1));
    let db = Db::open_with(data.path(), options).unwrap();
    let notes = db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    notes.upsert(vec![version_of(1, 1), version_of(2, 1).expires_at(1_000)]).unwrap();
    db.flush().unwrap();
    copies.repository.take(&db, Some("s"), quietly).unwrap();
    assert_eq!(rows(&db, "notes").len(), 2, "by the clock of the database");
    let request = CollectionRestore::new("notes").named("again");
    assert_eq!(copies.repository.restore_collection(&db, &request, scratch.path(), goes_on).unwrap().rows, 1);
    db.delete_collection("again").unwrap();
    let objects = copies.objects("objects");
    let largest = objects.iter().max_by_key(|object| copies.read(object).len()).unwrap();
    let mut bytes = copies.read(largest);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    copies.write(largest, &bytes);
    let error = copies.repository.restore_collection(&db, &request, scratch.path(), goes_on).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert!(is_empty(scratch.path()) && db.collections().len() == 1);
}
