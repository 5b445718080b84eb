//! Searching a segment under a filter whose rows are not found beforehand.
//!
//! **Problem.** A walk of little width looks at some thousand rows; to find all that lie within a circle of half of a million takes nearly as long
//! as the walk. **Idea.** A screen (`payload/screen.rs`) refuses no row that passes, so the walk may go among what it lets through, and of what
//! it gives those are kept whose values pass. It is wider by as many as are expected not to, so that it finds what a walk by the set does.
//!
//! A walk asks the more rows the wider it is and the fewer pass, and what finds all goes through two bytes of every row: from
//! [a width](PASSING_A_WIDTH) on the set is found first.
//!
//! All that is known of the count is about how many rows there are, which does for choosing a way. What is promised is kept by the set: it is
//! found, and the search begun anew, where the plan is not to walk, where the rim is much of what is let through, where fewer rows are left than
//! were asked for, or where so many did not pass that the walk was a narrower one than it should have been (a filter may well have it that
//! what lies just beyond the rim is just what is near the query).

use fixedbitset::FixedBitSet;

use super::SearchStats;
use super::execute::Searching;
use super::explain::Begun;
use super::plan::{self, Counts, Plan};
use crate::payload::Screened;
use crate::vectors::Slot;

/// Of the rows that a screen lets through at most so many are expected not to pass; else the set costs less than a wider walk.
const FAILING_SHARE_MAX: f64 = 0.2;
/// Of the rows that a walk gives at least so many of so many pass; else the set is found.
const PASSING_SHARE: (usize, usize) = (3, 4);
/// Rows that are to pass for each unit of a walk's width; where they are fewer, the set costs less than asking. Of a million rows at a width of 512
/// asking takes half of what the set takes where a half pass, and twice of it where a tenth do. Tests have fewer rows.
const PASSING_A_WIDTH: usize = if cfg!(test) { 10 } else { 500 };
/// Rows of a block of sketches.
const BLOCK: i32 = ragstone_kernels::SKETCH_BLOCK as i32;

/// Which nodes a walk may give: all of them where nothing says otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Admitted<'a> {
    /// Only these.
    pub(super) set: Option<&'a FixedBitSet>,
    /// And only those that this lets through, if they pass.
    pub(super) screened: Option<&'a Screened<'a>>,
}

impl Admitted<'_> {
    /// The width of a walk that is to give so many that pass.
    pub(super) fn widened(&self, width: usize) -> usize {
        let share = self.screened.map_or(0.0, |screened| screened.screen.failing_share());
        wide_enough(width, share)
    }
}

/// How many rows are to be found for so many that pass, if a share of them does not.
fn wide_enough(passing: usize, failing_share: f64) -> usize {
    (passing as f64 / (1.0 - failing_share.min(FAILING_SHARE_MAX))).ceil() as usize
}

/// What came of a search with a screen.
pub(super) enum Screening {
    /// The nearest rows.
    Found(Vec<(f32, Slot)>),
    /// The set is to be found.
    Vain {
        /// Whether a walk was cut short, and would be again.
        is_cut: bool,
    },
}

impl Searching<'_> {
    /// The nearest rows of the segment if its filter has a screen, the plan is to walk, and the walk does.
    pub(super) fn run_screened(&self, stats: &mut SearchStats, begun: &mut Begun) -> Screening {
        let (wanted, filter) = (&self.query.wanted, self.query.filter.as_deref());
        let vain = Screening::Vain { is_cut: false };
        if wanted.exact {
            return vain;
        }
        let least = wanted.ef.saturating_mul(PASSING_A_WIDTH);
        let Some(screened) = self.dense.screened(filter, least, self.watch) else { return vain };
        if screened.screen.failing_share() > FAILING_SHARE_MAX {
            return vain;
        }
        let vectors = self.dense.count();
        let candidates = screened.count().min(vectors);
        if candidates < least {
            return vain;
        }
        let counts = Counts {
            vectors,
            candidates,
            degree: self.query.degree,
            filtered: true,
            has_codes: self.has_codes(),
            blocks: self.blocks(None).map(|blocks| blocks_having(candidates, vectors, blocks)),
        };
        let Plan::Walk(way) = plan::choose(&counts, wanted) else { return vain };
        begun.takes(way, 0);
        let admitted = Admitted { set: screened.others.as_deref(), screened: Some(&screened) };
        let (nearest, is_cut) = self.walk_as_wide_as_needed(admitted, way, stats);
        let is_enough = !is_cut && nearest.len() >= wanted.k;
        if !is_enough && self.watch.interrupted().is_none() {
            return Screening::Vain { is_cut };
        }
        begun.counts(|| self.dense.candidates(filter, self.watch).count);
        stats.exact = false;
        Screening::Found(nearest)
    }

    /// Keeps those of the rows that a walk gave that pass; none if they are too few for its width.
    pub(super) fn keep_passing(&self, screened: &Screened<'_>, rows: &mut Vec<(f32, Slot)>) {
        let (segment, given) = (self.dense.segment, rows.len());
        let in_doubt = rows.iter().filter(|(_, row)| !screened.screen.is_certain(row.0));
        in_doubt.for_each(|(_, row)| segment.prefetch_value(row.0, screened.field));
        rows.retain(|(_, row)| screened.passes(segment, row.0));
        let (share, of) = PASSING_SHARE;
        if rows.len() * of < given * share && self.watch.interrupted().is_none() {
            rows.clear();
        }
    }
}

/// About how many of some blocks have one of so many candidates, if these are anywhere among the rows.
fn blocks_having(candidates: usize, rows: usize, blocks: usize) -> usize {
    let refused = 1.0 - candidates as f64 / rows.max(1) as f64;
    (blocks as f64 * (1.0 - refused.powi(BLOCK))) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_is_found_as_many_pass_as_are_wanted() {
        assert_eq!([0, 1, 10, 64].map(|passing| wide_enough(passing, 0.0)), [0, 1, 10, 64]);
        assert_eq!([0, 1, 10, 64].map(|passing| wide_enough(passing, 0.05)), [0, 2, 11, 68]);
        assert_eq!([10, 64].map(|passing| wide_enough(passing, 0.9)), [13, 80]);
    }

    #[test]
    fn blocks_have_a_candidate_as_chance_has_it() {
        assert_eq!(blocks_having(0, 8_000, 1_000), 0);
        assert_eq!(blocks_having(8_000, 8_000, 1_000), 1_000);
        assert_eq!(blocks_having(0, 0, 0), 0);
        // 1 - .9 ^ 8
        assert_eq!(blocks_having(800, 8_000, 1_000), 569);
    }
}
