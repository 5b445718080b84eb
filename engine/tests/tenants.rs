//! Collections whose rows are kept apart by a tenant key: what a read sees, and what it must say.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ragstone::query::{OrderBy, Query, Recommend, Strategy, TextQuery};
use ragstone::{
    Analyzer, Batch, Clock, Collection, Db, DbOptions, Error, FieldType, Filter, GeoPoint, Point, PointId,
    RangeRequest, Schema, ScrollRequest, SearchRequest, Update, Value,
};

const TENANTS: u64 = 40;
/// Words without parts that an analyser would find, too.
const TREES: [&str; 3] = ["apple", "birch", "cedar"];

fn options() -> DbOptions {
    let mut options = DbOptions::default();
    (options.background, options.seal_rows) = (false, 900);
    options
}

/// A row whose place and tags depend on its number; each ninth has no vector.
fn point(id: u64, version: u64) -> Point {
    let angle = (id * 7 + version) as f32;
    let mut point = Point::new(id, [angle.sin(), angle.cos()])
        .with("tenant", tenant(id))
        .with("kind", Value::Int((id / TENANTS % 3) as i64))
        .with("place", GeoPoint::new((id % 90) as f64, (id % 180) as f64))
        .with("tags", vec![format!("t{}", id / TENANTS % 5), "all".to_owned()])
        .with("note", format!("{} {}", TREES[id as usize % 3], "long ".repeat(id as usize % 7)));
    if id.is_multiple_of(9) {
        point.vector = None;
    }
    point
}

fn page() -> ScrollRequest {
    ScrollRequest { limit: 40, ..ScrollRequest::default() }
}

/// Small ones and a few of more rows than a list is made of.
fn tenant(id: u64) -> String {
    let number = id % TENANTS;
    if number < TENANTS / 2 { "large".into() } else { format!("tenant {number}") }
}

fn ids(collection: &Collection, filter: &Filter) -> Vec<u64> {
    let request = ScrollRequest { filter: Some(filter.clone()), limit: 10_000, ..ScrollRequest::default() };
    let page = collection.scroll(&request).unwrap();
    let number = |point: &Point| if let PointId::Num(id) = point.id { id } else { unreachable!() };
    page.points.iter().map(number).collect()
}

/// Every read against going through all rows.
fn check(collection: &Collection, rows: &BTreeMap<u64, Point>) {
    let kinds = [
        ("all", None),
        ("kind", Some(Filter::eq("kind", 1i64))),
        ("tag", Some(Filter::contains("tags", "t2"))),
        ("near", Some(Filter::GeoRadius("place".into(), GeoPoint::new(40.0, 60.0), 3e6))),
        ("not", Some(Filter::Not(Box::new(Filter::eq("kind", 0i64))))),
        ("word", Some(Filter::Match("note".into(), "Birch".into()))),
        ("no word", Some(Filter::Not(Box::new(Filter::Match("note".into(), "birch long".into()))))),
        (
            "some",
            Some(Filter::Or(vec![Filter::Match("note".into(), "cedar".into()), Filter::eq("kind", 1i64)])),
        ),
    ];
    for name in ["large", "tenant 25", "tenant 39", "nobody"] {
        for (kind, more) in &kinds {
            let own = Filter::eq("tenant", name);
            let filter = more.clone().map_or(own.clone(), |more| Filter::And(vec![more, own.clone()]));
            let passes = |id: u64, point: &Point| {
                let numbered = point.payload["kind"].as_int().unwrap();
                let tags = point.payload["tags"].as_strings().unwrap();
                let place = point.payload["place"].as_geo().unwrap();
                point.payload["tenant"].as_str() == Some(name)
                    && match *kind {
                        "kind" => numbered == 1,
                        "tag" => tags[0] == "t2",
                        "near" => place.distance_m(GeoPoint::new(40.0, 60.0)) <= 3e6,
                        "not" => numbered != 0,
                        "word" => id % 3 == 1,
                        "no word" => id % 3 != 1 || id.is_multiple_of(7),
                        "some" => id % 3 == 2 || numbered == 1,
                        _ => true,
                    }
            };
            let expected: Vec<u64> =
                rows.iter().filter(|(id, point)| passes(**id, point)).map(|(id, _)| *id).collect();
            assert_eq!(ids(collection, &filter), expected, "{name} {kind}");
            assert_eq!(collection.count(Some(&filter)).unwrap(), expected.len() as u64);
            let with_vector = expected.iter().filter(|id| rows[id].vector.is_some()).count();
            let search = SearchRequest::new([1.0, 0.5], 12).filter(filter.clone());
            let response = collection.search(&search).unwrap();
            assert_eq!(response.hits.len(), with_vector.min(12), "{name} {kind}");
            let exact = collection.search(&search.clone().exact()).unwrap();
            // So few are simply compared.
            if with_vector <= 64 {
                for (found, exact) in response.hits.iter().zip(&exact.hits) {
                    assert!((found.score - exact.score).abs() < 1e-4, "{name} {kind}");
                }
            }
            let range = RangeRequest::new([1.0, 0.5], -1.0).filter(filter);
            assert_eq!(collection.search_range(&range).unwrap().hits.len(), with_vector, "{name} {kind}");
            check_queries(collection, rows, &expected, search.filter.as_ref().unwrap());
        }
    }
    assert_eq!(collection.count(Some(&Filter::AllTenants)).unwrap(), rows.len() as u64);
}

