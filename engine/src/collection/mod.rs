//! A collection of points: the handle that users hold, and what is behind it.
//!
//! - `types.rs`: what calls take and give;
//! - `view.rs`: one state, and what can be asked of it;
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
//! - `reached.rs`: whether it has come to a position of the log;
//! - `read.rs`: points by id, pages, counts (searching is in `search/`);
//! - `ordered.rs`: rows in the order of a field;
//! - `iterate.rs`: all rows, one after the other;
//! - `current.rs`: a view without what has expired;
//! - `exclusive.rs`: turns of those who read and then write;
//! - `naming.rs`: its name, and whether it is there still;
//! - `seen.rs`: what a view of a handle shows that does not show all rows;
//! - `restricted.rs`: what such a handle may write;
//! - `held.rs`: holding writes while another collection takes the place;
//! - `ids.rs`: ids and etags of rows, without the rows;
//! - `version.rs`: which state it is in.

mod add_field;
mod apply;
mod commit;
mod current;
mod delete_where;
mod exclusive;
mod held;
mod ids;
mod iterate;
mod maintain;
mod naming;
mod ordered;
mod outcome;
mod queued;
mod reached;
mod read;
mod requests;
mod resolving;
mod restricted;
mod room;
mod row_sizes;
mod seen;
mod state;
mod types;
mod version;
mod view;
mod words;
mod write;

use std::sync::Arc;

use crate::db::DbHandle;
use crate::error::Result;
use crate::interrupt::{CancelToken, check_wanted};
use crate::limits::{BATCH_OPS_MAX, check_limit};
use crate::payload::Filter;
use crate::point::{Batch, Op, Point, PointId, Update};
use crate::query::{Facet, Query, QueryResponse};
use crate::schema::Schema;
use crate::scope::{RowFilter, out_of_scope};
use crate::search::{RangeRequest, RangeResponse, SearchRequest, SearchResponse};
use crate::validate;

pub use exclusive::Exclusive;
pub(crate) use exclusive::Turns;
pub use ids::Ids;
pub use iterate::{Pages, Rows, TypedRows};
pub(crate) use maintain::REST;
pub(crate) use read::{with_marks, with_vectors};
pub(crate) use requests::{decode as decode_requests, is_request_file, read as read_requests, request_file};
pub(crate) use state::{CollectionCore, Opened, ViewState};
pub use types::{CollectionInfo, Page, ScrollRequest, WriteReceipt};
pub use version::CollectionVersion;
pub use view::View;

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
    /// What it was called when it was asked for.
    name: Arc<str>,
    db: Arc<DbHandle>,
    /// Of the handle that it was had from.
    token: Option<CancelToken>,
    /// Which rows it shows, if not all.
    rows: Option<Arc<RowFilter>>,
}

impl std::fmt::Debug for Collection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collection").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Collection {
    pub(crate) fn new(
        core: Arc<CollectionCore>,
        db: Arc<DbHandle>,
        (token, rows): (Option<CancelToken>, Option<Arc<RowFilter>>),
    ) -> Self {
        Self { name: core.name(), core, db, token, rows }
    }

    /// Whether what it does is still wanted: of a handle that [may be cancelled](crate::Db::cancelled_by).
    ///
    /// # Errors
    /// [`Error::Cancelled`](crate::Error::Cancelled) if it was.
    pub fn check_wanted(&self) -> Result<()> {
        check_wanted(self.token.as_ref())
    }

    /// Refuses what concerns the whole collection where not all rows are shown.
    fn check_whole(&self) -> Result<()> {
        if self.rows.is_some() { Err(out_of_scope(&self.name)) } else { Ok(()) }
    }

    pub(crate) fn core(&self) -> &Arc<CollectionCore> {
        &self.core
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number, which no other collection of the database has or had.
    pub fn id(&self) -> u64 {
        self.core.id
    }

    /// The schema, with the fields that writes added.
    pub fn schema(&self) -> Schema {
        self.core.view().schema_with_fields()
    }

    /// What it holds now. Where not all rows are shown ([`Db::within`](crate::Db::within)) it holds those that are, and which of them
    /// are in memory only is not told.
    pub fn info(&self) -> CollectionInfo {
        match self.rows {
            Some(_) => self.view().state.told(self.core.info()),
            None => self.core.info(),
        }
    }

    /// The operations of a batch that would be refused, each by itself or for what those before it bring, and why: by their places,
    /// and named as [`write`](Self::write) does. It is for who would rather write the others than nothing; a write of these
    /// may still be refused, for what others write meanwhile.
    ///
    /// ```
    /// use ragstone::{Batch, Db, Point, Schema};
    ///
    /// let db = Db::in_memory()?;
    /// let notes = db.create_collection("notes", Schema::new(2)?)?;
    /// let batch = Batch::new()
    ///     .upsert(Point::new(1, [1.0, 0.0]).with("year", 2026))
    ///     .upsert(Point::new(2, [1.0]))
    ///     .upsert(Point::new(3, [1.0, 0.0]).with("year", "last"));
    /// let refused: Vec<String> = notes.refused(&batch).iter().map(|(_, error)| error.to_string()).collect();
    /// assert!(refused[0].starts_with("points[1].vector: "));
    /// assert!(refused[1].starts_with("points[2].payload.year: "));
    /// # Ok::<(), ragstone::Error>(())
    /// ```
    pub fn refused(&self, batch: &Batch) -> Vec<(usize, crate::Error)> {
        validate::refused(batch, &self.core.schema, &self.core.view().fields, self.rows.as_deref())
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
        self.core.write_wanted(self.db.store(), batch, (self.token.as_ref(), self.rows.as_deref()))
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
    /// As [`write`](Self::write), but naming `ids` or `ids[i]`.
    pub fn delete(&self, ids: &[PointId]) -> Result<WriteReceipt> {
        check_limit("ids", "BATCH_OPS_MAX", BATCH_OPS_MAX, ids.len())?;
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
    /// Filters fail as in [`View::search`]; otherwise as [`write`](Self::write). What fails between two parts, as it does with
    /// [`Error::Cancelled`](crate::Error::Cancelled) once it is not wanted any more, leaves the parts before it removed; to ask once
    /// more removes the rest.
    pub fn delete_where(&self, filter: &Filter) -> Result<WriteReceipt> {
        self.core.delete_where(self.db.store(), filter, (self.token.as_ref(), self.rows.as_ref()))
    }

    /// The current state.
    pub fn view(&self) -> View {
        let (state, pools) = (self.core.view().current(), Arc::downgrade(&self.db.store().pools));
        let state = match &self.rows {
            Some(rows) => state.restricted(rows),
            None => state,
        };
        View { state, pools, token: self.token.clone() }
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
