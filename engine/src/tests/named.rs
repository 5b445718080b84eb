//! Attributes, aliases and replacements: against a model, beside readers and writers, through copies and repairs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use proptest::prelude::*;

use super::{options, point, schema};
use crate::dir::memory::MemoryDir;
use crate::{Db, Error, Expect, Point, PointId, Schema};

fn open(dir: &MemoryDir) -> Db {
    Db::open_in(Arc::new(dir.clone()), options()).unwrap()
}

/// What is to be done with one of four names; which names collide is left to chance.
#[derive(Clone, Debug)]
enum Act {
    Create(u8),
    Drop(u8),
    SetAlias(u8, u8),
    DeleteAlias(u8),
    SetAttribute(u8, Option<u8>),
    Replace(u8),
    Flush,
    Reopen,
    Die(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let name = || 0..4_u8;
    prop_oneof![
        3 => name().prop_map(Act::Create),
        2 => name().prop_map(Act::Drop),
        4 => (name(), name()).prop_map(|(alias, of)| Act::SetAlias(alias, of)),
        1 => name().prop_map(Act::DeleteAlias),
        3 => (name(), prop::option::of(any::<u8>())).prop_map(|(key, value)| Act::SetAttribute(key, value)),
        2 => name().prop_map(Act::Replace),
        1 => Just(Act::Flush),
        1 => Just(Act::Reopen),
        1 => any::<u64>().prop_map(Act::Die),
    ]
}

#[derive(Debug, Default, PartialEq)]
struct Model {
    /// How often each collection was replaced.
    collections: BTreeMap<String, u64>,
    aliases: BTreeMap<String, String>,
    attributes: BTreeMap<String, u8>,
}

impl Model {
    /// Whether it is to succeed; if so, does it.
    fn does(&mut self, act: &Act) -> bool {
        let name = |number: u8| ["a", "b", "c", "d"][usize::from(number)].to_owned();
        let is_taken = |model: &Self, name: &String| {
            model.collections.contains_key(name) || model.aliases.contains_key(name)
        };
        match *act {
            Act::Create(new) if is_taken(self, &name(new)) => false,
            Act::Create(new) => self.collections.insert(name(new), 0).is_none(),
            Act::Drop(old) if self.aliases.values().any(|named| *named == name(old)) => false,
            Act::Drop(old) => self.collections.remove(&name(old)).is_some(),
            Act::SetAlias(alias, of)
                if self.collections.contains_key(&name(alias))
                    || !self.collections.contains_key(&name(of)) =>
            {
                false
            }
            Act::SetAlias(alias, of) => {
                self.aliases.insert(name(alias), name(of));
                true
            }
            Act::DeleteAlias(alias) => self.aliases.remove(&name(alias)).is_some(),
            Act::SetAttribute(key, Some(value)) => {
                self.attributes.insert(name(key), value);
                true
            }
            Act::SetAttribute(key, None) => {
                self.attributes.remove(&name(key));
                true
            }
            Act::Replace(of) => {
                let named = self.aliases.get(&name(of)).cloned().unwrap_or(name(of));
                self.collections.get_mut(&named).map(|count| *count += 1).is_some()
            }
            Act::Flush | Act::Reopen | Act::Die(_) => true,
        }
    }

