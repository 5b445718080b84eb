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
//! foot in the region that the filter leaves, wherever that is.
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

use fixedbitset::FixedBitSet;

use super::scratch::Scratch;
use super::walk::{Layer, Plan, next, walk};
use super::{Stop, WalkRequest};
use crate::vectors::Scorer;

/// Admitted nodes that a walk begins at.
const SEEDS: usize = 32;
/// Candidates of a step, if the lists within two links give so many.
const WANTED: usize = 24;
/// How much wider a walk is whose filter refuses what is near.
const FAR_WIDER: usize = 8;
/// Width beyond which it gets no wider: keeping the pool in order would cost more than comparing.
const FAR_WIDTH_MAX: usize = 10_000;
/// Distances that such a walk costs for each unit of its width: with a wide pool, and lists that are read in vain, one costs
/// as much as four.
const STEP: usize = 40;
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
pub(super) struct Among<'a> {
    /// The node of the base nearest to the query, admitted or not.
    pub(super) start: u32,
    pub(super) admit: &'a FixedBitSet,
    /// How many are admitted.
    pub(super) matches: usize,
    pub(super) request: &'a WalkRequest<'a>,
}

/// Walks the base layer; the result is in the pool. Returns how many rows were compared and whether the walk was cut at
/// `distances_max`.
pub(super) fn walk_among<L: Layer>(
    layer: &L,
    scorer: &dyn Scorer,
    among: &Among<'_>,
    scratch: &mut Scratch,
) -> (u64, bool) {
    let request = among.request;
    scratch.visited.begin(layer.limit());
    scratch.passed.begin(layer.limit());
    let admits = |node: u32| request.admits(layer.slot(node));
    scratch.pool.reset(request.ef);
    if among.start as usize >= layer.limit() {
        // A damaged graph leads nowhere: the scan that follows does without it.
        return (0, true);
    }
    let around = Around::new(layer, among.start, &admits);
    if around.are_most_admitted() {
        return walk_plainly(layer, scorer, (among, &around), scratch);
    }
    let is_far = around.is_far(among.matches, layer.limit());
    let ef = if is_far { (request.ef * FAR_WIDER).min(FAR_WIDTH_MAX.max(request.ef)) } else { request.ef };
    if is_far && (ef * STEP) as u64 > request.distances_max {
        return (0, true);
    }
    scratch.pool.reset(ef);
    let factor = Stop::factor(ef);
    let first = scratch.visited.insert_all(seeds(among.admit).filter(|node| admits(*node)));
    let mut batch = first.start
        ..scratch.visited.insert_all(Some(among.start).into_iter().filter(|node| admits(*node))).end;
    batch.end = collect(layer, among.start, &admits, scratch).end;
    let (mut compared, mut check_at) = (0, request.next_check(0));
    loop {
        let Scratch { visited, pool, slots, distances, .. } = scratch;
        let nodes = visited.at(&batch);
        slots.clear();
        slots.extend(nodes.iter().map(|node| layer.slot(*node)));
        if distances.len() < slots.len() {
            distances.resize(slots.len(), 0.0);
        }
        scorer.prefetch(slots);
        scorer.score(slots, &mut distances[..slots.len()]);
        pool.offer(nodes, distances, |_| true, |node| layer.prefetch(node));
        compared += slots.len() as u64;
        if compared >= check_at {
            if request.ends_at(compared) {
                return (compared, pool.peek_next().is_some());
            }
            check_at = request.next_check(compared);
        }
        let Some(node) = next(pool, request.stop, (ef, factor)) else {
            return (compared, false);
        };
        if let Some(after) = pool.peek_next() {
            layer.prefetch(after);
        }
        batch = collect(layer, node, &admits, scratch);
    }
}

/// What the filter leaves within two links of the start.
struct Around {
    nodes: usize,
    admitted: usize,
}

