//! The calls of PointsService.

use ragstone_proto::v1;
use ragstone_proto::v1::points_service_client::PointsServiceClient;

use super::{Calling, Client, service};
use crate::call::{Method, call, methods};
use crate::error::Result;
use crate::filter::Filter;
use crate::found::Facet;
use crate::point::{Page, Point, PointId};
use crate::read::Scroll;
use crate::retry::request_id;
use crate::write::{Update, Write, WriteReceipt};

impl Client {
    /// Inserts points, or replaces those that have the same ids: all of them, at most 100,000, or none. Durable when it
    /// returns. 60 s by default.
    ///
    /// # Errors
    /// `Code::NotFound`; `Code::InvalidArgument`, naming the field (`points[3].vector`);
    /// `Code::ResourceExhausted` for more bytes than the server takes at once.
    pub async fn upsert_points(
        &self,
        collection: &str,
        points: impl IntoIterator<Item = Point>,
    ) -> Result<WriteReceipt> {
        let service = self.points();
        let request = v1::UpsertPointsRequest {
            collection: collection.to_owned(),
            points: points.into_iter().map(Point::into_wire).collect(),
            preconditions: Vec::new(),
            request_id: request_id(),
        };
        let response = call(self.policy, methods::UPSERT_POINTS, request, |request| {
            let mut service = service.clone();
            async move { service.upsert_points(request).await }
        })
        .await?;
        let v1::UpsertPointsResponse { seq, upserted, repeated, write_token } = response;
        self.written.note(write_token);
        Ok(WriteReceipt { seq, points: upserted as usize, missing: 0, repeated })
    }

    /// Changes fields of points and leaves the rest of them as it is: all of them, at most 100,000, or none. Durable when it
    /// returns. The receipt counts those that are there and those that are not. 60 s by default.
    ///
    /// # Errors
    /// `Code::NotFound` (no such collection); `Code::InvalidArgument`, naming the field (`updates[3].set.year`).
    pub async fn update_points(
        &self,
        collection: &str,
        updates: impl IntoIterator<Item = Update>,
    ) -> Result<WriteReceipt> {
        let service = self.points();
        let request = v1::UpdatePointsRequest {
            collection: collection.to_owned(),
            updates: updates.into_iter().map(Update::into_wire).collect(),
            preconditions: Vec::new(),
            request_id: request_id(),
        };
        let response = call(self.policy, methods::UPDATE_POINTS, request, |request| {
            let mut service = service.clone();
            async move { service.update_points(request).await }
        })
        .await?;
        let v1::UpdatePointsResponse { seq, updated, missing, repeated, write_token } = response;
        self.written.note(write_token);
        Ok(WriteReceipt { seq, points: updated as usize, missing: missing as usize, repeated })
    }

    /// Writes a batch: upserts, updates and removals, at most 100,000 of them, all or none, and only if what it expects
    /// holds. Durable when it returns. 60 s by default.
    ///
    /// # Errors
    /// `Code::NotFound` (no such collection); `Code::Aborted`, with the reason `PRECONDITION_FAILED`, if what it expects does
    /// not hold; `Code::InvalidArgument`, naming the field (`operations[3].upsert.vector`).
    pub async fn write_points(&self, write: Write) -> Result<WriteReceipt> {
        let service = self.points();
        let mut request = write.into_wire();
        if request.request_id.is_empty() {
            request.request_id = request_id();
        }
        let response = call(self.policy, methods::WRITE_POINTS, request, |request| {
            let mut service = service.clone();
            async move { service.write_points(request).await }
        })
        .await?;
        let v1::WritePointsResponse { seq, upserted, updated, deleted, missing, repeated, write_token } =
            response;
        self.written.note(write_token);
        let points = [upserted, updated, deleted].iter().map(|count| *count as usize).sum();
        Ok(WriteReceipt { seq, points, missing: missing as usize, repeated })
    }

    /// Reads points by id, with their vectors: those that exist, in the order of the ids. 30 s by default.
    ///
    /// # Errors
    /// `Code::NotFound` (no such collection); `Code::InvalidArgument` for more than 10,000 ids.
    pub async fn get_points<I: Into<PointId>>(
        &self,
        collection: &str,
        ids: impl IntoIterator<Item = I>,
    ) -> Result<Vec<Point>> {
        self.read_points(collection, ids_into_wire(ids), true).await
    }

    /// The same without their vectors, which of a point that has some are most of its bytes. 30 s by default.
    ///
    /// # Errors
    /// As [`get_points`](Self::get_points).
    pub async fn get_points_without_vectors<I: Into<PointId>>(
        &self,
        collection: &str,
        ids: impl IntoIterator<Item = I>,
    ) -> Result<Vec<Point>> {
        self.read_points(collection, ids_into_wire(ids), false).await
    }

