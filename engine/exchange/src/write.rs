//! The writers of both formats, as one.
//!
//! **Memory.** An Arrow file is written batch by batch. Parquet keeps a group of rows, encoded, until it is written: it ends when it
//! has [`ROW_GROUP_BYTES`], whatever the number of its rows.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufWriter;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use arrow_schema::{Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression as Codec, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use ragstone::VectorKind;

use crate::error::{Error, Result};
use crate::format::{Compression, Format};
use crate::layout::{Column, Role};
use crate::{metadata, types};

/// Bytes of a Parquet file's group of rows, which is in memory until it is written.
const ROW_GROUP_BYTES: usize = 32 << 20;

/// Writes batches.
pub(crate) enum Writer {
    Arrow(Box<FileWriter<BufWriter<File>>>),
    Parquet(Box<ArrowWriter<File>>),
}

/// What a file begins with.
pub(crate) struct Head<'a> {
    pub(crate) columns: &'a [Column],
    /// The text of the collection's schema.
    pub(crate) text: String,
}

impl Head<'_> {
    /// The schema of the batches.
    pub(crate) fn schema(&self) -> SchemaRef {
        let ids = self.columns.iter().filter(|column| matches!(column.role, Role::NumberId | Role::TextId));
        let is_only_id = ids.count() == 1;
        let fields: Vec<_> = self.columns.iter().map(|column| types::field(column, is_only_id)).collect();
        let text = HashMap::from([(metadata::KEY.to_owned(), self.text.clone())]);
        Arc::new(Schema::new_with_metadata(fields, text))
    }
}

/// The format, with a compression that it knows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Arrow(Option<CompressionType>),
    Parquet(Codec),
}

impl Kind {
    pub(crate) fn of(format: Format, compression: Compression) -> Result<Self> {
        Ok(match (format, compression) {
            (Format::Arrow, Compression::Usual | Compression::None) => Self::Arrow(None),
            (Format::Arrow, Compression::Zstd) => Self::Arrow(Some(CompressionType::ZSTD)),
            (Format::Arrow, Compression::Lz4) => Self::Arrow(Some(CompressionType::LZ4_FRAME)),
            (Format::Arrow, Compression::Snappy) => {
                return Err(Error::option("compression", "Arrow files know zstd and lz4, not snappy"));
            }
            (Format::Parquet, Compression::Usual | Compression::Zstd) => {
                Self::Parquet(Codec::ZSTD(ZstdLevel::default()))
            }
            (Format::Parquet, Compression::None) => Self::Parquet(Codec::UNCOMPRESSED),
            (Format::Parquet, Compression::Lz4) => Self::Parquet(Codec::LZ4_RAW),
            (Format::Parquet, Compression::Snappy) => Self::Parquet(Codec::SNAPPY),
        })
    }
}

/// An error of the writers, most often one of the file.
fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> std::io::Error {
    std::io::Error::other(error)
}

impl Writer {
    pub(crate) fn begin(file: File, kind: Kind, head: &Head<'_>) -> std::io::Result<Self> {
        match kind {
            Kind::Arrow(compression) => {
                let options = IpcWriteOptions::default().try_with_compression(compression).map_err(failed)?;
                let file = BufWriter::with_capacity(1 << 20, file);
                let writer = FileWriter::try_new_with_options(file, &head.schema(), options);
                Ok(Self::Arrow(Box::new(writer.map_err(failed)?)))
            }
            Kind::Parquet(codec) => {
                // The text stands in the key-value metadata, where tools look; that of the Arrow schema would be a second one.
                let schema = without_metadata(&head.schema());
                let writer = ArrowWriter::try_new(file, schema, Some(properties(codec, head)));
                Ok(Self::Parquet(Box::new(writer.map_err(failed)?)))
            }
        }
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> std::io::Result<()> {
        match self {
            Self::Arrow(writer) => writer.write(batch).map_err(failed),
            Self::Parquet(writer) => {
                let columns = batch.columns().to_vec();
                let batch =
                    RecordBatch::try_new(without_metadata(batch.schema_ref()), columns).map_err(failed)?;
                writer.write(&batch).map_err(failed)?;
                let held = writer.memory_size().max(writer.in_progress_size());
                if held < ROW_GROUP_BYTES { Ok(()) } else { writer.flush().map_err(failed) }
            }
        }
    }

    /// Ends the file, which is not synced yet.
    pub(crate) fn finish(self, rows: u64) -> std::io::Result<()> {
        match self {
            Self::Arrow(mut writer) => {
                writer.write_metadata(metadata::ROWS_KEY, rows.to_string());
                writer.finish().map_err(failed)?;
                let buffered = writer.into_inner().map_err(failed)?;
                buffered.into_inner().map(drop).map_err(std::io::IntoInnerError::into_error)
            }
            Self::Parquet(writer) => writer.close().map(drop).map_err(failed),
        }
    }
}

fn without_metadata(schema: &Schema) -> SchemaRef {
    Arc::new(Schema::new(schema.fields().clone()))
}

fn properties(codec: Codec, head: &Head<'_>) -> WriterProperties {
    let text = KeyValue::new(metadata::KEY.to_owned(), head.text.clone());
    let mut builder =
        WriterProperties::builder().set_compression(codec).set_key_value_metadata(Some(vec![text]));
    // Components hardly repeat and do not get smaller: a dictionary and a codec would cost time, and least and greatest say nothing.
    for column in head.columns {
        let path = match &column.role {
            Role::Vector(_, VectorKind::Dense(_)) => vec!["list", "element"],
            Role::Vector(_, VectorKind::Multi(_)) => vec!["list", "element", "list", "element"],
            Role::Vector(..) => vec!["values", "list", "element"],
            _ => continue,
        };
        // The name is one part of the path, dots and all.
        let parts = std::iter::once(column.name.as_str()).chain(path).map(str::to_owned);
        let path = ColumnPath::new(parts.collect());
        builder = builder
            .set_column_compression(path.clone(), Codec::UNCOMPRESSED)
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_statistics_enabled(path, EnabledStatistics::None);
    }
    builder.build()
}
