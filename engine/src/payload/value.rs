//! Values of payload fields and their types.

use std::collections::BTreeMap;

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
}

impl FieldType {
    /// Its code on disk.
    pub(crate) fn code(self) -> u8 {
        match self {
            FieldType::Bool => 0,
            FieldType::Int => 1,
            FieldType::Float => 2,
            FieldType::String => 3,
        }
    }

    /// The type with this code.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [FieldType::Bool, FieldType::Int, FieldType::Float, FieldType::String]
            .into_iter()
            .find(|field_type| field_type.code() == code)
    }
}

impl std::fmt::Display for FieldType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            FieldType::Bool => "bool",
            FieldType::Int => "int",
            FieldType::Float => "float",
            FieldType::String => "string",
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
}

impl Value {
    /// The value's type.
    pub fn field_type(&self) -> FieldType {
        match self {
            Value::Bool(_) => FieldType::Bool,
            Value::Int(_) => FieldType::Int,
            Value::Float(_) => FieldType::Float,
            Value::String(_) => FieldType::String,
        }
    }

    /// The value, borrowed.
    pub(crate) fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Value::Bool(value) => ValueRef::Bool(*value),
            Value::Int(value) => ValueRef::Int(*value),
            Value::Float(value) => ValueRef::Float(*value),
            Value::String(value) => ValueRef::Text(value.as_bytes()),
        }
    }

    /// Bytes that a payload limit counts for it.
    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            Value::Bool(_) => 1,
            Value::Int(_) | Value::Float(_) => 8,
            Value::String(text) => text.len(),
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
}

/// A value where it lies: in a row in memory or in a column of a mapped file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ValueRef<'a> {
    Bool(bool),
    Int(i64),
    Float(f64),
    /// UTF-8 as it was written; compared as bytes, which is the order of the text's code points.
    Text(&'a [u8]),
}

impl ValueRef<'_> {
    /// The order of values of one type, in which both zeros are equal; values of two types have none and count as equal.
    pub(crate) fn order(self, other: ValueRef<'_>) -> std::cmp::Ordering {
        match (self, other) {
            (ValueRef::Bool(a), ValueRef::Bool(b)) => a.cmp(&b),
            (ValueRef::Int(a), ValueRef::Int(b)) => a.cmp(&b),
            (ValueRef::Float(a), ValueRef::Float(b)) => (a + 0.0).total_cmp(&(b + 0.0)),
            (ValueRef::Text(a), ValueRef::Text(b)) => a.cmp(b),
            _ => std::cmp::Ordering::Equal,
        }
    }

    /// The value itself.
    pub(crate) fn to_value(self) -> Value {
        match self {
            ValueRef::Bool(value) => Value::Bool(value),
            ValueRef::Int(value) => Value::Int(value),
            ValueRef::Float(value) => Value::Float(value),
            ValueRef::Text(bytes) => Value::String(String::from_utf8_lossy(bytes).into_owned()),
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
