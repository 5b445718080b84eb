//! The graph that grows: inserts, repairs and searches at once.

use std::sync::atomic::Ordering;

use ragstone_kernels::sync::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Mutex, RwLock};

use super::links::{LinkArena, Stripes, nodes};
use super::scratch::ScratchPool;
use super::walk::{Entry, Layer, Layers, search};
use super::{LAYERS_MAX, Shape, Walk, WalkRequest};
pub(super) use crate::random::split_mix;
use crate::schema::GraphOptions;
use crate::vectors::{Scorer, Slot};

/// A graph in memory. Several threads may insert at once, searches run beside them and wait for nobody;
/// [`repair`](Self::repair) waits for inserts and they for it, searches for neither.
#[derive(Debug)]
pub(crate) struct GrowingGraph {
    pub(super) shape: Shape,
    seed: u64,
    /// One record for each slot: state, then links.
    pub(super) base: LinkArena,
    pub(super) upper: [UpperLayer; LAYERS_MAX],
    /// `layer << 32 | node`; [`NO_ENTRY`] while there is no node.
    entry: AtomicU64,
    /// One more than the greatest slot inserted.
    reach: AtomicUsize,
    /// Nodes inserted and not removed.
    pub(super) live: AtomicUsize,
    /// Whether some were removed.
    pub(super) has_removed: AtomicBool,
    pub(super) stripes: Stripes,
    /// Inserts share it, a repair has it alone: it rebuilds the spanning tree, which inserts extend.
    pub(super) structure: RwLock<()>,
    /// Held while a node that is first, or higher than all others, becomes the entry.
    pub(super) summit: Mutex<()>,
    pub(super) scratch: ScratchPool,
}

/// Nodes above the base, in order of arrival. A record: slot, node of the layer below, links.
#[derive(Debug)]
pub(super) struct UpperLayer {
    pub(super) records: LinkArena,
    pub(super) len: AtomicU32,
}

const NO_ENTRY: u64 = u64::MAX;

/// Words of a record before its links.
pub(super) const BASE_HEAD: usize = 1;
pub(super) const UPPER_HEAD: usize = 2;

/// States of a base record.
pub(super) const ABSENT: u32 = 0;
pub(super) const LIVE: u32 = 1;
/// Repaired around: nothing links to it, its own links lead on.
pub(super) const REMOVED: u32 = 2;

impl GrowingGraph {
    /// A graph without nodes. The seed decides the layers of each slot.
    pub(crate) fn new(options: GraphOptions, seed: u64) -> Self {
        let shape = Shape::new(options);
        Self {
            shape,
            seed,
            base: LinkArena::new(BASE_HEAD + shape.capacity),
            upper: std::array::from_fn(|_| UpperLayer {
                records: LinkArena::new(UPPER_HEAD + shape.upper_capacity),
                len: AtomicU32::new(0),
            }),
            entry: AtomicU64::new(NO_ENTRY),
            reach: AtomicUsize::new(0),
            live: AtomicUsize::new(0),
            has_removed: AtomicBool::new(false),
            stripes: Stripes::new(),
            structure: RwLock::new(()),
            summit: Mutex::new(()),
            scratch: ScratchPool::default(),
        }
    }

    /// Nodes inserted and not removed by a repair.
    pub(crate) fn len(&self) -> usize {
        self.live.load(Ordering::Acquire)
    }

    /// Whether a slot is a node that was not removed.
    pub(crate) fn contains(&self, slot: Slot) -> bool {
        self.state(slot.0) == LIVE
    }

    /// Finds candidates near a query. `scorer` must know every row that was inserted before the call.
    pub(crate) fn search(&self, scorer: &dyn Scorer, request: &WalkRequest<'_>) -> Walk {
        self.scratch.with(|scratch| search(self, scorer, request, scratch))
    }

    /// Bytes of memory that the lists take.
    pub(crate) fn bytes(&self) -> usize {
        let base = self.reach() * (BASE_HEAD + self.shape.capacity);
        let upper: usize = self.upper.iter().map(|layer| layer.len.load(Ordering::Relaxed) as usize).sum();
        (base + upper * (UPPER_HEAD + self.shape.upper_capacity)) * size_of::<u32>()
    }

