//! Taking dead nodes out of a growing graph.
//!
//! Until then they route like others and are merely not admitted. But they take places in the lists of the
//! living, and with every one the walk works for fewer results. So, now and then:
//!
//! 1. every node that links to a dead one, *each* of them, chooses its links anew, among its living
//!    neighbours and those that the dead ones led to; new neighbours link back. A dead node that was met
//!    until now, or is from above, leads to living ones too: old searches, and the entry, may stand on it;
//! 2. the spanning tree has lost edges: the parts are found and bound together again, each by an edge to the
//!    nearest node of the largest part that has room.
//!
//! Searches run beside it. Rows are marked as removed before the number of nodes falls, so who sees that number finds none
//! of them. Lists change in place and are never empty on the way: a walk gets on from wherever it stands, also from a dead
//! entry, but it may miss a row whose link moves up in a list while that is read.
//!
//! Upper layers keep their dead: they route, and are few. Every thread of the current rayon pool works on it.
//! When a fifth of the nodes has died that is nearly every list; run it then. Beyond a third, building anew is better.

use std::collections::{HashSet, VecDeque};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use fixedbitset::FixedBitSet;
#[cfg(not(ragstone_loom))]
use rayon::prelude::*;

use super::WalkRequest;
use super::growing::{GrowingGraph, LIVE, REMOVED};
use super::insert::{FromRow, ranked};
use super::links::{Link, links, rewrite};
use super::scratch::Scratch;
use super::select::{Candidate, select};
use super::walk::{Layers, Plan, descend, walk};
use crate::vectors::{PairScorer, Slot};

/// Nodes that are compared when a list is chosen anew, at most.
const COMPARED_MAX: usize = 256;
/// So many times the degree, nearest first, are then chosen among: what lies farther is rarely taken, and choosing is what
/// a repair's time goes into.
const CHOSEN_AMONG: usize = 4;

/// Under loom, which follows no threads but its own, one after the other.
#[cfg(ragstone_loom)]
trait IntoParallelIterator: IntoIterator + Sized {
    fn into_par_iter(self) -> Self::IntoIter {
        self.into_iter()
    }
}

#[cfg(ragstone_loom)]
impl<I: IntoIterator> IntoParallelIterator for I {}

impl GrowingGraph {
    /// Removes the nodes of `dead`; slots that are no nodes are ignored. Searches run on; those that began
    /// before may still find a removed row and miss others, those after find it never, also where a reader's
    /// older view admits it. Returns how many nodes were removed.
    pub(crate) fn repair(&self, dead: &FixedBitSet, pairs: &dyn PairScorer) -> usize {
        let _alone = self.structure.write().unwrap_or_else(PoisonError::into_inner);
        let removed = self.remove(dead);
        if removed.is_clear() {
            return 0;
        }
        // All of them before the first is changed: who reads a list beside its writer may miss a link that moves.
        let broken = self.broken(&removed);
        broken.into_par_iter().for_each(|node| {
            if self.state(node) == LIVE {
                self.scratch.with(|scratch| self.choose_anew(node, pairs, scratch));
            } else {
                self.lead_on(node);
            }
        });
        self.scratch.with(|scratch| self.bind_parts(pairs, scratch));
        removed.count_ones(..)
    }

    /// Marks nodes as removed; returns those that were not.
    pub(super) fn remove(&self, dead: &FixedBitSet) -> FixedBitSet {
        self.has_removed.store(true, Ordering::Release);
        let mut removed = FixedBitSet::with_capacity(self.reach());
        for slot in dead.ones().take_while(|slot| *slot < self.reach()) {
            if self.state(slot as u32) == LIVE {
                self.base.get(slot)[0].store(REMOVED, Ordering::Release);
                removed.insert(slot);
            }
        }
        self.live.fetch_sub(removed.count_ones(..), Ordering::AcqRel);
        removed
    }

    /// The nodes that link to removed ones. Of those removed before, only where a walk begins or comes down: none is met
    /// elsewhere.
    pub(super) fn broken(&self, removed: &FixedBitSet) -> Vec<u32> {
        let entry = self.entry().filter(|entry| entry.layer == 0).map(|entry| entry.node);
        let is_met = |node: u32| match self.state(node) {
            LIVE => true,
            REMOVED => {
                removed.contains(node as usize) || self.layer_of(Slot(node)) > 0 || entry == Some(node)
            }
            _ => false,
        };
        let has_lost =
            |node: &u32| is_met(*node) && links(self.list(*node)).any(|link| self.state(link.node) != LIVE);
        (0..self.reach() as u32).into_par_iter().filter(has_lost).collect()
    }

    /// Replaces the links of a removed node by living ones near it. Which of them matters little: a walk at most begins
    /// here.
    fn lead_on(&self, node: u32) {
        let near = self.living_near(node).into_iter().take(self.shape.degree);
        let list: Vec<Link> = near.map(|node| Link { node, tree: false }).collect();
        let _lock = self.stripes.lock(0, node);
        rewrite(self.list(node), &list);
    }

