//! A small real database with every kind of file, id, value and metric.

use std::path::Path;

use ragstone::{
    Analyzer, Batch, Collection, Db, DbOptions, DenseOptions, ElementType, EncodingKind, FieldType, GeoPoint,
    GraphOptions, Json, Metric, MultiOptions, Point, PointId, Schema, SchemaBuilder, SparseVector, Update,
    Value,
};

/// The files of a database directory, by name.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Names and bytes, sorted by name.
    pub files: Vec<(String, Vec<u8>)>,
}

/// Rows of the first segment of each collection: enough for a layer above the base.
const ROWS: u64 = 80;
/// The same, of the collection that has a vector of each encoding.
const CODED_ROWS: u64 = 40;
/// The graph of every vector: small, so that few bytes are many links.
const GRAPH: GraphOptions = GraphOptions { degree: 4, ef_construction: 16 };
/// The vectors of that collection; the walk of each is on what comes first of its components.
const ENCODINGS: [(&str, EncodingKind, Option<usize>); 5] = [
    ("bit1", EncodingKind::Bit1, None),
    ("f16", EncodingKind::F16, Some(4)),
    ("f32", EncodingKind::F32, None),
    ("int4", EncodingKind::Int4, Some(4)),
    ("int8", EncodingKind::Int8, Some(3)),
];

impl Sample {
    /// Writes the database and reads its files.
    ///
    /// # Panics
    /// If the disk refuses.
    pub fn write() -> Self {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let mut keeping = options();
        keeping.keep_log_bytes = Some(1 << 20);
        let db = Db::open_with(directory.path(), keeping).expect("a fresh database opens");
        let coded = write_coded(&db);
        db.set_alias("alias", "coded").expect("a name that is free");
        db.set_attribute("fuzz.key", Some(b"\0value")).expect("the attribute is short");
        for (name, metric) in [("l2", Metric::L2), ("cosine", Metric::Cosine)] {
            let half = DenseOptions::new(4).metric(metric).graph(GRAPH).element(ElementType::F16);
            let schema = Schema::builder(3)
                .metric(metric)
                .graph(GRAPH)
                .vector("half", half)
                .multi("late", MultiOptions::new(2))
                .sparse("words")
                .text("text", Analyzer::English)
                .attribute("of", "fuzz")
                .build();
            let collection = db.create_collection(name, schema.expect("the schema is valid")).expect(name);
            collection.upsert((0..ROWS).map(|id| point(id, 1)).collect()).expect("rows are written");
            db.flush().expect("a segment is sealed");
            collection.upsert((3..6).map(|id| point(id, 2)).collect()).expect("rows are replaced");
            collection.delete(&[id_of(7), id_of(8)]).expect("rows are deleted");
            let updates = (11..14).map(update).fold(Batch::new(), Batch::update).request("é");
            collection.write(updates).expect("rows are updated");
            db.flush().expect("tombstones and patches are written");
            collection.add_text("note", Analyzer::Standard).expect("words are written beside the segment");
            let patched = Update::new(id_of(17)).set("version", 78);
            collection.update(vec![patched]).expect("the log takes updates that change rows in place");
            collection.update((13..15).map(update).collect()).expect("the log takes updates");
            collection.upsert(vec![point(9, 3), point(ROWS, 3)]).expect("the log takes rows");
            collection.delete(&[id_of(10)]).expect("the log takes deletions");
            let words = update(16).set("text", "tea");
            collection.update(vec![words]).expect("the log takes updates of texts");
        }
        coded.upsert(vec![coded_point(CODED_ROWS)]).expect("the log takes rows of a tenant");
        db.set_alias("another", "coded").expect("the log takes aliases");
        db.set_attribute("fuzz.key", None).expect("the log takes attributes");
        drop((coded, db));
        Self::read(directory.path())
    }

    fn read(directory: &Path) -> Self {
        let entries = std::fs::read_dir(directory).expect("the directory can be read");
        let mut files: Vec<(String, Vec<u8>)> = entries
            .map(|entry| {
                let entry = entry.expect("an entry");
                let bytes = std::fs::read(entry.path()).expect("a file can be read");
                (entry.file_name().into_string().expect("names are ASCII"), bytes)
            })
            .filter(|(name, _)| name != "LOCK")
            .collect();
        files.sort();
        Self { files }
    }

