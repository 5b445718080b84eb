//! PointsService.

use ragstone::Error;
use ragstone_proto::v1::points_service_server::PointsService;
use ragstone_proto::v1::{
    DeletePointsRequest, DeletePointsResponse, GetPointsRequest, GetPointsResponse, UpsertPointsRequest,
    UpsertPointsResponse,
};
use ragstone_rag::Rag;
use tonic::{Request, Response, Status};

use super::{READ_SLICE, Services};
use crate::convert;

#[tonic::async_trait]
impl PointsService for Services {
    async fn upsert_points(
        &self,
        request: Request<UpsertPointsRequest>,
    ) -> Result<Response<UpsertPointsResponse>, Status> {
        let request = request.into_inner();
        let upsert = move |rag: &Rag| {
            let points = convert::points_to_write(request.points)?;
            let receipt = rag.db().collection(&request.collection)?.upsert(points)?;
            Ok(UpsertPointsResponse { seq: receipt.seq, upserted: convert::count(receipt.upserted) })
        };
        self.answer(upsert).await
    }

    async fn get_points(
        &self,
        request: Request<GetPointsRequest>,
    ) -> Result<Response<GetPointsResponse>, Status> {
        let request = request.into_inner();
        let mut budget = self.budget();
        let get = move |rag: &Rag| {
            let ids = convert::ids_to_read(request.ids)?;
            let view = rag.db().collection(&request.collection)?.view();
            let mut points = Vec::new();
            for (slice, ids) in ids.chunks(READ_SLICE).enumerate() {
                let found = view.get(ids).map_err(|error| in_slice(error, slice * READ_SLICE))?;
                for point in found.into_iter().flatten() {
                    points.push(budget.spend(convert::point(point, request.with_vectors))?);
                }
            }
            Ok(GetPointsResponse { points })
        };
        self.answer(get).await
    }

    async fn delete_points(
        &self,
        request: Request<DeletePointsRequest>,
    ) -> Result<Response<DeletePointsResponse>, Status> {
        let request = request.into_inner();
        let delete = move |rag: &Rag| {
            let ids = convert::ids_to_write(request.ids)?;
            let receipt = rag.db().collection(&request.collection)?.delete(&ids).map_err(in_ids)?;
            Ok(DeletePointsResponse { seq: receipt.seq, deleted: convert::count(receipt.deleted) })
        };
        self.answer(delete).await
    }
}

/// The engine names an id by its place in the slice; the request has it `first` places further.
fn in_slice(error: Error, first: usize) -> Error {
    let path = |field: String| {
        let place = field.strip_prefix("ids[").and_then(|rest| rest.split_once(']'));
        match place.and_then(|(index, rest)| Some((index.parse::<usize>().ok()?, rest))) {
            Some((index, rest)) => format!("ids[{}]{rest}", first + index),
            None => field,
        }
    };
    renamed(error, path)
}

/// The engine names what it removes as the points of a batch; the request has them in `ids`.
fn in_ids(error: Error) -> Error {
    let path = |field: String| match field.strip_prefix("points") {
        Some(rest) => format!("ids{}", rest.strip_suffix(".id").unwrap_or(rest)),
        None => field,
    };
    renamed(error, path)
}

fn renamed(error: Error, path: impl FnOnce(String) -> String) -> Error {
    match error {
        Error::Invalid { field, reason } => Error::Invalid { field: path(field), reason },
        Error::Limit { field, limit, max, actual } => Error::Limit { field: path(field), limit, max, actual },
        other => other,
    }
}
