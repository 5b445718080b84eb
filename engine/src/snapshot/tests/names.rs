//! What is in the catalogue beside collections is part of copies, of the log after them, and of repairs.

use super::*;
use crate::catalogue::{CATALOGUE, CatalogueChange};
use crate::snapshot::RESTORE_FILE;

/// Of each collection, what it holds.
type Held = Vec<(String, Vec<i64>)>;
/// Attributes, aliases, and what each collection holds.
type Named = (Vec<(String, Vec<u8>)>, Vec<(String, String)>, Held);

fn named(db: &Db) -> Named {
    let attributes = db.attributes("").into_iter().map(|(key, found)| (key, found.value.to_vec())).collect();
    (attributes, db.aliases(), contents(db))
}

/// A copy in which some are set, one is half replaced, and a log in which that changes; what there is after each.
fn replaced_after_a_copy() -> (Copied, Vec<(u64, Held)>, MemoryDir, WriteReceipt) {
    let dir = MemoryDir::new();
    let db = open(&dir).unwrap();
    for name in ["a", "z"] {
        db.create_collection(name, schema()).unwrap();
    }
    write(&db, 0..10, 1);
    db.set_attribute("k", Some(b"1")).unwrap();
    db.set_attribute("gone", Some(b"1")).unwrap();
    db.set_alias("x", "a").unwrap();
    let replacement = db.begin_replacement("a", schema()).unwrap();
    replacement.collection().upsert(vec![Point::new(0, [2.0, 0.0]).with("version", 2)]).unwrap();
    let pin = db.pin().unwrap();
    let mut states = vec![(pin.position(), contents(&db))];
    let more = replacement.collection().upsert(vec![Point::new(1, [2.0, 1.0]).with("version", 2)]).unwrap();
    states.push((more.position, contents(&db)));
    replacement.finish(|_| Ok::<(), Error>(())).unwrap();
    let last = write_to(&db, "a", 2..12, 3);
    states.push((last.position, contents(&db)));
    db.set_alias("x", "z").unwrap();
    db.set_alias("y", "a").unwrap();
    db.set_attribute("k", Some(b"2")).unwrap();
    db.set_attribute("gone", None).unwrap();
    let copied = Copied::of(&pin).with_log(&db, pin.position() + 1);
    drop((replacement, pin, db));
    (copied, states, dir, last)
}

#[test]
fn a_copy_and_the_log_after_it_have_names_attributes_and_replacements() {
    let (copied, states, dir, last) = replaced_after_a_copy();
    for (position, expected) in &states {
        let target = MemoryDir::new();
        copied.restore(&target, &Until::Position(*position)).unwrap();
        let db = open(&target).unwrap();
        assert_eq!(contents(&db), *expected, "{position}");
        assert_eq!(&*db.attribute("gone").unwrap().value, b"1");
        assert_eq!(db.collection("x").unwrap().name(), "a");
        // What was half replaced is so still.
        assert_eq!(db.replacement("a").unwrap().is_some(), *position < last.position);
    }
    for until in [Until::End, Until::Write { collection: "a".into(), seq: last.seq }] {
        let target = MemoryDir::new();
        copied.restore(&target, &until).unwrap();
        let expected = match until {
            Until::End => named(&open(&dir).unwrap()),
            _ => (
                vec![("gone".into(), b"1".to_vec()), ("k".into(), b"1".to_vec())],
                vec![("x".into(), "a".into())],
                states[2].1.clone(),
            ),
        };
        assert_eq!(named(&open(&target).unwrap()), expected, "{until:?}");
    }
}

#[test]
fn an_interrupted_restore_does_them_again() {
    let (copied, _, dir, _) = replaced_after_a_copy();
    let expected = named(&open(&dir).unwrap());
    let calls = {
        let counting = MemoryDir::new();
        copied.restore(&counting, &Until::End).unwrap();
        counting.calls()
    };
    for call in 0..calls {
        let target = MemoryDir::new();
        target.crash_at(call);
        copied.restore(&target, &Until::End).unwrap_err();
        let target = target.recovered(call);
        // The last call makes it durable that the mark is gone: until then it may be, and all is done.
        let is_done = call + 1 == calls && target.read(RESTORE_FILE).is_err();
        if !is_done {
            copied.restore(&target, &Until::End).unwrap();
        }
        assert_eq!(named(&open(&target).unwrap()), expected, "died at call {call}");
    }
}

/// A crash between the log and the manifest: each is carried out when the database is opened, and by who may only read.
#[test]
fn logged_changes_are_carried_out_at_opening() {
    let dir = MemoryDir::new();
    let db = open(&dir).unwrap();
    db.create_collection("a", schema()).unwrap();
    write(&db, 0..9, 1);
    db.begin_replacement("a", schema()).unwrap();
    let ids = db.pin().unwrap().root_ids();
    let alias = CatalogueChange::Alias { alias: "x".into(), collection: Some("a".into()) };
    let attribute = CatalogueChange::Attribute { key: "k".into(), value: Some(b"v".as_slice().into()) };
    let replace = CatalogueChange::Replace { id: ids[1], original: ids[0] };
    for (seq, change) in [(3, alias), (4, attribute), (5, replace)] {
        let body = change.encode();
        let log = &db.any_store().log;
        log.wait(log.submit(Record { log_id: CATALOGUE, seq, body: &body }).unwrap()).unwrap();
    }
    drop(db);
    let expected = (
        vec![("k".to_owned(), b"v".to_vec())],
        vec![("x".to_owned(), "a".to_owned())],
        vec![("a".to_owned(), vec![])],
    );
    let reader = Db::open_in(Arc::new(ReadOnlyDir::new(Arc::new(dir.clone()))), options()).unwrap();
    assert_eq!(named(&reader), expected);
    drop(reader);
    let db = open(&dir).unwrap();
    assert_eq!(named(&db), expected);
    assert_eq!(db.attribute("k").unwrap().revision, 4);
    assert!(db.replacement("a").unwrap().is_none());
    assert!(dir.list().unwrap().iter().all(|name| !name.starts_with("segment-")), "the original's are gone");
    write(&db, 0..2, 2);
    drop(db);
    assert_eq!(contents(&open(&dir).unwrap()), [("a".to_owned(), vec![2, 2])]);
}