/// The other sources of rows, the rows that pass being known.
fn check_queries(collection: &Collection, rows: &BTreeMap<u64, Point>, expected: &[u64], filter: &Filter) {
    let number = |id: &PointId| if let PointId::Num(id) = id { *id } else { unreachable!() };
    let asked = |query: Query| -> Vec<u64> {
        let hits = collection.query(&query.filter(filter.clone())).unwrap().hits;
        hits.iter().map(|hit| number(&hit.point.id)).collect()
    };
    let kind = |id: &u64| rows[id].payload["kind"].as_int().unwrap();
    let mut ordered = expected.to_vec();
    ordered.sort_by_key(|id| (Reverse(kind(id)), *id));
    let by_kind = OrderBy::descending("kind");
    assert_eq!(asked(Query::new(by_kind.clone(), 30)), ordered[..ordered.len().min(30)]);
    let pages = ScrollRequest { filter: Some(filter.clone()), order: Some(by_kind), ..page() };
    let pages = collection.view().pages(pages).flat_map(|page| page.unwrap().points);
    assert_eq!(pages.map(|point| number(&point.id)).collect::<Vec<_>>(), ordered);
    let pages = collection.view().pages(ScrollRequest { filter: Some(filter.clone()), ..page() });
    let ids: Vec<u64> = pages.flat_map(|page| page.unwrap().points).map(|point| number(&point.id)).collect();
    assert_eq!(ids, expected);
    let facet = collection.facet("kind", Some(filter), 3).unwrap();
    assert_eq!(facet.rows, expected.len() as u64);
    for counted in &facet.counts {
        let of_kind = expected.iter().filter(|id| kind(id) == counted.value.as_int().unwrap());
        assert_eq!(counted.count, of_kind.count() as u64);
    }
    let tags = collection.facet("tags", Some(filter), 1).unwrap();
    assert_eq!(tags.rows, expected.len() as u64);
    // Every row has that one.
    assert_eq!(tags.counts.iter().map(|counted| counted.count).sum::<u64>(), tags.rows);
    let mut with_word = asked(Query::new(TextQuery::new("birch"), 5_000));
    with_word.sort_unstable();
    assert_eq!(with_word, expected.iter().copied().filter(|id| id % 3 == 1).collect::<Vec<_>>());
    let all = TextQuery::new("cedar long").all_terms();
    let having = expected.iter().filter(|id| **id % 3 == 2 && **id % 7 > 0);
    assert_eq!(asked(Query::new(all, 5_000)).len(), having.count());
    let like = Recommend::like([vec![1.0, 0.5]]).strategy(Strategy::BestScore);
    let exact = SearchRequest::new([1.0, 0.5], 9).filter(filter.clone()).exact();
    let exact: Vec<u64> = collection.search(&exact).unwrap().hits.iter().map(|hit| number(&hit.id)).collect();
    let found = asked(Query::new(like, 9));
    assert_eq!(found.len(), exact.len());
    if expected.len() <= 64 {
        assert_eq!(found, exact);
    }
}

