//! One score of two.
//!
//! A convex combination of both scores, each put on the scale from 0, its least possible, to 1, the best of the candidates: so it depends
//! neither on how many candidates there are nor on the worst of them (Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid
//! Retrieval", 2023, there called *theoretical minimum*). Ranks, which reciprocal-rank fusion adds, forget by how much one row is better
//! than the next.

use ragstone::PointId;

/// How much the vector's nearness counts; the words' score counts for the rest.
const NEARNESS_WEIGHT: f32 = 0.5;

/// A chunk that one of both sides found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) id: PointId,
    /// By the metric: cosine or inner product of unit vectors, so -1 to 1.
    pub(crate) nearness: f32,
    /// At least 0.
    pub(crate) words: f32,
}

/// The candidates with one score each, best first; those of equal scores in the order of their ids.
pub(crate) fn fuse(candidates: Vec<Candidate>) -> Vec<(f32, Candidate)> {
    let best = |of: fn(&Candidate) -> f32| candidates.iter().map(of).fold(0.0, f32::max);
    let (nearest, most) = (best(|candidate| candidate.nearness), best(|candidate| candidate.words));
    let scaled = |score: f32, best: f32| if best > 0.0 { score.max(0.0) / best } else { 0.0 };
    let mut scored: Vec<(f32, Candidate)> = candidates
        .into_iter()
        .map(|candidate| {
            let (nearness, words) = (scaled(candidate.nearness, nearest), scaled(candidate.words, most));
            (NEARNESS_WEIGHT * nearness + (1.0 - NEARNESS_WEIGHT) * words, candidate)
        })
        .collect();
    scored.sort_by(|(a, left), (b, right)| b.total_cmp(a).then_with(|| left.id.cmp(&right.id)));
    scored
}
