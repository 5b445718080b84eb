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
//!
//! The budget is one of the clock, as those who wait do so by the clock. A thread that loses its processor meanwhile spends it without computing, and even a short
//! job is cut off then. So the system is asked what the thread has computed ([`Trial`]), and a job that mostly waited counts as one that took as long as it did,
//! which a few short ones make up for; what it takes where it is begun anew counts besides. To wait for the disk looks the same: one job that does
//! ends nothing, and where many do, what they took shows in the average.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a job may take where it is asked for.
pub(crate) const HERE: Duration = Duration::from_millis(1);
/// Jobs that took so long on average are still tried.
const SHORT_NS: u64 = 250_000;
/// A job weighs one of so many parts of the average.
const WEIGHT: u64 = 16;
/// As so many of the longest that are tried counts one that was cut off.
const CUT: u64 = 64;

/// A job that is tried where it is asked for: when that began, by the clock and by what its thread had computed until then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    began: Instant,
    /// None where the system does not say.
    computed: Option<Duration>,
}

impl Trial {
    /// One that begins now, on this thread, where it also ends. To ask the system costs a fraction of a microsecond.
    pub(crate) fn begin() -> Trial {
        Trial { began: Instant::now(), computed: computed() }
    }

    /// What it has spent by now.
    fn spent(self) -> Spent {
        let computed = computed().zip(self.computed).map(|(now, then)| now.saturating_sub(then));
        Spent { took: self.began.elapsed(), computed }
    }
}

/// What a job has spent that was tried.
#[derive(Clone, Copy, Debug)]
struct Spent {
    took: Duration,
    /// Of that, for how long it had a processor, if that is known.
    computed: Option<Duration>,
}

impl Spent {
    /// Whether the budget went by while it mostly waited. One that is cut off before has met with something that lasts.
    fn waited(self) -> bool {
        self.took >= HERE && self.computed.is_some_and(|computed| computed < HERE / 2)
    }
}

/// What this thread has computed since it began, if the system says.
#[cfg(target_os = "linux")]
fn computed() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};

    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).ok()
}

/// Elsewhere whatever is cut off counts as long.
#[cfg(not(target_os = "linux"))]
fn computed() -> Option<Duration> {
    None
}

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

    /// One that was tried on this thread was not done within the budget.
    pub(crate) fn was_cut(&self, trial: Trial) {
        self.was_cut_after(trial.spent());
    }

    fn was_cut_after(&self, spent: Spent) {
        match spent.waited() {
            true => self.took(spent.took),
            false => self.weigh(CUT * SHORT_NS),
        }
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

    /// What was spent, in microseconds.
    fn spent(took: u64, computed: Option<u64>) -> Spent {
        Spent { took: Duration::from_micros(took), computed: computed.map(Duration::from_micros) }
    }

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
        lately.was_cut_after(spent(1_000, Some(990)));
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

    /// On a machine that had other things to do, dozens of searches of some ten microseconds were handed to other threads for each that lost its processor.
    #[test]
    fn who_waited_for_a_processor_does_not_count_as_long_and_who_often_waits_is_not_tried() {
        let short = || {
            let lately = Lately::default();
            (0..200).for_each(|_| lately.took(Duration::from_micros(50)));
            lately
        };
        for (took, computed, is_long) in [
            (1_100, Some(40), false),
            (3_000, Some(499), false),
            (3_000, Some(500), true),
            (1_000, Some(990), true),
            // It has met with something that lasts.
            (10, Some(10), true),
            (999, Some(10), true),
            // The system does not say.
            (3_000, None, true),
        ] {
            let lately = short();
            lately.was_cut_after(spent(took, computed));
            assert_eq!(lately.are_short(), !is_long, "{took} {computed:?}");
        }
        let lately = short();
        (0..10).for_each(|_| lately.was_cut_after(spent(1_100, Some(40))));
        assert!(!lately.are_short());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_that_rests_computes_nothing() {
        let resting = Trial::begin();
        std::thread::sleep(2 * HERE);
        assert!(resting.spent().waited(), "{:?}", resting.spent());
        let computing = Trial::begin();
        while computing.spent().computed.is_some_and(|computed| computed < HERE) {}
        assert!(!computing.spent().waited(), "{:?}", computing.spent());
    }
}
