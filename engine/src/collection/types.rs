//! What the calls of a collection take and give.

use crate::payload::Filter;
use crate::point::Point;
use crate::query::{Cursor, OrderBy};
use crate::schema::Schema;

/// What a collection holds now.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectionInfo {
    /// Its number, which no other collection of the database has or had.
    pub id: u64,
    /// The name.
    pub name: String,
    /// The schema, with the fields that writes added.
    pub schema: Schema,
    /// Live rows.
    pub points: u64,
    /// Live rows that have the default vector; without one, the first dense vector by name.
    pub vectors: u64,
    /// Segments, the growing one included.
    pub segments: usize,
    /// Live rows that are in memory and in the log, and not in a sealed segment yet.
    pub growing: u64,
    /// Number of the last applied write.
    pub seq: u64,
}

/// An acknowledged write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteReceipt {
    /// The write's number in the collection; that of the write before it for an empty batch.
    pub seq: u64,
    /// Its number among all writes of the database, in the order of the log: what a restore up to a
    /// [position](crate::snapshot::Until::Position) counts. That of a write before it for an empty batch.
    pub position: u64,
    /// Points inserted or replaced, counted by operations.
    pub upserted: usize,
    /// Points that existed and were removed.
    pub deleted: usize,
    /// Points some fields of which were changed, counted by operations.
    pub updated: usize,
    /// Updates of points that are not there, which changed nothing.
    pub missing: usize,
    /// Whether its [request](crate::Batch::request_id) was done before, and nothing was written now: all else is of the first time, but for the
    /// counts of a write that was last read from the log after a crash, which may be of other rows, and lack updates of rows that were not shown.
    pub repeated: bool,
}

/// Asks for rows in the order of their ids, or of a field.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScrollRequest {
    /// Only rows that pass.
    pub filter: Option<Filter>,
    /// In the order of this field; by default in that of the ids.
    pub order: Option<OrderBy>,
    /// Only rows behind this place, one of the same order: where another page ended, or the id of a row.
    pub after: Option<Cursor>,
    /// Rows of the page, 1 to [`K_MAX`](crate::limits::K_MAX). [`View::rows`](crate::View::rows), which has no pages, does not look at it.
    pub limit: usize,
    /// Return vectors too.
    pub with_vectors: bool,
    /// Return only these fields; all of them when `None`.
    pub fields: Option<Vec<String>>,
}

/// Rows in the order asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The rows.
    pub points: Vec<Point>,
    /// Where the next page starts (`ScrollRequest::after`), if there are more rows.
    pub next: Option<Cursor>,
}
