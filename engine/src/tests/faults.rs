//! What fails or panics in the background, and what writers hear of it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::scope::within;
use super::{Step, contents, options, point, schema};
use crate::dir::hooked::HookedDir;
use crate::dir::memory::MemoryDir;
use crate::dir::{Dir, io_error};
use crate::interrupt::Watch;
use crate::payload::CompiledFilter;
use crate::store::Store;
use crate::threads::Work;
use crate::{Batch, Db, DbOptions, Error, Filter, Op, Point, PointId, Schema, WriteReceipt};

/// A disk that has no room for segments while the switch is on.
pub(super) fn full_for_segments() -> (HookedDir, Arc<AtomicBool>) {
    let full = Arc::new(AtomicBool::new(false));
    let switch = full.clone();
    let dir = HookedDir::new(move |operation, name| {
        if switch.load(Ordering::SeqCst) && operation == "write" && name.starts_with("segment-") {
            return Err(io_error("write", name.as_ref(), std::io::Error::from_raw_os_error(28)));
        }
        Ok(())
    });
    (dir, full)
}

fn open(dir: &HookedDir) -> Db {
    Db::open_in(Arc::new(dir.clone()), options()).unwrap()
}

/// Nine new points, so that no segment can go away because all in it is dead.
pub(super) fn write_new(db: &Db, version: i64) -> crate::Result<()> {
    let first = version as u64 * 9;
    Step::Write("a", (first..first + 9).map(|id| (id, Some(version))).collect()).run(db)
}

pub(super) fn segments(dir: &HookedDir) -> Vec<String> {
    dir.list().unwrap().into_iter().filter(|name| name.starts_with("segment-")).collect()
}

/// Tries until it holds; a test that waits for ten seconds waits for ever.
pub(super) fn soon(story: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < end, "{story}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_merge_on_a_full_disk_fails_alone() {
    let (dir, full) = full_for_segments();
    let db = open(&dir);
    Step::Create("a").run(&db).unwrap();
    Step::Write("a", (0..7).map(|id| (id, Some(1))).collect()).run(&db).unwrap();
    Step::Flush.run(&db).unwrap();
    let before = segments(&dir);
    full.store(true, Ordering::SeqCst);
    // So many deaths that the segment is to be rewritten.
    Step::Write("a", (0..5).map(|id| (id, None)).collect()).run(&db).unwrap();
    assert!(matches!(Step::Flush.run(&db).unwrap_err(), Error::Io { operation: "write", .. }));
    assert_eq!(segments(&dir), before, "the unfinished segment is gone");
    Step::Write("a", vec![(1, Some(2))]).run(&db).unwrap();
    Step::Flush.run(&db).unwrap_err();
    Step::Create("b").run(&db).unwrap();
    let expected = contents(&db);
    drop(db);
    let db = open(&dir);
    assert_eq!(contents(&db), expected);
    full.store(false, Ordering::SeqCst);
    Step::Flush.run(&db).unwrap();
    assert_eq!(contents(&db), expected);
    assert!(!segments(&dir).contains(&before[0]), "merged after all");
}

#[test]
fn a_writer_that_seals_goes_on_until_memory_is_full() {
    let (dir, full) = full_for_segments();
    let options = DbOptions { growing_bytes_max: 20_000, ..options() };
    let db = Db::open_in(Arc::new(dir.clone()), options).unwrap();
    Step::Create("a").run(&db).unwrap();
    full.store(true, Ordering::SeqCst);
    let write = |version: i64| write_new(&db, version);
    let (refused, error) = (0..100).find_map(|version| Some((version, write(version).err()?))).unwrap();
    assert!(refused > 0 && matches!(error, Error::Io { .. }), "write {refused}: {error}");
    assert_eq!(contents(&db)["a"].len() as i64, refused * 9, "reads go on");
    full.store(false, Ordering::SeqCst);
    write(100).unwrap();
    assert_eq!(contents(&db)["a"].len() as i64, refused * 9 + 9);
}

#[test]
fn writers_behind_a_failing_seal_are_told_and_go_on_when_there_is_room() {
    let (dir, full) = full_for_segments();
    let options = DbOptions { background: true, ..options() };
    let db = Db::open_in(Arc::new(dir), options).unwrap();
    Step::Create("a").run(&db).unwrap();
    full.store(true, Ordering::SeqCst);
    let write = |version: i64| write_new(&db, version);
    let error = (0..100).find_map(|version| write(version).err()).unwrap().to_string();
    assert!(error.contains("cannot seal a segment of") && error.contains("cannot write segment-"), "{error}");
    assert!(contents(&db)["a"].len() >= 9, "reads go on");
    full.store(false, Ordering::SeqCst);
    soon("the seal is tried again", || write(100).is_ok());
    assert_eq!(contents(&db)["a"][&PointId::Num(901)], 100);
}

