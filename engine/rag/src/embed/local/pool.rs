//! The states of a text's tokens become one vector.

use ragstone_kernels::matrix::{Activation, Kernels, Packed, Product, Rows, RowsMut};

use super::directory::Step;
use super::network::Head;
use super::text::Tokens;
use crate::embed::Pooling;

/// Lengths below this are taken for it, as PyTorch's `normalize` does: a vector of zeros stays one.
const LENGTH_MIN: f32 = 1e-12;

/// Makes one vector of a text's states: the pooling, and the steps behind it.
pub(crate) struct Pooled {
    pub(super) kernels: Kernels,
    pub(super) pooling: Pooling,
    /// Numbers of a token's state.
    pub(super) width: usize,
    pub(super) steps: Vec<Step>,
}

impl Head for Pooled {
    type Output = Vec<f32>;

    fn output(&self, tokens: &Tokens, states: &[f32]) -> Option<Vec<f32>> {
        let pooled = pool(self.pooling, states, tokens.skip, self.width);
        let vector = self.steps.iter().fold(pooled, |vector, taken| step(self.kernels, taken, vector));
        vector.iter().all(|x| x.is_finite()).then_some(vector)
    }
}

/// Pools rows of `width` numbers but for the first `skip`; at least one is left. As sentence-transformers has it, a token keeps the
/// weight of its place, whatever is left out before it.
fn pool(pooling: Pooling, states: &[f32], skip: usize, width: usize) -> Vec<f32> {
    let states = &states[skip * width..];
    let rows = || states.chunks_exact(width);
    let tokens = states.len() / width;
    let weighted = |weight: &dyn Fn(usize) -> f32, divisor: f32| {
        let mut sum = vec![0.0; width];
        for (index, row) in rows().enumerate() {
            let weight = weight(index);
            sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += weight * x);
        }
        sum.iter_mut().for_each(|sum| *sum /= divisor);
        sum
    };
    let tokens_f32 = tokens as f32;
    match pooling {
        Pooling::Cls => states[..width].to_vec(),
        Pooling::LastToken => states[states.len() - width..].to_vec(),
        // A remote service pools itself; what reaches here is a plain mean.
        Pooling::Mean | Pooling::Remote => weighted(&|_| 1.0, tokens_f32),
        Pooling::MeanSqrtLen => weighted(&|_| 1.0, tokens_f32.sqrt()),
        Pooling::WeightedMean => {
            let (first, last) = ((skip + 1) as f32, (skip + tokens) as f32);
            weighted(&|index| (skip + index + 1) as f32, tokens_f32 * (first + last) / 2.0)
        }
        Pooling::Max => {
            let mut most = states[..width].to_vec();
            for row in rows().skip(1) {
                most.iter_mut().zip(row).for_each(|(most, x)| *most = most.max(*x));
            }
            most
        }
    }
}

/// Takes a step behind the pooling.
fn step(kernels: Kernels, step: &Step, vector: Vec<f32>) -> Vec<f32> {
    match step {
        Step::Normalize => normalize(vector),
        Step::Dense(weights, activation) => dense(kernels, weights, *activation, &vector),
    }
}

fn dense(kernels: Kernels, weights: &Packed, activation: Activation, vector: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; weights.outputs()];
    let outputs = out.len();
    let product = Product { activation, ..Product::new(weights) };
    let into = RowsMut::new(&mut out, 1, outputs, outputs);
    kernels.multiply(Rows::new(vector, 1, vector.len(), vector.len()), &product, into);
    out
}

/// To unit length.
fn normalize(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt() as f32;
    let scale = 1.0 / length.max(LENGTH_MIN);
    vector.iter_mut().for_each(|x| *x *= scale);
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_pools_as_named() {
        let states = [1.0, -4.0, 3.0, 2.0, 5.0, 2.0, 7.0, 8.0];
        let expected = [
            (Pooling::Cls, [1.0, -4.0]),
            (Pooling::LastToken, [7.0, 8.0]),
            (Pooling::Mean, [4.0, 2.0]),
            (Pooling::MeanSqrtLen, [8.0, 4.0]),
            (Pooling::Max, [7.0, 8.0]),
            (Pooling::WeightedMean, [5.0, 3.8]),
        ];
        for (pooling, vector) in expected {
            assert_eq!(pool(pooling, &states, 0, 2), vector, "{pooling:?}");
        }
        // Without a prefix of two tokens: weights began at 1 behind it.
        let expected: [(Pooling, [f32; 2]); 5] = [
            (Pooling::Cls, [5.0, 2.0]),
            (Pooling::LastToken, [7.0, 8.0]),
            (Pooling::Mean, [6.0, 5.0]),
            (Pooling::Max, [7.0, 8.0]),
            (Pooling::WeightedMean, [43.0 / 7.0, 38.0 / 7.0]),
        ];
        for (pooling, vector) in expected {
            assert_eq!(pool(pooling, &states, 2, 2), vector, "{pooling:?}");
        }
        assert_eq!(normalize(vec![3.0, 4.0]), [0.6, 0.8]);
        assert_eq!(normalize(vec![0.0, 0.0]), [0.0, 0.0]);
    }
}
