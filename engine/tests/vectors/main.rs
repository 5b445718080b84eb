//! Several vectors for each row, any of them absent, against an oracle: an ordered map and brute force.
//!
//! Random batches, flushes, compactions, reopenings and crashes from a seed. After each, points must come back with all their
//! vectors, and searches of each vector must return what brute force does, never fewer rows than match.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod points;
#[expect(dead_code, unused_imports, reason = "no time passes here, and rows have one field")]
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;

use points::{dense, score, stored, vector_of};
use ragstone::{
    Batch, Db, DenseOptions, ElementType, EncodingKind, Error, FieldType, Filter, GraphOptions, Metric,
    MultiOptions, Op, Point, PointId, RangeRequest, Schema, SchemaBuilder, ScrollRequest, SearchRequest,
};
use support::{Random, Store, unit};

struct Run {
    store: Store,
    schema: Schema,
    points: BTreeMap<PointId, Point>,
    random: Random,
    found: usize,
    wanted: usize,
}

impl Run {
    fn new(schema: Schema, seed: u64) -> Self {
        let mut random = Random(seed);
        let store = Store::new(schema.clone(), 200, &mut random);
        Self { store, schema, points: BTreeMap::new(), random, found: 0, wanted: 0 }
    }

    fn write(&mut self) {
        let size = [1, 3, 40, 150][self.random.below(4) as usize];
        let mut batch = Batch::new();
        for _ in 0..size {
            batch = match self.random.below(4) {
                0 => batch.delete(self.random.id()),
                _ => batch.upsert(self.random.point(&self.schema)),
            };
        }
        for op in &batch.ops {
            match op {
                Op::Upsert(point) => {
                    self.points.insert(point.id.clone(), stored(point.clone(), &self.schema));
                }
                Op::Delete(id) => drop(self.points.remove(id)),
                Op::Update(_) => {}
            }
        }
        self.store.collection().write(batch).unwrap();
    }

    fn step(&mut self) {
        match self.random.below(20) {
            0 => self.store.reopen(&mut self.random),
            1 => self.store.db().flush().unwrap(),
            2 => self.store.db().compact().unwrap(),
            3 => self.store.crash(&mut self.random),
            _ => self.write(),
        }
        self.check_points();
        let names: Vec<String> = dense(&self.schema).iter().map(|(name, _)| (*name).to_owned()).collect();
        for name in names {
            self.check_search(&name);
            self.check_range(&name);
        }
    }

    fn check_points(&self) {
        let view = self.store.collection().view();
        let request = ScrollRequest { limit: 1_000, with_vectors: true, ..ScrollRequest::default() };
        let expected: Vec<Point> = self.points.values().cloned().collect();
        let without_etag = |point: Point| Point { etag: None, ..point };
        let found: Vec<Point> = view.scroll(&request).unwrap().points.into_iter().map(without_etag).collect();
        assert_eq!(found, expected);
        let ids: Vec<PointId> = self.points.keys().cloned().collect();
        let found: Vec<Point> = view.get(&ids).unwrap().into_iter().flatten().map(without_etag).collect();
        assert_eq!(found, expected);
        if let Some((first, _)) = dense(&self.schema).first() {
            let info = self.store.collection().info();
            let with = expected.iter().filter(|point| vector_of(point, first).is_some()).count();
            assert_eq!(info.vectors, with as u64);
        }
    }

    fn truth(&self, name: &str, query: &[f32], filter: Option<i64>) -> Vec<(f32, &PointId)> {
        let options = dense(&self.schema).into_iter().find(|(found, _)| *found == name).unwrap().1;
        let passes = |point: &&Point| filter.is_none_or(|group| point.payload["group"] == group.into());
        let mut scores: Vec<(f32, &PointId)> = self
            .points
            .values()
            .filter(passes)
            .filter_map(|point| Some((score(options.metric, query, vector_of(point, name)?), &point.id)))
            .collect();
        let is_distance = options.metric == Metric::L2;
        scores.sort_by(|a, b| if is_distance { a.0.total_cmp(&b.0) } else { b.0.total_cmp(&a.0) });
        scores
    }

