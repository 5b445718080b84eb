//! Going on with the graph of a sealed segment, when that is merged with others.
//!
//! **Problem.** A merge brings a few rows to many. Building anew finds the neighbours of all of them again.
//!
//! **Idea.** The largest source's lists are taken over, with its rows' new numbers; the others' rows are inserted. A node
//! that has lost neighbours chooses its links anew, as in a repair. What a sealed graph has not kept is made again: the
//! spanning tree, breadth first along the links, and the layers above the base, which follow from the new numbers and
//! have one node in 32.
//!
//! **Cost**: for each row that is inserted as much as building anew; for one that is taken over the choice of its links, if it
//! lost neighbours, and else no distance at all.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use fixedbitset::FixedBitSet;
use rayon::prelude::*;

use super::growing::{GrowingGraph, LIVE};
use super::links::{Link, links, rewrite};
use super::reach;
use super::repair::living_near;
use super::scratch::Scratch;
use super::sealed::View;
use super::walk::{Entry, Layer, Layers};
use super::{BuildRequest, SealedGraph};
use crate::signal::Closing;
use crate::vectors::{PairScorer, Slot};

/// What a graph is resumed from.
#[derive(Clone, Copy)]
pub(crate) struct Resumed<'a> {
    pub(crate) graph: &'a SealedGraph,
    /// The new number of each of its rows that lives and is a node.
    pub(crate) numbers: &'a [Option<u32>],
}

impl GrowingGraph {
    /// A graph that has the nodes of a sealed one, as far as they live. `pairs` knows them by their new numbers. When the
    /// request is stopped, it is not to be used.
    pub(super) fn resume(request: &BuildRequest<'_>, resumed: Resumed<'_>, pairs: &dyn PairScorer) -> Self {
        let graph = Self::new(request.options, request.seed);
        let old = resumed.graph.view();
        Resuming { graph: &graph, old, numbers: resumed.numbers, pairs, stop: request.stop }.run();
        graph
    }
}

struct Resuming<'a> {
    graph: &'a GrowingGraph,
    old: View<'a>,
    numbers: &'a [Option<u32>],
    pairs: &'a dyn PairScorer,
    stop: Closing<'a>,
}

impl Resuming<'_> {
    fn run(&self) {
        let rows = self.numbers.len().min(self.old.base().limit());
        let taken: Vec<(u32, Vec<u32>)> =
            (0..rows as u32).into_par_iter().filter_map(|row| self.take(row)).collect();
        let Some(last) = taken.iter().map(|(node, _)| *node).max() else { return };
        self.graph.reach_to(Slot(last));
        self.graph.live.store(taken.len(), Ordering::Release);
        taken.into_par_iter().for_each(|(node, new)| {
            self.graph.scratch.with(|scratch| {
                new.iter().for_each(|to| self.graph.link_back(*to, Slot(node), self.pairs, scratch));
            });
        });
        // Each takes seconds for millions of rows.
        let steps: [fn(&Self, &mut Scratch); 3] = [Self::raise_layers, Self::span, |resuming, scratch| {
            resuming.graph.bind_parts(resuming.pairs, scratch)
        }];
        for step in steps {
            if self.stop.is_set() {
                return;
            }
            self.graph.scratch.with(|scratch| step(self, scratch));
        }
    }

    fn number(&self, row: u32) -> Option<u32> {
        self.numbers.get(row as usize).copied().flatten()
    }

    /// Makes a row a node, if it lives: its number, and the neighbours that it did not have before.
    fn take(&self, row: u32) -> Option<(u32, Vec<u32>)> {
        if self.stop.is_set() {
            return None;
        }
        let node = self.number(row)?;
        let layer = self.old.base();
        let links_of = |row: u32| layer.links(row).filter(|row| (*row as usize) < self.numbers.len());
        let mut list: Vec<u32> = links_of(row).filter_map(|row| self.number(row)).collect();
        let mut new = Vec::new();
        if list.len() < links_of(row).count() {
            let near = living_near(row, links_of, |row| self.number(row).is_some());
            let near = near.into_iter().filter_map(|row| self.number(row)).map(|node| (node, false));
            let chosen = self
                .graph
                .scratch
                .with(|scratch| self.graph.choose_among(Slot(node), near, self.pairs, scratch));
            let chosen: Vec<u32> = chosen.into_iter().map(|candidate| candidate.node).collect();
            new = chosen.iter().copied().filter(|node| !list.contains(node)).collect();
            list = chosen;
        }
        list.truncate(self.graph.shape.degree);
        let record = self.graph.base.make(node as usize);
        let list: Vec<Link> = list.into_iter().map(|node| Link { node, tree: false }).collect();
        rewrite(&record[super::growing::BASE_HEAD..], &list);
        record[0].store(LIVE, Ordering::Release);
        Some((node, new))
    }

    /// Inserts the nodes that are above the base into the layers there, by number.
    fn raise_layers(&self, scratch: &mut Scratch) {
        let nodes = || (0..self.graph.reach() as u32).filter(|node| self.graph.contains(Slot(*node)));
        for node in nodes() {
            let top = self.graph.layer_of(Slot(node));
            if top > 0 {
                self.graph.insert_above((Slot(node), top), self.pairs, scratch);
            }
        }
        if let (None, Some(node)) = (self.graph.entry(), nodes().next()) {
            self.graph.set_entry(Entry { layer: 0, node });
        }
    }

    /// Makes links tree edges, breadth first, as far as lists have room for them. What is not reached is bound later.
    fn span(&self, scratch: &mut Scratch) {
        let Some(start) = reach::start(self.graph) else { return };
        let mut seen = FixedBitSet::with_capacity(self.graph.reach());
        seen.insert(start as usize);
        let mut waiting = VecDeque::from([start]);
        while let Some(node) = waiting.pop_front() {
            let list: Vec<u32> = links(self.graph.list(node)).map(|link| link.node).collect();
            for next in list.into_iter().filter(|next| !seen.contains(*next as usize)).collect::<Vec<_>>() {
                if !self.graph.adopt(node, Slot(next), self.pairs, scratch) {
                    break;
                }
                self.graph.adopt(next, Slot(node), self.pairs, scratch);
                seen.insert(next as usize);
                waiting.push_back(next);
            }
        }
    }
}
