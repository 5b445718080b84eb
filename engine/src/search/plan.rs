//! How to search a segment: a pure function of counts, which are exact but where a screen stands in for a set (`screened.rs`).
//!
//! There are three ways: compare every candidate (a scan, by sketches, codes or exact rows); walk the graph and keep
//! what is admitted; walk among the admitted (`graph/admitted.rs`), which is for filters. Each has a cost in
//! nanoseconds, and the cheaper of scan and walk is taken. Which walk: without a filter the plain one, unless three of
//! ten rows are dead, as merges leave no more.
//!
//! ```text
//! scan by sketches = 12,000 + 9 a block of eight rows with a candidate + .8 a candidate
//! scan by codes    = 9 a candidate                      rows come in order, so memory is no obstacle
//! exact scan       = 25 a candidate
//! walk             = 20 a distance     of ef * degree / 3.7 + degree * log2(rows) * .9, over the share of candidates
//! walk among       = the same, undivided, 30 each, and 1.6 more a list that is read to find 24 candidates of a step
//! ```
//! Measured with `benches/src/bin/filters.rs` on 60,000 text embeddings of 384 components with four bits (one core of two of
//! an AMD Zen 5), as differences of mean latencies between selectivities and widths; what a block takes by
//! `ragstone_kernels::KernelSketch`'s own table. All costs are of memory in the first place and grow alike with the
//! dimension, so that the choice is right for others too.
//!
//! A walk that gets as many distances as a scan would take the time of is ended, and a scan follows: so the wrong choice, of a
//! filter that refuses just what is near, costs twice the right one at most.

/// Candidates up to which a scan is not worth thinking about.
const SCAN_ALWAYS: usize = 256;
/// Width of a walk at which keeping its pool in order costs more than comparing.
const WALK_EF_MAX: usize = 10_000;
/// Preparing a query for sketches.
const SKETCHES_NS: f64 = 12_000.0;
/// A block of sketches of which a row is a candidate.
const BLOCK_NS: f64 = 9.0;
/// Comparing codes of those that sketches leave, spread over all candidates.
const LEFT_NS: f64 = 0.8;
/// A candidate of a scan of codes.
const CODE_NS: f64 = 9.0;
/// A candidate of an exact scan.
const ROW_NS: f64 = 25.0;
/// A distance of a walk, with all that belongs to it.
const DISTANCE_NS: f64 = 20.0;
/// The same among admitted rows, whose lists are filtered.
const AMONG_NS: f64 = 30.0;
/// Distances of a walk for each unit of width and link.
const WIDTH_DISTANCES: f64 = 1.0 / 3.7;
/// Distances of a walk on its way, for each link and halving of the rows.
const WAY_DISTANCES: f64 = 0.9;
/// What a list costs in distances that is read to get past a refused row.
const LIST_DISTANCES: f64 = 1.6;
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
    /// Whether a scan can compare codes.
    pub(crate) has_codes: bool,
    /// Blocks of sketches that have a candidate; `None` where there are no sketches.
    pub(crate) blocks: Option<usize>,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) k: usize,
    /// Width of the walk, at least `k`.
    pub(crate) ef: usize,
    pub(crate) exact: bool,
}

/// What a scan compares at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScanBy {
    Rows,
    Codes,
    Sketches,
}

/// How to walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// Distances after which a scan is the better way.
    pub(crate) distances_max: u64,
    /// Whether to walk among candidates only.
    pub(crate) among_admitted: bool,
}

/// What to do with a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Nothing can be found here.
    Skip,
    /// Compare every candidate.
    Scan,
    /// Walk the graph.
    Walk(Way),
}

/// The width of a walk for `k` results when the request gives none.
pub(crate) fn default_ef(k: usize) -> usize {
    (2 * k).max(64)
}

/// The cheapest scan that does what is asked, and what it costs in nanoseconds.
pub(crate) fn cheapest_scan(counts: &Counts, wanted: &Wanted) -> (ScanBy, f64) {
    let candidates = counts.candidates as f64;
    let rows = (ScanBy::Rows, candidates * ROW_NS);
    if wanted.exact || counts.candidates <= wanted.ef {
        return rows;
    }
    let codes = counts.has_codes.then_some((ScanBy::Codes, candidates * CODE_NS));
    let sketches = counts
        .blocks
        .map(|blocks| (ScanBy::Sketches, SKETCHES_NS + blocks as f64 * BLOCK_NS + candidates * LEFT_NS));
    [codes, sketches].into_iter().flatten().fold(rows, |best, scan| if scan.1 < best.1 { scan } else { best })
}

/// What a scan of candidates compares that are a list already: few of them exactly, which costs little.
pub(crate) fn scan_of_few(candidates: usize, has_codes: bool, wanted: &Wanted) -> ScanBy {
    let is_exact = wanted.exact || candidates <= SCAN_ALWAYS.max(wanted.ef);
    if has_codes && !is_exact { ScanBy::Codes } else { ScanBy::Rows }
}

