//! The arguments of `ragstone export` and `ragstone import`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ragstone_exchange::{Compression, Format};

use super::collection::MetricName;
use super::conditions::Conditions;

const EXPORT_EXAMPLES: &str = "\
Without a filter all rows are written, those of every tenant. If the collection has a tenant key, a filter names the tenant, or says `all tenants`.
Examples:
  ragstone export notes notes.parquet                              rows, vectors, fields and schema
  ragstone export notes new.arrow --filter 'year >= 2025'          some of the rows
  ragstone export chats acme.parquet --where customer=acme         of a tenant
  ragstone --url http://127.0.0.1:6733 export notes notes.parquet  from a server, page by page";

#[derive(Debug, Args)]
#[command(after_help = EXPORT_EXAMPLES)]
pub(crate) struct ExportArgs {
    /// The collection.
    pub(crate) collection: String,
    /// The file: .arrow, .feather or .ipc for Arrow, .parquet for Parquet. It appears when all of it is written.
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) how: ExportHow,
}

/// How a collection is written to a file, here or by a server.
#[derive(Debug, Args)]
pub(crate) struct ExportHow {
    /// The format, where the file's name does not say it.
    #[arg(long, value_enum)]
    pub(crate) format: Option<FormatName>,
    /// How the file is compressed: by default Parquet with zstd, Arrow not at all.
    #[arg(long, value_enum)]
    pub(crate) compression: Option<CompressionName>,
    #[command(flatten)]
    pub(crate) conditions: Conditions,
    /// The name of the column with the ids.
    #[arg(long, value_name = "COLUMN", default_value = "id")]
    pub(crate) id: String,
    /// The name of the column with the default vector.
    #[arg(long, value_name = "COLUMN", default_value = "vector")]
    pub(crate) vector: String,
    /// Replace an existing file.
    #[arg(long)]
    pub(crate) overwrite: bool,
}

const IMPORT_EXAMPLES: &str = "\
A collection that does not exist is made: with the schema that an export keeps in its file, or else by the types of the columns.
A row replaces the one with the same id, so after an interruption you can run the import again.
Examples:
  ragstone import notes.parquet notes
  ragstone import papers.parquet papers --id doi --vector embedding --metric dot
  ragstone import rows.arrow rows --number-rows --columns embedding,title";

#[derive(Debug, Args)]
#[command(after_help = IMPORT_EXAMPLES)]
pub(crate) struct ImportArgs {
    /// The file: .arrow, .feather or .ipc for Arrow, .parquet for Parquet.
    pub(crate) file: PathBuf,
    /// The collection; made if it is not there.
    pub(crate) collection: String,
    #[command(flatten)]
    pub(crate) how: ImportHow,
}

/// How the rows of a file are read, here or by a server.
#[derive(Debug, Args)]
pub(crate) struct ImportHow {
    /// The format, where the file's name does not say it.
    #[arg(long, value_enum)]
    pub(crate) format: Option<FormatName>,
    /// The column with the ids, integers or strings: by default `id`, or what the export called it.
    #[arg(long, value_name = "COLUMN", conflicts_with = "number_rows")]
    pub(crate) id: Option<String>,
    /// Number the rows from 0 on: they have no ids.
    #[arg(long)]
    pub(crate) number_rows: bool,
    /// The column with the default vector: by default `vector`, or what the export called it.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) vector: Option<String>,
    /// The column with the moments when rows expire: by default what the export called it, of other files none.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) expires_at: Option<String>,
    /// Only these columns and that of the ids; may be repeated, or given as A,B.
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub(crate) columns: Vec<String>,
    /// All columns except these; may be repeated, or given as A,B.
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub(crate) except: Vec<String>,
    /// The metric of a collection that is made; cosine by default. An export names its own.
    #[arg(long, value_enum)]
    pub(crate) metric: Option<MetricName>,
    /// Rows of one atomic write, unless they are large.
    #[arg(long, value_name = "N", default_value_t = 4_096)]
    pub(crate) batch: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum FormatName {
    /// Arrow IPC, also called Feather.
    Arrow,
    /// Apache Parquet.
    Parquet,
}

impl From<FormatName> for Format {
    fn from(value: FormatName) -> Self {
        match value {
            FormatName::Arrow => Format::Arrow,
            FormatName::Parquet => Format::Parquet,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum CompressionName {
    /// Not at all.
    None,
    /// Zstandard.
    Zstd,
    /// LZ4.
    Lz4,
    /// Snappy, of Parquet alone.
    Snappy,
}

impl From<CompressionName> for Compression {
    fn from(value: CompressionName) -> Self {
        match value {
            CompressionName::None => Compression::None,
            CompressionName::Zstd => Compression::Zstd,
            CompressionName::Lz4 => Compression::Lz4,
            CompressionName::Snappy => Compression::Snappy,
        }
    }
}
