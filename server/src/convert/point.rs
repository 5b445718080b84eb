//! Points and their ids.

use std::collections::BTreeMap;

use ragstone::{Point, PointId};
use ragstone_proto::v1;
use tonic::Status;

use super::value::{payload_in, payload_out};
use super::vector::{vectors_in, vectors_out};
use crate::limits::{GET_IDS_MAX, check_count};
use crate::status;

pub(super) fn id_in(wire: Option<v1::PointId>, path: &str) -> Result<PointId, Status> {
    match wire.and_then(|wire| wire.id) {
        Some(v1::point_id::Id::Number(number)) => Ok(PointId::Num(number)),
        Some(v1::point_id::Id::Text(text)) => Ok(PointId::Str(text)),
        None => Err(status::invalid(path, "no id is set; set number or text")),
    }
}

pub(super) fn id_out(id: PointId) -> v1::PointId {
    let id = match id {
        PointId::Num(number) => v1::point_id::Id::Number(number),
        PointId::Str(text) => v1::point_id::Id::Text(text),
    };
    v1::PointId { id: Some(id) }
}

/// A point; `path` names it in the request. What it is to be written for is the caller's to check.
pub(super) fn point_in(wire: v1::Point, path: &str) -> Result<Point, Status> {
    let mut point = Point::without_vector(id_in(wire.id, &format!("{path}.id"))?);
    point.vector = wire.vector.map(|vector| vector.values);
    point.vectors = vectors_in(wire.vectors, &format!("{path}.vectors"))?;
    point.payload = payload_in(wire.payload, &format!("{path}.payload"))?;
    point.expires_at = wire.expires_at;
    Ok(point)
}

pub(crate) fn ids_to_read(wire: Vec<v1::PointId>) -> Result<Vec<PointId>, Status> {
    check_count("ids", wire.len(), ("GET_IDS_MAX", GET_IDS_MAX))?;
    wire.into_iter().enumerate().map(|(index, id)| id_in(Some(id), &format!("ids[{index}]"))).collect()
}

pub(crate) fn point(point: Point, with_vectors: bool) -> v1::Point {
    v1::Point {
        id: Some(id_out(point.id)),
        vector: point.vector.filter(|_| with_vectors).map(|values| v1::Vector { values }),
        vectors: if with_vectors { vectors_out(point.vectors) } else { BTreeMap::new() },
        payload: payload_out(point.payload),
        expires_at: point.expires_at,
        etag: point.etag,
    }
}
