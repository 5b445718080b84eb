//! The one configuration type of a collection, validated when it is built.
//!
//! A collection has vectors, each with a name and of a kind (`schema/kinds.rs`). The vector named [`DEFAULT_VECTOR`] is the one
//! that [`Point::vector`](crate::Point::vector) is; it sorts before all others. Vectors are numbered in the order of
//! their names, and are fixed when the collection is created.

mod kinds;

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::limits::{
    ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX, FIELD_NAME_BYTES_MAX, FIELDS_MAX, VECTORS_MAX, check_limit,
};
use crate::payload::FieldType;
use crate::text::Analyzer;

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
        SchemaBuilder {
            schema: Schema {
                vectors: BTreeMap::new(),
                fields: BTreeMap::new(),
                texts: BTreeMap::new(),
                tenant: None,
                strict: false,
                attributes: BTreeMap::new(),
            },
            is_misplaced: false,
        }
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
        SchemaBuilder { schema: self.clone(), is_misplaced: false }
    }
}

/// Builds a [`Schema`].
#[derive(Clone, Debug)]
pub struct SchemaBuilder {
    schema: Schema,
    /// Something was set of a default vector that is not there.
    is_misplaced: bool,
}

impl SchemaBuilder {
    /// Sets the components of the default vector. A walk on more of them than that is one on all.
    #[must_use]
    pub fn dimension(self, dimension: usize) -> Self {
        self.default_vector(|options| DenseOptions {
            dimension,
            walk_dimension: options.walk_dimension.filter(|walked| *walked < dimension),
            ..options
        })
    }

    /// Sets the default vector's metric; cosine by default.
    #[must_use]
    pub fn metric(self, metric: Metric) -> Self {
        self.default_vector(|options| options.metric(metric))
    }

    /// Sets how the default vector's exact components are stored; as 32-bit floats by default.
    #[must_use]
    pub fn element(self, element: ElementType) -> Self {
        self.default_vector(|options| options.element(element))
    }

    /// Sets the encoding of the default vector's walk; int4 by default.
    #[must_use]
    pub fn encoding(self, encoding: EncodingKind) -> Self {
        self.default_vector(|options| options.encoding(encoding))
    }

    /// Walks on the first components of the default vector only, and compares the candidates on all: for models whose vectors
    /// may be cut ("Matryoshka"; Kusupati et al. 2022). All by default.
    #[must_use]
    pub fn walk_dimension(self, components: usize) -> Self {
        self.default_vector(|options| options.walk_dimension(components))
    }

    /// Sets the shape of the default vector's graph.
    #[must_use]
    pub fn graph(self, graph: GraphOptions) -> Self {
        self.default_vector(|options| options.graph(graph))
    }

    /// Changes the default vector.
    fn default_vector(mut self, change: impl FnOnce(DenseOptions) -> DenseOptions) -> Self {
        match self.schema.vectors.get_mut(DEFAULT_VECTOR) {
            Some(VectorKind::Dense(options)) => *options = change(*options),
            _ => self.is_misplaced = true,
        }
        self
    }

    /// Adds a dense vector.
    #[must_use]
    pub fn vector(mut self, name: impl Into<String>, options: DenseOptions) -> Self {
        self.schema.vectors.insert(name.into(), VectorKind::Dense(options));
        self
    }

    /// Adds a sparse vector.
    #[must_use]
    pub fn sparse(mut self, name: impl Into<String>) -> Self {
        self.schema.vectors.insert(name.into(), VectorKind::Sparse(SparseOptions::new()));
        self
    }

    /// Adds a vector of which each row has many.
    #[must_use]
    pub fn multi(mut self, name: impl Into<String>, options: MultiOptions) -> Self {
        self.schema.vectors.insert(name.into(), VectorKind::Multi(options));
        self
    }

    /// Declares a payload field.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, field_type: FieldType) -> Self {
        self.schema.fields.insert(name.into(), field_type);
        self
    }

    /// Declares a payload field of type string that is searched by word.
    ///
    /// ```
    /// use ragstone::{Analyzer, FieldType, Schema};
    ///
    /// let schema = Schema::builder(384).text("title", Analyzer::English).build()?;
    /// assert_eq!(schema.fields()["title"], FieldType::String);
    /// # Ok::<(), ragstone::Error>(())
    /// ```
    #[must_use]
    pub fn text(mut self, name: impl Into<String>, analyzer: Analyzer) -> Self {
        let name = name.into();
        self.schema.fields.insert(name.clone(), FieldType::String);
        self.schema.texts.insert(name, analyzer);
        self
    }

    /// Makes a field the tenant key: a string, unless it is declared an int. Every row has a value of it, rows with the same lie
    /// together, and a read says whose rows it means: by a condition that the field equals a value, or one of several, or
    /// with [`Filter::AllTenants`](crate::Filter::AllTenants). A read of one tenant costs what the tenant's rows cost,
    /// whether they are sealed or not.
    ///
    /// ```
    /// use ragstone::{Db, Filter, Point, Schema};
    ///
    /// let db = Db::in_memory()?;
    /// let notes = db.create_collection("notes", Schema::builder(2).tenant("customer").build()?)?;
    /// notes.upsert(vec![Point::new(1, [1.0, 0.0]).with("customer", "ada")])?;
    /// assert_eq!(notes.count(Some(&Filter::eq("customer", "ada")))?, 1);
    /// assert!(notes.count(None).is_err());
    /// assert_eq!(notes.count(Some(&Filter::AllTenants))?, 1);
    /// # Ok::<(), ragstone::Error>(())
    /// ```
    #[must_use]
    pub fn tenant(mut self, field: impl Into<String>) -> Self {
        self.schema.tenant = Some(field.into());
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
        if self.is_misplaced {
            let reason = "metric, element, encoding, walk dimension and graph are set of a default vector, which is not there";
            return Err(Error::invalid("schema.vectors", reason));
        }
        check_limit("schema.vectors", "VECTORS_MAX", VECTORS_MAX, schema.vectors.len())?;
        for (name, kind) in &mut schema.vectors {
            *kind = kind.checked(&check_vector_name(name, kind)?)?;
        }
        if let Some(tenant) = &schema.tenant {
            let field_type = *schema.fields.entry(tenant.clone()).or_insert(FieldType::String);
            if !matches!(field_type, FieldType::String | FieldType::Int) {
                let reason = format!("a tenant key is a string or an int; `{tenant}` is {field_type}");
                return Err(Error::invalid("schema.tenant", reason));
            }
        }
        check_limit("schema.fields", "FIELDS_MAX", FIELDS_MAX, schema.fields.len())?;
        for name in schema.fields.keys() {
            check_field_name(&format!("schema.fields.{name}"), name)?;
        }
        let is_text = |name: &&String| schema.fields.get(*name) == Some(&FieldType::String);
        if let Some(name) = schema.texts.keys().find(|name| !is_text(name)) {
            let reason = "a field that is searched by word is of type string";
            return Err(Error::invalid(format!("schema.fields.{name}"), reason));
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

/// Checks the name of a vector; gives the path by which errors name what is set of it.
fn check_vector_name(name: &str, kind: &VectorKind) -> Result<String> {
    if name == DEFAULT_VECTOR {
        return match kind {
            VectorKind::Dense(_) => Ok("schema".to_owned()),
            _ => Err(Error::invalid("schema.vectors.", "the default vector is dense; others have names")),
        };
    }
    let path = format!("schema.vectors.{name}");
    check_name(&path, (name, "vector"))?;
    Ok(path)
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
