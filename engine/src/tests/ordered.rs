//! Rows in the order of a field, and counts of its values, after updates: as sorting all rows has them, and without sorting them.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

use proptest::prelude::*;

use crate::dir::memory::MemoryDir;
use crate::interrupt::{Watch, cancelled_at};
use crate::query::{Cursor, OrderBy, Query, SegmentPlan};
use crate::random::SplitMix64;
use crate::{
    Clock, Collection, Db, DbOptions, FieldType, Filter, Point, PointId, Range, Schema, ScrollRequest,
    Update, Value,
};

/// Fields with an order. No row has the last when the segment is sealed.
const ORDERED: [&str; 4] = ["code", "kind", "weight", "late"];
const TAGS: &str = "tags";

/// A filter, and what it says.
type Passing = (Option<Filter>, Box<dyn Fn(&Point) -> bool>);

/// A sealed segment of some rows, and what should be in it.
struct World {
    db: Db,
    collection: Collection,
    now: Arc<AtomicI64>,
    random: SplitMix64,
    /// So many codes there are.
    codes: usize,
    numbers: usize,
    rows: BTreeMap<PointId, Point>,
}

/// Numbers and texts, so that rows are not written in the order of their ids.
fn id(number: usize) -> PointId {
    if number.is_multiple_of(3) { PointId::Str(format!("p{number}")) } else { PointId::Num(number as u64) }
}

fn database(clock: Clock) -> (Db, Collection) {
    let options = DbOptions { background: false, clock, ..DbOptions::default() };
    let db = Db::open_in(Arc::new(MemoryDir::new()), options).unwrap();
    let schema = Schema::without_vector().field("late", FieldType::Int).build().unwrap();
    let collection = db.create_collection("c", schema).unwrap();
    (db, collection)
}

impl World {
    fn new(seed: u64, numbers: usize, codes: usize) -> Self {
        let now = Arc::new(AtomicI64::new(0));
        let told = now.clone();
        let (db, collection) = database(Clock::new(move || told.load(SeqCst)));
        let random = SplitMix64(seed);
        let mut world = Self { db, collection, now, random, codes, numbers, rows: BTreeMap::new() };
        let mut points = Vec::new();
        for number in 0..numbers {
            let mut point = Point::without_vector(id(number)).with("place", number as i64);
            for field in [ORDERED[0], ORDERED[1], ORDERED[2], TAGS] {
                if world.random.below(5) > 0 {
                    point = point.with(field, world.value(field));
                }
            }
            if world.random.below(20) == 0 {
                point.expires_at = Some(world.soon());
            }
            world.rows.insert(point.id.clone(), point.clone());
            points.push(point);
        }
        world.collection.upsert(points).unwrap();
        world.db.flush().unwrap();
        world
    }

    fn value(&mut self, field: &str) -> Value {
        match field {
            "code" => Value::Int(self.random.below(self.codes) as i64),
            "kind" => ["a", "b", ""][self.random.below(3)].into(),
            "weight" => [-1.5, -0.0, 0.0, 2.5][self.random.below(4)].into(),
            "late" => Value::Int(self.random.below(5) as i64),
            _ => Value::Strings((0..self.random.below(4)).map(|_| self.tag()).collect()),
        }
    }

    fn tag(&mut self) -> String {
        ["x", "y", "z"][self.random.below(3)].to_owned()
    }

    fn soon(&mut self) -> i64 {
        self.now.load(SeqCst) + 1 + self.random.below(4) as i64
    }

    /// Updates of rows that are together, and a few deaths of either kind.
    fn write(&mut self) {
        let now = self.now.fetch_add(1, SeqCst) + 1;
        self.rows.retain(|_, point| point.expires_at.is_none_or(|at| at > now));
        let count = [1, 5, self.numbers / 3][self.random.below(3)];
        let first = self.random.below(self.numbers);
        let mut updates = Vec::new();
        for number in first..(first + count).min(self.numbers) {
            let is_updated = self.random.below(4) > 0;
            if let Some(point) = self.rows.get(&id(number)).filter(|_| is_updated).cloned() {
                updates.push(self.update(point));
            }
        }
        self.collection.update(updates).unwrap();
        let deleted: Vec<PointId> = (0..3).map(|_| id(self.random.below(self.numbers))).collect();
        self.collection.delete(&deleted).unwrap();
        self.rows.retain(|id, _| !deleted.contains(id));
    }

