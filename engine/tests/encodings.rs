//! Searches on every encoding under every metric, through the public interface: they find nearly all of the true
//! neighbours, and whatever the walk compared, what is returned has exact scores in their order.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use ragstone::{Db, DbOptions, EncodingKind, Metric, Point, PointId, Schema, SearchRequest};

const ROWS: usize = 2_500;
const QUERIES: usize = 40;
const DIMENSION: usize = 96;
const K: usize = 10;

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Near enough to normal: a sum of uniforms.
    fn normal(&mut self) -> f32 {
        (0..6).map(|_| (self.next() >> 40) as f32 / (1 << 24) as f32).sum::<f32>() - 3.0
    }
}

/// Points around centres; the first components tell most, as in vectors that may be cut.
fn clustered(random: &mut Random) -> Vec<Vec<f32>> {
    let weight = |component: usize| 1.0 / (1.0 + component as f32 / 12.0);
    let centres: Vec<Vec<f32>> = (0..15).map(|_| (0..DIMENSION).map(|_| random.normal()).collect()).collect();
    let rows = (0..ROWS + QUERIES).map(|row| {
        let of = |(component, x): (usize, &f32)| (x + 0.8 * random.normal()) * weight(component);
        let row: Vec<f32> = centres[row % centres.len()].iter().enumerate().map(of).collect();
        let length = 0.7 + 0.1 * random.normal().abs();
        row.into_iter().map(|x| x * length).collect()
    });
    rows.collect()
}

/// What a hit's score must be.
fn score(metric: Metric, query: &[f32], row: &[f32]) -> f64 {
    let wide = |row: &[f32]| row.iter().map(|x| f64::from(*x)).collect::<Vec<_>>();
    let (query, row) = (wide(query), wide(row));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    match metric {
        Metric::Cosine => dot(&query, &row) / (dot(&query, &query) * dot(&row, &row)).sqrt(),
        Metric::Dot => dot(&query, &row),
        Metric::L2 => query.iter().zip(&row).map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt(),
    }
}

/// The true nearest rows, nearest first.
fn truth(metric: Metric, query: &[f32], rows: &[Vec<f32>]) -> Vec<usize> {
    let sign = if metric == Metric::L2 { 1.0 } else { -1.0 };
    let mut all: Vec<(f64, usize)> =
        rows.iter().enumerate().map(|(id, row)| (sign * score(metric, query, row), id)).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all.into_iter().take(K).map(|(_, id)| id).collect()
}

/// Recall of a collection of these rows; panics on a score that is not exact.
fn recall(schema: Schema, vectors: &[Vec<f32>], ef: usize) -> f64 {
    let metric = schema.metric();
    let directory = tempfile::tempdir().unwrap();
    let mut options = DbOptions::default();
    options.background = false;
    let db = Db::open_with(directory.path(), options).unwrap();
    let collection = db.create_collection("rows", schema).unwrap();
    let (rows, queries) = vectors.split_at(ROWS);
    let points = rows.iter().enumerate().map(|(id, row)| Point::new(id as u64, row.as_slice()));
    collection.upsert(points.collect()).unwrap();
    db.flush().unwrap();
    let mut found = 0;
    for query in queries {
        let response = collection.search(&SearchRequest::new(query.as_slice(), K).ef(ef)).unwrap();
        assert!(!response.stats.exact, "a scan would prove nothing");
        assert_eq!(response.hits.len(), K);
        let truth = truth(metric, query, rows);
        let farther = |a: f32, b: f32| if metric == Metric::L2 { a >= b } else { a <= b };
        assert!(response.hits.windows(2).all(|two| farther(two[1].score, two[0].score)));
        for hit in response.hits {
            let PointId::Num(id) = hit.id else { panic!("ids are numbers here") };
            let exact = score(metric, query, &rows[id as usize]);
            assert!(
                (f64::from(hit.score) - exact).abs() < 1e-5 * (1.0 + exact.abs()),
                "{} for {exact}",
                hit.score
            );
            found += usize::from(truth.contains(&(id as usize)));
        }
    }
    found as f64 / (QUERIES * K) as f64
}

