//! From a batch of columns to rows.
//!
//! Columns are brought to the types that an export writes, then read one after the other into the rows. A value that does not fit is an
//! error of its row: none is made null, cut or rounded, but floats to the width of a vector's components and nanoseconds down.

mod fields;
mod lists;
mod texts;
mod vectors;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::DataType;
use ragstone::{DEFAULT_VECTOR, Point, PointId, Vector};

use crate::infer::is_text;
use crate::layout::{Column, Role};

pub(crate) use lists::{first_length, size_bytes};
pub(crate) use texts::rows_at_once;

/// What is wrong with a row.
#[derive(Debug)]
pub(crate) struct Wrong {
    /// Its place in the batch.
    pub(crate) at: usize,
    pub(crate) column: Option<String>,
    pub(crate) reason: String,
}

type Read<T> = Result<T, Wrong>;

fn wrong<T>(at: usize, reason: impl Into<String>) -> Read<T> {
    Err(Wrong { at, column: None, reason: reason.into() })
}

/// The rows of a batch, whose columns are these. Rows without a column of ids are numbered from `first` on.
pub(crate) fn rows(batch: &RecordBatch, columns: &[Column], first: Option<u64>) -> Read<Vec<Point>> {
    for (column, array) in columns.iter().zip(batch.columns()) {
        texts::check(array).map_err(|wrong| Wrong { column: Some(column.name.clone()), ..wrong })?;
    }
    let mut points: Vec<Point> = match first {
        Some(first) => (first..).take(batch.num_rows()).map(Point::without_vector).collect(),
        None => ids(batch, columns)?.into_iter().map(Point::without_vector).collect(),
    };
    for (column, array) in columns.iter().zip(batch.columns()) {
        read(array, &column.role, &mut points)
            .map_err(|wrong| Wrong { column: Some(column.name.clone()), ..wrong })?;
    }
    Ok(points)
}

fn read(array: &ArrayRef, role: &Role, points: &mut [Point]) -> Read<()> {
    let array = &unpacked(array)?;
    match role {
        Role::NumberId | Role::TextId => Ok(()),
        Role::Expiry => {
            fields::moments(array, &mut |at, moment| points[at].expires_at = moment.as_timestamp())
        }
        Role::Vector(name, kind) => vectors::read(array, kind, &mut |at, vector| match vector {
            Vector::Dense(components) if name == DEFAULT_VECTOR => points[at].vector = Some(components),
            vector => drop(points[at].vectors.insert(name.clone(), vector)),
        }),
        Role::Field(name, field_type) => fields::read(array, *field_type, &mut |at, value| {
            points[at].payload.insert(name.clone(), value);
        }),
    }
}

/// The id of each row, from one column or from two, of which each row has one.
fn ids(batch: &RecordBatch, columns: &[Column]) -> Read<Vec<PointId>> {
    let mut ids: Vec<Option<PointId>> = vec![None; batch.num_rows()];
    let mut last = None;
    for (column, array) in columns.iter().zip(batch.columns()) {
        let named = |wrong: Wrong| Wrong { column: Some(column.name.clone()), ..wrong };
        let mut set = |at: usize, id: PointId| match ids[at].replace(id) {
            None => Ok(()),
            Some(_) => wrong(at, "the row has two ids"),
        };
        match column.role {
            Role::NumberId => {
                let numbers = convert(array, &DataType::UInt64).map_err(named)?;
                let numbers = numbers.as_primitive::<UInt64Type>();
                valid(&numbers).try_for_each(|at| set(at, numbers.value(at).into())).map_err(named)?;
            }
            Role::TextId => {
                let texts = convert(array, &DataType::Utf8).map_err(named)?;
                let texts = texts.as_string::<i32>();
                valid(&texts).try_for_each(|at| set(at, texts.value(at).into())).map_err(named)?;
            }
            _ => continue,
        }
        last = Some(column.name.clone());
    }
    let id = |(at, id): (usize, Option<PointId>)| {
        id.ok_or_else(|| Wrong { at, column: last.clone(), reason: "the row has no id".to_owned() })
    };
    ids.into_iter().enumerate().map(id).collect()
}

/// A column without the dictionary that its values stand in, but for texts, which rows share as long as they can.
fn unpacked(array: &ArrayRef) -> Read<ArrayRef> {
    match array.data_type() {
        DataType::Dictionary(_, values) if !is_text(values) => convert(array, values),
        _ => Ok(array.clone()),
    }
}

/// The places that have a value.
fn valid<'a>(array: &'a dyn Array) -> impl Iterator<Item = usize> + use<'a> {
    (0..array.len()).filter(|at| array.is_valid(*at))
}

/// An array in another type. A value that does not fit is wrong.
fn convert(array: &ArrayRef, to: &DataType) -> Read<ArrayRef> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let converted = match cast_with_options(array, to, &options) {
        Ok(converted) => converted,
        Err(error) => return wrong(0, error.to_string()),
    };
    // What does not fit is null now, and was not.
    let before = array.logical_nulls();
    let was_there = |at: &usize| before.as_ref().is_none_or(|nulls| nulls.is_valid(*at));
    match (0..converted.len()).find(|at| converted.is_null(*at) && was_there(at)) {
        Some(at) => wrong(at, format!("the value of type {} does not fit {to}", array.data_type())),
        None => Ok(converted),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Int32Type;
    use arrow_array::{DictionaryArray, Float64Array, Int32Array, Int64Array, TimestampSecondArray};
    use ragstone::{FieldType, Value};

    use super::*;

    /// A fraction that stood in a dictionary was cut off in a field of ints, and a moment that did was refused.
    #[test]
    fn values_in_a_dictionary_are_read_as_others_are() {
        let read = |values: ArrayRef, field_type: FieldType| -> Read<Vec<Option<Value>>> {
            let keys = Int32Array::from(vec![Some(1), None, Some(0)]);
            let array: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::new(keys, values));
            let batch = RecordBatch::try_from_iter([("a", array)]).unwrap();
            let column = Column { name: "a".into(), role: Role::Field("a".into(), field_type) };
            let points = rows(&batch, &[column], Some(0))?;
            Ok(points.into_iter().map(|mut point| point.payload.remove("a")).collect())
        };
        let floats = |first: f64| -> ArrayRef { Arc::new(Float64Array::from(vec![first, 2.0])) };
        let ints = read(floats(1.0), FieldType::Int).unwrap();
        assert_eq!(ints, [Some(Value::Int(2)), None, Some(Value::Int(1))]);
        let wrong = read(floats(1.5), FieldType::Int).unwrap_err();
        assert_eq!((wrong.at, wrong.reason.as_str()), (2, "1.5 is no whole number of 64 bits"));
        let wrong =
            read(Arc::new(Int64Array::from(vec![0, (1_i64 << 53) + 1])), FieldType::Float).unwrap_err();
        assert_eq!(wrong.at, 0);
        let moments = read(Arc::new(TimestampSecondArray::from(vec![0, -5])), FieldType::Timestamp).unwrap();
        assert_eq!(moments, [Some(Value::Timestamp(-5_000_000)), None, Some(Value::Timestamp(0))]);
    }
}
