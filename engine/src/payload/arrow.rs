//! Columns as an Arrow IPC file.
//!
//! ```text
//! bool      Boolean                            strings   List of Utf8
//! int       Int64                              geo       FixedSizeList of 2 Float64, longitude before latitude:
//! float     Float64                                      extension type `geoarrow.point`
//! string    Utf8                               json      Utf8: extension type `arrow.json`
//! timestamp Timestamp of microseconds, UTC
//! ```
//! An array of the schema is named as its field is, and its metadata has the field's number and type ([`FIELD`], [`TYPE`]).
//!
//! **Cost.** Memory holds one record batch. Where the buffers of each came to lie is read from the written file
//! ([`layout`]), which trusts nothing in it, so that a check of a file can compare it with what the directory says.

use std::collections::HashMap;
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, BooleanBuilder, FixedSizeListBuilder, Float64Builder, Int64Builder, ListBuilder,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};

use super::column::buffers_of;
use super::{FieldId, FieldType, ValueRef};

/// Rows of a record batch, at most.
const BATCH_ROWS_MAX: usize = 1 << 14;
/// Bytes of values after which a record batch ends.
const BATCH_BYTES: usize = 8 << 20;
/// The key of a field's number.
const FIELD: &str = "ragstone:field";
/// The key of a field's type.
const TYPE: &str = "ragstone:type";
const EXTENSION: &str = "ARROW:extension:name";
const UTC: &str = "UTC";

/// A field as Arrow has it.
fn arrow_field((number, name, field_type): &(FieldId, &str, FieldType)) -> Field {
    let item = |data_type, nullable| Arc::new(Field::new("item", data_type, nullable));
    let data_type = match field_type {
        FieldType::Bool => DataType::Boolean,
        FieldType::Int => DataType::Int64,
        FieldType::Float => DataType::Float64,
        FieldType::String | FieldType::Json => DataType::Utf8,
        FieldType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        FieldType::Strings => DataType::List(item(DataType::Utf8, true)),
        FieldType::Geo => DataType::FixedSizeList(item(DataType::Float64, true), 2),
    };
    let extension = match field_type {
        FieldType::Geo => Some("geoarrow.point"),
        FieldType::Json => Some("arrow.json"),
        _ => None,
    };
    let own = [(FIELD, number.to_string()), (TYPE, field_type.to_string())];
    let extension = extension.map(|name| (EXTENSION, name.to_owned()));
    let metadata: HashMap<String, String> =
        own.into_iter().chain(extension).map(|(key, value)| (key.to_owned(), value)).collect();
    Field::new(*name, data_type, true).with_metadata(metadata)
}

/// The array of one field that is being made.
enum Building {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Text(StringBuilder),
    Strings(ListBuilder<StringBuilder>),
    Geo(FixedSizeListBuilder<Float64Builder>),
}

impl Building {
    fn new(field_type: FieldType) -> Self {
        match field_type {
            FieldType::Bool => Building::Bool(BooleanBuilder::new()),
            FieldType::Int => Building::Int(Int64Builder::new()),
            FieldType::Float => Building::Float(Float64Builder::new()),
            FieldType::Timestamp => {
                Building::Timestamp(TimestampMicrosecondBuilder::new().with_timezone(UTC))
            }
            FieldType::String | FieldType::Json => Building::Text(StringBuilder::new()),
            FieldType::Strings => Building::Strings(ListBuilder::new(StringBuilder::new())),
            FieldType::Geo => Building::Geo(FixedSizeListBuilder::new(Float64Builder::new(), 2)),
        }
    }

