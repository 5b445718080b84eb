//! A database as the format of today has it, and a damaged one: this build opens the former and refuses the latter.
//!
//! When a format version changes, [`VERSION_FOLDER`] does (that of version 4, which differs in the manifest alone, stays), and a new folder is written by
//! `RAGSTONE_WRITE_GOLDEN=1 cargo test -p ragstone --test golden` (its `LOCK` and `MANIFEST.copy` are removed then). Folders of released
//! versions stay; none was released yet. `golden/v4-corrupt` is `v4` with byte 100 of its first segment changed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use ragstone::{
    Analyzer, Batch, Db, DbOptions, DenseOptions, ElementType, Error, Filter, GeoPoint, Json, Metric,
    MultiOptions, OnDamage, Point, PointId, Schema, ScrollRequest, SearchRequest, SparseVector, Storage,
    Update, Value,
};

const VERSION_FOLDER: &str = "v5";
/// In the year 2970.
const EXPIRY: i64 = 31_556_952_000_000_000;
const VERSIONS: [&str; 2] = ["v4", VERSION_FOLDER];

fn golden(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder)
}

fn open(path: &Path) -> Result<Db, Error> {
    let mut options = DbOptions::default();
    (options.background, options.on_damage) = (false, OnDamage::Refuse);
    Db::open_with(path, options)
}

/// A field that came to be searched by word when there were rows: by a write in the log, with its words beside their segment.
const TEXTS_FOLDER: &str = "v4-texts";

fn write_texts(path: &Path) {
    let db = open(path).unwrap();
    let collection = db.create_collection("c", Schema::builder(2).build().unwrap()).unwrap();
    let point = |id: u64| Point::new(id, [1.0, id as f32]).with("title", format!("green tea {id}"));
    collection.upsert((0..6).map(point).collect()).unwrap();
    db.flush().unwrap();
    collection.update(vec![Update::new(3).set("title", "black tea")]).unwrap();
    collection.add_text("title", Analyzer::English).unwrap();
    collection.update(vec![Update::new(4).set("title", "white teas")]).unwrap();
    collection.delete(&[PointId::Num(5)]).unwrap();
}

/// Attributes, aliases, a collection in the place of another, and one that is to take a place.
const NAMES_FOLDER: &str = "v5-names";

fn write_names(path: &Path) {
    let db = open(path).unwrap();
    let schema = |dimension| Schema::builder(dimension).build().unwrap();
    for name in ["a", "b", "gone"] {
        db.create_collection(name, schema(2)).unwrap().upsert(vec![Point::new(1, [1.0, 0.0])]).unwrap();
    }
    db.set_attribute("kept", Some(b"\xff")).unwrap();
    db.set_attribute("gone", Some(b"1")).unwrap();
    db.set_attribute("gone", None).unwrap();
    db.set_alias("to-a", "a").unwrap();
    db.set_alias("gone-too", "a").unwrap();
    db.delete_alias("gone-too").unwrap();
    let replacement = db.begin_replacement("a", schema(3)).unwrap();
    replacement.collection().upsert(vec![Point::new(2, [1.0, 0.0, 0.0])]).unwrap();
    replacement.finish(|_| Ok::<(), Error>(())).unwrap();
    db.begin_replacement("gone", schema(3)).unwrap();
    db.delete_collection("gone").unwrap();
    let begun = db.begin_replacement("b", schema(4)).unwrap();
    begun.collection().upsert(vec![Point::new(3, [1.0, 0.0, 0.0, 0.0])]).unwrap();
}

#[test]
fn names_attributes_and_replacements_are_read() {
    let path = golden(NAMES_FOLDER);
    if std::env::var_os("RAGSTONE_WRITE_GOLDEN").is_some() && !path.exists() {
        fs::create_dir_all(&path).unwrap();
        write_names(&path);
    }
    let directory = copy_of(NAMES_FOLDER);
    let db = open(directory.path()).unwrap();
    let found = |name: &str| {
        let rows = db.collection(name).unwrap();
        (rows.name().to_owned(), rows.schema().dimension(), rows.view().iter().next().unwrap().unwrap().id)
    };
    assert_eq!(found("to-a"), ("a".into(), 3, 2.into()));
    assert_eq!(found("b"), ("b".into(), 2, 1.into()));
    assert_eq!(db.collections().len(), 2);
    assert_eq!(db.aliases(), [("to-a".into(), "a".into())]);
    let attributes = db.attributes("");
    assert_eq!(attributes.len(), 1);
    assert_eq!(
        (&*attributes[0].0, &*attributes[0].1.value, attributes[0].1.revision),
        ("kept", &[0xff][..], 4)
    );
    let begun = db.replacement("b").unwrap().unwrap();
    assert_eq!(begun.collection().get(&[3.into()]).unwrap().into_iter().flatten().count(), 1);
    assert!(db.replacement("a").unwrap().is_none());
}

