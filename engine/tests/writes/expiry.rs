//! Rows that expire, by a clock that the test sets.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ragstone::{
    Batch, Clock, Collection, Db, Error, Expect, Filter, Point, RangeRequest, RowFilter, Scope,
    ScrollRequest, SearchRequest, Sight, Update,
};

use super::{copy_of, options, schema};

/// A clock and a database that goes by it.
fn open(path: &Path, clock: &Arc<AtomicI64>) -> Db {
    let mut options = options(false);
    let told = clock.clone();
    options.clock = Clock::new(move || told.load(Ordering::SeqCst));
    Db::open_with(path, options).unwrap()
}

/// Every way to find rows finds so many.
fn assert_rows(collection: &Collection, rows: usize) {
    let (view, filter) = (collection.view(), Filter::eq("kind", "a"));
    assert_eq!(collection.info().points, rows as u64);
    assert_eq!(view.count(None).unwrap(), rows as u64);
    assert_eq!(view.count(Some(&filter)).unwrap(), rows as u64);
    assert_eq!(view.iter().count(), rows);
    let page = ScrollRequest { limit: 1_000, filter: Some(filter.clone()), ..ScrollRequest::default() };
    assert_eq!(view.scroll(&page).unwrap().points.len(), rows);
    for request in [SearchRequest::new([1.0, 0.5], 1_000), SearchRequest::new([1.0, 0.5], 1_000).exact()] {
        assert_eq!(view.search(&request).unwrap().hits.len(), rows);
        assert_eq!(view.search(&request.clone().filter(filter.clone())).unwrap().hits.len(), rows);
        assert_eq!(view.search_batch(&[request]).unwrap()[0].hits.len(), rows);
    }
    assert_eq!(view.search_range(&RangeRequest::new([1.0, 0.5], -1.0).exact()).unwrap().hits.len(), rows);
    let ids: Vec<_> = (0..100_u64).map(Into::into).collect();
    assert_eq!(view.get(&ids).unwrap().iter().flatten().count(), rows);
}

/// Row `id` expires at `100 + id`, but for each tenth, which never does.
fn row(id: u64) -> Point {
    let row = Point::new(id, [1.0, id as f32]).with("kind", "a");
    if id.is_multiple_of(10) { row } else { row.expires_at(100 + id as i64) }
}

fn left(now: i64) -> usize {
    (0..100).filter(|id| id % 10 == 0 || 100 + id > now).count()
}

#[test]
fn an_expired_row_is_found_by_nothing_sealed_or_not_merged_or_not() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), Arc::new(AtomicI64::new(0)));
    let db = open(directory.path(), &clock);
    let collection = db.create_collection("c", schema()).unwrap();
    // In segments of forty, and some in memory.
    for id in 0..100 {
        collection.upsert(vec![row(id)]).unwrap();
    }
    let early = collection.view();
    for now in [50, 101, 102, 130, 131, 150] {
        clock.store(now, Ordering::SeqCst);
        assert_rows(&collection, left(now));
    }
    assert_eq!(early.count(None).unwrap(), left(150) as u64, "a view of before does not show them either");
    assert_eq!(early.iter().count(), left(150));
    drop((db, collection));
    let directory = copy_of(directory.path());
    let db = open(directory.path(), &clock);
    let collection = db.collection("c").unwrap();
    assert_rows(&collection, left(150));
    db.compact().unwrap();
    assert_rows(&collection, left(150));
    clock.store(170, Ordering::SeqCst);
    assert_rows(&collection, left(170));
    // To be dropped by a merge, and to be gone for a clock that goes back.
    db.compact().unwrap();
    clock.store(120, Ordering::SeqCst);
    let rows = collection.info().points;
    assert!(rows < left(120) as u64, "merges drop expired rows: {rows}");
    clock.store(1_000, Ordering::SeqCst);
    assert_rows(&collection, 10);
    assert!(ragstone::check(copy_of(directory.path()).path()).unwrap().damaged.is_empty());
}

/// Shows these rows alone.
struct Of(Arc<RowFilter>);

impl Scope for Of {
    fn sight(&self, _collection: &str) -> Sight {
        Sight::Rows(self.0.clone())
    }
}

