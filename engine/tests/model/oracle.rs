//! What should be there, by an ordered map and brute force.

use std::collections::BTreeMap;

use ragstone::{Batch, Expect, Filter, Metric, Op, Point, PointId, Update};

use super::support::{passes, unit};

/// What should be there.
pub(super) struct Oracle {
    pub(super) metric: Metric,
    pub(super) points: BTreeMap<PointId, Point>,
    pub(super) seq: u64,
}

impl Oracle {
    /// Time passes: what has expired is no more.
    pub(super) fn expire(&mut self, now: i64) {
        self.points.retain(|_, point| point.expires_at.is_none_or(|at| at > now));
    }

    /// The first condition of a batch that does not hold.
    pub(super) fn unmet(&self, batch: &Batch) -> Option<String> {
        let is_met = |id: &PointId, expect: Expect| match (expect, self.points.get(id)) {
            (Expect::Absent, found) => found.is_none(),
            (Expect::Present, found) => found.is_some(),
            (Expect::Etag(etag), found) => found.is_some_and(|point| point.etag == Some(etag)),
        };
        let unmet = batch.preconditions.iter().position(|condition| !is_met(&condition.id, condition.expect));
        unmet.map(|index| format!("preconditions[{index}]"))
    }

    /// Applies a batch; how many points were upserted, deleted, updated and missing.
    pub(super) fn write(&mut self, batch: &Batch) -> [usize; 4] {
        let [mut upserted, mut deleted, mut updated, mut missing] = [0; 4];
        self.seq += 1;
        for op in &batch.ops {
            match op {
                Op::Upsert(point) => {
                    upserted += 1;
                    self.points.insert(point.id.clone(), self.stored(point));
                }
                Op::Update(update) => match self.points.get_mut(&update.id) {
                    Some(point) => {
                        updated += 1;
                        change(point, update);
                        point.etag = Some(self.seq);
                    }
                    None => missing += 1,
                },
                Op::Delete(id) => deleted += usize::from(self.points.remove(id).is_some()),
            }
        }
        [upserted, deleted, updated, missing]
    }

    pub(super) fn stored(&self, point: &Point) -> Point {
        let mut point = Point { etag: Some(self.seq), ..point.clone() };
        if self.metric == Metric::Cosine {
            point.vector = point.vector.map(|vector| unit(&vector));
        }
        point
    }

    pub(super) fn matching<'a>(&'a self, filter: Option<&'a Filter>) -> impl Iterator<Item = &'a Point> {
        self.points.values().filter(move |point| filter.is_none_or(|filter| passes(filter, point)))
    }

    /// Scores of all matching rows, best first.
    pub(super) fn scores<'a>(&'a self, query: &[f32], filter: Option<&'a Filter>) -> Vec<(f32, &'a PointId)> {
        let mut scores: Vec<(f32, &PointId)> = self
            .matching(filter)
            .filter_map(|point| Some((self.score(query, point.vector.as_ref()?), &point.id)))
            .collect();
        let is_distance = self.metric == Metric::L2;
        scores.sort_by(|a, b| if is_distance { a.0.total_cmp(&b.0) } else { b.0.total_cmp(&a.0) });
        scores
    }

    pub(super) fn score(&self, query: &[f32], row: &[f32]) -> f32 {
        let pairs = |f: fn(f64, f64) -> f64, query: &[f32]| -> f64 {
            query.iter().zip(row).map(|(a, b)| f(f64::from(*a), f64::from(*b))).sum()
        };
        match self.metric {
            Metric::Cosine => pairs(|a, b| a * b, &unit(query)) as f32,
            Metric::Dot => pairs(|a, b| a * b, query) as f32,
            Metric::L2 => pairs(|a, b| (a - b).powi(2), query).sqrt() as f32,
        }
    }
}

/// What an update makes of a row.
pub(super) fn change(point: &mut Point, update: &Update) {
    point.expires_at = update.expires_at.unwrap_or(point.expires_at);
    point.payload.extend(update.set.clone());
    point.payload.retain(|name, _| !update.unset.contains(name));
}
