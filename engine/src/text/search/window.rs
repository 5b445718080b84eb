//! Searching the rows of one index, window by window.

use fixedbitset::FixedBitSet;

use super::clause::{Clause, Searched};
use super::{Found, Score, Top, Weighing};
use crate::interrupt::Watch;

/// Rows of a window: their scores stay in the fastest memory.
pub(super) const WINDOW: usize = 1 << WINDOW_BITS;
pub(super) const WINDOW_BITS: usize = 12;
/// With fewer rows than one in so many, a window's scores are gone through by row instead of one and all.
const FEW_ONE_IN: usize = 8;
/// Looking for a row in a list takes as long as going through so many.
const ROWS_A_LOOK: usize = 12;

/// Rows that may be returned: those of a segment from its row `first` on.
#[derive(Clone, Copy, Debug)]
pub(in crate::text) struct Admitted<'a> {
    pub(in crate::text) bits: &'a FixedBitSet,
    pub(in crate::text) first: u32,
}

impl Admitted<'_> {
    fn has(&self, slot: u32) -> bool {
        self.bits.contains((self.first + slot) as usize)
    }

    fn count(&self, start: u32, rows: usize) -> usize {
        let start = ((self.first + start) as usize).min(self.bits.len());
        self.bits.count_ones(start..(start + rows).min(self.bits.len()))
    }
}

/// One index that is searched.
#[derive(Debug)]
pub(in crate::text) struct Scan<'a> {
    pub(in crate::text) rows: u32,
    /// All, if there is none.
    pub(in crate::text) admitted: Option<Admitted<'a>>,
    /// What its rows are called in the answer.
    pub(in crate::text) segment: usize,
    pub(in crate::text) first: u32,
    pub(in crate::text) watch: &'a Watch,
}

impl Scan<'_> {
    /// Brings the best rows into `top`. Returns how many postings were read.
    pub(in crate::text) fn run<W: Weighing>(
        &self,
        clauses: Vec<Clause<'_, W>>,
        top: &mut Top<W::Score>,
    ) -> u64 {
        let mut clauses: Vec<_> =
            clauses.into_iter().map(|clause| Searched::new(clause, self.rows)).collect();
        let windows = (self.rows as usize).div_ceil(WINDOW);
        let bound = |window: usize| {
            clauses.iter().fold(W::Score::ZERO, |sum, clause| sum.plus(clause.bounds[window]))
        };
        let mut order: Vec<(W::Score, usize)> = (0..windows).map(|window| (bound(window), window)).collect();
        order.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap_or(std::cmp::Ordering::Equal).then(a.1.cmp(&b.1)));
        let mut sums =
            Sums { scores: vec![W::Score::UNTOUCHED; WINDOW], candidates: Vec::new(), order: Vec::new() };
        for (bound, window) in order {
            if top.least().is_some_and(|least| bound < least) || self.watch.poll() {
                break;
            }
            self.search(window, &mut clauses, &mut sums, top);
        }
        clauses.iter().map(|clause| clause.read).sum()
    }

    fn search<W: Weighing>(
        &self,
        window: usize,
        clauses: &mut [Searched<'_, W>],
        sums: &mut Sums<W::Score>,
        top: &mut Top<W::Score>,
    ) {
        let start = (window << WINDOW_BITS) as u32;
        let admitted = self.admitted.map(|admitted| (admitted, admitted.count(start, WINDOW)));
        if admitted.is_some_and(|(_, count)| count == 0) {
            return;
        }
        let rows = sums.order(window, clauses);
        let (required, optional) = match admitted {
            Some((admitted, count)) if count * ROWS_A_LOOK * sums.order.len() < rows => {
                sums.take_admitted(admitted, start);
                (sums.order.len(), sums.bound(window, clauses))
            }
            _ => sums.require(window, clauses, self.admitted, top.least()),
        };
        sums.complete(window, clauses, (required, optional), top.least());
        for (slot, score) in sums.candidates.drain(..) {
            if score.is_touched() {
                top.push(Found { score, segment: self.segment, slot: self.first + slot });
            }
        }
    }
}

/// The sums of a window.
struct Sums<S> {
    scores: Vec<S>,
    /// Slots and their sums so far, ascending when the optional clauses are asked.
    candidates: Vec<(u32, S)>,
    /// The clauses with rows in the window, least bound first.
    order: Vec<usize>,
}

