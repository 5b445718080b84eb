//! Moments of Parquet files that are 96 bits, as Spark and older programs write them.
//!
//! **Problem.** Such a moment is a day and the nanoseconds since its midnight. A reader that makes nanoseconds since 1970 of it wraps around before 1677
//! and behind 2262, without a word: 9999-12-31, which mostly stands for no end at all, became a day of the year 1816.
//!
//! **Idea.** It is read as microseconds, which is what a timestamp is here, and which reach as far as any calendar does.

use std::sync::Arc;

use arrow_schema::{DataType, FieldRef, Fields, Schema, TimeUnit};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Type as PhysicalType;
use parquet::schema::types::{Type, TypePtr};

use super::{Tried, told};

/// A file whose moments of 96 bits are read so.
pub(super) fn in_microseconds(read: ArrowReaderMetadata) -> Tried<ArrowReaderMetadata> {
    let roots = read.parquet_schema().root_schema().get_fields();
    let fields: Fields = read.schema().fields().iter().zip(roots).map(in_microseconds_of).collect();
    if fields == *read.schema().fields() {
        return Ok(read);
    }
    let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields)));
    ArrowReaderMetadata::try_new(read.metadata().clone(), options).map_err(told)
}

fn in_microseconds_of((field, root): (&FieldRef, &TypePtr)) -> FieldRef {
    match (root.as_ref(), field.data_type()) {
        (
            Type::PrimitiveType { physical_type: PhysicalType::INT96, .. },
            DataType::Timestamp(TimeUnit::Nanosecond, zone),
        ) => {
            let data_type = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
            Arc::new(field.as_ref().clone().with_data_type(data_type))
        }
        _ => field.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use arrow_array::cast::AsArray;
    use arrow_array::types::TimestampMicrosecondType;
    use parquet::data_type::{Int96, Int96Type};
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;
    use crate::format::Format;
    use crate::read::Opened;

    /// The day of 1970-01-01, as these moments count days.
    const EPOCH: u32 = 2_440_588;
    const DAY_US: i64 = 86_400_000_000;

    #[test]
    fn moments_that_nanoseconds_do_not_reach_are_what_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spark.parquet");
        // 9999-12-31, 0001-01-01, the last microsecond before 1970, and the last nanosecond of the second one from there on.
        let days = [EPOCH + 2_932_896, EPOCH - 719_162, EPOCH - 1, EPOCH];
        let nanoseconds = [0_u64, 0, 86_399_999_999_000, 1_999];
        let moments: Vec<Int96> = days
            .iter()
            .zip(nanoseconds)
            .map(|(day, nanos)| Int96::from(vec![nanos as u32, (nanos >> 32) as u32, *day]))
            .collect();
        let schema = Arc::new(parse_message_type("message m { REQUIRED INT96 at; }").unwrap());
        let file = File::create(&path).unwrap();
        let mut writer = SerializedFileWriter::new(file, schema, Default::default()).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int96Type>().write_batch(&moments, None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        writer.close().unwrap();

        let opened = Opened::open(&path, Format::Parquet).unwrap();
        let batch = opened.batches(&[0]).unwrap().next().unwrap().unwrap();
        let read = batch.column(0).as_primitive::<TimestampMicrosecondType>();
        assert_eq!(read.values().to_vec(), [2_932_896 * DAY_US, -719_162 * DAY_US, -1, 1]);
    }
}
