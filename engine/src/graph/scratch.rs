//! What a walk needs and the next one can use again: memory proportional to the graph, never cleared.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use ragstone_kernels::CandidatePool;

use super::select::SelectScratch;
use crate::vectors::Slot;

/// Which nodes a walk has seen: a bit each, so that the set of 60,000 nodes stays in the first-level cache; and the
/// nodes seen, in order, which also say what to clear afterwards.
#[derive(Debug, Default)]
pub(super) struct Visited {
    bits: Vec<u64>,
    limit: u32,
    /// The nodes seen, as far as `len`.
    nodes: Vec<u32>,
    len: usize,
}

impl Visited {
    /// Starts a walk over nodes below `limit`.
    pub(super) fn begin(&mut self, limit: usize) {
        // Whatever touches fewer words.
        if self.len < self.bits.len() / 8 {
            for node in &self.nodes[..self.len] {
                self.bits[*node as usize / 64] = 0;
            }
        } else {
            self.bits.fill(0);
        }
        self.len = 0;
        self.limit = limit as u32;
        if self.bits.len() * 64 < limit {
            // Room to spare, so that a growing graph does not grow this for every insert.
            self.bits.resize(limit.next_power_of_two().max(1024) / 64, 0);
        }
    }

    /// Adds those of some nodes that were not seen; they stand at the returned places. Nodes that came after the walk
    /// began count as seen.
    #[inline]
    pub(super) fn insert_all(&mut self, nodes: impl Iterator<Item = u32>) -> Range<usize> {
        self.insert_those(nodes, |_| true)
    }

    /// The same of those nodes only that are wanted; the others are not seen by this.
    #[inline]
    pub(super) fn insert_those(
        &mut self,
        nodes: impl Iterator<Item = u32>,
        mut is_wanted: impl FnMut(u32) -> bool,
    ) -> Range<usize> {
        let first = self.len;
        // Each step waits for the length that the one before leaves: it is not to go through memory.
        let (mut len, limit, bits) = (first, self.limit, &mut *self.bits);
        for node in nodes {
            if node >= limit {
                continue;
            }
            if self.nodes.len() <= len {
                make_room(&mut self.nodes);
            }
            len = put((bits, &mut self.nodes), len, node, is_wanted(node));
        }
        self.len = len;
        first..len
    }

    /// Adds the nodes of a list to one of two: to the first those that are wanted, to the second all others; each to its own if that has not seen it. Whether
    /// one is wanted is asked once. Nodes that came after the walk of either began are added to neither.
    #[inline]
    pub(super) fn insert_parted(
        [wanted, others]: [&mut Visited; 2],
        nodes: impl Iterator<Item = u32>,
        mut is_wanted: impl FnMut(u32) -> bool,
    ) -> [Range<usize>; 2] {
        let first = [wanted.len, others.len];
        let ([mut len, mut others_len], limit) = (first, wanted.limit.min(others.limit));
        for node in nodes {
            if node >= limit {
                continue;
            }
            if wanted.nodes.len() <= len {
                make_room(&mut wanted.nodes);
            }
            if others.nodes.len() <= others_len {
                make_room(&mut others.nodes);
            }
            let is_wanted = is_wanted(node);
            len = put((&mut wanted.bits, &mut wanted.nodes), len, node, is_wanted);
            others_len = put((&mut others.bits, &mut others.nodes), others_len, node, !is_wanted);
        }
        (wanted.len, others.len) = (len, others_len);
        [first[0]..len, first[1]..others_len]
    }

    /// Makes the nodes seen last unseen, down to a place.
    pub(super) fn forget_from(&mut self, place: usize) {
        for node in &self.nodes[place..self.len] {
            self.bits[*node as usize / 64] &= !(1 << (node % 64));
        }
        self.len = place;
    }

    /// The nodes seen, by their places.
    #[inline]
    pub(super) fn at(&self, places: &Range<usize>) -> &[u32] {
        &self.nodes[places.clone()]
    }
}

/// Puts a node behind the last one if it is wanted and was not seen, and gives the new length. That cannot be predicted, so it is no branch: what
/// is not put there is written over.
#[inline]
fn put((bits, nodes): (&mut [u64], &mut [u32]), len: usize, node: u32, is_wanted: bool) -> usize {
    let (word, bit) = (&mut bits[node as usize / 64], node % 64);
    let is_wanted = u64::from(is_wanted);
    nodes[len] = node;
    let is_new = (is_wanted & !(*word >> bit)) as usize & 1;
    *word |= is_wanted << bit;
    len + is_new
}

#[cold]
fn make_room(nodes: &mut Vec<u32>) {
    nodes.resize(nodes.len() + 1024, 0);
}

/// The working memory of one walk or insert at a time.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) visited: Visited,
    /// Nodes that are not admitted and were passed through, of a walk among admitted ones.
    pub(super) passed: Visited,
    pub(super) pool: CandidatePool,
    pub(super) batches: Batches,
    pub(super) select: SelectScratch,
}

/// What a walk compares now and next.
#[derive(Debug, Default)]
pub(super) struct Batches {
    /// Rows and distances of the batch.
    pub(super) slots: Vec<Slot>,
    /// Rows of the batch after it.
    pub(super) ahead: Vec<Slot>,
    pub(super) distances: Vec<f32>,
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
    fn a_new_walk_has_seen_nothing() {
        let mut visited = Visited::default();
        for round in 0..600_u32 {
            visited.begin(10 + 40 * round as usize);
            let beyond = 10 + 40 * round;
            let first = visited.insert_all([3, 9, 3, beyond, 9].into_iter());
            assert_eq!(visited.at(&first), [3, 9], "round {round}");
            let first = visited.insert_all([9, 0, 3].into_iter());
            assert_eq!(visited.at(&first), [0]);
            let first = visited.insert_those([9, 5, 4, 5, 6, 4].into_iter(), |node| node != 5);
            assert_eq!(visited.at(&first), [4, 6]);
            visited.forget_from(first.start + 1);
            let first = visited.insert_all([4, 5, 6].into_iter());
            assert_eq!(visited.at(&first), [5, 6]);
            // Many nodes, so that both ways of clearing are used.
            visited.insert_all(0..10 + round * 13);
        }
    }

    #[test]
    fn a_list_is_parted_as_two_walks_through_it_would() {
        let lists = [vec![3, 9, 4, 9, 60, 3], vec![], vec![4, 5, 0, 60, 61], (0..5_000).rev().collect()];
        let is_wanted = |node: u32| node % 4 != 1;
        let [mut one, mut two, mut wanted, mut others] = [(); 4].map(|()| Visited::default());
        for limit in [50, 4_000] {
            for visited in [&mut one, &mut two, &mut wanted, &mut others] {
                visited.begin(limit);
            }
            for list in &lists {
                let apart = [
                    one.insert_those(list.iter().copied(), is_wanted),
                    two.insert_those(list.iter().copied(), |node| !is_wanted(node)),
                ];
                let parted =
                    Visited::insert_parted([&mut wanted, &mut others], list.iter().copied(), is_wanted);
                assert_eq!(parted, apart);
                assert_eq!(
                    [wanted.at(&parted[0]), others.at(&parted[1])],
                    [one.at(&apart[0]), two.at(&apart[1])]
                );
            }
        }
    }
}
