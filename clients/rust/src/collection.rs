//! Collections.

use std::collections::BTreeMap;

use ragstone_proto::v1;

use crate::error::{Error, Result};
use crate::inference::ModelInfo;
use crate::point::FieldType;
use crate::vector::{ElementType, Encoding, VectorKind, VectorOptions};

/// What is wrong with a name that is in a request again.
const DECLARED_TWICE: &str = "it is declared twice";

/// How near two vectors are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Metric {
    /// Cosine of the angle, -1 to 1, larger is nearer. Vectors are stored (and returned) at unit length; a zero vector is
    /// refused.
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

impl Metric {
    pub(crate) fn into_wire(self) -> v1::Metric {
        match self {
            Metric::Cosine => v1::Metric::Cosine,
            Metric::Dot => v1::Metric::Dot,
            Metric::L2 => v1::Metric::L2,
        }
    }

    pub(crate) fn from_wire(wire: i32) -> Result<Metric> {
        match v1::Metric::try_from(wire) {
            Ok(v1::Metric::Cosine) => Ok(Metric::Cosine),
            Ok(v1::Metric::Dot) => Ok(Metric::Dot),
            Ok(v1::Metric::L2) => Ok(Metric::L2),
            Ok(v1::Metric::Unspecified) | Err(_) => Err(Error::missing("metric")),
        }
    }
}

/// A named set of points under one schema, as it is now.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Collection {
    /// Its name.
    pub name: String,
    /// How near two default vectors are.
    pub metric: Metric,
    /// Components of the default vector; 0 if there is none.
    pub dimension: usize,
    /// All vectors by name, the default one under the empty name.
    pub vector_options: BTreeMap<String, VectorKind>,
    /// The embedding model's contract; none if vectors are the user's own.
    pub model: Option<ModelInfo>,
    /// The payload fields, declared or written, with their types.
    pub fields: BTreeMap<String, FieldType>,
    /// The fields with an index over their words, and their analysers.
    pub texts: BTreeMap<String, String>,
    /// The field whose value is a point's tenant, if there is one.
    pub tenant: Option<String>,
    /// How documents are split; none without a model.
    pub chunks: Option<ChunkOptions>,
    /// How the texts and headings of chunks become words; none without a model.
    pub analyzer: Option<String>,
    /// Whether a write with an undeclared field is refused.
    pub strict: bool,
    /// Live points, documents and chunks included.
    pub points: u64,
    /// Live points that have a vector.
    pub vectors: u64,
    /// Segments, the growing one included.
    pub segments: usize,
    /// Number of the last applied write.
    pub seq: u64,
    /// Stands for what the collection is, its fields included, but not for its points.
    pub etag: String,
}

impl Collection {
    pub(crate) fn from_wire(wire: Option<v1::Collection>) -> Result<Collection> {
        let wire = wire.ok_or_else(|| Error::missing("collection"))?;
        Ok(Collection {
            metric: match wire.metric {
                // There is no default vector.
                0 => Metric::default(),
                metric => Metric::from_wire(metric)?,
            },
            vector_options: wire
                .vector_options
                .into_iter()
                .map(|(name, options)| Ok((name, VectorKind::from_wire(options)?)))
                .collect::<Result<_>>()?,
            name: wire.name,
            dimension: wire.dimension as usize,
            model: wire.model.map(ModelInfo::from_wire).transpose()?,
            fields: wire
                .fields
                .into_iter()
                .map(|(name, field_type)| Ok((name, FieldType::from_wire(field_type)?)))
                .collect::<Result<_>>()?,
            texts: wire.texts.into_iter().map(|(name, index)| (name, index.analyzer)).collect(),
            tenant: Some(wire.tenant).filter(|tenant| !tenant.is_empty()),
            chunks: wire.chunks.map(ChunkOptions::from_wire),
            analyzer: Some(wire.analyzer).filter(|analyzer| !analyzer.is_empty()),
            strict: wire.strict,
            points: wire.points,
            vectors: wire.vectors,
            segments: wire.segments as usize,
            seq: wire.seq,
            etag: wire.etag,
        })
    }
}

