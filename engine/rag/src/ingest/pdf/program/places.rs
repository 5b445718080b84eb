//! Room for few processes at a time, given to those who wait in the order in which they came.
//!
//! Who waits looks up every few milliseconds, and leaves when nobody wants the text any more, or when it has taken too long: those before
//! take a bounded time, but there may be any number of them.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::super::Unread;
use crate::embed::Wanted;
use crate::waiting::LOOK;

#[derive(Debug)]
pub(super) struct Places {
    max: usize,
    /// How long a place is waited for.
    patience: Duration,
    /// Held to look or to count, and while who waits is asked whether to go on.
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    taken: usize,
    /// Those who wait, by their numbers.
    waiting: VecDeque<u64>,
    next: u64,
}

impl Places {
    pub(super) fn new(max: usize, patience: Duration) -> Places {
        Places { max, patience, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Waits for one of the places.
    ///
    /// # Errors
    /// [`Unread::Busy`] after as long as is waited at most; [`Unread::Unwanted`].
    pub(super) fn take(&self, wanted: Wanted<'_>) -> Result<Place<'_>, Unread> {
        let began = Instant::now();
        let turn = Turn::new(self);
        let mut state = self.lock();
        loop {
            if state.taken < self.max && state.waiting.front() == Some(&turn.number) {
                state.taken += 1;
                return Ok(Place(self));
            }
            wanted.check().map_err(Unread::Unwanted)?;
            let left = self.patience.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Err(Unread::Busy(self.patience));
            }
            let waited = self.changed.wait_timeout(state, left.min(LOOK));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// How many are taken.
    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.lock().taken
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number in the queue. Dropped, it leaves that, in whatever way: nobody waits behind one who is gone.
struct Turn<'a> {
    places: &'a Places,
    number: u64,
}

impl Turn<'_> {
    fn new(places: &Places) -> Turn<'_> {
        let mut state = places.lock();
        let number = state.next;
        state.next += 1;
        state.waiting.push_back(number);
        Turn { places, number }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.places.lock().waiting.retain(|number| *number != self.number);
        self.places.changed.notify_all();
    }
}

/// Room for one process.
#[derive(Debug)]
pub(super) struct Place<'a>(&'a Places);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.lock().taken -= 1;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use ragstone::CancelToken;

    use super::*;
    use crate::error::{Error, Result};

    const LONG: Duration = Duration::from_secs(600);

    /// Waits until so many others wait.
    fn until_waiting(places: &Places, count: usize) {
        while places.lock().waiting.len() < count {
            thread::yield_now();
        }
    }

    #[test]
    fn who_came_first_is_first() {
        let places = Places::new(1, LONG);
        let taken = places.take(Wanted::always()).unwrap();
        let (sender, receiver) = channel();
        thread::scope(|scope| {
            for number in 0..5 {
                let (places, sender) = (&places, sender.clone());
                scope.spawn(move || {
                    let _place = places.take(Wanted::always()).unwrap();
                    sender.send(number).unwrap();
                });
                until_waiting(places, number + 1);
            }
            drop(taken);
        });
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!(places.taken(), 0);
    }

    /// Two slow files held whoever came behind them, for as long as there were others before.
    #[test]
    fn nobody_waits_for_ever() {
        let places = Places::new(2, Duration::ZERO);
        let both = [(); 2].map(|()| places.take(Wanted::always()).unwrap());
        assert!(matches!(places.take(Wanted::always()), Err(Unread::Busy(_))));
        assert!(places.lock().waiting.is_empty());
        drop(both);
        assert!(places.take(Wanted::always()).is_ok());
    }

    /// Who waits for a call that nobody makes any more leaves, and those behind do not wait for that one.
    #[test]
    fn who_is_not_wanted_any_more_leaves_the_queue() {
        let (places, token) = (Places::new(1, LONG), CancelToken::new());
        let taken = places.take(Wanted::always()).unwrap();
        let check = || -> Result<()> {
            match token.is_cancelled() {
                true => Err(ragstone::Error::Cancelled.into()),
                false => Ok(()),
            }
        };
        thread::scope(|scope| {
            // The closure is this thread's alone to lend.
            let behind = scope.spawn(|| {
                until_waiting(&places, 1);
                places.take(Wanted::always()).map(drop).is_ok()
            });
            let cancelling = scope.spawn(|| {
                until_waiting(&places, 2);
                token.cancel();
            });
            let left = places.take(Wanted::while_ok(&check));
            assert!(matches!(left, Err(Unread::Unwanted(Error::Engine(ragstone::Error::Cancelled)))));
            cancelling.join().unwrap();
            drop(taken);
            assert!(behind.join().unwrap());
        });
        let late = Wanted::always().until(Some(Instant::now()));
        let _taken = places.take(late).unwrap();
        assert!(matches!(places.take(late), Err(Unread::Unwanted(_))), "its deadline is over");
    }
}
