//! Comparing every candidate: by sketches and codes where there are some.
//!
//! ```text
//! for each block of candidates
//!     sketches  rule out nearly all of what is farther than the bound          (`vectors/sketch.rs`)
//!     codes     of what is left give distances, of which the `ef` least are kept
//! exact rows decide on those that codes leave in doubt                                            (`reranked`)
//! ```
//! The bound is the `k`-th least distance of codes found so far, and the margin that the codes leave; it falls as the scan
//! goes on. Neighbours often follow each other (the pieces of a document), so one word of the bitmap in 32 is looked at
//! first, which tells how near rows are on the whole, so that the sketches of all others rule out more. Where there are no
//! sketches all candidates are compared by codes, and where there are no codes, or codes of a
//! prefix, by the exact rows.

use super::SearchStats;
use ragstone_kernels::{KernelBits, SKETCH_BLOCK};

use super::execute::{Searching, by_distance};
use super::plan::{ScanBy, Wanted};
use crate::interrupt::{POLL_DISTANCES, Watch};
use crate::segment::Candidates;
use crate::vectors::{Scorer, Sieve, Slot};

/// Rows scored with one call, while the next ones are on their way.
const SCORED: usize = 32;
/// One word of the bitmap in so many is looked at first.
const STRIDE: usize = 32;
const WORD_BITS: usize = usize::BITS as usize;

/// How to compare candidates.
pub(crate) struct Scan<'a> {
    pub(crate) candidates: &'a Candidates,
    pub(crate) scorer: &'a dyn Scorer,
    /// What rules candidates out before.
    pub(crate) sieve: Option<Sieve<'a>>,
    pub(crate) watch: &'a Watch,
}

impl Scan<'_> {
    /// Gives candidates and their distances to `each`, until all are compared or the watch says to end: those that are not
    /// ruled out by what `each` returned last, a distance beyond which no row is wanted. Returns how many were looked at.
    pub(crate) fn run(&self, mut each: impl FnMut(f32, Slot) -> f32) -> u64 {
        let mut bound = f32::INFINITY;
        let mut block = Block::default();
        for words in in_order(self.candidates.bits.as_slice()) {
            if block.polled_at.is_none_or(|at| block.looked_at - at >= POLL_DISTANCES) {
                block.polled_at = Some(block.looked_at);
                if self.watch.poll() {
                    break;
                }
            }
            block.looked_at += words.1.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
            block.slots.clear();
            match &self.sieve {
                Some(sieve) => {
                    block.sifted.clear();
                    sieve.sift((words.1, words.0 * WORD_BITS), bound, &mut block.sifted);
                    block.slots.extend(block.sifted.iter().map(|slot| Slot(*slot)));
                }
                None => list_ones(words.1, words.0 * WORD_BITS, &mut block.slots),
            }
            let mut ahead = block.slots.chunks(SCORED);
            self.scorer.prefetch(ahead.next().unwrap_or_default());
            for slots in block.slots.chunks(SCORED) {
                self.scorer.prefetch(ahead.next().unwrap_or_default());
                let distances = &mut block.distances[..slots.len()];
                self.scorer.score(slots, distances);
                for (distance, slot) in distances.iter().zip(slots) {
                    bound = each(*distance, *slot);
                }
            }
        }
        block.looked_at
    }
}

/// Gives the distances of a list of rows to `each`, until all are compared or the watch says to end. Returns how many were.
///
/// Codes are asked for ahead. Exact rows are not (`vectors/exact.rs`): those of a tenant follow one another, and the processor reads on by
/// itself. A loop over a hundred rows that are in no cache takes 1.8 µs of 64 components and 7.3 of 384; asked for ahead they took 2.1 and 7.7.
pub(crate) fn compare(
    scorer: &dyn Scorer,
    watch: &Watch,
    slots: &[Slot],
    mut each: impl FnMut(f32, Slot),
) -> u64 {
    let mut distances = [0.0; SCORED];
    let mut ahead = slots.chunks(SCORED);
    scorer.prefetch(ahead.next().unwrap_or_default());
    let mut compared = 0;
    for slots in slots.chunks(SCORED) {
        if (compared as u64).is_multiple_of(POLL_DISTANCES) && watch.poll() {
            break;
        }
        scorer.prefetch(ahead.next().unwrap_or_default());
        let distances = &mut distances[..slots.len()];
        scorer.score(slots, distances);
        distances.iter().zip(slots).for_each(|(distance, slot)| each(*distance, *slot));
        compared += slots.len();
    }
    compared as u64
}

