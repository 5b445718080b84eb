//! A query's source once it is checked: names are numbers, examples are vectors, and nothing can fail any more.

use std::sync::Arc;

use super::best::Best;
use super::nearest::Near;
use super::order::Ordering;
use super::run::{Found, Ranked, Run};
use super::source::Fusion;
use super::{fuse, rescore};

/// A source.
#[derive(Debug)]
pub(super) struct Node {
    /// As errors and reports name it.
    pub(super) path: String,
    pub(super) kind: Kind,
}

/// What it ranks by.
#[derive(Debug)]
pub(super) enum Kind {
    Near(Near),
    Best(Best),
    Order(Ordering),
    Fuse(Fusing),
    Rescore(Rescoring),
}

/// See [`Fuse`](super::Fuse).
#[derive(Debug)]
pub(super) struct Fusing {
    pub(super) nodes: Vec<(Node, f32)>,
    pub(super) method: Fusion,
    pub(super) candidates: usize,
}

/// See [`Rescore`](super::Rescore).
#[derive(Debug)]
pub(super) struct Rescoring {
    pub(super) from: Box<Node>,
    pub(super) candidates: usize,
    pub(super) by: Arc<Node>,
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

impl Node {
    /// The best `n` rows, best first: fewer only if fewer match, or the run was interrupted.
    pub(super) fn top(&self, run: &Run<'_>, n: usize) -> Found {
        let begun = run.begin();
        let mut reports = run.reports();
        let found = match &self.kind {
            Kind::Near(near) => near.top(run, n, &mut reports),
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

    /// Which of its scores are better.
    pub(super) fn scores(&self, run: &Run<'_>) -> Scores {
        match &self.kind {
            Kind::Near(_) => run.metric_scores(),
            Kind::Best(_) | Kind::Fuse(_) => Scores::Greater,
            Kind::Order(_) => Scores::Absent,
            Kind::Rescore(rescoring) => rescoring.by.scores(run),
        }
    }

    /// Whether it ranks a row by that row alone, so that its order is the same under a narrower filter.
    pub(super) fn is_leaf(&self) -> bool {
        matches!(self.kind, Kind::Near(_) | Kind::Best(_) | Kind::Order(_))
    }
}
