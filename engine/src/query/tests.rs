//! Refusals, interruptions and reports of queries; their answers are compared with an oracle in `tests/query`.

use std::collections::HashMap;
use std::time::Duration;

use super::*;
use crate::interrupt::cancelled_at;
use crate::limits::{
    CANDIDATES_MAX, EXAMPLES_MAX, FACET_VALUES_MAX, FUSE_SOURCES_MAX, GROUP_ROWS_MAX, GROUPS_MAX, K_MAX,
    QUERY_DEPTH_MAX, QUERY_SOURCES_MAX, SEARCH_BATCH_MAX,
};
use crate::{Collection, Db, DbOptions, Filter, Interrupted, Metric, Point, PointId, Schema, SearchRequest};

const ROWS: u64 = 3_000;

/// Points on a spiral, half of them sealed. `third` is the id modulo three, of even ids only.
fn collection(metric: Metric) -> (Db, Collection) {
    let options = DbOptions { background: false, ..DbOptions::default() };
    let db = Db::open_in(std::sync::Arc::new(crate::dir::memory::MemoryDir::new()), options).unwrap();
    let rows = db.create_collection("rows", Schema::builder(2).metric(metric).build().unwrap()).unwrap();
    let point = |id: u64| {
        let angle = id as f32 / 100.0;
        let point =
            Point::new(id, [angle.cos() * (1.0 + angle), angle.sin() * (1.0 + angle)]).with("id", id as i64);
        if id.is_multiple_of(2) { point.with("third", (id % 3) as i64) } else { point }
    };
    rows.upsert((0..ROWS / 2).map(point).collect()).unwrap();
    db.flush().unwrap();
    rows.upsert((ROWS / 2..ROWS).map(point).collect()).unwrap();
    rows.upsert(vec![Point::without_vector("bare").with("id", -1)]).unwrap();
    (db, rows)
}

/// One of each kind, and some in each other.
fn sources() -> Vec<Source> {
    let near = || Nearest::new([1.0, 0.5]);
    let best = Recommend::like([7, 2_000]).unlike([70]).strategy(Strategy::BestScore);
    vec![
        near().into(),
        near().exact().into(),
        OrderBy::descending("id").into(),
        Recommend::like([7]).unlike([70]).into(),
        best.clone().into(),
        Recommend { exact: true, ..best.clone() }.into(),
        Recommend { positive: Vec::new(), ..best.clone() }.into(),
        Fuse::reciprocal_rank([
            Source::from(near()),
            OrderBy::ascending("third").into(),
            best.clone().into(),
        ])
        .into(),
        Fuse::weighted([(near(), 0.5), (near().exact(), 0.2)]).into(),
        Rescore::new(near(), OrderBy::ascending("id")).into(),
        Rescore::new(
            OrderBy::ascending("id"),
            Fuse::weighted([(Source::from(near()), 1.0), (best.into(), 1.0)]),
        )
        .into(),
    ]
}

