//! The thread pools of a database, apart from the one that its user shares. They end with it.
//!
//! A merge keeps every thread of its pool busy until it is done. In rayon's global pool it would hold up the user's own
//! work, and writers that link rows; so each kind of work has a pool, made when first needed. There is a second reason:
//! a rayon worker that waits takes up other tasks of its pool meanwhile. If those were the user's, and one of them
//! wrote, it would want a lock that its own thread holds already. So nothing runs in these pools that takes a lock of a
//! collection, but for a segment's `linking`, whose holder waits for nothing but the pool that links; and a caller that is itself a rayon worker waits in a way that takes up nothing ([`Workers`]).
//!
//! Where the system has no thread to give, whoever wants the work done gets the error, and the next one tries again.
//! rayon's global pool never steps in: it would stay for the rest of the process.

use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use ragstone_kernels::Workers;

use crate::dir::io_error;
use crate::error::Result;

/// What a pool is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Rows of a write become nodes.
    Link,
    /// What a caller waits for, who is alone with the database: opening, seals, merges, verifying what is copied.
    Flush,
    /// Seals in the background.
    Seal,
    /// Merges in the background. Apart from seals, which writers wait for.
    Merge,
    /// Many searches at once. Apart from all that takes seconds.
    Search,
}

/// Makes a pool.
type Start = fn(&str, NonZero<usize>) -> io::Result<Workers>;

/// The pools.
#[derive(Debug)]
pub(crate) struct Pools {
    /// Of the database, for messages.
    path: PathBuf,
    threads: NonZero<usize>,
    /// By kind of work.
    pools: [OnceLock<Workers>; 5],
    /// Held while a pool is made, so that none is made twice.
    making: Mutex<()>,
    start: Start,
}

/// As many as the caller's rayon pool has, if it is in one, or else as there are processors. Asking rayon itself would
/// start the pool that is the process's, whose threads never end.
fn threads_here() -> NonZero<usize> {
    let of_pool = rayon::current_thread_index().and_then(|_| NonZero::new(rayon::current_num_threads()));
    of_pool.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZero::<usize>::MIN)
}

impl Pools {
    /// Pools of at most so many threads; without a number, as many as the caller's rayon pool has, or else as there are
    /// processors. `path` is the database's.
    pub(crate) fn new(threads: Option<NonZero<usize>>, path: &Path) -> Self {
        Self::started_by(Workers::new, threads, path)
    }

    /// The same, with threads from elsewhere.
    pub(crate) fn started_by(start: Start, threads: Option<NonZero<usize>>, path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            threads: threads.unwrap_or_else(threads_here),
            pools: [const { OnceLock::new() }; 5],
            making: Mutex::new(()),
            start,
        }
    }

    fn pool(&self, work: Work) -> io::Result<&Workers> {
        let all = self.threads;
        // Half, so that searches go on beside it.
        let half = NonZero::new(all.get() / 2).unwrap_or(NonZero::<usize>::MIN);
        let (index, name, threads) = match work {
            Work::Link => (0, "ragstone-link", all),
            Work::Flush => (1, "ragstone-flush", all),
            Work::Seal => (2, "ragstone-seal", half),
            Work::Merge => (3, "ragstone-merge", half),
            Work::Search => (4, "ragstone-search", all),
        };
        let place = &self.pools[index];
        if let Some(pool) = place.get() {
            return Ok(pool);
        }
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        match place.get() {
            Some(pool) => Ok(pool),
            None => {
                let pool = (self.start)(name, threads)?;
                Ok(place.get_or_init(|| pool))
            }
        }
    }

    /// Runs a job in the pool for its kind. The job takes no lock of a collection but a segment's `linking`.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) if the system has no thread to give; the job was not begun then.
    pub(crate) fn run<T: Send>(&self, work: Work, job: impl FnOnce() -> T + Send) -> Result<T> {
        let done = self.pool(work).and_then(|pool| pool.run(job));
        done.map_err(|source| io_error("start threads for", &self.path, source))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::Error;

    fn pools(threads: Option<usize>) -> Pools {
        Pools::new(threads.and_then(NonZero::new), Path::new("data"))
    }

    #[test]
    fn background_work_takes_half_of_the_threads_and_none_of_the_callers() {
        let callers = Workers::new("callers", NonZero::new(6).unwrap()).unwrap();
        let pools_of_six = callers.run(|| pools(None)).unwrap();
        let threads = |work| pools_of_six.run(work, rayon::current_num_threads).unwrap();
        let expected =
            [(Work::Link, 6), (Work::Flush, 6), (Work::Seal, 3), (Work::Merge, 3), (Work::Search, 6)];
        for (work, expected) in expected {
            assert_eq!(threads(work), expected, "{work:?}");
            assert_eq!(callers.run(|| threads(work)).unwrap(), expected, "{work:?} from a worker");
        }
        assert_eq!(pools(Some(1)).run(Work::Merge, rayon::current_num_threads).unwrap(), 1);
    }

    #[test]
    fn without_threads_there_is_an_error_until_there_are_some() {
        static HAS_THREADS: AtomicBool = AtomicBool::new(false);
        let start: Start = |name, threads| match HAS_THREADS.load(Ordering::Relaxed) {
            true => Workers::new(name, threads),
            false => Err(io::ErrorKind::WouldBlock.into()),
        };
        let pools = Pools::started_by(start, NonZero::new(2), Path::new("data"));
        let error = pools.run(Work::Search, || -> u8 { unreachable!("there is no thread") }).unwrap_err();
        assert!(matches!(&error, Error::Io { source, .. } if source.kind() == io::ErrorKind::WouldBlock));
        assert_eq!(
            error.to_string(),
            format!("cannot start threads for data: {}", io::Error::from(io::ErrorKind::WouldBlock))
        );
        HAS_THREADS.store(true, Ordering::Relaxed);
        assert_eq!(pools.run(Work::Search, rayon::current_num_threads).unwrap(), 2);
    }
}