    /// Takes the value of the next row, or that it has none; how many bytes that is, roughly.
    fn push(&mut self, value: Option<ValueRef<'_>>) -> usize {
        match (self, value) {
            (Building::Bool(array), Some(ValueRef::Bool(value))) => array.append_value(value),
            (Building::Bool(array), _) => array.append_null(),
            (Building::Int(array), Some(ValueRef::Int(value))) => array.append_value(value),
            (Building::Int(array), _) => array.append_null(),
            (Building::Float(array), Some(ValueRef::Float(value))) => array.append_value(value),
            (Building::Float(array), _) => array.append_null(),
            (Building::Timestamp(array), Some(ValueRef::Timestamp(value))) => array.append_value(value),
            (Building::Timestamp(array), _) => array.append_null(),
            (Building::Text(array), Some(ValueRef::Text(text) | ValueRef::Json(text))) => {
                array.append_value(String::from_utf8_lossy(text));
                return 8 + text.len();
            }
            (Building::Text(array), _) => array.append_null(),
            (Building::Strings(array), Some(ValueRef::Strings(list))) => {
                let mut bytes = 8;
                for text in list.iter() {
                    array.values().append_value(String::from_utf8_lossy(text));
                    bytes += 8 + text.len();
                }
                array.append(true);
                return bytes;
            }
            (Building::Strings(array), _) => array.append_null(),
            (Building::Geo(array), value) => {
                let point = match value {
                    Some(ValueRef::Geo(point)) => Some([point.lon, point.lat]),
                    _ => None,
                };
                (0..2).for_each(|part| array.values().append_option(point.map(|point| point[part])));
                array.append(point.is_some());
            }
        }
        8
    }

    fn finish(&mut self) -> ArrayRef {
        let array: &mut dyn ArrayBuilder = match self {
            Building::Bool(array) => array,
            Building::Int(array) => array,
            Building::Float(array) => array,
            Building::Timestamp(array) => array,
            Building::Text(array) => array,
            Building::Strings(array) => array,
            Building::Geo(array) => array,
        };
        array.finish()
    }
}

/// Writes columns row by row.
pub(crate) struct ArrowColumns<W: Write> {
    writer: FileWriter<W>,
    schema: SchemaRef,
    building: Vec<Building>,
    /// Of the batch under way.
    rows: usize,
    bytes: usize,
}

impl<W: Write> ArrowColumns<W> {
    pub(crate) fn new(out: W, fields: &[(FieldId, &str, FieldType)]) -> Result<Self, ArrowError> {
        let schema = Arc::new(Schema::new(fields.iter().map(arrow_field).collect::<Vec<_>>()));
        let writer = FileWriter::try_new(out, &schema)?;
        let building = fields.iter().map(|(_, _, field_type)| Building::new(*field_type)).collect();
        Ok(Self { writer, schema, building, rows: 0, bytes: 0 })
    }

    /// Takes the next row: `value` gives that of the field with a place in the list. Says whether the batch is full.
    pub(crate) fn push<'a>(&mut self, value: &mut dyn FnMut(usize) -> Option<ValueRef<'a>>) -> bool {
        for (place, building) in self.building.iter_mut().enumerate() {
            self.bytes += building.push(value(place));
        }
        self.rows += 1;
        self.rows >= BATCH_ROWS_MAX || self.bytes >= BATCH_BYTES
    }

    /// Writes the rows since the last batch, if there are any, as one.
    pub(crate) fn end_batch(&mut self) -> Result<(), ArrowError> {
        if self.rows == 0 {
            return Ok(());
        }
        (self.rows, self.bytes) = (0, 0);
        let arrays = self.building.iter_mut().map(Building::finish).collect();
        self.writer.write(&RecordBatch::try_new(self.schema.clone(), arrays)?)
    }

    /// Writes what is left, and the end of the file.
    pub(crate) fn finish(mut self) -> Result<(), ArrowError> {
        self.end_batch()?;
        self.writer.finish()
    }
}

/// Where the buffers of an Arrow IPC file of columns lie.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Rows of each record batch.
    pub(crate) batch_rows: Vec<u32>,
    /// For each field its buffers, batch after batch, by their places in the whole.
    pub(crate) buffers: Vec<Vec<Range<u64>>>,
}

