//! Values of payload fields.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Datelike, SecondsFormat};
use ragstone::{FieldType, GeoPoint, Payload, Value};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value as Json, json};

use super::{RawObject, Shown, beginning, is_null, parsed, raw_object};

/// The fields of a collection, as far as they are known.
pub(crate) type Types = BTreeMap<String, FieldType>;

/// The types that a collection's description names; a type of a newer server is as good as unknown.
pub(crate) fn types(fields: &BTreeMap<String, String>) -> Types {
    let named = |name: &String| FieldType::ALL.into_iter().find(|known| known.to_string() == *name);
    fields.iter().filter_map(|(name, kind)| Some((name.clone(), named(kind)?))).collect()
}

/// Fields; `null` stands for one that the point has not got.
pub(crate) fn payload(fields: RawObject, types: &Types, what: &str) -> Result<Payload> {
    let mut payload = Payload::new();
    for (name, raw) in fields.into_iter().filter(|(_, raw)| !is_null(raw)) {
        let value = value(&raw, types.get(&name).copied(), &format!("{what}.{name}"))?;
        payload.insert(name, value);
    }
    Ok(payload)
}

/// A value of a field of this type, or of the type that it looks like.
pub(crate) fn value(raw: &RawValue, field_type: Option<FieldType>, what: &str) -> Result<Value> {
    let text = raw.get();
    Ok(match (field_type, first_byte(text)) {
        (Some(FieldType::Bool), b't' | b'f') => Value::Bool(text == "true"),
        (Some(FieldType::Int), b'-' | b'0'..=b'9') if is_whole(text) => Value::Int(int(text, what)?),
        (Some(FieldType::Float), b'-' | b'0'..=b'9') => Value::Float(float(text, what)?),
        (Some(FieldType::String), b'"') => Value::String(string(raw, what)?),
        (Some(FieldType::Timestamp), _) => Value::Timestamp(moment(&parsed(raw, what)?, what)?),
        (Some(FieldType::Strings), b'[') => Value::Strings(
            serde_json::from_str(text).with_context(|| format!("{what}: it is a list of strings"))?,
        ),
        (Some(FieldType::Geo), _) => Value::Geo(place(raw, what)?),
        (Some(FieldType::Json), _) => Value::Json(json(raw, what)?),
        (Some(field_type), _) => bail!("{what}: the field is {field_type}, the value is {}", beginning(text)),
        (None, _) => looks_like(raw, what)?,
    })
}

/// A value as it is typed. What is no JSON is a text; and a value of a string field is one, whatever it looks like. Of a JSON field a
/// text stands for a JSON string, unless it begins as JSON: then a bracket is missing more likely.
pub(crate) fn typed(text: &str, field_type: Option<FieldType>, what: &str) -> Result<Value> {
    match RawValue::from_string(text.to_owned()) {
        Err(error)
            if field_type == Some(FieldType::Json) && text.trim_start().starts_with(['{', '[', '"']) =>
        {
            bail!("{what}: it begins as JSON, and is none: {error}")
        }
        Ok(raw) if field_type != Some(FieldType::String) || raw.get().starts_with('"') => {
            value(&raw, field_type, what)
        }
        _ => value(&to_raw_value(text)?, field_type, what),
    }
}

/// What a JSON text begins with; it is never empty.
fn first_byte(text: &str) -> u8 {
    text.bytes().next().unwrap_or_default()
}

/// Whether a number is written as a whole one.
fn is_whole(literal: &str) -> bool {
    !literal.contains(['.', 'e', 'E'])
}

fn int(literal: &str, what: &str) -> Result<i64> {
    literal.parse().with_context(|| format!("{what}: {literal} is beyond what an int is"))
}

/// The float that is next to a number. A whole number that none is is refused: its digits would be others without a word.
fn float(literal: &str, what: &str) -> Result<f64> {
    match literal.parse::<f64>() {
        Ok(number) if !number.is_finite() => bail!("{what}: {literal} is beyond what a float is"),
        Ok(number) if is_whole(literal) && format!("{number:.0}") != literal => {
            bail!(
                "{what}: no float is {literal}, the next is {number:.0}; a json field or a string has all digits"
            )
        }
        number => number.with_context(|| format!("{what}: {literal} is no float")),
    }
}

fn string(raw: &RawValue, what: &str) -> Result<String> {
    serde_json::from_str(raw.get()).with_context(|| format!("{what}: {raw}"))
}

/// The text itself.
fn json(raw: &RawValue, what: &str) -> Result<ragstone::Json> {
    ragstone::Json::new(raw.get()).with_context(|| what.to_owned())
}

/// A time as filters read it ([`Value::timestamp`]), or microseconds since 1970 UTC.
pub(crate) fn moment(json: &Json, what: &str) -> Result<i64> {
    let time = json.as_str().and_then(Value::timestamp).and_then(|time| time.as_timestamp());
    match json.as_i64().or(time) {
        Some(micros) => Ok(micros),
        None => bail!(
            "{what}: {json} is no time; write it as \"2026-11-22\" or \"2026-11-22T10:30:00Z\", with six digits of a second at \
             most, or as microseconds since 1970"
        ),
    }
}

