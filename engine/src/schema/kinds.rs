//! The kinds of vectors that a collection may have, and what can be set of each.
//!
//! | kind | what a row has | how it is searched |
//! |---|---|---|
//! | dense | one vector of a fixed dimension | through a graph, or exactly |
//! | sparse | few of very many components, as of SPLADE | exactly, through an inverted index |
//! | multi | many vectors of a fixed dimension, as of ColBERT | exactly (MaxSim) |

use ragstone_kernels::{pack_f16, unpack_f16};

use crate::codec::u32_at;
use crate::error::{Error, Result};
use crate::limits::{DIMENSION_MAX, EF_MAX, GRAPH_DEGREE_MAX, GRAPH_DEGREE_MIN, check_limit};

/// How near two vectors are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Metric {
    /// Cosine of the angle, -1 to 1, larger is nearer. Vectors are stored (and returned) at unit length; a zero
    /// vector is refused.
    #[default]
    Cosine,
    /// Inner product, larger is nearer.
    Dot,
    /// Euclidean distance, smaller is nearer.
    L2,
}

impl std::fmt::Display for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Metric::Cosine => "cosine",
            Metric::Dot => "dot",
            Metric::L2 => "l2",
        })
    }
}

/// How vectors are kept for the walk. Whatever it is, the vectors are stored exactly besides, and decide on the order
/// of the results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodingKind {
    /// 32-bit floats: four bytes a component, nothing but the vectors themselves.
    F32,
    /// 16-bit floats: two bytes a component, off by their last digit only.
    F16,
    /// One byte a component.
    Int8,
    /// Half a byte a component: the fastest.
    #[default]
    Int4,
    /// A bit a component, 64 bytes for each 512 of them: the least memory. Give `ef` half as much again for the recall of
    /// the others; all `ef` candidates are compared exactly.
    Bit1,
}

/// The shape of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GraphOptions {
    /// Links of a node on the base layer (2M of the HNSW paper).
    pub degree: usize,
    /// Width of the walk that finds a new node's neighbours (efConstruction).
    pub ef_construction: usize,
}

impl Default for GraphOptions {
    fn default() -> Self {
        Self { degree: 32, ef_construction: 128 }
    }
}

/// How the exact components of a vector are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ElementType {
    /// 32-bit floats: as they came.
    #[default]
    F32,
    /// 16-bit floats: half the bytes. Components are rounded to eleven bits when they are written, so searches before and after a
    /// segment is sealed compare the same; none is above 65,504.
    F16,
}

impl ElementType {
    /// Bytes of a component.
    pub(crate) fn size_bytes(self) -> usize {
        match self {
            Self::F32 => size_of::<f32>(),
            Self::F16 => size_of::<u16>(),
        }
    }

    /// Writes components, little-endian; `out` has as many bytes as they take.
    pub(crate) fn write(self, components: &[f32], out: &mut [u8]) {
        match self {
            Self::F32 => {
                let places = out.chunks_exact_mut(size_of::<f32>());
                places.zip(components).for_each(|(place, x)| place.copy_from_slice(&x.to_le_bytes()));
            }
            Self::F16 => pack_f16(components, 1.0, out),
        }
    }

    /// Reads components.
    pub(crate) fn read(self, bytes: &[u8]) -> Vec<f32> {
        let mut out = vec![0.0; bytes.len() / self.size_bytes()];
        match self {
            Self::F32 => {
                let components = bytes.chunks_exact(size_of::<f32>());
                components.zip(&mut out).for_each(|(bytes, x)| *x = f32::from_bits(u32_at(bytes, 0)));
            }
            Self::F16 => unpack_f16(bytes, &mut out),
        }
        out
    }
}

/// A dense vector: one of a fixed dimension for each row that has it, with a graph over them.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct DenseOptions {
    /// Components.
    pub dimension: usize,
    /// How near two are; cosine by default.
    pub metric: Metric,
    /// How the exact components are stored; as 32-bit floats by default.
    pub element: ElementType,
    /// How vectors are kept for the walk; int4 by default.
    pub encoding: EncodingKind,
    /// Components that a walk compares, if not all.
    pub walk_dimension: Option<usize>,
    /// The shape of the graph.
    pub graph: GraphOptions,
}

impl DenseOptions {
    /// Vectors of `dimension` components, everything else by default.
    pub fn new(dimension: usize) -> Self {
        Self {
            dimension,
            metric: Metric::default(),
            element: ElementType::default(),
            encoding: EncodingKind::default(),
            walk_dimension: None,
            graph: GraphOptions::default(),
        }
    }

    /// Sets the metric.
    #[must_use]
    pub fn metric(mut self, metric: Metric) -> Self {
        self.metric = metric;
        self
    }

    /// Sets how the exact components are stored.
    #[must_use]
    pub fn element(mut self, element: ElementType) -> Self {
        self.element = element;
        self
    }

