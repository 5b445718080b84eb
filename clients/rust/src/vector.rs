//! Vectors of every kind, and what a collection sets of them.

use std::collections::BTreeMap;

use ragstone_proto::v1;
use ragstone_proto::v1::{any_vector, vector_options};

use crate::collection::Metric;
use crate::error::{Error, Result};

/// Few of very many components, as models like SPLADE give them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SparseVector {
    /// Which components, ascending and distinct; at most 16,384.
    pub indices: Vec<u32>,
    /// The value of each, finite.
    pub values: Vec<f32>,
}

/// A named vector of a point, of the kind that the collection says.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Vector {
    /// As many components as the collection says.
    Dense(Vec<f32>),
    /// Few of very many components.
    Sparse(SparseVector),
    /// 1 to 1,024 vectors, each of as many components as the collection says.
    Multi(Vec<Vec<f32>>),
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

impl Vector {
    pub(crate) fn into_wire(self) -> v1::AnyVector {
        let dense = |values| v1::Vector { values };
        let kind = match self {
            Vector::Dense(values) => any_vector::Kind::Dense(dense(values)),
            Vector::Sparse(SparseVector { indices, values }) => {
                any_vector::Kind::Sparse(v1::SparseVector { indices, values })
            }
            Vector::Multi(vectors) => {
                let vectors = vectors.into_iter().map(dense).collect();
                any_vector::Kind::Multi(v1::MultiVector { vectors })
            }
        };
        v1::AnyVector { kind: Some(kind) }
    }

    pub(crate) fn from_wire(wire: v1::AnyVector) -> Result<Vector> {
        Ok(match wire.kind.ok_or_else(|| Error::missing("vectors.kind"))? {
            any_vector::Kind::Dense(vector) => Vector::Dense(vector.values),
            any_vector::Kind::Sparse(v1::SparseVector { indices, values }) => {
                Vector::Sparse(SparseVector { indices, values })
            }
            any_vector::Kind::Multi(multi) => {
                Vector::Multi(multi.vectors.into_iter().map(|vector| vector.values).collect())
            }
        })
    }
}

pub(crate) fn vectors_from_wire(wire: BTreeMap<String, v1::AnyVector>) -> Result<BTreeMap<String, Vector>> {
    wire.into_iter().map(|(name, vector)| Ok((name, Vector::from_wire(vector)?))).collect()
}

/// How a component of a stored vector is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ElementType {
    /// 32-bit floats, as they are written.
    #[default]
    F32,
    /// 16-bit floats: half the room.
    F16,
}

/// How vectors are kept for the walk over the graph. Whatever it is, the stored vectors decide on the order of results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encoding {
    /// 32-bit floats: nothing but the vectors themselves.
    F32,
    /// 16-bit floats.
    F16,
    /// One byte a component.
    Int8,
    /// Half a byte a component: the fastest.
    #[default]
    Int4,
    /// A bit a component: the least memory.
    Bit1,
}

macro_rules! names {
    ($type:ident: $($variant:ident = $name:literal),*) => {
        impl $type {
            pub(crate) fn into_wire(self) -> v1::$type {
                match self {
                    $($type::$variant => v1::$type::$variant,)*
                }
            }

            pub(crate) fn from_wire(wire: i32) -> Result<$type> {
                match v1::$type::try_from(wire) {
                    $(Ok(v1::$type::$variant) => Ok($type::$variant),)*
                    Ok(v1::$type::Unspecified) | Err(_) => Err(Error::missing(stringify!($type))),
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {
                    $($type::$variant => $name,)*
                })
            }
        }
    };
}

names!(ElementType: F32 = "f32", F16 = "f16");
names!(Encoding: F32 = "f32", F16 = "f16", Int8 = "int8", Int4 = "int4", Bit1 = "bit1");

/// What a collection sets of a vector.
///
/// ```
/// use ragstone_client::{CreateCollection, Encoding, Metric, VectorOptions};
///
/// let request = CreateCollection::with_dimension("papers", 384)
///     .vector("title", VectorOptions::dense(384).metric(Metric::Dot).encoding(Encoding::Int8))
///     .vector("words", VectorOptions::sparse())
///     .vector("tokens", VectorOptions::multi(128));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct VectorOptions {
    wire: v1::VectorOptions,
}

impl VectorOptions {
    /// A dense vector of 1 to 8,192 components, found through a graph.
    pub fn dense(dimension: u32) -> Self {
        let dense = v1::DenseVectorOptions { dimension, ..Default::default() };
        Self { wire: v1::VectorOptions { kind: Some(vector_options::Kind::Dense(dense)) } }
    }

    /// A sparse vector, searched exactly through an index, by the inner product.
    pub fn sparse() -> Self {
        Self {
            wire: v1::VectorOptions { kind: Some(vector_options::Kind::Sparse(v1::SparseVectorOptions {})) },
        }
    }

