//! Many threads at once: readers see whole batches, writers share syncs, and sealing and merging lose nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::schema;
use crate::dir::Dir;
use crate::dir::memory::MemoryDir;
use crate::{Batch, Db, DbOptions, Error, Filter, Op, Point, PointId, SearchRequest, Value};

const GROUP: u64 = 16;
const WRITERS: u64 = 3;
const ROUNDS: i64 = 60;

fn options() -> DbOptions {
    DbOptions { seal_rows: 100, ..DbOptions::default() }
}

/// Each writer rewrites its group of points, all with the round's number.
fn round(writer: u64, round: i64) -> Batch {
    let point = |id: u64| {
        Point::new(writer * GROUP + id, [round as f32, id as f32])
            .with("writer", writer as i64)
            .with("round", round)
    };
    // Every third round deletes the group, and the next brings it back.
    let op = |id| {
        if round % 3 == 2 { Op::Delete(PointId::Num(writer * GROUP + id)) } else { Op::Upsert(point(id)) }
    };
    Batch::of((0..GROUP).map(op).collect())
}

#[test]
fn readers_see_whole_batches_while_segments_come_and_go() {
    let dir = MemoryDir::new();
    let db = Db::open_in(Arc::new(dir.clone()), options()).unwrap();
    let collection = db.create_collection("c", schema()).unwrap();
    collection.upsert(vec![Point::without_vector("fields").with("writer", -1).with("round", -1)]).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let collection = &collection;
                scope.spawn(move || {
                    for number in 0..ROUNDS {
                        collection.write(round(writer, number)).unwrap();
                    }
                })
            })
            .collect();
        for _ in 0..2 {
            scope.spawn(|| {
                let mut seq = 0;
                while !done.load(Ordering::Relaxed) {
                    let view = collection.view();
                    assert!(view.seq() >= seq, "time does not run backwards");
                    seq = view.seq();
                    (0..WRITERS).for_each(|writer| check_group(&view, writer));
                }
            });
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::Relaxed);
    });
    db.flush().unwrap();
    assert!(collection.info().segments < 10, "segments are merged");
    drop((collection, db));
    let db = Db::open_in(Arc::new(dir), options()).unwrap();
    let view = db.collection("c").unwrap().view();
    assert_eq!(view.seq(), 1 + WRITERS * ROUNDS as u64);
    (0..WRITERS).for_each(|writer| check_group(&view, writer));
}

/// All points of a writer's group are there with the same round, or none is; by id, by filter and by search.
fn check_group(view: &crate::View, writer: u64) {
    let ids: Vec<PointId> = (0..GROUP).map(|id| PointId::Num(writer * GROUP + id)).collect();
    let points = view.get(&ids).unwrap();
    let rounds: Vec<Option<&Value>> =
        points.iter().map(|point| point.as_ref().map(|point| &point.payload["round"])).collect();
    assert!(rounds.iter().all(|round| *round == rounds[0]), "writer {writer}: {rounds:?}");
    let of_writer = Filter::eq("writer", writer as i64);
    let count = view.count(Some(&of_writer)).unwrap();
    assert_eq!(count, if rounds[0].is_some() { GROUP } else { 0 });
    let hits = view.search(&SearchRequest::new([0.0, 0.0], 100).filter(of_writer)).unwrap().hits;
    assert_eq!(hits.len() as u64, count);
    assert!(hits.iter().all(|hit| Some(&hit.payload["round"]) == rounds[0]));
}

#[test]
fn a_view_stays_what_it_was() {
    let db = Db::open_in(Arc::new(MemoryDir::new()), options()).unwrap();
    let collection = db.create_collection("c", schema()).unwrap();
    collection.write(round(0, 0)).unwrap();
    let view = collection.view();
    let before = view.search(&SearchRequest::new([0.0, 0.0], 100)).unwrap().hits;
    for number in 1..20 {
        collection.write(round(0, number)).unwrap();
        db.flush().unwrap();
    }
    db.delete_collection("c").unwrap();
    assert_eq!(view.search(&SearchRequest::new([0.0, 0.0], 100)).unwrap().hits, before);
    assert!(matches!(collection.write(round(0, 0)), Err(Error::CollectionNotFound { .. })));
}

#[test]
fn one_directory_one_db() {
    let dir = MemoryDir::new();
    let db = Db::open_in(Arc::new(dir.clone()), options()).unwrap();
    let collection = db.create_collection("c", schema()).unwrap();
    assert!(matches!(Db::open_in(Arc::new(dir.clone()), options()), Err(Error::Locked { .. })));
    drop(db);
    assert!(
        matches!(Db::open_in(Arc::new(dir.clone()), options()), Err(Error::Locked { .. })),
        "a collection keeps it"
    );
    drop(collection);
    assert_eq!(Db::open_in(Arc::new(dir), options()).unwrap().collections().len(), 1);
}

