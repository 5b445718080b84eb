//! Values where they lie: in a row in memory or in a column of a mapped file.

use std::borrow::Cow;

use super::{GeoPoint, Json, Value};
use crate::codec::u32_at;

/// A value where it lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ValueRef<'a> {
    Bool(bool),
    Int(i64),
    Float(f64),
    /// UTF-8 as it was written; compared as bytes, which is the order of the text's code points.
    Text(&'a [u8]),
    Timestamp(i64),
    Strings(ListRef<'a>),
    Geo(GeoPoint),
    Json(&'a [u8]),
}

impl<'a> ValueRef<'a> {
    /// The text of a string value.
    pub(crate) fn as_text(self) -> Option<Cow<'a, str>> {
        match self {
            ValueRef::Text(bytes) => Some(String::from_utf8_lossy(bytes)),
            _ => None,
        }
    }

    /// Bytes that a payload limit counts for it.
    pub(crate) fn size_bytes(self) -> usize {
        match self {
            ValueRef::Bool(_) => 1,
            ValueRef::Int(_) | ValueRef::Float(_) | ValueRef::Timestamp(_) => 8,
            ValueRef::Text(bytes) | ValueRef::Json(bytes) => bytes.len(),
            // Where each ends counts, too: a list of empty strings is not free.
            ValueRef::Strings(list) => list.iter().map(|text| 4 + text.len()).sum(),
            ValueRef::Geo(_) => 16,
        }
    }

    /// The order of values of one type, in which both zeros are equal; values of two types, and those of a type without an
    /// order, count as equal.
    pub(crate) fn order(self, other: ValueRef<'_>) -> std::cmp::Ordering {
        match (self, other) {
            (ValueRef::Bool(a), ValueRef::Bool(b)) => a.cmp(&b),
            // Bounds of timestamps come as ints.
            (ValueRef::Int(a) | ValueRef::Timestamp(a), ValueRef::Int(b) | ValueRef::Timestamp(b)) => {
                a.cmp(&b)
            }
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
            ValueRef::Text(bytes) => Value::String(text(bytes)),
            ValueRef::Timestamp(value) => Value::Timestamp(value),
            ValueRef::Strings(list) => Value::Strings(list.iter().map(text).collect()),
            ValueRef::Geo(point) => Value::Geo(point),
            ValueRef::Json(bytes) => Value::Json(Json::stored(text(bytes))),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A list of texts where it lies.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ListRef<'a> {
    Owned(&'a [String]),
    /// Where each text ends, and before them where the first begins, as four bytes each, counted from before the bytes.
    /// Nothing of it is trusted: where ends lead out of the bytes, the text is empty.
    Packed {
        ends: &'a [u8],
        bytes: &'a [u8],
    },
}

impl<'a> ListRef<'a> {
    pub(crate) fn len(self) -> usize {
        match self {
            ListRef::Owned(values) => values.len(),
            ListRef::Packed { ends, .. } => (ends.len() / 4).saturating_sub(1),
        }
    }

    /// A text of the list; empty beyond its end.
    pub(crate) fn get(self, index: usize) -> &'a [u8] {
        match self {
            ListRef::Owned(values) => values.get(index).map(String::as_bytes).unwrap_or_default(),
            ListRef::Packed { ends, bytes } if index < self.len() => {
                let first = u32_at(ends, 0);
                let place = |index| u32_at(ends, index).checked_sub(first).map(|place| place as usize);
                let text = place(index).zip(place(index + 1)).and_then(|(start, end)| bytes.get(start..end));
                text.unwrap_or_default()
            }
            ListRef::Packed { .. } => &[],
        }
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        (0..self.len()).map(move |index| self.get(index))
    }
}

impl PartialEq for ListRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}
