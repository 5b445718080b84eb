//! What can go wrong with snapshots.

use ragstone::snapshot::Until;

/// The result of an operation on snapshots.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation on snapshots failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database failed, or the directory that is restored into is not acceptable.
    #[error(transparent)]
    Engine(#[from] ragstone::Error),
    /// The store failed.
    #[error("cannot {operation} {object}: {source}")]
    Store {
        /// What was tried: `put`, `get`, `list` …
        operation: &'static str,
        /// The object.
        object: String,
        /// The store's error.
        source: object_store::Error,
    },
    /// The place of the snapshots is not acceptable.
    #[error("{url}: {reason}")]
    Place {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A name that no snapshot can have.
    #[error("snapshot name {name:?}: {reason}")]
    Name {
        /// As it was given.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is a snapshot of this name already.
    #[error("snapshot `{name}` exists already")]
    Exists {
        /// The name.
        name: String,
    },
    /// There is no snapshot of this name.
    #[error("snapshot `{name}` does not exist")]
    NotFound {
        /// The name.
        name: String,
    },
    /// The snapshot has no collection of this name.
    #[error("snapshot `{snapshot}` has no collection `{collection}`")]
    NoCollection {
        /// The snapshot.
        snapshot: String,
        /// The collection.
        collection: String,
    },
    /// No snapshot is old enough, or there is none at all.
    #[error("there is no snapshot to begin with{}", .until.as_ref().map(|until| format!(" for {}", describe(until))).unwrap_or_default())]
    NoSnapshot {
        /// What was asked for.
        until: Option<Until>,
    },
    /// No snapshot was named, and one that cannot be read may be the one that is meant: of the newest moment, say. Nothing but a name decides.
    #[error("snapshot `{name}` cannot be read and may be the one that is meant ({reason}); name the one to take{}", others(.readable.as_deref()))]
    Undecided {
        /// The one that cannot be read.
        name: String,
        /// What is wrong with it.
        reason: String,
        /// The one that would be taken if it were not there, if there is such a one.
        readable: Option<String>,
    },
    /// An object is not what was uploaded.
    #[error("{object} is damaged: {reason}")]
    Damaged {
        /// The object.
        object: String,
        /// What is wrong.
        reason: String,
    },
    /// An object that a snapshot names is not there.
    #[error("{object} is missing")]
    Missing {
        /// The object.
        object: String,
    },
    /// A part of the log that a restore needs was never archived, or was removed.
    #[error("the archived log lacks the writes {from} to {to}")]
    MissingLog {
        /// The position of the first write that is missing.
        from: u64,
        /// That of the last one.
        to: u64,
    },
    /// The archived log ends before the moment that was asked for.
    #[error("the archived log ends at position {position}, before {}", describe(.until))]
    NotReached {
        /// The position of the last write that is archived.
        position: u64,
        /// What was asked for.
        until: Until,
    },
    /// Two histories of one lineage write to one place: a directory was copied, or put back to an older state, by other means
    /// than a restore. Nothing of the second is put there, since nobody could tell later which is which: give it a place of its
    /// own, or restore it into a new directory.
    #[error("{object} is there with another content: two histories of one lineage write to this place")]
    Diverged {
        /// The object.
        object: String,
    },
    /// Somebody else is at work: a garbage collection must not run beside a snapshot.
    #[error("{what} is under way; try again when it is done, or in an hour if its process died")]
    Busy {
        /// Who.
        what: String,
    },
    /// The snapshot took no step for so long that a garbage collection took it for dead. Take it again.
    #[error("snapshot `{name}` was given up by a garbage collection; take it again")]
    GivenUp {
        /// The name.
        name: String,
    },
    /// A local file could not be read or written.
    #[error("{file}: {source}")]
    File {
        /// Its name.
        file: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The progress callback ended the work.
    #[error("cancelled")]
    Cancelled,
}

/// What there is beside a snapshot that cannot be read, in words.
fn others(readable: Option<&str>) -> String {
    match readable {
        Some(name) => format!(": of those that can be read it would be `{name}`"),
        None => "; of those that can be read none will do".to_owned(),
    }
}

/// A moment in words.
pub(crate) fn describe(until: &Until) -> String {
    match until {
        Until::Position(position) => format!("position {position}"),
        Until::TimeUs(time_us) => crate::manifest::time_text(*time_us),
        Until::Write { collection, seq } => format!("write {seq} of collection `{collection}`"),
        _ => "the end of the log".into(),
    }
}
