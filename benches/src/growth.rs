//! Growing a data set: more rows that look like the real ones.
//!
//! **Problem.** A curve over sizes needs a million rows where there are sixty thousand real ones. Copies with noise make
//! tight clusters, which no index finds its way between; random rows have no structure at all.
//!
//! **Idea.** A new row lies between two real neighbours, off the line between them along directions that the real rows
//! around it have: `unit(a + t (b - a) + noise (d1 + d2 + d3) / sqrt 3)`, with `b` one of the nearest rows of `a`, `t`
//! drawn evenly from a range around the middle, and each `d` the difference of two rows drawn from `a` and those nearest
//! rows. Near the middle it is far from both ends, so no clusters arise around real rows; the noise keeps rows on
//! neighbouring lines apart without adding dimensions that the data do not have.
//!
//! **Why so.** A sample of the real rows was grown to a size that a larger sample of them has too, and recall@10 of hnswlib
//! at ef 12, 24, 48, 96 compared with that of the larger one (sentence embeddings, 384 dimensions, one seed, one build each):
//!
//! | | 4,000 to 16,000 | 2,000 to 32,000 |
//! |---|---|---|
//! | real rows | .835 .928 .972 .992 | .826 .910 .963 .987 |
//! | noise .5 | .830 .923 .976 .993 | .782 .888 .956 .987 |
//! | noise .7 (the default) | .831 .924 .974 .994 | not run |
//! | noise .9 | .830 .924 .975 .993 | .774 .888 .954 .986 |
//! | no noise | .818 .918 .970 .989 | not run |
//! | random directions, .4 of the line | not run | .755 .872 .948 .982 |
//! | random directions, .5 of the line | .828 .919 .971 .993 | .759 .869 .940 .977 |
//! | random directions, .9 of the line | not run | .588 .740 .866 .947 |
//!
//! What remains: at sixteen times the rows, recall at a small width is up to .05 lower than a real set's; and the nearest row
//! is nearer (median distance .51 against .79 there at noise .5, .61 against .84 at four times the rows and noise .7), since
//! a real set of that size has new subjects too.
//!
//! **Invariants.** The real rows come first, as they are. Row `i` follows from the seed, the real rows and `i` alone: a
//! smaller set is the beginning of a larger one, and threads change nothing. Each real row is `a` equally often, to one.
//! Rows have the precision of the file that they are written to.

use half::f16;
use rayon::prelude::*;

use crate::exact::{self, Neighbour};
use crate::npy::Matrix;
use crate::quantiles::quantile;
use crate::random::{Random, hash};

/// Differences of real rows that make up the noise of one.
const DIFFERENCES: usize = 3;

/// How rows are grown.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// Rows in the end, the real ones included.
    pub rows: usize,
    /// How many of the nearest rows `b` is drawn from.
    pub neighbours: usize,
    /// Where on the line from `a` to `b`: the range of `t`.
    pub between: (f32, f32),
    /// Length of the noise, in root mean squares of the differences between near rows.
    pub noise: f32,
    /// Another seed, other rows.
    pub seed: u64,
}

/// Grows the real rows, or cuts them off if fewer are asked for.
///
/// # Errors
/// If there are too few real rows to have so many neighbours.
pub fn grow(real: &Matrix<f32>, recipe: &Recipe, task: Option<&str>) -> Result<Matrix<f32>, String> {
    let (count, columns) = (real.len(), real.columns);
    if count <= recipe.neighbours || recipe.neighbours == 0 {
        return Err(format!("{count} rows do not have {} neighbours to grow between", recipe.neighbours));
    }
    let mut grown = Matrix { columns, elements: real.elements[..count.min(recipe.rows) * columns].to_vec() };
    if recipe.rows > count {
        let near = exact::nearest(real, real, recipe.neighbours + 1, task);
        let order = Random::new(recipe.seed).permutation(count);
        grown.elements.resize(recipe.rows * columns, 0.0);
        let new = grown.elements[count * columns..].par_chunks_exact_mut(columns).enumerate();
        new.for_each(|(index, row)| {
            let a = order[index % count];
            interpolate(real, (a, &near[a as usize]), &mut seeded(recipe, count + index), row);
        });
    }
    grown.elements.par_iter_mut().for_each(|value| *value = f16::from_f32(*value).to_f32());
    Ok(grown)
}

/// A recipe and the numbers of one row.
struct Draw<'a> {
    recipe: &'a Recipe,
    random: Random,
}

fn seeded(recipe: &Recipe, row: usize) -> Draw<'_> {
    Draw { recipe, random: Random::new(hash(recipe.seed, row as u64)) }
}

fn interpolate(real: &Matrix<f32>, (a, near): (u32, &[Neighbour]), draw: &mut Draw<'_>, row: &mut [f32]) {
    let Draw { recipe, random } = draw;
    // Of equal rows `a` itself may not be the first.
    let others = near.iter().map(|near| near.row).filter(|near| *near != a).take(recipe.neighbours);
    let around: Vec<u32> = std::iter::once(a).chain(others).collect();
    let b = around[1 + random.below(around.len() - 1)];
    let (start, end) = recipe.between;
    let t = start + (end - start) * random.unit();
    row.copy_from_slice(real.row(a as usize));
    add_difference(real, (a, b), t, row);
    for _ in 0..DIFFERENCES {
        let mut drawn = || around[random.below(around.len())];
        add_difference(real, (drawn(), drawn()), recipe.noise / (DIFFERENCES as f32).sqrt(), row);
    }
    let length = length(row).max(f32::MIN_POSITIVE);
    row.iter_mut().for_each(|value| *value /= length);
}

