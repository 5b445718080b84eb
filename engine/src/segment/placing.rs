//! Which rows of its sources a new segment has, and in which order.
//!
//! 1. Rows with the first dense vector come before the others: they are the nodes of its graph, under the numbers of their slots.
//! 2. Rows of one tenant follow one another.
//! 3. Rows that are near one another by that vector stand together, so that a walk finds what it looks at on few pages (`graph/order.rs`).
//!    Those of a segment in memory come in the order of its graph. Of sealed segments the largest, which has been put in order,
//!    keeps its order: so its rows are read one after the other. Each row of the others comes behind the nearest of the largest.
//!
//! On 60,000 text embeddings in eight sealed segments, the order of their merge is as good as one made of the whole graph.

use rayon::prelude::*;

use super::{GrowingSegment, SealRequest, Segment, SegmentView};
use crate::graph::WalkRequest;
use crate::interrupt::Watch;

/// The width of the walk that finds the row to come behind. A near one does as well as the nearest.
const BEHIND_WIDTH: usize = 16;

/// A row of a source.
#[derive(Clone, Copy)]
pub(super) struct LiveRow {
    pub(super) source: usize,
    pub(super) slot: u32,
}

/// The live rows, in the order of the new segment.
pub(super) fn live_rows(request: &SealRequest<'_>) -> Vec<LiveRow> {
    let sources = request.sources;
    let (mut first, mut others) = (Vec::new(), Vec::new());
    for (source, view) in sources.iter().enumerate() {
        let vector = view.all_dense().next();
        for slot in view.matching(None, &Watch::default()).ones().map(|slot| slot as u32) {
            let has_it = vector.as_ref().is_some_and(|vector| vector.has(slot));
            if has_it { &mut first } else { &mut others }.push(LiveRow { source, slot });
        }
    }
    match sources {
        [view @ SegmentView { segment: Segment::Growing(segment), .. }] => {
            by_graph(request, (view, segment.as_ref()), &mut first)
        }
        _ => behind_the_largest(request, &mut first),
    }
    for rows in [&mut first, &mut others] {
        by_tenant(request, rows);
    }
    first.append(&mut others);
    first
}

/// In the order of the graph in memory.
fn by_graph(
    request: &SealRequest<'_>,
    (view, segment): (&SegmentView, &GrowingSegment),
    rows: &mut [LiveRow],
) {
    let Some(dense) = segment.dense.first() else { return };
    dense.link_rest(&view.dense(0), request.stop);
    let mut places = vec![u32::MAX; dense.graph.reach().max(view.rows as usize)];
    for (place, slot) in (0..).zip(dense.graph.near_order(request.stop)) {
        places[slot.index()] = place;
    }
    rows.sort_by_key(|row| places[row.slot as usize]);
}

/// The rows of the largest source in their order, each followed by those of others that are nearest to it.
fn behind_the_largest(request: &SealRequest<'_>, rows: &mut Vec<LiveRow>) {
    let sources = request.sources;
    let mut counts = vec![0; sources.len()];
    rows.iter().for_each(|row| counts[row.source] += 1);
    let Some(largest) = (0..sources.len()).max_by_key(|source| counts[*source]) else { return };
    if counts[largest] == rows.len() {
        return;
    }
    let near = sources[largest].dense(0);
    let (encoding, vectors) = (near.encoding(&request.encodings[0]), near.picked_vectors());
    let nearest = |row: &LiveRow| {
        let vector = sources[row.source].dense(0).vector(row.slot).filter(|_| !request.stop.is_set())?;
        let scorer = encoding.scorer(&vector, vectors);
        let walk = near.walk(&*scorer, &WalkRequest::new(BEHIND_WIDTH));
        walk.candidates.first().map(|(_, node)| near.slot_of(*node).0)
    };
    let place = |row: &LiveRow| match row.source == largest {
        true => (row.slot, false),
        false => (nearest(row).unwrap_or_default(), true),
    };
    let mut placed: Vec<_> = rows.par_iter().map(|row| (place(row), *row)).collect();
    placed.sort_by_key(|(place, _)| *place);
    *rows = placed.into_iter().map(|(_, row)| row).collect();
}

/// Each tenant's together, otherwise as they are.
fn by_tenant(request: &SealRequest<'_>, rows: &mut [LiveRow]) {
    let tenant = request.schema.tenant.as_deref().and_then(|tenant| request.fields.find(tenant));
    let Some((field, _)) = tenant else { return };
    let value = |row: &LiveRow| request.sources[row.source].value(row.slot, field);
    rows.sort_by(|a, b| match (value(a), value(b)) {
        (Some(a), Some(b)) => a.order(b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    });
}
