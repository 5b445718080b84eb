//! The walk: one routine for every layer of every graph, searches and inserts alike.
//!
//! ```text
//! the start is the first batch
//! while there is a batch:
//!     put the batch compared before into the pool
//!     take the nearest node not yet expanded, unless it is far beyond what is wanted     (`Stop`)
//!     if its list is here:   collect its neighbours not yet visited
//!     compare the batch, prefetching the rows of what was collected
//!     if its list is not here yet, which the pool asked for just now:   collect and prefetch now
//!     collect and prefetch what other lists give that it asked for          (`Expansion::rest`, under a filter)
//!     what was collected is the next batch
//! ```
//! So a node is chosen without knowledge of the last batch. At equal width that compares some per cent more rows and
//! finds more; at equal recall it is 5 to 10 % faster, as nothing waits for rows (measured on 60,000 text embeddings). When
//! neighbours are collected, before or after a comparison, makes no difference to what is found.

use std::cell::Cell;
use std::ops::Range;

use ragstone_kernels::CandidatePool;

use super::admits::{InSet, Through};
use super::admitted::{Among, walk_among};
use super::scratch::{Batches, Scratch, Visited};
use super::{Stop, Walk, WalkRequest};
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
    /// Whether all slots are live now.
    fn are_live(&self) -> bool;
    /// The node of the layer below that is the same row.
    fn below(&self, layer: usize, node: u32) -> u32;
}

/// What a walk begins with and goes on to.
pub(super) trait Expansion {
    /// Adds the first batch to the nodes seen.
    fn first(&mut self, visited: &mut Visited) -> Range<usize>;
    /// Adds what the list of a node gives, and asks for what [`rest`](Self::rest) reads.
    fn near(&mut self, node: u32, visited: &mut Visited) -> Range<usize>;
    /// Adds what else belongs to that node.
    fn rest(&mut self, visited: &mut Visited) -> Range<usize>;
}

/// From one node, to all neighbours.
struct Plainly<'a, L> {
    layer: &'a L,
    start: u32,
}

impl<L: Layer> Expansion for Plainly<'_, L> {
    #[inline]
    fn first(&mut self, visited: &mut Visited) -> Range<usize> {
        visited.insert_all(std::iter::once(self.start))
    }
    #[inline]
    fn near(&mut self, node: u32, visited: &mut Visited) -> Range<usize> {
        visited.insert_all(self.layer.links(node))
    }
    #[inline]
    fn rest(&mut self, _: &mut Visited) -> Range<usize> {
        0..0
    }
}

/// Walks one layer from `start`; the result is in the pool. Returns how many rows were compared and whether
/// the walk was cut: at `distances_max`, or by whoever watches it.
pub(super) fn walk<L: Layer>(
    layer: &L,
    scorer: &dyn Scorer,
    plan: &Plan<'_, impl Fn(Slot) -> bool>,
    scratch: &mut Scratch,
) -> (u64, bool) {
    let Scratch { visited, pool, batches, .. } = scratch;
    visited.begin(layer.limit());
    pool.reset(plan.request.ef);
    pursue(layer, scorer, plan, &mut Plainly { layer, start: plan.start }, (visited, pool, batches))
}

