//! A database under random writes, seals, merges, crashes and reopenings, and what should be in it.

use std::collections::BTreeMap;

use ragstone::{
    Batch, DenseOptions, Filter, GraphOptions, Metric, MultiOptions, Point, PointId, Schema, Update, View,
};

use super::kinds::vector;
use super::support::{
    CUSTOMER, Random, Store, TENANT, declare, of_handle, of_read, of_rows, passes, payload, unit, update,
};

const DIMENSION: usize = 6;
const HALF_DIMENSION: usize = 4;

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

    pub(crate) fn components(self, random: &mut Random, count: usize) -> Vec<f32> {
        match self {
            Numbers::Whole => (0..count).map(|_| random.below(7) as f32 - 3.0).collect(),
            Numbers::Any(_) => random.components(count),
        }
    }

    /// A dense vector of a name.
    pub(crate) fn dense(self, random: &mut Random, name: &str) -> Vec<f32> {
        self.components(random, if name.is_empty() { DIMENSION } else { HALF_DIMENSION })
    }
}

/// A collection, and what should be in it.
pub(crate) struct World {
    pub(crate) store: Store,
    /// The collection's tenant key.
    tenant: Option<&'static str>,
    /// Whether the collection refuses fields that it does not know.
    pub(crate) strict: bool,
    pub(crate) numbers: Numbers,
    pub(crate) points: BTreeMap<PointId, Point>,
    /// What there is beside them, and is not shown.
    pub(crate) unseen: BTreeMap<PointId, Point>,
    /// Which fields are there of those that come later.
    pub(crate) later: Vec<&'static str>,
    /// The fields that are searched by word.
    pub(crate) texts: Vec<&'static str>,
    /// What reads are of, if not of what is there now.
    shown: Option<View>,
    /// A view of another time.
    pub(crate) held: Option<Held>,
    pub(crate) random: Random,
}

/// A view, and what was there when it was had.
pub(crate) struct Held {
    view: Option<View>,
    points: BTreeMap<PointId, Point>,
    later: Vec<&'static str>,
    texts: Vec<&'static str>,
}

impl World {
    pub(crate) fn new(numbers: Numbers, seed: u64) -> Self {
        Self::with(numbers, seed, (None, false))
    }

    /// Of a collection with a tenant key.
    pub(crate) fn of_tenants(numbers: Numbers, seed: u64) -> Self {
        Self::with(numbers, seed, (Some(TENANT), false))
    }

    /// Of a collection whose tenant key is a number.
    pub(crate) fn of_customers(numbers: Numbers, seed: u64) -> Self {
        Self::with(numbers, seed, (Some(CUSTOMER), false))
    }

    /// Of a collection that takes no fields but those that were declared or added.
    pub(crate) fn strict(numbers: Numbers, seed: u64) -> Self {
        Self::with(numbers, seed, (None, true))
    }

