//! Searching multi-vectors: MaxSim, exactly.
//!
//! There is no index over them. Each row that passes is scored with all of its vectors, which is what late interaction costs: rows are
//! usually found by another vector or by text first, and scored here after. For that there is [`MultiQuery::scores`];
//! [`MultiQuery::nearest`] scores all rows of a view.

use std::cmp::Ordering;

use crate::collection::ViewState;
use crate::error::{Error, Result};
use crate::interrupt::{POLL_DISTANCES, Watch};
use crate::payload::CompiledFilter;
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
                let query = validate::multi(path, query, options)?;
                Ok(Self { number, max_sim: MaxSim::new(query, options.dimension) })
            }
            (_, kind) => {
                let reason = format!("the vector `{name}` is {}, this is for multi-vectors", kind.name());
                Err(Error::invalid(name_path, reason))
            }
        }
    }

    /// The score of each of these rows of a segment, larger is nearer; `None` of those that lack the vector.
    pub(crate) fn scores(&self, segment: &SegmentView, slots: &[u32]) -> Vec<Option<f32>> {
        let score = |slot: &u32| Some(self.max_sim.score(segment.multi_row(*slot, self.number)?));
        slots.iter().map(score).collect()
    }

    /// The `k` nearest rows of a view that pass: score, segment, slot; nearest first, then in the order of segments and slots.
    /// An interrupted search gives the nearest of those it came to.
    pub(crate) fn nearest(
        &self,
        view: &ViewState,
        (filter, k): (Option<&CompiledFilter>, usize),
        watch: &Watch,
    ) -> Vec<(f32, usize, u32)> {
        let (mut found, mut since) = (Vec::new(), POLL_DISTANCES);
        for (index, segment) in view.segments.iter().enumerate() {
            let matching = segment.matching(filter);
            for slot in matching.ones().map(|slot| slot as u32) {
                // A row has some hundred vectors, and so has the query.
                if since >= POLL_DISTANCES / 64 {
                    if watch.poll() {
                        return ranked(found, k);
                    }
                    since = 0;
                }
                let Some(row) = segment.multi_row(slot, self.number) else { continue };
                since += 1;
                found.push((self.max_sim.score(row), index, slot));
                if found.len() >= 2 * k {
                    found = ranked(found, k);
                }
            }
        }
        ranked(found, k)
    }
}

fn ranked(mut found: Vec<(f32, usize, u32)>, k: usize) -> Vec<(f32, usize, u32)> {
    let by_rank = |a: &(f32, usize, u32), b: &(f32, usize, u32)| -> Ordering {
        b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2)))
    };
    found.sort_unstable_by(by_rank);
    found.truncate(k);
    found
}
