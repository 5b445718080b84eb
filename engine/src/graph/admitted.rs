//! The walk of a filtered search: among admitted nodes only.
//!
//! **Problem.** A walk that expands whatever is near wastes its distances on rows that the filter refuses: at a share of
//! a fifth it compares five rows to find one. And where the admitted rows are far from the query, as a filter may well have
//! it, it goes through all that is near first.
//!
//! **Idea** (after Patel et al. 2024, "ACORN"). Only admitted nodes are compared and expanded. Where a node has few
//! admitted neighbours, the neighbours of the refused ones stand in: their lists are read until there are as many
//! candidates as a list is long, which takes one list or two under a mild filter and a dozen under a sharp one. And
//! the walk begins at the node nearest to the query *and* at some admitted nodes drawn from all of them, so that it has a
//! foot in the region that the filter leaves, wherever that is. The steps are those of the plain walk, with rows and lists
//! asked for ahead (`walk::pursue`); which of a list are admitted cannot be predicted, so no branch depends on it.
//!
//! Where the filter refuses just what is near the query, the nearest admitted rows lie on the rim of all the others, in
//! every direction: a walk of the usual width ends in the first bay that it comes to. It shows at the start, where fewer
//! rows are admitted than elsewhere. Then the walk is [`FAR_WIDER`] times as wide.
//!
//! And where it refuses little of what is near, as of filters that agree with the query or leave most rows, the plain walk
//! through the refused is faster: it needs not look for neighbours of neighbours.
//!
//! **Cost.** A distance less for each refused row; a list of links more, 128 bytes, for each one passed through. Which
//! is worth it, and when comparing all that is admitted is cheaper still, `search/plan.rs` says.

use std::cell::LazyCell;
use std::ops::Range;

use super::WalkRequest;
use super::admits::Admits;
use super::scratch::{Scratch, Visited};
use super::walk::{Expansion, Layer, Plan, pursue, walk};
use crate::vectors::Scorer;

/// Admitted nodes that a walk begins at.
const SEEDS: usize = 32;
/// Candidates of a step, if the lists within two links give so many.
const WANTED: usize = 32;
/// How much wider a walk is whose filter refuses what is near.
const FAR_WIDER: usize = 8;
/// Width beyond which it gets no wider: keeping the pool in order would cost more than comparing.
const FAR_WIDTH_MAX: usize = 10_000;
/// Distances that such a walk is taken to cost for each unit of its width. With a wide pool, and lists that are read in vain,
/// one costs as much as four; and as it finds less than a scan does, it is to cost half of that.
const STEP: usize = 80;
/// Admitted nodes expected around the start for their absence to say something.
const EXPECTED_MIN: usize = 8;
/// What is near is refused if its share of admitted rows is so many times less than the whole's.
const FAR_SHARE: usize = 4;
/// From this share of admitted nodes around the start on, in so many, the plain walk is taken.
const PLAIN_SHARE: (usize, usize) = (6, 10);
/// Nodes around the start that are looked at for that.
const AROUND: usize = 256;
/// Lists asked for before they are read.
const AHEAD: usize = 6;

/// What a walk among admitted nodes needs to know.
pub(super) struct Among<'a, A> {
    /// The node of the base nearest to the query, admitted or not.
    pub(super) start: u32,
    pub(super) admits: A,
    pub(super) request: &'a WalkRequest<'a>,
}

/// Walks the base layer; the result is in the pool. Returns how many rows were compared and whether the walk was cut at
/// `distances_max`.
pub(super) fn walk_among<L: Layer, A: Admits>(
    layer: &L,
    scorer: &dyn Scorer,
    among: &Among<'_, A>,
    scratch: &mut Scratch,
) -> (u64, bool) {
    let request = among.request;
    scratch.pool.reset(request.ef);
    if among.start as usize >= layer.limit() {
        // A damaged graph leads nowhere: the scan that follows does without it.
        return (0, true);
    }
    let around = Around::new(layer, among.start, &among.admits);
    if around.are_most_admitted() {
        let admits = |slot| request.admits(slot);
        let plan = Plan { start: among.start, admits, admits_all: false, request: *request };
        return walk(layer, scorer, &plan, scratch);
    }
    let is_far = around.is_far(among.admits.count(), layer.limit());
    let ef = if is_far { (request.ef * FAR_WIDER).min(FAR_WIDTH_MAX.max(request.ef)) } else { request.ef };
    if is_far && (ef * STEP) as u64 > request.distances_max {
        return (0, true);
    }
    let Scratch { visited, passed, pool, batches, .. } = scratch;
    pool.reset(ef);
    // Whoever came after the view counts as seen.
    visited.begin(layer.limit().min(request.visible as usize));
    passed.begin(layer.limit());
    let plan = Plan {
        start: among.start,
        admits: |_| true,
        admits_all: true,
        request: WalkRequest { ef, ..*request },
    };
    let (start, admits) = (among.start, &among.admits);
    let mut steps = Steps { layer, start, admits, passed, through: 0..0, found: 0 };
    pursue(layer, scorer, &plan, &mut steps, (visited, pool, batches))
}

/// The steps of a walk among the admitted.
struct Steps<'a, L, A> {
    layer: &'a L,
    start: u32,
    admits: &'a A,
    /// The refused that were passed through, and between [`near`](Expansion::near) and [`rest`](Expansion::rest) those that may
    /// be.
    passed: &'a mut Visited,
    /// Where these are.
    through: Range<usize>,
    /// Admitted nodes in the lists read for this step.
    found: usize,
}

