//! What encodings by signs have in common: rows and queries less what they share, rotated.
//!
//! ```text
//! r    = rotated(x - centroid), padded with zeros before the rotation
//! s    = the signs of r as +1 and -1
//! factors = |r|^2 / <s, r> | under L2 |r|^2, else <x, centroid>
//!
//! L2            q' = rotated(q - centroid)             |x - q|^2 = |r|^2 + |q'|^2 - 2 <r, q'>
//! cosine, dot   q' = rotated(q - share centroid)       <x, q>    = <r, q'> + share <x, centroid> + <centroid, q - share centroid>
//! ```
//! `<r, q'> ~ first factor <s, q'>` is right on average over rotations, whatever the row (Gao and Long 2024, "RaBitQ").
//! `share = <q, centroid> / |centroid|^2` makes `q'` as short as it can be, and the error with it.

use ragstone_kernels::norm;

use super::codes::Sample;
use super::rotate::Rotation;
use crate::schema::Metric;

/// What sums of 32 bits may lose, as a part of what is summed, made as large beside the error of a bit as it is of theirs.
const ROUNDING: f32 = 4e-6;

/// Takes the centroid off and rotates.
#[derive(Debug)]
pub(super) struct Centred {
    pub(super) metric: Metric,
    /// Components that are encoded: all, or the first ones.
    pub(super) components: usize,
    rotation: Rotation,
    bits: usize,
}

/// What is left of a row.
pub(super) struct RowRest {
    pub(super) signs_of: Vec<f32>,
    pub(super) length: f32,
    pub(super) factors: [f32; 2],
}

/// What is left of a query, and how a product with it becomes a distance:
/// `constant + weight * second factor - gain * <r, q'>`.
pub(super) struct QueryRest {
    pub(super) rest: Vec<f32>,
    /// Of what is left.
    pub(super) length: f32,
    /// Of what stands in the sums.
    pub(super) whole_length: f32,
    pub(super) constant: f32,
    pub(super) weight: f32,
    pub(super) gain: f32,
}

impl Centred {
    /// For rows of so many components, rotated as so many, eight at least.
    pub(super) fn new(metric: Metric, components: usize, bits: usize) -> Self {
        Self { metric, components, rotation: Rotation::new(bits), bits }
    }

    /// `rotated(vector - share centroid)`, and the length of it. Without a centroid nothing is taken off.
    fn rest(&self, vector: &[f32], share: f32, centroid: &[f32]) -> (Vec<f32>, f32) {
        let mut rest = Vec::with_capacity(self.bits);
        rest.extend_from_slice(vector);
        rest.iter_mut().zip(centroid).for_each(|(x, centre)| *x -= share * centre);
        let length = norm(&rest);
        rest.resize(self.bits, 0.0);
        self.rotation.apply(&mut rest);
        (rest, length)
    }

    /// What is left of a row, of which only the components that are encoded are read.
    pub(super) fn row(&self, row: &[f32], centroid: &[f32]) -> RowRest {
        let row = &row[..self.components];
        let (rest, length) = self.rest(row, 1.0, centroid);
        let squared = length * length;
        let magnitudes = rest.iter().map(|x| x.abs()).sum::<f32>();
        let factor = Some(squared / magnitudes).filter(|factor| factor.is_finite()).unwrap_or_default();
        let second = if self.metric == Metric::L2 { squared } else { inner(row, centroid) };
        RowRest { signs_of: rest, length, factors: [factor, second] }
    }

    /// What is left of a query of the components that are encoded.
    pub(super) fn query(&self, query: &[f32], centroid: &[f32]) -> QueryRest {
        let share = match self.metric {
            Metric::L2 => 1.0,
            Metric::Cosine | Metric::Dot => {
                let share = inner(query, centroid) / inner(centroid, centroid);
                if share.is_finite() { share } else { 0.0 }
            }
        };
        let (rest, length) = self.rest(query, share, centroid);
        let (constant, weight, gain) = match self.metric {
            Metric::L2 => (length * length, 1.0, 2.0),
            Metric::Cosine | Metric::Dot => {
                // What the share leaves of it: nothing, but for rounding.
                let across = inner(query, centroid) - share * inner(centroid, centroid);
                (-across, -share, 1.0)
            }
        };
        let whole_length = if self.metric == Metric::L2 { length } else { norm(query) };
        QueryRest { rest, length, whole_length, constant, weight, gain }
    }

    /// What the sums may lose of the distance to rows with so long a rest.
    pub(super) fn rounding(&self, query: &QueryRest, row_length: f32, centroid_length: f32) -> f32 {
        let subtracted = match self.metric {
            Metric::L2 => (query.whole_length + row_length) * (query.whole_length + row_length),
            Metric::Cosine | Metric::Dot => query.whole_length * (row_length + centroid_length),
        };
        ROUNDING * subtracted
    }
}

/// Summed in eight lanes, on every processor in the same order.
pub(super) fn inner(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for i in 0..8 {
            sums[i] += a[i] * b[i];
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum::<f32>()
}

/// The mean of rows.
pub(super) fn centroid(rows: &Sample<'_>) -> Vec<f32> {
    let mut sums = vec![0.0_f64; rows.first().map_or(0, |row| row.len())];
    for row in rows {
        sums.iter_mut().zip(*row).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    sums.into_iter().map(|sum| (sum / rows.len() as f64) as f32).collect()
}
