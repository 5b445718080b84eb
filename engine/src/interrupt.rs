//! Ending a search early: because its caller no longer wants the answer, or wanted it sooner.
//!
//! A search blocks its thread, so nothing from outside can end it: it has to look up now and then. What it looks at is a
//! [`Watch`]: an atomic flag that the caller shares, and the clock. Walks and scans ask it every [`POLL_DISTANCES`]
//! distances, some microseconds; asking takes as long as two distances (25 ns, nearly all of it the clock's). Reaching
//! the count is the same comparison that ends a walk at its greatest number of distances, so a search without a
//! watch pays nothing.
//!
//! An interrupted search is no error. It returns what it has, and [`SearchStats`](crate::SearchStats) says so. What has no such
//! place to say it in (points by id, pages, counts, facets, writes) fails with [`Error::Cancelled`], and ends only by a token
//! of the handle that it is called on ([`Db::cancelled_by`](crate::Db::cancelled_by)).

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// Distances, or rows that a condition is tested on, between two looks at the watch.
pub(crate) const POLL_DISTANCES: u64 = 512;

/// Ends the searches that carry it. Clones are one token, which any thread may cancel, once and for all.
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// use ragstone::{CancelToken, Db, Interrupted, Point, Schema, SearchRequest};
///
/// let db = Db::open(directory.path())?;
/// let notes = db.create_collection("notes", Schema::new(2)?)?;
/// notes.upsert(vec![Point::new(1, [1.0, 0.0])])?;
/// let token = CancelToken::new();
/// let request = SearchRequest::new([1.0, 0.0], 10).cancel(token.clone());
/// assert_eq!(notes.search(&request)?.hits.len(), 1);
/// token.cancel(); // from this thread or another
/// let response = notes.search(&request)?;
/// assert_eq!(response.stats.interrupted, Some(Interrupted::Cancelled));
/// assert!(response.hits.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<Shared>);

#[derive(Default)]
struct Shared {
    is_cancelled: AtomicBool,
    /// Called by each look at the token, before it looks.
    #[cfg(test)]
    on_poll: Option<Box<dyn Fn() + Send + Sync>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("is_cancelled", &self.is_cancelled).finish_non_exhaustive()
    }
}

impl CancelToken {
    /// A token that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the searches that carry the token, those under way within microseconds and later ones at once.
    pub fn cancel(&self) {
        // Nothing is handed over with the flag, so no order is needed.
        self.0.is_cancelled.store(true, Ordering::Relaxed);
    }

    /// Cancels the token when what it returns is dropped: a future's searches end with it
    /// ([`asynchronous`](crate::asynchronous)).
    ///
    /// ```
    /// let token = ragstone::CancelToken::new();
    /// let guard = token.cancel_on_drop();
    /// assert!(!token.is_cancelled());
    /// drop(guard);
    /// assert!(token.is_cancelled());
    /// ```
    pub fn cancel_on_drop(&self) -> CancelOnDrop {
        CancelOnDrop(self.clone())
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled.load(Ordering::Relaxed)
    }

    /// A token that calls `on_poll` whenever a search looks at it, before it looks.
    #[cfg(test)]
    pub(crate) fn polled(on_poll: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared { on_poll: Some(Box::new(on_poll)), ..Shared::default() }))
    }
}

/// That of a handle, if it has one.
pub(crate) type Token<'a> = Option<&'a CancelToken>;

/// Whether what is done under a token, if there is one, is still wanted.
///
/// # Errors
/// [`Error::Cancelled`] if not.
pub(crate) fn check_wanted(token: Token<'_>) -> Result<()> {
    match token {
        Some(token) if token.is_cancelled() => Err(Error::Cancelled),
        _ => Ok(()),
    }
}

/// Cancels its token when it is dropped: [`CancelToken::cancel_on_drop`].
#[derive(Debug)]
#[must_use = "dropping it cancels the token"]
pub struct CancelOnDrop(CancelToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Tokens are equal when cancelling one cancels the other.
impl PartialEq for CancelToken {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for CancelToken {}

/// Why a search ended before it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interrupted {
    /// Its [`CancelToken`] was cancelled.
    Cancelled,
    /// Its time budget was spent.
    OutOfTime,
}

/// What one search looks at to learn whether to go on. Once interrupted it stays so.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Of the request, and of the handle that it is made on.
    tokens: [Option<CancelToken>; 2],
    deadline: Option<Instant>,
    /// Of who may not wait for what lasts and cannot be ended.
    at_once: bool,
    interrupted: Cell<Option<Interrupted>>,
}

impl Watch {
    /// The budget counts from now; one that ends beyond the clock's range has no end.
    pub(crate) fn new(budget: Option<Duration>, token: Option<&CancelToken>) -> Self {
        let deadline = budget.and_then(|budget| Instant::now().checked_add(budget));
        Self { tokens: [token.cloned(), None], deadline, at_once: false, interrupted: Cell::new(None) }
    }

