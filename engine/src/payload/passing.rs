//! The rows of a segment that pass a filter: few as a list, many as a bitmap.
//!
//! **Idea.** Whoever goes through the rows of a tenant should not go through the segment's words for them, and whoever goes through half
//! of a segment should not sort it. So few rows, which an index gives in order, stay a list (`compile/few.rs`), and all else is words.
//!
//! **Why not roaring bitmaps.** They were measured (`benches/src/bin/row_sets.rs`): two sets of random rows of a million, in microseconds,
//! and nanoseconds for looking up a row (one core of two of an Intel Xeon at 2.5 GHz, at `opt-level = 3`).
//!
//! ```text
//!            make                     intersect              go through             look up, ns
//! share      words  roaring  list     words  roaring  list   words  roaring  list   words  roaring  list
//!   .1 %       3.8     10.3    .3       8.5     11.7  13.4      19      1.9    .3     1.0     25.7  14.0
//!    1 %        13       61   1.8       8.6      132   219      87       17   1.7     1.0     27.7  22.8
//!   10 %       212    1,116    19       9.8      196 7,491     229      575    32     1.8     14.6  57.4
//! ```
//! Words combine in nine microseconds whatever is in them, and a walk, which looks a row up for every distance of 20 ns, can afford
//! nothing else. Below some thousand rows a list is better than either. What lies between is the roaring bitmap's by
//! memory alone: it would take a sixth of what words take at 1 %, and cost every filter more time.

use std::sync::Arc;

use fixedbitset::FixedBitSet;
use ragstone_kernels::KernelBits;

/// See the module's text.
#[derive(Clone, Debug)]
pub(crate) enum Passing {
    /// Ascending, each once.
    Few(Vec<u32>),
    Many(Arc<FixedBitSet>),
}

impl Passing {
    /// Whether a row is among them. Of few it takes a bisection.
    #[inline]
    pub(crate) fn contains(&self, row: u32) -> bool {
        match self {
            Passing::Few(rows) => rows.binary_search(&row).is_ok(),
            Passing::Many(rows) => rows.contains(row as usize),
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        match self {
            Passing::Few(rows) => rows.len(),
            Passing::Many(rows) => KernelBits::new().count_ones(rows.as_slice()),
        }
    }

    /// Those that are not in a set, and those that are, as a list.
    pub(crate) fn parted(&self, set: &FixedBitSet) -> (Passing, Passing) {
        match self {
            Passing::Few(rows) => {
                let (within, others): (Vec<u32>, Vec<u32>) =
                    rows.iter().copied().partition(|row| set.contains(*row as usize));
                (Passing::Few(others), Passing::Few(within))
            }
            Passing::Many(rows) => {
                let mut others = FixedBitSet::clone(rows);
                others.difference_with(set);
                let within = set.intersection(rows).map(|row| row as u32).collect();
                (Passing::Many(Arc::new(others)), Passing::Few(within))
            }
        }
    }

    /// The rows, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        let (few, many) = match self {
            Passing::Few(rows) => (rows.as_slice(), None),
            Passing::Many(rows) => (&[][..], Some(rows.ones().map(|row| row as u32))),
        };
        few.iter().copied().chain(many.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_say_the_same() {
        let rows = [0_u32, 3, 64, 199];
        let bits = rows.iter().map(|row| *row as usize).collect::<FixedBitSet>();
        for passing in [Passing::Few(rows.to_vec()), Passing::Many(Arc::new(bits))] {
            assert_eq!(passing.count(), 4);
            assert_eq!(passing.iter().collect::<Vec<_>>(), rows);
            assert_eq!((0..300).filter(|row| passing.contains(*row)).collect::<Vec<_>>(), rows);
        }
    }

    #[test]
    fn few_and_many_are_parted_alike() {
        let rows = [0_u32, 3, 64, 199];
        let bits = rows.iter().map(|row| *row as usize).collect::<FixedBitSet>();
        // Sets that end before the rows do, and behind them; with rows that are not among these.
        let sets: [(&[usize], &[u32], &[u32]); 4] = [
            (&[], &[0, 3, 64, 199], &[]),
            (&[3, 5], &[0, 64, 199], &[3]),
            (&[0, 64, 65, 199, 500], &[3], &[0, 64, 199]),
            (&[0, 3, 64, 199], &[], &[0, 3, 64, 199]),
        ];
        for passing in [Passing::Few(rows.to_vec()), Passing::Many(Arc::new(bits))] {
            for (set, others, within) in sets {
                let parted = passing.parted(&set.iter().copied().collect());
                assert_eq!(parted.0.iter().collect::<Vec<_>>(), others);
                assert_eq!(parted.1.iter().collect::<Vec<_>>(), within);
            }
        }
    }
}
