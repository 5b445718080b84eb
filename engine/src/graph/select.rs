//! Which candidates become links: near ones that lie in different directions (RobustPrune of DiskANN; with
//! `ALPHA` at one it is the heuristic of the HNSW paper).
//!
//! ```text
//! for each candidate, nearest first:
//!     unless one already chosen lies nearer to it, by the factor ALPHA, than the node does: choose it
//! ```
//! Distances are squared, never negative and symmetric (`PairScorer`), so the factor means the same
//! everywhere. A candidate once chosen is compared in one batch with all that are still in question: the same
//! comparisons as one by one, in a better order.

use crate::vectors::{PairScorer, Slot};

/// How much nearer a chosen link must be to a candidate than the node is to rule it out. Above one, links
/// survive that the paper's rule drops, and walks need fewer steps. Of squared distances.
const ALPHA: f32 = 1.1;

/// A candidate for a link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    /// From the node that links.
    pub(super) distance: f32,
    pub(super) slot: Slot,
    /// What the caller knows the node by: its slot on the base layer, its position above.
    pub(super) node: u32,
    /// A tree edge: chosen in any case.
    pub(super) tree: bool,
}

#[derive(Debug, Default)]
pub(super) struct SelectScratch {
    open: Vec<Candidate>,
    slots: Vec<Slot>,
    distances: Vec<f32>,
}

/// Chooses at most `limit` of `candidates`, which come nearest first, and leaves them there, tree edges in
/// front. There are no more than `limit` tree edges.
pub(super) fn select(
    pairs: &dyn PairScorer,
    candidates: &mut Vec<Candidate>,
    limit: usize,
    scratch: &mut SelectScratch,
) {
    debug_assert!(candidates.is_sorted_by(|a, b| a.distance <= b.distance));
    let SelectScratch { open, slots, distances } = scratch;
    let mut edges = candidates.iter().filter(|candidate| candidate.tree).count();
    open.clear();
    open.append(candidates);
    let mut rest = &mut open[..];
    while let Some((chosen, after)) = rest.split_first_mut() {
        rest = after;
        if candidates.len() + edges >= limit && !chosen.tree {
            // What room there is belongs to tree edges farther away.
            if edges == 0 {
                break;
            }
            continue;
        }
        edges -= usize::from(chosen.tree);
        candidates.push(*chosen);
        slots.clear();
        slots.extend(rest.iter().map(|candidate| candidate.slot));
        distances.resize(slots.len(), 0.0);
        pairs.score(chosen.slot, slots, distances);
        let mut kept = 0;
        for i in 0..rest.len() {
            if rest[i].tree || ALPHA * distances[i] > rest[i].distance {
                rest[kept] = rest[i];
                kept += 1;
            }
        }
        rest = &mut rest[..kept];
    }
    candidates.sort_by_key(|candidate| !candidate.tree);
}