    fn with(numbers: Numbers, seed: u64, (tenant, strict): (Option<&'static str>, bool)) -> Self {
        let mut random = Random(seed);
        let graph = GraphOptions { degree: 12, ef_construction: 60 };
        let schema = Schema::builder(DIMENSION).metric(numbers.metric()).graph(graph).strict(strict);
        let schema = declare(schema, tenant)
            .vector("half", DenseOptions::new(HALF_DIMENSION).metric(Metric::Dot).graph(graph))
            .multi("late", MultiOptions::new(3).metric(Metric::Dot))
            .sparse("words");
        Self {
            store: Store::new(schema.build().unwrap(), 150, &mut random),
            tenant,
            strict,
            numbers,
            points: BTreeMap::new(),
            unseen: BTreeMap::new(),
            later: Vec::new(),
            texts: vec!["title"],
            shown: None,
            held: None,
            random,
        }
    }

    pub(crate) fn view(&self) -> View {
        self.shown.clone().unwrap_or_else(|| self.store.collection().view())
    }

    /// Keeps a view of what is there now.
    fn hold(&mut self) {
        self.held = Some(Held {
            view: Some(self.store.collection().view()),
            points: self.points.clone(),
            later: self.later.clone(),
            texts: self.texts.clone(),
        });
    }

    /// What a handle shows that shows some rows alone. All others are unseen from now on.
    pub(crate) fn within(&mut self) -> Held {
        let rows = of_handle(&mut self.random, self.tenant);
        let (points, unseen) =
            self.points.clone().into_iter().partition(|(_, point)| passes(rows.filter(), point));
        self.unseen = unseen;
        let view = Some(self.store.within(&rows).view());
        Held { view, points, later: self.later.clone(), texts: self.texts.clone() }
    }

    /// Has reads be of another time, and of this one again when it is done once more.
    pub(crate) fn swap(&mut self, held: &mut Held) {
        std::mem::swap(&mut self.shown, &mut held.view);
        std::mem::swap(&mut self.points, &mut held.points);
        std::mem::swap(&mut self.later, &mut held.later);
        std::mem::swap(&mut self.texts, &mut held.texts);
    }

    /// Whatever time reads are of, what has expired by now is not seen.
    pub(crate) fn expire(&mut self) {
        let now = self.store.now();
        self.points.retain(|_, point| point.expires_at.is_none_or(|at| at > now));
    }

    /// The filter of a read.
    pub(crate) fn any_filter(&mut self) -> Option<Filter> {
        let filter = match (of_read(&mut self.random, self.tenant), self.later_condition()) {
            (None, later) => later,
            (filter, None) => filter,
            // Whose rows are meant is said at the root.
            (Some(Filter::And(filters)), Some(later)) => {
                Some(Filter::And(filters.into_iter().chain([later]).collect()))
            }
            (Some(filter), Some(later)) => Some(Filter::And(vec![filter, later])),
        };
        filter.inspect(|filter| self.check_text(filter))
    }

    /// A filter is the one that it is printed as, also where the fields say of which types its values are.
    fn check_text(&self, filter: &Filter) {
        let (schema, text) = (self.store.collection().schema(), filter.to_string());
        let is_text = |field: &str| schema.texts().contains_key(field);
        let read = Filter::parse_for_texts(&text, schema.fields(), is_text);
        assert_eq!(read.as_ref(), Ok(filter), "{text}");
    }

    pub(crate) fn point(&mut self) -> Point {
        let random = &mut self.random;
        let mut point = Point::new(random.id(), self.numbers.dense(random, ""));
        if random.is_one_in(8) {
            point.vector = None;
        }
        point.payload = payload(random, self.tenant);
        self.give_later(&mut point.payload);
        for name in ["half", "late", "words"] {
            if self.random.is_one_in(2) {
                point = point.with_vector(name, vector(self.numbers, &mut self.random, name));
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
        let mut update = update(&mut self.random, self.tenant);
        self.change_later(&mut update);
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
        self.expire();
        if self.random.is_one_in(8) {
            self.hold();
        }
        match self.random.below(27) {
            0 => self.store.reopen(&mut self.random),
            1 => self.store.db().flush().unwrap(),
            2 => self.store.db().compact().unwrap(),
            3 | 4 => {
                // The files that it reads go with their directory.
                self.held = None;
                self.store.crash(&mut self.random);
            }
            5 => {
                let filter = of_rows(&mut self.random, self.tenant);
                let before = self.points.len();
                self.points.retain(|_, point| !passes(&filter, point));
                let receipt = self.store.collection().delete_where(&filter).unwrap();
                assert_eq!(receipt.deleted, before - self.points.len(), "{filter:?}");
            }
            6 => self.add_field(),
            7 => self.add_text(),
            8 if self.strict => self.write_undeclared(),
            _ => {
                let size = self.random.pick(&[1, 3, 40, 200]);
                self.write_some(size);
            }
        }
        self.learn();
    }
}
