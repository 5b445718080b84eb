//! Texts of Parquet files, read as views of their pages.
//!
//! **Problem.** A dictionary's page has a text once, however many rows have it. A reader that writes the text of each row out makes
//! gigabytes of a file of megabytes, before anybody sees a row.
//!
//! **Idea.** As views, the texts of a batch take sixteen bytes each, and beside them are the pages, as they are in the file. What becomes
//! rows of it at once is counted with the texts (`decode/texts.rs`). Texts are copied no more often than they were: out of the page when they
//! become rows, and not before.
//!
//! **Exception.** Texts that the file codes by what they share with the one before (`DELTA_BYTE_ARRAY`) are written out all the same.
//!
//! **Invariant.** What is called a text is UTF-8. The reader looks at that only where the file's own schema says UTF-8, and takes its word
//! where it says JSON, or where only the Arrow schema in the file says so. There we look ourselves ([`checked`]).

use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, FieldRef, Fields, Schema};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::ConvertedType;
use parquet::schema::types::Type;

use super::Tried;

/// A file whose texts are read so, if its reader takes that.
pub(super) fn as_views(read: ArrowReaderMetadata) -> ArrowReaderMetadata {
    let fields: Fields = read.schema().fields().iter().map(as_view).collect();
    if fields == *read.schema().fields() {
        return read;
    }
    let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields)));
    ArrowReaderMetadata::try_new(read.metadata().clone(), options).unwrap_or(read)
}

fn as_view(field: &FieldRef) -> FieldRef {
    match viewed(field.data_type()) {
        Some(data_type) => Arc::new(field.as_ref().clone().with_data_type(data_type)),
        None => field.clone(),
    }
}

/// The type with views in it; none if it is of no texts.
fn viewed(data_type: &DataType) -> Option<DataType> {
    let of =
        |item: &FieldRef| Some(Arc::new(item.as_ref().clone().with_data_type(viewed(item.data_type())?)));
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(DataType::Utf8View),
        DataType::Dictionary(_, values) => viewed(values),
        DataType::List(item) => of(item).map(DataType::List),
        DataType::LargeList(item) => of(item).map(DataType::LargeList),
        DataType::FixedSizeList(item, length) => of(item).map(|item| DataType::FixedSizeList(item, *length)),
        _ => None,
    }
}

/// Which of these columns of a file are texts that its reader takes at their word, by their places among them.
pub(super) fn unchecked(read: &ArrowReaderMetadata, columns: &[usize]) -> Vec<usize> {
    let (fields, roots) = (read.schema().fields(), read.parquet_schema().root_schema().get_fields());
    let is_unchecked = |at: usize| match (fields.get(at), roots.get(at)) {
        (Some(field), Some(root)) => viewed(field.data_type()).is_some() && !is_utf8(root),
        _ => false,
    };
    let places = columns.iter().enumerate().filter(|(_, at)| is_unchecked(**at));
    places.map(|(place, _)| place).collect()
}

/// A batch that has texts where it says so, of the columns at these places, too.
pub(super) fn checked(batch: RecordBatch, unchecked: &[usize]) -> Tried<RecordBatch> {
    for place in unchecked {
        let name = batch.schema_ref().field(*place).name();
        let checked = batch.column(*place).to_data().validate_full();
        checked.map_err(|error| format!("column `{name}`: {error}"))?;
    }
    Ok(batch)
}

