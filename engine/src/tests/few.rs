//! Few rows that a filter leaves are listed, whatever else it asks, and the list says what the bitmap does.

use std::sync::Arc;

use crate::dir::memory::MemoryDir;
use crate::payload::{CompiledFilter, Passing};
use crate::{Analyzer, Db, DbOptions, FieldType, Filter, GeoPoint, Point, PointId, Range, Schema, Update};

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
    db.flush().unwrap();
    // Others are listed by what they were and are: with another code, with the same, and with none.
    let code = |id: u64| match id / 50 % 3 {
        0 => Update::new(id).unset("code"),
        change => Update::new(id).set("code", (id / 3 + change - 1) as i64),
    };
    collection.update((0..4_000).step_by(50).map(code).collect()).unwrap();
    collection.update((0..4_000).step_by(200).map(|id| Update::new(id).set("year", 6)).collect()).unwrap();
    collection.delete(&(0..4_000).step_by(17).map(PointId::Num).collect::<Vec<_>>()).unwrap();

    let own = Filter::eq("customer", "c7");
    let with = |more: Filter| Filter::And(vec![more, Filter::And(vec![Filter::eq("customer", "c7")])]);
    let word = |text: &str| Filter::Match("note".into(), text.into());
    let not = |filter: Filter| Filter::Not(Box::new(filter));
    let late = Range { gt: Some(3.into()), ..Range::default() };
    // Each with whether it is a list.
    let cases = [
        (own.clone(), true),
        (Filter::In("customer".into(), vec!["c7".into(), "c7".into(), "c8".into()]), true),
        (with(Filter::eq("year", 6)), true),
        (with(Filter::Range("year".into(), late.clone())), true),
        (with(word("tea")), true),
        (with(word("Tea rain")), true),
        (with(word("hail")), true),
        (with(not(word("tea"))), true),
        (with(Filter::Or(vec![word("rain"), not(Filter::eq("year", 1)), word("tea")])), true),
        (with(Filter::Or(Vec::new())), true),
        (with(Filter::And(Vec::new())), true),
        (with(not(Filter::contains("tags", "t2"))), true),
        (with(Filter::Exists("tags".into())), true),
        (with(Filter::GeoRadius("place".into(), GeoPoint::new(5.0, 0.0), 3e5)), true),
        (Filter::eq("customer", "nobody"), true),
        (Filter::eq("code", 50 / 3), true),
        (Filter::eq("code", 100 / 3), true),
        (Filter::eq("code", 100 / 3 + 1), true),
        (Filter::eq("code", 150 / 3), true),
        (Filter::eq("code", 7), true),
        (Filter::AllTenants, false),
        (Filter::Range("year".into(), late), false),
        (word("tea"), false),
        (Filter::Or(vec![own.clone(), Filter::eq("customer", "c8")]), false),
        (not(own), false),
    ];
    let view = collection.view();
    let state = view.state.current();
    let sealed: Vec<_> = state.segments.iter().filter(|segment| segment.as_sealed().is_some()).collect();
    assert!(!sealed.is_empty());
    for (filter, is_list) in cases {
        let compiled = CompiledFilter::new(&filter, &state.fields).unwrap();
        for segment in &sealed {
            let passing = segment.passing(Some(&compiled));
            assert_eq!(matches!(passing, Passing::Few(_)), is_list, "{filter:?}");
            let expected: Vec<u32> = segment.matching(Some(&compiled)).ones().map(|row| row as u32).collect();
            assert_eq!(passing.iter().collect::<Vec<_>>(), expected, "{filter:?}");
        }
    }
}