#[test]
fn a_tenant_finds_its_own_rows_whatever_segments_they_lie_in() {
    let directory = tempfile::tempdir().unwrap();
    let schema =
        Schema::builder(2).field("kind", FieldType::Int).text("note", Analyzer::English).tenant("tenant");
    let schema = schema.build().unwrap();
    let mut rows = BTreeMap::new();
    let db = Db::open_with(directory.path(), options()).unwrap();
    let collection = db.create_collection("c", schema).unwrap();
    let write = |collection: &Collection, rows: &mut BTreeMap<u64, Point>, ids: Vec<u64>, version| {
        let points: Vec<Point> = ids.into_iter().map(|id| point(id, version)).collect();
        for point in &points {
            let PointId::Num(id) = point.id else { unreachable!() };
            rows.insert(id, point.clone());
        }
        collection.upsert(points).unwrap();
    };
    write(&collection, &mut rows, (0..1_200).collect(), 1);
    check(&collection, &rows);
    db.flush().unwrap();
    check(&collection, &rows);
    write(&collection, &mut rows, (1_000..3_000).filter(|id| id % 5 > 0).collect(), 2);
    let dead: Vec<u64> = (0..1_500).step_by(7).collect();
    let batch = dead.iter().fold(Batch::new(), |batch, id| batch.delete(*id));
    collection.write(batch).unwrap();
    dead.iter().for_each(|id| drop(rows.remove(id)));
    check(&collection, &rows);
    db.compact().unwrap();
    check(&collection, &rows);
    // Of sealed rows: other kinds, places and tags.
    let updates = rows.iter_mut().filter(|(id, _)| *id % 13 == 0).map(|(id, row)| {
        let mut update = Update::new(*id);
        for field in ["kind", "place", "tags"] {
            let value = point(id + TENANTS * 4, 1).payload[field].clone();
            row.payload.insert(field.into(), value.clone());
            update = update.set(field, value);
        }
        update
    });
    collection.update(updates.collect()).unwrap();
    check(&collection, &rows);
    let gone = Filter::And(vec![Filter::eq("kind", 2), Filter::eq("tenant", "tenant 25")]);
    let is_gone =
        |row: &Point| (&row.payload["kind"], &row.payload["tenant"]) == (&Value::Int(2), &"tenant 25".into());
    let before = rows.len();
    rows.retain(|_, row| !is_gone(row));
    assert_eq!(collection.delete_where(&gone).unwrap().deleted, before - rows.len());
    check(&collection, &rows);
    drop((collection, db));
    let db = Db::open_with(directory.path(), options()).unwrap();
    let collection = db.collection("c").unwrap();
    assert_eq!(collection.schema().tenant(), Some("tenant"));
    check(&collection, &rows);
}

/// A row of a collection whose tenant key is an int: whose it is, its kind, and when it expires.
type Numbered = (i64, i64, Option<i64>);

