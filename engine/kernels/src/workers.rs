//! Threads that belong to one owner: a rayon pool that has ended when it is dropped.
//!
//! **Problem.** rayon's own pool belongs to the process: its threads never end, and whoever fills it holds up the work of
//! the program around it. A pool made with [`ThreadPoolBuilder`] only tells its threads to end when it is dropped. And a
//! rayon worker that waits for another pool takes up other tasks of its own meanwhile: if one of those wants a lock that
//! the thread holds already, it waits for itself.
//!
//! **Idea.** The threads are started here and joined at the end. A caller that is itself a rayon worker has another thread
//! wait in its place, and just waits for that.
//!
//! **Cost.** Handing over a job takes some microseconds; from a rayon worker a thread is started for it, some ten more.

use std::fmt;
use std::io;
use std::num::NonZero;
use std::thread::{self, JoinHandle};

use rayon::{ThreadBuilder, ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// A pool of threads.
///
/// ```
/// use std::num::NonZero;
///
/// use ragstone_kernels::Workers;
///
/// let workers = Workers::new("sum", NonZero::<usize>::MIN)?;
/// assert_eq!(workers.run(|| 1 + 1)?, 2);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Workers {
    // Before the threads, which end when this is dropped.
    pool: ThreadPool,
    _threads: Threads,
}

/// Threads that are told to end before this is dropped.
struct Threads(Vec<JoinHandle<()>>);

impl Drop for Threads {
    fn drop(&mut self) {
        for thread in self.0.drain(..) {
            // A job's panic goes to whoever waits for the job, so the thread had none.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("threads", &self.threads()).finish_non_exhaustive()
    }
}

/// A rayon worker of this name becomes a thread.
fn start(name: String, worker: ThreadBuilder) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name).spawn(|| worker.run())
}

fn io_error(error: ThreadPoolBuildError) -> io::Error {
    let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>());
    let kind = source.map_or(io::ErrorKind::Other, io::Error::kind);
    io::Error::new(kind, error)
}

impl Workers {
    /// Starts so many threads, called `name-0` and on.
    ///
    /// # Errors
    /// The system's, if it has no thread to give; those that were started have ended then.
    pub fn new(name: &str, threads: NonZero<usize>) -> io::Result<Self> {
        Self::started_by(name, threads, start)
    }

    fn started_by(
        name: &str,
        threads: NonZero<usize>,
        mut start: impl FnMut(String, ThreadBuilder) -> io::Result<JoinHandle<()>>,
    ) -> io::Result<Self> {
        let mut started = Threads(Vec::new());
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads.get())
            .spawn_handler(|worker| {
                started.0.push(start(format!("{name}-{}", worker.index()), worker)?);
                Ok(())
            })
            .build()
            .map_err(io_error)?;
        Ok(Self { pool, _threads: started })
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Runs a job on these threads: rayon's functions in it use them alone. Waits for its end; a panic in it goes on here.
    ///
    /// # Errors
    /// The system's, if the caller is a worker of another rayon pool and there is no thread that could wait for it.
    pub fn run<T: Send>(&self, job: impl FnOnce() -> T + Send) -> io::Result<T> {
        if rayon::current_thread_index().is_none() {
            return Ok(self.pool.install(job));
        }
        if self.pool.current_thread_index().is_some() {
            return Ok(job());
        }
        thread::scope(|scope| {
            let builder = thread::Builder::new().name("ragstone-wait".into());
            match builder.spawn_scoped(scope, || self.pool.install(job))?.join() {
                Ok(value) => Ok(value),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    use super::*;

    fn workers(threads: usize) -> Workers {
        Workers::new("test", NonZero::new(threads).unwrap()).unwrap()
    }

    #[test]
    fn a_job_has_these_threads_wherever_it_comes_from() {
        let (two, three) = (workers(2), workers(3));
        let count = || rayon::current_num_threads();
        assert_eq!((two.run(count).unwrap(), three.run(count).unwrap()), (2, 3));
        assert_eq!(two.run(|| three.run(count).unwrap()).unwrap(), 3);
        assert_eq!(two.run(|| two.run(count).unwrap()).unwrap(), 2);
    }

    /// A worker that waited by working would take up a task of its own pool that wants the lock that it holds.
    #[test]
    fn a_worker_that_waits_takes_up_nothing() {
        let (callers, others) = (workers(2), workers(1));
        let (lock, done) = (Mutex::new(()), AtomicUsize::new(0));
        callers
            .run(|| {
                rayon::scope(|scope| {
                    for _ in 0..64 {
                        scope.spawn(|_| {
                            let _held = lock.lock().unwrap();
                            others.run(|| done.fetch_add(1, Ordering::Relaxed)).unwrap();
                        });
                    }
                });
            })
            .unwrap();
        assert_eq!(done.into_inner(), 64);
    }

    #[test]
    fn a_panic_in_a_job_is_the_callers() {
        let (callers, others) = (workers(1), workers(1));
        let panics = || others.run(|| -> u8 { panic!("on purpose") });
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| callers.run(panics))).is_err());
        assert_eq!(others.run(|| 1).unwrap(), 1);
    }

    #[test]
    fn without_a_thread_there_is_an_error_and_the_others_end() {
        let mut started = Vec::new();
        let failed = Workers::started_by("test", NonZero::new(4).unwrap(), |name, worker| {
            if started.len() == 2 {
                return Err(io::ErrorKind::OutOfMemory.into());
            }
            let alive = Arc::new(());
            started.push(Arc::downgrade(&alive));
            thread::Builder::new().name(name).spawn(move || {
                worker.run();
                drop(alive);
            })
        });
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::OutOfMemory);
        assert!(started.iter().all(|alive| alive.upgrade().is_none()), "they were joined");
    }
}
