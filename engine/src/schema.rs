//! The one configuration type of a collection, validated when it is built.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::limits::{
    ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX, DIMENSION_MAX, EF_MAX, FIELD_NAME_BYTES_MAX, FIELDS_MAX,
    GRAPH_DEGREE_MAX, GRAPH_DEGREE_MIN, check_limit,
};
use crate::payload::FieldType;

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

/// What a collection holds. Fixed when it is created, but for fields, which writes may add.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    pub(crate) dimension: usize,
    pub(crate) metric: Metric,
    pub(crate) encoding: EncodingKind,
    /// Components that a walk compares, if not all.
    pub(crate) walk_dimension: Option<usize>,
    pub(crate) graph: GraphOptions,
    pub(crate) fields: BTreeMap<String, FieldType>,
    pub(crate) strict: bool,
    pub(crate) attributes: BTreeMap<String, String>,
}

impl Schema {
    /// Starts a schema for vectors of `dimension` components.
    pub fn builder(dimension: usize) -> SchemaBuilder {
        SchemaBuilder {
            schema: Schema {
                dimension,
                metric: Metric::default(),
                encoding: EncodingKind::default(),
                walk_dimension: None,
                graph: GraphOptions::default(),
                fields: BTreeMap::new(),
                strict: false,
                attributes: BTreeMap::new(),
            },
        }
    }

    /// A schema with every default: cosine, int4, no declared fields.
    pub fn new(dimension: usize) -> Result<Schema> {
        Self::builder(dimension).build()
    }

    /// Components of a vector.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// How near two vectors are.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// How vectors are kept for the walk.
    pub fn encoding(&self) -> EncodingKind {
        self.encoding
    }

    /// Components that a walk compares: all of them, or the first ones.
    pub fn walk_dimension(&self) -> usize {
        self.walk_dimension.unwrap_or(self.dimension)
    }

    /// The shape of the graph.
    pub fn graph(&self) -> GraphOptions {
        self.graph
    }

    /// The fields, declared or written, with their types.
    pub fn fields(&self) -> &BTreeMap<String, FieldType> {
        &self.fields
    }

    /// Whether a write with an undeclared field is refused.
    pub fn strict(&self) -> bool {
        self.strict
    }

    /// Data of the application above, kept with the collection and not read by the engine.
    pub fn attributes(&self) -> &BTreeMap<String, String> {
        &self.attributes
    }
}

/// Builds a [`Schema`].
#[derive(Clone, Debug)]
pub struct SchemaBuilder {
    schema: Schema,
}

impl SchemaBuilder {
    /// Sets the metric; cosine by default.
    #[must_use]
    pub fn metric(mut self, metric: Metric) -> Self {
        self.schema.metric = metric;
        self
    }

    /// Sets the encoding of the walk; int4 by default.
    #[must_use]
    pub fn encoding(mut self, encoding: EncodingKind) -> Self {
        self.schema.encoding = encoding;
        self
    }

    /// Walks on the first components only, and compares the candidates on all: for models whose vectors may be cut
    /// ("Matryoshka"; Kusupati et al. 2022). All by default.
    #[must_use]
    pub fn walk_dimension(mut self, components: usize) -> Self {
        self.schema.walk_dimension = Some(components);
        self
    }

    /// Sets the shape of the graph.
    #[must_use]
    pub fn graph(mut self, graph: GraphOptions) -> Self {
        self.schema.graph = graph;
        self
    }

