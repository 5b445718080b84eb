//! Few rows that a filter leaves are listed, whatever else it asks, and the list says what the bitmap does.

use std::sync::Arc;

use crate::dir::memory::MemoryDir;
use crate::interrupt::Watch;
use crate::payload::{CompiledFilter, Passing};
use crate::{
    Analyzer, Collection, Db, DbOptions, FieldType, Filter, GeoPoint, Point, PointId, Range, Schema, Update,
};

const CUSTOMERS: u64 = 100;

fn point(id: u64) -> Point {
    let words = ["tea", "rain tea", "snow", ""];
    Point::new(id, [id as f32, 1.0])
        .with("customer", format!("c{}", id % CUSTOMERS))
        .with("year", (id / CUSTOMERS % 7) as i64)
        .with("code", (id / 3) as i64)
        .with("tags", vec![format!("t{}", id % 9)])
        .with("place", GeoPoint::new((id % 50) as f64, 0.0))
        .with("note", words[id as usize / CUSTOMERS as usize % 4])
}

#[test]
fn few_rows_stay_a_list_whatever_else_is_asked() {
    let options = DbOptions { background: false, ..DbOptions::default() };
    let db = Db::open_in(Arc::new(MemoryDir::new()), options).unwrap();
    let schema = Schema::builder(2)
        .field("year", FieldType::Int)
        .field("code", FieldType::Int)
        .field("tags", FieldType::Strings)
        .field("place", FieldType::Geo)
        .text("note", Analyzer::Standard)
        .tenant("customer");
    let collection = db.create_collection("c", schema.build().unwrap()).unwrap();
    collection.upsert((0..4_000).map(point).collect()).unwrap();
    change(&collection);
    check(&collection, false);
    db.flush().unwrap();
    check(&collection, true);
    change(&collection);
    check(&collection, true);
}

/// Others are listed by what they were and are: with another code, with the same, and with none.
fn change(collection: &Collection) {
    let code = |id: u64| match id / 50 % 3 {
        0 => Update::new(id).unset("code"),
        change => Update::new(id).set("code", (id / 3 + change - 1) as i64),
    };
    collection.update((0..4_000).step_by(50).map(code).collect()).unwrap();
    collection.update((0..4_000).step_by(200).map(|id| Update::new(id).set("year", 6)).collect()).unwrap();
    // What was said of them before counts no more.
    collection.update(vec![Update::new(50).set("code", 7), Update::new(100).unset("code")]).unwrap();
    collection.delete(&(0..4_000).step_by(17).map(PointId::Num).collect::<Vec<_>>()).unwrap();
}

/// Which segments list the rows that pass.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Listed {
    /// All of them: there are few rows of a tenant.
    Always,
    Sealed,
    Never,
}

fn check(collection: &Collection, is_sealed: bool) {
    use Listed::{Always, Never, Sealed};
    let own = Filter::eq("customer", "c7");
    let with = |more: Filter| Filter::And(vec![more, Filter::And(vec![Filter::eq("customer", "c7")])]);
    let word = |text: &str| Filter::Match("note".into(), text.into());
    let not = |filter: Filter| Filter::Not(Box::new(filter));
    let late = Range { gt: Some(3.into()), ..Range::default() };
    let cases = [
        (own.clone(), Always),
        (Filter::In("customer".into(), vec!["c7".into(), "c7".into(), "c8".into()]), Always),
        (with(Filter::eq("year", 6)), Always),
        (with(Filter::Range("year".into(), late.clone())), Always),
        (with(word("tea")), Always),
        (with(word("Tea rain")), Always),
        (with(word("hail")), Always),
        (with(not(word("tea"))), Always),
        (with(Filter::Or(vec![word("rain"), not(Filter::eq("year", 1)), word("tea")])), Always),
        (with(Filter::Or(Vec::new())), Always),
        (with(Filter::And(Vec::new())), Always),
        (with(not(Filter::contains("tags", "t2"))), Always),
        (with(Filter::Exists("tags".into())), Always),
        (with(Filter::GeoRadius("place".into(), GeoPoint::new(5.0, 0.0), 3e5)), Always),
        (Filter::eq("customer", "nobody"), Always),
        (Filter::eq("code", 50 / 3), Sealed),
        (Filter::eq("code", 100 / 3), Sealed),
        (Filter::eq("code", 100 / 3 + 1), Sealed),
        (Filter::eq("code", 150 / 3), Sealed),
        (Filter::eq("code", 7), Sealed),
        (Filter::AllTenants, Never),
        (Filter::Range("year".into(), late), Never),
        (word("tea"), Never),
        // Alternatives of one field are one list of its values.
        (Filter::Or(vec![own.clone(), Filter::eq("customer", "c8")]), Always),
        (Filter::Or(vec![own.clone(), Filter::eq("year", 1)]), Never),
        (not(own), Never),
    ];
    let (view, watch) = (collection.view(), Watch::default());
    let state = view.state.current();
    assert!(state.segments.iter().any(|segment| segment.as_sealed().is_some() == is_sealed));
    for (filter, listed) in cases {
        let compiled = CompiledFilter::new(&filter, &state.fields).unwrap();
        for segment in state.segments.iter().filter(|segment| segment.as_sealed().is_some() == is_sealed) {
            let is_list = listed == Always || (listed == Sealed && is_sealed);
            let passing = segment.passing(Some(&compiled), &watch);
            assert_eq!(matches!(passing, Passing::Few(_)), is_list, "{filter:?}");
            let rows = passing.iter().collect::<Vec<_>>();
            let as_bits: Vec<u32> =
                segment.matching(Some(&compiled), &watch).ones().map(|row| row as u32).collect();
            assert_eq!(rows, as_bits, "{filter:?}");
            // By going through all rows.
            let tested = compiled.run(segment, &watch);
            let expected = tested.ones().map(|row| row as u32).filter(|row| !segment.dead.contains(*row));
            assert_eq!(rows, expected.collect::<Vec<_>>(), "{filter:?}");
        }
    }
}
