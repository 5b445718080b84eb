//! PointsService.

use ragstone_proto::v1::points_service_server::PointsService;
use ragstone_proto::v1::{
    CountPointsRequest, CountPointsResponse, DeletePointsRequest, DeletePointsResponse, FacetPointsRequest,
    FacetPointsResponse, GetPointsRequest, GetPointsResponse, ScrollPointsRequest, ScrollPointsResponse,
    UpsertPointsRequest, UpsertPointsResponse,
};
use ragstone_rag::Rag;
use tonic::{Request, Response, Status};

use super::paths::{in_ids, in_page, in_slice};
use super::{READ_SLICE, Services};
use crate::convert;
use crate::limits::FACET_VALUES_DEFAULT;

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
                let found = view.get(ids).map_err(|error| in_slice(error, "ids", slice * READ_SLICE))?;
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

    async fn scroll_points(
        &self,
        request: Request<ScrollPointsRequest>,
    ) -> Result<Response<ScrollPointsResponse>, Status> {
        let request = request.into_inner();
        let mut budget = self.budget();
        let scroll = move |rag: &Rag| {
            let view = rag.db().collection(&request.collection)?.view();
            let (mut request, size) = convert::scroll(request)?;
            let with_vectors = request.with_vectors;
            let mut points = Vec::new();
            loop {
                request.limit = READ_SLICE.min(size - points.len());
                let page = view.scroll(&request).map_err(in_page)?;
                for point in page.points {
                    points.push(budget.spend(convert::point(point, with_vectors))?);
                }
                request.after = page.next;
                let next_page_token = request.after.as_ref().map(ToString::to_string).unwrap_or_default();
                if next_page_token.is_empty() || points.len() >= size {
                    return Ok(ScrollPointsResponse { points, next_page_token });
                }
            }
        };
        self.answer(scroll).await
    }

    async fn count_points(
        &self,
        request: Request<CountPointsRequest>,
    ) -> Result<Response<CountPointsResponse>, Status> {
        let request = request.into_inner();
        let count = move |rag: &Rag| {
            let filter = convert::filter_in(request.filter)?;
            let count = rag.db().collection(&request.collection)?.count(filter.as_ref())?;
            Ok(CountPointsResponse { count })
        };
        self.answer(count).await
    }

    async fn facet_points(
        &self,
        request: Request<FacetPointsRequest>,
    ) -> Result<Response<FacetPointsResponse>, Status> {
        let request = request.into_inner();
        let facet = move |rag: &Rag| {
            let filter = convert::filter_in(request.filter)?;
            let limit = request.limit.map_or(FACET_VALUES_DEFAULT, |limit| limit as usize);
            let collection = rag.db().collection(&request.collection)?;
            Ok(convert::facet(collection.facet(&request.field, filter.as_ref(), limit)?))
        };
        self.answer(facet).await
    }
}