    fn query(&mut self, name: &str) -> (Vec<f32>, Option<i64>) {
        let dimension =
            dense(&self.schema).into_iter().find(|(found, _)| *found == name).unwrap().1.dimension;
        let group = (self.random.below(2) == 0).then(|| self.random.below(5) as i64);
        (self.random.components(dimension), group)
    }

    fn check_search(&mut self, name: &str) {
        let (query, group) = self.query(name);
        let k = 1 + self.random.below(20) as usize;
        let mut request = SearchRequest::new(query.clone(), k).of(name);
        request.filter = group.map(|group| Filter::eq("group", group));
        let view = self.store.collection().view();
        let (exact, walked) =
            (view.search(&request.clone().exact()).unwrap(), view.search(&request).unwrap());
        let truth = self.truth(name, &query, group);
        let expected = &truth[..k.min(truth.len())];
        assert_eq!((exact.hits.len(), walked.hits.len()), (expected.len(), expected.len()), "`{name}`");
        for (hit, (score, _)) in exact.hits.iter().zip(expected) {
            assert!((hit.score - score).abs() < 1e-4, "`{name}`: {} {score}", hit.score);
        }
        let scores: BTreeMap<&PointId, f32> = truth.iter().map(|(score, id)| (*id, *score)).collect();
        let mut found = 0;
        for hit in &walked.hits {
            assert!((hit.score - scores[&hit.id]).abs() < 1e-4, "`{name}`");
            found += usize::from(expected.iter().any(|(_, id)| **id == hit.id));
        }
        let wanted = expected.len();
        (self.found, self.wanted) = (self.found + found, self.wanted + wanted);
    }

    fn check_range(&mut self, name: &str) {
        let (query, group) = self.query(name);
        let rows = self.random.below(30) as usize;
        let truth = self.truth(name, &query, group);
        let Some([(last, _), (next, _)]) = truth.get(rows.wrapping_sub(1)..rows + 1) else { return };
        if (last - next).abs() < 1e-4 {
            return;
        }
        let mut expected: Vec<&PointId> = truth[..rows].iter().map(|(_, id)| *id).collect();
        expected.sort();
        let mut request = RangeRequest::new(query, (last + next) / 2.0).of(name).exact();
        request.filter = group.map(|group| Filter::eq("group", group));
        let response = self.store.collection().search_range(&request).unwrap();
        let mut found: Vec<&PointId> = response.hits.iter().map(|hit| &hit.id).collect();
        found.sort();
        assert_eq!(found, expected, "`{name}`");
    }
}

fn options(dimension: usize, metric: Metric, encoding: EncodingKind) -> DenseOptions {
    let graph = GraphOptions { degree: 12, ef_construction: 60 };
    DenseOptions::new(dimension).metric(metric).encoding(encoding).graph(graph)
}

fn run(schema: SchemaBuilder, seed: u64) {
    let mut run = Run::new(schema.field("group", FieldType::Int).build().unwrap(), seed);
    for _ in 0..90 {
        run.step();
    }
    let recall = run.found as f64 / run.wanted.max(1) as f64;
    assert!(run.wanted == 0 || recall > 0.97, "recall is {recall}");
}

#[test]
fn beside_the_default_vector() {
    for seed in [1, 2] {
        let schema = Schema::builder(8)
            .graph(GraphOptions { degree: 12, ef_construction: 60 })
            .vector("a", options(5, Metric::L2, EncodingKind::F32))
            .vector("be", options(12, Metric::Dot, EncodingKind::Int8));
        run(schema, seed);
    }
}

/// The first by name takes the place of the default one.
#[test]
fn without_the_default_vector() {
    let schema = Schema::without_vector()
        .vector("ab", options(6, Metric::Cosine, EncodingKind::Int4).element(ElementType::F16))
        .vector("b", options(130, Metric::Cosine, EncodingKind::Int4))
        .vector("c", options(7, Metric::L2, EncodingKind::Bit1));
    run(schema, 3);
}