/// What a scan has at hand.
#[derive(Default)]
struct Block {
    /// Candidates so far.
    looked_at: u64,
    /// How many of them there were at the last look at the watch.
    polled_at: Option<u64>,
    sifted: Vec<u32>,
    slots: Vec<Slot>,
    distances: [f32; SCORED],
}

/// The words of a bitmap, some at a time with the place of the first: at first one of each [`STRIDE`], then what is between
/// them, as much as there may be between two looks at the watch.
fn in_order(words: &[usize]) -> impl Iterator<Item = (usize, &[usize])> {
    let first = (0..words.len()).step_by(STRIDE).map(|at| (at, &words[at..=at]));
    let between = (0..words.len()).step_by(STRIDE).flat_map(|at| {
        let rest = words.get(at + 1..(at + STRIDE).min(words.len())).unwrap_or_default();
        let ones: u64 = rest.iter().map(|word| u64::from(word.count_ones())).sum();
        let part = if ones > POLL_DISTANCES { POLL_DISTANCES as usize / WORD_BITS } else { STRIDE };
        rest.chunks(part).enumerate().map(move |(number, words)| (at + 1 + number * part, words))
    });
    first.chain(between)
}

/// Appends the places of the ones of some words, of which the first bit is `first`.
fn list_ones(words: &[usize], first: usize, out: &mut Vec<Slot>) {
    for (number, word) in words.iter().enumerate() {
        let mut left = *word;
        while left != 0 {
            out.push(Slot((first + number * WORD_BITS + left.trailing_zeros() as usize) as u32));
            left &= left - 1;
        }
    }
}

/// The rows of a scan that may be among the nearest.
struct Nearest {
    k: usize,
    /// Rows to keep at most, at least `k`.
    width: usize,
    /// How far a distance may be from the exact one.
    margin: f32,
    /// Rows farther than this are not wanted.
    bound: f32,
    found: Vec<(f32, Slot)>,
}

impl Nearest {
    fn new(k: usize, width: usize, margin: f32, bound: f32) -> Self {
        Self { k, width, margin, bound, found: Vec::new() }
    }

    /// Takes a row, if it is wanted. Returns the distance beyond which no row is.
    #[inline]
    fn offer(&mut self, distance: f32, slot: Slot) -> f32 {
        if distance <= self.bound {
            self.found.push((distance, slot));
            // Twice as many as are kept, so that choosing the nearest is paid by as many rows as it looks at.
            if self.found.len() >= 2 * self.width {
                self.cut();
            }
        }
        self.bound
    }

    fn cut(&mut self) {
        let (_, farthest, _) = self.found.select_nth_unstable_by(self.width - 1, by_distance);
        let farthest = farthest.0;
        self.found.truncate(self.width);
        let (_, kth, _) = self.found.select_nth_unstable_by(self.k - 1, by_distance);
        self.bound = self.bound.min(farthest).min(kth.0 + self.margin);
    }

    /// Nearest first.
    fn finish(mut self) -> Vec<(f32, Slot)> {
        if self.found.len() > self.width {
            self.cut();
        }
        self.found.sort_unstable_by(by_distance);
        self.found
    }
}

