//! How many of a term's rows are dead.
//!
//! **Problem.** Scores are of the live rows alone, but the lists of an index have the dead ones too, and to count those of a common
//! term means to read its whole list for each query.
//!
//! **Idea.** Rows only die, so what was counted stays right: a term that is asked for again looks only for the rows that have died
//! since. The first time, few dead rows are looked for one by one, many by going through the list.
//!
//! **Invariant.** An answer depends on the dead rows alone, never on what was asked before. A view that shows fewer dead rows than
//! one before it is answered without what is kept; so is one that finds it in use, as no search waits for another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use fixedbitset::FixedBitSet;

use super::{Block, Index, Postings, Word};
use crate::segment::DeadRows;
use crate::text::bm25::FieldStatistics;

/// Terms that are kept at most; then they are forgotten, one and all.
const TERMS_MAX: usize = 1 << 14;
/// Looking for one row in a list takes as long as going through so many.
const ROWS_A_LOOK: usize = 64;

/// The rows of an index that are dead: those of a segment from its row `first` on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gone<'a> {
    pub(crate) dead: &'a Arc<DeadRows>,
    pub(crate) first: u32,
}

/// What is known of the dead rows of an index.
#[derive(Debug, Default)]
pub(crate) struct DeadCounts(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The dead rows that were looked at last.
    dead: Option<Arc<DeadRows>>,
    /// All that were, in no order but that later ones come later.
    rows: Vec<u32>,
    bits: FixedBitSet,
    lost: FieldStatistics,
    /// By the number of a word: of how many of `rows` it was counted in how many it is.
    counts: HashMap<u32, (usize, u64)>,
}

impl Index {
    /// Of the live rows: the statistics, and how many have each of these words.
    pub(in crate::text) fn live(
        &self,
        gone: Gone<'_>,
        words: &[(Word, Postings<'_>)],
    ) -> (FieldStatistics, Vec<u64>) {
        if gone.dead.count == 0 {
            return (self.info.statistics, words.iter().map(|(word, _)| word.rows as u64).collect());
        }
        if let Ok(mut known) = self.dead.0.try_lock()
            && known.learn(self, gone)
        {
            return known.answer(self, words);
        }
        let mut known = Known::default();
        known.learn(self, gone);
        known.answer(self, words)
    }
}

impl Known {
    /// Goes on to these dead rows; `false` if some that are known are not among them.
    fn learn(&mut self, index: &Index, gone: Gone<'_>) -> bool {
        if self.dead.as_ref().is_some_and(|dead| Arc::ptr_eq(dead, gone.dead)) {
            return true;
        }
        let rows = index.info.rows as usize;
        self.bits.grow(rows);
        let first = gone.first as usize;
        let end = gone.dead.bits.len().min(first + rows);
        let dead_here = gone.dead.bits.count_ones(first.min(end)..end);
        let mut new = Vec::new();
        for slot in gone.dead.bits.ones().skip_while(|slot| *slot < first).take_while(|slot| *slot < end) {
            if !self.bits.contains(slot - first) {
                new.push((slot - first) as u32);
            }
        }
        if self.rows.len() + new.len() != dead_here {
            return false;
        }
        let lengths = index.lengths();
        for slot in &new {
            self.bits.insert(*slot as usize);
            let length = u64::from(lengths.get(*slot));
            self.lost.rows += u64::from(length > 0);
            self.lost.terms += length;
        }
        self.rows.append(&mut new);
        self.dead = Some(gone.dead.clone());
        true
    }

    fn answer(&mut self, index: &Index, words: &[(Word, Postings<'_>)]) -> (FieldStatistics, Vec<u64>) {
        let all = index.info.statistics;
        let live = FieldStatistics {
            rows: all.rows.saturating_sub(self.lost.rows),
            terms: all.terms.saturating_sub(self.lost.terms),
        };
        let mut block = Block::new();
        let counts = words.iter().map(|(word, postings)| {
            (word.rows as u64).saturating_sub(self.count(word.number, postings, &mut block))
        });
        (live, counts.collect())
    }

    /// How many of the dead rows are on a list.
    fn count(&mut self, word: u32, postings: &Postings<'_>, block: &mut Block) -> u64 {
        if self.counts.len() >= TERMS_MAX {
            self.counts.clear();
        }
        let (counted, count) = self.counts.entry(word).or_default();
        let new = &self.rows[*counted..];
        if *counted == 0 && new.len() * ROWS_A_LOOK > postings.len() {
            *count =
                each_slot(postings, block).filter(|slot| self.bits.contains(*slot as usize)).count() as u64;
        } else {
            *count += new.iter().filter(|slot| postings.contains(**slot, block)).count() as u64;
        }
        *counted = self.rows.len();
        *count
    }
}

/// All slots of a list.
fn each_slot<'a>(postings: &'a Postings<'_>, block: &'a mut Block) -> impl Iterator<Item = u32> + 'a {
    (0..postings.blocks()).flat_map(move |at| {
        postings.read(at, block);
        block.slots().to_vec()
    })
}
