//! One at a time: for who reads rows and writes others by what was read.
//!
//! **Problem.** A batch is atomic, but what it is made of was read before. Of two who replace the parts of one document, each
//! with what it saw, both may leave parts of theirs behind. **Idea.** They agree on a key, and the database has them take turns.
//! The locks belong to the database, not to the process, so that all handles of it share them, and no others.
//!
//! Keys share a few locks by their hash: memory does not grow with the keys, and two keys wait for one another now and then.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Collection;

/// Locks that keys share.
const LOCKS: usize = 64;

/// The locks of a database.
#[derive(Debug)]
pub(crate) struct Turns([Mutex<()>; LOCKS]);

impl Default for Turns {
    fn default() -> Self {
        Self([const { Mutex::new(()) }; LOCKS])
    }
}

/// A turn with a key: [`Collection::exclusive`].
#[derive(Debug)]
#[must_use = "it is over when this is dropped"]
pub struct Exclusive<'a> {
    _turn: MutexGuard<'a, ()>,
}

impl Collection {
    /// Waits until nobody else has a turn with this key in this collection, whatever handle of the database they have, and has
    /// it until the [`Exclusive`] is dropped. Only those who ask for a turn are held off: reads and writes go on.
    ///
    /// A thread that has a turn must not ask for another one, which could be its own: keys share locks.
    ///
    /// ```
    /// use ragstone::{Db, Point, Schema};
    ///
    /// let db = Db::in_memory()?;
    /// let notes = db.create_collection("notes", Schema::new(2)?)?;
    /// std::thread::scope(|scope| {
    ///     for _ in 0..4 {
    ///         scope.spawn(|| {
    ///             let _turn = notes.exclusive("counter");
    ///             let point = notes.get(&["counter".into()]).unwrap().remove(0);
    ///             let count = point.map_or(0, |point| point.payload["count"].as_int().unwrap());
    ///             notes.upsert(vec![Point::without_vector("counter").with("count", count + 1)]).unwrap();
    ///         });
    ///     }
    /// });
    /// let point = notes.get(&["counter".into()])?.remove(0).unwrap();
    /// assert_eq!(point.payload["count"].as_int(), Some(4));
    /// # Ok::<(), ragstone::Error>(())
    /// ```
    pub fn exclusive(&self, key: &str) -> Exclusive<'_> {
        let mut hasher = DefaultHasher::new();
        (self.core.id, key).hash(&mut hasher);
        let turns = &self.db.turns().0;
        let lock = &turns[(hasher.finish() % turns.len() as u64) as usize];
        // It guards what is in the database, which a panic elsewhere leaves whole.
        Exclusive { _turn: lock.lock().unwrap_or_else(PoisonError::into_inner) }
    }
}
