//! A fixed random rotation of rows, in time `n log n`.
//!
//! An encoding that keeps signs alone needs rows whose length is spread evenly over the components. A rotation drawn at
//! random does that to any row, and keeps lengths and products. Multiplying by a random matrix would cost `n^2`, so:
//!
//! ```text
//! a round = flip the signs of components, chosen at random; a Hadamard transform; divide by the root of its length
//! ```
//! Three rounds are as good as a random matrix in practice (Andoni et al. 2015, "Practical and Optimal LSH for Angular
//! Distance"). Where the length is no power of two, the transform is of the longest power of two in it, of the first and
//! of the last components by turns, and there are four rounds; the two overlap and mix all.
//!
//! The signs come from a fixed seed: they are part of the format. Each output is one tree of additions, so every
//! processor makes the same bits.

use crate::random::SplitMix64;

/// Seed of the signs.
const SEED: u64 = 0x5241_4753_544f_4e45;

/// The rotation.
#[derive(Debug)]
pub(super) struct Rotation {
    length: usize,
    /// Length of a transform, a power of two.
    window: usize,
    /// For each round and component the sign bit to flip.
    flips: Vec<u32>,
}

impl Rotation {
    /// The rotation of rows of `length` components, eight at least.
    pub(super) fn new(length: usize) -> Self {
        let window = 1 << length.ilog2();
        let rounds = if window == length { 3 } else { 4 };
        let mut random = SplitMix64(SEED);
        let flips = (0..rounds * length).map(|_| (random.next() >> 63) as u32 * (1 << 31)).collect();
        Self { length, window, flips }
    }

    /// Rotates a row. Panics if it has another length.
    pub(super) fn apply(&self, row: &mut [f32]) {
        assert!(row.len() == self.length, "{} components, not {}", row.len(), self.length);
        let scale = 1.0 / (self.window as f32).sqrt();
        for (round, flips) in self.flips.chunks_exact(self.length).enumerate() {
            for (x, flip) in row.iter_mut().zip(flips) {
                *x = f32::from_bits(x.to_bits() ^ flip);
            }
            let from = if round % 2 == 0 { 0 } else { self.length - self.window };
            let window = &mut row[from..from + self.window];
            transform(window);
            window.iter_mut().for_each(|x| *x *= scale);
        }
    }
}

/// The Hadamard transform, not scaled. The first three steps, of eight neighbours, go through registers.
fn transform(row: &mut [f32]) {
    let (eights, _) = row.as_chunks_mut::<8>();
    for eight in eights {
        for half in [1, 2, 4] {
            let before = *eight;
            for (i, x) in eight.iter_mut().enumerate() {
                let (a, b) = (before[i & !half], before[i | half]);
                *x = if i & half == 0 { a + b } else { a - b };
            }
        }
    }
    let mut half = 8;
    while half < row.len() {
        for pair in row.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotated(row: &[f32], length: usize) -> Vec<f32> {
        let mut row = row.to_vec();
        row.resize(length, 0.0);
        Rotation::new(length).apply(&mut row);
        row
    }

    fn inner(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
    }

    #[test]
    fn lengths_and_products_stay() {
        for length in [512, 1024, 1536, 2560, 3584] {
            let a: Vec<f32> = (0..length).map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0).collect();
            let b: Vec<f32> = (0..length).map(|i| ((i * 104_729) % 1000) as f32 / 500.0 - 1.0).collect();
            let (x, y) = (rotated(&a, length), rotated(&b, length));
            let allowed = 1e-5 * length as f64;
            assert!((inner(&x, &x) - inner(&a, &a)).abs() < allowed, "{length}");
            assert!((inner(&x, &y) - inner(&a, &b)).abs() < allowed, "{length}");
        }
    }

    /// The mean of the magnitudes of a row's components is that of a normal distribution, `sqrt(2 / pi)` of their root
    /// mean square, also of the rows that are the worst: one component, and all alike.
    #[test]
    fn rows_are_spread_evenly() {
        for length in [512, 1024, 1536, 2560] {
            for row in [vec![1.0], vec![0.0, 0.0, -3.0], vec![1.0; length], vec![0.5; length / 3]] {
                let rotated = rotated(&row, length);
                let mean = rotated.iter().map(|x| f64::from(x.abs())).sum::<f64>() / length as f64;
                let ratio = mean / (inner(&rotated, &rotated) / length as f64).sqrt();
                assert!((ratio - 0.798).abs() < 0.06, "{length} {:?}: {ratio}", &row[..1]);
            }
        }
    }

    /// What stands on disk was rotated so.
    #[test]
    fn the_rotation_is_part_of_the_format() {
        let signs: String =
            rotated(&[1.0], 512)[..32].iter().map(|x| if *x >= 0.0 { '+' } else { '-' }).collect();
        assert_eq!(signs, "-++++---+++-++--+++-+---+--+-+++");
    }
}