fn place(raw: &RawValue, what: &str) -> Result<GeoPoint> {
    let of_parts = |parts: RawObject| {
        let degrees =
            |name: &str| parts.get(name)?.get().parse::<f64>().ok().filter(|degrees| degrees.is_finite());
        Some(GeoPoint { lat: degrees("lat")?, lon: degrees("lon")? }).filter(|_| parts.len() == 2)
    };
    match raw_object(raw, what).ok().and_then(of_parts) {
        Some(place) => Ok(place),
        None => bail!(
            "{what}: {} is no place; write it as {{\"lat\": 52.5, \"lon\": 13.4}}",
            beginning(raw.get())
        ),
    }
}

/// What JSON alone says: a list of strings is that, an object of `lat` and `lon` a place, other lists and objects JSON.
fn looks_like(raw: &RawValue, what: &str) -> Result<Value> {
    let text = raw.get();
    Ok(match first_byte(text) {
        b'[' => match serde_json::from_str(text) {
            Ok(strings) => Value::Strings(strings),
            Err(_) => Value::Json(json(raw, what)?),
        },
        b'{' => match place(raw, what) {
            Ok(place) => Value::Geo(place),
            Err(_) => Value::Json(json(raw, what)?),
        },
        b't' | b'f' => Value::Bool(text == "true"),
        b'"' => Value::String(string(raw, what)?),
        b'n' => bail!("{what}: a field has a value or is not there"),
        _ => match text.parse() {
            Ok(number) => Value::Int(number),
            Err(_) => Value::Float(float(text, what)?),
        },
    })
}

/// A value as it is printed.
pub(crate) fn shown_value(value: &Value) -> Shown {
    Shown::Value(match value {
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(value),
        Value::Float(value) => json!(value),
        Value::String(value) => json!(value),
        Value::Timestamp(micros) => shown_moment(*micros),
        Value::Strings(values) => json!(values),
        Value::Geo(GeoPoint { lat, lon }) => json!({ "lat": lat, "lon": lon }),
        Value::Json(json) => return Shown::text(json.as_str()),
    })
}

