//! The engine against an oracle: an ordered map and brute force.
//!
//! Random operations from a seed run on a database with small segments and on the oracle: batches of upserts, updates, deletes
//! and duplicates, with conditions and ids of requests, deletions by filter, time that passes, flushes, compactions, reopenings,
//! crashes; on collections with a tenant key and without, and through handles that show some rows alone. After each, reads must agree
//! exactly, under filters of every kind, exact searches must return the same scores, and graph searches must find nearly all of the
//! true neighbours and never fewer rows than match.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod handles;
mod oracle;
mod random;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;

use ragstone::query::Select;
use ragstone::{
    Batch, Db, Error, Expect, Filter, GraphOptions, Metric, Point, PointId, RangeRequest, Schema,
    ScrollRequest, SearchRequest, View, WriteReceipt,
};

use oracle::Oracle;
use support::{CUSTOMER, Random, Store, TENANT, declare, of_read, of_rows, passes};

const DIMENSION: usize = 8;

struct Run {
    store: Store,
    /// The collection's tenant key.
    tenant: Option<&'static str>,
    oracle: Oracle,
    /// Requests that were done.
    requests: Vec<(String, WriteReceipt)>,
    random: Random,
    /// True neighbours found by graph searches, and how many there were.
    found: usize,
    wanted: usize,
}

impl Run {
    fn new(metric: Metric, seed: u64, tenant: Option<&'static str>) -> Self {
        let graph = GraphOptions { degree: 12, ef_construction: 60 };
        let schema = declare(Schema::builder(DIMENSION).metric(metric).graph(graph), tenant);
        let mut random = Random(seed);
        Self {
            store: Store::new(schema.build().unwrap(), 150, &mut random),
            tenant,
            oracle: Oracle { metric, points: BTreeMap::new(), seq: 0 },
            requests: Vec::new(),
            random,
            found: 0,
            wanted: 0,
        }
    }

    fn step(&mut self) {
        self.store.wait(self.random.below(3) as i64);
        self.oracle.expire(self.store.now());
        match self.random.below(30) {
            0 => self.store.reopen(&mut self.random),
            1 => self.store.db().flush().unwrap(),
            2 => {
                self.store.db().compact().unwrap();
                assert!(self.store.collection().info().segments <= 1);
            }
            3 | 4 => self.store.crash(&mut self.random),
            5 | 6 => {
                let filter = of_rows(&mut self.random, self.tenant);
                let before = self.oracle.points.len();
                self.oracle.points.retain(|_, point| !passes(&filter, point));
                let deleted = before - self.oracle.points.len();
                self.oracle.seq += u64::from(deleted > 0);
                let receipt = self.store.collection().delete_where(&filter).unwrap();
                assert_eq!((receipt.seq, receipt.deleted), (self.oracle.seq, deleted), "{filter:?}");
            }
            7 if !self.requests.is_empty() => {
                // Whatever else is in it.
                let (id, receipt) =
                    self.requests[self.random.below(self.requests.len() as u64) as usize].clone();
                let batch = self.random.batch(self.tenant).request(id).expect(1, Expect::Etag(u64::MAX));
                let mut expected = receipt;
                expected.repeated = true;
                assert_eq!(self.store.collection().write(batch).unwrap(), expected);
            }
            _ => self.write(),
        }
        self.check_reads();
        for _ in 0..3 {
            self.check_search();
        }
        self.check_range();
    }

    fn write(&mut self) {
        let mut batch = self.random.batch(self.tenant);
        self.random.let_expire(&mut batch, self.store.now());
        for _ in 0..self.random.pick(&[0, 0, 0, 1, 3]) {
            let id = self.random.id();
            let etag = self.oracle.points.get(&id).and_then(|point| point.etag);
            batch = batch.expect(id, self.random.expect(etag));
        }
        if self.random.below(4) == 0 {
            batch = batch.request(format!("request {}", self.requests.len()));
        }
        let collection = self.store.collection();
        if let Some(unmet) = self.oracle.unmet(&batch) {
            let error = collection.write(batch).unwrap_err();
            assert!(
                matches!(&error, Error::Precondition { field, .. } if *field == unmet),
                "{error} {unmet}"
            );
            return;
        }
        let (expected, request) =
            ((self.oracle.seq + 1, self.oracle.write(&batch)), batch.request_id.clone());
        let receipt = collection.write(batch).unwrap();
        let counts = [receipt.upserted, receipt.deleted, receipt.updated, receipt.missing];
        assert_eq!((receipt.seq, counts), expected);
        self.requests.extend(request.map(|id| (id, receipt)));
    }

