//! A collection of points: the handle that users hold, and what is behind it.
//!
//! - `types.rs`: what calls take and give;
//! - `state.rs`: what one view is made of, and the core that owns the current one;
//! - `add_field.rs`: fields that come later;
//! - `words.rs`: and the words of these;
//! - `write.rs`: a batch is checked, logged and applied;
//! - `queued.rs`: what writes that are queued for the log will do;
//! - `outcome.rs`: what it does to the rows before it;
//! - `resolving.rs`: queueing what is made of rows;
//! - `row_sizes.rs`: whether updates keep rows within their limit;
//! - `delete_where.rs`: deleting by a filter;
//! - `requests.rs`: writes that are not done twice;
//! - `apply.rs`: a batch becomes rows, deaths and the next view;
//! - `maintain.rs`: freezing, sealing, merging;
//! - `commit.rs`: bringing the manifest up to it;
//! - `room.rs`: whether it may take more;
//! - `read.rs`: points by id, pages, counts (searching is in `search/`);
//! - `ordered.rs`: rows in the order of a field;
//! - `iterate.rs`: all rows, one after the other;
//! - `current.rs`: a view without what has expired;
//! - `exclusive.rs`: turns of those who read and then write.

mod add_field;
mod apply;
mod commit;
mod current;
mod delete_where;
mod exclusive;
mod iterate;
mod maintain;
mod ordered;
mod outcome;
mod queued;
mod read;
mod requests;
mod resolving;
mod room;
mod row_sizes;
mod state;
mod types;
mod words;
mod write;

use std::sync::{Arc, Weak};

use crate::db::DbHandle;
use crate::error::Result;
use crate::payload::Filter;
use crate::point::{Batch, Op, Point, PointId, Update};
use crate::query::{self, Facet, Query, QueryResponse};
use crate::schema::Schema;
use crate::search::{self, RangeRequest, RangeResponse, SearchRequest, SearchResponse};
use crate::threads::Pools;
use crate::validate;

pub use exclusive::Exclusive;
pub(crate) use exclusive::Turns;
pub use iterate::{Pages, Rows, TypedRows};
pub(crate) use maintain::REST;
pub(crate) use read::{with_marks, with_vectors};
pub(crate) use requests::{decode as decode_requests, is_request_file, read as read_requests, request_file};
pub(crate) use state::{CollectionCore, Opened, ViewState};
pub use types::{CollectionInfo, Page, ScrollRequest, WriteReceipt};

/// A named set of points under one schema; cheap to clone, shared between threads.
///
/// A handle keeps its database open, like a [`Db`](crate::Db) does. Every call blocks until it is done; reads never
/// wait for writes.
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// use ragstone::{Db, Filter, Point, Schema, SearchRequest};
///
/// let db = Db::open(directory.path())?;
/// let notes = db.create_collection("notes", Schema::new(3)?)?;
/// notes.upsert(vec![
///     Point::new(1, [1.0, 0.0, 0.0]).with("language", "en"),
///     Point::new(2, [0.9, 0.1, 0.0]).with("language", "de"),
/// ])?;
/// let english = SearchRequest::new([1.0, 0.0, 0.0], 10).filter(Filter::eq("language", "en"));
/// assert_eq!(notes.search(&english)?.hits.len(), 1);
/// assert_eq!(notes.delete(&[1.into()])?.deleted, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Collection {
    core: Arc<CollectionCore>,
    db: Arc<DbHandle>,
}

impl std::fmt::Debug for Collection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collection").field("name", &self.core.name).finish_non_exhaustive()
    }
}

/// One consistent state of a collection: what it shows never changes, but that rows [expire](Point::expires_at), and it never waits for
/// a writer.
///
/// A view keeps the rows that it shows in memory or on disk for as long as it lives, also rows deleted since. It does
/// not keep the database open, nor its threads.
#[derive(Clone, Debug)]
pub struct View {
    pub(crate) state: Arc<ViewState>,
    /// Of the database, while it is open.
    pools: Weak<Pools>,
}

impl Collection {
    pub(crate) fn new(core: Arc<CollectionCore>, db: Arc<DbHandle>) -> Self {
        Self { core, db }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.core.name
    }

