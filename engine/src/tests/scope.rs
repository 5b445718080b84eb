//! Handles that show some rows: whatever is asked through one is answered as by a database that has no other rows.

use std::sync::{Arc, Mutex};

use super::*;
use crate::query::{Nearest, OrderBy, Query, Recommend, Select, Source};
use crate::{
    Clock, Collection, Error, Expect, FieldType, Range, RangeRequest, RowFilter, Scope, SearchRequest, Sight,
};

const ROWS: u64 = 600;

/// Everything of one collection that passes a filter, nothing of another, and all of the rest.
struct Of(Arc<RowFilter>);

impl Scope for Of {
    fn sight(&self, collection: &str) -> Sight {
        match collection {
            "rows" => Sight::Rows(self.0.clone()),
            "hidden" => Sight::Hidden,
            "refused" => Sight::Refused,
            _ => Sight::Whole,
        }
    }
}

pub(super) fn within(db: &Db, filter: Filter) -> Db {
    db.within(Arc::new(Of(Arc::new(RowFilter::new(filter).unwrap()))))
}

fn point(id: u64) -> Point {
    let tenant = ["a", "b", "c"][(id % 3) as usize];
    Point::new(id, [1.0, (id * 37 % 101) as f32 / 10.0])
        .with("tenant", tenant)
        .with("number", (id % 10) as i64)
        .with("words", vec![format!("w{}", id % 7)])
}

fn empty() -> Db {
    let db = Db::in_memory_with(DbOptions { background: false, ..DbOptions::default() }).unwrap();
    db.create_collection("rows", Schema::new(2).unwrap()).unwrap();
    db
}

/// Two sealed segments and one that grows, of the rows that are wanted.
fn filled(is_wanted: impl Fn(u64) -> bool) -> Db {
    let db = empty();
    for part in 0..3 {
        if part > 0 {
            db.flush().unwrap();
        }
        let ids = (part * ROWS / 3..(part + 1) * ROWS / 3).filter(|id| is_wanted(*id));
        db.collection("rows").unwrap().upsert(ids.map(point).collect()).unwrap();
    }
    db
}

/// Hits by their ids: which of equal ones comes first is not of interest.
fn told_hits(hits: impl Iterator<Item = (PointId, f32)>) -> String {
    let mut hits: Vec<(PointId, f32)> = hits.collect();
    hits.sort_by(|a, b| a.0.cmp(&b.0));
    format!("{hits:?}")
}

type Read = fn(&Collection, Option<&Filter>) -> Result<String>;