impl Searching<'_> {
    /// Blocks of sketches that have a candidate; `None` where there are no sketches.
    pub(super) fn blocks(&self, candidates: Option<&Candidates>) -> Option<usize> {
        self.dense.vectors().sketches()?;
        let all = || self.dense.count().div_ceil(SKETCH_BLOCK);
        Some(candidates.map_or_else(all, |found| KernelBits::new().count_blocks(found.bits.as_slice())))
    }

    /// The nearest of a few nodes.
    pub(super) fn scan_few(&self, nodes: &[Slot], by: ScanBy, stats: &mut SearchStats) -> Vec<(f32, Slot)> {
        self.nearest_by(by, stats, |scorer, nearest| {
            compare(scorer, self.watch, nodes, |distance, node| {
                nearest.offer(distance, node);
            })
        })
    }

    /// The nearest of all candidates.
    pub(super) fn scan(
        &self,
        candidates: Option<Candidates>,
        by: ScanBy,
        stats: &mut SearchStats,
    ) -> Vec<(f32, Slot)> {
        let candidates = &candidates.unwrap_or_else(|| self.dense.candidates(None, self.watch));
        let (rows, vector, watch) = (self.dense.vectors(), &self.query.vector, self.watch);
        let sieve = if by == ScanBy::Sketches { self.encodings.sieve(vector, rows) } else { None };
        stats.exact &= sieve.is_none();
        self.nearest_by(by, stats, |scorer, nearest| {
            Scan { candidates, scorer, sieve, watch }.run(|distance, slot| nearest.offer(distance, slot))
        })
    }

    /// The nearest of what `compare` offers and counts: by codes, if there are some and nothing exact is asked, with a second
    /// look at those in doubt.
    fn nearest_by(
        &self,
        by: ScanBy,
        stats: &mut SearchStats,
        compare: impl FnOnce(&dyn Scorer, &mut Nearest) -> u64,
    ) -> Vec<(f32, Slot)> {
        let (rows, vector) = (self.dense.vectors(), &self.query.vector);
        let Wanted { k, ef, .. } = self.query.wanted;
        let coded = (by != ScanBy::Rows).then(|| self.dense.encoding(self.encodings).scorer(vector, rows));
        let coded = coded.filter(|scorer| scorer.margin() > 0.0 && scorer.margin().is_finite());
        let margin = coded.as_ref().map(|scorer| scorer.margin());
        let scorer = coded.unwrap_or_else(|| self.encodings.exact_scorer(vector, rows));
        let width = if margin.is_some() { ef.max(2 * k) } else { k };
        let bound = self.bound + margin.unwrap_or_default();
        let mut nearest = Nearest::new(k, width, margin.unwrap_or_default(), bound);
        stats.distances += compare(&*scorer, &mut nearest);
        let found = nearest.finish();
        let Some(margin) = margin else { return found };
        stats.exact = false;
        let mut nearest = self.reranked(found, margin, stats);
        nearest.truncate(k);
        nearest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against sorting all of them.
    #[test]
    fn the_nearest_of_a_stream_are_kept() {
        for (k, width, margin) in [(1, 1, 0.0), (3, 3, 0.0), (3, 7, 0.05), (10, 64, 10.0), (200, 300, 0.0)] {
            let mut nearest = Nearest::new(k, width, margin, f32::INFINITY);
            let distance = |slot: u32| (slot.wrapping_mul(2_654_435_761) >> 22) as f32 / 1024.0;
            let mut all: Vec<(f32, Slot)> = (0..2_000).map(|slot| (distance(slot), Slot(slot))).collect();
            let bounds: Vec<f32> =
                all.iter().map(|(distance, slot)| nearest.offer(*distance, *slot)).collect();
            assert!(bounds.is_sorted_by(|a, b| a >= b), "{k} {width}");
            all.sort_unstable_by(by_distance);
            let found = nearest.finish();
            let least = all.partition_point(|row| row.0 <= all[k - 1].0 + margin).min(width);
            assert!(found.len() >= least && found.len() <= width, "{k} {width}: {} {least}", found.len());
            assert_eq!(found[..least], all[..least], "{k} {width}");
        }
    }

    #[test]
    fn every_word_comes_once() {
        for length in [0, 1, 2, 7, 8, 9, 31, 32, 33, 34, 64, 65, 300] {
            let words: Vec<usize> = (1..=length).collect();
            let mut seen: Vec<usize> = in_order(&words)
                .flat_map(|(at, part)| {
                    part.iter().enumerate().map(move |(place, word)| {
                        assert_eq!(*word, at + place + 1);
                        *word
                    })
                })
                .collect();
            assert!(seen.starts_with(&(1..=length).step_by(STRIDE).collect::<Vec<_>>()));
            seen.sort_unstable();
            assert_eq!(seen, words);
        }
    }

    #[test]
    fn ones_are_listed_in_order() {
        let mut bits = fixedbitset::FixedBitSet::with_capacity(300);
        bits.extend([0, 63, 64, 200, 299]);
        let mut slots = Vec::new();
        list_ones(bits.as_slice(), 0, &mut slots);
        assert_eq!(slots, bits.ones().map(|slot| Slot(slot as u32)).collect::<Vec<_>>());
    }
}