/// Rounded when they are written, so that nothing changes when they are sealed.
#[test]
fn of_half_floats() {
    let half = |dimension, metric, encoding| options(dimension, metric, encoding).element(ElementType::F16);
    let schema = Schema::builder(9)
        .element(ElementType::F16)
        .vector("a", half(5, Metric::L2, EncodingKind::F32))
        .vector("be", half(12, Metric::Dot, EncodingKind::F32).walk_dimension(8))
        .vector("def", half(20, Metric::Dot, EncodingKind::F16));
    run(schema, 5);
}

#[test]
fn beside_sparse_ones_and_many_of_a_row() {
    let late = MultiOptions::new(5);
    let schema = Schema::without_vector()
        .multi("a", late)
        .vector("b", options(6, Metric::Cosine, EncodingKind::Int4))
        .sparse("c")
        .multi("d", late.metric(Metric::Dot).element(ElementType::F16));
    run(schema, 6);
}

#[test]
fn without_any_vector() {
    run(Schema::without_vector(), 4);
}

/// Large enough for the graphs of sparse vectors to be walked, grown, sealed and merged.
#[test]
fn graphs_of_vectors_that_rows_lack_are_walked() {
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(directory.path()).unwrap();
    let schema = Schema::builder(4).vector("half", options(8, Metric::Cosine, EncodingKind::Int4));
    let collection = db.create_collection("c", schema.build().unwrap()).unwrap();
    let mut random = Random(9);
    let mut points = Vec::new();
    for round in 0..4u64 {
        for id in round * 2_000..(round + 1) * 2_000 {
            let mut point = Point::new(id, random.components(4)).with("group", (id % 3) as i64);
            if random.below(2) == 0 {
                point = point.with_vector("half", random.components(8));
            }
            points.push(point);
        }
        collection.upsert(points[points.len() - 2_000..].to_vec()).unwrap();
        match round {
            0 | 1 => db.flush().unwrap(),
            2 => db.compact().unwrap(),
            _ => {}
        }
    }
    for group in [None, Some(1i64)] {
        let (mut found, mut walked) = (0, 0);
        for _ in 0..40 {
            let mut request = SearchRequest::new(random.components(8), 10).of("half");
            request.filter = group.map(|group| Filter::eq("group", group));
            let response = collection.search(&request).unwrap();
            walked += usize::from(!response.stats.exact);
            let mut truth: Vec<(f32, &PointId)> = points
                .iter()
                .filter(|point| group.is_none_or(|group| point.payload["group"] == group.into()))
                .filter_map(|point| {
                    let row = unit(vector_of(point, "half")?);
                    Some((score(Metric::Cosine, &request.vector, &row), &point.id))
                })
                .collect();
            truth.sort_by(|a, b| b.0.total_cmp(&a.0));
            found +=
                response.hits.iter().filter(|hit| truth[..10].iter().any(|(_, id)| **id == hit.id)).count();
        }
        assert!(walked > 0 && found >= 380, "{group:?}: walked {walked} times, {found} of 400");
    }
}

#[test]
fn vectors_are_named_in_errors() {
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(directory.path()).unwrap();
    let schema = Schema::without_vector().vector("a", DenseOptions::new(2)).sparse("s").build().unwrap();
    let collection = db.create_collection("c", schema).unwrap();
    let reason = |request: SearchRequest| match collection.search(&request).unwrap_err() {
        Error::Invalid { field, reason } => format!("{field}: {reason}"),
        other => panic!("{other:?}"),
    };
    let request = SearchRequest::new([1.0, 0.0], 1);
    assert_eq!(reason(request.clone()), "vector_name: the collection has no default vector, only `a`, `s`");
    assert_eq!(
        reason(request.clone().of("b")),
        "vector_name: the collection has no vector `b`, only `a`, `s`"
    );
    assert_eq!(
        reason(request.clone().of("s")),
        "vector_name: the vector `s` is sparse, this is for dense ones"
    );
    assert!(
        reason(SearchRequest::new([1.0], 1).of("a")).starts_with("vector: the collection has vectors of 2")
    );
}
