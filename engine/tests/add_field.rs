//! Fields that a collection gets after it was made.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use ragstone::query::{Query, TextQuery};
use ragstone::{
    Analyzer, Collection, Db, DbOptions, Error, FieldType, Filter, Point, PointId, Schema, Update,
};

#[test]
fn a_field_is_there_from_then_on_whatever_was_stored_before() {
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(directory.path()).unwrap();
    let schema = Schema::builder(2).field("a", FieldType::Int).strict(true).build().unwrap();
    let collection = db.create_collection("c", schema).unwrap();
    collection.upsert(vec![Point::new(1, [1.0, 0.0]).with("a", 1i64)]).unwrap();
    db.flush().unwrap();
    let with_b = |id: u64| Point::new(id, [0.0, 1.0]).with("b", "x");
    assert!(matches!(collection.upsert(vec![with_b(2)]), Err(Error::UnknownField { .. })));
    let receipt = collection.add_field("b", FieldType::String).unwrap();
    assert_eq!((receipt.seq, receipt.upserted, receipt.deleted), (2, 0, 0));
    assert_eq!(collection.schema().fields()["b"], FieldType::String);
    collection.upsert(vec![with_b(2)]).unwrap();
    let of_b = || Filter::eq("b", "x");
    // From the log, then from the manifest.
    drop((collection, db));
    for flush in [false, true, false] {
        let db = Db::open(directory.path()).unwrap();
        let collection = db.collection("c").unwrap();
        assert_eq!(collection.schema().fields()["b"], FieldType::String);
        assert_eq!(collection.view().count(Some(&of_b())).unwrap(), 1);
        assert_eq!(collection.view().count(None).unwrap(), 2);
        if flush {
            db.flush().unwrap();
        }
    }
}

#[test]
fn what_cannot_be_added_is_named() {
    let db = Db::in_memory().unwrap();
    let schema = Schema::builder(2).field("a", FieldType::Int).build().unwrap();
    let collection = db.create_collection("c", schema).unwrap();
    collection.add_field("a", FieldType::Int).unwrap();
    let message = |name: &str, field_type| collection.add_field(name, field_type).unwrap_err().to_string();
    assert_eq!(message("a", FieldType::Bool), "name: the field is int, the value is bool");
    assert!(message("", FieldType::Bool).starts_with("name: a field's name is not empty"));
    for n in 1..256 {
        collection.add_field(&format!("f{n}"), FieldType::Bool).unwrap();
    }
    assert!(message("one-more", FieldType::Bool).starts_with("name: 257 is beyond the limit FIELDS_MAX"));
}

#[test]
fn a_field_that_cannot_be_searched_by_word_is_named() {
    let db = Db::in_memory().unwrap();
    let schema = Schema::builder(2).field("a", FieldType::Int).text("body", Analyzer::English);
    let collection = db.create_collection("c", schema.strict(true).build().unwrap()).unwrap();
    let message = |name: &str, analyzer| collection.add_text(name, analyzer).unwrap_err().to_string();
    assert_eq!(message("a", Analyzer::English), "name: the field is int, the value is string");
    let other = message("body", Analyzer::German);
    assert_eq!(other, "name: the field is searched by word with the analyser english, not german");
    assert!(message("", Analyzer::English).starts_with("name: a field's name is not empty"));
    assert_eq!(collection.schema().texts(), &[("body".into(), Analyzer::English)].into());
    // What is there like this stays: no write is made of it.
    assert_eq!(collection.add_text("body", Analyzer::English).unwrap().seq, 0);
    assert_eq!(collection.add_text("new", Analyzer::German).unwrap().seq, 1);
    assert_eq!(collection.add_text("new", Analyzer::German).unwrap().seq, 1);
    assert!(message("new", Analyzer::English).contains("german, not english"));
    assert_eq!(collection.schema().fields()["new"], FieldType::String);
    for n in 3..256 {
        collection.add_field(&format!("f{n}"), FieldType::Bool).unwrap();
    }
    assert!(message("one-more", Analyzer::English).starts_with("name: 257 is beyond the limit FIELDS_MAX"));
}

