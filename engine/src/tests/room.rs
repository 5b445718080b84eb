//! What writers wait for, and what they do not: other collections' damage, merges that cannot be, collections that are gone,
//! the end of the database.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock, Weak};
use std::thread;
use std::time::Duration;

use super::faults::{segments, soon};
use super::{Step, contents, options, point, schema};
use crate::dir::hooked::HookedDir;
use crate::dir::memory::MemoryDir;
use crate::dir::{Dir, io_error};
use crate::limits::UNMERGED_SEGMENTS_MAX;
use crate::segment::with_block_bytes;
use crate::snapshot::Pin;
use crate::store::Store;
use crate::threads::Work;
use crate::{Batch, Collection, Db, DbOptions, Error, OnDamage, Op, Update, Verify};

/// Holds up whoever comes, until it is opened.
#[derive(Clone, Default)]
struct Gate(Arc<AtomicBool>);

impl Gate {
    fn pass(&self) {
        while !self.0.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn open(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn in_background() -> DbOptions {
    DbOptions { background: true, verify: Verify::OnDemand, on_damage: OnDamage::Isolate, ..options() }
}

/// Nine new points: one segment.
fn fill(collection: &Collection, number: u64) -> crate::Result<()> {
    let ops = (number * 9..number * 9 + 9).map(|id| Op::Upsert(point(id, 1))).collect();
    collection.write(Batch::of(ops)).map(drop)
}

fn is_merge() -> bool {
    thread::current().name().is_some_and(|name| name.starts_with("ragstone-merge"))
}

/// A directory with a collection `a` of one segment, in which a byte of an id is damaged that opening does not look at.
fn with_damaged_ids() -> MemoryDir {
    let dir = MemoryDir::new();
    let db = Db::open_in(Arc::new(dir.clone()), options()).unwrap();
    Step::Create("a").run(&db).unwrap();
    Step::Create("b").run(&db).unwrap();
    Step::Write("a", (0..60).map(|id| (id, Some(1))).collect()).run(&db).unwrap();
    db.flush().unwrap();
    drop(db);
    let name = dir.list().unwrap().into_iter().find(|name| name.starts_with("segment-")).unwrap();
    let mut bytes = with_block_bytes(&dir.read(&name).unwrap(), 64);
    let at = bytes.windows(3).position(|window| window == b"p27").unwrap();
    bytes[at] ^= 1;
    let mut file = dir.create(&name).unwrap();
    file.write(&bytes).unwrap();
    file.sync().unwrap();
    dir
}

/// Seals went through the collections in the order of their names, and ended at the first that was damaged.
#[test]
fn damage_in_a_collection_holds_up_no_other() {
    let options = DbOptions { growing_bytes_max: 12_000, log_bytes_max: 4_000, ..in_background() };
    let db = Db::open_in(Arc::new(with_damaged_ids()), options).unwrap();
    let (a, b) = (db.collection("a").unwrap(), db.collection("b").unwrap());
    // No row is looked for among the damaged ids before the seal.
    let new = |number: u64| (0..9).map(|id| Op::Upsert(point(1_001 + number * 30 + id * 3, 1))).collect();
    let refused = (0..100).find_map(|number| a.write(Batch::of(new(number))).err()).unwrap();
    assert!(matches!(refused, Error::Corrupt { .. }), "{refused}");
    for number in 0..60 {
        fill(&b, number).unwrap();
    }
    soon("b is sealed", || b.info().growing < 9 * 3);
    soon("b is merged", || b.info().segments < 20);
    assert!(matches!(a.write(Batch::of(new(0))), Err(Error::Corrupt { .. })));
    let flushed = db.flush();
    assert!(matches!(flushed, Err(Error::Corrupt { .. })), "{flushed:?}");
    assert_eq!((b.info().growing, b.info().points), (0, 540), "the others are flushed");
}

/// The log of a collection that could not be opened stays, and every write once sealed the one row that it had written.
#[test]
fn a_log_that_a_damaged_collection_keeps_makes_no_small_segments() {
    let dir = MemoryDir::new();
    let options =
        || DbOptions { seal_rows: 1_000, log_bytes_max: 1_500, on_damage: OnDamage::Isolate, ..options() };
    let db = Db::open_in(Arc::new(dir.clone()), options()).unwrap();
    for name in ["a", "b"] {
        Step::Create(name).run(&db).unwrap();
        Step::Write(name, vec![(0, Some(1))]).run(&db).unwrap();
    }
    db.collection("a").unwrap();
    db.flush().unwrap();
    let first = segments_of(&dir)[0].clone();
    for name in ["a", "b"] {
        Step::Write(name, vec![(1, Some(1))]).run(&db).unwrap();
    }
    drop(db);
    dir.flip(&first, dir.length(&first) - 3);
    let db = Db::open_in(Arc::new(dir), options()).unwrap();
    assert!(matches!(db.collection("a"), Err(Error::Corrupt { .. })));
    for id in 0..60 {
        Step::Write("b", vec![(id, Some(2))]).run(&db).unwrap();
    }
    let info = db.collection("b").unwrap().info();
    assert!(info.segments <= 4 && info.points == 60, "{info:?}");
}

fn segments_of(dir: &MemoryDir) -> Vec<String> {
    dir.list().unwrap().into_iter().filter(|name| name.starts_with("segment-")).collect()
}

/// What a deleted collection has to seal nobody seals: its writers waited for ever.
#[test]
fn writers_of_a_deleted_collection_do_not_wait() {
    let gate = Gate::default();
    let closed = gate.clone();
    let dir = HookedDir::new(move |operation, name| {
        if operation == "create" && name.starts_with("segment-") {
            closed.pass();
        }
        Ok(())
    });
    let db = Db::open_in(Arc::new(dir), in_background()).unwrap();
    let (a, b) = (db.create_collection("a", schema()).unwrap(), db.create_collection("b", schema()).unwrap());
    // The thread that seals is at this one.
    fill(&b, 0).unwrap();
    (0..2).for_each(|number| fill(&a, number).unwrap());
    let (sender, written) = mpsc::channel();
    let waiting = a.clone();
    thread::spawn(move || sender.send(fill(&waiting, 2)));
    assert!(written.recv_timeout(Duration::from_millis(100)).is_err(), "it waits for a seal");
    db.delete_collection("a").unwrap();
    let told = written.recv_timeout(Duration::from_secs(10)).expect("it waits for ever");
    assert!(matches!(told, Err(Error::CollectionNotFound { .. })), "{told:?}");
    assert!(matches!(fill(&a, 3), Err(Error::CollectionNotFound { .. })));
    gate.open();
}

#[test]
fn writers_wait_for_merges_where_segments_pile_up() {
    let gate = Gate::default();
    let closed = gate.clone();
    let dir = HookedDir::new(move |operation, name| {
        if operation == "create" && name.starts_with("segment-") && is_merge() {
            closed.pass();
        }
        Ok(())
    });
    let db = Db::open_in(Arc::new(dir), in_background()).unwrap();
    let collection = db.create_collection("a", schema()).unwrap();
    let written = AtomicUsize::new(0);
    let batches = 3 * UNMERGED_SEGMENTS_MAX;
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..batches {
                fill(&collection, number as u64).unwrap();
                written.store(number + 1, Ordering::SeqCst);
            }
        });
        soon("segments pile up", || collection.info().segments >= UNMERGED_SEGMENTS_MAX);
        thread::sleep(Duration::from_millis(200));
        let so_far = written.load(Ordering::SeqCst);
        gate.open();
        assert!(so_far <= UNMERGED_SEGMENTS_MAX + 3, "{so_far} batches were taken");
    });
    assert_eq!(collection.info().points, 9 * batches as u64);
    soon("they are merged", || collection.info().segments < UNMERGED_SEGMENTS_MAX / 2);
}

