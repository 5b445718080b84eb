//! Searching the rows of one index, window by window.

use fixedbitset::FixedBitSet;

use super::clause::{Clause, Searched};
use super::{Found, Score, Top, Weighing};
use crate::interrupt::Watch;
use crate::text::Share;

/// Rows of a window: their scores stay in the fastest memory.
pub(super) const WINDOW: usize = 1 << WINDOW_BITS;
pub(super) const WINDOW_BITS: usize = 12;
/// With fewer rows than one in so many, a window's scores are gone through by row instead of one and all.
const FEW_ONE_IN: usize = 8;
/// Scores that are looked at together.
const GLANCE: usize = 16;
/// Looking for a row in a list takes as long as going through so many.
const ROWS_A_LOOK: usize = 12;

/// Rows that may be returned: those of a segment from its row `first` on.
#[derive(Clone, Copy, Debug)]
pub(in crate::text) struct Admitted<'a> {
    pub(in crate::text) bits: &'a FixedBitSet,
    pub(in crate::text) first: u32,
}

impl Admitted<'_> {
    pub(super) fn has(&self, slot: u32) -> bool {
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
    pub(in crate::text) share: Share<'a>,
    pub(in crate::text) watch: &'a Watch,
}

impl Scan<'_> {
    /// Brings the best rows into `top`. Returns how many postings were read.
    pub(in crate::text) fn run<W: Weighing>(
        &self,
        clauses: Vec<Clause<'_, W>>,
        top: &mut Top<W::Score>,
    ) -> u64 {
        let mut searched: Vec<Searched<'_, W>> = Vec::with_capacity(clauses.len());
        for clause in clauses {
            // Short lists are read whole, and a query may have thousands of them.
            if self.watch.poll() {
                return searched.iter().map(|clause| clause.read).sum();
            }
            searched.push(Searched::new(clause, self.rows));
        }
        let mut clauses = searched;
        let windows = (self.rows as usize).div_ceil(WINDOW);
        let bound = |window: usize| {
            clauses.iter().fold(W::Score::ZERO, |sum, clause| sum.plus(clause.bounds[window]))
        };
        let mut order: Vec<(W::Score, usize)> = (0..windows).map(|window| (bound(window), window)).collect();
        order.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap_or(std::cmp::Ordering::Equal).then(a.1.cmp(&b.1)));
        if let Some(floor) =
            clauses.iter().filter_map(|clause| clause.floor(top.k(), self.admitted)).reduce(greater)
        {
            top.raise(floor);
        }
        let mut sums = Sums::new();
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
                let slot = self.share.row(self.first, slot);
                top.push(Found { score, segment: self.segment, slot });
            }
        }
    }
}

fn greater<S: Score>(a: S, b: S) -> S {
    if b > a { b } else { a }
}

/// The sums of a window.
struct Sums<S> {
    scores: Vec<S>,
    /// Of few rows, those that have a sum; else none.
    touched: [u64; WINDOW / 64],
    /// Slots and their sums so far, ascending.
    candidates: Vec<(u32, S)>,
    /// The clauses with rows in the window, least bound first.
    order: Vec<usize>,
}

impl<S: Score> Sums<S> {
    fn new() -> Self {
        Self {
            scores: vec![S::UNTOUCHED; WINDOW],
            touched: [0; WINDOW / 64],
            candidates: Vec::new(),
            order: Vec::new(),
        }
    }

    /// Puts the clauses that have rows in a window in order; how many rows they have.
    fn order<W: Weighing<Score = S>>(&mut self, window: usize, clauses: &[Searched<'_, W>]) -> usize {
        self.order.clear();
        self.order.extend((0..clauses.len()).filter(|clause| clauses[*clause].rows_in(window) > 0));
        let bound = |clause: &usize| clauses[*clause].bounds[window];
        self.order.sort_by(|a, b| bound(a).partial_cmp(&bound(b)).unwrap_or(std::cmp::Ordering::Equal));
        self.order.iter().map(|clause| clauses[*clause].rows_in(window)).sum()
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
        let rows: usize = self.order[optional..].iter().map(|clause| clauses[*clause].rows_in(window)).sum();
        let are_few = rows * FEW_ONE_IN < WINDOW;
        for clause in &self.order[optional..] {
            let clause = &mut clauses[*clause];
            let others = all.minus(clause.bounds[window]);
            let Self { scores, touched, .. } = self;
            clause.each_in(window, least.map(|least| least.minus(others)), |slots, contributions| {
                for (slot, contribution) in slots.iter().zip(contributions) {
                    let place = (slot - start) as usize % WINDOW;
                    scores[place] += *contribution;
                    if are_few {
                        touched[place / 64] |= 1 << (place % 64);
                    }
                }
            });
        }
        let wanted = least.map(|least| least.minus(bound));
        let is_wanted = |slot: u32, score: S| {
            wanted.is_none_or(|wanted| score >= wanted) && admitted.is_none_or(|admitted| admitted.has(slot))
        };
        match are_few {
            true => self.take_few(start, is_wanted),
            false => self.take_many(start, wanted, is_wanted),
        }
        (optional, bound)
    }

    /// Takes the candidates among the rows that were touched.
    fn take_few(&mut self, start: u32, is_wanted: impl Fn(u32, S) -> bool) {
        for (word, bits) in self.touched.iter_mut().enumerate() {
            let mut rest = std::mem::take(bits);
            while rest != 0 {
                let place = word * 64 + rest.trailing_zeros() as usize;
                rest &= rest - 1;
                let (slot, score) =
                    (start + place as u32, std::mem::replace(&mut self.scores[place], S::UNTOUCHED));
                if is_wanted(slot, score) {
                    self.candidates.push((slot, score));
                }
            }
        }
    }

    /// Takes the candidates by going through all rows.
    fn take_many(&mut self, start: u32, wanted: Option<S>, is_wanted: impl Fn(u32, S) -> bool) {
        for (slots, scores) in (start..).step_by(GLANCE).zip(self.scores.chunks(GLANCE)) {
            // One look at several: mostly none of them is wanted.
            if wanted.is_some_and(|wanted| !scores.iter().fold(false, |any, score| any | (*score >= wanted)))
            {
                continue;
            }
            for (slot, score) in (slots..).zip(scores) {
                if score.is_touched() && is_wanted(slot, *score) {
                    self.candidates.push((slot, *score));
                }
            }
        }
        self.scores.fill(S::UNTOUCHED);
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
            clause.each_of(candidates.iter_mut().map(|(slot, sum)| (*slot, sum)), |sum, score| *sum += score);
            bound = bound.minus(clause.bounds[window]);
            if let Some(least) = least {
                candidates.retain(|(_, score)| *score >= least || score.plus(bound) >= least);
            }
        }
    }
}

/// The scores of rows, in ascending order, `None` of those that have no term of the query; and how many postings were read.
pub(in crate::text) fn score_rows<W: Weighing>(
    clauses: Vec<Clause<'_, W>>,
    wanted: &[u32],
) -> (Vec<Option<W::Score>>, u64) {
    let mut scores = vec![W::Score::UNTOUCHED; wanted.len()];
    let mut read = 0;
    for clause in clauses {
        let mut clause = Searched::picked(clause);
        clause.each_of(wanted.iter().copied().zip(&mut scores), |sum, score| *sum += score);
        read += clause.read;
    }
    (scores.into_iter().map(|score| score.is_touched().then_some(score)).collect(), read)
}
