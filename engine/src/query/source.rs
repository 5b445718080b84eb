//! Sources: what rows are ranked by, as users say it.

use crate::point::{PointId, Vector};

/// Candidates of each source of a [`Fuse`], and of a [`Rescore`], by default.
const CANDIDATES: usize = 100;

/// What rows are ranked by.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Nearness of a vector.
    Nearest(Nearest),
    /// The words of a text.
    Text(TextQuery),
    /// Likeness to some examples and unlikeness to others.
    Recommend(Recommend),
    /// The values of a field.
    OrderBy(OrderBy),
    /// Several sources together.
    Fuse(Fuse),
    /// Another source, of the best rows of one.
    Rescore(Rescore),
}

/// The rows whose vectors are nearest to one.
///
/// Dense vectors are scored as their metric has it, and found by walking a graph. Multi-vectors are scored by MaxSim, the sum over the
/// query's vectors of the greatest product with one of the row's, and sparse ones by their inner product, of rows that
/// have at least one component in common with the query. Both are exact: multi-vectors compare each matching row, sparse ones go through
/// an index.
#[derive(Clone, Debug, PartialEq)]
pub struct Nearest {
    /// Name of the vector; empty for the default one.
    pub vector: String,
    /// Of that vector's kind.
    pub query: Vector,
    /// Width of the walk; by default derived from how many rows are wanted. Of dense vectors alone.
    pub ef: Option<usize>,
    /// Compare with every row instead of walking the graph.
    pub exact: bool,
}

impl Nearest {
    /// Nearest by the default vector.
    pub fn new(query: impl Into<Vector>) -> Self {
        Self { vector: String::new(), query: query.into(), ef: None, exact: false }
    }

    /// By another vector.
    #[must_use]
    pub fn by(mut self, vector: impl Into<String>) -> Self {
        self.vector = vector.into();
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
}

/// The rows whose texts have the words of a query, scored by BM25 over all live rows of the view: exactly. Ranking others' rows
/// ([`Rescore`]), it scores those without any of the words 0.
#[derive(Clone, Debug, PartialEq)]
pub struct TextQuery {
    /// Which fields, at most [`FIELDS_MAX`](crate::limits::FIELDS_MAX), each with how much its score counts, from a thousandth to a thousand; all that
    /// are searched by word if there are none.
    pub fields: Vec<(String, f32)>,
    /// Words, analysed as the field's texts are.
    pub query: String,
    /// Only rows of which one field has all of them. Of others' rows, which it ranks, it leaves none out.
    pub all_terms: bool,
}

impl TextQuery {
    /// Any of the words, in any field.
    pub fn new(query: impl Into<String>) -> Self {
        Self { fields: Vec::new(), query: query.into(), all_terms: false }
    }

    /// In this field too, which counts so much.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>, boost: f32) -> Self {
        self.fields.push((field.into(), boost));
        self
    }

    /// Only rows with all of the words.
    #[must_use]
    pub fn all_terms(mut self) -> Self {
        self.all_terms = true;
        self
    }
}

/// An example of what is wanted or not.
#[derive(Clone, Debug, PartialEq)]
pub enum Example {
    /// A row that has the vector. It is not in the answer itself.
    Id(PointId),
    /// A vector.
    Vector(Vec<f32>),
}

/// How a [`Recommend`] judges a row by many examples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// By nearness to one vector: the average of the positive examples, moved by as much as it differs from that of the
    /// negative ones, `2 avg(positive) - avg(negative)`. As fast as one search, and right where the examples are alike. It needs
    /// a positive example.
    #[default]
    AverageVector,
    /// By the nearest example: a row nearest to a positive one scores `(s + 1) / 2`, one nearest to a negative one, or as
    /// near to both, `-(s + 1) / 2`, where `s = x / (1 + |x|)`, and `x` is the example's cosine or inner product, or its
    /// negated Euclidean distance. So rows near positives come first, then those far from everything, and those near negatives
    /// last, from -1 to 1 under every metric. It follows examples that are unlike each other, and takes as many
    /// comparisons for each row as there are examples. With negative examples alone it compares every row.
    BestScore,
}

