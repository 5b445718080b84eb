//! What the documentation of `ragstone::query` says, naively: every source ranks all rows of an ordered map.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use ragstone::query::{Example, Fuse, Fusion, OrderBy, Recommend, Source, Strategy};
use ragstone::{Metric, Point, PointId, Vector};

use super::support::{by_value, unit};

/// A row and its score, which has 32 bits: what is made of scores, as a fusion is, is made of those.
pub(crate) type Row = (PointId, f32);

/// The rows that pass the filter, and all rows.
pub(crate) struct Oracle<'a> {
    pub(crate) metric: Metric,
    pub(crate) rows: Vec<&'a Point>,
    pub(crate) all: &'a BTreeMap<PointId, Point>,
}

/// Whether smaller scores of a source are better.
pub(crate) fn is_smaller_better(metric: Metric, source: &Source) -> bool {
    match source {
        Source::Nearest(_) => metric == Metric::L2,
        Source::Recommend(recommend) => metric == Metric::L2 && recommend.strategy == Strategy::AverageVector,
        Source::Rescore(rescore) => is_smaller_better(metric, &rescore.by),
        Source::Text(_) | Source::OrderBy(_) | Source::Fuse(_) => false,
    }
}

impl Oracle<'_> {
    /// The best `n` rows of a source.
    pub(crate) fn top(&self, source: &Source, n: usize) -> Vec<Row> {
        let mut ranked = match source {
            Source::Fuse(fuse) => {
                let candidates = fuse.candidates.max(n);
                let lists = fuse.sources.iter().map(|(source, _)| self.top(source, candidates)).collect();
                self.fused(fuse, lists)
            }
            Source::Rescore(rescore) => {
                let mut candidates = rescore.candidates.max(n);
                loop {
                    let from = self.top(&rescore.from, candidates);
                    let ids: Vec<&PointId> = from.iter().map(|row| &row.0).collect();
                    let ranked = self.rank(&rescore.by, &ids);
                    if ranked.len() >= n || from.len() < candidates {
                        break ranked;
                    }
                    candidates *= 2;
                }
            }
            leaf => {
                let ids: Vec<&PointId> = self.rows.iter().map(|point| &point.id).collect();
                self.rank(leaf, &ids)
            }
        };
        ranked.truncate(n);
        ranked
    }

    /// Some rows in the order of a source, without those that it cannot score.
    fn rank(&self, source: &Source, ids: &[&PointId]) -> Vec<Row> {
        let points = ids.iter().map(|id| &self.all[*id]);
        let scored = |score: &dyn Fn(&Point) -> Option<f32>| -> Vec<Row> {
            let rows = points.clone().filter_map(|point| Some((point.id.clone(), score(point)?)));
            sorted(rows.collect(), is_smaller_better(self.metric, source))
        };
        match source {
            Source::Nearest(nearest) => {
                let Vector::Dense(query) = &nearest.query else { panic!("no other is asked for") };
                scored(&|point| Some(self.score(query, point.vector.as_ref()?)))
            }
            Source::Recommend(recommend) => scored(&|point| self.recommended(recommend, point)),
            Source::OrderBy(by) => {
                let mut points: Vec<&Point> = points.collect();
                points.sort_by(|a, b| by_field(by, a, b));
                points.iter().map(|point| (point.id.clone(), 0.0)).collect()
            }
            Source::Fuse(fuse) => {
                let lists = fuse.sources.iter().map(|(source, _)| self.rank(source, ids)).collect();
                self.fused(fuse, lists)
            }
            Source::Rescore(_) => panic!("refused"),
            Source::Text(_) => panic!("its own oracle asks by word"),
        }
    }

    /// The metric's score.
    pub(crate) fn score(&self, query: &[f32], row: &[f32]) -> f32 {
        let sum = |f: fn(f64, f64) -> f64, query: &[f32]| -> f64 {
            query.iter().zip(row).map(|(a, b)| f(f64::from(*a), f64::from(*b))).sum()
        };
        let score = match self.metric {
            Metric::Cosine => sum(|a, b| a * b, &unit(query)),
            Metric::Dot => sum(|a, b| a * b, query),
            Metric::L2 => sum(|a, b| (a - b).powi(2), query).sqrt(),
        };
        score as f32
    }

    fn recommended(&self, recommend: &Recommend, point: &Point) -> Option<f32> {
        let row = point.vector.as_ref()?;
        let examples = recommend.positive.iter().chain(&recommend.negative);
        if examples.clone().any(|example| *example == Example::Id(point.id.clone())) {
            return None;
        }
        let vectors = |examples: &[Example]| -> Vec<Vec<f32>> {
            let vector = |example: &Example| {
                let vector = match example {
                    Example::Id(id) => self.all[id].vector.clone().unwrap(),
                    Example::Vector(vector) => vector.clone(),
                };
                if self.metric == Metric::Cosine { unit(&vector) } else { vector }
            };
            examples.iter().map(vector).collect()
        };
        let (positive, negative) = (vectors(&recommend.positive), vectors(&recommend.negative));
        if recommend.strategy == Strategy::AverageVector {
            let average = |of: &[Vec<f32>], at: usize| {
                of.iter().map(|vector| f64::from(vector[at])).sum::<f64>() / of.len().max(1) as f64
            };
            let component = |at: usize| {
                let positive_at = average(&positive, at);
                if negative.is_empty() { positive_at } else { 2.0 * positive_at - average(&negative, at) }
            };
            let target: Vec<f32> = (0..row.len()).map(|at| component(at) as f32).collect();
            return Some(self.score(&target, row));
        }
        let likeness = |examples: &[Vec<f32>]| {
            let score = |example: &Vec<f32>| {
                let score = self.score(example, row);
                if self.metric == Metric::L2 { -score } else { score }
            };
            examples.iter().map(score).fold(f32::NEG_INFINITY, f32::max)
        };
        let squash = |x: f32| (x / (1.0 + x.abs()) + 1.0) / 2.0;
        let (positive, negative) = (likeness(&positive), likeness(&negative));
        Some(if positive > negative { squash(positive) } else { -squash(negative) })
    }

    fn fused(&self, fuse: &Fuse, lists: Vec<Vec<Row>>) -> Vec<Row> {
        let mut sums: HashMap<PointId, f64> = HashMap::new();
        for ((_, weight), list) in fuse.sources.iter().zip(lists) {
            let (best, worst) = (list.first().map_or(0.0, |row| row.1), list.last().map_or(0.0, |row| row.1));
            let (weight, best, worst) = (f64::from(*weight), f64::from(best), f64::from(worst));
            for (place, (id, score)) in (1..).zip(list) {
                *sums.entry(id).or_default() += match fuse.method {
                    Fusion::ReciprocalRank { k } => weight / (f64::from(k) + f64::from(place)),
                    Fusion::Weighted if best == worst => weight,
                    Fusion::Weighted => weight * ((f64::from(score) - worst) / (best - worst)),
                };
            }
        }
        sorted(sums.into_iter().map(|(id, sum)| (id, sum as f32)).collect(), false)
    }
}

/// Best first; of equal scores the least id first.
fn sorted(mut rows: Vec<Row>, is_smaller_better: bool) -> Vec<Row> {
    let score = |row: &Row| if is_smaller_better { row.1 } else { -row.1 };
    rows.sort_by(|a, b| score(a).partial_cmp(&score(b)).unwrap().then_with(|| a.0.cmp(&b.0)));
    rows
}

/// The order of values of one type; what is missing comes last.
pub(crate) fn by_field(by: &OrderBy, a: &Point, b: &Point) -> Ordering {
    let order = match (a.payload.get(&by.field), b.payload.get(&by.field)) {
        (Some(a), Some(b)) => {
            let order = by_value(a, b);
            if by.descending { order.reverse() } else { order }
        }
        (a, b) => b.is_some().cmp(&a.is_some()),
    };
    order.then_with(|| a.id.cmp(&b.id))
}
