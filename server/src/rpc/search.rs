//! SearchService.

use std::time::Instant;

use ragstone::query::{Names, Query, QueryHit, QueryResponse as Found, Select};
use ragstone::{CancelToken, Collection, PointId, View};
use ragstone_proto::v1::search_service_server::SearchService;
use ragstone_proto::v1::{
    self, BatchQueryRequest, BatchQueryResponse, ExplainRequest, ExplainResponse, QueryRequest,
    QueryResponse, SearchRangeRequest, SearchRangeResponse,
};
use ragstone_rag::Rag;
use tonic::{Request, Response, Status};

use super::answer::{Budget, Refused};
use super::paths::{in_slice, renamed};
use super::{READ_SLICE, Services, range};
use crate::convert::{self, QueryPaths};
use crate::limits::{EMBED_TEXTS_MAX, K_MAX, SEARCH_BATCH_MAX, check_count};
use crate::recall::Drawn;
use crate::status;
use crate::telemetry::{About, Activity, Figures};

#[tonic::async_trait]
impl SearchService for Services {
    async fn query(&self, request: Request<QueryRequest>) -> Result<Response<QueryResponse>, Status> {
        self.answer_query(request.into_inner()).await.map(Response::new)
    }

    async fn explain(&self, request: Request<ExplainRequest>) -> Result<Response<ExplainResponse>, Status> {
        let unset = || status::invalid("query", "it is not set");
        let query = request.into_inner().query.ok_or_else(unset)?;
        // What is returned of its points is of no account here.
        let query = QueryRequest { explain: true, without_payload: true, ..query };
        let answer = self.answer_query(query).await?;
        let of_groups = answer.groups.iter().map(|group| group.hits.len()).sum::<usize>();
        Ok(Response::new(ExplainResponse {
            hits: convert::count(answer.hits.len() + of_groups),
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
        if queries.iter().any(convert::has_text) {
            self.require_model_of(&collection).await?;
        }
        let (mut budget, reading) = (self.budget(), self.reading());
        let recall = self.metrics().recall().clone();
        let token = CancelToken::new();
        let _end_with_call = token.cancel_on_drop();
        let search = move |rag: &Rag| {
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
            let rows = reading.collection(rag, &collection, &at_least)?;
            let view = rows.view();
            let paths: Vec<QueryPaths> = queries.iter().map(QueryPaths::of).collect();
            let placed = queries.iter_mut().enumerate();
            embed(rag, &rows, placed.map(|(index, query)| (format!("queries[{index}]."), query)))?;
            let convert =
                |(index, query)| convert::query(query, &format!("queries[{index}]."), token.clone());
            let queries =
                queries.into_iter().enumerate().map(convert).collect::<Result<Vec<Query>, Status>>()?;
            for drawn in queries.iter().filter_map(|query| recall.draw(rows.name(), query)) {
                drawn.measure(&view);
            }
            let responses = run_all(&view, &queries, &paths, &mut budget)?;
            Ok(BatchQueryResponse { responses })
        };
        self.answer(search).await
    }

    async fn search_range(
        &self,
        request: Request<SearchRangeRequest>,
    ) -> Result<Response<SearchRangeResponse>, Status> {
        let request = request.into_inner();
        if convert::range_has_text(&request) {
            self.require_model_of(&request.collection).await?;
        }
        let (mut budget, reading) = (self.budget(), self.reading());
        let token = CancelToken::new();
        let _end_with_call = token.cancel_on_drop();
        let search = move |rag: &Rag| {
            let rows = reading.collection(rag, &request.collection, &request.at_least)?;
            range::search(rag, &rows, (request, token), &mut budget)
        };
        self.answer(search).await
    }
}

impl Services {
    async fn answer_query(&self, mut request: QueryRequest) -> Result<QueryResponse, Status> {
        let embedder = match convert::has_text(&request) {
            true => self.require_model_of(&request.collection).await?,
            false => None,
        };
        let collection = request.collection.clone();
        let stages = self.stages(Activity::Query, About { collection, embedder, ..About::default() });
        let (mut budget, reading) = (self.budget(), self.reading());
        let recall = self.metrics().recall().clone();
        let token = CancelToken::new();
        // Dropped with this future: when the caller leaves, or the deadline passes.
        let _end_with_call = token.cancel_on_drop();
        let search = move |rag: &Rag| {
            let paths = QueryPaths::of(&request);
            let rows = reading.collection(rag, &request.collection, &request.at_least)?;
            let view = rows.view();
            let started = Instant::now();
            let is_embedded = embed(rag, &rows, [(String::new(), &mut request)])?;
            let embedded = Instant::now();
            let query = convert::query(request, "", token)?;
            let drawn = recall.draw(rows.name(), &query);
            let found = run(&view, query, drawn, &mut budget).map_err(|refused| refused.at(paths))?;
            let mut timings = vec![("search", milliseconds(embedded, Instant::now()))];
            if is_embedded {
                timings.insert(0, ("embed", milliseconds(started, embedded)));
            }
            let of_groups = found.groups.iter().map(|group| group.hits.len()).sum::<usize>();
            let results = Some(found.hits.len() + of_groups);
            stages.were(&timings, Figures { results, ..Figures::default() });
            Ok(QueryResponse { timings: convert::timings_out(timings), ..found })
        };
        self.answered(search).await
    }
}

pub(super) fn milliseconds(from: Instant, to: Instant) -> f64 {
    to.duration_since(from).as_secs_f64() * 1e3
}

/// Puts vectors in the places of texts, made by the model of the rows that are queried; whether there were any.
fn embed<'a>(
    rag: &Rag,
    collection: &Collection,
    queries: impl IntoIterator<Item = (String, &'a mut QueryRequest)>,
) -> Result<bool, Refused> {
    let mut texts = Vec::new();
    for (path, query) in queries {
        convert::query_texts(query, &path, &mut texts)?;
    }
    check_count("queries", texts.len(), ("EMBED_TEXTS_MAX", EMBED_TEXTS_MAX))?;
    if texts.is_empty() {
        return Ok(false);
    }
    let named: Vec<(&str, &str)> =
        texts.iter().map(|text| (text.path.as_str(), text.text.as_str())).collect();
    let vectors = rag.embed_queries(collection, &named)?;
    texts.into_iter().zip(vectors).for_each(|(text, vector)| (text.put)(vector));
    Ok(true)
}

/// Rows that a query returns at most.
fn rows_of(query: &Query) -> usize {
    query.group.as_ref().map_or(query.k, |group| query.k.saturating_mul(group.per_group))
}

/// What a query finds. Many hits are first found without their payload, which is then fetched by slices, so that an answer
/// that becomes too large is noticed before all of it has been read.
fn run(
    view: &View,
    mut query: Query,
    drawn: Option<Drawn>,
    budget: &mut Budget,
) -> Result<QueryResponse, Failed> {
    let Select { fields, vectors } = &query.select;
    let is_large = rows_of(&query) > READ_SLICE;
    let is_later = is_large && *fields == Names::All && !matches!(vectors, Names::Only(_));
    let nothing = Select { fields: Names::None, vectors: Names::None };
    let later = is_later.then(|| std::mem::replace(&mut query.select, nothing));
    let found = view.query(&query).map_err(Failed::Engine)?;
    if let Some(drawn) = drawn {
        drawn.compare(view, &found);
    }
    Reading { view, later, budget }.answer(found)
}

/// Hits on their way into the answer.
struct Reading<'a> {
    view: &'a View,
    /// What is still to be read of them.
    later: Option<Select>,
    budget: &'a mut Budget,
}

impl Reading<'_> {
    fn answer(&mut self, found: Found) -> Result<QueryResponse, Failed> {
        let hits = self.hits(found.hits)?;
        let mut groups = Vec::with_capacity(found.groups.len());
        for group in found.groups {
            groups.push(convert::hit_group(group.value, self.hits(group.hits)?));
        }
        Ok(QueryResponse {
            hits,
            groups,
            stats: Some(convert::query_stats(found.stats)),
            timings: Vec::new(),
            explain: found.explain.map(convert::explain),
        })
    }

    fn hits(&mut self, mut found: Vec<QueryHit>) -> Result<Vec<v1::Hit>, Failed> {
        let mut hits = Vec::with_capacity(found.len());
        while !found.is_empty() {
            let slice = found.drain(..found.len().min(READ_SLICE)).collect();
            for hit in self.read(slice)? {
                hits.push(self.budget.spend(convert::hit(hit))?);
            }
        }
        Ok(hits)
    }

    /// Fetches what is still to be read. What expired meanwhile is not there any more.
    fn read(&self, hits: Vec<QueryHit>) -> Result<Vec<QueryHit>, Failed> {
        let Some(select) = &self.later else { return Ok(hits) };
        let ids: Vec<PointId> = hits.iter().map(|hit| hit.point.id.clone()).collect();
        let points = self.view.get(&ids).map_err(Failed::Engine)?;
        let there = hits.into_iter().zip(points).filter_map(|(hit, point)| {
            let mut point = point?;
            if select.vectors == Names::None {
                point.vector = None;
                point.vectors.clear();
            }
            Some(QueryHit { point, ..hit })
        });
        Ok(there.collect())
    }
}

/// What many queries find. So many at a time as ask for [`K_MAX`] rows together: what was found and does not fit the response
/// is at most so much.
fn run_all(
    view: &View,
    queries: &[Query],
    paths: &[QueryPaths],
    budget: &mut Budget,
) -> Result<Vec<QueryResponse>, Refused> {
    let mut responses = Vec::with_capacity(queries.len());
    while responses.len() < queries.len() {
        let first = responses.len();
        let mut rows = 0;
        let more = |query: &&Query| {
            rows += rows_of(query);
            rows <= K_MAX
        };
        let count = queries[first..].iter().take_while(more).count().max(1);
        let chunk = &queries[first..first + count];
        let found = view.query_batch(chunk).map_err(|error| {
            let error = in_slice(error, "queries", first);
            renamed(error, |field| in_batch(field, paths))
        })?;
        for found in found {
            let answered = Reading { view, later: None, budget }.answer(found);
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

/// Why a query has no answer.
enum Failed {
    Engine(ragstone::Error),
    Status(Status),
}

impl From<Status> for Failed {
    fn from(status: Status) -> Failed {
        Failed::Status(status)
    }
}

impl Failed {
    /// The refusal, with the fields named as the caller has them.
    fn at(self, paths: QueryPaths) -> Refused {
        match self {
            Failed::Engine(error) => renamed(error, |field| paths.wire(field)).into(),
            Failed::Status(status) => status.into(),
        }
    }

    fn refused(self) -> Refused {
        match self {
            Failed::Engine(error) => error.into(),
            Failed::Status(status) => status.into(),
        }
    }
}
