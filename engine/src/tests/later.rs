//! A field comes to be searched by word when there are rows: wherever the machine dies, it is searched by word or not, and every search
//! finds what the rows have; whatever happens to the files of words, they cost no answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::faults::{full_for_segments, soon};
use super::{open, options};
use crate::dir::memory::MemoryDir;
use crate::dir::{Dir, ReadOnlyDir};
use crate::segment::{Check, SegmentView, WordsRequest, write_words};
use crate::signal::Closing;
use crate::verify::Storage;
use crate::{
    Analyzer, Collection, Db, DbOptions, FieldType, Filter, Metric, Point, Result, Schema, ScrollRequest,
    SearchRequest, Update, Verify,
};

const WORDS: [&str; 5] = ["red", "green", "blue", "black", "white"];

fn text(n: u64) -> String {
    let word = |n: u64| WORDS[n as usize % WORDS.len()];
    format!("{} {} {}", word(n), word(n / 2), word(n * n))
}

fn points(ids: std::ops::Range<u64>, version: u64) -> Vec<Point> {
    ids.map(|id| Point::new(id, [id as f32, 1.0]).with("t", text(id + version)).with("n", 1i64)).collect()
}

fn schema() -> Schema {
    Schema::builder(2).field("t", FieldType::String).build().unwrap()
}

/// Every search gives what the rows have, if the field is searched by word; whether it is.
fn check(collection: &Collection, story: &str) -> bool {
    let view = collection.view();
    if !collection.schema().texts().contains_key("t") {
        assert!(view.count(Some(&Filter::Match("t".into(), "red".into()))).is_err(), "{story}");
        return false;
    }
    let page = view.scroll(&ScrollRequest { limit: 1_000, ..ScrollRequest::default() }).unwrap();
    for query in WORDS.iter().map(|word| (*word).to_owned()).chain((0..6).map(text)) {
        let has_all = |point: &&Point| {
            let own = point.payload.get("t").and_then(|text| text.as_str()).unwrap_or_default();
            query.split(' ').all(|word| own.split(' ').any(|own| own == word))
        };
        let expected = page.points.iter().filter(has_all).count();
        assert_eq!(super::words::with_all_terms(&view, &query), expected, "{story}: {query}");
        let filter = Filter::Match("t".into(), query.clone());
        assert_eq!(view.count(Some(&filter)).unwrap(), expected as u64, "{story}: {query}");
    }
    true
}

/// Rows in two segments and in memory, some of which updates changed in place; then the field is searched by word, and more of it all.
/// Says how often the declaration was acknowledged.
fn run(db: &Db) -> Result<bool> {
    let collection = db.collection("c").or_else(|_| db.create_collection("c", schema()))?;
    collection.upsert(points(0..8, 0))?;
    collection.upsert(points(8..16, 0))?;
    collection.update(vec![Update::new(3).set("t", "red wine"), Update::new(4).unset("t")])?;
    collection.delete(&[5.into()])?;
    collection.upsert(points(20..24, 1))?;
    collection.update(vec![Update::new(21).set("t", "black tea"), Update::new(9).set("t", "white tea")])?;
    collection.add_text("t", Analyzer::Standard)?;
    Ok(true)
}

fn run_on(db: &Db) -> Result<()> {
    let collection = db.collection("c")?;
    collection.update(vec![Update::new(3).set("t", "blue"), Update::new(22).set("t", "green")])?;
    collection.upsert(points(22..27, 3))?;
    db.flush()?;
    collection.delete(&[0.into(), 1.into(), 2.into(), 20.into()])?;
    collection.upsert(points(30..40, 5))?;
    db.compact()
}

/// Runs it all as far as it goes; whether the declaration was acknowledged.
fn run_all(dir: &MemoryDir) -> bool {
    let Ok(db) = open(dir) else { return false };
    let is_declared = run(&db).unwrap_or(false);
    if is_declared {
        check(&db.collection("c").unwrap(), "as soon as it is acknowledged");
        let _ = run_on(&db);
    }
    is_declared
}

fn calls() -> u64 {
    let dir = MemoryDir::new();
    assert!(run_all(&dir));
    dir.calls()
}

