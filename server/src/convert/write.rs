//! Writes: batches of a user's own points.
//!
//! Documents and their chunks are points too, and DocumentsService's alone to write: their ids and fields are refused here
//! by name, wherever a write has one.

use ragstone::{Batch, Expect, Op, Point, PointId, Precondition, Update, WriteReceipt};
use ragstone_proto::v1;
use ragstone_proto::v1::{point_update, precondition, write_operation};
use ragstone_rag::reserved;
use tonic::Status;

use super::count;
use super::point::{id_in, point_in};
use super::value::payload_in;
use crate::limits::{BATCH_OPS_MAX, FIELDS_MAX, check_count};
use crate::status;

/// What a write rests on, and its name.
pub(crate) struct Terms {
    pub(crate) preconditions: Vec<v1::Precondition>,
    pub(crate) request_id: String,
}

/// Points to insert or replace.
pub(crate) fn upserts(points: Vec<v1::Point>, terms: Terms) -> Result<Batch, Status> {
    check_count("points", points.len(), ("BATCH_OPS_MAX", BATCH_OPS_MAX))?;
    let upsert = |(index, point)| own_point(point, &format!("points[{index}]")).map(Op::Upsert);
    batch(points.into_iter().enumerate().map(upsert), terms)
}

/// Points, and their places in the request.
pub(crate) type Placed = Vec<(usize, Point)>;

/// Points to insert or replace, as far as each can be read, with their places; and those that cannot.
pub(crate) fn readable_upserts(points: Vec<v1::Point>) -> Result<(Placed, Vec<v1::RefusedItem>), Status> {
    check_count("points", points.len(), ("BATCH_OPS_MAX", BATCH_OPS_MAX))?;
    let (mut readable, mut refused) = (Vec::with_capacity(points.len()), Vec::new());
    for (index, point) in points.into_iter().enumerate() {
        match own_point(point, &format!("points[{index}]")) {
            Ok(point) => readable.push((index, point)),
            Err(status) => refused.push(status::refused_item(status, index)?),
        }
    }
    Ok((readable, refused))
}

/// Points to change.
pub(crate) fn updates(updates: Vec<v1::PointUpdate>, terms: Terms) -> Result<Batch, Status> {
    check_count("updates", updates.len(), ("BATCH_OPS_MAX", BATCH_OPS_MAX))?;
    let change = |(index, update)| update_in(update, &format!("updates[{index}]")).map(Op::Update);
    batch(updates.into_iter().enumerate().map(change), terms)
}

/// Points to remove.
pub(crate) fn removals(ids: Vec<v1::PointId>, terms: Terms) -> Result<Batch, Status> {
    check_count("ids", ids.len(), ("BATCH_OPS_MAX", BATCH_OPS_MAX))?;
    let removal = |(index, id)| own_id(Some(id), &format!("ids[{index}]")).map(Op::Delete);
    batch(ids.into_iter().enumerate().map(removal), terms)
}

/// Changes of every kind.
pub(crate) fn operations(operations: Vec<v1::WriteOperation>, terms: Terms) -> Result<Batch, Status> {
    check_count("operations", operations.len(), ("BATCH_OPS_MAX", BATCH_OPS_MAX))?;
    let operation = |(index, operation): (usize, v1::WriteOperation)| {
        let path = format!("operations[{index}]");
        match operation.operation {
            Some(write_operation::Operation::Upsert(point)) => {
                own_point(point, &format!("{path}.upsert")).map(Op::Upsert)
            }
            Some(write_operation::Operation::Update(update)) => {
                update_in(update, &format!("{path}.update")).map(Op::Update)
            }
            Some(write_operation::Operation::Delete(id)) => {
                own_id(Some(id), &format!("{path}.delete")).map(Op::Delete)
            }
            None => Err(status::invalid(&path, "no operation is set; set one of upsert, update and delete")),
        }
    };
    batch(operations.into_iter().enumerate().map(operation), terms)
}

