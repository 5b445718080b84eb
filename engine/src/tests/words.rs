//! Search by word against a naive oracle, while rows come, change and die, segments are sealed and merged, and the database is
//! opened again: the best rows are those of the formula over the live rows, with its scores.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use proptest::prelude::*;

use crate::collection::ViewState;
use crate::dir::memory::MemoryDir;
use crate::interrupt::Watch;
use crate::payload::CompiledFilter;
use crate::search::{WordsRequest, WordsSearch};
use crate::text::Scored;
use crate::{
    Analyzer, Clock, Collection, Db, DbOptions, FieldType, Filter, Point, PointId, Schema, Update, View,
};

/// Title and text of each row, as numbers of words.
type Model = BTreeMap<u64, (Vec<u8>, Vec<u8>)>;

#[derive(Clone, Debug)]
enum Step {
    Upsert(Vec<(u64, Vec<u8>, Vec<u8>)>),
    Delete(Vec<u64>),
    /// Other titles, or none, and perhaps other texts.
    Update(Vec<(u64, Vec<u8>, Option<Vec<u8>>)>),
    /// These have expired from now on.
    Expire(Vec<u64>),
    Flush,
    Compact,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let words = |most| prop::collection::vec(0u8..14, 0..most);
    let row = (0u64..60, words(4), words(9));
    prop_oneof![
        4 => prop::collection::vec(row, 1..12).prop_map(Step::Upsert),
        1 => prop::collection::vec(0u64..60, 1..9).prop_map(Step::Delete),
        4 => prop::collection::vec((0u64..60, words(4), prop::option::of(words(9))), 1..12).prop_map(Step::Update),
        1 => prop::collection::vec(0u64..60, 1..9).prop_map(Step::Expire),
        1 => Just(Step::Flush),
        1 => Just(Step::Compact),
        1 => Just(Step::Reopen),
    ]
}

fn text(words: &[u8]) -> String {
    words.iter().map(|word| format!("w{}", char::from(b'a' + word))).collect::<Vec<_>>().join(" ")
}

fn point(id: u64, title: &[u8], body: &[u8]) -> Point {
    let mut point =
        Point::new(id, [id as f32, 1.0]).with("even", id.is_multiple_of(2)).with("number", id as i64);
    if id % 3 == 1 {
        point.vector = None;
    }
    if !title.is_empty() {
        point = point.with("title", text(title));
    }
    // A text without a word is a text.
    point.with("body", text(body))
}

fn open(dir: &MemoryDir, now: &Arc<AtomicI64>) -> (Db, Collection) {
    let told = now.clone();
    let clock = Clock::new(move || told.load(Ordering::SeqCst));
    let options = DbOptions { seal_rows: 25, background: false, clock, ..DbOptions::default() };
    let db = Db::open_in(Arc::new(dir.clone()), options).unwrap();
    let collection = db.collection("c").or_else(|_| {
        let schema = Schema::builder(2).text("title", Analyzer::Standard).text("body", Analyzer::Standard);
        let schema = schema.field("number", FieldType::Int);
        db.create_collection("c", schema.build()?)
    });
    let collection = collection.unwrap();
    (db, collection)
}

/// How many live rows have all the words of a text.
pub(super) fn with_all_terms(view: &View, text: &str) -> usize {
    let request = WordsRequest { fields: &[], text, all_terms: true };
    let search = WordsSearch::new(&view.state, &request).unwrap();
    search.best(10_000, None, &Watch::default()).rows.len()
}

