//! The invariants of a graph, checked naively. Tests of the graph, of segments and of whole collections share
//! this.

use std::collections::HashSet;

use super::growing::{GrowingGraph, LIVE};
use super::links::links;
use super::sealed::SealedGraph;
use super::walk::{Layer, Layers};

/// What is wrong with a growing graph while nothing writes to it; empty if nothing is.
pub(crate) fn growing(graph: &GrowingGraph) -> Vec<String> {
    let live: Vec<u32> = (0..graph.reach() as u32).filter(|node| graph.state(*node) == LIVE).collect();
    let mut wrong = layers(graph, &live);
    if live.len() != graph.len() {
        wrong.push(format!("{} live nodes counted as {}", live.len(), graph.len()));
    }
    for node in &live {
        let list: Vec<_> = links(graph.list(*node)).collect();
        if !list.is_sorted_by_key(|link| !link.tree) {
            wrong.push(format!("{node} has a tree edge behind other links"));
        }
        for link in list.iter().filter(|link| link.tree) {
            if !links(graph.list(link.node)).any(|back| back.tree && back.node == *node) {
                wrong.push(format!("the tree edge {node} -> {} has no way back", link.node));
            }
        }
    }
    let edges: usize =
        live.iter().map(|node| links(graph.list(*node)).filter(|link| link.tree).count()).sum();
    if edges != 2 * live.len().saturating_sub(1) {
        wrong.push(format!("{edges} ends of tree edges for {} nodes", live.len()));
    }
    wrong
}

/// What is wrong with a sealed graph; empty if nothing is.
pub(crate) fn sealed(graph: &SealedGraph) -> Vec<String> {
    let live: Vec<u32> =
        (0..graph.rows() as u32).filter(|slot| graph.contains(crate::vectors::Slot(*slot))).collect();
    let mut wrong = layers(&graph.view(), &live);
    if live.len() != graph.len() {
        wrong.push(format!("{} nodes counted as {}", live.len(), graph.len()));
    }
    wrong
}

fn layers(graph: &impl Layers, live: &[u32]) -> Vec<String> {
    let mut wrong = Vec::new();
    let Some(mut entry) = graph.entry() else {
        if !live.is_empty() {
            wrong.push(format!("{} nodes and no entry", live.len()));
        }
        return wrong;
    };
    let own: HashSet<u32> = live.iter().copied().collect();
    lists(&graph.base(), live.iter().copied(), |node| own.contains(&node), &mut wrong);
    for layer in (1..=entry.layer).rev() {
        let upper = graph.upper(layer);
        let limit = upper.limit() as u32;
        lists(&upper, 0..limit, |node| node < limit, &mut wrong);
        entry.node = graph.below(layer, entry.node);
    }
    let mut seen = HashSet::from([entry.node]);
    let mut waiting = vec![entry.node];
    let base = graph.base();
    while let Some(node) = waiting.pop() {
        waiting.extend(base.links(node).filter(|next| seen.insert(*next)));
    }
    let unreached: Vec<_> = live.iter().filter(|node| !seen.contains(node)).collect();
    if !unreached.is_empty() {
        wrong.push(format!("{} nodes cannot be reached, {:?} first", unreached.len(), unreached[0]));
    }
    wrong
}

fn lists(
    layer: &impl Layer,
    nodes: impl Iterator<Item = u32>,
    exists: impl Fn(u32) -> bool,
    wrong: &mut Vec<String>,
) {
    for node in nodes {
        let mut seen = HashSet::new();
        for link in layer.links(node) {
            if link == node {
                wrong.push(format!("{node} links to itself"));
            }
            if !exists(link) {
                wrong.push(format!("{node} links to {link}, which is no live node"));
            }
            if !seen.insert(link) {
                wrong.push(format!("{node} links to {link} twice"));
            }
        }
    }
}
