//! A database under random writes, seals, merges, crashes and reopenings, and what should be in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ragstone::{
    Analyzer, Batch, Clock, Db, DbOptions, DenseOptions, FieldType, Filter, GraphOptions, Metric,
    MultiOptions, Point, PointId, Range, Schema, Update, Value, View,
};

use super::kinds::{text, vector};

pub(crate) const DIMENSION: usize = 6;

/// SplitMix64 (Steele, Lea and Flood 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn is_one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    pub(crate) fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize].clone()
    }

    pub(crate) fn id(&mut self) -> PointId {
        let number = self.below(400);
        if number.is_multiple_of(4) { PointId::Str(format!("id-{number}")) } else { PointId::Num(number) }
    }

    pub(crate) fn filter(&mut self, depth: u64) -> Filter {
        match self.below(if depth == 0 { 4 } else { 7 }) {
            0 => Filter::eq("topic", self.pick(&["tea", "sun", "moon"])),
            1 => {
                let years = (0..self.below(6)).map(|_| Value::Int(self.below(20) as i64)).collect();
                Filter::In("year".into(), years)
            }
            2 => {
                let high = Value::Float(self.below(8) as f64 / 2.0);
                Filter::Range("weight".into(), Range { lt: Some(high), ..Range::default() })
            }
            3 => Filter::eq("draft", self.is_one_in(2)),
            4 => Filter::And((0..self.below(3)).map(|_| self.filter(depth - 1)).collect()),
            5 => Filter::Or((0..self.below(3)).map(|_| self.filter(depth - 1)).collect()),
            _ => Filter::Not(Box::new(self.filter(depth - 1))),
        }
    }

    pub(crate) fn any_filter(&mut self) -> Option<Filter> {
        (!self.is_one_in(2)).then(|| self.filter(2))
    }
}

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
        let component = |random: &mut Random| match self {
            Numbers::Whole => random.below(7) as f32 - 3.0,
            Numbers::Any(_) => (random.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0,
        };
        (0..DIMENSION).map(|_| component(random)).collect()
    }
}

pub(crate) const FIELDS: [(&str, FieldType); 6] = [
    ("year", FieldType::Int),
    ("topic", FieldType::String),
    ("weight", FieldType::Float),
    ("draft", FieldType::Bool),
    ("title", FieldType::String),
    ("at", FieldType::Timestamp),
];

/// A collection, and what should be in it.
pub(crate) struct World {
    now: Arc<AtomicI64>,
    directory: tempfile::TempDir,
    db: Option<Db>,
    in_background: bool,
    pub(crate) numbers: Numbers,
    pub(crate) points: BTreeMap<PointId, Point>,
    pub(crate) random: Random,
}

impl World {
    pub(crate) fn new(numbers: Numbers, seed: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (points, random) = (BTreeMap::new(), Random(seed));
        let (now, db, in_background) = (Arc::default(), None, false);
        let mut world = Self { now, directory, db, in_background, numbers, points, random };
        world.reopen();
        let graph = GraphOptions { degree: 12, ef_construction: 60 };
        let mut schema = Schema::builder(DIMENSION).metric(numbers.metric()).graph(graph);
        for (name, field_type) in FIELDS {
            schema = schema.field(name, field_type);
        }
        let schema = schema
            .vector("half", DenseOptions::new(4).metric(Metric::Dot).graph(graph))
            .multi("late", MultiOptions::new(3).metric(Metric::Dot))
            .sparse("words")
            .text("title", Analyzer::Standard);
        world.db().create_collection("c", schema.build().unwrap()).unwrap();
        world
    }

    fn db(&self) -> &Db {
        self.db.as_ref().expect("the database is open between steps")
    }

    pub(crate) fn view(&self) -> View {
        self.db().collection("c").unwrap().view()
    }

    fn reopen(&mut self) {
        self.db = None;
        let mut options = DbOptions::default();
        options.seal_rows = 150;
        self.in_background = self.random.is_one_in(2);
        options.background = self.in_background;
        let now = self.now.clone();
        options.clock = Clock::new(move || now.load(Ordering::SeqCst));
        self.db = Some(Db::open_with(self.directory.path(), options).unwrap());
    }

    /// Goes on with the files as they are while the database is open: what a killed process leaves. With threads in the
    /// background they may change while they are copied, so then it is closed first.
    fn crash(&mut self) {
        if self.in_background {
            self.db = None;
        }
        let after = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(self.directory.path()).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), after.path().join(entry.file_name())).unwrap();
        }
        self.db = None;
        self.directory = after;
        self.reopen();
    }

    fn point(&mut self) -> Point {
        let random = &mut self.random;
        let mut point = Point::new(random.id(), self.numbers.vector(random));
        if random.is_one_in(8) {
            point.vector = None;
        }
        let fields: [(&str, Value); 6] = [
            ("year", Value::Int(random.below(20) as i64 - 10)),
            ("topic", random.pick(&["tea", "sun", "rain", "snow"]).into()),
            ("weight", Value::Float(random.below(8) as f64 / 2.0 - 2.0)),
            ("draft", Value::Bool(random.is_one_in(2))),
            ("title", text(random).into()),
            ("at", Value::Timestamp(random.below(50) as i64 - 25)),
        ];
        for (name, value) in fields {
            if !random.is_one_in(4) {
                point = point.with(name, value);
            }
        }
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
        Some(self.now.load(Ordering::SeqCst) + after)
    }

    /// Changes some fields, takes others away.
    fn update(&mut self) -> Update {
        let mut update = Update { set: self.point().payload, ..Update::new(self.random.id()) };
        for (field, _) in FIELDS {
            match self.random.below(3) {
                0 => update.set.retain(|name, _| name != field),
                1 if !update.set.contains_key(field) => update = update.unset(field),
                _ => {}
            }
        }
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
        self.db().collection("c").unwrap().write(batch).unwrap();
    }

    /// Something happens.
    pub(crate) fn step(&mut self) {
        let now = 1 + self.now.fetch_add(1, Ordering::SeqCst);
        self.points.retain(|_, point| point.expires_at.is_none_or(|at| at > now));
        match self.random.below(16) {
            0 => self.reopen(),
            1 => self.db().flush().unwrap(),
            2 => self.db().compact().unwrap(),
            3 | 4 => self.crash(),
            _ => {
                let size = self.random.pick(&[1, 3, 40, 200]);
                self.write_some(size);
            }
        }
    }
}

pub(crate) fn unit(vector: &[f32]) -> Vec<f32> {
    let length = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    vector.iter().map(|x| (f64::from(*x) / length) as f32).collect()
}

/// What the documentation of [`Filter`] says, naively.
pub(crate) fn passes(filter: &Filter, point: &Point) -> bool {
    match filter {
        Filter::Eq(field, value) => point.payload.get(field) == Some(value),
        Filter::In(field, values) => point.payload.get(field).is_some_and(|value| values.contains(value)),
        Filter::Range(field, range) => match (point.payload.get(field), &range.lt) {
            (Some(Value::Float(value)), Some(Value::Float(high))) => value < high,
            _ => false,
        },
        Filter::And(filters) => filters.iter().all(|filter| passes(filter, point)),
        Filter::Or(filters) => filters.iter().any(|filter| passes(filter, point)),
        Filter::Not(filter) => !passes(filter, point),
        other => panic!("no {other:?} is made here"),
    }
}
