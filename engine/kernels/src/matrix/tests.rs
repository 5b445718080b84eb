//! Every level of instructions against sums in double precision.

use proptest::prelude::*;

use super::{Activation, Kernels, Norm, Precision, Product, Rows, RowsMut};
use crate::Isa;

const ACTIVATIONS: [Activation; 7] = [
    Activation::Identity,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::QuickGelu,
    Activation::Relu,
    Activation::Silu,
    Activation::Tanh,
];

/// Numbers of a fixed sequence in [-1, 1).
pub(super) fn numbers(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// The error function by its Taylor series (below 3) and its continued fraction (from 3), in double precision.
fn erf(x: f64) -> f64 {
    if x < 0.0 {
        return -erf(-x);
    }
    if x < 3.0 {
        let (mut term, mut sum) = (x, x);
        for n in 1..80 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return sum * 2.0 / std::f64::consts::PI.sqrt();
    }
    let fraction = (1..60).rev().fold(x, |tail, n| x + f64::from(n) / 2.0 / tail);
    1.0 - (-x * x).exp() / (fraction * std::f64::consts::PI.sqrt())
}

pub(super) fn activated(activation: Activation, x: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    match activation {
        Activation::Identity => x,
        Activation::Gelu => 0.5 * x * (1.0 + erf(x / 2.0_f64.sqrt())),
        Activation::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
            0.5 * x * (1.0 + inner.tanh())
        }
        Activation::QuickGelu => x * sigmoid(1.702 * x),
        Activation::Relu => x.max(0.0),
        Activation::Silu => x * sigmoid(x),
        Activation::Tanh => x.tanh(),
    }
}

#[derive(Debug, Clone)]
struct Case {
    rows: usize,
    inputs: usize,
    outputs: usize,
    gap: usize,
    bias: bool,
    accumulate: bool,
    activation: Activation,
    precision: Precision,
    tasks: usize,
    seed: u64,
}

fn cases() -> impl Strategy<Value = Case> {
    let shape = (0_usize..40, 1_usize..70, 0_usize..110, 0_usize..5);
    let how = (any::<(bool, bool)>(), 0..ACTIVATIONS.len(), any::<bool>(), 1_usize..5, any::<u64>());
    (shape, how).prop_map(
        |((rows, inputs, outputs, gap), ((bias, accumulate), activation, half, tasks, seed))| Case {
            rows,
            inputs,
            outputs,
            gap,
            bias,
            accumulate,
            activation: ACTIVATIONS[activation],
            precision: if half { Precision::Half } else { Precision::Single },
            tasks,
            seed,
        },
    )
}