/// Ways to rows, each with what it tells of them. Etags differ between databases, and are left out.
fn reads() -> Vec<(&'static str, Read)> {
    fn told(points: Vec<Option<Point>>) -> String {
        format!("{:?}", points.into_iter().map(|point| point.map(|p| (p.id, p.payload))).collect::<Vec<_>>())
    }
    vec![
        ("get", |rows, _| Ok(told(rows.get(&(0..60_u64).map(PointId::from).collect::<Vec<_>>())?))),
        ("select", |rows, filter| {
            let ids: Vec<PointId> = (0..60_u64).map(PointId::from).collect();
            Ok(told(rows.view().select(&ids, filter, &Select::default())?))
        }),
        ("count", |rows, filter| Ok(rows.count(filter)?.to_string())),
        ("facet", |rows, filter| Ok(format!("{:?}", rows.facet("number", filter, 20)?))),
        ("facet of lists", |rows, filter| Ok(format!("{:?}", rows.facet("words", filter, 20)?))),
        ("facet of tenants", |rows, filter| Ok(format!("{:?}", rows.facet("tenant", filter, 20)?))),
        ("scroll", |rows, filter| {
            let request = ScrollRequest { filter: filter.cloned(), limit: 300, ..ScrollRequest::default() };
            Ok(told(rows.scroll(&request)?.points.into_iter().map(Some).collect()))
        }),
        ("ordered scroll", |rows, filter| {
            let order = Some(OrderBy::descending("number"));
            let request =
                ScrollRequest { filter: filter.cloned(), order, limit: 300, ..ScrollRequest::default() };
            Ok(told(rows.scroll(&request)?.points.into_iter().map(Some).collect()))
        }),
        ("iteration", |rows, _| {
            let points = rows.view().iter().map(|point| point.map(Some)).collect::<Result<Vec<_>>>()?;
            Ok(told(points))
        }),
        ("ids", |rows, _| Ok(format!("{:?}", rows.view().ids(None)?.map(|(id, _)| id).collect::<Vec<_>>()))),
        ("etags", |rows, _| {
            let ids: Vec<PointId> = (0..60_u64).map(PointId::from).collect();
            Ok(format!("{:?}", rows.view().etags(&ids)?.iter().map(Option::is_some).collect::<Vec<_>>()))
        }),
        ("scores", |rows, _| {
            let ids: Vec<PointId> = (0..60_u64).map(PointId::from).collect();
            Ok(format!("{:?}", rows.view().score(&ids, &[Nearest::new([1.0, 2.0]).into()])?))
        }),
        ("search", |rows, filter| {
            let mut request = SearchRequest::new([1.0, 3.0], 1_000).exact();
            request.filter = filter.cloned();
            let hits = rows.search(&request)?.hits;
            Ok(told_hits(hits.into_iter().map(|hit| (hit.id, hit.score))))
        }),
        ("range", |rows, filter| {
            let mut request = RangeRequest::new([1.0, 3.0], 0.9).exact();
            request.filter = filter.cloned();
            let hits = rows.view().search_range(&request)?.hits;
            Ok(told_hits(hits.into_iter().map(|hit| (hit.id, hit.score))))
        }),
        ("query", |rows, filter| {
            let mut query = Query::new(Nearest::new([1.0, 3.0]).exact(), 1_000);
            query.filter = filter.cloned();
            let hits = rows.view().query(&query)?.hits;
            Ok(told_hits(hits.into_iter().map(|hit| (hit.point.id, hit.score.unwrap_or_default()))))
        }),
        ("order", |rows, filter| {
            let mut query = Query::new(Source::OrderBy(OrderBy::descending("number")), 250);
            query.filter = filter.cloned();
            let hits = rows.view().query(&query)?.hits;
            Ok(format!("{:?}", hits.into_iter().map(|hit| hit.point.id).collect::<Vec<_>>()))
        }),
        ("info", |rows, _| {
            let info = rows.info();
            Ok(format!("{:?}", (info.points, info.vectors)))
        }),
    ]
}

/// A filter, and what it says of a row by its number.
type Case = (Filter, fn(u64) -> bool);

#[test]
fn what_is_not_shown_is_not_there() {
    let all = filled(|_| true);
    let numbers = Range { lt: Some(Value::Int(5)), ..Range::default() };
    let few = Filter::And(vec![
        Filter::In("tenant".into(), vec!["a".into(), "c".into()]),
        Filter::Not(Box::new(Filter::Range("number".into(), numbers))),
    ]);
    let cases: Vec<Case> = vec![
        (Filter::eq("tenant", "a"), |id| id % 3 == 0),
        (few, |id| id % 3 != 1 && id % 10 >= 5),
        (Filter::contains("words", "w3"), |id| id % 7 == 3),
        (Filter::Not(Box::new(Filter::eq("secret", true))), |_| true),
    ];
    let narrower = Filter::Range("number".into(), Range { gte: Some(Value::Int(4)), ..Range::default() });
    for (filter, is_shown) in cases {
        let own = filled(is_shown);
        for asked in [None, Some(&narrower), Some(&Filter::eq("tenant", "b"))] {
            for (name, read) in reads() {
                let restricted = within(&all, filter.clone()).collection("rows").unwrap();
                let alone = own.collection("rows").unwrap();
                let (restricted, alone) = (read(&restricted, asked).unwrap(), read(&alone, asked).unwrap());
                assert_eq!(restricted, alone, "{name}, {filter}, {asked:?}");
            }
        }
    }
}

#[test]
fn a_filter_that_cannot_be_asked_shows_nothing() {
    let all = filled(|_| true);
    for filter in [
        Filter::eq("tenant", 7),
        Filter::Not(Box::new(Filter::eq("tenant", 7))),
        Filter::eq("absent", "a"),
        Filter::Prefix("number".into(), "1".into()),
    ] {
        let rows = within(&all, filter.clone()).collection("rows").unwrap();
        assert_eq!(rows.count(None).unwrap(), 0, "{filter}");
        assert_eq!(rows.get(&[0.into()]).unwrap(), [None], "{filter}");
        assert_eq!(rows.delete(&[0.into()]).unwrap().deleted, 0, "{filter}");
    }
    assert!(RowFilter::new(Filter::AllTenants).is_err());
    assert!(RowFilter::new(Filter::Not(Box::new(Filter::Match("words".into(), "x".into())))).is_err());
}

