//! Distances to half floats: every instruction set against sums in 64 bits, and against simsimd.

use half::f16;
use proptest::prelude::*;
use ragstone_kernels::{DistanceF32, Isa, KernelF16, pack_f16};
use simsimd::SpatialSimilarity;

const DISTANCES: [DistanceF32; 2] = [DistanceF32::NegatedDot, DistanceF32::SquaredEuclidean];

fn kernels() -> impl Iterator<Item = (Isa, DistanceF32, KernelF16)> {
    Isa::available()
        .flat_map(|isa| DISTANCES.map(|distance| (isa, distance, KernelF16::with_isa(distance, isa))))
}

/// The distance, and the sum of the magnitudes of its terms, which bounds what rounding may do.
fn reference(distance: DistanceF32, query: &[f32], row: &[u8], scale: f32) -> (f64, f64) {
    let halves = row.as_chunks::<2>().0;
    let pairs = || {
        query
            .iter()
            .zip(halves)
            .map(|(x, h)| (f64::from(*x), f64::from(scale) * f16::from_le_bytes(*h).to_f64()))
    };
    match distance {
        DistanceF32::NegatedDot => {
            (-pairs().map(|(x, y)| x * y).sum::<f64>(), pairs().map(|(x, y)| (x * y).abs()).sum())
        }
        DistanceF32::SquaredEuclidean => {
            let sum: f64 = pairs().map(|(x, y)| (x - y) * (x - y)).sum();
            let scale = pairs().map(|(x, y)| (x - y).abs() * (x.abs() + y.abs())).sum::<f64>();
            (sum, sum + scale)
        }
    }
}

fn tolerance(length: usize, scale: f64) -> f64 {
    scale * f64::from(f32::EPSILON) * (length as f64 / 8.0 + 16.0) + 1e-37
}

/// Any finite half float: subnormal, zero and the greatest ones among them.
fn half_float() -> impl Strategy<Value = f16> {
    prop_oneof![
        6 => (-1.0_f32..1.0).prop_map(f16::from_f32),
        2 => any::<u16>().prop_map(f16::from_bits).prop_filter("finite", |half| half.is_finite()),
        1 => prop_oneof![Just(f16::MAX), Just(f16::MIN), Just(f16::from_bits(1)), Just(f16::NEG_ZERO)],
    ]
}

fn component() -> impl Strategy<Value = f32> {
    prop_oneof![
        8 => -1.0_f32..1.0,
        1 => -1e6_f32..1e6,
        1 => prop_oneof![Just(0.0_f32), Just(-0.0), Just(1e-40), Just(f32::MIN_POSITIVE), Just(1e12)],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Odd lengths, odd addresses (also of bytes), odd numbers of rows, scales of any size.
    #[test]
    fn all_levels_agree_with_the_reference(
        (query, rows, scales, offset) in (0_usize..140, 0_usize..11, 0_usize..7).prop_flat_map(
            |(length, count, offset)| (
                prop::collection::vec(component(), length),
                prop::collection::vec(prop::collection::vec(half_float(), length), count),
                prop::collection::vec((-20..20).prop_map(|exponent| 2.0_f32.powi(exponent)), count),
                Just(offset),
            ),
        ),
    ) {
        let bytes: Vec<Vec<u8>> = rows
            .iter()
            .map(|row| std::iter::repeat_n(0, offset).chain(row.iter().flat_map(|half| half.to_le_bytes())).collect())
            .collect();
        let rows: Vec<&[u8]> = bytes.iter().map(|row| &row[offset..]).collect();
        for (isa, distance, kernel) in kernels() {
            let mut out = vec![f32::NAN; rows.len()];
            kernel.many(&query, &rows, &scales, &mut out);
            for ((row, scale), got) in rows.iter().zip(&scales).zip(out) {
                let (expected, magnitude) = reference(distance, &query, row, *scale);
                let off = (f64::from(got) - expected).abs();
                let allowed = tolerance(query.len(), magnitude);
                prop_assert!(off <= allowed, "{isa:?} {distance:?}: {got} for {expected}, {off} > {allowed}");
            }
        }
    }

    /// simsimd's query has half floats too, so it gets one that they hold. It may sum in half floats.
    #[test]
    fn all_levels_agree_with_simsimd(
        (a, b) in (1_usize..600).prop_flat_map(|n| {
            (prop::collection::vec(-1.0_f32..1.0, n), prop::collection::vec(-1.0_f32..1.0, n))
        }),
    ) {
        let halves = |row: &[f32]| row.iter().map(|x| f16::from_f32(*x)).collect::<Vec<_>>();
        let simsimd = |row: &[f16]| row.iter().map(|half| simsimd::f16(half.to_bits())).collect::<Vec<_>>();
        let (a, b) = (halves(&a), halves(&b));
        let query: Vec<f32> = a.iter().map(|half| half.to_f32()).collect();
        let row: Vec<u8> = b.iter().flat_map(|half| half.to_le_bytes()).collect();
        for (isa, distance, kernel) in kernels() {
            let oracle = match distance {
                DistanceF32::NegatedDot => -simsimd::f16::dot(&simsimd(&a), &simsimd(&b)).unwrap(),
                DistanceF32::SquaredEuclidean => simsimd::f16::sqeuclidean(&simsimd(&a), &simsimd(&b)).unwrap(),
            };
            let mut out = [0.0];
            kernel.many(&query, &[&row], &[1.0], &mut out);
            let (_, magnitude) = reference(distance, &query, &row, 1.0);
            let off = (f64::from(out[0]) - oracle).abs();
            prop_assert!(off <= 4e-3 * magnitude + 1e-6, "{isa:?} {distance:?}: off by {off}");
        }
    }
}

#[test]
fn nothing_behind_a_row_is_read() {
    for length in 0..70 {
        let mut query = vec![1.0_f32; length];
        query.resize(length + 32, f32::NAN);
        let halves: Vec<f16> =
            (0..length + 32).map(|i| if i < length { f16::ONE } else { f16::NAN }).collect();
        let row: Vec<u8> = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
        for (isa, distance, kernel) in kernels() {
            let mut out = [0.0; 5];
            kernel.many(&query[..length], &[&row[..2 * length]; 5], &[1.0; 5], &mut out);
            let expected = if distance == DistanceF32::NegatedDot { -(length as f32) } else { 0.0 };
            assert_eq!(out, [expected; 5], "{isa:?} {length}");
        }
    }
}

#[test]
fn packing_rounds_to_the_nearest_half_float() {
    let row = [0.0, -0.5, 1.0 + 2.0_f32.powi(-12), 65_504.0, 1e-8, -3e-5];
    let mut code = [0; 12];
    pack_f16(&row, 1.0, &mut code);
    let halves: Vec<f16> = code.as_chunks::<2>().0.iter().map(|half| f16::from_le_bytes(*half)).collect();
    assert_eq!(halves, row.map(f16::from_f32_const));
}

#[test]
#[should_panic(expected = "rows of 6 and 8 bytes")]
fn rows_of_another_length_are_refused() {
    KernelF16::new(DistanceF32::NegatedDot).many(&[1.0; 4], &[&[0; 6]], &[1.0], &mut [0.0]);
}

#[test]
#[should_panic(expected = "1 rows, 2 scales")]
fn a_scale_for_each_row() {
    KernelF16::new(DistanceF32::NegatedDot).many(&[1.0; 2], &[&[0; 4]], &[1.0; 2], &mut [0.0]);
}