/// How the documents of a collection are split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkOptions {
    /// Tokens of a chunk at most; fewer where the model reads less.
    pub tokens: u32,
    /// Tokens that neighbours share which were cut out of one long text.
    pub overlap: u32,
}

impl ChunkOptions {
    fn from_wire(wire: v1::ChunkOptions) -> ChunkOptions {
        ChunkOptions { tokens: wire.tokens, overlap: wire.overlap.unwrap_or_default() }
    }
}

/// A collection to make. A vector, a field or a field that is searched by word is declared once.
///
/// ```
/// use ragstone_client::{CreateCollection, FieldType, Metric};
///
/// let documents = CreateCollection::with_model("notes", "all-MiniLM-L6-v2");
/// let vectors = CreateCollection::with_dimension("images", 512).metric(Metric::Dot).field("year", FieldType::Int);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CreateCollection {
    wire: v1::CreateCollectionRequest,
    /// What was declared twice first: on the wire there is room for one of a name, and the other would be gone without a word.
    twice: Option<String>,
}

impl CreateCollection {
    /// Vectors are made from text by this model; empty for the server's default one.
    pub fn with_model(name: impl Into<String>, model: impl Into<String>) -> Self {
        Self::new(name.into(), v1::create_collection_request::Vectors::Model(model.into()))
    }

    /// Vectors are the user's own, of 1 to 8,192 components.
    pub fn with_dimension(name: impl Into<String>, dimension: u32) -> Self {
        Self::new(name.into(), v1::create_collection_request::Vectors::Dimension(dimension))
    }

    fn new(name: String, vectors: v1::create_collection_request::Vectors) -> Self {
        let wire = v1::CreateCollectionRequest { name, vectors: Some(vectors), ..Default::default() };
        Self { wire, twice: None }
    }

    /// There is no default vector, but there may be further ones.
    pub fn without_vector(name: impl Into<String>) -> Self {
        Self::new(name.into(), v1::create_collection_request::Vectors::WithoutDefaultVector(true))
    }

    /// Adds a vector.
    #[must_use]
    pub fn vector(mut self, name: impl Into<String>, options: VectorOptions) -> Self {
        let name = name.into();
        let known = self.wire.vector_options.insert(name.clone(), options.into_wire());
        self.once(known.is_none(), "vector_options", &name)
    }

    /// Notes what is declared a second time.
    fn once(mut self, is_first: bool, map: &str, name: &str) -> Self {
        if !is_first {
            self.twice.get_or_insert(format!("{map}.{name}"));
        }
        self
    }

    /// Sets how the default vector is stored; as 32-bit floats by default.
    #[must_use]
    pub fn element(mut self, element: ElementType) -> Self {
        self.wire.element = element.into_wire().into();
        self
    }

