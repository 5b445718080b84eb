//! A dense vector of a growing segment: its rows, their codes, and the graph over them.
//!
//! A row that lacks the vector has zeros in its place, is no node, and is kept out of every comparison by the view. So slots are
//! nodes here.
//!
//! Rows become nodes later, in the order of their slots, by a thread of the database: a write waits for the
//! disk, not for neighbours to be found. Up to [`linked`](GrowingDense::linked) a search walks; what comes after, it
//! compares. A row that died stays a node, which others are reached by, until so many have died that the graph is repaired
//! around them.
//!
//! One thread links at a time (`linking`); any number read.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::graph::GrowingGraph;
use crate::schema::{DenseOptions, VectorId};
use crate::segment::DenseView;
use crate::signal::Closing;
use crate::threads::{Pools, Work};
use crate::vectors::{Encodings, GrowingRows, PairEncoding, Rows, Slot};

/// Growing graphs are alike: the layers of a slot are the same in each.
const GRAPH_SEED: u64 = 0x7261_6773_746f_6e65;
/// Deaths below which repairing the graph is not worth its scan of all lists.
const REPAIRS_MIN: usize = 256;
/// Of so many nodes one may have died since the last repair: each repair goes through nearly all lists.
const DEAD_ONE_IN: usize = 5;
/// Inserts below which threads cost more than they save.
const PARALLEL_INSERTS_MIN: usize = 16;
/// Rows that become nodes before others are told of it.
const LINKED_AT_ONCE: usize = 1_024;

/// Rows to become nodes.
struct Next {
    slots: Vec<Slot>,
    /// Where the rows after them begin.
    end: usize,
}

/// A dense vector of the rows of a segment in memory.
pub(crate) struct GrowingDense {
    /// Of the vector.
    pub(crate) number: VectorId,
    pub(crate) vectors: GrowingRows,
    pub(crate) graph: GrowingGraph,
    encoding: Arc<dyn PairEncoding>,
    zeros: Vec<f32>,
    /// Dead nodes when the graph was last repaired.
    repaired: AtomicUsize,
    /// Slots below this are nodes, or never will be: they have no vector, or died before.
    linked: AtomicUsize,
    /// How many rows had died when some of them were last left out of the graph.
    left_out: AtomicUsize,
    /// Held by whoever makes rows nodes or removes some; `true` once that is over.
    linking: Mutex<bool>,
}

impl GrowingDense {
    pub(super) fn new(number: VectorId, options: &DenseOptions, encodings: &Encodings) -> Self {
        let encoding = encodings.growing.clone();
        Self {
            number,
            vectors: GrowingRows::new(options.dimension, encoding.codec()),
            graph: GrowingGraph::new(options.graph, GRAPH_SEED),
            encoding,
            zeros: vec![0.0; options.dimension],
            repaired: AtomicUsize::new(0),
            linked: AtomicUsize::new(0),
            left_out: AtomicUsize::new(0),
            linking: Mutex::new(false),
        }
    }

    /// Appends the vector of a row, or none; not yet a node of the graph.
    pub(super) fn push(&self, vector: Option<&[f32]>) -> Slot {
        match vector {
            Some(vector) => self.vectors.push(vector),
            None => self.vectors.push_absent(&self.zeros),
        }
    }

    /// Rows of a view below this need not be compared by who walks the graph: none of a view that shows rows which the graph
    /// does without, as they died after it.
    pub(crate) fn linked_for(&self, view: &DenseView<'_>) -> u32 {
        // Before what was left out is looked at: whoever sees that rows are linked sees what was left out on the way.
        let linked = self.linked();
        // Rows only ever die, so of two views the one with more dead has all dead of the other.
        if view.segment.dead.count - view.segment.expired < self.left_out.load(Ordering::Acquire) {
            return 0;
        }
        view.segment.rows.min(linked as u32)
    }

    fn linked(&self) -> usize {
        self.linked.load(Ordering::Acquire)
    }

