//! What becomes of each column of a file: from names, types, the collection, and what the file says of itself.
//!
//! A name means, in this order: what the options say; what the file's own layout says, if it is an export; `id` and `vector`; what stands
//! behind a prefix `vector:` or `field:`; the vector or the field of the collection that is called so; a new field, or in a collection
//! that is made now a new vector, by the column's type (`infer.rs`).

use std::path::Path;

use arrow_schema::{Field, SchemaRef};
use ragstone::{DEFAULT_VECTOR, DenseOptions, FieldType, Metric, MultiOptions, Schema, VectorKind};

use crate::error::{Error, RefusedColumn, Result};
use crate::infer::{Inferred, check, infer};
use crate::layout::{Column, FIELD_PREFIX, Role, VECTOR_PREFIX};
use crate::metadata::Stored;
use crate::options::{ColumnNames, ImportOptions};

/// What an import does with each column.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The columns that are read, by their place in the file.
    pub(crate) columns: Vec<(usize, Column)>,
    /// Of the collection that is to be made.
    pub(crate) create: Option<Schema>,
    /// What is worth a line.
    pub(crate) notes: Vec<String>,
}

impl Plan {
    /// The places of the columns that are read, in ascending order.
    pub(crate) fn places(&self) -> Vec<usize> {
        self.columns.iter().map(|(at, _)| *at).collect()
    }
}

/// What there is to plan by.
pub(crate) struct Planner<'a> {
    pub(crate) path: &'a Path,
    pub(crate) file: SchemaRef,
    pub(crate) stored: Option<Stored>,
    /// The schema of the collection, if it is there.
    pub(crate) target: Option<Schema>,
    pub(crate) options: &'a ImportOptions,
    /// The length of the first list of a column that is not empty, of lists of lists that of the first inner one; none if there is no list.
    pub(crate) first_length: &'a dyn Fn(usize) -> Result<Option<usize>>,
}

/// What a name means.
enum Meaning {
    Id,
    Expiry,
    Vector(String),
    Field(String),
    /// What the collection, or the type, says.
    Whatever(String),
}

