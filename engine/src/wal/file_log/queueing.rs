//! Queueing records for the next frame.

use std::sync::PoisonError;

use super::FileLog;
use crate::error::Result;
use crate::wal::{Record, Ticket, frame};

impl FileLog {
    /// Queues a record, unless more was refused than was counted.
    pub(super) fn queue(&self, record: &Record<'_>, refusals: Option<u64>) -> Result<Option<Ticket>> {
        let bytes = frame::encode_record(record);
        let mut state = self.state();
        loop {
            Self::refusal(&state)?;
            let queued = state.queue.records.len();
            let has_room = queued == 0 || queued + bytes.len() <= self.options.queue_bytes;
            if has_room && state.refused.voids.is_empty() {
                break;
            }
            // Whoever queued the rest is about to wait for it, and so will lead or be led.
            if state.leading {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            } else {
                let (relocked, result) = self.lead(state);
                result?;
                state = relocked;
            }
        }
        if refusals.is_some_and(|counted| counted != state.refusals) {
            return Ok(None);
        }
        state.queue.records.extend_from_slice(&bytes);
        state.queue.numbers.push((record.log_id, record.seq));
        state.submitted += 1;
        Ok(Some(Ticket(state.submitted)))
    }
}