/// Whether what a column is of, or its lists, is UTF-8 by the file's own schema.
fn is_utf8(column: &Type) -> bool {
    match column {
        Type::PrimitiveType { basic_info, .. } => basic_info.converted_type() == ConvertedType::UTF8,
        Type::GroupType { fields, .. } => matches!(fields.as_slice(), [only] if is_utf8(only)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;

    use arrow_array::cast::AsArray;
    use arrow_array::types::Int32Type;
    use arrow_array::{
        ArrayRef, BinaryArray, DictionaryArray, FixedSizeListArray, ListArray, StringViewArray,
    };
    use arrow_buffer::OffsetBuffer;
    use arrow_schema::Field;
    use parquet::arrow::arrow_writer::ArrowWriterOptions;
    use parquet::arrow::{ARROW_SCHEMA_META_KEY, ArrowWriter, encode_arrow_schema};
    use parquet::file::metadata::KeyValue;
    use parquet::file::properties::WriterProperties;

    use super::*;
    use crate::format::Format;
    use crate::read::Opened;

    const ROWS: usize = 2_000;
    const TEXT_BYTES: usize = 10_000;

    /// Columns whose rows have one text, which the file has once for each.
    fn write(path: &Path, skip_arrow_metadata: bool) {
        let text = "x".repeat(TEXT_BYTES);
        let texts = || std::iter::repeat_n(text.as_str(), ROWS);
        let views: ArrayRef = Arc::new(StringViewArray::from_iter_values(texts()));
        let item = Arc::new(Field::new("item", DataType::Utf8View, true));
        let lengths = OffsetBuffer::from_lengths([1; ROWS]);
        let tags: ArrayRef = Arc::new(ListArray::new(item.clone(), lengths, views.clone(), None));
        let fixed: ArrayRef = Arc::new(FixedSizeListArray::new(item, 1, views.clone(), None));
        let category: DictionaryArray<Int32Type> = texts().collect();
        let category: ArrayRef = Arc::new(category);
        let columns = [("text", views), ("tags", tags), ("fixed", fixed), ("category", category)];
        let options = ArrowWriterOptions::new().with_skip_arrow_metadata(skip_arrow_metadata);
        write_with(path, RecordBatch::try_from_iter(columns).unwrap(), options);
    }

    fn write_with(path: &Path, batch: RecordBatch, options: ArrowWriterOptions) {
        let file = File::create(path).unwrap();
        let mut writer = ArrowWriter::try_new_with_options(file, batch.schema(), options).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }

    fn unchecked_in(path: &Path, columns: &[usize]) -> Vec<usize> {
        let read = ArrowReaderMetadata::load(&File::open(path).unwrap(), Default::default()).unwrap();
        unchecked(&read, columns)
    }

    /// Bytes that only the Arrow schema calls texts became texts as they were.
    #[test]
    fn what_the_file_itself_does_not_call_a_text_is_checked() {
        let folder = tempfile::tempdir().unwrap();
        for (bytes, is_text) in [(&b"a text"[..], true), (&b"\xff\xfe"[..], false)] {
            let path = folder.path().join(format!("{is_text}.parquet"));
            let other: ArrayRef = Arc::new(BinaryArray::from_vec(vec![&b"0"[..]]));
            let texts: ArrayRef = Arc::new(BinaryArray::from_vec(vec![bytes]));
            let batch = RecordBatch::try_from_iter([("bytes", other), ("text", texts)]).unwrap();
            let claimed = [("bytes", DataType::Binary), ("text", DataType::Utf8)];
            let claimed = claimed.map(|(name, data_type)| Field::new(name, data_type, false));
            let claim = encode_arrow_schema(&Schema::new(claimed.to_vec()));
            let claim = KeyValue::new(ARROW_SCHEMA_META_KEY.to_owned(), claim);
            let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![claim])).build();
            let options =
                ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
            write_with(&path, batch, options);
            assert_eq!(unchecked_in(&path, &[0, 1]), [1]);
            assert_eq!(unchecked_in(&path, &[1]), [0]);
            let opened = Opened::open(&path, Format::Parquet).unwrap();
            assert_eq!(*opened.schema.field(1).data_type(), DataType::Utf8);
            let read = opened.batches(&[1]).unwrap().next().unwrap();
            assert_eq!(read.is_ok(), is_text, "{read:?}");
            if let Ok(batch) = read {
                assert_eq!(*batch.column(0).data_type(), DataType::Utf8View);
            }
        }
    }

    /// A file of some kilobytes took twenty megabytes for each of its columns, and gigabytes where texts were longer.
    #[test]
    fn a_text_that_rows_share_is_in_memory_once() {
        let folder = tempfile::tempdir().unwrap();
        for skip_arrow_metadata in [true, false] {
            let path = folder.path().join(format!("{skip_arrow_metadata}.parquet"));
            write(&path, skip_arrow_metadata);
            assert!(std::fs::metadata(&path).unwrap().len() < 1_000_000);
            assert!(unchecked_in(&path, &[0, 1, 2, 3]).is_empty());
            let opened = Opened::open(&path, Format::Parquet).unwrap();
            let mut rows = 0;
            for batch in opened.batches(&[0, 1, 2, 3]).unwrap() {
                let batch = batch.unwrap();
                rows += batch.num_rows();
                for column in batch.columns() {
                    let bytes = column.get_array_memory_size();
                    assert!(bytes < ROWS * TEXT_BYTES / 10, "{bytes} of {}", column.data_type());
                }
                let last = batch.column(0).as_string_view().value(batch.num_rows() - 1).len();
                assert_eq!(last, TEXT_BYTES);
            }
            assert_eq!(rows, ROWS);
        }
    }
}
