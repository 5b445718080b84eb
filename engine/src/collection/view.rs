//! One state of a collection, and what can be asked of it.

use std::sync::{Arc, Weak};

use super::read;
use super::{Page, ScrollRequest, ViewState};
use crate::error::Result;
use crate::interrupt::{CancelToken, Watch};
use crate::payload::Filter;
use crate::point::{Point, PointId};
use crate::query::{self, Facet, Query, QueryResponse, Select, Source};
use crate::search::{self, RangeRequest, RangeResponse, SearchRequest, SearchResponse};
use crate::threads::Pools;

/// One consistent state of a collection: what it shows never changes, but that rows [expire](Point::expires_at) ([`as_of_now`](Self::as_of_now)
/// has them not to), and it never waits for a writer.
///
/// A view keeps the rows that it shows in memory or on disk for as long as it lives, also rows deleted since. It does
/// not keep the database open, nor its threads.
#[derive(Clone, Debug)]
pub struct View {
    pub(crate) state: Arc<ViewState>,
    /// Of the database, while it is open.
    pub(super) pools: Weak<Pools>,
    /// Of the handle that it was had from.
    pub(super) token: Option<CancelToken>,
}

impl View {
    /// Number of the last write that this state includes.
    pub fn seq(&self) -> u64 {
        self.state.seq
    }

    /// The same state, for whoever outlasts the handle that it was had from: no [token](crate::Db::cancelled_by) of that ends its reads.
    #[must_use]
    pub fn detached(&self) -> View {
        View { token: None, ..self.clone() }
    }

    /// The same state as it is at this moment, for what is read of it in several steps, such as hits first and their fields later: a row that
    /// expires between two of them is in both.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicI64, Ordering};
    ///
    /// use ragstone::{Clock, Db, DbOptions, Point, Schema};
    ///
    /// let now = Arc::new(AtomicI64::new(1_000));
    /// let told = now.clone();
    /// let mut options = DbOptions::default();
    /// options.clock = Clock::new(move || told.load(Ordering::Relaxed));
    /// let sessions = Db::in_memory_with(options)?.create_collection("sessions", Schema::new(2)?)?;
    /// sessions.upsert(vec![Point::new(1, [1.0, 0.0]).expires_at(2_000)])?;
    /// let (view, as_of_now) = (sessions.view(), sessions.view().as_of_now());
    /// now.store(2_000, Ordering::Relaxed);
    /// assert_eq!((view.count(None)?, as_of_now.count(None)?), (0, 1));
    /// # Ok::<(), ragstone::Error>(())
    /// ```
    #[must_use]
    pub fn as_of_now(&self) -> View {
        View { state: self.state.stopped(), ..self.clone() }
    }

    /// What its reads look at.
    pub(crate) fn watch(&self) -> Watch {
        Watch::default().and(self.token.as_ref())
    }

    /// The nearest rows, nearest first: `k` of them if so many rows match, filter or not. Only a search that its
    /// [`budget`](SearchRequest::budget) or its [token](SearchRequest::cancel) ended returns fewer, and says so.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) and [`Error::Limit`](crate::Error::Limit) name `vector`, `k`, `ef` or
    /// a place in the filter; [`Error::UnknownField`](crate::Error::UnknownField) and
    /// [`Error::FieldType`](crate::Error::FieldType) name the condition, as `filter.and[1].year`.
    pub fn search(&self, request: &SearchRequest) -> Result<SearchResponse> {
        let mut found = search::search(&self.state.current(), request, self.token.as_ref())?;
        self.state.veil(found.explain.as_mut());
        Ok(found)
    }

