//! What is wrong is said, with the option, or with the row and the column.

use ragstone::{Db, FieldType, Metric, Point, Schema};
use ragstone_exchange::{BatchSize, ExportOptions, ImportOptions, quietly};

use crate::support::{collection, export, full_points, full_schema, import, refused, rows};

#[test]
fn options_that_make_no_sense_are_named() {
    let (db, folder) = (Db::in_memory().unwrap(), tempfile::tempdir().unwrap());
    let path = folder.path().join("a.arrow");
    let from = collection(&db, "from", Schema::new(2).unwrap(), vec![Point::new(1, [1.0, 0.0]).with("x", 1)]);
    export(&from, &path);
    let name = |name: &str| Some(name.to_owned());
    let usual = ImportOptions::default;
    let cases = [
        (
            ImportOptions { id: name("key"), ..usual() },
            "id: there is no column `key`, only `id`, `vector`, `x`, `expires_at`",
        ),
        (ImportOptions { vector: name("key"), ..usual() }, "vector: there is no column `key`"),
        (ImportOptions { expires_at: name("key"), ..usual() }, "expires_at: there is no column `key`"),
        (
            ImportOptions { expires_at: name("x"), ..usual() },
            "column `x` of type Int64: the moment when a row expires is",
        ),
        (ImportOptions { columns: Some(vec!["key".into()]), ..usual() }, "columns: there is no column `key`"),
        (ImportOptions { except: vec!["key".into()], ..usual() }, "except: there is no column `key`"),
        (ImportOptions { except: vec!["id".into()], ..usual() }, "id: there is no column `id`"),
        (ImportOptions { id: name("x"), number_rows: true, ..usual() }, "number_rows: "),
        (ImportOptions { metric: Some(Metric::L2), ..usual() }, "metric: the file says itself"),
        (ImportOptions { batch: BatchSize { rows: 0, bytes: 1 }, ..usual() }, "batch.rows: "),
        (
            ImportOptions { batch: BatchSize { rows: 1, bytes: 1 << 40 }, ..usual() },
            "batch.bytes: 1099511627776 is beyond",
        ),
        (
            ImportOptions { vector: name("x"), ..usual() },
            "column `x` of type Int64: it does not fit the default vector",
        ),
    ];
    for (options, expected) in cases {
        let error = refused(&db, "to", &path, &options);
        assert!(error.contains(expected), "{error}");
        assert!(db.collection("to").is_err(), "{expected}: nothing is made");
    }
    let odd = folder.path().join("a.csv");
    assert!(refused(&db, "to", &odd, &usual()).starts_with("format: "));
    let error = ragstone_exchange::export(&from, &odd, &ExportOptions::default(), &mut quietly).unwrap_err();
    assert!(error.to_string().starts_with("format: "), "{error}");
    assert!(refused(&db, "to", &folder.path().join("absent.arrow"), &usual()).starts_with("cannot open "));
    let options = ImportOptions { id: name("x"), ..usual() };
    assert_eq!(import(&db, "to", &path, &options).unwrap().rows, 1, "an export's ids may be a field");
    assert_eq!(rows(&db.collection("to").unwrap())[0].payload["id"], ragstone::Value::Int(1));
}

#[test]
fn a_collection_that_is_there_takes_what_fits_it() {
    let (db, folder) = (Db::in_memory().unwrap(), tempfile::tempdir().unwrap());
    let path = folder.path().join("a.parquet");
    let point = Point::new(1, [1.0, 0.0]).with("x", 1).with("y", "text");
    let from = collection(&db, "from", Schema::new(2).unwrap(), vec![point]);
    export(&from, &path);
    let options = ImportOptions::default();
    collection(&db, "long", Schema::new(3).unwrap(), Vec::new());
    let error = refused(&db, "long", &path, &options);
    assert!(
        error.contains("column `vector`") && error.contains("vectors of 3 components, this has 2"),
        "{error}"
    );
    let strict = Schema::builder(2).field("x", FieldType::Float).strict(true).build().unwrap();
    collection(&db, "strict", strict, Vec::new());
    let error = refused(&db, "strict", &path, &options);
    assert!(error.contains("column `y`") && error.contains("the collection is strict"), "{error}");
    let options = ImportOptions { except: vec!["y".into()], ..options };
    import(&db, "strict", &path, &options).unwrap();
    assert_eq!(rows(&db.collection("strict").unwrap())[0], Point::new(1, [1.0, 0.0]).with("x", 1.0));
    let typed = Schema::builder(2).field("x", FieldType::Geo).build().unwrap();
    collection(&db, "typed", typed, Vec::new());
    let error = refused(&db, "typed", &path, &options);
    assert!(error.contains("column `x` of type Int64: the field `x` is geo, this would be int"), "{error}");
}

/// A row that the engine refuses is named by its place in the file, whatever the batches are.
#[test]
fn the_rows_before_a_bad_one_are_in() {
    let (db, folder) = (Db::in_memory().unwrap(), tempfile::tempdir().unwrap());
    let path = folder.path().join("a.arrow");
    // A zero vector has no direction.
    let points = (0..100_u64).map(|id| Point::new(id, [if id == 57 { 0.0 } else { 1.0 }, 0.0]));
    let from =
        collection(&db, "from", Schema::builder(2).metric(Metric::L2).build().unwrap(), points.collect());
    export(&from, &path);
    collection(&db, "to", Schema::new(2).unwrap(), Vec::new());
    let batch = BatchSize { rows: 20, ..BatchSize::default() };
    let error = refused(&db, "to", &path, &ImportOptions { batch, ..ImportOptions::default() });
    assert!(error.contains("a.arrow, row 58, column `vector`: a zero vector"), "{error}");
    assert!(error.ends_with("(40 rows are in)"), "{error}");
    assert_eq!(db.collection("to").unwrap().info().points, 40);
}

#[test]
fn a_schema_that_says_nonsense_makes_no_collection() {
    let (db, folder) = (Db::in_memory().unwrap(), tempfile::tempdir().unwrap());
    let path = folder.path().join("a.arrow");
    export(&collection(&db, "from", full_schema(), full_points()), &path);
    let mut bytes = std::fs::read(&path).unwrap();
    // The schema stands at the beginning and at the end.
    let key = b"\"strict\":true";
    let places: Vec<usize> =
        (0..bytes.len() - key.len()).filter(|at| bytes[*at..].starts_with(key)).collect();
    assert_eq!(places.len(), 2);
    places.into_iter().for_each(|at| bytes[at + 9..at + 13].copy_from_slice(b"nope"));
    std::fs::write(&path, bytes).unwrap();
    let error = refused(&db, "to", &path, &ImportOptions::default());
    assert!(error.contains("its schema under `ragstone.schema`: "), "{error}");
    assert!(db.collection("to").is_err());
}
