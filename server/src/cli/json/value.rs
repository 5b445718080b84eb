//! Values of payload fields.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, SecondsFormat};
use ragstone::{FieldType, GeoPoint, Payload, Value};
use serde_json::{Map, Value as Json, json};

use super::object;

/// The fields of a collection, as far as they are known.
pub(crate) type Types = BTreeMap<String, FieldType>;

/// The types that a collection's description names; a type of a newer server is as good as unknown.
pub(crate) fn types(fields: &BTreeMap<String, String>) -> Types {
    let named = |name: &String| FieldType::ALL.into_iter().find(|known| known.to_string() == *name);
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
        (FieldType::Timestamp, json) => Value::Timestamp(moment(&json, what)?),
        (FieldType::Strings, json @ Json::Array(_)) => Value::Strings(
            serde_json::from_value(json).with_context(|| format!("{what}: it is a list of strings"))?,
        ),
        (FieldType::Geo, json) => Value::Geo(place(&json, what)?),
        (FieldType::Json, json) => Value::Json(ragstone::Json::new(json.to_string())?),
        (field_type, json) => bail!("{what}: the field is {field_type}, the value is {json}"),
    })
}

/// A time as RFC 3339 writes it, or microseconds since 1970 UTC.
pub(crate) fn moment(json: &Json, what: &str) -> Result<i64> {
    let time = json.as_str().map(DateTime::parse_from_rfc3339);
    match (json.as_i64(), time) {
        (Some(micros), _) => Ok(micros),
        (None, Some(Ok(time))) => Ok(time.timestamp_micros()),
        _ => bail!(
            "{what}: {json} is no time; write it as \"2026-11-22T10:30:00Z\", or microseconds since 1970"
        ),
    }
}

fn place(json: &Json, what: &str) -> Result<GeoPoint> {
    let degrees = |name: &str| json.get(name).and_then(Json::as_f64);
    match (degrees("lat"), degrees("lon"), json.as_object().map(Map::len)) {
        (Some(lat), Some(lon), Some(2)) => Ok(GeoPoint { lat, lon }),
        _ => bail!("{what}: {json} is no place; write it as {{\"lat\": 52.5, \"lon\": 13.4}}"),
    }
}

/// What JSON alone says: a list of strings is that, an object of `lat` and `lon` a place, other lists and objects JSON.
fn looks_like(json: Json, what: &str) -> Result<Value> {
    Ok(match json {
        Json::Array(list) if list.iter().all(Json::is_string) => {
            Value::Strings(serde_json::from_value(Json::Array(list))?)
        }
        json @ Json::Object(_) if place(&json, what).is_ok() => Value::Geo(place(&json, what)?),
        json @ (Json::Array(_) | Json::Object(_)) => Value::Json(ragstone::Json::new(json.to_string())?),
        Json::Bool(value) => Value::Bool(value),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Value::Int(number),
            (None, Some(number)) => Value::Float(number),
            (None, None) => bail!("{what}: {number} is neither an int nor a float"),
        },
        Json::String(text) => Value::String(text),
        Json::Null => bail!("{what}: a field has a value or is not there"),
    })
}

/// A value as it is printed.
pub(crate) fn shown_value(value: &Value) -> Json {
    match value {
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(value),
        Value::Float(value) => json!(value),
        Value::String(value) => json!(value),
        Value::Timestamp(micros) => shown_moment(*micros),
        Value::Strings(values) => json!(values),
        Value::Geo(GeoPoint { lat, lon }) => json!({ "lat": lat, "lon": lon }),
        Value::Json(json) => serde_json::from_str(json.as_str()).unwrap_or_default(),
    }
}

/// A time as it is printed: as RFC 3339 writes it, unless it is too far off for that.
pub(crate) fn shown_moment(micros: i64) -> Json {
    match DateTime::from_timestamp_micros(micros) {
        Some(time) => json!(time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        None => json!(micros),
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
        let types = [FieldType::Timestamp, FieldType::Strings, FieldType::Geo, FieldType::Json];
        let values = [
            json!("2026-11-22T10:30:00.000007Z"),
            json!(["a", "b"]),
            json!({"lat": 52.5, "lon": 13.4}),
            json!({"pages": [1, null], "deep": {"x": 1.5}}),
        ];
        for (field_type, json) in types.into_iter().zip(values) {
            let read = value(json.clone(), Some(field_type), "f").unwrap();
            assert_eq!((read.field_type(), shown_value(&read)), (field_type, json.clone()));
            if field_type != FieldType::Timestamp {
                assert_eq!(value(json, None, "f").unwrap(), read, "it looks like what it is");
            }
        }
        assert_eq!(
            value(json!(1_500_000), Some(FieldType::Timestamp), "f").unwrap(),
            Value::Timestamp(1_500_000)
        );
        assert_eq!(shown_moment(i64::MAX), json!(i64::MAX));
        for (field_type, json) in [
            (FieldType::Timestamp, json!("yesterday")),
            (FieldType::Strings, json!(["a", 1])),
            (FieldType::Geo, json!({"lat": 1})),
        ] {
            assert!(value(json, Some(field_type), "f").unwrap_err().to_string().starts_with("f: "));
        }
        assert!(read(json!([1])).unwrap_err().to_string().contains("no object"));
    }
}
