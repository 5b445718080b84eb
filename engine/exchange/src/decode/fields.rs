//! Columns of payload fields.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, Float64Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType};
use arrow_schema::{DataType, TimeUnit};
use ragstone::{FieldType, GeoPoint, Json, Value};

use super::lists::Lists;
use super::{Read, convert, valid, wrong};

const DAY_US: i64 = 86_400_000_000;

type Set<'a> = &'a mut dyn FnMut(usize, Value);

/// Calls `set` with the value of each row that has one.
pub(super) fn read(array: &ArrayRef, field_type: FieldType, set: Set<'_>) -> Read<()> {
    if *array.data_type() == DataType::Null {
        return Ok(());
    }
    match field_type {
        FieldType::Bool => {
            let array = convert(array, &DataType::Boolean)?;
            let array = array.as_boolean();
            valid(array).for_each(|at| set(at, Value::Bool(array.value(at))));
        }
        FieldType::Int => return ints(array, set),
        FieldType::Float => return floats(array, set),
        FieldType::String => {
            let array = convert(array, &DataType::Utf8)?;
            let array = array.as_string::<i32>();
            valid(array).for_each(|at| set(at, array.value(at).into()));
        }
        FieldType::Json => {
            let array = convert(array, &DataType::Utf8)?;
            let array = array.as_string::<i32>();
            for at in valid(array) {
                match Json::new(array.value(at)) {
                    Ok(json) => set(at, json.into()),
                    Err(error) => return wrong(at, error.to_string()),
                }
            }
        }
        FieldType::Timestamp => return moments(array, set),
        FieldType::Strings => return strings(array, set),
        FieldType::Geo => return places(array, set),
    }
    Ok(())
}

fn ints(array: &ArrayRef, set: Set<'_>) -> Read<()> {
    let numbers = if array.data_type().is_floating() {
        // Whole numbers with gaps are floats in pandas.
        let floats = convert(array, &DataType::Float64)?;
        let floats = floats.as_primitive::<Float64Type>();
        for at in valid(floats) {
            let float = floats.value(at);
            // 2^63 is the first one that is too large, and a float.
            if float.fract() != 0.0 || !(-(2f64.powi(63))..2f64.powi(63)).contains(&float) {
                return wrong(at, format!("{float} is no whole number of 64 bits"));
            }
            set(at, Value::Int(float as i64));
        }
        return Ok(());
    } else {
        convert(array, &DataType::Int64)?
    };
    let numbers = numbers.as_primitive::<Int64Type>();
    valid(numbers).for_each(|at| set(at, Value::Int(numbers.value(at))));
    Ok(())
}

fn floats(array: &ArrayRef, set: Set<'_>) -> Read<()> {
    let is_whole = array.data_type().is_integer();
    let array =
        if is_whole { convert(array, &DataType::Int64)? } else { convert(array, &DataType::Float64)? };
    if !is_whole {
        let array = array.as_primitive::<Float64Type>();
        valid(array).for_each(|at| set(at, Value::Float(array.value(at))));
        return Ok(());
    }
    let array = array.as_primitive::<Int64Type>();
    for at in valid(array) {
        let number = array.value(at);
        if number.unsigned_abs() > 1 << f64::MANTISSA_DIGITS {
            return wrong(at, format!("{number} has more digits than a float"));
        }
        set(at, Value::Float(number as f64));
    }
    Ok(())
}

pub(super) fn moments(array: &ArrayRef, set: Set<'_>) -> Read<()> {
    match array.data_type() {
        DataType::Null => Ok(()),
        DataType::Timestamp(TimeUnit::Second, _) => {
            moment::<TimestampSecondType>(array, |value| value.checked_mul(1_000_000), set)
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            moment::<TimestampMillisecondType>(array, |value| value.checked_mul(1_000), set)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => moment::<TimestampMicrosecondType>(array, Some, set),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            moment::<TimestampNanosecondType>(array, |value| Some(value.div_euclid(1_000)), set)
        }
        DataType::Date32 => moment::<Date32Type>(array, |days| i64::from(days).checked_mul(DAY_US), set),
        DataType::Date64 => moment::<Date64Type>(array, |value| value.checked_mul(1_000), set),
        other => wrong(0, format!("a value of type {other} is no moment")),
    }
}

