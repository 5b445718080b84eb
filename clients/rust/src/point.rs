//! Points, their ids and their typed fields.

use std::collections::BTreeMap;

use ragstone_proto::v1;

use crate::error::{Error, Result};
use crate::vector::{Vector, vectors_from_wire};

/// The fields of a point, by name.
pub type Payload = BTreeMap<String, Value>;

/// The value of a payload field.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
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
    /// A list of strings, of which conditions find each.
    Strings(Vec<String>),
    /// A place on the earth.
    Geo(GeoPoint),
    /// A JSON text (RFC 8259): kept and returned as it is.
    Json(String),
}

/// A place on the earth, in degrees.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GeoPoint {
    /// North of the equator, -90 to 90.
    pub lat: f64,
    /// East of Greenwich, -180 to 180.
    pub lon: f64,
}

impl Value {
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

    pub(crate) fn into_wire(self) -> v1::Value {
        let kind = match self {
            Value::Bool(value) => v1::value::Kind::BoolValue(value),
            Value::Int(value) => v1::value::Kind::IntValue(value),
            Value::Float(value) => v1::value::Kind::FloatValue(value),
            Value::String(value) => v1::value::Kind::StringValue(value),
            Value::Timestamp(value) => v1::value::Kind::TimestampValue(value),
            Value::Strings(values) => v1::value::Kind::StringsValue(v1::Strings { values }),
            Value::Geo(GeoPoint { lat, lon }) => v1::value::Kind::GeoValue(v1::GeoPoint { lat, lon }),
            Value::Json(text) => v1::value::Kind::JsonValue(text),
        };
        v1::Value { kind: Some(kind) }
    }

    pub(crate) fn from_wire(wire: v1::Value) -> Result<Value> {
        Ok(match wire.kind.ok_or_else(|| Error::missing("value.kind"))? {
            v1::value::Kind::BoolValue(value) => Value::Bool(value),
            v1::value::Kind::IntValue(value) => Value::Int(value),
            v1::value::Kind::FloatValue(value) => Value::Float(value),
            v1::value::Kind::StringValue(value) => Value::String(value),
            v1::value::Kind::TimestampValue(value) => Value::Timestamp(value),
            v1::value::Kind::StringsValue(list) => Value::Strings(list.values),
            v1::value::Kind::GeoValue(point) => Value::Geo(GeoPoint { lat: point.lat, lon: point.lon }),
            v1::value::Kind::JsonValue(text) => Value::Json(text),
        })
    }
}

macro_rules! value_from {
    ($($source:ty => $variant:ident),* $(,)?) => {
        $(impl From<$source> for Value {
            fn from(value: $source) -> Self {
                Value::$variant(value.into())
            }
        })*
    };
}

value_from!(bool => Bool, i32 => Int, u32 => Int, i64 => Int, f32 => Float, f64 => Float, &str => String, String => String,
    Vec<String> => Strings, GeoPoint => Geo);

/// A list of strings.
///
/// ```
/// use ragstone_client::Point;
///
/// let point = Point::new(1, [1.0, 0.0]).with("tags", ["tea", "green"]).with("price", 4.5).with("sold", false);
/// assert_eq!(point.payload["tags"].as_strings().map(<[String]>::len), Some(2));
/// assert_eq!((point.payload["price"].as_float(), point.payload["price"].as_timestamp()), (Some(4.5), None));
/// assert_eq!((point.payload["sold"].as_bool(), point.payload["sold"].as_int()), (Some(false), None));
/// ```
impl<const N: usize> From<[&str; N]> for Value {
    fn from(values: [&str; N]) -> Self {
        Value::Strings(values.map(str::to_owned).into())
    }
}

pub(crate) fn payload_into_wire(payload: Payload) -> BTreeMap<String, v1::Value> {
    payload.into_iter().map(|(name, value)| (name, value.into_wire())).collect()
}

pub(crate) fn payload_from_wire(wire: BTreeMap<String, v1::Value>) -> Result<Payload> {
    wire.into_iter().map(|(name, value)| Ok((name, Value::from_wire(value)?))).collect()
}

/// The type of a payload field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FieldType {
    /// [`Value::Bool`].
    Bool,
    /// [`Value::Int`].
    Int,
    /// [`Value::Float`].
    Float,
    /// [`Value::String`].
    String,
    /// [`Value::Timestamp`].
    Timestamp,
    /// [`Value::Strings`].
    Strings,
    /// [`Value::Geo`].
    Geo,
    /// [`Value::Json`].
    Json,
}

