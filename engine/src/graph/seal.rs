//! From a growing graph to the bytes of a sealed one.
//!
//! 1. Lists are cut to the degree; growing ones may be a little longer.
//! 2. Reachability is proved by following every link from where walks begin.
//! 3. Nodes get their new numbers, and the lists are written in the layout of
//!    [`SealedGraph`](super::SealedGraph).

use std::sync::atomic::Ordering;

use fixedbitset::FixedBitSet;
use rayon::prelude::*;

use super::LAYERS_MAX;
use super::build::BuiltGraph;
use super::growing::{GrowingGraph, LIVE, UPPER_HEAD};
use super::links::{Link, links, nodes, rewrite};
use super::reach;
use super::sealed::{ABSENT_LINK, Header, NO_LINK, UPPER_RECORD_HEAD, VERSION};
use super::walk::{Entry, Layers};
use crate::vectors::{PairScorer, Slot};

/// Of four nodes at most one may have died for the rest to be worth repairing.
const DEAD_ONE_IN: usize = 4;

impl GrowingGraph {
    /// The graph of a sealed segment whose row `i` is the slot `order[i]` of this one. Nodes that `order` leaves
    /// out are dead and removed, with repairs; slots in it that are no nodes stay none: insert those first that
    /// should be. `None` if so many died that it is better to build anew, as [`build`](super::build()) does.
    ///
    /// Nothing is inserted any more, neither now nor later. Searches may run; those of views that still show
    /// the dead find them no more.
    pub(crate) fn seal_as(&self, order: &[Slot], pairs: &dyn PairScorer) -> Option<BuiltGraph> {
        let mut dead = FixedBitSet::with_capacity(self.reach());
        dead.extend((0..self.reach()).filter(|node| self.state(*node as u32) == LIVE));
        for slot in order.iter().filter(|slot| self.contains(**slot)) {
            dead.remove(slot.index());
        }
        if order.iter().any(|slot| self.contains(*slot)) && dead.count_ones(..) * DEAD_ONE_IN > self.len() {
            return None;
        }
        self.repair(&dead, pairs);
        Some(self.seal(order, pairs))
    }

    /// The same of a graph whose living nodes are all in `order`.
    pub(super) fn seal(&self, order: &[Slot], pairs: &dyn PairScorer) -> BuiltGraph {
        self.cut_to_degree(pairs);
        self.connect_unreached(pairs);
        self.encode(order)
    }

    fn cut_to_degree(&self, pairs: &dyn PairScorer) {
        (0..self.reach() as u32).into_par_iter().for_each(|node| self.cut_list(node, pairs));
    }

    fn cut_list(&self, node: u32, pairs: &dyn PairScorer) {
        let mut list: Vec<Link> = links(self.list(node)).collect();
        if list.len() > self.shape.degree {
            self.scratch.with(|scratch| self.prune(Slot(node), &mut list, pairs, scratch));
            rewrite(self.list(node), &list);
        }
    }

    /// Tree edges see to it that every node can be reached. Should one be missing after all, an edge from a node that can be
    /// closes the gap, and the log says so; then all are looked for again, as that node's list may have lost a link.
    fn connect_unreached(&self, pairs: &dyn PairScorer) {
        let Some(start) = reach::start(self) else {
            return;
        };
        loop {
            let mut reached = FixedBitSet::with_capacity(self.reach());
            let mut last = reach::flood(&self.base(), start, &mut reached);
            let mut is_whole = true;
            for node in (0..self.reach() as u32).filter(|node| self.state(*node) == LIVE) {
                if reached.contains(node as usize) {
                    continue;
                }
                tracing::warn!(slot = node, "a node of the new graph could not be reached; linking it");
                is_whole = false;
                let adopts = |parent: &u32| {
                    self.scratch.with(|scratch| self.adopt(*parent, Slot(node), pairs, scratch))
                };
                let others = reached.ones().map(|parent| parent as u32);
                // A tree has leaves, so some node has room.
                let Some(parent) = std::iter::once(last).chain(others).find(adopts) else {
                    tracing::error!(slot = node, "no node has room for a link to it");
                    return;
                };
                self.cut_list(parent, pairs);
                last = reach::flood(&self.base(), node, &mut reached);
            }
            if is_whole {
                return;
            }
        }
    }