#[test]
fn errors_name_the_place_and_the_limit() {
    let (_db, rows) = collection(Metric::Cosine);
    let near = || Source::from(Nearest::new([1.0, 0.0]));
    let query = |source: Source| Query::new(source, 10);
    let fuse = |sources: Vec<Source>| Source::from(Fuse::reciprocal_rank(sources));
    let mut deep = near();
    for _ in 0..QUERY_DEPTH_MAX {
        deep = fuse(vec![deep]);
    }
    let many = vec![fuse(vec![near(); FUSE_SOURCES_MAX]); 4];
    let weighing = |weight: f32| Source::from(Fuse::weighted([(near(), 1.0), (near(), weight)]));
    let by_rank = |k: f32| {
        Source::from(Fuse { method: Fusion::ReciprocalRank { k }, ..Fuse::reciprocal_rank([near()]) })
    };
    let recommend = |strategy| Source::from(Recommend::like(Vec::<u64>::new()).strategy(strategy));
    let cases = [
        (Query::nearest([1.0, 0.0], 0), "k: "),
        (Query::nearest([1.0, 0.0], K_MAX + 1), "k: 10001 is beyond the limit K_MAX"),
        (Query::nearest([1.0], 1), "source.nearest.query: the collection has vectors of 2 components"),
        (query(Nearest::new([1.0, 0.0]).by("title").into()), "source.nearest.vector: "),
        (query(Nearest::new([1.0, 0.0]).ef(0).into()), "source.nearest.ef: "),
        (
            query(fuse(vec![near(), Nearest::new([0.0, 0.0]).into()])),
            "source.fuse.sources[1].nearest.query: a zero vector",
        ),
        (query(fuse(Vec::new())), "source.fuse.sources: "),
        (
            query(fuse(vec![near(); FUSE_SOURCES_MAX + 1])),
            "source.fuse.sources: 17 is beyond the limit FUSE_SOURCES_MAX",
        ),
        (query(deep), "source.fuse.sources[0].fuse.sources[0].fuse.sources[0]"),
        (query(fuse(many)), "source: 65 is beyond the limit QUERY_SOURCES_MAX"),
        (query(Fuse::weighted([(near(), -1.0)]).into()), "source.fuse.sources[0].weight: "),
        // Two such made every sum infinite, and no sum of such as the other is above 0: rows came in the order of their ids.
        (query(weighing(f32::MAX)), "source.fuse.sources[1].weight: a weight is 0, or from 1e-30 to 1e30"),
        (query(weighing(1e-44)), "source.fuse.sources[1].weight: a weight is 0, or from 1e-30 to 1e30"),
        (query(by_rank(1e9)), "source.fuse.method.k: it is a number from 0 to 1000000, not 1000000000"),
        (query(Fuse::weighted([(near(), 0.0)]).into()), "source.fuse.sources: one weight"),
        (
            query(Fuse::weighted([(OrderBy::ascending("id"), 1.0)]).into()),
            "source.fuse.sources[0].order_by: it gives an order and no scores",
        ),
        (query(by_rank(f32::NAN)), "source.fuse.method.k: "),
        (
            query(Fuse::reciprocal_rank([near()]).candidates(CANDIDATES_MAX + 1).into()),
            "source.fuse.candidates: 10001 is beyond the limit CANDIDATES_MAX",
        ),
        (query(Rescore::new(near(), OrderBy::ascending("no")).into()), "source.rescore.by.order_by.no: "),
        (query(Rescore::new(near(), Rescore::new(near(), near())).into()), "source.rescore.by: "),
        (query(recommend(Strategy::AverageVector)), "source.recommend.positive: an average"),
        (query(recommend(Strategy::BestScore)), "source.recommend.positive: there is no example"),
        (query(Recommend::like(["gone"]).into()), "source.recommend.positive[0]: there is no row `gone`"),
        (
            query(Recommend::like([1]).unlike(["bare"]).into()),
            "source.recommend.negative[0]: the row `bare` has no",
        ),
        (
            query(Recommend::like([vec![1.0, 0.0], vec![-1.0, 0.0]]).into()),
            "source.recommend: a zero vector has no direction",
        ),
        (
            query(Recommend::like(vec![1; EXAMPLES_MAX + 1]).into()),
            "source.recommend: 257 is beyond the limit EXAMPLES_MAX",
        ),
        (
            query(TextQuery { fields: vec![("id".into(), 1.0); 257], ..TextQuery::new("the") }.into()),
            "source.text.fields: 257 is beyond the limit FIELDS_MAX",
        ),
        (query(near()).filter(Filter::eq("no", 1)), "filter.no: "),
        (query(near()).threshold(f32::NAN), "threshold: NaN"),
        (query(OrderBy::ascending("id").into()).threshold(1.0), "threshold: the source gives an order"),
        (query(near()).group("no", 1), "group.no: "),
        (query(near()).group("third", 0), "group.per_group: "),
        (
            query(near()).group("third", GROUP_ROWS_MAX + 1),
            "group.per_group: 1001 is beyond the limit GROUP_ROWS_MAX",
        ),
        (Query::new(near(), GROUPS_MAX + 1).group("third", 1), "k: 1001 is beyond the limit GROUPS_MAX"),
        (Query::new(near(), 101).group("third", 100), "group: 10100 is beyond the limit K_MAX"),
        (
            query(near()).select(Select { fields: Names::of(["id", "no"]), vectors: Names::None }),
            "select.fields[1].no: ",
        ),
        (
            query(near()).select(Select { fields: Names::All, vectors: Names::of(["", "no"]) }),
            "select.vectors[1]: the collection has no vector `no`",
        ),
    ];
    assert_eq!(QUERY_SOURCES_MAX, 64);
    for (query, expected) in cases {
        let error = rows.query(&query).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
        let good = Query::nearest([1.0, 0.0], 1);
        let error = rows.query_batch(&[good, query]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("queries[1].{expected}")), "{error}");
    }
    let many = vec![Query::nearest([1.0, 0.0], 1); SEARCH_BATCH_MAX + 1];
    assert!(rows.query_batch(&many).unwrap_err().to_string().starts_with("queries: 10001 is beyond"));
    let facet = |name, limit| rows.facet(name, None, limit).unwrap_err().to_string();
    assert!(facet("no", 1).starts_with("field.no: "));
    assert!(facet("id", 0).starts_with("limit: "));
    assert!(
        facet("id", FACET_VALUES_MAX + 1).starts_with("limit: 10001 is beyond the limit FACET_VALUES_MAX")
    );
}

