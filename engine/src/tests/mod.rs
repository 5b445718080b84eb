//! Tests of the whole engine over a directory that crashes, fails and rots where it is told to.

mod cancelled;
mod concurrency;
mod corruption;
mod crash;
mod entries;
mod expiry;
mod faults;
mod few;
mod full;
mod later;
mod lazy;
mod mutants;
mod named;
mod ordered;
mod patches;
mod placed;
mod refused;
mod room;
mod scope;
mod staged;
mod unreadable;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::dir::memory::MemoryDir;
use crate::{
    Batch, Db, DbOptions, Filter, OnDamage, Op, Point, PointId, Replacement, Result, Schema, ScrollRequest,
    Update, Value, Verify, View,
};

/// What a database holds: collections, points, and the version written last, with the note of the last update above it
/// ([`NOTE`]).
type Contents = BTreeMap<String, BTreeMap<PointId, i64>>;

/// What a note counts beside versions.
const NOTE: i64 = 1 << 20;
/// A note that so much divides is in the text as well, which is searched by word.
const IN_TEXT: i64 = 7;

/// One step of a scenario.
#[derive(Clone, Debug)]
enum Step {
    Create(&'static str),
    Drop(&'static str),
    /// Points get a version, or are deleted.
    Write(&'static str, Vec<(u64, Option<i64>)>),
    /// Points that are there get a note, or lose it if it is 0.
    Update(&'static str, Vec<(u64, i64)>),
    Flush,
    /// An attribute of the database gets a value, or is removed.
    Attribute(&'static str, Option<u8>),
    /// An alias names a collection, or none any more.
    Alias(&'static str, Option<&'static str>),
    /// A collection is begun that is to take the place of one, and is left.
    Begin(&'static str),
    /// Another collection takes the place of one: its points have versions that are higher by so much, and no notes.
    Replace(&'static str, i64),
}

/// Where [`Contents`] has attributes and aliases: no collection has such a name.
const ATTRIBUTES: &str = "=attributes";
const ALIASES: &str = "=aliases";

/// Small segments, sealed by the writer itself, so that every run makes the same calls.
fn options() -> DbOptions {
    let (verify, on_damage) = (Verify::OnOpen, OnDamage::Refuse);
    DbOptions {
        seal_rows: 8,
        log_file_bytes: 600,
        background: false,
        verify,
        on_damage,
        ..DbOptions::default()
    }
}

/// Opens and checks everything.
fn open(dir: &MemoryDir) -> Result<Db> {
    Db::open_in(Arc::new(dir.clone()), options())
}

/// A point whose every part tells its version. Each fifth has no vector.
fn point(id: u64, version: i64) -> Point {
    let mut point = Point::new(id_of(id), [version as f32 + 1.0, id as f32])
        .with("version", version)
        .with("text", format!("{id}/{version}"));
    if id % 5 == 4 {
        point.vector = None;
    }
    point
}

/// Numbers and texts.
fn id_of(id: u64) -> PointId {
    if id.is_multiple_of(3) { PointId::Str(format!("p{id}")) } else { PointId::Num(id) }
}

impl Step {
    fn run(&self, db: &Db) -> Result<()> {
        match self {
            Step::Create(name) => drop(db.create_collection(name, schema())?),
            Step::Drop(name) => db.delete_collection(name)?,
            Step::Write(name, changes) => {
                let ops = changes.iter().map(|(id, version)| match version {
                    Some(version) => Op::Upsert(point(*id, *version)),
                    None => Op::Delete(id_of(*id)),
                });
                db.collection(name)?.write(Batch::of(ops.collect()))?;
            }
            Step::Update(name, changes) => {
                let collection = db.collection(name)?;
                let update = |(id, note): &(u64, i64)| {
                    let update = Update::new(id_of(*id));
                    let update = if *note == 0 { update.unset("note") } else { update.set("note", *note) };
                    let found = collection.get(&[id_of(*id)])?.remove(0);
                    let texts = found.map(|point| {
                        let Value::Int(version) = point.payload["version"] else { panic!("{point:?}") };
                        (point.payload["text"].clone(), Value::from(text(&id_of(*id), version + note * NOTE)))
                    });
                    Ok(match texts {
                        Some((before, after)) if before != after => update.set("text", after),
                        _ => update,
                    })
                };
                collection.update(changes.iter().map(update).collect::<Result<_>>()?)?;
            }
            Step::Flush => db.flush()?,
            Step::Attribute(key, value) => {
                db.set_attribute(key, value.as_ref().map(std::slice::from_ref))?;
            }
            Step::Alias(alias, Some(collection)) => db.set_alias(alias, collection)?,
            Step::Alias(alias, None) => db.delete_alias(alias)?,
            Step::Begin(name) => drop(begin_replacement(db, name)?),
            Step::Replace(name, more) => replace(db, name, *more)?,
        }
        Ok(())
    }

    fn apply(&self, contents: &mut Contents) {
        match self {
            Step::Create(name) => drop(contents.insert((*name).into(), BTreeMap::new())),
            Step::Drop(name) => drop(contents.remove(*name)),
            Step::Write(name, changes) => {
                let points = contents.get_mut(*name).unwrap();
                for (id, version) in changes {
                    match version {
                        Some(version) => drop(points.insert(id_of(*id), *version)),
                        None => drop(points.remove(&id_of(*id))),
                    }
                }
            }
            Step::Update(name, changes) => {
                let points = contents.get_mut(*name).unwrap();
                for (id, note) in changes {
                    points.entry(id_of(*id)).and_modify(|version| *version = *version % NOTE + note * NOTE);
                }
            }
            Step::Flush | Step::Begin(_) => {}
            Step::Attribute(key, value) => set(contents, ATTRIBUTES, key, value.map(i64::from)),
            Step::Alias(alias, collection) => {
                set(contents, ALIASES, alias, collection.map(|name| i64::from(name.as_bytes()[0])));
            }
            Step::Replace(name, more) => {
                let points = contents.get_mut(*name).unwrap().values_mut();
                points.for_each(|version| *version = *version % NOTE + more);
            }
        }
    }
}

fn set(contents: &mut Contents, kind: &str, name: &str, value: Option<i64>) {
    let named = contents.entry(kind.into()).or_default();
    match value {
        Some(value) => drop(named.insert(name.into(), value)),
        None => drop(named.remove(&name.into())),
    }
    contents.retain(|name, named| name != kind || !named.is_empty());
}

/// Begins one with a row, whatever an earlier attempt left.
fn begin_replacement(db: &Db, name: &str) -> Result<Replacement> {
    if db.replacement(name)?.is_some() {
        db.abandon_replacement(name)?;
    }
    let replacement = db.begin_replacement(name, schema())?;
    replacement.collection().upsert(vec![point(1_000, 1)])?;
    Ok(replacement)
}

fn replace(db: &Db, name: &str, more: i64) -> Result<()> {
    let replacement = begin_replacement(db, name)?;
    replacement.collection().delete(&[id_of(1_000)])?;
    replacement.finish(|view| {
        let changed = |found: Point| {
            let id = found.id.to_string().trim_start_matches('p').parse().unwrap();
            point(id, version(&found) % NOTE + more)
        };
        let points = view.iter().map(|found| found.map(changed)).collect::<Result<_>>()?;
        replacement.collection().upsert(points).map(drop)
    })
}

fn schema() -> Schema {
    let schema = Schema::builder(2).metric(crate::Metric::L2);
    schema.text("text", crate::Analyzer::Standard).build().unwrap()
}

/// Reads everything, by every way there is, and checks that they agree.
fn contents(db: &Db) -> Contents {
    let mut contents = contents_of_collections(db);
    for (key, attribute) in db.attributes("") {
        set(&mut contents, ATTRIBUTES, &key, Some(attribute.value[0].into()));
    }
    for (alias, name) in db.aliases() {
        assert_eq!(db.collection(&alias).unwrap().name(), name);
        set(&mut contents, ALIASES, &alias, Some(name.as_bytes()[0].into()));
    }
    contents
}

fn contents_of_collections(db: &Db) -> Contents {
    db.collections()
        .into_iter()
        .map(|info| {
            let collection = db.collection(&info.name).unwrap();
            let view = collection.view();
            let request = ScrollRequest { limit: 1_000, with_vectors: true, ..ScrollRequest::default() };
            let page = view.scroll(&request).unwrap();
            assert_eq!(page.points.len() as u64, info.points);
            assert!(page.points.is_sorted_by(|a, b| a.id < b.id), "a page is in the order of the ids");
            let ids: Vec<PointId> = page.points.iter().map(|point| point.id.clone()).collect();
            let by_id: Vec<Point> = view.get(&ids).unwrap().into_iter().flatten().collect();
            assert_eq!(by_id, page.points);
            let points: BTreeMap<PointId, i64> =
                page.points.iter().map(|point| (point.id.clone(), version(point))).collect();
            for (id, version) in &points {
                let found = view.count(Some(&Filter::eq("text", text(id, *version)))).unwrap();
                assert_eq!(found, 1, "{id} {version}");
                assert_eq!(
                    words::with_all_terms(&view, &text(id, *version)),
                    points_with(&points, id, *version)
                );
            }
            assert_notes(&view, &points);
            let vectors = page.points.iter().filter(|point| point.vector.is_some()).count();
            assert_eq!(info.vectors, vectors as u64);
            (info.name, points)
        })
        .collect()
}

/// How many points have the words of a point's text in their own.
fn points_with(points: &BTreeMap<PointId, i64>, id: &PointId, version: i64) -> usize {
    let words =
        |id: &PointId, version: i64| text(id, version).split('/').map(str::to_owned).collect::<Vec<_>>();
    let wanted = words(id, version);
    let has_all = |(id, version): (&PointId, &i64)| {
        let own = words(id, *version);
        wanted.iter().all(|word| own.contains(word))
    };
    points.iter().filter(|point| has_all(*point)).count()
}

/// Filters find the notes that there are.
fn assert_notes(view: &View, points: &BTreeMap<PointId, i64>) {
    let notes = points.values().map(|version| version / NOTE);
    for note in notes.clone().filter(|note| *note > 0) {
        let expected = notes.clone().filter(|other| *other == note).count();
        assert_eq!(view.count(Some(&Filter::eq("note", note))).unwrap(), expected as u64, "note {note}");
    }
}

/// The text of a point with a version, and perhaps a note.
fn text(id: &PointId, version: i64) -> String {
    let (version, note) = (version % NOTE, version / NOTE);
    let text = format!("{}/{version}", id.to_string().trim_start_matches('p'));
    if note > 0 && note % IN_TEXT == 0 { format!("{text}/note{note}") } else { text }
}

/// The version of a point, all of whose parts have it.
fn version(found: &Point) -> i64 {
    let Value::Int(version) = found.payload["version"] else { panic!("{found:?}") };
    let id: u64 = found.id.to_string().trim_start_matches('p').parse().unwrap();
    let mut without_note = Point { etag: None, ..found.clone() };
    let note = without_note.payload.remove("note").map_or(0, |note| note.as_int().unwrap());
    let expected = point(id, version).with("text", text(&found.id, version + note * NOTE));
    assert_eq!(without_note, expected);
    version + note * NOTE
}
