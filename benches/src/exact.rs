//! The exact nearest rows under the inner product: what truth is made of.
//!
//! A product of matrices: a group of queries, packed once, against blocks of rows that fit the cache. Groups are
//! independent, so they share the threads, and the answer does not depend on how many there are. Equal scores are in
//! the order of the rows. 2,000 queries against a million rows of 384 components are 1.5e12 operations: seconds.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::atomic::{self, AtomicUsize};

use ragstone_kernels::Isa;
use ragstone_kernels::matrix::{Kernels, Precision, Product, Rows, RowsMut};
use rayon::prelude::*;

use crate::npy::Matrix;

/// Queries that go through the rows together: packed, they stay in the second-level cache.
const GROUP: usize = 256;
/// Rows of one product.
const BLOCK: usize = 128;

/// A row found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// Its inner product with the query.
    pub score: f32,
    /// Its number.
    pub row: u32,
}

impl Eq for Neighbour {}

impl Ord for Neighbour {
    /// The nearer one is the larger: higher score, then lower row.
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.row.cmp(&self.row))
    }
}

impl PartialOrd for Neighbour {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The `k` rows of `base` nearest to each query, nearest first; all of them if there are fewer. With a `task` to name,
/// progress goes to standard error.
///
/// # Panics
/// If rows and queries differ in length or have none.
pub fn nearest(
    base: &Matrix<f32>,
    queries: &Matrix<f32>,
    k: usize,
    task: Option<&str>,
) -> Vec<Vec<Neighbour>> {
    assert_eq!(base.columns, queries.columns, "components of rows and queries");
    let progress = Progress { task, total: queries.len().div_ceil(GROUP), done: AtomicUsize::new(0) };
    let groups = queries.elements.par_chunks(GROUP * queries.columns);
    groups
        .flat_map(|group| {
            let found = nearest_of_group(base, group, k);
            progress.step();
            found
        })
        .collect()
}

/// The same as rows of an array: `k` columns, which the base must have as rows.
///
/// # Errors
/// If it has fewer.
pub fn truth(
    base: &Matrix<f32>,
    queries: &Matrix<f32>,
    k: usize,
    task: Option<&str>,
) -> Result<Matrix<u32>, String> {
    if base.len() < k {
        return Err(format!("{} rows cannot have {k} nearest ones", base.len()));
    }
    let found = nearest(base, queries, k, task);
    Ok(Matrix { columns: k, elements: found.iter().flatten().map(|neighbour| neighbour.row).collect() })
}

fn nearest_of_group(base: &Matrix<f32>, group: &[f32], k: usize) -> Vec<Vec<Neighbour>> {
    let columns = base.columns;
    let count = group.len() / columns;
    let kernels = Kernels::new(Isa::current());
    let packed = kernels.linear(Rows::new(group, count, columns, columns), &[], Precision::Single);
    let product = Product::new(&packed);
    let mut scores = vec![0.0; BLOCK * count];
    let mut tops: Vec<Top> = (0..count).map(|_| Top::new(k)).collect();
    // Apart from the heaps, so that the loop over all scores reads one array.
    let mut bars = vec![f32::NEG_INFINITY; count];
    for (block, rows) in base.elements.chunks(BLOCK * columns).enumerate() {
        let input = Rows::new(rows, rows.len() / columns, columns, columns);
        let scores = &mut scores[..input.rows() * count];
        kernels.multiply(input, &product, RowsMut::new(scores, input.rows(), count, count));
        for (row, scores) in (block * BLOCK..).zip(scores.chunks_exact(count)) {
            for (query, (score, bar)) in scores.iter().zip(&mut bars).enumerate() {
                if score > bar {
                    *bar = tops[query].offer(Neighbour { score: *score, row: row as u32 });
                }
            }
        }
    }
    tops.into_iter().map(Top::into_sorted).collect()
}

/// The best `k` so far.
struct Top {
    k: usize,
    heap: BinaryHeap<Reverse<Neighbour>>,
}

impl Top {
    fn new(k: usize) -> Self {
        Self { k, heap: BinaryHeap::with_capacity(k + 1) }
    }

    /// Takes a neighbour in; the score that the next one has to exceed.
    fn offer(&mut self, neighbour: Neighbour) -> f32 {
        self.heap.push(Reverse(neighbour));
        if self.heap.len() > self.k {
            self.heap.pop();
        }
        match self.heap.peek() {
            Some(Reverse(worst)) if self.heap.len() == self.k => worst.score,
            Some(_) => f32::NEG_INFINITY,
            None => f32::INFINITY,
        }
    }

    fn into_sorted(self) -> Vec<Neighbour> {
        self.heap.into_sorted_vec().into_iter().map(|Reverse(neighbour)| neighbour).collect()
    }
}

struct Progress<'a> {
    task: Option<&'a str>,
    total: usize,
    done: AtomicUsize,
}

impl Progress<'_> {
    /// Says so whenever another tenth is done.
    fn step(&self) {
        let Some(task) = self.task else { return };
        let done = self.done.fetch_add(1, atomic::Ordering::Relaxed) + 1;
        let tenth = |done: usize| done * 10 / self.total.max(1);
        if tenth(done) > tenth(done - 1) {
            eprintln!("{task}: {} %", done * 100 / self.total);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn matrix(rows: usize, columns: usize, seed: u64) -> Matrix<f32> {
        let mut random = Random::new(seed);
        Matrix { columns, elements: (0..rows * columns).map(|_| random.normal()).collect() }
    }

    #[test]
    fn finds_what_sorting_all_scores_finds() {
        // More rows than a block and more queries than a group, and no multiple of either.
        let (base, queries) = (matrix(BLOCK * 2 + 37, 9, 1), matrix(GROUP + 5, 9, 2));
        let found = nearest(&base, &queries, 7, None);
        assert_eq!(found.len(), queries.len());
        for (query, found) in queries.rows().zip(&found) {
            let score = |row: &[f32]| row.iter().zip(query).map(|(a, b)| a * b).sum::<f32>();
            let mut all: Vec<f32> = base.rows().map(score).collect();
            all.sort_by(|a, b| b.total_cmp(a));
            assert_eq!(found.len(), 7);
            for (found, expected) in found.iter().zip(all) {
                assert!((found.score - expected).abs() < 1e-4, "{found:?} {expected}");
                assert!((found.score - score(base.row(found.row as usize))).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn equal_scores_are_in_the_order_of_the_rows() {
        let base = Matrix { columns: 1, elements: vec![1.0, 2.0, 2.0, 2.0, 1.0] };
        let rows: Vec<u32> = nearest(&base, &Matrix { columns: 1, elements: vec![1.0] }, 4, None)[0]
            .iter()
            .map(|neighbour| neighbour.row)
            .collect();
        assert_eq!(rows, [1, 2, 3, 0]);
        let too_few = truth(&base, &base, 6, None).unwrap_err();
        assert!(too_few.contains("5 rows"), "{too_few}");
    }
}
