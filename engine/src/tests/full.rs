//! The disk is full from every call on, one after the other, and then it is not.
//!
//! While it is full, what needs room is refused with the system's own error, and nothing of it is written, whether the
//! machine goes on or dies. Reads go on. Once there is room, everything goes on without reopening.

use super::corruption::every_file;
use super::crash::{calls_of_scenario, scenario};
use super::{Contents, Step, contents, open};
use crate::dir::memory::MemoryDir;
use crate::{Analyzer, Db, Error, FieldType, Filter, Point, Schema, Update, Value};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// Steps whose ends are looked at once the disk is full, and after each one that was refused. Those before are as in every run.
const LOOKED_AT: usize = 8;

fn assert_full(error: &Error, story: &str) {
    match error {
        Error::Io { source, .. } => assert_eq!(source.raw_os_error(), Some(ENOSPC), "{story}: {error}"),
        _ => panic!("{story}: {error}"),
    }
}

/// Opens, once there is room if it must be.
fn open_once_there_is_room(dir: &MemoryDir, story: &str) -> Db {
    open(dir).unwrap_or_else(|error| {
        assert_full(&error, story);
        dir.make_room();
        open(dir).unwrap_or_else(|error| panic!("{story}: {error}"))
    })
}

#[test]
fn a_full_disk_refuses_writes_and_takes_them_when_there_is_room() {
    let mut refused = 0;
    for call in 0..calls_of_scenario() {
        let story = format!("full from call {call}");
        let dir = MemoryDir::new();
        dir.full_from(call);
        let db = open_once_there_is_room(&dir, &story);
        let mut acknowledged = Contents::new();
        let mut looked_at = LOOKED_AT;
        for step in scenario() {
            let story = format!("{story}, {step:?}");
            let refused_before = refused;
            for _ in 0..3 {
                let Err(error) = step.run(&db) else { break };
                refused += 1;
                looked_at = LOOKED_AT;
                assert_full(&error, &story);
                assert_eq!(contents(&db), acknowledged, "{story}: reads go on");
                for seed in 0..2 {
                    let recovered = dir.recovered(seed);
                    assert_eq!(
                        contents(&open(&recovered).unwrap()),
                        acknowledged,
                        "{story}: dies while full"
                    );
                }
            }
            if refused > refused_before && contents(&db) == acknowledged {
                dir.make_room();
                step.run(&db).unwrap_or_else(|error| panic!("{story}: there is room, but {error}"));
            }
            step.apply(&mut acknowledged);
            if looked_at > 0 && dir.calls() > call {
                looked_at -= 1;
                assert_eq!(contents(&db), acknowledged, "{story}");
                assert_eq!(contents(&open(&dir.recovered(2)).unwrap()), acknowledged, "{story}: dies later");
            }
        }
        drop(db);
        assert_eq!(contents(&open(&dir).unwrap()), acknowledged, "{story}: reopened");
    }
    assert!(refused > 200, "{refused} steps were refused");
}

/// Threads that share a refused frame, and one that comes when there is room: no number is missing in the log.
#[test]
fn writers_that_share_a_refused_frame_are_all_told() {
    let dir = MemoryDir::new();
    let db = open(&dir).unwrap();
    Step::Create("a").run(&db).unwrap();
    Step::Write("a", vec![(0, Some(0))]).run(&db).unwrap();
    let mut acknowledged = contents(&db);
    for round in 0..20 {
        dir.full_from(0);
        std::thread::scope(|scope| {
            let db = &db;
            let write = |id| move || Step::Write("a", vec![(id, Some(round))]).run(db);
            let writers: Vec<_> = (0..8).map(|id| scope.spawn(write(id))).collect();
            for writer in writers {
                assert_full(&writer.join().unwrap().unwrap_err(), "all are told");
            }
        });
        dir.make_room();
        let step = Step::Write("a", vec![(100, Some(round))]);
        step.run(&db).unwrap();
        step.apply(&mut acknowledged);
        assert_eq!(contents(&open(&dir.recovered(round as u64)).unwrap()), acknowledged);
    }
    drop(db);
    assert_eq!(contents(&open(&dir).unwrap()), acknowledged);
}