    async fn read_points(
        &self,
        collection: &str,
        ids: Vec<v1::PointId>,
        with_vectors: bool,
    ) -> Result<Vec<Point>> {
        let service = self.points();
        let at_least = self.written.at_least();
        let request = v1::GetPointsRequest { collection: collection.to_owned(), ids, with_vectors, at_least };
        let response = call(self.policy, methods::GET_POINTS, request, |request| {
            let mut service = service.clone();
            async move { service.get_points(request).await }
        })
        .await?;
        response.points.into_iter().map(Point::from_wire).collect()
    }

    /// Removes points by id; durable when it returns. The receipt counts those that existed. 60 s by default.
    ///
    /// # Errors
    /// `Code::NotFound` (no such collection); `Code::InvalidArgument`.
    pub async fn delete_points<I: Into<PointId>>(
        &self,
        collection: &str,
        ids: impl IntoIterator<Item = I>,
    ) -> Result<WriteReceipt> {
        let request = v1::DeletePointsRequest {
            collection: collection.to_owned(),
            ids: ids_into_wire(ids),
            request_id: request_id(),
            ..Default::default()
        };
        self.delete(methods::DELETE_POINTS, request).await
    }

    /// Removes the points that pass a filter; documents and their chunks stay. Durable when it returns. Up to 100,000 points
    /// are removed as one atomic batch, more in parts of so many. 60 s by default.
    ///
    /// # Errors
    /// `Code::NotFound` (no such collection); `Code::InvalidArgument`, naming the place in the filter.
    pub async fn delete_points_where(&self, collection: &str, filter: Filter) -> Result<WriteReceipt> {
        let request = v1::DeletePointsRequest {
            collection: collection.to_owned(),
            filter: Some(filter.into_wire()),
            ..Default::default()
        };
        self.delete(methods::DELETE_POINTS_WHERE, request).await
    }

    async fn delete(&self, method: Method, request: v1::DeletePointsRequest) -> Result<WriteReceipt> {
        let service = self.points();
        let response = call(self.policy, method, request, |request| {
            let mut service = service.clone();
            async move { service.delete_points(request).await }
        })
        .await?;
        let v1::DeletePointsResponse { seq, deleted, repeated, write_token } = response;
        self.written.note(write_token);
        let points = usize::try_from(deleted).unwrap_or(usize::MAX);
        Ok(WriteReceipt { seq, points, missing: 0, repeated })
    }

    /// Reads a page of points, in the order of their ids or of a field. 30 s by default.
    ///
    /// # Errors
    /// `Code::NotFound`; `Code::InvalidArgument`, naming the field (`page_token`, `order_by.year`, `filter.and[1].field`).
    pub async fn scroll_points(&self, request: Scroll) -> Result<Page<Point>> {
        let service = self.points();
        let request = v1::ScrollPointsRequest { at_least: self.written.at_least(), ..request.into_wire() };
        let response = call(self.policy, methods::SCROLL_POINTS, request, |request| {
            let mut service = service.clone();
            async move { service.scroll_points(request).await }
        })
        .await?;
        Page::from_wire(response.points, response.next_page_token, Point::from_wire)
    }

    /// Counts points, documents and chunks included: those that pass, or all. 30 s by default.
    ///
    /// # Errors
    /// `Code::NotFound`; `Code::InvalidArgument`, naming the place in the filter.
    pub async fn count_points(&self, collection: &str, filter: Option<Filter>) -> Result<u64> {
        let service = self.points();
        let request = v1::CountPointsRequest {
            collection: collection.to_owned(),
            filter: filter.map(Filter::into_wire),
            at_least: self.written.at_least(),
        };
        let response = call(self.policy, methods::COUNT_POINTS, request, |request| {
            let mut service = service.clone();
            async move { service.count_points(request).await }
        })
        .await?;
        Ok(response.count)
    }

    /// Counts the points, of those that pass, that have each value of a field: the `limit` most frequent values, 1 to 10,000, of 64 MiB
    /// together. 30 s by default.
    ///
    /// # Errors
    /// `Code::NotFound`; `Code::InvalidArgument`, naming `limit`, the field or the place in the filter.
    pub async fn facet_points(
        &self,
        collection: &str,
        field: &str,
        filter: Option<Filter>,
        limit: u32,
    ) -> Result<Facet> {
        let service = self.points();
        let request = v1::FacetPointsRequest {
            collection: collection.to_owned(),
            field: field.to_owned(),
            filter: filter.map(Filter::into_wire),
            limit: Some(limit),
            at_least: self.written.at_least(),
        };
        let response = call(self.policy, methods::FACET_POINTS, request, |request| {
            let mut service = service.clone();
            async move { service.facet_points(request).await }
        })
        .await?;
        Facet::from_wire(response)
    }

    pub(super) fn points(&self) -> PointsServiceClient<Calling> {
        service!(self, PointsServiceClient)
    }
}

fn ids_into_wire<I: Into<PointId>>(ids: impl IntoIterator<Item = I>) -> Vec<v1::PointId> {
    ids.into_iter().map(|id| id.into().into_wire()).collect()
}