fn batch(ops: impl Iterator<Item = Result<Op, Status>>, terms: Terms) -> Result<Batch, Status> {
    check_count("preconditions", terms.preconditions.len(), ("BATCH_OPS_MAX", BATCH_OPS_MAX))?;
    let mut batch = Batch::of(ops.collect::<Result<_, _>>()?);
    let preconditions = terms.preconditions.into_iter().enumerate();
    batch.preconditions = preconditions
        .map(|(index, wire)| precondition_in(wire, &format!("preconditions[{index}]")))
        .collect::<Result<_, _>>()?;
    batch.request_id = Some(terms.request_id).filter(|id| !id.is_empty());
    Ok(batch)
}

fn own_point(wire: v1::Point, path: &str) -> Result<Point, Status> {
    let point = point_in(wire, path)?;
    reserved::check_point(path, &point).map_err(status::reserved)?;
    Ok(point)
}

fn own_id(wire: Option<v1::PointId>, path: &str) -> Result<PointId, Status> {
    let id = id_in(wire, path)?;
    reserved::check_id(path, &id).map_err(status::reserved)?;
    Ok(id)
}

fn update_in(wire: v1::PointUpdate, path: &str) -> Result<Update, Status> {
    let mut update = Update::new(own_id(wire.id, &format!("{path}.id"))?);
    check_count(&format!("{path}.unset"), wire.unset.len(), ("FIELDS_MAX", FIELDS_MAX))?;
    update.set = payload_in(wire.set, &format!("{path}.set"))?;
    update.unset = wire.unset;
    update.expires_at = match wire.expiry {
        None => None,
        Some(point_update::Expiry::ExpiresAt(time_us)) => Some(Some(time_us)),
        Some(point_update::Expiry::NeverExpires(true)) => Some(None),
        Some(point_update::Expiry::NeverExpires(false)) => {
            return Err(status::invalid(
                &format!("{path}.never_expires"),
                "set it to true, or leave it unset",
            ));
        }
    };
    reserved::check_update(path, &update).map_err(status::reserved)?;
    Ok(update)
}

fn precondition_in(wire: v1::Precondition, path: &str) -> Result<Precondition, Status> {
    let expect = match wire.expect {
        Some(precondition::Expect::Exists(true)) => Expect::Present,
        Some(precondition::Expect::Exists(false)) => Expect::Absent,
        Some(precondition::Expect::Etag(etag)) => Expect::Etag(etag),
        None => return Err(status::invalid(path, "nothing is expected; set exists or etag")),
    };
    Ok(Precondition { id: id_in(wire.id, &format!("{path}.id"))?, expect })
}

pub(crate) fn upserted(receipt: WriteReceipt, write_token: String) -> v1::UpsertPointsResponse {
    v1::UpsertPointsResponse {
        seq: receipt.seq,
        upserted: count(receipt.upserted),
        repeated: receipt.repeated,
        write_token,
    }
}

pub(crate) fn updated(receipt: WriteReceipt, write_token: String) -> v1::UpdatePointsResponse {
    v1::UpdatePointsResponse {
        seq: receipt.seq,
        updated: count(receipt.updated),
        missing: count(receipt.missing),
        repeated: receipt.repeated,
        write_token,
    }
}

pub(crate) fn deleted(receipt: WriteReceipt, write_token: String) -> v1::DeletePointsResponse {
    v1::DeletePointsResponse {
        seq: receipt.seq,
        deleted: receipt.deleted as u64,
        repeated: receipt.repeated,
        write_token,
    }
}

pub(crate) fn written(receipt: WriteReceipt, write_token: String) -> v1::WritePointsResponse {
    v1::WritePointsResponse {
        seq: receipt.seq,
        upserted: count(receipt.upserted),
        updated: count(receipt.updated),
        deleted: count(receipt.deleted),
        missing: count(receipt.missing),
        repeated: receipt.repeated,
        write_token,
    }
}
