//! Element-wise functions and the two reductions over rows, written once over [`Vector`].
//!
//! `exp`: argument reduction by powers of two and a polynomial of degree six (Cephes `expf`), about 2 units in the last
//! place. `erf`: the rational approximation of Eigen (`generic_fast_erf_float`), whose absolute error is below 4e-7, far
//! below what `f32` products before it leave. Both agree with a double-precision oracle in the tests.

use super::vector::{LANES_MAX, Vector};
use super::{Activation, Norm};

#[inline(always)]
fn polynomial<V: Vector>(v: V, x: V::Lanes, coefficients: &[f32]) -> V::Lanes {
    let mut sum = v.splat(coefficients[0]);
    for coefficient in &coefficients[1..] {
        sum = v.multiply_add(sum, x, v.splat(*coefficient));
    }
    sum
}

/// `e^x`; arguments beyond the range of `f32` are brought to its ends.
#[inline(always)]
pub(super) fn exp<V: Vector>(v: V, x: V::Lanes) -> V::Lanes {
    const POLYNOMIAL: [f32; 6] =
        [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    // ln 2 in two parts, the first with few enough bits that its product with a whole number is exact.
    const LN_2_HIGH: f32 = 355.0 / 512.0;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = v.most(v.least(x, v.splat(88.0)), v.splat(-87.3));
    let n = v.round(v.multiply(x, v.splat(std::f32::consts::LOG2_E)));
    let r = v.multiply_add(n, v.splat(-LN_2_HIGH), x);
    let r = v.multiply_add(n, v.splat(-LN_2_LOW), r);
    let tail = polynomial(v, r, &POLYNOMIAL);
    let value = v.add(v.multiply_add(v.multiply(r, r), tail, r), v.splat(1.0));
    v.multiply(value, v.power_of_two(n))
}

/// The error function.
#[inline(always)]
pub(super) fn erf<V: Vector>(v: V, x: V::Lanes) -> V::Lanes {
    const NUMERATOR: [f32; 7] = [
        -2.726_142_3e-10,
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506_4e-5,
        -7.349_906_3e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ];
    const DENOMINATOR: [f32; 5] =
        [-1.456_607_2e-5, -2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2];
    // Beyond 4 the function is 1 to the last bit.
    let x = v.most(v.least(x, v.splat(4.0)), v.splat(-4.0));
    let square = v.multiply(x, x);
    let numerator = v.multiply(x, polynomial(v, square, &NUMERATOR));
    v.divide(numerator, polynomial(v, square, &DENOMINATOR))
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
fn sigmoid<V: Vector>(v: V, x: V::Lanes) -> V::Lanes {
    let one = v.splat(1.0);
    v.divide(one, v.add(one, exp(v, v.subtract(v.splat(0.0), x))))
}

#[inline(always)]
fn gelu<V: Vector>(v: V, x: V::Lanes) -> V::Lanes {
    let half = v.multiply(x, v.splat(0.5));
    v.multiply_add(half, erf(v, v.multiply(x, v.splat(std::f32::consts::FRAC_1_SQRT_2))), half)
}

/// `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`, by `(1 + tanh y) / 2 = sigmoid(2 y)`.
#[inline(always)]
fn gelu_tanh<V: Vector>(v: V, x: V::Lanes) -> V::Lanes {
    const TWICE_SQRT_2_OVER_PI: f32 = 1.595_769;
    let cubic = v.multiply_add(v.multiply(x, x), v.splat(0.044_715), v.splat(1.0));
    let inner = v.multiply(v.multiply(x, v.splat(TWICE_SQRT_2_OVER_PI)), cubic);
    v.multiply(x, sigmoid(v, inner))
}

#[inline(always)]
fn map<V: Vector>(v: V, values: &mut [f32], f: impl Fn(V::Lanes) -> V::Lanes) {
    let mut chunks = values.chunks_exact_mut(V::LANES);
    for chunk in &mut chunks {
        let value = f(v.read(chunk));
        v.write(chunk, value);
    }
    let tail = chunks.into_remainder();
    if !tail.is_empty() {
        let mut lanes = [0.0; LANES_MAX];
        lanes[..tail.len()].copy_from_slice(tail);
        let value = f(v.read(&lanes));
        v.write(&mut lanes, value);
        tail.copy_from_slice(&lanes[..tail.len()]);
    }
}

/// Applies an activation to every value.
#[inline(always)]
pub(super) fn activate<V: Vector>(v: V, activation: Activation, values: &mut [f32]) {
    match activation {
        Activation::Identity => {}
        Activation::Gelu => map(
            v,
            values,
            #[inline(always)]
            |x| gelu(v, x),
        ),
        Activation::GeluTanh => map(
            v,
            values,
            #[inline(always)]
            |x| gelu_tanh(v, x),
        ),
        Activation::QuickGelu => {
            map(
                v,
                values,
                #[inline(always)]
                |x| v.multiply(x, sigmoid(v, v.multiply(x, v.splat(1.702)))),
            );
        }
        Activation::Relu => map(
            v,
            values,
            #[inline(always)]
            |x| v.most(x, v.splat(0.0)),
        ),
        Activation::Silu => map(
            v,
            values,
            #[inline(always)]
            |x| v.multiply(x, sigmoid(v, x)),
        ),
        Activation::Tanh => map(
            v,
            values,
            #[inline(always)]
            |x| {
                // tanh x = 2 sigmoid(2 x) - 1
                let two = v.splat(2.0);
                v.subtract(v.multiply(two, sigmoid(v, v.multiply(two, x))), v.splat(1.0))
            },
        ),
    }
}

/// Each row of `values`, as long as the norm's weight, to mean 0 and variance 1, then scaled and shifted.
#[inline(always)]
pub(super) fn layer_norm<V: Vector>(v: V, norm: &Norm<'_>, values: &mut [f32]) {
    let width = norm.weight.len();
    for row in values.chunks_exact_mut(width) {
        let mean = sum_of(
            v,
            row,
            0.0,
            #[inline(always)]
            |x| x,
        ) / width as f32;
        let shift = v.splat(mean);
        let squares = sum_of(
            v,
            row,
            mean,
            #[inline(always)]
            |x| {
                let distance = v.subtract(x, shift);
                v.multiply(distance, distance)
            },
        );
        let variance = squares / width as f32;
        scale_and_shift(v, row, (mean, 1.0 / (variance + norm.epsilon).sqrt()), norm);
    }
}

/// The sum of `f` over a row; the lanes beyond its end hold `padding`, for which `f` is 0.
#[inline(always)]
fn sum_of<V: Vector>(v: V, row: &[f32], padding: f32, f: impl Fn(V::Lanes) -> V::Lanes) -> f32 {
    let mut sum = v.splat(0.0);
    let chunks = row.chunks_exact(V::LANES);
    let tail = chunks.remainder();
    for chunk in chunks {
        sum = v.add(sum, f(v.read(chunk)));
    }
    if !tail.is_empty() {
        let mut lanes = [padding; LANES_MAX];
        lanes[..tail.len()].copy_from_slice(tail);
        sum = v.add(sum, f(v.read(&lanes)));
    }
    v.fold(sum, 0.0, |a, b| a + b)
}

#[inline(always)]
fn scale_and_shift<V: Vector>(v: V, row: &mut [f32], (mean, scale): (f32, f32), norm: &Norm<'_>) {
    let whole = row.len() / V::LANES * V::LANES;
    let (mean_lanes, scale_lanes) = (v.splat(mean), v.splat(scale));
    for at in (0..whole).step_by(V::LANES) {
        let x = v.multiply(v.subtract(v.read(&row[at..]), mean_lanes), scale_lanes);
        let x = v.multiply_add(x, v.read(&norm.weight[at..]), v.read(&norm.bias[at..]));
        v.write(&mut row[at..], x);
    }
    let tail = norm.weight[whole..].iter().zip(&norm.bias[whole..]);
    for (value, (weight, bias)) in row[whole..].iter_mut().zip(tail) {
        *value = (*value - mean) * scale * weight + bias;
    }
}

/// The first `width` values of every `stride` to positive numbers of sum 1.
#[inline(always)]
pub(super) fn softmax<V: Vector>(v: V, width: usize, stride: usize, values: &mut [f32]) {
    for row in values.chunks_mut(stride) {
        let row = &mut row[..width];
        let whole = width / V::LANES * V::LANES;
        let mut most = v.splat(f32::NEG_INFINITY);
        for chunk in row.chunks_exact(V::LANES) {
            most = v.most(most, v.read(chunk));
        }
        let largest = v.fold(most, f32::NEG_INFINITY, f32::max);
        let largest = row[whole..].iter().fold(largest, |a, b| a.max(*b));
        let shift = v.splat(largest);
        map(
            v,
            row,
            #[inline(always)]
            |x| exp(v, v.subtract(x, shift)),
        );
        let mut sum = v.splat(0.0);
        for chunk in row.chunks_exact(V::LANES) {
            sum = v.add(sum, v.read(chunk));
        }
        let sum = v.fold(sum, 0.0, |a, b| a + b) + row[whole..].iter().sum::<f32>();
        let scale = v.splat(1.0 / sum);
        map(
            v,
            row,
            #[inline(always)]
            |x| v.multiply(x, scale),
        );
    }
}