/// A merge wants more room of a disk than a seal; writers do not wait for what does not come.
#[test]
fn writers_do_not_wait_for_merges_that_fail() {
    let dir = HookedDir::new(move |operation, name| {
        if operation == "write" && name.starts_with("segment-") && is_merge() {
            return Err(io_error("write", name.as_ref(), std::io::Error::from_raw_os_error(28)));
        }
        Ok(())
    });
    let db = Db::open_in(Arc::new(dir), in_background()).unwrap();
    let collection = db.create_collection("a", schema()).unwrap();
    let batches = 2 * UNMERGED_SEGMENTS_MAX as u64;
    (0..batches).for_each(|number| fill(&collection, number).unwrap());
    soon("they are sealed", || collection.info().segments as u64 >= batches);
}

/// Fails the next write to a segment, once, as a full disk does.
fn full_once() -> (HookedDir, Arc<AtomicBool>) {
    let is_full = Arc::new(AtomicBool::new(false));
    let next = is_full.clone();
    let dir = HookedDir::new(move |operation, name| {
        if operation == "write" && name.starts_with("segment-") && next.swap(false, Ordering::SeqCst) {
            return Err(io_error("write", name.as_ref(), std::io::Error::from_raw_os_error(28)));
        }
        Ok(())
    });
    (dir, is_full)
}

