//! Streams are read ahead for the length of lists, within a bound.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, UInt64Type};
use arrow_array::{
    ArrayRef, ListArray, RecordBatch, RecordBatchIterator, RecordBatchReader, StringArray, UInt64Array,
};
use arrow_schema::{ArrowError, DataType, Field, SchemaRef};
use ragstone::{Db, DenseOptions, FieldType, Point, Schema, Value};
use ragstone_exchange::{
    AHEAD_BYTES_MAX, BatchSize, DbSink, ExportOptions, ImportOptions, Imported, Progress, Result,
    export_stream, import_stream, quietly,
};

/// A row whose list `v` is not there, again and again.
struct Lacking<'a> {
    batch: RecordBatch,
    /// How many of them were read, and how many there are.
    read: &'a Cell<usize>,
    batches: usize,
}

impl<'a> Lacking<'a> {
    fn new(text_bytes: usize, read: &'a Cell<usize>, batches: usize) -> Self {
        let item = Arc::new(Field::new("item", DataType::Float32, true));
        let columns: [(&str, ArrayRef); 3] = [
            ("id", Arc::new(UInt64Array::from(vec![7]))),
            ("text", Arc::new(StringArray::from(vec!["x".repeat(text_bytes)]))),
            ("v", Arc::new(ListArray::new_null(item, 1))),
        ];
        Self { batch: RecordBatch::try_from_iter(columns).unwrap(), read, batches }
    }
}

impl Iterator for Lacking<'_> {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.read.get() == self.batches {
            return None;
        }
        self.read.set(self.read.get() + 1);
        Some(Ok(self.batch.clone()))
    }
}

impl RecordBatchReader for Lacking<'_> {
    fn schema(&self) -> SchemaRef {
        self.batch.schema()
    }
}

fn imported(db: &Db, stream: Lacking<'_>, options: &ImportOptions) -> Result<Imported> {
    import_stream(&mut DbSink::new(db, "to")?, Box::new(stream), options, &mut quietly)
}

