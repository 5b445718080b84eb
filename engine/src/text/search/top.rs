//! The best rows so far.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::Score;

/// A row with its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::text) struct Found<S> {
    pub(in crate::text) score: S,
    /// Of its segment in the view.
    pub(in crate::text) segment: usize,
    pub(in crate::text) slot: u32,
}

impl<S: Score> Found<S> {
    /// The better row is less: the greater score, then the lesser place.
    fn rank(&self, other: &Self) -> Ordering {
        let by_score = other.score.partial_cmp(&self.score).unwrap_or(Ordering::Equal);
        by_score.then_with(|| (self.segment, self.slot).cmp(&(other.segment, other.slot)))
    }
}

/// The order of a heap whose greatest is the worst row.
#[derive(Debug)]
struct Worst<S>(Found<S>);

impl<S: Score> PartialEq for Worst<S> {
    fn eq(&self, other: &Self) -> bool {
        self.0.rank(&other.0).is_eq()
    }
}

impl<S: Score> Eq for Worst<S> {}

impl<S: Score> PartialOrd for Worst<S> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<S: Score> Ord for Worst<S> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.rank(&other.0)
    }
}

/// The best `k` of the rows that were pushed.
#[derive(Debug)]
pub(in crate::text) struct Top<S> {
    k: usize,
    /// What the `k`-th row is known to have at least.
    floor: Option<S>,
    heap: BinaryHeap<Worst<S>>,
}

impl<S: Score> Top<S> {
    pub(in crate::text) fn new(k: usize) -> Self {
        Self { k, floor: None, heap: BinaryHeap::new() }
    }

    /// The score that a row must have at least to come in; `None` while every row does.
    #[inline]
    pub(in crate::text) fn least(&self) -> Option<S> {
        let worst = if self.heap.len() < self.k { None } else { self.heap.peek().map(|worst| worst.0.score) };
        match (worst, self.floor) {
            (Some(worst), Some(floor)) if floor > worst => Some(floor),
            (None, floor) => floor,
            (worst, _) => worst,
        }
    }

    pub(super) fn k(&self) -> usize {
        self.k
    }

    /// Says that at least `k` of the rows to come have a score or exceed it.
    pub(super) fn raise(&mut self, floor: S) {
        if self.floor.is_none_or(|known| floor > known) {
            self.floor = Some(floor);
        }
    }

    pub(in crate::text) fn push(&mut self, found: Found<S>) {
        if self.heap.len() < self.k {
            self.heap.push(Worst(found));
        } else if let Some(mut worst) = self.heap.peek_mut()
            && found.rank(&worst.0).is_lt()
        {
            *worst = Worst(found);
        }
    }

    /// The rows, best first.
    pub(in crate::text) fn into_sorted(self) -> Vec<Found<S>> {
        self.heap.into_sorted_vec().into_iter().map(|worst| worst.0).collect()
    }
}
