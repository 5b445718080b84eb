//! The pool of a walk: the nearest nodes seen, nearest first, in one sorted array.
//!
//! It stands for the two heaps of the paper. The array holds the `width` nearest *admitted* nodes and, among
//! them, the nodes that are not admitted but nearer than the farthest of those: they are expanded like the
//! others and returned never. So a walk under a filter explores exactly as far as one without until `width`
//! admitted nodes are found.

use crate::vectors::Slot;

const EXPANDED: u32 = 1 << 31;
const REFUSED: u32 = 1 << 30;

#[derive(Clone, Copy, Debug)]
struct Entry {
    distance: f32,
    /// The node, below 2^30, with the two marks.
    tagged: u32,
}

impl Entry {
    fn node(self) -> u32 {
        self.tagged & !(EXPANDED | REFUSED)
    }
    fn admitted(self) -> bool {
        self.tagged & REFUSED == 0
    }
}

#[derive(Debug, Default)]
pub(super) struct Pool {
    entries: Vec<Entry>,
    width: usize,
    /// Admitted entries.
    admitted: usize,
    /// No entry before this one is unexpanded.
    cursor: usize,
}

impl Pool {
    /// Empties it for a walk that wants `width >= 1` nodes.
    pub(super) fn reset(&mut self, width: usize) {
        self.entries.clear();
        self.width = width.max(1);
        self.admitted = 0;
        self.cursor = 0;
    }

    /// Only nodes nearer than this enter.
    #[inline]
    pub(super) fn bound(&self) -> f32 {
        // With `width` admitted entries the last one is admitted: what lay behind it was dropped.
        match self.entries.last() {
            Some(last) if self.admitted == self.width => last.distance,
            _ => f32::INFINITY,
        }
    }

    /// Takes in a node that was not seen before, if it is near enough; only then asks whether it is admitted.
    #[inline]
    pub(super) fn insert(&mut self, distance: f32, node: u32, admits: impl FnOnce() -> bool) {
        let full = self.admitted == self.width;
        if full && distance >= self.bound() {
            return;
        }
        let admitted = admits();
        let at = self.entries.partition_point(|entry| entry.distance <= distance);
        self.entries.insert(at, Entry { distance, tagged: node | if admitted { 0 } else { REFUSED } });
        self.cursor = self.cursor.min(at);
        if !admitted {
            return;
        }
        if full {
            self.entries.pop();
            while self.entries.last().is_some_and(|entry| !entry.admitted()) {
                self.entries.pop();
            }
        } else {
            self.admitted += 1;
            if self.admitted == self.width {
                while self.entries.last().is_some_and(|entry| !entry.admitted()) {
                    self.entries.pop();
                }
            }
        }
    }

    /// The nearest node not expanded yet, which counts as expanded from now on.
    #[inline]
    pub(super) fn expand_next(&mut self) -> Option<u32> {
        while let Some(entry) = self.entries.get_mut(self.cursor) {
            self.cursor += 1;
            if entry.tagged & EXPANDED == 0 {
                entry.tagged |= EXPANDED;
                return Some(entry.node());
            }
        }
        None
    }

    /// The node that `expand_next` would give.
    #[inline]
    pub(super) fn peek_next(&self) -> Option<u32> {
        self.entries
            .get(self.cursor..)?
            .iter()
            .find(|entry| entry.tagged & EXPANDED == 0)
            .map(|entry| entry.node())
    }

    /// The nearest node, admitted or not.
    pub(super) fn nearest(&self) -> Option<u32> {
        self.entries.first().map(|entry| entry.node())
    }

    /// The admitted nodes, nearest first.
    pub(super) fn admitted(&self) -> impl Iterator<Item = (f32, Slot)> + '_ {
        self.entries.iter().filter(|entry| entry.admitted()).map(|entry| (entry.distance, Slot(entry.node())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against the definition: sort everything, cut behind the `width`-th admitted node.
        #[test]
        fn holds_the_nearest_admitted_and_what_lies_between(
            width in 1_usize..20,
            nodes in prop::collection::vec((0_u32..1000, any::<bool>()), 0..200),
        ) {
            let mut pool = Pool::default();
            pool.reset(width);
            let mut all = Vec::new();
            for (i, (distance, admitted)) in nodes.iter().enumerate() {
                // Distinct distances: among equals the order of arrival decides.
                let distance = *distance as f32 + i as f32 / 1000.0;
                pool.insert(distance, i as u32, || *admitted);
                all.push((distance, i as u32, *admitted));
            }
            all.sort_by(|a, b| a.0.total_cmp(&b.0));
            let wanted: Vec<_> = all.iter().filter(|x| x.2).take(width).map(|x| (x.0, Slot(x.1))).collect();
            prop_assert_eq!(pool.admitted().collect::<Vec<_>>(), wanted.clone());
            let edge = if wanted.len() == width { wanted[width - 1].0 } else { f32::INFINITY };
            let expected: Vec<u32> = all.iter().filter(|x| x.0 <= edge).map(|x| x.1).collect();
            let expanded: Vec<u32> = std::iter::from_fn(|| {
                let peeked = pool.peek_next();
                let next = pool.expand_next();
                assert_eq!(peeked, next);
                next
            }).collect();
            prop_assert_eq!(expanded, expected);
        }
    }
}