    fn check_reads(&mut self) {
        let view = self.store.collection().view();
        let filter = of_read(&mut self.random, self.tenant);
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
        self.check_parts(&view, &ids, filter.as_ref());
        self.check_numbers(&view);
    }

    /// Parts of rows: some fields, etags, ids.
    fn check_parts(&self, view: &View, ids: &[PointId], filter: Option<&Filter>) {
        let points = &self.oracle.points;
        let without_vectors =
            |point: &Point| Point { vector: None, vectors: BTreeMap::new(), ..point.clone() };
        let selected: Vec<Option<Point>> = ids
            .iter()
            .map(|id| points.get(id).filter(|point| filter.is_none_or(|filter| passes(filter, point))))
            .map(|found| found.map(without_vectors))
            .collect();
        assert_eq!(view.select(ids, filter, &Select::default()).unwrap(), selected, "{filter:?}");

        let fields = ["year", "title"].map(str::to_owned);
        let mut expected: Vec<Point> = self.oracle.matching(filter).map(without_vectors).collect();
        expected.iter_mut().for_each(|point| point.payload.retain(|name, _| fields.contains(name)));
        let mut request =
            ScrollRequest { limit: 1_000, fields: Some(fields.into()), ..ScrollRequest::default() };
        request.filter = filter.cloned();
        assert_eq!(view.scroll(&request).unwrap().points, expected, "{filter:?}");

        let etags: Vec<Option<u64>> = ids.iter().map(|id| points.get(id)?.etag).collect();
        assert_eq!(view.etags(ids).unwrap(), etags);
        let mut marked: Vec<(PointId, u64)> =
            points.values().map(|point| (point.id.clone(), point.etag.unwrap())).collect();
        assert!(view.ids(None).unwrap().eq(marked.iter().cloned()));
        marked.retain(|(id, _)| *id > ids[0]);
        assert!(view.ids(Some(&ids[0])).unwrap().eq(marked));
    }

    /// What is told of all rows together.
    fn check_numbers(&self, view: &View) {
        let (info, points) = (self.store.collection().info(), &self.oracle.points);
        let vectors = points.values().filter(|point| point.vector.is_some()).count() as u64;
        assert_eq!([info.points, info.vectors, info.seq], [points.len() as u64, vectors, self.oracle.seq]);
        assert_eq!([view.vectors(), view.seq()], [vectors, self.oracle.seq]);
    }

    fn check_search(&mut self) {
        let view = self.store.collection().view();
        let filter = of_read(&mut self.random, self.tenant);
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
        let view = self.store.collection().view();
        let filter = of_read(&mut self.random, self.tenant);
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

fn run(metric: Metric, seed: u64, tenant: Option<&'static str>) {
    let mut run = Run::new(metric, seed, tenant);
    for _ in 0..120 {
        run.step();
    }
    let recall = run.found as f64 / run.wanted as f64;
    assert!(recall > 0.97, "recall of {metric:?} is {recall}");
}

#[test]
fn cosine() {
    run(Metric::Cosine, 1, None);
    run(Metric::Cosine, 2, None);
}

#[test]
fn dot() {
    run(Metric::Dot, 3, None);
    run(Metric::Dot, 4, None);
}

#[test]
fn l2() {
    run(Metric::L2, 5, None);
    run(Metric::L2, 6, None);
}

#[test]
fn tenants() {
    run(Metric::Cosine, 9, Some(TENANT));
    run(Metric::L2, 10, Some(TENANT));
}

#[test]
fn tenants_by_number() {
    run(Metric::Dot, 11, Some(CUSTOMER));
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
