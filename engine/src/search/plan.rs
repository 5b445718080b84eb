//! How to search a segment: a pure function of exact counts.
//!
//! A scan compares every candidate and is exact. A walk of width `ef` compares about `ef * degree / 3` rows (measured
//! at degree 32) when every row is a candidate; when only some are, it has to pass by the others, and compares more by
//! the inverse of their share. So whichever compares fewer rows is chosen, and no fixed percentage stands anywhere. A
//! walk among few candidates gets as many distances as a scan would need: beyond that, scanning is cheaper and finds
//! all of them.

/// Candidates up to which a scan is not worth thinking about.
const SCAN_ALWAYS: usize = 256;
/// Width of a walk at which keeping its pool in order costs more than comparing.
const WALK_EF_MAX: usize = 10_000;

/// What is known of a segment before it is searched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    /// Rows with a vector, dead ones included: what a walk passes by.
    pub(crate) vectors: usize,
    /// Live rows with a vector that pass the filter.
    pub(crate) candidates: usize,
    /// Links of a node.
    pub(crate) degree: usize,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) k: usize,
    /// Width of the walk, at least `k`.
    pub(crate) ef: usize,
    pub(crate) exact: bool,
}

/// What to do with a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Nothing can be found here.
    Skip,
    /// Compare every candidate.
    Scan,
    /// Walk the graph.
    Walk {
        /// Distances after which a scan is the better way.
        distances_max: u64,
    },
}

/// The width of a walk for `k` results when the request gives none.
pub(crate) fn default_ef(k: usize) -> usize {
    (2 * k).max(64)
}

/// Chooses the way through one segment.
pub(crate) fn choose(counts: &Counts, wanted: &Wanted) -> Plan {
    let Counts { vectors, candidates, degree } = *counts;
    if candidates == 0 {
        return Plan::Skip;
    }
    if wanted.exact || candidates <= SCAN_ALWAYS.max(wanted.k) || wanted.ef > WALK_EF_MAX {
        return Plan::Scan;
    }
    let walk_distances = wanted.ef as f64 * degree as f64 / 3.0 * (vectors as f64 / candidates as f64);
    if walk_distances >= candidates as f64 {
        return Plan::Scan;
    }
    let distances_max = if candidates == vectors { u64::MAX } else { candidates as u64 };
    Plan::Walk { distances_max }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let walk = |distances_max| Plan::Walk { distances_max };
        let free = walk(u64::MAX);
        // vectors, candidates, k, ef, exact
        let cases = [
            ((0, 0, 10, 64, false), Plan::Skip),
            ((100_000, 0, 10, 64, true), Plan::Skip),
            ((100_000, 100_000, 10, 64, true), Plan::Scan),
            ((100_000, 100_000, 10, 64, false), free),
            ((256, 256, 10, 64, false), Plan::Scan),
            ((600, 600, 10, 64, false), Plan::Scan),
            ((2_000, 2_000, 10, 64, false), free),
            ((100_000, 50_000, 10, 64, false), walk(50_000)),
            ((100_000, 1_000, 10, 64, false), Plan::Scan),
            ((1_000_000, 20_000, 10, 64, false), Plan::Scan),
            ((1_000_000, 50_000, 10, 64, false), walk(50_000)),
            ((100_000, 100_000, 5_000, 10_000, false), Plan::Scan),
            ((10_000_000, 10_000_000, 5_000, 10_000, false), free),
            ((10_000_000, 10_000_000, 5_001, 10_002, false), Plan::Scan),
        ];
        for ((vectors, candidates, k, ef, exact), expected) in cases {
            let counts = Counts { vectors, candidates, degree: 32 };
            assert_eq!(choose(&counts, &Wanted { k, ef, exact }), expected, "{counts:?} k={k} ef={ef}");
        }
    }

    #[test]
    fn the_default_width_grows_with_k() {
        assert_eq!([1, 10, 32, 100].map(default_ef), [64, 64, 64, 200]);
    }
}
