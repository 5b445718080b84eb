//! Attention of each text's tokens to each other, text by text and head by head, without padding.
//!
//! For one head of one text: `scores = Q K^T`, a softmax over each row, `out = scores V`. The scale of the scores is in
//! the query's weights already. Rows of queries go in blocks, so that their scores stay in the second-level cache.

use ragstone_kernels::matrix::{Kernels, Packed, Product, Rows, RowsMut};
use rayon::prelude::*;

/// Rows of queries whose scores are computed together.
const QUERIES_MAX: usize = 96;

/// Where the tokens of each text are, and what the heads are.
#[derive(Clone, Copy)]
pub(super) struct Shape<'a> {
    /// Where each text's rows begin; one more, the number of rows.
    pub(super) starts: &'a [usize],
    pub(super) heads: usize,
    /// Numbers of a token's state.
    pub(super) hidden: usize,
    /// What is added to the scores for the distance of two tokens.
    pub(super) distances: Option<&'a Distances>,
}

/// Added to the score of two tokens: one number a head and distance.
pub(super) struct Distances {
    /// `heads` rows, each from the distance `-(places - 1)` to `places - 1`.
    values: Vec<f32>,
    places: usize,
}

impl Distances {
    /// From MPNet's table of `buckets` rows of `heads` numbers, for texts of at most `places` tokens.
    pub(super) fn new(table: &[f32], buckets: usize, heads: usize, places: usize) -> Distances {
        let distances = 2 * places - 1;
        let mut values = vec![0.0; heads * distances];
        for (at, distance) in (0..distances).zip(1 - places as i64..) {
            let row = &table[bucket(distance, buckets) * heads..][..heads];
            row.iter().enumerate().for_each(|(head, value)| values[head * distances + at] = *value);
        }
        Distances { values, places }
    }

    /// What is added to the scores of one query against the first `keys` tokens.
    fn row(&self, head: usize, query: usize, keys: usize) -> &[f32] {
        let start = head * (2 * self.places - 1) + self.places - 1 - query;
        &self.values[start..][..keys]
    }
}

/// The row for a distance: half of the rows for each direction; exact when near, logarithmic up to 128, then all one.
fn bucket(distance: i64, buckets: usize) -> usize {
    const DISTANCE_MAX: f32 = 128.0;
    let half = buckets / 2;
    let direction = if distance > 0 { half } else { 0 };
    let distance = distance.unsigned_abs() as usize;
    let exact = half / 2;
    if distance < exact {
        return direction + distance;
    }
    let ratio = (distance as f32 / exact as f32).ln() / (DISTANCE_MAX / exact as f32).ln();
    let beyond = exact + (ratio * (half - exact) as f32) as usize;
    direction + beyond.min(half - 1)
}

/// Memory of one head's work, kept from call to call.
pub(super) struct HeadScratch {
    keys: Packed,
    values: Packed,
    scores: Vec<f32>,
}

impl HeadScratch {
    pub(super) fn new(kernels: Kernels) -> HeadScratch {
        HeadScratch { keys: kernels.packed(), values: kernels.packed(), scores: Vec::new() }
    }
}

/// One head of one text.
struct Head<'a> {
    text: usize,
    head: usize,
    /// Its rows of states, one after the other.
    out: &'a mut [f32],
}

/// Attention over `states`, rows of queries, keys and values side by side; `by_head` gets, text by text and head by
/// head, the rows that belong to the head. One task for each element of `scratch`.
pub(super) fn attend(
    kernels: Kernels,
    shape: &Shape<'_>,
    states: &[f32],
    by_head: &mut [f32],
    scratch: &mut [HeadScratch],
) {
    let width = shape.hidden / shape.heads;
    let mut heads = Vec::with_capacity((shape.starts.len() - 1) * shape.heads);
    let mut rest = by_head;
    for (text, ends) in shape.starts.windows(2).enumerate() {
        for head in 0..shape.heads {
            let (out, behind) = rest.split_at_mut((ends[1] - ends[0]) * width);
            heads.push(Head { text, head, out });
            rest = behind;
        }
    }
    if let [scratch] = scratch {
        heads.iter_mut().for_each(|head| attend_head(kernels, shape, states, head, scratch));
        return;
    }
    let share = heads.len().div_ceil(scratch.len()).max(1);
    heads.par_chunks_mut(share).zip(scratch.par_iter_mut()).for_each(|(heads, scratch)| {
        heads.iter_mut().for_each(|head| attend_head(kernels, shape, states, head, scratch));
    });
}

fn attend_head(
    kernels: Kernels,
    shape: &Shape<'_>,
    states: &[f32],
    head: &mut Head<'_>,
    scratch: &mut HeadScratch,
) {
    let (hidden, width) = (shape.hidden, shape.hidden / shape.heads);
    let (start, end) = (shape.starts[head.text], shape.starts[head.text + 1]);
    let tokens = end - start;
    let part = |index: usize, from: usize, rows: usize| {
        let first = (start + from) * 3 * hidden + index * hidden + head.head * width;
        Rows::new(&states[first..], rows, width, 3 * hidden)
    };
    scratch.keys.set_columns(part(1, 0, tokens));
    scratch.values.set_rows(part(2, 0, tokens));
    for first in (0..tokens).step_by(QUERIES_MAX) {
        let rows = QUERIES_MAX.min(tokens - first);
        scratch.scores.resize(rows * tokens, 0.0);
        let scores = &mut scratch.scores[..rows * tokens];
        let into = RowsMut::new(scores, rows, tokens, tokens);
        kernels.multiply(part(0, first, rows), &Product::new(&scratch.keys), into);
        if let Some(distances) = shape.distances {
            for (query, scores) in scores.chunks_exact_mut(tokens).enumerate() {
                let added = distances.row(head.head, first + query, tokens);
                scores.iter_mut().zip(added).for_each(|(score, added)| *score += added);
            }
        }
        kernels.softmax(RowsMut::new(scores, rows, tokens, tokens));
        let out = RowsMut::new(&mut head.out[first * width..], rows, width, width);
        kernels.multiply(Rows::new(scores, rows, tokens, tokens), &Product::new(&scratch.values), out);
    }
}

/// `by_head` as rows of tokens, the heads side by side.
pub(super) fn gather(shape: &Shape<'_>, by_head: &[f32], rows: &mut [f32]) {
    let width = shape.hidden / shape.heads;
    for ends in shape.starts.windows(2) {
        let text = ends[0] * shape.hidden..ends[1] * shape.hidden;
        let heads = by_head[text.clone()].chunks_exact((ends[1] - ends[0]) * width);
        for (head, states) in heads.enumerate() {
            let to = rows[text.clone()].chunks_exact_mut(shape.hidden);
            for (to, from) in to.zip(states.chunks_exact(width)) {
                to[head * width..][..width].copy_from_slice(from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `MPNetEncoder.relative_position_bucket` gives them for 32 rows.
    #[test]
    fn distances_fall_into_the_published_buckets() {
        let expected = [
            (0, 0),
            (-1, 1),
            (-7, 7),
            (-8, 8),
            (-11, 8),
            (-12, 9),
            (-16, 10),
            (-64, 14),
            (-127, 15),
            (-500, 15),
            (1, 17),
            (7, 23),
            (8, 24),
            (100, 31),
            (10_000, 31),
        ];
        for (distance, row) in expected {
            assert_eq!(bucket(distance, 32), row, "{distance}");
        }
    }
}
