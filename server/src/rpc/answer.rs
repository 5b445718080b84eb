//! What a handler's closure returns, and how much of it there may be.

use prost::Message;
use tonic::Status;

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

/// The bytes of a response, counted while it is put together: one that becomes too large is given up with its first item
/// too many instead of when all of it is in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    bytes_max: usize,
    bytes: usize,
}

impl Budget {
    pub(super) fn new(bytes_max: usize) -> Budget {
        Budget { bytes_max, bytes: 0 }
    }

    /// The item, if it still fits.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED, with the bytes counted up to this item.
    pub(super) fn spend<M: Message>(&mut self, item: M) -> Result<M, Status> {
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
    use ragstone_proto::v1;

    use super::*;

    #[test]
    fn the_first_item_too_many_is_refused() {
        let item = v1::Vector { values: vec![1.0; 10] };
        let mut budget = Budget::new(2 * item.encoded_len());
        assert!(budget.spend(item.clone()).is_ok());
        assert!(budget.spend(item.clone()).is_ok());
        assert_eq!(budget.spend(item).unwrap_err().code(), tonic::Code::ResourceExhausted);
    }
}
