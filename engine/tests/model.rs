//! The engine against an oracle: an ordered map and brute force.
//!
//! Random operations from a seed run on a database with small segments and on the oracle: batches of upserts, deletes
//! and duplicates, flushes, compactions, reopenings, crashes. After each, reads must agree exactly, exact searches must return the same
//! scores, and graph searches must find nearly all of the true neighbours and never fewer rows than match.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use ragstone::{
    Batch, Db, DbOptions, FieldType, Filter, GraphOptions, Metric, Op, Point, PointId, Range, RangeRequest,
    Schema, ScrollRequest, SearchRequest, Value,
};

const DIMENSION: usize = 8;

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    /// Between -1 and 1.
    fn component(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    fn vector(&mut self) -> Vec<f32> {
        (0..DIMENSION).map(|_| self.component()).collect()
    }

    fn id(&mut self) -> PointId {
        let number = self.below(400);
        if number.is_multiple_of(4) { PointId::Str(format!("id-{number}")) } else { PointId::Num(number) }
    }

    fn point(&mut self) -> Point {
        let mut point = Point::new(self.id(), self.vector());
        if self.below(8) == 0 {
            point.vector = None;
        }
        let fields: [(&str, Value); 4] = [
            ("year", Value::Int(self.below(20) as i64)),
            ("topic", self.pick(&["tea", "sun", "rain", "snow"]).into()),
            ("weight", Value::Float(self.below(8) as f64 / 2.0)),
            ("draft", Value::Bool(self.below(2) == 0)),
        ];
        for (name, value) in fields {
            if self.below(4) > 0 {
                point = point.with(name, value);
            }
        }
        point
    }

    fn filter(&mut self, depth: u64) -> Filter {
        match self.below(if depth == 0 { 4 } else { 7 }) {
            0 => Filter::eq("topic", self.pick(&["tea", "sun", "moon"])),
            1 => {
                let years = (0..self.below(4)).map(|_| Value::Int(self.below(20) as i64)).collect();
                Filter::In("year".into(), years)
            }
            2 => {
                let (low, high) = (Value::Float(1.0), Value::Float(self.below(8) as f64 / 2.0));
                Filter::Range("weight".into(), Range { gte: Some(low), lt: Some(high), ..Range::default() })
            }
            3 => Filter::eq("draft", self.below(2) == 0),
            4 => Filter::And((0..self.below(3)).map(|_| self.filter(depth - 1)).collect()),
            5 => Filter::Or((0..self.below(3)).map(|_| self.filter(depth - 1)).collect()),
            _ => Filter::Not(Box::new(self.filter(depth - 1))),
        }
    }

    fn batch(&mut self) -> Batch {
        let size = self.pick(&[1, 1, 3, 40, 200]);
        let mut batch = Batch::new();
        for _ in 0..size {
            batch = if self.below(4) == 0 { batch.delete(self.id()) } else { batch.upsert(self.point()) };
        }
        batch
    }
}

/// What should be there.
struct Oracle {
    metric: Metric,
    points: BTreeMap<PointId, Point>,
    seq: u64,
}

impl Oracle {
    /// Applies a batch; how many points were upserted and deleted.
    fn write(&mut self, batch: &Batch) -> (usize, usize) {
        let (mut upserted, mut deleted) = (0, 0);
        for op in &batch.ops {
            match op {
                Op::Upsert(point) => {
                    upserted += 1;
                    self.points.insert(point.id.clone(), self.stored(point));
                }
                Op::Delete(id) => deleted += usize::from(self.points.remove(id).is_some()),
            }
        }
        self.seq += 1;
        (upserted, deleted)
    }

    fn stored(&self, point: &Point) -> Point {
        let mut point = point.clone();
        if self.metric == Metric::Cosine {
            point.vector = point.vector.map(|vector| unit(&vector));
        }
        point
    }

    fn matching<'a>(&'a self, filter: Option<&'a Filter>) -> impl Iterator<Item = &'a Point> {
        self.points.values().filter(move |point| filter.is_none_or(|filter| passes(filter, point)))
    }

