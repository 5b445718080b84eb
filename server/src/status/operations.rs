//! What operations fail with, and what changes of names and places of collections are refused with.

use ragstone_proto::v1::ErrorReason;
use tonic::{Code, Status};

use std::io::ErrorKind;

use super::{Problem, cut, engine, invalid, io, unknown};
use crate::limits::ERROR_DETAIL_BYTES_MAX;

/// A name is taken, or a collection is not to be had under it for now.
pub(super) fn names(error: ragstone::Error) -> Status {
    use ragstone::Error;
    let message = error.to_string();
    match error {
        Error::AliasExists { alias, collection } => {
            Problem::new(Code::AlreadyExists, ErrorReason::AliasExists, message)
                .with("alias", alias)
                .with("collection", collection)
                .status()
        }
        Error::AliasNotFound { alias } => {
            Problem::new(Code::NotFound, ErrorReason::AliasNotFound, message).with("alias", alias).status()
        }
        Error::CollectionAliased { name, alias } => {
            Problem::new(Code::FailedPrecondition, ErrorReason::CollectionAliased, message)
                .with("collection", name)
                .with("alias", alias)
                .status()
        }
        Error::CollectionReplaced { name } => {
            Problem::new(Code::Aborted, ErrorReason::CollectionReplaced, message)
                .with("collection", name)
                .status()
        }
        Error::Replacement { name, is_under_way } => {
            let (code, reason) = match is_under_way {
                true => (Code::AlreadyExists, ErrorReason::OperationExists),
                false => (Code::NotFound, ErrorReason::OperationNotFound),
            };
            Problem::new(code, reason, message).with("collection", name).status()
        }
        _ => unknown(message),
    }
}

/// A job was ended before its end.
pub(super) fn interrupted(message: impl Into<String>) -> Status {
    Problem::new(Code::Aborted, ErrorReason::OperationInterrupted, message).status()
}

/// The server stopped while the operation ran, and nothing goes on with it.
pub(crate) fn operation_cut_off() -> Status {
    interrupted("the server stopped while the operation was under way; begin it again")
}

/// The database was restored from a copy that was made while the operation ran, or was repaired since.
pub(crate) fn operation_copied() -> Status {
    interrupted(
        "the operation was under way when the copy was made that this database was restored from, or before its repair; begin it again if it \
         is still wanted",
    )
}

/// A job saw that it is to end.
pub(crate) fn operation_cancelled() -> Status {
    interrupted("the operation was asked to end")
}

/// No operation has this id.
pub(crate) fn operation_not_found(id: &str) -> Status {
    let message = format!("operation `{}` does not exist", cut(id.to_owned(), ERROR_DETAIL_BYTES_MAX));
    Problem::new(Code::NotFound, ErrorReason::OperationNotFound, message).with("operation", id).status()
}

/// The operation has not ended.
pub(crate) fn operation_running(id: &str) -> Status {
    let message = format!("operation `{id}` runs: cancel it first, or wait for its end");
    Problem::new(Code::FailedPrecondition, ErrorReason::OperationRunning, message)
        .with("operation", id)
        .status()
}

/// One of its kind runs on the target.
pub(crate) fn operation_exists(id: &str, target: &str) -> Status {
    let message = format!("operation `{id}` does this to `{target}` already");
    Problem::new(Code::AlreadyExists, ErrorReason::OperationExists, message).with("operation", id).status()
}

/// As many operations run as may.
pub(crate) fn too_many_operations(max: usize) -> Status {
    let message = format!("OPERATIONS_RUNNING_MAX = {max} operations run already; wait for one to end");
    Problem::new(Code::ResourceExhausted, ErrorReason::LimitExceeded, message.clone())
        .with("limit", "OPERATIONS_RUNNING_MAX")
        .with("max", max)
        .with("actual", max + 1)
        .quota("OPERATIONS_RUNNING_MAX", message)
        .status()
}

/// The server was not started with this store.
pub(crate) fn store_not_allowed(store: &str) -> Status {
    let message = match store {
        "" => "this server has no store for snapshots (--snapshot-store), or several of which one is to be named".to_owned(),
        store => format!("store `{store}` is none that this server was started with (--snapshot-store)"),
    };
    Problem::new(Code::PermissionDenied, ErrorReason::SnapshotStoreNotAllowed, message)
        .with("store", store)
        .status()
}

/// The server has no folder for exports and imports.
pub(crate) fn no_exchange_folder() -> Status {
    let message = "this server was not started with a folder for exports and imports (--exchange-dir)";
    Problem::new(Code::PermissionDenied, ErrorReason::ExchangeNotAllowed, message).status()
}

/// An export or an import failed.
pub(crate) fn exchange(error: ragstone_exchange::Error) -> Status {
    use ragstone_exchange::Error;
    let message = error.to_string();
    match error {
        Error::Engine(error) => engine(error),
        Error::Cancelled => operation_cancelled(),
        Error::Exists { .. } => Problem::new(Code::AlreadyExists, ErrorReason::FileExists, message).status(),
        Error::Io { source, .. } if source.kind() == ErrorKind::NotFound => {
            Problem::new(Code::NotFound, ErrorReason::FileNotFound, message).status()
        }
        Error::Io { source, .. } => io(source.kind(), message),
        Error::Write { source, .. } => exchange(*source),
        Error::Option { option, reason } => invalid(option, &reason),
        // What is in the file, or its name.
        _ => invalid("file", &message),
    }
}

/// A snapshot was read, and is not what was uploaded.
pub(crate) fn snapshot_damaged(message: String) -> Status {
    Problem::new(Code::DataLoss, ErrorReason::SnapshotDamaged, message).status()
}

/// A snapshot could not be taken, read or verified.
pub(crate) fn snapshot(error: ragstone_snapshot::Error) -> Status {
    use ragstone_snapshot::Error;
    let message = error.to_string();
    match error {
        Error::Engine(error) => engine(error),
        Error::Cancelled => operation_cancelled(),
        Error::Name { reason, .. } => invalid("name", reason),
        Error::NoCollection { collection, .. } => {
            Problem::new(Code::NotFound, ErrorReason::CollectionNotFound, message)
                .with("collection", collection)
                .status()
        }
        Error::NotFound { .. } | Error::NoSnapshot { .. } | Error::NotReached { .. } => {
            Problem::new(Code::NotFound, ErrorReason::SnapshotNotFound, message).status()
        }
        Error::Exists { .. } => {
            Problem::new(Code::AlreadyExists, ErrorReason::SnapshotExists, message).status()
        }
        Error::Diverged { .. } => {
            Problem::new(Code::FailedPrecondition, ErrorReason::SnapshotDiverged, message).status()
        }
        Error::Damaged { .. }
        | Error::Missing { .. }
        | Error::MissingLog { .. }
        | Error::Undecided { .. } => {
            Problem::new(Code::DataLoss, ErrorReason::SnapshotDamaged, message).status()
        }
        // Of this machine, and no failure of the store: the disk that a restore fetches to may be full.
        Error::File { source, .. } => io(source.kind(), message),
        _ => Problem::new(Code::Unavailable, ErrorReason::SnapshotStoreFailed, message).status(),
    }
}
