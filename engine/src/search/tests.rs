//! Ranges, batches and interruptions against brute force, on growing and on sealed segments.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use proptest::prelude::*;

use super::range::Nearest;
use super::*;
use crate::dir::memory::MemoryDir;
use crate::limits::{RANGE_ROWS_MAX, SEARCH_BATCH_MAX, SEARCH_BATCH_ROWS_MAX};
use crate::vectors::{Encodings, Slot};
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
fn a_range_has_nearly_all_rows_and_an_exact_one_all() {
    use EncodingKind::{F32, Int4, Int8};
    let builders = [
        (schema(Metric::Cosine, Int4), true),
        (schema(Metric::Cosine, Int4), false),
        (schema(Metric::L2, Int8), true),
        (schema(Metric::Dot, F32), true),
        (schema(Metric::L2, F32), false),
        (schema(Metric::L2, Int4).walk_dimension(16), true),
    ];
    for (builder, is_sealed) in builders {
        let schema = builder.build().unwrap();
        let fixture = Fixture::new(&schema, is_sealed);
        let (mut found, mut wanted, mut walks) = (0, 0, 0);
        for query in queries(12) {
            let passes = |filter: bool| move |id: u64| !filter || id % 10 < 5;
            for (filter, rows) in
                [(false, 1), (false, 7), (false, 30), (false, 90), (false, 1_000), (true, 20)]
            {
                let ranked = fixture.ranked(&query, passes(filter));
                let mut request = RangeRequest::new(query.clone(), between(&ranked, rows));
                if filter {
                    request = request.filter(Filter::Range(
                        "group".into(),
                        crate::Range { lt: Some(5.into()), ..Default::default() },
                    ));
                }
                let truth: Vec<u64> = ranked[..rows].iter().map(|row| row.0).collect();
                let response = fixture.rows.search_range(&request).unwrap();
                let ids = fixture.check(&query, &response.hits);
                assert!(ids.iter().all(|id| truth.contains(id)), "nothing is beyond the threshold");
                assert!(!response.truncated && response.stats.interrupted.is_none());
                walks += usize::from(!response.stats.exact);
                found += ids.len();
                wanted += truth.len();
                let exact = fixture.rows.search_range(&request.exact()).unwrap();
                assert!(exact.stats.exact);
                let mut ids = fixture.check(&query, &exact.hits);
                ids.sort_unstable();
                let mut truth = truth;
                truth.sort_unstable();
                assert_eq!(ids, truth);
            }
        }
        assert!(found as f64 >= 0.95 * wanted as f64, "{schema:?} sealed {is_sealed}: {found} of {wanted}");
        assert!(walks >= 30, "only {walks} of 72 ranges were walked: {schema:?} sealed {is_sealed}");
        drop(fixture.db);
    }
}

/// The walk itself has to be good, not only the ranges that end as scans.
#[test]
fn walked_ranges_have_nearly_all_rows() {
    let fixture = Fixture::new(&schema(Metric::Cosine, EncodingKind::Int4).build().unwrap(), true);
    let (mut found, mut wanted) = (0, 0);
    for query in queries(40) {
        let ranked = fixture.ranked(&query, |_| true);
        for rows in [3, 30, 60] {
            let response =
                fixture.rows.search_range(&RangeRequest::new(query.clone(), between(&ranked, rows))).unwrap();
            if !response.stats.exact {
                found += response.hits.len();
                wanted += rows;
            }
        }
    }
    assert!(wanted > 500, "{wanted}");
    assert!(found as f64 >= 0.95 * wanted as f64, "{found} of {wanted}");
}

