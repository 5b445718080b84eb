//! Points: what a collection stores.

use std::collections::BTreeMap;

use crate::payload::{Payload, Value};

/// Names a point: an unsigned integer or a string. The two never compare equal; integers sort before strings.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PointId {
    /// An unsigned integer.
    Num(u64),
    /// A string of 1 to [`ID_BYTES_MAX`](crate::limits::ID_BYTES_MAX) bytes.
    Str(String),
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

/// Few of very many components, as models like SPLADE give them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SparseVector {
    /// Which components, ascending and distinct.
    pub indices: Vec<u32>,
    /// The value of each, finite.
    pub values: Vec<f32>,
}

/// A named vector of a point, of the kind that the schema says.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Vector {
    /// As many components as the schema says.
    Dense(Vec<f32>),
    /// Few of very many components.
    Sparse(SparseVector),
    /// At least one vector, each of as many components as the schema says.
    Multi(Vec<Vec<f32>>),
}

impl Vector {
    /// What its kind is called in messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Vector::Dense(_) => "dense",
            Vector::Sparse(_) => "sparse",
            Vector::Multi(_) => "multi",
        }
    }
}

impl From<Vec<f32>> for Vector {
    fn from(components: Vec<f32>) -> Self {
        Vector::Dense(components)
    }
}

impl<const N: usize> From<[f32; N]> for Vector {
    fn from(components: [f32; N]) -> Self {
        Vector::Dense(components.into())
    }
}

impl From<SparseVector> for Vector {
    fn from(vector: SparseVector) -> Self {
        Vector::Sparse(vector)
    }
}

impl From<Vec<Vec<f32>>> for Vector {
    fn from(vectors: Vec<Vec<f32>>) -> Self {
        Vector::Multi(vectors)
    }
}

/// A row: an id, vectors (a row without any is found by id and filter only) and typed fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The row's name; an upsert replaces the row that has it.
    pub id: PointId,
    /// The default vector: as many components as the collection's dimension, each finite. Under dot and L2 its length is at
    /// most 6e18.
    pub vector: Option<Vec<f32>>,
    /// The named vectors, those that it has.
    pub vectors: BTreeMap<String, Vector>,
    /// Typed fields.
    pub payload: Payload,
}

impl Point {
    /// A point with a vector and no fields.
    pub fn new(id: impl Into<PointId>, vector: impl Into<Vec<f32>>) -> Self {
        Self { vector: Some(vector.into()), ..Self::without_vector(id) }
    }

    /// A point without a vector: kept, found by id and filter, never by similarity.
    pub fn without_vector(id: impl Into<PointId>) -> Self {
        Self { id: id.into(), vector: None, vectors: BTreeMap::new(), payload: Payload::new() }
    }

    /// The same point with one more field.
    #[must_use]
    pub fn with(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.payload.insert(field.into(), value.into());
        self
    }

    /// The same point with one more named vector.
    #[must_use]
    pub fn with_vector(mut self, name: impl Into<String>, vector: impl Into<Vector>) -> Self {
        self.vectors.insert(name.into(), vector.into());
        self
    }
}

/// One change of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Insert the point, or replace the one with its id.
    Upsert(Point),
    /// Remove the point with this id, if there is one.
    Delete(PointId),
}

/// Changes that are applied together, in order, or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The changes, in order.
    pub ops: Vec<Op>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an insert or replacement.
    #[must_use]
    pub fn upsert(mut self, point: Point) -> Self {
        self.ops.push(Op::Upsert(point));
        self
    }

    /// Adds a removal.
    #[must_use]
    pub fn delete(mut self, id: impl Into<PointId>) -> Self {
        self.ops.push(Op::Delete(id.into()));
        self
    }
}
