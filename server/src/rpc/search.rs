//! SearchService.

use std::time::Instant;

use ragstone::query::{Query, Select};
use ragstone::{Collection, View};
use ragstone_proto::v1::search_service_server::SearchService;
use ragstone_proto::v1::{
    BatchQueryRequest, BatchQueryResponse, ExplainRequest, ExplainResponse, QueryRequest, QueryResponse,
    SearchRangeRequest, SearchRangeResponse,
};
use ragstone_rag::Rag;
use tonic::{Request, Response, Status};

use super::answer::{Budget, Refused};
use super::paths::{in_slice, renamed};
use super::query::{
    Failed, Reading, check_later, embed, hits_in, later, milliseconds, reads, rows_of, stages_of,
};
use super::{READ_SLICE, Services, range};
use crate::convert::{self, QueryPaths};
use crate::limits::{K_MAX, SEARCH_BATCH_MAX, SEARCH_BATCH_ROWS_MAX, check_count};
use crate::status;
use crate::telemetry::{About, Activity, Figures};

/// The rows that a batch is about, its queries without texts and with what the caller calls their parts, and how many milliseconds embedding took, if there
/// were any texts.
type BegunBatch = (Collection, (Vec<QueryRequest>, Vec<QueryPaths>), Option<f64>);

#[tonic::async_trait]
impl SearchService for Services {
    async fn query(&self, request: Request<QueryRequest>) -> Result<Response<QueryResponse>, Status> {
        self.answer_query(request.into_inner()).await.map(Response::new)
    }

    async fn explain(&self, request: Request<ExplainRequest>) -> Result<Response<ExplainResponse>, Status> {
        let unset = || status::invalid("query", "it is not set");
        let query = request.into_inner().query.ok_or_else(unset)?;
        // What is returned of its points is of no account here.
        let query = QueryRequest {
            explain: true,
            without_payload: true,
            with_vectors: false,
            vectors: Vec::new(),
            ..query
        };
        let answer = self.answer_query(query).await?;
        Ok(Response::new(ExplainResponse {
            hits: convert::count(hits_in(&answer)),
            explain: answer.explain,
            stats: answer.stats,
            timings: answer.timings,
        }))
    }

    async fn batch_query(
        &self,
        request: Request<BatchQueryRequest>,
    ) -> Result<Response<BatchQueryResponse>, Status> {
        let BatchQueryRequest { collection, mut queries, at_least } = request.into_inner();
        check_count("queries", queries.len(), ("SEARCH_BATCH_MAX", SEARCH_BATCH_MAX))?;
        let has_text = queries.iter().any(convert::has_text);
        let embedder = match has_text {
            true => self.require_model_of(&collection).await?,
            false => None,
        };
        let may_wait = has_text || !at_least.is_empty();
        let reading = self.reading(&collection, &at_least).await?;
        let mut budget = self.budget();
        let recall = self.metrics().recall().clone();
        let about = About { collection: collection.clone(), embedder, ..About::default() };
        let stages = self.stages(Activity::BatchQuery, about);
        let begin = move |rag: &Rag| {
            for (index, query) in queries.iter().enumerate() {
                if !matches!(&query.collection, name if name.is_empty() || *name == collection) {
                    let field = format!("queries[{index}].collection");
                    return Err(status::invalid(&field, "a batch is about one collection").into());
                }
                if !query.at_least.is_empty() {
                    let field = format!("queries[{index}].at_least");
                    return Err(status::invalid(&field, "a batch has one of its own").into());
                }
            }
            let rows = reading.collection(rag, &collection)?;
            let paths: Vec<QueryPaths> = queries.iter().map(QueryPaths::of).collect();
            let (placed, started) = (queries.iter_mut().enumerate(), Instant::now());
            let embedded =
                embed(rag, &rows, placed.map(|(index, query)| (format!("queries[{index}]."), query)))?;
            let embed_ms = embedded.then(|| milliseconds(started, Instant::now()));
            Ok((rows, (queries, paths), embed_ms))
        };
        let search = move |(rows, (queries, paths), embed_ms): BegunBatch| {
            let started = Instant::now();
            // They are answered some at a time, all of one state.
            let view = rows.view().as_of_now();
            let convert = |(index, query)| convert::query(query, &format!("queries[{index}]."));
            let queries =
                queries.into_iter().enumerate().map(convert).collect::<Result<Vec<Query>, Status>>()?;
            // The engine is given some of them at a time.
            let asked = queries.iter().fold(0_usize, |rows, query| rows.saturating_add(rows_of(query)));
            check_count("queries", asked, ("SEARCH_BATCH_ROWS_MAX", SEARCH_BATCH_ROWS_MAX))?;
            for drawn in queries.iter().filter_map(|query| recall.draw(rows.name(), query)) {
                drawn.measure(&view);
            }
            let responses = run_all(&view, queries, &paths, &mut budget)?;
            let results = Some(responses.iter().map(hits_in).sum());
            let timings = stages_of(embed_ms, milliseconds(started, Instant::now()));
            stages.were(&timings, Figures { results, ..Figures::default() });
            Ok(BatchQueryResponse { responses })
        };
        self.answered_large(may_wait, begin, search).await.map(Response::new)
    }

