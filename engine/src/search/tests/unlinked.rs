//! Rows that are in a view and not in the graph yet: each step of the thread that links, one by one.

use super::*;
use crate::collection::ViewState;
use crate::db::Store;
use crate::{Batch, Op, PointId};

/// A row in five has no vector.
fn point(id: u64, vector: &[f32]) -> Point {
    let mut point = Point::new(id, vector).with("group", (id % 10) as i64);
    point.vector = point.vector.filter(|_| id % 5 != 2);
    point
}

/// What there is to find: id and vector of the live rows that have one.
type Live = Vec<(u64, Vec<f32>)>;

fn nearest(live: &Live, query: &[f32], passes: impl Fn(u64) -> bool) -> Vec<(f32, u64)> {
    let distance = |row: &[f32]| row.iter().zip(query).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt();
    let mut all: Vec<_> =
        live.iter().filter(|(id, _)| passes(*id)).map(|(id, row)| (distance(row), *id)).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all
}

/// Searches of all kinds find what is live.
#[track_caller]
fn check(view: &ViewState, live: &Live) {
    let (mut found, mut found_filtered, mut found_in_range) = (0, 0, 0);
    let queries = queries(20);
    for query in &queries {
        let truth = nearest(live, query, |_| true);
        let ids = |hits: &[Hit]| hits.iter().map(|hit| number(&hit.id)).collect::<Vec<_>>();
        let recall = |hits: &[Hit], truth: &[(f32, u64)]| {
            assert_eq!(hits.len(), truth.len().min(10), "as many as there are");
            truth.iter().take(10).filter(|(_, id)| ids(hits).contains(id)).count()
        };
        let request = SearchRequest::new(query.clone(), 10);
        found += recall(&execute::search(view, &request, None).unwrap().hits, &truth);
        let exact = execute::search(view, &request.clone().exact(), None).unwrap();
        assert!(exact.stats.exact);
        assert_eq!(recall(&exact.hits, &truth), truth.len().min(10));
        let filtered = request.filter(Filter::eq("group", 4));
        let truth_filtered = nearest(live, query, |id| id % 10 == 4);
        found_filtered += recall(&execute::search(view, &filtered, None).unwrap().hits, &truth_filtered);
        let reach = (truth[14].0 + truth[15].0) / 2.0;
        let range = range::search_range(view, &RangeRequest::new(query.clone(), reach), None).unwrap();
        let in_range = ids(&range.hits);
        assert!(in_range.iter().all(|id| truth[..15].iter().any(|row| row.1 == *id)));
        found_in_range += in_range.len();
    }
    let wanted = queries.len() * 10;
    assert!(found * 100 >= wanted * 95, "{found} of {wanted}");
    assert!(found_filtered * 100 >= wanted * 95, "{found_filtered} of {wanted} that pass");
    assert!(found_in_range * 100 >= queries.len() * 15 * 95, "{found_in_range} in ranges of 15");
}

#[test]
fn rows_are_found_before_they_are_nodes() {
    // The threads that such a database has are not started.
    let options = DbOptions { background: true, ..DbOptions::default() };
    let store = Store::open(Arc::new(MemoryDir::new()), options).unwrap();
    let schema = schema(Metric::L2, EncodingKind::Int4).build().unwrap();
    let core = store.create_collection("rows", schema, None).unwrap();
    let mut random = Random(7);
    let rows: Live = (0..3_500).map(|id| (id, random.vector())).collect();
    for batch in rows.chunks(500) {
        let ops = batch.iter().map(|(id, vector)| Op::Upsert(point(*id, vector))).collect();
        core.write(&store, Batch::of(ops)).unwrap();
    }
    let died = |id: u64| id % 7 == 3;
    let dead: Vec<Op> = (0..3_500).filter(|id| died(*id)).map(|id| Op::Delete(PointId::Num(id))).collect();
    let has_vector = |id: u64| id % 5 != 2;
    let before = core.view();
    let all: Live = rows.iter().filter(|(id, _)| has_vector(*id)).cloned().collect();
    let live: Live = all.iter().filter(|(id, _)| !died(*id)).cloned().collect();
    check(&before, &all);
    assert!(core.link_some(&store), "a thousand rows are not all");
    check(&before, &all);
    core.write(&store, Batch::of(dead)).unwrap();
    for step in 0.. {
        check(&core.view(), &live);
        // Rows that died before they were linked are none of the graph's, and the older view has them all the same.
        check(&before, &all);
        if !core.link_some(&store) {
            assert_eq!(step, 2, "3,500 rows are four times 1,024 at most");
            break;
        }
    }
    check(&core.view(), &live);
    core.flush(&store, crate::threads::Work::Flush).unwrap();
    check(&core.view(), &live);
}

