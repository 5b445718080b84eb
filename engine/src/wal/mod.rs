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
//! **Invariants.**
//! - A record is durable when [`Log::wait`] returned for its ticket, and then every record submitted before it is too.
//! - The sequence numbers of one log id are 1, 2, 3 … without a gap; a gap at opening is damage.
//! - Only the last frame of the last file can be torn by a crash (`frame.rs` tells torn from damaged).
//! - After a failed write or sync nothing more is written: what the disk holds of the tail is unknown until the log
//!   is read again. The log is *poisoned*.
//!
//! **Cost.** A record is copied once and checksummed once; a write waits for one or two syncs.

mod file_log;
mod frame;
mod salvage;

use crate::error::Result;

pub(crate) use file_log::{FileLog, LogOptions};
pub(crate) use salvage::Salvaged;

/// Tells whether a file name is that of a log file.
pub(crate) fn is_log_file(name: &str) -> bool {
    file_log::file_number(name).is_some()
}

/// Reads the file with this name by itself: its records with their offsets, and what is wrong with it.
pub(crate) fn read_log_file(
    bytes: &[u8],
    name: &str,
    mut visit: impl FnMut(usize, Record<'_>),
) -> Option<frame::Fault> {
    let number = file_log::file_number(name).unwrap_or_default();
    let visited = frame::read_file(bytes, number, |offset, record| {
        visit(offset, record);
        Ok::<(), std::convert::Infallible>(())
    });
    visited.unwrap_or_else(|never| match never {})
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

/// Stands for a submitted record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(pub(crate) u64);

/// What a writer asks of the log. Alone it is a local file; in a cluster it will be a consensus log.
pub(crate) trait Log: Send + Sync + std::fmt::Debug {
    /// Queues a record. The order of the calls is the order in the log, so the caller submits the records of one
    /// log id in the order of their sequence numbers. Waits while very much is queued.
    fn submit(&self, record: Record<'_>) -> Result<Ticket>;

    /// Returns when the record is durable.
    fn wait(&self, ticket: Ticket) -> Result<()>;

    /// Refuses every further record: something else failed that only reopening repairs.
    fn poison(&self, cause: &str);

    /// Fails if the log is poisoned.
    fn check(&self) -> Result<()>;

    /// Removes files all of whose records are stored elsewhere: those with a sequence number up to
    /// `stored(log_id)`.
    fn cut(&self, stored: &dyn Fn(u64) -> u64) -> Result<()>;

    /// Reads everything that is durable once more and compares it with its checksums.
    fn verify(&self) -> Result<()>;

    /// Bytes of its files.
    fn size_bytes(&self) -> u64;

    /// The log ids with records in the oldest file: who must be stored before it can be removed.
    fn oldest(&self) -> Vec<u64>;
}
