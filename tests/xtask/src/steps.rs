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

/// Takes steps on this thread and others beside them, each in their order. No step of this thread begins once one is seen to have failed; what is under way
/// ends first, as it may be installing something. What failed on either side is told, as one of two messages may be far up in the log.
pub(crate) fn beside(others: &[Step], steps: &[Step]) -> Result<(), String> {
    std::thread::scope(|scope| {
        let mut thread = Some(scope.spawn(|| in_order(others)));
        let (mut here, mut there) = (Ok(()), Ok(()));
        for step in steps {
            here = in_order(&[*step]);
            if let Some(thread) = thread.take_if(|thread| thread.is_finished()) {
                there = ended(thread);
            }
            if here.is_err() || there.is_err() {
                break;
            }
        }
        if let Some(thread) = thread {
            there = ended(thread);
        }
        match (here, there) {
            (Err(here), Err(there)) => Err(format!("{here}\n{there}")),
            (here, there) => here.and(there),
        }
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
        assert_eq!(beside(&[fails], &[fails, works]), Err("it fails\nit fails".to_owned()));
        assert_eq!(beside(&[panics], &[fails]), Err("it fails\na step panicked".to_owned()));
    }
}