impl Around {
    fn new<L: Layer>(layer: &L, start: u32, admits: &impl Fn(u32) -> bool) -> Self {
        let own = layer.links(start).filter(|node| (*node as usize) < layer.limit());
        let (mut nodes, mut admitted) = (0, 0);
        for node in own.flat_map(|node| layer.links(node)).take(AROUND) {
            nodes += 1;
            admitted += usize::from(admits(node));
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

/// The plain walk from the start, which expands the refused as well.
fn walk_plainly<L: Layer>(
    layer: &L,
    scorer: &dyn Scorer,
    (among, around): (&Among<'_>, &Around),
    scratch: &mut Scratch,
) -> (u64, bool) {
    // Among nodes of which some are refused, the k-th admitted one is farther back.
    let farther = |k: usize| (k * around.nodes).div_ceil(around.admitted.max(1));
    let stop = among.request.stop.map(|stop| Stop { k: farther(stop.k), ..stop });
    let request = WalkRequest { stop, ..*among.request };
    let admits = |slot| among.request.admits(slot);
    walk(layer, scorer, &Plan { start: among.start, admits, admits_all: false, request }, scratch)
}

/// The admitted nodes not seen yet within one link of a node, and as far as there are too few, within two.
fn collect<L: Layer>(
    layer: &L,
    node: u32,
    admits: &impl Fn(u32) -> bool,
    scratch: &mut Scratch,
) -> std::ops::Range<usize> {
    let Scratch { visited, passed, through, .. } = scratch;
    through.clear();
    let mut admitted = 0;
    let own = layer.links(node).filter(|link| {
        let is_admitted = admits(*link);
        if is_admitted {
            admitted += 1;
        } else if (*link as usize) < layer.limit() {
            // A damaged list may lead anywhere.
            through.push(*link);
        }
        is_admitted
    });
    let mut batch = visited.insert_all(own);
    if admitted >= WANTED {
        return batch;
    }
    through.iter().take(AHEAD).for_each(|node| layer.prefetch(*node));
    for (at, refused) in through.iter().enumerate() {
        if admitted >= WANTED {
            break;
        }
        if let Some(ahead) = through.get(at + AHEAD) {
            layer.prefetch(*ahead);
        }
        if !passed.insert_all(std::iter::once(*refused)).is_empty() {
            let second = layer.links(*refused).filter(|link| admits(*link)).inspect(|_| admitted += 1);
            batch.end = visited.insert_all(second).end;
        }
    }
    batch
}

/// Admitted slots, drawn at random with a fixed seed; the same may come twice.
fn seeds(admit: &FixedBitSet) -> impl Iterator<Item = u32> + '_ {
    (0..SEEDS as u64).filter_map(|number| {
        let from = crate::random::split_mix(number) as usize % admit.len().max(1);
        let found = next_one(admit, from).or_else(|| next_one(admit, 0));
        found.map(|slot| slot as u32)
    })
}

/// The first bit set from a place on.
fn next_one(bits: &FixedBitSet, from: usize) -> Option<usize> {
    const BITS: usize = usize::BITS as usize;
    let words = bits.as_slice();
    let first = from / BITS;
    let masked = words.get(first)? & (usize::MAX << (from % BITS));
    std::iter::once(masked)
        .chain(words[first + 1..].iter().copied())
        .enumerate()
        .find(|(_, word)| *word != 0)
        .map(|(at, word)| (first + at) * BITS + word.trailing_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_admitted_and_spread() {
        let mut bits = FixedBitSet::with_capacity(1_000);
        assert_eq!(seeds(&bits).count(), 0);
        bits.insert(70);
        assert_eq!(seeds(&bits).collect::<Vec<_>>(), [70; SEEDS]);
        bits.extend((500..900).step_by(3));
        let drawn: Vec<u32> = seeds(&bits).collect();
        assert!(drawn.iter().all(|slot| bits.contains(*slot as usize)));
        let distinct: std::collections::HashSet<_> = drawn.iter().collect();
        assert!(distinct.len() > SEEDS / 3, "{drawn:?}");
    }

    #[test]
    fn the_next_one_is_found_across_words() {
        let mut bits = FixedBitSet::with_capacity(300);
        bits.extend([0, 63, 64, 200]);
        let found: Vec<_> = [0, 1, 63, 64, 65, 200, 201, 299].map(|from| next_one(&bits, from)).into();
        assert_eq!(found, [Some(0), Some(63), Some(63), Some(64), Some(200), Some(200), None, None]);
    }
}
