//! Columns of payload fields.

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow_buffer::NullBuffer;
use ragstone::{FieldType, Point, Value};

use crate::error::{Error, Result};
use crate::types;

/// A field of each row, null where it has no value.
pub(super) fn array(points: &[Point], name: &str, field_type: FieldType) -> Result<ArrayRef> {
    let values = || points.iter().map(|point| point.payload.get(name));
    if let Some(other) = values().flatten().find(|value| value.field_type() != field_type) {
        let reason = format!("the field `{name}` is {field_type}, a row has a {}", other.field_type());
        return Err(Error::rows(reason));
    }
    Ok(match field_type {
        FieldType::Bool => {
            let is = |value: &Value| matches!(value, Value::Bool(true));
            Arc::new(values().map(|value| value.map(is)).collect::<BooleanArray>())
        }
        FieldType::Int => Arc::new(values().map(|value| value?.as_int()).collect::<Int64Array>()),
        FieldType::Float => {
            let number = |value: Option<&Value>| match value {
                Some(Value::Float(number)) => Some(*number),
                _ => None,
            };
            Arc::new(values().map(number).collect::<Float64Array>())
        }
        FieldType::String => Arc::new(values().map(|value| value?.as_str()).collect::<StringArray>()),
        FieldType::Json => {
            Arc::new(values().map(|value| Some(value?.as_json()?.as_str())).collect::<StringArray>())
        }
        FieldType::Timestamp => {
            let moments: TimestampMicrosecondArray = values().map(|value| value?.as_timestamp()).collect();
            Arc::new(moments.with_timezone("UTC"))
        }
        FieldType::Strings => strings(values()),
        FieldType::Geo => geo(values())?,
    })
}

fn strings<'a>(values: impl Iterator<Item = Option<&'a Value>>) -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for value in values {
        match value.and_then(Value::as_strings) {
            Some(strings) => {
                strings.iter().for_each(|text| lists.values().append_value(text));
                lists.append(true);
            }
            None => lists.append(false),
        }
    }
    Arc::new(lists.finish())
}

fn geo<'a>(values: impl Iterator<Item = Option<&'a Value>>) -> Result<ArrayRef> {
    let places: Vec<_> = values.map(|value| value.and_then(Value::as_geo)).collect();
    let lat: Float64Array = places.iter().map(|place| place.map(|place| place.lat)).collect();
    let lon: Float64Array = places.iter().map(|place| place.map(|place| place.lon)).collect();
    let nulls: NullBuffer = places.iter().map(Option::is_some).collect::<Vec<_>>().into();
    let parts: Vec<ArrayRef> = vec![Arc::new(lat), Arc::new(lon)];
    Ok(Arc::new(StructArray::try_new(types::geo(), parts, Some(nulls)).map_err(Error::rows)?))
}
