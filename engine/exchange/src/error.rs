//! What can go wrong between a collection and a file.

use std::path::{Path, PathBuf};

/// The result of an export or an import.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an export or an import failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database failed, or does not take what it was given.
    #[error(transparent)]
    Engine(#[from] ragstone::Error),
    /// What rows come from, or go to, failed.
    #[error(transparent)]
    Rows(Box<dyn std::error::Error + Send + Sync>),
    /// The system refused an operation on a file.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried: `open`, `write`, `sync` …
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// An option makes no sense, or not with this file.
    #[error("{option}: {reason}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The file is no Arrow or Parquet file, or a damaged one.
    #[error("{} cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong, in the words of the format's reader.
        reason: String,
    },
    /// There is such a file already.
    #[error("{} exists already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Columns of the file that the collection has no place for. Nothing was imported.
    #[error("{}: {}", path.display(), columns.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Columns {
        /// The file.
        path: PathBuf,
        /// Each of them.
        columns: Vec<RefusedColumn>,
    },
    /// A row of the file is not acceptable. Rows of the batches before it are in, and stay: importing the file again, once it
    /// is mended, replaces them by themselves.
    #[error("{}, row {row}{}: {reason} ({imported} rows are in)", path.display(), in_column(column))]
    Row {
        /// The file.
        path: PathBuf,
        /// The row, from 1.
        row: u64,
        /// The column, where it is one in particular.
        column: Option<String>,
        /// What is wrong.
        reason: String,
        /// Rows that the import wrote before.
        imported: u64,
    },
    /// Rows could not be written, for a reason that is not theirs. Those of the batches before are in, and stay.
    #[error("{source} ({imported} rows are in)")]
    Write {
        /// Why.
        source: Box<Error>,
        /// Rows that the import wrote before.
        imported: u64,
    },
    /// The progress callback ended the work. An export leaves no file; of an import, what was written stays.
    #[error("cancelled")]
    Cancelled,
}

/// A column that cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedColumn {
    /// Its name.
    pub column: String,
    /// Its type, as Arrow names it.
    pub data_type: String,
    /// Why not.
    pub reason: String,
}

impl std::fmt::Display for RefusedColumn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "column `{}` of type {}: {}", self.column, self.data_type, self.reason)
    }
}

fn in_column(column: &Option<String>) -> String {
    column.as_ref().map_or(String::new(), |column| format!(", column `{column}`"))
}

impl Error {
    /// An [`Error::Rows`].
    pub fn rows(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Rows(error.into())
    }

    pub(crate) fn option(option: &'static str, reason: impl Into<String>) -> Self {
        Self::Option { option, reason: reason.into() }
    }

    pub(crate) fn io(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { operation, path, source }
    }

    pub(crate) fn unreadable(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self::Unreadable { path: path.to_owned(), reason: reason.to_string() }
    }
}