/// It was refused when it was sent again while there was no room for more, as if it had not been done.
#[test]
fn a_request_that_was_done_is_told_so_where_there_is_no_room() {
    let (dir, full) = full_for_segments();
    let db = open(&dir);
    Step::Create("rows").run(&db).unwrap();
    full.store(true, Ordering::SeqCst);
    let of_some = within(&db, Filter::eq("version", 1));
    let handles = [&db, &of_some].map(|db| db.collection("rows").unwrap());
    let batch = |number: u64| {
        let ops = (number * 9..number * 9 + 9).map(|id| Op::Upsert(point(id, 1))).collect();
        Batch::of(ops).request(format!("request {number}"))
    };
    let done = [0, 1].map(|number| handles[number as usize].write(batch(number)).unwrap());
    for handle in &handles {
        let refused = handle.write(batch(2)).unwrap_err();
        assert!(matches!(refused, Error::Io { .. }), "{refused}");
    }
    for (number, first) in (0..).zip(done) {
        let again = handles[number as usize].write(batch(number)).unwrap();
        assert_eq!(again, WriteReceipt { repeated: true, ..first });
    }
}

#[test]
fn a_panic_in_the_background_is_told_to_writers() {
    let dir = HookedDir::new(|operation, name| {
        assert!(operation != "create" || !name.starts_with("segment-"), "a panic on purpose");
        Ok(())
    });
    let db = Db::open_in(Arc::new(dir), DbOptions { background: true, ..options() }).unwrap();
    Step::Create("a").run(&db).unwrap();
    let write = |version: i64| write_new(&db, version);
    let error = (0..100).find_map(|version| write(version).err()).unwrap();
    assert!(
        matches!(&error, Error::Poisoned { cause } if cause == "the thread ragstone-seal panicked"),
        "{error}"
    );
    assert!(contents(&db)["a"].len() >= 9, "reads go on");
}

/// A write that links rows in parallel waits as a rayon worker. It must not take up another write meanwhile: that one
/// would want the lock which its thread holds.
#[test]
fn tasks_of_a_pool_may_write() {
    for background in [false, true] {
        let options = DbOptions { background, seal_rows: 300, ..options() };
        let db = Db::open_in(Arc::new(MemoryDir::new()), options).unwrap();
        let collection = db.create_collection("c", schema()).unwrap();
        let callers = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
        callers.install(|| {
            (0..60u64).into_par_iter().for_each(|task| {
                let point = |i| Point::new(task * 40 + i, [task as f32, i as f32]);
                collection.upsert((0..40).map(point).collect()).unwrap();
                if task % 16 == 0 {
                    db.flush().unwrap();
                }
            });
        });
        assert_eq!(collection.info().points, 2_400);
    }
}

#[test]
fn seals_and_deaths_wake_merges() {
    let dir = HookedDir::new(|_, _| Ok(()));
    let options = DbOptions { background: true, seal_rows: 100, ..options() };
    let db = Db::open_in(Arc::new(dir.clone()), options).unwrap();
    let collection = db.create_collection("c", schema()).unwrap();
    let point = |id: u64| Point::new(id, [id as f32, 1.0]);
    for batch in 0..4 {
        collection.upsert((0..100).map(|i| point(batch * 100 + i)).collect()).unwrap();
    }
    // No write comes after the fourth seal that could set the merge off.
    soon("four segments become one", || collection.info().segments == 1 && segments(&dir).len() == 1);
    let before = segments(&dir);
    collection.delete(&(0..200).map(PointId::Num).collect::<Vec<_>>()).unwrap();
    soon("a decayed segment is rewritten", || segments(&dir).len() == 1 && segments(&dir) != before);
}

