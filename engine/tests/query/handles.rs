//! Handles that show some rows alone: whatever is asked through one is answered as if there were no others, but that words are as rare as
//! in all rows.

use ragstone::query::OrderBy;
use ragstone::{Point, PointId, ScrollRequest, View};

use super::oracle::by_field;
use super::support::{ORDERED, passes};
use super::world::{Numbers, World};

impl World {
    /// Every read, through a handle.
    fn check_handle(&mut self) {
        let mut shown = self.within();
        self.swap(&mut shown);
        for _ in 0..3 {
            self.check_query();
            self.check_groups();
            self.check_facet();
        }
        self.check_kinds();
        self.check_searches();
        self.check_range();
        self.check_rows();
        self.swap(&mut shown);
        self.unseen.clear();
    }

    /// Rows by their ids, on pages, and counted.
    fn check_rows(&mut self) {
        let (view, filter) = (self.view(), self.any_filter());
        let field = self.random.pick(&ORDERED);
        let order = OrderBy { field: field.into(), descending: self.random.is_one_in(2) };
        let passing = self.points.values().filter(|point| filter.as_ref().is_none_or(|of| passes(of, point)));
        let mut passing: Vec<&Point> = passing.collect();
        assert_eq!(view.count(filter.as_ref()).unwrap(), passing.len() as u64, "{filter:?}");
        let mut request = ScrollRequest { filter, limit: 1_000, ..ScrollRequest::default() };
        check_page(&view, &request, &passing);
        passing.sort_by(|a, b| by_field(&order, a, b));
        request.order = Some(order);
        check_page(&view, &request, &passing);
        let all: Vec<PointId> = view.ids(None).unwrap().map(|(id, _)| id).collect();
        assert!(all.iter().eq(self.points.keys()));
        let with_vector = self.points.values().filter(|point| point.vector.is_some()).count();
        assert_eq!(view.vectors(), with_vector as u64);
        let ids: Vec<PointId> = (0..40).map(|_| self.random.id()).collect();
        let found = view.get(&ids).unwrap().into_iter().zip(view.etags(&ids).unwrap());
        for (id, (point, etag)) in ids.iter().zip(found) {
            assert_eq!(point.as_ref().and_then(|point| point.etag), etag, "{id}");
            assert_eq!(point.map(|point| Point { etag: None, ..point }), self.points.get(id).cloned());
        }
    }
}

fn check_page(view: &View, request: &ScrollRequest, expected: &[&Point]) {
    let page = view.scroll(request).unwrap().points;
    let (page, expected) = (page.iter().map(|point| &point.id), expected.iter().map(|point| &point.id));
    assert!(page.eq(expected), "{request:?}");
}

fn run(mut world: World) {
    for _ in 0..60 {
        world.step();
        world.check_handle();
    }
}

#[test]
fn whole_numbers() {
    run(World::new(Numbers::Whole, 25));
}

#[test]
fn whole_numbers_of_tenants() {
    run(World::of_tenants(Numbers::Whole, 26));
    run(World::of_customers(Numbers::Whole, 27));
}
