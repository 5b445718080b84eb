//! What can go wrong, each kind apart: misuse, limits, absence, corruption and I/O.

use std::path::PathBuf;

use crate::dir::is_unreadable;
use crate::payload::FieldType;
use crate::point::{Expect, PointId};
use crate::verify::{Damage, OnDamage};

/// The result of an engine operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed. Nothing of a failed write is stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument is not acceptable, whatever the store holds.
    #[error("{field}: {reason}")]
    Invalid {
        /// The argument, as a path: `points[3].vector`.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An argument is beyond a named limit of [`limits`](crate::limits).
    #[error("{field}: {actual} is beyond the limit {limit} = {max}")]
    Limit {
        /// The argument, as a path.
        field: String,
        /// The limit's name.
        limit: &'static str,
        /// The largest value allowed.
        max: u64,
        /// The value given.
        actual: u64,
    },
    /// The token of the handle was cancelled ([`Db::cancelled_by`](crate::Db::cancelled_by)) before the operation was done.
    #[error("cancelled")]
    Cancelled,
    /// No collection has this name.
    #[error("collection `{name}` does not exist")]
    CollectionNotFound {
        /// The name asked for.
        name: String,
    },
    /// A collection of this name exists already.
    #[error("collection `{name}` exists already")]
    CollectionExists {
        /// The name asked for.
        name: String,
    },
    /// The name is an alias already, and a collection cannot have it too.
    #[error("`{alias}` is an alias of collection `{collection}`")]
    AliasExists {
        /// The name asked for.
        alias: String,
        /// The collection that it names.
        collection: String,
    },
    /// No collection has this alias.
    #[error("alias `{alias}` does not exist")]
    AliasNotFound {
        /// The name asked for.
        alias: String,
    },
    /// A collection cannot be deleted while an alias names it: whoever asks for the alias would find nothing.
    #[error("collection `{name}` has the alias `{alias}`: point it at another collection or delete it first")]
    CollectionAliased {
        /// The collection.
        name: String,
        /// One of its aliases.
        alias: String,
    },
    /// Another collection took the place of this one while the call was under way ([`Replacement`](crate::Replacement)):
    /// nothing of it was written. Ask for the collection once more, and repeat what was to be done.
    #[error("collection `{name}` was replaced meanwhile: ask for it once more, and repeat the call")]
    CollectionReplaced {
        /// The name.
        name: String,
    },
    /// A collection is being replaced already, or is not.
    #[error("collection `{name}` {}", if *is_under_way { "is being replaced already" } else { "is not being replaced" })]
    Replacement {
        /// The collection.
        name: String,
        /// Whether a replacement is under way.
        is_under_way: bool,
    },
    /// An attribute is not what it was expected to be ([`Db::set_attribute_if`](crate::Db::set_attribute_if)): it stays as it is.
    #[error("attribute `{key}` is expected {expected}, and {}", actual_revision(*actual))]
    AttributeChanged {
        /// The key.
        key: String,
        /// What was expected of it.
        expected: Expect,
        /// Its revision; `None` if there is none.
        actual: Option<u64>,
    },
    /// A filter or a strict write names a field that the collection does not have; or a write through a handle that shows some rows alone
    /// ([`Db::within`](crate::Db::within)), which brings none.
    #[error("{field}: the collection has no such payload field")]
    UnknownField {
        /// The field, as a path in the request.
        field: String,
    },
    /// A value or a filter is of another type than the field.
    #[error("{field}: the field is {expected}, the value is {actual}")]
    FieldType {
        /// The field, as a path in the request.
        field: String,
        /// The type that the collection has for the field.
        expected: FieldType,
        /// The type given.
        actual: FieldType,
    },
    /// A [precondition](crate::Precondition) of a batch does not hold: nothing of it was written.
    #[error("{field}: row `{id}` is expected {expected}, and {}", actual_of(*actual))]
    Precondition {
        /// The precondition, as `preconditions[2]`.
        field: String,
        /// The row.
        id: PointId,
        /// What was expected of it.
        expected: Expect,
        /// Its etag; `None` if there is no such row.
        actual: Option<u64>,
    },
    /// The handle does not show, or may not write, what this is about ([`Db::within`](crate::Db::within)).
    #[error("{field}: it is outside of what may be seen or written here")]
    OutOfScope {
        /// What it is about: `points[3]`, or a collection.
        field: String,
    },
    /// Another process, or another [`Db`](crate::Db) of this one, has the directory open: one may write in it, or any
    /// number may read.
    #[error("{} is in use: another process or another Db has it open for {holder}", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
        /// What it is open for.
        holder: LockHolder,
    },
    /// The database was opened for reading only.
    #[error("{} is open for reading only", path.display())]
    ReadOnly {
        /// The directory.
        path: PathBuf,
    },
    /// A stored row does not fit the type that it is read into.
    #[error("row `{id}` does not fit the type: {field}: {reason}")]
    Row {
        /// The row.
        id: PointId,
        /// The field; `row` where it is none in particular.
        field: String,
        /// What does not fit.
        reason: String,
    },
    /// A snapshot is being restored into the directory, or was and did not come to its end: restore it again.
    #[error("{} is not restored to the end: restore it again, into this or an empty directory", path.display())]
    Restoring {
        /// The directory.
        path: PathBuf,
    },
    /// Bytes on disk are not what was written.
    #[error("{} is damaged at byte {offset}: {reason}", file.display())]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// The first byte of the record or block that is wrong.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// The operating system refused an operation.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried: `write`, `sync`, `open` …
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// An earlier write or sync failed, so that the log's tail is uncertain; reopen the database.
    #[error("the store accepts no writes since an earlier failure ({cause}); reopen it")]
    Poisoned {
        /// The failure.
        cause: String,
    },
}

