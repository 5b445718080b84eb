//! Rows by their nearest example.
//!
//! **Idea.** A row's distance to a set of examples is that to the nearest of them, so what a walk or a scan compares by is
//! made of one scorer for each example; walk, scan and the choice between them stay what they are for one vector. The candidates
//! of a walk on codes are all compared again, exactly, as codes say little about which of two examples is nearer.
//!
//! A walk goes from row to nearer row. Towards positive examples there is such a way; away from negative ones there is
//! not, so with those alone every row is compared.

use std::cell::RefCell;

use super::nearest::{dense, distances};
use super::node::Scores;
use super::run::{Found, Ranked, Run};
use crate::graph::WalkRequest;
use crate::schema::Metric;
use crate::search::{
    Begun, Counts, KeptRows, Plan, Reports, Scan, ScanBy, SearchStats, Wanted, Way, choose, compare,
    default_ef,
};
use crate::segment::{Candidates, DenseView, Parts};
use crate::vectors::{Scorer, Slot};

/// See [`Strategy::BestScore`](super::Strategy::BestScore).
#[derive(Debug)]
pub(super) struct Best {
    /// Of the vector among the dense ones.
    pub(super) place: usize,
    /// In the form that is stored, like `negative`; one of both is not empty.
    pub(super) positive: Vec<Vec<f32>>,
    pub(super) negative: Vec<Vec<f32>>,
    pub(super) ef: Option<usize>,
    pub(super) exact: bool,
    /// Rows that are examples.
    pub(super) excluded: Vec<(usize, Slot)>,
}

/// The score of a row, from its distances to the nearest examples of both kinds.
fn judge(metric: Metric, positive: Option<f32>, negative: Option<f32>) -> f32 {
    let squash = |distance: f32| {
        let x = match metric {
            Metric::Cosine | Metric::Dot => -distance,
            Metric::L2 => -distance.max(0.0).sqrt(),
        };
        // An infinite product is as like as can be.
        let s = if x.is_infinite() { x.signum() } else { x / (1.0 + x.abs()) };
        f32::midpoint(s, 1.0)
    };
    match (positive, negative) {
        (Some(positive), negative) if negative.is_none_or(|negative| positive < negative) => squash(positive),
        (_, Some(negative)) => -squash(negative),
        (_, None) => 0.0,
    }
}

/// Gives negated scores for distances.
struct Judge<'a> {
    metric: Metric,
    positive: Vec<Box<dyn Scorer + 'a>>,
    negative: Vec<Box<dyn Scorer + 'a>>,
    margin: f32,
    /// The distances from one example, and from the nearest of each kind.
    rooms: RefCell<[Vec<f32>; 3]>,
}

impl<'a> Judge<'a> {
    fn new(metric: Metric, best: &'a Best, scorer: impl Fn(&'a [f32]) -> Box<dyn Scorer + 'a>) -> Self {
        let all = |examples: &'a [Vec<f32>]| examples.iter().map(|vector| scorer(vector)).collect::<Vec<_>>();
        let (positive, negative) = (all(&best.positive), all(&best.negative));
        let is_exact = positive.iter().chain(&negative).all(|scorer| scorer.margin() == 0.0);
        let margin = if is_exact { 0.0 } else { f32::INFINITY };
        Self { metric, positive, negative, margin, rooms: RefCell::default() }
    }
}

impl Scorer for Judge<'_> {
    fn score(&self, slots: &[Slot], out: &mut [f32]) {
        let [one, positive, negative] = &mut *self.rooms.borrow_mut();
        one.resize(slots.len(), 0.0);
        for (scorers, nearest) in [(&self.positive, &mut *positive), (&self.negative, &mut *negative)] {
            nearest.clear();
            nearest.resize(slots.len(), f32::INFINITY);
            for scorer in scorers {
                scorer.score(slots, one);
                nearest
                    .iter_mut()
                    .zip(&*one)
                    .for_each(|(nearest, distance)| *nearest = nearest.min(*distance));
            }
        }
        for (at, out) in out.iter_mut().enumerate() {
            let of = |scorers: &[_], nearest: &[f32]| (!scorers.is_empty()).then(|| nearest[at]);
            *out = -judge(self.metric, of(&self.positive, positive), of(&self.negative, negative));
        }
    }

    fn prefetch(&self, slots: &[Slot]) {
        // They read the same rows.
        self.positive.iter().chain(&self.negative).take(1).for_each(|scorer| scorer.prefetch(slots));
    }

    fn margin(&self) -> f32 {
        self.margin
    }
}