    /// Scores of all matching rows, best first.
    fn scores<'a>(&'a self, query: &[f32], filter: Option<&'a Filter>) -> Vec<(f32, &'a PointId)> {
        let mut scores: Vec<(f32, &PointId)> = self
            .matching(filter)
            .filter_map(|point| Some((self.score(query, point.vector.as_ref()?), &point.id)))
            .collect();
        let is_distance = self.metric == Metric::L2;
        scores.sort_by(|a, b| if is_distance { a.0.total_cmp(&b.0) } else { b.0.total_cmp(&a.0) });
        scores
    }

    fn score(&self, query: &[f32], row: &[f32]) -> f32 {
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

fn unit(vector: &[f32]) -> Vec<f32> {
    let length = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    vector.iter().map(|x| (f64::from(*x) / length) as f32).collect()
}

/// What the documentation of [`Filter`] says, naively.
fn passes(filter: &Filter, point: &Point) -> bool {
    match filter {
        Filter::Eq(field, value) => point.payload.get(field) == Some(value),
        Filter::In(field, values) => point.payload.get(field).is_some_and(|value| values.contains(value)),
        Filter::Range(field, range) => match (point.payload.get(field), &range.gte, &range.lt) {
            (Some(Value::Float(value)), Some(Value::Float(low)), Some(Value::Float(high))) => {
                value >= low && value < high
            }
            _ => false,
        },
        Filter::And(filters) => filters.iter().all(|filter| passes(filter, point)),
        Filter::Or(filters) => filters.iter().any(|filter| passes(filter, point)),
        Filter::Not(filter) => !passes(filter, point),
    }
}

struct Run {
    directory: tempfile::TempDir,
    db: Option<Db>,
    in_background: bool,
    oracle: Oracle,
    random: Random,
    /// True neighbours found by graph searches, and how many there were.
    found: usize,
    wanted: usize,
}

impl Run {
    fn new(metric: Metric, seed: u64) -> Self {
        let oracle = Oracle { metric, points: BTreeMap::new(), seq: 0 };
        let directory = tempfile::tempdir().unwrap();
        let mut run = Self {
            directory,
            db: None,
            in_background: false,
            oracle,
            random: Random(seed),
            found: 0,
            wanted: 0,
        };
        run.reopen();
        let schema = Schema::builder(DIMENSION)
            .metric(metric)
            .graph(GraphOptions { degree: 12, ef_construction: 60 })
            .field("year", FieldType::Int)
            .field("topic", FieldType::String)
            .field("weight", FieldType::Float)
            .field("draft", FieldType::Bool);
        run.db().create_collection("c", schema.build().unwrap()).unwrap();
        run
    }

    fn db(&self) -> &Db {
        self.db.as_ref().expect("the database is open between steps")
    }

    fn reopen(&mut self) {
        self.db = None;
        let mut options = DbOptions::default();
        options.seal_rows = 150;
        self.in_background = self.random.below(2) == 0;
        options.background = self.in_background;
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

    fn step(&mut self) {
        match self.random.below(24) {
            0 => self.reopen(),
            1 => self.db().flush().unwrap(),
            2 => {
                self.db().compact().unwrap();
                assert!(self.db().collection("c").unwrap().info().segments <= 1);
            }
            3 | 4 => self.crash(),
            _ => {
                let batch = self.random.batch();
                let (upserted, deleted) = self.oracle.write(&batch);
                let receipt = self.db().collection("c").unwrap().write(batch).unwrap();
                let expected = (self.oracle.seq, upserted, deleted);
                assert_eq!((receipt.seq, receipt.upserted, receipt.deleted), expected);
            }
        }
        self.check_reads();
        for _ in 0..3 {
            self.check_search();
        }
        self.check_range();
    }

    fn check_reads(&mut self) {
        let view = self.db().collection("c").unwrap().view();
        let filter = if self.random.below(2) == 0 { None } else { Some(self.random.filter(2)) };
        let expected: Vec<Point> = self.oracle.matching(filter.as_ref()).cloned().collect();
        assert_eq!(view.count(filter.as_ref()).unwrap(), expected.len() as u64, "{filter:?}");
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let limit = 1 + self.random.below(200) as usize;
            let request = ScrollRequest {
                filter: filter.clone(),
                after,
                limit,
                with_vectors: true,
                ..ScrollRequest::default()
            };
            let page = view.scroll(&request).unwrap();
            assert!(page.points.len() == limit || page.next.is_none());
            found.extend(page.points);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "{filter:?}");
        let ids: Vec<PointId> = (0..20).map(|_| self.random.id()).collect();
        let points: Vec<Option<Point>> = ids.iter().map(|id| self.oracle.points.get(id).cloned()).collect();
        assert_eq!(view.get(&ids).unwrap(), points);
    }

    fn check_search(&mut self) {
        let view = self.db().collection("c").unwrap().view();
        let filter = if self.random.below(3) == 0 { None } else { Some(self.random.filter(2)) };
        let k = 1 + self.random.below(20) as usize;
        let mut request = SearchRequest::new(self.random.vector(), k);
        request.filter = filter.clone();
        let truth = self.oracle.scores(&request.vector, filter.as_ref());
        let expected = &truth[..k.min(truth.len())];

        let exact = view.search(&request.clone().exact()).unwrap();
        assert!(exact.stats.exact);
        let scores: Vec<f32> = exact.hits.iter().map(|hit| hit.score).collect();
        assert_eq!(scores.len(), expected.len(), "{filter:?}");
        for (score, (expected, _)) in scores.iter().zip(expected) {
            assert!((score - expected).abs() < 1e-4, "{score} {expected}");
        }
        let walked = view.search(&request).unwrap();
        assert_eq!(walked.hits.len(), expected.len(), "never fewer than match: {filter:?}");
        for hit in &walked.hits {
            let point = &self.oracle.points[&hit.id];
            assert!(filter.as_ref().is_none_or(|filter| passes(filter, point)));
            assert_eq!(hit.payload, point.payload);
            self.found += usize::from(expected.iter().any(|(_, id)| **id == hit.id));
        }
        self.wanted += expected.len();
    }

    fn check_range(&mut self) {
        let view = self.db().collection("c").unwrap().view();
        let filter = if self.random.below(3) == 0 { None } else { Some(self.random.filter(2)) };
        let vector = self.random.vector();
        let truth = self.oracle.scores(&vector, filter.as_ref());
        // A threshold between two rows that rounding cannot swap.
        let rows = self.random.below(1 + truth.len() as u64) as usize;
        let Some([(last, _), (next, _)]) = truth.get(rows.wrapping_sub(1)..rows + 1) else { return };
        if (last - next).abs() < 1e-4 {
            return;
        }
        let mut expected: Vec<&PointId> = truth[..rows].iter().map(|(_, id)| *id).collect();
        expected.sort();
        let mut request = RangeRequest::new(vector, (last + next) / 2.0);
        request.filter.clone_from(&filter);
        let walked = view.search_range(&request).unwrap();
        assert!(!walked.truncated);
        assert!(walked.hits.iter().all(|hit| expected.binary_search(&&hit.id).is_ok()));
        self.found += walked.hits.len();
        self.wanted += expected.len();
        let exact = view.search_range(&request.exact()).unwrap();
        let mut found: Vec<&PointId> = exact.hits.iter().map(|hit| &hit.id).collect();
        found.sort();
        assert_eq!(found, expected);
    }
}

fn run(metric: Metric, seed: u64) {
    let mut run = Run::new(metric, seed);
    for _ in 0..120 {
        run.step();
    }
    let recall = run.found as f64 / run.wanted as f64;
    assert!(recall > 0.97, "recall of {metric:?} is {recall}");
}

#[test]
fn cosine() {
    run(Metric::Cosine, 1);
    run(Metric::Cosine, 2);
}

#[test]
fn dot() {
    run(Metric::Dot, 3);
    run(Metric::Dot, 4);
}

#[test]
fn l2() {
    run(Metric::L2, 5);
    run(Metric::L2, 6);
}

/// Large enough for graphs to be walked, in sealed and growing segments, under filters of every strength.
#[test]
fn graphs_are_walked_and_filters_never_cost_results() {
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(directory.path()).unwrap();
    let schema = Schema::builder(DIMENSION).graph(GraphOptions { degree: 16, ef_construction: 80 });
    let collection = db.create_collection("c", schema.build().unwrap()).unwrap();
    let mut oracle = Oracle { metric: Metric::Cosine, points: BTreeMap::new(), seq: 0 };
    let mut random = Random(7);
    for (part, flush) in [(0..3_000u64, true), (3_000..6_000, false)] {
        let mut batch = Batch::new();
        for id in part {
            // Level 0 holds half of the rows, level 1 a quarter, and so on; the side goes with the vector.
            let vector = random.vector();
            let side = vector[0] > 0.0;
            batch = batch.upsert(
                Point::new(id, vector).with("level", i64::from(id.trailing_ones())).with("side", side),
            );
        }
        oracle.write(&batch);
        collection.write(batch).unwrap();
        if flush {
            db.flush().unwrap();
        }
    }
    let filters = (0..12).map(|level| Filter::eq("level", level)).chain([Filter::eq("side", true)]);
    let mut walked = 0;
    for filter in std::iter::once(None).chain(filters.map(Some)) {
        let (mut found, mut wanted) = (0, 0);
        for _ in 0..20 {
            let mut request = SearchRequest::new(random.vector(), 10);
            // Against the grain: the nearest rows are those that do not pass.
            request.vector[0] = -request.vector[0].abs();
            request.filter = filter.clone();
            let truth = oracle.scores(&request.vector, filter.as_ref());
            let expected = &truth[..truth.len().min(10)];
            let response = collection.search(&request).unwrap();
            assert_eq!(response.hits.len(), expected.len(), "{filter:?}");
            walked += usize::from(!response.stats.exact);
            wanted += expected.len();
            found += response.hits.iter().filter(|hit| expected.iter().any(|(_, id)| **id == hit.id)).count();
        }
        assert!(found as f64 >= 0.95 * wanted as f64, "{filter:?}: {found} of {wanted}");
    }
    assert!(walked >= 20, "graphs are walked: {walked} times");
}

/// Points that are rewritten again and again within one growing segment: its graph is repaired around the dead.
#[test]
fn churn_in_a_growing_segment_costs_no_recall() {
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(directory.path()).unwrap();
    let schema = Schema::builder(DIMENSION).graph(GraphOptions { degree: 16, ef_construction: 80 });
    let collection = db.create_collection("c", schema.build().unwrap()).unwrap();
    let mut oracle = Oracle { metric: Metric::Cosine, points: BTreeMap::new(), seq: 0 };
    let mut random = Random(8);
    for round in 0..12u64 {
        // All of them once, then a quarter in each round.
        let ids = if round == 0 { 0..3_000 } else { (round % 4) * 750..(round % 4 + 1) * 750 };
        let batch = ids.fold(Batch::new(), |batch, id| batch.upsert(Point::new(id, random.vector())));
        oracle.write(&batch);
        collection.write(batch).unwrap();
    }
    // As it grew, and as it was sealed.
    for _ in 0..2 {
        let (mut found, mut walked) = (0, 0);
        for _ in 0..50 {
            let request = SearchRequest::new(random.vector(), 10);
            let truth = oracle.scores(&request.vector, None);
            let response = collection.search(&request).unwrap();
            walked += usize::from(!response.stats.exact);
            found +=
                response.hits.iter().filter(|hit| truth[..10].iter().any(|(_, id)| **id == hit.id)).count();
        }
        assert_eq!(walked, 50);
        assert!(found >= 480, "{found} of 500");
        db.flush().unwrap();
    }
}
