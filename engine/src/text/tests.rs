//! Searches against a naive oracle: every row's score by the formula, over rows in several indexes, some of them dead, merged or damaged.

use std::sync::Arc;

use fixedbitset::FixedBitSet;
use proptest::prelude::*;

use super::analysis::{Analysis, QueryTerms};
use super::index::{
    Flavour, Gone, Index, IndexInfo, MergeSource, NOWHERE, SparseBuilder, TextBuilder, merge_in_memory,
};
use super::query::{FieldQuery, Part, Scored, SparseSearch, TextSearch};
use super::runs::{IndexOf, Run, Runs};
use super::{Analyzer, Share, TERM_BYTES_MAX};
use crate::interrupt::Watch;
use crate::payload::Passing;
use crate::segment::DeadRows;

/// A collection as the oracle sees it: by segment, by row, the words of its text.
#[derive(Clone, Debug)]
struct Corpus {
    segments: Vec<Vec<Vec<u8>>>,
    dead: Vec<Arc<DeadRows>>,
    admitted: Vec<Option<FixedBitSet>>,
}

fn word(number: u8) -> String {
    format!("w{}", char::from(b'a' + number % 26))
}

fn text(words: &[u8]) -> String {
    words.iter().map(|number| word(*number)).collect::<Vec<_>>().join(" ")
}

fn index_of(rows: &[Vec<u8>]) -> Index {
    let mut analysis = Analysis::new(Analyzer::Standard);
    let mut builder = TextBuilder::new(&mut analysis);
    (0..)
        .zip(rows)
        .filter(|(_, words)| !words.is_empty())
        .for_each(|(slot, words)| builder.push(slot, &text(words)));
    builder.finish(rows.len() as u32)
}

fn dead_rows(bits: impl Iterator<Item = usize>) -> Arc<DeadRows> {
    let mut dead = DeadRows::default();
    bits.for_each(|slot| {
        dead.insert(slot as u32);
    });
    Arc::new(dead)
}

impl Corpus {
    fn is_live(&self, segment: usize, slot: usize) -> bool {
        !self.dead[segment].contains(slot as u32)
    }

    fn live(&self) -> Vec<&Vec<u8>> {
        let of = |(at, rows): (usize, &'_ Vec<Vec<u8>>)| {
            (0..rows.len()).filter(|slot| self.is_live(at, *slot)).map(|slot| (at, slot)).collect::<Vec<_>>()
        };
        self.segments.iter().enumerate().flat_map(of).map(|(at, slot)| &self.segments[at][slot]).collect()
    }

    /// Each admitted row with its score, best first, by the formula in f64.
    fn expected(&self, query: &[u8]) -> Vec<(f64, usize, usize)> {
        let live = self.live();
        let with_terms = live.iter().filter(|words| !words.is_empty()).count() as f64;
        let average =
            (live.iter().map(|words| words.len()).sum::<usize>() as f64 / with_terms.max(1.0)).max(1.0);
        let idf = |term: &u8| {
            let rows = live.iter().filter(|words| words.contains(term)).count() as f64;
            (1.0 + (with_terms - rows + 0.5) / (rows + 0.5)).ln()
        };
        let terms: Vec<(u8, f64)> = query.iter().map(|term| (*term, idf(term))).collect();
        let mut found = Vec::new();
        for (segment, rows) in self.segments.iter().enumerate() {
            for (slot, words) in rows.iter().enumerate() {
                let is_admitted = match &self.admitted[segment] {
                    Some(admitted) => admitted.contains(slot),
                    None => self.is_live(segment, slot),
                };
                let contribution = |(term, idf): &(u8, f64)| {
                    let count = words.iter().filter(|word| *word == term).count() as f64;
                    idf * count / (count + 1.2 * (0.25 + 0.75 * words.len() as f64 / average))
                };
                let score: f64 = terms.iter().map(contribution).sum();
                if is_admitted && query.iter().any(|term| words.contains(term)) {
                    found.push((score, segment, slot));
                }
            }
        }
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        found
    }
}

fn query_of(terms: &[u8]) -> QueryTerms {
    Analysis::new(Analyzer::Standard).query(&text(terms))
}

