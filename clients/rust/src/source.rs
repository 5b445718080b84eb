//! What points are ranked by.

use ragstone_proto::v1;
use ragstone_proto::v1::{example, fuse, nearest, source};

use crate::point::PointId;
use crate::text_query::TextQuery;
use crate::vector::{SparseVector, Vector};

/// What points are ranked by: [`Nearest`], [`TextQuery`], [`Recommend`], [`OrderBy`], [`Fuse`], [`Rescore`]; a tree of at most 8 levels and
/// 64 sources.
///
/// ```
/// use ragstone_client::{Fuse, Nearest, OrderBy, Query, Rescore};
///
/// // The newest of the hundred chunks that are nearest to a question.
/// let newest = Rescore::new(Nearest::text("how far is the moon"), OrderBy::descending("year")).candidates(100);
/// let query = Query::by("notes", newest, 10);
/// // By meaning and by word.
/// let query = Query::by("notes", Fuse::hybrid("how far is the moon"), 10);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    pub(crate) wire: v1::Source,
}

impl Source {
    pub(crate) fn of(source: source::Source) -> Self {
        Self { wire: v1::Source { source: Some(source), weight: None } }
    }
}

/// The points whose vectors are nearest to one, scored as the vector's metric has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Nearest {
    wire: v1::Nearest,
}

impl Nearest {
    /// Nearest to a vector, by the default one. Sparse and multi-vectors are compared exactly, by the inner product and by MaxSim.
    ///
    /// ```
    /// use ragstone_client::{Nearest, SparseVector};
    ///
    /// let dense = Nearest::vector([0.1, 0.9]);
    /// let sparse = Nearest::vector(SparseVector { indices: vec![3, 17], values: vec![0.5, 1.0] }).by("words");
    /// let many = Nearest::vector(vec![vec![1.0, 0.0], vec![0.0, 1.0]]).by("tokens");
    /// ```
    pub fn vector(query: impl Into<Vector>) -> Self {
        let dense = |values| v1::Vector { values };
        Self::to(match query.into() {
            Vector::Dense(values) => nearest::Query::Dense(dense(values)),
            Vector::Sparse(SparseVector { indices, values }) => {
                nearest::Query::Sparse(v1::SparseVector { indices, values })
            }
            Vector::Multi(vectors) => {
                nearest::Query::Multi(v1::MultiVector { vectors: vectors.into_iter().map(dense).collect() })
            }
        })
    }

    /// Nearest to a text, embedded with the collection's model.
    pub fn text(query: impl Into<String>) -> Self {
        Self::to(nearest::Query::Text(query.into()))
    }

    fn to(query: nearest::Query) -> Self {
        Self { wire: v1::Nearest { query: Some(query), ..Default::default() } }
    }

    /// By the vector of this name.
    #[must_use]
    pub fn by(mut self, vector: impl Into<String>) -> Self {
        self.wire.vector = vector.into();
        self
    }

    /// Width of the walk, 1 to 100,000; derived from how many points are wanted by default.
    #[must_use]
    pub fn ef(mut self, ef: u32) -> Self {
        self.wire.ef = Some(ef);
        self
    }

    /// Whether to compare with every point instead of walking the graph.
    #[must_use]
    pub fn exact(mut self, exact: bool) -> Self {
        self.wire.exact = exact;
        self
    }
}

/// An example of what is wanted or not: a point that has the vector, which is then not in the answer itself, or a vector.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Example {
    /// A point.
    Id(PointId),
    /// A vector.
    Vector(Vec<f32>),
}

impl<I: Into<PointId>> From<I> for Example {
    fn from(id: I) -> Self {
        Example::Id(id.into())
    }
}

impl Example {
    /// A vector.
    pub fn vector(vector: impl Into<Vec<f32>>) -> Self {
        Example::Vector(vector.into())
    }

    fn into_wire(self) -> v1::Example {
        let example = match self {
            Example::Id(id) => example::Example::Id(id.into_wire()),
            Example::Vector(values) => example::Example::Vector(v1::Vector { values }),
        };
        v1::Example { example: Some(example) }
    }
}

/// How a [`Recommend`] judges a point by many examples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// By nearness to one vector: twice the average of the positive examples less that of the negative ones. Needs a positive
    /// example.
    #[default]
    AverageVector,
    /// By the nearest example: points near positives first, those near negatives last.
    BestScore,
}

/// The points like some examples and unlike others, at most 256 together.
///
/// ```
/// use ragstone_client::{Query, Recommend, Strategy};
///
/// let like = Recommend::like([3, 4]).unlike(["draft"]).strategy(Strategy::BestScore);
/// let query = Query::by("songs", like, 10);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Recommend {
    wire: v1::Recommend,
}

impl Recommend {
    /// Points like these, by the default vector.
    pub fn like<E: Into<Example>>(positive: impl IntoIterator<Item = E>) -> Self {
        let positive = positive.into_iter().map(|example| example.into().into_wire()).collect();
        Self { wire: v1::Recommend { positive, ..Default::default() } }
    }

    /// And unlike those.
    #[must_use]
    pub fn unlike<E: Into<Example>>(mut self, negative: impl IntoIterator<Item = E>) -> Self {
        self.wire.negative.extend(negative.into_iter().map(|example| example.into().into_wire()));
        self
    }

