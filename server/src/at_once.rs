//! How much is taken of one caller at once.
//!
//! **Problem.** What has come is taken until there is no more: of a call a megabyte, of a connection four, as much as their windows hold. Reading, looking through
//! and copying that takes a thread of the runtime milliseconds, for which the tasks of other calls wait.
//! **Idea.** Whoever has taken [`AT_ONCE_BYTES`] goes behind those that wait, and on from there. Where nobody does, that is at once.

use std::task::{Context, Poll};

/// Bytes that are taken before others are looked at: some ten microseconds of copying, some hundred where each two are a part of a message.
const AT_ONCE_BYTES: usize = 64 << 10;

/// What was taken since others were looked at.
#[derive(Debug, Default)]
pub(crate) struct AtOnce {
    bytes: usize,
}

impl AtOnce {
    /// Ready if more may be taken. Otherwise the task is woken for it, and comes behind those that were woken before.
    pub(crate) fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.bytes < AT_ONCE_BYTES {
            return Poll::Ready(());
        }
        self.bytes = 0;
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// So many bytes were taken.
    pub(crate) fn takes(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// There is no more yet, so others are looked at.
    pub(crate) fn waits(&mut self) {
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn who_has_taken_much_is_woken_behind_others_and_who_has_waited_begins_anew() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        let mut at_once = AtOnce::default();
        let mut goes_on = |at_once: &mut AtOnce| at_once.poll_more(&mut context).is_ready();
        at_once.takes(AT_ONCE_BYTES - 1);
        assert!(goes_on(&mut at_once));
        at_once.waits();
        at_once.takes(AT_ONCE_BYTES - 1);
        assert!(goes_on(&mut at_once));
        at_once.takes(1);
        assert_eq!((goes_on(&mut at_once), woken.0.load(Ordering::Relaxed)), (false, 1));
        assert!(goes_on(&mut at_once), "once is enough");
        at_once.takes(usize::MAX);
        at_once.takes(usize::MAX);
        assert_eq!((goes_on(&mut at_once), woken.0.load(Ordering::Relaxed)), (false, 2));
    }
}