#[test]
fn a_limit_keeps_the_nearest_and_says_so() {
    let fixture = Fixture::new(&schema(Metric::L2, EncodingKind::F32).build().unwrap(), true);
    let query = queries(1).remove(0);
    let ranked = fixture.ranked(&query, |_| true);
    for (rows, limit) in [(500, 20), (21, 20), (20, 20), (19, 20), (500, 1)] {
        let request = RangeRequest::new(query.clone(), between(&ranked, rows)).limit(limit).exact();
        let response = fixture.rows.search_range(&request).unwrap();
        let ids = fixture.check(&query, &response.hits);
        assert_eq!(ids, ranked[..rows.min(limit)].iter().map(|row| row.0).collect::<Vec<_>>());
        assert_eq!(response.truncated, rows > limit);
        let walked = fixture.rows.search_range(&RangeRequest { exact: false, ..request }).unwrap();
        fixture.check(&query, &walked.hits);
        assert!(walked.hits.len() <= limit && walked.truncated <= (rows > limit));
    }
    // So small a limit is walked to, however many rows lie within the threshold.
    let walked = fixture.rows.search_range(&RangeRequest::new(query, 1e9).limit(20)).unwrap();
    assert!(walked.truncated && !walked.stats.exact && walked.hits.len() == 20);
}

