//! Inserting a node.
//!
//! ```text
//! walk to the slot's place; choose links among what the walk found
//! write the node's own list, its first link being the tree edge to its parent
//! the parent takes the edge back        <- from here on the node can be found
//! the other neighbours link back; a list that is full is pruned
//! the same on each upper layer of the slot, without tree edges
//! ```
//! Nothing links to a node before its list is written, so no reader meets a half-made one.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use ragstone_kernels::sync::MutexGuard;

use super::growing::{BASE_HEAD, GrowingGraph, LIVE, UPPER_HEAD};
use super::links::{Link, append, links, rewrite};
use super::scratch::Scratch;
use super::select::{Candidate, select};
use super::walk::{Entry, Layers, Plan, descend, walk};
use crate::vectors::{PairScorer, Scorer, Slot};

/// A row as the query.
pub(super) struct FromRow<'a> {
    pub(super) pairs: &'a dyn PairScorer,
    pub(super) from: Slot,
}

impl Scorer for FromRow<'_> {
    fn score(&self, slots: &[Slot], out: &mut [f32]) {
        self.pairs.score(self.from, slots, out);
    }

    fn prefetch(&self, slots: &[Slot]) {
        self.pairs.prefetch(slots);
    }

    fn score_ahead(&self, slots: &[Slot], ahead: &[Slot], out: &mut [f32]) {
        self.pairs.score_ahead(self.from, slots, ahead, out);
    }
}

impl GrowingGraph {
    /// Makes a row a node. `pairs` must know the row and every one inserted before. A slot is inserted once
    /// in its life; a second time does nothing.
    pub(crate) fn insert(&self, slot: Slot, pairs: &dyn PairScorer) {
        let _shared = self.structure.read().unwrap_or_else(PoisonError::into_inner);
        if self.state(slot.0) != super::growing::ABSENT {
            return;
        }
        self.base.make(slot.index());
        self.reach_to(slot);
        let top = self.layer_of(slot);
        let summit = self.summit_for(top);
        match self.entry().filter(|_| self.len() > 0) {
            Some(entry) => self.scratch.with(|scratch| self.connect((slot, top), entry, pairs, scratch)),
            None => {
                self.base.get(slot.index())[0].store(LIVE, Ordering::Release);
                let node = self.raise(slot, top, Vec::new());
                self.set_entry(Entry { layer: top, node });
            }
        }
        self.live.fetch_add(1, Ordering::AcqRel);
        drop(summit);
    }