/// Reads where the buffers of an Arrow IPC file lie that is a part of `file`; the reason if it is not one of columns of
/// these types. Nothing in it is trusted.
pub(crate) fn layout(file: &[u8], part: Range<usize>, types: &[FieldType]) -> Result<Layout, String> {
    let start = part.start as u64;
    let bytes = file.get(part).ok_or("the Arrow file lies beyond its segment")?;
    let footer = arrow_ipc::root_as_footer(footer_of(bytes).ok_or("the end of the Arrow file is damaged")?);
    let footer = footer.map_err(|error| format!("the Arrow file's footer: {error}"))?;
    let blocks = footer.recordBatches().ok_or("the Arrow file lists no batches")?;
    let mut layout = Layout { batch_rows: Vec::new(), buffers: vec![Vec::new(); types.len()] };
    for block in blocks {
        let fault = "a block of the Arrow file does not fit it";
        let (offset, header) = (block.offset() as u64, block.metaDataLength() as u64);
        let body = offset.checked_add(header).filter(|body| *body <= bytes.len() as u64).ok_or(fault)?;
        // A mark and a length come before the message.
        let message = bytes.get(offset as usize + 8..body as usize).ok_or(fault)?;
        let message =
            arrow_ipc::root_as_message(message).map_err(|error| format!("an Arrow batch: {error}"))?;
        let batch = message.header_as_record_batch().ok_or("an Arrow message is no batch")?;
        layout.batch_rows.push(u32::try_from(batch.length()).map_err(|_| fault)?);
        let buffers = batch.buffers().ok_or("an Arrow batch has no buffers")?;
        let mut next = buffers.iter();
        for (field_type, found) in types.iter().zip(&mut layout.buffers) {
            for _ in 0..buffers_of(*field_type) {
                let buffer = next.next().ok_or("an Arrow batch lacks a buffer")?;
                let place = start.checked_add(body).and_then(|at| at.checked_add_signed(buffer.offset()));
                let place = place.ok_or(fault)?;
                let end =
                    place.checked_add_signed(buffer.length()).filter(|end| *end >= place).ok_or(fault)?;
                found.push(place..end);
            }
        }
        if next.next().is_some() {
            return Err("an Arrow batch has more buffers than its fields".into());
        }
    }
    Ok(layout)
}