fn moment<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    to_micros: impl Fn(T::Native) -> Option<i64>,
    set: Set<'_>,
) -> Read<()> {
    let array = array.as_primitive::<T>();
    for at in valid(array) {
        match to_micros(array.value(at)) {
            Some(micros) => set(at, Value::Timestamp(micros)),
            None => return wrong(at, format!("{:?} is too far from 1970", array.value(at))),
        }
    }
    Ok(())
}

fn strings(array: &ArrayRef, set: Set<'_>) -> Read<()> {
    let lists = Lists::of(array)?;
    if *lists.items.data_type() == DataType::Null {
        for (at, range) in lists.each() {
            if !range.is_empty() {
                return wrong(at, "string 0 of the list is null");
            }
            set(at, Value::Strings(Vec::new()));
        }
        return Ok(());
    }
    // What is null in a list that is there is wrong, and found below.
    let items = convert(&lists.items, &DataType::Utf8)?;
    let texts = items.as_string::<i32>();
    for (at, range) in lists.each() {
        if let Some(item) = Lists::lacks(texts, &range) {
            return wrong(at, format!("string {item} of the list is null"));
        }
        set(at, Value::Strings(range.map(|item| texts.value(item).to_owned()).collect()));
    }
    Ok(())
}

fn places(array: &ArrayRef, set: Set<'_>) -> Read<()> {
    let places = array.as_struct();
    let part = |name: &str| match places.column_by_name(name) {
        Some(part) => convert(part, &DataType::Float64),
        None => wrong(0, format!("it has no `{name}`")),
    };
    let (lat, lon) = (part("lat")?, part("lon")?);
    let (lat, lon) = (lat.as_primitive::<Float64Type>(), lon.as_primitive::<Float64Type>());
    for at in valid(places) {
        if lat.is_null(at) || lon.is_null(at) {
            return wrong(at, "its `lat` or `lon` is null");
        }
        set(at, GeoPoint { lat: lat.value(at), lon: lon.value(at) }.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Date32Array, ListArray, NullArray};
    use arrow_buffer::OffsetBuffer;
    use arrow_schema::Field;

    use super::*;
    use crate::layout::Role;

    /// Rows whose lists were all empty, which have no type of their own then, were refused by a field of lists of strings.
    #[test]
    fn lists_of_nothing_are_empty_lists_of_strings() {
        let read = |lengths: [usize; 2]| {
            let items: ArrayRef = Arc::new(NullArray::new(lengths.iter().sum()));
            let item = Arc::new(Field::new("item", DataType::Null, true));
            let lists = ListArray::new(item, OffsetBuffer::from_lengths(lengths), items, None);
            let column = Field::new("tags", lists.data_type().clone(), true);
            crate::infer::check(&column, &Role::Field("tags".into(), FieldType::Strings)).unwrap();
            let array: ArrayRef = Arc::new(lists);
            let mut found = Vec::new();
            let read = super::read(&array, FieldType::Strings, &mut |at, value| found.push((at, value)));
            read.map(|()| found)
        };
        let empty = || Value::Strings(Vec::new());
        assert_eq!(read([0, 0]).unwrap(), [(0, empty()), (1, empty())]);
        let wrong = read([0, 2]).unwrap_err();
        assert_eq!((wrong.at, wrong.reason.as_str()), (1, "string 0 of the list is null"));
    }

    /// A day of the year 300,000 became another one, or ended the import in a panic.
    #[test]
    fn a_day_that_microseconds_do_not_reach_is_wrong() {
        let read = |days: Vec<i32>| {
            let mut found = Vec::new();
            let array: ArrayRef = Arc::new(Date32Array::from(days));
            let read = moments(&array, &mut |_, moment| found.push(moment));
            read.map(|()| found)
        };
        assert_eq!(read(vec![1, -1]).unwrap(), [Value::Timestamp(DAY_US), Value::Timestamp(-DAY_US)]);
        let last = (i64::MAX / DAY_US) as i32;
        assert_eq!(read(vec![last]).unwrap(), [Value::Timestamp(i64::from(last) * DAY_US)]);
        for days in [last + 1, i32::MAX, i32::MIN] {
            let wrong = read(vec![0, days]).unwrap_err();
            assert_eq!((wrong.at, wrong.reason), (1, format!("{days} is too far from 1970")));
        }
    }
}