#[test]
fn a_merge_without_room_holds_up_no_other_collection() {
    let (dir, is_full) = full_once();
    let store = Arc::new(Store::open(Arc::new(dir), options()).unwrap());
    let cores = ["a", "b"].map(|name| store.create_collection(name, schema(), None).unwrap());
    for core in &cores {
        for number in 0..4 {
            let ops = (number * 9..number * 9 + 9).map(|id| Op::Upsert(point(id, 1))).collect();
            crate::collection::CollectionCore::write(core, &store, Batch::of(ops)).unwrap();
        }
    }
    let counts = || cores.each_ref().map(|core| core.sealed_count());
    assert_eq!(counts(), [4, 4]);
    is_full.store(true, Ordering::SeqCst);
    assert!(store.merge_due().is_err(), "it is told");
    assert_eq!(counts(), [4, 1]);
    store.merge_due().unwrap();
    assert_eq!(counts(), [1, 1]);
}

#[test]
fn without_threads_a_merge_that_failed_is_tried_again() {
    let (dir, is_full) = full_once();
    let db = Db::open_in(Arc::new(dir), options()).unwrap();
    let collection = db.create_collection("a", schema()).unwrap();
    for number in 0..UNMERGED_SEGMENTS_MAX {
        fill(&collection, number as u64).unwrap();
    }
    for number in 0..2 * UNMERGED_SEGMENTS_MAX {
        // A seal comes before the merge; the disk is full for one of the two.
        is_full.store(number == 0, Ordering::SeqCst);
        let _refused = fill(&collection, (UNMERGED_SEGMENTS_MAX + number) as u64);
    }
    assert!(collection.info().segments <= UNMERGED_SEGMENTS_MAX + 1, "{:?}", collection.info());
}

/// Many collections of one segment each leave little room, and take none of it.
#[test]
fn as_few_segments_as_there_can_be_are_not_many() {
    let db = Db::open_in(Arc::new(MemoryDir::new()), DbOptions { segments_max: 12, ..options() }).unwrap();
    let collections: Vec<_> =
        (0..9).map(|number| db.create_collection(&format!("c{number}"), schema()).unwrap()).collect();
    for collection in &collections {
        (0..8).for_each(|number| fill(collection, number).unwrap());
    }
    db.compact().unwrap();
    // Too small to be merged with the other, unless it must.
    fill(&collections[0], 8).unwrap();
    db.flush().unwrap();
    assert_eq!(collections[0].info().segments, 2);
    (1..3).for_each(|number| fill(&collections[number], 8).unwrap());
    db.flush().unwrap();
    assert!(db.collections().iter().map(|info| info.segments).sum::<usize>() <= 12);
}

#[test]
fn without_threads_a_writer_merges_what_piles_up() {
    let db = Db::open_in(Arc::new(MemoryDir::new()), options()).unwrap();
    let collection = db.create_collection("a", schema()).unwrap();
    for number in 0..3 * UNMERGED_SEGMENTS_MAX {
        fill(&collection, number as u64).unwrap();
        assert!(collection.info().segments <= UNMERGED_SEGMENTS_MAX + 1);
    }
}

/// Many small collections: each has few segments, all together too many; and at last as few as there can be, which is no
/// reason to wait.
#[test]
fn all_collections_together_have_a_bound_too() {
    for background in [false, true] {
        let options = DbOptions { segments_max: 12, ..in_background() };
        let db = Db::open_in(Arc::new(MemoryDir::new()), DbOptions { background, ..options }).unwrap();
        for number in 0..16 {
            let collection = db.create_collection(&format!("c{number}"), schema()).unwrap();
            for round in 0..3 {
                fill(&collection, round).unwrap();
                soon("it is sealed", || collection.info().growing == 0);
                let segments: usize = db.collections().iter().map(|info| info.segments).sum();
                assert!(segments <= 12.max(number + 1) + 1, "{segments} segments of {number} collections");
            }
        }
        assert_eq!(db.collections().iter().map(|info| info.points).sum::<u64>(), 16 * 27);
    }
}

