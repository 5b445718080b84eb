//! Searching a view by a sparse vector: the inner product with those of rows, exactly, through the indexes of all its segments.
//!
//! A row is found if it has a dimension of the query, whatever the product.

use super::pieces::{Piece, Pieces, PostingsFound};
use crate::collection::ViewState;
use crate::interrupt::Watch;
use crate::payload::CompiledFilter;
use crate::point::SparseVector;
use crate::schema::VectorId;
use crate::segment::TextPart;
use crate::text::SparseSearch;

/// A search of a view that was prepared.
#[derive(Debug)]
pub(crate) struct EntriesSearch<'a> {
    pieces: Pieces<'a>,
    query: Vec<(u32, f32)>,
}

impl<'a> EntriesSearch<'a> {
    /// Of the sparse vector with this number, by one that was checked.
    pub(crate) fn new(view: &'a ViewState, number: VectorId, query: &SparseVector) -> Self {
        let query = query.indices.iter().copied().zip(query.values.iter().copied()).collect();
        let mut pieces = Vec::new();
        for (segment, shown) in view.segments.iter().enumerate() {
            let piece = |TextPart { rows, index }| Piece { segment, rows, indexes: vec![index] };
            pieces.extend(shown.sparse_indexes(number).into_iter().map(piece));
        }
        Self { pieces: Pieces { view, pieces }, query }
    }

    /// The `k` live rows with the greatest products of those that pass the filter.
    pub(crate) fn best(&self, k: usize, filter: Option<&CompiledFilter>, watch: &Watch) -> PostingsFound {
        self.pieces.find((filter, watch), |parts| SparseSearch { query: &self.query, parts }.best(k, watch))
    }
}
