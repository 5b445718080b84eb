//! Which of the chunks that were found are kept.
//!
//! **Problem.** The best chunks by score may be one passage in five copies, all of one document, or all about one half of the question.
//!
//! **Idea.** More chunks are found than are asked for, and of these, best first, are left out: those below a score; those of a document that has its share already; those that say
//! what one that is kept says (`similar.rs`). What is kept comes in the order of the scores, or, if that is
//! asked for, is chosen by maximal marginal relevance (Carbonell and Goldstein, "The use of MMR", 1998): each time the chunk whose
//! relevance, less its likeness to what is kept, is greatest.
//!
//! Where documents have their share, or what is found are copies, and too few are left, more are found (`rag/filling.rs`), by a trial of this.
//!
//! What is left out is told if it stood among the first `k`, or before one that was kept.
//!
//! **Cost.** Words of the texts; by MMR `k` passes over the vectors of the pool, so that both are bounded then ([`MMR_CHUNKS_MAX`],
//! [`MMR_POOL_MAX`]).
//!
//! Pure: chunks with scores and vectors in, chunks out.

use std::collections::{HashMap, HashSet};

use super::similar::{Kept, Signature};
use super::{DropReason, DroppedChunk, RetrievedChunk};
use crate::error::{Error, Result};
use crate::limits::{MMR_CHUNKS_MAX, MMR_POOL_MAX};
use crate::prompt::{check_max, check_range};
use ragstone::limits::K_MAX;

/// How many times as many chunks as are wanted are looked at, where some may be left out.
pub(crate) const POOL_FACTOR: usize = 4;
/// The same at most where copies alone leave too few: each has to be read to know it for one.
const COPIES_FACTOR: usize = 64;

/// What is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Selection {
    pub(crate) k: usize,
    pub(crate) min_score: Option<f32>,
    pub(crate) distinct: bool,
    /// How much relevance counts beside novelty.
    pub(crate) mmr: Option<f32>,
    pub(crate) per_document: Option<usize>,
}

/// A chunk that was found, with its vector where that is needed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pooled {
    pub(crate) found: RetrievedChunk,
    pub(crate) vector: Option<Vec<f32>>,
}

impl Pooled {
    /// None where none was needed or there is none.
    fn vector(&self) -> &[f32] {
        self.vector.as_deref().unwrap_or_default()
    }
}

/// Chunks that are kept, best first, and those that are left out, in the order in which they were found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Selected {
    pub(crate) chunks: Vec<RetrievedChunk>,
    pub(crate) dropped: Vec<DroppedChunk>,
}

impl Selection {
    /// Refuses what makes no sense.
    pub(crate) fn validate(&self) -> Result<()> {
        check_range("k", self.k, "K_MAX", K_MAX)?;
        let invalid = |field: &str, reason: &str| {
            Err(Error::Invalid { field: field.to_owned(), reason: reason.to_owned() })
        };
        if self.min_score.is_some_and(|score| !score.is_finite()) {
            return invalid("min_score", "it must be a finite number");
        }
        if let Some(per_document) = self.per_document {
            check_range("per_document", per_document, "K_MAX", K_MAX)?;
        }
        match self.mmr {
            Some(lambda) if !(0.0..=1.0).contains(&lambda) => {
                invalid("mmr", "it must be 0 (novelty alone) to 1 (relevance alone)")
            }
            Some(_) => check_max("k", self.k, "MMR_CHUNKS_MAX", MMR_CHUNKS_MAX),
            None => Ok(()),
        }
    }

    /// How many chunks are to be found.
    pub(crate) fn pool(&self) -> usize {
        let is_plain = !self.distinct && self.mmr.is_none() && self.per_document.is_none();
        if is_plain { self.k } else { self.k.saturating_mul(POOL_FACTOR).min(K_MAX) }
    }

