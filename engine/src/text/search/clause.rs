//! A clause while its list is searched: what it can contribute in each window, and its rows there.
//!
//! A list with fewer blocks than there are windows is read whole: its blocks would be read again in each window that they
//! span, and the bounds are the true ones then. Of a longer list blocks are read when they are wanted.
//!
//! Slots are checked here: those that a search gets are ascending and of rows that there are, whatever the bytes say.

use super::weighing::weigh;
use super::window::{Admitted, WINDOW, WINDOW_BITS};
use super::{Score, Weighing};
use crate::text::index::{BLOCK, Block, Postings};

/// A term's list and what it is worth.
#[derive(Clone, Copy, Debug)]
pub(in crate::text) struct Clause<'a, W> {
    pub(in crate::text) postings: Postings<'a>,
    pub(in crate::text) weighing: W,
}

/// A clause that is searched.
#[derive(Debug)]
pub(super) struct Searched<'a, W: Weighing> {
    clause: Clause<'a, W>,
    /// What it contributes to a row of each window at most.
    pub(super) bounds: Vec<W::Score>,
    /// Where each window begins, and the end: of a whole list the row, of blocks the first one that may reach into it.
    starts: Vec<u32>,
    is_whole: bool,
    /// The whole list, or the block that was read last.
    slots: Vec<u32>,
    scores: Vec<W::Score>,
    block: Box<Block>,
    at: usize,
    /// Postings that were read.
    pub(super) read: u64,
}

impl<'a, W: Weighing> Searched<'a, W> {
    pub(super) fn new(clause: Clause<'a, W>, rows: u32) -> Self {
        let windows = (rows as usize).div_ceil(WINDOW);
        let mut searched = Self {
            is_whole: clause.postings.blocks() <= windows.max(1),
            clause,
            bounds: vec![W::Score::ZERO; windows],
            starts: Vec::with_capacity(windows + 1),
            slots: Vec::new(),
            scores: Vec::new(),
            block: Box::new(Block::new()),
            at: usize::MAX,
            read: 0,
        };
        if searched.is_whole {
            searched.read_whole(rows)
        } else {
            searched.bound_blocks()
        }
        searched
    }

    /// A clause that is asked for rows only.
    pub(super) fn picked(clause: Clause<'a, W>) -> Self {
        let (bounds, starts, block) = (Vec::new(), Vec::new(), Box::new(Block::new()));
        Self {
            clause,
            bounds,
            starts,
            is_whole: false,
            slots: Vec::new(),
            scores: Vec::new(),
            block,
            at: usize::MAX,
            read: 0,
        }
    }

    fn read_whole(&mut self, rows: u32) {
        let Clause { postings, weighing } = &self.clause;
        self.slots.reserve(postings.len());
        self.scores.reserve(postings.len());
        for at in 0..postings.blocks() {
            weigh(weighing, postings, at, &mut self.block, &mut self.scores);
            self.slots.extend_from_slice(self.block.slots());
        }
        self.read = self.slots.len() as u64;
        let is_right = |pair: &[u32]| pair[0] < pair[1];
        let right =
            self.slots.windows(2).position(|pair| !is_right(pair)).map_or(self.slots.len(), |at| at + 1);
        let right = right.min(self.slots[..right].partition_point(|slot| *slot < rows));
        self.slots.truncate(right);
        self.scores.truncate(right);
        for (at, (slot, score)) in (0..).zip(self.slots.iter().zip(&self.scores)) {
            let window = *slot as usize >> WINDOW_BITS;
            if self.starts.len() <= window {
                self.starts.resize(window + 1, at);
            }
            let bound = &mut self.bounds[window];
            if *score > *bound {
                *bound = *score;
            }
        }
        self.starts.resize(self.bounds.len() + 1, right as u32);
    }

    fn bound_blocks(&mut self) {
        let Clause { postings, weighing } = &self.clause;
        let windows = self.bounds.len();
        let mut from = 0;
        for at in 0..postings.blocks() {
            let Some(bound) = weighing.bound(postings, at) else { continue };
            let last = (postings.last(at) as usize >> WINDOW_BITS).min(windows - 1);
            // Where the block before ended, this one begins, or behind it.
            let to = last.max(from);
            for window in from..=to {
                if bound > self.bounds[window] {
                    self.bounds[window] = bound;
                }
            }
            self.starts.resize(self.starts.len().max(to + 1), at as u32);
            from = to;
        }
        self.starts.resize(windows + 1, postings.blocks() as u32);
    }

