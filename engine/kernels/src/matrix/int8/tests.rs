//! Every level against the definition, computed in wide integers and double precision.

use proptest::prelude::*;

use super::super::tests::{activated, numbers};
use super::super::{Activation, Kernels, Precision, Product, Rows, RowsMut};
use crate::Isa;

/// A row as the definition rounds it: its bytes, scale and zero. Portable code rounds product and sum apart.
fn rounded(row: &[f32], fused: bool) -> (Vec<i64>, f64, i64) {
    let low = row.iter().fold(0.0_f32, |least, x| least.min(*x));
    let high = row.iter().fold(0.0_f32, |most, x| most.max(*x));
    let scale = (high - low) / 255.0;
    let steps = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    let zero = (-low * steps).round_ties_even();
    let byte = |x: &f32| {
        let step = if fused { x.mul_add(steps, zero) } else { x * steps + zero };
        step.round_ties_even().clamp(0.0, 255.0) as i64
    };
    (row.iter().map(byte).collect(), f64::from(scale), zero as i64)
}

/// Weights of an output as the definition rounds them, and their scale.
fn rounded_weights(weights: &[f32]) -> (Vec<i64>, f64) {
    let scale = weights.iter().fold(0.0_f32, |most, weight| most.max(weight.abs())) / 127.0;
    let byte = |weight: &f32| if scale > 0.0 { (weight / scale).round_ties_even() as i64 } else { 0 };
    (weights.iter().map(byte).collect(), f64::from(scale))
}

#[derive(Clone, Debug)]
struct Case {
    rows: usize,
    inputs: usize,
    outputs: usize,
    gap: usize,
    bias: bool,
    accumulate: bool,
    activation: Activation,
    tasks: usize,
    seed: u64,
}

fn cases() -> impl Strategy<Value = Case> {
    let shape = (0_usize..110, 1_usize..140, 0_usize..110, 0_usize..5);
    let how = (any::<(bool, bool, bool)>(), 1_usize..5, any::<u64>());
    (shape, how).prop_map(|((rows, inputs, outputs, gap), ((bias, accumulate, gelu), tasks, seed))| {
        let activation = if gelu { Activation::Gelu } else { Activation::Identity };
        Case { rows, inputs, outputs, gap, bias, accumulate, activation, tasks, seed }
    })
}

