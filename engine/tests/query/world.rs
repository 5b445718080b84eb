//! A database under random writes, seals, merges, crashes and reopenings, and what should be in it.

use std::collections::BTreeMap;

use ragstone::{
    Batch, DenseOptions, GraphOptions, Metric, MultiOptions, Point, PointId, Schema, Update, View,
};

use super::kinds::vector;
use super::support::{Random, Store, declare, of_read, of_rows, passes, payload, unit, update};

pub(crate) const DIMENSION: usize = 6;

/// Of what rows and queries are made.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Numbers {
    /// Small whole numbers under the inner product: scores are exact, and many are equal.
    Whole,
    /// Any numbers under a metric.
    Any(Metric),
}

impl Numbers {
    pub(crate) fn metric(self) -> Metric {
        match self {
            Numbers::Whole => Metric::Dot,
            Numbers::Any(metric) => metric,
        }
    }

    pub(crate) fn vector(self, random: &mut Random) -> Vec<f32> {
        match self {
            Numbers::Whole => (0..DIMENSION).map(|_| random.below(7) as f32 - 3.0).collect(),
            Numbers::Any(_) => random.components(DIMENSION),
        }
    }
}

/// A collection, and what should be in it.
pub(crate) struct World {
    store: Store,
    /// Whether the collection has a tenant key.
    by_tenant: bool,
    pub(crate) numbers: Numbers,
    pub(crate) points: BTreeMap<PointId, Point>,
    pub(crate) random: Random,
}

impl World {
    pub(crate) fn new(numbers: Numbers, seed: u64) -> Self {
        Self::with(numbers, seed, false)
    }

    /// Of a collection with a tenant key.
    pub(crate) fn of_tenants(numbers: Numbers, seed: u64) -> Self {
        Self::with(numbers, seed, true)
    }

    fn with(numbers: Numbers, seed: u64, by_tenant: bool) -> Self {
        let mut random = Random(seed);
        let graph = GraphOptions { degree: 12, ef_construction: 60 };
        let schema = Schema::builder(DIMENSION).metric(numbers.metric()).graph(graph);
        let schema = declare(schema, by_tenant)
            .vector("half", DenseOptions::new(4).metric(Metric::Dot).graph(graph))
            .multi("late", MultiOptions::new(3).metric(Metric::Dot))
            .sparse("words");
        let store = Store::new(schema.build().unwrap(), 150, &mut random);
        Self { store, by_tenant, numbers, points: BTreeMap::new(), random }
    }

    pub(crate) fn view(&self) -> View {
        self.store.collection().view()
    }

    /// The filter of a read.
    pub(crate) fn any_filter(&mut self) -> Option<ragstone::Filter> {
        of_read(&mut self.random, self.by_tenant)
    }

    fn point(&mut self) -> Point {
        let random = &mut self.random;
        let mut point = Point::new(random.id(), self.numbers.vector(random));
        if random.is_one_in(8) {
            point.vector = None;
        }
        point.payload = payload(random, self.by_tenant);
        for name in ["half", "late", "words"] {
            if self.random.is_one_in(2) {
                point = point.with_vector(name, vector(&mut self.random, name));
            }
        }
        point.expires_at = self.expiry();
        point
    }

    /// Few rows expire, some soon.
    fn expiry(&mut self) -> Option<i64> {
        let after = self.random.pick(&[None, None, None, None, Some(2), Some(60)])?;
        Some(self.store.now() + after)
    }

    fn update(&mut self) -> Update {
        let mut update = update(&mut self.random, self.by_tenant);
        if self.random.is_one_in(4) {
            update.expires_at = Some(self.expiry());
        }
        update
    }

    pub(crate) fn write_some(&mut self, size: usize) {
        let mut batch = Batch::new();
        for _ in 0..size {
            if self.random.is_one_in(4) {
                let id = self.random.id();
                self.points.remove(&id);
                batch = batch.delete(id);
            } else if self.random.is_one_in(3) {
                let update = self.update();
                if let Some(point) = self.points.get_mut(&update.id) {
                    point.expires_at = update.expires_at.unwrap_or(point.expires_at);
                    point.payload.extend(update.set.clone());
                    point.payload.retain(|name, _| !update.unset.contains(name));
                }
                batch = batch.update(update);
            } else {
                let point = self.point();
                let mut stored = point.clone();
                if self.numbers.metric() == Metric::Cosine {
                    stored.vector = stored.vector.map(|vector| unit(&vector));
                }
                self.points.insert(point.id.clone(), stored);
                batch = batch.upsert(point);
            }
        }
        self.store.collection().write(batch).unwrap();
    }

    /// Something happens.
    pub(crate) fn step(&mut self) {
        self.store.wait(1);
        let now = self.store.now();
        self.points.retain(|_, point| point.expires_at.is_none_or(|at| at > now));
        match self.random.below(24) {
            0 => self.store.reopen(&mut self.random),
            1 => self.store.db().flush().unwrap(),
            2 => self.store.db().compact().unwrap(),
            3 | 4 => self.store.crash(&mut self.random),
            5 => {
                let filter = of_rows(&mut self.random, self.by_tenant);
                let before = self.points.len();
                self.points.retain(|_, point| !passes(&filter, point));
                let receipt = self.store.collection().delete_where(&filter).unwrap();
                assert_eq!(receipt.deleted, before - self.points.len(), "{filter:?}");
            }
            _ => {
                let size = self.random.pick(&[1, 3, 40, 200]);
                self.write_some(size);
            }
        }
    }
}
