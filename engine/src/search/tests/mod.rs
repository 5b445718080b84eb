//! Ranges, batches and interruptions against brute force, on growing and on sealed segments.

mod circles;
mod deleted;
mod interrupted;
mod multi;
mod ranges;
mod unlinked;

use std::sync::Arc;

use super::*;
use crate::dir::memory::MemoryDir;
use crate::limits::{RANGE_ROWS_MAX, SEARCH_BATCH_MAX, SEARCH_BATCH_ROWS_MAX};
use crate::{Collection, Db, DbOptions, EncodingKind, GraphOptions, Metric, Point, Schema};

const ROWS: usize = 4_000;
const DIMENSION: usize = 24;

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn normal(&mut self) -> f32 {
        (0..6).map(|_| (self.next() >> 40) as f32 / (1 << 24) as f32).sum::<f32>() - 3.0
    }

    /// Around one of forty centres.
    fn vector(&mut self) -> Vec<f32> {
        let mut centre = Random(self.next() % 40);
        (0..DIMENSION).map(|_| centre.normal() + 0.6 * self.normal()).collect()
    }
}

/// A collection of clustered rows, and what is in it.
struct Fixture {
    db: Db,
    rows: Collection,
    live: Vec<(u64, Vec<f32>)>,
    metric: Metric,
}

fn schema(metric: Metric, encoding: EncodingKind) -> crate::SchemaBuilder {
    let graph = GraphOptions { degree: 16, ef_construction: 64 };
    Schema::builder(DIMENSION).metric(metric).encoding(encoding).graph(graph)
}

impl Fixture {
    /// Every seventh row is deleted. `group` is the id modulo ten.
    fn new(schema: &Schema, is_sealed: bool) -> Self {
        let options = DbOptions { background: false, ..DbOptions::default() };
        let db = Db::open_in(Arc::new(MemoryDir::new()), options).unwrap();
        let rows = db.create_collection("rows", schema.clone()).unwrap();
        let mut random = Random(7);
        let all: Vec<(u64, Vec<f32>)> = (0..ROWS as u64).map(|id| (id, random.vector())).collect();
        let point =
            |(id, vector): &(u64, Vec<f32>)| Point::new(*id, vector.clone()).with("group", (id % 10) as i64);
        rows.upsert(all.iter().map(point).collect()).unwrap();
        if is_sealed {
            db.flush().unwrap();
        }
        let (dead, live): (Vec<_>, Vec<_>) = all.into_iter().partition(|(id, _)| id % 7 == 3);
        rows.delete(&dead.iter().map(|(id, _)| (*id).into()).collect::<Vec<_>>()).unwrap();
        Self { db, rows, live, metric: schema.metric() }
    }

    /// Live rows and their scores in 64 bits, nearest first.
    fn ranked(&self, query: &[f32], passes: impl Fn(u64) -> bool) -> Vec<(u64, f64)> {
        let product = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let score = |row: &[f32]| match self.metric {
            Metric::Dot => product(query, row),
            Metric::Cosine => product(query, row) / (product(query, query) * product(row, row)).sqrt(),
            Metric::L2 => {
                (product(query, query) + product(row, row) - 2.0 * product(query, row)).max(0.0).sqrt()
            }
        };
        let live = self.live.iter().filter(|(id, _)| passes(*id));
        let mut ranked: Vec<(u64, f64)> = live.map(|(id, row)| (*id, score(row))).collect();
        ranked.sort_by(
            |a, b| if self.metric == Metric::L2 { a.1.total_cmp(&b.1) } else { b.1.total_cmp(&a.1) },
        );
        ranked
    }