/// The rows like some examples and unlike others. The strategies are those of Qdrant, the second one with the bounded score
/// that its engine computes.
///
/// ```
/// use ragstone::query::{Query, Recommend};
/// use ragstone::{Db, Point, Schema};
///
/// let db = Db::in_memory()?;
/// let songs = db.create_collection("songs", Schema::new(2)?)?;
/// songs.upsert((0..9_u64).map(|id| Point::new(id, [1.0, id as f32])).collect())?;
/// let query = Query::new(Recommend::like([3, 4]).unlike([0]), 1);
/// assert_eq!(songs.query(&query)?.hits[0].point.id, 8.into(), "the other way than 0");
/// # Ok::<(), ragstone::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Recommend {
    /// Name of the vector, a dense one; empty for the default one.
    pub vector: String,
    /// What is wanted.
    pub positive: Vec<Example>,
    /// What is not.
    pub negative: Vec<Example>,
    /// How a row is judged.
    pub strategy: Strategy,
    /// Width of the walk; by default derived from how many rows are wanted.
    pub ef: Option<usize>,
    /// Compare with every row instead of walking the graph.
    pub exact: bool,
}

impl Recommend {
    /// Rows like these, by the default vector.
    pub fn like<E: Into<Example>>(positive: impl IntoIterator<Item = E>) -> Self {
        Self {
            vector: String::new(),
            positive: positive.into_iter().map(Into::into).collect(),
            negative: Vec::new(),
            strategy: Strategy::default(),
            ef: None,
            exact: false,
        }
    }

    /// And unlike those.
    #[must_use]
    pub fn unlike<E: Into<Example>>(mut self, negative: impl IntoIterator<Item = E>) -> Self {
        self.negative.extend(negative.into_iter().map(Into::into));
        self
    }

    /// Judged so.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// By another vector.
    #[must_use]
    pub fn by(mut self, vector: impl Into<String>) -> Self {
        self.vector = vector.into();
        self
    }
}

/// All rows in the order of a field's values, of equal values in the order of their ids; rows without the field come last,
/// ascending and descending. It gives no scores.
///
/// Bools (`false` first), ints, floats, timestamps and strings (by code points) have an order. Sealed segments keep it, so the first
/// rows of it, and those after any value, are found without going through the others.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderBy {
    /// The field.
    pub field: String,
    /// Greatest first.
    pub descending: bool,
}

impl OrderBy {
    /// Least first.
    pub fn ascending(field: impl Into<String>) -> Self {
        Self { field: field.into(), descending: false }
    }

    /// Greatest first.
    pub fn descending(field: impl Into<String>) -> Self {
        Self { field: field.into(), descending: true }
    }
}

/// How a [`Fuse`] makes one score of several.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fusion {
    /// By places: a row scores `weight / (k + place)` in each source, from 1 on, where it is among the candidates, and nothing
    /// where it is not; the sum counts (Cormack, Clarke and Büttcher, "Reciprocal rank fusion outperforms Condorcet and
    /// individual rank learning methods", 2009). Rows that a source scores alike have their places in the order of their ids.
    ReciprocalRank {
        /// How little first places count above others, 0 to a million; 60 in the paper.
        k: f32,
    },
    /// By scores: those of a source's candidates are stretched to 0 for the worst and 1 for the best of them, and the
    /// sum, each times its weight, counts. Where all candidates of a source score alike, each of them gets 1; a row that is
    /// not among them gets 0, as the worst does. Sources without scores ([`OrderBy`]) are refused.
    Weighted,
}

