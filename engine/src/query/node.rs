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

    /// Whether it may give one of some rows, each a segment and a slot, once it is asked for enough. It may be said of one that it does not give,
    /// and is never denied of one that it does.
    pub(super) fn may_give(&self, run: &Run<'_>, rows: &[(usize, u32)]) -> bool {
        let has_vector = |place: usize, excluded: &[(usize, Slot)]| {
            rows.iter().any(|(segment, slot)| {
                run.view.segments[*segment].dense(place).has(*slot)
                    && !excluded.contains(&(*segment, Slot(*slot)))
            })
        };
        match &self.kind {
            Kind::Near(near) => has_vector(near.place, &near.excluded),
            Kind::Best(best) => has_vector(best.place, &best.excluded),
            Kind::Scored(scored) => rows.iter().any(|row| scored.gives(run, *row)),
            Kind::Words(words) => words.0.scores(rows).iter().any(Option::is_some),
            Kind::Order(_) => !rows.is_empty(),
            Kind::Fuse(fusing) => fusing.nodes.iter().any(|(node, _)| node.may_give(run, rows)),
            // What it cannot score is left out, which is not looked at here.
            Kind::Rescore(rescoring) => rescoring.from.may_give(run, rows),
        }
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