fn check(kind: EncodingKind, walked: usize, ef: usize, bound: f64) {
    let vectors = clustered(&mut Random(17));
    for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
        let schema =
            Schema::builder(DIMENSION).metric(metric).encoding(kind).walk_dimension(walked).build().unwrap();
        let recall = recall(schema, &vectors, ef);
        println!("{kind:?} {metric} on {walked} components: {recall:.4}");
        assert!(recall >= bound, "{kind:?} {metric} on {walked} components: recall {recall}, not {bound}");
    }
}

#[test]
fn f32_finds_the_nearest() {
    check(EncodingKind::F32, DIMENSION, 16, 0.96);
}

#[test]
fn f16_finds_the_nearest() {
    check(EncodingKind::F16, DIMENSION, 16, 0.96);
}

#[test]
fn int8_finds_the_nearest() {
    check(EncodingKind::Int8, DIMENSION, 16, 0.96);
}

#[test]
fn int4_finds_the_nearest_with_a_walk_a_little_wider() {
    check(EncodingKind::Int4, DIMENSION, 24, 0.94);
}

#[test]
fn bit1_finds_the_nearest_with_a_wide_walk() {
    check(EncodingKind::Bit1, DIMENSION, 40, 0.97);
}

#[test]
fn floats_find_the_nearest_on_half_of_the_components() {
    check(EncodingKind::F32, DIMENSION / 2, 24, 0.96);
    check(EncodingKind::F16, DIMENSION / 2, 24, 0.96);
}

#[test]
fn integers_find_the_nearest_on_half_of_the_components() {
    check(EncodingKind::Int8, DIMENSION / 2, 24, 0.96);
    check(EncodingKind::Int4, DIMENSION / 2, 24, 0.94);
}

#[test]
fn bit1_finds_the_nearest_on_half_of_the_components() {
    check(EncodingKind::Bit1, DIMENSION / 2, 48, 0.96);
}

/// A sealed segment so small, or a filter so sharp, that its codes are compared one by one instead of walked.
#[test]
fn scans_of_codes_find_the_nearest_under_every_encoding_and_metric() {
    use EncodingKind::{Bit1, F16, F32, Int4, Int8};
    let mut random = Random(23);
    let vectors: Vec<Vec<f32>> = clustered(&mut random).into_iter().take(700).collect();
    for kind in [F32, F16, Int8, Int4, Bit1] {
        for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
            let directory = tempfile::tempdir().unwrap();
            let db = Db::open(directory.path()).unwrap();
            let schema = Schema::builder(DIMENSION).metric(metric).encoding(kind).build().unwrap();
            let rows = db.create_collection("rows", schema).unwrap();
            let point = |(id, row): (u64, &Vec<f32>)| Point::new(id, row.clone()).with("even", id % 2 == 0);
            rows.upsert((0..).zip(&vectors).map(point).collect()).unwrap();
            db.flush().unwrap();
            let (mut found, mut wanted) = (0, 0);
            for query in vectors.iter().step_by(35) {
                for filter in [None, Some(ragstone::Filter::eq("even", true))] {
                    let request = SearchRequest { filter, ..SearchRequest::new(query.clone(), 10).ef(100) };
                    let truth = rows.search(&request.clone().exact()).unwrap().hits;
                    let hits = rows.search(&request).unwrap().hits;
                    assert_eq!(hits.len(), 10, "{kind:?} {metric}");
                    wanted += truth.len();
                    found += hits.iter().filter(|hit| truth.iter().any(|row| row.id == hit.id)).count();
                }
            }
            assert!(found * 100 >= wanted * 97, "{kind:?} {metric}: {found} of {wanted}");
            if metric != Metric::Cosine {
                let zero = rows.search(&SearchRequest::new(vec![0.0; DIMENSION], 10)).unwrap();
                assert_eq!(zero.hits.len(), 10, "{kind:?} {metric}, a query of zeros");
            }
        }
    }
}
