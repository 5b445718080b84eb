//! Collections whose rows are kept apart by a tenant key: what a read sees, and what it must say.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cmp::Reverse;
use std::collections::BTreeMap;

use ragstone::query::{OrderBy, Query, Recommend, Strategy, TextQuery};
use ragstone::{
    Analyzer, Batch, Collection, Db, DbOptions, Error, FieldType, Filter, GeoPoint, Point, PointId,
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