    /// Up to how many chunks the pool is filled where some documents have their share, or chunks are copies.
    pub(crate) fn pool_max(&self) -> usize {
        let most = if self.mmr.is_some() { MMR_POOL_MAX } else { K_MAX };
        match self.per_document {
            Some(_) => most,
            None => most.min(self.k.saturating_mul(COPIES_FACTOR)),
        }
    }

    /// Whether chunks are needed with their vectors.
    pub(crate) fn needs_vectors(&self) -> bool {
        self.mmr.is_some()
    }

    /// Chooses among chunks, best first.
    ///
    /// # Errors
    /// What `check_wanted` gives, which is asked now and then whether somebody still waits.
    pub(crate) fn of(&self, pool: Vec<Pooled>, check_wanted: &dyn Fn() -> Result<()>) -> Result<Selected> {
        let mut choice = Choice::new(*self, pool);
        choice.drop_low();
        match self.mmr {
            Some(lambda) => choice.take_by_mmr(lambda, check_wanted)?,
            None => choice.take_in_order(check_wanted)?,
        }
        Ok(choice.finish())
    }

    /// What would be kept of chunks, best first, in their order: by maximal marginal relevance as many are, but for repetitions. The pool is as
    /// it was afterwards, unless it fails.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub(crate) fn trial(
        &self,
        pool: &mut Vec<Pooled>,
        check_wanted: &dyn Fn() -> Result<()>,
    ) -> Result<Trial> {
        // Lent, as it may have as many texts and vectors as a search gives.
        let mut choice = Choice::new(Selection { mmr: None, ..*self }, std::mem::take(pool));
        choice.drop_low();
        choice.take_in_order(check_wanted)?;
        let Choice { kept, of_document, pool: lent, .. } = choice;
        *pool = lent;
        let has_share = |(_, share): &(String, usize)| self.per_document.is_some_and(|most| *share >= most);
        let full = of_document.into_iter().filter(has_share).map(|(document, _)| document).collect();
        Ok(Trial { kept, full })
    }
}

/// What would be kept of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trial {
    /// How many chunks.
    pub(crate) kept: usize,
    /// The documents that have their share.
    pub(crate) full: HashSet<String>,
}

/// What was decided of a chunk.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Open,
    /// The place among those that are kept.
    Kept(usize),
    Dropped(DropReason),
}

/// A choice under way.
struct Choice {
    selection: Selection,
    pool: Vec<Pooled>,
    /// Of each of the pool.
    fates: Vec<Fate>,
    kept: usize,
    of_document: HashMap<String, usize>,
    /// What is kept, to tell what says the same.
    said: Kept,
}

impl Choice {
    fn new(selection: Selection, pool: Vec<Pooled>) -> Choice {
        let fates = vec![Fate::Open; pool.len()];
        Choice { selection, pool, fates, kept: 0, of_document: HashMap::new(), said: Kept::default() }
    }

    fn drop_low(&mut self) {
        let Some(least) = self.selection.min_score else { return };
        for (Pooled { found, .. }, fate) in self.pool.iter().zip(&mut self.fates) {
            if found.score < least {
                *fate = Fate::Dropped(DropReason::Score);
            }
        }
    }

    /// Keeps a chunk, unless its document has its share or one that is kept says the same.
    fn offer(&mut self, at: usize) -> bool {
        let chunk = &self.pool[at].found.chunk;
        let share = self.of_document.get(&chunk.document).copied().unwrap_or_default();
        if self.selection.per_document.is_some_and(|most| share >= most) {
            self.fates[at] = Fate::Dropped(DropReason::PerDocument);
            return false;
        }
        if self.selection.distinct {
            let signature = Signature::of(&chunk.text);
            if self.said.contains(&signature) {
                self.fates[at] = Fate::Dropped(DropReason::Duplicate);
                return false;
            }
            self.said.add(signature);
        }
        self.of_document.insert(chunk.document.clone(), share + 1);
        self.fates[at] = Fate::Kept(self.kept);
        self.kept += 1;
        true
    }

