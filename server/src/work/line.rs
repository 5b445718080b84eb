//! Who is next of those who wait for turns that several share: callers, and kinds of requests.
//!
//! **Problem.** Turns that are had first come, first served are had by who asks for most: one caller with a hundred large reads keeps the single one of
//! another waiting behind all of them.
//! **Idea.** In the [`Line`] of a kind stands one of each caller at a time, and the caller's others behind that one. So callers have turns one after the
//! other, however much each of them waits for, and a single read waits for one of each other caller's at most. The first of the line alone stands among
//! those who are next, with the first of the other kinds.
//!
//! A caller is who is known by a key or a token. Where callers are not told apart, it is a connection: those who share one through a proxy, and what comes
//! without one, have their turns in the order in which they come.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tonic::Status;

use crate::status;

/// Whose request it is, as far as that is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Whose {
    Caller(Arc<str>),
    /// By its number, which it has as long as it is open.
    Connection(usize),
    Nobody,
}

/// Those of a kind who wait.
#[derive(Debug)]
pub(super) struct Line {
    /// Its first.
    first: Semaphore,
    /// By caller. Locked for a look-up; nobody is in it who does not wait.
    callers: Mutex<HashMap<Whose, Waiting>>,
}

/// What a caller waits for.
#[derive(Debug)]
struct Waiting {
    /// The one that stands in the line.
    stands: Arc<Semaphore>,
    /// That one, and those behind it.
    count: usize,
}

/// The first of a line, until it is dropped.
#[derive(Debug)]
pub(super) struct First<'a> {
    _first: SemaphorePermit<'a>,
    _stands: OwnedSemaphorePermit,
    _counted: Counted<'a>,
}

/// One who waits, or is first.
#[derive(Debug)]
struct Counted<'a> {
    line: &'a Line,
    whose: Whose,
}

impl Line {
    pub(super) fn new() -> Line {
        Line { first: Semaphore::new(1), callers: Mutex::default() }
    }

    /// Waits until this is the first.
    ///
    /// # Errors
    /// UNAVAILABLE when the server is shut down.
    pub(super) async fn first(&self, whose: Whose) -> Result<First<'_>, Status> {
        let closed = |_| status::shutting_down();
        let (stands, counted) = self.count(whose);
        let stands = stands.acquire_owned().await.map_err(closed)?;
        let first = self.first.acquire().await.map_err(closed)?;
        Ok(First { _first: first, _stands: stands, _counted: counted })
    }

    /// Counts one of a caller's, of which one at a time stands in the line.
    fn count(&self, whose: Whose) -> (Arc<Semaphore>, Counted<'_>) {
        let mut callers = self.callers();
        let waiting = callers
            .entry(whose.clone())
            .or_insert_with(|| Waiting { stands: Arc::new(Semaphore::new(1)), count: 0 });
        waiting.count += 1;
        let stands = Arc::clone(&waiting.stands);
        drop(callers);
        (stands, Counted { line: self, whose })
    }

    fn callers(&self) -> MutexGuard<'_, HashMap<Whose, Waiting>> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let mut callers = self.line.callers();
        if let Some(waiting) = callers.get_mut(&self.whose) {
            waiting.count -= 1;
            if waiting.count == 0 {
                callers.remove(&self.whose);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(caller: &str) -> Whose {
        Whose::Caller(caller.into())
    }

    fn waiting(line: &Line) -> usize {
        line.callers().values().map(|waiting| waiting.count).sum()
    }

    #[tokio::test]
    async fn callers_are_first_one_after_the_other() {
        let (line, order) = (Arc::new(Line::new()), Arc::new(Mutex::new(Vec::new())));
        let held = line.first(Whose::Nobody).await.unwrap();
        let asked = [
            ("a1", of("a")),
            ("a2", of("a")),
            ("a3", of("a")),
            ("b1", of("b")),
            ("c1", Whose::Connection(0)),
            ("c2", Whose::Connection(0)),
            ("d1", Whose::Connection(1)),
        ];
        let wait = |(name, whose): (&'static str, Whose)| {
            let (line, order) = (Arc::clone(&line), Arc::clone(&order));
            tokio::spawn(async move {
                let _first = line.first(whose).await.unwrap();
                order.lock().unwrap().push(name);
            })
        };
        let mut tasks: Vec<_> = asked.into_iter().map(wait).collect();
        while waiting(&line) < 1 + tasks.len() {
            tokio::task::yield_now().await;
        }
        // Nobody waits for one who has left.
        tasks.remove(1).abort();
        drop(held);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), ["a1", "b1", "c1", "d1", "a3", "c2"]);
        assert!(line.callers().is_empty(), "who does not wait is forgotten");
    }
}
