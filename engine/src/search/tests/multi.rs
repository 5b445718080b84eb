//! MaxSim over rows of which many lack the vector, growing, sealed and merged, against brute force.

use super::*;
use crate::ElementType;
use crate::query::{Nearest, Query, Rescore};
use crate::schema::MultiOptions;
use crate::search::multi::MultiQuery;

const WIDTH: usize = 6;

fn many(random: &mut Random, count: usize) -> Vec<Vec<f32>> {
    (0..count).map(|_| (0..WIDTH).map(|_| random.normal()).collect()).collect()
}

fn unit(vector: &[f32]) -> Vec<f32> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter().map(|x| x / length).collect()
}

fn max_sim(query: &[Vec<f32>], row: &[Vec<f32>], metric: Metric) -> f32 {
    let form = |vector: &Vec<f32>| if metric == Metric::Cosine { unit(vector) } else { vector.clone() };
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let best = |query: &Vec<f32>| {
        row.iter().map(|row| dot(&form(query), &form(row))).fold(f32::NEG_INFINITY, f32::max)
    };
    query.iter().map(best).sum()
}

#[test]
fn the_nearest_by_max_sim_are_those_of_brute_force() {
    for (metric, element) in [(Metric::Cosine, ElementType::F32), (Metric::Dot, ElementType::F16)] {
        let options = DbOptions { background: false, ..DbOptions::default() };
        let db = Db::open_in(Arc::new(MemoryDir::new()), options).unwrap();
        let options = MultiOptions::new(WIDTH).metric(metric).element(element);
        let schema = Schema::builder(2).multi("late", options).build().unwrap();
        let rows = db.create_collection("rows", schema).unwrap();
        let mut random = Random(11);
        let mut live: Vec<(u64, Vec<Vec<f32>>)> = Vec::new();
        for round in 0..4u64 {
            let mut points = Vec::new();
            for id in round * 50..(round + 1) * 50 {
                let mut point = Point::new(id, [1.0, id as f32]);
                if id % 3 != 0 {
                    let count = 1 + (random.next() % 90) as usize;
                    let vectors = many(&mut random, count);
                    point = point.with_vector("late", vectors.clone());
                    live.push((id, vectors));
                }
                points.push(point);
            }
            rows.upsert(points).unwrap();
            rows.delete(&[(round * 50 + 1).into()]).unwrap();
            live.retain(|(id, _)| *id != round * 50 + 1);
            match round {
                0 | 1 => db.flush().unwrap(),
                2 => db.compact().unwrap(),
                _ => {}
            }
            let query = many(&mut random, 5);
            let mut truth: Vec<(f32, u64)> =
                live.iter().map(|(id, row)| (max_sim(&query, row, metric), *id)).collect();
            truth.sort_by(|a, b| b.0.total_cmp(&a.0));
            let nearest = Nearest::new(query).by("late");
            let found = rows.query(&Query::new(nearest.clone(), 7).explain()).unwrap();
            assert!(found.stats.exact && found.hits.len() == 7);
            // Rows without the vector, which no answer has, were counted with these.
            let segments = &found.explain.as_ref().unwrap().stages[0].segments;
            assert_eq!(segments.iter().map(|segment| segment.matching).sum::<u64>(), live.len() as u64);
            for (hit, (expected, id)) in found.hits.iter().zip(&truth) {
                assert!((hit.score.unwrap() - expected).abs() < 2e-2, "{hit:?} {expected}");
                assert_eq!(hit.point.id, PointId::Num(*id));
            }
            // Ranking what another vector finds gives the same.
            let ranked = Rescore::new(Nearest::new([1.0, 0.0]), nearest).candidates(1_000);
            assert_eq!(rows.query(&Query::new(ranked, 7)).unwrap().hits, found.hits);
        }
    }
}

#[test]
fn what_is_no_multi_vector_is_named() {
    let db = Db::in_memory().unwrap();
    let schema = Schema::builder(2).multi("late", MultiOptions::new(3)).build().unwrap();
    let rows = db.create_collection("rows", schema).unwrap();
    let view = rows.view();
    let error = |name: &str, query: Vec<Vec<f32>>| {
        MultiQuery::new(&view.state, ("vector_name", name), ("query", query)).unwrap_err().to_string()
    };
    assert_eq!(
        error("", vec![vec![1.0, 0.0]]),
        "vector_name: the vector `` is dense, this is for multi-vectors"
    );
    assert!(error("late", vec![vec![1.0]]).starts_with("query[0]: the collection has vectors of 3"));
    assert!(error("late", Vec::new()).starts_with("query: a multi-vector has at least one"));
}