fn check_product(case: &Case) {
    let &Case { rows, inputs, outputs, gap, .. } = case;
    let input = numbers(case.seed, rows * (inputs + gap));
    let mut weights = numbers(case.seed ^ 1, outputs * inputs);
    if case.precision == Precision::Half {
        weights.iter_mut().for_each(|weight| *weight = half::f16::from_f32(*weight).to_f32());
    }
    let bias = if case.bias { numbers(case.seed ^ 2, outputs) } else { Vec::new() };
    let input = Rows::new(&input, rows, inputs, inputs + gap);
    for isa in Isa::available() {
        let kernels = Kernels::new(isa);
        let packed = kernels.linear(Rows::new(&weights, outputs, inputs, inputs), &bias, case.precision);
        let mut output = vec![7.0; rows * (outputs + gap)];
        let into = RowsMut::new(&mut output, rows, outputs, outputs + gap);
        let &Case { activation, accumulate, tasks, .. } = case;
        kernels.multiply(input, &Product { weights: &packed, activation, accumulate, tasks }, into);
        for row in 0..rows {
            let line = &output[row * (outputs + gap)..][..outputs + gap];
            assert!(line[outputs..].iter().all(|rest| *rest == 7.0), "{isa:?} wrote between rows: {case:?}");
            for column in 0..outputs {
                let column_weights = &weights[column * inputs..][..inputs];
                let products = input.row(row).iter().zip(column_weights);
                let sum: f64 = products.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                let sum = sum
                    + bias.get(column).copied().map_or(0.0, f64::from)
                    + if accumulate { 7.0 } else { 0.0 };
                let expected = activated(case.activation, sum);
                let error = (f64::from(line[column]) - expected).abs();
                assert!(error < 3e-5, "{isa:?} [{row}, {column}]: {} for {expected}: {case:?}", line[column]);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn products_agree_with_double_precision(case in cases()) {
        check_product(&case);
    }

    #[test]
    fn norms_and_softmax_agree_with_double_precision(rows in 1_usize..9, width in 1_usize..70, seed: u64) {
        let values: Vec<f32> = numbers(seed, rows * width).iter().map(|x| x * 9.0 + 2.0).collect();
        let (weight, bias) = (numbers(seed ^ 3, width), numbers(seed ^ 4, width));
        for isa in Isa::available() {
            let kernels = Kernels::new(isa);
            let mut normed = values.clone();
            kernels.layer_norm(&Norm { weight: &weight, bias: &bias, epsilon: 1e-5 }, &mut normed);
            let mut soft = values.clone();
            kernels.softmax(RowsMut::new(&mut soft, rows, width, width));
            for (row, source) in values.chunks(width).enumerate() {
                let wide: Vec<f64> = source.iter().copied().map(f64::from).collect();
                let mean = wide.iter().sum::<f64>() / width as f64;
                let variance = wide.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
                let total: f64 = wide.iter().map(|x| x.exp()).sum();
                for column in 0..width {
                    let at = row * width + column;
                    let scaled = (wide[column] - mean) / (variance + 1e-5).sqrt();
                    let expected = scaled * f64::from(weight[column]) + f64::from(bias[column]);
                    // A row of one number has variance 0: its rounding error is magnified by 1 / sqrt(epsilon).
                    prop_assert!((f64::from(normed[at]) - expected).abs() < 3e-4, "{isa:?} norm");
                    let expected = wide[column].exp() / total;
                    prop_assert!((f64::from(soft[at]) - expected).abs() < 1e-6, "{isa:?} softmax");
                }
            }
        }
    }
}

/// Several blocks of rows and of inputs, and ragged last panels.
#[test]
fn large_products_agree_with_double_precision() {
    for precision in [Precision::Single, Precision::Half] {
        for (rows, inputs, outputs) in [(500, 130, 33), (25, 1100, 70), (1, 1536, 384), (16, 513, 64)] {
            let (bias, accumulate, activation, gap, tasks, seed) = (true, true, Activation::Tanh, 0, 3, 5);
            check_product(&Case {
                rows,
                inputs,
                outputs,
                gap,
                bias,
                accumulate,
                activation,
                precision,
                tasks,
                seed,
            });
        }
    }
}

#[test]
fn activations_agree_with_double_precision() {
    let points: Vec<f32> = (-12_000..=12_000).map(|n| n as f32 / 1000.0).collect();
    for isa in Isa::available() {
        for activation in ACTIVATIONS {
            let mut values = points.clone();
            Kernels::new(isa).activate(activation, &mut values);
            for (x, value) in points.iter().zip(values) {
                let expected = activated(activation, f64::from(*x));
                let error = (f64::from(value) - expected).abs();
                let allowed = 6e-7 * f64::from(x.abs().max(1.0));
                assert!(error <= allowed, "{isa:?} {activation:?}({x}) = {value}, not {expected}");
            }
        }
    }
}

/// A row's product does not depend on the rows beside it, nor on the number of tasks.
#[test]
fn a_row_stands_alone() {
    let (inputs, outputs) = (700, 90);
    let (input, weights) = (numbers(1, 300 * inputs), numbers(2, outputs * inputs));
    for isa in Isa::available() {
        let kernels = Kernels::new(isa);
        for precision in [Precision::Single, Precision::Half] {
            let packed = kernels.linear(Rows::new(&weights, outputs, inputs, inputs), &[], precision);
            let product = |rows: usize, tasks| {
                let mut output = vec![0.0; rows * outputs];
                let into = RowsMut::new(&mut output, rows, outputs, outputs);
                let input = Rows::new(&input, rows, inputs, inputs);
                let product = Product { activation: Activation::Gelu, tasks, ..Product::new(&packed) };
                kernels.multiply(input, &product, into);
                output
            };
            let all = product(300, 1);
            for rows in [1, 7, 16, 25, 241] {
                assert!(product(rows, 4) == all[..rows * outputs], "{isa:?} {precision:?}, {rows} rows");
            }
        }
    }
}

#[test]
fn right_hand_sides_pack_either_way() {
    let (rows, columns) = (37, 45);
    let plain = numbers(9, rows * columns);
    let turned: Vec<f32> = (0..rows * columns).map(|at| plain[at % rows * columns + at / rows]).collect();
    let input = numbers(10, 5 * rows);
    for isa in Isa::available() {
        let kernels = Kernels::new(isa);
        let (mut by_rows, mut by_columns) = (kernels.packed(), kernels.packed());
        // Set twice: the second time must leave nothing of the first.
        by_rows.set_rows(Rows::new(&numbers(3, 60 * 80), 60, 80, 80));
        by_rows.set_rows(Rows::new(&plain, rows, columns, columns));
        by_columns.set_columns(Rows::new(&turned, columns, rows, rows));
        let product = |packed| {
            let mut output = vec![0.0; 5 * columns];
            let into = RowsMut::new(&mut output, 5, columns, columns);
            kernels.multiply(Rows::new(&input, 5, rows, rows), &Product::new(packed), into);
            output
        };
        assert_eq!(product(&by_rows), product(&by_columns), "{isa:?}");
    }
}

#[test]
fn weights_beyond_half_precision_stay_single() {
    for isa in Isa::available() {
        let packed = Kernels::new(isa).linear(Rows::new(&[1.0, 7e4], 1, 2, 2), &[], Precision::Half);
        assert_eq!(packed.precision(), Precision::Single, "{isa:?}");
    }
}

#[test]
#[should_panic(expected = "2 rows at a stride of 3 in 5 numbers")]
fn short_slices_are_refused() {
    Rows::new(&[0.0; 5], 2, 3, 3);
}
