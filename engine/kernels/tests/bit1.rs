//! Products of bits: every instruction set against the definition, and against simsimd.

use proptest::prelude::*;
use ragstone_kernels::{BIT1_BLOCK, Isa, KernelBit1, pack_planes, pack_signs};
use simsimd::BinarySimilarity;

/// The components whose bit is set, added up.
fn product(query: &[i8], row: &[f32]) -> i32 {
    query.iter().zip(row).filter(|(_, x)| **x >= 0.0).map(|(q, _)| i32::from(*q)).sum()
}

fn planes_of(query: &[i8]) -> Vec<u8> {
    let mut planes = vec![0; query.len() / 2];
    pack_planes(query, &mut planes);
    planes
}

fn packed(row: &[f32], offset: usize) -> Vec<u8> {
    let mut bytes = vec![0; offset + row.len() / 8];
    pack_signs(row, &mut bytes[offset..]);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn it_is_exact_on_every_instruction_set(
        (query, rows, offset) in (0_usize..4, 0_usize..11, 0_usize..64).prop_flat_map(|(blocks, count, offset)| (
            prop::collection::vec(-8_i8..8, blocks * BIT1_BLOCK),
            prop::collection::vec(prop::collection::vec(-1.0_f32..1.0, blocks * BIT1_BLOCK), count),
            Just(offset),
        )),
    ) {
        let mut unaligned = vec![0; offset];
        unaligned.extend(planes_of(&query));
        let bytes: Vec<Vec<u8>> = rows.iter().map(|row| packed(row, offset)).collect();
        let codes: Vec<&[u8]> = bytes.iter().map(|row| &row[offset..]).collect();
        let expected: Vec<i32> = rows.iter().map(|row| product(&query, row)).collect();
        for isa in Isa::available() {
            let mut out = vec![-1; rows.len()];
            KernelBit1::with_isa(isa).many(&unaligned[offset..], &codes, &mut out);
            prop_assert_eq!(&out, &expected, "{}", isa.name());
        }
    }

    /// simsimd counts the bits that differ: `|a| + |b| - 2 |a and b|`.
    #[test]
    fn it_agrees_with_simsimd(query in prop::collection::vec(0_i8..2, BIT1_BLOCK), seed in any::<u64>()) {
        let row: Vec<f32> = (0..BIT1_BLOCK as u32)
            .map(|i| if seed.rotate_left(i) & 1 == 1 { 1.0 } else { -1.0 })
            .collect();
        let (planes, code) = (planes_of(&query), packed(&row, 0));
        let ones = |bytes: &[u8]| bytes.iter().map(|byte| byte.count_ones() as i32).sum::<i32>();
        let differing = u8::hamming(&planes[..64], &code).expect("rows of one length") as i32;
        let mut out = [0];
        KernelBit1::new().many(&planes, &[&code], &mut out);
        prop_assert_eq!(out[0], (ones(&planes[..64]) + ones(&code) - differing) / 2);
    }
}

#[test]
fn extremes_are_exact_on_every_instruction_set() {
    let length = 1 << 16;
    let ones = packed(&vec![1.0; length], 0);
    let zeros = packed(&vec![-1.0; length], 0);
    for isa in Isa::available() {
        for component in [-8_i8, -1, 0, 7] {
            let mut out = [1; 3];
            let planes = planes_of(&vec![component; length]);
            KernelBit1::with_isa(isa).many(&planes, &[&ones, &zeros, &ones], &mut out);
            let sum = i32::from(component) * length as i32;
            assert_eq!(out, [sum, 0, sum], "{} {component}", isa.name());
        }
    }
}

#[test]
fn signs_of_zeros_are_those_of_positive_numbers() {
    let mut row = vec![-1.0; BIT1_BLOCK];
    (row[0], row[9], row[10]) = (0.0, -0.0, 5.0);
    assert_eq!(&packed(&row, 0)[..3], &[1, 6, 0]);
}

#[test]
#[should_panic(expected = "rows of 64 and 128 bytes")]
fn rows_of_another_length_are_refused() {
    KernelBit1::new().many(&[0; 512], &[&[0; 64]], &mut [0]);
}

#[test]
#[should_panic(expected = "no whole blocks")]
fn half_a_block_is_refused() {
    KernelBit1::new().many(&[0; 128], &[&[0; 32]], &mut [0]);
}
