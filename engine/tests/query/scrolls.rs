//! Pages in the order of a field, while rows are written between them.

use std::collections::BTreeMap;

use ragstone::query::{Cursor, OrderBy};
use ragstone::{Filter, Metric, Point, PointId, ScrollRequest};

use super::oracle::by_field;
use super::support::{ORDERED, passes};
use super::world::{Numbers, World};

fn expected(world: &World, by: &OrderBy, filter: Option<&Filter>) -> Vec<Point> {
    let rows = world.points.values().filter(|point| filter.is_none_or(|filter| passes(filter, point)));
    let mut rows: Vec<Point> = rows.cloned().collect();
    rows.sort_by(|a, b| by_field(by, a, b));
    rows
}

/// Which write brought a row is not known here.
fn without_etags(points: Vec<Point>) -> Vec<Point> {
    points.into_iter().map(|point| Point { etag: None, ..point }).collect()
}

fn order(world: &mut World) -> OrderBy {
    OrderBy { field: world.random.pick(&ORDERED).into(), descending: world.random.is_one_in(2) }
}

#[test]
fn pages_and_iterators_are_in_order() {
    check_pages(World::new(Numbers::Any(Metric::Cosine), 11));
}

#[test]
fn pages_of_tenants_are_in_order() {
    check_pages(World::of_tenants(Numbers::Any(Metric::Cosine), 14));
}

fn check_pages(mut world: World) {
    for _ in 0..60 {
        world.step();
        for _ in 0..5 {
            let by = order(&mut world);
            let filter = world.any_filter();
            let expected = expected(&world, &by, filter.as_ref());
            let limit = 1 + world.random.below(150) as usize;
            let request = ScrollRequest {
                filter,
                order: Some(by),
                limit,
                with_vectors: true,
                ..ScrollRequest::default()
            };
            let view = world.view();
            let all: Vec<Point> = view.rows(&request).unwrap().collect::<Result<_, _>>().unwrap();
            assert_eq!(without_etags(all), expected, "{request:?}");
            let pages: Vec<_> = view.pages(request.clone()).collect::<Result<_, _>>().unwrap();
            assert_eq!(pages.len(), expected.len().div_ceil(limit).max(1));
            let all: Vec<Point> = pages.into_iter().flat_map(|page| page.points).collect();
            assert_eq!(without_etags(all), expected, "{request:?}");
        }
    }
}

/// Rows that nobody touches come exactly once; those that come were there at some time.
#[test]
fn a_cursor_keeps_its_meaning_across_writes() {
    let mut world = World::new(Numbers::Any(Metric::Cosine), 12);
    world.write_some(400);
    for _ in 0..25 {
        let order = (!world.random.is_one_in(4)).then(|| order(&mut world));
        let mut untouched = world.points.clone();
        let mut after: Option<Cursor> = None;
        let mut seen: BTreeMap<PointId, usize> = BTreeMap::new();
        loop {
            let limit = 1 + world.random.below(60) as usize;
            let request = ScrollRequest { order: order.clone(), after, limit, ..ScrollRequest::default() };
            let page = world.view().scroll(&request).unwrap();
            for point in page.points {
                *seen.entry(point.id).or_default() += 1;
            }
            let Some(next) = page.next else { break };
            // As whoever asks over a wire does.
            after = Some(next.to_string().parse().unwrap());
            world.step();
            untouched.retain(|id, point| world.points.get(id) == Some(point));
        }
        for (id, point) in &untouched {
            // Equal to what it was: never written, or written with what it had, which is the same place.
            assert_eq!(seen.get(id), Some(&1), "{id} {point:?} {order:?}");
        }
    }
}

#[test]
fn what_is_no_place_in_the_order_is_refused() {
    let mut world = World::new(Numbers::Any(Metric::Cosine), 13);
    world.write_some(100);
    let view = world.view();
    let year =
        ScrollRequest { order: Some(OrderBy::ascending("year")), limit: 5, ..ScrollRequest::default() };
    let place = view.scroll(&year).unwrap().next;
    let cases = [
        (
            ScrollRequest { after: place.clone(), order: None, ..year.clone() },
            "after: a place in the order of year",
        ),
        (
            ScrollRequest { after: Some(PointId::from("x").into()), ..year.clone() },
            "after: a place in the order of ids is none in that of year ascending",
        ),
        (
            ScrollRequest { after: place, order: Some(OrderBy::ascending("weight")), ..year.clone() },
            "after: a place in the order of year",
        ),
        (
            ScrollRequest { order: Some(OrderBy::ascending("no")), ..year.clone() },
            "order.no: the collection has no",
        ),
        (ScrollRequest { limit: 0, ..year }, "limit: "),
    ];
    for (request, expected) in cases {
        let error = view.scroll(&request).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}