/// At every moment at which a query can be ended it ends, keeps what it has, and says so.
#[test]
fn a_query_that_is_cancelled_says_so() {
    for metric in [Metric::Cosine, Metric::L2] {
        let (_db, rows) = collection(metric);
        let view = rows.view();
        for source in sources() {
            for group in [false, true] {
                let mut query = Query::new(source.clone(), 5);
                if group {
                    query = query.group("third", 300);
                }
                let whole = view.query(&query).unwrap();
                let mut polls = 0;
                loop {
                    polls += 1;
                    let response = view.query(&query.clone().cancel(cancelled_at(polls))).unwrap();
                    if response.stats.interrupted.is_none() {
                        assert_eq!(response, whole);
                        break;
                    }
                    assert_eq!(response.stats.interrupted, Some(Interrupted::Cancelled));
                    assert!(!response.stats.exact);
                    assert!(response.hits.len() <= 5 && response.groups.len() <= 5);
                }
                assert!(polls > 2, "{source:?}");
            }
        }
        let spent = Query::nearest([1.0, 0.0], 5).budget(Duration::ZERO);
        let response = rows.query(&spent).unwrap();
        assert_eq!((response.hits.len(), response.stats.interrupted), (0, Some(Interrupted::OutOfTime)));
    }
}

#[test]
fn a_report_tells_the_stages_and_changes_no_answer() {
    let (_db, rows) = collection(Metric::Cosine);
    for source in sources() {
        let query = Query::new(source, 20);
        let explained = rows.query(&query.clone().explain()).unwrap();
        let explain = explained.explain.clone().unwrap();
        assert_eq!(QueryResponse { explain: None, ..explained.clone() }, rows.query(&query).unwrap());
        assert_eq!(explain.exact, explained.stats.exact);
        let root = explain.stages.last().unwrap();
        assert_eq!((root.rows, root.exact), (20, explain.exact));
        assert!(explain.stages.iter().all(|stage| stage.micros <= explain.micros));
    }
}

#[test]
fn a_report_says_what_was_done_in_each_segment() {
    let (db, rows) = collection(Metric::Cosine);
    let plans = |query: Query| {
        let response = rows.query(&query.explain()).unwrap();
        let explain = response.explain.unwrap();
        let segments = &explain.stages[0].segments;
        let plans: Vec<_> = segments.iter().map(|segment| (segment.sealed, segment.plans.clone())).collect();
        (plans, explain.exact, segments.iter().map(|segment| segment.matching).sum::<u64>())
    };
    let scan = vec![SegmentPlan::ScanRows];
    let (found, exact, matching) = plans(Query::new(Nearest::new([1.0, 0.0]).exact(), 5));
    assert_eq!((exact, matching), (true, ROWS));
    assert!(found.iter().all(|(_, plans)| *plans == scan), "{found:?}");
    let (found, exact, _) = plans(Query::new(Nearest::new([1.0, 0.0]), 5));
    assert!(!exact && found.contains(&(true, vec![SegmentPlan::ScanCodes])), "{found:?}");
    let (found, exact, matching) = plans(Query::nearest([1.0, 0.0], 5).filter(Filter::eq("id", 3)));
    assert_eq!((exact, matching), (true, 1));
    assert!(found.contains(&(true, scan)) && found.contains(&(false, vec![SegmentPlan::Skip])), "{found:?}");
    db.flush().unwrap();
    let (found, exact, matching) = plans(Query::new(OrderBy::ascending("id"), 5));
    assert_eq!((exact, matching), (true, ROWS + 1));
    assert!(found.contains(&(true, vec![SegmentPlan::Sorted])), "{found:?}");

    let request = SearchRequest::new([1.0, 0.0], 5);
    let response = rows.search(&request.clone().explain()).unwrap();
    assert!(rows.search(&request).unwrap().explain.is_none());
    let explain = response.explain.unwrap();
    assert_eq!((explain.stages.len(), explain.stages[0].path.as_str()), (1, "search"));
    let distances: u64 = explain.stages[0].segments.iter().map(|segment| segment.distances).sum();
    assert_eq!((distances, explain.exact), (response.stats.distances, response.stats.exact));
}

