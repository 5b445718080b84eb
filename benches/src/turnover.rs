//! Which vector each id has after each turnover of a collection.
//!
//! Half of the data's rows are in the collection at a time. A turnover gives every id a vector drawn anew, without
//! repetition, from all of them: so what is in the collection changes wholly, its distribution does not, and the ids that
//! come next to each other were never next to each other before.

use crate::npy::Matrix;
use crate::random::{Random, hash};

/// A plan of turnovers: a pure function of seed and turnover.
#[derive(Clone, Copy, Debug)]
pub struct Turnovers {
    /// Rows of the data.
    pub available: usize,
    /// Rows of the collection.
    pub live: usize,
    /// Another seed, other vectors.
    pub seed: u64,
}

impl Turnovers {
    /// The row of the data that each id has after a turnover; turnover 0 is the start.
    pub fn rows(&self, turnover: usize) -> Vec<u32> {
        let mut order = Random::new(hash(self.seed, turnover as u64)).permutation(self.available);
        order.truncate(self.live);
        order
    }

    /// The vectors that the ids have after a turnover.
    pub fn vectors(&self, data: &Matrix<f32>, turnover: usize) -> Matrix<f32> {
        let rows = self.rows(turnover);
        let elements = rows.iter().flat_map(|row| data.row(*row as usize).iter().copied()).collect();
        Matrix { columns: data.columns, elements }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turnover_replaces_nearly_every_vector_and_repeats_none() {
        let turnovers = Turnovers { available: 1_000, live: 500, seed: 3 };
        let (before, after) = (turnovers.rows(1), turnovers.rows(2));
        let kept = before.iter().zip(&after).filter(|(before, after)| before == after).count();
        assert!(kept < 5, "{kept}");
        assert_eq!(after, turnovers.rows(2));
        let mut sorted = after;
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 500);
    }

    #[test]
    fn an_id_has_the_vector_of_its_row() {
        let data = Matrix { columns: 2, elements: (0..40).map(|value| value as f32).collect() };
        let turnovers = Turnovers { available: 20, live: 8, seed: 3 };
        let vectors = turnovers.vectors(&data, 4);
        assert_eq!(vectors.len(), 8);
        for (vector, row) in vectors.rows().zip(turnovers.rows(4)) {
            assert_eq!(vector, data.row(row as usize));
        }
    }
}
