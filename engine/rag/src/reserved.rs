//! Ids and fields that ingestion writes, and how to refuse them to anybody else.
//!
//! A document is a row without a vector, its chunks are rows with one. Their ids begin with `doc:` and `doc#`, their
//! fields with `_`; a user's own points in the same collection may have neither. An interface that writes points as it is
//! told calls [`check_point`] and [`check_id`] first.
//!
//! | row | id | fields |
//! |---|---|---|
//! | document | `doc:<document>` | `_kind` = `document`, `_document`, `_title`, `_source`, `_media_type`, `_sha256`, `_content`, `_chunks`, `_pipeline`, `_request` |
//! | chunk | `doc#<document>#<ordinal>` | `_kind` = `chunk`, `_document`, `_source`, `_ordinal`, `_heading`, `_start`, `_end`, `_text`, `_tokens`, `_content_sha256`, `_gap` |
//!
//! Chunks are found by the words of `_text` and of `_heading` too. A document's own text is another field, as rows of documents must not count
//! among the rows that say how rare a word is and how long a text usually is.
//!
//! The ordinal is what follows the last `#`, so that documents whose ids hold a `#` keep apart. Document rows sort as the
//! documents' ids do.

use std::collections::BTreeMap;

use ragstone::{Batch, FieldType, Filter, Op, Payload, Point, PointId, Update};

use crate::error::{Error, Result};

/// What a row is: [`KIND_DOCUMENT`] or [`KIND_CHUNK`].
pub const KIND: &str = "_kind";
/// The [`KIND`] of document rows.
pub const KIND_DOCUMENT: &str = "document";
/// The [`KIND`] of chunk rows.
pub const KIND_CHUNK: &str = "chunk";
/// The document's id.
pub const DOCUMENT: &str = "_document";
/// The document's title; rows of documents without one lack it.
pub const TITLE: &str = "_title";
/// What the document belongs to.
pub const SOURCE: &str = "_source";
/// `text`, `markdown` or `html`.
pub const MEDIA_TYPE: &str = "_media_type";
/// SHA-256 of the document's bytes, in hex.
pub const SHA256: &str = "_sha256";
/// The text of a document.
pub const CONTENT: &str = "_content";
/// The text of a chunk, searched by word.
pub const TEXT: &str = "_text";
/// How many chunks a document has.
pub const CHUNKS: &str = "_chunks";
/// What made the chunks of a document: versions, sizes and the model.
pub const PIPELINE: &str = "_pipeline";
/// The request that stored a document, and what that did, as JSON; rows of documents that were stored without the id of one lack it.
pub const REQUEST: &str = "_request";
/// A chunk's place in its document, from 0.
pub const ORDINAL: &str = "_ordinal";
/// The document's title, unless the chunk begins with it, and the headings above a chunk, joined by ` > `, searched by word.
pub const HEADING: &str = "_heading";
/// First code point of a chunk in the document's text.
pub const START: &str = "_start";
/// One past the last code point.
pub const END: &str = "_end";
/// Tokens of a chunk's text.
pub const TOKENS: &str = "_tokens";
/// SHA-256, in hex, of a chunk's heading and of what was embedded for it.
pub const CONTENT_SHA256: &str = "_content_sha256";
/// The white space between the previous chunk and this one.
pub const GAP: &str = "_gap";

/// The attribute of a schema that keeps the contract of the model that makes the collection's vectors: a
/// [`ModelInfo`](crate::embed::ModelInfo) as JSON.
pub const MODEL_ATTRIBUTE: &str = "ragstone.model";
/// The key of the turns ([`Collection::exclusive`](ragstone::Collection::exclusive)) in which what a collection is (its fields, whether
/// it is there) is compared and changed.
pub const DEFINITION_TURN: &str = "\0definition";

/// The attribute of a schema with the id of the request that the collection was made by.
pub const REQUEST_ATTRIBUTE: &str = "ragstone.request";