    /// Declares a payload field.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, field_type: FieldType) -> Self {
        self.schema.fields.insert(name.into(), field_type);
        self
    }

    /// Refuses writes with undeclared fields.
    #[must_use]
    pub fn strict(mut self, strict: bool) -> Self {
        self.schema.strict = strict;
        self
    }

    /// Keeps application data with the collection.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.schema.attributes.insert(name.into(), value.into());
        self
    }

    /// Validates the schema.
    ///
    /// # Errors
    /// [`Error::Invalid`] or [`Error::Limit`], naming the part.
    pub fn build(self) -> Result<Schema> {
        let mut schema = self.schema;
        if schema.dimension == 0 {
            return Err(Error::invalid("schema.dimension", "a vector has at least one component"));
        }
        check_limit("schema.dimension", "DIMENSION_MAX", DIMENSION_MAX, schema.dimension)?;
        if let Some(components) = schema.walk_dimension {
            if components == 0 {
                return Err(Error::invalid(
                    "schema.walk_dimension",
                    "a walk compares at least one component",
                ));
            }
            check_limit("schema.walk_dimension", "schema.dimension", schema.dimension, components)?;
            schema.walk_dimension = Some(components).filter(|components| *components < schema.dimension);
        }
        check_graph(&schema.graph)?;
        check_limit("schema.fields", "FIELDS_MAX", FIELDS_MAX, schema.fields.len())?;
        for name in schema.fields.keys() {
            check_field_name(&format!("schema.fields.{name}"), name)?;
        }
        check_limit("schema.attributes", "ATTRIBUTES_MAX", ATTRIBUTES_MAX, schema.attributes.len())?;
        for (name, value) in &schema.attributes {
            let path = format!("schema.attributes.{name}");
            check_field_name(&path, name)?;
            check_limit(&path, "ATTRIBUTE_BYTES_MAX", ATTRIBUTE_BYTES_MAX, value.len())?;
        }
        Ok(schema)
    }
}

fn check_graph(graph: &GraphOptions) -> Result<()> {
    if graph.degree < GRAPH_DEGREE_MIN {
        return Err(Error::invalid(
            "schema.graph.degree",
            format!("a graph needs at least {GRAPH_DEGREE_MIN} links a node, this asks for {}", graph.degree),
        ));
    }
    check_limit("schema.graph.degree", "GRAPH_DEGREE_MAX", GRAPH_DEGREE_MAX, graph.degree)?;
    if graph.ef_construction == 0 {
        return Err(Error::invalid("schema.graph.ef_construction", "a walk has a width of at least one"));
    }
    check_limit("schema.graph.ef_construction", "EF_MAX", EF_MAX, graph.ef_construction)
}

/// Checks the name of a payload field or an attribute; `path` names it in errors.
pub(crate) fn check_field_name(path: &str, name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::invalid(path, "a field's name is not empty"));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::invalid(
            path.escape_default().to_string(),
            "a field's name has no control characters",
        ));
    }
    check_limit(path, "FIELD_NAME_BYTES_MAX", FIELD_NAME_BYTES_MAX, name.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_checked_and_named() {
        let long = "x".repeat(FIELD_NAME_BYTES_MAX + 1);
        let graph = |degree, ef_construction| GraphOptions { degree, ef_construction };
        let cases = [
            (Schema::builder(0), "schema.dimension"),
            (Schema::builder(DIMENSION_MAX + 1), "schema.dimension"),
            (Schema::builder(4).walk_dimension(0), "schema.walk_dimension"),
            (Schema::builder(4).walk_dimension(5), "schema.walk_dimension"),
            (Schema::builder(4).graph(graph(3, 100)), "schema.graph.degree"),
            (Schema::builder(4).graph(graph(GRAPH_DEGREE_MAX + 1, 100)), "schema.graph.degree"),
            (Schema::builder(4).graph(graph(16, 0)), "schema.graph.ef_construction"),
            (Schema::builder(4).graph(graph(16, EF_MAX + 1)), "schema.graph.ef_construction"),
            (Schema::builder(4).field("", FieldType::Int), "schema.fields."),
            (Schema::builder(4).field(long, FieldType::Int), "schema.fields.xxx"),
            (
                Schema::builder(4).attribute("model", "y".repeat(ATTRIBUTE_BYTES_MAX + 1)),
                "schema.attributes.model",
            ),
        ];
        for (builder, path) in cases {
            let message = builder.build().unwrap_err().to_string();
            assert!(message.starts_with(path), "{message}");
        }
        assert!(Schema::builder(DIMENSION_MAX).graph(graph(4, 1)).build().is_ok());
    }
}
