//! The words of a sealed graph, all of them: that each link leads to a node, each upper node to
//! its row, and something to every node.
//!
//! A walk does not rely on it: it skips what leads nowhere. But a walk over a damaged graph gives a wrong answer, and
//! this is what finds the damage that checksums cannot, that of the program which wrote them. It reads the lists from
//! front to back, then follows all links from where walks begin, which in a graph larger than memory is a read for each
//! list.

use fixedbitset::FixedBitSet;

use super::reach;
use super::sealed::{ABSENT_LINK, GraphError, NO_LINK, UPPER_RECORD_HEAD, View};
use super::walk::Layers;

/// Checks every list and record.
pub(super) fn check(view: &View<'_>) -> Result<(), GraphError> {
    let header = view.header;
    let is_absent = |slot: u32| header.nodes < header.rows && view.base_list(slot)[0] == ABSENT_LINK;
    let mut nodes = 0;
    let base = header.base_range();
    for slot in 0..header.rows {
        let list = view.base_list(slot);
        let at = base.start + slot as usize * list.len();
        if is_absent(slot) {
            if let Some(i) = list.iter().position(|word| *word != ABSENT_LINK) {
                return Err(wrong(at + i, "a link of a row that is no node", list[i]));
            }
            continue;
        }
        nodes += 1;
        check_list(list, at, slot, header.rows)?;
        for (i, link) in list.iter().enumerate().take_while(|(_, link)| **link != NO_LINK) {
            if is_absent(*link) {
                return Err(wrong(at + i, "a link to a row that is no node", *link));
            }
        }
    }
    if nodes != header.nodes {
        return Err(wrong(2, "the number of nodes", header.nodes));
    }
    (1..=header.layers as usize).try_for_each(|layer| check_upper(view, layer))?;
    if header.layers == 0 && nodes > 0 && is_absent(header.entry) {
        return Err(wrong(6, "the entry", header.entry));
    }
    let mut reached = FixedBitSet::with_capacity(header.rows as usize);
    if let Some(start) = reach::start(view) {
        reach::flood(&view.base(), start, &mut reached);
    }
    let unreached = (0..header.rows).find(|slot| !is_absent(*slot) && !reached.contains(*slot as usize));
    unreached.map_or(Ok(()), |slot| {
        Err(wrong(base.start + slot as usize * header.degree as usize, "a node that nothing leads to", slot))
    })
}

fn check_upper(view: &View<'_>, layer: usize) -> Result<(), GraphError> {
    let header = view.header;
    let this = view.upper_layer(layer);
    let start = header.upper_range(layer).start;
    let count = header.upper_nodes[layer - 1];
    for node in 0..count {
        let at = start + node as usize * this.record_words;
        let record = this.record(node);
        let (slot, below) = (record[0], record[1]);
        if slot >= header.rows || view.base_list(slot)[0] == ABSENT_LINK {
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

/// Checks that a list links to nodes below `limit`, not to its own, and has nothing behind its end.
fn check_list(list: &[u32], at: usize, own: u32, limit: u32) -> Result<(), GraphError> {
    let length = list.iter().position(|link| *link == NO_LINK).unwrap_or(list.len());
    for (i, link) in list.iter().enumerate() {
        let good = if i < length { *link < limit && *link != own } else { *link == NO_LINK };
        if !good {
            return Err(wrong(at + i, "a link", *link));
        }
    }
    Ok(())
}

fn wrong(word: usize, what: &'static str, value: u32) -> GraphError {
    GraphError::Word { offset: word * 4, what, value }
}
