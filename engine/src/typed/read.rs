//! A value of the user's type put together from a stored row.
//!
//! A struct tells the names of its fields before it is filled, so a row offers its id and its vector only to who has a field
//! for them. Whoever takes any map (a type with `flatten`, a `BTreeMap`) does not tell, and is offered everything; if that does
//! not fit, as a map of payload values has no place for a vector, once more without the vector.

use std::cell::Cell as StdCell;

use serde_core::de::value::{BorrowedStrDeserializer, MapDeserializer, SeqDeserializer};
use serde_core::de::{DeserializeOwned, DeserializeSeed, EnumAccess};
use serde_core::de::{Deserializer, Error as _, IntoDeserializer, MapAccess, Unexpected, Visitor};
use serde_core::forward_to_deserialize_any;

use super::values::DEGREES;
use super::{Fault, ID, VECTOR};
use crate::payload::{GeoPoint, Payload, Value};
use crate::point::PointId;

type Read<T> = Result<T, Fault>;

/// What stands in a field.
#[derive(Clone, Copy)]
enum Cell<'a> {
    Bool(bool),
    Int(i64),
    Unsigned(u64),
    Float(f64),
    Text(&'a str),
    Components(&'a [f32]),
    Texts(&'a [String]),
    Geo(GeoPoint),
    Json(&'a str),
}

impl<'a> From<&'a Value> for Cell<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Bool(value) => Cell::Bool(*value),
            Value::Int(value) => Cell::Int(*value),
            Value::Float(value) => Cell::Float(*value),
            Value::String(text) => Cell::Text(text),
            Value::Timestamp(microseconds) => Cell::Int(*microseconds),
            Value::Strings(texts) => Cell::Texts(texts),
            Value::Geo(point) => Cell::Geo(*point),
            Value::Json(json) => Cell::Json(json.as_str()),
        }
    }
}

impl<'a> From<&'a PointId> for Cell<'a> {
    fn from(id: &'a PointId) -> Self {
        match id {
            PointId::Num(id) => Cell::Unsigned(*id),
            PointId::Str(id) => Cell::Text(id),
        }
    }
}

impl<'a> Cell<'a> {
    fn unexpected(self) -> Unexpected<'a> {
        match self {
            Cell::Bool(value) => Unexpected::Bool(value),
            Cell::Int(value) => Unexpected::Signed(value),
            Cell::Unsigned(value) => Unexpected::Unsigned(value),
            Cell::Float(value) => Unexpected::Float(value),
            Cell::Text(text) => Unexpected::Str(text),
            Cell::Components(_) | Cell::Texts(_) => Unexpected::Seq,
            Cell::Geo(_) => Unexpected::Map,
            Cell::Json(_) => Unexpected::Other("JSON"),
        }
    }
}

impl<'de> Deserializer<'de> for Cell<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match self {
            Cell::Bool(value) => visitor.visit_bool(value),
            Cell::Int(value) => visitor.visit_i64(value),
            Cell::Unsigned(value) => visitor.visit_u64(value),
            Cell::Float(value) => visitor.visit_f64(value),
            Cell::Text(text) => visitor.visit_borrowed_str(text),
            Cell::Components(components) => {
                let mut sequence = SeqDeserializer::new(components.iter().copied());
                let value = visitor.visit_seq(&mut sequence)?;
                // An array of the type may be shorter.
                sequence.end()?;
                Ok(value)
            }
            Cell::Texts(texts) => {
                let mut sequence = SeqDeserializer::new(texts.iter().map(|text| Cell::Text(text)));
                let value = visitor.visit_seq(&mut sequence)?;
                sequence.end()?;
                Ok(value)
            }
            Cell::Geo(GeoPoint { lat, lon }) => {
                visitor.visit_map(MapDeserializer::new(DEGREES.into_iter().zip([lat, lon])))
            }
            Cell::Json(text) => told(text, |json| json.deserialize_any(visitor)),
        }
    }

    /// What is there is not `None`, but for a JSON `null`.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match self {
            Cell::Json(text) => told(text, |json| json.deserialize_option(visitor)),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Read<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        match self {
            Cell::Json(text) => told(text, |json| json.deserialize_enum(name, variants, visitor)),
            Cell::Text(text) => visitor.visit_enum(Variant(text)),
            other => Err(Fault::invalid_type(other.unexpected(), &"the name of a variant")),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// What a JSON text tells.
fn told<'de, T>(
    text: &'de str,
    tell: impl FnOnce(&mut serde_json::Deserializer<serde_json::de::StrRead<'de>>) -> serde_json::Result<T>,
) -> Read<T> {
    tell(&mut serde_json::Deserializer::from_str(text)).map_err(Fault::custom)
}

/// A variant without content.
struct Variant<'de>(&'de str);

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Fault;
    type Variant = <BorrowedStrDeserializer<'de, Fault> as EnumAccess<'de>>::Variant;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Read<(V::Value, Self::Variant)> {
        BorrowedStrDeserializer::new(self.0).variant_seed(seed)
    }
}