/// What happens to both collections of [`like_one_declared_at_creation`].
#[derive(Clone, Debug)]
enum Step {
    Upsert(Vec<(u64, Option<usize>)>),
    /// Other titles, or none.
    Update(Vec<(u64, Option<usize>)>),
    /// Of two other fields, one of which may be searched by word from the beginning.
    Mark(Vec<(u64, Option<usize>)>),
    Delete(Vec<u64>),
    Flush,
    Compact,
    Reopen,
    /// The text is searched by word from here on, where it was not from the beginning.
    Declare,
}

/// Few, so that rows are changed again and again.
const ROWS: u64 = 24;
const TITLES: [&str; 6] = [
    "The moon and the tides",
    "Tides of the moons: a walker's guide",
    "tea",
    "Walking to the sea with getRowCount",
    "",
    "Of tea, of the moon, of walks, of the sea; of rows and rows",
];
const QUERIES: [&str; 6] = ["moon", "tide walking", "tea rows", "the of", "sea walks count", "absent"];

/// Steps by a generator (SplitMix64), one of which is the declaration.
fn steps(seed: u64) -> Vec<Step> {
    let mut state = seed;
    let mut below = move |bound: u64| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    };
    let mut steps = Vec::new();
    let declared = below(20) as usize;
    for at in 0..24 {
        if at == declared {
            steps.push(Step::Declare);
        }
        let titles = |below: &mut dyn FnMut(u64) -> u64, most: u64| {
            let one = |below: &mut dyn FnMut(u64) -> u64| {
                (below(ROWS), Some(below(7) as usize).filter(|title| *title < TITLES.len()))
            };
            (0..below(most)).map(|_| one(below)).collect::<Vec<_>>()
        };
        steps.push(match below(10) {
            0..=2 => Step::Upsert(titles(&mut below, 9)),
            3..=4 => Step::Update(titles(&mut below, 9)),
            5..=6 => Step::Mark(titles(&mut below, 9)),
            7 => Step::Delete((0..below(6)).map(|_| below(ROWS)).collect()),
            8 if below(3) == 0 => Step::Compact,
            8 => Step::Flush,
            _ => Step::Reopen,
        });
    }
    steps
}

fn run(step: &Step, collection: &Collection, is_late: bool) {
    match step {
        Step::Upsert(rows) => {
            let point = |(id, title): &(u64, Option<usize>)| {
                let point = Point::new(*id, [*id as f32, 1.0]).with("n", *id as i64);
                title.map_or(point.clone(), |title| point.with("title", TITLES[title]))
            };
            collection.upsert(rows.iter().map(point).collect()).unwrap();
        }
        Step::Update(titles) => {
            let update = |(id, title): &(u64, Option<usize>)| match title {
                Some(title) => Update::new(*id).set("title", TITLES[*title]),
                None => Update::new(*id).unset("title"),
            };
            collection.update(titles.iter().map(update).collect()).unwrap();
        }
        Step::Mark(others) => {
            let update = |(id, other): &(u64, Option<usize>)| match other {
                Some(other) => Update::new(*id).set("other", TITLES[*other]).set("mark", *other as i64),
                None => Update::new(*id).unset("other"),
            };
            collection.update(others.iter().map(update).collect()).unwrap();
        }
        Step::Delete(ids) => {
            collection.delete(&ids.iter().map(|id| PointId::Num(*id)).collect::<Vec<_>>()).unwrap();
        }
        Step::Declare if is_late => {
            collection.add_text("title", Analyzer::English).unwrap();
        }
        Step::Declare | Step::Flush | Step::Compact | Step::Reopen => {}
    }
}

/// Each row that a query finds, with the bits of its score; and how many rows have all of its words.
fn answer(collection: &Collection, query: &str) -> (BTreeMap<PointId, u32>, u64) {
    let found = collection.query(&Query::new(TextQuery::new(query), 100)).unwrap();
    let scores = found.hits.iter().map(|hit| (hit.point.id.clone(), hit.score.unwrap().to_bits())).collect();
    (scores, collection.count(Some(&Filter::Match("title".into(), query.into()))).unwrap())
}

