//! Vectors in a user's type: each is what it holds, without a name around it, and its shape tells its kind. A list of numbers is
//! dense, a list of such lists a multi-vector, and a map of `indices` and `values` sparse.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fmt;

use serde_core::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde_core::de::{Error, MapAccess, SeqAccess, Visitor};
use serde_core::ser::SerializeStruct;
use serde_core::{Deserialize, Deserializer, Serialize, Serializer};

use crate::collection::{ViewState, with_vectors};
use crate::point::{Point, PointId, SparseVector, Vector};
use crate::schema::DEFAULT_VECTOR;

/// The fields of a sparse vector.
pub(super) const ENTRIES: [&str; 2] = ["indices", "values"];

/// Where the vectors of a row are. Each method is called only if the type has a place for what it gives, or may have one.
pub(crate) trait RowVectors {
    /// The default one, if the row has it.
    fn default_vector(&self) -> Option<&[f32]>;

    /// The named ones that it has; `None` where they are not known.
    fn named_vectors(&self) -> Option<&BTreeMap<String, Vector>>;
}

impl RowVectors for Point {
    fn default_vector(&self) -> Option<&[f32]> {
        self.vector.as_deref()
    }

    fn named_vectors(&self) -> Option<&BTreeMap<String, Vector>> {
        Some(&self.vectors)
    }
}

/// A row whose vectors are not known.
pub(super) struct NoVectors;

impl RowVectors for NoVectors {
    fn default_vector(&self) -> Option<&[f32]> {
        None
    }

    fn named_vectors(&self) -> Option<&BTreeMap<String, Vector>> {
        None
    }
}

/// A row of a view: looked for, and its vectors read, when they are asked for.
pub(crate) struct StoredVectors<'a> {
    view: &'a ViewState,
    id: &'a PointId,
    /// Segment and slot.
    place: OnceCell<Option<(usize, u32)>>,
    default: OnceCell<Option<Cow<'a, [f32]>>>,
    named: OnceCell<BTreeMap<String, Vector>>,
}

impl<'a> StoredVectors<'a> {
    pub(crate) fn of(view: &'a ViewState, id: &'a PointId) -> Self {
        Self { view, id, place: OnceCell::new(), default: OnceCell::new(), named: OnceCell::new() }
    }

    /// The same, of a row whose segment and slot are known.
    pub(crate) fn at(view: &'a ViewState, id: &'a PointId, place: (usize, u32)) -> Self {
        Self { place: Some(place).into(), ..Self::of(view, id) }
    }

    fn place(&self) -> Option<(usize, u32)> {
        *self.place.get_or_init(|| self.view.locate(self.id))
    }
}

impl RowVectors for StoredVectors<'_> {
    fn default_vector(&self) -> Option<&[f32]> {
        let read = || self.place().and_then(|(segment, slot)| self.view.default_vector(segment, slot));
        self.default.get_or_init(read).as_deref()
    }

    fn named_vectors(&self) -> Option<&BTreeMap<String, Vector>> {
        let place = self.place()?;
        let read = || {
            let mut vectors = self.view.schema.numbered();
            let default = vectors.find(|(_, name, _)| *name == DEFAULT_VECTOR).map(|(number, ..)| number);
            let row = Point::without_vector(self.id.clone());
            with_vectors(row, self.view, place, |number| Some(number) != default).vectors
        };
        Some(self.named.get_or_init(read))
    }
}

impl Serialize for SparseVector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("SparseVector", 2)?;
        fields.serialize_field(ENTRIES[0], &self.indices)?;
        fields.serialize_field(ENTRIES[1], &self.values)?;
        fields.end()
    }
}

impl Serialize for Vector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Vector::Dense(components) => components.serialize(serializer),
            Vector::Sparse(vector) => vector.serialize(serializer),
            Vector::Multi(vectors) => vectors.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for SparseVector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("SparseVector", &ENTRIES, SparseVisitor)
    }
}

struct SparseVisitor;

impl<'de> Visitor<'de> for SparseVisitor {
    type Value = SparseVector;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sparse vector: `indices` and `values`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SparseVector, A::Error> {
        let (mut indices, mut values) = (None, None);
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "indices" => indices = Some(map.next_value()?),
                "values" => values = Some(map.next_value()?),
                _ => return Err(A::Error::unknown_field(&name, &ENTRIES)),
            }
        }
        Ok(SparseVector {
            indices: indices.ok_or_else(|| A::Error::missing_field(ENTRIES[0]))?,
            values: values.ok_or_else(|| A::Error::missing_field(ENTRIES[1]))?,
        })
    }
}

impl<'de> Deserialize<'de> for Vector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VectorVisitor)
    }
}

struct VectorVisitor;

impl<'de> Visitor<'de> for VectorVisitor {
    type Value = Vector;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of numbers, a list of such lists, or `indices` and `values`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vector, A::Error> {
        let (mut components, mut vectors) = (Vec::new(), Vec::new());
        while let Some(part) = sequence.next_element()? {
            match part {
                Part::Component(component) => components.push(component),
                Part::Vector(vector) => vectors.push(vector),
            }
        }
        match (components.is_empty(), vectors.is_empty()) {
            (_, true) => Ok(Vector::Dense(components)),
            (true, false) => Ok(Vector::Multi(vectors)),
            (false, false) => Err(A::Error::custom("a list is of numbers or of lists, not of both")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vector, A::Error> {
        SparseVector::deserialize(MapAccessDeserializer::new(map)).map(Vector::Sparse)
    }
}

/// An element of the list that a vector is.
enum Part {
    Component(f32),
    Vector(Vec<f32>),
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PartVisitor)
    }
}

struct PartVisitor;

impl<'de> Visitor<'de> for PartVisitor {
    type Value = Part;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a list of numbers")
    }

    fn visit_f32<E: Error>(self, number: f32) -> Result<Part, E> {
        Ok(Part::Component(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Part, E> {
        Ok(Part::Component(number as f32))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Part, E> {
        Ok(Part::Component(number as f32))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Part, E> {
        Ok(Part::Component(number as f32))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Part, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(sequence)).map(Part::Vector)
    }
}
