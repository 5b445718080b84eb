//! What a walk needs and the next one can use again: memory proportional to the graph, never cleared.

use std::sync::{Mutex, PoisonError};

use super::pool::Pool;
use super::select::SelectScratch;
use crate::vectors::Slot;

/// Which nodes a walk has seen: a byte each that holds the number of the walk. A new walk takes the next
/// number, so that nothing is cleared but once in 255 walks, and the set of 60,000 nodes stays in the
/// second-level cache.
#[derive(Debug, Default)]
pub(super) struct Visited {
    tags: Vec<u8>,
    epoch: u8,
    limit: usize,
}

impl Visited {
    /// Starts a walk over nodes below `limit`.
    pub(super) fn begin(&mut self, limit: usize) {
        self.limit = limit;
        if self.tags.len() < limit {
            // Room to spare, so that a growing graph does not grow this for every insert.
            self.tags.resize(limit.next_power_of_two().max(1024), 0);
        }
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.tags.fill(0);
            self.epoch = 1;
        }
    }

    /// Marks a node; whether it was new. Nodes that came after the walk began count as seen.
    #[inline]
    pub(super) fn insert(&mut self, node: u32) -> bool {
        match self.tags[..self.limit].get_mut(node as usize) {
            Some(tag) => std::mem::replace(tag, self.epoch) != self.epoch,
            None => false,
        }
    }
}

/// The working memory of one walk or insert at a time.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) visited: Visited,
    pub(super) pool: Pool,
    /// The batch: unvisited neighbours, their rows, their distances.
    pub(super) nodes: Vec<u32>,
    pub(super) slots: Vec<Slot>,
    pub(super) distances: Vec<f32>,
    pub(super) select: SelectScratch,
}

/// Scratches that wait for the next walk: as many as walks were ever under way at once.
#[derive(Debug, Default)]
pub(super) struct ScratchPool {
    /// Held for a push or a pop.
    free: Mutex<Vec<Scratch>>,
}

impl ScratchPool {
    /// Runs `work` with a scratch of its own.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut Scratch) -> R) -> R {
        let free = || self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = free().pop();
        let mut scratch = taken.unwrap_or_default();
        let result = work(&mut scratch);
        free().push(scratch);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_walk_has_seen_nothing_across_every_epoch() {
        let mut visited = Visited::default();
        for round in 0..600 {
            visited.begin(10 + round);
            assert!(visited.insert(3), "round {round}");
            assert!(!visited.insert(3));
            assert!(visited.insert(9));
            assert!(!visited.insert(10 + round as u32), "beyond the limit");
        }
    }
}
