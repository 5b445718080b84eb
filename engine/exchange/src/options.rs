//! What can be set of an export and an import.

use ragstone::{Filter, Metric};

use crate::error::{Error, Result};
use crate::format::{Compression, Format};

/// Rows of a batch at most.
pub const BATCH_ROWS_MAX: usize = 100_000;
/// Bytes of a batch at most, as memory holds its rows.
pub const BATCH_BYTES_MAX: usize = 128 << 20;
/// Bytes of a stream that are read ahead at most, and one batch more, for a list that says how long a column's lists are.
pub const AHEAD_BYTES_MAX: usize = 128 << 20;

/// How much is in memory at once: a batch ends with whichever is reached first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSize {
    /// Rows, 1 to [`BATCH_ROWS_MAX`].
    pub rows: usize,
    /// Bytes, 1 to [`BATCH_BYTES_MAX`]; one row may have more.
    pub bytes: usize,
}

impl Default for BatchSize {
    fn default() -> Self {
        Self { rows: 4_096, bytes: 8 << 20 }
    }
}

impl BatchSize {
    pub(crate) fn check(self) -> Result<Self> {
        let within = |option, value: usize, max: usize| match value {
            0 => Err(Error::option(option, "a batch has at least one")),
            value if value > max => Err(Error::option(option, format!("{value} is beyond the limit {max}"))),
            _ => Ok(()),
        };
        within("batch.rows", self.rows, BATCH_ROWS_MAX)?;
        within("batch.bytes", self.bytes, BATCH_BYTES_MAX)?;
        Ok(self)
    }
}

/// The names of the columns that are no fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnNames {
    /// Of the ids.
    pub id: String,
    /// Of the default vector.
    pub vector: String,
}

impl Default for ColumnNames {
    fn default() -> Self {
        Self { id: "id".to_owned(), vector: "vector".to_owned() }
    }
}

/// How a collection becomes a file.
#[derive(Clone, Debug, Default)]
pub struct ExportOptions {
    /// The format; by default what the file's name says.
    pub format: Option<Format>,
    /// How it is compressed.
    pub compression: Compression,
    /// Only rows that pass; all by default, of every tenant. Of a collection with a tenant key a filter says whose rows it means, or that it means
    /// [all tenants](Filter::AllTenants), as that of any read does.
    pub filter: Option<Filter>,
    /// The names of the columns that are no fields.
    pub names: ColumnNames,
    /// How much is in memory at once.
    pub batch: BatchSize,
    /// Replace a file that is there.
    pub overwrite: bool,
}

/// How a file becomes rows of a collection.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// The format; by default what the file's name says.
    pub format: Option<Format>,
    /// The column with the ids: strings, or integers from 0 on. By default what an export called it, or `id`.
    pub id: Option<String>,
    /// Number the rows, from 0 on, instead: files of others often have no ids.
    pub number_rows: bool,
    /// The column with the default vector. By default what an export called it, or `vector`.
    pub vector: Option<String>,
    /// The column with the moments when rows expire. By default what an export called it, and in files of others none, whatever it is
    /// called: rows would vanish that nobody meant to.
    pub expires_at: Option<String>,
    /// Only these columns, and that of the ids; all by default.
    pub columns: Option<Vec<String>>,
    /// All columns but these.
    pub except: Vec<String>,
    /// How near two vectors are, in a collection that the import makes of a file without a schema of its own; cosine by default.
    pub metric: Option<Metric>,
    /// How many rows are one atomic write.
    pub batch: BatchSize,
}
