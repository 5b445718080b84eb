//! The words of a sealed graph, all of them: that each link leads to a node, each upper node to
//! its row, and something to every node.
//!
//! A walk does not rely on it: it skips what leads nowhere. But a walk over a damaged graph gives a wrong answer, and
//! this is what finds the damage that checksums cannot, that of the program which wrote them. It reads the lists from
//! front to back, then follows all links from where walks begin, which in a graph larger than memory is a read for each
//! list. So it asks its pace every [`LISTS_PER_STEP`] lists.

use fixedbitset::FixedBitSet;

use super::reach;
use super::sealed::{ABSENT_LINK, GraphError, NO_LINK, UPPER_RECORD_HEAD, View};
use super::walk::Layers;
use crate::pace::{Halt, Pace, Steps};

/// Lists between two looks at the pace: some milliseconds where each of them comes from a disk.
pub(super) const LISTS_PER_STEP: usize = 64;

/// Checks every list and record.
pub(super) fn check(view: &View<'_>, pace: &mut Pace<'_>) -> Result<(), Halt<GraphError>> {
    let mut steps = Steps::new(pace, LISTS_PER_STEP);
    let nodes = check_base(view, &mut steps)?;
    for layer in 1..=view.header.layers as usize {
        check_upper(view, layer, &nodes, &mut steps)?;
    }
    check_reach(view, &nodes, &mut steps)
}

/// Checks the lists of the base one by one; returns which rows are nodes.
fn check_base(view: &View<'_>, steps: &mut Steps<'_, '_>) -> Result<FixedBitSet, Halt<GraphError>> {
    let header = view.header;
    let mut nodes = FixedBitSet::with_capacity(header.rows as usize);
    let mut count = 0;
    for slot in 0..header.rows {
        steps.one()?;
        let (list, at) = (view.base_list(slot), place(view, slot));
        if header.nodes < header.rows && list[0] == ABSENT_LINK {
            if let Some(i) = list.iter().position(|word| *word != ABSENT_LINK) {
                return Err(wrong(at + i, "a link of a row that is no node", list[i]));
            }
            continue;
        }
        check_list(list, at, slot, header.rows)?;
        nodes.insert(slot as usize);
        count += 1;
    }
    if count == header.nodes { Ok(nodes) } else { Err(wrong(2, "the number of nodes", header.nodes)) }
}

fn check_upper(
    view: &View<'_>,
    layer: usize,
    nodes: &FixedBitSet,
    steps: &mut Steps<'_, '_>,
) -> Result<(), Halt<GraphError>> {
    let header = view.header;
    let this = view.upper_layer(layer);
    let start = header.upper_range(layer).start;
    let count = header.upper_nodes[layer - 1];
    for node in 0..count {
        steps.one()?;
        let at = start + node as usize * this.record_words;
        let record = this.record(node);
        let (slot, below) = (record[0], record[1]);
        if !nodes.contains(slot as usize) {
            return Err(wrong(at, "the slot of an upper node", slot));
        }
        let same_below = if layer == 1 {
            below == slot
        } else {
            below < header.upper_nodes[layer - 2] && view.upper_layer(layer - 1).record(below)[0] == slot
        };
        if !same_below {
            return Err(wrong(at + 1, "the node below an upper node", below));
        }
        check_list(&record[UPPER_RECORD_HEAD..], at + UPPER_RECORD_HEAD, node, count)?;
    }
    Ok(())
}

/// Follows all links: that they lead to nodes, and to every one.
fn check_reach(
    view: &View<'_>,
    nodes: &FixedBitSet,
    steps: &mut Steps<'_, '_>,
) -> Result<(), Halt<GraphError>> {
    let header = view.header;
    if header.layers == 0 && header.nodes > 0 && !nodes.contains(header.entry as usize) {
        return Err(wrong(6, "the entry", header.entry));
    }
    let mut reached = FixedBitSet::with_capacity(header.rows as usize);
    if let Some(start) = reach::start(view) {
        reach::try_flood(&view.base(), start, &mut reached, |node| {
            steps.one()?;
            let list = view.base_list(node);
            let mut links = list.iter().take_while(|link| **link != NO_LINK);
            match links.position(|link| !nodes.contains(*link as usize)) {
                Some(i) => Err(wrong(place(view, node) + i, "a link to a row that is no node", list[i])),
                None => Ok(()),
            }
        })?;
    }
    let unreached = nodes.difference(&reached).next();
    unreached.map_or(Ok(()), |slot| {
        Err(wrong(place(view, slot as u32), "a node that nothing leads to", slot as u32))
    })
}

/// The word at which a base list begins.
fn place(view: &View<'_>, slot: u32) -> usize {
    view.header.base_range().start + slot as usize * view.header.degree as usize
}

/// Checks that a list links to nodes below `limit`, not to its own, and has nothing behind its end.
fn check_list(list: &[u32], at: usize, own: u32, limit: u32) -> Result<(), Halt<GraphError>> {
    let length = list.iter().position(|link| *link == NO_LINK).unwrap_or(list.len());
    for (i, link) in list.iter().enumerate() {
        let good = if i < length { *link < limit && *link != own } else { *link == NO_LINK };
        if !good {
            return Err(wrong(at + i, "a link", *link));
        }
    }
    Ok(())
}

fn wrong(word: usize, what: &'static str, value: u32) -> Halt<GraphError> {
    Halt::Found(GraphError::Word { offset: word * 4, what, value })
}