impl<S: Score> Sums<S> {
    /// Puts the clauses that have rows in a window in order; how many rows they have.
    fn order<W: Weighing<Score = S>>(&mut self, window: usize, clauses: &[Searched<'_, W>]) -> usize {
        self.order.clear();
        self.order.extend((0..clauses.len()).filter(|clause| clauses[*clause].extent(window).rows > 0));
        let bound = |clause: &usize| clauses[*clause].bounds[window];
        self.order.sort_by(|a, b| bound(a).partial_cmp(&bound(b)).unwrap_or(std::cmp::Ordering::Equal));
        self.order.iter().map(|clause| clauses[*clause].extent(window).rows).sum()
    }

    /// What all clauses contribute at most.
    fn bound<W: Weighing<Score = S>>(&self, window: usize, clauses: &[Searched<'_, W>]) -> S {
        self.order.iter().fold(S::ZERO, |sum, clause| sum.plus(clauses[*clause].bounds[window]))
    }

    fn take_admitted(&mut self, admitted: Admitted<'_>, start: u32) {
        let slots = (start..start + WINDOW as u32).filter(|slot| admitted.has(*slot));
        self.candidates.extend(slots.map(|slot| (slot, S::UNTOUCHED)));
    }

    /// Adds up the clauses that are not optional, and takes the candidates. Returns how many clauses are optional, and what they
    /// contribute at most.
    fn require<W: Weighing<Score = S>>(
        &mut self,
        window: usize,
        clauses: &mut [Searched<'_, W>],
        admitted: Option<Admitted<'_>>,
        least: Option<S>,
    ) -> (usize, S) {
        let (mut optional, mut bound) = (0, S::ZERO);
        if let Some(least) = least {
            for clause in &self.order {
                let more = bound.plus(clauses[*clause].bounds[window]);
                if more >= least {
                    break;
                }
                (optional, bound) = (optional + 1, more);
            }
        }
        let start = (window << WINDOW_BITS) as u32;
        let all = self.bound(window, clauses);
        let mut rows = 0;
        for clause in &self.order[optional..] {
            let clause = &mut clauses[*clause];
            rows += clause.extent(window).rows;
            let others = all.minus(clause.bounds[window]);
            let scores = &mut self.scores;
            clause.each_in(window, least.map(|least| least.minus(others)), |slots, contributions| {
                for (slot, contribution) in slots.iter().zip(contributions) {
                    if let Some(score) = scores.get_mut((slot - start) as usize) {
                        *score += *contribution;
                    }
                }
            });
        }
        let wanted = least.map(|least| least.minus(bound));
        let is_wanted = |slot: u32, score: S| {
            wanted.is_none_or(|wanted| score >= wanted) && admitted.is_none_or(|admitted| admitted.has(slot))
        };
        if rows * FEW_ONE_IN < WINDOW {
            self.take_few(window, clauses, optional, is_wanted);
        } else {
            for (slot, score) in (start..).zip(&mut self.scores) {
                if score.is_touched() && is_wanted(slot, *score) {
                    self.candidates.push((slot, *score));
                }
            }
            self.scores.fill(S::UNTOUCHED);
        }
        (optional, bound)
    }

    /// Takes the candidates by going through the rows of the clauses again.
    fn take_few<W: Weighing<Score = S>>(
        &mut self,
        window: usize,
        clauses: &mut [Searched<'_, W>],
        optional: usize,
        is_wanted: impl Fn(u32, S) -> bool,
    ) {
        let start = (window << WINDOW_BITS) as u32;
        let Self { scores, candidates, order } = self;
        for clause in &order[optional..] {
            clauses[*clause].each_in(window, None, |slots, _| {
                for slot in slots {
                    let Some(score) = scores.get_mut((slot - start) as usize) else { continue };
                    // Whoever comes first takes the sum of all.
                    let score = std::mem::replace(score, S::UNTOUCHED);
                    if score.is_touched() && is_wanted(*slot, score) {
                        candidates.push((*slot, score));
                    }
                }
            });
        }
        if order.len() - optional > 1 {
            candidates.sort_unstable_by_key(|(slot, _)| *slot);
        }
    }

    /// Adds what the optional clauses contribute to the candidates.
    fn complete<W: Weighing<Score = S>>(
        &mut self,
        window: usize,
        clauses: &mut [Searched<'_, W>],
        (optional, mut bound): (usize, S),
        least: Option<S>,
    ) {
        for clause in self.order[..optional].iter().rev() {
            if self.candidates.is_empty() {
                return;
            }
            let clause = &mut clauses[*clause];
            let candidates = &mut self.candidates;
            let slots: Vec<u32> = candidates.iter().map(|(slot, _)| *slot).collect();
            clause.each_of(slots.into_iter(), |place, score| candidates[place].1 += score);
            bound = bound.minus(clause.bounds[window]);
            if let Some(least) = least {
                candidates.retain(|(_, score)| *score >= least || score.plus(bound) >= least);
            }
        }
    }
}

/// The scores of rows, in ascending order; `None` of those that have no term of the query.
pub(in crate::text) fn score_rows<W: Weighing>(
    clauses: Vec<Clause<'_, W>>,
    wanted: &[u32],
) -> Vec<Option<W::Score>> {
    let mut scores = vec![W::Score::UNTOUCHED; wanted.len()];
    for clause in clauses {
        let mut clause = Searched::picked(clause);
        clause.each_of(wanted.iter().copied(), |place, score| scores[place] += score);
    }
    scores.into_iter().map(|score| score.is_touched().then_some(score)).collect()
}
