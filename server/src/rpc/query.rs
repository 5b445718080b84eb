//! One query: where it is answered, and with what.
//!
//! A query that is likely to take less time than handing it to another thread does is tried where it was asked ([`turn_here`](crate::work::Work::turn_here)), under a time
//! budget of its own; one that was not done then is asked anew, on a thread that may block. Only what is short besides is tried ([`is_short`]), and
//! the engine ends it where it would have to make something first that lasts ([`Query::at_once`]).
//!
//! What such a query does not wait for is waited for on the heap: a future has room for all that it may wait for, and is made, and copied, for each call.

mod reading;

use std::time::{Duration, Instant};

use prost::Message as _;
use ragstone::query::Query;
use ragstone::{Collection, Interrupted};
use ragstone_proto::v1::{QueryRequest, QueryResponse};
use ragstone_rag::Rag;
use tonic::Status;

pub(super) use self::reading::{Reading, check_later, each_once, hits_in, later, reads, rows_of, selected};

use self::reading::are_many;
use super::answer::{Budget, Refused};
use super::paths::renamed;
use super::{Reading as Finding, Services};
use crate::convert::{self, QueryPaths};
use crate::limits::{EMBED_TEXTS_MAX, SHORT_READ_ROWS_MAX, check_count};
use crate::status;
use crate::telemetry::{About, Activity, Figures, Stages};
use crate::work::{HERE, Lately, Trial};

/// A query of more bytes takes a while to be read: that is a filter of thousands of values, or a vector beyond any model's.
const SHORT_BYTES: usize = 32 << 10;

impl Services {
    pub(super) async fn answer_query(&self, mut request: QueryRequest) -> Result<QueryResponse, Status> {
        let (is_short, is_large) = (is_short(&request), is_large(&request));
        let has_text = convert::has_text(&request);
        let may_wait = has_text || !request.at_least.is_empty();
        let embedder = match has_text {
            true => Box::pin(self.require_model_of(&request.collection)).await?,
            false => None,
        };
        let collection = std::mem::take(&mut request.collection);
        // Where it is unset the query is refused.
        let top_k = (request.k > 0).then_some(request.k as usize);
        let finding = self.reading(&collection, &std::mem::take(&mut request.at_least)).await?;
        let mut asked = Asked {
            paths: QueryPaths::of(&request),
            stages: self.stages(Activity::Query, About { collection, embedder, top_k, reranker: None }),
            budget: self.budget(),
            finding,
            lately: self.work().lately().clone(),
            is_short,
            request,
            embed_ms: None,
            tried: None,
        };
        if is_short && let Some(answer) = self.answered_here(|rag| asked.answer(rag, Some(HERE)))? {
            return Ok(answer);
        }
        let unlimited = |answer: Option<QueryResponse>| answer.ok_or_else(|| status::fault().into());
        if !is_large {
            return Box::pin(self.answered(move |rag| asked.answer(rag, None).and_then(unlimited))).await;
        }
        let begin = move |rag: &Rag| {
            let rows = asked.begin(rag)?;
            Ok((asked, rows))
        };
        let search =
            move |(mut asked, rows): (Asked, Collection)| asked.search(&rows, None).and_then(unlimited);
        Box::pin(self.answered_large(may_wait, begin, search)).await
    }
}

/// Whether so much is asked for that others are not to wait for many such queries.
fn is_large(request: &QueryRequest) -> bool {
    request.k as usize > SHORT_READ_ROWS_MAX || request.group.is_some()
}

/// Whether a query takes no longer than its search: there is no text to embed and nothing to wait for, few rows are fetched, and the request is small. One with a
/// budget of its own is not tried, so that it is only ever cut by that.
fn is_short(request: &QueryRequest) -> bool {
    !is_large(request)
        && request.budget_ms.is_none()
        && request.at_least.is_empty()
        && !convert::has_text(request)
        && request.encoded_len() <= SHORT_BYTES
}

/// A query with what is needed to answer it, perhaps twice.
struct Asked {
    /// But for the collection, which its stages name, and what is read for at least, which has been waited for.
    request: QueryRequest,
    paths: QueryPaths,
    /// How long embedding its texts took, if it had any.
    embed_ms: Option<f64>,
    /// The query that was made of it, if that was tried.
    tried: Option<Query>,
    stages: Stages,
    budget: Budget,
    finding: Finding,
    lately: Lately,
    is_short: bool,
}

impl Asked {
    /// The answer; none if it is not there within the limit, which only a query without a budget of its own has.
    fn answer(&mut self, rag: &Rag, limit: Option<Duration>) -> Result<Option<QueryResponse>, Refused> {
        let rows = self.begin(rag)?;
        self.search(&rows, limit)
    }