/// How far a search has come.
struct Going<'a> {
    run: &'a Run<'a>,
    best: &'a Best,
    wanted: Wanted,
    kept: KeptRows,
    stats: SearchStats,
}

impl Best {
    pub(super) fn top(&self, run: &Run<'_>, n: usize, reports: &mut Reports) -> Found {
        let n = n.min(run.live());
        if n == 0 {
            return Found { rows: Vec::new(), is_whole: true, exact: true };
        }
        let k = n + self.excluded.len();
        let ef = self.ef.unwrap_or_else(|| default_ef(k)).max(k);
        let wanted = Wanted { k, ef, exact: self.exact || self.positive.is_empty() };
        let stats = SearchStats { exact: true, ..SearchStats::default() };
        let mut going = Going { run, best: self, wanted, kept: KeptRows::new(f32::INFINITY, k), stats };
        for (index, segment) in run.view.segments.iter().enumerate() {
            if run.watch.poll() {
                break;
            }
            going.stats.segments += 1;
            for part in Parts::of(segment, self.place).iter() {
                let mut begun = reports.begin(index, part, &mut going.stats);
                let found = going.part(index, &part.dense(self.place), &mut begun);
                reports.end(begun, found, &mut going.stats, run.watch);
            }
        }
        let Going { kept, stats, .. } = going;
        run.count(stats);
        let is_interrupted = run.watch.interrupted().is_some();
        let (found, _) = kept.finish();
        let is_whole = found.len() < k && !is_interrupted;
        let rows = found.into_iter().map(|(distance, segment, slot)| Ranked {
            score: -distance + 0.0,
            segment,
            slot,
        });
        let mut rows: Vec<Ranked> = rows.filter(|row| !self.excluded.contains(&row.key())).collect();
        run.sort(&mut rows, Scores::Greater);
        let is_whole = is_whole && rows.len() <= n;
        rows.truncate(n);
        Found { rows, is_whole, exact: stats.exact && !is_interrupted }
    }

    pub(super) fn rank(&self, run: &Run<'_>, rows: &[Ranked]) -> Vec<Ranked> {
        let nearest = |examples: &[Vec<f32>]| {
            let mut nearest: Vec<Option<f32>> = vec![None; rows.len()];
            for example in examples {
                for (nearest, distance) in nearest.iter_mut().zip(distances(run, (self.place, example), rows))
                {
                    *nearest = match (*nearest, distance) {
                        (Some(a), Some(b)) => Some(a.min(b)),
                        (a, b) => a.or(b),
                    };
                }
            }
            nearest
        };
        let (positive, negative) = (nearest(&self.positive), nearest(&self.negative));
        let metric = dense(run.view, self.place).metric;
        let judged =
            rows.iter().zip(positive.into_iter().zip(negative)).filter_map(|(row, (positive, negative))| {
                positive.or(negative)?;
                Some(Ranked { score: judge(metric, positive, negative), ..*row })
            });
        let mut ranked: Vec<Ranked> = judged.filter(|row| !self.excluded.contains(&row.key())).collect();
        run.sort(&mut ranked, Scores::Greater);
        ranked
    }
}