/// Chooses the way through one segment.
pub(crate) fn choose(counts: &Counts, wanted: &Wanted) -> Plan {
    let Counts { vectors, candidates, degree, filtered, .. } = *counts;
    if candidates == 0 {
        return Plan::Skip;
    }
    if wanted.exact || candidates <= SCAN_ALWAYS.max(wanted.k) || wanted.ef > WALK_EF_MAX {
        return Plan::Scan;
    }
    let share = candidates as f64 / vectors as f64;
    let among_admitted = filtered || share < PLAIN_SHARE_MIN;
    let (ef, degree) = (wanted.ef as f64, degree as f64);
    let distances = ef * degree * WIDTH_DISTANCES + degree * (vectors as f64).log2() * WAY_DISTANCES;
    let (walk_ns, distance_ns) = if among_admitted {
        let lists = ((STEP / (degree * share)) - 1.0).clamp(0.0, degree * (1.0 - share));
        ((distances + ef * LIST_DISTANCES * lists) * AMONG_NS, AMONG_NS)
    } else {
        (distances / share * DISTANCE_NS, DISTANCE_NS)
    };
    let (_, scan_ns) = cheapest_scan(counts, wanted);
    if walk_ns >= scan_ns {
        return Plan::Scan;
    }
    let distances_max = if candidates == vectors { u64::MAX } else { (scan_ns / distance_ns) as u64 };
    Plan::Walk(Way { distances_max, among_admitted })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let walk = |distances_max, among_admitted| Plan::Walk(Way { distances_max, among_admitted });
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
            ((100_000, 90_000, false, 10, 64, false), walk(40_500, false)),
            ((100_000, 90_000, true, 10, 64, false), walk(27_000, true)),
            ((100_000, 50_000, false, 10, 64, false), walk(15_000, true)),
            ((100_000, 20_000, true, 10, 64, false), walk(6_000, true)),
            ((100_000, 5_000, true, 10, 64, false), Plan::Scan),
            ((100_000, 1_000, true, 10, 64, false), Plan::Scan),
            ((1_000_000, 40_000, true, 10, 64, false), walk(12_000, true)),
            ((1_000_000, 20_000, true, 10, 64, false), walk(6_000, true)),
            ((1_000_000, 5_000, true, 10, 64, false), Plan::Scan),
            ((100_000, 100_000, false, 5_000, 10_000, false), Plan::Scan),
            ((10_000_000, 10_000_000, false, 5_000, 10_000, false), free),
            ((10_000_000, 10_000_000, false, 5_001, 10_002, false), Plan::Scan),
        ];
        for ((vectors, candidates, filtered, k, ef, exact), expected) in cases {
            let counts = Counts { vectors, candidates, degree: 32, filtered, has_codes: true, blocks: None };
            assert_eq!(choose(&counts, &Wanted { k, ef, exact }), expected, "{counts:?} k={k} ef={ef}");
        }
        let exact_rows = Counts {
            vectors: 2_000,
            candidates: 2_000,
            degree: 32,
            filtered: false,
            has_codes: false,
            blocks: None,
        };
        assert_eq!(choose(&exact_rows, &Wanted { k: 10, ef: 64, exact: false }), free);
    }

    /// What is scanned by: blocks count, not only rows.
    #[test]
    fn scans() {
        let wanted = Wanted { k: 10, ef: 64, exact: false };
        // candidates, whether there are codes, blocks with candidates
        let cases = [
            ((64, true, Some(10)), ScanBy::Rows),
            ((600, true, Some(500)), ScanBy::Codes),
            ((3_000, true, Some(2_500)), ScanBy::Codes),
            ((3_000, true, Some(500)), ScanBy::Sketches),
            ((12_000, true, Some(6_000)), ScanBy::Sketches),
            ((12_000, false, Some(6_000)), ScanBy::Sketches),
            ((12_000, true, None), ScanBy::Codes),
            ((12_000, false, None), ScanBy::Rows),
        ];
        for ((candidates, has_codes, blocks), expected) in cases {
            let counts =
                Counts { vectors: 60_000, candidates, degree: 32, filtered: true, has_codes, blocks };
            assert_eq!(cheapest_scan(&counts, &wanted).0, expected, "{counts:?}");
            assert_eq!(cheapest_scan(&counts, &Wanted { exact: true, ..wanted }).0, ScanBy::Rows);
        }
        // Half of the rows in every block: a walk is ended when it took the time of the scan, 12 + 67.5 + 24 us.
        let counts = Counts {
            vectors: 60_000,
            candidates: 30_000,
            degree: 32,
            filtered: true,
            has_codes: true,
            blocks: Some(7_500),
        };
        assert_eq!(choose(&counts, &wanted), Plan::Walk(Way { distances_max: 3_450, among_admitted: true }));
    }

    #[test]
    fn the_default_width_grows_with_k() {
        assert_eq!([1, 10, 32, 100].map(default_ef), [64, 64, 64, 200]);
    }
}