/// A group that has all near rows does not hide the others, and takes few distances.
#[test]
fn groups_are_found_behind_a_large_one() {
    let (db, rows) = {
        let options = DbOptions { background: false, ..DbOptions::default() };
        let db = Db::open_in(std::sync::Arc::new(crate::dir::memory::MemoryDir::new()), options).unwrap();
        let rows =
            db.create_collection("rows", Schema::builder(2).metric(Metric::L2).build().unwrap()).unwrap();
        (db, rows)
    };
    let point = |id: u64| {
        let document = if id < 2_900 { 0 } else { id as i64 };
        let point = Point::new(id, [id as f32, 0.0]);
        if id % 10 == 9 { point } else { point.with("document", document) }
    };
    rows.upsert((0..ROWS).map(point).collect()).unwrap();
    db.flush().unwrap();
    let response = rows.query(&Query::nearest([0.0, 0.0], 4).group("document", 3)).unwrap();
    let ids: Vec<Vec<String>> = response
        .groups
        .iter()
        .map(|group| group.hits.iter().map(|hit| hit.point.id.to_string()).collect())
        .collect();
    assert_eq!(ids, [vec!["0", "1", "2"], vec!["2900"], vec!["2901"], vec!["2902"]]);
    assert!(response.stats.distances < ROWS, "{}", response.stats.distances);
}

#[test]
fn pages_of_an_order_do_not_go_through_all_rows() {
    let (_db, rows) = collection(Metric::Cosine);
    let view = rows.view();
    // A long run of equal values, and rows without one: both are walked in the order of the ids.
    let by = OrderBy::descending("third");
    let request = crate::ScrollRequest { order: Some(by), limit: 100, ..Default::default() };
    let ids: Vec<crate::PointId> =
        view.pages(request).flat_map(|page| page.unwrap().points).map(|point| point.id).collect();
    let third = |id: u64| if id.is_multiple_of(2) { 2 - (id % 3) } else { 3 };
    let mut expected: Vec<crate::PointId> = Vec::new();
    for run in 0..4 {
        expected.extend((0..ROWS).filter(|id| third(*id) == run).map(crate::PointId::Num));
    }
    expected.push("bare".into());
    assert_eq!(ids, expected);
}

/// By word alone, together with a vector, and in each other.
#[test]
fn words_and_vectors_answer_together() {
    let db = Db::in_memory().unwrap();
    let schema = Schema::builder(2).text("title", crate::Analyzer::English).build().unwrap();
    let rows = db.create_collection("rows", schema).unwrap();
    let titles = ["green tea", "tea and rain", "rain in spain", "sun"];
    let point = |id: usize| Point::new(id as u64, [1.0, id as f32]).with("title", titles[id]);
    rows.upsert((0..titles.len()).map(point).collect()).unwrap();
    let ids = |query: Query| -> Vec<String> {
        let response = rows.query(&query).unwrap();
        assert!(response.stats.exact);
        response.hits.iter().map(|hit| hit.point.id.to_string()).collect()
    };
    for sealed in [false, true] {
        if sealed {
            db.flush().unwrap();
        }
        let tea = ids(Query::new(TextQuery::new("tea"), 10));
        assert_eq!(tea, ["0", "1"]);
        assert_eq!(ids(Query::new(TextQuery::new("tea rain").field("title", 2.0).all_terms(), 10)), ["1"]);
        assert_eq!(ids(Query::hybrid([1.0, 3.0], "spain", 10)), ["2", "3", "1", "0"]);
        let near = Nearest::new([1.0, 3.0]).exact();
        assert_eq!(ids(Query::new(Rescore::new(near, TextQuery::new("tea rain")), 1)), ["1"]);
    }
    let error = |query: TextQuery| rows.query(&Query::new(query, 1)).unwrap_err().to_string();
    assert!(error(TextQuery::new("x").field("no", 1.0)).starts_with("source.text.fields.no: "));
}

