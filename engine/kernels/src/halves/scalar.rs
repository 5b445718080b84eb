//! The reference, and what runs where there is no vector unit that we know. Eight independent sums, as the float
//! distances have.

use super::HALF_BYTES;

const LANES: usize = 8;

/// Sums `term(x, h)` over a query and a row of half floats.
#[inline(always)]
fn sum(query: &[f32], row: &[u8], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let (halves, _) = row.as_chunks::<HALF_BYTES>();
    for (query, halves) in query.chunks(LANES).zip(halves.chunks(LANES)) {
        for ((sum, x), half) in sums.iter_mut().zip(query).zip(halves) {
            *sum += term(*x, half::f16::from_le_bytes(*half).to_f32_const());
        }
    }
    sums.iter().sum()
}

pub(super) fn negated_dot(query: &[f32], rows: &[&[u8]], scales: &[f32], out: &mut [f32]) {
    for ((row, scale), distance) in rows.iter().zip(scales).zip(out) {
        *distance = -scale * sum(query, row, |x, half| x * half);
    }
}

pub(super) fn squared_euclidean(query: &[f32], rows: &[&[u8]], scales: &[f32], out: &mut [f32]) {
    for ((row, scale), distance) in rows.iter().zip(scales).zip(out) {
        *distance = sum(query, row, |x, half| {
            let difference = half * scale - x;
            difference * difference
        });
    }
}
