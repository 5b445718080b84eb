//! A disk that cannot read some bytes any more, below a database that is open or is being opened. Verifying touched them through the maps of the
//! segments, which ended the process.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::options;
use crate::dir::Dir;
use crate::dir::bad_sectors::BadSectorsDir;
use crate::dir::memory::MemoryDir;
use crate::store::Store;
use crate::{
    Collection, Damage, Db, DbOptions, Error, OnDamage, Point, Result, Schema, SearchRequest, Storage, Verify,
};

fn vector(id: u64) -> Vec<f32> {
    (0..16).map(|at| ((id * 37 + at * 11) % 101) as f32).collect()
}

/// Two collections of one segment each, the first of several blocks, and a deleted row.
fn disk() -> (Arc<BadSectorsDir>, String) {
    let disk = Arc::new(BadSectorsDir::new(Arc::new(MemoryDir::new())));
    let options = DbOptions { seal_rows: 4_000, log_file_bytes: 64 << 20, ..options() };
    let db = Db::open_in(disk.clone(), options).unwrap();
    for (name, rows) in [("a", 3_000), ("b", 10)] {
        let collection = db.create_collection(name, Schema::new(16).unwrap()).unwrap();
        collection.upsert((0..rows).map(|id| Point::new(id, vector(id))).collect()).unwrap();
        db.flush().unwrap();
    }
    drop(db);
    let names = disk.list().unwrap();
    let largest = names
        .into_iter()
        .filter(|name| name.starts_with("segment-"))
        .max_by_key(|name| disk.size_bytes(name).unwrap());
    (disk, largest.unwrap())
}

fn open(disk: &Arc<BadSectorsDir>, storage: Storage) -> Result<Db> {
    let (verify, on_damage) = (Verify::OnDemand, OnDamage::Isolate);
    Db::open_in(disk.clone(), DbOptions { verify, on_damage, storage, ..options() })
}

fn nearest(collection: &Collection) -> Result<usize> {
    Ok(collection.search(&SearchRequest::new(vector(7), 3))?.hits.len())
}

fn assert_named(damaged: &[Damage], name: &str, reason: &str) {
    let [damage] = damaged else { panic!("{damaged:?}") };
    assert!(damage.file.ends_with(name) && damage.reason.contains(reason), "{damage:?}");
}

const SECOND_BLOCK: &str = "bytes 65536 to 131071 cannot be read: ";

#[test]
fn a_verification_names_a_block_that_cannot_be_read() {
    for storage in [Storage::Mapped, Storage::Resident] {
        let (disk, name) = disk();
        let db = open(&disk, storage).unwrap();
        let (a, b) = (db.collection("a").unwrap(), db.collection("b").unwrap());
        assert_eq!((nearest(&a).unwrap(), nearest(&b).unwrap()), (3, 3));
        disk.spoil(&name, 70_000..70_512);
        let report = db.verify(|_| ControlFlow::Continue(())).unwrap();
        assert!(!report.cancelled);
        assert_named(&report.damaged, &name, SECOND_BLOCK);
        assert_eq!(report.damaged[0].offset, 65_536);
        match (storage, nearest(&a)) {
            (Storage::Mapped, Err(Error::Corrupt { file, offset: 65_536, .. })) => {
                assert!(file.ends_with(&name));
            }
            (Storage::Resident, found) => assert_eq!(found.unwrap(), 3, "what is in memory is sound"),
            (_, other) => panic!("{other:?}"),
        }
        assert_eq!(nearest(&b).unwrap(), 3);
    }
}

#[test]
fn a_verification_in_the_background_finds_it_too() {
    let (disk, name) = disk();
    let options = DbOptions { verify: Verify::OnDemand, ..options() };
    let store = Store::open(disk.clone(), options).unwrap();
    disk.spoil(&name, 70_000..70_512);
    let unverified = store.unverified();
    store.verify_slowly(&unverified);
    let of_all = unverified.iter().map(|segment| segment.upgrade().unwrap().check());
    let errors: Vec<Error> = of_all.filter_map(Result::err).collect();
    assert!(
        matches!(&*errors, [Error::Corrupt { reason, .. }] if reason.contains(SECOND_BLOCK)),
        "{errors:?}"
    );
}

/// Deletes a row of the second collection; the name of the file with that.
fn delete(db: &Db, disk: &Arc<BadSectorsDir>) -> String {
    db.collection("b").unwrap().delete(&[1.into()]).unwrap();
    db.flush().unwrap();
    disk.list().unwrap().into_iter().find(|name| name.starts_with("dead-")).unwrap()
}

#[test]
fn a_verification_goes_on_where_another_file_cannot_be_read() {
    let (disk, name) = disk();
    let db = open(&disk, Storage::Mapped).unwrap();
    let dead = delete(&db, &disk);
    for (file, range) in [(&dead, 0..8), (&name, 70_000..70_512)] {
        disk.spoil(file, range);
    }
    let report = db.verify(|_| ControlFlow::Continue(())).unwrap();
    let [first, second] = &*report.damaged else { panic!("{report:?}") };
    assert!(first.file.ends_with(&dead) && first.reason.contains("cannot be read"), "{first:?}");
    assert!(second.file.ends_with(&name) && second.reason.contains(SECOND_BLOCK), "{second:?}");
}

/// A file that was merged away is verified as it is open.
#[test]
fn a_segment_whose_file_is_gone_is_verified_through_its_map() {
    let (disk, name) = disk();
    let db = open(&disk, Storage::Mapped).unwrap();
    disk.remove(&name).unwrap();
    assert_eq!(db.verify(|_| ControlFlow::Continue(())).unwrap().damaged, []);
}

#[test]
fn headers_that_cannot_be_read_cost_their_collection_alone() {
    // The first block, the meta section, the footer.
    for (at, before_the_end) in [(100, 0), (0, 200), (0, 1)] {
        let (disk, name) = disk();
        let place = if before_the_end > 0 { disk.size_bytes(&name).unwrap() - before_the_end } else { at };
        disk.spoil(&name, place..place + 1);
        let db = open(&disk, Storage::Mapped).unwrap();
        let [(collection, damage)] = &*db.damaged() else { panic!("{:?}", db.damaged()) };
        assert_eq!(collection, "a");
        assert_named(std::slice::from_ref(damage), &name, "cannot be read");
        assert_eq!(nearest(&db.collection("b").unwrap()).unwrap(), 3);
    }
}

#[test]
fn tombstones_that_cannot_be_read_cost_their_collection_alone() {
    let (disk, _) = disk();
    let dead = delete(&open(&disk, Storage::Mapped).unwrap(), &disk);
    disk.spoil(&dead, 0..8);
    let db = open(&disk, Storage::Mapped).unwrap();
    let [(collection, damage)] = &*db.damaged() else { panic!("{:?}", db.damaged()) };
    assert_eq!(collection, "b");
    assert_named(std::slice::from_ref(damage), &dead, "cannot be read");
    assert_eq!(nearest(&db.collection("a").unwrap()).unwrap(), 3);
}