/// A copy that a test may change.
fn copy_of(folder: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(golden(folder)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), directory.path().join(entry.file_name())).unwrap();
    }
    directory
}

/// Every kind of file, value, vector, id, metric and write.
fn write(path: &Path) {
    let db = open(path).unwrap();
    for (name, metric) in [("cosine", Metric::Cosine), ("dot", Metric::Dot), ("l2", Metric::L2)] {
        let schema = Schema::builder(4)
            .metric(metric)
            .vector("half", DenseOptions::new(3).metric(metric).element(ElementType::F16))
            .multi("late", MultiOptions::new(2).metric(Metric::Dot))
            .sparse("words")
            .text("title", Analyzer::English)
            .attribute("made-for", "golden")
            .build()
            .unwrap();
        let collection = db.create_collection(name, schema).unwrap();
        collection.upsert((0..12).map(|id| point(id, 1)).collect()).unwrap();
        db.flush().unwrap();
        collection.upsert(vec![point(3, 2)]).unwrap();
        collection.delete(&[id_of(4), id_of(5)]).unwrap();
        collection.write(Batch::new().update(note(8)).request("first")).unwrap();
        db.flush().unwrap();
        collection.upsert(vec![point(6, 3), point(20, 3)]).unwrap();
        collection.delete(&[id_of(7)]).unwrap();
        collection.update(vec![note(10), Update::new(id_of(11)).set("title", "green tea")]).unwrap();
    }
}

fn id_of(id: u64) -> PointId {
    if id.is_multiple_of(2) { PointId::Num(id) } else { PointId::Str(format!("é{id}")) }
}

/// Another value, a new one, and one less; and the row lives longer.
fn note(id: u64) -> Update {
    Update::new(id_of(id)).set("version", 9).set("note", "é").unset("half").expires_at(EXPIRY + 1)
}

fn noted(point: Point) -> Point {
    let mut point = point.with("version", 9).with("note", "é").expires_at(EXPIRY + 1);
    point.payload.remove("half");
    point
}

fn point(id: u64, version: i64) -> Point {
    let mut point = Point::new(id_of(id), [1.0, 0.0, id as f32, 0.5])
        .with("version", version)
        .with("half", version as f64 / 2.0)
        .with("even", id.is_multiple_of(2))
        .with("text", format!("Grüße {id}"))
        .with("at", Value::Timestamp(version << 40))
        .with("tags", (0..id % 3).map(|tag| "ü".repeat(tag as usize)).collect::<Vec<_>>())
        .with("place", GeoPoint::new(id as f64, -0.5))
        .with("extra", Json::new(format!("[{id}, {{}}]")).unwrap());
    if id == 9 {
        point.vector = None;
    }
    if id.is_multiple_of(5) {
        point.expires_at = Some(EXPIRY);
    }
    // Some rows have each; all are of unit length and in halves what they are.
    if id.is_multiple_of(2) {
        point = point.with_vector("half", [0.0, 1.0, 0.0]);
    }
    if id.is_multiple_of(3) {
        let rows = (0..=id % 4).map(|n| vec![n as f32, version as f32]).collect::<Vec<_>>();
        point = point.with_vector("late", rows);
    }
    if id % 4 == 1 {
        let words = SparseVector { indices: vec![id as u32, 100], values: vec![0.5, version as f32] };
        point = point.with_vector("words", words);
    }
    point
}

#[test]
fn what_earlier_versions_wrote_is_read() {
    if std::env::var_os("RAGSTONE_WRITE_GOLDEN").is_some() {
        let path = golden(VERSION_FOLDER);
        fs::create_dir_all(&path).unwrap();
        write(&path);
    }
    for version in VERSIONS {
        for storage in [Storage::Mapped, Storage::Resident] {
            let directory = copy_of(version);
            let mut options = DbOptions::default();
            options.storage = storage;
            assert_golden(&Db::open_with(directory.path(), options).unwrap());
        }
    }
}

