//! Waiting for what blocks, for somebody who may stop waiting.
//!
//! The problem: a thread that resolves a name, makes a connection or reads from a socket looks at nothing else. The idea: it is another
//! thread's to block, and whoever waits for that one looks up now and then. One that is waited for no more ends by itself: its
//! job has deadlines of its own, and what it talks over is shut down where that can be.

use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// How often whoever waits looks up: what a caller who has left costs at most.
pub(crate) const LOOK: Duration = Duration::from_millis(10);

/// What a job gives that is done on a thread of its own, or what `over` gives, which is asked while it is waited for.
///
/// # Errors
/// The system's, if it has no thread to give.
pub(crate) fn wait_for<T, E>(
    job: impl FnOnce() -> T + Send + 'static,
    over: impl Fn() -> Option<E>,
) -> std::io::Result<Result<T, E>>
where
    T: Send + 'static,
{
    let (sender, receiver) = sync_channel(1);
    let thread = thread::Builder::new().name("ragstone-remote".to_owned()).spawn(move || {
        // Nobody receives it where nobody waits any more.
        let _ = sender.send(job());
    })?;
    loop {
        match receiver.recv_timeout(LOOK) {
            Ok(made) => {
                // It has nothing left to do; a panic would have sent nothing.
                let _ = thread.join();
                return Ok(Ok(made));
            }
            Err(RecvTimeoutError::Timeout) => {
                if let Some(over) = over() {
                    return Ok(Err(over));
                }
            }
            Err(RecvTimeoutError::Disconnected) => match thread.join() {
                Err(panic) => resume_unwind(panic),
                Ok(()) => return Err(std::io::Error::other("a thread ended without a word")),
            },
        }
    }
}

/// Lets time pass, unless `over` gives something before.
pub(crate) fn pause<E>(pause: Duration, over: impl Fn() -> Option<E>) -> Result<(), E> {
    let began = Instant::now();
    loop {
        if let Some(over) = over() {
            return Err(over);
        }
        let left = pause.saturating_sub(began.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(LOOK));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::channel;

    use super::*;

    fn fails() {
        panic!("it was asked to");
    }

    const LONG: Duration = Duration::from_secs(3_600);

    #[test]
    fn a_job_gives_what_it_gives() {
        let never = || None::<()>;
        assert_eq!(wait_for(|| 7, never).unwrap(), Ok(7));
        let panicked = std::panic::catch_unwind(|| wait_for(fails, never));
        assert!(panicked.is_err(), "a panic goes on where the job was waited for");
        assert_eq!(pause(Duration::from_millis(1), never), Ok(()));
    }

    #[test]
    fn whoever_is_not_to_wait_does_not() {
        let (end, ends) = channel::<()>();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| over.store(true, Ordering::SeqCst));
            let look = || over.load(Ordering::SeqCst).then_some("over");
            assert_eq!(wait_for(move || ends.recv().is_ok(), look).unwrap(), Err("over"));
            assert_eq!(pause(LONG, look), Err("over"));
        });
        drop(end);
    }
}