#[test]
fn at_rest_segments_become_one_if_their_rows_earned_it() {
    let options = DbOptions { background: true, seal_rows: 300, ..options() };
    let db = Db::open_in(Arc::new(MemoryDir::new()), options).unwrap();
    let collection = db.create_collection("c", schema()).unwrap();
    let points = |ids: std::ops::Range<u64>| ids.map(|id| Point::new(id, [id as f32, 1.0])).collect();
    let is_at_rest = |points| {
        let info = collection.info();
        (info.segments, info.growing, info.points) == (1, 0, points)
    };
    // One sealed, and one in memory which is too small to be due.
    collection.upsert(points(0..300)).unwrap();
    collection.upsert(points(300..360)).unwrap();
    soon("all is in one segment", || is_at_rest(360));
    // They earned 2,160 rewrites, of which each compaction spends more than 360.
    for more in 360..370 {
        collection.upsert(points(more..more + 1)).unwrap();
        db.compact().unwrap();
        assert!(is_at_rest(more + 1));
    }
    collection.upsert(points(370..371)).unwrap();
    std::thread::sleep(crate::collection::REST * 2);
    assert!(!is_at_rest(371), "what was earned is spent");
}

/// The first load of a database that is smaller than a segment: no seal and no flush wakes anybody.
#[test]
fn a_first_load_is_sealed_when_it_is_over() {
    let options = DbOptions { background: true, ..options() };
    let db = Db::open_in(Arc::new(MemoryDir::new()), options).unwrap();
    // Whoever looks for work has looked, and found no collection.
    std::thread::sleep(std::time::Duration::from_millis(50));
    let collection = db.create_collection("c", schema()).unwrap();
    collection.upsert((0..5_000).map(|id: u64| Point::new(id, [id as f32, 1.0])).collect()).unwrap();
    soon("all is in one segment", || {
        let info = collection.info();
        (info.segments, info.growing, info.points) == (1, 0, 5_000)
    });
}

/// Closing waited for a column to be put in order, and a merge whose file was written failed for those that were not.
#[test]
fn a_segment_that_is_written_when_the_database_is_closed_comes_without_indexes() {
    let opened: Arc<OnceLock<Weak<Store>>> = Arc::default();
    let is_closing = Arc::new(AtomicBool::new(false));
    let (of_hook, closing) = (opened.clone(), is_closing.clone());
    let dir = HookedDir::new(move |operation, name| {
        if closing.load(Ordering::SeqCst) && operation == "sync" && name.starts_with("segment-") {
            of_hook.get().and_then(Weak::upgrade).unwrap().stop();
        }
        Ok(())
    });
    let options = DbOptions { background: false, ..DbOptions::default() };
    let store = Arc::new(Store::open(Arc::new(dir), options).unwrap());
    opened.set(Arc::downgrade(&store)).unwrap();
    let core = store.create_collection("c", Schema::new(2).unwrap(), None).unwrap();
    let seal = |id: u64| {
        let point = Point::new(id, [1.0, 0.0]).with("n", id as i64);
        core.write(&store, Batch::new().upsert(point)).unwrap();
        core.flush(&store, Work::Flush).unwrap();
    };
    let indexed = || core.view().sealed().map(|sealed| sealed.indexed().count()).collect::<Vec<_>>();
    seal(1);
    let view = core.view();
    let filter = CompiledFilter::new(&Filter::eq("n", 1), &view.fields).unwrap();
    assert_eq!(view.segments[0].passing(Some(&filter), &Watch::default()).count(), 1);
    seal(2);
    assert_eq!(indexed(), [1, 1]);
    is_closing.store(true, Ordering::SeqCst);
    core.compact(&store).unwrap();
    assert_eq!(indexed(), [0]);
}

/// It went on to its end, which may take an hour, and no other collection was merged meanwhile.
#[test]
fn a_merge_ends_once_its_collection_is_deleted() {
    let opened: Arc<Mutex<Option<Db>>> = Arc::default();
    let writes = Arc::new(AtomicUsize::new(0));
    let (merging, counted) = (opened.clone(), writes.clone());
    let dir = HookedDir::new(move |operation, name| {
        if operation == "write" && name.starts_with("segment-") {
            counted.fetch_add(1, Ordering::SeqCst);
            // Taken, or the directory would keep the database that keeps it.
            let db = merging.lock().unwrap().take();
            db.iter().for_each(|db| db.delete_collection("a").unwrap());
        }
        Ok(())
    });
    let db = open(&dir);
    Step::Create("a").run(&db).unwrap();
    (0..4).for_each(|version| write_new(&db, version).unwrap());
    assert_eq!(segments(&dir).len(), 4);
    writes.store(0, Ordering::SeqCst);
    *opened.lock().unwrap() = Some(db.clone());
    db.compact().unwrap();
    assert_eq!(writes.load(Ordering::SeqCst), 1, "it comes to no further step");
    assert!(segments(&dir).is_empty());
    Step::Create("a").run(&db).unwrap();
    write_new(&db, 1).unwrap();
    assert_eq!(contents(&db)["a"].len(), 9);
}
