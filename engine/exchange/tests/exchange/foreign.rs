//! Files that pyarrow wrote: `tests/data/make_foreign_files.py`.

use ragstone::{
    Db, DenseOptions, ElementType, FieldType, GeoPoint, Metric, Point, Schema, Value, Vector, VectorKind,
};
use ragstone_exchange::ImportOptions;

use crate::support::{collection, data, dense, import, refused, rows};

const MANY_TYPES: [&str; 4] =
    ["pyarrow-snappy.parquet", "pyarrow-zstd.parquet", "pyarrow-lz4.feather", "pyarrow-stream.arrows"];

#[test]
fn every_type_becomes_what_the_table_says() {
    for name in MANY_TYPES {
        let db = Db::in_memory().unwrap();
        let options = ImportOptions { metric: Some(Metric::Dot), ..ImportOptions::default() };
        let done = import(&db, "to", &data(name), &options).unwrap();
        assert_eq!((done.rows, done.created), (6, true), "{name}");
        assert_eq!(done.notes, ["column `nothing` has no values and is left out"], "{name}");
        let to = db.collection("to").unwrap();
        check_schema(&to.schema(), name);
        let rows = rows(&to);
        check_first(&rows[0], name);
        check_second(&rows[1], name);
        assert_eq!(rows[5].vector, None, "{name}");
        assert!(!rows[2].payload.contains_key("flag"), "{name}");
        assert_eq!(rows[2].payload["day"], Value::Timestamp(-86_400_000_000), "{name}");
        assert_eq!(rows[2].vectors["tokens"], Vector::Multi(vec![vec![3.0, 4.0], vec![5.0, 6.0]]), "{name}");
    }
}

fn check_schema(schema: &Schema, name: &str) {
    let VectorKind::Dense(half) = schema.vectors()["half"] else { panic!("{name}") };
    assert_eq!((half.dimension, half.element, half.metric), (2, ElementType::F16, Metric::Dot), "{name}");
    assert_eq!(schema.vectors()[""], VectorKind::Dense(DenseOptions::new(3).metric(Metric::Dot)), "{name}");
    let VectorKind::Multi(tokens) = schema.vectors()["tokens"] else { panic!("{name}") };
    assert_eq!((tokens.dimension, tokens.metric), (2, Metric::Dot), "{name}");
    let names: Vec<&str> = schema.vectors().keys().map(String::as_str).collect();
    assert_eq!(names, ["", "half", "large", "tokens", "words"], "{name}");
    let typed = |field: &str| schema.fields()[field];
    assert_eq!(["flag"].map(typed), [FieldType::Bool], "{name}");
    assert_eq!(["small", "unsigned"].map(typed), [FieldType::Int; 2], "{name}");
    assert_eq!(["text", "large_text", "view", "category"].map(typed), [FieldType::String; 4], "{name}");
    assert_eq!(["day", "seconds", "nanos", "micros"].map(typed), [FieldType::Timestamp; 4], "{name}");
    assert_eq!(
        ["single", "tags", "place"].map(typed),
        [FieldType::Float, FieldType::Strings, FieldType::Geo],
        "{name}"
    );
    assert_eq!(schema.fields().len(), 14, "{name}");
}

fn check_first(row: &Point, name: &str) {
    assert_eq!(row.id, 0.into(), "{name}");
    assert_eq!(row.vector.as_deref(), Some(&[0.5, -1.0, 0.25][..]), "{name}");
    assert_eq!(dense(row, "half"), [0.0, 0.25], "{name}");
    assert!(!row.vectors.contains_key("large"), "{name}");
    assert_eq!(row.vectors["tokens"], Vector::Multi(vec![vec![1.0, 2.0]]), "{name}");
    let Vector::Sparse(words) = &row.vectors["words"] else { panic!("{name}") };
    assert_eq!((words.indices.as_slice(), words.values.as_slice()), (&[1, 5][..], &[0.5, 1.5][..]), "{name}");
    let noon = 1_709_208_000_000_000;
    let expected = [
        ("flag", Value::Bool(true)),
        ("small", Value::Int(-128)),
        ("unsigned", Value::Int(0)),
        ("single", Value::Float(0.5)),
        ("text", "ä".into()),
        ("large_text", "b".into()),
        ("view", "a string longer than twelve bytes".into()),
        ("category", "red".into()),
        ("day", Value::Timestamp(noon - 43_200_000_000)),
        ("seconds", Value::Timestamp(noon)),
        ("nanos", Value::Timestamp(noon + 123_456)),
        ("micros", Value::Timestamp(noon + 123_456)),
        ("tags", vec!["a".to_owned(), "b".to_owned()].into()),
        ("place", GeoPoint { lat: 52.5, lon: 13.4 }.into()),
    ];
    for (field, value) in expected {
        assert_eq!(row.payload[field], value, "{name} {field}");
    }
}

