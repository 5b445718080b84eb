//! What a query answers.

use crate::payload::Value;
use crate::point::Point;
use crate::search::{Explain, SearchStats};

/// The rows that a query found.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryResponse {
    /// Best first; none where [groups](Self::groups) were asked for.
    pub hits: Vec<QueryHit>,
    /// Groups in the order of their best rows; none where they were not asked for.
    pub groups: Vec<FoundGroup>,
    /// How they were found: all stages together.
    pub stats: SearchStats,
    /// How, in full, if that was asked for.
    pub explain: Option<Explain>,
}

/// A row found.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryHit {
    /// By the root of the query's source: a metric's score, the sum of a fusion. `None` where rows are in the order of a field.
    pub score: Option<f32>,
    /// The row, with what was [selected](super::Select) of it.
    pub point: Point,
}

/// Rows of one value.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundGroup {
    /// The value that they have in common.
    pub value: Value,
    /// Best first.
    pub hits: Vec<QueryHit>,
}
