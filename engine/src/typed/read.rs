//! A value of the user's type put together from a stored row.
//!
//! A struct tells the names of its fields before it is filled, so a row offers its id and its vectors only to who has a field
//! for them. Whoever takes any map (a type with `flatten`, a `BTreeMap`) does not tell, and is offered everything; if that does
//! not fit, as a map of payload values has no place for a vector, once more without the named vectors, without the default one, and
//! without any.

use std::cell::Cell as StdCell;
use std::collections::BTreeMap;

use serde_core::de::value::{BorrowedStrDeserializer, MapDeserializer, SeqDeserializer};
use serde_core::de::{DeserializeOwned, DeserializeSeed, EnumAccess};
use serde_core::de::{Deserializer, Error as _, IntoDeserializer, MapAccess, Unexpected, Visitor};
use serde_core::forward_to_deserialize_any;

use super::values::DEGREES;
use super::vectors::{ENTRIES, RowVectors};
use super::{Fault, ID, VECTOR, VECTORS};
use crate::payload::{GeoPoint, Payload, Value};
use crate::point::{PointId, SparseVector, Vector};

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
    Indices(&'a [u32]),
    Sparse(&'a SparseVector),
    Multi(&'a [Vec<f32>]),
    Named(&'a BTreeMap<String, Vector>),
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

impl<'a> From<&'a Vector> for Cell<'a> {
    fn from(vector: &'a Vector) -> Self {
        match vector {
            Vector::Dense(components) => Cell::Components(components),
            Vector::Sparse(vector) => Cell::Sparse(vector),
            Vector::Multi(vectors) => Cell::Multi(vectors),
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
            Cell::Components(_) | Cell::Indices(_) | Cell::Multi(_) | Cell::Texts(_) => Unexpected::Seq,
            Cell::Geo(_) | Cell::Sparse(_) | Cell::Named(_) => Unexpected::Map,
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
            Cell::Components(components) => visit_list(components.iter().copied(), visitor),
            Cell::Indices(indices) => visit_list(indices.iter().copied(), visitor),
            Cell::Multi(vectors) => {
                visit_list(vectors.iter().map(|vector| Cell::Components(vector)), visitor)
            }
            Cell::Texts(texts) => visit_list(texts.iter().map(|text| Cell::Text(text)), visitor),
            Cell::Sparse(SparseVector { indices, values }) => {
                let cells = [Cell::Components(values), Cell::Indices(indices)];
                let left = ENTRIES.into_iter().rev().zip(cells).collect();
                visitor.visit_map(Cells { left, next: None })
            }
            Cell::Named(vectors) => {
                let cells = vectors.iter().rev().map(|(name, vector)| (name.as_str(), Cell::from(vector)));
                visitor.visit_map(Cells { left: cells.collect(), next: None })
            }
            Cell::Geo(GeoPoint { lat, lon }) => {
                visitor.visit_map(MapDeserializer::new(DEGREES.into_iter().zip([lat, lon])))
            }
            Cell::Json(text) => told(text, |json| json.deserialize_any(visitor)),
        }
    }

    /// What is there is not `None`, but for a JSON `null` and for named vectors of which there are none.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match self {
            Cell::Json(text) => told(text, |json| json.deserialize_option(visitor)),
            Cell::Named(vectors) if vectors.is_empty() => visitor.visit_none(),
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

/// Has a list visited to its end.
fn visit_list<'de, V: Visitor<'de>, E: IntoDeserializer<'de, Fault>>(
    elements: impl Iterator<Item = E>,
    visitor: V,
) -> Read<V::Value> {
    let mut sequence: SeqDeserializer<_, Fault> = SeqDeserializer::new(elements);
    let value = visitor.visit_seq(&mut sequence)?;
    // An array of the type may be shorter.
    sequence.end()?;
    Ok(value)
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
    vectors: &'a dyn RowVectors,
    to_maps: Offer,
    /// Set to what of that a map was given.
    given: &'n StdCell<Offer>,
}

/// Which vectors a map is offered.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Offer {
    default: bool,
    named: bool,
}

/// What a map is offered, until something fits.
const OFFERS: [Offer; 4] = [
    Offer { default: true, named: true },
    Offer { default: true, named: false },
    Offer { default: false, named: true },
    Offer { default: false, named: false },
];

/// Reads a row into a type.
pub(super) fn read<'a, T: DeserializeOwned>(
    id: &'a PointId,
    payload: &'a Payload,
    vectors: &'a dyn RowVectors,
) -> Read<T> {
    let (mut first, mut told) = (None, None);
    for to_maps in OFFERS {
        // Where a vector is lacking some offers are the same.
        let is_new = |first: Offer| {
            to_maps.default <= first.default && to_maps.named <= first.named && to_maps != first
        };
        if !first.is_none_or(is_new) {
            continue;
        }
        let given = StdCell::default();
        let reader = RowReader { id, payload, vectors, to_maps, given: &given };
        let fault = match T::deserialize(reader) {
            Ok(row) => return Ok(row),
            Err(fault) => fault,
        };
        first.get_or_insert(given.get());
        // Who cannot do without a vector had it the first time, and something else was wrong.
        told = match told {
            Some(before) if fault.is_of_vectors() => Some(before),
            _ => Some(fault),
        };
        if given.get() == Offer::default() {
            break;
        }
    }
    Err(told.unwrap_or_default())
}

impl<'a> RowReader<'a, '_> {
    /// The cells of the row for a type with these fields, or with any.
    fn cells(&self, fields: Option<&[&str]>) -> Cells<'a> {
        let is_wanted = |name: &str, to_maps: bool| fields.map_or(to_maps, |fields| fields.contains(&name));
        let mut cells = Vec::with_capacity(self.payload.len() + 3);
        // Its own fields of these names a row cannot tell apart from them.
        let others = self.payload.iter().filter(|(name, _)| ![ID, VECTOR, VECTORS].contains(&name.as_str()));
        cells.extend(others.rev().map(|(name, value)| (name.as_str(), Cell::from(value))));
        let named = || self.vectors.named_vectors();
        // A map is not told of none, which would look like one of them.
        let named = is_wanted(VECTORS, self.to_maps.named).then(named).flatten();
        let named = named.filter(|vectors| fields.is_some() || !vectors.is_empty());
        let default = || self.vectors.default_vector();
        let default = is_wanted(VECTOR, self.to_maps.default).then(default).flatten();
        if fields.is_none() {
            self.given.set(Offer { default: default.is_some(), named: named.is_some() });
        }
        cells.extend(named.map(|vectors| (VECTORS, Cell::Named(vectors))));
        cells.extend(default.map(|vector| (VECTOR, Cell::Components(vector))));
        if is_wanted(ID, true) {
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
        seed.deserialize(cell).map_err(|fault| fault.within(name))
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
