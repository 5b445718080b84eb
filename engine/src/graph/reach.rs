//! Which nodes a walk can come to: the one check of reachability, of growing graphs before they are sealed, of sealed
//! ones when they are verified, and of both in tests and under the fuzzer.
//!
//! A node that nothing leads to is the commonest silent fault of such graphs: it is never found, and average recall does
//! not show it.

use std::convert::Infallible;

use fixedbitset::FixedBitSet;

use super::walk::{Layer, Layers};

/// The node of the base that a walk from the entry begins at; `None` of a graph without nodes. `below` may lead
/// anywhere in a damaged graph.
pub(super) fn start(layers: &impl Layers) -> Option<u32> {
    let entry = layers.entry()?;
    Some((1..=entry.layer).rev().fold(entry.node, |node, layer| layers.below(layer, node)))
}

/// Marks all nodes of the base that can be reached from one; returns the last one found. Links beyond the layer's limit
/// lead nowhere.
pub(super) fn flood(base: &impl Layer, from: u32, reached: &mut FixedBitSet) -> u32 {
    let Ok(last) = try_flood(base, from, reached, |_| Ok::<_, Infallible>(()));
    last
}

/// As [`flood`], until `visit` fails, which is called with every node that was found before its links are followed.
pub(super) fn try_flood<E>(
    base: &impl Layer,
    from: u32,
    reached: &mut FixedBitSet,
    mut visit: impl FnMut(u32) -> Result<(), E>,
) -> Result<u32, E> {
    let limit = base.limit() as u32;
    let (mut waiting, mut last) = (vec![from], from);
    if from >= limit {
        return Ok(from);
    }
    reached.insert(from as usize);
    while let Some(node) = waiting.pop() {
        visit(node)?;
        last = node;
        waiting.extend(base.links(node).filter(|next| *next < limit && !reached.put(*next as usize)));
    }
    Ok(last)
}
