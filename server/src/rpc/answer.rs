//! What a handler's closure returns, and how much of it there may be.
//!
//! A large answer takes milliseconds to put together, and the system lets a thread keep its processor for as long: others that are to run there, for a few
//! microseconds, wait until its next tick. So who puts one together stands back now and then. That costs a system call, and where nobody waits no more.

use prost::Message;
use tonic::Status;

use crate::limits::SHORT_READ_ROWS_MAX;
use crate::status;
use crate::work::Place;

/// Why a request has no answer; what the engine refused becomes a status on the way.
pub(super) struct Refused(pub(super) Status);

impl From<Status> for Refused {
    fn from(status: Status) -> Refused {
        Refused(status)
    }
}

impl From<ragstone::Error> for Refused {
    fn from(error: ragstone::Error) -> Refused {
        Refused(status::engine(error))
    }
}

impl From<ragstone_rag::Error> for Refused {
    fn from(error: ragstone_rag::Error) -> Refused {
        Refused(status::rag(error))
    }
}

/// Items between two moments in which others may have the processor. A short read has no more: it may be answered on a thread of the runtime, whose tasks would
/// wait as well.
const ITEMS_AT_ONCE: usize = SHORT_READ_ROWS_MAX;

/// The bytes of a response, counted while it is put together: one that becomes too large is given up with its first item
/// too many instead of when all of it is in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    bytes_max: usize,
    bytes: usize,
    /// Since others last might have the processor.
    items: usize,
    /// Lets them have it.
    stand_back: fn(),
}

impl Budget {
    pub(super) fn new(bytes_max: usize) -> Budget {
        Budget { bytes_max, bytes: 0, items: 0, stand_back: std::thread::yield_now }
    }

    /// Lets other threads have the processor, before something long or behind it. Not to be called on a thread of the runtime.
    pub(super) fn stand_back(&mut self) {
        self.items = 0;
        (self.stand_back)();
    }

    /// The item, if it still fits. Behind every hundred of them others may have the processor.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED, with the bytes counted up to this item.
    pub(super) fn spend<M: Message>(&mut self, item: M) -> Result<M, Status> {
        if self.items == ITEMS_AT_ONCE {
            self.stand_back();
        }
        self.items += 1;
        self.bytes = self.bytes.saturating_add(item.encoded_len());
        if self.bytes > self.bytes_max {
            return Err(status::response_too_large(self.bytes_max, self.bytes as u64));
        }
        Ok(item)
    }

    /// The whole answer, if it fits, its bytes counted as those of the request's place.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED, for the one or the other.
    pub(super) fn hold<M: Message>(mut self, answer: M, place: Option<&Place>) -> Result<M, Status> {
        let answer = self.spend(answer)?;
        place.map_or(Ok(()), |place| place.take_answer(self.bytes))?;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use ragstone_proto::v1;

    use super::*;

    thread_local! {
        static STOOD_BACK: Cell<usize> = const { Cell::new(0) };
    }

    #[test]
    fn the_first_item_too_many_is_refused() {
        let item = v1::Vector { values: vec![1.0; 10] };
        let mut budget = Budget::new(2 * item.encoded_len());
        assert!(budget.spend(item.clone()).is_ok());
        assert!(budget.spend(item.clone()).is_ok());
        assert_eq!(budget.spend(item).unwrap_err().code(), tonic::Code::ResourceExhausted);
    }

    #[test]
    fn who_puts_a_large_answer_together_stands_back_now_and_then_and_for_a_short_one_never() {
        let stand_back = || STOOD_BACK.set(STOOD_BACK.get() + 1);
        let mut budget = Budget { stand_back, ..Budget::new(usize::MAX) };
        let mut spend = |items: usize| {
            (0..items).for_each(|_| drop(budget.spend(v1::Vector::default()).unwrap()));
            STOOD_BACK.get()
        };
        assert_eq!(spend(ITEMS_AT_ONCE), 0);
        assert_eq!(spend(1), 1);
        assert_eq!(spend(10 * ITEMS_AT_ONCE), 11);
    }
}
