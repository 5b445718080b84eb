//! Values of payload fields.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use ragstone::{FieldType, Payload, Value};
use serde_json::{Map, Value as Json, json};

use super::object;

/// The fields of a collection, as far as they are known.
pub(crate) type Types = BTreeMap<String, FieldType>;

/// The types that a collection's description names; a type of a newer server is as good as unknown.
pub(crate) fn types(fields: &BTreeMap<String, String>) -> Types {
    let known = [FieldType::Bool, FieldType::Int, FieldType::Float, FieldType::String];
    let named = |name: &String| known.into_iter().find(|known| known.to_string() == *name);
    fields.iter().filter_map(|(name, kind)| Some((name.clone(), named(kind)?))).collect()
}

/// Fields; `null` stands for one that the point has not got.
pub(crate) fn payload(json: Json, types: &Types, what: &str) -> Result<Payload> {
    let mut payload = Payload::new();
    for (name, json) in object(json, what)? {
        if !json.is_null() {
            let value = value(json, types.get(&name).copied(), &format!("{what}.{name}"))?;
            payload.insert(name, value);
        }
    }
    Ok(payload)
}

/// A value of a field of this type, or of the type that it looks like.
pub(crate) fn value(json: Json, field_type: Option<FieldType>, what: &str) -> Result<Value> {
    let Some(field_type) = field_type else { return looks_like(json, what) };
    Ok(match (field_type, json) {
        (FieldType::Bool, Json::Bool(value)) => Value::Bool(value),
        (FieldType::Int, Json::Number(number)) if number.is_i64() => {
            Value::Int(number.as_i64().unwrap_or_default())
        }
        (FieldType::Float, Json::Number(number)) => {
            Value::Float(number.as_f64().with_context(|| format!("{what}: {number} is no float"))?)
        }
        (FieldType::String, Json::String(text)) => Value::String(text),
        (field_type, json) => bail!("{what}: the field is {field_type}, the value is {json}"),
    })
}

fn looks_like(json: Json, what: &str) -> Result<Value> {
    Ok(match json {
        Json::Bool(value) => Value::Bool(value),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Value::Int(number),
            (None, Some(number)) => Value::Float(number),
            (None, None) => bail!("{what}: {number} is neither an int nor a float"),
        },
        Json::String(text) => Value::String(text),
        other => bail!("{what}: {other} is no value of a field"),
    })
}

/// A value as it is printed.
pub(crate) fn shown_value(value: &Value) -> Json {
    match value {
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(value),
        Value::Float(value) => json!(value),
        Value::String(value) => json!(value),
    }
}

/// Fields as they are printed.
pub(crate) fn shown_payload(payload: &Payload) -> Map<String, Json> {
    payload.iter().map(|(name, value)| (name.clone(), shown_value(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_of_their_fields_types_or_what_they_look_like() {
        let types = Types::from([("price".to_owned(), FieldType::Float)]);
        let read = |json: Json| payload(json, &types, "payload");
        let payload = read(json!({"price": 3, "year": 2026, "draft": false, "none": null})).unwrap();
        assert_eq!(payload["price"], Value::Float(3.0));
        assert_eq!(payload["year"], Value::Int(2026));
        assert_eq!(payload["draft"], Value::Bool(false));
        assert!(!payload.contains_key("none"));
        assert_eq!(json!(shown_payload(&payload)), json!({"price": 3.0, "year": 2026, "draft": false}));
        let error = read(json!({"price": "x"})).unwrap_err().to_string();
        assert_eq!(error, "payload.price: the field is float, the value is \"x\"");
        assert!(read(json!([1])).unwrap_err().to_string().contains("no object"));
    }
}
