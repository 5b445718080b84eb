//! What a query asks for beside its source.

use std::time::Duration;

use super::source::{Fuse, Nearest, Source, TextQuery};
use crate::interrupt::CancelToken;
use crate::payload::Filter;
use crate::point::Vector;

/// Asks for the `k` best rows of a source, or for the best rows of each of `k` groups. See the [module](super).
///
/// ```
/// use ragstone::query::{Names, Query, Select};
/// use ragstone::{Db, Filter, Point, Schema};
///
/// let db = Db::in_memory()?;
/// let chunks = db.create_collection("chunks", Schema::new(2)?)?;
/// chunks.upsert(
///     (0..12_u64)
///         .map(|id| Point::new(id, [1.0, id as f32]).with("document", format!("d{}", id / 5)).with("page", id as i64))
///         .collect(),
/// )?;
/// // The two best chunks of each of the two best documents, with their pages alone.
/// let query = Query::nearest([1.0, 0.0], 2)
///     .group("document", 2)
///     .select(Select { fields: Names::of(["page"]), vectors: Names::None });
/// let groups = chunks.query(&query)?.groups;
/// let pages: Vec<Vec<i64>> = groups
///     .iter()
///     .map(|group| group.hits.iter().filter_map(|hit| hit.point.payload["page"].as_int()).collect())
///     .collect();
/// assert_eq!(pages, [[0, 1], [5, 6]]);
/// # Ok::<(), ragstone::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// What rows are ranked by.
    pub source: Source,
    /// How many rows to return, or groups; 1 to [`K_MAX`](crate::limits::K_MAX) or
    /// [`GROUPS_MAX`](crate::limits::GROUPS_MAX).
    pub k: usize,
    /// Only rows that pass.
    pub filter: Option<Filter>,
    /// Return the best rows of each of `k` groups.
    pub group: Option<Group>,
    /// What to return of each row.
    pub select: Select,
    /// Only rows whose score is at least as good: at least this, or at most for Euclidean distances.
    pub threshold: Option<f32>,
    /// Time after which to return what was found until then; as long as it takes by default.
    pub budget: Option<Duration>,
    /// Returns what was found until this is cancelled.
    pub cancel: Option<CancelToken>,
    /// Tell how the answer came about.
    pub explain: bool,
    /// Answer [at once](Query::at_once) or not at all.
    pub at_once: bool,
}

impl Query {
    /// The `k` best rows of a source.
    pub fn new(source: impl Into<Source>, k: usize) -> Self {
        Self {
            source: source.into(),
            k,
            filter: None,
            group: None,
            select: Select::default(),
            threshold: None,
            budget: None,
            cancel: None,
            explain: false,
            at_once: false,
        }
    }

    /// The `k` rows nearest to a vector.
    pub fn nearest(query: impl Into<Vector>, k: usize) -> Self {
        Self::new(Nearest::new(query), k)
    }

    /// The `k` best rows by a vector and by words together: a [`Fuse`] of both, by places.
    pub fn hybrid(vector: impl Into<Vector>, text: impl Into<String>, k: usize) -> Self {
        let sources: [Source; 2] = [Nearest::new(vector).into(), TextQuery::new(text).into()];
        Self::new(Fuse::reciprocal_rank(sources), k)
    }

    /// Only rows that pass the filter.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// The best `per_group` rows of each of the `k` groups that have the best rows.
    #[must_use]
    pub fn group(mut self, field: impl Into<String>, per_group: usize) -> Self {
        self.group = Some(Group { field: field.into(), per_group });
        self
    }

    /// Returns this of each row.
    #[must_use]
    pub fn select(mut self, select: Select) -> Self {
        self.select = select;
        self
    }

    /// Only rows whose score is at least as good.
    #[must_use]
    pub fn threshold(mut self, threshold: f32) -> Self {
        self.threshold = Some(threshold);
        self
    }

    /// Ends the query after so much time, as [`SearchRequest::budget`](crate::SearchRequest::budget) does.
    #[must_use]
    pub fn budget(mut self, budget: Duration) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Lets the query be ended from another thread, as [`SearchRequest::cancel`](crate::SearchRequest::cancel) does.
    #[must_use]
    pub fn cancel(mut self, token: CancelToken) -> Self {
        self.cancel = Some(token);
        self
    }

    /// Tells how the answer came about.
    #[must_use]
    pub fn explain(mut self) -> Self {
        self.explain = true;
        self
    }

    /// For threads that may not stand still, together with a [`budget`](Self::budget): the query ends, as out of time, where something would have
    /// to be made for it that lasts and is not ended by the budget (the index of a field that is filtered by for the first time, words that are in no
    /// file), where a filter asks for words, and between two rows that are read. What an answer that [was
    /// ended](crate::SearchStats::interrupted) has is of no use then: it is asked for anew, without this, on a thread that may wait. What lies on the
    /// disk alone is waited for all the same. Of no account in a batch.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use ragstone::query::Query;
    /// use ragstone::{Db, Point, Schema};
    ///
    /// let db = Db::in_memory()?;
    /// let notes = db.create_collection("notes", Schema::new(2)?)?;
    /// notes.upsert(vec![Point::new(1, [1.0, 0.0])])?;
    /// let query = Query::nearest([1.0, 0.0], 1);
    /// let tried = notes.query(&query.clone().budget(Duration::from_millis(1)).at_once())?;
    /// let found = if tried.stats.interrupted.is_none() { tried } else { notes.query(&query)? };
    /// assert_eq!(found.hits.len(), 1);
    /// # Ok::<(), ragstone::Error>(())
    /// ```
    #[must_use]
    pub fn at_once(mut self) -> Self {
        self.at_once = true;
        self
    }
}

/// Rows by the values of a field: those of one value are a group, and rows without the field are in none. A row with a list
/// of strings is in the group of each of them.
///
/// Groups come in the order of their best rows, and have their best rows, as the source ranks them: `per_group` of them
/// if so many match. More rows are looked at until that holds, or there are no others of these groups, nor other groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// A field of any type but places and JSON. The values of the groups that are found have [`GROUP_BYTES_MAX`](crate::limits::GROUP_BYTES_MAX)
    /// together at most.
    pub field: String,
    /// Rows of a group, 1 to [`GROUP_ROWS_MAX`](crate::limits::GROUP_ROWS_MAX); with `k` groups,
    /// [`K_MAX`](crate::limits::K_MAX) together.
    pub per_group: usize,
}

/// What to return of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Select {
    /// Which fields; all by default.
    pub fields: Names,
    /// Which vectors, the default one being the empty name; none by default.
    pub vectors: Names,
}

impl Default for Select {
    fn default() -> Self {
        Self { fields: Names::All, vectors: Names::None }
    }
}

/// Some of a row's fields or vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// All that the row has.
    All,
    /// None.
    None,
    /// Those of these that the row has.
    Only(Vec<String>),
}

impl Names {
    /// Those of these that the row has.
    pub fn of<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Names::Only(names.into_iter().map(Into::into).collect())
    }
}
