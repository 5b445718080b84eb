//! Collections.

use ragstone::{CollectionInfo, Metric};
use ragstone_proto::v1;
use ragstone_rag::embed::ModelInfo;
use ragstone_rag::{CollectionSpec, reserved};
use tonic::Status;

use super::model::model_info;
use super::value::{field_type_in, field_type_out};
use super::{count, unknown_enum};
use crate::limits::{FIELDS_MAX, check_count};
use crate::status;

fn metric_out(metric: Metric) -> v1::Metric {
    match metric {
        Metric::Cosine => v1::Metric::Cosine,
        Metric::Dot => v1::Metric::Dot,
        Metric::L2 => v1::Metric::L2,
    }
}

fn metric_in(wire: i32) -> Result<Metric, Status> {
    match v1::Metric::try_from(wire) {
        Ok(v1::Metric::Unspecified) => Ok(Metric::default()),
        Ok(v1::Metric::Cosine) => Ok(Metric::Cosine),
        Ok(v1::Metric::Dot) => Ok(Metric::Dot),
        Ok(v1::Metric::L2) => Ok(Metric::L2),
        Err(_) => Err(unknown_enum("metric", wire)),
    }
}

/// The name and what the collection is to hold; an empty model's name stands for the default one.
pub(crate) fn collection_spec(wire: v1::CreateCollectionRequest) -> Result<(String, CollectionSpec), Status> {
    use v1::create_collection_request::Vectors;
    let unset = || status::invalid("vectors", "neither model nor dimension is set");
    let (model, dimension) = match wire.vectors.ok_or_else(unset)? {
        Vectors::Model(model) => (Some(model), None),
        Vectors::Dimension(dimension) => (None, Some(dimension as usize)),
    };
    check_count("fields", wire.fields.len(), ("FIELDS_MAX", FIELDS_MAX))?;
    let fields = wire.fields.into_iter().map(|(name, field_type)| {
        reserved::check_field("fields", &name).map_err(status::reserved)?;
        let field_type = field_type_in(field_type, &format!("fields.{name}"))?;
        Ok::<_, Status>((name, field_type))
    });
    let spec = CollectionSpec {
        model,
        dimension,
        metric: metric_in(wire.metric)?,
        fields: fields.collect::<Result<_, _>>()?,
        strict: wire.strict,
    };
    Ok((wire.name, spec))
}

pub(crate) fn collection((info, model): (CollectionInfo, Option<ModelInfo>)) -> v1::Collection {
    let fields = info.schema.fields().iter();
    v1::Collection {
        metric: metric_out(info.schema.metric()).into(),
        dimension: count(info.schema.dimension()),
        model: model.map(model_info),
        fields: fields.map(|(name, kind)| (name.clone(), field_type_out(*kind).into())).collect(),
        strict: info.schema.strict(),
        name: info.name,
        points: info.points,
        vectors: info.vectors,
        segments: count(info.segments),
        seq: info.seq,
    }
}
