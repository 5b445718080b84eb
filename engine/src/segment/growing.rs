//! The segment that takes writes: rows in memory, appended while others read.
//!
//! A row gets a slot in two places at once: the vector in [`GrowingRows`], id and payload in an [`AppendVec`]. Nobody sees
//! it until a view is published that counts it. A row without a vector has zeros in its place, is no node, and is kept out
//! of every comparison by the view.
//!
//! Rows become nodes of the graph later, in the order of their slots, by a thread of the database: a write waits for the
//! disk, not for neighbours to be found. Up to [`linked`](GrowingSegment::linked) a search walks; what comes after, it
//! compares. A row that died stays a node, which others are reached by, until so many have died that the graph is repaired
//! around them.
//!
//! One thread appends at a time (the collection's apply lock), one links at a time (`linking`); any number read.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::append::AppendVec;
use super::{DeadRows, SegmentView};
use crate::graph::GrowingGraph;
use crate::payload::{FieldId, Value, ValueRef};
use crate::point::PointId;
use crate::schema::Schema;
use crate::signal::Closing;
use crate::threads::{Pools, Work};
use crate::vectors::{GrowingRows, PairEncoding, Rows, Slot};

/// Growing graphs are alike: the layers of a slot are the same in each.
const GRAPH_SEED: u64 = 0x7261_6773_746f_6e65;
/// Deaths below which repairing the graph is not worth its scan of all lists.
const REPAIRS_MIN: usize = 256;
/// Of so many nodes one may have died since the last repair: each repair goes through nearly all lists.
const DEAD_ONE_IN: usize = 5;
/// Stands for a count that is taken back.
const RELEASED: u64 = u64::MAX;
/// Inserts below which threads cost more than they save.
const PARALLEL_INSERTS_MIN: usize = 16;

/// A row without its vector.
#[derive(Debug)]
pub(crate) struct GrowingRow {
    pub(crate) id: PointId,
    /// Sorted by field.
    pub(crate) values: Box<[(FieldId, Value)]>,
}

impl GrowingRow {
    pub(crate) fn value(&self, field: FieldId) -> Option<ValueRef<'_>> {
        let at = self.values.binary_search_by_key(&field, |(field, _)| *field).ok()?;
        Some(self.values[at].1.as_ref())
    }

    /// Roughly what it takes in memory, without the vector.
    fn size_bytes(&self) -> usize {
        let id = if let PointId::Str(text) = &self.id { text.len() } else { 0 };
        let values: usize =
            self.values.iter().map(|(_, value)| size_of_val(value) + 8 + value.size_bytes()).sum();
        size_of::<Self>() + id + values
    }
}

/// Rows that become nodes before others are told of it.
const LINKED_AT_ONCE: usize = 1_024;

/// Rows to become nodes.
struct Next {
    slots: Vec<Slot>,
    /// Where the rows after them begin.
    end: usize,
}

/// A segment in memory.
pub(crate) struct GrowingSegment {
    pub(crate) rows: AppendVec<GrowingRow>,
    pub(crate) vectors: GrowingRows,
    pub(crate) graph: GrowingGraph,
    encoding: Arc<dyn PairEncoding>,
    zeros: Vec<f32>,
    /// Ids and payload.
    row_bytes: AtomicU64,
    /// What of this segment `total_bytes` counts; [`RELEASED`] once it counts it no more.
    counted_bytes: AtomicU64,
    /// Dead nodes when the graph was last repaired.
    repaired: AtomicUsize,
    /// Slots below this are nodes, or never will be: they have no vector, or died before.
    linked: AtomicUsize,
    /// How many rows had died when some of them were last left out of the graph.
    left_out: AtomicUsize,
    /// Held by whoever makes rows nodes or removes some; `true` once that is over.
    linking: Mutex<bool>,
    /// Of every growing segment of the database together.
    total_bytes: Arc<AtomicU64>,
}

impl std::fmt::Debug for GrowingSegment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrowingSegment").field("rows", &self.vectors.len()).finish_non_exhaustive()
    }
}

impl GrowingSegment {
    /// An empty segment; `total_bytes` counts its memory together with that of others.
    pub(crate) fn new(schema: &Schema, encoding: Arc<dyn PairEncoding>, total_bytes: Arc<AtomicU64>) -> Self {
        Self {
            rows: AppendVec::new(),
            vectors: GrowingRows::new(schema.dimension, encoding.codec()),
            graph: GrowingGraph::new(schema.graph, GRAPH_SEED),
            encoding,
            zeros: vec![0.0; schema.dimension],
            row_bytes: AtomicU64::new(0),
            counted_bytes: AtomicU64::new(0),
            repaired: AtomicUsize::new(0),
            linked: AtomicUsize::new(0),
            left_out: AtomicUsize::new(0),
            linking: Mutex::new(false),
            total_bytes,
        }
    }

