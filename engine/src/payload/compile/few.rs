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
    /// is in order; `None` as well if the watch, which is looked at before each condition, ended it.
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
        if matches!(self.root, Node::Leaf(..)) {
            return Some(rows);
        }
        let passing = self.root.among(source, rows, watch);
        // What an interruption left need not pass.
        watch.interrupted().is_none().then_some(passing)
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

    /// Those of some rows, in ascending order, that pass; of no use after an interruption.
    fn among(&self, source: &dyn FieldSource, mut rows: Vec<u32>, watch: &Watch) -> Vec<u32> {
        if rows.is_empty() {
            return rows;
        }
        match self {
            Node::Leaf(..) | Node::Text(..) if watch.poll() => Vec::new(),
            Node::Leaf(field, test) => {
                rows.retain(|row| source.value_of(*row, *field).is_some_and(|value| test.passes(value)));
                rows
            }
            Node::Text(field, analyzer, terms) => source.among_text(*field, *analyzer, terms, rows),
            Node::And(nodes) => nodes.iter().fold(rows, |rows, node| node.among(source, rows, watch)),
            Node::Or(nodes) => {
                let mut passing = Vec::new();
                for node in nodes {
                    let found = node.among(source, rows.clone(), watch);
                    without(&mut rows, &found);
                    passing.extend(found);
                }
                passing.sort_unstable();
                passing
            }
            Node::Not(node) => {
                let found = node.among(source, rows.clone(), watch);
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fixedbitset::FixedBitSet;

    use super::*;
    use crate::Analyzer;
    use crate::interrupt::cancelled_at;
    use crate::payload::{FieldTable, FieldType, Filter, ValueRef};
    use crate::text::QueryTerms;

    /// A hundred rows, each with its number in the field.
    struct Numbered;

    impl FieldSource for Numbered {
        fn rows(&self) -> usize {
            100
        }

        fn select(&self, _: FieldId, _: &Arc<Test>, _: &Watch) -> Arc<FixedBitSet> {
            panic!("rows are listed")
        }

        fn list(&self, _: FieldId, test: &Test, _: usize, _: &Watch) -> Option<Vec<u32>> {
            Some((0..100).filter(|row| test.passes(ValueRef::Int(i64::from(*row)))).collect())
        }

        fn value_of(&self, row: u32, _: FieldId) -> Option<ValueRef<'_>> {
            Some(ValueRef::Int(i64::from(row)))
        }

        fn select_text(&self, _: FieldId, _: Analyzer, _: &QueryTerms) -> Arc<FixedBitSet> {
            panic!("there are no texts")
        }
    }

    /// Thousands of conditions on the rows of a tenant went on for seconds after their caller had left.
    #[test]
    fn asking_conditions_of_rows_ends_at_the_look_that_says_so() {
        let mut fields = FieldTable::default();
        fields.add("n", FieldType::Int);
        // Ranges of which one is to be met stay as many conditions.
        let others: String = (2..=50).map(|n| format!(" or n < {n}")).collect();
        for (text, expected) in [
            (format!("n >= 0 and (n < 1{others})"), 0..50),
            (format!("n >= 0 and not (n < 1{others})"), 50..100),
        ] {
            let filter = CompiledFilter::new(&Filter::parse(&text).unwrap(), &fields).unwrap();
            let mut looks = 0;
            loop {
                looks += 1;
                let token = cancelled_at(looks);
                let watch = Watch::new(None, Some(&token));
                if let Some(rows) = filter.few(&Numbered, 100, &watch) {
                    assert_eq!(rows, expected.collect::<Vec<u32>>());
                    break;
                }
                assert!(watch.interrupted().is_some(), "{text}");
            }
            assert!(looks > 50, "one for each condition: {looks}");
        }
    }
}