/// Reads of one tenant and of several against going through all rows.
fn check_numbered(collection: &Collection, rows: &BTreeMap<u64, Numbered>, now: i64) {
    for tenants in [vec![3], vec![0], vec![150], vec![-1], vec![4, 3, 4], vec![], vec![0, 77, 150, 999]] {
        for kind in [None, Some(1)] {
            let whose = match tenants.as_slice() {
                [tenant] => Filter::eq("tenant", *tenant),
                _ => Filter::In("tenant".into(), tenants.iter().map(|tenant| Value::Int(*tenant)).collect()),
            };
            let more = kind.map(|kind| Filter::eq("kind", kind));
            let filter = more.map_or(whose.clone(), |more| Filter::And(vec![whose, more]));
            let passes = |(own, of_kind, expires_at): &Numbered| {
                tenants.contains(own)
                    && kind.is_none_or(|kind| kind == *of_kind)
                    && expires_at.is_none_or(|at| at > now)
            };
            let passing = || rows.iter().filter(|(_, row)| passes(row));
            let expected: Vec<u64> = passing().map(|(id, _)| *id).collect();
            assert_eq!(ids(collection, &filter), expected, "{filter:?}");
            assert_eq!(collection.count(Some(&filter)).unwrap(), expected.len() as u64, "{filter:?}");
            let search = SearchRequest::new([1.0, 0.5], 20).filter(filter.clone());
            let found = collection.search(&search).unwrap().hits.len();
            assert_eq!(found, expected.len().min(20), "{filter:?}");
            let range = RangeRequest::new([1.0, 0.5], -1.0).filter(filter.clone());
            assert_eq!(collection.search_range(&range).unwrap().hits.len(), expected.len(), "{filter:?}");
            let tags = collection.facet("tags", Some(&filter), 5).unwrap();
            assert_eq!(tags.rows, expected.len() as u64, "{filter:?}");
            let order = Some(OrderBy::ascending("kind"));
            let pages = ScrollRequest { filter: Some(filter.clone()), order, ..page() };
            let pages = collection.view().pages(pages).flat_map(|page| page.unwrap().points);
            let mut ordered: Vec<(i64, u64)> = passing().map(|(id, row)| (row.1, *id)).collect();
            ordered.sort_unstable();
            let ordered = ordered.into_iter().map(|(_, id)| PointId::Num(id));
            assert!(pages.map(|point| point.id).eq(ordered), "{filter:?}");
        }
    }
}

/// Rows that came one by one and in batches, were replaced by those of other tenants, updated, deleted, or have expired; until all
/// are sealed.
#[test]
fn a_tenant_finds_its_own_rows_while_none_is_sealed() {
    let now = Arc::new(AtomicI64::new(1_000));
    let mut options = DbOptions::default();
    (options.background, options.seal_rows) = (false, 100_000);
    let clock = now.clone();
    options.clock = Clock::new(move || clock.load(Ordering::SeqCst));
    let db = Db::in_memory_with(options).unwrap();
    let schema = Schema::builder(2).field("tenant", FieldType::Int).tenant("tenant");
    let collection = db.create_collection("c", schema.build().unwrap()).unwrap();
    let (mut rows, mut state) = (BTreeMap::<u64, Numbered>::new(), 1_u64);
    let mut below = |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % bound
    };
    for (round, size) in [2_000, 1, 1, 3, 40, 1, 1_000, 1, 1, 500, 7, 1].into_iter().enumerate() {
        let mut batch = BTreeMap::new();
        for _ in 0..size {
            // Two in five rows are of one tenant, more than half of a part of the segment; most others have some ten.
            let tenant = if below(5) < 2 { 0 } else { below(200) as i64 };
            let expires_at = (below(9) == 0).then(|| 1_000 + below(600) as i64);
            batch.insert(below(4_000), (tenant, below(3) as i64, expires_at));
        }
        let point = |(id, (tenant, kind, expires_at)): (&u64, &Numbered)| Point {
            expires_at: *expires_at,
            ..Point::new(*id, [1.0, *id as f32])
                .with("tenant", *tenant)
                .with("kind", *kind)
                .with("tags", vec!["all".to_owned()])
        };
        collection.upsert(batch.iter().map(point).collect()).unwrap();
        rows.extend(batch);
        check_numbered(&collection, &rows, now.load(Ordering::SeqCst));
        now.fetch_add(50, Ordering::SeqCst);
        check_numbered(&collection, &rows, now.load(Ordering::SeqCst));
        rows.retain(|_, (.., expires_at)| expires_at.is_none_or(|at| at > now.load(Ordering::SeqCst)));
        let some: Vec<u64> = rows.keys().copied().filter(|id| id % 12 == round as u64).collect();
        let updates = some.iter().map(|id| {
            let row = rows.get_mut(id).unwrap();
            row.1 = (row.1 + 1) % 3;
            Update::new(*id).set("kind", row.1)
        });
        collection.update(updates.collect()).unwrap();
        let dead: Vec<PointId> = some.iter().step_by(3).map(|id| PointId::Num(*id)).collect();
        collection.delete(&dead).unwrap();
        some.iter().step_by(3).for_each(|id| assert!(rows.remove(id).is_some()));
        let gone = Filter::And(vec![Filter::eq("kind", 2), Filter::eq("tenant", 3 + round as i64)]);
        let before = rows.len();
        rows.retain(|_, row| (row.1, row.0) != (2, 3 + round as i64));
        assert_eq!(collection.delete_where(&gone).unwrap().deleted, before - rows.len());
        check_numbered(&collection, &rows, now.load(Ordering::SeqCst));
    }
    assert_eq!(collection.info().growing, rows.len() as u64);
    db.flush().unwrap();
    assert_eq!(collection.info().growing, 0);
    check_numbered(&collection, &rows, now.load(Ordering::SeqCst));
}