/// What is found in a directory after a failure.
fn check_left(dir: &MemoryDir, is_declared: bool, story: &str) {
    let db = open(dir).unwrap_or_else(|error| panic!("{story}: {error}"));
    let found = db.collection("c").map(|collection| check(&collection, story)).unwrap_or(false);
    assert!(found || !is_declared, "{story}: the field was searched by word");
    if db.collection("c").is_err() {
        return;
    }
    // It goes on from wherever it was.
    let collection = db.collection("c").unwrap();
    collection.add_text("t", Analyzer::Standard).unwrap();
    assert!(check(&collection, story));
    db.flush().unwrap();
    assert!(check(&collection, story));
    let view = collection.view();
    assert!(
        view.state
            .segments
            .iter()
            .all(|segment| !segment.lacks_words(of(&view.state.fields), Analyzer::Standard))
    );
    drop((collection, view, db));
    let db = open(dir).unwrap();
    assert!(check(&db.collection("c").unwrap(), story));
    let left = dir.list().unwrap();
    assert!(left.iter().all(|name| !name.contains('.') || name == "MANIFEST.copy"), "{story}: {left:?}");
}

/// The number of the field.
fn of(fields: &crate::payload::FieldTable) -> u16 {
    fields.find("t").unwrap().0
}

#[test]
fn a_field_is_searched_by_word_or_not_wherever_the_machine_dies() {
    let calls = calls();
    assert!(calls > 60, "{calls}");
    for call in 0..=calls {
        for seed in 0..3 {
            let dir = MemoryDir::new();
            dir.crash_at(call);
            let is_declared = run_all(&dir);
            check_left(&dir.recovered(seed), is_declared, &format!("crash at call {call}, seed {seed}"));
        }
    }
}

#[test]
fn it_is_so_if_it_dies_again_while_recovering() {
    for call in 0..=calls() {
        let dir = MemoryDir::new();
        dir.crash_at(call);
        let is_declared = run_all(&dir);
        let recovered = dir.recovered(call);
        let counting = recovered.copied();
        drop(open(&counting));
        for again in 0..counting.calls() {
            let dir = recovered.copied();
            dir.crash_at(again);
            drop(open(&dir));
            let story = format!("crash at call {call}, then at call {again} of the recovery");
            check_left(&dir.recovered(again), is_declared, &story);
        }
    }
}

#[test]
fn a_disk_that_refuses_a_call_costs_nothing() {
    for call in 0..calls() {
        for errno in [5, 28] {
            let dir = MemoryDir::new();
            dir.fail_at(call, errno);
            let is_declared = run_all(&dir);
            check_left(&dir.recovered(call), is_declared, &format!("error {errno} at call {call}"));
        }
    }
}

/// A database whose words lie beside its segment.
fn with_words() -> (MemoryDir, String) {
    let dir = MemoryDir::new();
    let db = open(&dir).unwrap();
    let collection = db.create_collection("c", schema()).unwrap();
    collection.upsert(points(0..8, 0)).unwrap();
    collection.update(vec![Update::new(3).set("t", "red wine"), Update::new(4).unset("t")]).unwrap();
    collection.delete(&[5.into()]).unwrap();
    collection.add_text("t", Analyzer::Standard).unwrap();
    drop((collection, db));
    let names = dir.list().unwrap();
    let mut words = names.into_iter().filter(|name| name.starts_with("words-"));
    let name = words.next().unwrap();
    assert_eq!(words.next(), None);
    (dir, name)
}

#[test]
fn damaged_words_are_passed_over_and_written_anew() {
    let (whole, name) = with_words();
    let sound = whole.read(&name).unwrap();
    for offset in 0..sound.len() {
        let dir = whole.copied();
        dir.flip(&name, offset);
        let story = format!("byte {offset} of {name}");
        let db = open(&dir).unwrap();
        assert!(check(&db.collection("c").unwrap(), &story));
        db.flush().unwrap();
        assert_eq!(dir.read(&name).unwrap(), sound, "{story}");
        drop(db);
        // Whoever does not look may find anything or nothing, until somebody does.
        let dir = whole.copied();
        dir.flip(&name, offset);
        let options = DbOptions { verify: Verify::OnDemand, ..options() };
        let db = Db::open_in(Arc::new(dir.clone()), options).unwrap();
        let collection = db.collection("c").unwrap();
        let _ = super::words::with_all_terms(&collection.view(), "red");
        let report = db.verify(|_| std::ops::ControlFlow::Continue(())).unwrap();
        assert!(report.damaged.iter().all(|damage| damage.file.ends_with(&name)), "{report:?}");
        assert!(check(&collection, &story));
        db.flush().unwrap();
        assert_eq!(dir.read(&name).unwrap(), sound, "{story}");
    }
}