impl FieldType {
    pub(crate) fn into_wire(self) -> v1::FieldType {
        match self {
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

    pub(crate) fn from_wire(wire: i32) -> Result<FieldType> {
        match v1::FieldType::try_from(wire) {
            Ok(v1::FieldType::Bool) => Ok(FieldType::Bool),
            Ok(v1::FieldType::Int) => Ok(FieldType::Int),
            Ok(v1::FieldType::Float) => Ok(FieldType::Float),
            Ok(v1::FieldType::String) => Ok(FieldType::String),
            Ok(v1::FieldType::Timestamp) => Ok(FieldType::Timestamp),
            Ok(v1::FieldType::Strings) => Ok(FieldType::Strings),
            Ok(v1::FieldType::Geo) => Ok(FieldType::Geo),
            Ok(v1::FieldType::Json) => Ok(FieldType::Json),
            Ok(v1::FieldType::Unspecified) | Err(_) => Err(Error::missing("field_type")),
        }
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

/// Names a point: an unsigned integer or a string of 1 to 512 bytes. The two never compare equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PointId {
    /// An unsigned integer.
    Num(u64),
    /// A string.
    Str(String),
}

impl PointId {
    pub(crate) fn into_wire(self) -> v1::PointId {
        let id = match self {
            PointId::Num(number) => v1::point_id::Id::Number(number),
            PointId::Str(text) => v1::point_id::Id::Text(text),
        };
        v1::PointId { id: Some(id) }
    }

    pub(crate) fn from_wire(wire: Option<v1::PointId>) -> Result<PointId> {
        match wire.and_then(|wire| wire.id).ok_or_else(|| Error::missing("id"))? {
            v1::point_id::Id::Number(number) => Ok(PointId::Num(number)),
            v1::point_id::Id::Text(text) => Ok(PointId::Str(text)),
        }
    }
}

impl From<u64> for PointId {
    fn from(id: u64) -> Self {
        PointId::Num(id)
    }
}

impl From<&str> for PointId {
    fn from(id: &str) -> Self {
        PointId::Str(id.to_owned())
    }
}

impl From<String> for PointId {
    fn from(id: String) -> Self {
        PointId::Str(id)
    }
}

impl std::fmt::Display for PointId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PointId::Num(id) => id.fmt(f),
            PointId::Str(id) => id.fmt(f),
        }
    }
}

/// A row: an id, a vector and typed fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The row's name; an upsert replaces the row that has it. Strings that start with `doc:` or
    /// `doc#` are kept for documents.
    pub id: PointId,
    /// As many finite components as the collection's dimension; a row without one is never found by similarity.
    pub vector: Option<Vec<f32>>,
    /// The named vectors, those that it has.
    pub vectors: BTreeMap<String, Vector>,
    /// Typed fields; names that start with `_` are kept for Ragstone.
    pub payload: Payload,
    /// When the point is gone, in microseconds since 1970 (UTC): from then on nothing returns it.
    pub expires_at: Option<i64>,
    /// Of a point that was read, the number of the write that last changed it: what
    /// [`Write::expect_etag`](crate::Write::expect_etag) knows it by. Writes do not look at it.
    pub etag: Option<u64>,
}

impl Point {
    /// A point with a vector and no fields.
    pub fn new(id: impl Into<PointId>, vector: impl Into<Vec<f32>>) -> Self {
        Self { vector: Some(vector.into()), ..Self::without_vector(id) }
    }

    /// A point without a vector: found by id and filter, never by similarity.
    pub fn without_vector(id: impl Into<PointId>) -> Self {
        Self {
            id: id.into(),
            vector: None,
            vectors: BTreeMap::new(),
            payload: Payload::new(),
            expires_at: None,
            etag: None,
        }
    }

    /// The same point with one more named vector.
    #[must_use]
    pub fn with_vector(mut self, name: impl Into<String>, vector: impl Into<Vector>) -> Self {
        self.vectors.insert(name.into(), vector.into());
        self
    }

    /// The same point, until a moment in microseconds since 1970 (UTC): [`expires_at`](Self::expires_at).
    #[must_use]
    pub fn expires_at(mut self, time_us: i64) -> Self {
        self.expires_at = Some(time_us);
        self
    }

    /// The same point with one more field.
    #[must_use]
    pub fn with(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.payload.insert(field.into(), value.into());
        self
    }

    pub(crate) fn into_wire(self) -> v1::Point {
        v1::Point {
            id: Some(self.id.into_wire()),
            vector: self.vector.map(|values| v1::Vector { values }),
            vectors: self.vectors.into_iter().map(|(name, vector)| (name, vector.into_wire())).collect(),
            payload: payload_into_wire(self.payload),
            expires_at: self.expires_at,
            etag: None,
        }
    }

    pub(crate) fn from_wire(wire: v1::Point) -> Result<Point> {
        Ok(Point {
            id: PointId::from_wire(wire.id)?,
            vector: wire.vector.map(|vector| vector.values),
            vectors: vectors_from_wire(wire.vectors)?,
            payload: payload_from_wire(wire.payload)?,
            expires_at: wire.expires_at,
            etag: wire.etag,
        })
    }
}

/// How long one stage of a call took on the server.
#[derive(Clone, Debug, PartialEq)]
pub struct StageTiming {
    /// The stage: `embed`, `search`, `split` …
    pub stage: String,
    /// Wall-clock milliseconds.
    pub milliseconds: f64,
}

pub(crate) fn timings_from_wire(wire: Vec<v1::StageTiming>) -> Vec<StageTiming> {
    wire.into_iter()
        .map(|timing| StageTiming { stage: timing.stage, milliseconds: timing.milliseconds })
        .collect()
}

/// Some of many, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// What is on the page.
    pub items: Vec<T>,
    /// Asks for the next page; none on the last.
    pub next_page_token: Option<String>,
}

impl<T> Page<T> {
    pub(crate) fn from_wire<W>(
        items: Vec<W>,
        next_page_token: String,
        convert: impl FnMut(W) -> Result<T>,
    ) -> Result<Page<T>> {
        Ok(Page {
            items: items.into_iter().map(convert).collect::<Result<_>>()?,
            next_page_token: Some(next_page_token).filter(|token| !token.is_empty()),
        })
    }
}