    /// Sets how the default vector is kept for the walk; int4 by default.
    #[must_use]
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.wire.encoding = encoding.into_wire().into();
        self
    }

    /// Sets how many components of the default vector a walk compares; all by default.
    #[must_use]
    pub fn walk_dimension(mut self, components: u32) -> Self {
        self.wire.walk_dimension = Some(components);
        self
    }

    /// Sets the shape of the default vector's graph: links of a node, 4 to 256, and the width of the walk that finds them, 1 to
    /// 100,000; 32 and 128 by default.
    #[must_use]
    pub fn graph(mut self, degree: u32, ef_construction: u32) -> Self {
        self.wire.graph = Some(v1::GraphOptions { degree, ef_construction });
        self
    }

    /// Sets the metric; cosine by default.
    #[must_use]
    pub fn metric(mut self, metric: Metric) -> Self {
        self.wire.metric = metric.into_wire().into();
        self
    }

    /// Declares a payload field; other writes may add fields unless the collection is strict.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, field_type: FieldType) -> Self {
        let name = name.into();
        let known = self.wire.fields.insert(name.clone(), field_type.into_wire().into());
        self.once(known.is_none(), "fields", &name)
    }

    /// Declares a string field with an index over its words: `standard`, `code`, or a language, `english`, `german` …
    #[must_use]
    pub fn text(mut self, field: impl Into<String>, analyzer: impl Into<String>) -> Self {
        let field = field.into();
        let known = self.wire.texts.insert(field.clone(), v1::TextIndex { analyzer: analyzer.into() });
        self.once(known.is_none(), "texts", &field)
    }

    /// Sets how documents are split: tokens of a chunk at most, 16 to 65,536, and tokens that neighbours share, at most half of them; 240
    /// and 30 by default. Only with a model.
    #[must_use]
    pub fn chunks(mut self, tokens: u32, overlap: u32) -> Self {
        self.wire.chunks = Some(v1::ChunkOptions { tokens, overlap: Some(overlap) });
        self
    }

    /// Sets how the texts and headings of chunks become words, as with [`text`](CreateCollection::text); `english` by default. Only with
    /// a model.
    #[must_use]
    pub fn analyzer(mut self, analyzer: impl Into<String>) -> Self {
        self.wire.analyzer = analyzer.into();
        self
    }

    /// Makes a field, a string unless it is declared an int, the tenant key: every point has one, and reads name a tenant in their
    /// filter, or [`Filter::AllTenants`](crate::Filter::AllTenants).
    #[must_use]
    pub fn tenant(mut self, field: impl Into<String>) -> Self {
        self.wire.tenant = field.into();
        self
    }

    /// Refuses writes with undeclared fields.
    #[must_use]
    pub fn strict(mut self, strict: bool) -> Self {
        self.wire.strict = strict;
        self
    }

    pub(crate) fn name(&self) -> &str {
        &self.wire.name
    }

    pub(crate) fn into_wire(self) -> Result<v1::CreateCollectionRequest> {
        match self.twice {
            Some(field) => Err(Error::invalid(field, DECLARED_TWICE)),
            None => Ok(self.wire),
        }
    }
}

/// What to add to a collection: fields, and words of fields. Each is declared once.
///
/// ```
/// use ragstone_client::{FieldType, UpdateCollection};
///
/// let update = UpdateCollection::new("notes").field("year", FieldType::Int).text("title", "english");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateCollection {
    wire: v1::UpdateCollectionRequest,
    twice: Option<String>,
}

impl UpdateCollection {
    /// Nothing yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self { wire: v1::UpdateCollectionRequest { name: name.into(), ..Default::default() }, twice: None }
    }

    /// Declares a payload field; one that is there already with its type is passed over.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, field_type: FieldType) -> Self {
        let name = name.into();
        if self.wire.fields.insert(name.clone(), field_type.into_wire().into()).is_some() {
            self.twice.get_or_insert(format!("fields.{name}"));
        }
        self
    }

    /// Has a string field searched by word, a new one or one that points have: `standard`, `code`, or a language, `english` (also if it
    /// is empty), `german` … One that is already, with this analyser, is passed over.
    #[must_use]
    pub fn text(mut self, field: impl Into<String>, analyzer: impl Into<String>) -> Self {
        let field = field.into();
        let index = v1::TextIndex { analyzer: analyzer.into() };
        if self.wire.texts.insert(field.clone(), index).is_some() {
            self.twice.get_or_insert(format!("texts.{field}"));
        }
        self
    }

    /// Only if the collection still has this etag ([`Collection::etag`]); whatever it has by default.
    #[must_use]
    pub fn etag(mut self, etag: impl Into<String>) -> Self {
        self.wire.etag = etag.into();
        self
    }

    pub(crate) fn into_wire(self) -> Result<v1::UpdateCollectionRequest> {
        match self.twice {
            Some(field) => Err(Error::invalid(field, DECLARED_TWICE)),
            None => Ok(self.wire),
        }
    }
}