#[test]
fn a_read_without_a_tenant_and_a_row_without_one_are_refused() {
    let db = Db::in_memory().unwrap();
    let schema = Schema::builder(2).tenant("tenant").build().unwrap();
    let collection = db.create_collection("c", schema).unwrap();
    let error = collection.upsert(vec![Point::new(1, [1.0, 0.0])]).unwrap_err().to_string();
    assert_eq!(error, "points[0].payload.tenant: a row of this collection has a value of its tenant key");
    let wrong = collection.upsert(vec![Point::new(1, [1.0, 0.0]).with("tenant", 3)]).unwrap_err();
    assert!(matches!(wrong, Error::FieldType { .. }), "{wrong}");
    collection.upsert(vec![Point::new(1, [1.0, 0.0]).with("tenant", "a")]).unwrap();
    let search = SearchRequest::new([1.0, 0.0], 3);
    let page = page();
    let query = Query::new(OrderBy::ascending("tenant"), 3);
    let refused = [
        collection.search(&search).unwrap_err(),
        collection.search_batch(std::slice::from_ref(&search)).unwrap_err(),
        collection.query(&query).unwrap_err(),
        collection.query_batch(std::slice::from_ref(&query)).unwrap_err(),
        collection.facet("tenant", None, 3).unwrap_err(),
        collection.search_range(&RangeRequest::new([1.0, 0.0], 0.0)).unwrap_err(),
        collection.count(None).unwrap_err(),
        collection.delete_where(&Filter::Exists("tenant".into())).unwrap_err(),
        collection.count(Some(&Filter::Not(Box::new(Filter::eq("tenant", "a"))))).unwrap_err(),
        collection.scroll(&page).unwrap_err(),
        collection.view().rows(&page).unwrap_err(),
        collection.view().iter().next().unwrap().unwrap_err(),
        collection.view().pages(page.clone()).next().unwrap().unwrap_err(),
    ];
    for error in refused {
        let message = error.to_string();
        assert!(message.contains("the collection keeps tenants apart by `tenant`"), "{message}");
    }
    for update in [Update::new(1).set("tenant", "b"), Update::new(1).unset("tenant")] {
        let error = collection.update(vec![update]).unwrap_err().to_string();
        assert!(error.starts_with("points[0].payload.tenant: a row stays with its tenant"), "{error}");
    }
    let meant = search.filter(Filter::And(vec![Filter::AllTenants]));
    assert_eq!(collection.search(&meant).unwrap().hits.len(), 1);
    let all = Some(Filter::AllTenants);
    assert_eq!(collection.query(&Query { filter: all.clone(), ..query }).unwrap().hits.len(), 1);
    assert_eq!(collection.facet("tenant", all.as_ref(), 3).unwrap().rows, 1);
    assert_eq!(collection.scroll(&ScrollRequest { filter: all, ..page }).unwrap().points.len(), 1);
    assert_eq!(collection.get(&[1.into()]).unwrap().len(), 1);
}
