//! PointsService.

use ragstone_proto::v1::points_service_server::PointsService;
use ragstone_proto::v1::{
    CountPointsRequest, CountPointsResponse, DeletePointsRequest, DeletePointsResponse, FacetPointsRequest,
    FacetPointsResponse, GetPointsRequest, GetPointsResponse, IngestPointsRequest, IngestPointsResponse,
    ScrollPointsRequest, ScrollPointsResponse, UpdatePointsRequest, UpdatePointsResponse,
    UpsertPointsRequest, UpsertPointsResponse, WritePointsRequest, WritePointsResponse,
};
use ragstone_rag::Rag;
use tonic::{Request, Response, Status, Streaming};

use super::paths::{OperationKinds, in_ids, in_page, in_slice, in_updates};
use super::query::each_once;
use super::{READ_SLICE, Services, ingest, token_of};
use crate::columns::Beside;
use crate::convert::{self, Terms};
use crate::limits::FACET_VALUES_DEFAULT;
use crate::status;

#[tonic::async_trait]
impl PointsService for Services {
    async fn upsert_points(
        &self,
        request: Request<UpsertPointsRequest>,
    ) -> Result<Response<UpsertPointsResponse>, Status> {
        let (_, mut extensions, message) = request.into_parts();
        let UpsertPointsRequest { collection, points, preconditions, request_id } = message;
        let beside = extensions.remove::<Beside>();
        let upsert = move |rag: &Rag| {
            let points = match beside {
                Some(beside) => beside.points(points)?,
                None => points,
            };
            let batch = convert::upserts(points, Terms { preconditions, request_id })?;
            let receipt = rag.db().collection(&collection)?.write(batch)?;
            Ok(convert::upserted(receipt, token_of(rag, &receipt)))
        };
        self.answer(upsert).await
    }

    type IngestPointsStream = ingest::Answers<IngestPointsResponse>;

    async fn ingest_points(
        &self,
        request: Request<Streaming<IngestPointsRequest>>,
    ) -> Result<Response<Self::IngestPointsStream>, Status> {
        Ok(ingest::points(request, self.clone()))
    }

    async fn update_points(
        &self,
        request: Request<UpdatePointsRequest>,
    ) -> Result<Response<UpdatePointsResponse>, Status> {
        let UpdatePointsRequest { collection, updates, preconditions, request_id } = request.into_inner();
        let update = move |rag: &Rag| {
            let batch = convert::updates(updates, Terms { preconditions, request_id })?;
            let receipt = rag.db().collection(&collection)?.write(batch).map_err(in_updates)?;
            Ok(convert::updated(receipt, token_of(rag, &receipt)))
        };
        self.answer(update).await
    }

    async fn write_points(
        &self,
        request: Request<WritePointsRequest>,
    ) -> Result<Response<WritePointsResponse>, Status> {
        let WritePointsRequest { collection, operations, preconditions, request_id } = request.into_inner();
        let write = move |rag: &Rag| {
            let batch = convert::operations(operations, Terms { preconditions, request_id })?;
            let kinds = OperationKinds::of(&batch);
            let receipt =
                rag.db().collection(&collection)?.write(batch).map_err(|error| kinds.name(error))?;
            Ok(convert::written(receipt, token_of(rag, &receipt)))
        };
        self.answer(write).await
    }

    async fn get_points(
        &self,
        request: Request<GetPointsRequest>,
    ) -> Result<Response<GetPointsResponse>, Status> {
        let request = request.into_inner();
        let reading = self.reading(&request.collection, &request.at_least).await?;
        let mut budget = self.budget();
        let get = move |rag: &Rag| {
            let ids = convert::ids_to_read(request.ids)?;
            let view = reading.collection(rag, &request.collection)?.view().as_of_now();
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
        let DeletePointsRequest { collection, ids, filter, preconditions, request_id } = request.into_inner();
        if filter.is_some() {
            let others = [
                ("ids", !ids.is_empty()),
                ("preconditions", !preconditions.is_empty()),
                ("request_id", !request_id.is_empty()),
            ];
            if let Some((field, _)) = others.into_iter().find(|(_, is_set)| *is_set) {
                return Err(status::invalid(field, "a removal by a filter has none"));
            }
        }
        let delete = move |rag: &Rag| match convert::filter_in(filter)? {
            None => {
                let batch = convert::removals(ids, Terms { preconditions, request_id })?;
                let receipt = rag.db().collection(&collection)?.write(batch).map_err(in_ids)?;
                Ok(convert::deleted(receipt, token_of(rag, &receipt)))
            }
            Some(filter) => {
                let receipt = rag.delete_points_where(&collection, filter)?;
                Ok(convert::deleted(receipt, token_of(rag, &receipt)))
            }
        };
        self.answer(delete).await
    }

    async fn scroll_points(
        &self,
        request: Request<ScrollPointsRequest>,
    ) -> Result<Response<ScrollPointsResponse>, Status> {
        let request = request.into_inner();
        let reading = self.reading(&request.collection, &request.at_least).await?;
        let mut budget = self.budget();
        let scroll = move |rag: &Rag| {
            let view = reading.collection(rag, &request.collection)?.view();
            let begins_behind = if request.after_id.is_some() { "after_id" } else { "page_token" };
            let (mut request, size, list) = convert::scroll(request)?;
            let with_vectors = request.with_vectors;
            let mut points = Vec::new();
            loop {
                request.limit = READ_SLICE.min(size - points.len());
                let page = view.scroll(&request).map_err(|error| in_page(error, begins_behind))?;
                for point in page.points {
                    points.push(budget.spend(convert::point(point, with_vectors))?);
                }
                request.after = page.next;
                let next = request.after.as_ref();
                let next_page_token = next.map(|after| list.marked(&after.to_string())).unwrap_or_default();
                if next_page_token.is_empty() || points.len() >= size {
                    return Ok(ScrollPointsResponse { points, next_page_token });
                }
                if let Some(fields) = &mut request.fields {
                    each_once(fields);
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
        let reading = self.reading(&request.collection, &request.at_least).await?;
        let count = move |rag: &Rag| {
            let filter = convert::filter_in(request.filter)?;
            let count = reading.collection(rag, &request.collection)?.count(filter.as_ref())?;
            Ok(CountPointsResponse { count })
        };
        self.answer(count).await
    }

    async fn facet_points(
        &self,
        request: Request<FacetPointsRequest>,
    ) -> Result<Response<FacetPointsResponse>, Status> {
        let request = request.into_inner();
        let reading = self.reading(&request.collection, &request.at_least).await?;
        let facet = move |rag: &Rag| {
            let filter = convert::filter_in(request.filter)?;
            let limit = request.limit.map_or(FACET_VALUES_DEFAULT, |limit| limit as usize);
            let collection = reading.collection(rag, &request.collection)?;
            Ok(convert::facet(collection.facet(&request.field, filter.as_ref(), limit)?))
        };
        self.answer(facet).await
    }
}