/// A time as it is printed: as RFC 3339 writes it, unless it is too far off for that. It reads back as itself.
pub(crate) fn shown_moment(micros: i64) -> Json {
    match DateTime::from_timestamp_micros(micros).filter(|time| (0..=9_999).contains(&time.year())) {
        Some(time) => json!(time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        None => json!(micros),
    }
}

/// Fields as they are printed.
pub(crate) fn shown_payload(payload: &Payload) -> BTreeMap<String, Shown> {
    payload.iter().map(|(name, value)| (name.clone(), shown_value(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, types: &Types) -> Result<Payload> {
        let raw: Box<RawValue> = serde_json::from_str(text)?;
        payload(raw_object(&raw, "payload")?, types, "payload")
    }

    fn of_type(json: &Json, field_type: Option<FieldType>) -> Result<Value> {
        value(&to_raw_value(json).unwrap(), field_type, "f")
    }

    #[test]
    fn values_are_of_their_fields_types_or_what_they_look_like() {
        let types = Types::from([("price".to_owned(), FieldType::Float)]);
        let payload = read(r#"{"price": 3, "year": 2026, "draft": false, "none": null}"#, &types).unwrap();
        assert_eq!(payload["price"], Value::Float(3.0));
        assert_eq!(payload["year"], Value::Int(2026));
        assert_eq!(payload["draft"], Value::Bool(false));
        assert!(!payload.contains_key("none"));
        assert_eq!(json!(shown_payload(&payload)), json!({"price": 3.0, "year": 2026, "draft": false}));
        let error = read(r#"{"price": "x"}"#, &types).unwrap_err().to_string();
        assert_eq!(error, "payload.price: the field is float, the value is \"x\"");
        let types = [FieldType::Timestamp, FieldType::Strings, FieldType::Geo, FieldType::Json];
        let values = [
            json!("2026-11-22T10:30:00.000007Z"),
            json!(["a", "b"]),
            json!({"lat": 52.5, "lon": 13.4}),
            json!({"pages": [1, null], "deep": {"x": 1.5}}),
        ];
        for (field_type, json) in types.into_iter().zip(values) {
            let read = of_type(&json, Some(field_type)).unwrap();
            assert_eq!((read.field_type(), json!(shown_value(&read))), (field_type, json.clone()));
            if field_type != FieldType::Timestamp {
                assert_eq!(of_type(&json, None).unwrap(), read, "it looks like what it is");
            }
        }
        let micros = of_type(&json!(1_500_000), Some(FieldType::Timestamp)).unwrap();
        assert_eq!(micros, Value::Timestamp(1_500_000));
        for micros in [i64::MAX, i64::MIN, 253_402_300_800_000_000, -62_167_219_200_000_001] {
            assert_eq!(shown_moment(micros), json!(micros), "no year of four digits");
        }
        for micros in [0, -1, 1_714_559_400_250_000, 253_402_300_799_999_999, -62_167_219_200_000_000] {
            assert_eq!(moment(&shown_moment(micros), "f").unwrap(), micros);
        }
        // As filters read them.
        for (text, micros) in [
            ("1970-01-02", 86_400_000_000),
            ("1970-01-01 01:00:00.5+01:00", 500_000),
            ("1970-01-01T00:00:00.000001000Z", 1),
        ] {
            assert_eq!(moment(&json!(text), "f").unwrap(), micros, "{text}");
        }
        let nanoseconds = moment(&json!("2026-11-22T10:30:00.123456789Z"), "f").unwrap_err().to_string();
        assert!(nanoseconds.contains("six digits of a second at most"), "{nanoseconds}");
        for (field_type, json) in [
            (FieldType::Timestamp, json!("yesterday")),
            (FieldType::Strings, json!(["a", 1])),
            (FieldType::Geo, json!({"lat": 1})),
            (FieldType::Bool, json!("true")),
            (FieldType::Int, json!(1.0)),
            (FieldType::String, json!(7)),
        ] {
            assert!(of_type(&json, Some(field_type)).unwrap_err().to_string().starts_with("f: "));
        }
        assert!(read("[1]", &Types::new()).unwrap_err().to_string().contains("no object"));
    }

    #[test]
    fn what_is_typed_is_json_or_a_text() {
        let json = |text: &str| typed(text, Some(FieldType::Json), "--set extra");
        let kept = |text: &str| json(text).unwrap().as_json().unwrap().as_str().to_owned();
        assert_eq!(kept("{\"a\": [1]}"), "{\"a\": [1]}");
        assert_eq!(kept("7"), "7");
        assert_eq!(kept("green tea"), "\"green tea\"");
        for broken in ["{bad", " {\"a\": 1", "[1", "[1]]", "\"x"] {
            let error = json(broken).unwrap_err().to_string();
            assert!(error.starts_with("--set extra: it begins as JSON, and is none: "), "{error}");
        }
        for field_type in [None, Some(FieldType::String)] {
            assert_eq!(typed("{bad", field_type, "--set a").unwrap(), Value::from("{bad"));
        }
    }

    #[test]
    fn json_keeps_its_text_and_no_number_becomes_another_in_silence() {
        let text = r#"{"z": 12345678901234567890123, "a": [1.0, 1e400, 0.1000000000000000055511], "z": -0}"#;
        let types = Types::from([("extra".to_owned(), FieldType::Json)]);
        for field in ["extra", "unknown"] {
            let payload = read(&format!("{{\"{field}\": {text} }}"), &types).unwrap();
            assert_eq!(payload[field].as_json().unwrap().as_str(), text);
            assert_eq!(shown_value(&payload[field]).to_string(), text.replace(' ', ""));
        }
        let scalar = read(r#"{"extra": 1e400}"#, &types).unwrap();
        assert_eq!(scalar["extra"].as_json().unwrap().as_str(), "1e400");

        let types = Types::from([("int".to_owned(), FieldType::Int), ("float".to_owned(), FieldType::Float)]);
        let number = |field: &str, literal: &str| {
            read(&format!("{{\"{field}\": {literal}}}"), &types).map(|payload| payload[field].clone())
        };
        let float = |field: &str, literal: &str| match number(field, literal).unwrap() {
            Value::Float(number) => number,
            other => panic!("{other:?}"),
        };
        assert_eq!(number("int", "-9223372036854775808").unwrap(), Value::Int(i64::MIN));
        assert_eq!(float("float", "9007199254740992"), 9_007_199_254_740_992.0);
        assert_eq!(float("any", "10000000000000000000"), 1e19);
        assert!(float("float", "-0").is_sign_negative());
        // The float next to it, to the last bit: JSON is often read with an error of one.
        assert_eq!(float("any", "1.0715086071862673e301"), 2f64.powi(1_000));
        assert_eq!(float("float", "0.1000000000000000055511"), 0.1);
        for (field, literal, reason) in [
            ("int", "9223372036854775808", "is beyond what an int is"),
            ("float", "9007199254740993", "no float is 9007199254740993, the next is 9007199254740992"),
            (
                "any",
                "9223372036854775809",
                "no float is 9223372036854775809, the next is 9223372036854775808",
            ),
            ("float", "1e400", "1e400 is beyond what a float is"),
            ("any", "-1e400", "-1e400 is beyond what a float is"),
        ] {
            let error = format!("{:#}", number(field, literal).unwrap_err());
            assert!(error.starts_with(&format!("payload.{field}: ")) && error.contains(reason), "{error}");
        }
    }
}
