//! Enough chunks to choose from, where documents have their share, or what is said twice is left out.
//!
//! **Problem.** The best chunks may all be of a few documents, and of each of these so many are wanted and no more; or they are all copies of a few. So four
//! times as many as are wanted give fewer than that, though others match.
//!
//! **Idea.** What would be kept of the pool tells how many are missing, and which documents have their share. So more of the ranking is looked at, four times as
//! much each time, and of it chunks of the other documents join the pool, as many times as many as are missing, and each time twice that. It
//! ends when `k` would be kept, when no more match, at [`K_MAX`] chunks of the ranking, or at as many chunks as the pool may have. Which chunks are copies is
//! told by reading them, so for those alone the pool is smaller ([`Selection::pool_max`]).
//!
//! **Cost.** A trial of the choice in the usual case, where the first pool is enough. Else a search each time, six at most, and the chunks of the pool are read
//! anew, of which there are no more than twice as many each time. A re-ranker sees the pool in the end, once: it reads
//! each chunk, so its pool is bounded by what one call of it may have.

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
    /// Up to how many chunks the pool is filled.
    pub(super) most: usize,
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
        if self.selection.per_document.is_none() && !self.selection.distinct {
            return Ok(pool);
        }
        let mut taken: HashSet<PointId> = ranking.iter().map(|(id, ..)| id.clone()).collect();
        let mut factor = POOL_FACTOR;
        loop {
            let room = self.most.saturating_sub(taken.len());
            if room == 0 {
                return Ok(pool);
            }
            let Trial { kept, full } = self.selection.trial(&mut pool, self.check_wanted)?;
            let missing = self.selection.k.saturating_sub(kept);
            if missing == 0 {
                return Ok(pool);
            }
            let is_open = |(id, score, _): &&Scored| {
                let has_room = reserved::document_of(id).is_some_and(|document| !full.contains(document));
                has_room && !taken.contains(id) && !self.is_low(*score)
            };
            let most = missing.saturating_mul(factor).min(room);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::Chunk;
    use crate::retrieve::{RetrievedChunk, StageScores};

    /// So many chunks of one document come before one of each other.
    const AHEAD: usize = 100;

    fn document(at: usize) -> (String, usize) {
        if at < AHEAD { ("long".to_owned(), at) } else { (format!("short-{at}"), 0) }
    }

    fn ranked(rows: usize) -> Result<Vec<Scored>> {
        let scored = |at: usize| {
            let (document, ordinal) = document(at);
            (reserved::chunk_row(&document, ordinal), 1.0 - at as f32 / 1e3, StageScores::default())
        };
        Ok((0..rows.min(500)).map(scored).collect())
    }

    fn read(ranked: Vec<Scored>) -> Result<Vec<Pooled>> {
        let pooled = |(id, score, scores): Scored| {
            let chunk = Chunk {
                document: reserved::document_of(&id).unwrap().to_owned(),
                ordinal: 0,
                heading: String::new(),
                start: 0,
                end: 1,
                text: "x".to_owned(),
                tokens: 1,
                content_sha256: String::new(),
            };
            let found = RetrievedChunk { chunk, score, scores, beside: None, gap: None };
            Pooled { found, vector: None }
        };
        Ok(ranked.into_iter().map(pooled).collect())
    }

    #[test]
    fn a_pool_is_filled_up_to_its_bound_and_no_further() {
        // how many are wanted first, the bound, how many there are in the end, and of how many documents
        for (wanted, most, pool, documents) in [
            // Of the long document one is kept, so that nine are missing: four times as many come.
            (20, 1_000, 20 + 36, 1 + 36),
            (20, 30, 30, 1 + 10),
            (20, 25, 25, 1 + 5),
            (20, 20, 20, 1),
            // What is wanted stays, whatever the bound.
            (20, 10, 20, 1),
            (AHEAD + 20, 1_000, AHEAD + 20, 1 + 20),
        ] {
            let selection = Selection { k: 10, per_document: Some(1), ..Selection::default() };
            let filling = Filling { selection, most, ranked: &ranked, read: &read, check_wanted: &|| Ok(()) };
            let found = filling.pool(wanted).unwrap();
            let of: HashSet<&str> = found.iter().map(|it| it.found.chunk.document.as_str()).collect();
            assert_eq!((found.len(), of.len()), (pool, documents), "{wanted} up to {most}");
            assert!(found.is_sorted_by(|a, b| a.found.score >= b.found.score));
        }
    }

    /// The same, where the long document says one thing over and over, and each other something else.
    fn read_copies(ranked: Vec<Scored>) -> Result<Vec<Pooled>> {
        let mut pool = read(ranked)?;
        for Pooled { found, .. } in &mut pool {
            let document = &found.chunk.document;
            let is_long = document == "long";
            let said = if is_long {
                "the lease ends in May".to_owned()
            } else {
                format!("{document} tells its own")
            };
            found.chunk.text = said;
        }
        Ok(pool)
    }

    #[test]
    fn a_pool_of_copies_is_filled_up_to_its_bound_and_no_further() {
        let distinct = Selection { k: 10, distinct: true, ..Selection::default() };
        // The bound, how many there are in the end, and how many of them are kept.
        for (selection, most, pool, kept) in [
            // Nine are missing each time: four times as many come, then eight times.
            (distinct, distinct.pool_max(), 40 + 36 + 72, 10),
            (distinct, AHEAD, AHEAD, 1),
            (distinct, 40, 40, 1),
            (Selection { distinct: false, ..distinct }, K_MAX, 40, 10),
        ] {
            let filling =
                Filling { selection, most, ranked: &ranked, read: &read_copies, check_wanted: &|| Ok(()) };
            let found = filling.pool(40).unwrap();
            assert_eq!(found.len(), pool, "up to {most}");
            assert_eq!(selection.of(found, &|| Ok(())).unwrap().chunks.len(), kept, "up to {most}");
        }
    }
}