/// Every reserved field with its type; collections with a model declare them.
pub const FIELDS: [(&str, FieldType); 18] = [
    (KIND, FieldType::String),
    (DOCUMENT, FieldType::String),
    (TITLE, FieldType::String),
    (SOURCE, FieldType::String),
    (MEDIA_TYPE, FieldType::String),
    (SHA256, FieldType::String),
    (CONTENT, FieldType::String),
    (TEXT, FieldType::String),
    (CHUNKS, FieldType::Int),
    (PIPELINE, FieldType::String),
    (REQUEST, FieldType::String),
    (ORDINAL, FieldType::Int),
    (HEADING, FieldType::String),
    (START, FieldType::Int),
    (END, FieldType::Int),
    (TOKENS, FieldType::Int),
    (CONTENT_SHA256, FieldType::String),
    (GAP, FieldType::String),
];

/// The fields of chunks that are searched by word.
pub const WORDS: [&str; 2] = [TEXT, HEADING];

/// The attribute of a schema that keeps how its documents are split: [`ChunkOptions`](crate::ingest::ChunkOptions) as JSON.
pub const CHUNKS_ATTRIBUTE: &str = "ragstone.chunks";

/// Refuses a point that only ingestion may write, by its id or a field. `field` is the point's path in the request.
///
/// # Errors
/// [`Error::Invalid`], naming the id or the field.
pub fn check_point(field: &str, point: &Point) -> Result<()> {
    check_id(&format!("{field}.id"), &point.id)?;
    check_payload(&format!("{field}.payload"), &point.payload)
}

