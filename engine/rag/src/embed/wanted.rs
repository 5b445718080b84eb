//! Whether somebody still waits for vectors, and until when.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::waiting;

/// Who waits for what an embedder is asked for ([`Embedder::embed_wanted`](super::Embedder::embed_wanted)). What waits for a service looks
/// at it every few milliseconds, on the thread of the call.
///
/// ```
/// use ragstone::CancelToken;
/// use ragstone_rag::embed::Wanted;
///
/// let token = CancelToken::new();
/// let check = || -> ragstone_rag::Result<()> {
///     if token.is_cancelled() { Err(ragstone::Error::Cancelled.into()) } else { Ok(()) }
/// };
/// let wanted = Wanted::while_ok(&check);
/// assert!(wanted.check().is_ok());
/// token.cancel(); // from this thread or another
/// assert!(wanted.check().is_err());
/// ```
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    check: Option<&'a dyn Fn() -> Result<()>>,
    deadline: Option<Instant>,
}

impl<'a> Wanted<'a> {
    /// Somebody waits, however long it takes.
    pub fn always() -> Wanted<'static> {
        Wanted { check: None, deadline: None }
    }

    /// Somebody waits as long as this gives no error; the error is what the call fails with.
    pub fn while_ok(check: &'a dyn Fn() -> Result<()>) -> Wanted<'a> {
        Wanted { check: Some(check), deadline: None }
    }

    /// The same, and not beyond this moment, if there is one.
    #[must_use]
    pub fn until(self, deadline: Option<Instant>) -> Wanted<'a> {
        Wanted { deadline, ..self }
    }

    /// Whether somebody waits now.
    ///
    /// # Errors
    /// Why nobody does: what [`while_ok`](Self::while_ok) was given gives, or [`ragstone::Error::Cancelled`] beyond the moment of
    /// [`until`](Self::until).
    pub fn check(&self) -> Result<()> {
        if let Some(check) = self.check {
            check()?;
        }
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(ragstone::Error::Cancelled.into()),
            _ => Ok(()),
        }
    }

    /// Whether somebody would still wait after such a pause.
    pub fn has_time_for(&self, pause: Duration) -> bool {
        self.deadline.is_none_or(|deadline| deadline.saturating_duration_since(Instant::now()) > pause)
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// As [`check`](Self::check), as soon as nobody waits.
    pub(super) fn pause(&self, pause: Duration) -> Result<()> {
        waiting::pause(pause, || self.check().err())
    }

    /// What a job gives that may block, which is done on another thread if somebody may stop waiting.
    ///
    /// # Errors
    /// As [`check`](Self::check), as soon as nobody waits; the job goes on by itself then. The system's, if it has no thread to give.
    pub(super) fn wait_for<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> std::io::Result<Result<T, Error>> {
        match (self.check, self.deadline) {
            (None, None) => Ok(Ok(job())),
            _ => waiting::wait_for(job, || self.check().err()),
        }
    }
}

impl std::fmt::Debug for Wanted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wanted").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_that_has_passed_is_waited_for_by_nobody() {
        let (always, hour) = (Wanted::always(), Duration::from_secs(3_600));
        assert!(always.check().is_ok() && always.has_time_for(Duration::MAX));
        let soon = always.until(Some(Instant::now() + hour));
        assert!(soon.check().is_ok() && soon.has_time_for(hour / 2) && !soon.has_time_for(2 * hour));
        let over = always.until(Some(Instant::now()));
        assert!(!over.has_time_for(Duration::ZERO));
        let error = over.pause(hour).unwrap_err();
        assert!(matches!(error, Error::Engine(ragstone::Error::Cancelled)), "{error}");
    }
}
