//! The calls of SearchService.

use ragstone_proto::v1;
use ragstone_proto::v1::search_service_client::SearchServiceClient;

use super::{Calling, Client, service};
use crate::call::{call, methods};
use crate::error::{Error, Result};
use crate::found::{Explain, QueryResult, RangeResult};
use crate::range::RangeSearch;
use crate::search::Query;

impl Client {
    /// Finds the best points: nearest to a vector or a text, or of any source. 30 s by default. Dropping the future ends the
    /// search.
    ///
    /// # Errors
    /// `Code::NotFound`; `Code::InvalidArgument`, naming the field (`k`, `vector`, `filter.and[1].field`);
    /// `Code::FailedPrecondition` for a text in a collection without a model; `Code::Unavailable` while it is loaded.
    pub async fn query(&self, query: Query) -> Result<QueryResult> {
        let service = self.search();
        let request = v1::QueryRequest { at_least: self.written.at_least(), ..query.into_wire() };
        let response = call(self.policy, methods::QUERY, request, |request| {
            let mut service = service.clone();
            async move { service.query(request).await }
        })
        .await?;
        QueryResult::from_wire(response)
    }

    /// Answers many queries of one collection, at most 10,000 that ask for 1,000,000 points together, on one state of it, in their order. What collection they name themselves is not
    /// looked at. 120 s by default.
    ///
    /// # Errors
    /// As [`query`](Self::query), naming `queries[3].source` and so on; one that is wrong refuses all.
    pub async fn query_batch(
        &self,
        collection: &str,
        queries: impl IntoIterator<Item = Query>,
    ) -> Result<Vec<QueryResult>> {
        let service = self.search();
        let query = |query: Query| v1::QueryRequest { collection: String::new(), ..query.into_wire() };
        let request = v1::BatchQueryRequest {
            collection: collection.to_owned(),
            queries: queries.into_iter().map(query).collect(),
            at_least: self.written.at_least(),
        };
        let response = call(self.policy, methods::BATCH_QUERY, request, |request| {
            let mut service = service.clone();
            async move { service.batch_query(request).await }
        })
        .await?;
        response.responses.into_iter().map(QueryResult::from_wire).collect()
    }

    /// Tells how a query is answered, without its points; [`Query::explain`] has both. 30 s by default.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub async fn explain(&self, query: Query) -> Result<Explain> {
        let service = self.search();
        let query = v1::QueryRequest { at_least: self.written.at_least(), ..query.into_wire() };
        let request = v1::ExplainRequest { query: Some(query) };
        let response = call(self.policy, methods::EXPLAIN, request, |request| {
            let mut service = service.clone();
            async move { service.explain(request).await }
        })
        .await?;
        response.explain.map(Explain::from_wire).ok_or_else(|| Error::missing("explain"))
    }

    /// Finds all points at least as near to a vector or a text as a threshold. 60 s by default.
    ///
    /// # Errors
    /// As [`query`](Self::query), naming `threshold`, `limit`, `vector` and so on.
    pub async fn search_range(&self, range: RangeSearch) -> Result<RangeResult> {
        let service = self.search();
        let request = v1::SearchRangeRequest { at_least: self.written.at_least(), ..range.into_wire() };
        let response = call(self.policy, methods::SEARCH_RANGE, request, |request| {
            let mut service = service.clone();
            async move { service.search_range(request).await }
        })
        .await?;
        RangeResult::from_wire(response)
    }

    fn search(&self) -> SearchServiceClient<Calling> {
        service!(self, SearchServiceClient)
    }
}
