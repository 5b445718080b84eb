//! The reference of every distance, and the path of processors without a SIMD file of their own. Eight
//! independent sums, so that the compiler may vectorise for whatever target it has.

const LANES: usize = 8;

/// Sums `term(x, y)` over two rows.
#[inline(always)]
fn sum(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    assert!(a.len() == b.len(), "rows of {} and {} components", a.len(), b.len());
    let mut sums = [0.0_f32; LANES];
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            sums[lane] += term(x[lane], y[lane]);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| term(*x, *y)).sum();
    sums.iter().sum::<f32>() + rest
}

/// The sum of a row's squares. Sixteen sums in an order that is written out: additions are not regrouped by a compiler,
/// nor fused with the multiplications, so any processor has this very result.
pub(super) fn squares(row: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0_f32; LANES];
    let (blocks, rest) = row.as_chunks::<LANES>();
    for block in blocks {
        for (sum, x) in sums.iter_mut().zip(block) {
            *sum += x * x;
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *sum += x * x;
    }
    let mut half = LANES / 2;
    while half > 0 {
        let (low, high) = sums.split_at_mut(half);
        low.iter_mut().zip(high).for_each(|(low, high)| *low += *high);
        half /= 2;
    }
    sums[0]
}

pub(super) fn negated_dot(a: &[f32], b: &[f32]) -> f32 {
    -sum(a, b, |x, y| x * y)
}

pub(super) fn squared_euclidean(a: &[f32], b: &[f32]) -> f32 {
    sum(a, b, |x, y| (x - y) * (x - y))
}

pub(super) fn negated_dot_many(query: &[f32], rows: &[&[f32]], out: &mut [f32]) {
    super::check_lengths(query, rows, out);
    for (row, distance) in rows.iter().zip(out) {
        *distance = negated_dot(query, row);
    }
}

pub(super) fn squared_euclidean_many(query: &[f32], rows: &[&[f32]], out: &mut [f32]) {
    super::check_lengths(query, rows, out);
    for (row, distance) in rows.iter().zip(out) {
        *distance = squared_euclidean(query, row);
    }
}