/// A row, for whoever takes a struct or a map.
struct RowReader<'a, 'n> {
    id: &'a PointId,
    payload: &'a Payload,
    vector: &'a dyn Fn() -> Option<&'a [f32]>,
    maps: Maps<'n>,
}

/// What a map is offered.
#[derive(Clone, Copy)]
enum Maps<'n> {
    /// Everything; notes that a vector was.
    All(&'n StdCell<bool>),
    /// All but the vector.
    NoVector,
}

/// Reads a row into a type. `vector` is asked only where there may be a place for it.
pub(super) fn read<'a, T: DeserializeOwned>(
    id: &'a PointId,
    payload: &'a Payload,
    vector: &'a dyn Fn() -> Option<&'a [f32]>,
) -> Read<T> {
    let has_map_a_vector = StdCell::new(false);
    let read = |maps| T::deserialize(RowReader { id, payload, vector, maps });
    match read(Maps::All(&has_map_a_vector)) {
        Err(first) if has_map_a_vector.get() => read(Maps::NoVector).map_err(|second| {
            // Who cannot do without the vector had it the first time, and something else was wrong.
            if second.is_of(VECTOR) { first } else { second }
        }),
        result => result,
    }
}

impl<'a> RowReader<'a, '_> {
    /// The cells of the row for a type with these fields, or with any.
    fn cells(&self, fields: Option<&[&str]>) -> Cells<'a> {
        let is_wanted = |name: &str| match (fields, self.maps) {
            (Some(fields), _) => fields.contains(&name),
            (None, Maps::NoVector) => name != VECTOR,
            (None, Maps::All(_)) => true,
        };
        let mut cells = Vec::with_capacity(self.payload.len() + 2);
        // Its own fields of these two names a row cannot tell apart from them.
        let others = self.payload.iter().filter(|(name, _)| *name != ID && *name != VECTOR);
        cells.extend(others.rev().map(|(name, value)| (name.as_str(), Cell::from(value))));
        if let Some(vector) = is_wanted(VECTOR).then(self.vector).flatten() {
            cells.push((VECTOR, Cell::Components(vector)));
            if let (None, Maps::All(has_vector)) = (fields, self.maps) {
                has_vector.set(true);
            }
        }
        if is_wanted(ID) {
            cells.push((ID, Cell::from(self.id)));
        }
        Cells { left: cells, next: None }
    }
}

impl<'de> Deserializer<'de> for RowReader<'de, '_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        visitor.visit_map(self.cells(None))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        visitor.visit_map(self.cells(Some(fields)))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Read<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map enum identifier ignored_any
    }
}

/// The cells of a row, the next one last.
struct Cells<'a> {
    left: Vec<(&'a str, Cell<'a>)>,
    /// The cell whose name was just read.
    next: Option<(&'a str, Cell<'a>)>,
}

impl<'de> MapAccess<'de> for Cells<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Read<Option<K::Value>> {
        self.next = self.left.pop();
        let Some((name, _)) = self.next else { return Ok(None) };
        let name_of: BorrowedStrDeserializer<'de, Fault> = BorrowedStrDeserializer::new(name);
        seed.deserialize(name_of).map(Some).map_err(|fault| fault.of(name))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Read<V::Value> {
        let (name, cell) = self.next.take().ok_or_else(|| Fault::custom("a value was read twice"))?;
        seed.deserialize(cell).map_err(|fault| fault.of(name))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.len())
    }
}

impl<'de> IntoDeserializer<'de, Fault> for Cell<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
