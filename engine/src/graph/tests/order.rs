//! The order of a graph's nodes.

use std::collections::BTreeSet;

use super::*;
use crate::CancelToken;

#[test]
fn nodes_that_link_to_each_other_come_together() {
    let vectors = clustered(3_000, 16, Metric::L2, &mut SplitMix64(21));
    let (rows, encoding) = (stored(&vectors), exact_encodings(Metric::L2));
    let graph = grown(&rows, &encoding, small());
    let mut dead = FixedBitSet::with_capacity(3_000);
    dead.extend((0..3_000).step_by(9));
    graph.repair(&dead, &*encoding.growing.pair_scorer(&rows));
    let order = graph.near_order(Closing::NEVER);
    let mut places = vec![None; 3_000];
    for (place, slot) in order.iter().enumerate() {
        assert_eq!(places[slot.index()].replace(place), None, "{slot:?} comes twice");
    }
    assert!(
        (0..3_000).all(|slot| places[slot].is_some() != dead.contains(slot)),
        "the living come, the dead do not"
    );
    // How many runs of 32 nodes the lists lead to.
    let runs = |place: &dyn Fn(u32) -> usize| -> usize {
        let of_list = |slot: &Slot| {
            links::nodes(graph.list(slot.0)).map(|node| place(node) / 32).collect::<BTreeSet<_>>()
        };
        order.iter().map(|slot| of_list(slot).len()).sum()
    };
    let (before, after) = (runs(&|node| node as usize), runs(&|node| places[node as usize].unwrap()));
    assert!(after * 3 < before * 2, "{after} runs, {before} before");
    // Whoever closes a database does not wait for it.
    let stop = CancelToken::new();
    stop.cancel();
    assert_eq!(graph.near_order(Closing::by(&stop)), []);
}

#[test]
fn of_no_nodes_there_is_an_order() {
    assert_eq!(GrowingGraph::new(small(), 1).near_order(Closing::NEVER), []);
}