#[test]
fn writers_wait_for_memory_and_not_for_ever() {
    let options = DbOptions { growing_bytes_max: 20_000, seal_rows: 1_000_000, ..DbOptions::default() };
    let db = Db::open_in(Arc::new(MemoryDir::new()), options).unwrap();
    let collections: Vec<_> =
        (0..3).map(|i| db.create_collection(&format!("c{i}"), schema()).unwrap()).collect();
    for number in 0..90 {
        let writer = number as u64 % 3;
        collections[writer as usize].write(round(writer, number / 3 * 3)).unwrap();
    }
    assert!(collections.iter().any(|collection| collection.info().segments > 0));
    for (writer, collection) in collections.iter().enumerate() {
        check_group_of(collection, writer as u64);
    }
}

fn check_group_of(collection: &crate::Collection, writer: u64) {
    assert_eq!(collection.info().points, GROUP);
    check_group(&collection.view(), writer);
}

#[test]
fn a_long_log_is_cut() {
    let dir = MemoryDir::new();
    let options =
        DbOptions { log_bytes_max: 8_000, log_file_bytes: 2_000, background: false, ..DbOptions::default() };
    let db = Db::open_in(Arc::new(dir.clone()), options).unwrap();
    let (quiet, busy) =
        (db.create_collection("quiet", schema()).unwrap(), db.create_collection("busy", schema()).unwrap());
    quiet.write(round(0, 0)).unwrap();
    for number in 0..50 {
        busy.write(round(0, number)).unwrap();
    }
    let log_bytes = log_bytes(&dir);
    assert!(log_bytes < 12_000, "the quiet collection does not hold up the log: {log_bytes} bytes");
    assert_eq!(quiet.info().points, GROUP);
}

fn log_bytes(dir: &MemoryDir) -> usize {
    let names = dir.list().unwrap();
    names.iter().filter(|name| name.starts_with("log-")).map(|name| dir.length(name)).sum()
}

/// The record that removed a collection stays until the manifest is beyond it, and what came behind it stayed as well, however long that became: it is
/// of no collection that could be sealed.
#[test]
fn a_long_log_is_cut_behind_a_collection_that_is_gone() {
    let dir = MemoryDir::new();
    // Each frame has a file of its own.
    let options =
        DbOptions { log_bytes_max: 8_000, log_file_bytes: 1, background: false, ..DbOptions::default() };
    let db = Db::open_in(Arc::new(dir.clone()), options).unwrap();
    let kept = db.create_collection("kept", schema()).unwrap();
    db.create_collection("gone", schema()).unwrap();
    db.delete_collection("gone").unwrap();
    for number in 0..50 {
        kept.write(round(0, number)).unwrap();
    }
    let log_bytes = log_bytes(&dir);
    assert!(log_bytes < 12_000, "the removal does not hold up the log: {log_bytes} bytes");
    db.flush().unwrap();
    let calls = dir.calls();
    db.any_store().free_log().unwrap();
    assert_eq!(dir.calls(), calls, "what the manifest says already is not written again");
}

/// A log may hold several segments' worth of rows. Replayed, they are frozen at once, and a writer waits for them to be
/// sealed; so opening must set the sealing off, since no write will. (Found by the test that kills a process: the
/// process that came after wrote nothing and waited for ever.)
#[test]
fn a_writer_after_a_long_replay_does_not_wait_for_ever() {
    let dir = MemoryDir::new();
    let unsealed = DbOptions { background: false, seal_rows: 1_000_000, ..DbOptions::default() };
    let db = Db::open_in(Arc::new(dir.clone()), unsealed).unwrap();
    let collection = db.create_collection("c", schema()).unwrap();
    for number in (0..60).filter(|number| number % 3 != 2) {
        collection.write(round(0, number)).unwrap();
    }
    drop((collection, db));
    let db = Db::open_in(Arc::new(dir), options()).unwrap();
    let collection = db.collection("c").unwrap();
    collection.write(round(0, 60)).unwrap();
    check_group(&collection.view(), 0);
}

/// Opening builds no graph of many replayed rows: they are compared one by one until a seal, which is due at once, has
/// built it.
#[test]
fn a_long_replay_is_searched_by_comparing_until_it_is_sealed() {
    let dir = MemoryDir::new();
    let open = || {
        let options = DbOptions { background: false, ..DbOptions::default() };
        Db::open_in(Arc::new(dir.clone()), options).unwrap()
    };
    let db = open();
    let collection = db.create_collection("c", schema()).unwrap();
    let point = |id: u64| Point::new(id, [id as f32, (id % 7) as f32 * 0.37]);
    collection.upsert((0..3_000).map(point).collect()).unwrap();
    drop((collection, db));
    let request = SearchRequest::new([1_000.3, 1.1], 5);
    let db = open();
    let collection = db.collection("c").unwrap();
    let compared = collection.search(&request).unwrap();
    assert!(compared.stats.distances >= 3_000, "{:?}", compared.stats);
    collection.upsert(vec![point(5_000)]).unwrap();
    let walked = collection.search(&request).unwrap();
    assert!(!walked.stats.exact && walked.hits == compared.hits, "{walked:?}");
    assert_eq!(collection.info().segments, 2, "the replayed rows are sealed, the new one grows");
}