    /// Judged so.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        let strategy = match strategy {
            Strategy::AverageVector => v1::RecommendStrategy::AverageVector,
            Strategy::BestScore => v1::RecommendStrategy::BestScore,
        };
        self.wire.strategy = strategy.into();
        self
    }

    /// By the vector of this name.
    #[must_use]
    pub fn by(mut self, vector: impl Into<String>) -> Self {
        self.wire.vector = vector.into();
        self
    }

    /// Width of the walk, 1 to 100,000; derived from how many points are wanted by default.
    #[must_use]
    pub fn ef(mut self, ef: u32) -> Self {
        self.wire.ef = Some(ef);
        self
    }

    /// Whether to compare with every point instead of walking the graph.
    #[must_use]
    pub fn exact(mut self, exact: bool) -> Self {
        self.wire.exact = exact;
        self
    }
}

/// All points in the order of a field's values, of equal values in that of their ids; points without the field come last. It
/// gives no scores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderBy {
    wire: v1::OrderBy,
}

impl OrderBy {
    /// Least first.
    pub fn ascending(field: impl Into<String>) -> Self {
        Self { wire: v1::OrderBy { field: field.into(), descending: false } }
    }

    /// Greatest first.
    pub fn descending(field: impl Into<String>) -> Self {
        Self { wire: v1::OrderBy { field: field.into(), descending: true } }
    }

    pub(crate) fn into_wire(self) -> v1::OrderBy {
        self.wire
    }
}

/// One ranking of several sources, 1 to 16 of them. A weight is 0, or from 1e-30 to 1e30, and not 0 for all.
///
/// ```
/// use ragstone_client::{Fuse, Nearest, Query};
///
/// let near = [(Nearest::text("the moon"), 2.0), (Nearest::text("the sun"), 1.0)];
/// let query = Query::by("notes", Fuse::weighted(near).candidates(200), 10);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Fuse {
    wire: v1::Fuse,
}

impl Fuse {
    /// By places: a point scores `weight / (60 + place)` in each source, and the sum counts.
    pub fn reciprocal_rank<S: Into<Source>>(sources: impl IntoIterator<Item = S>) -> Self {
        Self::of(sources.into_iter().map(|source| (source, 1.0)), None)
    }

    /// By the meaning of a text and by its words together, by places: hybrid search. The collection needs a model and a text field.
    pub fn hybrid(text: impl Into<String>) -> Self {
        let text = text.into();
        let both: [Source; 2] = [Nearest::text(text.clone()).into(), TextQuery::new(text).into()];
        Self::reciprocal_rank(both)
    }

    /// By scores: those of a source are stretched to 0 for the worst candidate and 1 for the best, and the sum, each times its
    /// weight, counts.
    pub fn weighted<S: Into<Source>>(sources: impl IntoIterator<Item = (S, f32)>) -> Self {
        Self::of(sources, Some(fuse::Method::Weighted(fuse::WeightedScores {})))
    }

    /// By places, each source with its weight; `k` is how little first places count above others, 0 to a million.
    pub fn weighted_ranks<S: Into<Source>>(sources: impl IntoIterator<Item = (S, f32)>, k: f32) -> Self {
        Self::of(sources, Some(fuse::Method::ReciprocalRank(fuse::ReciprocalRank { k: Some(k) })))
    }

    fn of<S: Into<Source>>(
        sources: impl IntoIterator<Item = (S, f32)>,
        method: Option<fuse::Method>,
    ) -> Self {
        let weighted = |(source, weight): (S, f32)| v1::Source { weight: Some(weight), ..source.into().wire };
        let sources = sources.into_iter().map(weighted).collect();
        Self { wire: v1::Fuse { sources, method, candidates: None } }
    }

    /// How many points each source is asked for, 1 to 10,000; 100 by default.
    #[must_use]
    pub fn candidates(mut self, candidates: u32) -> Self {
        self.wire.candidates = Some(candidates);
        self
    }
}

/// The best points of one source, ranked by another, exactly.
#[derive(Clone, Debug, PartialEq)]
pub struct Rescore {
    wire: v1::Rescore,
}

impl Rescore {
    /// Ranks the best points of `from` by `by`, which is no rescoring itself.
    pub fn new(from: impl Into<Source>, by: impl Into<Source>) -> Self {
        let boxed = |source: Source| Some(Box::new(source.wire));
        Self { wire: v1::Rescore { from: boxed(from.into()), by: boxed(by.into()), candidates: None } }
    }

    /// How many points to rank, 1 to 10,000; 100 by default.
    #[must_use]
    pub fn candidates(mut self, candidates: u32) -> Self {
        self.wire.candidates = Some(candidates);
        self
    }
}

impl From<Nearest> for Source {
    fn from(source: Nearest) -> Self {
        Source::of(source::Source::Nearest(source.wire))
    }
}

impl From<Recommend> for Source {
    fn from(source: Recommend) -> Self {
        Source::of(source::Source::Recommend(source.wire))
    }
}

impl From<OrderBy> for Source {
    fn from(source: OrderBy) -> Self {
        Source::of(source::Source::OrderBy(source.wire))
    }
}

impl From<Fuse> for Source {
    fn from(source: Fuse) -> Self {
        Source::of(source::Source::Fuse(source.wire))
    }
}

impl From<Rescore> for Source {
    fn from(source: Rescore) -> Self {
        Source::of(source::Source::Rescore(Box::new(source.wire)))
    }
}