    /// The collection that is queried, whose model has put vectors in the places of texts.
    fn begin(&mut self, rag: &Rag) -> Result<Collection, Refused> {
        let rows = self.finding.collection(rag, self.stages.collection())?;
        // A short one has no text, nor a request any more where it was tried.
        if !self.is_short {
            let started = Instant::now();
            if embed(rag, &rows, [(String::new(), &mut self.request)])? {
                self.embed_ms = Some(milliseconds(started, Instant::now()));
            }
        }
        Ok(rows)
    }

    /// The answer of a query without texts.
    fn search(
        &mut self,
        rows: &Collection,
        limit: Option<Duration>,
    ) -> Result<Option<QueryResponse>, Refused> {
        let paths = self.paths;
        let view = rows.view();
        let started = Instant::now();
        let trial = limit.map(|_| Trial::begin());
        let mut query = match self.tried.take() {
            Some(query) => query,
            None => convert::query(std::mem::take(&mut self.request), "")?,
        };
        if let Some(limit) = limit {
            query = query.budget(limit).at_once();
        }
        let mut later = later(&mut query);
        // What is read later is there as it was found.
        let view = if later.is_some() { view.as_of_now() } else { view };
        check_later(&view, later.as_mut()).map_err(|error| Failed::Engine(error).at(&paths))?;
        let found = view.query(&query).map_err(|error| Failed::Engine(error).at(&paths))?;
        if let Some(trial) = trial
            && found.stats.interrupted == Some(Interrupted::OutOfTime)
        {
            self.lately.was_cut(trial);
            // One that is tried has no budget of its own, and nothing to fetch later.
            self.tried = Some(Query { budget: None, at_once: false, ..query });
            return Ok(None);
        }
        if let Some(drawn) = self.stages.metrics().recall().draw(rows.name(), &query) {
            drawn.compare(&view, &found);
        }
        // A few, which are there already, are measured once, with the whole answer.
        let budget = are_many(&query).then_some(&mut self.budget);
        let reading = Reading { view: &view, later: later.as_ref(), budget };
        let found = reading.answer(found).map_err(|refused| refused.at(&paths))?;
        let took = started.elapsed();
        if self.is_short {
            self.lately.took(took);
        }
        let timings = stages_of(self.embed_ms, took.as_secs_f64() * 1e3);
        let results = Some(hits_in(&found));
        self.stages.were(&timings, Figures { results, ..Figures::default() });
        Ok(Some(QueryResponse { timings: convert::timings_out(timings), ..found }))
    }
}

/// The stages of a search, one after the other, in milliseconds.
pub(super) fn stages_of(embed_ms: Option<f64>, search_ms: f64) -> Vec<(&'static str, f64)> {
    embed_ms.map(|embed_ms| ("embed", embed_ms)).into_iter().chain([("search", search_ms)]).collect()
}

pub(super) fn milliseconds(from: Instant, to: Instant) -> f64 {
    to.duration_since(from).as_secs_f64() * 1e3
}

/// Puts vectors in the places of texts, made by the model of the rows that are queried; whether there were any.
pub(super) fn embed<'a>(
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

/// Why a query has no answer.
pub(super) enum Failed {
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
    fn at(self, paths: &QueryPaths) -> Refused {
        match self {
            Failed::Engine(error) => renamed(error, |field| paths.wire(field)).into(),
            Failed::Status(status) => status.into(),
        }
    }

    pub(super) fn refused(self) -> Refused {
        match self {
            Failed::Engine(error) => error.into(),
            Failed::Status(status) => status.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use ragstone_proto::v1;
    use ragstone_proto::v1::query_request::Query as Asks;

    use super::*;

    fn request() -> QueryRequest {
        let query = Some(Asks::Vector(v1::Vector { values: vec![0.5; 1_536] }));
        QueryRequest { collection: "c".to_owned(), query, k: 10, ..QueryRequest::default() }
    }

    /// On a thread of the runtime nobody stands back for others between slices.
    #[test]
    fn what_is_tried_is_read_in_one_slice() {
        let most = QueryRequest { k: SHORT_READ_ROWS_MAX as u32, ..request() };
        assert!(is_short(&most) && !are_many(&Query::nearest([0.5], SHORT_READ_ROWS_MAX)));
    }

    #[test]
    fn what_may_last_or_has_a_budget_of_its_own_is_not_tried() {
        assert!(is_short(&request()));
        let long = [
            QueryRequest { k: SHORT_READ_ROWS_MAX as u32 + 1, ..request() },
            QueryRequest { group: Some(v1::Group::default()), ..request() },
            QueryRequest { at_least: "1".to_owned(), ..request() },
            QueryRequest { budget_ms: Some(0), ..request() },
            QueryRequest { query: Some(Asks::Text("what?".to_owned())), ..request() },
            QueryRequest { fields: vec!["x".repeat(SHORT_BYTES)], ..request() },
        ];
        assert!(long.iter().all(|request| !is_short(request)), "{long:?}");
    }
}
