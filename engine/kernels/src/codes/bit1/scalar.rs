//! The reference, and what runs where there is no vector unit that we know: words of 64 bits.

use super::super::checked;
use super::{BLOCK_BYTES, PLANES};

const WEIGHTS: [i32; PLANES] = [1, 2, 4, -8];

pub(super) fn counting(planes: &[u8], rows: &[&[u8]], out: &mut [i32]) {
    for (row, product) in rows.iter().zip(out) {
        let row = checked(row, planes.len() / PLANES);
        let blocks = planes.chunks_exact(BLOCK_BYTES * PLANES).zip(row.chunks_exact(BLOCK_BYTES));
        *product = blocks
            .flat_map(|(planes, block)| {
                planes.chunks_exact(BLOCK_BYTES).zip(WEIGHTS).map(move |of| (block, of))
            })
            .map(|(block, (plane, weight))| weight * common_ones(block, plane) as i32)
            .sum();
    }
}

/// Bits that are set in both.
fn common_ones(a: &[u8], b: &[u8]) -> u32 {
    let (a, _) = a.as_chunks::<8>();
    let (b, _) = b.as_chunks::<8>();
    a.iter().zip(b).map(|(a, b)| (u64::from_le_bytes(*a) & u64::from_le_bytes(*b)).count_ones()).sum()
}
