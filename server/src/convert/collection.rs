//! Collections.

use ragstone::CollectionInfo;
use ragstone_proto::v1;
use ragstone_rag::embed::ModelInfo;
use ragstone_rag::{CollectionSpec, reserved};
use tonic::Status;

use super::count;
use super::model::model_info;
use super::value::{field_type_in, field_type_out};
use super::vector::{element_in, encoding_in, graph_in, kind_in, kind_out, metric_in, metric_out};
use crate::limits::{FIELDS_MAX, VECTORS_MAX, check_count};
use crate::status;

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
    check_count("fields", wire.fields.len(), ("FIELDS_MAX", FIELDS_MAX))?;
    let fields = wire.fields.into_iter().map(|(name, field_type)| {
        reserved::check_field("fields", &name).map_err(status::reserved)?;
        let field_type = field_type_in(field_type, &format!("fields.{name}"))?;
        Ok::<_, Status>((name, field_type))
    });
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
        fields: fields.collect::<Result<_, _>>()?,
        strict: wire.strict,
    };
    Ok((wire.name, spec))
}

pub(crate) fn collection((info, model): (CollectionInfo, Option<ModelInfo>)) -> v1::Collection {
    let (fields, vectors) = (info.schema.fields().iter(), info.schema.vectors().iter());
    let metric = match info.schema.default_vector() {
        Some(options) => metric_out(options.metric),
        None => v1::Metric::Unspecified,
    };
    v1::Collection {
        metric: metric.into(),
        dimension: count(info.schema.dimension()),
        model: model.map(model_info),
        fields: fields.map(|(name, kind)| (name.clone(), field_type_out(*kind).into())).collect(),
        strict: info.schema.strict(),
        vector_options: vectors.map(|(name, kind)| (name.clone(), kind_out(kind))).collect(),
        name: info.name,
        points: info.points,
        vectors: info.vectors,
        segments: count(info.segments),
        seq: info.seq,
    }
}
