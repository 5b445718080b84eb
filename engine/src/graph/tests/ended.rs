//! How building and sealing end: early, or with proof.

use super::*;
use crate::CancelToken;

/// Sealing proves that every node can be reached, and does not trust that it could.
#[test]
fn a_node_that_nothing_leads_to_is_linked_when_a_graph_is_sealed() {
    let vectors = clustered(400, 8, Metric::L2, &mut SplitMix64(5));
    let rows = stored(&vectors);
    let encoding = exact_encodings(Metric::L2);
    let pairs = encoding.growing.pair_scorer(&rows);
    let graph = GrowingGraph::new(small(), 1);
    (0..400).for_each(|slot| graph.insert(Slot(slot), &*pairs));
    let cut_off = [17_u32, 18, 230];
    for node in 0..400 {
        let mut list: Vec<_> = links::links(graph.list(node)).collect();
        list.retain(|link| !cut_off.contains(&link.node));
        links::rewrite(graph.list(node), &list);
    }
    let sealed = opened(&graph.seal(&(0..400).map(Slot).collect::<Vec<_>>(), &*pairs)).unwrap();
    assert_sound(check::sealed(&sealed));
}

/// A scorer that stops the work after some calls.
struct Stopping<'a> {
    pairs: &'a dyn PairScorer,
    left: AtomicUsize,
    stop: &'a CancelToken,
}

impl PairScorer for Stopping<'_> {
    fn score(&self, from: Slot, slots: &[Slot], out: &mut [f32]) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.stop.cancel();
        }
        self.pairs.score(from, slots, out);
    }
}

#[test]
fn building_ends_soon_after_it_is_stopped() {
    let mut random = SplitMix64(15);
    let vectors = clustered(4_000, 8, Metric::L2, &mut random);
    let (rows, encoding) = (stored(&vectors), exact_encodings(Metric::L2));
    let pairs = encoding.growing.pair_scorer(&rows);
    let request = BuildRequest { rows: 1_000, options: small(), seed: 3, stop: Closing::NEVER };
    let part = opened(&build(&request, &*pairs).unwrap()).unwrap();
    let numbers: Vec<Option<u32>> = (0..1_000).map(Some).collect();
    for is_resumed in [false, true] {
        let calls = |calls: usize| {
            let stop = CancelToken::new();
            let request = BuildRequest { rows: 4_000, stop: Closing::by(&stop), ..request };
            let stopping = Stopping { pairs: &*pairs, left: AtomicUsize::new(calls), stop: &stop };
            let built = match is_resumed {
                true => build_on(&request, Resumed { graph: &part, numbers: &numbers }, &stopping),
                false => build(&request, &stopping),
            };
            (built.is_some(), calls.wrapping_sub(stopping.left.load(Ordering::Relaxed)))
        };
        let (is_built, all) = calls(usize::MAX);
        assert!(is_built);
        let (is_built, until_the_end) = calls(all / 2);
        assert!(!is_built && until_the_end < all / 4 * 3, "{until_the_end} of {all} calls");
    }
}
