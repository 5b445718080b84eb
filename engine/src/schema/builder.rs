//! The builder of a schema, and all that is checked of one.
//!
//! A name that is declared twice is refused, and not the last one taken: what was declared first would be gone without a word. Fields and
//! what is searched by word are two lists of one thing, so a string field may be in both.

use super::{
    DEFAULT_VECTOR, DenseOptions, ElementType, EncodingKind, GraphOptions, Metric, MultiOptions, Schema,
    SparseOptions, VectorKind, check_field_name, check_name,
};
use crate::error::{Error, Result};
use crate::limits::{ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX, FIELDS_MAX, VECTORS_MAX, check_limit};
use crate::payload::FieldType;
use crate::text::Analyzer;

/// Builds a [`Schema`].
#[derive(Clone, Debug)]
pub struct SchemaBuilder {
    schema: Schema,
    /// Something was set of a default vector that is not there.
    is_misplaced: bool,
    /// What was declared twice first, as errors name it, and how.
    twice: Option<(String, String)>,
}

impl SchemaBuilder {
    /// Starts with what a schema has.
    pub(super) fn of(schema: Schema) -> Self {
        Self { schema, is_misplaced: false, twice: None }
    }

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
    pub fn vector(self, name: impl Into<String>, options: DenseOptions) -> Self {
        self.named(name.into(), VectorKind::Dense(options))
    }

    /// Adds a sparse vector.
    #[must_use]
    pub fn sparse(self, name: impl Into<String>) -> Self {
        self.named(name.into(), VectorKind::Sparse(SparseOptions::new()))
    }

    /// Adds a vector of which each row has many.
    #[must_use]
    pub fn multi(self, name: impl Into<String>, options: MultiOptions) -> Self {
        self.named(name.into(), VectorKind::Multi(options))
    }

    /// Adds a vector of any kind.
    fn named(mut self, name: String, kind: VectorKind) -> Self {
        if let Some(known) = self.schema.vectors.insert(name.clone(), kind) {
            let reason =
                format!("two vectors have this name: one is {}, one is {}", known.name(), kind.name());
            self.declared_twice(format!("schema.vectors.{name}"), reason);
        }
        self
    }

    fn declared_twice(&mut self, path: String, reason: String) {
        self.twice.get_or_insert((path, reason));
    }

    /// Declares a payload field.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, field_type: FieldType) -> Self {
        let name = name.into();
        let is_text = self.schema.texts.contains_key(&name);
        // What is searched by word is declared with that, and may be declared as what it is.
        if let Some(known) = self.schema.fields.insert(name.clone(), field_type)
            && (!is_text || known != field_type)
        {
            let reason = format!("it is declared twice: as {known} and as {field_type}");
            self.declared_twice(format!("schema.fields.{name}"), reason);
        }
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
        let field = self.schema.fields.insert(name.clone(), FieldType::String);
        if let Some(field) = field.filter(|field| *field != FieldType::String) {
            let reason =
                format!("a field that is searched by word is of type string, this is declared {field}");
            self.declared_twice(format!("schema.fields.{name}"), reason);
        }
        if let Some(known) = self.schema.texts.insert(name.clone(), analyzer) {
            let reason = format!("it is declared twice: searched by word as {known} and as {analyzer}");
            self.declared_twice(format!("schema.fields.{name}"), reason);
        }
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

    /// Validates the schema. A vector, a field or a field that is searched by word is declared once; of a [builder of a
    /// schema](Schema::to_builder) those of that schema are.
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
        match self.twice {
            Some((path, reason)) => Err(Error::invalid(path, reason)),
            None => Ok(schema),
        }
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
