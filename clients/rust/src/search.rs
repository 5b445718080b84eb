//! Searching.

use std::time::Duration;

use ragstone_proto::v1;
use ragstone_proto::v1::query_request;

use crate::filter::Filter;
use crate::source::Source;

/// Asks for the best points: nearest to a vector or a text, or of any [`Source`].
///
/// ```
/// use ragstone_client::{Filter, OrderBy, Query};
///
/// let query = Query::vector("images", [0.1, 0.7, 0.2], 10).filter(Filter::eq("year", 2026)).exact(true);
/// let query = Query::text("notes", "how far is the moon", 5).group("_document", 2).explain();
/// let query = Query::by("notes", OrderBy::descending("year"), 20).fields(["title", "year"]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    wire: v1::QueryRequest,
}

impl Query {
    /// The `k` points, 1 to 10,000, nearest to a vector of the collection's dimension.
    pub fn vector(collection: impl Into<String>, vector: impl Into<Vec<f32>>, k: u32) -> Self {
        let vector = v1::Vector { values: vector.into() };
        Self::new(collection.into(), query_request::Query::Vector(vector), k)
    }

    /// The `k` points, 1 to 10,000, nearest to a text, embedded with the collection's model.
    pub fn text(collection: impl Into<String>, text: impl Into<String>, k: u32) -> Self {
        Self::new(collection.into(), query_request::Query::Text(text.into()), k)
    }

    /// The `k` best points, 1 to 10,000, of a source.
    pub fn by(collection: impl Into<String>, source: impl Into<Source>, k: u32) -> Self {
        Self::new(collection.into(), query_request::Query::Source(source.into().wire), k)
    }

    fn new(collection: String, query: query_request::Query, k: u32) -> Self {
        Self { wire: v1::QueryRequest { collection, query: Some(query), k, ..Default::default() } }
    }

    /// Only points that pass.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.wire.filter = Some(filter.into_wire());
        self
    }

    /// Width of the walk over the graph, 1 to 100,000: larger finds more of the true neighbours and takes longer. Derived
    /// from `k` by default. A source has its own.
    #[must_use]
    pub fn ef(mut self, ef: u32) -> Self {
        self.wire.ef = Some(ef);
        self
    }

    /// Whether to compare with every point instead of walking the graph. A source has its own.
    #[must_use]
    pub fn exact(mut self, exact: bool) -> Self {
        self.wire.exact = exact;
        self
    }

    /// The best `per_group` points, 1 to 1,000, of each of the `k` groups, 1 to 1,000, that have the best points:
    /// [`QueryResult::groups`](crate::QueryResult::groups).
    #[must_use]
    pub fn group(mut self, field: impl Into<String>, per_group: u32) -> Self {
        self.wire.group = Some(v1::Group { field: field.into(), per_group });
        self
    }

    /// Only points whose score is at least as good: at least this, or at most this for Euclidean distances.
    #[must_use]
    pub fn threshold(mut self, threshold: f32) -> Self {
        self.wire.threshold = Some(threshold);
        self
    }

    /// Returns ids and scores only.
    #[must_use]
    pub fn without_payload(mut self) -> Self {
        self.wire.without_payload = true;
        self
    }

    /// Returns these fields only.
    #[must_use]
    pub fn fields<N: Into<String>>(mut self, fields: impl IntoIterator<Item = N>) -> Self {
        self.wire.fields = fields.into_iter().map(Into::into).collect();
        self
    }

    /// Returns all vectors, too.
    #[must_use]
    pub fn with_vectors(mut self) -> Self {
        self.wire.with_vectors = true;
        self
    }

    /// Returns the vectors of these names, too, the default one being the empty name.
    #[must_use]
    pub fn vectors<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.wire.vectors = names.into_iter().map(Into::into).collect();
        self
    }

    /// Returns what was found until so much time has passed: [`QueryStats::interrupted`](crate::QueryStats::interrupted) says
    /// so. As long as the deadline allows by default.
    #[must_use]
    pub fn budget(mut self, budget: Duration) -> Self {
        self.wire.budget_ms = Some(u32::try_from(budget.as_millis()).unwrap_or(u32::MAX));
        self
    }

    /// Tells how the answer came about: [`QueryResult::explain`](crate::QueryResult::explain).
    #[must_use]
    pub fn explain(mut self) -> Self {
        self.wire.explain = true;
        self
    }

    pub(crate) fn into_wire(self) -> v1::QueryRequest {
        self.wire
    }
}
