//! Rows that expire while an answer is made of them, by a clock that goes on whenever it is looked at.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ragstone::limits::K_MAX;
use ragstone::{Clock, DbOptions, Point, Schema};

use super::*;

/// More than are read at once.
const ROWS: u64 = 400;
/// Rows expire at as many moments, so that what is read at once has some of each.
const MOMENTS: u64 = 50;
/// Between two moments.
const STEP: i64 = 10;

/// Rows around the first direction, under a clock that stood still while they were written.
fn passing() -> InProcess {
    let (now, step) = (AtomicI64::new(0), Arc::new(AtomicI64::new(0)));
    let told = step.clone();
    let clock = Clock::new(move || now.fetch_add(told.load(Ordering::SeqCst), Ordering::SeqCst));
    let mut options = DbOptions::default();
    (options.clock, options.background) = (clock, false);
    let db = Db::in_memory_with(options).unwrap();
    let rows = db.create_collection("rows", Schema::new(2).unwrap()).unwrap();
    let row = |id: u64| {
        let moment = (id % MOMENTS + 1) as i64 * STEP;
        Point::new(id, [1.0, id as f32 / ROWS as f32]).expires_at(moment)
    };
    rows.upsert((0..ROWS).map(row).collect()).unwrap();
    drop(rows);
    step.store(STEP, Ordering::SeqCst);
    engine_over(db)
}

/// Of the rows of each moment there are all, or none.
fn assert_of_one_moment(ids: impl Iterator<Item = Option<v1::PointId>>) {
    let mut left = vec![0; MOMENTS as usize];
    for id in ids {
        let Some(v1::point_id::Id::Number(id)) = id.unwrap().id else { panic!("ids are numbers") };
        left[(id % MOMENTS) as usize] += 1;
    }
    assert!(left.iter().all(|rows| [0, ROWS / MOMENTS].contains(rows)), "{left:?}");
    assert_eq!(
        (left.first(), left.last()),
        (Some(&0), Some(&(ROWS / MOMENTS))),
        "time has passed, though not all"
    );
}

#[test]
fn an_answer_is_of_one_moment_however_long_it_takes_to_read() {
    let engine = passing();
    let near = v1::Vector { values: vec![1.0, 0.0] };
    let query = v1::QueryRequest {
        collection: "rows".to_owned(),
        query: Some(v1::query_request::Query::Vector(near.clone())),
        k: ROWS as u32,
        ..Default::default()
    };
    let found = v1::QueryResponse::decode(call(&engine, "SearchService/Query", &query).unwrap()).unwrap();
    assert_of_one_moment(found.hits.into_iter().map(|hit| hit.id));

    let range = v1::SearchRangeRequest {
        collection: "rows".to_owned(),
        query: Some(v1::search_range_request::Query::Vector(near)),
        threshold: 0.0,
        ..Default::default()
    };
    let found = v1::SearchRangeResponse::decode(call(&engine, "SearchService/SearchRange", &range).unwrap());
    assert_of_one_moment(found.unwrap().hits.into_iter().map(|hit| hit.id));

    let id = |id| v1::PointId { id: Some(v1::point_id::Id::Number(id)) };
    let asked = v1::GetPointsRequest {
        collection: "rows".to_owned(),
        ids: (0..ROWS).map(id).collect(),
        ..Default::default()
    };
    let found = v1::GetPointsResponse::decode(call(&engine, "PointsService/GetPoints", &asked).unwrap());
    assert_of_one_moment(found.unwrap().points.into_iter().map(|point| point.id));

    // So large that each is answered by itself.
    let large = v1::QueryRequest { k: K_MAX as u32, ..query };
    let batch = v1::BatchQueryRequest {
        collection: "rows".to_owned(),
        queries: vec![large; 3],
        ..Default::default()
    };
    let found = v1::BatchQueryResponse::decode(call(&engine, "SearchService/BatchQuery", &batch).unwrap());
    let hits = |of: v1::QueryResponse| of.hits.into_iter().map(|hit| hit.id).collect::<Vec<_>>();
    let answers: Vec<_> = found.unwrap().responses.into_iter().map(hits).collect();
    assert!(answers.len() == 3 && !answers[0].is_empty());
    assert!(answers.iter().all(|answer| *answer == answers[0]));
}
