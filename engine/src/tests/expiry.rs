//! Rows that expire while nobody writes: when somebody looks, and what damage to the moments themselves comes to.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use super::faults::soon;
use super::options;
use crate::collection::CollectionCore;
use crate::dir::Dir;
use crate::dir::memory::MemoryDir;
use crate::segment::with_block_bytes;
use crate::store::Store;
use crate::{Batch, Clock, Collection, Db, DbOptions, Error, Point, Result, Schema, Update, Verify};

const SECOND: i64 = 1_000_000;

/// Options with a clock, and what sets it.
fn clocked() -> (DbOptions, Arc<AtomicI64>) {
    let now = Arc::new(AtomicI64::new(0));
    let told = now.clone();
    let clock = Clock::new(move || told.load(Ordering::SeqCst));
    (DbOptions { clock, seal_rows: 1_000, verify: Verify::OnDemand, ..options() }, now)
}

fn segments(dir: &MemoryDir) -> Vec<String> {
    dir.list().unwrap().into_iter().filter(|name| name.starts_with("segment-")).collect()
}

fn row(id: u64) -> Point {
    Point::new(id, [1.0, id as f32])
}

fn upsert(collection: &Collection, expiries: impl Iterator<Item = i64>) {
    let rows = (0..).zip(expiries).map(|(id, expires_at)| row(id).expires_at(expires_at));
    collection.upsert(rows.collect()).unwrap();
}

#[test]
fn what_expires_while_nobody_writes_gives_its_space_back() {
    let (options, now) = clocked();
    let dir = MemoryDir::new();
    let db = Db::open_in(Arc::new(dir.clone()), DbOptions { background: true, ..options }).unwrap();
    let create = |name| db.create_collection(name, Schema::new(2).unwrap()).unwrap();
    let [all, some, longer] = ["all", "some", "longer"].map(create);
    upsert(&all, [100; 40].into_iter());
    upsert(&some, (0..40).map(|id| [100, 100, 200, 1_000][(id / 5).min(3)]));
    upsert(&longer, [100; 40].into_iter());
    db.flush().unwrap();
    // The file says otherwise.
    longer.update((0..40).map(|id| Update::new(id).expires_at(300)).collect()).unwrap();
    let in_memory = create("in-memory");
    upsert(&in_memory, [100; 40].into_iter());
    let collections = [&all, &some, &longer, &in_memory];
    let seqs = collections.map(|collection| collection.info().seq);
    assert_eq!(segments(&dir).len(), 3);

    now.store(100, Ordering::SeqCst);
    soon("the rows that expired go", || all.info().segments == 0 && in_memory.info().segments == 0);
    soon("the file goes", || segments(&dir).len() == 2);
    // A quarter is borne, as with rows that were deleted.
    let kept = segments(&dir);
    assert_eq!((some.info().points, longer.info().points), (30, 40));
    now.store(200, Ordering::SeqCst);
    soon("a part goes", || segments(&dir) != kept && segments(&dir).len() == 2);
    assert_eq!((some.info().points, longer.info().points), (25, 40));
    now.store(300, Ordering::SeqCst);
    soon("those that were to live longer go", || segments(&dir).len() == 1);
    now.store(1_000, Ordering::SeqCst);
    soon("the last ones go", || segments(&dir).is_empty());
    assert_eq!(seqs, collections.map(|collection| collection.info().seq), "nobody wrote");
    let db = Db::open_in(Arc::new(dir.copied()), clocked().0).unwrap();
    let points: u64 = db.collections().iter().map(|info| info.points).sum();
    assert_eq!(points, 0, "it is gone, whatever the clock says");
}

/// However many rows and collections there are, the thread sleeps until there may be something to do.
#[test]
fn somebody_looks_when_enough_may_have_expired() {
    let (options, now) = clocked();
    let store = Store::open(Arc::new(MemoryDir::new()), options).unwrap();
    let core = store.create_collection("a", Schema::new(2).unwrap(), None).unwrap();
    let write = |core: &Arc<CollectionCore>, batch: Batch| {
        core.write(&store, batch).unwrap();
    };
    write(&core, Batch::new().upsert(row(77)));
    assert_eq!(store.next_decay(), None, "what never expires costs nothing");
    write(&core, Batch::new().delete(77));
    core.compact(&store).unwrap();
    write(
        &core,
        (0..10).fold(Batch::new(), |batch, id| batch.upsert(row(id).expires_at((id as i64 + 5) * SECOND))),
    );
    let seconds = Duration::from_secs;
    // Four of ten are more than a segment bears.
    for seals in [false, true] {
        if seals {
            now.store(0, Ordering::SeqCst);
            core.flush(&store, crate::threads::Work::Flush).unwrap();
        }
        for (clock, left) in [(0, 8), (4, 4), (6, 2), (7, 1)] {
            now.store(clock * SECOND, Ordering::SeqCst);
            assert_eq!(store.next_decay(), Some(seconds(left)), "{seals} {clock}");
        }
        now.store(8 * SECOND - 1, Ordering::SeqCst);
        assert_eq!(store.next_decay(), Some(seconds(1)), "not without a rest");
        now.store(8 * SECOND, Ordering::SeqCst);
        assert_eq!(store.next_decay(), Some(seconds(1)), "what is due is due");
    }
    core.merge(&store, crate::threads::Work::Flush).unwrap();
    assert_eq!(core.info().points, 6);
    assert_eq!(store.next_decay(), Some(seconds(2)), "two of six");
    // The others live longer, and the file that says otherwise makes somebody look in vain.
    let later = (4..10).fold(Batch::new(), |batch, id| batch.update(Update::new(id).expires_at(1 << 50)));
    write(&core, later);
    assert_eq!(store.next_decay(), Some(seconds(1)));
    now.store(100 * SECOND, Ordering::SeqCst);
    assert_eq!(store.next_decay(), Some(seconds(60)), "the clock may be set");
    assert_eq!(core.info().points, 6);
}