/// A refused field stayed reserved until the database was opened anew: the type or the analyser that never came was the only one that a
/// write could have.
#[test]
fn a_refused_field_leaves_nothing_behind() {
    let dir = MemoryDir::new();
    let db = open(&dir).unwrap();
    let schema = || Schema::builder(2).field("text", FieldType::String);
    let collection = db.create_collection("c", schema().build().unwrap()).unwrap();
    let strict = db.create_collection("strict", schema().strict(true).build().unwrap()).unwrap();
    let point =
        |field: &str, value: Value| Point::new(1, [1.0, 0.0]).with("text", "walks").with(field, value);
    collection.upsert(vec![point("year", 2024.into())]).unwrap();
    for round in 0..4 {
        let [written, added, new] = ["written", "added", "new"].map(|kind| format!("{kind} {round}"));
        dir.full_from(0);
        let refused = [
            collection.add_text("text", Analyzer::English).map(drop),
            collection.add_text(&new, Analyzer::English).map(drop),
            collection.add_field(&added, FieldType::Int).map(drop),
            collection.upsert(vec![point(&written, 1.into())]).map(drop),
            strict.add_field(&added, FieldType::Int).map(drop),
        ];
        refused.into_iter().for_each(|refused| assert_full(&refused.unwrap_err(), "while it is full"));
        // Many at once, each with another type.
        std::thread::scope(|scope| {
            let values: [Value; 4] = [1.into(), true.into(), 0.5.into(), "a".into()];
            let writers = values.map(|value| {
                let (collection, point) = (&collection, point(&written, value));
                scope.spawn(move || collection.upsert(vec![point]).map(drop))
            });
            for writer in writers {
                assert_full(&writer.join().unwrap().unwrap_err(), "whatever its type");
            }
        });
        dir.make_room();
        let error = strict.upsert(vec![point(&added, 1.into())]).unwrap_err();
        assert!(matches!(error, Error::UnknownField { .. }), "{error}");
        collection.update(vec![Update::new(1).set("text", "walking")]).unwrap();
        collection.upsert(vec![point(&written, "a text".into())]).unwrap();
        collection.add_field(&added, FieldType::Bool).unwrap();
        collection.add_text(&new, Analyzer::Standard).unwrap();
        let texts = collection.schema().texts().clone();
        assert_eq!(texts.get("text"), None);
        assert_eq!(texts.get(&new), Some(&Analyzer::Standard));
    }
    collection.add_text("text", Analyzer::German).unwrap();
    let check = |db: &Db| {
        let collection = db.collection("c").unwrap();
        let filter = Filter::Match("text".into(), "walks".into());
        assert_eq!(collection.count(Some(&filter)).unwrap(), 1);
        assert_eq!(collection.schema().texts()["text"], Analyzer::German);
        assert_eq!(collection.schema().fields()["written 0"], FieldType::String);
        assert_eq!(collection.schema().fields()["added 3"], FieldType::Bool);
    };
    check(&db);
    check(&open(&dir.recovered(1)).unwrap());
    drop((collection, strict, db));
    check(&open(&dir).unwrap());
}

#[test]
fn a_failing_read_is_an_error_and_changes_nothing() {
    let whole = every_file();
    let counting = whole.copied();
    let expected = contents(&open(&counting).unwrap());
    let needed = {
        let counting = whole.copied();
        drop(open(&counting).unwrap());
        counting.reads()
    };
    assert!(needed >= 8, "{needed} reads");
    let mut tolerated = 0;
    for call in 0..needed {
        let dir = whole.copied();
        dir.fail_read_at(call, EIO);
        match open(&dir).map(drop).err() {
            // The copy of the manifest is written anew.
            None => tolerated += 1,
            Some(Error::Io { operation: "read" | "list", source, .. }) => {
                assert_eq!(source.raw_os_error(), Some(EIO), "read {call}");
            }
            Some(other) => panic!("read {call}: {other}"),
        }
        assert_eq!(contents(&open(&dir).unwrap()), expected, "read {call}");
    }
    assert_eq!(tolerated, 1);
}