fn check_second(row: &Point, name: &str) {
    assert_eq!(dense(row, "large"), [1.5, -1.0, 0.25], "{name}");
    assert!(!row.vectors.contains_key("tokens") && !row.vectors.contains_key("words"), "{name}");
    assert_eq!(row.payload["unsigned"], Value::Int(i64::MAX), "{name}");
    assert_eq!(row.payload["text"], "".into(), "{name}");
    assert_eq!(row.payload["nanos"], Value::Timestamp(-1), "rounded down: {name}");
    assert_eq!(row.payload["tags"], Vec::<String>::new().into(), "{name}");
    assert!(!row.payload.contains_key("place"), "{name}");
}

#[test]
fn types_that_become_nothing_are_all_named_and_nothing_is_made() {
    let db = Db::in_memory().unwrap();
    let file = data("pyarrow-refused.parquet");
    let error = refused(&db, "to", &file, &ImportOptions::default());
    for part in [
        "column `price` of type Decimal128(3, 2): ",
        "`bytes` of type Binary",
        "`pairs`",
        "`numbers`",
        "`odd`",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(db.collection("to").is_err());
    let names = ["price", "bytes", "pairs", "numbers"].map(str::to_owned);
    let without = |more: &[&str]| {
        let except = names.iter().cloned().chain(more.iter().map(|name| (*name).to_owned())).collect();
        ImportOptions { except, ..ImportOptions::default() }
    };
    let error = refused(&db, "to", &file, &without(&[]));
    assert!(error.contains("column `odd`") && !error.contains("price"), "{error}");
    assert_eq!(import(&db, "to", &file, &without(&["odd"])).unwrap().rows, 1);
}

#[test]
fn rows_without_ids_are_numbered_and_a_bad_one_ends_the_import() {
    let db = Db::in_memory().unwrap();
    let file = data("pyarrow-uneven.parquet");
    let error = refused(&db, "to", &file, &ImportOptions::default());
    assert_eq!(
        error,
        "id: there is no column `id`: name one of `name`, `embedding`, `count`, or number the rows"
    );
    let numbered = ImportOptions {
        number_rows: true,
        vector: Some("embedding".into()),
        metric: Some(Metric::L2),
        ..ImportOptions::default()
    };
    let batch = ragstone_exchange::BatchSize { rows: 1, ..Default::default() };
    let error = refused(&db, "to", &file, &ImportOptions { batch, ..numbered.clone() });
    let reason = "the collection has vectors of 2 components, this has 1 (2 rows are in)";
    assert!(
        error.ends_with(&format!("pyarrow-uneven.parquet, row 3, column `embedding`: {reason}")),
        "{error}"
    );
    let to = db.collection("to").unwrap();
    assert_eq!(rows(&to)[0], Point::new(0, [1.0, 2.0]).with("name", "a").with("count", 1.0));
    // Into a collection whose field is an int: 2.5 is none.
    let schema = Schema::builder(2).field("count", FieldType::Int).build().unwrap();
    collection(&db, "ints", schema, Vec::new());
    let error = refused(&db, "ints", &file, &ImportOptions { metric: None, ..numbered });
    assert!(
        error.contains("row 3, column `count`: 2.5 is no whole number of 64 bits (0 rows are in)"),
        "{error}"
    );
}

/// Texts that were named for the vector became a field, and the collection had no vector, without a word.
#[test]
fn what_is_named_for_the_vector_is_one_or_is_refused() {
    let db = Db::in_memory().unwrap();
    let options =
        ImportOptions { number_rows: true, vector: Some("name".into()), ..ImportOptions::default() };
    let error = refused(&db, "to", &data("pyarrow-uneven.parquet"), &options);
    assert!(error.contains("column `name` of type "), "{error}");
    assert!(error.ends_with(": the default vector is a list of floats"), "{error}");
    assert!(db.collection("to").is_err(), "nothing is made");
}

#[test]
fn rows_expire_where_a_column_is_named_for_it() {
    let db = Db::in_memory().unwrap();
    let options = ImportOptions { expires_at: Some("micros".into()), ..ImportOptions::default() };
    import(&db, "to", &data("pyarrow-snappy.parquet"), &options).unwrap();
    let to = db.collection("to").unwrap();
    // Two of the six expired in 2024.
    assert_eq!(rows(&to).into_iter().map(|row| row.id).collect::<Vec<_>>(), [1, 2, 4, 5].map(Into::into));
    assert!(!to.schema().fields().contains_key("micros"));
}
