//! Enough chunks to choose from, where documents have their share.
//!
//! **Problem.** The best chunks may all be of a few documents, and of each of these so many are wanted and no more: four times as many as are wanted give
//! fewer than that, though other documents match.
//!
//! **Idea.** What would be kept of the pool tells how many are missing, and which documents have their share. So more of the ranking is looked at, four times as
//! much each time, and of it chunks of the other documents join the pool, as many times as many as are missing, and each time twice that. It
//! ends when `k` would be kept, when no more match, or at [`K_MAX`] chunks of the ranking.
//!
//! **Cost.** Nothing in the usual case, where the first pool is enough. Else a search each time, six at most, and the chunks of the pool are read
//! anew, of which there are no more than twice as many each time. A re-ranker sees the pool in the end, once.

use std::collections::HashSet;

use ragstone::PointId;
use ragstone::limits::K_MAX;

use super::searching::Scored;
use crate::error::Result;
use crate::reserved;
use crate::retrieve::select::{POOL_FACTOR, Trial};
use crate::retrieve::{Pooled, Selection};

/// How many times as much of the ranking is looked at each time.
const REACH_FACTOR: usize = 4;

/// What a pool is filled by.
pub(super) struct Filling<'a> {
    pub(super) selection: Selection,
    /// So many rows, best first; fewer only if fewer match.
    pub(super) ranked: &'a dyn Fn(usize) -> Result<Vec<Scored>>,
    /// The chunks of rows, in their order.
    pub(super) read: &'a dyn Fn(Vec<Scored>) -> Result<Vec<Pooled>>,
    /// Fails once nobody waits any more.
    pub(super) check_wanted: &'a dyn Fn() -> Result<()>,
}

impl Filling<'_> {
    /// So many chunks, best first, and what is missing beyond them.
    pub(super) fn pool(&self, wanted: usize) -> Result<Vec<Pooled>> {
        let (mut reach, mut ranking) = (wanted, (self.ranked)(wanted)?);
        let mut pool = (self.read)(ranking.clone())?;
        if self.selection.per_document.is_none() {
            return Ok(pool);
        }
        let mut taken: HashSet<PointId> = ranking.iter().map(|(id, ..)| id.clone()).collect();
        let mut factor = POOL_FACTOR;
        loop {
            let Trial { kept, full } = self.selection.trial(&pool, self.check_wanted)?;
            let missing = self.selection.k.saturating_sub(kept);
            if missing == 0 {
                return Ok(pool);
            }
            let is_open = |(id, score, _): &&Scored| {
                let has_room = reserved::document_of(id).is_some_and(|document| !full.contains(document));
                has_room && !taken.contains(id) && !self.is_low(*score)
            };
            let most = missing.saturating_mul(factor);
            let mut more: Vec<PointId> = Vec::new();
            loop {
                more.extend(ranking.iter().filter(is_open).take(most).map(|(id, ..)| id.clone()));
                if !more.is_empty() {
                    break;
                }
                let is_all = ranking.len() < reach || ranking.last().is_some_and(|last| self.is_low(last.1));
                if is_all || reach >= K_MAX {
                    return Ok(pool);
                }
                (self.check_wanted)()?;
                reach = reach.saturating_mul(REACH_FACTOR).min(K_MAX);
                ranking = (self.ranked)(reach)?;
            }
            taken.extend(more);
            factor = factor.saturating_mul(2);
            pool = (self.read)(ranking.iter().filter(|(id, ..)| taken.contains(id)).cloned().collect())?;
        }
    }

    /// Whether a score is too low, so that those of all that come behind are.
    fn is_low(&self, score: f32) -> bool {
        self.selection.min_score.is_some_and(|least| score < least)
    }
}
