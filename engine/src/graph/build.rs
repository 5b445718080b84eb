//! Building the graph of rows that are all there: for a seal or a merge.
//!
//! The rows are inserted into a growing graph, the first few by one thread (there is no graph yet to be found
//! by), the rest by every thread of the current rayon pool; what came of it is sealed. Where a growing graph
//! of the same rows is at hand, sealing that ([`GrowingGraph::seal_as`]) saves the inserts.

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::Resumed;
use super::growing::GrowingGraph;
use crate::random::scattered;
use crate::schema::GraphOptions;
use crate::signal::Closing;
use crate::vectors::{PairScorer, Slot};

/// Nodes of a graph before several threads insert at once: until then there is too little to be found by.
const SERIAL: usize = 256;
/// Nodes that a thread takes at a time.
const TAKEN: usize = 16;

/// What to build a graph of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BuildRequest<'a> {
    /// Rows, all of which become nodes.
    pub(crate) rows: usize,
    /// The shape.
    pub(crate) options: GraphOptions,
    /// Decides the layers of each slot.
    pub(crate) seed: u64,
    /// Ends the work when it is set: millions of rows take minutes, and nobody may want them any more.
    pub(crate) stop: Closing<'a>,
}

/// A graph that is ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BuiltGraph {
    pub(super) words: Vec<u32>,
}

impl BuiltGraph {
    /// The bytes, in the layout of [`SealedGraph`](super::SealedGraph).
    pub(crate) fn as_bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.words)
    }
}

/// Builds a graph with every thread of the current rayon pool. `pairs` knows all rows. `None` if it was stopped.
pub(crate) fn build(request: &BuildRequest<'_>, pairs: &dyn PairScorer) -> Option<BuiltGraph> {
    let graph = GrowingGraph::new(request.options, request.seed);
    let slots: Vec<Slot> = (0..request.rows as u32).map(Slot).collect();
    // Near rows come together, and of a graph to which one region after the other is added the early links are long where they need not be.
    let in_no_order: Vec<Slot> = scattered(0..request.rows as u32).into_iter().map(Slot).collect();
    graph.insert_all(&in_no_order, pairs, request.stop);
    finish(&graph, &slots, pairs, request.stop)
}

fn finish(
    graph: &GrowingGraph,
    slots: &[Slot],
    pairs: &dyn PairScorer,
    stop: Closing<'_>,
) -> Option<BuiltGraph> {
    // What was stopped lacks rows.
    (!stop.is_set()).then(|| graph.seal(slots, pairs))
}

/// The same on the graph that some of the rows have already.
pub(crate) fn build_on(
    request: &BuildRequest<'_>,
    resumed: Resumed<'_>,
    pairs: &dyn PairScorer,
) -> Option<BuiltGraph> {
    let graph = GrowingGraph::resume(request, resumed, pairs);
    let slots: Vec<Slot> = (0..request.rows as u32).map(Slot).collect();
    let missing: Vec<Slot> = slots.iter().copied().filter(|slot| !graph.contains(*slot)).collect();
    graph.insert_all(&missing, pairs, request.stop);
    finish(&graph, &slots, pairs, request.stop)
}

impl GrowingGraph {
    /// Inserts many slots, in order, with every thread of the current rayon pool; see [`insert`](Self::insert). Once `stop`
    /// is set, it leaves out the rest.
    pub(crate) fn insert_all(&self, slots: &[Slot], pairs: &dyn PairScorer, stop: Closing<'_>) {
        let (first, rest) = slots.split_at(slots.len().min(SERIAL.saturating_sub(self.len())));
        first.iter().for_each(|slot| self.insert(*slot, pairs));
        let next = AtomicUsize::new(0);
        let threads = rayon::current_num_threads().min(rest.len().div_ceil(TAKEN));
        (0..threads).into_par_iter().for_each(|_| {
            // A few at a time, so that all threads work at the same end of the slots.
            while let Some(taken) = rest.get(next.fetch_add(TAKEN, Ordering::Relaxed)..) {
                if taken.is_empty() || stop.is_set() {
                    break;
                }
                taken.iter().take(TAKEN).for_each(|slot| self.insert(*slot, pairs));
            }
        });
    }
}