#[test]
fn a_field_that_is_searched_by_word_later_is_like_one_declared_at_creation() {
    let open = |path: &std::path::Path| {
        let mut options = DbOptions::default();
        (options.background, options.seal_rows) = (false, 20);
        Db::open_with(path, options).unwrap()
    };
    let mut found_in_all = 0;
    for seed in 0..60 {
        let directory = tempfile::tempdir().unwrap();
        let mut db = open(directory.path());
        // One has another field that is searched by word, whose words are in memory like rows are.
        let schema = || match seed % 2 {
            0 => Schema::builder(2),
            _ => Schema::builder(2).text("other", Analyzer::Standard).sparse("s"),
        };
        let early = schema().text("title", Analyzer::English).build().unwrap();
        db.create_collection("early", early).unwrap();
        db.create_collection("late", schema().field("title", FieldType::String).build().unwrap()).unwrap();
        let mut is_declared = false;
        for step in steps(seed) {
            let [early, late] = ["early", "late"].map(|name| db.collection(name).unwrap());
            run(&step, &early, false);
            run(&step, &late, true);
            is_declared |= matches!(step, Step::Declare);
            match step {
                Step::Flush => db.flush().unwrap(),
                Step::Compact => db.compact().unwrap(),
                Step::Reopen => {
                    drop((early, late, db));
                    db = open(directory.path());
                }
                _ => {}
            }
            let [early, late] = ["early", "late"].map(|name| db.collection(name).unwrap());
            if is_declared {
                assert_eq!(late.schema().texts(), early.schema().texts());
                for query in QUERIES {
                    let expected = answer(&early, query);
                    found_in_all += expected.0.len();
                    assert_eq!(answer(&late, query), expected, "seed {seed}, {query} after {step:?}");
                }
            }
        }
    }
    assert!(found_in_all > 4_000, "{found_in_all}");
}

/// The words of a row had moved, for another field, when its text changed last: they were taken from what the update before had said.
#[test]
fn a_row_whose_words_have_moved_has_those_of_its_last_update() {
    let directory = tempfile::tempdir().unwrap();
    let open = || {
        let mut options = DbOptions::default();
        options.background = false;
        Db::open_with(directory.path(), options).unwrap()
    };
    for (round, stored) in [(0, false), (1, true)] {
        let (mut db, name) = (open(), format!("c{round}"));
        let schema = Schema::builder(2).text("title", Analyzer::Standard).field("note", FieldType::String);
        let rows = db.create_collection(&name, schema.build().unwrap()).unwrap();
        rows.upsert(vec![Point::new(1, [1.0, 0.0]).with("title", "a").with("note", "old")]).unwrap();
        if stored {
            db.flush().unwrap();
        }
        rows.update(vec![Update::new(1).set("title", "b").set("note", "older")]).unwrap();
        rows.update(vec![Update::new(1).set("note", "new")]).unwrap();
        rows.add_text("note", Analyzer::Standard).unwrap();
        let check = |db: &Db, when: &str| {
            let rows = db.collection(&name).unwrap();
            let matches = |word: &str| rows.count(Some(&Filter::Match("note".into(), word.into()))).unwrap();
            assert_eq!(["old", "older", "new"].map(matches), [0, 0, 1], "{when}, stored {stored}");
        };
        check(&db, "at once");
        db.compact().unwrap();
        check(&db, "merged");
        drop((rows, db));
        db = open();
        check(&db, "opened anew");
    }
}

