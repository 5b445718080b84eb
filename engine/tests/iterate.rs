//! Iterators over views against a naive oracle, and beside writes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use ragstone::{Db, DbOptions, Error, Filter, Point, PointId, Schema, ScrollRequest};

fn id(number: u64) -> PointId {
    if number.is_multiple_of(3) { PointId::Str(format!("p{number:03}")) } else { number.into() }
}

/// Rows in several segments, sealed and growing, some replaced and some deleted; and what they are.
fn rows() -> (Db, BTreeMap<PointId, Point>) {
    let mut options = DbOptions::default();
    (options.background, options.seal_rows) = (false, 40);
    let db = Db::in_memory_with(options).unwrap();
    let notes =
        db.create_collection("notes", Schema::builder(2).metric(ragstone::Metric::L2).build().unwrap());
    let notes = notes.unwrap();
    let mut model = BTreeMap::new();
    for round in 0..12_u64 {
        for number in (round * 17..round * 17 + 20).map(|number| number % 150) {
            let mut point = Point::new(id(number), [round as f32, number as f32]).with("round", round as i64);
            if number % 5 == 0 {
                point.vector = None;
            }
            point.etag = Some(notes.upsert(vec![point.clone()]).unwrap().seq);
            model.insert(point.id.clone(), point);
        }
        let gone = id(round * 7);
        notes.delete(std::slice::from_ref(&gone)).unwrap();
        model.remove(&gone);
    }
    (db, model)
}

#[test]
fn every_row_comes_once_in_the_order_of_the_ids() {
    let (db, model) = rows();
    let notes = db.collection("notes").unwrap();
    assert!(notes.info().segments > 1);
    let view = notes.view();
    let all: Vec<Point> = view.iter().collect::<Result<_, _>>().unwrap();
    assert_eq!(all, model.values().cloned().collect::<Vec<_>>());
    let filter = Filter::eq("round", 9);
    let after = all[10].id.clone();
    let request = ScrollRequest {
        filter: Some(filter),
        after: Some(after.clone().into()),
        limit: 3,
        fields: Some(vec![]),
        ..ScrollRequest::default()
    };
    let expected: Vec<Point> = model
        .into_values()
        .filter(|point| point.id > after && point.payload["round"].as_int() == Some(9))
        .map(|point| Point { etag: point.etag, ..Point::without_vector(point.id) })
        .collect();
    assert!(expected.len() > 6, "{}", expected.len());
    let found: Vec<Point> = view.rows(&request).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(found, expected);
    let pages: Vec<_> = view.pages(request).collect::<Result<_, _>>().unwrap();
    assert!(pages.iter().rev().skip(1).all(|page| page.points.len() == 3 && page.next.is_some()));
    assert_eq!(pages.into_iter().flat_map(|page| page.points).collect::<Vec<_>>(), expected);
}

#[test]
fn an_iterator_shows_the_view_whatever_is_written_meanwhile() {
    let (db, model) = rows();
    let notes = db.collection("notes").unwrap();
    let view = notes.view();
    let mut found = Vec::new();
    for point in &view {
        let point = point.unwrap();
        notes.delete(std::slice::from_ref(&point.id)).unwrap();
        if found.len() == 30 {
            db.compact().unwrap();
        }
        found.push(point);
    }
    assert_eq!(found, model.into_values().collect::<Vec<_>>());
    assert_eq!((notes.info().points, notes.view().iter().count()), (0, 0));
}

#[test]
fn a_request_that_cannot_be_answered_is_refused_once() {
    let (db, _) = rows();
    let view = db.collection("notes").unwrap().view();
    let unknown = ScrollRequest { fields: Some(vec!["no".into()]), limit: 1, ..ScrollRequest::default() };
    assert!(matches!(view.rows(&unknown), Err(Error::UnknownField { field }) if field == "fields[0].no"));
    let mut pages = view.pages(unknown);
    assert!(matches!(pages.next(), Some(Err(Error::UnknownField { .. }))));
    assert!(pages.next().is_none());
    let mut none = view.pages(ScrollRequest::default());
    assert!(matches!(none.next(), Some(Err(Error::Invalid { field, .. })) if field == "limit"));
    assert!(none.next().is_none());
    let no_rows =
        ScrollRequest { after: Some(PointId::from("z").into()), limit: 2, ..ScrollRequest::default() };
    assert_eq!(view.pages(no_rows.clone()).count(), 1, "one empty page");
    assert_eq!(view.rows(&no_rows).unwrap().count(), 0);
}
