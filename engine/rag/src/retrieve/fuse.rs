//! One score of several.
//!
//! A convex combination of scores, each put on the scale from 0, its least possible, to 1, the best of the candidates: so it depends
//! neither on how many candidates there are nor on the worst of them (Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid
//! Retrieval", 2023, there called *theoretical minimum*). Ranks, which reciprocal-rank fusion adds, forget by how much one row is better
//! than the next.
//!
//! The weights are those that gained on two judged sets unlike each other, abstracts and source code; `benches/record/retrieval.md` has what
//! each choice is worth.

use ragstone::PointId;

/// How much the vector's nearness counts in the first ranking; the words' score counts for the rest.
const FIRST_NEARNESS_WEIGHT: f32 = 0.5;
/// And in the second, where the vector was moved by the best chunks.
const NEARNESS_WEIGHT: f32 = 0.6;
/// How much the words that the best chunks say count beside the question's own, if the chunks agree.
const SAID_WEIGHT: f32 = 0.4;

/// A chunk that one of both sides found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) id: PointId,
    /// By the metric: cosine or inner product.
    pub(crate) nearness: f32,
    /// At least 0.
    pub(crate) words: f32,
}

/// What a candidate is worth by what the best chunks say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Second {
    /// To the vector that was moved.
    pub(crate) nearness: f32,
    /// Of the words that were said.
    pub(crate) words: f32,
}

/// The candidates with one score each, best first; those of equal scores in the order of their ids.
pub(crate) fn first(candidates: Vec<Candidate>) -> Vec<(f32, Candidate)> {
    let nearest = scale(candidates.iter().map(|candidate| candidate.nearness));
    let most = scale(candidates.iter().map(|candidate| candidate.words));
    let score = |candidate: &Candidate| {
        mixed(FIRST_NEARNESS_WEIGHT, nearest.of(candidate.nearness), most.of(candidate.words))
    };
    sorted(candidates.into_iter().map(|candidate| (score(&candidate), candidate)).collect())
}

/// The same by what the best of the first ranking say, which agree so much, 0 to 1.
pub(crate) fn second(candidates: Vec<(Candidate, Second)>, agreement: f32) -> Vec<(f32, Candidate)> {
    let nearest = scale(candidates.iter().map(|(_, second)| second.nearness));
    let most = scale(candidates.iter().map(|(candidate, _)| candidate.words));
    let most_said = scale(candidates.iter().map(|(_, second)| second.words));
    let score = |candidate: &Candidate, second: Second| {
        let words = mixed(SAID_WEIGHT * agreement, most_said.of(second.words), most.of(candidate.words));
        mixed(NEARNESS_WEIGHT, nearest.of(second.nearness), words)
    };
    sorted(candidates.into_iter().map(|(candidate, by)| (score(&candidate, by), candidate)).collect())
}

/// Of two scores, the first of which counts so much.
fn mixed(weight: f32, one: f32, other: f32) -> f32 {
    weight * one + (1.0 - weight) * other
}

/// From 0 to 1 for the best.
struct Scale(f32);

impl Scale {
    fn of(&self, score: f32) -> f32 {
        if self.0 > 0.0 { score.max(0.0) / self.0 } else { 0.0 }
    }
}

fn scale(scores: impl Iterator<Item = f32>) -> Scale {
    Scale(scores.fold(0.0, f32::max))
}

fn sorted(mut scored: Vec<(f32, Candidate)>) -> Vec<(f32, Candidate)> {
    scored.sort_by(|(a, left), (b, right)| b.total_cmp(a).then_with(|| left.id.cmp(&right.id)));
    scored
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(id: u64, nearness: f32, words: f32) -> Candidate {
        Candidate { id: id.into(), nearness, words }
    }

    fn shown(scored: &[(f32, Candidate)]) -> Vec<(String, f32)> {
        scored.iter().map(|(score, candidate)| (candidate.id.to_string(), *score)).collect()
    }

    #[test]
    fn both_scores_count_by_what_the_best_has() {
        let all = vec![candidate(1, 0.8, 0.0), candidate(2, 0.4, 6.0), candidate(3, -0.5, 3.0)];
        let expected = [("2".to_owned(), 0.75), ("1".to_owned(), 0.5), ("3".to_owned(), 0.25)];
        assert_eq!(shown(&first(all)), expected);
        let alike = vec![candidate(2, 0.4, 0.0), candidate(1, 0.4, 0.0)];
        assert_eq!(shown(&first(alike)), [("1".to_owned(), 0.5), ("2".to_owned(), 0.5)]);
        assert_eq!(shown(&first(vec![candidate(1, -0.1, 0.0)])), [("1".to_owned(), 0.0)]);
        assert!(first(Vec::new()).is_empty());
    }

    #[test]
    fn what_was_said_counts_as_much_as_chunks_agree() {
        let of = |agreement| {
            let one = (candidate(1, 0.0, 4.0), Second { nearness: 0.5, words: 0.0 });
            let other = (candidate(2, 0.0, 2.0), Second { nearness: 0.5, words: 9.0 });
            second(vec![one, other], agreement).into_iter().map(|(score, _)| score).collect::<Vec<_>>()
        };
        let close = |found: Vec<f32>, expected: [f32; 2]| {
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
        };
        close(of(0.0), [1.0, 0.8]);
        close(of(1.0), [0.88, 0.84]);
    }
}
