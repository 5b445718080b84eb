//! Filters that few rows pass: a list of them, found without going over the segment.
//!
//! **Problem.** A bitmap of a million rows takes tens of microseconds to make, to count and to go through, and the hundred rows
//! of a tenant are compared in three. **Idea.** The index of a condition knows how many rows meet it before it gives them.
//! Where one of the conditions that must all hold leaves few rows, those are listed, and the whole filter is asked of them: of the
//! values of each, and of words by looking each up in the list of rows that a word has.

use super::{CompiledFilter, FieldSource, Node, Test};
use crate::interrupt::Watch;
use crate::payload::FieldId;

impl CompiledFilter {
    /// The rows that pass in ascending order, if they are found among at most `max`: where one of the conditions that must
    /// all hold leaves so few, the others are asked of each. It takes as long as these rows take, whatever the segment has, once what tells them
    /// is in order; `None` as well if the watch ended that.
    pub(crate) fn few(&self, source: &dyn FieldSource, max: usize, watch: &Watch) -> Option<Vec<u32>> {
        let mut leaves = Vec::new();
        self.root.necessary(&mut leaves);
        let (field, test) = match *leaves {
            [one] => one,
            _ => {
                let count = |leaf: &(FieldId, &Test)| source.count(leaf.0, leaf.1, watch);
                let counted = leaves.iter().filter_map(|leaf| Some((count(leaf)?, *leaf)));
                counted.min_by_key(|(count, _)| *count)?.1
            }
        };
        let rows = source.list(field, test, max, watch)?;
        let is_all = matches!(self.root, Node::Leaf(..));
        Some(if is_all { rows } else { self.root.among(source, rows) })
    }
}

impl Node {
    /// Adds conditions without which nothing passes.
    fn necessary<'a>(&'a self, leaves: &mut Vec<(FieldId, &'a Test)>) {
        match self {
            Node::Leaf(field, test) => leaves.push((*field, test)),
            Node::And(nodes) => nodes.iter().for_each(|node| node.necessary(leaves)),
            Node::Text(..) | Node::Or(_) | Node::Not(_) => {}
        }
    }

    /// Those of some rows, in ascending order, that pass.
    fn among(&self, source: &dyn FieldSource, mut rows: Vec<u32>) -> Vec<u32> {
        if rows.is_empty() {
            return rows;
        }
        match self {
            Node::Leaf(field, test) => {
                rows.retain(|row| source.value_of(*row, *field).is_some_and(|value| test.passes(value)));
                rows
            }
            Node::Text(field, analyzer, text) => source.among_text(*field, *analyzer, text, rows),
            Node::And(nodes) => nodes.iter().fold(rows, |rows, node| node.among(source, rows)),
            Node::Or(nodes) => {
                let mut passing = Vec::new();
                for node in nodes {
                    let found = node.among(source, rows.clone());
                    without(&mut rows, &found);
                    passing.extend(found);
                }
                passing.sort_unstable();
                passing
            }
            Node::Not(node) => {
                let found = node.among(source, rows.clone());
                without(&mut rows, &found);
                rows
            }
        }
    }
}

/// Takes ascending rows out of others.
fn without(rows: &mut Vec<u32>, out: &[u32]) {
    rows.retain(|row| out.binary_search(row).is_err());
}