proptest! {
    #[test]
    fn the_nearest_of_a_range_are_those_of_a_sort(
        distances in prop::collection::vec(0_u8..30, 0..200),
        (limit, reach) in (1_usize..40, 0_u8..40),
    ) {
        let reach = f32::from(reach);
        let mut nearest = Nearest::new(reach, limit);
        let rows: Vec<_> = distances.iter().zip(0..).map(|(distance, slot)| (f32::from(*distance), slot % 3, Slot(slot as u32))).collect();
        rows.iter().for_each(|row| nearest.offer(*row));
        let (found, truncated) = nearest.finish();
        let mut expected: Vec<_> = rows.into_iter().filter(|row| row.0 <= reach).collect();
        expected.sort_by(execute::by_rank);
        prop_assert_eq!(truncated, expected.len() > limit);
        expected.truncate(limit);
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn the_reach_is_the_last_distance_within_a_threshold(bits in 0_u32..0x7f80_0000, is_negative: bool) {
        let threshold = f32::from_bits(bits);
        let of = |metric| Encodings::new(&Schema::builder(2).metric(metric).build().unwrap());
        let l2 = of(Metric::L2);
        let reach = l2.reach(threshold);
        prop_assert!(l2.score(reach) <= threshold);
        prop_assert!(reach == f32::MAX || l2.score(reach.next_up()) > threshold);
        let threshold = if is_negative { -threshold } else { threshold };
        prop_assert_eq!(of(Metric::Dot).score(of(Metric::Dot).reach(threshold)), threshold);
    }
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

#[test]
fn what_has_no_time_or_was_cancelled_before_finds_nothing() {
    let fixture = Fixture::new(&schema(Metric::Cosine, EncodingKind::Int4).build().unwrap(), true);
    let token = CancelToken::new();
    token.cancel();
    let query = queries(1).remove(0);
    let (search, range) = (SearchRequest::new(query.clone(), 10), RangeRequest::new(query, 0.5));
    let cases = [
        (search.clone().cancel(token.clone()), range.clone().cancel(token), Interrupted::Cancelled),
        (search.clone().budget(Duration::ZERO), range.clone().budget(Duration::ZERO), Interrupted::OutOfTime),
    ];
    for (search, range, expected) in cases {
        let stats = SearchStats { interrupted: Some(expected), ..SearchStats::default() };
        let nothing = SearchResponse { hits: Vec::new(), stats };
        assert_eq!(fixture.rows.search(&search).unwrap(), nothing);
        assert_eq!(fixture.rows.search_batch(&[search.clone(), search]).unwrap(), [nothing.clone(), nothing]);
        let response = fixture.rows.search_range(&range).unwrap();
        assert_eq!(response, RangeResponse { hits: Vec::new(), truncated: false, stats });
    }
    let in_time =
        fixture.rows.search(&search.clone().budget(Duration::MAX).cancel(CancelToken::new())).unwrap();
    assert_eq!(in_time, fixture.rows.search(&search).unwrap());
    let in_time = fixture.rows.search_range(&range.clone().budget(Duration::MAX)).unwrap();
    assert_eq!(in_time, fixture.rows.search_range(&range).unwrap());
}

/// A token that another thread cancels while the search's thread looks at it for the `poll`-th time, counted from one.
fn cancelled_at(poll: u64) -> CancelToken {
    let (ask, asked) = mpsc::channel();
    let (answer, answered) = mpsc::channel::<()>();
    let (answered, polls) = (Mutex::new(answered), AtomicU64::new(0));
    let token = CancelToken::polled(move || {
        if polls.fetch_add(1, Ordering::Relaxed) + 1 == poll {
            ask.send(()).unwrap();
            answered.lock().unwrap().recv().unwrap();
        }
    });
    let clone = token.clone();
    std::thread::spawn(move || {
        // An error means that the search was done before.
        if asked.recv().is_ok() {
            clone.cancel();
            answer.send(()).unwrap();
        }
    });
    token
}

/// Runs a search with tokens that are cancelled ever later, until it is done first. Returns how often it was not, and how
/// many hits it had at most then.
fn interrupted(
    fixture: &Fixture,
    query: &[f32],
    search: impl Fn(CancelToken) -> (Vec<Hit>, SearchStats),
) -> (u64, usize) {
    let mut hits_max = 0;
    for poll in 1.. {
        let (hits, stats) = search(cancelled_at(poll));
        fixture.check(query, &hits);
        if stats.interrupted.is_none() {
            return (poll - 1, hits_max);
        }
        assert_eq!(stats.interrupted, Some(Interrupted::Cancelled));
        assert!(!stats.exact);
        hits_max = hits_max.max(hits.len());
    }
    unreachable!("the polls have no end")
}

#[test]
fn a_search_that_is_cancelled_keeps_what_it_has() {
    for is_sealed in [true, false] {
        let schema = schema(Metric::Cosine, EncodingKind::Int4).build().unwrap();
        let fixture = Fixture::new(&schema, is_sealed);
        let segments = fixture.segments() as u64;
        let query = queries(1).remove(0);
        let search = |request: &SearchRequest, token| {
            let response = fixture.rows.search(&request.clone().cancel(token)).unwrap();
            (response.hits, response.stats)
        };
        let request = SearchRequest::new(query.clone(), 100);
        let exact = request.clone().exact();
        let live = fixture.live.len() as u64;
        let polls = interrupted(&fixture, &query, |token| search(&exact, token));
        assert_eq!(polls, (segments + live.div_ceil(512), 100), "every 512 rows of a scan");
        let wide = request.clone().ef(300);
        let (polls, hits) = interrupted(&fixture, &query, |token| search(&wide, token));
        assert!(polls > segments + 1 && hits == 100, "{polls} polls of a walk, {hits} hits");
        // A filter that one row in ten passes promises `k` rows, unless it is interrupted.
        let filtered = request.filter(Filter::eq("group", 4));
        let (hits, stats) = search(&filtered, cancelled_at(segments + 1));
        assert!(hits.is_empty() && stats.interrupted.is_some());
        assert_eq!(search(&filtered, cancelled_at(u64::MAX)).0.len(), 100);
    }
}

#[test]
fn a_range_that_is_cancelled_keeps_what_it_has() {
    for is_sealed in [true, false] {
        let schema = schema(Metric::Cosine, EncodingKind::Int4).build().unwrap();
        let fixture = Fixture::new(&schema, is_sealed);
        let query = queries(1).remove(0);
        // So many rows that two walks are too narrow and a scan follows.
        let request = RangeRequest::new(query.clone(), between(&fixture.ranked(&query, |_| true), 600));
        let (polls, hits) = interrupted(&fixture, &query, |token| {
            let response = fixture.rows.search_range(&request.clone().cancel(token)).unwrap();
            (response.hits, response.stats)
        });
        assert!(polls > 6 && (300..600).contains(&hits), "{polls} polls, {hits} hits");
    }
}

#[test]
fn each_search_of_a_batch_has_its_own_token_and_budget() {
    let fixture = Fixture::new(&schema(Metric::Cosine, EncodingKind::Int4).build().unwrap(), true);
    let request = SearchRequest::new(queries(1).remove(0), 10);
    let requests = [
        request.clone().exact().cancel(cancelled_at(3)),
        request.clone(),
        request.clone().budget(Duration::ZERO),
        request.budget(Duration::MAX),
    ];
    let interrupted: Vec<_> = fixture
        .rows
        .search_batch(&requests)
        .unwrap()
        .iter()
        .map(|response| response.stats.interrupted)
        .collect();
    assert_eq!(interrupted, [Some(Interrupted::Cancelled), None, Some(Interrupted::OutOfTime), None]);
}