/// What a directory that is [`Error::Locked`] is open for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockHolder {
    /// Writing, so that nobody else can open it.
    Writer,
    /// Reading, so that others can read but not write.
    Reader,
}

impl std::fmt::Display for LockHolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            LockHolder::Writer => "writing",
            LockHolder::Reader => "reading",
        })
    }
}

fn actual_of(etag: Option<u64>) -> String {
    etag.map_or_else(|| "is absent".to_owned(), |etag| format!("has the etag {etag}"))
}

fn actual_revision(revision: Option<u64>) -> String {
    revision.map_or_else(|| "is absent".to_owned(), |revision| format!("has the revision {revision}"))
}

impl Error {
    /// An [`Error::Invalid`].
    pub(crate) fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Error::Invalid { field: field.into(), reason: reason.into() }
    }

    /// The error of an argument that has another name in the call.
    pub(crate) fn renamed(mut self, from: &str, to: &str) -> Self {
        if let Error::Invalid { field, .. } | Error::Limit { field, .. } = &mut self
            && field == from
        {
            *field = to.to_owned();
        }
        self
    }

    /// The damage that an error tells of, if that is to be borne; a file that is missing, or that the disk cannot read, is damage, too.
    /// Otherwise the error.
    pub(crate) fn into_damage(self, on_damage: OnDamage) -> Result<Damage> {
        let is_unreadable = self.is_unreadable();
        match self {
            Error::Corrupt { file, offset, reason } if on_damage == OnDamage::Isolate => {
                Ok(Damage { file, offset, reason })
            }
            Error::Io { path, source, .. }
                if on_damage == OnDamage::Isolate && source.kind() == std::io::ErrorKind::NotFound =>
            {
                Ok(Damage { file: path, offset: 0, reason: "the file is missing".into() })
            }
            Error::Io { path, source, .. } if on_damage == OnDamage::Isolate && is_unreadable => {
                Ok(Damage { file: path, offset: 0, reason: format!("the file cannot be read: {source}") })
            }
            error => Err(error),
        }
    }

    /// Whether the disk cannot read a file.
    pub(crate) fn is_unreadable(&self) -> bool {
        matches!(self, Error::Io { operation: "open" | "stat" | "read" | "map", source, .. } if is_unreadable(source))
    }

    /// Whether the disk had no room for bytes that nobody relies on yet: nothing is unknown then, and what was refused may
    /// be tried again.
    pub(crate) fn is_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, Error::Io { operation: "create" | "write", source, .. }
            if matches!(source.kind(), StorageFull | QuotaExceeded))
    }

    /// The error of an argument that is part of a larger one: its path now starts there.
    pub(crate) fn within(mut self, path: &str) -> Self {
        if let Error::Invalid { field, .. }
        | Error::Limit { field, .. }
        | Error::UnknownField { field }
        | Error::FieldType { field, .. } = &mut self
        {
            *field = format!("{path}.{field}");
        }
        self
    }
}