#[test]
fn a_list_is_looked_for_within_a_bound() {
    let (db, read) = (Db::in_memory().unwrap(), Cell::new(0));
    let error = imported(&db, Lacking::new(1 << 20, &read, usize::MAX), &ImportOptions::default());
    let error = error.unwrap_err().to_string();
    for part in ["the Arrow stream: column `v` of type List", "of the first 128 rows", "no more than 128 MiB"]
    {
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(read.get(), AHEAD_BYTES_MAX >> 20);
    assert!(db.collection("to").is_err(), "nothing is made");
}

#[test]
fn a_stream_that_ends_before_has_a_column_without_values() {
    let (db, read) = (Db::in_memory().unwrap(), Cell::new(0));
    let done = imported(&db, Lacking::new(10, &read, 300), &ImportOptions::default()).unwrap();
    assert_eq!((done.rows, done.created, read.get()), (300, true, 300));
    assert_eq!(done.notes, ["column `v` has no values and is left out"]);
}

#[test]
fn what_is_left_out_or_known_is_not_looked_for() {
    let except = ImportOptions { except: vec!["v".to_owned()], ..ImportOptions::default() };
    let is_there = Schema::builder(2).vector("v", DenseOptions::new(3)).build().unwrap();
    for (schema, options) in [(None, except), (Some(is_there), ImportOptions::default())] {
        let (db, read, before) = (Db::in_memory().unwrap(), Cell::new(0), Cell::new(None));
        if let Some(schema) = schema {
            db.create_collection("to", schema).unwrap();
        }
        let mut told = |_: Progress| {
            before.set(before.get().or(Some(read.get())));
            ControlFlow::Continue(())
        };
        let mut sink = DbSink::new(&db, "to").unwrap();
        let stream = Box::new(Lacking::new(10, &read, 3));
        assert_eq!(import_stream(&mut sink, stream, &options, &mut told).unwrap().rows, 3);
        assert_eq!(before.get(), Some(0), "batches that were read before the first was written");
    }
}

/// A batch had a thousand rows however many bytes they have, which of long texts is a gigabyte.
#[test]
fn a_batch_that_is_read_ends_with_its_bytes_too() {
    let db = Db::in_memory().unwrap();
    let from = db.create_collection("from", Schema::new(2).unwrap()).unwrap();
    let point = |id: u64| Point::new(id, [1.0, 0.0]).with("text", "x".repeat(10_000));
    from.upsert((0..10).map(point).collect()).unwrap();
    // bytes, rows of each batch
    let cases: [(usize, &[usize]); 4] =
        [(1, &[1; 10]), (35_000, &[4, 4, 2]), (95_000, &[10]), (1 << 20, &[10])];
    for (bytes, expected) in cases {
        let batch = BatchSize { bytes, ..BatchSize::default() };
        let stream = export_stream(&from, &ExportOptions { batch, ..ExportOptions::default() }).unwrap();
        let batches: Vec<RecordBatch> = stream.collect::<Result<_, _>>().unwrap();
        let rows: Vec<usize> = batches.iter().map(RecordBatch::num_rows).collect();
        assert_eq!(rows, expected, "{bytes}");
        let ids = batches.iter().flat_map(|batch| batch["id"].as_primitive::<UInt64Type>().values().to_vec());
        assert!(ids.eq(0..10), "{bytes}");
    }
    assert_eq!(export_stream(&empty(&db), &ExportOptions::default()).unwrap().count(), 1, "its schema alone");
}

fn empty(db: &Db) -> ragstone::Collection {
    db.create_collection("empty", Schema::new(2).unwrap()).unwrap()
}

/// Whoever named the index of a frame for the ids was told to name a column, and the index among those that there are.
#[test]
fn an_index_of_pandas_is_left_out_unless_it_is_asked_for() {
    const INDEX: &str = "__index_level_0__";
    let columns: [(&str, ArrayRef); 2] = [
        ("id", Arc::new(UInt64Array::from(vec![1, 2]))),
        (INDEX, Arc::new(StringArray::from(vec!["a", "b"]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let first = |options: ImportOptions| {
        let db = Db::in_memory().unwrap();
        let stream = RecordBatchIterator::new([Ok(batch.clone())], batch.schema());
        let mut sink = DbSink::new(&db, "to").unwrap();
        let done = import_stream(&mut sink, Box::new(stream), &options, &mut quietly).unwrap();
        let row = db.collection("to").unwrap().view().iter().next().unwrap().unwrap();
        (done.notes.len(), row.id, row.payload.into_iter().collect::<Vec<_>>())
    };
    let usual = ImportOptions::default;
    assert_eq!(first(usual()), (1, 1.into(), vec![]));
    let ids = first(ImportOptions { id: Some(INDEX.into()), ..usual() });
    assert_eq!(ids, (0, "a".into(), vec![("id".to_owned(), 1.into())]));
    let field = first(ImportOptions { columns: Some(vec![INDEX.into()]), ..usual() });
    assert_eq!(field, (0, 1.into(), vec![(INDEX.to_owned(), "a".into())]));
}

/// A field of this name, in a collection without a default vector, was taken for a new one: of another type, or refused as one that a strict
/// collection does not have.
#[test]
fn a_field_called_vector_is_the_collections() {
    let db = Db::in_memory().unwrap();
    let schema = Schema::without_vector().field("vector", FieldType::Float).strict(true).build().unwrap();
    let to = db.create_collection("to", schema).unwrap();
    let columns: [(&str, ArrayRef); 2] =
        [("id", Arc::new(UInt64Array::from(vec![1]))), ("vector", Arc::new(UInt64Array::from(vec![3])))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let stream = RecordBatchIterator::new([Ok(batch.clone())], batch.schema());
    let mut sink = DbSink::new(&db, "to").unwrap();
    import_stream(&mut sink, Box::new(stream), &ImportOptions::default(), &mut quietly).unwrap();
    assert_eq!(to.view().iter().next().unwrap().unwrap().payload["vector"], Value::Float(3.0));
}

/// Where the first list was empty, the import was refused for a dimension of 0, and named neither the column nor the row.
#[test]
fn an_empty_list_does_not_say_how_long_a_columns_lists_are() {
    let lists = [Some(vec![Some(1.0), Some(2.0)]), None, Some(vec![])];
    for (order, row) in [([0, 1, 2], 3), ([2, 1, 0], 1)] {
        let lists = order.map(|at: usize| lists[at].clone());
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(lists));
        let ids: ArrayRef = Arc::new(UInt64Array::from(vec![1, 2, 3]));
        let batch = RecordBatch::try_from_iter([("id", ids), ("v", lists)]).unwrap();
        let stream = RecordBatchIterator::new([Ok(batch.clone())], batch.schema());
        let db = Db::in_memory().unwrap();
        let mut sink = DbSink::new(&db, "to").unwrap();
        let error = import_stream(&mut sink, Box::new(stream), &ImportOptions::default(), &mut quietly);
        let error = error.unwrap_err().to_string();
        let reason = "the collection has vectors of 2 components, this has 0";
        assert!(error.contains(&format!("row {row}, column `v`: {reason}")), "{error}");
    }
}
