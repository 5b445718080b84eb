//! Scans by sketches against exact ones: every metric and encoding, with deletes, with walks on a prefix, and whatever part of
//! the rows a filter leaves.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;

use ragstone::{
    CancelToken, Collection, Db, EncodingKind, Filter, GraphOptions, Metric, Point, PointId, Schema,
    SchemaBuilder, SearchRequest, Value,
};

const DIMENSION: usize = 200;
const ROWS: usize = 9_000;
const K: usize = 10;

struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 24) as f32
    }

    /// Near enough to normal: a sum of uniforms.
    fn normal(&mut self) -> f32 {
        (0..6).map(|_| self.uniform()).sum::<f32>() - 3.0
    }
}

/// Rows around a few centres that are themselves off the origin, as embeddings are.
fn vector(centre: usize, random: &mut Random) -> Vec<f32> {
    let mut of_centre = Random(centre as u64 + 99);
    (0..DIMENSION).map(|_| 0.3 + of_centre.normal() + 0.8 * random.normal()).collect()
}

/// A collection whose graph costs little, as nearly all searches scan.
fn fill(db: &Db, name: &str, schema: SchemaBuilder) -> Collection {
    let schema = schema.graph(GraphOptions { degree: 8, ef_construction: 16 }).build().unwrap();
    let collection = db.create_collection(name, schema).unwrap();
    let mut random = Random(1);
    for start in (0..ROWS).step_by(1_000) {
        let points = (start..start + 1_000).map(|id| {
            let point = Point::new(id as u64, vector(id / 7 % 20, &mut random));
            point.with("centre", (id / 7 % 20) as i64).with("thousandth", (id * 7919 % 1_000) as i64)
        });
        collection.upsert(points.collect()).unwrap();
    }
    collection.delete(&(0..ROWS as u64).step_by(9).map(PointId::Num).collect::<Vec<_>>()).unwrap();
    db.flush().unwrap();
    // Some die after the segment was sealed.
    collection.delete(&(1..ROWS as u64).step_by(9).map(PointId::Num).collect::<Vec<_>>()).unwrap();
    collection
}

/// Far filters, near ones, and such as have nothing to do with the query.
fn filters(centre: usize) -> Vec<Filter> {
    let centres = |from: usize, count: usize| {
        let listed = (from..from + count).map(|centre| Value::Int((centre % 20) as i64));
        Filter::In("centre".into(), listed.collect())
    };
    let range = |lt: i64| {
        let range = ragstone::Range { lt: Some(Value::Int(lt)), ..ragstone::Range::default() };
        Filter::Range("thousandth".into(), range)
    };
    vec![
        centres(centre, 10),
        centres(centre + 1, 17),
        range(500),
        Filter::And(vec![centres(centre + 1, 15), range(600)]),
    ]
}

fn ids(collection: &Collection, request: &SearchRequest) -> Vec<PointId> {
    collection.search(request).unwrap().hits.into_iter().map(|hit| hit.id).collect()
}

fn recall(collection: &Collection, seed: u64) -> f64 {
    let mut random = Random(seed);
    let (mut found, mut wanted) = (0, 0);
    for query in 0..6 {
        let vector = vector(query * 3, &mut random);
        for filter in filters(query * 3) {
            let request = SearchRequest::new(vector.clone(), K).filter(filter).ef(200);
            let truth: HashSet<PointId> = ids(collection, &request.clone().exact()).into_iter().collect();
            let answer = ids(collection, &request);
            assert_eq!(answer.len(), K);
            found += answer.iter().filter(|id| truth.contains(id)).count();
            wanted += K;
        }
    }
    found as f64 / wanted as f64
}

#[test]
fn scans_find_what_exact_ones_find() {
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(directory.path()).unwrap();
    for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
        for encoding in [EncodingKind::F16, EncodingKind::Int8, EncodingKind::Int4] {
            let name = format!("{metric:?}-{encoding:?}").to_lowercase();
            let schema = Schema::builder(DIMENSION).metric(metric).encoding(encoding);
            let collection = fill(&db, &name, schema);
            let recall = recall(&collection, 7);
            assert!(recall >= 0.97, "{name}: {recall}");
            db.delete_collection(&name).unwrap();
        }
    }
}

/// Sketches are of all components, whatever the walk compares.
#[test]
fn scans_do_not_mind_a_walk_on_a_prefix() {
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(directory.path()).unwrap();
    let schema = Schema::builder(DIMENSION).walk_dimension(64);
    let collection = fill(&db, "prefix", schema);
    let recall = recall(&collection, 7);
    assert!(recall >= 0.97, "{recall}");
}

#[test]
fn a_cancelled_scan_returns_what_it_has() {
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(directory.path()).unwrap();
    let collection = fill(&db, "cancelled", Schema::builder(DIMENSION));
    let token = CancelToken::new();
    token.cancel();
    let request = SearchRequest::new(vector(0, &mut Random(3)), K).filter(filters(0).remove(1)).cancel(token);
    let response = collection.search(&request).unwrap();
    assert!(response.stats.interrupted.is_some() && response.hits.is_empty());
}
