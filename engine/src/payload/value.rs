//! Values of payload fields and their types.

use std::collections::BTreeMap;

use super::value_ref::{ListRef, ValueRef};
use super::{GeoPoint, Json};
use crate::error::{Error, Result};
use crate::limits::{LIST_STRINGS_MAX, check_limit};

/// The fields of a point, by name.
pub type Payload = BTreeMap<String, Value>;

/// The type of a payload field. The first write fixes it, unless the schema declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// `true` or `false`.
    Bool,
    /// A signed 64-bit integer.
    Int,
    /// A finite 64-bit floating-point number.
    Float,
    /// UTF-8 text.
    String,
    /// A moment, in microseconds since 1970 UTC.
    Timestamp,
    /// A list of strings, of which conditions find each.
    Strings,
    /// A place on the earth.
    Geo,
    /// A JSON text: kept and returned; the one condition on it is whether it is there.
    Json,
}

impl FieldType {
    /// Every type.
    pub const ALL: [FieldType; 8] = [
        FieldType::Bool,
        FieldType::Int,
        FieldType::Float,
        FieldType::String,
        FieldType::Timestamp,
        FieldType::Strings,
        FieldType::Geo,
        FieldType::Json,
    ];

    /// Its code on disk.
    pub(crate) fn code(self) -> u8 {
        match self {
            FieldType::Bool => 0,
            FieldType::Int => 1,
            FieldType::Float => 2,
            FieldType::String => 3,
            FieldType::Timestamp => 4,
            FieldType::Strings => 5,
            FieldType::Geo => 6,
            FieldType::Json => 7,
        }
    }

    /// The type with this code.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|field_type| field_type.code() == code)
    }
}

impl std::fmt::Display for FieldType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            FieldType::Bool => "bool",
            FieldType::Int => "int",
            FieldType::Float => "float",
            FieldType::String => "string",
            FieldType::Timestamp => "timestamp",
            FieldType::Strings => "strings",
            FieldType::Geo => "geo",
            FieldType::Json => "json",
        })
    }
}

/// The value of a payload field. A field that a point lacks has no value at all.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// A signed 64-bit integer.
    Int(i64),
    /// A finite 64-bit floating-point number.
    Float(f64),
    /// UTF-8 text.
    String(String),
    /// A moment, in microseconds since 1970 UTC.
    Timestamp(i64),
    /// A list of strings, at most [`LIST_STRINGS_MAX`](crate::limits::LIST_STRINGS_MAX).
    Strings(Vec<String>),
    /// A place on the earth.
    Geo(GeoPoint),
    /// A JSON text.
    Json(Json),
}

impl Value {
    /// The value's type.
    pub fn field_type(&self) -> FieldType {
        match self {
            Value::Bool(_) => FieldType::Bool,
            Value::Int(_) => FieldType::Int,
            Value::Float(_) => FieldType::Float,
            Value::String(_) => FieldType::String,
            Value::Timestamp(_) => FieldType::Timestamp,
            Value::Strings(_) => FieldType::Strings,
            Value::Geo(_) => FieldType::Geo,
            Value::Json(_) => FieldType::Json,
        }
    }

    /// The value, borrowed.
    pub(crate) fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Value::Bool(value) => ValueRef::Bool(*value),
            Value::Int(value) => ValueRef::Int(*value),
            Value::Float(value) => ValueRef::Float(*value),
            Value::String(value) => ValueRef::Text(value.as_bytes()),
            Value::Timestamp(value) => ValueRef::Timestamp(*value),
            Value::Strings(values) => ValueRef::Strings(ListRef::Owned(values)),
            Value::Geo(value) => ValueRef::Geo(*value),
            Value::Json(value) => ValueRef::Json(value.as_str().as_bytes()),
        }
    }

    /// Bytes that a payload limit counts for it.
    pub(crate) fn size_bytes(&self) -> usize {
        self.as_ref().size_bytes()
    }

    /// Refuses what no field of its type takes; `path` names the value.
    pub(crate) fn check(&self, path: impl Fn() -> String) -> Result<()> {
        match self {
            Value::Float(number) if !number.is_finite() => {
                Err(Error::invalid(path(), format!("{number} is not a finite number")))
            }
            Value::Strings(values) if values.len() > LIST_STRINGS_MAX => {
                check_limit(&path(), "LIST_STRINGS_MAX", LIST_STRINGS_MAX, values.len())
            }
            Value::Geo(point) => point.check(path),
            _ => Ok(()),
        }
    }

    /// Whether a boolean value is true.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The number of a floating-point value.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Value::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// The text of a string value.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number of an integer value.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// A moment from text (RFC 3339): `2024-05-01`, `2024-05-01T12:00:00Z`, `2024-05-01 12:00:00.25+02:00`; without an offset it is UTC. So
    /// times are read everywhere: in filters, in records and by the command line. What microseconds do not hold, a seventh digit of a
    /// second that is not 0, is no moment.
    ///
    /// ```
    /// use ragstone::Value;
    ///
    /// assert_eq!(Value::timestamp("1970-01-02"), Some(Value::Timestamp(86_400_000_000)));
    /// assert_eq!(Value::timestamp("1970-01-01T00:00:00.000001000Z"), Some(Value::Timestamp(1)));
    /// assert_eq!(Value::timestamp("1970-01-01T00:00:00.000000001Z"), None);
    /// assert_eq!(Value::timestamp("yesterday"), None);
    /// ```
    pub fn timestamp(text: &str) -> Option<Value> {
        super::time::parse(text).map(Value::Timestamp)
    }

    /// The microseconds since 1970 UTC of a timestamp.
    pub fn as_timestamp(&self) -> Option<i64> {
        match self {
            Value::Timestamp(microseconds) => Some(*microseconds),
            _ => None,
        }
    }

    /// The strings of a list.
    pub fn as_strings(&self) -> Option<&[String]> {
        match self {
            Value::Strings(values) => Some(values),
            _ => None,
        }
    }

    /// The place that a geo value is.
    pub fn as_geo(&self) -> Option<GeoPoint> {
        match self {
            Value::Geo(point) => Some(*point),
            _ => None,
        }
    }

    /// The JSON text of a JSON value.
    pub fn as_json(&self) -> Option<&Json> {
        match self {
            Value::Json(json) => Some(json),
            _ => None,
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Float(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::String(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Value::String(value)
    }
}

impl From<Vec<String>> for Value {
    fn from(values: Vec<String>) -> Self {
        Value::Strings(values)
    }
}

/// A list of strings.
///
/// ```
/// use ragstone::Point;
///
/// let point = Point::new(1, [1.0, 0.0]).with("tags", ["tea", "green"]).with("price", 4.5).with("sold", false);
/// assert_eq!(point.payload["tags"].as_strings().map(<[String]>::len), Some(2));
/// assert_eq!(point.payload["price"].as_float(), Some(4.5));
/// assert_eq!((point.payload["sold"].as_bool(), point.payload["sold"].as_int()), (Some(false), None));
/// ```
impl<const N: usize> From<[&str; N]> for Value {
    fn from(values: [&str; N]) -> Self {
        Value::Strings(values.map(str::to_owned).into())
    }
}

impl From<GeoPoint> for Value {
    fn from(point: GeoPoint) -> Self {
        Value::Geo(point)
    }
}

impl From<Json> for Value {
    fn from(json: Json) -> Self {
        Value::Json(json)
    }
}
