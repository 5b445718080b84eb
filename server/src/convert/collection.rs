//! Collections.

use std::collections::BTreeMap;

use prost::Message as _;
use ragstone::{Analyzer, CollectionInfo, FieldType};
use ragstone_proto::v1;
use ragstone_rag::embed::ModelInfo;
use ragstone_rag::ingest::ChunkOptions;
use ragstone_rag::{CollectionSpec, TextOptions, reserved};
use tonic::Status;

use super::count;
use super::model::model_info;
use super::value::{field_type_in, field_type_out};
use super::vector::{element_in, encoding_in, graph_in, kind_in, kind_out, metric_in, metric_out};
use crate::limits::{FIELDS_MAX, VECTORS_MAX, check_count};
use crate::{hash, status};

/// The name and what the collection is to hold; an empty model's name stands for the default one.
pub(crate) fn collection_spec(wire: v1::CreateCollectionRequest) -> Result<(String, CollectionSpec), Status> {
    use v1::create_collection_request::Vectors;
    let unset = || {
        let reason = "none of model, dimension and without_default_vector is set";
        status::invalid("vectors", reason)
    };
    let (model, dimension) = match wire.vectors.ok_or_else(unset)? {
        Vectors::Model(model) => (Some(model), None),
        Vectors::Dimension(dimension) => (None, Some(dimension as usize)),
        Vectors::WithoutDefaultVector(true) => (None, None),
        Vectors::WithoutDefaultVector(false) => {
            return Err(status::invalid("without_default_vector", "set it to true, or set another one"));
        }
    };
    let fields: BTreeMap<String, FieldType> = fields_to_add(wire.fields)?.into_iter().collect();
    let texts = texts_to_add(wire.texts)?;
    for (name, _) in &texts {
        if let Some(declared) = fields.get(name).filter(|declared| **declared != FieldType::String) {
            let reason = format!("a field that is searched by word is a string, this is declared {declared}");
            return Err(status::invalid(&format!("texts.{name}"), &reason));
        }
    }
    check_count("vector_options", wire.vector_options.len(), ("VECTORS_MAX", VECTORS_MAX))?;
    let vectors = wire.vector_options.into_iter().map(|(name, options)| {
        let path = format!("vector_options.{name}");
        if name.is_empty() {
            return Err(status::invalid(&path, "the default vector is what the other fields are about"));
        }
        let kind = kind_in(options, &path)?;
        Ok((name, kind))
    });
    let spec = CollectionSpec {
        model,
        dimension,
        metric: metric_in(wire.metric, "metric")?,
        element: element_in(wire.element, "element")?,
        encoding: encoding_in(wire.encoding, "encoding")?,
        walk_dimension: wire.walk_dimension.map(|components| components as usize),
        graph: graph_in(wire.graph),
        vectors: vectors.collect::<Result<_, _>>()?,
        fields: fields.into_iter().collect(),
        texts,
        tenant: Some(wire.tenant).filter(|tenant| !tenant.is_empty()),
        strict: wire.strict,
        chunks: chunks_in(wire.chunks),
        analyzer: analyzer_in(&v1::TextIndex { analyzer: wire.analyzer }, "analyzer")?,
        request_id: Some(wire.request_id).filter(|id| !id.is_empty()),
    };
    Ok((wire.name, spec))
}

/// What is not set is by default; the sizes are the library's to check.
fn chunks_in(wire: Option<v1::ChunkOptions>) -> ChunkOptions {
    let default = ChunkOptions::default();
    match wire.unwrap_or_default() {
        v1::ChunkOptions { tokens: 0, overlap: None } => default,
        v1::ChunkOptions { tokens: 0, overlap: Some(overlap) } => {
            ChunkOptions { overlap: overlap as usize, ..default }
        }
        v1::ChunkOptions { tokens, overlap: None } => ChunkOptions::of_tokens(tokens as usize),
        v1::ChunkOptions { tokens, overlap: Some(overlap) } => {
            ChunkOptions { tokens: tokens as usize, overlap: overlap as usize }
        }
    }
}

