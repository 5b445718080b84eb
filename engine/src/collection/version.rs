//! Which state a collection is in, for whoever keeps what was made of its rows.
//!
//! **Problem.** An answer that is kept is right as long as the collection shows what it was made of. Writes change that, and so does the clock, as rows
//! expire between writes.
//!
//! **Idea.** The number of the last write and the moment at which the next row expires: within one write's state, whenever a row has expired, that moment
//! is another, and a later one. So two versions that are equal are of the same rows, and nothing but equality is asked of them.
//!
//! **Cost.** A look at each segment's expiries, none of its rows. What moves rows, as merging does, may give another version to the same rows: then
//! something that was kept is made anew.

use super::Collection;
use crate::lineage::Lineage;
use crate::scope::RowFilter;

/// A state of a collection. Two that are equal are of the same rows, before any restriction ([`Db::within`](crate::Db::within)).
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicI64, Ordering};
///
/// use ragstone::{Clock, Db, DbOptions, Point, Schema};
///
/// let now = Arc::new(AtomicI64::new(1_000));
/// let mut options = DbOptions::default();
/// let told = now.clone();
/// options.clock = Clock::new(move || told.load(Ordering::Relaxed));
/// let db = Db::in_memory_with(options)?;
/// let notes = db.create_collection("notes", Schema::new(2)?)?;
/// let empty = notes.version();
/// notes.upsert(vec![Point::new(1, [1.0, 0.0]), Point::new(2, [0.0, 1.0]).expires_at(2_000)])?;
/// let both = notes.version();
/// assert!(both != empty && both == notes.version());
/// now.store(2_000, Ordering::Relaxed);
/// assert!(notes.version() != both, "a row has expired, though nobody wrote");
/// # Ok::<(), ragstone::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CollectionVersion {
    lineage: Lineage,
    /// Another collection of the same name has another number.
    collection: u64,
    /// The last write.
    seq: u64,
    next_expiry: i64,
}

impl Collection {
    /// The state that it is in now.
    pub fn version(&self) -> CollectionVersion {
        let view = self.core.view();
        CollectionVersion {
            lineage: self.db.store().manifest.lineage(),
            collection: self.core.id,
            seq: view.seq,
            next_expiry: view.next_expiry(view.now()),
        }
    }

    /// Which rows it shows, if not all: those of the handle that it was had from ([`Db::within`](crate::Db::within)).
    pub fn row_filter(&self) -> Option<&RowFilter> {
        self.rows.as_deref()
    }
}
