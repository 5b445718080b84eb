//! Points and their ids.

use ragstone::{Point, PointId};
use ragstone_proto::v1;
use ragstone_rag::reserved;
use tonic::Status;

use super::value::{payload_in, payload_out};
use crate::limits::{BATCH_OPS_MAX, GET_IDS_MAX, check_count};
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

/// Documents and their chunks are points too, and DocumentsService's alone to write.
pub(crate) fn points_to_write(wire: Vec<v1::Point>) -> Result<Vec<Point>, Status> {
    check_count("points", wire.len(), ("BATCH_OPS_MAX", BATCH_OPS_MAX))?;
    wire.into_iter()
        .enumerate()
        .map(|(index, point)| {
            let path = format!("points[{index}]");
            let id = id_in(point.id, &format!("{path}.id"))?;
            let point = Point {
                vector: point.vector.map(|vector| vector.values),
                payload: payload_in(point.payload, &format!("{path}.payload"))?,
                ..Point::without_vector(id)
            };
            reserved::check_point(&path, &point).map_err(status::reserved)?;
            Ok(point)
        })
        .collect()
}

pub(crate) fn ids_to_write(wire: Vec<v1::PointId>) -> Result<Vec<PointId>, Status> {
    check_count("ids", wire.len(), ("BATCH_OPS_MAX", BATCH_OPS_MAX))?;
    let own = |(index, id)| {
        let path = format!("ids[{index}]");
        let id = id_in(Some(id), &path)?;
        reserved::check_id(&path, &id).map_err(status::reserved)?;
        Ok(id)
    };
    wire.into_iter().enumerate().map(own).collect()
}

pub(crate) fn ids_to_read(wire: Vec<v1::PointId>) -> Result<Vec<PointId>, Status> {
    check_count("ids", wire.len(), ("GET_IDS_MAX", GET_IDS_MAX))?;
    wire.into_iter().enumerate().map(|(index, id)| id_in(Some(id), &format!("ids[{index}]"))).collect()
}

pub(crate) fn point(point: Point, with_vector: bool) -> v1::Point {
    v1::Point {
        id: Some(id_out(point.id)),
        vector: point.vector.filter(|_| with_vector).map(|values| v1::Vector { values }),
        payload: payload_out(point.payload),
    }
}