impl<L: Layer, A: Admits> Steps<'_, L, A> {
    /// Asks for what tells which nodes of a list are admitted, if it takes a while to come.
    #[inline]
    fn prefetch(&self, node: u32) {
        if A::IS_FAR {
            self.layer.links(node).for_each(|link| self.admits.prefetch(link));
        }
    }

    /// The admitted nodes of a list that were not seen.
    #[inline]
    fn read(&mut self, node: u32, visited: &mut Visited) -> Range<usize> {
        let Self { admits, found, .. } = self;
        // Counted by this, not by what is new: else steps where all is known would read every list.
        visited.insert_those(self.layer.links(node), |link| {
            let is_admitted = admits.admits(link);
            *found += usize::from(is_admitted);
            is_admitted
        })
    }
}

impl<L: Layer, A: Admits> Expansion for Steps<'_, L, A> {
    fn first(&mut self, visited: &mut Visited) -> Range<usize> {
        let (start, admits) = (self.start, self.admits);
        let starts = seeds(admits).chain([start]);
        let first = visited.insert_those(starts, |node| admits.admits(node));
        let near = self.near(start, visited);
        let rest = self.rest(visited);
        first.start..near.end.max(rest.end)
    }

    #[inline]
    fn near(&mut self, node: u32, visited: &mut Visited) -> Range<usize> {
        let Self { layer, admits, passed, .. } = self;
        let mut found = 0;
        let links = layer.links(node);
        let [batch, through] = Visited::insert_parted([visited, passed], links, |link| {
            let is_admitted = admits.admits(link);
            found += usize::from(is_admitted);
            is_admitted
        });
        self.found = found;
        if found < WANTED {
            self.passed.at(&through).iter().take(AHEAD).for_each(|refused| layer.prefetch(*refused));
            self.through = through;
        } else {
            self.passed.forget_from(through.start);
            self.through = 0..0;
        }
        batch
    }

    #[inline]
    fn rest(&mut self, visited: &mut Visited) -> Range<usize> {
        let mut batch = visited.insert_all(std::iter::empty());
        let Range { mut start, end } = std::mem::take(&mut self.through);
        if start == end {
            return batch;
        }
        while start < end && self.found < WANTED {
            let place = |place: usize| self.passed.at(&(place..place + 1))[0];
            if start + AHEAD < end {
                self.layer.prefetch(place(start + AHEAD));
            }
            if start + 1 < end {
                self.prefetch(place(start + 1));
            }
            let refused = place(start);
            batch.end = self.read(refused, visited).end;
            start += 1;
        }
        // Those not read are left to other steps.
        self.passed.forget_from(start);
        batch
    }
}

/// What the filter leaves within two links of the start.
struct Around {
    nodes: usize,
    admitted: usize,
}

impl Around {
    fn new<L: Layer>(layer: &L, start: u32, admits: &impl Admits) -> Self {
        let own = || layer.links(start).filter(|node| (*node as usize) < layer.limit());
        own().for_each(|node| layer.prefetch(node));
        let (mut nodes, mut admitted) = (0, 0);
        for node in own().flat_map(|node| layer.links(node)).take(AROUND) {
            nodes += 1;
            admitted += usize::from(admits.admits(node));
        }
        Self { nodes, admitted }
    }

    /// Whether the filter refuses what is near: the share of admitted nodes is much less than that of all.
    fn is_far(&self, matches: usize, limit: usize) -> bool {
        // admitted / nodes < matches / limit / FAR_SHARE, in integers.
        let is_telling = matches * self.nodes >= EXPECTED_MIN * limit;
        is_telling && self.admitted * limit * FAR_SHARE < matches * self.nodes
    }

    /// Whether it refuses so little of what is near that walking through the refused costs less than around them.
    fn are_most_admitted(&self) -> bool {
        let (share, of) = PLAIN_SHARE;
        self.nodes > 0 && self.admitted * of >= self.nodes * share
    }
}

/// Admitted nodes, drawn at random with a fixed seed; the same may come twice.
fn seeds<A: Admits>(admits: &A) -> impl Iterator<Item = u32> {
    // What stands in for those that are not found: the same each time, so it is looked for once.
    let first = LazyCell::new(move || admits.next(0));
    (0..SEEDS as u64).filter_map(move |number| {
        let from = crate::random::split_mix(number) as usize % admits.nodes().max(1);
        let found = admits.next(from).or_else(|| *first);
        found.map(|node| node as u32)
    })
}

#[cfg(test)]
mod tests {
    use fixedbitset::FixedBitSet;

    use super::super::admits::{InSet, Through};
    use super::*;
    use crate::payload::Screen;

    #[test]
    fn seeds_are_admitted_and_spread() {
        let mut bits = FixedBitSet::with_capacity(1_000);
        assert_eq!(seeds(&InSet::new(&bits)).count(), 0);
        bits.insert(70);
        assert_eq!(seeds(&InSet::new(&bits)).collect::<Vec<_>>(), [70; SEEDS]);
        bits.extend((260..900).step_by(3));
        let drawn: Vec<u32> = seeds(&InSet::new(&bits)).collect();
        assert!(drawn.iter().all(|slot| bits.contains(*slot as usize)));
        let distinct: std::collections::HashSet<_> = drawn.iter().collect();
        assert!(distinct.len() > SEEDS / 3, "{drawn:?}");
        // The same through a screen.
        let tiles: Vec<u16> = (0..1_000).map(|slot| u16::from(bits.contains(slot))).collect();
        let screen = Screen::of(&tiles, [1]);
        assert_eq!(seeds(&Through::new(&screen, None)).collect::<Vec<_>>(), drawn);
        assert_eq!(seeds(&Through::new(&screen, Some(&bits))).collect::<Vec<_>>(), drawn);
    }
}