    /// Another value, the same, or none, of any of the fields.
    fn update(&mut self, mut point: Point) -> Update {
        let mut update = Update::new(point.id.clone());
        for field in ORDERED.into_iter().chain([TAGS]) {
            match (self.random.below(5), point.payload.get(field).cloned()) {
                (0 | 1, _) => update = update.set(field, self.value(field)),
                (2, _) => update = update.unset(field),
                (3, Some(same)) => update = update.set(field, same),
                _ => {}
            }
        }
        if self.random.below(20) == 0 {
            point.expires_at = Some(self.soon());
            update.expires_at = Some(point.expires_at);
        }
        point.payload.extend(update.set.clone());
        point.payload.retain(|name, _| !update.unset.contains(name));
        self.rows.insert(point.id.clone(), point);
        update
    }

    fn filter(&mut self) -> Passing {
        let place = |point: &Point| point.payload["place"].as_int().unwrap();
        let at = self.random.below(self.numbers) as i64;
        match self.random.below(4) {
            0 => {
                let range = Range { gte: Some(at.into()), ..Range::default() };
                (
                    Some(Filter::Range("place".into(), range)),
                    Box::new(move |point: &Point| place(point) >= at),
                )
            }
            1 => (
                Some(Filter::eq("kind", "a")),
                Box::new(|point: &Point| point.payload.get("kind").and_then(Value::as_str) == Some("a")),
            ),
            _ => (None, Box::new(|_: &Point| true)),
        }
    }

    fn check(&mut self) {
        for field in ORDERED {
            for by in [OrderBy::ascending(field), OrderBy::descending(field)] {
                self.check_order(&by);
            }
        }
        for field in ORDERED.into_iter().chain([TAGS]) {
            self.check_facet(field);
        }
    }

    fn check_order(&mut self, by: &OrderBy) {
        let (filter, passes) = self.filter();
        let k = [1, 10, 300][self.random.below(3)];
        let limit = 1 + self.random.below(200);
        let value = (self.random.below(4) > 0).then(|| self.value(&by.field));
        let place = (value, id(self.random.below(self.numbers)));
        let view = self.collection.view();
        let mut expected: Vec<&Point> = self.rows.values().filter(|point| passes(point)).collect();
        expected.sort_by(|a, b| in_order(by, &place_of(by, a), &place_of(by, b)));
        let ids = |points: &[&Point]| points.iter().map(|point| point.id.clone()).collect::<Vec<_>>();

        let query = Query { filter: filter.clone(), ..Query::new(by.clone(), k) };
        let hits = view.query(&query).unwrap().hits;
        let found: Vec<PointId> = hits.into_iter().map(|hit| hit.point.id).collect();
        assert_eq!(found, ids(&expected[..k.min(expected.len())]), "{query:?}");

        let mut request =
            ScrollRequest { filter, order: Some(by.clone()), limit, ..ScrollRequest::default() };
        let pages = view.pages(request.clone()).map(|page| page.unwrap().points);
        let found: Vec<PointId> = pages.flatten().map(|point| point.id).collect();
        assert_eq!(found, ids(&expected), "{request:?}");

        // From a place on that some row had once, or none ever.
        request.after = Some(Cursor::ordered(by.clone(), place.0.clone(), place.1.clone()));
        expected.retain(|point| in_order(by, &place_of(by, point), &place).is_gt());
        expected.truncate(limit);
        let page = view.scroll(&request).unwrap().points;
        let found: Vec<PointId> = page.into_iter().map(|point| point.id).collect();
        assert_eq!(found, ids(&expected), "{request:?}");
    }