fn assert_golden(db: &Db) {
    let expected: Vec<(u64, i64)> = (0..12)
        .filter(|id| ![4, 5, 7].contains(id))
        .map(|id| {
            (
                id,
                match id {
                    3 => 2,
                    6 => 3,
                    _ => 1,
                },
            )
        })
        .chain([(20, 3)])
        .collect();
    assert_eq!(db.collections().len(), 3);
    for info in db.collections() {
        assert_eq!((info.points, info.seq), (expected.len() as u64, 7), "{}", info.name);
        assert_eq!(info.schema.attributes()["made-for"], "golden");
        let collection = db.collection(&info.name).unwrap();
        for (id, version) in &expected {
            let mut found = collection.get(&[id_of(*id)]).unwrap().remove(0).unwrap();
            let expected = match id {
                8 | 10 => noted(point(*id, *version)),
                11 => point(*id, *version).with("title", "green tea"),
                _ => point(*id, *version),
            };
            if info.schema.metric() == Metric::Cosine {
                assert_eq!(found.vector.is_some(), expected.vector.is_some());
                found.vector = expected.vector.clone();
            }
            let etag = match id {
                3 => 2,
                8 => 4,
                6 | 20 => 5,
                10 | 11 => 7,
                _ => 1,
            };
            assert_eq!(found.etag.take(), Some(etag), "{id}");
            assert_eq!(found, expected, "{}", info.name);
        }
        let page = collection.scroll(&ScrollRequest { limit: 100, ..ScrollRequest::default() }).unwrap();
        assert_eq!(page.points.len(), expected.len());
        let request = SearchRequest::new([1.0, 0.0, 8.0, 0.5], 1).filter(Filter::eq("text", "Grüße 8"));
        assert_eq!(collection.search(&request).unwrap().hits[0].id, id_of(8));
        let tagged = expected.iter().filter(|(id, _)| id % 3 == 2).count() as u64;
        assert_eq!(collection.count(Some(&Filter::contains("tags", "ü"))).unwrap(), tagged);
        let near = Filter::GeoRadius("place".into(), GeoPoint::new(8.0, -0.5), 1_000.0);
        assert_eq!(collection.count(Some(&near)).unwrap(), 1);
        let request = SearchRequest::new([0.0, 1.0, 0.0], 20).of("half");
        let with_half = expected.iter().filter(|(id, _)| id.is_multiple_of(2)).count();
        assert_eq!(collection.search(&request).unwrap().hits.len(), with_half);
        let tea = Filter::Match("title".into(), "tea".into());
        assert_eq!(collection.count(Some(&tea)).unwrap(), 1);
        let again = collection.write(Batch::new().delete(id_of(8)).request("first")).unwrap();
        assert_eq!((again.seq, again.updated, again.repeated), (4, 1, true));
    }
}

#[test]
fn words_that_came_later_are_found() {
    let path = golden(TEXTS_FOLDER);
    if std::env::var_os("RAGSTONE_WRITE_GOLDEN").is_some() && !path.exists() {
        fs::create_dir_all(&path).unwrap();
        write_texts(&path);
    }
    for storage in [Storage::Mapped, Storage::Resident] {
        let directory = copy_of(TEXTS_FOLDER);
        let mut options = DbOptions::default();
        options.storage = storage;
        let db = Db::open_with(directory.path(), options).unwrap();
        let collection = db.collection("c").unwrap();
        assert_eq!(collection.schema().texts()["title"], Analyzer::English);
        let found =
            |words: &str| collection.count(Some(&Filter::Match("title".into(), words.into()))).unwrap();
        assert_eq!((found("tea"), found("green"), found("blacks"), found("white tea")), (5, 3, 1, 1));
    }
}

#[test]
fn damaged_ones_are_refused_by_file_and_offset() {
    VERSIONS.into_iter().for_each(assert_damage_is_refused);
}

fn assert_damage_is_refused(version: &str) {
    let names: Vec<String> = fs::read_dir(golden(version))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "LOCK")
        .collect();
    for kind in ["MANIFEST", "segment-", "dead-", "patch-", "requests-", "log-"] {
        let name =
            names.iter().find(|name| name.starts_with(kind)).unwrap_or_else(|| panic!("{kind}: {names:?}"));
        let directory = copy_of(version);
        let file = directory.path().join(name);
        let mut bytes = fs::read(&file).unwrap();
        bytes[30] ^= 1;
        fs::write(&file, bytes).unwrap();
        match open(directory.path()) {
            Err(Error::Corrupt { file: found, offset, .. }) => {
                assert!(found.ends_with(name), "{name}: {}", found.display());
                assert!(offset <= 30, "{name}: {offset}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn the_committed_corrupt_database_is_refused() {
    let directory = copy_of("v4-corrupt");
    match open(directory.path()) {
        Err(error @ Error::Corrupt { .. }) => {
            let message = error.to_string();
            assert!(message.contains("segment-0000000000000005 is damaged at byte 0: "), "{message}");
        }
        other => panic!("{other:?}"),
    }
}