/// The words of a segment that was there already lie beside it, until they are merged with it; its vectors stay where they are.
#[test]
fn no_row_is_rewritten_for_the_words_of_a_field() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = DbOptions::default();
    options.background = false;
    let db = Db::open_with(directory.path(), options.clone()).unwrap();
    let collection = db.create_collection("c", Schema::builder(2).build().unwrap()).unwrap();
    let point = |id: u64| Point::new(id, [id as f32, 1.0]).with("title", format!("row {}", id % 7));
    collection.upsert((0..500).map(point).collect()).unwrap();
    db.flush().unwrap();
    let files = || {
        let names = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap());
        let of_segments = names.filter(|entry| {
            let name = entry.file_name().into_string().unwrap();
            name.starts_with("segment-") || name.starts_with("words-")
        });
        let mut files: Vec<(String, Vec<u8>)> = of_segments
            .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
            .collect();
        files.sort();
        files
    };
    let before = files();
    assert_eq!(before.len(), 1);
    collection.add_text("title", Analyzer::Standard).unwrap();
    let after = files();
    assert_eq!((&after[0], after.len()), (&before[0], 2));
    assert!(after[1].0.starts_with("words-"));
    let count =
        |collection: &Collection| collection.count(Some(&Filter::Match("title".into(), "3".into()))).unwrap();
    assert_eq!(count(&collection), 71);
    drop((collection, db));
    // A reader uses them; so does who opens it again. Rubbish in their place, and nothing, are made good.
    for rubbish in [None, Some(Some(b"rubbish".as_slice())), Some(None)] {
        let words = directory.path().join(&after[1].0);
        match rubbish {
            None => {}
            Some(Some(bytes)) => std::fs::write(&words, bytes).unwrap(),
            Some(None) => std::fs::remove_file(&words).unwrap(),
        }
        let reader = Db::open_read_only(directory.path()).unwrap();
        assert_eq!(count(&reader.collection("c").unwrap()), 71);
        drop(reader);
        let db = Db::open_with(directory.path(), options.clone()).unwrap();
        assert_eq!(count(&db.collection("c").unwrap()), 71);
        db.flush().unwrap();
        assert_eq!(files(), after);
    }
    let db = Db::open_with(directory.path(), options.clone()).unwrap();
    let collection = db.collection("c").unwrap();
    collection.delete(&(0..300).map(PointId::Num).collect::<Vec<_>>()).unwrap();
    db.compact().unwrap();
    let merged = files();
    assert_eq!(merged.len(), 1, "a merge takes them in, and they are gone");
    assert_ne!(merged[0].0, before[0].0);
    assert_eq!(count(&collection), 28);
    collection.add_text("body", Analyzer::Standard).unwrap();
    db.delete_collection("c").unwrap();
    assert!(files().is_empty());
}

/// Updates that were on their way come before the field is searched by word or after it, and their words are found.
#[test]
fn writers_beside_the_declaration_lose_nothing() {
    for round in 0..8u64 {
        let directory = tempfile::tempdir().unwrap();
        let mut options = DbOptions::default();
        options.seal_rows = 64;
        let db = Db::open_with(directory.path(), options).unwrap();
        let schema = Schema::builder(2).field("title", FieldType::String).build().unwrap();
        let collection = db.create_collection("c", schema).unwrap();
        let word = |n: u64| format!("w{n}x");
        let point = |id: u64| Point::new(id, [id as f32, 1.0]).with("title", word(0));
        collection.upsert((0..200).map(point).collect()).unwrap();
        std::thread::scope(|scope| {
            for writer in 0..4u64 {
                let collection = collection.clone();
                scope.spawn(move || {
                    for n in 1..40u64 {
                        let id = (writer * 50) + n % 50;
                        let update = Update::new(id).set("title", word(writer * 100 + n));
                        collection.update(vec![update]).unwrap();
                    }
                });
            }
            std::thread::sleep(std::time::Duration::from_millis(round));
            collection.add_text("title", Analyzer::Standard).unwrap();
        });
        let check = |collection: &Collection| {
            for (writer, n) in (0..4u64).flat_map(|writer| (1..40).map(move |n| (writer, n))) {
                let word = word(writer * 100 + n);
                let found = collection.query(&Query::new(TextQuery::new(&word), 10)).unwrap();
                let ids: Vec<_> = found.hits.iter().map(|hit| hit.point.id.clone()).collect();
                assert_eq!(ids, [PointId::Num(writer * 50 + n)], "{word}");
            }
            let left = Filter::Match("title".into(), word(0));
            assert_eq!(collection.count(Some(&left)).unwrap(), 200 - 4 * 39);
        };
        check(&collection);
        drop((collection, db));
        check(&Db::open(directory.path()).unwrap().collection("c").unwrap());
    }
}
