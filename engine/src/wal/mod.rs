//! The log: what was acknowledged and is not yet in a segment.
//!
//! **Problem.** A write must survive a crash once it is acknowledged, but building a graph and writing segment files
//! for every write would be far too slow; and a disk syncs hundreds of times a second, not a million.
//!
//! **Idea.** A write is one record, appended to one log that every collection of the database shares. Writers that
//! wait at the same time share one sync (group commit): one of them, the leader, writes and syncs for all. Records
//! are headed by a log id (the collection) and a sequence number, so that many collections, and later many Raft
//! groups, share a disk. Once segments hold a record's effect, the file with the record is removed.
//!
//! **Positions.** Every record has a position, its number among all records of the database, and every frame the time at
//! which it was written. So a copy of the log can be followed up to a moment, whatever collections wrote. The catalogue (which
//! collections there are) is a log id of its own, 0: what is in the log is all that changes a database.
//!
//! **Invariants.**
//! - A record is durable when [`Log::wait`] returned for its ticket, and then every record submitted before it is too.
//! - The sequence numbers of one log id are 1, 2, 3 … without a gap; a gap at opening is damage.
//! - Only the last frame of the last file can be torn by a crash (`frame.rs` tells torn from damaged).
//! - After a failed write or sync nothing more is written: what the disk holds of the tail is unknown until the log
//!   is read again. The log is *poisoned*. Only a disk that is full is known to hold nothing of a frame: that one is refused, what is left of it
//!   is cut off, and writing goes on once there is room (`file_log/refused.rs`).
//!
//! **Cost.** A record is copied once and checksummed once; a write waits for one or two syncs.

mod file_log;
mod frame;
mod names;
mod reading;
mod salvage;

use std::collections::BTreeMap;

use crate::batch::PreparedBatch;
use crate::catalogue::{CATALOGUE, CatalogueChange};
use crate::error::Result;
use crate::latencies::Latencies;

pub(crate) use file_log::{FileLog, LogOptions};
pub(crate) use names::{file_name, is_log_file, kept_name, kept_number};
pub(crate) use reading::{Ended, check_file, damage_of_kept, kept_files, read_log_file, walk_closed};
pub(crate) use salvage::{MISSING_MAX, Salvaged};

/// What stands for a record that is not there: it changes nothing.
pub(crate) fn nothing(log_id: u64) -> Vec<u8> {
    match log_id {
        CATALOGUE => CatalogueChange::Nothing.encode(),
        _ => PreparedBatch::default().encode(),
    }
}

/// A record as the log gives it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// Whose it is: the id of a collection.
    pub(crate) log_id: u64,
    /// Its number among the records of this log id.
    pub(crate) seq: u64,
    pub(crate) body: &'a [u8],
}

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// In its file.
    pub(crate) offset: usize,
    /// Among all records of the database, from 1.
    pub(crate) position: u64,
    /// When its frame was written: microseconds since 1970.
    pub(crate) time_us: u64,
}

/// Where a log stands; what the manifest says of it is never less than what any file that was cut had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogMark {
    /// The number of the next file.
    pub(crate) next_file: u64,
    /// The position of the last durable record.
    pub(crate) position: u64,
    /// When it was written: microseconds since 1970.
    pub(crate) time_us: u64,
}

/// A file of the log that takes no more frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClosedFile {
    pub(crate) number: u64,
    pub(crate) size_bytes: u64,
    /// The position of its first record; 0 where the file does not tell.
    pub(crate) first: u64,
    /// The position of its last record. What the next file begins with need not follow on it, where a crash left one of several.
    pub(crate) last: u64,
    /// Whether it was cut, and is only kept for an archive.
    pub(crate) is_kept: bool,
}

/// Everything durable, in files that take no more frames.
#[derive(Clone, Debug)]
pub(crate) struct ClosedLog {
    pub(crate) mark: LogMark,
    /// Oldest first.
    pub(crate) files: Vec<ClosedFile>,
    /// The last sequence number of each log id in the files that are not only kept.
    pub(crate) last: BTreeMap<u64, u64>,
}

/// Stands for a submitted record: its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(pub(crate) u64);

/// What a writer asks of the log. Alone it is a local file; in a cluster it will be a consensus log. What is about files does
/// nothing unless a log has some.
pub(crate) trait Log: Send + Sync + std::fmt::Debug {
    /// Queues a record. The order of the calls is the order in the log, so the caller submits the records of one
    /// log id in the order of their sequence numbers. Waits while very much is queued.
    fn submit(&self, record: Record<'_>) -> Result<Ticket>;

    /// Queues a record that rests on those queued before it: not if a full disk refused any since `refusals` were counted, as
    /// what it rests on may be among them. `None` then.
    fn submit_unless_refused(&self, record: Record<'_>, _refusals: u64) -> Result<Option<Ticket>> {
        self.submit(record).map(Some)
    }

    /// How often a full disk refused what was queued.
    fn refusals(&self) -> u64 {
        0
    }

    /// Returns when the record is durable.
    fn wait(&self, ticket: Ticket) -> Result<()>;

    /// Refuses every further record: something else failed that only reopening repairs.
    fn poison(&self, cause: &str);

    /// Fails if the log is poisoned.
    fn check(&self) -> Result<()>;

    /// Removes files all of whose records are stored elsewhere: those with a sequence number up to
    /// `stored(log_id)`. What is beyond `noted`, which the manifest says of the log, stays: without it, positions would go on from before
    /// it at the next opening, and two records would have one. With [`keep`](Self::keep), what is cut is kept.
    fn cut(&self, _noted: LogMark, _stored: &dyn Fn(u64) -> u64) -> Result<()> {
        Ok(())
    }

    /// From now on keeps so many bytes of what is cut; the oldest goes first.
    fn keep(&self, _bytes: u64) -> Result<()> {
        Ok(())
    }

    /// Forgets what is kept of the records up to a position.
    fn release(&self, _position: u64) -> Result<()> {
        Ok(())
    }

    /// Where it stands: at the last durable record.
    fn mark(&self) -> LogMark;

    /// Writes what stands for the numbers of records that a full disk refused, so that nothing that counts them can be ahead
    /// of the log.
    fn fulfil(&self) -> Result<()> {
        Ok(())
    }

    /// Ends the current file, so that everything that is durable now is in files that change no more.
    fn close(&self) -> Result<ClosedLog>;

    /// Reads everything that is durable once more and compares it with its checksums.
    fn verify(&self) -> Result<()> {
        Ok(())
    }

    /// Bytes of its files.
    fn size_bytes(&self) -> u64 {
        0
    }

    /// How long writing and syncing took.
    fn latencies(&self) -> Latencies {
        Latencies::default()
    }

    /// The log ids with records in the oldest file, each with its last number there: what must be stored before it can be
    /// removed.
    fn oldest(&self) -> Vec<(u64, u64)> {
        Vec::new()
    }
}