#[test]
fn a_walk_finds_as_many_as_are_asked_for() {
    let all = filled(|_| true);
    let rows = within(&all, Filter::eq("tenant", "a")).collection("rows").unwrap();
    let hits = rows.search(&SearchRequest::new([1.0, 3.0], 20).ef(50)).unwrap().hits;
    assert_eq!(hits.len(), 20);
    assert!(hits.iter().all(|hit| hit.payload["tenant"] == Value::from("a")));
}

#[test]
fn how_an_answer_came_about_tells_of_no_other_rows() {
    let all = filled(|_| true);
    let explained = |rows: &Collection| {
        let search = rows.search(&SearchRequest::new([1.0, 3.0], 5).explain()).unwrap().explain.unwrap();
        let mut query = Query::new(Nearest::new([1.0, 3.0]), 5);
        query.explain = true;
        let query = rows.view().query(&query).unwrap().explain.unwrap();
        let range =
            rows.search_range(&RangeRequest::new([1.0, 3.0], 0.9).explain()).unwrap().explain.unwrap();
        let stages = search.stages.into_iter().chain(query.stages).chain(range.stages);
        stages.flat_map(|stage| stage.segments).map(|segment| segment.rows).sum::<u64>()
    };
    assert!(explained(&all.collection("rows").unwrap()) >= 3 * ROWS);
    assert_eq!(explained(&within(&all, Filter::eq("tenant", "a")).collection("rows").unwrap()), 0);
}

/// An example of what is not shown would tell where it lies.
#[test]
fn a_row_that_is_not_shown_is_no_example() {
    let all = filled(|_| true);
    let rows = within(&all, Filter::eq("tenant", "a")).collection("rows").unwrap();
    let like =
        |id: u64| rows.view().query(&Query::new(Recommend::like([id]), 3)).map(|found| found.hits.len());
    assert_eq!(like(3).unwrap(), 3);
    let (not_shown, absent) = (like(1).unwrap_err().to_string(), like(9_001).unwrap_err().to_string());
    assert_eq!(not_shown.replace("`1`", ""), absent.replace("`9001`", ""));
}

fn of_a(id: u64) -> Point {
    Point::new(id, [1.0, 0.0]).with("tenant", "a")
}

#[test]
fn nothing_is_written_that_is_not_shown() {
    let db = filled(|_| true);
    let whole = db.collection("rows").unwrap();
    let rows = within(&db, Filter::eq("tenant", "a")).collection("rows").unwrap();
    let refused = |batch: Batch, field: &str| {
        let before = whole.view().seq();
        match rows.write(batch) {
            Err(Error::OutOfScope { field: named }) => assert_eq!(named, field),
            other => panic!("{other:?}"),
        }
        assert_eq!(whole.view().seq(), before, "nothing was written");
    };
    let seven = |tenant: &str| Point::new(7_000, [1.0, 0.0]).with("tenant", tenant);
    refused(Batch::new().upsert(of_a(7_001)).upsert(seven("b")), "points[1]");
    refused(Batch::new().upsert(Point::new(7_000, [1.0, 0.0])), "points[0]");
    // Rows 1 and 4 are of others.
    refused(Batch::new().upsert(of_a(1)), "points[0]");
    refused(Batch::new().update(Update::new(0).set("tenant", "b")), "points[0]");
    refused(Batch::new().update(Update::new(0).unset("tenant")), "points[0]");
    refused(Batch::new().delete(0).upsert(of_a(7_001)).upsert(of_a(4)), "points[2]");
    refused(Batch::new().upsert(of_a(7_001)).expect(1, Expect::Absent), "preconditions[0]");

    let batch = Batch::new()
        .delete(0)
        .delete(1)
        .update(Update::new(3).set("number", 77))
        .update(Update::new(4).set("number", 77))
        .update(Update::new(9_000).set("number", 77))
        .upsert(of_a(7_001));
    let receipt = rows.write(batch).unwrap();
    assert_eq!((receipt.deleted, receipt.updated, receipt.missing, receipt.upserted), (1, 1, 2, 1));
    let left = whole.get(&[0_u64, 1, 3, 4].map(PointId::from)).unwrap();
    assert!(left[0].is_none() && left[1].is_some());
    assert_eq!(left[2].as_ref().unwrap().payload["number"], Value::Int(77));
    assert_eq!(left[3].as_ref().unwrap().payload["number"], Value::Int(4));

    let expected = rows.write(Batch::new().upsert(of_a(7_002)).expect(1, Expect::Present)).unwrap_err();
    assert!(matches!(expected, Error::Precondition { actual: None, .. }), "{expected}");
    // A batch of which nothing is left is a write that did nothing.
    assert_eq!(rows.delete(&[1.into()]).unwrap().deleted, 0);

    let everything = Filter::Exists("tenant".into());
    let shown = rows.count(None).unwrap();
    assert_eq!(rows.delete_where(&everything).unwrap().deleted as u64, shown);
    assert_eq!(whole.count(None).unwrap(), 400, "those of others are there");
}

