//! Which jobs are done where they are asked for, on a thread of the runtime.
//!
//! **Problem.** To hand a job to another thread, and what comes of it back, wakes two threads: tens of microseconds, as much as many a search takes,
//! and with many callers the processors change between threads more than they search.
//! **Idea.** Where jobs of a kind took little time lately, the next one is tried on the thread that it is asked for on, within a time budget ([`HERE`]). One that
//! was not done then is begun anew on a thread that may block, and for a while the next ones are not tried at all.
//!
//! So a thread of the runtime stands still for a budget, and rarely for that: a job that is cut off weighs as much as [`CUT`] of the longest that
//! are tried, which takes dozens of short ones to forget. What a budget cannot end is not tried: jobs that begin anything that lasts or wait for another. There is
//! one exception: what is not in memory is read from the disk between two looks at the clock. That is a page or some, and then it is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long a job may take where it is asked for.
pub(crate) const HERE: Duration = Duration::from_millis(1);
/// Jobs that took so long on average are still tried.
const SHORT_NS: u64 = 250_000;
/// A job weighs one of so many parts of the average.
const WEIGHT: u64 = 16;
/// As so many of the longest that are tried counts one that was cut off.
const CUT: u64 = 64;

/// How long jobs took lately, on average. Clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Lately(Arc<AtomicU64>);

impl Default for Lately {
    /// Nothing is known, so nothing is tried until some were short elsewhere.
    fn default() -> Lately {
        Lately(Arc::new(AtomicU64::new(2 * SHORT_NS)))
    }
}

impl Lately {
    /// Whether the next one is likely to be short.
    pub(super) fn are_short(&self) -> bool {
        self.0.load(Ordering::Relaxed) <= SHORT_NS
    }

    /// One took so long, wherever it was done.
    pub(crate) fn took(&self, took: Duration) {
        self.weigh(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// One was not done within the budget.
    pub(crate) fn was_cut(&self) {
        self.weigh(CUT * SHORT_NS);
    }

    /// Where two threads weigh at once, one of them may be forgotten: it is an average.
    fn weigh(&self, took_ns: u64) {
        let average = self.0.load(Ordering::Relaxed);
        let took_ns = took_ns.min(CUT * SHORT_NS);
        self.0.store(average - average / WEIGHT + took_ns / WEIGHT, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_jobs_have_the_next_ones_tried_and_a_long_one_ends_that_for_a_while() {
        let lately = Lately::default();
        assert!(!lately.are_short(), "nothing is known yet");
        let until_short = |lately: &Lately| {
            let tried = (1..1_000).find(|_| {
                lately.took(Duration::from_micros(50));
                lately.are_short()
            });
            tried.unwrap()
        };
        assert!(until_short(&lately) < 20);
        lately.was_cut();
        assert!(!lately.are_short());
        assert!(until_short(&lately) > 20, "it takes dozens to forget");
        lately.took(Duration::MAX);
        assert!(!lately.are_short());
    }

    #[test]
    fn jobs_that_take_longer_are_not_tried() {
        let lately = Lately::default();
        for took in [50, 300] {
            (0..200).for_each(|_| lately.took(Duration::from_micros(took)));
            assert_eq!(lately.are_short(), took == 50);
        }
    }
}
