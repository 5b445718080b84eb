//! Queries that are answered at once or not at all: what is not there yet is not made for them, and what they give whole is what others give.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ops::Range;
use std::time::Duration;

use ragstone::query::{Query, Source, TextQuery};
use ragstone::{Analyzer, Collection, Db, DbOptions, FieldType, Filter, Interrupted, Point, Schema};

/// Longer than any test takes.
const FOREVER: Duration = Duration::from_secs(3_600);

/// Two hundred rows, most of them in sealed segments.
fn rows() -> (Db, Collection) {
    let mut options = DbOptions::default();
    (options.background, options.seal_rows) = (false, 40);
    let db = Db::in_memory_with(options).unwrap();
    let schema = Schema::builder(2).text("title", Analyzer::Standard).field("note", FieldType::String);
    let notes = db.create_collection("notes", schema.build().unwrap()).unwrap();
    write(&notes, 0..200);
    db.flush().unwrap();
    (db, notes)
}

fn write(notes: &Collection, ids: Range<u64>) {
    let title = |id: u64| if id.is_multiple_of(3) { "tea" } else { "sun" };
    let point = |id: u64| {
        let point = Point::new(id, [id as f32, 1.0]).with("title", title(id)).with("note", title(id));
        point.with("year", (id % 7) as i64)
    };
    for first in ids.clone().step_by(20) {
        notes.upsert((first..ids.end.min(first + 20)).map(point).collect()).unwrap();
    }
}

fn tried(query: &Query) -> Query {
    query.clone().budget(FOREVER).at_once()
}

/// What is found at once, if anything is, and what is found.
#[track_caller]
fn is_found_at_once(notes: &Collection, query: &Query) -> bool {
    let at_once = notes.query(&tried(query)).unwrap();
    let found = notes.query(query).unwrap();
    assert_eq!((found.hits.len(), found.stats.interrupted), (query.k, None));
    match at_once.stats.interrupted {
        None => assert_eq!(at_once.hits, found.hits),
        interrupted => assert_eq!(interrupted, Some(Interrupted::OutOfTime)),
    }
    at_once.stats.interrupted.is_none()
}

#[test]
fn no_index_is_made_for_them_and_one_that_is_there_is_used() {
    let (_db, notes) = rows();
    let filtered = Query::nearest([1.0, 0.0], 5).filter(Filter::eq("year", 3));
    assert!(is_found_at_once(&notes, &Query::nearest([1.0, 0.0], 5)), "it needs none");
    assert!(!is_found_at_once(&notes, &filtered), "the index of the field is not there yet");
    assert!(is_found_at_once(&notes, &filtered), "the other query made it");
}

/// Searches had to sort the column again after each seal and each merge.
#[test]
fn new_segments_come_with_the_indexes_that_are_in_use() {
    let (db, notes) = rows();
    let by_year = Query::nearest([1.0, 0.0], 5).filter(Filter::eq("year", 3));
    assert!(!is_found_at_once(&notes, &by_year), "nobody has asked before");
    write(&notes, 200..360);
    db.flush().unwrap();
    assert!(is_found_at_once(&notes, &by_year), "beside those that were sealed");
    write(&notes, 100..130);
    db.compact().unwrap();
    assert_eq!(notes.info().segments, 1);
    assert!(is_found_at_once(&notes, &by_year), "of all that were merged");
    let by_note = Query::nearest([1.0, 0.0], 5).filter(Filter::eq("note", "tea"));
    assert!(!is_found_at_once(&notes, &by_note), "of this field nobody has asked");
    for _ in 0..10 {
        write(&notes, 0..20);
        db.compact().unwrap();
    }
    assert!(!is_found_at_once(&notes, &by_year), "nobody has asked for a long time");
}

#[test]
fn words_are_searched_at_once_where_they_are_there() {
    let (_db, notes) = rows();
    let by_words = |field: &str| Query::new(Source::from(TextQuery::new("tea").field(field, 1.0)), 5);
    assert!(is_found_at_once(&notes, &by_words("title")));
    let matching = Query::nearest([1.0, 0.0], 5).filter(Filter::Match("title".into(), "tea".into()));
    assert!(!is_found_at_once(&notes, &matching), "nothing ends a search for the words of a filter");
    let hidden = matching.filter(Filter::Not(Box::new(Filter::Match("title".into(), "tea".into()))));
    assert!(!is_found_at_once(&notes, &hidden));
    // Without threads in the background the words are stored where they are asked for.
    notes.add_text("note", Analyzer::Standard).unwrap();
    assert!(is_found_at_once(&notes, &by_words("note")));
}

#[test]
fn a_budget_ends_them_between_rows_too() {
    let (_db, notes) = rows();
    let spent = Query::nearest([1.0, 0.0], 5).budget(Duration::ZERO).at_once();
    let found = notes.query(&spent).unwrap();
    assert_eq!((found.hits.len(), found.stats.interrupted), (0, Some(Interrupted::OutOfTime)));
}