    /// Many vectors of 1 to 8,192 components, searched exactly by MaxSim.
    pub fn multi(dimension: u32) -> Self {
        let multi = v1::MultiVectorOptions { dimension, ..Default::default() };
        Self { wire: v1::VectorOptions { kind: Some(vector_options::Kind::Multi(multi)) } }
    }

    /// How near two are; cosine by default. Sparse vectors know the inner product alone.
    #[must_use]
    pub fn metric(mut self, metric: Metric) -> Self {
        match &mut self.wire.kind {
            Some(vector_options::Kind::Dense(dense)) => dense.metric = metric.into_wire().into(),
            Some(vector_options::Kind::Multi(multi)) => multi.metric = metric.into_wire().into(),
            Some(vector_options::Kind::Sparse(_)) | None => {}
        }
        self
    }

    /// How the components are stored; as 32-bit floats by default. Of dense and multi-vectors.
    #[must_use]
    pub fn element(mut self, element: ElementType) -> Self {
        match &mut self.wire.kind {
            Some(vector_options::Kind::Dense(dense)) => dense.element = element.into_wire().into(),
            Some(vector_options::Kind::Multi(multi)) => multi.element = element.into_wire().into(),
            Some(vector_options::Kind::Sparse(_)) | None => {}
        }
        self
    }

    /// How they are kept for the walk; int4 by default. Of dense vectors.
    #[must_use]
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        if let Some(vector_options::Kind::Dense(dense)) = &mut self.wire.kind {
            dense.encoding = encoding.into_wire().into();
        }
        self
    }

    /// Components that a walk compares, the first ones; all by default. Of dense vectors.
    #[must_use]
    pub fn walk_dimension(mut self, components: u32) -> Self {
        if let Some(vector_options::Kind::Dense(dense)) = &mut self.wire.kind {
            dense.walk_dimension = Some(components);
        }
        self
    }

    /// Links of a node of the graph, 4 to 256, and the width of the walk that finds them, 1 to 100,000; 32 and 128 by default.
    /// Of dense vectors.
    #[must_use]
    pub fn graph(mut self, degree: u32, ef_construction: u32) -> Self {
        if let Some(vector_options::Kind::Dense(dense)) = &mut self.wire.kind {
            dense.graph = Some(v1::GraphOptions { degree, ef_construction });
        }
        self
    }

    pub(crate) fn into_wire(self) -> v1::VectorOptions {
        self.wire
    }
}

/// A vector of a collection, as it is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum VectorKind {
    /// One of a fixed dimension, found through a graph.
    Dense {
        /// Components.
        dimension: usize,
        /// How near two are.
        metric: Metric,
        /// How they are stored.
        element: ElementType,
        /// How they are kept for the walk.
        encoding: Encoding,
        /// Components that a walk compares, if not all.
        walk_dimension: Option<usize>,
        /// Links of a node of the graph.
        degree: usize,
        /// Width of the walk that finds them.
        ef_construction: usize,
    },
    /// Few of very many components.
    Sparse,
    /// Many of a fixed dimension.
    Multi {
        /// Components of each.
        dimension: usize,
        /// How near two are.
        metric: Metric,
        /// How they are stored.
        element: ElementType,
    },
}

impl VectorKind {
    pub(crate) fn from_wire(wire: v1::VectorOptions) -> Result<VectorKind> {
        Ok(match wire.kind.ok_or_else(|| Error::missing("vector_options.kind"))? {
            vector_options::Kind::Dense(dense) => {
                let graph = dense.graph.ok_or_else(|| Error::missing("vector_options.dense.graph"))?;
                VectorKind::Dense {
                    dimension: dense.dimension as usize,
                    metric: Metric::from_wire(dense.metric)?,
                    element: ElementType::from_wire(dense.element)?,
                    encoding: Encoding::from_wire(dense.encoding)?,
                    walk_dimension: dense.walk_dimension.map(|components| components as usize),
                    degree: graph.degree as usize,
                    ef_construction: graph.ef_construction as usize,
                }
            }
            vector_options::Kind::Sparse(_) => VectorKind::Sparse,
            vector_options::Kind::Multi(multi) => VectorKind::Multi {
                dimension: multi.dimension as usize,
                metric: Metric::from_wire(multi.metric)?,
                element: ElementType::from_wire(multi.element)?,
            },
        })
    }
}

impl std::fmt::Display for VectorKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            VectorKind::Dense { dimension, metric, element, encoding, .. } => {
                write!(
                    f,
                    "dense, {dimension} dimensions, {metric}, stored as {element}, walked as {encoding}"
                )
            }
            VectorKind::Sparse => f.write_str("sparse"),
            VectorKind::Multi { dimension, metric, element } => {
                write!(f, "multi, {dimension} dimensions, {metric}, stored as {element}")
            }
        }
    }
}