    /// The schema, with the fields that writes added.
    pub fn schema(&self) -> Schema {
        self.core.view().schema_with_fields()
    }

    /// What it holds now.
    pub fn info(&self) -> CollectionInfo {
        self.core.info()
    }

    /// Applies a batch, all of it or nothing; durable when it returns. Of several operations on one id the last wins.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid), [`Error::Limit`](crate::Error::Limit),
    /// [`Error::FieldType`](crate::Error::FieldType) or [`Error::UnknownField`](crate::Error::UnknownField) name the
    /// operation as `points[i]`, [`Error::Precondition`](crate::Error::Precondition) the condition that does not hold as
    /// `preconditions[i]`; nothing of the batch is written then, nor after an [`Error::Io`](crate::Error::Io)
    /// that says that a segment could not be sealed: memory is full, and writes are taken again once a seal succeeds.
    /// After any other [`Error::Io`](crate::Error::Io) it is unknown until the database is reopened whether the batch
    /// was written; every write until then is [`Error::Poisoned`](crate::Error::Poisoned).
    pub fn write(&self, batch: Batch) -> Result<WriteReceipt> {
        self.core.write(self.db.store(), batch)
    }

    /// Inserts or replaces points, as one batch.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn upsert(&self, points: Vec<Point>) -> Result<WriteReceipt> {
        self.write(Batch::of(points.into_iter().map(Op::Upsert).collect()))
    }

    /// Changes fields of points, as one batch.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn update(&self, updates: Vec<Update>) -> Result<WriteReceipt> {
        self.write(Batch::of(updates.into_iter().map(Op::Update).collect()))
    }

    /// Removes points by id, as one batch. Ids that no point has are ignored.
    ///
    /// # Errors
    /// As [`write`](Self::write), but naming `ids[i]`.
    pub fn delete(&self, ids: &[PointId]) -> Result<WriteReceipt> {
        for (index, id) in ids.iter().enumerate() {
            validate::id(&format!("ids[{index}]"), id)?;
        }
        self.write(Batch::of(ids.iter().cloned().map(Op::Delete).collect()))
    }

    /// Removes the points that match a filter as it is after every write that was queued before: what other writes of this
    /// moment change so that it matches no more stays, and what they add stays, too.
    ///
    /// Up to [`BATCH_OPS_MAX`](crate::limits::BATCH_OPS_MAX) rows are removed as one, atomically. More are removed in parts of so many, in
    /// the order of the ids, each of which is a write of its own; the receipt is that of the last one, with the rows of all
    /// counted.
    ///
    /// # Errors
    /// Filters fail as in [`View::search`]; otherwise as [`write`](Self::write).
    pub fn delete_where(&self, filter: &Filter) -> Result<WriteReceipt> {
        self.core.delete_where(self.db.store(), filter)
    }

    /// The current state.
    pub fn view(&self) -> View {
        View { state: self.core.view().current(), pools: Arc::downgrade(&self.db.store().pools) }
    }

    /// [`View::search`] on the current state.
    ///
    /// # Errors
    /// As there.
    pub fn search(&self, request: &SearchRequest) -> Result<SearchResponse> {
        self.view().search(request)
    }

    /// [`View::search_batch`] on the current state.
    ///
    /// # Errors
    /// As there.
    pub fn search_batch(&self, requests: &[SearchRequest]) -> Result<Vec<SearchResponse>> {
        self.view().search_batch(requests)
    }

    /// [`View::search_range`] on the current state.
    ///
    /// # Errors
    /// As there.
    pub fn search_range(&self, request: &RangeRequest) -> Result<RangeResponse> {
        self.view().search_range(request)
    }

    /// [`View::query`] on the current state.
    ///
    /// # Errors
    /// As there.
    pub fn query(&self, query: &Query) -> Result<QueryResponse> {
        self.view().query(query)
    }

    /// [`View::query_batch`] on the current state.
    ///
    /// # Errors
    /// As there.
    pub fn query_batch(&self, queries: &[Query]) -> Result<Vec<QueryResponse>> {
        self.view().query_batch(queries)
    }

    /// [`View::facet`] on the current state.
    ///
    /// # Errors
    /// As there.
    pub fn facet(&self, field: &str, filter: Option<&Filter>, limit: usize) -> Result<Facet> {
        self.view().facet(field, filter, limit)
    }

    /// [`View::get`] on the current state.
    ///
    /// # Errors
    /// As there.
    pub fn get(&self, ids: &[PointId]) -> Result<Vec<Option<Point>>> {
        self.view().get(ids)
    }

    /// [`View::scroll`] on the current state.
    ///
    /// # Errors
    /// As there.
    pub fn scroll(&self, request: &ScrollRequest) -> Result<Page> {
        self.view().scroll(request)
    }

    /// [`View::count`] on the current state.
    ///
    /// # Errors
    /// As there.
    pub fn count(&self, filter: Option<&Filter>) -> Result<u64> {
        self.view().count(filter)
    }
}

