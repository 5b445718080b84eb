//! MaxSim, the score of late interaction (ColBERT; Khattab and Zaharia 2020): for each vector of the query the greatest inner
//! product with a vector of the row, summed over the vectors of the query.
//!
//! A row's vectors lie one after the other, so they are in the cache when the second vector of the query comes. Under cosine all
//! vectors have unit length, so the inner product is the cosine.

use ragstone_kernels::{DistanceF32, KernelF16, KernelF32};

use crate::segment::MultiRow;

/// Vectors compared with one call.
const BLOCK: usize = 64;

/// Compares the vectors of a query with those of rows.
#[derive(Debug)]
pub(crate) struct MaxSim {
    query: Vec<Vec<f32>>,
    dimension: usize,
    floats: KernelF32,
    halves: KernelF16,
}

impl MaxSim {
    /// For a query whose vectors were checked; all have `dimension` components.
    pub(crate) fn new(query: Vec<Vec<f32>>, dimension: usize) -> Self {
        let (floats, halves) =
            (KernelF32::new(DistanceF32::NegatedDot), KernelF16::new(DistanceF32::NegatedDot));
        Self { query, dimension, floats, halves }
    }

    /// The score of a row; larger is nearer, never NaN, and no zero has a sign: rows of equal scores are in the order of their ids.
    pub(crate) fn score(&self, row: MultiRow<'_>) -> f32 {
        let mut nearest = vec![f32::INFINITY; self.query.len()];
        match row {
            MultiRow::Floats(components) => {
                let mut rows = components.chunks_exact(self.dimension);
                in_blocks(
                    || rows.next(),
                    |rows| {
                        self.take(&mut nearest, rows.len(), |query, out| {
                            self.floats.many(query, rows, out);
                        })
                    },
                );
            }
            MultiRow::Halves(bytes) => {
                let mut rows = bytes.chunks_exact(self.dimension * size_of::<u16>());
                let scales = [1.0; BLOCK];
                in_blocks(
                    || rows.next(),
                    |rows| {
                        self.take(&mut nearest, rows.len(), |query, out| {
                            self.halves.many(query, rows, &scales[..rows.len()], out);
                        })
                    },
                );
            }
        }
        let sum: f32 = nearest.iter().map(|distance| -distance).sum();
        if sum.is_nan() { f32::NEG_INFINITY } else { sum + 0.0 }
    }

    /// Compares each vector of the query with some of the row's, and keeps the least distances.
    fn take(&self, nearest: &mut [f32], rows: usize, compare: impl Fn(&[f32], &mut [f32])) {
        let mut out = [0.0; BLOCK];
        for (query, nearest) in self.query.iter().zip(nearest) {
            compare(query, &mut out[..rows]);
            *nearest = out[..rows].iter().fold(*nearest, |least, distance| least.min(*distance));
        }
    }
}

/// Calls `each` with as many as [`BLOCK`] of what `next` gives at a time.
fn in_blocks<'a, T: ?Sized + 'a>(mut next: impl FnMut() -> Option<&'a T>, mut each: impl FnMut(&[&'a T])) {
    let mut block = Vec::with_capacity(BLOCK);
    loop {
        block.extend(std::iter::from_fn(&mut next).take(BLOCK));
        if block.is_empty() {
            return;
        }
        each(&block);
        block.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;
    use crate::schema::ElementType;

    #[test]
    fn scores_are_those_of_the_definition() {
        let mut random = SplitMix64(5);
        for (dimension, queries, vectors) in [(1, 1, 1), (7, 3, 5), (48, 32, 64), (128, 4, 200)] {
            let mut many = |count: usize| -> Vec<Vec<f32>> {
                (0..count).map(|_| (0..dimension).map(|_| random.normal()).collect()).collect()
            };
            let (query, row) = (many(queries), many(vectors));
            let mut bytes = vec![0; vectors * dimension * 2];
            ElementType::F16.write(&row.concat(), &mut bytes);
            let rounded = ElementType::F16.read(&bytes);
            let expected = |row: &[f32]| -> f64 {
                let dot = |a: &[f32], b: &[f32]| -> f64 {
                    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
                };
                let best = |query: &Vec<f32>| {
                    row.chunks(dimension).map(|row| dot(query, row)).fold(f64::NEG_INFINITY, f64::max)
                };
                query.iter().map(best).sum()
            };
            let max_sim = MaxSim::new(query.clone(), dimension);
            for (row, score) in [
                (&row.concat(), max_sim.score(MultiRow::Floats(&row.concat()))),
                (&rounded, max_sim.score(MultiRow::Halves(&bytes))),
            ] {
                let expected = expected(row);
                assert!(
                    (f64::from(score) - expected).abs() < 1e-3 * expected.abs().max(1.0),
                    "{score} {expected}"
                );
            }
        }
    }

    /// Zeros of both signs are equal, and yet not in the order by which rows are ranked: such a row came before or behind its equals.
    #[test]
    fn no_zero_has_a_sign() {
        for (query, row) in [([0.0, 0.0], [1.0, 1.0]), ([1.0, -1.0], [2.0, 2.0]), ([-0.0, 0.0], [1.0, -1.0])]
        {
            let score = MaxSim::new(vec![query.to_vec()], 2).score(MultiRow::Floats(&row));
            assert_eq!(score.to_bits(), 0.0f32.to_bits(), "{query:?} {row:?}");
        }
    }
}