/// Refuses an id that only ingestion may write. `field` is its path in the request.
///
/// # Errors
/// [`Error::Invalid`].
pub fn check_id(field: &str, id: &PointId) -> Result<()> {
    match id {
        PointId::Str(id) if id.starts_with("doc:") || id.starts_with("doc#") => Err(Error::Invalid {
            field: field.to_owned(),
            reason:
                "ids that begin with `doc:` or `doc#` belong to ingested documents; use the document calls"
                    .to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Refuses fields that only ingestion may write. `field` is the fields' path in the request.
///
/// # Errors
/// [`Error::Invalid`].
pub fn check_payload(field: &str, payload: &Payload) -> Result<()> {
    payload.keys().try_for_each(|name| check_field(field, name))
}

/// Refuses an update that only ingestion may make, by its id or a field. `field` is the update's path in the request.
///
/// # Errors
/// [`Error::Invalid`].
pub fn check_update(field: &str, update: &Update) -> Result<()> {
    check_id(&format!("{field}.id"), &update.id)?;
    check_payload(&format!("{field}.set"), &update.set)?;
    let mut unset = update.unset.iter().enumerate();
    unset.try_for_each(|(at, name)| check_field(&format!("{field}.unset[{at}]"), name))
}

/// Refuses a batch that only ingestion may write.
///
/// # Errors
/// [`Error::Invalid`], naming the operation as `points[i]`.
pub fn check_batch(batch: &Batch) -> Result<()> {
    batch.ops.iter().enumerate().try_for_each(|(at, op)| match op {
        Op::Upsert(point) => check_point(&format!("points[{at}]"), point),
        Op::Update(update) => check_update(&format!("points[{at}]"), update),
        Op::Delete(id) => check_id(&format!("points[{at}].id"), id),
    })
}

/// Refuses a field's name that is kept for ingestion. `field` is the path of what holds it.
///
/// # Errors
/// [`Error::Invalid`].
pub fn check_field(field: &str, name: &str) -> Result<()> {
    if name.starts_with('_') {
        return Err(Error::Invalid {
            field: format!("{field}.{name}"),
            reason: "names that begin with `_` are kept for Ragstone".to_owned(),
        });
    }
    Ok(())
}

/// The id of a document's row.
pub fn document_row(document: &str) -> PointId {
    PointId::Str(format!("doc:{document}"))
}

/// The id of the row of a document's chunk.
pub fn chunk_row(document: &str, ordinal: usize) -> PointId {
    PointId::Str(format!("doc#{document}#{ordinal}"))
}

/// The document of a chunk's row, by its id.
pub(crate) fn document_of(id: &PointId) -> Option<&str> {
    match id {
        PointId::Str(id) => Some(id.strip_prefix("doc#")?.rsplit_once('#')?.0),
        PointId::Num(_) => None,
    }
}

/// Only chunks, and of these only those that pass.
pub fn only_chunks(filter: Option<Filter>) -> Filter {
    let chunks = Filter::eq(KIND, KIND_CHUNK);
    match filter {
        Some(filter) => Filter::And(vec![chunks, filter]),
        None => chunks,
    }
}

/// Only a user's own points, and of these only those that pass. A collection without the field [`KIND`] has no others.
pub fn only_own(filter: Filter, fields: &BTreeMap<String, FieldType>) -> Filter {
    if fields.contains_key(KIND) {
        let own = Filter::Not(Box::new(Filter::Exists(KIND.to_owned())));
        Filter::And(vec![own, filter])
    } else {
        filter
    }
}

/// An error of a search under [`only_chunks`] or [`only_own`] as one about the filter that the caller gave.
pub(crate) fn as_given(mut error: ragstone::Error) -> ragstone::Error {
    use ragstone::Error::{FieldType, Invalid, Limit, UnknownField};
    if let Invalid { field, .. } | Limit { field, .. } | UnknownField { field } | FieldType { field, .. } =
        &mut error
        && let Some(rest) = field.strip_prefix("filter.and[1]")
    {
        *field = format!("filter{rest}");
    }
    error
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn rows_of_different_documents_never_share_an_id() {
        let mut seen = HashSet::new();
        for document in ["a", "a#1", "a#1#", "a#", "#", "#0", ":a", "doc:a", "1"] {
            assert!(seen.insert(document_row(document)));
            for ordinal in [0, 1, 10, 11] {
                assert!(seen.insert(chunk_row(document, ordinal)), "{document} {ordinal}");
                assert_eq!(document_of(&chunk_row(document, ordinal)), Some(document));
            }
            assert_eq!(document_of(&document_row(document)), None);
        }
    }

    #[test]
    fn only_reserved_names_are_refused() {
        for id in [document_row("a"), chunk_row("a", 0)] {
            let error = check_point("points[2]", &Point::without_vector(id)).unwrap_err().to_string();
            assert!(error.starts_with("points[2].id: "), "{error}");
        }
        let point = Point::without_vector("doc").with("kind", "x").with("_kind", "chunk");
        let error = check_point("points[0]", &point).unwrap_err().to_string();
        assert!(error.starts_with("points[0].payload._kind: "), "{error}");
        for id in [PointId::Num(7), "document".into(), "Doc:a".into(), "doc".into()] {
            check_point("points[0]", &Point::without_vector(id).with("a_", 1)).unwrap();
        }
    }

    #[test]
    fn updates_and_batches_are_looked_at_whole() {
        let told = |batch: Batch| check_batch(&batch).unwrap_err().to_string();
        let own = || Batch::new().upsert(Point::without_vector(1)).delete(2);
        check_batch(&own().update(Update::new(3).set("a", 1).unset("b"))).unwrap();
        assert!(told(own().update(Update::new("doc:a"))).starts_with("points[2].id: "));
        assert!(told(own().update(Update::new(3).set("_kind", "x"))).starts_with("points[2].set._kind: "));
        assert!(told(own().update(Update::new(3).unset("_kind"))).starts_with("points[2].unset[0]._kind: "));
        assert!(told(own().delete("doc#a#0")).starts_with("points[2].id: "));
    }

    #[test]
    fn errors_are_about_the_filter_as_given() {
        let error = |field: &str| ragstone::Error::UnknownField { field: field.to_owned() };
        assert!(as_given(error("filter.and[1].year")).to_string().starts_with("filter.year"));
        assert!(as_given(error("filter.and[1].or[2].year")).to_string().starts_with("filter.or[2].year"));
        assert!(as_given(error("vector")).to_string().starts_with("vector"));
    }
}