    fn encode(&self, order: &[Slot]) -> BuiltGraph {
        let mut numbers = vec![NO_LINK; self.reach()];
        for (number, slot) in (0_u32..).zip(order).filter(|(_, slot)| self.contains(**slot)) {
            numbers[slot.index()] = number;
        }
        let uppers = self.living_uppers();
        let entry = self.sealed_entry(order, &uppers);
        let mut header = Header {
            rows: order.len() as u32,
            nodes: self.len() as u32,
            degree: self.shape.degree as u32,
            upper_degree: self.shape.upper_capacity as u32,
            layers: entry.map_or(0, |entry| entry.layer as u32),
            entry: entry.map_or(NO_LINK, |entry| entry.node),
            upper_nodes: [0; LAYERS_MAX],
        };
        for (count, upper) in header.upper_nodes.iter_mut().zip(&uppers) {
            *count = upper.len() as u32;
        }
        let mut words = Vec::with_capacity(header.words());
        words.extend(header.encode(VERSION));
        for slot in order {
            let end = words.len() + self.shape.degree;
            if self.contains(*slot) {
                let linked = nodes(self.list(slot.0)).map(|node| numbers[node as usize]);
                words.extend(linked.filter(|node| *node != NO_LINK));
                words.resize(end, NO_LINK);
            } else {
                words.resize(end, ABSENT_LINK);
            }
        }
        for (index, upper) in uppers.iter().enumerate() {
            let own = renumber(upper);
            let below = if index == 0 { numbers.clone() } else { renumber(&uppers[index - 1]) };
            for node in upper {
                let record = self.upper[index].records.get(*node as usize);
                let [slot, down] = [0, 1].map(|word: usize| record[word].load(Ordering::Acquire) as usize);
                let end = words.len() + UPPER_RECORD_HEAD + self.shape.upper_capacity;
                words.extend([numbers[slot], below[down]]);
                let linked = nodes(&record[UPPER_HEAD..]).filter_map(|node| own.get(node as usize).copied());
                words.extend(linked.filter(|node| *node != NO_LINK));
                words.resize(end, NO_LINK);
            }
        }
        BuiltGraph { words }
    }

    /// The nodes of each upper layer whose rows live, lowest layer first, up to the last layer that has one.
    /// Those that a graph had before all of its nodes died once count too if their rows do, and none of those
    /// does.
    fn living_uppers(&self) -> Vec<Vec<u32>> {
        let layers = self.entry().map_or(0, |entry| entry.layer);
        let living = |layer: &super::growing::UpperLayer| {
            let slot = |node: &u32| Slot(layer.records.get(*node as usize)[0].load(Ordering::Acquire));
            (0..layer.len.load(Ordering::Acquire))
                .filter(|node| self.contains(slot(node)))
                .collect::<Vec<_>>()
        };
        self.upper[..layers].iter().map(living).take_while(|nodes| !nodes.is_empty()).collect()
    }

    /// Where walks of the sealed graph begin: the growing one's entry if it lives, else the first node of the
    /// highest layer.
    fn sealed_entry(&self, order: &[Slot], uppers: &[Vec<u32>]) -> Option<Entry> {
        match uppers.last() {
            Some(highest) => {
                let own = self.entry().filter(|entry| entry.layer == uppers.len()).map(|entry| entry.node);
                let node = own.and_then(|own| highest.binary_search(&own).ok()).unwrap_or(0);
                Some(Entry { layer: uppers.len(), node: node as u32 })
            }
            None => {
                let node = order.iter().position(|slot| self.contains(*slot))?;
                Some(Entry { layer: 0, node: node as u32 })
            }
        }
    }
}

/// New numbers of the nodes that are kept, by the old ones.
fn renumber(kept: &[u32]) -> Vec<u32> {
    let mut numbers = vec![NO_LINK; kept.last().map_or(0, |last| *last as usize + 1)];
    for (number, node) in (0..).zip(kept) {
        numbers[*node as usize] = number;
    }
    numbers
}
