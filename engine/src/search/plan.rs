//! How to search a segment: a pure function of exact counts.
//!
//! There are three ways: compare every candidate (a scan, on codes where the encoding has some); walk the graph and keep
//! what is admitted; walk among the admitted only (`graph/admitted.rs`), which is for filters. Each way has
//! a cost in units of one distance of a walk, calibrated on 60,000 text embeddings of 384 components with four bits
//! (23 ns), and the cheaper of scan and walk is taken. Which walk: without a filter the plain one, unless three of ten rows
//! are dead, as merges leave no more.
//!
//! ```text
//! scan of codes    = 0.5 a candidate                    rows come in order, so memory is no obstacle
//! exact scan       = 1 a candidate
//! walk             = ef * degree / 3 / share            of rows that are candidates
//! walk among       = ef * (degree / 3 + 1.7 a list that is read to find 24 candidates of a step)
//! ```
//! A walk among few candidates gets as many distances as a scan would need: beyond that, scanning is cheaper and finds
//! all of them.

/// Candidates up to which a scan is not worth thinking about.
const SCAN_ALWAYS: usize = 256;
/// Width of a walk at which keeping its pool in order costs more than comparing.
const WALK_EF_MAX: usize = 10_000;
/// What a candidate of a scan of codes costs.
const CODE_SCAN_COST: f64 = 0.5;
/// What a list costs that is read to get past a refused row.
const LIST_COST: f64 = 1.7;
/// Candidates of a step among admitted rows.
const STEP: f64 = 24.0;
/// Of live rows at least this share is worth a plain walk where there is no filter.
const PLAIN_SHARE_MIN: f64 = 0.7;

/// What is known of a segment before it is searched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    /// Rows with a vector, dead ones included: what a walk passes by.
    pub(crate) vectors: usize,
    /// Live rows with a vector that pass the filter.
    pub(crate) candidates: usize,
    /// Links of a node.
    pub(crate) degree: usize,
    /// Whether a filter chose the candidates; else they are what lives.
    pub(crate) filtered: bool,
    /// Whether a scan compares codes.
    pub(crate) has_codes: bool,
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
        /// Whether to walk among candidates only.
        among_admitted: bool,
    },
}

/// The width of a walk for `k` results when the request gives none.
pub(crate) fn default_ef(k: usize) -> usize {
    (2 * k).max(64)
}

/// Chooses the way through one segment.
pub(crate) fn choose(counts: &Counts, wanted: &Wanted) -> Plan {
    let Counts { vectors, candidates, degree, filtered, has_codes } = *counts;
    if candidates == 0 {
        return Plan::Skip;
    }
    if wanted.exact || candidates <= SCAN_ALWAYS.max(wanted.k) || wanted.ef > WALK_EF_MAX {
        return Plan::Scan;
    }
    let share = candidates as f64 / vectors as f64;
    let among_admitted = filtered || share < PLAIN_SHARE_MIN;
    let (ef, degree) = (wanted.ef as f64, degree as f64);
    let walk_cost = if among_admitted {
        let lists = ((STEP / (degree * share)) - 1.0).clamp(0.0, degree * (1.0 - share));
        ef * (degree / 3.0 + LIST_COST * lists)
    } else {
        ef * degree / 3.0 / share
    };
    let scan_cost = if has_codes { CODE_SCAN_COST } else { 1.0 };
    if walk_cost >= candidates as f64 * scan_cost {
        return Plan::Scan;
    }
    let distances_max = if candidates == vectors { u64::MAX } else { candidates as u64 };
    Plan::Walk { distances_max, among_admitted }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let walk = |distances_max, among_admitted| Plan::Walk { distances_max, among_admitted };
        let free = walk(u64::MAX, false);
        // vectors, candidates, filtered, k, ef, exact
        let cases = [
            ((0, 0, false, 10, 64, false), Plan::Skip),
            ((100_000, 0, true, 10, 64, true), Plan::Skip),
            ((100_000, 100_000, false, 10, 64, true), Plan::Scan),
            ((100_000, 100_000, false, 10, 64, false), free),
            ((256, 256, false, 10, 64, false), Plan::Scan),
            ((1_000, 1_000, false, 10, 64, false), Plan::Scan),
            ((4_000, 4_000, false, 10, 64, false), free),
            ((100_000, 90_000, false, 10, 64, false), walk(90_000, false)),
            ((100_000, 90_000, true, 10, 64, false), walk(90_000, true)),
            ((100_000, 50_000, false, 10, 64, false), walk(50_000, true)),
            ((100_000, 20_000, true, 10, 64, false), walk(20_000, true)),
            ((100_000, 5_000, true, 10, 64, false), walk(5_000, true)),
            ((100_000, 3_000, true, 10, 64, false), Plan::Scan),
            ((100_000, 1_000, true, 10, 64, false), Plan::Scan),
            ((1_000_000, 20_000, true, 10, 64, false), walk(20_000, true)),
            ((1_000_000, 5_000, true, 10, 64, false), Plan::Scan),
            ((100_000, 100_000, false, 5_000, 10_000, false), Plan::Scan),
            ((10_000_000, 10_000_000, false, 5_000, 10_000, false), free),
            ((10_000_000, 10_000_000, false, 5_001, 10_002, false), Plan::Scan),
        ];
        for ((vectors, candidates, filtered, k, ef, exact), expected) in cases {
            let counts = Counts { vectors, candidates, degree: 32, filtered, has_codes: true };
            assert_eq!(choose(&counts, &Wanted { k, ef, exact }), expected, "{counts:?} k={k} ef={ef}");
        }
        let exact_rows =
            Counts { vectors: 2_000, candidates: 2_000, degree: 32, filtered: false, has_codes: false };
        assert_eq!(choose(&exact_rows, &Wanted { k: 10, ef: 64, exact: false }), free);
    }

    #[test]
    fn the_default_width_grows_with_k() {
        assert_eq!([1, 10, 32, 100].map(default_ef), [64, 64, 64, 200]);
    }
}
