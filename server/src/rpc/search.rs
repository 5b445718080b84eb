//! SearchService.

use std::time::Instant;

use ragstone::{Hit, PointId, SearchRequest, SearchStats, View};
use ragstone_proto::v1::search_service_server::SearchService;
use ragstone_proto::v1::{self, QueryRequest, QueryResponse};
use ragstone_rag::Rag;
use tonic::{Request, Response, Status};

use super::answer::{Budget, Refused};
use super::{READ_SLICE, Services};
use crate::convert::{self, Query};

#[tonic::async_trait]
impl SearchService for Services {
    async fn query(&self, request: Request<QueryRequest>) -> Result<Response<QueryResponse>, Status> {
        let (collection, query) = convert::query(request.into_inner())?;
        if let Query::Text { .. } = query {
            self.require_model_of(&collection).await?;
        }
        let mut budget = self.budget();
        let search = move |rag: &Rag| match query {
            Query::Vector(query) => {
                let view = rag.db().collection(&collection)?.view();
                let started = Instant::now();
                let (hits, stats) = search(&view, query, &mut budget)?;
                let timings = vec![("search", started.elapsed().as_secs_f64() * 1e3)];
                Ok(convert::query_response(hits, stats, timings))
            }
            Query::Text { query, with_payload } => {
                let (found, timings) = rag.search(&collection, &query)?;
                let hits = hits(found.hits, with_payload, &mut budget)?;
                Ok(convert::query_response(hits, found.stats, timings))
            }
        };
        self.answer(search).await
    }
}

/// Many hits are first found without their payload, which is then fetched by slices, so that an answer that becomes too
/// large is noticed before all of it has been read.
fn search(
    view: &View,
    mut query: SearchRequest,
    budget: &mut Budget,
) -> Result<(Vec<v1::Hit>, SearchStats), Refused> {
    let with_payload = query.with_payload;
    let sliced = with_payload && query.k > READ_SLICE;
    query.with_payload = with_payload && !sliced;
    let found = view.search(&query)?;
    if !sliced {
        return Ok((hits(found.hits, with_payload, budget)?, found.stats));
    }
    let ids: Vec<PointId> = found.hits.iter().map(|hit| hit.id.clone()).collect();
    let mut answer = Vec::with_capacity(ids.len());
    let mut rest = found.hits.into_iter();
    for ids in ids.chunks(READ_SLICE) {
        for (mut hit, point) in rest.by_ref().take(ids.len()).zip(view.get(ids)?) {
            hit.payload = point.map(|point| point.payload).unwrap_or_default();
            answer.push(budget.spend(convert::hit(hit, true))?);
        }
    }
    Ok((answer, found.stats))
}

fn hits(found: Vec<Hit>, with_payload: bool, budget: &mut Budget) -> Result<Vec<v1::Hit>, Refused> {
    found.into_iter().map(|hit| Ok(budget.spend(convert::hit(hit, with_payload))?)).collect()
}