#[test]
fn words_in_memory_are_verified_on_the_disk_too() {
    let (dir, name) = with_words();
    let options = DbOptions { storage: Storage::Resident, ..options() };
    let db = Db::open_in(Arc::new(dir.clone()), options).unwrap();
    for offset in [20, dir.length(&name) - 1] {
        dir.flip(&name, offset);
        let report = db.verify(|_| std::ops::ControlFlow::Continue(())).unwrap();
        assert_eq!(report.damaged.len(), 1, "{report:?}");
        assert!(report.damaged[0].file.ends_with(&name));
        assert!(check(&db.collection("c").unwrap(), "what is in memory is sound"));
        dir.flip(&name, offset);
    }
}

#[test]
fn texts_that_do_not_fit_a_builder_are_indexed_in_pieces() {
    let dir = MemoryDir::new();
    let db = Db::open_in(Arc::new(dir.clone()), DbOptions { seal_rows: 100_000, ..options() }).unwrap();
    let collection = db.create_collection("c", schema()).unwrap();
    collection.upsert(points(0..300, 0)).unwrap();
    db.flush().unwrap();
    collection.update(vec![Update::new(7).set("t", "violet"), Update::new(299).unset("t")]).unwrap();
    collection.add_text("t", Analyzer::Standard).unwrap();
    let view = collection.view();
    let field = of(&view.state.fields);
    let name = dir.list().unwrap().into_iter().find(|name| name.starts_with("words-")).unwrap();
    let whole = dir.read(&name).unwrap();
    let segment: &SegmentView = &view.state.segments[0];
    let analyzer = Analyzer::Standard;
    for builder_bytes in [1, 300, 5_000] {
        dir.remove(&name).unwrap();
        let calls = dir.calls();
        let request = WordsRequest { view: segment, field, analyzer, builder_bytes, stop: Closing::NEVER };
        write_words(&dir, &request).unwrap();
        assert!(dir.calls() - calls > 10, "there were pieces");
        assert_eq!(dir.read(&name).unwrap(), whole, "{builder_bytes}");
        assert!(dir.list().unwrap().iter().all(|other| other == &name || !other.starts_with("words-")));
    }
    segment.as_sealed().unwrap().open_words(&dir, field, (Storage::Mapped, Check::Everything)).unwrap();
    assert!(check(&collection, "in pieces"));
    // Closed meanwhile, it leaves nothing behind.
    let closing = crate::CancelToken::new();
    let stop = Closing::by(&closing);
    closing.cancel();
    write_words(&dir, &WordsRequest { view: segment, field, analyzer, builder_bytes: 1, stop }).unwrap_err();
    assert!(!dir.list().unwrap().iter().any(|name| name.contains('.') && name.starts_with("words-")));
}

#[test]
fn the_background_writes_the_words_that_a_crash_left_out() {
    let (dir, name) = with_words();
    dir.remove(&name).unwrap();
    let options = DbOptions { background: true, ..options() };
    let db = Db::open_in(Arc::new(dir.clone()), options).unwrap();
    let collection = db.collection("c").unwrap();
    let lacks = || {
        let view = collection.view();
        let field = of(&view.state.fields);
        view.state.segments.iter().any(|segment| segment.lacks_words(field, Analyzer::Standard))
    };
    for _ in 0..2_000 {
        if !lacks() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(!lacks());
    assert!(check(&collection, "written in the background"));
}

/// Rows that came before it take no more beside them, as a seal is to follow; where a database is only read none does, and they were compared one
/// by one by every search.
#[test]
fn rows_before_it_become_nodes_where_nothing_is_sealed() {
    let (dir, full) = full_for_segments();
    full.store(true, Ordering::SeqCst);
    // It alone ends a segment, when they are written and when they are replayed.
    let options = |background| DbOptions { seal_rows: 10_000, background, ..options() };
    let db = Db::open_in(Arc::new(dir.clone()), options(false)).unwrap();
    let schema = Schema::builder(2).metric(Metric::L2).field("t", FieldType::String).build().unwrap();
    let collection = db.create_collection("c", schema).unwrap();
    collection.upsert(points(0..3_000, 0)).unwrap();
    collection.add_text("t", Analyzer::Standard).unwrap();
    collection.upsert(points(3_000..3_010, 0)).unwrap();
    drop((collection, db));
    let dir = ReadOnlyDir::new(Arc::new(dir.inner().clone()));
    let db = Db::open_in(Arc::new(dir), options(true)).unwrap();
    let collection = db.collection("c").unwrap();
    assert_eq!((collection.info().segments, collection.info().growing), (2, 3_010));
    let request = SearchRequest::new([77.0, 1.0], 1);
    soon("they become nodes", || collection.search(&request).unwrap().stats.distances < 3_000);
    assert_eq!(collection.search(&request).unwrap().hits[0].id, 77.into());
}