/// What is read in several steps can be read as of one moment, whatever becomes of the rows and of the clock.
#[test]
fn a_view_as_of_now_loses_no_row() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), Arc::new(AtomicI64::new(0)));
    let db = open(directory.path(), &clock);
    let collection = db.create_collection("c", schema()).unwrap();
    for id in 0..100 {
        collection.upsert(vec![row(id)]).unwrap();
    }
    clock.store(120, Ordering::SeqCst);
    let held = collection.view().as_of_now();
    let rows = Arc::new(RowFilter::new(Filter::eq("kind", "a")).unwrap());
    let of_scope = db.within(Arc::new(Of(rows))).collection("c").unwrap().view().as_of_now();
    for now in [120, 150, 1_000, 110] {
        clock.store(now, Ordering::SeqCst);
        for held in [&held, &of_scope, &held.as_of_now()] {
            let ids: Vec<_> = (0..100_u64).map(Into::into).collect();
            assert_eq!(held.count(None).unwrap(), left(120) as u64);
            assert_eq!(held.iter().count(), left(120));
            assert_eq!(held.get(&ids).unwrap().iter().flatten().count(), left(120));
            let found = held.search(&SearchRequest::new([1.0, 0.5], 1_000)).unwrap();
            assert_eq!(found.hits.len(), left(120));
        }
        if now == 1_000 {
            db.compact().unwrap();
            assert_rows(&collection, 10);
        }
    }
}

#[test]
fn writes_find_no_expired_row() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), Arc::new(AtomicI64::new(0)));
    for seals in [false, true] {
        clock.store(0, Ordering::SeqCst);
        let name = if seals { "sealed" } else { "growing" };
        let db = open(directory.path(), &clock);
        let collection = db.create_collection(name, schema()).unwrap();
        collection.upsert((0..4).map(|id| row(id).expires_at(10)).collect()).unwrap();
        let flush = || {
            if seals {
                db.flush().unwrap()
            }
        };
        flush();
        // One lives longer, one for ever, one not so long.
        collection
            .update(vec![
                Update::new(1).expires_at(20),
                Update::new(2).never_expires(),
                Update::new(3).expires_at(5),
            ])
            .unwrap();
        flush();
        clock.store(5, Ordering::SeqCst);
        assert_rows(&collection, 3);
        clock.store(10, Ordering::SeqCst);
        assert_rows(&collection, 2);
        let expires =
            |id: u64| collection.get(&[id.into()]).unwrap()[0].as_ref().map(|point| point.expires_at);
        assert_eq!([expires(0), expires(1), expires(2)], [None, Some(Some(20)), Some(None)]);
        // It is gone: neither brought back, nor deleted, nor there to be compared with.
        let receipt =
            collection.update(vec![Update::new(0).never_expires(), Update::new(1).set("kind", "a")]);
        let receipt = receipt.unwrap();
        assert_eq!((receipt.updated, receipt.missing), (1, 1));
        assert_eq!(collection.delete(&[3.into()]).unwrap().deleted, 0);
        let there = collection.write(Batch::new().delete(9).expect(0, Expect::Present));
        assert!(matches!(there, Err(Error::Precondition { actual: None, .. })));
        collection.write(Batch::new().upsert(row(0)).expect(0, Expect::Absent)).unwrap();
        assert_eq!(collection.delete_where(&Filter::eq("kind", "a")).unwrap().deleted, 3);
        assert_rows(&collection, 0);
        // What is over when it is written is not there at all.
        collection.upsert(vec![row(7).expires_at(3)]).unwrap();
        assert_rows(&collection, 0);
    }
}

/// Whatever became of expired rows meanwhile, a replayed write finds what it found at first.
#[test]
fn a_replay_goes_by_the_time_of_each_write() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), Arc::new(AtomicI64::new(0)));
    let db = open(directory.path(), &clock);
    let collection = db.create_collection("c", schema()).unwrap();
    collection.upsert((0..5).map(|id| row(id).expires_at(10)).collect()).unwrap();
    clock.store(9, Ordering::SeqCst);
    collection.update((0..3).map(|id| Update::new(id).expires_at(30)).collect()).unwrap();
    clock.store(20, Ordering::SeqCst);
    collection.update((2..5).map(|id| Update::new(id).expires_at(40)).collect()).unwrap();
    for now in [20, 29, 30] {
        clock.store(now, Ordering::SeqCst);
        let directory = {
            let after = copy_of(directory.path());
            let db = open(after.path(), &clock);
            assert_rows(&db.collection("c").unwrap(), if now < 30 { 3 } else { 1 });
            drop(db);
            after
        };
        assert_rows(&open(directory.path(), &clock).collection("c").unwrap(), if now < 30 { 3 } else { 1 });
    }
    assert_rows(&collection, 1);
    drop(db);
}