    /// Makes the next of a view's rows nodes of the graph, a bounded number at a time, and repairs the graph if that is
    /// due. Says whether there are more.
    pub(super) fn link_some(&self, view: &DenseView<'_>, pools: &Pools) -> bool {
        let is_over = self.linking.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_over {
            return false;
        }
        let next = self.next(view);
        // A caller that is a thread of someone's pool has work for the other threads already.
        let is_shared = next.slots.len() >= PARALLEL_INSERTS_MIN && rayon::current_thread_index().is_none();
        if !is_shared || !with_threads(pools, || self.insert_all(&next, Closing::NEVER)) {
            let pairs = self.encoding.pair_scorer(&self.vectors);
            next.slots.iter().for_each(|slot| self.graph.insert(*slot, &*pairs));
        }
        self.linked.store(next.end, Ordering::Release);
        self.repair_if_decayed(view, pools);
        next.end < view.segment.rows as usize
    }

    /// Makes all of a frozen segment's rows nodes with every thread of the current rayon pool, and takes no more from then
    /// on, as its graph is on its way into a file. Once `stop` is set it leaves out the rest.
    pub(in crate::segment) fn link_rest(&self, view: &DenseView<'_>, stop: Closing<'_>) {
        *self.linking.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.leave_out(view);
        while self.linked() < view.segment.rows as usize {
            let next = self.next(view);
            self.insert_all(&next, stop);
            if stop.is_set() {
                return;
            }
            self.linked.store(next.end, Ordering::Release);
        }
    }

    /// The rows to become nodes next.
    fn next(&self, view: &DenseView<'_>) -> Next {
        let from = self.linked();
        let end = (view.segment.rows as usize).min(from + LINKED_AT_ONCE).max(from);
        let is_node = |slot: &u32| view.has(*slot) && !view.segment.dead.contains(*slot);
        if (from as u32..end as u32).any(|slot| view.segment.dead.contains(slot)) {
            self.leave_out(view);
        }
        Next { slots: (from as u32..end as u32).filter(is_node).map(Slot).collect(), end }
    }

    /// Has views that show some of these rows compare instead of walking.
    fn leave_out(&self, view: &DenseView<'_>) {
        self.left_out.fetch_max(view.segment.dead.count, Ordering::AcqRel);
    }

    fn insert_all(&self, next: &Next, stop: Closing<'_>) {
        self.graph.insert_all(&next.slots, &*self.encoding.pair_scorer(&self.vectors), stop);
    }

    /// Takes dead nodes out of the graph when they have become many.
    fn repair_if_decayed(&self, view: &DenseView<'_>, pools: &Pools) {
        let newly_dead = view.dead().saturating_sub(self.repaired.load(Ordering::Relaxed));
        if newly_dead >= REPAIRS_MIN.max(self.graph.len() / DEAD_ONE_IN) {
            self.leave_out(view);
            let pairs = self.encoding.pair_scorer(&self.vectors);
            // Without threads it is put off: the dead are passed over anyway, and it only gets slower.
            if with_threads(pools, || self.graph.repair(&view.segment.dead.bits, &*pairs)) {
                self.repaired.store(view.dead(), Ordering::Relaxed);
            }
        }
    }

    /// Memory of vectors and graph.
    pub(super) fn size_bytes(&self) -> usize {
        self.vectors.bytes() + self.graph.bytes()
    }
}

impl std::fmt::Debug for GrowingDense {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrowingDense").field("rows", &self.vectors.len()).finish_non_exhaustive()
    }
}

/// Does work on a graph with the threads that link; whether it was done, which it is not if the system has none to give.
fn with_threads<T: Send>(pools: &Pools, work: impl FnOnce() -> T + Send) -> bool {
    let done = pools.run(Work::Link, work);
    done.inspect_err(|error| tracing::warn!(%error, "rows become nodes without help")).is_ok()
}