fn analyzer_in(wire: &v1::TextIndex, path: &str) -> Result<Analyzer, Status> {
    if wire.analyzer.is_empty() {
        return Ok(Analyzer::default());
    }
    wire.analyzer
        .parse()
        .map_err(|error: ragstone::UnknownAnalyzer| status::invalid(path, &error.to_string()))
}

/// The fields to add, with their types.
pub(crate) fn fields_to_add(fields: BTreeMap<String, i32>) -> Result<Vec<(String, FieldType)>, Status> {
    check_count("fields", fields.len(), ("FIELDS_MAX", FIELDS_MAX))?;
    let field = |(name, field_type): (String, i32)| {
        reserved::check_field("fields", &name).map_err(status::reserved)?;
        let field_type = field_type_in(field_type, &format!("fields.{name}"))?;
        Ok((name, field_type))
    };
    fields.into_iter().map(field).collect()
}

/// The fields to have searched by word, with their analysers.
pub(crate) fn texts_to_add(
    texts: BTreeMap<String, v1::TextIndex>,
) -> Result<Vec<(String, Analyzer)>, Status> {
    check_count("texts", texts.len(), ("FIELDS_MAX", FIELDS_MAX))?;
    let text = |(name, index): (String, v1::TextIndex)| {
        reserved::check_field("texts", &name).map_err(status::reserved)?;
        let analyzer = analyzer_in(&index, &format!("texts.{name}.analyzer"))?;
        Ok((name, analyzer))
    };
    texts.into_iter().map(text).collect()
}

pub(crate) fn collection((info, model): (CollectionInfo, Option<ModelInfo>)) -> v1::Collection {
    let (fields, vectors) = (info.schema.fields().iter(), info.schema.vectors().iter());
    let texts = info.schema.texts().iter();
    // What others wrote over it is no reason to show nothing of the collection.
    let texts_of = TextOptions::of(&info).ok().flatten();
    let chunks_out = |ChunkOptions { tokens, overlap }| v1::ChunkOptions {
        tokens: count(tokens),
        overlap: Some(count(overlap)),
    };
    let text_out = |analyzer: Analyzer| v1::TextIndex { analyzer: analyzer.name().to_owned() };
    let metric = match info.schema.default_vector() {
        Some(options) => metric_out(options.metric),
        None => v1::Metric::Unspecified,
    };
    let (id, seq) = (info.id, info.seq);
    let mut collection = v1::Collection {
        metric: metric.into(),
        dimension: count(info.schema.dimension()),
        model: model.map(model_info),
        fields: fields.map(|(name, kind)| (name.clone(), field_type_out(*kind).into())).collect(),
        strict: info.schema.strict(),
        texts: texts.map(|(name, analyzer)| (name.clone(), text_out(*analyzer))).collect(),
        tenant: info.schema.tenant().unwrap_or_default().to_owned(),
        vector_options: vectors.map(|(name, kind)| (name.clone(), kind_out(kind))).collect(),
        name: info.name,
        chunks: texts_of.map(|options| chunks_out(options.chunks)),
        analyzer: texts_of.map(|options| options.analyzer.name().to_owned()).unwrap_or_default(),
        points: 0,
        vectors: 0,
        segments: 0,
        seq: 0,
        etag: String::new(),
    };
    // So far it has what it is, and not what it holds.
    collection.etag = etag(id, &collection);
    let (points, vectors, segments) = (info.points, info.vectors, count(info.segments));
    v1::Collection { points, vectors, segments, seq, ..collection }
}

/// The hash of what a collection is: which of all that had its name, and its definition. Maps are in the order of their keys, and
/// the hash is the same in every process, so it outlives a restart, and another version of the server that tells no more of a definition.
fn etag(id: u64, definition: &v1::Collection) -> String {
    let hash = hash::of([&id.to_le_bytes()[..], definition.encode_to_vec().as_slice()]);
    format!("{hash:016x}")
}
