//! What the documentation of `ragstone::query` says, naively: every source ranks all rows of an ordered map.

use std::cmp::Ordering;
use std::collections::HashMap;

use ragstone::query::{Example, Fuse, Fusion, Nearest, OrderBy, Recommend, Source, Strategy};
use ragstone::{Filter, Metric, Point, PointId, Vector};

use super::kinds;
use super::support::{by_value, passes, unit};
use super::world::World;

/// A row and its score, which has 32 bits: what is made of scores, as a fusion is, is made of those.
pub(crate) type Row = (PointId, f32);

/// What is there, and the rows that pass the filter.
pub(crate) struct Oracle<'a> {
    world: &'a World,
    rows: Vec<&'a Point>,
}

/// The metric of a vector: named ones have the inner product.
pub(crate) fn metric_of(metric: Metric, name: &str) -> Metric {
    if name.is_empty() { metric } else { Metric::Dot }
}

/// A dense vector of a row, by its name.
pub(crate) fn dense<'a>(point: &'a Point, name: &str) -> Option<&'a Vec<f32>> {
    match point.vectors.get(name) {
        _ if name.is_empty() => point.vector.as_ref(),
        Some(Vector::Dense(vector)) => Some(vector),
        _ => None,
    }
}

/// Whether smaller scores of a source are better.
pub(crate) fn is_smaller_better(metric: Metric, source: &Source) -> bool {
    match source {
        Source::Nearest(nearest) => metric_of(metric, &nearest.vector) == Metric::L2,
        Source::Recommend(recommend) => {
            metric_of(metric, &recommend.vector) == Metric::L2
                && recommend.strategy == Strategy::AverageVector
        }
        Source::Rescore(rescore) => is_smaller_better(metric, &rescore.by),
        Source::Text(_) | Source::OrderBy(_) | Source::Fuse(_) => false,
    }
}

impl World {
    /// What a filter leaves.
    pub(crate) fn oracle<'a>(&'a self, filter: Option<&Filter>) -> Oracle<'a> {
        let rows = self.points.values();
        let rows = rows.filter(|point| filter.is_none_or(|filter| passes(filter, point))).collect();
        Oracle { world: self, rows }
    }
}

impl Oracle<'_> {
    /// The metric of the default vector.
    fn metric(&self) -> Metric {
        self.world.numbers.metric()
    }

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
            Source::Text(text) => {
                let scores = self.world.by_text(text);
                let found = self.rows.iter().filter_map(|point| {
                    let (score, is_found) = scores[&point.id];
                    is_found.then(|| (point.id.clone(), score))
                });
                sorted(found.collect(), false)
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
        let points = ids.iter().map(|id| &self.world.points[*id]);
        let scored = |score: &dyn Fn(&Point) -> Option<f32>| -> Vec<Row> {
            let rows = points.clone().filter_map(|point| Some((point.id.clone(), score(point)?)));
            sorted(rows.collect(), is_smaller_better(self.metric(), source))
        };
        match source {
            Source::Nearest(nearest) => scored(&|point| self.nearness(nearest, point)),
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
            Source::Text(text) => {
                let scores = self.world.by_text(text);
                scored(&|point| Some(scores[&point.id].0))
            }
        }
    }

    fn nearness(&self, nearest: &Nearest, point: &Point) -> Option<f32> {
        let name = nearest.vector.as_str();
        match &nearest.query {
            Vector::Dense(query) => Some(self.score(name, query, dense(point, name)?)),
            query => kinds::score(query, point.vectors.get(name)?).map(|score| score as f32),
        }
    }

    /// The score of a dense vector by its metric.
    fn score(&self, name: &str, query: &[f32], row: &[f32]) -> f32 {
        let sum = |f: fn(f64, f64) -> f64, query: &[f32]| -> f64 {
            query.iter().zip(row).map(|(a, b)| f(f64::from(*a), f64::from(*b))).sum()
        };
        let score = match metric_of(self.metric(), name) {
            Metric::Cosine => sum(|a, b| a * b, &unit(query)),
            Metric::Dot => sum(|a, b| a * b, query),
            Metric::L2 => sum(|a, b| (a - b).powi(2), query).sqrt(),
        };
        score as f32
    }

    fn recommended(&self, recommend: &Recommend, point: &Point) -> Option<f32> {
        let name = recommend.vector.as_str();
        let row = dense(point, name)?;
        let metric = metric_of(self.metric(), name);
        let examples = recommend.positive.iter().chain(&recommend.negative);
        if examples.clone().any(|example| *example == Example::Id(point.id.clone())) {
            return None;
        }
        let vectors = |examples: &[Example]| -> Vec<Vec<f32>> {
            let vector = |example: &Example| {
                let vector = match example {
                    Example::Id(id) => dense(&self.world.points[id], name).cloned().unwrap(),
                    Example::Vector(vector) => vector.clone(),
                };
                if metric == Metric::Cosine { unit(&vector) } else { vector }
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
            return Some(self.score(name, &target, row));
        }
        let likeness = |examples: &[Vec<f32>]| {
            let score = |example: &Vec<f32>| {
                let score = self.score(name, example, row);
                if metric == Metric::L2 { -score } else { score }
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
