//! Memory of messages: one bound for all calls together.
//!
//! **Problem.** The limit of a message times that of calls is far more than a machine has: as many large requests as there are places, or as many large
//! answers that nobody takes, would end the process, and with it everybody's calls.
//! **Idea.** Whatever arrives is counted while it arrives, and an answer when it is made; what would go beyond the bound is refused, with a pause
//! after which it may come again, and what is under way goes on. A part of a message counts for [`PART_BYTES`] beside its bytes, as it takes
//! more in memory than on the wire ([`elements`](crate::elements)). A request is counted until its work is done and its answer has gone,
//! a message of a stream until it is acknowledged. What one caller may have of it is in `work/portions.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tonic::Status;

use crate::status;

/// What a part of a message takes beside its bytes, by and large.
pub(crate) const PART_BYTES: usize = 256;

/// The bound, and what is counted; clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    max: usize,
    held: Arc<AtomicUsize>,
}

impl Memory {
    pub(crate) fn new(max: usize) -> Memory {
        Memory { max, held: Arc::default() }
    }

    /// Counts some bytes more.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when there would be too many; then they are not counted.
    pub(crate) fn hold(&self, bytes: usize) -> Result<(), Status> {
        // Nothing is handed over with the count, so no order is needed.
        let more = |held: usize| held.checked_add(bytes).filter(|held| *held <= self.max);
        match self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(()),
            Err(_) => Err(status::messages_full(self.max)),
        }
    }

    /// How many are counted.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Counts some bytes less, which were counted before.
    pub(crate) fn release(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_and_not_counted() {
        let memory = Memory::new(100);
        memory.hold(60).unwrap();
        assert_eq!(memory.hold(41).unwrap_err().code(), Code::ResourceExhausted);
        assert_eq!(memory.hold(usize::MAX).unwrap_err().code(), Code::ResourceExhausted);
        memory.clone().hold(40).unwrap();
        memory.release(60);
        memory.hold(60).unwrap();
    }
}
