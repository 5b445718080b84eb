//! What is asked of exports and imports.

use ragstone_exchange::{BatchSize, ColumnNames, Compression, ExportOptions, Format, ImportOptions};
use ragstone_proto::v1;
use tonic::Status;

use super::filter::filter_in;
use super::unknown_enum;
use super::vector::metric_in;

/// How a collection is written to a file.
pub(crate) fn export_options(wire: v1::ExportCollectionRequest) -> Result<ExportOptions, Status> {
    let usual = ColumnNames::default();
    let names = ColumnNames {
        id: named(wire.id_column).unwrap_or(usual.id),
        vector: named(wire.vector_column).unwrap_or(usual.vector),
    };
    Ok(ExportOptions {
        format: format_in(wire.format)?,
        compression: compression_in(wire.compression)?,
        filter: filter_in(wire.filter)?,
        names,
        overwrite: wire.overwrite,
        ..ExportOptions::default()
    })
}

/// How the rows of a file are read.
pub(crate) fn import_options(wire: v1::ImportCollectionRequest) -> Result<ImportOptions, Status> {
    let is_metric = wire.metric != i32::from(v1::Metric::Unspecified);
    let usual = BatchSize::default();
    Ok(ImportOptions {
        format: format_in(wire.format)?,
        id: named(wire.id_column),
        number_rows: wire.number_rows,
        vector: named(wire.vector_column),
        expires_at: named(wire.expires_at_column),
        columns: Some(wire.columns).filter(|columns| !columns.is_empty()),
        except: wire.except_columns,
        metric: is_metric.then(|| metric_in(wire.metric, "metric")).transpose()?,
        batch: BatchSize { rows: wire.batch_rows.map_or(usual.rows, |rows| rows as usize), ..usual },
    })
}

/// What the wire calls an option of the library.
pub(crate) fn exchange_field(option: &'static str) -> &'static str {
    match option {
        "id" => "id_column",
        "vector" => "vector_column",
        "expires_at" => "expires_at_column",
        "except" => "except_columns",
        "batch.rows" => "batch_rows",
        "path" => "file",
        option => option,
    }
}

fn named(name: String) -> Option<String> {
    Some(name).filter(|name| !name.is_empty())
}

fn format_in(wire: i32) -> Result<Option<Format>, Status> {
    match v1::FileFormat::try_from(wire) {
        Ok(v1::FileFormat::Unspecified) => Ok(None),
        Ok(v1::FileFormat::Arrow) => Ok(Some(Format::Arrow)),
        Ok(v1::FileFormat::Parquet) => Ok(Some(Format::Parquet)),
        Err(_) => Err(unknown_enum("format", wire)),
    }
}

fn compression_in(wire: i32) -> Result<Compression, Status> {
    match v1::FileCompression::try_from(wire) {
        Ok(v1::FileCompression::Unspecified) => Ok(Compression::Usual),
        Ok(v1::FileCompression::None) => Ok(Compression::None),
        Ok(v1::FileCompression::Zstd) => Ok(Compression::Zstd),
        Ok(v1::FileCompression::Lz4) => Ok(Compression::Lz4),
        Ok(v1::FileCompression::Snappy) => Ok(Compression::Snappy),
        Err(_) => Err(unknown_enum("compression", wire)),
    }
}