    fn check_facet(&mut self, field: &str) {
        let (filter, passes) = self.filter();
        let having: Vec<&Value> = self
            .rows
            .values()
            .filter(|point| passes(point))
            .filter_map(|point| point.payload.get(field))
            .collect();
        let mut values: Vec<Value> = having.iter().flat_map(|value| told_apart(value)).collect();
        values.sort_by(|a, b| a.as_ref().order(b.as_ref()));
        let mut counts: Vec<(Value, u64)> = Vec::new();
        for value in values {
            match counts.last_mut() {
                Some((last, count)) if last.as_ref().order(value.as_ref()).is_eq() => *count += 1,
                _ => counts.push((value, 1)),
            }
        }
        counts.sort_by_key(|(_, count)| Reverse(*count));
        let facet = self.collection.facet(field, filter.as_ref(), 2_000).unwrap();
        assert_eq!((facet.values, facet.rows), (counts.len() as u64, having.len() as u64), "{field}");
        let found: Vec<(Value, u64)> = facet.counts.into_iter().map(|of| (of.value, of.count)).collect();
        assert_eq!(found, counts, "{field} {filter:?}");
    }
}

/// The texts of a list, each once; of another value itself.
fn told_apart(value: &Value) -> Vec<Value> {
    match value {
        Value::Strings(texts) => {
            let texts: BTreeSet<&String> = texts.iter().collect();
            texts.into_iter().map(|text| text.as_str().into()).collect()
        }
        value => vec![value.clone()],
    }
}

type Place = (Option<Value>, PointId);

fn place_of(by: &OrderBy, point: &Point) -> Place {
    (point.payload.get(&by.field).cloned(), point.id.clone())
}

fn in_order(by: &OrderBy, a: &Place, b: &Place) -> Ordering {
    let values = match (&a.0, &b.0) {
        (Some(a), Some(b)) if by.descending => b.as_ref().order(a.as_ref()),
        (Some(a), Some(b)) => a.as_ref().order(b.as_ref()),
        (a, b) => b.is_some().cmp(&a.is_some()),
    };
    values.then_with(|| a.1.cmp(&b.1))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Of few codes with long runs, of some that a byte a row tells apart, and of nearly as many as there are rows.
    #[test]
    fn updated_rows_stand_where_sorting_has_them(
        seed in any::<u64>(),
        numbers in 400_usize..1_000,
        codes in prop_oneof![Just(2_usize), Just(40), Just(5_000)],
    ) {
        let mut world = World::new(seed, numbers, codes);
        world.check();
        for _ in 0..5 {
            world.write();
            world.check();
        }
    }
}

const ROWS: u64 = 2_000;

/// One sealed segment of rows with numbers that ascend with the ids.
fn numbered() -> (Db, Collection) {
    let (db, collection) = database(Clock::default());
    let point = |id: u64| Point::without_vector(id).with("number", id as i64).with("half", (id % 2) as i64);
    collection.upsert((0..ROWS).map(point).collect()).unwrap();
    db.flush().unwrap();
    (db, collection)
}

/// Turns the order of rows round.
fn negative(id: u64) -> Update {
    Update::new(id).set("number", -(id as i64))
}

/// The ids that a query finds, and what it did in the only segment.
fn found(collection: &Collection, query: Query) -> (Vec<u64>, Vec<SegmentPlan>) {
    let response = collection.query(&query.explain()).unwrap();
    let explain = response.explain.unwrap();
    let sealed: Vec<_> = explain.stages[0].segments.iter().filter(|segment| segment.sealed).collect();
    let [segment] = sealed[..] else { panic!("there is one: {explain:?}") };
    let number = |id: PointId| match id {
        PointId::Num(number) => number,
        PointId::Str(text) => panic!("{text}"),
    };
    let ids = response.hits.into_iter().map(|hit| number(hit.point.id)).collect();
    (ids, segment.plans.clone())
}