/// Each row that has a term, with its score by the formula, best first.
fn expected(model: &Model, boosts: [f64; 2], terms: &[u8], passes: impl Fn(u64) -> bool) -> Vec<(f64, u64)> {
    let field = |place: usize| {
        move |row: &'_ (Vec<u8>, Vec<u8>)| if place == 0 { row.0.clone() } else { row.1.clone() }
    };
    let mut scores: BTreeMap<u64, f64> = BTreeMap::new();
    for (place, boost) in boosts.into_iter().enumerate() {
        let texts: Vec<(u64, Vec<u8>)> = model.iter().map(|(id, row)| (*id, field(place)(row))).collect();
        let rows = texts.iter().filter(|(_, text)| !text.is_empty()).count() as f64;
        let average = texts.iter().map(|(_, text)| text.len()).sum::<usize>() as f64 / rows.max(1.0);
        for term in terms {
            let with = texts.iter().filter(|(_, text)| text.contains(term)).count() as f64;
            let idf = (1.0 + (rows - with + 0.5) / (with + 0.5)).ln();
            for (id, text) in &texts {
                let count = text.iter().filter(|word| *word == term).count() as f64;
                if count > 0.0 && passes(*id) {
                    let norm = 1.2 * (0.25 + 0.75 * text.len() as f64 / average.max(1.0));
                    *scores.entry(*id).or_default() += boost * idf * count / (count + norm);
                }
            }
        }
    }
    let mut found: Vec<(f64, u64)> = scores.into_iter().map(|(id, score)| (score, id)).collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found
}

/// The scores of all rows by their ids, to the last bit.
fn scores(view: &ViewState, text: &str) -> BTreeMap<PointId, u32> {
    let boosts = [("title".to_owned(), 2.0), ("body".to_owned(), 1.0)];
    let request = WordsRequest { fields: &boosts, text, all_terms: false };
    let found = WordsSearch::new(view, &request).unwrap().best(1_000, None, &Watch::default());
    let of = |row: &Scored| (view.segments[row.segment].id(row.slot), row.score.to_bits());
    found.rows.iter().map(of).collect()
}

/// However the rows came to have their texts, they score as if they had been written like that.
fn check_as_written(collection: &Collection, model: &Model, terms: &[u8]) {
    let (_db, fresh) = open(&MemoryDir::new(), &Arc::default());
    fresh.upsert(model.iter().map(|(id, (title, body))| point(*id, title, body)).collect()).unwrap();
    let query = text(terms);
    let found = scores(&collection.view().state.current(), &query);
    assert_eq!(found, scores(&fresh.view().state.current(), &query));
    let has = |text: &[u8]| !terms.is_empty() && terms.iter().all(|term| text.contains(term));
    for (field, place) in [("title", 0), ("body", 1)] {
        let filter = Filter::Match(field.into(), query.clone());
        let expected = model.values().filter(|row| has(if place == 0 { &row.0 } else { &row.1 })).count();
        assert_eq!(collection.view().count(Some(&filter)).unwrap(), expected as u64);
        // Of few rows that another condition lists.
        let few = Filter::And(vec![Filter::eq("number", 7), filter]);
        let row = model.get(&7).filter(|row| has(if place == 0 { &row.0 } else { &row.1 }));
        assert_eq!(collection.view().count(Some(&few)).unwrap(), u64::from(row.is_some()));
    }
}

