//! Searching by similarity.

use ragstone_proto::v1;

use crate::error::Result;
use crate::filter::Filter;
use crate::point::{Payload, PointId, StageTiming, payload_from_wire, timings_from_wire};

/// Asks for the points nearest to a vector or a text.
///
/// ```
/// use ragstone_client::{Filter, Query};
///
/// let query = Query::vector("images", [0.1, 0.7, 0.2], 10).filter(Filter::eq("year", 2026)).exact(true);
/// let query = Query::text("notes", "how far is the moon", 5);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    wire: v1::QueryRequest,
}

impl Query {
    /// The `k` points, 1 to 10,000, nearest to a vector of the collection's dimension.
    pub fn vector(collection: impl Into<String>, vector: impl Into<Vec<f32>>, k: u32) -> Self {
        let vector = v1::Vector { values: vector.into() };
        Self::new(collection.into(), v1::query_request::Query::Vector(vector), k)
    }

    /// The `k` points, 1 to 10,000, nearest to a text, embedded with the collection's model.
    pub fn text(collection: impl Into<String>, text: impl Into<String>, k: u32) -> Self {
        Self::new(collection.into(), v1::query_request::Query::Text(text.into()), k)
    }

    fn new(collection: String, query: v1::query_request::Query, k: u32) -> Self {
        Self { wire: v1::QueryRequest { collection, query: Some(query), k, ..Default::default() } }
    }

    /// Only points that pass.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.wire.filter = Some(filter.into_wire());
        self
    }

    /// Width of the walk over the graph, 1 to 100,000: larger finds more of the true neighbours and takes longer. Derived
    /// from `k` by default.
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

    /// Returns ids and scores only.
    #[must_use]
    pub fn without_payload(mut self) -> Self {
        self.wire.without_payload = true;
        self
    }

    pub(crate) fn into_wire(self) -> v1::QueryRequest {
        self.wire
    }
}

/// A point found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// Its id.
    pub id: PointId,
    /// By the collection's metric: cosine or inner product (larger is nearer), or Euclidean distance (smaller is nearer).
    pub score: f32,
    /// Its fields; empty if not asked for.
    pub payload: Payload,
}

/// How a search was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryStats {
    /// Segments looked at.
    pub segments: usize,
    /// Vectors compared.
    pub distances: u64,
    /// Whether every matching point was compared, so that the answer is exact.
    pub exact: bool,
}

/// The points found.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryResult {
    /// Nearest first; fewer than `k` only if fewer points match.
    pub hits: Vec<Hit>,
    /// How they were found.
    pub stats: QueryStats,
    /// Milliseconds of each stage on the server.
    pub timings: Vec<StageTiming>,
}

impl QueryResult {
    pub(crate) fn from_wire(wire: v1::QueryResponse) -> Result<QueryResult> {
        let stats = wire.stats.unwrap_or_default();
        Ok(QueryResult {
            hits: wire
                .hits
                .into_iter()
                .map(|hit| {
                    Ok(Hit {
                        id: PointId::from_wire(hit.id)?,
                        score: hit.score,
                        payload: payload_from_wire(hit.payload)?,
                    })
                })
                .collect::<Result<_>>()?,
            stats: QueryStats {
                segments: stats.segments as usize,
                distances: stats.distances,
                exact: stats.exact,
            },
            timings: timings_from_wire(wire.timings),
        })
    }
}