fn check(case: &Case) {
    let &Case { rows, inputs, outputs, gap, activation, accumulate, tasks, .. } = case;
    // Lopsided, as after an activation.
    let input: Vec<f32> = numbers(case.seed, rows * (inputs + gap)).iter().map(|x| x * 3.0 + 1.0).collect();
    let weights = numbers(case.seed ^ 1, outputs * inputs);
    let bias = if case.bias { numbers(case.seed ^ 2, outputs) } else { Vec::new() };
    let input = Rows::new(&input, rows, inputs, inputs + gap);
    let of_outputs: Vec<_> =
        (0..outputs).map(|output| rounded_weights(&weights[output * inputs..][..inputs])).collect();
    for isa in Isa::available() {
        let kernels = Kernels::new(isa);
        let packed = kernels.linear(Rows::new(&weights, outputs, inputs, inputs), &bias, Precision::Int8);
        assert_eq!(packed.precision(), Precision::Int8);
        let mut output = vec![7.0; rows * (outputs + gap)];
        let into = RowsMut::new(&mut output, rows, outputs, outputs + gap);
        kernels.multiply(input, &Product { weights: &packed, activation, accumulate, tasks }, into);
        for row in 0..rows {
            let (bytes, scale, zero) = rounded(input.row(row), isa != Isa::Scalar);
            let line = &output[row * (outputs + gap)..][..outputs + gap];
            assert!(line[outputs..].iter().all(|rest| *rest == 7.0), "{isa:?} wrote between rows: {case:?}");
            for (column, (weights, weight_scale)) in of_outputs.iter().enumerate() {
                let sum: i64 = bytes.iter().zip(weights).map(|(x, w)| (x - zero) * w).sum();
                let sum = sum as f64 * scale * weight_scale
                    + bias.get(column).copied().map_or(0.0, f64::from)
                    + if accumulate { 7.0 } else { 0.0 };
                let expected = activated(activation, sum);
                let error = (f64::from(line[column]) - expected).abs();
                assert!(
                    error < 1e-5 * expected.abs().max(10.0),
                    "{isa:?} [{row}, {column}]: {} for {expected}: {case:?}",
                    line[column]
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn products_are_those_of_the_definition(case in cases()) {
        check(&case);
    }
}

#[test]
fn large_products_are_those_of_the_definition() {
    for (rows, inputs, outputs) in [(300, 384, 70), (16, 1536, 96), (1, 4096, 33), (33, 64, 32)] {
        let (bias, accumulate, activation, gap, tasks, seed) = (true, true, Activation::Gelu, 0, 3, 5);
        check(&Case { rows, inputs, outputs, gap, bias, accumulate, activation, tasks, seed });
    }
}

/// Rounding loses about a hundredth of a product's size.
#[test]
fn products_are_near_those_of_floats() {
    let (rows, inputs, outputs) = (40, 384, 64);
    let (input, weights) = (numbers(3, rows * inputs), numbers(4, outputs * inputs));
    let product = |isa, precision| {
        let kernels = Kernels::new(isa);
        let packed = kernels.linear(Rows::new(&weights, outputs, inputs, inputs), &[], precision);
        let mut output = vec![0.0; rows * outputs];
        let into = RowsMut::new(&mut output, rows, outputs, outputs);
        kernels.multiply(Rows::new(&input, rows, inputs, inputs), &Product::new(&packed), into);
        output
    };
    let squares = |values: &mut dyn Iterator<Item = f32>| values.map(|x| x * x).sum::<f32>();
    for isa in Isa::available() {
        let (exact, near) = (product(isa, Precision::Single), product(isa, Precision::Int8));
        let error = squares(&mut exact.iter().zip(&near).map(|(a, b)| a - b));
        let size = squares(&mut exact.iter().copied());
        assert!(error / size < 1e-4, "{isa:?}: {error} of {size}");
        assert!(error > 0.0, "{isa:?} rounds");
    }
}

/// A row's product does not depend on the rows beside it, nor on the number of tasks.
#[test]
fn a_row_stands_alone() {
    let (inputs, outputs) = (700, 90);
    let (input, weights) = (numbers(1, 300 * inputs), numbers(2, outputs * inputs));
    for isa in Isa::available() {
        let kernels = Kernels::new(isa);
        let packed = kernels.linear(Rows::new(&weights, outputs, inputs, inputs), &[], Precision::Int8);
        let product = |rows: usize, tasks| {
            let mut output = vec![0.0; rows * outputs];
            let into = RowsMut::new(&mut output, rows, outputs, outputs);
            let product = Product { activation: Activation::Gelu, tasks, ..Product::new(&packed) };
            kernels.multiply(Rows::new(&input, rows, inputs, inputs), &product, into);
            output
        };
        let all = product(300, 1);
        for rows in [1, 7, 16, 25, 97, 241] {
            assert!(product(rows, 4) == all[..rows * outputs], "{isa:?}, {rows} rows");
        }
    }
}

#[test]
fn what_is_not_finite_stays_so_and_stays_in_its_row() {
    let (rows, inputs, outputs) = (3, 70, 40);
    let weights = numbers(2, outputs * inputs);
    for isa in Isa::available() {
        let kernels = Kernels::new(isa);
        let packed = kernels.linear(Rows::new(&weights, outputs, inputs, inputs), &[], Precision::Int8);
        for poison in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in [0, 17, inputs - 1] {
                let mut input = numbers(1, rows * inputs);
                input[inputs + at] = poison;
                let mut output = vec![0.0; rows * outputs];
                let into = RowsMut::new(&mut output, rows, outputs, outputs);
                kernels.multiply(Rows::new(&input, rows, inputs, inputs), &Product::new(&packed), into);
                let finite = |row: usize| output[row * outputs..][..outputs].iter().any(|x| x.is_finite());
                assert_eq!([0, 1, 2].map(finite), [true, false, true], "{isa:?} {poison} at {at}");
            }
        }
        for weight in [f32::NAN, f32::INFINITY] {
            let packed = kernels.linear(Rows::new(&[1.0, weight], 1, 2, 2), &[], Precision::Int8);
            assert_eq!(packed.precision(), Precision::Single, "{isa:?}");
        }
    }
}

#[test]
fn zeros_give_the_bias() {
    for isa in Isa::available() {
        let kernels = Kernels::new(isa);
        let (zeros, ones) = ([0.0; 10], [1.0; 10]);
        for (weights, input) in [(zeros, ones), (ones, zeros), (zeros, zeros)] {
            let packed = kernels.linear(Rows::new(&weights, 2, 5, 5), &[0.5, -0.5], Precision::Int8);
            let mut output = [9.0; 4];
            let into = RowsMut::new(&mut output, 2, 2, 2);
            kernels.multiply(Rows::new(&input, 2, 5, 5), &Product::new(&packed), into);
            assert_eq!(output, [0.5, -0.5, 0.5, -0.5], "{isa:?}");
        }
    }
}
