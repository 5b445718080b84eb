//! The reference, and what runs where there is no vector unit that we know.

use super::{FindRow, INT4_BLOCK, checked};

pub(super) fn int8<'a>(query: &[i8], rows: impl FindRow<'a>, out: &mut [i32]) {
    for (i, product) in out.iter_mut().enumerate() {
        *product = query
            .iter()
            .zip(checked(rows.find(i), query.len()))
            .map(|(q, c)| i32::from(*q) * i32::from(*c))
            .sum();
    }
}

pub(super) fn int8_of_row<'a>(from: &[u8], rows: impl FindRow<'a>, out: &mut [i32]) {
    for (i, product) in out.iter_mut().enumerate() {
        let row = checked(rows.find(i), from.len());
        *product = from.iter().zip(row).map(|(f, c)| (i32::from(*f) - 128) * i32::from(*c)).sum();
    }
}

pub(super) fn int4<'a>(query: &[i8], rows: impl FindRow<'a>, out: &mut [i32]) {
    const HALF: usize = INT4_BLOCK / 2;
    for (i, product) in out.iter_mut().enumerate() {
        let row = checked(rows.find(i), query.len() / 2);
        let mut sum = 0;
        for (query, row) in query.chunks_exact(INT4_BLOCK).zip(row.chunks_exact(HALF)) {
            let (low, high) = query.split_at(HALF);
            for ((byte, low), high) in row.iter().zip(low).zip(high) {
                sum += i32::from(*low) * i32::from(byte & 15) + i32::from(*high) * i32::from(byte >> 4);
            }
        }
        *product = sum;
    }
}