/// `row += scale (to - from)`.
fn add_difference(real: &Matrix<f32>, (from, to): (u32, u32), scale: f32, row: &mut [f32]) {
    for ((value, from), to) in row.iter_mut().zip(real.row(from as usize)).zip(real.row(to as usize)) {
        *value += scale * (to - from);
    }
}

fn length(row: &[f32]) -> f32 {
    row.iter().map(|value| value * value).sum::<f32>().sqrt()
}

/// Shares at which [`Spacing`] is given.
pub const SHARES: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

/// How far apart the rows of a set are: Euclidean distances of unit vectors, at [`SHARES`].
#[derive(Clone, Debug, PartialEq)]
pub struct Spacing {
    /// To the nearest other row.
    pub to_nearest: Vec<f64>,
    /// To the tenth nearest other row.
    pub to_tenth: Vec<f64>,
    /// From each query to its tenth nearest row.
    pub query_to_tenth: Vec<f64>,
}

/// Measures a set on a seeded sample of its rows from `first` on, and on all queries.
pub fn spacing(set: &Matrix<f32>, first: usize, queries: &Matrix<f32>, sample: usize) -> Spacing {
    let order = Random::new(1).permutation(set.len() - first.min(set.len()));
    let chosen = order.iter().take(sample).map(|row| *row as usize + first);
    let elements = chosen.flat_map(|row| set.row(row).iter().copied()).collect();
    let rows = Matrix { columns: set.columns, elements };
    let of_rows = exact::nearest(set, &rows, 11, None);
    let of_queries = exact::nearest(set, queries, 10, None);
    Spacing { to_nearest: at(&of_rows, 1), to_tenth: at(&of_rows, 10), query_to_tenth: at(&of_queries, 9) }
}

/// The quantiles of the distance to the neighbour at a rank.
fn at(found: &[Vec<Neighbour>], rank: usize) -> Vec<f64> {
    let ranked = found.iter().filter_map(|near| near.get(rank));
    let mut distances: Vec<f64> =
        ranked.map(|near| (2.0 - 2.0 * f64::from(near.score)).max(0.0).sqrt()).collect();
    SHARES.iter().filter_map(|share| quantile(&mut distances, *share)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECIPE: Recipe = Recipe { rows: 500, neighbours: 5, between: (0.3, 0.7), noise: 0.3, seed: 9 };

    fn real() -> Matrix<f32> {
        let mut random = Random::new(4);
        let mut rows = Matrix { columns: 16, elements: (0..200 * 16).map(|_| random.normal()).collect() };
        for row in rows.elements.chunks_exact_mut(16) {
            let length = length(row);
            row.iter_mut().for_each(|value| *value = f16::from_f32(*value / length).to_f32());
        }
        rows
    }

    #[test]
    fn a_seed_gives_the_same_rows_and_a_smaller_set_is_a_beginning() {
        let real = real();
        let grown = grow(&real, &RECIPE, None).unwrap();
        assert_eq!(grown, grow(&real, &RECIPE, None).unwrap());
        for rows in [50, 200, 333] {
            let fewer = grow(&real, &Recipe { rows, ..RECIPE }, None).unwrap();
            assert_eq!(fewer.elements, grown.elements[..rows * 16], "{rows}");
        }
        assert_ne!(grown, grow(&real, &Recipe { seed: 10, ..RECIPE }, None).unwrap());
    }

    #[test]
    fn new_rows_are_unit_vectors_between_real_ones_and_no_copies() {
        let real = real();
        let grown = grow(&real, &RECIPE, None).unwrap();
        assert_eq!(grown.elements[..real.elements.len()], real.elements);
        let elements = grown.elements[real.elements.len()..].to_vec();
        let new = Matrix { columns: 16, elements };
        assert!(new.rows().all(|row| (length(row) - 1.0).abs() < 2e-3));
        let nearest = exact::nearest(&real, &new, 1, None);
        let mut scores: Vec<f64> = nearest.iter().map(|near| f64::from(near[0].score)).collect();
        // A copy's would be 1 but for the rounding to half precision, which takes less than a thousandth.
        assert!(scores.iter().all(|score| (0.5..0.995).contains(score)), "{scores:?}");
        let median = quantile(&mut scores, 0.5).unwrap();
        assert!((0.75..0.95).contains(&median), "{median}");
    }

    #[test]
    fn too_few_rows_are_refused() {
        let few = Matrix { columns: 2, elements: vec![1.0, 0.0, 0.0, 1.0] };
        assert!(grow(&few, &RECIPE, None).unwrap_err().contains("2 rows"));
    }

    #[test]
    fn spacing_is_the_distance_to_others() {
        // Twelve rows at right angles: every other row is at the root of two.
        let mut set = Matrix { columns: 12, elements: vec![0.0; 144] };
        (0..12).for_each(|row| set.elements[row * 13] = 1.0);
        let spacing = spacing(&set, 0, &set, 8);
        for distance in spacing.to_nearest.iter().chain(&spacing.to_tenth) {
            assert!((distance - 2.0_f64.sqrt()).abs() < 1e-6, "{spacing:?}");
        }
        assert_eq!(spacing.to_nearest.len(), SHARES.len());
    }
}
