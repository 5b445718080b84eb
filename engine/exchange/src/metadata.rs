//! The schema of a collection as text in a file, from which an import makes the collection again, whole.
//!
//! It is JSON under the key `ragstone.schema` of the file's schema (Arrow), or of its key-value metadata (Parquet):
//!
//! ```text
//! {"version": 1,
//!  "columns": [{"column": "id", "id": "number"}, {"column": "vector", "vector": ""}, {"column": "year", "field": "year"},
//!              {"column": "expires_at", "expires_at": true}],
//!  "vectors": {"": {"kind": "dense", "dimension": 384, "metric": "cosine", "element": "f32", "encoding": "int4",
//!                   "walk_dimension": null, "graph": {"degree": 32, "ef_construction": 128}}},
//!  "fields": {"year": "int"}, "texts": {"title": "english"}, "tenant": null, "strict": false, "attributes": {}}
//! ```
//! A name or a number that this program does not know is an error, not a default: the collection would be another one.

mod read;

use ragstone::{DenseOptions, ElementType, EncodingKind, Metric, MultiOptions, Schema, VectorKind};
use serde_json::{Map, Value as Json, json};

use crate::layout::{Column, Role};

pub(crate) use read::Stored;

/// The key that the text stands under.
pub(crate) const KEY: &str = "ragstone.schema";
/// The key of the number of rows, in Arrow files, which do not tell it themselves.
pub(crate) const ROWS_KEY: &str = "ragstone.rows";
/// Of what is written.
const VERSION: u64 = 1;

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::Dot, Metric::L2];
const ELEMENTS: [(ElementType, &str); 2] = [(ElementType::F32, "f32"), (ElementType::F16, "f16")];
const ENCODINGS: [(EncodingKind, &str); 5] = [
    (EncodingKind::F32, "f32"),
    (EncodingKind::F16, "f16"),
    (EncodingKind::Int8, "int8"),
    (EncodingKind::Int4, "int4"),
    (EncodingKind::Bit1, "bit1"),
];

/// The text of a schema and of the columns that its rows are in.
pub(crate) fn write(schema: &Schema, columns: &[Column]) -> String {
    let vectors = schema.vectors().iter().map(|(name, kind)| (name.clone(), vector(kind)));
    let fields = schema.fields().iter().map(|(name, kind)| (name.clone(), kind.to_string().into()));
    let texts = schema.texts().iter().map(|(name, analyzer)| (name.clone(), analyzer.name().into()));
    let text = json!({
        "version": VERSION,
        "columns": columns.iter().map(column).collect::<Vec<_>>(),
        "vectors": vectors.collect::<Map<_, _>>(),
        "fields": fields.collect::<Map<_, _>>(),
        "texts": texts.collect::<Map<_, _>>(),
        "tenant": schema.tenant(),
        "strict": schema.strict(),
        "attributes": schema.attributes(),
    });
    text.to_string()
}

fn column(column: &Column) -> Json {
    let name = &column.name;
    match &column.role {
        Role::NumberId => json!({ "column": name, "id": "number" }),
        Role::TextId => json!({ "column": name, "id": "text" }),
        Role::Vector(vector, _) => json!({ "column": name, "vector": vector }),
        Role::Field(field, _) => json!({ "column": name, "field": field }),
        Role::Expiry => json!({ "column": name, "expires_at": true }),
    }
}

fn vector(kind: &VectorKind) -> Json {
    match kind {
        VectorKind::Dense(DenseOptions {
            dimension,
            metric,
            element,
            encoding,
            walk_dimension,
            graph,
            ..
        }) => {
            json!({
                "kind": "dense",
                "dimension": dimension,
                "metric": metric.to_string(),
                "element": name_of(&ELEMENTS, element),
                "encoding": name_of(&ENCODINGS, encoding),
                "walk_dimension": walk_dimension,
                "graph": { "degree": graph.degree, "ef_construction": graph.ef_construction },
            })
        }
        VectorKind::Multi(MultiOptions { dimension, metric, element, .. }) => json!({
            "kind": "multi",
            "dimension": dimension,
            "metric": metric.to_string(),
            "element": name_of(&ELEMENTS, element),
        }),
        VectorKind::Sparse(_) => json!({ "kind": "sparse" }),
        // Of a kind that came later; an import refuses it.
        other => json!({ "kind": format!("{other:?}") }),
    }
}

fn name_of<T: PartialEq + std::fmt::Debug>(names: &[(T, &'static str)], value: &T) -> String {
    let name = names.iter().find(|(known, _)| known == value).map(|(_, name)| (*name).to_owned());
    name.unwrap_or_else(|| format!("{value:?}"))
}

#[cfg(test)]
mod tests;
