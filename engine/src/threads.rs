//! The thread pools of a database, apart from the one that its user shares.
//!
//! A merge keeps every thread of its pool busy until it is done. In rayon's global pool it would hold up the user's own
//! work, and writers that link rows; so each kind of work has a pool, made when first needed. There is a second reason:
//! a rayon worker that waits takes up other tasks of its pool meanwhile. If those were the user's, and one of them
//! wrote, it would want a lock that its own thread holds already. So nothing runs in these pools that takes a lock of a
//! collection, and a caller that is itself a rayon worker waits in a way that takes up nothing.

use std::sync::OnceLock;

use rayon::{ThreadPool, ThreadPoolBuilder};

/// What a pool is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Rows of a write become nodes.
    Link,
    /// Seals and merges that a caller waits for.
    Flush,
    /// Seals in the background.
    Seal,
    /// Merges in the background. Apart from seals, which writers wait for.
    Merge,
}

/// The pools.
#[derive(Debug)]
pub(crate) struct Pools {
    threads: usize,
    /// By kind of work. `None` if the system had no threads to give.
    pools: [OnceLock<Option<ThreadPool>>; 4],
}

impl Pools {
    /// Pools of at most as many threads as the caller's rayon pool has.
    pub(crate) fn new() -> Self {
        Self { threads: rayon::current_num_threads(), pools: [const { OnceLock::new() }; 4] }
    }

    fn pool(&self, work: Work) -> Option<&ThreadPool> {
        let (index, name, threads) = match work {
            Work::Link => (0, "link", self.threads),
            Work::Flush => (1, "flush", self.threads),
            // Half, so that searches go on beside it.
            Work::Seal => (2, "seal", self.threads / 2),
            Work::Merge => (3, "merge", self.threads / 2),
        };
        let make = || {
            let builder = ThreadPoolBuilder::new()
                .num_threads(threads.max(1))
                .thread_name(move |thread| format!("ragstone-{name}-{thread}"));
            builder
                .build()
                .inspect_err(|error| tracing::warn!(%error, "no threads; using rayon's own pool"))
                .ok()
        };
        self.pools[index].get_or_init(make).as_ref()
    }

    /// Runs a job in the pool for its kind. The job takes no lock of a collection.
    pub(crate) fn run<T: Send>(&self, work: Work, job: impl FnOnce() -> T + Send) -> T {
        let Some(pool) = self.pool(work) else { return job() };
        if rayon::current_thread_index().is_none() {
            return pool.install(job);
        }
        // A rayon worker would take up other tasks of its pool while it waits; joining a thread it just waits.
        std::thread::scope(|scope| match scope.spawn(|| pool.install(job)).join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn background_work_takes_half_of_the_threads_and_none_of_the_callers() {
        let callers = ThreadPoolBuilder::new().num_threads(6).build().unwrap();
        let pools = callers.install(Pools::new);
        let threads = |work| pools.run(work, rayon::current_num_threads);
        for (work, expected) in [(Work::Link, 6), (Work::Flush, 6), (Work::Seal, 3), (Work::Merge, 3)] {
            assert_eq!(threads(work), expected, "{work:?}");
            assert_eq!(callers.install(|| threads(work)), expected, "{work:?} from a worker");
        }
        let single = ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(single.install(Pools::new).run(Work::Merge, rayon::current_num_threads), 1);
    }
}
