//! Products of codes: every instruction set against the definition, and against simsimd.

use proptest::prelude::*;
use ragstone_kernels::{INT4_BLOCK, Isa, KernelInt4, KernelInt8, pack_int4};
use simsimd::SpatialSimilarity;

/// Rows of bytes at odd addresses, with extremes among them.
fn bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            match state % 7 {
                0 => 0,
                1 => 255,
                2 => 128,
                _ => (state >> 32) as u8,
            }
        })
        .collect()
}

fn product(query: &[i8], row: &[u8]) -> i32 {
    query.iter().zip(row).map(|(q, c)| i32::from(*q) * i32::from(*c)).sum()
}

proptest! {
    #[test]
    fn int8_is_exact_on_every_instruction_set(
        (len, rows, offset, seed) in (0_usize..300, 0_usize..30, 0_usize..64, any::<u64>()),
    ) {
        let query: Vec<i8> = bytes(len + offset, seed).iter().map(|byte| *byte as i8).collect();
        let query = &query[offset..];
        let all: Vec<Vec<u8>> = (0..rows).map(|row| bytes(len + offset, seed ^ (row as u64 + 7))).collect();
        let rows: Vec<&[u8]> = all.iter().map(|row| &row[offset..]).collect();
        let expected: Vec<i32> = rows.iter().map(|row| product(query, row)).collect();
        for isa in Isa::available() {
            let mut out = vec![-1; rows.len()];
            KernelInt8::with_isa(isa).many(query, &rows, &mut out);
            prop_assert_eq!(&out, &expected, "{}", isa.name());
            let from: Vec<u8> = query.iter().map(|component| *component as u8 ^ 128).collect();
            KernelInt8::with_isa(isa).many_of_row(&from, &rows, &mut out);
            prop_assert_eq!(&out, &expected, "{} of a row", isa.name());
        }
    }

    #[test]
    fn int4_is_exact_on_every_instruction_set(
        (blocks, rows, offset, seed) in (0_usize..5, 0_usize..30, 0_usize..64, any::<u64>()),
    ) {
        let len = blocks * INT4_BLOCK;
        let query: Vec<i8> = bytes(len + offset, seed).iter().map(|byte| *byte as i8).collect();
        let query = &query[offset..];
        let components: Vec<Vec<u8>> =
            (0..rows).map(|row| bytes(len, seed ^ (row as u64 + 7)).iter().map(|x| x >> 4).collect()).collect();
        let packed: Vec<Vec<u8>> = components
            .iter()
            .map(|row| {
                let mut packed = vec![0; offset + len / 2];
                pack_int4(row, &mut packed[offset..]);
                packed
            })
            .collect();
        let rows: Vec<&[u8]> = packed.iter().map(|row| &row[offset..]).collect();
        let expected: Vec<i32> = components.iter().map(|row| product(query, row)).collect();
        for isa in Isa::available() {
            let mut out = vec![-1; rows.len()];
            KernelInt4::with_isa(isa).many(query, &rows, &mut out);
            prop_assert_eq!(&out, &expected, "{}", isa.name());
        }
    }

    /// simsimd has products of signed bytes: the offset of 128 is what lies between.
    #[test]
    fn int8_agrees_with_simsimd((len, seed) in (1_usize..600, any::<u64>())) {
        let query: Vec<i8> = bytes(len, seed).iter().map(|byte| *byte as i8).collect();
        let row = bytes(len, !seed);
        let signed: Vec<i8> = row.iter().map(|byte| (*byte ^ 128) as i8).collect();
        let oracle = i8::dot(&query, &signed).expect("rows of one length") as i32;
        let offset: i32 = query.iter().map(|x| i32::from(*x) * 128).sum();
        let mut out = [0];
        KernelInt8::new().many(&query, &[&row], &mut out);
        prop_assert_eq!(out[0] - offset, oracle);
    }
}

#[test]
fn the_largest_sums_do_not_overflow() {
    let len = 1 << 16;
    for isa in Isa::available() {
        let mut out = [0; 2];
        KernelInt8::with_isa(isa).many(&vec![-128; len], &[&vec![255; len], &vec![0; len]], &mut out);
        assert_eq!(out, [-128 * 255 * (len as i32), 0], "{}", isa.name());
    }
}

#[test]
#[should_panic(expected = "rows of 3 and 4 bytes")]
fn rows_of_another_length_are_refused() {
    KernelInt8::new().many(&[1, 2, 3, 4], &[&[1, 2, 3]], &mut [0]);
}