impl Planner<'_> {
    pub(crate) fn plan(&self) -> Result<Plan> {
        self.check_names()?;
        let (mut columns, mut notes, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for (at, field) in self.file.fields().iter().enumerate() {
            if !self.is_selected(field.name()) {
                continue;
            }
            if self.is_unasked_index(field.name()) {
                notes.push(format!("column `{}` is an index of pandas and left out", field.name()));
                continue;
            }
            let role = self.role(at, field)?.and_then(|role| match role {
                Some(role) => check(field, &role).map(|()| Some(role)),
                None => Ok(None),
            });
            match role {
                Ok(Some(role)) => columns.push((at, Column { name: field.name().clone(), role })),
                Ok(None) => notes.push(format!("column `{}` has no values and is left out", field.name())),
                Err(reason) => refused.push(RefusedColumn {
                    column: field.name().clone(),
                    data_type: field.data_type().to_string(),
                    reason,
                }),
            }
        }
        if !refused.is_empty() {
            return Err(Error::Columns { path: self.path.to_owned(), columns: refused });
        }
        self.check_roles(&columns)?;
        let create = match (&self.target, &self.stored) {
            (Some(_), _) => None,
            (None, Some(stored)) => Some(stored.schema.clone()),
            (None, None) => Some(self.schema(&columns)?),
        };
        Ok(Plan { columns, create, notes })
    }

    /// The schema that columns are looked up in, if there is one.
    fn known(&self) -> Option<&Schema> {
        self.target.as_ref().or(self.stored.as_ref().map(|stored| &stored.schema))
    }

    /// Options that name columns name such as are there, and the metric is asked for where it is not known.
    fn check_names(&self) -> Result<()> {
        let options = self.options;
        let named = [("id", &options.id), ("vector", &options.vector), ("expires_at", &options.expires_at)];
        let named = named.into_iter().filter_map(|(option, name)| Some((option, name.as_ref()?)));
        let columns = options.columns.iter().flatten().map(|name| ("columns", name));
        let except = options.except.iter().map(|name| ("except", name));
        for (option, name) in named.chain(columns).chain(except) {
            if self.file.fields().find(name).is_none() {
                let all: Vec<String> =
                    self.file.fields().iter().map(|field| format!("`{}`", field.name())).collect();
                return Err(Error::option(
                    option,
                    format!("there is no column `{name}`, only {}", all.join(", ")),
                ));
            }
        }
        if options.number_rows && options.id.is_some() {
            return Err(Error::option(
                "number_rows",
                "rows have the numbers as their ids, or a column's values",
            ));
        }
        if options.metric.is_some() && self.known().is_some() {
            let whose = if self.target.is_some() { "the collection" } else { "the file" };
            return Err(Error::option("metric", format!("{whose} says itself what its metrics are")));
        }
        Ok(())
    }

    fn is_selected(&self, name: &str) -> bool {
        let is_id = matches!(self.meaning(name), Meaning::Id);
        let is_in = |names: &[String]| names.iter().any(|selected| selected == name);
        let options = self.options;
        (is_id || options.columns.as_ref().is_none_or(|names| is_in(names))) && !is_in(&options.except)
    }

    /// Whether it is an index of pandas that nobody asks for: neither an option nor the collection, nor an export that calls a field so.
    fn is_unasked_index(&self, name: &str) -> bool {
        let is_named = self.options.columns.iter().flatten().any(|column| column == name);
        let is_known = self.known().is_some_and(|schema| schema.fields().contains_key(name));
        let is_asked_for = is_named || is_known || !matches!(self.meaning(name), Meaning::Whatever(_));
        name.starts_with("__index_level_") && !is_asked_for
    }

    fn meaning(&self, name: &str) -> Meaning {
        let options = self.options;
        if options.id.as_deref() == Some(name) {
            return Meaning::Id;
        }
        if options.vector.as_deref() == Some(name) {
            return Meaning::Vector(DEFAULT_VECTOR.to_owned());
        }
        if options.expires_at.as_deref() == Some(name) {
            return Meaning::Expiry;
        }
        let is_id_given = options.id.is_some() || options.number_rows;
        let whatever = || Meaning::Whatever(name.to_owned());
        let stored = self.stored.iter().flat_map(|stored| &stored.columns).find(|column| column.name == name);
        match stored.map(|column| &column.role) {
            Some(Role::NumberId | Role::TextId) if is_id_given => return whatever(),
            Some(Role::NumberId | Role::TextId) => return Meaning::Id,
            Some(Role::Expiry) if options.expires_at.is_some() => return whatever(),
            Some(Role::Expiry) => return Meaning::Expiry,
            Some(Role::Vector(vector, _)) if vector == DEFAULT_VECTOR && options.vector.is_some() => {
                return whatever();
            }
            Some(Role::Vector(vector, _)) => return Meaning::Vector(vector.clone()),
            Some(Role::Field(field, _)) => return Meaning::Field(field.clone()),
            None if self.stored.is_some() => return whatever(),
            None => {}
        }
        let usual = ColumnNames::default();
        match name {
            name if name == usual.id && !is_id_given => Meaning::Id,
            name if name == usual.vector && options.vector.is_none() => {
                Meaning::Vector(DEFAULT_VECTOR.to_owned())
            }
            name => match (name.strip_prefix(VECTOR_PREFIX), name.strip_prefix(FIELD_PREFIX)) {
                (Some(vector), _) => Meaning::Vector(vector.to_owned()),
                (_, Some(field)) => Meaning::Field(field.to_owned()),
                _ => whatever(),
            },
        }
    }

    /// What a column becomes; none if it has no values. The inner error says why nothing.
    fn role(&self, at: usize, field: &Field) -> Result<Result<Option<Role>, String>> {
        let known = self.known();
        let inferred = infer(field);
        let vector = |name: &str| known.and_then(|schema| schema.vectors().get(name));
        let typed = |name: &str| known.and_then(|schema| schema.fields().get(name));
        let name = match self.meaning(field.name()) {
            Meaning::Id if field.data_type().is_integer() => return Ok(Ok(Some(Role::NumberId))),
            Meaning::Expiry => return Ok(Ok(Some(Role::Expiry))),
            Meaning::Id => return Ok(Ok(Some(Role::TextId))),
            Meaning::Vector(name) => match vector(&name) {
                Some(kind) => return Ok(Ok(Some(Role::Vector(name, *kind)))),
                // A field may be called `vector`, but not be called the vector.
                None if self.options.vector.as_ref() == Some(field.name())
                    && matches!(inferred, Ok(Inferred::Field(_))) =>
                {
                    return Ok(Err("the default vector is a list of floats".to_owned()));
                }
                None if matches!(inferred, Ok(Inferred::Field(_))) => match typed(field.name()) {
                    Some(kind) => return Ok(Ok(Some(Role::Field(field.name().clone(), *kind)))),
                    None => field.name().clone(),
                },
                None => name,
            },
            Meaning::Field(name) => match typed(&name) {
                Some(kind) => return Ok(Ok(Some(Role::Field(name, *kind)))),
                None => name,
            },
            Meaning::Whatever(name) => match (vector(&name), typed(&name)) {
                (Some(kind), _) if !matches!(inferred, Ok(Inferred::Field(_))) || typed(&name).is_none() => {
                    return Ok(Ok(Some(Role::Vector(name, *kind))));
                }
                (_, Some(kind)) => return Ok(Ok(Some(Role::Field(name, *kind)))),
                _ => name,
            },
        };
        let inferred = match inferred {
            Ok(inferred) => inferred,
            Err(reason) => return Ok(Err(reason)),
        };
        self.new_role(at, name, inferred)
    }

    /// What a column becomes that the collection has nothing for yet.
    fn new_role(&self, at: usize, name: String, inferred: Inferred) -> Result<Result<Option<Role>, String>> {
        let is_vector = !matches!(inferred, Inferred::Field(_) | Inferred::Nothing);
        match self.known() {
            Some(_) if is_vector => {
                return Ok(Err(format!(
                    "the collection has no vector `{name}`, and gets none once it is made"
                )));
            }
            Some(schema) if schema.strict() && inferred != Inferred::Nothing => {
                return Ok(Err(format!("the collection is strict and has no field `{name}`")));
            }
            _ => {}
        }
        let metric = self.options.metric.unwrap_or_default();
        let dimension = |length: Option<usize>| match length {
            Some(length) => Ok(Some(length)),
            None => (self.first_length)(at),
        };
        Ok(Ok(Some(match inferred {
            Inferred::Nothing => return Ok(Ok(None)),
            Inferred::Field(field_type) => Role::Field(name, field_type),
            Inferred::Sparse => Role::Vector(name, VectorKind::Sparse(Default::default())),
            Inferred::Dense(length, element) => match dimension(length)? {
                Some(length) => {
                    let options = DenseOptions::new(length).metric(metric).element(element);
                    Role::Vector(name, VectorKind::Dense(options))
                }
                None => return Ok(Ok(None)),
            },
            Inferred::Multi(length, element) => match dimension(length)? {
                Some(length) => {
                    // Many vectors have no other metric than these two.
                    let metric = if metric == Metric::L2 { Metric::Cosine } else { metric };
                    let options = MultiOptions::new(length).metric(metric).element(element);
                    Role::Vector(name, VectorKind::Multi(options))
                }
                None => return Ok(Ok(None)),
            },
        })))
    }

    /// Every row has an id, and nothing comes from two columns.
    fn check_roles(&self, columns: &[(usize, Column)]) -> Result<()> {
        let is_id = |column: &Column| matches!(column.role, Role::NumberId | Role::TextId);
        if !self.options.number_rows && !columns.iter().any(|(_, column)| is_id(column)) {
            let all: Vec<String> =
                self.file.fields().iter().map(|field| format!("`{}`", field.name())).collect();
            let reason =
                format!("there is no column `id`: name one of {}, or number the rows", all.join(", "));
            return Err(Error::option("id", reason));
        }
        for (place, (_, column)) in columns.iter().enumerate() {
            let same = |other: &Role| match (other, &column.role) {
                (Role::Vector(a, _), Role::Vector(b, _)) | (Role::Field(a, _), Role::Field(b, _)) => a == b,
                (a, b) => a == b,
            };
            if let Some((_, other)) = columns[..place].iter().find(|(_, other)| same(&other.role)) {
                let reason =
                    format!("`{}` and `{}` would be the same: leave one out", other.name, column.name);
                return Err(Error::option("columns", reason));
            }
        }
        Ok(())
    }

    /// The schema of a collection for these columns.
    fn schema(&self, columns: &[(usize, Column)]) -> Result<Schema> {
        let mut builder = Schema::without_vector();
        for (_, column) in columns {
            builder = match &column.role {
                Role::Vector(name, VectorKind::Dense(options)) => builder.vector(name, *options),
                Role::Vector(name, VectorKind::Multi(options)) => builder.multi(name, *options),
                Role::Vector(name, _) => builder.sparse(name),
                Role::Field(name, field_type) => builder.field(name, *field_type),
                Role::NumberId | Role::TextId | Role::Expiry => builder,
            };
        }
        Ok(builder.build()?)
    }
}

/// What a column became, in words.
pub(crate) fn described(role: &Role) -> String {
    match role {
        Role::NumberId | Role::TextId => "the ids".to_owned(),
        Role::Expiry => "when rows expire".to_owned(),
        Role::Vector(name, kind) => {
            let kind = match kind {
                VectorKind::Dense(options) => format!("{} components", options.dimension),
                VectorKind::Multi(options) => format!("many of {} components", options.dimension),
                _ => "sparse".to_owned(),
            };
            if name == DEFAULT_VECTOR {
                format!("the default vector, {kind}")
            } else {
                format!("the vector `{name}`, {kind}")
            }
        }
        Role::Field(name, field_type) => {
            let article = if *field_type == FieldType::Int { "an" } else { "a" };
            format!("the field `{name}`, {article} {field_type}")
        }
    }
}
