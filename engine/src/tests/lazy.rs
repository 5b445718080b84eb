//! Damage that opening does not look for: nothing panics, nothing hangs, nothing of it is copied, and verifying names it.
//!
//! Segments are given checksums for blocks of 64 bytes, so that the headers, which opening checks, are not in one block
//! with all the rest.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::corruption::every_file;
use super::{Step, contents, id_of, options};
use crate::dir::Dir;
use crate::dir::memory::MemoryDir;
use crate::random::SplitMix64;
use crate::segment::with_block_bytes;
use crate::store::Store;
use crate::verify::Rests;
use crate::{
    Collection, Damage, Db, DbOptions, Error, Filter, Metric, Point, PointId, Result, Schema, ScrollRequest,
    SearchRequest, Storage, Verify,
};

fn open_as(dir: &MemoryDir, verify: Verify) -> Result<Db> {
    Db::open_in(Arc::new(dir.clone()), DbOptions { verify, ..options() })
}

fn replace(dir: &MemoryDir, name: &str, bytes: &[u8]) {
    let mut file = dir.create(name).unwrap();
    file.write(bytes).unwrap();
    file.sync().unwrap();
}

fn segments(dir: &MemoryDir) -> Vec<String> {
    dir.list().unwrap().into_iter().filter(|name| name.starts_with("segment-")).collect()
}

fn with_small_blocks(dir: &MemoryDir) -> MemoryDir {
    let dir = dir.copied();
    for name in segments(&dir) {
        let bytes = with_block_bytes(&dir.read(&name).unwrap(), 64);
        replace(&dir, &name, &bytes);
    }
    dir
}

fn verify(db: &Db) -> Vec<Damage> {
    let report = db.verify(|_| ControlFlow::Continue(())).unwrap();
    assert!(!report.cancelled);
    report.damaged
}

