//! The readers of both formats, as one.
//!
//! A file comes from anybody. What its reader says of a damaged one is an error here; where it panics instead, which happens, the panic
//! is caught and is an error, too.
//!
//! **Memory.** Of Parquet a page of each column is in memory, with its texts as they are in it (`texts.rs`), of Arrow a batch as it is in the
//! file, or a part of a large one (`sliced.rs`).

mod blocks;
mod json;
mod moments;
mod sliced;
mod texts;

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::SchemaRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::basic::Type as PhysicalType;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};

use crate::error::{Error, Result};
use crate::format::Format;
use crate::metadata;

/// Rows that are read at once from Parquet, unless they are large.
const ROWS_AT_ONCE: u64 = 4_096;
/// Bytes that are read at once from Parquet, about.
const BYTES_AT_ONCE: u64 = 8 << 20;

/// Bytes of an Arrow file's batch that is read in parts.
const LARGE_BYTES: u64 = 32 << 20;

/// What a reader gives, or what is wrong in its words.
type Tried<T> = Result<T, String>;

/// A file whose columns are known.
#[derive(Debug)]
pub(crate) struct Opened {
    path: PathBuf,
    kind: Kind,
    pub(crate) schema: SchemaRef,
    /// The text of the schema of the collection that it is an export of.
    pub(crate) text: Option<String>,
    /// Rows, where the file says it.
    pub(crate) rows: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    ArrowFile,
    ArrowStream,
    Parquet,
}

/// The batches of a file.
pub(crate) struct Batches {
    path: PathBuf,
    /// None once it failed.
    batches: Option<Inner>,
}

type Inner = Box<dyn Iterator<Item = Result<RecordBatch, String>> + Send>;

impl Opened {
    /// Reads what stands at the beginning and the end of a file.
    pub(crate) fn open(path: &Path, format: Format) -> Result<Self> {
        let kind = match format {
            Format::Parquet => Kind::Parquet,
            Format::Arrow if is_stream(path)? => Kind::ArrowStream,
            Format::Arrow => Kind::ArrowFile,
        };
        let mut file = open(path)?;
        let (schema, text, rows) = guarded(path, || match kind {
            Kind::ArrowFile => {
                blocks::check_file(&mut file)?;
                let reader = FileReader::try_new(BufReader::new(file), None).map_err(told)?;
                let rows =
                    reader.custom_metadata().get(metadata::ROWS_KEY).and_then(|rows| rows.parse().ok());
                Ok((reader.schema(), None, rows))
            }
            Kind::ArrowStream => {
                blocks::check_stream(&mut file)?;
                file.rewind().map_err(told)?;
                let reader = StreamReader::try_new(BufReader::new(file), None).map_err(told)?;
                Ok((reader.schema(), None, None))
            }
            Kind::Parquet => {
                let read = ArrowReaderMetadata::load(&file, Default::default()).map_err(told)?;
                let about = read.metadata().file_metadata();
                let pairs = about.key_value_metadata().into_iter().flatten();
                let text = pairs.filter(|pair| pair.key == metadata::KEY).find_map(|pair| pair.value.clone());
                Ok((json::named(&read), text, u64::try_from(about.num_rows()).ok()))
            }
        })?;
        let text = text.or_else(|| schema.metadata().get(metadata::KEY).map(|text| text.to_string()));
        Ok(Self { path: path.to_owned(), kind, schema, text, rows })
    }

