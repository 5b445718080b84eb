//! One ranking of several.
//!
//! **Why no loop.** Each source is asked for as many rows as the fusion at least, and gives so many unless fewer match. So
//! the union has as many rows as are wanted, or all that match any of the sources.
//!
//! The arithmetic is pure: ranked lists and weights in, scores out.

use std::collections::HashMap;

use super::node::{Fusing, Scores};
use super::run::{Found, Ranked, Run};
use super::source::Fusion;
use crate::vectors::Slot;

/// A source's rows, best first, its weight, and which of its scores are better.
struct List {
    rows: Vec<Ranked>,
    weight: f32,
    scores: Scores,
}

pub(super) fn top(fusing: &Fusing, run: &Run<'_>, n: usize) -> Found {
    let candidates = fusing.candidates.max(n);
    let (mut lists, mut is_whole, mut exact) = (Vec::new(), true, true);
    for (node, weight) in &fusing.nodes {
        let found = node.top(run, candidates);
        is_whole &= found.is_whole;
        exact &= found.exact;
        lists.push(List { rows: found.rows, weight: *weight, scores: node.scores(run) });
    }
    let mut rows = fuse(run, fusing.method, &lists);
    let is_whole = is_whole && rows.len() <= n;
    rows.truncate(n);
    Found { rows, is_whole, exact }
}

pub(super) fn rank(fusing: &Fusing, run: &Run<'_>, rows: &[Ranked]) -> Vec<Ranked> {
    let list = |(node, weight): &(super::node::Node, f32)| List {
        rows: node.rank(run, rows).rows,
        weight: *weight,
        scores: node.scores(run),
    };
    let lists: Vec<List> = fusing.nodes.iter().map(list).collect();
    fuse(run, fusing.method, &lists)
}

fn fuse(run: &Run<'_>, method: Fusion, lists: &[List]) -> Vec<Ranked> {
    let mut sums: HashMap<(usize, Slot), f64> = HashMap::new();
    for list in lists {
        for (row, part) in list.rows.iter().zip(parts(method, list)) {
            *sums.entry(row.key()).or_default() += part;
        }
    }
    let ranked = |((segment, slot), sum): ((usize, Slot), f64)| Ranked { score: sum as f32, segment, slot };
    let mut rows: Vec<Ranked> = sums.into_iter().map(ranked).collect();
    run.sort(&mut rows, Scores::Greater);
    rows
}

/// What each row of a list adds to its sum.
fn parts(method: Fusion, list: &List) -> Vec<f64> {
    let weight = f64::from(list.weight);
    match method {
        Fusion::ReciprocalRank { k } => {
            (1..=list.rows.len()).map(|place| weight / (f64::from(k) + place as f64)).collect()
        }
        Fusion::Weighted => {
            let score = |row: &Ranked| f64::from(row.score);
            let (best, worst) = (list.rows.first().map_or(0.0, score), list.rows.last().map_or(0.0, score));
            let stretched = |row: &Ranked| {
                if best == worst { 1.0 } else { (score(row) - worst) / (best - worst) }
            };
            // Both differences change their signs where smaller scores are better.
            debug_assert_ne!(list.scores, Scores::Absent, "refused when the query was checked");
            list.rows.iter().map(|row| weight * stretched(row)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(scores: &[f32], weight: f32, which: Scores) -> List {
        let row =
            |(slot, score): (usize, &f32)| Ranked { score: *score, segment: 0, slot: Slot(slot as u32) };
        List { rows: scores.iter().enumerate().map(row).collect(), weight, scores: which }
    }

    #[test]
    fn places_and_stretched_scores() {
        let by_place = Fusion::ReciprocalRank { k: 60.0 };
        // scores, weight, which are better, method, parts
        type Case = (&'static [f32], f32, Scores, Fusion, &'static [f64]);
        let cases: [Case; 6] = [
            (&[9.0, 9.0, 1.0], 1.0, Scores::Greater, by_place, &[1.0 / 61.0, 1.0 / 62.0, 1.0 / 63.0]),
            (&[0.0, 0.0], 2.0, Scores::Absent, by_place, &[2.0 / 61.0, 2.0 / 62.0]),
            (&[9.0, 5.0, 1.0], 2.0, Scores::Greater, Fusion::Weighted, &[2.0, 1.0, 0.0]),
            (&[1.0, 2.0, 5.0], 1.0, Scores::Smaller, Fusion::Weighted, &[1.0, 0.75, 0.0]),
            (&[3.0, 3.0], 0.5, Scores::Greater, Fusion::Weighted, &[0.5, 0.5]),
            (&[], 1.0, Scores::Greater, Fusion::Weighted, &[]),
        ];
        for (scores, weight, which, method, expected) in cases {
            assert_eq!(parts(method, &list(scores, weight, which)), expected, "{scores:?} {method:?}");
        }
    }
}