    /// Many searches at once, answered in the order asked, all on this state.
    ///
    /// Each search is done by one thread: of the database, [`threads`](crate::DbOptions::threads) of them at once, or of the rayon
    /// pool that the caller is in. A view that outlives its database searches one after the other, on the thread that calls: it
    /// keeps rows, but no threads. On two busy cores and 60,000 text embeddings the threads answer 1.7 times as many searches a second as one thread does (32 µs a search, 55 µs), for no more processor time.
    /// Splitting each search over its segments was measured too, over four of 15,000 rows: 202 µs a search, which is no
    /// gain over one thread's 203 µs and a fifth more processor time, against 132 µs for whole searches side by side.
    ///
    /// Each search has its own time budget, counted from this call: one that waits for a thread spends it.
    ///
    /// # Errors
    /// As [`search`](Self::search), naming `requests[i].vector` and so on, before any is searched. More requests than
    /// [`SEARCH_BATCH_MAX`](crate::limits::SEARCH_BATCH_MAX) are refused, and more results together than
    /// [`SEARCH_BATCH_ROWS_MAX`](crate::limits::SEARCH_BATCH_ROWS_MAX). [`Error::Io`](crate::Error::Io) if the system has no
    /// thread to give.
    pub fn search_batch(&self, requests: &[SearchRequest]) -> Result<Vec<SearchResponse>> {
        let pools = self.pools.upgrade();
        let token = self.token.as_ref();
        let mut found = search::search_batch(&self.state.current(), requests, (pools.as_deref(), token))?;
        found.iter_mut().for_each(|found| self.state.veil(found.explain.as_mut()));
        Ok(found)
    }

    /// All rows at least as near as a threshold, nearest first, as far as the graph leads to them: see
    /// [`RangeRequest`].
    ///
    /// # Errors
    /// As [`search`](Self::search), naming `vector`, `threshold`, `limit` or a place in the filter.
    pub fn search_range(&self, request: &RangeRequest) -> Result<RangeResponse> {
        let mut found = search::search_range(&self.state.current(), request, self.token.as_ref())?;
        self.state.veil(found.explain.as_mut());
        Ok(found)
    }