impl View {
    /// Number of the last write that this state includes.
    pub fn seq(&self) -> u64 {
        self.state.seq
    }

    /// The nearest rows, nearest first: `k` of them if so many rows match, filter or not. Only a search that its
    /// [`budget`](SearchRequest::budget) or its [token](SearchRequest::cancel) ended returns fewer, and says so.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) and [`Error::Limit`](crate::Error::Limit) name `vector`, `k`, `ef` or
    /// a place in the filter; [`Error::UnknownField`](crate::Error::UnknownField) and
    /// [`Error::FieldType`](crate::Error::FieldType) name the condition, as `filter.and[1].year`.
    pub fn search(&self, request: &SearchRequest) -> Result<SearchResponse> {
        search::search(&self.state.current(), request)
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
        search::search_batch(&self.state.current(), requests, self.pools.upgrade().as_deref())
    }

    /// All rows at least as near as a threshold, nearest first, as far as the graph leads to them: see
    /// [`RangeRequest`].
    ///
    /// # Errors
    /// As [`search`](Self::search), naming `vector`, `threshold`, `limit` or a place in the filter.
    pub fn search_range(&self, request: &RangeRequest) -> Result<RangeResponse> {
        search::search_range(&self.state.current(), request)
    }

    /// The best rows of a source, or the best rows of each group: see [`query`](crate::query).
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) and [`Error::Limit`](crate::Error::Limit) name the place, as
    /// `source.fuse.sources[1].nearest.query`; filters and fields fail as in [`search`](Self::search).
    pub fn query(&self, query: &Query) -> Result<QueryResponse> {
        query::query(&self.state.current(), query)
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
        query::query_batch(&self.state.current(), queries, self.pools.upgrade().as_deref())
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
    /// [`Error::Limit`](crate::Error::Limit) name `limit`. Filters fail as in [`search`](Self::search).
    pub fn facet(&self, field: &str, filter: Option<&Filter>, limit: usize) -> Result<Facet> {
        query::facet(&self.state.current(), field, filter, limit)
    }

    /// Points by id, in the order asked; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) if a segment is damaged and a point is in none of the others.
    /// [`Error::Invalid`](crate::Error::Invalid) or [`Error::Limit`](crate::Error::Limit), naming `ids[i]`; more than
    /// [`BATCH_OPS_MAX`](crate::limits::BATCH_OPS_MAX) ids are refused.
    pub fn get(&self, ids: &[PointId]) -> Result<Vec<Option<Point>>> {
        read::get(&self.state.current(), ids)
    }

    /// A page of rows in the order of their ids, or of a field. Page after page gives each row that is there all the while
    /// exactly once, whatever is written meanwhile: see [`Cursor`](crate::query::Cursor).
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) or [`Error::Limit`](crate::Error::Limit) name `limit`, `order` or `after`;
    /// fields and filters fail as in [`search`](Self::search).
    pub fn scroll(&self, request: &ScrollRequest) -> Result<Page> {
        read::scroll(&self.state.current(), request)
    }

    /// How many rows pass.
    ///
    /// # Errors
    /// Filters fail as in [`search`](Self::search).
    pub fn count(&self, filter: Option<&Filter>) -> Result<u64> {
        read::count(&self.state.current(), filter)
    }
}