fn check(collection: &Collection, model: &Model, terms: &[u8], k: usize) {
    let view = collection.view();
    let state = &view.state.current();
    let query = text(terms);
    let boosts = [("title".to_owned(), 2.0), ("body".to_owned(), 1.0)];
    let request = WordsRequest { fields: &boosts, text: &query, all_terms: false };
    let search = WordsSearch::new(state, &request).unwrap();
    let even = CompiledFilter::new(&Filter::eq("even", true), &state.fields).ok();
    for filter in [None, even] {
        let passes = |id: u64| filter.is_none() || id.is_multiple_of(2);
        let expected = expected(model, [2.0, 1.0], terms, passes);
        let found = search.best(k, filter.as_ref(), &Watch::default());
        assert_eq!(found.rows.len(), expected.len().min(k));
        assert!(found.postings() > 0 || expected.is_empty());
        assert_eq!(found.read.len(), state.segments.len());
        let own: BTreeMap<u64, f64> = expected.iter().map(|(score, id)| (*id, *score)).collect();
        for (row, (score, _)) in found.rows.iter().zip(&expected) {
            let PointId::Num(id) = state.segments[row.segment].id(row.slot) else {
                panic!("ids are numbers")
            };
            assert!(
                (f64::from(row.score) - own[&id]).abs() < 1e-4,
                "{id} scores {} instead of {}",
                row.score,
                own[&id]
            );
            assert!((f64::from(row.score) - score).abs() < 1e-4, "{} where {score} is next", row.score);
        }
        let places: Vec<(usize, u32)> = found.rows.iter().map(|row| (row.segment, row.slot)).collect();
        let scores: Vec<Option<f32>> = found.rows.iter().map(|row| Some(row.score)).collect();
        assert_eq!(search.scores(&places), scores, "the same to the last bit");
    }
    let request = WordsRequest { fields: &[], text: &query, all_terms: true };
    let found = WordsSearch::new(state, &request).unwrap().best(1_000, None, &Watch::default());
    let has = |text: &[u8]| !terms.is_empty() && terms.iter().all(|term| text.contains(term));
    assert_eq!(found.rows.len(), model.values().filter(|(title, body)| has(title) || has(body)).count());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn words_find_what_the_formula_says(
        steps in prop::collection::vec(step(), 1..24),
        terms in prop::collection::vec(0u8..15, 0..4),
        k in 1usize..30,
    ) {
        let dir = MemoryDir::new();
        let now = Arc::default();
        let (mut db, mut collection) = open(&dir, &now);
        let mut model = Model::new();
        for step in steps {
            match step {
                Step::Upsert(rows) => {
                    collection.upsert(rows.iter().map(|(id, title, body)| point(*id, title, body)).collect()).unwrap();
                    model.extend(rows.into_iter().map(|(id, title, body)| (id, (title, body))));
                }
                Step::Delete(ids) => {
                    collection.delete(&ids.iter().map(|id| PointId::Num(*id)).collect::<Vec<_>>()).unwrap();
                    ids.iter().for_each(|id| drop(model.remove(id)));
                }
                Step::Update(titles) => {
                    let update = |(id, title, body): &(u64, Vec<u8>, Option<Vec<u8>>)| {
                        let update = match title.is_empty() {
                            true => Update::new(*id).unset("title"),
                            false => Update::new(*id).set("title", text(title)),
                        };
                        match body {
                            Some(body) => update.set("body", text(body)),
                            None => update.set("body of", *id as i64),
                        }
                    };
                    collection.update(titles.iter().map(update).collect()).unwrap();
                    for (id, title, body) in titles {
                        model.entry(id).and_modify(|row| {
                            row.0 = title;
                            row.1 = body.unwrap_or_else(|| row.1.clone());
                        });
                    }
                }
                Step::Expire(ids) => {
                    let at = 1 + now.load(Ordering::SeqCst);
                    collection.update(ids.iter().map(|id| Update::new(*id).expires_at(at)).collect()).unwrap();
                    now.store(at, Ordering::SeqCst);
                    ids.iter().for_each(|id| drop(model.remove(id)));
                }
                Step::Flush => db.flush().unwrap(),
                Step::Compact => db.compact().unwrap(),
                Step::Reopen => {
                    drop((db, collection));
                    (db, collection) = open(&dir, &now);
                }
            }
            check(&collection, &model, &terms, k);
            check_as_written(&collection, &model, &terms);
        }
        drop(db);
    }
}

#[test]
fn what_cannot_be_searched_is_named() {
    let (_db, collection) = open(&MemoryDir::new(), &Arc::default());
    let view = collection.view();
    let refused = |fields: &[(String, f32)], text: &str| {
        let request = WordsRequest { fields, text, all_terms: false };
        WordsSearch::new(&view.state, &request).unwrap_err().to_string()
    };
    assert!(refused(&[("even".into(), 1.0)], "x").starts_with("fields.even"));
    assert!(refused(&[("title".into(), f32::NAN)], "x").starts_with("fields.title"));
    let many: Vec<String> = (0..2_000).map(|number| format!("x{number}y")).collect();
    assert!(refused(&[], &many.join(" ")).contains("QUERY_TERMS_MAX"));
    // Terms were made for all fields before they were counted: of a text of a megabyte and 256 fields, gigabytes.
    let fields = vec![("title".to_owned(), 1.0_f32); 256];
    assert_eq!(refused(&fields, &many.join(" ")), refused(&fields[..1], &many.join(" ")));
}