/// One ranking of several sources.
#[derive(Clone, Debug, PartialEq)]
pub struct Fuse {
    /// The sources, 1 to [`FUSE_SOURCES_MAX`](crate::limits::FUSE_SOURCES_MAX), and how much each counts: 0, or a number from 1e-30 to
    /// 1e30, and not 0 for all.
    pub sources: Vec<(Source, f32)>,
    /// How one score is made of theirs.
    pub method: Fusion,
    /// How many rows each source is asked for; at least as many as the fusion is, whatever this says.
    pub candidates: usize,
}

impl Fuse {
    /// By places, each source counting as much as the others.
    pub fn reciprocal_rank<S: Into<Source>>(sources: impl IntoIterator<Item = S>) -> Self {
        let sources = sources.into_iter().map(|source| (source.into(), 1.0)).collect();
        Self { sources, method: Fusion::ReciprocalRank { k: 60.0 }, candidates: CANDIDATES }
    }

    /// By scores, with weights.
    pub fn weighted<S: Into<Source>>(sources: impl IntoIterator<Item = (S, f32)>) -> Self {
        let sources = sources.into_iter().map(|(source, weight)| (source.into(), weight)).collect();
        Self { sources, method: Fusion::Weighted, candidates: CANDIDATES }
    }

    /// Asks each source for so many rows.
    #[must_use]
    pub fn candidates(mut self, candidates: usize) -> Self {
        self.candidates = candidates;
        self
    }
}

/// The best rows of one source, ranked by another: exactly, whatever that source does by itself.
///
/// `by` gives each candidate its score: a vector's exact one, a fusion of several. What it cannot score, as the row has not
/// got the vector, is left out, and more candidates are fetched in its place, unless an index of `by` tells that there are none. An [`OrderBy`] sorts the
/// candidates.
///
/// ```
/// use ragstone::query::{Nearest, OrderBy, Query, Rescore};
/// use ragstone::{Db, Point, Schema};
///
/// let db = Db::in_memory()?;
/// let notes = db.create_collection("notes", Schema::new(2)?)?;
/// notes.upsert((0..9_u64).map(|id| Point::new(id, [1.0, id as f32]).with("year", id as i64)).collect())?;
/// // The newest of the five nearest.
/// let query = Query::new(Rescore::new(Nearest::new([1.0, 0.0]), OrderBy::descending("year")).candidates(5), 1);
/// assert_eq!(notes.query(&query)?.hits[0].point.id, 4.into());
/// # Ok::<(), ragstone::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Rescore {
    /// What gives the candidates.
    pub from: Box<Source>,
    /// How many; at least as many as the rescoring is asked for, whatever this says.
    pub candidates: usize,
    /// What ranks them; not another [`Rescore`].
    pub by: Box<Source>,
}

impl Rescore {
    /// Ranks the best rows of `from` by `by`.
    pub fn new(from: impl Into<Source>, by: impl Into<Source>) -> Self {
        Self { from: Box::new(from.into()), candidates: CANDIDATES, by: Box::new(by.into()) }
    }

    /// Fetches so many rows.
    #[must_use]
    pub fn candidates(mut self, candidates: usize) -> Self {
        self.candidates = candidates;
        self
    }
}

macro_rules! source_from {
    ($($kind:ident),*) => {$(
        impl From<$kind> for Source {
            fn from(source: $kind) -> Self {
                Source::$kind(source)
            }
        }
    )*};
}

impl From<TextQuery> for Source {
    fn from(source: TextQuery) -> Self {
        Source::Text(source)
    }
}

source_from!(Nearest, Recommend, OrderBy, Fuse, Rescore);

impl From<PointId> for Example {
    fn from(id: PointId) -> Self {
        Example::Id(id)
    }
}

impl From<u64> for Example {
    fn from(id: u64) -> Self {
        Example::Id(id.into())
    }
}

impl From<&str> for Example {
    fn from(id: &str) -> Self {
        Example::Id(id.into())
    }
}

impl From<Vec<f32>> for Example {
    fn from(vector: Vec<f32>) -> Self {
        Example::Vector(vector)
    }
}
