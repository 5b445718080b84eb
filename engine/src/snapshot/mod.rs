//! What copies of a database are made of, and how a copy becomes a database again.
//!
//! **Problem.** A copy has to be of one moment, while writes, seals and merges go on; and whoever makes it (the crate
//! `ragstone-snapshot`, a backup tool, one day a replica that catches up) should know nothing of the files' insides.
//!
//! **Idea.** Segments and tombstones never change, and the log is closed at the moment of the copy: so a copy is the manifest
//! of now, the files that it names, and the log files up to now, all of which are *pinned*: they stay until they are copied
//! ([`Db::pin`](crate::Db::pin)). What is written afterwards is the log from there on ([`Db::pin_log`](crate::Db::pin_log)),
//! which an archive keeps. A [`Restore`] puts the files of a copy into an empty directory, then the manifest, compares
//! everything with its checksums, and carries out archived log up to the moment that is asked for ([`Until`]).
//!
//! **Invariants.**
//! - The manifest is read before the log is closed, and no log file is cut between: whatever the manifest's segments do
//!   not hold is in the log files, and what they hold is no newer than the log files. So a copy is the database as it was
//!   after the write at [`Pin::position`], of all collections together.
//! - A directory that is being restored cannot be opened ([`Error::Restoring`](crate::Error::Restoring)); an interrupted
//!   restore goes on where it was.
//! - A restored database begins a [`Lineage`](crate::Lineage) of its own: what it writes from then on is another history than
//!   that of the database that was copied, though log positions go on from there.
//!
//! **Cost.** Pinning waits for one frame of the log; pinned files that nobody needs otherwise take space until they are let
//! go. Restoring reads everything twice (hash, checksums). Archived log passes with one batch of it in memory; what else it takes
//! is what opening a database takes, which holds one file of the copy's own log at a time.

mod apply;
mod copied;
mod pin;
mod restore;
#[cfg(test)]
mod tests;

pub use apply::{OpenedRestore, Restored, Until};
pub use pin::{Pin, PinnedCollection, PinnedFile, PinnedLog, PinnedLogFile};
pub(crate) use restore::RESTORE_FILE;
pub use restore::{Restore, RestoreFile};
