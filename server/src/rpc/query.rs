//! One query: where it is answered, and with what.
//!
//! A query that is likely to take less time than handing it to another thread does is tried where it was asked ([`turn_here`](crate::work::Work::turn_here)), under a time
//! budget of its own; one that was not done then is asked anew, on a thread that may block. Only what is short besides is tried ([`is_short`]), and
//! the engine ends it where it would have to make something first that lasts ([`Query::at_once`]).
//!
//! What such a query does not wait for is waited for on the heap: a future has room for all that it may wait for, and is made, and copied, for each call.

use std::time::{Duration, Instant};

use prost::Message as _;
use ragstone::query::{Names, Query, QueryHit, QueryResponse as Found, Select};
use ragstone::{Collection, Filter, Interrupted, Point, PointId, View};
use ragstone_proto::v1::{self, QueryRequest, QueryResponse};
use ragstone_rag::Rag;
use tonic::Status;

use super::answer::{Budget, Refused};
use super::paths::renamed;
use super::{READ_SLICE, Reading as Finding, Services};
use crate::convert::{self, QueryPaths};
use crate::limits::{EMBED_TEXTS_MAX, SHORT_READ_ROWS_MAX, check_count};
use crate::status;
use crate::telemetry::{About, Activity, Figures, Stages};
use crate::work::{HERE, Lately};

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
        if limit.is_some() && found.stats.interrupted == Some(Interrupted::OutOfTime) {
            self.lately.was_cut();
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

/// How many points an answer has, those of groups included.
pub(super) fn hits_in(answer: &QueryResponse) -> usize {
    answer.hits.len() + answer.groups.iter().map(|group| group.hits.len()).sum::<usize>()
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

/// Rows that a query returns at most.
pub(super) fn rows_of(query: &Query) -> usize {
    query.group.as_ref().map_or(query.k, |group| query.k.saturating_mul(group.per_group))
}

/// Whether a query may have so many hits that they are counted as they come, and others have the processor between some of them.
fn are_many(query: &Query) -> bool {
    rows_of(query) > READ_SLICE
}

/// Many hits are first found without what is wanted of them, which is then fetched by slices, so that an answer that becomes too large is noticed before
/// all of it has been read: what is to be fetched so.
pub(super) fn later(query: &mut Query) -> Option<Select> {
    let is_later = are_many(query) && reads(query);
    is_later.then(|| std::mem::replace(&mut query.select, NOTHING))
}

/// Nothing but ids and scores.
const NOTHING: Select = Select { fields: Names::None, vectors: Names::None };

/// Whether the search itself reads something of the rows that it finds.
pub(super) fn reads(query: &Query) -> bool {
    query.select != NOTHING
}

/// Names of what is fetched later are refused before anything is searched, and though nothing be found. Each is there once after that, as all are looked
/// up for every slice.
pub(super) fn check_later(view: &View, later: Option<&mut Select>) -> ragstone::Result<()> {
    let Some(select) = later else { return Ok(()) };
    selected(view, &[], select)?;
    for names in [&mut select.fields, &mut select.vectors] {
        if let Names::Only(names) = names {
            names.sort_unstable();
            names.dedup();
        }
    }
    Ok(())
}

/// What is wanted of hits. Whose they are was asked when they were searched.
pub(super) fn selected(
    view: &View,
    ids: &[PointId],
    select: &Select,
) -> ragstone::Result<Vec<Option<Point>>> {
    view.select(ids, Some(&Filter::AllTenants), select)
}

/// Hits on their way into the answer.
pub(super) struct Reading<'a> {
    pub(super) view: &'a View,
    /// What is still to be read of them.
    pub(super) later: Option<&'a Select>,
    /// What counts hits as they come, where they [are many](are_many).
    pub(super) budget: Option<&'a mut Budget>,
}

impl Reading<'_> {
    pub(super) fn answer(mut self, found: Found) -> Result<QueryResponse, Failed> {
        if let (Some(_), Some(budget)) = (&self.later, &mut self.budget) {
            // The search for so many rows took a while.
            budget.stand_back();
        }
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
        let Some(select) = self.later else {
            for hit in found {
                hits.push(self.hit(hit)?);
            }
            return Ok(hits);
        };
        while !found.is_empty() {
            let slice = found.drain(..found.len().min(READ_SLICE)).collect();
            for hit in self.read(select, slice)? {
                hits.push(self.hit(hit)?);
            }
        }
        Ok(hits)
    }

    /// A hit, if it still fits.
    fn hit(&mut self, hit: QueryHit) -> Result<v1::Hit, Status> {
        let hit = convert::hit(hit);
        match &mut self.budget {
            Some(budget) => budget.spend(hit),
            None => Ok(hit),
        }
    }

    /// Fetches what is still to be read, of a view in which nothing expires meanwhile.
    fn read(&self, select: &Select, hits: Vec<QueryHit>) -> Result<Vec<QueryHit>, Failed> {
        let ids: Vec<PointId> = hits.iter().map(|hit| hit.point.id.clone()).collect();
        let points = selected(self.view, &ids, select).map_err(Failed::Engine)?;
        let there = hits.into_iter().zip(points);
        Ok(there.filter_map(|(hit, point)| Some(QueryHit { point: point?, ..hit })).collect())
    }
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
    use ragstone_proto::v1::query_request::Query as Asks;

    use super::*;

    fn request() -> QueryRequest {
        let query = Some(Asks::Vector(v1::Vector { values: vec![0.5; 1_536] }));
        QueryRequest { collection: "c".to_owned(), query, k: 10, ..QueryRequest::default() }
    }

    /// Ten thousand long texts were read before the first of them was counted, where they were asked for by their field's name.
    #[test]
    fn what_many_hits_have_is_read_later_whatever_is_wanted_of_them() {
        let some = [
            Select::default(),
            Select { fields: Names::of(["text"]), ..NOTHING },
            Select { vectors: Names::of([""]), ..NOTHING },
            Select { vectors: Names::All, ..NOTHING },
        ];
        for select in some {
            let mut few = Query::nearest([1.0], READ_SLICE).select(select.clone());
            assert_eq!((later(&mut few), &few.select), (None, &select));
            assert!(!are_many(&few));
            let mut groups = Query::nearest([1.0], READ_SLICE).group("by", 2).select(select.clone());
            let mut many = Query::nearest([1.0], READ_SLICE + 1).select(select.clone());
            for query in [&mut groups, &mut many] {
                assert_eq!((later(query), &query.select), (Some(select.clone()), &NOTHING));
            }
        }
        let mut many = Query::nearest([1.0], READ_SLICE + 1).select(NOTHING);
        assert!(later(&mut many).is_none() && are_many(&many), "they are counted nevertheless");
    }

    /// A hundred thousand names of one field were looked up for each slice, and copied for each group.
    #[test]
    fn names_of_what_is_read_later_are_looked_up_once() {
        let db = ragstone::Db::in_memory().unwrap();
        let schema = ragstone::Schema::builder(2).sparse("words").build().unwrap();
        let rows = db.create_collection("rows", schema).unwrap();
        rows.upsert(vec![Point::new(1, [1.0, 0.0]).with("b", 1_i64).with("a", 2_i64)]).unwrap();
        let view = rows.view();
        let mut select =
            Select { fields: Names::of(["b", "a", "b", "b"]), vectors: Names::of(["words", "", "words"]) };
        check_later(&view, Some(&mut select)).unwrap();
        assert_eq!(select.fields, Names::of(["a", "b"]));
        assert_eq!(select.vectors, Names::of(["", "words"]));
        // They are named in errors as the caller has them.
        let mut select = Select { fields: Names::of(["b", "b", "c"]), ..NOTHING };
        let error = check_later(&view, Some(&mut select)).unwrap_err().to_string();
        assert!(error.contains("select.fields[2].c"), "{error}");
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
