//! Searching multi-vectors: MaxSim, exactly.
//!
//! There is no index over them. Each row that passes is scored with all of its vectors, which is what late interaction costs: rows are
//! usually found by another vector or by text first, and scored here after. Who goes through which rows is `query/scored.rs`.

use crate::collection::ViewState;
use crate::error::{Error, Result};
use crate::schema::{VectorId, VectorKind};
use crate::segment::SegmentView;
use crate::validate;
use crate::vectors::MaxSim;

/// A multi-vector of a collection and what it is compared with.
#[derive(Debug)]
pub(crate) struct MultiQuery {
    number: VectorId,
    max_sim: MaxSim,
}

impl MultiQuery {
    /// For a multi-vector by its name. `path` names the query's vectors in errors, `name_path` the name.
    pub(crate) fn new(
        view: &ViewState,
        (name_path, name): (&str, &str),
        (path, query): (&str, Vec<Vec<f32>>),
    ) -> Result<Self> {
        match view.schema.vector(name_path, name)? {
            (number, VectorKind::Multi(options)) => {
                let query = validate::multi_query(path, query, options)?;
                Ok(Self { number, max_sim: MaxSim::new(query, options.dimension) })
            }
            (_, kind) => {
                let reason = format!("the vector `{name}` is {}, this is for multi-vectors", kind.name());
                Err(Error::invalid(name_path, reason))
            }
        }
    }

    /// Whether a row of a segment has the vector.
    pub(crate) fn has(&self, segment: &SegmentView, slot: u32) -> bool {
        segment.multi_row(slot, self.number).is_some()
    }

    /// The score of each of these rows of a segment, larger is nearer; `None` of those that lack the vector.
    pub(crate) fn scores(&self, segment: &SegmentView, slots: &[u32]) -> Vec<Option<f32>> {
        let score = |slot: &u32| Some(self.max_sim.score(segment.multi_row(*slot, self.number)?));
        slots.iter().map(score).collect()
    }
}