    /// Hits are live rows in order, with their own scores. Returns the ids.
    fn check(&self, query: &[f32], hits: &[Hit]) -> Vec<u64> {
        let truth: std::collections::HashMap<u64, f64> = self.ranked(query, |_| true).into_iter().collect();
        let nearer = |a: f32, b: f32| if self.metric == Metric::L2 { a <= b } else { a >= b };
        assert!(hits.is_sorted_by(|a, b| nearer(a.score, b.score)));
        let ids: Vec<u64> = hits.iter().map(|hit| number(&hit.id)).collect();
        for (hit, id) in hits.iter().zip(&ids) {
            assert!((f64::from(hit.score) - truth[id]).abs() < 1e-4, "{hit:?} is {}", truth[id]);
        }
        let mut unique = ids.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), ids.len(), "no row comes twice");
        ids
    }

    fn segments(&self) -> usize {
        self.rows.info().segments
    }
}

fn number(id: &PointId) -> u64 {
    match id {
        PointId::Num(number) => *number,
        PointId::Str(text) => panic!("{text}"),
    }
}

fn queries(count: usize) -> Vec<Vec<f32>> {
    let mut random = Random(99);
    (0..count).map(|_| random.vector()).collect()
}

/// A threshold halfway between the score of the last row wanted and that of the next.
fn between(ranked: &[(u64, f64)], wanted: usize) -> f32 {
    ((ranked[wanted - 1].1 + ranked[wanted].1) / 2.0) as f32
}

#[test]
fn requests_that_make_no_sense_are_named() {
    let schema = schema(Metric::L2, EncodingKind::F32).build().unwrap();
    let options = DbOptions { background: false, ..DbOptions::default() };
    let db = Db::open_in(Arc::new(MemoryDir::new()), options).unwrap();
    let rows = db.create_collection("rows", schema).unwrap();
    let range = |threshold| RangeRequest::new(vec![0.0; DIMENSION], threshold);
    let cases = [
        (range(f32::NAN), "threshold: NaN is not"),
        (range(f32::INFINITY), "threshold: inf is not"),
        (range(-0.5), "threshold: no Euclidean distance is below zero, as -0.5 is"),
        (range(1.0).limit(0), "limit: "),
        (range(1.0).limit(RANGE_ROWS_MAX + 1), "limit: 100001 is beyond the limit RANGE_ROWS_MAX"),
        (RangeRequest::new([1.0], 1.0), "vector: "),
        (range(1.0).filter(Filter::eq("absent", 1)), "filter"),
    ];
    for (request, expected) in cases {
        let message = rows.search_range(&request).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message}");
    }
    let search = |k| SearchRequest::new(vec![0.0; DIMENSION], k);
    let cases = [
        (vec![search(1), search(0)], "requests[1].k: "),
        (vec![search(1), SearchRequest::new([1.0], 1)], "requests[1].vector: "),
        (vec![search(1).filter(Filter::eq("absent", 1))], "requests[0].filter"),
        (vec![search(1).ef(0)], "requests[0].ef: "),
        (vec![search(1); SEARCH_BATCH_MAX + 1], "requests: 10001 is beyond the limit SEARCH_BATCH_MAX"),
        (
            vec![search(10_000); SEARCH_BATCH_ROWS_MAX / 10_000 + 1],
            "requests: 1010000 is beyond the limit SEARCH_BATCH_ROWS_MAX",
        ),
    ];
    for (requests, expected) in cases {
        let message = rows.search_batch(&requests).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message}");
    }
    assert!(rows.search_batch(&[]).unwrap().is_empty());
}

#[test]
fn a_batch_answers_as_its_searches_do() {
    let fixture = Fixture::new(&schema(Metric::Cosine, EncodingKind::Int4).build().unwrap(), true);
    let requests: Vec<SearchRequest> = queries(60)
        .into_iter()
        .zip(1..)
        .map(|(query, k)| {
            let request = SearchRequest::new(query, k);
            if k % 3 == 0 { request.filter(Filter::eq("group", (k % 10) as i64)) } else { request }
        })
        .collect();
    let view = fixture.rows.view();
    let responses = view.search_batch(&requests).unwrap();
    assert_eq!(responses.len(), requests.len());
    for (request, response) in requests.iter().zip(responses) {
        assert_eq!(response, view.search(request).unwrap());
    }
}
