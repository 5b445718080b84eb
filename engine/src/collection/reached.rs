//! Reading what was written: whether a collection has come to a position of the log.
//!
//! **Problem.** Who wrote through one handle, or one server, and reads through another wants to find what was written. The receipt
//! of a write tells its position in the log ([`WriteReceipt::position`](super::WriteReceipt::position)); the last write that a view
//! includes may lie before it for two reasons: the view is old, or all later writes were of other collections.
//!
//! **Idea.** Once the log is durable up to a position, every write up to it has its number in its collection. So a collection has
//! come there when the log has, and then all writes are applied that were numbered by then.
//!
//! Alone, a database is always there already, since a write is applied before it is acknowledged; one that follows another's
//! log is not.

use std::time::{Duration, Instant};

use super::Collection;
use super::state::lock;
use crate::error::Result;

/// Between two looks at a log that is not there yet, and at the token.
const LOOK: Duration = Duration::from_millis(5);

impl Collection {
    /// Waits, but not longer than it is told, until views of the collection include every write up to a position of the
    /// database's log; whether they do.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use ragstone::{Db, Point, Schema};
    ///
    /// let db = Db::in_memory()?;
    /// let notes = db.create_collection("notes", Schema::new(2)?)?;
    /// let written = notes.upsert(vec![Point::new(1, [1.0, 0.0])])?;
    /// assert!(db.collection("notes")?.wait_for_position(written.position, Duration::ZERO)?);
    /// assert!(!notes.wait_for_position(written.position + 1, Duration::ZERO)?, "nobody wrote that yet");
    /// # Ok::<(), ragstone::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Cancelled`](crate::Error::Cancelled); [`Error::Poisoned`](crate::Error::Poisoned) if a write before it can no
    /// more be applied.
    pub fn wait_for_position(&self, position: u64, patience: Duration) -> Result<bool> {
        let end = Instant::now().checked_add(patience);
        let left = || end.map_or(LOOK, |end| end.saturating_duration_since(Instant::now()).min(LOOK));
        let store = self.db.store();
        while store.log.mark().position < position {
            self.check_wanted()?;
            if left().is_zero() {
                return Ok(false);
            }
            std::thread::sleep(left());
        }
        let numbered = lock(&self.core.submit).next_seq - 1;
        let mut apply = lock(&self.core.apply);
        while apply.seq < numbered {
            self.check_wanted()?;
            store.log.check()?;
            if left().is_zero() {
                return Ok(false);
            }
            apply = match self.core.applied.wait_timeout(apply, left()) {
                Ok((apply, _)) => apply,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::collection::state::lock;
    use crate::{CancelToken, Db, DbOptions, Error, Point, Schema};

    use super::*;

    /// Longer than any test takes.
    const LONG: Duration = Duration::from_secs(600);

    fn db() -> Db {
        let db = Db::in_memory_with(DbOptions { background: false, ..DbOptions::default() }).unwrap();
        db.create_collection("a", Schema::new(2).unwrap()).unwrap();
        db.create_collection("b", Schema::new(2).unwrap()).unwrap();
        db
    }

    fn point(id: u64) -> Vec<Point> {
        vec![Point::new(id, [1.0, 0.0])]
    }

    #[test]
    fn writes_of_other_collections_count() {
        let db = db();
        let (a, b) = (db.collection("a").unwrap(), db.collection("b").unwrap());
        for id in 0..5 {
            let written = a.upsert(point(id)).unwrap();
            assert!(b.wait_for_position(written.position, Duration::ZERO).unwrap());
            assert_eq!(db.log_position(), written.position);
        }
    }

    /// It waits for the log, and then for what was queued before to be applied: here held back by who has the lock.
    #[test]
    fn it_waits_for_what_is_on_its_way() {
        let db = Arc::new(db());
        let a = db.collection("a").unwrap();
        let position = a.upsert(point(1)).unwrap().position;
        let waiting = std::thread::spawn({
            let a = a.clone();
            move || a.wait_for_position(position + 1, LONG).unwrap()
        });
        assert_eq!(a.upsert(point(2)).unwrap().position, position + 1);
        assert!(waiting.join().unwrap());

        // A write is durable, and not applied: its thread waits for the lock.
        let held = lock(&a.core.apply);
        let writing = std::thread::spawn({
            let a = a.clone();
            move || a.upsert(point(3)).unwrap()
        });
        while db.log_position() < position + 2 {
            std::thread::yield_now();
        }
        let waiting = std::thread::spawn({
            let a = a.clone();
            move || a.wait_for_position(position + 2, LONG).map(|there| there && a.count(None).unwrap() == 3)
        });
        drop(held);
        assert!(waiting.join().unwrap().unwrap());
        writing.join().unwrap();
    }

    #[test]
    fn who_no_longer_waits_is_let_go() {
        let db = db();
        let token = CancelToken::new();
        let a = db.cancelled_by(token.clone()).collection("a").unwrap();
        token.cancel();
        assert!(matches!(a.wait_for_position(1_000, LONG), Err(Error::Cancelled)));
    }
}