/// Reads in every way there is; whatever comes of it, it ends.
fn read_everything(collection: &Collection, dimension: usize, ids: &[PointId]) -> Result<()> {
    let mut after = None;
    for pages in 0.. {
        assert!(pages < 10_000, "pages without end");
        let request = ScrollRequest { limit: 200, with_vectors: true, after, ..ScrollRequest::default() };
        let page = collection.scroll(&request)?;
        assert!(page.points.is_sorted_by(|a, b| a.id < b.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    collection.get(ids)?;
    collection.count(Some(&Filter::eq("text", "x")))?;
    let query = SearchRequest::new(vec![0.5; dimension], 5).ef(12);
    collection.search(&query)?;
    collection.search(&query.clone().exact())?;
    collection.search(&query.filter(Filter::eq("version", 1)))?;
    Ok(())
}

fn assert_corrupt<T: std::fmt::Debug>(result: Result<T>, name: &str) {
    match result {
        Err(Error::Corrupt { file, .. }) => assert!(file.ends_with(name), "{name}: {}", file.display()),
        other => panic!("{name} is damaged: {other:?}"),
    }
}

#[test]
fn any_changed_byte_of_a_segment_is_survived_and_found() {
    let whole = with_small_blocks(&every_file());
    assert_eq!(verify(&open_as(&whole, Verify::OnDemand).unwrap()), []);
    let ids: Vec<PointId> = (0..20).map(id_of).collect();
    let (mut unseen, mut seen) = (0, 0);
    for name in segments(&whole) {
        for offset in 0..whole.length(&name) {
            let dir = whole.copied();
            dir.flip(&name, offset);
            let db = match open_as(&dir, Verify::OnDemand) {
                Ok(db) => db,
                error => {
                    assert_corrupt(error, &name);
                    seen += 1;
                    continue;
                }
            };
            unseen += 1;
            let collection = db.collection("a").unwrap();
            read_everything(&collection, 2, &ids).unwrap();
            let damaged = verify(&db);
            let [damage] = &*damaged else { panic!("byte {offset} of {name}: {damaged:?}") };
            assert!(damage.file.ends_with(&name), "{damage:?}");
            assert_eq!(damage.offset as usize, offset / 64 * 64);
            assert_corrupt(read_everything(&collection, 2, &ids), &name);
            assert_corrupt(collection.search(&SearchRequest::new([0.0, 0.0], 1)), &name);
            assert_corrupt(collection.delete(&[1.into()]), &name);
        }
    }
    assert!(seen > 100 && unseen > 3 * seen, "opening found {seen} and left {unseen}");
}

/// A segment large enough for walks and several layers.
fn walked() -> MemoryDir {
    let dir = MemoryDir::new();
    let options = DbOptions { seal_rows: 10_000, log_file_bytes: 64 << 20, ..options() };
    let db = Db::open_in(Arc::new(dir.clone()), options).unwrap();
    let schema = Schema::builder(4).metric(Metric::L2).build().unwrap();
    let mut random = SplitMix64(5);
    let points = (0..3_000).map(|id| {
        let vector: Vec<f32> = (0..4).map(|_| random.below(1_000) as f32 / 1_000.0).collect();
        Point::new(id_of(id), vector).with("version", (id % 3) as i64).with("text", format!("row {id}"))
    });
    db.create_collection("a", schema).unwrap().upsert(points.collect()).unwrap();
    db.flush().unwrap();
    dir
}

#[test]
fn any_wild_damage_is_survived_and_found() {
    let whole = with_small_blocks(&walked());
    let [name] = &*segments(&whole) else { panic!("one segment") };
    let bytes = whole.read(name).unwrap();
    let ids: Vec<PointId> = (0..3_000).step_by(7).map(id_of).collect();
    let mut unseen = 0;
    for seed in 0..120 {
        let mut random = SplitMix64(seed);
        let mut damaged = bytes.clone();
        for _ in 0..1 << random.below(9) {
            let at = random.below(damaged.len() / 4) * 4;
            let value = match random.below(4) {
                0 => u32::MAX,
                1 => random.below(4_000) as u32,
                2 => f32::NAN.to_bits(),
                _ => random.next() as u32,
            };
            damaged[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        let dir = whole.copied();
        // As if the table were right, so that nothing but the bounds of each reading is between damage and harm.
        let damaged = if seed % 2 == 0 { damaged } else { repaired(&bytes, &damaged) };
        replace(&dir, name, &damaged);
        let Ok(db) = open_as(&dir, Verify::OnDemand) else { continue };
        unseen += 1;
        read_everything(&db.collection("a").unwrap(), 4, &ids).unwrap();
        if seed % 2 == 0 {
            assert_ne!(verify(&db), [], "seed {seed}");
            assert_corrupt(read_everything(&db.collection("a").unwrap(), 4, &ids), name);
        }
    }
    assert!(unseen > 40, "opening found all but {unseen}");
}

/// The damaged body with a table and a footer that fit it.
fn repaired(sound: &[u8], damaged: &[u8]) -> Vec<u8> {
    // The footer is the last 40 bytes; before it stand the checksums.
    let mut bytes = damaged.to_vec();
    let footer = bytes.len() - 40;
    bytes[footer..].copy_from_slice(&sound[footer..]);
    with_block_bytes(&bytes, 64)
}

#[test]
fn a_thread_finds_what_opening_did_not_look_for() {
    let dir = with_small_blocks(&walked());
    let [name] = &*segments(&dir) else { panic!("one segment") };
    dir.flip(name, 20_000);
    let db = open_as(&dir, Verify::Background).unwrap();
    let collection = db.collection("a").unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while collection.count(None).is_ok() {
        assert!(std::time::Instant::now() < deadline, "nobody looked");
        std::thread::yield_now();
    }
    assert_corrupt(collection.count(None), name);
    // Closing does not wait for the rest of a verification.
    drop((collection, db));
    drop(open_as(&dir, Verify::Background).unwrap());
}

/// Only the blocks were read at somebody's pace once; what came after them, the longest part where a graph is larger than
/// memory, held up whoever closed the database.
#[test]
fn a_verification_can_be_ended_at_any_step() {
    let dir = walked();
    let options = DbOptions { verify: Verify::OnDemand, ..options() };
    let store = Store::open(Arc::new(dir), options).unwrap();
    let unverified = store.unverified();
    let [segment] = &*unverified else { panic!("one segment") };
    let segment = segment.upgrade().unwrap();
    // 3,000 lists are looked at twice, 64 a step; the upper layers, two columns and the ids besides.
    let (mut blocks, mut steps) = (0, 0);
    let mut count = |bytes| {
        *(if bytes > 0 { &mut blocks } else { &mut steps }) += 1;
        ControlFlow::Continue(())
    };
    for last in 1..90 {
        let mut rests = Rests::new(&store.signal);
        let mut left = last;
        let ended = segment.verify(&*store.dir, &mut |_| {
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { rests.next_step() }
        });
        assert_eq!((ended, left), (ControlFlow::Break(()), 0));
        assert!(!segment.is_verified());
    }
    assert_eq!(segment.verify(&*store.dir, &mut count), ControlFlow::Continue(Vec::new()));
    assert!(
        segment.is_verified() && blocks > 0 && (94..110).contains(&steps),
        "{blocks} blocks, {steps} steps"
    );
}

#[test]
fn closing_ends_a_verification_at_its_next_step() {
    let store = Store::open(Arc::new(walked()), DbOptions { verify: Verify::OnDemand, ..options() }).unwrap();
    let unverified = store.unverified();
    let segment = unverified[0].upgrade().unwrap();
    let (mut rests, mut steps) = (Rests::new(&store.signal), 0);
    let ended = segment.verify(&*store.dir, &mut |bytes| {
        steps += usize::from(bytes == 0);
        // In the midst of following links.
        if steps == 70 {
            store.stop();
        }
        rests.next_step()
    });
    assert_eq!((ended, steps), (ControlFlow::Break(()), 70));
    store.verify_slowly(&unverified);
    assert!(!segment.is_verified(), "a closed database verifies nothing more");
}

#[test]
fn following_links_can_be_cancelled() {
    let db = open_as(&walked(), Verify::OnDemand).unwrap();
    // No number of bytes: the first call comes before any are read.
    let mut before = u64::MAX;
    let report = db.verify(|progress| {
        let is_after_the_blocks = progress.bytes == before;
        before = progress.bytes;
        if is_after_the_blocks { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(report.unwrap().cancelled);
}

#[test]
fn damage_is_not_copied_into_new_files() {
    let whole = with_small_blocks(&every_file());
    let names = segments(&whole);
    let mut refused = 0;
    for name in &names {
        for offset in (0..whole.length(name)).step_by(97) {
            let dir = whole.copied();
            dir.flip(name, offset);
            let Ok(db) = open_as(&dir, Verify::OnDemand) else { continue };
            // So many deaths that every segment is due to be merged.
            let deletes: Vec<_> = (0..15).map(|id| (id, None)).collect();
            Step::Write("a", deletes.clone()).run(&db).unwrap();
            let flushed = db.flush();
            drop(db);
            dir.flip(name, offset);
            if flushed.is_err() {
                assert_corrupt(flushed, name);
                refused += 1;
            }
            // With the sound file back, all is as it was written.
            let expected = {
                let dir = whole.copied();
                let db = open_as(&dir, Verify::OnOpen).unwrap();
                Step::Write("a", deletes).run(&db).unwrap();
                contents(&db)
            };
            if segments(&dir).contains(name) {
                assert_eq!(contents(&open_as(&dir, Verify::OnOpen).unwrap()), expected, "{name} at {offset}");
            }
        }
    }
    assert!(refused > 10, "{refused} were refused");
}

#[test]
fn segments_in_memory_are_verified_while_they_are_read() {
    let whole = with_small_blocks(&every_file());
    let options = || DbOptions { storage: Storage::Resident, verify: Verify::OnDemand, ..options() };
    let db = Db::open_in(Arc::new(whole.clone()), options()).unwrap();
    let before = contents(&db);
    let [name, ..] = &*segments(&whole) else { panic!("a segment") };
    // The file changes under the running database, which does not look at it any more, unless it is to verify it.
    whole.flip(name, 200);
    assert_eq!(contents(&db), before);
    let damaged = verify(&db);
    assert_eq!((damaged.len(), damaged[0].offset), (1, 192), "{damaged:?}");
    assert_eq!(contents(&db), before, "what is in memory is sound");
    drop(db);
    assert_corrupt(Db::open_in(Arc::new(whole.clone()), options()), name);
}

#[test]
fn damage_to_the_other_files_of_an_open_database_is_found() {
    let whole = every_file();
    for name in whole.list().unwrap() {
        let dir = whole.copied();
        let db = open_as(&dir, Verify::OnOpen).unwrap();
        Step::Write("a", vec![(50, Some(1)), (51, Some(1))]).run(&db).unwrap();
        assert_eq!(verify(&db), []);
        // Segments are mapped; this directory cannot change what was mapped.
        if name.starts_with("segment-") {
            continue;
        }
        for offset in [0, 30, dir.length(&name) - 1] {
            dir.flip(&name, offset);
            let damaged = verify(&db);
            let [damage] = &*damaged else { panic!("byte {offset} of {name}: {damaged:?}") };
            assert!(damage.file.ends_with(&name) && damage.offset as usize <= offset, "{damage:?}");
            dir.flip(&name, offset);
        }
    }
}