/// The answer is right if it has as many rows as there are up to `k`, each with its score, none out of order, and none
/// missing that scores more than the last.
fn check(found: &[Scored], expected: &[(f64, usize, usize)], k: usize) {
    assert_eq!(found.len(), expected.len().min(k));
    let tolerance = expected.first().map_or(0.0, |first| first.0 * 1e-5);
    for (row, (score, ..)) in found.iter().zip(expected) {
        assert!((f64::from(row.score) - score).abs() <= tolerance, "{row:?} instead of {score}");
        let own =
            expected.iter().find(|(_, segment, slot)| (*segment, *slot) == (row.segment, row.slot as usize));
        let own = own.expect("only rows that may be returned").0;
        assert!((f64::from(row.score) - own).abs() <= tolerance, "{row:?} should have {own}");
    }
    let rank = |row: &Scored| (std::cmp::Reverse(row.score.to_bits()), row.segment, row.slot);
    assert!(found.is_sorted_by_key(rank), "{found:?}");
}

/// Whether the rows that may be returned are a bitmap or a list, the answer is the same.
fn search(corpus: &Corpus, indexes: &[Index], query: &[u8], k: usize) -> Vec<Scored> {
    let fields = [FieldQuery { boost: 1.0, terms: query_of(query) }];
    let slices: Vec<[Option<&Index>; 1]> = indexes.iter().map(|index| [Some(index)]).collect();
    let search = |form: &dyn Fn(&FixedBitSet) -> Passing| {
        let passing: Vec<Option<Passing>> =
            corpus.admitted.iter().map(|bits| bits.as_ref().map(form)).collect();
        let parts = (0..indexes.len()).map(|at| Part {
            segment: at,
            indexes: &slices[at],
            gone: Gone { dead: &corpus.dead[at], first: 0 },
            share: Share::Whole,
            rows: corpus.segments[at].len() as u32,
            admitted: passing[at].as_ref(),
        });
        let parts: Vec<Part<'_>> = parts.collect();
        let search = TextSearch::new(&fields, &parts);
        let answer = search.best(k, false, &Watch::default());
        // Whoever is asked for by row has the same score, to the last bit.
        for row in &answer.rows {
            assert_eq!(search.scores(row.segment, &[row.slot]), [Some(row.score)]);
        }
        (answer.rows, search.best(k, true, &Watch::default()).rows)
    };
    let many = search(&|bits| Passing::Many(Arc::new(bits.clone())));
    assert_eq!(search(&|bits| Passing::Few(bits.ones().map(|slot| slot as u32).collect())), many);
    many.0
}

/// Texts of a few frequent words and many rare ones, so that lists of all lengths come about.
fn words(seed: u32) -> Vec<u8> {
    let mut state = u64::from(seed) << 8 | 0x9E37;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as u32
    };
    let length = next() % 12;
    (0..length).map(|_| (next() % 26).min(next() % 26).min(next() % 26) as u8).collect()
}