/// Walks on from what is in the pool and the first batch of an expansion.
pub(super) fn pursue<L: Layer>(
    layer: &L,
    scorer: &dyn Scorer,
    plan: &Plan<'_, impl Fn(Slot) -> bool>,
    expansion: &mut impl Expansion,
    (visited, pool, batches): (&mut Visited, &mut CandidatePool, &mut Batches),
) -> (u64, bool) {
    let Batches { slots, ahead, distances } = batches;
    let request = &plan.request;
    let admits = |node| (plan.admits)(layer.slot(node));
    // A node that comes to the front is expanded next, so its list is wanted at once, and takes a while.
    let came = Cell::new(false);
    let is_first = |node| {
        layer.prefetch(node);
        came.set(true);
    };
    let offer = |pool: &mut CandidatePool, nodes: &[u32], distances: &[f32]| {
        if plan.admits_all {
            pool.offer_admitted(nodes, distances, is_first);
        } else {
            pool.offer(nodes, distances, admits, is_first);
        }
    };
    let factor = Stop::factor(request.ef);
    let take_next = |pool: &mut CandidatePool| {
        let next = next(pool, request.stop, (request.ef, factor));
        if let Some(after) = pool.peek_next() {
            layer.prefetch(after);
        }
        next
    };
    let add_slots = |visited: &Visited, batch: &Range<usize>, slots: &mut Vec<Slot>| {
        slots.extend(visited.at(batch).iter().map(|node| layer.slot(*node)));
    };
    let (mut compared, mut check_at) = (0, request.next_check(0));
    // Batches are places among the nodes seen: of the one to be compared, whose rows are in `slots`, and of the one compared
    // last, whose distances are in `distances`.
    let (mut batch, mut last) = (expansion.first(visited), 0..0);
    slots.clear();
    add_slots(visited, &batch, slots);
    loop {
        came.set(false);
        offer(pool, visited.at(&last), distances);
        let mut next = take_next(pool);
        ahead.clear();
        // A list that was asked for long ago is here: so its rows can be asked for while this batch is compared.
        let early = next.filter(|_| !came.get()).map(|node| {
            let batch = expansion.near(node, visited);
            add_slots(visited, &batch, ahead);
            batch
        });
        if distances.len() < slots.len() {
            distances.resize(slots.len(), 0.0);
        }
        scorer.score_ahead(slots, ahead, &mut distances[..slots.len()]);
        compared += slots.len() as u64;
        last = batch;
        if compared >= check_at {
            if request.ends_at(compared) {
                offer(pool, visited.at(&last), distances);
                return (compared, next.is_some() || pool.peek_next().is_some());
            }
            check_at = request.next_check(compared);
        }
        if next.is_none() {
            // What was compared last decides whether there is more.
            offer(pool, visited.at(&last), distances);
            last = 0..0;
            next = take_next(pool);
        }
        let Some(node) = next else {
            return (compared, false);
        };
        let asked = ahead.len();
        batch = early.unwrap_or_else(|| {
            let batch = expansion.near(node, visited);
            add_slots(visited, &batch, ahead);
            batch
        });
        let rest = expansion.rest(visited);
        if !rest.is_empty() {
            add_slots(visited, &rest, ahead);
            batch.end = rest.end;
        }
        scorer.prefetch(&ahead[asked..]);
        std::mem::swap(slots, ahead);
    }
}

/// The node to expand next, unless the walk ends here: by what was found of the admitted, since those refused may be as near as
/// they like, all the nearest of them even (a document that was deleted). What all that was found does not end is not looked
/// at twice: of all, the `k`-th is never farther and as many are expanded.
#[inline]
pub(super) fn next(pool: &mut CandidatePool, stop: Option<Stop>, (ef, factor): (usize, f32)) -> Option<u32> {
    let (distance, node) = pool.expand_next()?;
    let ends = |stop: Stop| {
        let is_settled = |frontier: usize| frontier > stop.k.max(ef / 3);
        is_settled(pool.frontier())
            && stop.ends(factor, distance, pool.distance(stop.k - 1))
            && is_settled(pool.admitted_frontier())
            && stop.ends(factor, distance, pool.admitted_distance(stop.k - 1))
    };
    (!stop.is_some_and(ends)).then_some(node)
}

/// How to walk a layer.
pub(super) struct Plan<'a, A> {
    pub(super) start: u32,
    /// Who is admitted; what the request says of that counts besides.
    pub(super) admits: A,
    /// Whether that is everyone, which is known beforehand.
    pub(super) admits_all: bool,
    /// Width and limits.
    pub(super) request: WalkRequest<'a>,
}

impl<A> Plan<'_, A> {
    /// A walk that ends when its pool is expanded.
    pub(super) fn new(start: u32, ef: usize, admits: A) -> Self {
        Self { start, admits, admits_all: false, request: WalkRequest::new(ef) }
    }

    /// The same where `admits` never says no.
    pub(super) fn admitting_all(self) -> Self {
        Self { admits_all: true, ..self }
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
        let plan = Plan::new(node, 1, |_| true).admitting_all();
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
    let base = layers.base();
    let among = match (request.screen, request.admit) {
        (Some(screen), set) if request.among_admitted => {
            let admits = Through::new(screen, set);
            Some(walk_among(&base, scorer, &Among { start, admits, request }, scratch))
        }
        (None, Some(set)) if request.among_admitted => {
            let admits = InSet::new(set);
            Some(walk_among(&base, scorer, &Among { start, admits, request }, scratch))
        }
        _ => None,
    };
    if let Some((compared, cut)) = among {
        return found(scratch, above + compared, cut);
    }
    let admits = |slot| request.admits(slot) && layers.is_live(slot);
    let sees_all = base.limit() <= request.visible as usize;
    let takes_all = request.admit.is_none() && request.screen.is_none();
    let admits_all = takes_all && sees_all && layers.are_live();
    let plan = Plan { start, admits, admits_all, request: *request };
    let (compared, cut) = walk(&base, scorer, &plan, scratch);
    found(scratch, above + compared, cut)
}

fn found(scratch: &Scratch, distances: u64, cut: bool) -> Walk {
    let candidates = scratch.pool.admitted().map(|(distance, node)| (distance, Slot(node))).collect();
    Walk { candidates, distances, cut }
}
