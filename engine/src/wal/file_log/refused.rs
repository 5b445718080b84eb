//! Writes that a full disk refused.
//!
//! **Problem.** A frame that the disk has no room for was not written, and its writers can be told so. But their records
//! have numbers already, and a log whose numbers have a gap is a damaged one.
//!
//! **Idea.** The numbers stay given out and stand for nothing: before the next frame, and before any other record gets a
//! number, each of them is written as a record that changes nothing, at the position that it has. Until there is room for these few bytes every write is
//! refused where it asks to be queued, so they never become more than what was under way when the disk ran full. What
//! the refused frame left of itself at the end of its file is cut off before another file is begun, since only the last
//! file may end in a torn frame.
//!
//! This holds for a refused `create` or `write` alone. A sync that fails leaves unknown what the disk has.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;

use super::frame;
use crate::dir::io_error;
use crate::error::Error;
use crate::wal::{Record, nothing};

/// What the log remembers of refused frames.
#[derive(Debug, Default)]
pub(super) struct Refused {
    /// Log ids and numbers that are to be written as nothing.
    pub(super) voids: Vec<(u64, u64)>,
    /// The file that a refused frame was to be appended to, and its length without it.
    pub(super) torn: Option<(u64, u64)>,
    /// Tickets whose writers were not told yet.
    tickets: VecDeque<Tickets>,
}

#[derive(Debug)]
struct Tickets {
    first: u64,
    last: u64,
    untold: u64,
    reason: Reason,
}

#[derive(Clone, Debug)]
struct Reason {
    operation: &'static str,
    path: PathBuf,
    kind: io::ErrorKind,
    errno: Option<i32>,
}

impl Reason {
    fn error(&self) -> Error {
        let source = self.errno.map_or_else(|| self.kind.into(), io::Error::from_raw_os_error);
        io_error(self.operation, &self.path, source)
    }
}

impl Refused {
    /// Takes in what stands for nothing from now on; says whether there was anything: whoever was refused before knows it
    /// already, or is about to ask.
    pub(super) fn add(
        &mut self,
        numbers: impl Iterator<Item = (u64, u64)>,
        torn: Option<(u64, u64)>,
    ) -> bool {
        let before = self.voids.len();
        self.voids.extend(numbers);
        self.torn = torn;
        self.voids.len() > before
    }

    /// Remembers that the tickets after `durable` up to `submitted` were refused.
    pub(super) fn note(&mut self, durable: u64, submitted: u64, error: &Error) {
        let Error::Io { operation, path, source } = error else { return };
        let first = self.tickets.back().map_or(durable, |before| before.last.max(durable)) + 1;
        if first <= submitted {
            let (kind, errno) = (source.kind(), source.raw_os_error());
            let reason = Reason { operation, path: path.clone(), kind, errno };
            self.tickets.push_back(Tickets { first, last: submitted, untold: submitted - first + 1, reason });
        }
    }

    /// The error of a ticket, if it was refused; its writer asks once.
    pub(super) fn tell(&mut self, ticket: u64) -> Option<Error> {
        let index =
            self.tickets.iter().position(|refused| (refused.first..=refused.last).contains(&ticket))?;
        let refused = self.tickets.get_mut(index)?;
        refused.untold -= 1;
        let error = refused.reason.error();
        if refused.untold == 0 {
            self.tickets.remove(index);
        }
        Some(error)
    }

    /// Whether every writer was told.
    #[cfg(test)]
    pub(super) fn is_told(&self) -> bool {
        self.tickets.is_empty()
    }

    /// The records that stand for nothing.
    pub(super) fn records(&self) -> Vec<u8> {
        let record = |&(log_id, seq): &(u64, u64)| {
            frame::encode_record(&Record { log_id, seq, body: &nothing(log_id) })
        };
        self.voids.iter().flat_map(record).collect()
    }
}
