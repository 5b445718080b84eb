//! Bytes that may be under way.
//!
//! What a document takes is known only once it is read, and exactly only once it is split. So who is about to read one waits until there
//! is any room at all, says what it took, and corrects that later: the bound is passed by one document for each reader, never by more.
//! A document larger than the whole room goes when it is alone. What is said to be taken is given back when the [`Taken`] is dropped,
//! on whatever way the document ends.
//!
//! Documents of one id go one after the other: the second enters when the first is done.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

pub(super) struct Room {
    max: usize,
    /// Held to look or to count, never while anything is read.
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    taken: usize,
    ids: HashSet<String>,
    is_closed: bool,
}

impl Room {
    pub(super) fn new(max: usize) -> Room {
        Room { max, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Waits until there is room; false if there will be none.
    pub(super) fn wait(&self) -> bool {
        let mut state = self.lock();
        while state.taken >= self.max && !state.is_closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        !state.is_closed
    }

    /// Takes room for a document, whether it is there or not, once no other of its id is under way; `None` if the room is closed.
    pub(super) fn enter(&self, id: &str, bytes: usize) -> Option<Taken<'_>> {
        let mut state = self.lock();
        while state.ids.contains(id) && !state.is_closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.is_closed {
            return None;
        }
        state.ids.insert(id.to_owned());
        state.taken += bytes;
        Some(Taken { room: self, id: id.to_owned(), bytes })
    }

    /// Nobody waits any more.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock can panic half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room that a document takes.
pub(super) struct Taken<'a> {
    room: &'a Room,
    id: String,
    bytes: usize,
}

impl Taken<'_> {
    /// Corrects how much it is.
    pub(super) fn set(&mut self, bytes: usize) {
        let mut state = self.room.lock();
        state.taken = state.taken - self.bytes + bytes;
        self.bytes = bytes;
        drop(state);
        self.room.changed.notify_all();
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut state = self.room.lock();
        state.taken -= self.bytes;
        state.ids.remove(&self.id);
        drop(state);
        self.room.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_waits_for_room_and_gives_it_back() {
        let room = Room::new(10);
        assert!(room.wait());
        let mut first = room.enter("a", 4).unwrap();
        assert!(room.wait(), "there is some left");
        first.set(10);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| room.wait());
            let second = room.enter("b", 100).unwrap();
            drop(first);
            assert_eq!(room.lock().taken, 100);
            drop(second);
            assert!(waiting.join().unwrap());
        });
        assert_eq!(room.lock().taken, 0);
    }

    #[test]
    fn documents_of_one_id_go_one_after_the_other() {
        let room = Room::new(10);
        let first = room.enter("a", 1).unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| room.enter("a", 2).map(|taken| taken.bytes));
            assert!(!second.is_finished());
            drop(first);
            assert_eq!(second.join().unwrap(), Some(2));
        });
    }

    #[test]
    fn nobody_waits_for_a_room_that_is_closed() {
        let room = Room::new(1);
        let _taken = room.enter("a", 1);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| room.wait());
            let second = scope.spawn(|| room.enter("a", 1).is_none());
            room.close();
            assert!(!waiting.join().unwrap());
            assert!(second.join().unwrap());
        });
    }
}