    /// The same, of a [query](crate::query::Query::at_once) that is answered at once or not at all.
    pub(crate) fn at_once(mut self, at_once: bool) -> Self {
        self.at_once = at_once;
        self
    }

    /// Whether something may be made that is not there yet and lasts, such as an index. Where it may not, this ends the search.
    pub(crate) fn may_make(&self) -> bool {
        if self.at_once && self.interrupted.get().is_none() {
            self.interrupted.set(Some(Interrupted::OutOfTime));
        }
        !self.at_once
    }

    /// The same, which looks at the token of a handle too.
    pub(crate) fn and(mut self, token: Token<'_>) -> Self {
        self.tokens[1] = token.cloned();
        self
    }

    /// Of what has no place to say that it ended early.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if it is to end now.
    pub(crate) fn check(&self) -> Result<()> {
        if self.poll() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// The same by what the last look found, without another one: for what comes after work that looked.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if it ended early.
    pub(crate) fn went_on(&self) -> Result<()> {
        self.interrupted().map_or(Ok(()), |_| Err(Error::Cancelled))
    }

    /// Whether to end now.
    pub(crate) fn poll(&self) -> bool {
        if self.interrupted.get().is_none() {
            self.interrupted.set(self.look());
        }
        self.interrupted.get().is_some()
    }

    fn look(&self) -> Option<Interrupted> {
        for token in self.tokens.iter().flatten() {
            #[cfg(test)]
            token.0.on_poll.iter().for_each(|on_poll| on_poll());
            if token.is_cancelled() {
                return Some(Interrupted::Cancelled);
            }
        }
        self.deadline.filter(|deadline| Instant::now() >= *deadline).map(|_| Interrupted::OutOfTime)
    }

    /// What the last look found.
    pub(crate) fn interrupted(&self) -> Option<Interrupted> {
        self.interrupted.get()
    }
}

/// A token that another thread cancels while the search's thread looks at it for the `poll`-th time, counted from one.
#[cfg(test)]
pub(crate) fn cancelled_at(poll: u64) -> CancelToken {
    use std::sync::atomic::AtomicU64;
    use std::sync::{Mutex, mpsc};

    let (ask, asked) = mpsc::channel();
    let (answer, answered) = mpsc::channel::<()>();
    let (answered, polls) = (Mutex::new(answered), AtomicU64::new(0));
    let token = CancelToken::polled(move || {
        if polls.fetch_add(1, Ordering::Relaxed) + 1 == poll {
            ask.send(()).expect("the other thread waits");
            answered.lock().expect("only this thread takes it").recv().expect("the other thread waits");
        }
    });
    let clone = token.clone();
    std::thread::spawn(move || {
        // An error means that the search was done before.
        if asked.recv().is_ok() {
            clone.cancel();
            answer.send(()).expect("the other thread waits");
        }
    });
    token
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_comes_before_the_clock_and_the_first_cause_stays() {
        let token = CancelToken::new();
        let forever = Watch::new(Some(Duration::MAX), Some(&token));
        assert!(!forever.poll() && forever.interrupted().is_none());
        let spent = Watch::new(Some(Duration::ZERO), Some(&token));
        assert!(spent.poll());
        token.clone().cancel();
        assert!(spent.poll());
        assert_eq!(spent.interrupted(), Some(Interrupted::OutOfTime));
        assert_eq!(forever.interrupted(), None, "it has not looked yet");
        assert!(forever.poll());
        assert_eq!(forever.interrupted(), Some(Interrupted::Cancelled));
        let both = Watch::new(Some(Duration::ZERO), Some(&token));
        assert!(both.poll());
        assert_eq!(both.interrupted(), Some(Interrupted::Cancelled));
        assert!(!Watch::default().poll());
        let handle = Watch::default().and(Some(&token));
        assert!(matches!(handle.check(), Err(Error::Cancelled)));
        assert_eq!(handle.interrupted(), Some(Interrupted::Cancelled));
        assert!(matches!(handle.went_on(), Err(Error::Cancelled)));
        assert!(Watch::default().and(Some(&token)).went_on().is_ok(), "it has not looked");
        assert!(Watch::default().and(None).check().is_ok());
    }

    #[test]
    fn what_is_to_be_made_first_ends_who_may_not_wait_for_it() {
        let patient = Watch::default();
        assert!(patient.may_make() && patient.interrupted().is_none());
        let at_once = Watch::default().at_once(true);
        assert!(!at_once.poll(), "nothing is to be made");
        assert!(!at_once.may_make() && at_once.poll());
        assert_eq!(at_once.interrupted(), Some(Interrupted::OutOfTime));
    }

    #[test]
    fn clones_are_one_token() {
        let token = CancelToken::new();
        assert_eq!(token, token.clone());
        assert_ne!(token, CancelToken::new());
    }
}