/// A segment whose rows expire, the last first, in blocks of 64 bytes.
fn expiring() -> (MemoryDir, String) {
    let dir = MemoryDir::new();
    let db = Db::open_in(Arc::new(dir.clone()), clocked().0).unwrap();
    let collection = db.create_collection("a", Schema::new(2).unwrap()).unwrap();
    // Without vectors they are sealed as they come.
    let rows = (0..40).map(|id| Point { vector: None, ..row(id as u64).expires_at(expiry(id)) });
    collection.upsert(rows.collect()).unwrap();
    db.flush().unwrap();
    drop((db, collection));
    let [name] = &*segments(&dir) else { panic!("one segment") };
    replace(&dir, name, &with_block_bytes(&dir.read(name).unwrap(), 64));
    (dir.clone(), name.clone())
}

/// Bytes that stand nowhere else.
fn expiry(id: i64) -> i64 {
    0x0123_4567_89ab_cd00 + 100 - id
}

fn replace(dir: &MemoryDir, name: &str, bytes: &[u8]) {
    let mut file = dir.create(name).unwrap();
    file.write(bytes).unwrap();
    file.sync().unwrap();
}

fn place_of(bytes: &[u8], pattern: &[u8]) -> usize {
    bytes.windows(pattern.len()).position(|window| window == pattern).unwrap()
}

fn open(dir: &MemoryDir) -> Result<Db> {
    Db::open_in(Arc::new(dir.clone()), clocked().0)
}

fn verify(dir: &MemoryDir) -> Vec<(String, u64, String)> {
    let report = open(dir).unwrap().verify(|_| ControlFlow::Continue(())).unwrap();
    let file = |path: std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    report.damaged.into_iter().map(|damage| (file(damage.file), damage.offset, damage.reason)).collect()
}

/// An expiry that rots makes a row seem dead: that was committed once, with a checksum of its own.
#[test]
fn a_row_that_damage_has_expire_is_not_committed_as_dead() {
    let (dir, name) = expiring();
    assert_eq!(verify(&dir), []);
    let sound = dir.read(&name).unwrap();
    let at = place_of(&sound, &expiry(7).to_le_bytes());
    let mut damaged = sound.clone();
    // Before 1970.
    damaged[at + 7] |= 0x80;
    replace(&dir, &name, &damaged);
    let block = (at / 64 * 64) as u64;
    assert_eq!(verify(&dir), [(name.clone(), block, "the checksum of a block does not match".to_owned())]);

    let db = open(&dir).unwrap();
    let collection = db.collection("a").unwrap();
    let seven = || Update::new(7).set("kind", "b");
    assert_eq!(collection.update(vec![seven()]).unwrap().missing, 1, "that the damage is met");
    match db.flush() {
        Err(Error::Corrupt { file, offset, .. }) => assert!(file.ends_with(&name) && offset == block),
        other => panic!("{other:?}"),
    }
    drop((db, collection));
    assert!(!dir.list().unwrap().iter().any(|name| name.starts_with("dead-")), "a death was stored");
    // From another copy of the file nothing is lost: the log has what was written.
    replace(&dir, &name, &sound);
    let db = open(&dir).unwrap();
    db.flush().unwrap();
    let row = db.collection("a").unwrap().get(&[7.into()]).unwrap().remove(0).unwrap();
    assert_eq!(row.payload["kind"].as_str(), Some("b"));
}

/// What checksums do not find: an order that is not that of the expiries, nor of the rows.
#[test]
fn an_order_that_is_none_is_found() {
    let (dir, name) = expiring();
    let sound = dir.read(&name).unwrap();
    let in_order: Vec<u8> = (0..40u32).rev().flat_map(u32::to_le_bytes).collect();
    let order = place_of(&sound, &in_order);
    let moments = place_of(&sound, &expiry(0).to_le_bytes());
    let with = |at: usize, bytes: &[u8]| {
        let mut changed = sound.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        let dir = dir.copied();
        replace(&dir, &name, &with_block_bytes(&changed, 64));
        verify(&dir)
    };
    assert_eq!(with(0, &[]), []);
    let wrong = |at: usize, reason: &str| vec![(name.clone(), at as u64, reason.to_owned())];
    let is_wrong = "the order of expiries is wrong";
    // Two rows changed places; one is there twice; one is no row's.
    assert_eq!(with(order + 8, &[&in_order[12..16], &in_order[8..12]].concat()), wrong(order + 12, is_wrong));
    assert_eq!(with(order + 8, &in_order[4..8]), wrong(order + 8, is_wrong));
    assert_eq!(with(order + 8, &40u32.to_le_bytes()), wrong(order + 8, is_wrong));
    // A row that never expires is in it; the first is another.
    let never = with(moments, &i64::MAX.to_le_bytes());
    assert_eq!(never, wrong(order, "the order of expiries is not of the rows that expire"));
    let first = with(moments + 39 * 8, &(expiry(39) - 1).to_le_bytes());
    assert_eq!(first, wrong(order, "another row expires first"));
}
