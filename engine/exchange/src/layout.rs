//! Which column of a file is what.
//!
//! An export names columns after what they hold: `id`, `vector` (the default vector), `expires_at`, named vectors and fields by their names.
//! Where two would have one name, the later one in that order gets a prefix: `vector:title`, `field:id`. The names of the first two can
//! be set. Ids of both kinds in one collection are two columns, `id` for strings and `id:number` for integers, of which each row has one.
//!
//! The layout of an export stands in its file, so that an import does not guess. Of other files it is told by names and types
//! (`plan.rs`).

use std::collections::BTreeSet;

use ragstone::{DEFAULT_VECTOR, FieldType, Schema, VectorKind};

use crate::options::ColumnNames;
use crate::seam::IdKinds;

/// The name of the column that says when rows expire.
const EXPIRY: &str = "expires_at";
/// The prefix of a vector's column whose name is taken.
pub(crate) const VECTOR_PREFIX: &str = "vector:";
/// The prefix of a field's column whose name is taken.
pub(crate) const FIELD_PREFIX: &str = "field:";

/// What a column holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Role {
    /// Ids that are integers.
    NumberId,
    /// Ids that are strings.
    TextId,
    /// A vector, by name.
    Vector(String, VectorKind),
    /// A field, by name.
    Field(String, FieldType),
    /// When rows expire.
    Expiry,
}

/// A column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) role: Role,
}

/// The columns of a collection.
pub(crate) fn of(schema: &Schema, ids: IdKinds, names: &ColumnNames) -> Vec<Column> {
    let mut taken = BTreeSet::new();
    let mut columns = Vec::new();
    let mut named = |name: &str, prefix: &str, role: Role| {
        let mut name = name.to_owned();
        while !taken.insert(name.clone()) {
            name = format!("{prefix}{name}");
        }
        Column { name, role }
    };
    if ids.texts {
        columns.push(named(&names.id, "id:", Role::TextId));
    }
    match (ids.texts, ids.numbers) {
        (false, _) => columns.push(named(&names.id, "id:", Role::NumberId)),
        (true, true) => columns.push(named(&format!("{}:number", names.id), "id:", Role::NumberId)),
        (true, false) => {}
    }
    // The default vector is the first.
    let (default, others): (Vec<_>, Vec<_>) =
        schema.vectors().iter().partition(|(name, _)| *name == DEFAULT_VECTOR);
    for (name, kind) in default {
        columns.push(named(&names.vector, VECTOR_PREFIX, Role::Vector(name.clone(), *kind)));
    }
    let expiry = named(EXPIRY, "row:", Role::Expiry);
    for (name, kind) in others {
        columns.push(named(name, VECTOR_PREFIX, Role::Vector(name.clone(), *kind)));
    }
    for (name, field_type) in schema.fields() {
        columns.push(named(name, FIELD_PREFIX, Role::Field(name.clone(), *field_type)));
    }
    columns.push(expiry);
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use ragstone::DenseOptions;

    fn names(schema: &Schema, ids: IdKinds, names: &ColumnNames) -> Vec<String> {
        of(schema, ids, names).into_iter().map(|column| column.name).collect()
    }

    #[test]
    fn names_that_clash_get_a_prefix_and_stay_distinct() {
        let builder = Schema::builder(2).vector("id", DenseOptions::new(2)).sparse("title");
        let fields = ["id", "vector", "title", "vector:id", "year"];
        let schema = fields.iter().fold(builder, |builder, name| builder.field(*name, FieldType::Int));
        let schema = schema.build().unwrap();
        let usual = ColumnNames::default();
        let numbers = IdKinds { numbers: true, texts: false };
        let expected = [
            "id",
            "vector",
            "vector:id",
            "title",
            "field:id",
            "field:title",
            "field:vector",
            "field:vector:id",
            "year",
            "expires_at",
        ];
        assert_eq!(names(&schema, numbers, &usual), expected);
        let own = ColumnNames { id: "year".into(), vector: "embedding".into() };
        let both = IdKinds { numbers: true, texts: true };
        let expected = [
            "year",
            "year:number",
            "embedding",
            "id",
            "title",
            "field:id",
            "field:title",
            "vector",
            "vector:id",
            "field:year",
            "expires_at",
        ];
        assert_eq!(names(&schema, both, &own), expected);
    }
}
