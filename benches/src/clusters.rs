//! Coarse regions of a data set, for filters that have to do with where a row lies.
//!
//! Spherical k-means: centroids start as rows drawn with a seed, and a few rounds are enough, since regions are wanted
//! and not the best regions. Each round is one product of rows and centroids.

use rayon::prelude::*;

use crate::exact;
use crate::npy::Matrix;
use crate::random::Random;

/// Rounds of k-means.
const ROUNDS: usize = 6;

/// Rows in regions.
#[derive(Clone, Debug)]
pub struct Clusters {
    /// Unit vectors, one a cluster.
    pub centroids: Matrix<f32>,
    /// The cluster of each row.
    pub of_row: Vec<u32>,
    /// Rows of each cluster.
    pub sizes: Vec<usize>,
}

impl Clusters {
    /// Divides the rows into at most `count` clusters.
    ///
    /// # Panics
    /// If rows have no components.
    pub fn new(base: &Matrix<f32>, count: usize, seed: u64) -> Self {
        let count = count.clamp(1, base.len().max(1));
        let start = Random::new(seed).permutation(base.len());
        let elements = start.iter().take(count).flat_map(|row| base.row(*row as usize).iter().copied());
        let mut centroids = Matrix { columns: base.columns, elements: elements.collect() };
        let mut of_row = assign(base, &centroids);
        for _ in 1..ROUNDS {
            centroids = means(base, &of_row, &centroids);
            of_row = assign(base, &centroids);
        }
        let mut sizes = vec![0; centroids.len()];
        of_row.iter().for_each(|cluster| sizes[*cluster as usize] += 1);
        Self { centroids, of_row, sizes }
    }

    /// The clusters nearest to each query, or farthest from it, taken until they have `rows` rows together.
    pub fn chosen(&self, queries: &Matrix<f32>, rows: usize, farthest: bool) -> Vec<Vec<u32>> {
        let ranked = exact::nearest(&self.centroids, queries, self.centroids.len(), None);
        ranked
            .into_par_iter()
            .map(|mut ranked| {
                if farthest {
                    ranked.reverse();
                }
                let mut covered = 0;
                let wanted = ranked.iter().map(|near| near.row).filter(|near| self.sizes[*near as usize] > 0);
                let mut chosen = Vec::new();
                for cluster in wanted {
                    if covered >= rows {
                        break;
                    }
                    covered += self.sizes[cluster as usize];
                    chosen.push(cluster);
                }
                chosen
            })
            .collect()
    }
}

fn assign(base: &Matrix<f32>, centroids: &Matrix<f32>) -> Vec<u32> {
    exact::nearest(centroids, base, 1, None).iter().map(|near| near[0].row).collect()
}

/// The directions of the clusters' sums; a cluster without rows stays where it was.
fn means(base: &Matrix<f32>, of_row: &[u32], before: &Matrix<f32>) -> Matrix<f32> {
    let columns = base.columns;
    let mut sums = vec![0.0_f32; before.elements.len()];
    for (row, cluster) in base.rows().zip(of_row) {
        let sum = &mut sums[*cluster as usize * columns..][..columns];
        sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    for (sum, before) in sums.chunks_exact_mut(columns).zip(before.rows()) {
        let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
        if length > f32::EPSILON {
            sum.iter_mut().for_each(|value| *value /= length);
        } else {
            sum.copy_from_slice(before);
        }
    }
    Matrix { columns, elements: sums }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows around three directions at right angles.
    fn base() -> Matrix<f32> {
        let mut random = Random::new(5);
        let mut elements = Vec::new();
        for row in 0..90 {
            elements.extend((0..3).map(|axis| f32::from(axis == row % 3) + 0.05 * random.normal()));
        }
        Matrix { columns: 3, elements }
    }

    #[test]
    fn rows_of_a_region_are_together() {
        let base = base();
        let clusters = Clusters::new(&base, 9, 1);
        assert_eq!(clusters.sizes.iter().sum::<usize>(), 90);
        // No cluster has rows of two directions.
        for row in 0..90 {
            for other in 0..90 {
                if clusters.of_row[row] == clusters.of_row[other] {
                    assert_eq!(row % 3, other % 3);
                }
            }
        }
    }

    #[test]
    fn chosen_clusters_are_the_nearest_or_the_farthest_and_enough() {
        let base = base();
        let clusters = Clusters::new(&base, 9, 1);
        let query = Matrix { columns: 3, elements: vec![1.0, 0.1, 0.0] };
        let rows_of = |chosen: &[u32]| -> Vec<usize> {
            (0..90).filter(|row| chosen.contains(&clusters.of_row[*row])).collect()
        };
        let near = rows_of(&clusters.chosen(&query, 5, false)[0]);
        assert!(near.len() >= 5 && near.iter().all(|row| row % 3 == 0), "{near:?}");
        let far = rows_of(&clusters.chosen(&query, 5, true)[0]);
        assert!(far.len() >= 5 && far.iter().all(|row| row % 3 == 2), "{far:?}");
        assert_eq!(rows_of(&clusters.chosen(&query, 90, false)[0]).len(), 90);
    }
}