    /// The best rows of a source, or the best rows of each group: see [`query`](crate::query).
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) and [`Error::Limit`](crate::Error::Limit) name the place, as
    /// `source.fuse.sources[1].nearest.query`; filters and fields fail as in [`search`](Self::search).
    pub fn query(&self, query: &Query) -> Result<QueryResponse> {
        let mut found = query::query(&self.state.current(), query, self.token.as_ref())?;
        self.state.veil(found.explain.as_mut());
        Ok(found)
    }

    /// Many queries at once, answered in the order asked, all on this state, by as many threads as
    /// [`search_batch`](Self::search_batch) has.
    ///
    /// Each has its own time budget, counted from this call.
    ///
    /// # Errors
    /// As [`query`](Self::query), naming `queries[i].source` and so on, before any is run. The limits are those of
    /// [`search_batch`](Self::search_batch).
    pub fn query_batch(&self, queries: &[Query]) -> Result<Vec<QueryResponse>> {
        let pools = self.pools.upgrade();
        let token = self.token.as_ref();
        let mut found = query::query_batch(&self.state.current(), queries, (pools.as_deref(), token))?;
        found.iter_mut().for_each(|found| self.state.veil(found.explain.as_mut()));
        Ok(found)
    }

    /// How many of the rows that pass have each value of a field: exactly, the `limit` most frequent values first.
    ///
    /// ```
    /// use ragstone::{Db, Filter, Point, Schema};
    ///
    /// let db = Db::in_memory()?;
    /// let notes = db.create_collection("notes", Schema::new(2)?)?;
    /// let note = |id: u64, language: &str| Point::new(id, [1.0, 0.0]).with("language", language).with("draft", id > 2);
    /// notes.upsert(vec![note(1, "en"), note(2, "de"), note(3, "en"), note(4, "fr")])?;
    /// let languages = notes.view().facet("language", Some(&Filter::eq("draft", false)), 10)?;
    /// let counts: Vec<_> = languages.counts.iter().map(|of| (of.value.as_str().unwrap(), of.count)).collect();
    /// assert_eq!(counts, [("de", 1), ("en", 1)]);
    /// assert_eq!(notes.view().facet("language", None, 1)?.counts[0].count, 2);
    /// # Ok::<(), ragstone::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownField`](crate::Error::UnknownField); [`Error::Invalid`](crate::Error::Invalid) or
    /// [`Error::Limit`](crate::Error::Limit) name `limit`, the latter also where so many values have more than
    /// [`FACET_BYTES_MAX`](crate::limits::FACET_BYTES_MAX) together. Filters fail as in [`search`](Self::search).
    pub fn facet(&self, field: &str, filter: Option<&Filter>, limit: usize) -> Result<Facet> {
        query::facet(&self.state.current(), field, filter, limit, &self.watch())
    }

    /// Points by id, in the order asked; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) if a segment is damaged and a point is in none of the others.
    /// [`Error::Invalid`](crate::Error::Invalid) or [`Error::Limit`](crate::Error::Limit), naming `ids[i]`; more than
    /// [`BATCH_OPS_MAX`](crate::limits::BATCH_OPS_MAX) ids are refused.
    pub fn get(&self, ids: &[PointId]) -> Result<Vec<Option<Point>>> {
        read::get(&self.state.current(), ids, &self.watch())
    }

    /// What is selected of some rows, in the order asked; `None` where there is none that passes the filter. It costs a look-up for each, however
    /// many rows there are, and finding the rows of the filter, if there is one.
    ///
    /// # Errors
    /// Fields, vectors and filters fail as in [`query`](Self::query); [`Error::Invalid`](crate::Error::Invalid) and
    /// [`Error::Limit`](crate::Error::Limit) name `ids`, of which [`BATCH_OPS_MAX`](crate::limits::BATCH_OPS_MAX) are taken.
    pub fn select(
        &self,
        ids: &[PointId],
        filter: Option<&Filter>,
        select: &Select,
    ) -> Result<Vec<Option<Point>>> {
        query::select(&self.state.current(), ids, (filter, select), &self.watch())
    }

    /// How some rows score by each of some sources, in the order asked, `None` where a row is not there or a source cannot score it: what a
    /// [`Rescore`](crate::query::Rescore) of these rows by the source would give them, to the last bit. Nothing is searched, so the rows that one
    /// query found are scored by many sources at the cost of comparing them. Whose rows they are is not asked, as it is not by [`get`](Self::get).
    ///
    /// ```
    /// use ragstone::query::{Nearest, Source};
    /// use ragstone::{Db, Point, Schema};
    ///
    /// let db = Db::in_memory()?;
    /// let notes = db.create_collection("notes", Schema::new(2)?)?;
    /// notes.upsert(vec![Point::new("a", [1.0, 0.0]), Point::new("b", [0.0, 1.0])])?;
    /// let sources: [Source; 2] = [Nearest::new([1.0, 0.0]).into(), Nearest::new([0.0, 1.0]).into()];
    /// let scores = notes.view().score(&["b".into(), "c".into()], &sources)?;
    /// assert_eq!(scores, [[Some(0.0), None], [Some(1.0), None]]);
    /// # Ok::<(), ragstone::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for sources as in [`query`](Self::query), named `sources[i]`, and for one that gives an order and no
    /// scores; [`Error::Limit`](crate::Error::Limit) beyond [`CANDIDATES_MAX`](crate::limits::CANDIDATES_MAX) ids or
    /// [`QUERY_SOURCES_MAX`](crate::limits::QUERY_SOURCES_MAX) sources.
    pub fn score(&self, ids: &[PointId], sources: &[Source]) -> Result<Vec<Vec<Option<f32>>>> {
        query::score(&self.state.current(), ids, sources, &self.watch())
    }

    /// A page of rows in the order of their ids, or of a field. Page after page gives each row that is there all the while
    /// exactly once, whatever is written meanwhile: see [`Cursor`](crate::query::Cursor).
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) or [`Error::Limit`](crate::Error::Limit) name `limit`, `order` or `after`;
    /// fields and filters fail as in [`search`](Self::search).
    pub fn scroll(&self, request: &ScrollRequest) -> Result<Page> {
        read::scroll(&self.state.current(), request, self.watch())
    }

    /// How many rows pass.
    ///
    /// # Errors
    /// Filters fail as in [`search`](Self::search).
    pub fn count(&self, filter: Option<&Filter>) -> Result<u64> {
        read::count(&self.state.current(), filter, &self.watch())
    }
}
