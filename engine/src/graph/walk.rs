//! The walk: one routine for every layer of every graph, searches and inserts alike.
//!
//! ```text
//! compare the start; put it into the pool
//! while the pool has a node not yet expanded: take the nearest one
//!     collect its neighbours not yet visited          (the list was prefetched one step earlier)
//!     prefetch the list of the next node
//!     compare them in one batch                       (rows are prefetched inside)
//!     put those nearer than the pool's last into the pool
//! ```

use super::scratch::Scratch;
use super::{Walk, WalkRequest};
use crate::interrupt::{POLL_DISTANCES, Watch};
use crate::vectors::{Scorer, Slot};

/// Nodes and links of one layer. On the base layer a node is a slot; above it is a position within the layer.
pub(super) trait Layer {
    /// Nodes are below this.
    fn limit(&self) -> usize;
    fn slot(&self, node: u32) -> Slot;
    fn links(&self, node: u32) -> impl Iterator<Item = u32>;
    fn prefetch(&self, node: u32);
}

/// Where a walk from the top begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Zero is the base.
    pub(super) layer: usize,
    pub(super) node: u32,
}

/// The layers of a graph.
pub(super) trait Layers {
    /// The start of every walk; `None` of a graph without nodes.
    fn entry(&self) -> Option<Entry>;
    fn base(&self) -> impl Layer;
    /// A layer above the base, from one up.
    fn upper(&self, layer: usize) -> impl Layer;
    /// Whether a slot is a node to be found. Nothing links to one that is not, but a walk may begin there.
    fn is_live(&self, slot: Slot) -> bool;
    /// The node of the layer below that is the same row.
    fn below(&self, layer: usize, node: u32) -> u32;
}

/// Walks one layer from `start`; the result is in the pool. Returns how many rows were compared and whether
/// the walk was cut: at `distances_max`, or because its watch was interrupted.
pub(super) fn walk<L: Layer>(
    layer: &L,
    scorer: &dyn Scorer,
    plan: &Plan<'_, impl Fn(Slot) -> bool>,
    scratch: &mut Scratch,
) -> (u64, bool) {
    let Scratch { visited, pool, slots, distances, .. } = scratch;
    visited.begin(layer.limit());
    pool.reset(plan.ef);
    let mut compared = 0;
    let mut check_at = plan.next_check(0);
    let mut first = visited.insert_all(std::iter::once(plan.start));
    loop {
        let nodes = visited.since(first);
        slots.clear();
        slots.extend(nodes.iter().map(|node| layer.slot(*node)));
        if distances.len() < slots.len() {
            distances.resize(slots.len(), 0.0);
        }
        scorer.score(slots, &mut distances[..slots.len()]);
        // A node that comes to the front is expanded next, so its list is wanted at once.
        pool.offer(nodes, distances, |node| (plan.admits)(layer.slot(node)), |node| layer.prefetch(node));
        compared += nodes.len() as u64;
        if compared >= check_at {
            if plan.ends_at(compared) {
                return (compared, pool.peek_next().is_some());
            }
            check_at = plan.next_check(compared);
        }
        let Some((_, node)) = pool.expand_next() else {
            return (compared, false);
        };
        if let Some(next) = pool.peek_next() {
            layer.prefetch(next);
        }
        first = visited.insert_all(layer.links(node));
    }
}

/// How to walk a layer.
pub(super) struct Plan<'a, A> {
    pub(super) start: u32,
    pub(super) ef: usize,
    pub(super) admits: A,
    pub(super) distances_max: u64,
    pub(super) watch: Option<&'a Watch>,
}

impl<A> Plan<'_, A> {
    /// The number of distances at which to ask [`ends_at`](Self::ends_at) next.
    #[inline]
    fn next_check(&self, compared: u64) -> u64 {
        self.watch.map_or(self.distances_max, |_| self.distances_max.min(compared + POLL_DISTANCES))
    }

    /// Whether the walk is over, though it could go on.
    #[cold]
    fn ends_at(&self, compared: u64) -> bool {
        compared >= self.distances_max || self.watch.is_some_and(Watch::poll)
    }
}

/// Walks down from `entry` to `layer`, one nearest node at a time. Returns the node of `layer` to start from
/// and the rows compared.
pub(super) fn descend(
    layers: &impl Layers,
    scorer: &dyn Scorer,
    (entry, layer): (Entry, usize),
    scratch: &mut Scratch,
) -> (u32, u64) {
    let (mut node, mut compared) = (entry.node, 0);
    for above in (layer + 1..=entry.layer).rev() {
        let plan = Plan { start: node, ef: 1, admits: |_| true, distances_max: u64::MAX, watch: None };
        compared += walk(&layers.upper(above), scorer, &plan, scratch).0;
        node = layers.below(above, scratch.pool.nearest().unwrap_or(node));
    }
    (node, compared)
}

/// The search of any graph.
pub(super) fn search(
    layers: &impl Layers,
    scorer: &dyn Scorer,
    request: &WalkRequest<'_>,
    scratch: &mut Scratch,
) -> Walk {
    let Some(entry) = layers.entry() else {
        return Walk::default();
    };
    let (start, above) = descend(layers, scorer, (entry, 0), scratch);
    let plan = Plan {
        start,
        ef: request.ef,
        admits: |slot| request.admits(slot) && layers.is_live(slot),
        distances_max: request.distances_max,
        watch: request.watch,
    };
    let (compared, cut) = walk(&layers.base(), scorer, &plan, scratch);
    let candidates = scratch.pool.admitted().map(|(distance, node)| (distance, Slot(node))).collect();
    Walk { candidates, distances: above + compared, cut }
}
