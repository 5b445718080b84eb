//! A query over the indexes of a view.
//!
//! What a term is worth depends on all live rows of the view, so each query first asks every index how many of its live rows have
//! each term, and then searches them one after the other, the largest first, for one list of the best.

use std::time::{Duration, Instant};

use fixedbitset::FixedBitSet;

use super::analysis::QueryTerms;
use super::bm25::{Bm25, FieldStatistics, Quantum};
use super::index::{Block, Gone, Index, Postings, Word};
use super::search::{Admitted, Clause, Dot, Found, Scan, Top, Weighing, score_rows};
use super::share::Share;
use crate::interrupt::Watch;
use crate::payload::Passing;

/// What is asked of one field.
#[derive(Clone, Debug)]
pub(crate) struct FieldQuery {
    pub(crate) boost: f32,
    pub(crate) terms: QueryTerms,
}

/// The indexes of the same rows of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    /// Its place in the view.
    pub(crate) segment: usize,
    /// By field of the query. A field that no row has may have none.
    pub(crate) indexes: &'a [Option<&'a Index>],
    /// Which of its rows are dead, and which row of the segment its first one is.
    pub(crate) gone: Gone<'a>,
    pub(crate) share: Share<'a>,
    pub(crate) rows: u32,
    /// The live rows of the segment that may be returned; if there is none, all that are not dead.
    pub(crate) admitted: Option<&'a Passing>,
}

/// The rows of a part that may be returned.
enum Allowed<'a> {
    /// By their places in the part, ascending.
    Few(Vec<u32>),
    /// By their places in the segment; if there is no set, all that are not dead.
    Many(Option<&'a FixedBitSet>),
}

impl<'a> Part<'a> {
    fn allowed(&self) -> Allowed<'a> {
        match self.admitted {
            Some(Passing::Few(rows)) => {
                let place = |row: &u32| self.share.place(*row, self.gone, self.rows);
                Allowed::Few(rows.iter().filter_map(place).collect())
            }
            Some(Passing::Many(rows)) => Allowed::Many(Some(rows)),
            None => Allowed::Many(None),
        }
    }

    /// Brings those of some rows that have a term into `top`: it takes as long as these rows take, however long the lists are.
    /// Returns how many postings were read.
    fn take<W: Weighing>(&self, slots: &[u32], clauses: Vec<Clause<'_, W>>, top: &mut Top<W::Score>) -> u64 {
        let (scores, read) = score_rows(clauses, slots);
        for (slot, score) in slots.iter().zip(scores) {
            if let Some(score) = score {
                let slot = self.share.row(self.gone.first, *slot);
                top.push(Found { score, segment: self.segment, slot });
            }
        }
        read
    }
}

/// A row of a view with its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scored {
    pub(crate) segment: usize,
    pub(crate) slot: u32,
    pub(crate) score: f32,
}

/// What was done in a part.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PartRead {
    /// Postings that were read.
    pub(crate) postings: u64,
    pub(crate) took: Duration,
}

/// What a search found and what it took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    /// Best first.
    pub(crate) rows: Vec<Scored>,
    /// By part.
    pub(crate) read: Vec<PartRead>,
}

impl Answer {
    /// Searches the parts one after the other, the largest first: what it finds is most likely to be good, and lets more of the
    /// others be passed over. `search` brings the best rows of a part in and says how many postings it read.
    fn of<S: super::search::Score>(
        parts: &[Part<'_>],
        k: usize,
        mut search: impl FnMut(usize, &mut Top<S>) -> u64,
    ) -> Self {
        let (mut top, mut read) = (Top::new(k), vec![PartRead::default(); parts.len()]);
        for part in largest_first(parts) {
            let began = Instant::now();
            let postings = search(part, &mut top);
            read[part] = PartRead { postings, took: began.elapsed() };
        }
        let scored =
            |Found { score, segment, slot }: Found<S>| Scored { segment, slot, score: score.to_f32() };
        Self { rows: top.into_sorted().into_iter().map(scored).collect(), read }
    }
}

/// Terms of one part: by field, what was found of each term.
type Words<'a> = Vec<Vec<Option<(Word, Postings<'a>)>>>;

/// A query whose terms were looked up and weighed.
#[derive(Debug)]
pub(crate) struct TextSearch<'a> {
    fields: &'a [FieldQuery],
    parts: &'a [Part<'a>],
    words: Vec<Words<'a>>,
    statistics: Vec<FieldStatistics>,
    /// By field, by term.
    weights: Vec<Vec<f32>>,
    quantum: Quantum,
}