/// Rows that are linked and die later leave the older views their graph.
#[test]
fn an_older_view_goes_on_walking_while_linked_rows_die() {
    let options = DbOptions { background: true, ..DbOptions::default() };
    let store = Store::open(Arc::new(MemoryDir::new()), options).unwrap();
    let schema = schema(Metric::L2, EncodingKind::Int4).build().unwrap();
    let core = store.create_collection("rows", schema, None).unwrap();
    let mut random = Random(7);
    let mut write = |ids: std::ops::Range<u64>| {
        let ops = ids.map(|id| Op::Upsert(Point::new(id, random.vector()))).collect();
        core.write(&store, Batch::of(ops)).unwrap();
    };
    write(0..3_000);
    while core.link_some(&store) {}
    let before = core.view();
    let request = SearchRequest::new(vec![0.0; DIMENSION], 10);
    let walked = execute::search(&before, &request, None).unwrap().stats.distances;
    core.write(&store, Batch::of(vec![Op::Delete(PointId::Num(5))])).unwrap();
    write(3_000..3_100);
    while core.link_some(&store) {}
    let later = execute::search(&before, &request, None).unwrap().stats.distances;
    assert!(later < 2 * walked, "{later} compared, {walked} before");
}

/// rayon's own pool does not step in: whoever links does it alone, and whoever needs a pool gets the error.
#[test]
fn without_threads_rows_are_linked_all_the_same() {
    use std::num::NonZero;

    use crate::threads::{Pools, Work};

    let options = DbOptions { background: true, ..DbOptions::default() };
    let mut store = Store::open(Arc::new(MemoryDir::new()), options).unwrap();
    let none = |_: &str, _: NonZero<usize>| Err(std::io::ErrorKind::WouldBlock.into());
    store.pools = Arc::new(Pools::started_by(none, None, store.dir.path()));
    let schema = schema(Metric::L2, EncodingKind::Int4).build().unwrap();
    let core = store.create_collection("rows", schema, None).unwrap();
    let mut random = Random(8);
    let rows: Live = (0..1_500).map(|id| (id, random.vector())).collect();
    let write = |store: &Store, rows: &[(u64, Vec<f32>)]| {
        let ops = rows.iter().map(|(id, vector)| Op::Upsert(point(*id, vector))).collect();
        core.write(store, Batch::of(ops)).map(drop)
    };
    write(&store, &rows).unwrap();
    while core.link_some(&store) {}
    let live: Live = rows.iter().filter(|(id, _)| id % 5 != 2).cloned().collect();
    check(&core.view(), &live);
    let refused = core.flush(&store, Work::Flush).unwrap_err();
    assert!(matches!(&refused, crate::Error::Io { operation: "start threads for", .. }), "{refused}");
    // Nothing is unknown: writes go on.
    write(&store, &rows[..1]).unwrap();
    store.pools = Arc::new(Pools::new(NonZero::new(2), store.dir.path()));
    core.flush(&store, Work::Flush).unwrap();
    check(&core.view(), &live);
}