impl Going<'_> {
    /// Adds the rows of a part of a segment; how many there were.
    fn part(&mut self, index: usize, part: &DenseView<'_>, begun: &mut Begun) -> usize {
        if let Some(nodes) = part.few(self.run.filter.as_deref(), self.run.watch) {
            begun.takes(ScanBy::Rows, nodes.len());
            return self.compare(index, part, &nodes);
        }
        let candidates = part.candidates(self.run.filter.as_deref(), self.run.watch);
        let counts = Counts {
            vectors: part.count(),
            candidates: candidates.count,
            degree: dense(self.run.view, self.best.place).graph.degree,
            filtered: self.run.filter.is_some(),
            has_codes: false,
            blocks: None,
        };
        let plan = match choose(&counts, &self.wanted) {
            Plan::Walk(_) if !part.segment.has_graph => Plan::Scan,
            plan => plan,
        };
        match plan {
            Plan::Skip => {
                begun.takes(crate::search::SegmentPlan::Skip, 0);
                return 0;
            }
            Plan::Walk(way) => {
                begun.takes(way, candidates.count);
                let (rows, is_cut) = self.walk(part, &candidates, way);
                let is_enough = !is_cut && rows.len() >= self.wanted.k.min(candidates.count);
                if is_enough || self.run.watch.interrupted().is_some() {
                    self.stats.exact = false;
                    let found = rows.len();
                    let rows = rows.into_iter().map(|(distance, node)| (distance, index, part.slot_of(node)));
                    rows.for_each(|row| self.kept.offer(row));
                    return found;
                }
            }
            Plan::Scan => {}
        }
        begun.takes(ScanBy::Rows, candidates.count);
        self.scan(index, part, &candidates)
    }

    /// What the graph leads to, by exact scores, and whether the walk was cut short.
    fn walk(&mut self, part: &DenseView<'_>, candidates: &Candidates, way: Way) -> (Vec<(f32, Slot)>, bool) {
        let encodings = &self.run.view.encodings[self.best.place];
        let (rows, metric) = (part.picked_vectors(), dense(self.run.view, self.best.place).metric);
        let coded = Judge::new(metric, self.best, |vector| part.encoding(encodings).scorer(vector, rows));
        let request = WalkRequest {
            visible: part.visible(),
            admit: Some(&candidates.bits),
            among_admitted: way.among_admitted,
            distances_max: way.distances_max,
            watch: Some(self.run.watch),
            ..WalkRequest::new(self.wanted.ef)
        };
        let walk = part.walk(&coded, &request);
        let examples = (self.best.positive.len() + self.best.negative.len()) as u64;
        self.stats.distances += walk.distances * examples;
        let mut found = walk.candidates;
        if coded.margin() > 0.0 {
            let slots: Vec<Slot> = found.iter().map(|(_, slot)| *slot).collect();
            let mut distances = vec![0.0; slots.len()];
            Judge::new(metric, self.best, |vector| encodings.exact_scorer(vector, rows))
                .score(&slots, &mut distances);
            self.stats.distances += slots.len() as u64 * examples;
            found = distances.into_iter().zip(slots).collect();
        }
        (found, walk.cut)
    }

    /// Adds a few nodes.
    fn compare(&mut self, index: usize, part: &DenseView<'_>, nodes: &[Slot]) -> usize {
        let encodings = &self.run.view.encodings[self.best.place];
        let metric = dense(self.run.view, self.best.place).metric;
        let scorer = Judge::new(metric, self.best, |vector| encodings.exact_scorer(vector, part.vectors()));
        let kept = &mut self.kept;
        let looked_at = compare(&scorer, self.run.watch, nodes, |distance, node| {
            kept.offer((distance, index, part.slot_of(node)));
        });
        self.stats.distances += looked_at * (self.best.positive.len() + self.best.negative.len()) as u64;
        looked_at as usize
    }

    fn scan(&mut self, index: usize, part: &DenseView<'_>, candidates: &Candidates) -> usize {
        let (encodings, watch) = (&self.run.view.encodings[self.best.place], self.run.watch);
        let metric = dense(self.run.view, self.best.place).metric;
        let scorer = Judge::new(metric, self.best, |vector| encodings.exact_scorer(vector, part.vectors()));
        let scan = Scan { candidates, scorer: &scorer, sieve: None, watch };
        let kept = &mut self.kept;
        let looked_at = scan.run(|distance, slot| {
            kept.offer((distance, index, part.slot_of(slot)));
            f32::INFINITY
        });
        self.stats.distances += looked_at * (self.best.positive.len() + self.best.negative.len()) as u64;
        looked_at as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positives_come_first_and_negatives_last() {
        for (metric, near, far) in
            [(Metric::Cosine, -0.9, 0.9), (Metric::Dot, -90.0, 90.0), (Metric::L2, 0.1, 400.0)]
        {
            let judge = |positive, negative| judge(metric, positive, negative);
            let order = [judge(Some(near), None), judge(Some(far), None), judge(Some(near), Some(near))];
            assert_eq!(judge(Some(near), Some(far)), order[0]);
            assert!(order[0] > order[1] && order[1] >= 0.0 && order[2] < 0.0, "{metric}: {order:?}");
            assert!(judge(None, Some(far)) > judge(None, Some(near)), "{metric}");
            assert_eq!(judge(Some(far), Some(near)), order[2]);
        }
        assert_eq!(judge(Metric::Dot, Some(f32::NEG_INFINITY), None), 1.0);
        assert_eq!(judge(Metric::Dot, Some(f32::INFINITY), None), 0.0);
    }
}