    async fn search_range(
        &self,
        request: Request<SearchRangeRequest>,
    ) -> Result<Response<SearchRangeResponse>, Status> {
        let request = request.into_inner();
        let has_text = convert::range_has_text(&request);
        let embedder = match has_text {
            true => self.require_model_of(&request.collection).await?,
            false => None,
        };
        let about = About { collection: request.collection.clone(), embedder, ..About::default() };
        let stages = self.stages(Activity::SearchRange, about);
        let may_wait = has_text || !request.at_least.is_empty();
        let reading = self.reading(&request.collection, &request.at_least).await?;
        let mut budget = self.budget();
        let begin = move |rag: &Rag| {
            let rows = reading.collection(rag, &request.collection)?;
            range::Asked::of(rag, rows, request, stages)
        };
        let search = move |asked: range::Asked| asked.search(&mut budget);
        self.answered_large(may_wait, begin, search).await.map(Response::new)
    }
}

/// Rows of small queries that are read before they are counted; enough for some threads.
const READ_AT_ONCE: usize = 20 * READ_SLICE;

/// How many of some queries are answered at a time, by the first of them, one at least: as many as ask for [`K_MAX`] rows together, and read
/// [`READ_AT_ONCE`] of these. What was found and does not fit the response is at most so much.
fn at_once(queries: &[Query]) -> usize {
    let (mut rows, mut read) = (0, 0);
    let fits = |query: &&Query| {
        rows += rows_of(query);
        // Of those that ask for many nothing is read yet, nor of those that want their ids alone.
        read += if reads(query) { rows_of(query) } else { 0 };
        rows <= K_MAX && read <= READ_AT_ONCE
    };
    queries.iter().take_while(fits).count().max(1)
}

/// What many queries find.
fn run_all(
    view: &View,
    mut queries: Vec<Query>,
    paths: &[QueryPaths],
    budget: &mut Budget,
) -> Result<Vec<QueryResponse>, Refused> {
    let mut laters: Vec<Option<Select>> = queries.iter_mut().map(later).collect();
    for (index, later) in laters.iter_mut().enumerate() {
        check_later(view, later.as_mut())
            .map_err(|error| renamed(error, |field| in_batch(&format!("queries[{index}].{field}"), paths)))?;
    }
    let mut responses = Vec::with_capacity(queries.len());
    while responses.len() < queries.len() {
        let first = responses.len();
        let chunk = &queries[first..first + at_once(&queries[first..])];
        let found = view.query_batch(chunk).map_err(|error| {
            let error = in_slice(error, "queries", first);
            renamed(error, |field| in_batch(field, paths))
        })?;
        for (found, later) in found.into_iter().zip(&laters[first..]) {
            let answered = Reading { view, later: later.as_ref(), budget: Some(&mut *budget) }.answer(found);
            responses.push(answered.map_err(Failed::refused)?);
        }
    }
    Ok(responses)
}

/// A path within the queries of a batch as the caller has it.
fn in_batch(field: &str, paths: &[QueryPaths]) -> String {
    let split = field.strip_prefix("queries[").and_then(|rest| rest.split_once("]."));
    let known = split.and_then(|(index, rest)| Some((index, paths.get(index.parse::<usize>().ok()?)?, rest)));
    match known {
        Some((index, paths, rest)) => format!("queries[{index}].{}", paths.wire(rest)),
        None => field.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use ragstone::query::Names;

    use super::*;

    /// Queries for ids alone, of which nothing is read, were answered a few at a time, by as few threads.
    #[test]
    fn as_many_are_answered_at_once_as_find_and_read_so_much() {
        let nothing = Select { fields: Names::None, vectors: Names::None };
        let whole = |k: usize| Query::nearest([1.0], k);
        let ids = |k: usize| whole(k).select(nothing.clone());
        let many = |queries: Vec<Query>| vec![queries; 100].concat();
        let cases = [
            (many(vec![whole(1)]), 100),
            (many(vec![whole(100)]), 20),
            (many(vec![whole(50), ids(100)]), 80),
            (many(vec![ids(100)]), 100),
            (many(vec![ids(1_000)]), 10),
            (many(vec![ids(K_MAX)]), 1),
            (vec![whole(K_MAX)], 1),
            (vec![whole(usize::MAX)], 1),
        ];
        for (index, (queries, expected)) in cases.iter().enumerate() {
            assert_eq!(at_once(queries), *expected, "{index}");
        }
        // What many hits have is read later.
        let mut large = many(vec![whole(101)]);
        assert!(large.iter_mut().all(|query| later(query).is_some()));
        assert_eq!(at_once(&large), 99);
    }
}
