//! The thread pools of a database, apart from the one that its user shares. They end with it.
//!
//! A merge keeps every thread of its pool busy until it is done. In rayon's global pool it would hold up the user's own
//! work, and writers that link rows; so each kind of work has a pool, made when first needed. There is a second reason:
//! a rayon worker that waits takes up other tasks of its pool meanwhile. If those were the user's, and one of them
//! wrote, it would want a lock that its own thread holds already. So nothing runs in these pools that takes a lock of a
//! collection, but for a segment's `linking`, whose holder waits for nothing but the pool that links; and a caller that is itself a rayon worker waits in a way that takes up nothing.

use std::num::NonZero;
use std::sync::OnceLock;
use std::thread::{self, JoinHandle};

use rayon::{ThreadPool, ThreadPoolBuilder};

/// What a pool is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Rows of a write become nodes.
    Link,
    /// What a caller waits for, who is alone with the database: opening, seals and merges.
    Flush,
    /// Seals in the background.
    Seal,
    /// Merges in the background. Apart from seals, which writers wait for.
    Merge,
    /// Many searches at once. Apart from all that takes seconds.
    Search,
}

/// The pools.
#[derive(Debug)]
pub(crate) struct Pools {
    threads: usize,
    /// By kind of work. `None` if the system had no threads to give.
    pools: [OnceLock<Option<Pool>>; 5],
}

/// A pool whose threads have ended when it is dropped. rayon's own only tells them to end.
#[derive(Debug)]
struct Pool {
    /// There until it is dropped.
    pool: Option<ThreadPool>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    fn new(name: &str, threads: usize) -> Option<Self> {
        let mut handles = Vec::with_capacity(threads);
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .spawn_handler(|worker| {
                let name = format!("ragstone-{name}-{}", worker.index());
                handles.push(thread::Builder::new().name(name).spawn(|| worker.run())?);
                Ok(())
            })
            .build()
            .inspect_err(|error| tracing::warn!(%error, "no threads; using rayon's own pool"))
            .ok();
        let made = Self { pool, threads: handles };
        made.pool.is_some().then_some(made)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        drop(self.pool.take());
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of a pool panicked");
            }
        }
    }
}

/// As many as the caller's rayon pool has, if it is in one, or else as there are processors. Asking rayon itself would
/// start the pool that is the process's, whose threads never end.
fn threads_here() -> usize {
    match rayon::current_thread_index() {
        Some(_) => rayon::current_num_threads(),
        None => thread::available_parallelism().map_or(1, NonZero::get),
    }
}

impl Pools {
    /// Pools of at most so many threads; without a number, as many as the caller's rayon pool has, or else as there are
    /// processors.
    pub(crate) fn new(threads: Option<NonZero<usize>>) -> Self {
        let threads = threads.map_or_else(threads_here, NonZero::get);
        Self { threads, pools: [const { OnceLock::new() }; 5] }
    }

    fn pool(&self, work: Work) -> Option<&ThreadPool> {
        let (index, name, threads) = match work {
            Work::Link => (0, "link", self.threads),
            Work::Flush => (1, "flush", self.threads),
            // Half, so that searches go on beside it.
            Work::Seal => (2, "seal", self.threads / 2),
            Work::Merge => (3, "merge", self.threads / 2),
            Work::Search => (4, "search", self.threads),
        };
        self.pools[index].get_or_init(|| Pool::new(name, threads.max(1))).as_ref()?.pool.as_ref()
    }

    /// Runs a job in the pool for its kind. The job takes no lock of a collection but a segment's
    /// `linking`.
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
        let pools = callers.install(|| Pools::new(None));
        let threads = |work| pools.run(work, rayon::current_num_threads);
        let expected =
            [(Work::Link, 6), (Work::Flush, 6), (Work::Seal, 3), (Work::Merge, 3), (Work::Search, 6)];
        for (work, expected) in expected {
            assert_eq!(threads(work), expected, "{work:?}");
            assert_eq!(callers.install(|| threads(work)), expected, "{work:?} from a worker");
        }
        let single = callers.install(|| Pools::new(NonZero::new(1)));
        assert_eq!(single.run(Work::Merge, rayon::current_num_threads), 1);
    }
}