impl<'a> TextSearch<'a> {
    pub(crate) fn new(fields: &'a [FieldQuery], parts: &'a [Part<'a>]) -> Self {
        let words: Vec<Words<'a>> = parts.iter().map(|part| look_up(fields, part)).collect();
        let mut statistics = vec![FieldStatistics::default(); fields.len()];
        let mut rows: Vec<Vec<u64>> = fields.iter().map(|field| vec![0; field.terms.terms.len()]).collect();
        for (part, words) in parts.iter().zip(&words) {
            for (field, words) in words.iter().enumerate() {
                let Some(index) = part.indexes.get(field).copied().flatten() else { continue };
                let found: Vec<(Word, Postings<'_>)> = words.iter().flatten().cloned().collect();
                let (live, counts) = index.live(part.gone, &found);
                statistics[field].rows += live.rows;
                statistics[field].terms += live.terms;
                let there = words.iter().enumerate().filter(|(_, word)| word.is_some());
                there.zip(counts).for_each(|((term, _), count)| rows[field][term] += count);
            }
        }
        let weight = |field: usize, term: usize| {
            let often = fields[field].terms.terms[term].1;
            f64::from(fields[field].boost) * f64::from(often) * statistics[field].idf(rows[field][term])
        };
        let weights: Vec<Vec<f64>> = (0..fields.len())
            .map(|field| (0..rows[field].len()).map(|term| weight(field, term)).collect())
            .collect();
        let quantum = Quantum::for_scores(weights.iter().flatten().sum());
        let weights = weights
            .into_iter()
            .map(|terms| terms.into_iter().map(|weight| weight as f32).collect())
            .collect();
        Self { fields, parts, words, statistics, weights, quantum }
    }

    fn clauses(&self, part: usize) -> Vec<Clause<'a, Bm25<'a>>> {
        let mut clauses = Vec::new();
        for (field, words) in self.words[part].iter().enumerate() {
            let Some(index) = self.parts[part].indexes.get(field).copied().flatten() else { continue };
            for (term, word) in words.iter().enumerate() {
                let Some((_, postings)) = word else { continue };
                let weighing =
                    Bm25::new(index, &self.statistics[field], self.weights[field][term], self.quantum);
                clauses.push(Clause { postings: *postings, weighing });
            }
        }
        clauses
    }

    /// The best `k` rows; with `all_terms` of those that have all terms of the query in one of its fields.
    pub(crate) fn best(&self, k: usize, all_terms: bool, watch: &Watch) -> Answer {
        Answer::of(self.parts, k, |part, top| match self.parts[part].allowed() {
            _ if watch.poll() => 0,
            Allowed::Few(mut slots) => {
                if all_terms {
                    slots = self.having_all_among(part, &slots);
                }
                self.parts[part].take(&slots, self.clauses(part), top)
            }
            Allowed::Many(admitted) => {
                let having = all_terms.then(|| self.having_all(part));
                let rows = (admitted, having.as_ref());
                scan(&self.parts[part], rows, watch, |scan| scan.run(self.clauses(part), top))
            }
        })
    }

    /// The scores of rows of a part, in ascending order; `None` of those that have no term of the query.
    pub(crate) fn scores(&self, part: usize, slots: &[u32]) -> Vec<Option<f32>> {
        score_rows(self.clauses(part), slots).0
    }

    /// The rows of a part that have all terms in one of the fields, dead ones included.
    pub(crate) fn having_all(&self, part: usize) -> FixedBitSet {
        let mut having = FixedBitSet::with_capacity(self.parts[part].rows as usize);
        for (field, words) in self.words[part].iter().enumerate() {
            if !self.fields[field].terms.terms.is_empty()
                && let Some(lists) = words.iter().map(|word| word.as_ref().map(|(_, list)| *list)).collect()
            {
                rows_with_all(lists, &mut having);
            }
        }
        having
    }

    /// Those of some rows of a part, in ascending order, that have all terms in one of the fields.
    fn having_all_among(&self, part: usize, slots: &[u32]) -> Vec<u32> {
        let mut having = Vec::new();
        for words in &self.words[part] {
            if let Some(lists) = words.iter().map(|word| word.as_ref().map(|(_, list)| *list)).collect() {
                having.extend(on_all(lists, slots.to_vec()));
            }
        }
        having.sort_unstable();
        having.dedup();
        having
    }
}

fn look_up<'a>(fields: &[FieldQuery], part: &Part<'a>) -> Words<'a> {
    let of_field = |(field, query): (usize, &FieldQuery)| {
        let index = part.indexes.get(field).copied().flatten();
        query
            .terms
            .terms
            .iter()
            .map(|(term, _)| index.and_then(|index| index.find(term.as_bytes())))
            .collect()
    };
    fields.iter().enumerate().map(of_field).collect()
}

/// The rows of an index that have all terms, dead ones included; none if there are no terms.
pub(crate) fn having_all(index: &Index, terms: &QueryTerms) -> Vec<u32> {
    let mut having = FixedBitSet::with_capacity(index.info.rows as usize);
    let lists = terms.terms.iter().map(|(term, _)| Some(index.find(term.as_bytes())?.1)).collect();
    if let Some(lists) = lists {
        rows_with_all(lists, &mut having);
    }
    having.ones().map(|slot| slot as u32).collect()
}