/// A write between the look at a row and the turn of a write that rests on it hid the row: the etag that it had got was told, or a condition held of it.
#[test]
fn a_row_that_is_hidden_meanwhile_is_none_for_conditions() {
    type Meanwhile = Box<dyn FnOnce() + Send>;
    let meanwhile: Arc<Mutex<Option<Meanwhile>>> = Arc::default();
    let due = meanwhile.clone();
    // It is asked once a write has its view of the rows, and before it has its turn.
    let clock = Clock::new(move || {
        let write = due.lock().unwrap().take();
        if let Some(write) = write {
            write();
        }
        0
    });
    let db = Db::in_memory_with(DbOptions { background: false, clock, ..DbOptions::default() }).unwrap();
    let whole = db.create_collection("rows", Schema::new(2).unwrap()).unwrap();
    let rows = within(&db, Filter::eq("tenant", "a")).collection("rows").unwrap();
    let refused_by = |expect: fn(u64) -> Expect| {
        let etag = whole.upsert(vec![of_a(1)]).unwrap().seq;
        let hiding = whole.clone();
        let hide = move || {
            hiding.update(vec![Update::new(1).set("tenant", "b")]).unwrap();
        };
        *meanwhile.lock().unwrap() = Some(Box::new(hide));
        let refused = rows.write(Batch::new().upsert(of_a(7)).expect(1, expect(etag))).unwrap_err();
        assert!(meanwhile.lock().unwrap().is_none() && rows.get(&[1.into()]).unwrap() == [None], "{refused}");
        refused
    };
    let ways: [fn(u64) -> Expect; 2] = [Expect::Etag, |_| Expect::Present];
    for expect in ways {
        let refused = refused_by(expect);
        assert!(matches!(refused, Error::Precondition { actual: None, .. }), "{refused:?}");
    }
    let refused = refused_by(|_| Expect::Absent);
    assert!(matches!(refused, Error::OutOfScope { .. }), "{refused:?}");
    assert_eq!(whole.get(&[7.into()]).unwrap(), [None]);
}

/// Who wrote `level` as a text first kept others, who write it as a number, from writing; and there was an end to how many fields a collection has.
#[test]
fn no_write_brings_a_field_of_all_rows() {
    let db = filled(|_| true);
    let whole = db.collection("rows").unwrap();
    let rows = within(&db, Filter::eq("tenant", "a")).collection("rows").unwrap();
    let named = |result: Result<crate::WriteReceipt>| match result {
        Err(Error::UnknownField { field }) => field,
        other => panic!("{other:?}"),
    };
    let batch = Batch::new().upsert(of_a(7_000)).upsert(of_a(7_001).with("level", "high"));
    assert_eq!(rows.refused(&batch).len(), 1);
    assert_eq!(named(rows.write(batch)), "points[1].payload.level");
    let update = vec![Update::new(0).set("level", "high")];
    assert_eq!(named(rows.update(update)), "points[0].payload.level");
    // Of a row that is not shown, which would come to nothing.
    assert_eq!(named(rows.update(vec![Update::new(1).set("level", "high")])), "points[0].payload.level");
    assert!(!whole.schema().fields().contains_key("level"));
    whole.add_field("level", FieldType::Int).unwrap();
    rows.upsert(vec![of_a(7_001).with("level", 3)]).unwrap();
    assert!(matches!(rows.upsert(vec![of_a(7_002).with("level", "high")]), Err(Error::FieldType { .. })));

    // The field of the filter itself comes with the first row.
    let db = empty();
    let rows = within(&db, Filter::eq("tenant", "a")).collection("rows").unwrap();
    rows.upsert(vec![of_a(1)]).unwrap();
    assert_eq!(named(rows.upsert(vec![of_a(2).with("level", 3)])), "points[0].payload.level");

    // And with nothing else: an update of a row that is not there made it a number, and nobody could write a row any more.
    let db = empty();
    let rows = within(&db, Filter::eq("tenant", "a")).collection("rows").unwrap();
    assert_eq!(named(rows.update(vec![Update::new(1).set("tenant", 5)])), "points[0].payload.tenant");
    let batch = Batch::new().delete(1).update(Update::new(1).set("tenant", "a"));
    assert_eq!(named(rows.write(batch)), "points[1].payload.tenant");
    rows.upsert(vec![of_a(1)]).unwrap();
    assert_eq!(db.collection("rows").unwrap().schema().fields()["tenant"], FieldType::String);
}

