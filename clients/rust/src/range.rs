//! Range searches: all points nearer than a threshold.

use std::time::Duration;

use ragstone_proto::v1;
use ragstone_proto::v1::search_range_request;

use crate::filter::Filter;

/// Asks for all points at least as near as a threshold: at least this cosine or inner product, or at most this Euclidean distance.
///
/// ```
/// use ragstone_client::RangeSearch;
///
/// let copies = RangeSearch::vector("images", [0.1, 0.9], 0.97).limit(1_000);
/// let like = RangeSearch::text("notes", "how far is the moon", 0.6);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RangeSearch {
    wire: v1::SearchRangeRequest,
}

impl RangeSearch {
    /// All points near a vector.
    pub fn vector(collection: impl Into<String>, vector: impl Into<Vec<f32>>, threshold: f32) -> Self {
        let vector = v1::Vector { values: vector.into() };
        Self::new(collection.into(), search_range_request::Query::Vector(vector), threshold)
    }

    /// All points near a text, embedded with the collection's model.
    pub fn text(collection: impl Into<String>, text: impl Into<String>, threshold: f32) -> Self {
        Self::new(collection.into(), search_range_request::Query::Text(text.into()), threshold)
    }

    fn new(collection: String, query: search_range_request::Query, threshold: f32) -> Self {
        Self {
            wire: v1::SearchRangeRequest { collection, query: Some(query), threshold, ..Default::default() },
        }
    }

    /// By the dense vector of this name.
    #[must_use]
    pub fn by(mut self, vector: impl Into<String>) -> Self {
        self.wire.by = vector.into();
        self
    }

    /// Only points that pass.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.wire.filter = Some(filter.into_wire());
        self
    }

    /// So many points at most, the nearest ones: 1 to 100,000, which is the default.
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.wire.limit = Some(limit);
        self
    }

    /// Whether to compare with every point instead of walking the graph, which may miss a few.
    #[must_use]
    pub fn exact(mut self, exact: bool) -> Self {
        self.wire.exact = exact;
        self
    }

    /// Returns ids and scores only.
    #[must_use]
    pub fn without_payload(mut self) -> Self {
        self.wire.without_payload = true;
        self
    }

    /// Returns what was found until so much time has passed.
    #[must_use]
    pub fn budget(mut self, budget: Duration) -> Self {
        self.wire.budget_ms = Some(u32::try_from(budget.as_millis()).unwrap_or(u32::MAX));
        self
    }

    /// Tells how the answer came about: [`RangeResult::explain`](crate::RangeResult::explain).
    #[must_use]
    pub fn explain(mut self) -> Self {
        self.wire.explain = true;
        self
    }

    pub(crate) fn into_wire(self) -> v1::SearchRangeRequest {
        self.wire
    }
}
