//! JSON in Parquet files, which has a type of its own there.
//!
//! **Problem.** A reader makes texts of it, and only the Arrow schema that some programs put beside it says more. DuckDB puts none there, and its columns of
//! JSON became strings.
//!
//! **Idea.** Such a column is given the name that Arrow has for it, so that everything behind this knows one way in which a column is JSON.

use std::sync::Arc;

use arrow_schema::{FieldRef, Fields, Schema, SchemaRef};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::basic::ConvertedType;
use parquet::schema::types::TypePtr;

use crate::infer::is_text;
use crate::types::{EXTENSION, JSON};

/// The schema of a file, in which columns of JSON are named so.
pub(super) fn named(read: &ArrowReaderMetadata) -> SchemaRef {
    let roots = read.parquet_schema().root_schema().get_fields();
    let fields: Fields = read.schema().fields().iter().zip(roots).map(named_field).collect();
    Arc::new(Schema::new_with_metadata(fields, read.schema().metadata().clone()))
}

fn named_field((field, root): (&FieldRef, &TypePtr)) -> FieldRef {
    // Its older name, which its reader makes of the type, too.
    let is_json = root.get_basic_info().converted_type() == ConvertedType::JSON;
    if !is_json || !is_text(field.data_type()) || field.metadata().contains_key(EXTENSION) {
        return field.clone();
    }
    let mut named = field.as_ref().clone();
    named.metadata_mut().insert(EXTENSION, JSON);
    Arc::new(named)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use arrow_array::cast::AsArray;
    use parquet::basic::{LogicalType, Repetition, Type as PhysicalType};
    use parquet::data_type::{ByteArray, ByteArrayType};
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::types::Type;
    use ragstone::FieldType;

    use super::*;
    use crate::format::Format;
    use crate::infer::{Inferred, infer};
    use crate::read::Opened;

    const TEXT: &str = "{\"a\": [1, null]}";

    /// With its logical type, as programs write it today, and with its older name alone.
    #[test]
    fn what_the_file_calls_json_is_json_without_an_arrow_schema() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("duckdb.parquet");
        let of = |name| {
            Type::primitive_type_builder(name, PhysicalType::BYTE_ARRAY).with_repetition(Repetition::REQUIRED)
        };
        let columns = [
            of("json").with_logical_type(Some(LogicalType::Json)),
            of("older").with_converted_type(ConvertedType::JSON),
            of("text").with_converted_type(ConvertedType::UTF8),
        ];
        let columns = columns.map(|column| Arc::new(column.build().unwrap()));
        let schema = Type::group_type_builder("rows").with_fields(columns.to_vec()).build().unwrap();
        let file = File::create(&path).unwrap();
        let mut writer = SerializedFileWriter::new(file, Arc::new(schema), Default::default()).unwrap();
        let mut group = writer.next_row_group().unwrap();
        while let Some(mut column) = group.next_column().unwrap() {
            column.typed::<ByteArrayType>().write_batch(&[ByteArray::from(TEXT)], None, None).unwrap();
            column.close().unwrap();
        }
        group.close().unwrap();
        writer.close().unwrap();

        let opened = Opened::open(&path, Format::Parquet).unwrap();
        let found: Vec<_> = opened.schema.fields().iter().map(|field| infer(field)).collect();
        let expected = [FieldType::Json, FieldType::Json, FieldType::String];
        assert_eq!(found, expected.map(|field_type| Ok::<_, String>(Inferred::Field(field_type))));
        let batch = opened.batches(&[0, 1, 2]).unwrap().next().unwrap().unwrap();
        for column in batch.columns() {
            assert_eq!(column.as_string_view().value(0), TEXT);
        }
    }
}