    /// Appends a row; not yet a node of the graph.
    pub(crate) fn push(&self, row: GrowingRow, vector: Option<&[f32]>) -> Slot {
        self.row_bytes.fetch_add(row.size_bytes() as u64, Ordering::Relaxed);
        let slot = match vector {
            Some(vector) => self.vectors.push(vector),
            None => self.vectors.push_absent(&self.zeros),
        };
        let index = self.rows.push(row);
        debug_assert_eq!(slot.0, index, "one thread appends at a time, so both places agree");
        slot
    }

    /// Rows of a view below this need not be compared by who walks the graph: none of a view that shows rows which the graph
    /// does without, as they died after it.
    pub(crate) fn linked_for(&self, view: &SegmentView) -> u32 {
        // Before what was left out is looked at: whoever sees that rows are linked sees what was left out on the way.
        let linked = self.linked();
        // Rows only ever die, so of two views the one with more dead has all dead of the other.
        if view.dead.count < self.left_out.load(Ordering::Acquire) {
            return 0;
        }
        view.rows.min(linked as u32)
    }

    fn linked(&self) -> usize {
        self.linked.load(Ordering::Acquire)
    }

    /// Makes the next of a view's rows nodes of the graph, a bounded number at a time, and repairs the graph if that is
    /// due. Says whether there are more.
    pub(crate) fn link_some(&self, view: &SegmentView, pools: &Pools) -> bool {
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
        self.repair_if_decayed(&view.dead, pools);
        self.count_memory();
        next.end < view.rows as usize
    }

    /// Makes all of a frozen segment's rows nodes with every thread of the current rayon pool, and takes no more from then
    /// on, as its graph is on its way into a file. Once `stop` is set it leaves out the rest.
    pub(crate) fn link_rest(&self, view: &SegmentView, stop: Closing<'_>) {
        *self.linking.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.leave_out(&view.dead);
        while self.linked() < view.rows as usize {
            let next = self.next(view);
            self.insert_all(&next, stop);
            if stop.is_set() {
                return;
            }
            self.linked.store(next.end, Ordering::Release);
        }
    }

    /// The rows to become nodes next.
    fn next(&self, view: &SegmentView) -> Next {
        let from = self.linked();
        let end = (view.rows as usize).min(from + LINKED_AT_ONCE).max(from);
        let is_node = |slot: &u32| view.has_vector(*slot) && !view.dead.contains(*slot);
        if (from as u32..end as u32).any(|slot| view.dead.contains(slot)) {
            self.leave_out(&view.dead);
        }
        Next { slots: (from as u32..end as u32).filter(is_node).map(Slot).collect(), end }
    }

    /// Has views that show some of these rows compare instead of walking.
    fn leave_out(&self, dead: &DeadRows) {
        self.left_out.fetch_max(dead.count, Ordering::AcqRel);
    }

    fn insert_all(&self, next: &Next, stop: Closing<'_>) {
        self.graph.insert_all(&next.slots, &*self.encoding.pair_scorer(&self.vectors), stop);
    }

    /// Takes dead nodes out of the graph when they have become many.
    fn repair_if_decayed(&self, dead: &DeadRows, pools: &Pools) {
        let newly_dead = dead.vectors.saturating_sub(self.repaired.load(Ordering::Relaxed));
        if newly_dead >= REPAIRS_MIN.max(self.graph.len() / DEAD_ONE_IN) {
            self.leave_out(dead);
            let pairs = self.encoding.pair_scorer(&self.vectors);
            // Without threads it is put off: the dead are passed over anyway, and it only gets slower.
            if with_threads(pools, || self.graph.repair(&dead.bits, &*pairs)) {
                self.repaired.store(dead.vectors, Ordering::Relaxed);
            }
        }
    }

    /// Memory of ids, payload, vectors and graph.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.row_bytes.load(Ordering::Relaxed) + (self.vectors.bytes() + self.graph.bytes()) as u64
    }

    /// Brings the common count up to what the segment takes now. Of two threads at once one is enough: the other's rows are
    /// counted next time.
    pub(crate) fn count_memory(&self) {
        let (before, now) = (self.counted_bytes.load(Ordering::Relaxed), self.size_bytes());
        let exchanged = before != RELEASED
            && self.counted_bytes.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if exchanged {
            self.total_bytes.fetch_add(now.saturating_sub(before), Ordering::Relaxed);
        }
    }

    /// Counts its memory no longer: it is sealed or deleted, and lives only as long as views show it.
    pub(crate) fn release(&self) {
        let counted = self.counted_bytes.swap(RELEASED, Ordering::Relaxed);
        if counted != RELEASED {
            self.total_bytes.fetch_sub(counted, Ordering::Relaxed);
        }
    }
}

/// Does work on a graph with the threads that link; whether it was done, which it is not if the system has none to give.
fn with_threads<T: Send>(pools: &Pools, work: impl FnOnce() -> T + Send) -> bool {
    let done = pools.run(Work::Link, work);
    done.inspect_err(|error| tracing::warn!(%error, "rows become nodes without help")).is_ok()
}

/// A write that was on its way when its collection was deleted makes a segment that nobody seals or deletes.
impl Drop for GrowingSegment {
    fn drop(&mut self) {
        self.release();
    }
}