/// Those of some rows of an index, in ascending order, that have all terms; none if there are no terms.
pub(crate) fn having_all_among(index: &Index, terms: &QueryTerms, slots: Vec<u32>) -> Vec<u32> {
    let lists: Option<Vec<Postings<'_>>> =
        terms.terms.iter().map(|(term, _)| Some(index.find(term.as_bytes())?.1)).collect();
    lists.map_or_else(Vec::new, |lists| on_all(lists, slots))
}

/// Those of some rows, in ascending order, that are on every list; none if there is no list. Each block that one of them can be in
/// is read once.
fn on_all(lists: Vec<Postings<'_>>, mut slots: Vec<u32>) -> Vec<u32> {
    if lists.is_empty() {
        return Vec::new();
    }
    let mut block = Block::new();
    for list in lists {
        let (mut near, mut read) = (0, None);
        slots.retain(|slot| {
            near = list.block_of(*slot, near);
            if near >= list.blocks() {
                return false;
            }
            if read.replace(near) != Some(near) {
                list.read(near, &mut block);
            }
            block.slots().binary_search(slot).is_ok()
        });
    }
    slots
}

/// Adds the rows that are on every list to a set.
fn rows_with_all(mut lists: Vec<Postings<'_>>, set: &mut FixedBitSet) {
    lists.sort_by_key(Postings::len);
    let Some((rarest, others)) = lists.split_first() else { return };
    let (mut block, mut other) = (Block::new(), Block::new());
    for at in 0..rarest.blocks() {
        rarest.read(at, &mut block);
        for slot in block.slots() {
            if (*slot as usize) < set.len() && others.iter().all(|list| list.contains(*slot, &mut other)) {
                set.insert(*slot as usize);
            }
        }
    }
}

/// Searches a part for rows that are not dead, may be returned, and are in `having`, by their places in the part.
fn scan(
    part: &Part<'_>,
    (admitted, having): (Option<&FixedBitSet>, Option<&FixedBitSet>),
    watch: &Watch,
    run: impl FnOnce(Scan<'_>) -> u64,
) -> u64 {
    let Part { gone, share, .. } = *part;
    let first = gone.first;
    let is_gone = |place: usize| gone.dead.contains(first + place as u32);
    let is_whole = matches!(share, Share::Whole);
    let mut own = FixedBitSet::new();
    let admitted = match (admitted, having) {
        (None, None) if gone.dead.count == 0 => None,
        (Some(bits), None) if is_whole => Some(Admitted { bits, first }),
        (Some(bits), None) if matches!(share, Share::Rest) => {
            own.clone_from(bits);
            own.difference_with(&gone.dead.bits);
            Some(Admitted { bits: &own, first })
        }
        (admitted, having) => {
            own.grow(part.rows as usize);
            match having {
                Some(having) => own.union_with(having),
                None => own.insert_range(..),
            }
            let is_admitted = |place: usize| match admitted {
                Some(bits) => {
                    bits.contains(share.row(first, place as u32) as usize) && (is_whole || !is_gone(place))
                }
                None => !is_gone(place),
            };
            let refused: Vec<usize> = own.ones().filter(|place| !is_admitted(*place)).collect();
            refused.into_iter().for_each(|place| own.remove(place));
            Some(Admitted { bits: &own, first: 0 })
        }
    };
    run(Scan { rows: part.rows, admitted, segment: part.segment, first, share, watch })
}

fn largest_first(parts: &[Part<'_>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|part| std::cmp::Reverse(parts[*part].rows));
    order
}

/// A search of sparse vectors by the inner product.
#[derive(Debug)]
pub(crate) struct SparseSearch<'a> {
    /// Dimensions and their weights.
    pub(crate) query: &'a [(u32, f32)],
    /// Each with one index.
    pub(crate) parts: &'a [Part<'a>],
}

impl<'a> SparseSearch<'a> {
    fn clauses(&self, part: usize) -> Vec<Clause<'a, Dot>> {
        let index = self.parts[part].indexes.first().copied().flatten();
        let clause = |(dimension, weight): &(u32, f32)| {
            let (_, postings) = index?.find(&dimension.to_be_bytes())?;
            Some(Clause { postings, weighing: Dot { weight: *weight } })
        };
        self.query.iter().filter_map(clause).collect()
    }

    /// The best `k` rows of those that have a dimension of the query.
    pub(crate) fn best(&self, k: usize, watch: &Watch) -> Answer {
        Answer::of(self.parts, k, |part, top| match self.parts[part].allowed() {
            _ if watch.poll() => 0,
            Allowed::Few(slots) => self.parts[part].take(&slots, self.clauses(part), top),
            Allowed::Many(admitted) => {
                scan(&self.parts[part], (admitted, None), watch, |scan| scan.run(self.clauses(part), top))
            }
        })
    }

    /// The scores of rows of a part, in ascending order; `None` of those that have no dimension of the query.
    pub(crate) fn scores(&self, part: usize, slots: &[u32]) -> Vec<Option<f32>> {
        let (scores, _) = score_rows(self.clauses(part), slots);
        scores.into_iter().map(|score| score.map(|score| score as f32)).collect()
    }
}
