//! Sifting by sketches: every instruction set against the definition.

use proptest::prelude::*;
use ragstone_kernels::{
    Isa, KernelSketch, SKETCH_BLOCK, SKETCH_PLANES, SKETCH_WORD, SketchBound, SketchQuery, SketchRows,
    pack_factors, pack_sketch, sketch_bytes, unpack_factors,
};

/// Values of a component of a query.
const LEVELS: u64 = 1 << SKETCH_PLANES;
const WORD_BITS: usize = usize::BITS as usize;

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// Rows of whatever signs and factors, and a query.
struct Case {
    signs: Vec<Vec<f32>>,
    factors: Vec<u32>,
    components: Vec<i8>,
    bound: SketchBound,
}

impl Case {
    fn new(rows: usize, words: usize, seed: u64) -> Self {
        let state = &mut (seed | 1);
        let bits = words * SKETCH_WORD;
        let real = |state: &mut u64| random(state) as f32 / (1_u64 << 30) as f32 - 1.0;
        Self {
            signs: (0..rows).map(|_| (0..bits).map(|_| real(state)).collect()).collect(),
            factors: (0..rows).map(|_| pack_factors(real(state).abs(), real(state))).collect(),
            components: (0..bits).map(|_| (random(state) % LEVELS) as i8 * 2 + 1 - LEVELS as i8).collect(),
            bound: SketchBound {
                constant: real(state),
                weight: real(state),
                scale: 0.01,
                slack: real(state).abs(),
            },
        }
    }

    /// The least distance of a row, by its definition.
    fn least(&self, row: usize) -> f32 {
        let signs = self.signs[row].iter().map(|x| if *x >= 0.0 { 1 } else { -1 });
        let product: i32 = signs.zip(&self.components).map(|(sign, q)| sign * i32::from(*q)).sum();
        let (first, second) = unpack_factors(self.factors[row]);
        let SketchBound { constant, weight, scale, slack } = self.bound;
        (constant + weight * second) - first * (scale * product as f32 + slack)
    }

    fn sift(&self, isa: Isa, offset: usize, (bits, first): (&[usize], usize), bound: f32) -> Vec<u32> {
        let words = self.components.len() / SKETCH_WORD;
        let mut codes = vec![0; offset + sketch_bytes(self.signs.len(), words)];
        let blocks = codes[offset..].chunks_exact_mut(self.components.len());
        for (rows, block) in self.signs.chunks(SKETCH_BLOCK).zip(blocks) {
            rows.iter().enumerate().for_each(|(place, row)| pack_sketch(row, block, place));
        }
        let rows = SketchRows::new(&codes[offset..], &self.factors, words);
        let mut out = vec![u32::MAX];
        let query = SketchQuery::new(&self.components, self.bound);
        KernelSketch::with_isa(isa).sift(&query, rows, (bits, first), bound, &mut out);
        assert_eq!(out.remove(0), u32::MAX, "what was there stays");
        out
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn every_instruction_set_keeps_what_the_definition_keeps(
        (rows, words, offset) in (1_usize..300, 1_usize..27, 0_usize..64),
        (seed, density, skipped, share) in (any::<u64>(), 1_u64..9, 0_usize..3, 0_usize..100),
    ) {
        let case = Case::new(rows, words, seed);
        let state = &mut (seed ^ 77);
        let first = (skipped * WORD_BITS).min(rows / WORD_BITS * WORD_BITS);
        let mut bits = vec![0; (rows - first).div_ceil(WORD_BITS) + 1];
        let chosen: Vec<usize> = (first..rows).filter(|_| random(state) % 8 < density).collect();
        chosen.iter().for_each(|row| bits[(row - first) / WORD_BITS] |= 1 << ((row - first) % WORD_BITS));
        // A bound that is some row's own distance, to the last bit.
        let bound = case.least(share * rows / 100);
        let kept = chosen.iter().filter(|row| case.least(**row) <= bound);
        let expected: Vec<u32> = kept.map(|row| *row as u32).collect();
        for isa in Isa::available() {
            prop_assert_eq!(&case.sift(isa, offset, (&bits, first), bound), &expected, "{}", isa.name());
        }
    }

    #[test]
    fn factors_keep_eight_bits(first in prop::num::f32::NORMAL, second in -1e30_f32..1e30) {
        let unpacked = unpack_factors(pack_factors(first, second));
        prop_assert!((unpacked.0 - first).abs() <= first.abs() / 250.0 && unpacked.0.is_finite());
        prop_assert!((unpacked.1 - second).abs() <= second.abs() / 250.0 + f32::MIN_POSITIVE);
    }
}

/// Where nothing is known of a row it must not be lost: whoever asks for all rows gets them.
#[test]
fn rows_without_a_number_are_kept() {
    let mut case = Case::new(40, 6, 5);
    for (row, factors) in case.factors.iter_mut().enumerate() {
        *factors = match row % 4 {
            0 => pack_factors(f32::NAN, 0.0),
            1 => pack_factors(1.0, f32::INFINITY),
            2 => pack_factors(1.0, f32::NEG_INFINITY),
            _ => pack_factors(f32::INFINITY, f32::INFINITY),
        };
    }
    case.bound = SketchBound { constant: 0.0, weight: 0.0, scale: 1.0, slack: 0.0 };
    for isa in Isa::available() {
        let kept = case.sift(isa, 0, (&[(1 << 40) - 1], 0), f32::MIN);
        let expected: Vec<u32> = (0..40)
            .filter(|row| {
                let least = case.least(*row as usize);
                least.is_nan() || least <= f32::MIN
            })
            .collect();
        assert_eq!(kept, expected, "{}", isa.name());
        assert!(expected.len() >= 30, "infinity times zero is no number");
        assert_eq!(case.sift(isa, 0, (&[(1 << 40) - 1], 0), f32::INFINITY).len(), 40);
        assert!(case.sift(isa, 0, (&[0, 0], 0), f32::INFINITY).is_empty());
    }
}

#[test]
#[should_panic(expected = "row 41 of 40")]
fn a_bit_without_a_row_is_refused() {
    Case::new(40, 6, 5).sift(Isa::Scalar, 0, (&[1 << 40], 0), 0.0);
}