    /// Slots below this may be nodes.
    pub(crate) fn reach(&self) -> usize {
        self.reach.load(Ordering::Acquire)
    }

    /// Makes searches that begin from now on expect a slot.
    pub(super) fn reach_to(&self, slot: Slot) {
        self.reach.fetch_max(slot.index() + 1, Ordering::AcqRel);
    }

    pub(super) fn set_entry(&self, entry: Entry) {
        self.entry.store((entry.layer as u64) << 32 | u64::from(entry.node), Ordering::Release);
    }

    /// The links of a base node.
    pub(super) fn list(&self, node: u32) -> &[AtomicU32] {
        self.base.get(node as usize).get(BASE_HEAD..).unwrap_or_default()
    }

    pub(super) fn state(&self, node: u32) -> u32 {
        self.base.get(node as usize).first().map_or(ABSENT, |state| state.load(Ordering::Acquire))
    }

    /// The highest layer of a slot: one in `32` of each layer's nodes are on the next, by a hash of the slot,
    /// so that the layers do not depend on the order in which threads insert.
    pub(super) fn layer_of(&self, slot: Slot) -> usize {
        layer_of(self.seed, slot)
    }
}

pub(super) fn layer_of(seed: u64, slot: Slot) -> usize {
    let hash = split_mix(seed ^ split_mix(u64::from(slot.0)));
    ((hash.trailing_zeros() / 5) as usize).min(LAYERS_MAX)
}

impl Layers for GrowingGraph {
    fn entry(&self) -> Option<Entry> {
        let packed = self.entry.load(Ordering::Acquire);
        (packed != NO_ENTRY).then_some(Entry { layer: (packed >> 32) as usize, node: packed as u32 })
    }

    fn base(&self) -> impl Layer {
        GrowingBase { graph: self, limit: self.reach() }
    }

    fn upper(&self, layer: usize) -> impl Layer {
        let layer = &self.upper[layer - 1];
        GrowingUpper { records: &layer.records, limit: layer.len.load(Ordering::Acquire) as usize }
    }

    #[inline]
    fn is_live(&self, slot: Slot) -> bool {
        // Whatever is linked to was live, and is unless some were removed: the state lies on a cache line of its own,
        // which is worth not to be asked for.
        !self.has_removed.load(Ordering::Acquire) || self.contains(slot)
    }

    #[inline]
    fn are_live(&self) -> bool {
        !self.has_removed.load(Ordering::Acquire)
    }

    fn below(&self, layer: usize, node: u32) -> u32 {
        self.upper[layer - 1].records.get(node as usize)[1].load(Ordering::Acquire)
    }
}

struct GrowingBase<'a> {
    graph: &'a GrowingGraph,
    limit: usize,
}

impl Layer for GrowingBase<'_> {
    fn limit(&self) -> usize {
        self.limit
    }
    #[inline]
    fn slot(&self, node: u32) -> Slot {
        Slot(node)
    }
    #[inline]
    fn links(&self, node: u32) -> impl Iterator<Item = u32> {
        nodes(self.graph.list(node))
    }
    #[inline]
    fn prefetch(&self, node: u32) {
        ragstone_kernels::prefetch(self.graph.base.get(node as usize));
    }
}

struct GrowingUpper<'a> {
    records: &'a LinkArena,
    limit: usize,
}

impl Layer for GrowingUpper<'_> {
    fn limit(&self) -> usize {
        self.limit
    }
    #[inline]
    fn slot(&self, node: u32) -> Slot {
        Slot(self.records.get(node as usize)[0].load(Ordering::Acquire))
    }
    #[inline]
    fn links(&self, node: u32) -> impl Iterator<Item = u32> {
        nodes(&self.records.get(node as usize)[UPPER_HEAD..])
    }
    #[inline]
    fn prefetch(&self, node: u32) {
        ragstone_kernels::prefetch(self.records.get(node as usize));
    }
}
