//! For how long is waited until something is taken of an answer.
//!
//! **Problem.** Who takes nothing of an answer has what it takes of the server for as long as they like, and who takes a byte a minute has it as long.
//! **Idea.** All waiting wears patience down, and what is taken restores it, a second for every [`BODY_BYTES_PER_SECOND_MIN`]; there is never more of it
//! than at the beginning. Where messages are wanted one by one, by who may have something to do in between, each that is taken restores all of it.
//!
//! Where many answers share a connection, what it takes of the others restores it too: of a slow one that is busy all the time, each has a small part. But
//! an answer of which nothing at all is taken waits no longer for that. What they have of the memory of messages meanwhile is bounded for each caller, or
//! connection (`work/portions.rs`).

use std::time::Duration;

use crate::limits::BODY_BYTES_PER_SECOND_MIN;

/// Patience with who takes an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    whole: Duration,
    left: Duration,
    /// Whether it is restored by what is taken, and not by that anything is.
    by_bytes: bool,
}

impl Patience {
    /// So much, with who is to take a whole.
    pub(crate) fn by_bytes(whole: Duration) -> Patience {
        Patience { whole, left: whole, by_bytes: true }
    }

    /// So much, with who takes one thing after the other.
    pub(crate) fn for_each(whole: Duration) -> Patience {
        Patience { whole, left: whole, by_bytes: false }
    }

    /// What there was of it at the beginning.
    pub(crate) fn whole(&self) -> Duration {
        self.whole
    }

    /// For how long is waited until something is taken, where so many bytes were taken of others meanwhile.
    pub(crate) fn lasts(&self, bytes: u64) -> Duration {
        self.left.saturating_add(self.earned(bytes)).min(self.whole)
    }

    /// Something was taken after it had waited for so long, and so many bytes meanwhile, these included.
    pub(crate) fn taken(&mut self, bytes: u64, waited: Duration) {
        self.left = match self.by_bytes {
            true => self.left.saturating_add(self.earned(bytes)).saturating_sub(waited).min(self.whole),
            false => self.whole,
        };
    }

    /// How much of it these bytes restore.
    fn earned(&self, bytes: u64) -> Duration {
        match self.by_bytes {
            true => Duration::from_micros(bytes.saturating_mul(1_000_000) / BODY_BYTES_PER_SECOND_MIN),
            false => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = BODY_BYTES_PER_SECOND_MIN;

    #[test]
    fn what_is_taken_restores_what_waiting_wore_down() {
        let of = Duration::from_secs;
        let mut patience = Patience::by_bytes(of(60));
        patience.taken(100 * SECOND, Duration::ZERO);
        assert_eq!(patience.lasts(0), of(60), "there is never more");
        patience.taken(4 * SECOND, of(14));
        assert_eq!((patience.lasts(0), patience.whole()), (of(50), of(60)));
        patience.taken(SECOND / 2, of(50));
        assert_eq!(patience.lasts(0), Duration::from_millis(500));
        patience.taken(1_000 * SECOND, of(1_000));
        assert_eq!(patience.lasts(0), Duration::from_millis(500), "as much as was needed");
        patience.taken(u64::MAX, of(1));
        assert_eq!(patience.lasts(0), of(60));
        patience.taken(0, Duration::MAX);
        assert_eq!(patience.lasts(0), Duration::ZERO);
    }

    #[test]
    fn what_is_taken_of_others_is_waited_for_too_and_not_for_ever() {
        let of = Duration::from_secs;
        let mut patience = Patience::by_bytes(of(60));
        patience.taken(0, of(50));
        assert_eq!(patience.lasts(20 * SECOND), of(30));
        assert_eq!(patience.lasts(u64::MAX), of(60));
        assert_eq!(Patience::for_each(of(60)).lasts(u64::MAX), of(60));
    }

    #[test]
    fn each_of_many_is_waited_for_as_long() {
        let mut patience = Patience::for_each(Duration::from_secs(60));
        for _ in 0..10 {
            patience.taken(1, Duration::from_secs(59));
            assert_eq!(patience.lasts(0), Duration::from_secs(60));
        }
    }
}
