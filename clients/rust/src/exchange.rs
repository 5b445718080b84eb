//! Files of a server that collections are written to and read from.

use ragstone_proto::v1;

use crate::collection::Metric;
use crate::filter::Filter;

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileFormat {
    /// Arrow IPC, also called Feather.
    Arrow,
    /// Apache Parquet.
    Parquet,
}

impl FileFormat {
    fn into_wire(self) -> v1::FileFormat {
        match self {
            FileFormat::Arrow => v1::FileFormat::Arrow,
            FileFormat::Parquet => v1::FileFormat::Parquet,
        }
    }
}

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileCompression {
    /// Not at all.
    None,
    /// Zstandard.
    Zstd,
    /// LZ4.
    Lz4,
    /// Snappy, of Parquet alone.
    Snappy,
}

impl FileCompression {
    fn into_wire(self) -> v1::FileCompression {
        match self {
            FileCompression::None => v1::FileCompression::None,
            FileCompression::Zstd => v1::FileCompression::Zstd,
            FileCompression::Lz4 => v1::FileCompression::Lz4,
            FileCompression::Snappy => v1::FileCompression::Snappy,
        }
    }
}

/// A collection to write to a file of the server: all of it, of every tenant, unless a filter says what.
///
/// ```
/// use ragstone_client::{ExportCollection, FileCompression, Filter};
///
/// let recent = ExportCollection::new("papers", "recent.parquet")
///     .filter(Filter::eq("year", 2026))
///     .compression(FileCompression::Lz4)
///     .id_column("doi")
///     .overwrite();
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ExportCollection(v1::ExportCollectionRequest);

impl ExportCollection {
    /// To a file, by its name in the server's folder, where none may be yet: `.arrow`, `.feather` or `.ipc` for Arrow, `.parquet` for Parquet.
    pub fn new(collection: impl Into<String>, file: impl Into<String>) -> Self {
        let (collection, file) = (collection.into(), file.into());
        Self(v1::ExportCollectionRequest { collection, file, ..Default::default() })
    }

    /// Only points that pass. Of a collection with a tenant key a filter says whose points it means, or [all](Filter::AllTenants), as that
    /// of any read does.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.0.filter = Some(filter.into_wire());
        self
    }

    /// In place of a file that is there.
    #[must_use]
    pub fn overwrite(mut self) -> Self {
        self.0.overwrite = true;
        self
    }

    /// In this format, where the file's name does not say it.
    #[must_use]
    pub fn format(mut self, format: FileFormat) -> Self {
        self.0.format = format.into_wire().into();
        self
    }

    /// Compressed so; by default Parquet with Zstandard, Arrow not at all.
    #[must_use]
    pub fn compression(mut self, compression: FileCompression) -> Self {
        self.0.compression = compression.into_wire().into();
        self
    }

    /// The name of the column with the ids; `id` by default.
    #[must_use]
    pub fn id_column(mut self, column: impl Into<String>) -> Self {
        self.0.id_column = column.into();
        self
    }

    /// The name of the column with the default vector; `vector` by default.
    #[must_use]
    pub fn vector_column(mut self, column: impl Into<String>) -> Self {
        self.0.vector_column = column.into();
        self
    }

    pub(crate) fn into_wire(self) -> v1::ExportCollectionRequest {
        self.0
    }
}

/// A file of the server to read into a collection.
///
/// ```
/// use ragstone_client::{ImportCollection, Metric};
///
/// let papers = ImportCollection::new("papers.parquet", "papers")
///     .id_column("doi")
///     .vector_column("embedding")
///     .except(["abstract_html"])
///     .metric(Metric::Dot);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ImportCollection(v1::ImportCollectionRequest);

impl ImportCollection {
    /// Of a file, by its name in the server's folder, into a collection; ids and vectors in the columns that an export has them in.
    pub fn new(file: impl Into<String>, collection: impl Into<String>) -> Self {
        let (file, collection) = (file.into(), collection.into());
        Self(v1::ImportCollectionRequest { file, collection, ..Default::default() })
    }

    /// The column with the ids.
    #[must_use]
    pub fn id_column(mut self, column: impl Into<String>) -> Self {
        self.0.id_column = column.into();
        self
    }

    /// Rows have no ids: they are numbered from 0 on.
    #[must_use]
    pub fn number_rows(mut self) -> Self {
        self.0.number_rows = true;
        self
    }

    /// The column with the default vector.
    #[must_use]
    pub fn vector_column(mut self, column: impl Into<String>) -> Self {
        self.0.vector_column = column.into();
        self
    }

    /// The column with the moments when points expire: by default what the export called it, of other files none.
    #[must_use]
    pub fn expires_at_column(mut self, column: impl Into<String>) -> Self {
        self.0.expires_at_column = column.into();
        self
    }

    /// Only these columns and that of the ids; all by default.
    #[must_use]
    pub fn columns<N: Into<String>>(mut self, columns: impl IntoIterator<Item = N>) -> Self {
        self.0.columns = columns.into_iter().map(Into::into).collect();
        self
    }

    /// All columns but these.
    #[must_use]
    pub fn except<N: Into<String>>(mut self, columns: impl IntoIterator<Item = N>) -> Self {
        self.0.except_columns = columns.into_iter().map(Into::into).collect();
        self
    }

    /// How near two vectors are, in a collection that is made of a file without a schema of its own; cosine by default.
    #[must_use]
    pub fn metric(mut self, metric: Metric) -> Self {
        self.0.metric = metric.into_wire().into();
        self
    }

    /// In this format, where the file's name does not say it.
    #[must_use]
    pub fn format(mut self, format: FileFormat) -> Self {
        self.0.format = format.into_wire().into();
        self
    }

    /// So many rows are one atomic write, unless they are large: 1 to 100,000, by default 4,096.
    #[must_use]
    pub fn batch_rows(mut self, rows: u32) -> Self {
        self.0.batch_rows = Some(rows);
        self
    }

    pub(crate) fn into_wire(self) -> v1::ImportCollectionRequest {
        self.0
    }
}