/// `footer | length i32 | "ARROW1"` is how the file ends.
fn footer_of(bytes: &[u8]) -> Option<&[u8]> {
    let (rest, magic) = bytes.split_last_chunk::<6>()?;
    let (rest, length) = rest.split_last_chunk::<4>()?;
    let length = usize::try_from(i32::from_le_bytes(*length)).ok()?;
    (magic == b"ARROW1").then(|| rest.get(rest.len().checked_sub(length)?..))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
    use arrow_ipc::reader::FileReader;

    use crate::payload::{Column, ColumnEntry, GeoPoint, Json, Value};

    const NAMES: [&str; 8] = ["bool", "int", "float", "string", "timestamp", "strings", "geo", "json"];

    fn value(field_type: FieldType, row: i64) -> Value {
        match field_type {
            FieldType::Bool => Value::Bool(row % 3 == 0),
            FieldType::Int => Value::Int(-row),
            FieldType::Float => Value::Float(row as f64 / 4.0),
            FieldType::String => Value::String("ä".repeat(row as usize % 5)),
            FieldType::Timestamp => Value::Timestamp(row << 40),
            FieldType::Strings => Value::Strings((0..row % 4).map(|n| "ö".repeat(n as usize)).collect()),
            FieldType::Geo => Value::Geo(GeoPoint::new(row as f64 / 40.0, -row as f64 / 2.0)),
            FieldType::Json => Value::Json(Json::new(format!("[{row}]")).unwrap()),
        }
    }

    /// What Arrow's own reader gives of a row.
    fn read(array: &ArrayRef, field_type: FieldType, row: usize) -> Option<Value> {
        let text = |row: usize| array.as_string::<i32>().value(row).to_owned();
        array.is_valid(row).then(|| match field_type {
            FieldType::Bool => Value::Bool(array.as_boolean().value(row)),
            FieldType::Int => Value::Int(array.as_primitive::<Int64Type>().value(row)),
            FieldType::Float => Value::Float(array.as_primitive::<Float64Type>().value(row)),
            FieldType::String => Value::String(text(row)),
            FieldType::Timestamp => {
                Value::Timestamp(array.as_primitive::<TimestampMicrosecondType>().value(row))
            }
            FieldType::Strings => {
                let list = array.as_list::<i32>().value(row);
                Value::Strings(list.as_string::<i32>().iter().flatten().map(str::to_owned).collect())
            }
            FieldType::Geo => {
                let pair = array.as_fixed_size_list().value(row);
                let pair = pair.as_primitive::<Float64Type>();
                Value::Geo(GeoPoint::new(pair.value(1), pair.value(0)))
            }
            FieldType::Json => Value::Json(Json::new(text(row)).unwrap()),
        })
    }

    #[test]
    fn arrow_reads_what_is_written_and_so_do_columns() {
        let fields: Vec<(FieldId, &str, FieldType)> =
            (0..).zip(NAMES).zip(FieldType::ALL).map(|((number, name), kind)| (number, name, kind)).collect();
        let rows: Vec<Vec<Option<Value>>> = (0..500_i64)
            .map(|row| {
                let has = |place: usize| !(row as usize + place).is_multiple_of(3) || row < 100;
                FieldType::ALL
                    .into_iter()
                    .enumerate()
                    .map(|(place, kind)| has(place).then(|| value(kind, row)))
                    .collect()
            })
            .collect();
        let mut file = vec![0; 64];
        let mut columns = ArrowColumns::new(&mut file, &fields).unwrap();
        for (number, row) in rows.iter().enumerate() {
            assert!(!columns.push(&mut |place| row[place].as_ref().map(Value::as_ref)));
            if number % 100 == 99 {
                columns.end_batch().unwrap();
            }
        }
        columns.finish().unwrap();
        let reader = FileReader::try_new(std::io::Cursor::new(&file[64..]), None).unwrap();
        assert_eq!(reader.schema().field(6).metadata()[EXTENSION], "geoarrow.point");
        assert_eq!(reader.schema().field(5).metadata()[TYPE], "strings");
        let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
        let layout = layout(&file, 64..file.len(), &FieldType::ALL).unwrap();
        assert_eq!(layout.batch_rows, [100; 5]);
        for (place, field_type) in FieldType::ALL.into_iter().enumerate() {
            let buffers = layout.buffers[place].clone();
            assert!(buffers.iter().all(|range| range.start % 64 == 0), "{field_type}");
            let count = rows.iter().filter(|row| row[place].is_some()).count() as u32;
            let entry = ColumnEntry { field_type, count, buffers };
            let column = Column::open(&entry, &layout.batch_rows, file.len()).unwrap();
            assert!(column.has_right_counts(&file));
            for (number, row) in rows.iter().enumerate() {
                let array = batches[number / 100].column(place);
                assert_eq!(read(array, field_type, number % 100), row[place]);
                assert_eq!(column.get(&file, number).map(ValueRef::to_value), row[place]);
            }
        }
    }

    #[test]
    fn damaged_metadata_is_an_error_and_no_panic() {
        let fields = [(0, "a", FieldType::Strings), (1, "b", FieldType::Geo)];
        let mut file = Vec::new();
        let mut columns = ArrowColumns::new(&mut file, &fields).unwrap();
        let list = Value::Strings(vec!["x".into(), "yz".into()]);
        columns.push(&mut |place| (place == 0).then(|| list.as_ref()));
        columns.finish().unwrap();
        let types = [FieldType::Strings, FieldType::Geo];
        let sound = layout(&file, 0..file.len(), &types).unwrap();
        assert!(layout(&file, 0..file.len(), &[FieldType::Strings]).is_err());
        for byte in 0..file.len() {
            for mask in [1, 0x10, 0x80, 0xFF] {
                let mut file = file.clone();
                file[byte] ^= mask;
                if let Ok(found) = layout(&file, 0..file.len(), &types) {
                    let entry = ColumnEntry {
                        field_type: FieldType::Strings,
                        count: 1,
                        buffers: found.buffers[0].clone(),
                    };
                    let column = Column::open(&entry, &found.batch_rows, file.len());
                    column.iter().for_each(|column| drop(column.get(&file, 0).map(ValueRef::to_value)));
                }
            }
            assert!(layout(&file[..byte], 0..byte, &types).is_err(), "{byte}");
        }
        assert_eq!(sound.batch_rows, [1]);
    }

    #[test]
    fn batches_are_bounded() {
        let mut columns = ArrowColumns::new(Vec::new(), &[(0, "a", FieldType::String)]).unwrap();
        let long = vec![b'x'; BATCH_BYTES / 4];
        let full: Vec<bool> = (0..4).map(|_| columns.push(&mut |_| Some(ValueRef::Text(&long)))).collect();
        assert_eq!(full, [false, false, false, true]);
        columns.end_batch().unwrap();
        assert_eq!((1..).find(|_| columns.push(&mut |_| None)), Some(BATCH_ROWS_MAX));
    }
}
