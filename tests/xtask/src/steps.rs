//! The steps of a task: in order, and some beside others.

use std::sync::LazyLock;
use std::thread::ScopedJoinHandle;
use std::time::Instant;

/// A step; its error says which command failed, or what is missing.
pub(crate) type Step = fn() -> Result<(), String>;

/// When the first step began.
static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The seconds since the first step began.
pub(crate) fn seconds() -> f64 {
    STARTED.elapsed().as_secs_f64()
}

/// Takes these steps, until one fails.
pub(crate) fn in_order(steps: &[Step]) -> Result<(), String> {
    LazyLock::force(&STARTED);
    steps.iter().try_for_each(|step| {
        step()?;
        println!("xtask: {:.0} s so far", seconds());
        Ok(())
    })
}

/// Takes steps on this thread and others beside them, each in their order. Fails with what is first seen to fail, once the others have ended: they may be
/// installing something.
pub(crate) fn beside(others: &[Step], steps: &[Step]) -> Result<(), String> {
    std::thread::scope(|scope| {
        let mut thread = Some(scope.spawn(|| in_order(others)));
        for step in steps {
            in_order(&[*step])?;
            thread.take_if(|thread| thread.is_finished()).map_or(Ok(()), ended)?;
        }
        thread.map_or(Ok(()), ended)
    })
}

/// How the steps of a thread end.
fn ended(thread: ScopedJoinHandle<'_, Result<(), String>>) -> Result<(), String> {
    thread.join().unwrap_or_else(|_| Err("a step panicked".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn works() -> Result<(), String> {
        Ok(())
    }

    fn fails() -> Result<(), String> {
        Err("it fails".to_owned())
    }

    fn panics() -> Result<(), String> {
        panic!("it panics")
    }

    #[test]
    fn nothing_comes_behind_a_step_that_fails() {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        fn counts() -> Result<(), String> {
            COUNT.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
        assert_eq!(in_order(&[counts, fails, counts]), Err("it fails".to_owned()));
        assert_eq!(COUNT.load(Ordering::Relaxed), 1);
        assert_eq!(beside(&[counts, counts], &[counts]), Ok(()));
        assert_eq!(COUNT.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn what_fails_on_either_side_is_told() {
        assert_eq!(beside(&[works], &[works, fails]), Err("it fails".to_owned()));
        assert_eq!(beside(&[works, fails], &[works]), Err("it fails".to_owned()));
        assert_eq!(beside(&[fails], &[]), Err("it fails".to_owned()));
        assert_eq!(beside(&[panics], &[works]), Err("a step panicked".to_owned()));
    }
}
