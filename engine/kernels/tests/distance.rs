//! Every distance on every instruction set of this processor, against a sum in 64 bits and against simsimd.

use proptest::prelude::*;
use ragstone_kernels::{DistanceF32, Isa, KernelF32, norm};
use simsimd::SpatialSimilarity;

const DISTANCES: [DistanceF32; 2] = [DistanceF32::NegatedDot, DistanceF32::SquaredEuclidean];

fn kernels() -> impl Iterator<Item = (Isa, DistanceF32, KernelF32)> {
    Isa::available()
        .flat_map(|isa| DISTANCES.map(|distance| (isa, distance, KernelF32::with_isa(distance, isa))))
}

/// The distance, and the sum of the magnitudes of its terms, which bounds what rounding may do.
fn reference(distance: DistanceF32, a: &[f32], b: &[f32]) -> (f64, f64) {
    let pairs = || a.iter().zip(b).map(|(x, y)| (f64::from(*x), f64::from(*y)));
    match distance {
        DistanceF32::NegatedDot => {
            (-pairs().map(|(x, y)| x * y).sum::<f64>(), pairs().map(|(x, y)| (x * y).abs()).sum())
        }
        DistanceF32::SquaredEuclidean => {
            let sum: f64 = pairs().map(|(x, y)| (x - y) * (x - y)).sum();
            // The subtraction itself rounds: relative to the operands, not to their difference.
            let scale = pairs().map(|(x, y)| (x - y).abs() * (x.abs() + y.abs())).sum::<f64>();
            (sum, sum + scale)
        }
    }
}

fn tolerance(length: usize, scale: f64) -> f64 {
    // A term's chain of additions is at most its lane's: length / 8, and the final reduction.
    scale * f64::from(f32::EPSILON) * (length as f64 / 8.0 + 16.0) + 1e-37
}

fn rows_of(length: usize) -> impl Strategy<Value = Vec<f32>> {
    let component = prop_oneof![
        8 => -1.0_f32..1.0,
        1 => -1e6_f32..1e6,
        1 => prop_oneof![Just(0.0_f32), Just(-0.0), Just(1e-40), Just(-1e-42), Just(f32::MIN_POSITIVE), Just(1e15)],
    ];
    prop::collection::vec(component, length)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Odd lengths, odd alignments, odd numbers of rows; one at a time and in batches.
    #[test]
    fn all_levels_agree_with_the_reference(
        (query, rows, offset) in (0_usize..140, 0_usize..11, 0_usize..7).prop_flat_map(|(length, count, offset)| {
            (rows_of(length + offset), prop::collection::vec(rows_of(length + offset), count), Just(offset))
        }),
    ) {
        // A slice that begins `offset` floats into its allocation has whatever alignment that gives.
        let query = &query[offset..];
        let rows: Vec<&[f32]> = rows.iter().map(|row| &row[offset..]).collect();
        for (isa, distance, kernel) in kernels() {
            let mut many = vec![f32::NAN; rows.len()];
            kernel.many(query, &rows, &mut many);
            for (row, batched) in rows.iter().zip(many) {
                let (expected, scale) = reference(distance, query, row);
                let allowed = tolerance(query.len(), scale);
                for got in [kernel.one(query, row), batched] {
                    let off = (f64::from(got) - expected).abs();
                    prop_assert!(off <= allowed, "{isa:?} {distance:?}: {got} for {expected}, {off} > {allowed}");
                }
            }
        }
    }

    #[test]
    fn all_levels_agree_with_simsimd(
        (a, b) in (1_usize..600).prop_flat_map(|n| {
            (prop::collection::vec(-1.0_f32..1.0, n), prop::collection::vec(-1.0_f32..1.0, n))
        }),
    ) {
        for (isa, distance, kernel) in kernels() {
            let oracle = match distance {
                DistanceF32::NegatedDot => -f32::dot(&a, &b).unwrap(),
                DistanceF32::SquaredEuclidean => f32::sqeuclidean(&a, &b).unwrap(),
            };
            let (_, scale) = reference(distance, &a, &b);
            let off = (f64::from(kernel.one(&a, &b)) - oracle).abs();
            prop_assert!(off <= 2.0 * tolerance(a.len(), scale), "{isa:?} {distance:?}: off by {off}");
        }
    }
}

#[test]
fn a_distance_is_symmetric_and_zero_to_itself_on_every_level() {
    let a: Vec<f32> = (0..777).map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0).collect();
    let b: Vec<f32> = (0..777).map(|i| ((i * 104_729) % 1000) as f32 / 500.0 - 1.0).collect();
    for (isa, distance, kernel) in kernels() {
        assert_eq!(kernel.one(&a, &b), kernel.one(&b, &a), "{isa:?} {distance:?}");
        if distance == DistanceF32::SquaredEuclidean {
            assert_eq!(kernel.one(&a, &a), 0.0, "{isa:?}");
        }
    }
}

#[test]
fn nothing_behind_a_row_is_read() {
    // NaN behind each row would show in the sum.
    for length in 0..70 {
        let mut a = vec![1.0_f32; length];
        a.resize(length + 32, f32::NAN);
        for (isa, distance, kernel) in kernels() {
            let mut out = [0.0; 5];
            kernel.many(&a[..length], &[&a[..length]; 5], &mut out);
            let expected = if distance == DistanceF32::NegatedDot { -(length as f32) } else { 0.0 };
            assert_eq!(out, [expected; 5], "{isa:?} {length}");
        }
    }
}

#[test]
fn products_beyond_the_range_are_infinite_and_lengths_are_not() {
    let (large, opposite) = ([3e38_f32; 40], [-3e38_f32; 40]);
    for (isa, distance, kernel) in kernels() {
        assert_eq!(kernel.one(&large, &opposite), f32::INFINITY, "{isa:?} {distance:?}");
    }
    assert!((norm(&[3e20, 4e20]) - 5e20).abs() < 1e14);
    assert!((norm(&[3e-30, 4e-30]) - 5e-30).abs() < 1e-35);
}

#[test]
fn a_level_that_the_processor_lacks_is_lowered() {
    let kernel = KernelF32::with_isa(DistanceF32::NegatedDot, Isa::Avx512);
    assert_eq!(kernel.one(&[1.0, 2.0], &[3.0, 4.0]), -11.0);
}

#[test]
#[should_panic(expected = "components")]
fn rows_of_different_lengths_are_refused() {
    KernelF32::new(DistanceF32::NegatedDot).many(&[1.0; 8], &[&[1.0; 8], &[1.0; 7]], &mut [0.0; 2]);
}

/// A length decides about links, so it is the same number wherever a graph is built. These were computed by the
/// definition: sixteen sums, then halves onto halves, without fused steps.
#[test]
fn a_norm_is_one_order_of_additions() {
    for length in [0_usize, 1, 3, 15, 16, 17, 63, 384, 777] {
        let row: Vec<f32> = (0..length).map(|i| ((i * 7919) % 1000) as f32 / 487.0 - 1.0).collect();
        let mut sums = [0.0_f32; 16];
        row.iter().enumerate().for_each(|(i, x)| sums[i % 16] += x * x);
        for half in [8, 4, 2, 1] {
            (0..half).for_each(|i| sums[i] += sums[i + half]);
        }
        let squares = sums[0];
        assert_eq!(norm(&row).to_bits(), squares.sqrt().to_bits(), "{length}");
    }
}
