//! Writes that cannot be applied, and those that come too late.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::db::DbOptions;
use crate::dir::memory::MemoryDir;
use crate::point::Point;

fn prepared(dimension: usize) -> PreparedBatch {
    let batch = Batch::new().upsert(Point::new(1, vec![1.0; dimension]));
    validate::prepare(batch, &Schema::new(dimension).unwrap()).unwrap()
}

fn opened(dir: &MemoryDir) -> (Store, Arc<CollectionCore>) {
    let options = DbOptions { background: false, ..DbOptions::default() };
    let store = Store::open(Arc::new(dir.clone()), options).unwrap();
    let core = store.create_collection("c", Schema::new(2).unwrap()).unwrap();
    (store, core)
}

#[test]
fn after_a_panic_nothing_is_logged_that_cannot_be_applied() {
    let dir = MemoryDir::new();
    let (store, core) = opened(&dir);
    // A vector that no check would let through panics where it is stored.
    catch_unwind(AssertUnwindSafe(|| core.apply_in_turn(&store, 1, prepared(3)))).unwrap_err();
    let calls = dir.calls();
    let batch = Batch::new().upsert(Point::new(1, [1.0, 0.0]));
    assert!(matches!(core.write(&store, batch), Err(Error::Poisoned { .. })));
    assert_eq!(dir.calls(), calls, "nothing was written");
}

#[test]
fn a_write_that_comes_after_the_deletion_leaves_no_memory_counted() {
    let (store, core) = opened(&MemoryDir::new());
    store.delete_collection("c").unwrap();
    core.apply_in_turn(&store, 1, prepared(2)).unwrap();
    assert!(store.growing_bytes.load(Ordering::Relaxed) > 0);
    drop(core);
    assert_eq!(store.growing_bytes.load(Ordering::Relaxed), 0);
}
