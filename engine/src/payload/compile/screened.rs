//! Filters of which one condition is asked of rows one by one, by a screen, and the others by a set.
//!
//! Of the conditions that must all hold the first circle gets a screen, if there is one for it ([`FieldSource::screen`]); what is within an
//! `or` or a `not` gets none, as a screen's no would have to be right, too.

use std::sync::Arc;

use fixedbitset::FixedBitSet;
use ragstone_kernels::KernelBits;

use super::{CompiledFilter, FieldSource, Node, Test};
use crate::interrupt::Watch;
use crate::payload::{FieldId, Screen};

/// Rows of a set that are asked, to tell how many of it a screen lets through.
const SAMPLE: usize = 512;
const WORD_BITS: usize = usize::BITS as usize;

/// What lets through all rows that pass a filter, and few others.
#[derive(Debug)]
pub(crate) struct Screened<'a> {
    pub(crate) field: FieldId,
    test: Arc<Test>,
    pub(crate) screen: Screen<'a>,
    /// The rows that pass all but the screened condition; all of them if there is no set.
    pub(crate) others: Option<Arc<FixedBitSet>>,
}

impl CompiledFilter {
    /// The filter with a screen; `None` if it has no condition that gets one and that about so many rows pass, or the watch ended finding the rows
    /// of the others.
    pub(crate) fn screened<'a>(
        &self,
        source: &'a dyn FieldSource,
        least: usize,
        watch: &Watch,
    ) -> Option<Screened<'a>> {
        let (field, test) = self.root.circle()?;
        let screen = source.screen((field, test), least, watch)?;
        let others = self.root.without(test, source, watch);
        watch.interrupted().is_none().then(|| Screened { field, test: test.clone(), screen, others })
    }
}

impl Screened<'_> {
    /// Whether a row that is let through passes.
    pub(crate) fn passes(&self, source: &dyn FieldSource, row: u32) -> bool {
        self.screen.is_certain(row)
            || source.value_of(row, self.field).is_some_and(|value| self.test.passes(value))
    }

    /// Keeps to the first rows.
    pub(crate) fn of_first(self, rows: usize) -> Self {
        Self { screen: self.screen.of_first(rows), ..self }
    }

    /// Takes rows out.
    pub(crate) fn refuse(&mut self, rows: &FixedBitSet) {
        let others = self.others.get_or_insert_with(|| {
            let mut all = FixedBitSet::with_capacity(self.screen.rows());
            all.insert_range(..);
            Arc::new(all)
        });
        Arc::make_mut(others).difference_with(rows);
    }

    /// About how many rows are let through: by some of them, where a set says which there are.
    pub(crate) fn count(&self) -> usize {
        let Some(others) = &self.others else { return self.screen.count() };
        let words = others.as_slice();
        let (mut asked, mut admitted) = (0, 0);
        for (at, word) in words.iter().enumerate().step_by((words.len() / SAMPLE).max(1)) {
            if *word != 0 {
                let row = at * WORD_BITS + word.trailing_zeros() as usize;
                asked += 1;
                admitted += usize::from(self.screen.admits(row as u32));
            }
        }
        KernelBits::new().count_ones(words) * admitted / asked.max(1)
    }
}

impl Node {
    /// The first circle among the conditions without which nothing passes.
    fn circle(&self) -> Option<(FieldId, &Arc<Test>)> {
        match self {
            Node::Leaf(field, test) if matches!(**test, Test::Within(..)) => Some((*field, test)),
            Node::And(nodes) => nodes.iter().find_map(Node::circle),
            _ => None,
        }
    }

    /// The rows that pass but for one of those conditions; all if there is no other.
    fn without(
        &self,
        left_out: &Arc<Test>,
        source: &dyn FieldSource,
        watch: &Watch,
    ) -> Option<Arc<FixedBitSet>> {
        match self {
            Node::Leaf(_, test) if Arc::ptr_eq(test, left_out) => None,
            Node::And(nodes) => {
                let mut sets = nodes.iter().filter_map(|node| node.without(left_out, source, watch));
                let mut all = sets.next()?;
                sets.for_each(|set| Arc::make_mut(&mut all).intersect_with(&set));
                Some(all)
            }
            node => Some(node.run(source, watch)),
        }
    }
}
