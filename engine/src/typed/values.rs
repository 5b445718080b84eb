//! Values in a user's type: each is what it holds, without a name around it.
//!
//! A timestamp, a place and a JSON text look like an integer, a map of two numbers and whatever the text says to any format;
//! only `write.rs` knows them by the names of their types, [`TIMESTAMP`], [`GEO`] and [`JSON`], and keeps them apart. On the way
//! back a [`Value`] is what it looks like: a timestamp is an int there, a list of strings or a map of `lat` and `lon` what those are,
//! and any other list or map JSON. The declared type of a field sets that right when it is written ([`fitted`]).

use std::fmt;

use serde_core::de::{Error, MapAccess, SeqAccess, Unexpected, Visitor};
use serde_core::ser::SerializeStruct;
use serde_core::{Deserialize, Deserializer, Serialize, Serializer};

use crate::payload::{FieldType, GeoPoint, Json, Value};

/// The name that a timestamp goes by.
pub(super) const TIMESTAMP: &str = "ragstone::Timestamp";
/// The name that a place goes by.
pub(super) const GEO: &str = "ragstone::GeoPoint";
/// The name that a JSON text goes by.
pub(super) const JSON: &str = "ragstone::Json";
/// The fields of a place.
pub(super) const DEGREES: [&str; 2] = ["lat", "lon"];

/// A value as one of the declared type of its field, where that is the same thing: an integer is a number of microseconds,
/// and every value but a timestamp or a place is JSON.
pub(super) fn fitted(value: Value, declared: FieldType) -> Value {
    match (declared, value) {
        (FieldType::Timestamp, Value::Int(microseconds)) => Value::Timestamp(microseconds),
        // JSON has no such number, and would have `null` for it.
        (FieldType::Json, Value::Float(number)) if !number.is_finite() => Value::Float(number),
        (
            FieldType::Json,
            value @ (Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) | Value::Strings(_)),
        ) => match serde_json::to_string(&value) {
            Ok(text) => Value::Json(Json::stored(text)),
            Err(_) => value,
        },
        (_, value) => value,
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Int(value) => serializer.serialize_i64(*value),
            Value::Float(value) => serializer.serialize_f64(*value),
            Value::String(text) => serializer.serialize_str(text),
            Value::Timestamp(value) => serializer.serialize_newtype_struct(TIMESTAMP, value),
            Value::Strings(values) => values.serialize(serializer),
            Value::Geo(point) => point.serialize(serializer),
            Value::Json(json) => json.serialize(serializer),
        }
    }
}

impl Serialize for GeoPoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct(GEO, 2)?;
        fields.serialize_field(DEGREES[0], &self.lat)?;
        fields.serialize_field(DEGREES[1], &self.lon)?;
        fields.end()
    }
}

/// As what the text says.
impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value: serde_json::Value =
            serde_json::from_str(self.as_str()).map_err(serde_core::ser::Error::custom)?;
        serializer.serialize_newtype_struct(JSON, &value)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Value::deserialize(deserializer).map(|value| Json::stored(value.to_string()))
    }
}

impl<'de> Deserialize<'de> for GeoPoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct(GEO, &DEGREES, GeoVisitor)
    }
}

struct GeoVisitor;

impl<'de> Visitor<'de> for GeoVisitor {
    type Value = GeoPoint;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a place: `lat` and `lon`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<GeoPoint, A::Error> {
        let (mut lat, mut lon) = (None, None);
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "lat" => lat = Some(map.next_value()?),
                "lon" => lon = Some(map.next_value()?),
                _ => return Err(A::Error::unknown_field(&name, &DEGREES)),
            }
        }
        let [lat, lon] = [(lat, DEGREES[0]), (lon, DEGREES[1])]
            .map(|(degrees, name)| degrees.ok_or_else(|| A::Error::missing_field(name)));
        Ok(GeoPoint { lat: lat?, lon: lon? })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value of a field")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        i64::try_from(value).map(Value::Int).map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Value, A::Error> {
        ElementVisitor.visit_seq(sequence).map(of_json)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        ElementVisitor.visit_map(map).map(of_json)
    }
}

/// What is in a list or a map: anything but a component of a vector. So a map of values, which is offered the vectors with the
/// fields, refuses them.
struct Element(serde_json::Value);

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ElementVisitor).map(Element)
    }
}

struct ElementVisitor;

impl<'de> Visitor<'de> for ElementVisitor {
    type Value = serde_json::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what JSON holds")
    }

    fn visit_f32<E: Error>(self, _: f32) -> Result<Self::Value, E> {
        Err(E::invalid_type(Unexpected::Other("a vector"), &self))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(text.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(serde_json::Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(serde_json::Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(Element(element)) = sequence.next_element()? {
            elements.push(element);
        }
        Ok(elements.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = serde_json::Map::new();
        while let Some((name, Element(value))) = map.next_entry()? {
            fields.insert(name, value);
        }
        Ok(fields.into())
    }
}

/// A list or a map as the value that it looks like.
fn of_json(value: serde_json::Value) -> Value {
    if let Ok(values) = Vec::<String>::deserialize(&value) {
        return Value::Strings(values);
    }
    match GeoPoint::deserialize(&value) {
        Ok(point) => Value::Geo(point),
        Err(_) => Value::Json(Json::stored(value.to_string())),
    }
}