    /// Sets the encoding of the walk.
    #[must_use]
    pub fn encoding(mut self, encoding: EncodingKind) -> Self {
        self.encoding = encoding;
        self
    }

    /// Walks on the first components only, and compares the candidates on all: for models whose vectors may be cut
    /// ("Matryoshka"; Kusupati et al. 2022).
    #[must_use]
    pub fn walk_dimension(mut self, components: usize) -> Self {
        self.walk_dimension = Some(components);
        self
    }

    /// Sets the shape of the graph.
    #[must_use]
    pub fn graph(mut self, graph: GraphOptions) -> Self {
        self.graph = graph;
        self
    }

    /// Components that a walk compares: all of them, or the first ones.
    pub(crate) fn walked(&self) -> usize {
        self.walk_dimension.unwrap_or(self.dimension)
    }

    /// Checks the options of the vector that is named by `path` in errors.
    fn checked(mut self, path: &str) -> Result<Self> {
        check_dimension(path, self.dimension)?;
        if let Some(components) = self.walk_dimension {
            let path = format!("{path}.walk_dimension");
            if components == 0 {
                return Err(Error::invalid(path, "a walk compares at least one component"));
            }
            check_limit(&path, "schema.dimension", self.dimension, components)?;
            self.walk_dimension = Some(components).filter(|components| *components < self.dimension);
        }
        check_graph(path, &self.graph)?;
        Ok(self)
    }
}

/// A sparse vector: pairs of an index and a value, compared by their inner product.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SparseOptions {}

impl SparseOptions {
    /// Everything by default.
    pub fn new() -> Self {
        Self::default()
    }
}

/// Many vectors for each row that has some, compared by MaxSim: for each vector of the query the nearest of the row's, summed.
/// Searched exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct MultiOptions {
    /// Components of each.
    pub dimension: usize,
    /// Cosine or dot; cosine by default.
    pub metric: Metric,
    /// How the components are stored; as 32-bit floats by default.
    pub element: ElementType,
}

impl MultiOptions {
    /// Vectors of `dimension` components, everything else by default.
    pub fn new(dimension: usize) -> Self {
        Self { dimension, metric: Metric::default(), element: ElementType::default() }
    }

    /// Sets the metric.
    #[must_use]
    pub fn metric(mut self, metric: Metric) -> Self {
        self.metric = metric;
        self
    }

    /// Sets how the components are stored.
    #[must_use]
    pub fn element(mut self, element: ElementType) -> Self {
        self.element = element;
        self
    }

    fn check(&self, path: &str) -> Result<()> {
        check_dimension(path, self.dimension)?;
        if self.metric == Metric::L2 {
            let reason = "the nearest of many vectors is found by cosine or dot, which sum up";
            return Err(Error::invalid(format!("{path}.metric"), reason));
        }
        Ok(())
    }
}

/// A kind of vector, with what is set of it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum VectorKind {
    /// One vector of a fixed dimension.
    Dense(DenseOptions),
    /// Few of very many components.
    Sparse(SparseOptions),
    /// Many vectors of a fixed dimension.
    Multi(MultiOptions),
}

impl VectorKind {
    /// Checks what is set of the vector that is named by `path` in errors.
    pub(super) fn checked(self, path: &str) -> Result<Self> {
        match self {
            Self::Dense(options) => options.checked(path).map(Self::Dense),
            Self::Multi(options) => options.check(path).map(|()| self),
            Self::Sparse(_) => Ok(self),
        }
    }

    /// What it is called in messages.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Dense(_) => "dense",
            Self::Sparse(_) => "sparse",
            Self::Multi(_) => "multi",
        }
    }
}

fn check_dimension(path: &str, dimension: usize) -> Result<()> {
    let path = format!("{path}.dimension");
    if dimension == 0 {
        return Err(Error::invalid(path, "a vector has at least one component"));
    }
    check_limit(&path, "DIMENSION_MAX", DIMENSION_MAX, dimension)
}

fn check_graph(path: &str, graph: &GraphOptions) -> Result<()> {
    let (degree, ef) = (format!("{path}.graph.degree"), format!("{path}.graph.ef_construction"));
    if graph.degree < GRAPH_DEGREE_MIN {
        let reason =
            format!("a graph needs at least {GRAPH_DEGREE_MIN} links a node, this asks for {}", graph.degree);
        return Err(Error::invalid(degree, reason));
    }
    check_limit(&degree, "GRAPH_DEGREE_MAX", GRAPH_DEGREE_MAX, graph.degree)?;
    if graph.ef_construction == 0 {
        return Err(Error::invalid(ef, "a walk has a width of at least one"));
    }
    check_limit(&ef, "EF_MAX", EF_MAX, graph.ef_construction)
}
