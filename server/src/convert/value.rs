//! Values of payload fields, and their types.

use std::collections::BTreeMap;

use ragstone::{Error, FieldType, GeoPoint, Json, Payload, Value};
use ragstone_proto::v1;
use tonic::Status;

use super::unknown_enum;
use crate::status;

pub(super) fn value_in(wire: Option<v1::Value>, path: &str) -> Result<Value, Status> {
    match wire.and_then(|wire| wire.kind) {
        Some(v1::value::Kind::BoolValue(value)) => Ok(Value::Bool(value)),
        Some(v1::value::Kind::IntValue(value)) => Ok(Value::Int(value)),
        Some(v1::value::Kind::FloatValue(value)) => Ok(Value::Float(value)),
        Some(v1::value::Kind::StringValue(value)) => Ok(Value::String(value)),
        Some(v1::value::Kind::TimestampValue(value)) => Ok(Value::Timestamp(value)),
        Some(v1::value::Kind::StringsValue(list)) => Ok(Value::Strings(list.values)),
        Some(v1::value::Kind::GeoValue(point)) => Ok(Value::Geo(GeoPoint { lat: point.lat, lon: point.lon })),
        Some(v1::value::Kind::JsonValue(text)) => match Json::new(text) {
            Ok(json) => Ok(Value::Json(json)),
            Err(Error::Limit { limit, max, actual, .. }) => {
                Err(status::beyond_limit(path, limit, max, actual))
            }
            Err(error) => Err(status::invalid(path, &error.to_string())),
        },
        None => Err(status::invalid(path, "no value is set; set one of its kinds")),
    }
}

pub(super) fn value_out(value: Value) -> v1::Value {
    let kind = match value {
        Value::Bool(value) => v1::value::Kind::BoolValue(value),
        Value::Int(value) => v1::value::Kind::IntValue(value),
        Value::Float(value) => v1::value::Kind::FloatValue(value),
        Value::String(value) => v1::value::Kind::StringValue(value),
        Value::Timestamp(value) => v1::value::Kind::TimestampValue(value),
        Value::Strings(values) => v1::value::Kind::StringsValue(v1::Strings { values }),
        Value::Geo(GeoPoint { lat, lon }) => v1::value::Kind::GeoValue(v1::GeoPoint { lat, lon }),
        Value::Json(json) => v1::value::Kind::JsonValue(json.into_string()),
    };
    v1::Value { kind: Some(kind) }
}

/// Fields; `path` is that of the map.
pub(super) fn payload_in(wire: BTreeMap<String, v1::Value>, path: &str) -> Result<Payload, Status> {
    let field = |(name, value)| {
        let value = value_in(Some(value), &format!("{path}.{name}"))?;
        Ok((name, value))
    };
    wire.into_iter().map(field).collect()
}

pub(super) fn payload_out(payload: Payload) -> BTreeMap<String, v1::Value> {
    // One by one, in their order: a row has few fields, and to collect a map gathers and sorts them first.
    let mut fields = BTreeMap::new();
    for (name, value) in payload {
        fields.insert(name, value_out(value));
    }
    fields
}

pub(super) fn field_type_out(field_type: FieldType) -> v1::FieldType {
    match field_type {
        FieldType::Bool => v1::FieldType::Bool,
        FieldType::Int => v1::FieldType::Int,
        FieldType::Float => v1::FieldType::Float,
        FieldType::String => v1::FieldType::String,
        FieldType::Timestamp => v1::FieldType::Timestamp,
        FieldType::Strings => v1::FieldType::Strings,
        FieldType::Geo => v1::FieldType::Geo,
        FieldType::Json => v1::FieldType::Json,
    }
}

pub(super) fn field_type_in(wire: i32, path: &str) -> Result<FieldType, Status> {
    match v1::FieldType::try_from(wire) {
        Ok(v1::FieldType::Bool) => Ok(FieldType::Bool),
        Ok(v1::FieldType::Int) => Ok(FieldType::Int),
        Ok(v1::FieldType::Float) => Ok(FieldType::Float),
        Ok(v1::FieldType::String) => Ok(FieldType::String),
        Ok(v1::FieldType::Timestamp) => Ok(FieldType::Timestamp),
        Ok(v1::FieldType::Strings) => Ok(FieldType::Strings),
        Ok(v1::FieldType::Geo) => Ok(FieldType::Geo),
        Ok(v1::FieldType::Json) => Ok(FieldType::Json),
        Ok(v1::FieldType::Unspecified) => Err(status::invalid(path, "no type is set")),
        Err(_) => Err(unknown_enum(path, wire)),
    }
}
