//! Searching: request and response; the plan of each segment (`plan.rs`, pure) and its execution (`execute.rs`,
//! `scan.rs`, and `screened.rs` for filters whose rows are not found beforehand); many searches at once (`batch.rs`) and searches without a `k` (`range.rs`).

mod batch;
mod entries;
mod execute;
mod explain;
mod hits;
pub(crate) mod multi;
mod pieces;
mod plan;
mod range;
mod scan;
mod screened;
#[cfg(test)]
mod tests;
mod words;

use std::time::Duration;

pub(crate) use batch::search_batch;
pub(crate) use entries::EntriesSearch;
pub(crate) use execute::{Query as NearestQuery, nearest, search};
pub(crate) use explain::{Begun, Reports, micros_since};
pub use explain::{Explain, SegmentPlan, SegmentReport, Stage};
pub(crate) use plan::{Counts, Plan, ScanBy, Wanted, Way, choose, default_ef};
pub(crate) use range::{Nearest as KeptRows, search_range};
pub use range::{RangeRequest, RangeResponse};
pub(crate) use scan::{Scan, compare};
pub(crate) use words::{WordsRequest, WordsSearch};

use crate::interrupt::{CancelToken, Interrupted};
use crate::payload::{Filter, Payload};
use crate::point::PointId;
use crate::schema::DEFAULT_VECTOR;

/// Asks for the `k` rows nearest to a vector.
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// use ragstone::{Db, Filter, Point, Schema, SearchRequest};
///
/// let db = Db::open(directory.path())?;
/// let notes = db.create_collection("notes", Schema::new(2)?)?;
/// notes.upsert(vec![Point::new(1, [1.0, 0.2]).with("year", 2024), Point::new(2, [0.9, 0.1]).with("year", 2025)])?;
/// let request = SearchRequest::new([1.0, 0.0], 10).filter(Filter::eq("year", 2024)).ef(100);
/// let response = notes.search(&request)?;
/// assert_eq!(response.hits.len(), 1);
/// assert!(response.stats.exact, "so few rows are simply compared");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SearchRequest {
    /// As many components as the vector's dimension.
    pub vector: Vec<f32>,
    /// The dense vector that is compared, by its name: the default one by default.
    pub vector_name: String,
    /// How many rows to return, 1 to [`K_MAX`](crate::limits::K_MAX).
    pub k: usize,
    /// Only rows that pass.
    pub filter: Option<Filter>,
    /// Width of the walk; larger finds more of the true neighbours and takes longer. By default derived from `k`.
    pub ef: Option<usize>,
    /// Compare with every row instead of walking the graph.
    pub exact: bool,
    /// Return the fields of each hit (default) or only ids and scores.
    pub with_payload: bool,
    /// Time after which to return what was found until then; as long as it takes by default.
    pub budget: Option<Duration>,
    /// Returns what was found until this is cancelled.
    pub cancel: Option<CancelToken>,
    /// Tell how the answer came about.
    pub explain: bool,
}

impl SearchRequest {
    /// The `k` nearest rows, everything else by default.
    pub fn new(vector: impl Into<Vec<f32>>, k: usize) -> Self {
        Self {
            vector: vector.into(),
            vector_name: DEFAULT_VECTOR.to_owned(),
            k,
            filter: None,
            ef: None,
            exact: false,
            with_payload: true,
            budget: None,
            cancel: None,
            explain: false,
        }
    }

    /// Compares another dense vector than the default one.
    #[must_use]
    pub fn of(mut self, vector_name: impl Into<String>) -> Self {
        self.vector_name = vector_name.into();
        self
    }

    /// Only rows that pass the filter.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Sets the width of the walk.
    #[must_use]
    pub fn ef(mut self, ef: usize) -> Self {
        self.ef = Some(ef);
        self
    }

    /// Compares with every row.
    #[must_use]
    pub fn exact(mut self) -> Self {
        self.exact = true;
        self
    }

    /// Ends the search after so much time, counted from the call, and returns what it has:
    /// [`SearchStats::interrupted`] says so.
    ///
    /// The time is looked at between segments, and every few hundred comparisons within them. What is done in one go goes
    /// beyond it: evaluating the filter on a segment, and reading the hits' fields.
    #[must_use]
    pub fn budget(mut self, budget: Duration) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Lets the search be ended from another thread, like [`budget`](Self::budget) does.
    #[must_use]
    pub fn cancel(mut self, token: CancelToken) -> Self {
        self.cancel = Some(token);
        self
    }

    /// Tells how the answer came about: the way through each segment, what was compared, and how long it took.
    #[must_use]
    pub fn explain(mut self) -> Self {
        self.explain = true;
        self
    }
}

/// A row found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The row's id.
    pub id: PointId,
    /// By the metric: cosine or inner product (larger is nearer), or Euclidean distance (smaller is nearer).
    pub score: f32,
    /// The row's fields, empty if not asked for.
    pub payload: Payload,
}

/// What a search found and how.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchResponse {
    /// Nearest first, by exact scores; fewer than `k` only if fewer rows match, or the search was interrupted.
    pub hits: Vec<Hit>,
    /// How it was found.
    pub stats: SearchStats,
    /// How, in full, if that was [asked for](SearchRequest::explain).
    pub explain: Option<Explain>,
}

/// How a search was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchStats {
    /// Segments looked at.
    pub segments: usize,
    /// Vectors compared.
    pub distances: u64,
    /// Whether every matching row was compared by its vector, not by a code alone, so that the answer is exact.
    pub exact: bool,
    /// Why the search ended early, if it did. Then nearer rows may be missing, and there may be fewer than asked for
    /// although more match; those that are there have exact scores and the right order, but in a [fusion](crate::query::Fuse) those of what its
    /// sources had by then.
    pub interrupted: Option<Interrupted>,
}