    /// Replaces the links of a living node that has lost some.
    pub(super) fn choose_anew(&self, node: u32, pairs: &dyn PairScorer, scratch: &mut Scratch) {
        let old: Vec<Link> = links(self.list(node)).collect();
        let kept = old.iter().copied().filter(|link| self.state(link.node) == LIVE);
        let edge = |slot: u32| old.iter().any(|link| link.tree && link.node == slot);
        let near = self.living_near(node).into_iter().map(|slot| (slot, edge(slot)));
        let candidates = self.choose_among(Slot(node), near, pairs, scratch);
        let mut list: Vec<Link> = kept.clone().filter(|link| link.tree).collect();
        let others = candidates.iter().filter(|candidate| !candidate.tree);
        list.extend(others.map(|candidate| Link { node: candidate.node, tree: false }));
        {
            // Another thread may link this node back meanwhile; a link that it added and that is lost here is one of many.
            let _lock = self.stripes.lock(0, node);
            rewrite(self.list(node), &list);
        }
        for link in list.iter().filter(|link| !kept.clone().any(|old| old.node == link.node)) {
            self.link_back(link.node, Slot(node), pairs, scratch);
        }
    }

    fn living_near(&self, node: u32) -> Vec<u32> {
        living_near(
            node,
            |through| links(self.list(through)).map(|link| link.node),
            |slot| self.state(slot) == LIVE,
        )
    }

    /// Chooses the links of a node among others; with each of them goes whether it is a tree edge.
    pub(super) fn choose_among(
        &self,
        node: Slot,
        near: impl Iterator<Item = (u32, bool)>,
        pairs: &dyn PairScorer,
        scratch: &mut Scratch,
    ) -> Vec<Candidate> {
        let mut candidates = ranked(node, near.map(|(slot, edge)| (Slot(slot), slot, edge)), pairs);
        let mut place = 0;
        candidates.retain(|candidate| {
            place += 1;
            candidate.tree || place <= CHOSEN_AMONG * self.shape.degree
        });
        select(pairs, &mut candidates, self.shape.degree, &mut scratch.select);
        candidates
    }

    /// Makes the tree edges span all living nodes again.
    pub(super) fn bind_parts(&self, pairs: &dyn PairScorer, scratch: &mut Scratch) {
        let mut parts = self.parts();
        // The largest part is the one that the others are bound to: most walks end there.
        let Some(largest) = (0..parts.len()).max_by_key(|part| parts[*part].len()) else {
            return;
        };
        let mut bound = FixedBitSet::with_capacity(self.reach());
        parts.swap(0, largest);
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.bind(part, &bound, parts[0][0], (pairs, scratch));
            }
            bound.extend(part.iter().map(|node| *node as usize));
        }
        self.lead_dead_ends_to(parts[0][0]);
    }

    /// A removed node whose neighbours, and theirs, have all died has nowhere to lead; a walk may still begin
    /// there.
    fn lead_dead_ends_to(&self, node: u32) {
        for removed in (0..self.reach() as u32).filter(|node| self.state(*node) == REMOVED) {
            if links(self.list(removed)).next().is_none() {
                rewrite(self.list(removed), &[Link { node, tree: false }]);
            }
        }
    }

    /// The connected parts of the living under tree edges.
    fn parts(&self) -> Vec<Vec<u32>> {
        let mut seen = FixedBitSet::with_capacity(self.reach());
        let mut parts = Vec::new();
        for first in (0..self.reach() as u32).filter(|node| self.state(*node) == LIVE) {
            if seen.put(first as usize) {
                continue;
            }
            let mut part = vec![first];
            let mut next = 0;
            while let Some(node) = part.get(next).copied() {
                next += 1;
                for link in links(self.list(node)).filter(|link| link.tree) {
                    if !seen.put(link.node as usize) {
                        part.push(link.node);
                    }
                }
            }
            parts.push(part);
        }
        parts
    }

    /// Binds a part to what is bound already. Inserts are kept out, so a node found to have room keeps it.
    fn bind(
        &self,
        part: &[u32],
        bound: &FixedBitSet,
        fallback: u32,
        (pairs, scratch): (&dyn PairScorer, &mut Scratch),
    ) {
        let has_room =
            |node: u32| links(self.list(node)).filter(|link| link.tree).count() < self.shape.tree_edges_max;
        // A finite tree has leaves, which have room.
        let Some(child) = part.iter().copied().find(|node| has_room(*node)) else {
            return;
        };
        let scorer = FromRow { pairs, from: Slot(child) };
        let mut parent = None;
        if let Some(entry) = self.entry() {
            let (start, _) = descend(self, &scorer, (entry, 0), scratch);
            let admits = |slot: Slot| bound.contains(slot.index()) && has_room(slot.0);
            let request = WalkRequest { distances_max: 4096, ..WalkRequest::new(16) };
            let plan = Plan { start, admits, admits_all: false, request };
            walk(&self.base(), &scorer, &plan, scratch);
            parent = scratch.pool.admitted().next().map(|(_, node)| node);
        }
        let parent = parent.or_else(|| bound.ones().map(|slot| slot as u32).find(|node| has_room(*node)));
        let parent = parent.unwrap_or(fallback);
        self.adopt(parent, Slot(child), pairs, scratch);
        self.adopt(child, Slot(parent), pairs, scratch);
    }
}

/// The living among a node's neighbours, and those that its dead neighbours lead to, through other dead ones if need be;
/// about [`COMPARED_MAX`], nearest by links first.
pub(super) fn living_near<I: Iterator<Item = u32>>(
    node: u32,
    links_of: impl Fn(u32) -> I,
    is_live: impl Fn(u32) -> bool,
) -> Vec<u32> {
    let (mut living, mut seen) = (Vec::new(), HashSet::from([node]));
    let mut waiting = VecDeque::from([node]);
    while let Some(through) = waiting.pop_front() {
        for link in links_of(through) {
            if !seen.insert(link) {
                continue;
            }
            if is_live(link) {
                living.push(link);
            } else {
                waiting.push_back(link);
            }
        }
        if living.len() >= COMPARED_MAX {
            break;
        }
    }
    living
}
