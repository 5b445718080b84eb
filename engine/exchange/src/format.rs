//! Which kind of file it is.

use std::path::Path;

use crate::error::{Error, Result};

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Arrow IPC: a file, which is also called Feather, version 2; imports read a stream, too.
    Arrow,
    /// Apache Parquet.
    Parquet,
}

/// How a file is compressed. Components of vectors are not, as they do not get smaller, but in Arrow files, whose batches are
/// compressed as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Zstandard in Parquet, nothing in Arrow, which so can be mapped.
    #[default]
    Usual,
    /// Nothing.
    None,
    /// Zstandard.
    Zstd,
    /// LZ4.
    Lz4,
    /// Snappy; of Parquet alone.
    Snappy,
}

impl Format {
    /// The format that a file's name says: `.arrow`, `.feather`, `.ipc`, `.arrows` or `.parquet`, `.pq`.
    ///
    /// ```
    /// use ragstone_exchange::Format;
    ///
    /// assert_eq!(Format::of("notes.parquet".as_ref())?, Format::Parquet);
    /// assert!(Format::of("notes.csv".as_ref()).is_err());
    /// # Ok::<(), ragstone_exchange::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Option`], naming `format`, for any other name.
    pub fn of(path: &Path) -> Result<Format> {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        match extension.to_ascii_lowercase().as_str() {
            "arrow" | "feather" | "ipc" | "arrows" => Ok(Format::Arrow),
            "parquet" | "pq" => Ok(Format::Parquet),
            _ => {
                let name = path.display();
                let reason =
                    format!("{name} ends in none of .arrow, .feather, .ipc and .parquet: say what it is");
                Err(Error::option("format", reason))
            }
        }
    }
}