/// One updated row made every query, page and facet sort all rows of its segment, until a quarter of these were updated and it was rewritten.
#[test]
fn an_update_leaves_a_segment_its_order() {
    let (_db, collection) = numbered();
    let last = |k| Query::new(OrderBy::descending("number"), k);
    let sorted = vec![SegmentPlan::Sorted];
    assert_eq!(found(&collection, last(2)), (vec![1_999, 1_998], sorted.clone()));
    collection.update(vec![Update::new(5).set("number", 1_998)]).unwrap();
    assert_eq!(found(&collection, last(4)), (vec![1_999, 5, 1_998, 1_997], sorted.clone()));
    collection.update(vec![Update::new(1_999).unset("number")]).unwrap();
    assert_eq!(found(&collection, last(2)), (vec![5, 1_998], sorted.clone()));
    let odd = last(2).filter(Filter::eq("half", 1));
    assert_eq!(found(&collection, odd), (vec![5, 1_997], sorted.clone()));
    // An update of another field, of a row that is dead by then, and of a field that no row had.
    collection
        .update(vec![Update::new(1_998).set("half", 7), Update::new(1_997).set("number", 9_000)])
        .unwrap();
    collection.delete(&[PointId::Num(1_997)]).unwrap();
    assert_eq!(found(&collection, last(3)), (vec![5, 1_998, 1_996], sorted.clone()));
    collection.update(vec![Update::new(40).set("late", 2), Update::new(30).set("late", 2)]).unwrap();
    let late = Query::new(OrderBy::ascending("late"), 4);
    assert_eq!(found(&collection, late), (vec![30, 40, 0, 1], sorted.clone()));
    // Nearly as many as a segment bears.
    collection.update((0..1_000).map(negative).collect()).unwrap();
    let first = Query::new(OrderBy::ascending("number"), 2);
    assert_eq!(found(&collection, first), (vec![999, 998], sorted.clone()));
    assert_eq!(found(&collection, last(2)), (vec![1_998, 1_996], sorted.clone()));
    let facet = collection.facet("number", None, 3).unwrap();
    assert_eq!((facet.rows, facet.values), (1_998, 1_998));
    let half = collection.facet("half", None, 3).unwrap();
    let half: Vec<(Value, u64)> = half.counts.into_iter().map(|of| (of.value, of.count)).collect();
    assert_eq!(half, [(Value::Int(0), 999), (Value::Int(1), 999), (Value::Int(7), 1)]);
}

/// At whatever moment a query ends, what it gives is the beginning of the answer.
#[test]
fn a_query_that_ends_while_updated_rows_are_put_in_order_gives_no_wrong_ones() {
    let (_db, collection) = numbered();
    collection.update((0..1_020).map(negative).collect()).unwrap();
    let query = Query::new(OrderBy::ascending("number"), 20);
    let mut ended = Vec::new();
    let whole = loop {
        let token = cancelled_at(ended.len() as u64 + 1);
        let response = collection.query(&query.clone().cancel(token)).unwrap();
        if response.stats.interrupted.is_none() {
            break response.hits;
        }
        assert!(!response.stats.exact);
        ended.push(response.hits);
    };
    assert_eq!((whole.len(), &whole[0].point.id), (20, &PointId::Num(1_019)));
    assert!(ended.len() > 3 && ended.iter().all(|hits| whole.starts_with(hits)), "{ended:?}");
}

/// The strings of all lists of all segments were gathered and sorted by every facet, at forty bytes each.
#[test]
fn strings_of_sealed_lists_are_counted_where_they_lie() {
    let (db, collection) = database(Clock::default());
    let tags = |id: u64| vec!["all".to_owned(), format!("t{}", id % 7), "all".to_owned()];
    let point = |id: u64| Point::without_vector(id).with(TAGS, tags(id));
    collection.upsert((0..700).map(point).collect()).unwrap();
    db.flush().unwrap();
    let facet = collection.facet(TAGS, None, 2).unwrap();
    let counts: Vec<(Value, u64)> = facet.counts.into_iter().map(|of| (of.value, of.count)).collect();
    assert_eq!((facet.rows, facet.values), (700, 8));
    assert_eq!(counts, [(Value::from("all"), 700), (Value::from("t0"), 100)]);
    let (view, watch) = (collection.view(), Watch::default());
    let segment = view.state.segments.iter().find(|segment| segment.as_sealed().is_some()).unwrap();
    let (field, _) = view.state.fields.find(TAGS).unwrap();
    let passing = segment.passing(None, &watch);
    for counted in segment.counted(field, &passing, &watch) {
        assert_eq!(counted.size_hint(), (0, Some(8)), "found as they are asked for");
    }
}
