//! What the tests share.

use std::path::{Path, PathBuf};

use ragstone::{
    Analyzer, Collection, Db, DenseOptions, ElementType, EncodingKind, FieldType, GeoPoint, GraphOptions,
    Json, Metric, MultiOptions, Point, Schema, SparseVector, Value, Vector,
};
use ragstone_exchange::{Error, ExportOptions, ImportOptions, Imported, Result, quietly};

pub(crate) const ENDINGS: [&str; 2] = ["arrow", "parquet"];

/// A schema with every kind of vector and every type of field. Nothing of it is what it is by default.
pub(crate) fn full_schema() -> Schema {
    let dense = DenseOptions::new(4)
        .metric(Metric::L2)
        .element(ElementType::F16)
        .encoding(EncodingKind::F16)
        .graph(GraphOptions { degree: 16, ef_construction: 64 });
    Schema::builder(3)
        .metric(Metric::Dot)
        .encoding(EncodingKind::Int8)
        .vector("title", dense)
        .sparse("words")
        .multi("tokens", MultiOptions::new(2).metric(Metric::Dot))
        .multi("halves", MultiOptions::new(2).metric(Metric::Dot).element(ElementType::F16))
        .field("draft", FieldType::Bool)
        .field("year", FieldType::Int)
        .field("score", FieldType::Float)
        .field("lang", FieldType::String)
        .field("at", FieldType::Timestamp)
        .field("tags", FieldType::Strings)
        .field("where", FieldType::Geo)
        .field("rest", FieldType::Json)
        .field("id", FieldType::String)
        .field("vector", FieldType::Int)
        .text("body", Analyzer::German)
        .strict(true)
        .attribute("made by", "a test")
        .build()
        .unwrap()
}

/// Rows that have everything, nothing, and things at their ends.
pub(crate) fn full_points() -> Vec<Point> {
    let everything = Point::new(7, [1.0, -2.5, f32::MIN_POSITIVE])
        .with_vector("title", [0.5, 1.0, -65_504.0, 0.25])
        .with_vector("words", SparseVector { indices: vec![0, 7, u32::MAX], values: vec![1.0, -0.5, 3.0] })
        .with_vector("tokens", vec![vec![1.0, 0.5], vec![0.25, -1.0], vec![3.0, 4.0]])
        .with_vector("halves", vec![vec![0.5, 0.25]])
        .with("draft", true)
        .with("year", i64::MIN)
        .with("score", f64::MIN_POSITIVE)
        .with("lang", "Ελληνικά\u{0}\n\"")
        .with("at", Value::Timestamp(-1))
        .with("tags", vec![String::new(), "a,b".to_owned()])
        .with("where", GeoPoint { lat: -90.0, lon: 180.0 })
        .with("rest", Json::new("{\"b\": [1,  null], \"a\": \"ü\"}").unwrap())
        .with("id", "not the id")
        .with("vector", 3_i64)
        .with("body", "Die Häuser");
    let ends = Point::new(u64::MAX, [0.0, 0.0, 0.0])
        .with("draft", false)
        .with("year", i64::MAX)
        .with("score", f64::MAX)
        .with("lang", "")
        .with("at", Value::Timestamp(i64::MAX))
        .with("tags", Vec::<String>::new())
        .with("where", GeoPoint { lat: 0.0, lon: -0.0 })
        .with("rest", Json::new("null").unwrap())
        .expires_at(i64::MAX - 1);
    let text = Point::without_vector("text").with_vector("tokens", vec![vec![0.0, 1.0]]);
    vec![everything, Point::without_vector(0), ends, text, Point::without_vector("only an id")]
}

/// A collection with these rows.
pub(crate) fn collection(db: &Db, name: &str, schema: Schema, points: Vec<Point>) -> Collection {
    let collection = db.create_collection(name, schema).unwrap();
    if !points.is_empty() {
        collection.upsert(points).unwrap();
    }
    collection
}

pub(crate) fn export(collection: &Collection, path: &Path) -> u64 {
    ragstone_exchange::export(collection, path, &ExportOptions::default(), &mut quietly).unwrap().rows
}

pub(crate) fn import(db: &Db, name: &str, path: &Path, options: &ImportOptions) -> Result<Imported> {
    ragstone_exchange::import(db, name, path, options, &mut quietly)
}

/// The error of an import, as text.
pub(crate) fn refused(db: &Db, name: &str, path: &Path, options: &ImportOptions) -> String {
    let error: Error = import(db, name, path, options).unwrap_err();
    error.to_string()
}

/// Every row, in the order of the ids.
pub(crate) fn rows(collection: &Collection) -> Vec<Point> {
    let mut rows: Vec<Point> = collection.view().iter().collect::<ragstone::Result<_>>().unwrap();
    // Which write it was is a collection's own.
    rows.iter_mut().for_each(|row| row.etag = None);
    rows
}

/// A file of others that lies beside the tests.
pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// The named dense vector of a point.
pub(crate) fn dense<'a>(point: &'a Point, name: &str) -> &'a [f32] {
    match &point.vectors[name] {
        Vector::Dense(components) => components,
        other => panic!("{other:?} is not dense"),
    }
}