/// Otherwise the second would be told that its write was done, and what the first one's came to.
#[test]
fn a_request_of_one_is_not_that_of_another() {
    let db = empty();
    let of = |tenant: &str| within(&db, Filter::eq("tenant", tenant)).collection("rows").unwrap();
    let point = |id: u64, tenant: &str| Point::new(id, [1.0, 0.0]).with("tenant", tenant);
    let write = |tenant: &str, id: u64| of(tenant).write(Batch::new().upsert(point(id, tenant)).request("r"));
    assert!(!write("a", 1).unwrap().repeated);
    assert!(!write("b", 2).unwrap().repeated);
    assert!(write("a", 1).unwrap().repeated && write("b", 2).unwrap().repeated);
    assert_eq!(db.collection("rows").unwrap().count(None).unwrap(), 2);
}

#[test]
fn collections_are_shown_refused_or_not_there() {
    let db = empty();
    for name in ["hidden", "refused", "whole"] {
        db.create_collection(name, Schema::new(2).unwrap()).unwrap();
        db.set_alias(&format!("{name}-alias"), name).unwrap();
    }
    let scoped = within(&db, Filter::eq("tenant", "a"));
    let names: Vec<String> = scoped.collections().into_iter().map(|info| info.name).collect();
    assert_eq!(names, ["refused", "rows", "whole"]);
    let aliases: Vec<String> = scoped.aliases().into_iter().map(|(alias, _)| alias).collect();
    assert_eq!(aliases, ["refused-alias", "whole-alias"]);
    for name in ["hidden", "hidden-alias", "absent"] {
        let error = scoped.collection(name).map(drop).unwrap_err();
        assert_eq!(error.to_string(), format!("collection `{name}` does not exist"));
    }
    for name in ["refused", "refused-alias"] {
        assert!(matches!(scoped.collection(name), Err(Error::OutOfScope { .. })), "{name}");
    }
    assert!(scoped.collection("whole-alias").is_ok());
    let is_refused = |result: Result<()>| matches!(result, Err(Error::OutOfScope { .. }));
    for name in ["rows", "hidden", "refused"] {
        assert!(is_refused(scoped.delete_collection(name)), "{name}");
        assert!(is_refused(scoped.create_collection(name, Schema::new(2).unwrap()).map(drop)), "{name}");
        assert!(is_refused(scoped.set_alias("another", name)), "{name}");
        assert!(is_refused(scoped.stage_collection(name, Schema::new(2).unwrap()).map(drop)), "{name}");
    }
    assert!(is_refused(scoped.begin_replacement("rows", Schema::new(2).unwrap()).map(drop)));
    assert!(is_refused(scoped.set_alias("refused-alias", "whole")), "it is another's");
    assert!(is_refused(scoped.delete_alias("refused-alias")));
    assert!(matches!(scoped.delete_alias("hidden-alias"), Err(Error::AliasNotFound { .. })));
    let rows = scoped.collection("rows").unwrap();
    assert!(is_refused(rows.add_field("new", FieldType::Int).map(drop)));
    assert!(is_refused(rows.add_text("new", crate::Analyzer::English).map(drop)));
    scoped.create_collection("mine", Schema::new(2).unwrap()).unwrap();
    scoped.delete_collection("mine").unwrap();
}