    /// Writes the files into a directory.
    ///
    /// # Panics
    /// If the disk refuses.
    pub fn store(&self, directory: &Path) {
        for (name, bytes) in &self.files {
            std::fs::write(directory.join(name), bytes).expect("a file can be written");
        }
    }
}

/// A collection with a vector of each encoding and a tenant key, and rows of it.
fn write_coded(db: &Db) -> Collection {
    let coded = |builder: SchemaBuilder, (name, encoding, walked): (&str, EncodingKind, Option<usize>)| {
        let options = DenseOptions::new(6).graph(GRAPH).encoding(encoding);
        builder.vector(name, walked.map_or(options, |components| options.walk_dimension(components)))
    };
    let builder = ENCODINGS.into_iter().fold(Schema::without_vector(), coded);
    let schema = builder.field("n", FieldType::Int).tenant("whose").strict(true).build();
    let collection = db.create_collection("coded", schema.expect("the schema is valid")).expect("coded");
    collection.upsert((0..CODED_ROWS).map(coded_point).collect()).expect("rows are written");
    db.flush().expect("a segment is sealed");
    collection.delete(&[id_of(7)]).expect("a row is deleted");
    collection.update(vec![Update::new(id_of(4)).set("n", -4)]).expect("a row is updated");
    collection
}

/// A row with most of the vectors, of one tenant of four.
fn coded_point(id: u64) -> Point {
    let components = |place: usize| (0..6).map(move |n| ((id as f32 + 1.0) * (n + place) as f32).sin() + 0.1);
    let names = ENCODINGS.iter().enumerate().filter(|(place, _)| !(id + *place as u64).is_multiple_of(6));
    let point = names.fold(Point::without_vector(id_of(id)), |point, (place, (name, ..))| {
        point.with_vector(*name, components(place).collect::<Vec<f32>>())
    });
    point.with("whose", format!("Grüße {}", id % 4)).with("n", id as i64)
}

/// Nothing runs beside the fuzzer.
pub(crate) fn options() -> DbOptions {
    let mut options = DbOptions::default();
    options.background = false;
    options
}

/// Numbers and texts.
pub(crate) fn id_of(id: u64) -> PointId {
    if id.is_multiple_of(3) { PointId::Str(format!("é{id}")) } else { PointId::Num(id) }
}

/// Another value, a new one, and one less.
pub(crate) fn update(id: u64) -> Update {
    Update::new(id_of(id)).set("version", 77).set("note", format!("é {id}")).unset("half")
}

/// Every kind of value and vector; each seventh has no default vector, each fifth no values.
pub(crate) fn point(id: u64, version: i64) -> Point {
    let angle = id as f32;
    let mut point = Point::new(id_of(id), [angle.sin(), angle.cos(), 0.1 * angle]);
    if !id.is_multiple_of(5) {
        point = point
            .with("version", version)
            .with("half", version as f64 / 2.0)
            .with("even", id.is_multiple_of(2))
            .with("text", format!("Grüße {id}"))
            .with("note", format!("of {id}"))
            .with("at", Value::Timestamp(version << 40))
            .with("tags", (0..id % 4).map(|tag| "ü".repeat(tag as usize)).collect::<Vec<_>>())
            .with("place", GeoPoint::new(angle.into(), -f64::from(angle)))
            .with("extra", Json::new(format!("[{id}, {{}}]")).expect("this is JSON"));
    }
    if id.is_multiple_of(7) {
        point.vector = None;
    }
    if id.is_multiple_of(2) {
        point = point.with_vector("half", [angle.sin(), 0.5, angle.cos(), 0.2 * angle]);
    }
    if id.is_multiple_of(3) {
        let rows = (0..=id % 4).map(|n| vec![angle + n as f32, 1.0]).collect::<Vec<_>>();
        point = point.with_vector("late", rows);
    }
    if id % 4 == 1 {
        let words = SparseVector { indices: vec![id as u32, 1_000 + id as u32], values: vec![angle, 0.5] };
        point = point.with_vector("words", words);
    }
    if id.is_multiple_of(4) {
        // Not while this is read.
        point.expires_at = Some(i64::MAX / 2);
    }
    point
}
