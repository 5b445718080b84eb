//! A query's source once it is checked: names are numbers, examples are vectors, and nothing can fail any more.

use std::sync::Arc;

use super::best::Best;
use super::nearest::{Near, dense, metric_scores};
use super::order::Ordering;
use super::run::{Found, Ranked, Run};
use super::scored::Scored;
use super::source::Fusion;
use super::words::Words;
use super::{fuse, rescore};
use crate::collection::ViewState;
use crate::vectors::Slot;

/// A source.
#[derive(Debug)]
pub(super) struct Node<'a> {
    /// As errors and reports name it.
    pub(super) path: String,
    pub(super) kind: Kind<'a>,
}

/// What it ranks by.
#[derive(Debug)]
pub(super) enum Kind<'a> {
    Near(Near),
    Scored(Scored),
    Words(Words<'a>),
    Best(Best),
    Order(Ordering),
    Fuse(Fusing<'a>),
    Rescore(Rescoring<'a>),
}

/// See [`Fuse`](super::Fuse).
#[derive(Debug)]
pub(super) struct Fusing<'a> {
    pub(super) nodes: Vec<(Node<'a>, f32)>,
    pub(super) method: Fusion,
    pub(super) candidates: usize,
}

/// See [`Rescore`](super::Rescore).
#[derive(Debug)]
pub(super) struct Rescoring<'a> {
    pub(super) from: Box<Node<'a>>,
    pub(super) candidates: usize,
    pub(super) by: Arc<Node<'a>>,
}

/// Which scores are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scores {
    /// There are none: the order is all.
    Absent,
    Greater,
    Smaller,
}

impl Scores {
    /// Whether a score is at least as good as another.
    pub(super) fn reaches(self, score: f32, threshold: f32) -> bool {
        match self {
            Scores::Absent => true,
            Scores::Greater => score >= threshold,
            Scores::Smaller => score <= threshold,
        }
    }
}

impl Node<'_> {
    /// The best `n` rows, best first: fewer only if fewer match, or the run was interrupted.
    pub(super) fn top(&self, run: &Run<'_>, n: usize) -> Found {
        let begun = run.begin();
        let mut reports = run.reports();
        let found = match &self.kind {
            Kind::Near(near) => near.top(run, n, &mut reports),
            Kind::Scored(scored) => scored.top(run, n, &mut reports),
            Kind::Words(words) => words.top(run, n, &mut reports),
            Kind::Best(best) => best.top(run, n, &mut reports),
            Kind::Order(order) => order.top(run, n, &mut reports),
            Kind::Fuse(fusing) => fuse::top(fusing, run, n),
            Kind::Rescore(rescoring) => rescore::top(rescoring, run, n),
        };
        run.end(self, begun, n, &found, reports);
        found
    }

    /// Some rows as this source ranks them, without those that it cannot score. It compares exactly.
    pub(super) fn rank(&self, run: &Run<'_>, rows: &[Ranked]) -> Found {
        let begun = run.begin();
        let ranked = match &self.kind {
            Kind::Near(near) => near.rank(run, rows),
            Kind::Scored(scored) => scored.rank(run, rows),
            Kind::Words(words) => words.rank(run, rows),
            Kind::Best(best) => best.rank(run, rows),
            Kind::Order(order) => order.rank(run, rows),
            Kind::Fuse(fusing) => fuse::rank(fusing, run, rows),
            // Refused when the query was checked; it would rank as its own `by` does.
            Kind::Rescore(rescoring) => rescoring.by.rank(run, rows).rows,
        };
        let found = Found { rows: ranked, is_whole: false, exact: run.watch.interrupted().is_none() };
        run.end(self, begun, rows.len(), &found, run.reports());
        found
    }

    /// Which of some rows, each a segment and a slot, it gives once it is asked for enough. It denies none that it gives, but may not deny all others
    /// ([`tells_what_it_gives`](Self::tells_what_it_gives)).
    pub(super) fn gives(&self, run: &Run<'_>, rows: &[(usize, u32)]) -> Vec<bool> {
        let with_vector = |place: usize, excluded: &[(usize, Slot)]| -> Vec<bool> {
            let gives = |(segment, slot): &(usize, u32)| {
                run.view.segments[*segment].dense(place).has(*slot)
                    && !excluded.contains(&(*segment, Slot(*slot)))
            };
            rows.iter().map(gives).collect()
        };
        match &self.kind {
            Kind::Near(near) => with_vector(near.place, &near.excluded),
            Kind::Best(best) => with_vector(best.place, &best.excluded),
            Kind::Scored(scored) => rows.iter().map(|row| scored.gives(run, *row)).collect(),
            Kind::Words(words) => words.0.scores(rows).iter().map(Option::is_some).collect(),
            Kind::Order(_) => vec![true; rows.len()],
            Kind::Fuse(fusing) => {
                let mut given = vec![false; rows.len()];
                for (node, _) in &fusing.nodes {
                    given.iter_mut().zip(node.gives(run, rows)).for_each(|(given, gives)| *given |= gives);
                }
                given
            }
            // What it cannot score is left out, which is not looked at here.
            Kind::Rescore(rescoring) => rescoring.from.gives(run, rows),
        }
    }

    /// Whether it gives just the rows of which it [says so](Self::gives).
    pub(super) fn tells_what_it_gives(&self) -> bool {
        match &self.kind {
            Kind::Near(_) | Kind::Scored(_) | Kind::Best(_) | Kind::Order(_) => true,
            Kind::Words(words) => !words.0.all_terms,
            Kind::Fuse(fusing) => fusing.nodes.iter().all(|(node, _)| node.tells_what_it_gives()),
            Kind::Rescore(_) => false,
        }
    }

    /// Whether it finds a few rows without looking at all of them.
    pub(super) fn has_index(&self) -> bool {
        matches!(self.kind, Kind::Near(_) | Kind::Scored(Scored::Sparse(..)))
    }

    /// Which of its scores are better.
    pub(super) fn scores(&self, view: &ViewState) -> Scores {
        match &self.kind {
            Kind::Near(near) => metric_scores(dense(view, near.place).metric),
            Kind::Scored(_) | Kind::Words(_) | Kind::Best(_) | Kind::Fuse(_) => Scores::Greater,
            Kind::Order(_) => Scores::Absent,
            Kind::Rescore(rescoring) => rescoring.by.scores(view),
        }
    }

    /// Whether it ranks a row by that row alone, so that its order is the same under a narrower filter.
    pub(super) fn is_leaf(&self) -> bool {
        !matches!(self.kind, Kind::Fuse(_) | Kind::Rescore(_))
    }
}