    /// The batches, with these of its columns, which are in ascending order.
    pub(crate) fn batches(&self, columns: &[usize]) -> Result<Batches> {
        let file = open(&self.path)?;
        let kind = self.kind;
        let columns = columns.to_vec();
        let batches = guarded(&self.path, move || -> Result<Inner, String> {
            Ok(match kind {
                Kind::ArrowFile => {
                    if let Some(parts) =
                        sliced::Sliced::open(file.try_clone().map_err(told)?, &columns, LARGE_BYTES)?
                    {
                        return Ok(Box::new(parts));
                    }
                    let reader = FileReader::try_new(BufReader::new(file), Some(columns)).map_err(told)?;
                    Box::new(reader.map(|batch| batch.map_err(told)))
                }
                Kind::ArrowStream => {
                    let reader = StreamReader::try_new(BufReader::new(file), Some(columns)).map_err(told)?;
                    Box::new(reader.map(|batch| batch.map_err(told)))
                }
                Kind::Parquet => {
                    let read = ArrowReaderMetadata::load(&file, Default::default()).map_err(told)?;
                    let read = moments::in_microseconds(texts::as_views(read))?;
                    let unchecked = texts::unchecked(&read, &columns);
                    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, read);
                    let mask = ProjectionMask::roots(builder.parquet_schema(), columns);
                    let groups = builder.metadata().row_groups();
                    let size =
                        rows_at_once(groups.iter().map(|group| (value_bytes(group), group.num_rows())));
                    let builder = builder.with_projection(mask).with_batch_size(size as usize);
                    let batches = builder.build().map_err(told)?;
                    Box::new(batches.map(move |batch| texts::checked(batch.map_err(told)?, &unchecked)))
                }
            })
        })?;
        Ok(Batches { path: self.path.clone(), batches: Some(batches) })
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Result<RecordBatch>> {
        // After an error there is nothing more: a reader that panicked is in no state to go on.
        let mut batches = self.batches.take()?;
        match guarded(&self.path, || batches.next().transpose()).transpose()? {
            Ok(batch) => {
                self.batches = Some(batches);
                Some(Ok(batch))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

/// Rows that are read at once from a file of such groups, each its bytes and its rows: as few as the group with the largest rows asks for, and not as the mean
/// of all does. Of two thousand long texts behind a million of short ones, all would be in memory together.
fn rows_at_once(groups: impl Iterator<Item = (i64, i64)>) -> u64 {
    let row_bytes = |(bytes, rows): (i64, i64)| bytes.max(0).unsigned_abs() / rows.max(1).unsigned_abs();
    let largest = groups.map(row_bytes).max().unwrap_or_default();
    (BYTES_AT_ONCE / largest.max(1)).clamp(1, ROWS_AT_ONCE)
}

/// Bytes of a group's values, about: as they are in the file, or each by itself, as equal ones may be there as one: a million vectors of
/// zeros are some kilobytes.
fn value_bytes(group: &RowGroupMetaData) -> i64 {
    let width = |column: &ColumnChunkMetaData| match column.column_type() {
        PhysicalType::BOOLEAN => 1,
        PhysicalType::INT32 | PhysicalType::FLOAT => 4,
        PhysicalType::INT64 | PhysicalType::DOUBLE => 8,
        PhysicalType::INT96 => 12,
        // A view of it.
        PhysicalType::BYTE_ARRAY => 16,
        PhysicalType::FIXED_LEN_BYTE_ARRAY => i64::from(column.column_descr().type_length()),
    };
    let bytes = |column: &ColumnChunkMetaData| column.num_values().saturating_mul(width(column));
    let each = group.columns().iter().map(bytes).fold(0, i64::saturating_add);
    group.total_byte_size().max(each)
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(Error::io("open", path))
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// An Arrow file says so at its start; a stream begins with its first message.
fn is_stream(path: &Path) -> Result<bool> {
    let mut start = Vec::new();
    open(path)?.take(6).read_to_end(&mut start).map_err(Error::io("read", path))?;
    Ok(start != b"ARROW1")
}

/// Runs a reader, whose panics are errors.
fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T, String>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(|reason| Error::unreadable(path, reason)),
        Err(_) => Err(Error::unreadable(path, "its bytes make no sense")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, FixedSizeListArray, Float32Array};
    use arrow_schema::{DataType, Field};
    use parquet::arrow::ArrowWriter;

    use super::*;

    /// A dictionary has equal numbers once, and what they become was read thousands of rows at a time.
    #[test]
    fn vectors_that_are_nothing_in_the_file_are_counted_as_they_become() {
        const DIMENSION: usize = 4_096;
        const ROWS: usize = 1_000;
        let item = Arc::new(Field::new("item", DataType::Float32, true));
        let values: ArrayRef = Arc::new(Float32Array::from(vec![0.5; ROWS * DIMENSION]));
        let vectors: ArrayRef = Arc::new(FixedSizeListArray::new(item, DIMENSION as i32, values, None));
        let batch = RecordBatch::try_from_iter([("vector", vectors)]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vectors.parquet");
        let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        assert!(std::fs::metadata(&path).unwrap().len() < 1 << 20);
        let batches = Opened::open(&path, Format::Parquet).unwrap().batches(&[0]).unwrap();
        let rows: Vec<usize> = batches.map(|batch| batch.unwrap().num_rows()).collect();
        assert_eq!(rows, [512, 488]);
    }

    #[test]
    fn the_group_with_the_largest_rows_says_how_many_are_read_at_once() {
        // bytes and rows of each group
        type Case = (&'static [(i64, i64)], u64);
        let cases: [Case; 6] = [
            (&[], ROWS_AT_ONCE),
            (&[(100_000, 1_000)], ROWS_AT_ONCE),
            (&[(8 << 20, 1_024)], 1_024),
            (&[(32 << 20, 1_000_000), (2_000 << 20, 2_000)], 8),
            (&[(i64::MAX, 1), (i64::MIN, 7)], 1),
            (&[(1 << 40, 0), (5, -1)], 1),
        ];
        for (groups, expected) in cases {
            assert_eq!(rows_at_once(groups.iter().copied()), expected, "{groups:?}");
        }
    }
}