/// What is compared with: all rows, ranked by the source.
fn rescored(view: &crate::View, source: &Source) -> HashMap<PointId, f32> {
    let all = ROWS as usize + 1;
    let rescore = Rescore::new(OrderBy::ascending("id"), source.clone()).candidates(all);
    let hits = view.query(&Query::new(rescore, all)).unwrap().hits;
    hits.into_iter().filter_map(|hit| Some((hit.point.id, hit.score?))).collect()
}

#[test]
fn rows_that_are_given_score_as_a_rescoring_has_it() {
    let is_leaf = |source: &Source| !matches!(source, Source::Fuse(_));
    for metric in [Metric::Cosine, Metric::L2] {
        let (_db, rows) = collection(metric);
        let view = rows.view();
        let all: Vec<PointId> = (0..ROWS).map(PointId::Num).chain(["bare".into(), "gone".into()]).collect();
        // What some sources say of a row depends on the others, so they are given all of them.
        let some: Vec<PointId> = all.iter().step_by(7).chain(all.iter().rev().step_by(11)).cloned().collect();
        let scoring: Vec<Source> = sources()
            .into_iter()
            .filter(|source| !matches!(source, Source::OrderBy(_) | Source::Rescore(_)))
            .collect();
        let leaves: Vec<Source> = scoring.iter().filter(|source| is_leaf(source)).cloned().collect();
        for (ids, sources) in [(&all, &scoring), (&some, &leaves)] {
            let scores = view.score(ids, sources).unwrap();
            assert_eq!(scores.len(), sources.len());
            for (source, scores) in sources.iter().zip(scores) {
                let expected = rescored(&view, source);
                assert!(expected.len() > 2_900, "{source:?}");
                let expected: Vec<Option<f32>> = ids.iter().map(|id| expected.get(id).copied()).collect();
                assert_eq!(scores, expected, "{source:?}");
            }
        }
        let error = |ids: &[PointId], sources: &[Source]| view.score(ids, sources).unwrap_err().to_string();
        let near = || Source::from(Nearest::new([1.0, 0.0]));
        let order = error(&some, &[near(), OrderBy::ascending("id").into()]);
        assert!(order.starts_with("sources[1].order_by: it gives an order and no scores"), "{order}");
        let wrong = error(&some, &[Nearest::new([1.0]).into()]);
        assert!(wrong.starts_with("sources[0].nearest.query: "), "{wrong}");
        let many = error(&vec![PointId::Num(7); CANDIDATES_MAX + 1], &[near()]);
        assert!(many.starts_with("ids: 10001 is beyond the limit CANDIDATES_MAX"), "{many}");
        let many = error(&some, &vec![near(); QUERY_SOURCES_MAX + 1]);
        assert!(many.starts_with("sources: 65 is beyond the limit QUERY_SOURCES_MAX"), "{many}");
    }
}

#[test]
fn rows_that_are_given_are_read_if_they_pass() {
    let (_db, rows) = collection(Metric::Cosine);
    let view = rows.view();
    let number = PointId::Num;
    let ids = [number(4), number(5), number(2_002), number(9_000), "bare".into(), number(4)];
    let of_id = |id: i64| Some(crate::Payload::from([("id".to_owned(), id.into())]));
    let select = Select { fields: Names::of(["id"]), vectors: Names::None };
    let read = |filter: Option<&Filter>| -> Vec<Option<crate::Payload>> {
        let points = view.select(&ids, filter, &select).unwrap();
        assert!(points.iter().flatten().all(|point| point.vector.is_none()));
        points.into_iter().map(|point| point.map(|point| point.payload)).collect()
    };
    assert_eq!(read(None), [of_id(4), of_id(5), of_id(2_002), None, of_id(-1), of_id(4)]);
    assert_eq!(read(Some(&Filter::AllTenants)), read(None));
    let third = Filter::eq("third", 1);
    assert_eq!(read(Some(&third)), [of_id(4), None, of_id(2_002), None, None, of_id(4)]);
    let whole = view.select(&ids, None, &Select { vectors: Names::All, ..Select::default() }).unwrap();
    assert_eq!(whole, view.get(&ids).unwrap());
    let error =
        |filter: &Filter, select: &Select| view.select(&ids, Some(filter), select).unwrap_err().to_string();
    assert!(error(&Filter::eq("no", 1), &select).starts_with("filter.no: "));
    let unknown = Select { fields: Names::of(["no"]), vectors: Names::None };
    assert!(error(&third, &unknown).starts_with("select.fields[0].no: "));
}