    /// How many rows of a window it has; of a list in blocks roughly.
    pub(super) fn rows_in(&self, window: usize) -> usize {
        let (start, end) = (self.starts[window] as usize, self.starts[window + 1] as usize);
        if self.is_whole {
            return end - start;
        }
        (end - start + 1).min(self.clause.postings.blocks() - start.min(self.clause.postings.blocks()))
            * BLOCK
    }

    /// Calls `add` with the slots and scores of the rows in a window, in one or several calls. Blocks whose bound is below `least`
    /// are left out.
    pub(super) fn each_in(
        &mut self,
        window: usize,
        least: Option<W::Score>,
        mut add: impl FnMut(&[u32], &[W::Score]),
    ) {
        let start = self.starts[window] as usize;
        if self.is_whole {
            let end = self.starts[window + 1] as usize;
            return add(&self.slots[start..end], &self.scores[start..end]);
        }
        let first = (window << WINDOW_BITS) as u32;
        let end = first.saturating_add(WINDOW as u32);
        for at in start..self.clause.postings.blocks() {
            let is_low = least.is_some_and(|least| {
                self.clause.weighing.bound(&self.clause.postings, at).is_some_and(|bound| bound < least)
            });
            if !is_low {
                self.load(at);
                let from = self.slots.partition_point(|slot| *slot < first);
                let to = self.slots.partition_point(|slot| *slot < end).max(from);
                add(&self.slots[from..to], &self.scores[from..to]);
            }
            if self.clause.postings.last(at) >= end - 1 {
                return;
            }
        }
    }

    /// A score that `k` of the rows have or exceed, if their list was read whole.
    pub(super) fn floor(&self, k: usize, admitted: Option<Admitted<'_>>) -> Option<W::Score> {
        if !W::ADDS || !self.is_whole || self.slots.len() < k {
            return None;
        }
        let is_admitted = |slot: &u32| admitted.is_none_or(|admitted| admitted.has(*slot));
        let scores = self.slots.iter().zip(&self.scores).filter(|(slot, _)| is_admitted(slot));
        let mut scores: Vec<W::Score> = scores.map(|(_, score)| *score).collect();
        if scores.len() < k {
            return None;
        }
        let descending = |a: &W::Score, b: &W::Score| b.partial_cmp(a).unwrap_or(std::cmp::Ordering::Equal);
        let (_, floor, _) = scores.select_nth_unstable_by(k - 1, descending);
        Some(*floor)
    }

    /// Calls `add` with the score of each candidate, in ascending order, that the clause has, and what came with it.
    pub(super) fn each_of<T>(
        &mut self,
        candidates: impl Iterator<Item = (u32, T)>,
        mut add: impl FnMut(T, W::Score),
    ) {
        let mut near = 0;
        for (slot, item) in candidates {
            if self.is_whole {
                near += gallop(&self.slots[near..], slot);
            } else {
                near = self.clause.postings.block_of(slot, near);
                if near >= self.clause.postings.blocks() {
                    return;
                }
                self.load(near);
            }
            let at = if self.is_whole { near } else { self.slots.partition_point(|other| *other < slot) };
            if self.slots.get(at) == Some(&slot) {
                add(item, self.scores[at]);
            }
        }
    }

    /// Reads a block, if it was not the last one read.
    fn load(&mut self, at: usize) {
        if self.at != at {
            self.at = at;
            self.scores.clear();
            weigh(&self.clause.weighing, &self.clause.postings, at, &mut self.block, &mut self.scores);
            self.slots.clear();
            self.slots.extend_from_slice(self.block.slots());
            self.read += self.slots.len() as u64;
        }
    }
}

/// How many of ascending slots come before one, which is near the start.
fn gallop(slots: &[u32], slot: u32) -> usize {
    let mut step = 1;
    while step < slots.len() && slots[step] < slot {
        step *= 2;
    }
    let low = step / 2;
    low + slots[low..slots.len().min(step + 1)].partition_point(|other| *other < slot)
}
