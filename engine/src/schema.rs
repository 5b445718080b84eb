//! The one configuration type of a collection, validated when it is built.
//!
//! A collection has vectors, each with a name and of a kind (`schema/kinds.rs`); `schema/builder.rs` checks all of it. The vector named [`DEFAULT_VECTOR`] is the one
//! that [`Point::vector`](crate::Point::vector) is; it sorts before all others. Vectors are numbered in the order of
//! their names, and are fixed when the collection is created.

mod builder;
mod kinds;

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::limits::{FIELD_NAME_BYTES_MAX, check_limit};
use crate::payload::FieldType;
use crate::text::Analyzer;

pub use builder::SchemaBuilder;
pub use kinds::{
    DenseOptions, ElementType, EncodingKind, GraphOptions, Metric, MultiOptions, SparseOptions, VectorKind,
};

/// The name of the vector that [`Point::vector`](crate::Point::vector) is.
pub const DEFAULT_VECTOR: &str = "";

/// The number of a vector within its collection: its place in the order of the names.
pub(crate) type VectorId = u16;

/// What a collection holds. Fixed when it is created, but for fields, which writes may add, and which may
/// [come to be searched by word](crate::Collection::add_text).
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    pub(crate) vectors: BTreeMap<String, VectorKind>,
    pub(crate) fields: BTreeMap<String, FieldType>,
    /// Fields that are searched by word.
    pub(crate) texts: BTreeMap<String, Analyzer>,
    /// The field whose values keep rows apart.
    pub(crate) tenant: Option<String>,
    pub(crate) strict: bool,
    pub(crate) attributes: BTreeMap<String, String>,
}

impl Schema {
    /// Starts a schema with a default vector of `dimension` components.
    pub fn builder(dimension: usize) -> SchemaBuilder {
        Self::without_vector().vector(DEFAULT_VECTOR, DenseOptions::new(dimension))
    }

    /// Starts a schema without a default vector: with named ones only, or without any.
    pub fn without_vector() -> SchemaBuilder {
        SchemaBuilder::of(Schema {
            vectors: BTreeMap::new(),
            fields: BTreeMap::new(),
            texts: BTreeMap::new(),
            tenant: None,
            strict: false,
            attributes: BTreeMap::new(),
        })
    }

    /// A schema with every default: one vector, cosine, int4, no declared fields.
    pub fn new(dimension: usize) -> Result<Schema> {
        Self::builder(dimension).build()
    }

    /// The vectors, by name.
    pub fn vectors(&self) -> &BTreeMap<String, VectorKind> {
        &self.vectors
    }

    /// The default vector, if it has one.
    pub fn default_vector(&self) -> Option<&DenseOptions> {
        match self.vectors.get(DEFAULT_VECTOR) {
            Some(VectorKind::Dense(options)) => Some(options),
            _ => None,
        }
    }

    /// Components of the default vector; zero without one.
    pub fn dimension(&self) -> usize {
        self.default_vector().map_or(0, |options| options.dimension)
    }

    /// How near two default vectors are.
    pub fn metric(&self) -> Metric {
        self.default_vector().map_or(Metric::default(), |options| options.metric)
    }

    /// How default vectors are kept for the walk.
    pub fn encoding(&self) -> EncodingKind {
        self.default_vector().map_or(EncodingKind::default(), |options| options.encoding)
    }

    /// Components of the default vector that a walk compares: all of them, or the first ones.
    pub fn walk_dimension(&self) -> usize {
        self.default_vector().map_or(0, DenseOptions::walked)
    }

    /// The shape of the default vector's graph.
    pub fn graph(&self) -> GraphOptions {
        self.default_vector().map_or(GraphOptions::default(), |options| options.graph)
    }

    /// The vectors with their numbers.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (VectorId, &str, &VectorKind)> {
        (0..).zip(&self.vectors).map(|(number, (name, kind))| (number, name.as_str(), kind))
    }

    /// The dense vectors with their numbers: what has a place of its own in each segment.
    pub(crate) fn dense(&self) -> impl Iterator<Item = (VectorId, &str, &DenseOptions)> {
        self.numbered().filter_map(|(number, name, kind)| match kind {
            VectorKind::Dense(options) => Some((number, name, options)),
            _ => None,
        })
    }

    /// The number and kind of a vector; `path` names it in the error.
    pub(crate) fn vector(&self, path: &str, name: &str) -> Result<(VectorId, &VectorKind)> {
        let found = self.numbered().find(|(_, found, _)| *found == name);
        found.map(|(number, _, kind)| (number, kind)).ok_or_else(|| {
            let names: Vec<String> = self.vectors.keys().map(|name| format!("`{name}`")).collect();
            let reason = match (name, names.is_empty()) {
                (_, true) => "the collection has no vectors".to_owned(),
                (DEFAULT_VECTOR, _) => {
                    format!("the collection has no default vector, only {}", names.join(", "))
                }
                _ => format!("the collection has no vector `{name}`, only {}", names.join(", ")),
            };
            Error::invalid(path, reason)
        })
    }

    /// The place of a dense vector among the dense ones; `path` names it in the error.
    pub(crate) fn dense_place(&self, path: &str, name: &str) -> Result<usize> {
        let (number, kind) = self.vector(path, name)?;
        self.dense().position(|(found, ..)| found == number).ok_or_else(|| {
            let reason = format!("the vector `{name}` is {}, this is for dense ones", kind.name());
            Error::invalid(path, reason)
        })
    }

    /// The fields, declared or written, with their types.
    pub fn fields(&self) -> &BTreeMap<String, FieldType> {
        &self.fields
    }

    /// The fields that are searched by word, and how their texts become terms.
    pub fn texts(&self) -> &BTreeMap<String, Analyzer> {
        &self.texts
    }

    /// The tenant key, if there is one.
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// Whether a write with an undeclared field is refused.
    pub fn strict(&self) -> bool {
        self.strict
    }

    /// Data of the application above, kept with the collection and not read by the engine.
    pub fn attributes(&self) -> &BTreeMap<String, String> {
        &self.attributes
    }

    /// A builder of a schema like this one.
    ///
    /// ```
    /// use ragstone::{FieldType, Schema};
    ///
    /// let schema = Schema::builder(3).field("year", FieldType::Int).build()?;
    /// let wider = schema.to_builder().dimension(8).build()?;
    /// assert_eq!((wider.dimension(), wider.fields()), (8, schema.fields()));
    /// # Ok::<(), ragstone::Error>(())
    /// ```
    pub fn to_builder(&self) -> SchemaBuilder {
        SchemaBuilder::of(self.clone())
    }
}

/// Checks the name of a payload field or an attribute; `path` names it in errors.
pub(crate) fn check_field_name(path: &str, name: &str) -> Result<()> {
    check_name(path, (name, "field"))
}

fn check_name(path: &str, (name, what): (&str, &str)) -> Result<()> {
    if name.is_empty() {
        return Err(Error::invalid(path, format!("a {what}'s name is not empty")));
    }
    if name.chars().any(char::is_control) {
        let path = path.escape_default().to_string();
        return Err(Error::invalid(path, format!("a {what}'s name has no control characters")));
    }
    check_limit(path, "FIELD_NAME_BYTES_MAX", FIELD_NAME_BYTES_MAX, name.len())
}

#[cfg(test)]
mod tests;