    fn of(db: &Db) -> Self {
        let replaced = |name: &str| {
            let rows = db.collection(name).unwrap().get(&["count".into()]).unwrap();
            rows[0].as_ref().map_or(0, |row| row.payload["count"].as_int().unwrap() as u64)
        };
        let names = db.collections().into_iter().map(|info| info.name);
        let attributes = db.attributes("").into_iter().map(|(key, found)| (key, found.value[0]));
        Model {
            collections: names.map(|name| (name.clone(), replaced(&name))).collect(),
            aliases: db.aliases().into_iter().collect(),
            attributes: attributes.collect(),
        }
    }
}

fn run(db: &Db, act: &Act) -> crate::Result<()> {
    let name = |number: u8| ["a", "b", "c", "d"][usize::from(number)];
    match *act {
        Act::Create(new) => db.create_collection(name(new), Schema::new(2)?).map(drop),
        Act::Drop(old) => db.delete_collection(name(old)),
        Act::SetAlias(alias, of) => db.set_alias(name(alias), name(of)),
        Act::DeleteAlias(alias) => db.delete_alias(name(alias)),
        Act::SetAttribute(key, value) => {
            db.set_attribute(name(key), value.as_ref().map(std::slice::from_ref)).map(drop)
        }
        Act::Replace(of) => {
            let replacement = db.begin_replacement(name(of), Schema::new(2)?)?;
            let rows = replacement.collection();
            replacement.finish(|view| {
                let count = view.get(&["count".into()])?.remove(0);
                let count = count.map_or(0, |row| row.payload["count"].as_int().unwrap());
                rows.upsert(vec![Point::without_vector("count").with("count", count + 1)]).map(drop)
            })
        }
        Act::Flush => db.flush(),
        Act::Reopen | Act::Die(_) => Ok(()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn names_and_attributes_are_what_the_model_says(acts in prop::collection::vec(act(), 1..40)) {
        let mut dir = MemoryDir::new();
        let (mut db, mut model) = (open(&dir), Model::default());
        for act in &acts {
            let done = run(&db, act);
            prop_assert_eq!(model.does(act), done.is_ok(), "{:?}: {:?}", act, done);
            match act {
                Act::Reopen => {
                    drop(db);
                    db = open(&dir);
                }
                Act::Die(seed) => {
                    dir = dir.recovered(*seed);
                    db = open(&dir);
                }
                _ => {}
            }
            prop_assert_eq!(&Model::of(&db), &model, "{:?}", act);
        }
    }
}

/// Each read under the alias is of one collection as a whole, and there always is one.
#[test]
fn readers_see_one_or_the_other_while_an_alias_is_repointed() {
    let db = Db::in_memory().unwrap();
    for (name, side) in [("left", 0), ("right", 1)] {
        let rows = db.create_collection(name, schema()).unwrap();
        rows.upsert((0..20).map(|id| point(id, side)).collect()).unwrap();
    }
    db.set_alias("it", "left").unwrap();
    let (is_over, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let read = || {
            while !is_over.load(Ordering::SeqCst) {
                let rows = db.collection("it").unwrap();
                let points = rows.view().iter().collect::<crate::Result<Vec<_>>>().unwrap();
                let sides: Vec<i64> = points.iter().map(super::version).collect();
                assert_eq!(sides.len(), 20);
                assert!(sides.iter().all(|side| *side == sides[0]), "{sides:?}");
                assert_eq!(rows.name(), ["left", "right"][sides[0] as usize]);
                reads.fetch_add(1, Ordering::SeqCst);
            }
        };
        let readers: Vec<_> = (0..2).map(|_| scope.spawn(read)).collect();
        // Until enough of it was seen, however late the readers get a processor; one that fails ends it.
        let goes_on = |round: u64| round < 100 || reads.load(Ordering::SeqCst) < 100;
        for _ in
            (0..).take_while(|round| goes_on(*round) && !readers.iter().any(|reader| reader.is_finished()))
        {
            db.set_alias("it", "right").unwrap();
            // What is named no more can go and come meanwhile.
            db.delete_collection("left").unwrap();
            let rows = db.create_collection("left", schema()).unwrap();
            rows.upsert((0..20).map(|id| point(id, 0)).collect()).unwrap();
            db.set_alias("it", "left").unwrap();
        }
        is_over.store(true, Ordering::SeqCst);
    });
    assert!(reads.load(Ordering::SeqCst) >= 100);
}

/// Writers go on while one collection after the other takes the place: each acknowledged write is in the last one.
#[test]
fn no_acknowledged_write_is_lost_by_a_replacement() {
    let dir = MemoryDir::new();
    let db = open(&dir);
    db.create_collection("a", schema()).unwrap();
    let is_over = AtomicBool::new(false);
    let (written, replaced) = std::thread::scope(|scope| {
        let write = |writer: u64| {
            let (db, is_over) = (&db, &is_over);
            move || {
                let (mut written, mut replaced) = (Vec::new(), 0_u64);
                for id in (writer..).step_by(2) {
                    if is_over.load(Ordering::SeqCst) {
                        break;
                    }
                    loop {
                        match db.collection("a").unwrap().upsert(vec![point(id, 1)]) {
                            Ok(_) => break written.push(super::id_of(id)),
                            Err(Error::CollectionReplaced { name }) => replaced += u64::from(name == "a"),
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
                (written, replaced)
            }
        };
        let writers: Vec<_> = (0..2).map(|writer| scope.spawn(write(writer))).collect();
        for _ in 0..10 {
            let replacement = db.begin_replacement("a", schema()).unwrap();
            let copied = std::cell::Cell::new(0);
            let copy = |view: &crate::View, after: u64| {
                let changed: Vec<PointId> =
                    view.ids(None)?.filter(|(_, etag)| *etag > after).map(|(id, _)| id).collect();
                let points = view.get(&changed)?.into_iter().flatten().collect();
                copied.set(view.seq());
                replacement.collection().upsert(points).map(drop)
            };
            copy(&replacement.original().view(), 0).unwrap();
            std::thread::yield_now();
            replacement.finish(|view| copy(view, copied.get())).unwrap();
        }
        is_over.store(true, Ordering::SeqCst);
        writers.into_iter().map(|writer| writer.join().unwrap()).fold(
            (Vec::new(), 0),
            |(mut all, count), (written, replaced)| {
                all.extend(written);
                (all, count + replaced)
            },
        )
    });
    let check = |db: &Db| {
        let found = db.collection("a").unwrap().get(&written).unwrap();
        assert!(found.iter().all(Option::is_some), "{} writes, {replaced} repeated", written.len());
    };
    check(&db);
    drop(db);
    check(&open(&dir));
}

#[test]
fn a_replacement_is_hidden_until_it_is_finished_and_survives_a_restart() {
    let dir = MemoryDir::new();
    let db = open(&dir);
    let rows = db.create_collection("a", schema()).unwrap();
    let first = rows.upsert(vec![point(1, 1)]).unwrap();
    db.set_alias("x", "a").unwrap();
    assert!(matches!(db.replacement("nobody"), Err(Error::CollectionNotFound { .. })));
    assert!(db.replacement("a").unwrap().is_none());
    assert!(matches!(db.abandon_replacement("a"), Err(Error::Replacement { is_under_way: false, .. })));

    let replacement = db.begin_replacement("x", schema()).unwrap();
    assert!(matches!(
        db.begin_replacement("a", schema()),
        Err(Error::Replacement { is_under_way: true, .. })
    ));
    let second = replacement.collection().upsert(vec![point(2, 2)]).unwrap();
    assert!(second.seq > first.seq + (1 << 20), "no etag of one is an etag of the other");
    let hidden = replacement.collection().name().to_owned();
    let is_unseen = |db: &Db| {
        assert_eq!(db.collections().len(), 1);
        assert!(matches!(db.collection(&hidden), Err(Error::CollectionNotFound { .. })));
        assert!(matches!(db.delete_collection(&hidden), Err(Error::CollectionNotFound { .. })));
        assert!(matches!(db.set_alias("y", &hidden), Err(Error::CollectionNotFound { .. })));
        assert!(matches!(db.create_collection(&hidden, schema()), Err(Error::Invalid { .. })));
        assert_eq!(db.pin().unwrap().collections().len(), 1);
    };
    is_unseen(&db);
    let id = replacement.id();
    drop((rows, replacement, db));

    let db = open(&dir);
    is_unseen(&db);
    let rows = db.collection("a").unwrap();
    let replacement = db.replacement("a").unwrap().unwrap();
    assert_eq!(replacement.id(), id);
    let failed = replacement.finish(|_| Err(Error::AliasNotFound { alias: "the caller's".into() }));
    assert!(matches!(failed, Err(Error::AliasNotFound { .. })));
    rows.upsert(vec![point(3, 3)]).unwrap();
    assert_eq!(db.collection("x").unwrap().info().points, 2, "as if nothing had been");
    let before = rows.view();
    replacement.finish(|_| Ok::<(), Error>(())).unwrap();
    assert!(matches!(rows.upsert(vec![point(3, 3)]), Err(Error::CollectionReplaced { .. })));
    assert!(matches!(replacement.finish(|_| Ok::<(), Error>(())), Err(Error::CollectionReplaced { .. })));
    assert_eq!((before.iter().count(), rows.view().iter().count()), (2, 2), "who reads goes on");
    for name in ["a", "x"] {
        assert_eq!(db.collection(name).unwrap().name(), "a");
        assert_eq!(
            db.collection(name).unwrap().get(&[super::id_of(2)]).unwrap()[0].as_ref().unwrap().etag,
            Some(second.seq)
        );
    }
    drop((rows, replacement, db));
    assert_eq!(open(&dir).collection("x").unwrap().info().points, 1);
}

/// A flipped bit among the ids makes a walk pass over rows: without a look at the checksums they would be gone with the original.
#[test]
fn an_original_that_is_damaged_is_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let open = || {
        let (background, verify) = (false, crate::Verify::OnDemand);
        let options = crate::DbOptions { background, verify, ..crate::DbOptions::default() };
        Db::open_with(directory.path(), options).unwrap()
    };
    let db = open();
    let rows = db.create_collection("a", Schema::new(32).unwrap()).unwrap();
    let vector = |id: u64| (0..32).map(|at| ((id * 37 + at) % 101) as f32 + 1.0).collect::<Vec<_>>();
    rows.upsert((0..2_000).map(|id| Point::new(id, vector(id))).collect()).unwrap();
    db.flush().unwrap();
    drop((rows, db));
    let mut files = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
    let segment = files.find(|path| path.to_string_lossy().contains("segment-")).unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let db = open();
    // Whichever of the two comes upon it first.
    let refused = db
        .begin_replacement("a", Schema::new(32).unwrap())
        .and_then(|replacement| replacement.finish(|_| Ok::<(), Error>(())));
    assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");
    // It is there as before, or set apart as damaged since it was opened.
    let is_apart = db.damaged().iter().any(|(name, _)| name == "a");
    assert!(is_apart || db.collections().iter().any(|info| info.points == 2_000));
}

#[test]
fn names_that_clash_are_refused() {
    let db = Db::in_memory().unwrap();
    db.create_collection("a", schema()).unwrap();
    db.set_alias("x", "a").unwrap();
    assert!(matches!(db.create_collection("x", schema()), Err(Error::AliasExists { .. })));
    assert!(matches!(db.set_alias("a", "a"), Err(Error::CollectionExists { .. })));
    assert!(matches!(db.set_alias("y", "x"), Err(Error::Invalid { field, .. }) if field == "collection"));
    assert!(matches!(db.set_alias("y", "b"), Err(Error::CollectionNotFound { .. })));
    for bad in ["", ".x", "a b"] {
        assert!(matches!(db.set_alias(bad, "a"), Err(Error::Invalid { field, .. }) if field == "alias"));
    }
    let long = "x".repeat(crate::limits::COLLECTION_NAME_BYTES_MAX + 1);
    assert!(matches!(db.set_alias(&long, "a"), Err(Error::Limit { field, .. }) if field == "alias"));
    assert!(matches!(db.delete_collection("x"), Err(Error::AliasExists { .. })));
    let aliased = db.delete_collection("a").unwrap_err();
    assert_eq!(
        aliased.to_string(),
        "collection `a` has the alias `x`: point it at another collection or delete it first"
    );
    db.delete_alias("x").unwrap();
    assert!(matches!(db.delete_alias("x"), Err(Error::AliasNotFound { .. })));
    db.delete_collection("a").unwrap();
}

#[test]
fn a_database_that_is_only_read_has_them_and_takes_none() {
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(directory.path()).unwrap();
    db.create_collection("a", schema()).unwrap();
    db.set_alias("x", "a").unwrap();
    db.set_attribute("k", Some(b"v")).unwrap();
    drop(db);
    let db = Db::open_read_only(directory.path()).unwrap();
    assert_eq!(&*db.attribute("k").unwrap().value, b"v");
    assert_eq!(db.collection("x").unwrap().name(), "a");
    assert!(matches!(db.set_attribute("k", None), Err(Error::ReadOnly { .. })));
    assert!(matches!(db.set_attribute_if("k", Expect::Present, None), Err(Error::ReadOnly { .. })));
    assert!(matches!(db.set_alias("x", "a"), Err(Error::ReadOnly { .. })));
    assert!(matches!(db.delete_alias("x"), Err(Error::ReadOnly { .. })));
    assert!(matches!(db.begin_replacement("a", schema()), Err(Error::ReadOnly { .. })));
}
