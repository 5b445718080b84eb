//! Values of payload fields, and their types.

use std::collections::BTreeMap;

use ragstone::{FieldType, Payload, Value};
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
        None => Err(status::invalid(path, "no value is set; set one of bool, int, float and string")),
    }
}

pub(super) fn value_out(value: Value) -> v1::Value {
    let kind = match value {
        Value::Bool(value) => v1::value::Kind::BoolValue(value),
        Value::Int(value) => v1::value::Kind::IntValue(value),
        Value::Float(value) => v1::value::Kind::FloatValue(value),
        Value::String(value) => v1::value::Kind::StringValue(value),
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
    payload.into_iter().map(|(name, value)| (name, value_out(value))).collect()
}

pub(super) fn field_type_out(field_type: FieldType) -> v1::FieldType {
    match field_type {
        FieldType::Bool => v1::FieldType::Bool,
        FieldType::Int => v1::FieldType::Int,
        FieldType::Float => v1::FieldType::Float,
        FieldType::String => v1::FieldType::String,
    }
}

pub(super) fn field_type_in(wire: i32, path: &str) -> Result<FieldType, Status> {
    match v1::FieldType::try_from(wire) {
        Ok(v1::FieldType::Bool) => Ok(FieldType::Bool),
        Ok(v1::FieldType::Int) => Ok(FieldType::Int),
        Ok(v1::FieldType::Float) => Ok(FieldType::Float),
        Ok(v1::FieldType::String) => Ok(FieldType::String),
        Ok(v1::FieldType::Unspecified) => Err(status::invalid(path, "no type is set")),
        Err(_) => Err(unknown_enum(path, wire)),
    }
}