/// Closing waits for no merge and no seal: the log has what they would store.
#[test]
fn closing_ends_a_rewrite_at_its_next_step_and_leaves_nothing() {
    let store: Arc<OnceLock<Weak<Store>>> = Arc::default();
    let is_closing = Arc::new(AtomicBool::new(false));
    let (opened, closing) = (store.clone(), is_closing.clone());
    let dir = HookedDir::new(move |operation, name| {
        if closing.load(Ordering::SeqCst) && operation == "write" && name.starts_with("segment-") {
            opened.get().and_then(Weak::upgrade).unwrap().stop();
        }
        Ok(())
    });
    let open = || Arc::new(Store::open(Arc::new(dir.clone()), options()).unwrap());
    let opened = open();
    store.set(Arc::downgrade(&opened)).unwrap();
    let core = opened.create_collection("a", schema(), None).unwrap();
    let write = |core: &Arc<_>, ids: std::ops::Range<u64>| {
        let ops = ids.map(|id| Op::Upsert(point(id, 1))).collect();
        crate::collection::CollectionCore::write(core, &opened, Batch::of(ops)).unwrap();
    };
    for number in 0..4 {
        write(&core, number * 9..number * 9 + 9);
    }
    let before = segments(&dir);
    assert_eq!(before.len(), 4);
    is_closing.store(true, Ordering::SeqCst);
    assert!(opened.merge_due().is_err(), "it is cut short");
    assert_eq!(segments(&dir), before);
    // Nothing is begun any more.
    write(&core, 36..41);
    core.freeze();
    opened.seal_due().unwrap();
    opened.merge_due().unwrap();
    assert_eq!((segments(&dir), core.view().frozen().count()), (before, 1));
    drop((core, opened));
    is_closing.store(false, Ordering::SeqCst);
    let db = Db::open_in(Arc::new(dir.clone()), options()).unwrap();
    assert_eq!(contents(&db)["a"].len(), 41);
}

/// A commit that writes tombstones while its collection is deleted: nobody else knows of the file.
#[test]
fn a_commit_leaves_nothing_of_a_collection_that_is_deleted_meanwhile() {
    let (is_committing, is_deleted) = (Gate::default(), Gate::default());
    let (committing, deleted) = (is_committing.clone(), is_deleted.clone());
    let dir = HookedDir::new(move |operation, name| {
        if operation == "create" && name.starts_with("dead-") {
            committing.open();
            deleted.pass();
        }
        // The new root is being published, so the commit's comes after it.
        if operation == "rename" && committing.0.load(Ordering::SeqCst) {
            deleted.open();
        }
        Ok(())
    });
    let db = Db::open_in(Arc::new(dir.clone()), options()).unwrap();
    let collection = db.create_collection("a", schema()).unwrap();
    fill(&collection, 0).unwrap();
    collection.delete(&[super::id_of(1)]).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| drop(db.flush()));
        is_committing.pass();
        db.delete_collection("a").unwrap();
    });
    let left = dir.list().unwrap();
    assert!(!left.iter().any(|name| name.starts_with("dead-") || name.starts_with("segment-")), "{left:?}");
}

/// A seal that ended after its collection was deleted wrote other bytes to files that a snapshot was copying.
#[test]
fn a_commit_of_a_deleted_collection_writes_over_nothing_that_is_held() {
    let dir = MemoryDir::new();
    let opened = Arc::new(Store::open(Arc::new(dir.clone()), options()).unwrap());
    let core = opened.create_collection("a", schema(), None).unwrap();
    let write = |ops: Vec<Op>| {
        core.write(&opened, Batch::of(ops)).unwrap();
    };
    let update = |ids: std::ops::Range<u64>| {
        let set = |id| Op::Update(Update::new(super::id_of(id)).set("version", 2));
        write(ids.map(set).collect());
    };
    write((0..9).map(|id| Op::Upsert(point(id, 1))).collect());
    opened.seal_due().unwrap();
    update(0..1);
    write(vec![Op::Delete(super::id_of(8))]);
    core.flush(&opened, Work::Flush).unwrap();
    let pin = Pin::new(&opened).unwrap();
    let held: Vec<(String, Vec<u8>)> =
        pin.files().iter().map(|file| (file.name().to_owned(), dir.read(file.name()).unwrap())).collect();
    let beside = held.iter().filter(|(name, _)| name.starts_with("dead-") || name.starts_with("patch-"));
    assert_eq!(beside.count(), 2);
    update(0..5);
    write(vec![Op::Delete(super::id_of(7)), Op::Upsert(point(30, 1))]);
    core.freeze();
    opened.delete_by_name("a", None).unwrap();
    core.seal_frozen(&opened, Work::Seal).unwrap();
    held.iter().for_each(|(name, bytes)| assert_eq!(dir.read(name).unwrap(), *bytes, "{name}"));
    drop(pin);
    let left = dir.list().unwrap();
    assert!(
        left.iter().all(|name| ["dead-", "patch-", "segment-"].iter().all(|of| !name.starts_with(of))),
        "{left:?}"
    );
}