fn corpus(sizes: &[usize], seed: u32, dead_one_in: usize, admitted_one_in: usize) -> Corpus {
    let mut at = seed;
    let mut row = || {
        at = at.wrapping_mul(747_796_405).wrapping_add(1);
        words(at)
    };
    let segments: Vec<Vec<Vec<u8>>> = sizes.iter().map(|size| (0..*size).map(|_| row()).collect()).collect();
    let is_dead = |slot: &usize| dead_one_in > 0 && (slot * 7 + seed as usize).is_multiple_of(dead_one_in);
    let dead: Vec<_> = sizes.iter().map(|size| dead_rows((0..*size).filter(is_dead))).collect();
    let admit = |(size, dead): (&usize, &Arc<DeadRows>)| {
        let is_admitted =
            |slot: &usize| (slot / 3 + 5).is_multiple_of(admitted_one_in) && !dead.contains(*slot as u32);
        (admitted_one_in > 0).then(|| {
            let mut bits = FixedBitSet::with_capacity(*size);
            bits.extend((0..*size).filter(is_admitted));
            bits
        })
    };
    let admitted = sizes.iter().zip(&dead).map(admit).collect();
    Corpus { segments, dead, admitted }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_best_rows_of_all_are_found(
        sizes in prop::collection::vec(prop_oneof![0usize..40, 100usize..900, 4_000usize..9_000], 1..4),
        seed in any::<u32>(),
        dead_one_in in prop_oneof![Just(0usize), 2usize..40],
        admitted_one_in in prop_oneof![Just(0usize), 1usize..3, 50usize..2_000],
        query in prop::collection::vec(0u8..26, 0..7),
        k in prop_oneof![1usize..12, 100usize..3_000],
    ) {
        let corpus = corpus(&sizes, seed, dead_one_in, admitted_one_in);
        let indexes: Vec<Index> = corpus.segments.iter().map(|rows| index_of(rows)).collect();
        let expected = corpus.expected(&query);
        check(&search(&corpus, &indexes, &query, k), &expected, k);
        // More of them die: what was counted is counted on.
        let mut later = corpus.clone();
        for (at, dead) in later.dead.iter_mut().enumerate() {
            let more = (0..sizes[at]).filter(|slot| slot % 3 == 1 || dead.contains(*slot as u32)).collect::<Vec<_>>();
            *dead = dead_rows(more.into_iter());
        }
        for (admitted, dead) in later.admitted.iter_mut().zip(&later.dead) {
            admitted.iter_mut().for_each(|bits| bits.difference_with(&dead.bits));
        }
        check(&search(&later, &indexes, &query, k), &later.expected(&query), k);
        // A view from before.
        check(&search(&corpus, &indexes, &query, k), &expected, k);
    }

    #[test]
    fn a_merge_leaves_every_score_as_it_was(
        sizes in prop::collection::vec(prop_oneof![0usize..40, 300usize..900], 1..5),
        seed in any::<u32>(),
        dead_one_in in prop_oneof![Just(0usize), 2usize..9],
        query in prop::collection::vec(0u8..26, 1..5),
    ) {
        let corpus = corpus(&sizes, seed, dead_one_in, 0);
        let indexes: Vec<Index> = corpus.segments.iter().map(|rows| index_of(rows)).collect();
        let before = search(&corpus, &indexes, &query, 10_000);
        // Rows of even slot come first, as rows with a vector do.
        let mut places = Vec::new();
        for parity in 0..2 {
            for (at, rows) in corpus.segments.iter().enumerate() {
                let live = (0..rows.len()).filter(|slot| slot % 2 == parity && corpus.is_live(at, *slot));
                places.extend(live.map(|slot| (at, slot)));
            }
        }
        let mut slots: Vec<Vec<u32>> = sizes.iter().map(|size| vec![NOWHERE; *size]).collect();
        (0..).zip(&places).for_each(|(new, (at, slot))| slots[*at][*slot] = new);
        let sources: Vec<_> = indexes.iter().zip(&slots).map(|(index, slots)| MergeSource { index, slots }).collect();
        let rows = places.len() as u32;
        let merged = merge_in_memory(Flavour::Counts, &sources, rows);
        let rebuilt: Vec<Vec<u8>> = places.iter().map(|(at, slot)| corpus.segments[*at][*slot].clone()).collect();
        prop_assert_eq!(merged.info, index_of(&rebuilt).info);
        let after_corpus =
            Corpus { segments: vec![rebuilt], dead: vec![Arc::default()], admitted: vec![None] };
        let after = search(&after_corpus, &[merged], &query, 10_000);
        let scores = |found: &[Scored]| { let mut scores: Vec<u32> = found.iter().map(|row| row.score.to_bits()).collect(); scores.sort_unstable(); scores };
        prop_assert_eq!(scores(&before), scores(&after));
        let by_row = |row: &Scored| places.get(row.slot as usize).map(|(at, slot)| (*at, *slot as u32, row.score.to_bits()));
        let mut moved: Vec<_> = after.iter().filter_map(by_row).collect();
        moved.sort_unstable();
        let mut own: Vec<_> = before.iter().map(|row| (row.segment, row.slot, row.score.to_bits())).collect();
        own.sort_unstable();
        prop_assert_eq!(moved, own);
    }

    #[test]
    fn runs_find_what_one_index_finds(
        batches in prop::collection::vec(1usize..40, 1..30),
        seed in any::<u32>(),
        query in prop::collection::vec(0u8..26, 1..5),
    ) {
        let all = corpus(&[batches.iter().sum()], seed, 6, 0);
        let (rows, dead) = (&all.segments[0], &all.dead[0]);
        let mut runs = Runs::default();
        let mut first = 0;
        for batch in &batches {
            let index = index_of(&rows[first..first + batch]);
            let run = Run { first: first as u32, rows: *batch as u32, indexes: vec![(IndexOf::Text(3), Arc::new(index))] };
            // Rows may be dead already when their run is merged.
            runs = runs.with(run, dead);
            first += batch;
        }
        prop_assert!(runs.iter().count() < 4 * 6 && runs.bytes() > 0);
        let fields = [FieldQuery { boost: 1.0, terms: query_of(&query) }];
        let slices: Vec<[Option<&Index>; 1]> = runs.iter().map(|run| [run.index(IndexOf::Text(3)).map(Arc::as_ref)]).collect();
        let parts: Vec<Part<'_>> = runs
            .iter()
            .zip(&slices)
            .map(|(run, indexes)| Part { segment: 0, indexes, gone: Gone { dead, first: run.first }, share: Share::Whole, rows: run.rows, admitted: None })
            .collect();
        let found = TextSearch::new(&fields, &parts).best(50, false, &Watch::default());
        check(&found.rows, &all.expected(&query), 50);
    }

    #[test]
    fn all_terms_are_in_one_field(sizes in prop::collection::vec(1usize..300, 1..3), seed in any::<u32>(), query in prop::collection::vec(0u8..12, 1..4)) {
        let corpus = corpus(&sizes, seed, 5, 0);
        // Another field has the text of the next row.
        let other: Vec<Vec<Vec<u8>>> = corpus.segments.iter().map(|rows| (0..rows.len()).map(|at| rows[(at + 1) % rows.len()].clone()).collect()).collect();
        let indexes: Vec<[Index; 2]> = corpus.segments.iter().zip(&other).map(|(a, b)| [index_of(a), index_of(b)]).collect();
        let fields = [1.0, 2.0].map(|boost| FieldQuery { boost, terms: query_of(&query) });
        let slices: Vec<[Option<&Index>; 2]> = indexes.iter().map(|[a, b]| [Some(a), Some(b)]).collect();
        let parts: Vec<Part<'_>> = (0..sizes.len()).map(|at| Part { segment: at, indexes: &slices[at], gone: Gone { dead: &corpus.dead[at], first: 0 }, share: Share::Whole, rows: sizes[at] as u32, admitted: None }).collect();
        let search = TextSearch::new(&fields, &parts);
        let mut found: Vec<(usize, u32)> = search.best(10_000, true, &Watch::default()).rows.iter().map(|row| (row.segment, row.slot)).collect();
        found.sort_unstable();
        let has = |words: &[u8]| query.iter().all(|term| words.contains(term));
        let mut expected = Vec::new();
        for (at, rows) in corpus.segments.iter().enumerate() {
            let matches = (0..rows.len()).filter(|slot| corpus.is_live(at, *slot) && (has(&rows[*slot]) || has(&other[at][*slot])));
            expected.extend(matches.map(|slot| (at, slot as u32)));
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn sparse_vectors_are_searched_exactly(
        rows in prop::collection::vec(prop::collection::btree_map(0u32..40, -4i32..5, 0..9), 0..900),
        times in 1usize..14,
        query in prop::collection::btree_map(0u32..44, -3i32..4, 0..6),
        k in prop_oneof![1usize..12, Just(5_000usize)],
    ) {
        let rows: Vec<_> = std::iter::repeat_n(rows, times).flatten().collect();
        let mut builder = SparseBuilder::default();
        for (slot, entries) in (0..).zip(&rows) {
            let (indices, values): (Vec<u32>, Vec<f32>) = entries.iter().map(|(index, value)| (*index, *value as f32 * 0.25)).unzip();
            builder.push(slot, &indices, &values);
        }
        let index = builder.finish(rows.len() as u32);
        let dead = dead_rows((0..rows.len()).filter(|slot| slot % 5 == 2));
        let indexes = [Some(&index)];
        let parts = [Part { segment: 0, indexes: &indexes, gone: Gone { dead: &dead, first: 0 }, share: Share::Whole, rows: rows.len() as u32, admitted: None }];
        let terms: Vec<(u32, f32)> = query.iter().map(|(index, value)| (*index, *value as f32)).collect();
        let search = SparseSearch { query: &terms, parts: &parts };
        let mut expected = Vec::new();
        for (slot, entries) in rows.iter().enumerate().filter(|(slot, _)| slot % 5 != 2) {
            let products: Vec<i32> = entries.iter().filter_map(|(index, value)| Some(query.get(index)? * value)).collect();
            if !products.is_empty() {
                expected.push((-products.iter().sum::<i32>(), slot));
            }
        }
        expected.sort_unstable();
        expected.truncate(k);
        let found: Vec<(i32, usize)> = search.best(k, &Watch::default()).rows.iter().map(|row| ((row.score * -4.0) as i32, row.slot as usize)).collect();
        prop_assert_eq!(&found, &expected);
        let slots: Vec<u32> = (0..rows.len() as u32).collect();
        let scores = search.scores(0, &slots);
        prop_assert!(found.iter().all(|(score, slot)| scores[*slot] == Some(*score as f32 * -0.25)));
    }

    /// Nothing that bytes say makes a search panic or go on for ever.
    #[test]
    fn damage_costs_answers_and_no_more(
        seed in any::<u32>(),
        damage in prop::collection::vec((0usize..4, any::<prop::sample::Index>(), any::<u8>()), 1..12),
        is_sparse in any::<bool>(),
    ) {
        let rows = &corpus(&[9_000], seed, 0, 0).segments[0];
        let index = match is_sparse {
            false => index_of(rows),
            true => {
                let mut builder = SparseBuilder::default();
                for (slot, words) in (0..).zip(rows) {
                    let mut indices: Vec<u32> = words.iter().map(|word| u32::from(*word)).collect();
                    indices.sort_unstable();
                    indices.dedup();
                    let values = vec![1.0; indices.len()];
                    builder.push(slot, &indices, &values);
                }
                builder.finish(rows.len() as u32)
            }
        };
        let damaged = index.damaged(&damage);
        let dead = dead_rows((0..rows.len()).filter(|slot| slot % 3 == 0));
        let indexes = [Some(&damaged)];
        let gone = Gone { dead: &dead, first: 0 };
        let parts = [Part { segment: 0, indexes: &indexes, gone, share: Share::Whole, rows: rows.len() as u32, admitted: None }];
        let fields = [FieldQuery { boost: 1.0, terms: query_of(&[0, 1, 2, 3, 9, 20, 25]) }];
        let search = TextSearch::new(&fields, &parts);
        let all: Vec<u32> = (0..rows.len() as u32).collect();
        if !is_sparse {
            prop_assert!(search.best(10, false, &Watch::default()).rows.iter().all(|row| row.slot < 9_000));
            search.best(10, true, &Watch::default());
            search.scores(0, &all);
        }
        let sparse = SparseSearch { query: &[(0, 1.0), (1, -2.0), (25, 0.5)], parts: &parts };
        if is_sparse {
            prop_assert!(sparse.best(10, &Watch::default()).rows.iter().all(|row| row.slot < 9_000));
            sparse.scores(0, &all);
        }
        let source = MergeSource { index: &damaged, slots: &all };
        merge_in_memory(damaged.info.flavour, &[source], rows.len() as u32);
    }
}

#[test]
fn what_is_known_of_an_index_comes_back() {
    for index in [index_of(&[vec![1], vec![], vec![2; 300]]), SparseBuilder::default().finish(7)] {
        let mut out = crate::codec::Encoder::new();
        index.info.encode(&mut out);
        let bytes = out.into_bytes();
        let mut input = crate::codec::Decoder::new(&bytes);
        assert_eq!(IndexInfo::decode(&mut input).unwrap(), index.info);
        assert_eq!(input.remaining(), 0);
        for at in [0, 1] {
            let mut bytes = bytes.clone();
            bytes[at] = 9;
            assert!(IndexInfo::decode(&mut crate::codec::Decoder::new(&bytes)).is_err());
        }
    }
}

#[test]
fn a_term_is_cut_where_it_gets_too_long() {
    let long = "ä".repeat(TERM_BYTES_MAX);
    let terms = Analyzer::Standard.terms(&long);
    assert_eq!(terms, ["a".repeat(TERM_BYTES_MAX / 2)]);
}