    /// The lock that a node needs which will be the new entry; it is the only one to be inserted that high
    /// meanwhile.
    fn summit_for(&self, top: usize) -> Option<MutexGuard<'_, ()>> {
        let reaches_beyond = || self.len() == 0 || self.entry().is_none_or(|entry| top > entry.layer);
        if !reaches_beyond() {
            return None;
        }
        let guard = self.summit.lock().unwrap_or_else(PoisonError::into_inner);
        // Another node may have become the entry while this one waited.
        reaches_beyond().then_some(guard)
    }

    /// Links a node into a graph that has some.
    fn connect(
        &self,
        (slot, top): (Slot, usize),
        entry: Entry,
        pairs: &dyn PairScorer,
        scratch: &mut Scratch,
    ) {
        let (start, upper) = self.choose_above((slot, top), entry, pairs, scratch);
        let plan = Plan::new(start, self.shape.ef_construction, |slot: Slot| self.is_live(slot));
        // A row that dies from now on might have died after the walk as well.
        let plan = if self.are_live() { plan.admitting_all() } else { plan };
        walk(&self.base(), &FromRow { pairs, from: slot }, &plan, scratch);
        self.connect_base(slot, pairs, scratch);
        self.connect_above((slot, top), &upper, pairs, scratch);
    }

    /// Inserts a node of the base into the layers above it; one thread at a time.
    pub(super) fn insert_above(
        &self,
        (slot, top): (Slot, usize),
        pairs: &dyn PairScorer,
        scratch: &mut Scratch,
    ) {
        let upper = match self.entry() {
            Some(entry) => self.choose_above((slot, top), entry, pairs, scratch).1,
            None => Vec::new(),
        };
        self.connect_above((slot, top), &upper, pairs, scratch);
    }

    /// Where the walk on the base begins, and a node's neighbours on each layer above it, lowest first.
    fn choose_above(
        &self,
        (slot, top): (Slot, usize),
        entry: Entry,
        pairs: &dyn PairScorer,
        scratch: &mut Scratch,
    ) -> (u32, Vec<Vec<Candidate>>) {
        let scorer = FromRow { pairs, from: slot };
        let mut upper = Vec::new();
        let (mut start, _) = descend(self, &scorer, (entry, top.min(entry.layer)), scratch);
        for layer in (1..=top.min(entry.layer)).rev() {
            let plan = Plan::new(start, self.shape.upper_ef, |_| true).admitting_all();
            walk(&self.upper(layer), &scorer, &plan, scratch);
            start = self.below(layer, scratch.pool.nearest().unwrap_or(start));
            let mut chosen = found(scratch, |node| self.upper_slot(layer, node));
            select(pairs, &mut chosen, self.shape.upper_degree, &mut scratch.select);
            upper.push(chosen);
        }
        upper.reverse();
        (start, upper)
    }

    /// Writes and links a node's lists above the base. Higher than all others, it becomes the entry.
    fn connect_above(
        &self,
        (slot, top): (Slot, usize),
        upper: &[Vec<Candidate>],
        pairs: &dyn PairScorer,
        scratch: &mut Scratch,
    ) {
        let node = self.raise(slot, top, upper.iter().map(|chosen| encode(chosen)).collect());
        self.link_upper(slot, top, node, upper, (pairs, scratch));
        if self.entry().is_none_or(|entry| top > entry.layer) {
            self.set_entry(Entry { layer: top, node });
        }
    }

    /// Writes the base list and makes the node known; the candidates are in the pool.
    fn connect_base(&self, slot: Slot, pairs: &dyn PairScorer, scratch: &mut Scratch) {
        let candidates = found(scratch, Slot);
        let mut chosen = candidates.clone();
        select(pairs, &mut chosen, self.shape.degree, &mut scratch.select);
        let record = self.base.get(slot.index());
        // The nearest that has room becomes the parent, nearly always the nearest of all.
        let mut parents = candidates.iter().map(|candidate| candidate.node);
        let parent = loop {
            let Some(parent) = parents.next().or_else(|| self.any_with_room(slot, &candidates)) else {
                break None;
            };
            let others = chosen.iter().map(|candidate| candidate.node).filter(|node| *node != parent);
            let mut list = vec![Link { node: parent, tree: true }];
            list.extend(others.take(self.shape.degree - 1).map(|node| Link { node, tree: false }));
            rewrite(&record[BASE_HEAD..], &list);
            record[0].store(LIVE, Ordering::Release);
            if self.adopt(parent, slot, pairs, scratch) {
                break Some(parent);
            }
        };
        for candidate in chosen.iter().filter(|candidate| Some(candidate.node) != parent) {
            self.link_back(candidate.node, slot, pairs, scratch);
        }
    }

    /// A node with room for a tree edge, from the walk's candidates along the tree away from it; among very
    /// many equal rows all candidates may be full, but a tree has leaves.
    fn any_with_room(&self, slot: Slot, candidates: &[Candidate]) -> Option<u32> {
        let mut seen = std::collections::HashSet::from([slot.0]);
        let mut waiting: std::collections::VecDeque<u32> = candidates.iter().map(|c| c.node).collect();
        if waiting.is_empty() {
            // The walk met no live node, which takes a graph that is nearly all dead: any live one will do.
            waiting
                .extend((0..self.reach() as u32).find(|node| *node != slot.0 && self.state(*node) == LIVE));
        }
        while let Some(node) = waiting.pop_front() {
            if !seen.insert(node) || self.state(node) != LIVE {
                continue;
            }
            let edges = links(self.list(node)).filter(|link| link.tree);
            if edges.clone().count() < self.shape.tree_edges_max {
                return Some(node);
            }
            waiting.extend(edges.map(|link| link.node));
        }
        None
    }

    /// Gives `child` a tree edge from `parent`, if that has room for one.
    pub(super) fn adopt(
        &self,
        parent: u32,
        child: Slot,
        pairs: &dyn PairScorer,
        scratch: &mut Scratch,
    ) -> bool {
        let _lock = self.stripes.lock(0, parent);
        let list = self.list(parent);
        if links(list).filter(|link| link.tree).count() >= self.shape.tree_edges_max {
            return false;
        }
        self.add(Slot(parent), Link { node: child.0, tree: true }, pairs, scratch);
        true
    }

    /// Links `from` to `to`, unless pruning prefers what `from` has already.
    pub(super) fn link_back(&self, from: u32, to: Slot, pairs: &dyn PairScorer, scratch: &mut Scratch) {
        let _lock = self.stripes.lock(0, from);
        if !links(self.list(from)).any(|link| link.node == to.0) {
            self.add(Slot(from), Link { node: to.0, tree: false }, pairs, scratch);
        }
    }

    /// Adds a link to a base list that does not have the node as a tree edge; the caller holds the lock.
    fn add(&self, from: Slot, link: Link, pairs: &dyn PairScorer, scratch: &mut Scratch) {
        let list = self.list(from.0);
        let mut all: Vec<Link> = links(list).filter(|present| present.node != link.node).collect();
        let replaces = links(list).count() > all.len();
        if !replaces && all.len() < list.len() {
            append(list, link);
            return;
        }
        let edges = all.iter().take_while(|link| link.tree).count();
        all.insert(if link.tree { edges } else { all.len() }, link);
        if all.len() > list.len() {
            self.prune(from, &mut all, pairs, scratch);
        }
        rewrite(list, &all);
    }

    /// Cuts a base list down to the degree, tree edges kept, in their order and in front.
    pub(super) fn prune(
        &self,
        from: Slot,
        list: &mut Vec<Link>,
        pairs: &dyn PairScorer,
        scratch: &mut Scratch,
    ) {
        let edges: Vec<Link> = list.iter().copied().filter(|link| link.tree).collect();
        let mut candidates =
            ranked(from, list.iter().map(|link| (Slot(link.node), link.node, link.tree)), pairs);
        select(pairs, &mut candidates, self.shape.degree, &mut scratch.select);
        list.clear();
        list.extend(edges);
        let others = candidates.iter().filter(|candidate| !candidate.tree);
        list.extend(others.map(|candidate| Link { node: candidate.node, tree: false }));
    }

    fn upper_slot(&self, layer: usize, node: u32) -> Slot {
        Slot(self.upper[layer - 1].records.get(node as usize)[0].load(Ordering::Acquire))
    }

    /// Writes the slot's records on layers 1 to `top` and returns its node on the highest.
    fn raise(&self, slot: Slot, top: usize, lists: Vec<Vec<Link>>) -> u32 {
        let mut lists = lists.into_iter();
        let mut node = slot.0;
        for layer in &self.upper[..top] {
            let position = layer.len.fetch_add(1, Ordering::AcqRel);
            let record = layer.records.make(position as usize);
            record[0].store(slot.0, Ordering::Release);
            record[1].store(node, Ordering::Release);
            rewrite(&record[UPPER_HEAD..], &lists.next().unwrap_or_default());
            node = position;
        }
        node
    }

    /// Links the slot's neighbours on the upper layers back to it, highest layer first.
    fn link_upper(
        &self,
        slot: Slot,
        top: usize,
        mut node: u32,
        upper: &[Vec<Candidate>],
        (pairs, scratch): (&dyn PairScorer, &mut Scratch),
    ) {
        for layer in (1..=top).rev() {
            for neighbour in upper.get(layer - 1).into_iter().flatten() {
                let _lock = self.stripes.lock(layer, neighbour.node);
                let list = &self.upper[layer - 1].records.get(neighbour.node as usize)[UPPER_HEAD..];
                let link = Link { node, tree: false };
                if links(list).count() < list.len() {
                    append(list, link);
                    continue;
                }
                let all = links(list).map(|link| (self.upper_slot(layer, link.node), link.node, false));
                let mut candidates = ranked(neighbour.slot, all.chain([(slot, node, false)]), pairs);
                select(pairs, &mut candidates, self.shape.upper_degree, &mut scratch.select);
                rewrite(list, &encode(&candidates));
            }
            node = self.below(layer, node);
        }
    }
}

/// The pool's admitted nodes as candidates.
fn found(scratch: &Scratch, slot_of: impl Fn(u32) -> Slot) -> Vec<Candidate> {
    let candidate = |(distance, node)| Candidate { distance, slot: slot_of(node), node, tree: false };
    scratch.pool.admitted().map(candidate).collect()
}

/// Candidates for the links of `from`, nearest first.
pub(super) fn ranked(
    from: Slot,
    nodes: impl Iterator<Item = (Slot, u32, bool)>,
    pairs: &dyn PairScorer,
) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> =
        nodes.map(|(slot, node, tree)| Candidate { distance: 0.0, slot, node, tree }).collect();
    let slots: Vec<Slot> = candidates.iter().map(|candidate| candidate.slot).collect();
    let mut distances = vec![0.0; slots.len()];
    pairs.score(from, &slots, &mut distances);
    for (candidate, distance) in candidates.iter_mut().zip(distances) {
        candidate.distance = distance;
    }
    candidates.sort_by(|a, b| a.distance.total_cmp(&b.distance));
    candidates
}

fn encode(chosen: &[Candidate]) -> Vec<Link> {
    chosen.iter().map(|candidate| Link { node: candidate.node, tree: false }).collect()
}