    fn take_in_order(&mut self, check_wanted: &dyn Fn() -> Result<()>) -> Result<()> {
        for at in 0..self.pool.len() {
            if self.kept == self.selection.k {
                break;
            }
            check_wanted()?;
            if self.fates[at] == Fate::Open {
                self.offer(at);
            }
        }
        Ok(())
    }

    fn take_by_mmr(&mut self, lambda: f32, check_wanted: &dyn Fn() -> Result<()>) -> Result<()> {
        let open = self.pool.iter().zip(&self.fates).filter(|(_, fate)| **fate == Fate::Open);
        let scores: Vec<f32> = open.map(|(pooled, _)| pooled.found.score).collect();
        let mut scaled = scaled(scores.into_iter()).into_iter();
        let of = |fate: &Fate| if *fate == Fate::Open { scaled.next().unwrap_or_default() } else { 0.0 };
        let relevance: Vec<f32> = self.fates.iter().map(of).collect();
        let squares: Vec<f32> =
            self.pool.iter().map(|pooled| product(pooled.vector(), pooled.vector())).collect();
        // How alike each chunk is to the one among those kept that it is most like; nothing is like nothing.
        let mut likeness = vec![0.0_f32; self.pool.len()];
        while self.kept < self.selection.k {
            check_wanted()?;
            let value = |at: usize| lambda * relevance[at] - (1.0 - lambda) * likeness[at];
            let open = (0..self.pool.len()).filter(|at| self.fates[*at] == Fate::Open);
            // Of equal values the first, which is the more relevant.
            let Some(best) = open.reduce(|best, at| if value(at) > value(best) { at } else { best }) else {
                break;
            };
            let worth = value(best);
            if self.offer(best) {
                self.pool[best].found.scores.mmr = Some(worth);
                let chosen = self.pool[best].vector();
                for (at, likeness) in likeness.iter_mut().enumerate() {
                    let product = product(chosen, self.pool[at].vector());
                    *likeness = likeness.max(cosine(product, [squares[best], squares[at]]));
                }
            }
        }
        // Those that scores alone would have kept, and those before one that is kept.
        let told = self.told();
        let open = self.fates.iter_mut().take(told).filter(|fate| **fate == Fate::Open);
        open.for_each(|fate| *fate = Fate::Dropped(DropReason::Mmr));
        Ok(())
    }

    /// Of how many of the pool it is told that they were left out.
    fn told(&self) -> usize {
        let last_kept = self.fates.iter().rposition(|fate| matches!(fate, Fate::Kept(_)));
        self.selection.k.max(last_kept.map_or(0, |last| last + 1))
    }

    fn finish(self) -> Selected {
        let told = self.told();
        let mut kept = Vec::with_capacity(self.kept);
        let mut dropped = Vec::new();
        for (rank, (Pooled { found, .. }, fate)) in self.pool.into_iter().zip(self.fates).enumerate() {
            match fate {
                Fate::Kept(place) => kept.push((place, found)),
                Fate::Dropped(reason) if rank < told => {
                    dropped.push(found.dropped(reason, found.chunk.tokens))
                }
                Fate::Dropped(_) | Fate::Open => {}
            }
        }
        kept.sort_by_key(|(place, _)| *place);
        Selected { chunks: kept.into_iter().map(|(_, found)| found).collect(), dropped }
    }
}

/// Scores from 0, the least, to 1, the greatest of them: those of a re-ranker may be of any size and sign.
fn scaled(scores: impl Iterator<Item = f32> + Clone) -> Vec<f32> {
    let least = scores.clone().fold(f32::INFINITY, f32::min);
    let span = scores.clone().fold(f32::NEG_INFINITY, f32::max) - least;
    scores.map(|score| if span > 0.0 { (score - least) / span } else { 1.0 }).collect()
}

fn product(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Of two vectors, by their product and that of each with itself; 0 where either has no direction.
fn cosine(product: f32, [a, b]: [f32; 2]) -> f32 {
    let lengths = (a * b).sqrt();
    if lengths > 0.0 { product / lengths } else { 0.0 }
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
