//! What a range search is asked, and what it answers.

use std::time::Duration;

use crate::interrupt::CancelToken;
use crate::limits::RANGE_ROWS_MAX;
use crate::payload::Filter;
use crate::schema::DEFAULT_VECTOR;
use crate::search::{Explain, Hit, SearchStats};

/// Asks for all rows at least as near as a threshold.
///
/// Without [`exact`](Self::exact) the rows are found by walking the graph, and a few of them may be missing: about as many
/// as a search of that many rows by default misses (one in a hundred on text embeddings), most of them close to the
/// threshold. No row beyond the threshold is ever returned, and scores are exact.
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// use ragstone::{Db, Point, RangeRequest, Schema};
///
/// let db = Db::open(directory.path())?;
/// let notes = db.create_collection("notes", Schema::new(2)?)?;
/// notes.upsert(vec![Point::new(1, [1.0, 0.0]), Point::new(2, [0.8, 0.6]), Point::new(3, [0.0, 1.0])])?;
/// let near = notes.search_range(&RangeRequest::new([1.0, 0.1], 0.7))?;
/// let ids: Vec<_> = near.hits.iter().map(|hit| hit.id.clone()).collect();
/// assert_eq!(ids, [1.into(), 2.into()]);
/// assert!(!near.truncated);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RangeRequest {
    /// As many components as the vector's dimension.
    pub vector: Vec<f32>,
    /// The dense vector that is compared, by its name: the default one by default.
    pub vector_name: String,
    /// The score of the farthest row wanted, as the metric has it: at least this cosine or inner product, at most this
    /// Euclidean distance.
    pub threshold: f32,
    /// Only rows that pass.
    pub filter: Option<Filter>,
    /// How many rows to return at most, the nearest ones; 1 to, by default,
    /// [`RANGE_ROWS_MAX`](crate::limits::RANGE_ROWS_MAX).
    pub limit: usize,
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

impl RangeRequest {
    /// All rows at least as near as the threshold, everything else by default.
    pub fn new(vector: impl Into<Vec<f32>>, threshold: f32) -> Self {
        Self {
            vector: vector.into(),
            vector_name: DEFAULT_VECTOR.to_owned(),
            threshold,
            filter: None,
            limit: RANGE_ROWS_MAX,
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

    /// Only so many rows, the nearest ones.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Compares with every row.
    #[must_use]
    pub fn exact(mut self) -> Self {
        self.exact = true;
        self
    }

    /// Ends the search after so much time, as [`SearchRequest::budget`](crate::SearchRequest::budget) does.
    #[must_use]
    pub fn budget(mut self, budget: Duration) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Lets the search be ended from another thread, as [`SearchRequest::cancel`](crate::SearchRequest::cancel) does.
    #[must_use]
    pub fn cancel(mut self, token: CancelToken) -> Self {
        self.cancel = Some(token);
        self
    }

    /// Tells how the answer came about, as [`SearchRequest::explain`](crate::SearchRequest::explain) does: one stage, `range`, with the
    /// ways through each segment, of which there are as many walks as it took until one was wide enough.
    #[must_use]
    pub fn explain(mut self) -> Self {
        self.explain = true;
        self
    }
}

/// The rows of a range.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeResponse {
    /// Nearest first, by exact scores.
    pub hits: Vec<Hit>,
    /// Whether more rows than `limit` were found, so that the farthest were left out.
    pub truncated: bool,
    /// How they were found, and whether the search was interrupted.
    pub stats: SearchStats,
    /// How, in full, if that was [asked for](RangeRequest::explain).
    pub explain: Option<Explain>,
}
