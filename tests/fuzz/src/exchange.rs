//! Arrow and Parquet files of anybody: each is an error, or rows.
//!
//! The readers of both formats are not ours and panic where they should not; `ragstone-exchange` catches that. So what is looked for is a panic that
//! it does not catch, memory beyond what a file of some kilobytes may take, and a file that is not refused as one.

use std::path::Path;
use std::sync::LazyLock;

use arrow_ipc::writer::StreamWriter;
use ragstone::{Analyzer, Collection, Db, DenseOptions, ElementType, MultiOptions, Schema, ScrollRequest};
use ragstone_exchange::{
    Compression, Error, ExportOptions, ImportOptions, RecordBatchReader, export, export_stream, import,
    quietly,
};

use crate::exercise::of_all_tenants;
use crate::input::{Input, edit};
use crate::sample::{options, point};

/// Changes of one input at most.
const CHANGES_MAX: usize = 8;
/// Rows of a file: enough for lists and texts of several lengths.
const ROWS: u64 = 40;

/// What files are changed: of each its name, and its bytes.
static FILES: LazyLock<Vec<(&'static str, Vec<u8>)>> = LazyLock::new(|| {
    let db = Db::in_memory_with(options()).expect("a database in memory opens");
    let collection = db.create_collection("from", schema()).expect("the name is free");
    collection.upsert((0..ROWS).map(|id| point(id, 1)).collect()).expect("rows are written");
    let folder = tempfile::tempdir().expect("a scratch directory");
    let file = |(name, compression): (&'static str, Compression)| {
        let path = folder.path().join(name);
        let options = ExportOptions { compression, ..ExportOptions::default() };
        export(&collection, &path, &options, &mut quietly).expect("the collection is exported");
        (name, std::fs::read(&path).expect("a file can be read"))
    };
    let files = [
        ("plain.arrow", Compression::None),
        ("lz4.arrow", Compression::Lz4),
        ("zstd.arrow", Compression::Zstd),
        ("plain.parquet", Compression::None),
        ("snappy.parquet", Compression::Snappy),
        ("zstd.parquet", Compression::Zstd),
    ];
    files.map(file).into_iter().chain([("stream.arrows", stream(&collection))]).collect()
});

fn schema() -> Schema {
    let schema = Schema::builder(3)
        .vector("half", DenseOptions::new(4).element(ElementType::F16))
        .multi("late", MultiOptions::new(2))
        .sparse("words")
        .text("text", Analyzer::English)
        .attribute("of", "fuzz");
    schema.build().expect("the schema is valid")
}

/// The collection as a stream of messages.
fn stream(collection: &Collection) -> Vec<u8> {
    let batches = export_stream(collection, &ExportOptions::default()).expect("it can be exported");
    let mut writer = StreamWriter::try_new(Vec::new(), &batches.schema()).expect("the schema is written");
    for batch in batches {
        writer.write(&batch.expect("a batch")).expect("a batch is written");
    }
    writer.into_inner().expect("the end is written")
}

/// Changes one of the files as `input` says, and imports it; whether that worked.
///
/// # Panics
/// If the import does, if it fails with an error of the system, or if what it wrote cannot be read.
pub fn exercise_exchange(input: &[u8]) -> bool {
    let _named = crate::NamedOnPanic(input);
    let mut input = Input(input);
    let (name, bytes) = &FILES[usize::from(input.byte()) % FILES.len()];
    let how = input.byte();
    let mut bytes = bytes.clone();
    for _ in 0..CHANGES_MAX {
        if input.is_empty() {
            break;
        }
        change(&mut bytes, &mut input);
    }
    let folder = tempfile::tempdir().expect("a scratch directory");
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("a file can be written");
    imports(&path, how)
}

/// Changes a file somewhere, or near its end: there stands most of what steers a reader.
fn change(bytes: &mut Vec<u8>, input: &mut Input<'_>) {
    if input.byte().is_multiple_of(2) {
        edit(bytes, input);
        return;
    }
    let mut end = bytes.split_off(bytes.len() - bytes.len() / 4);
    edit(&mut end, input);
    bytes.append(&mut end);
}

/// Imports a file into nothing, or into a collection that is there, with some options; whether that worked.
fn imports(path: &Path, how: u8) -> bool {
    let db = Db::in_memory_with(options()).expect("a database in memory opens");
    if how & 1 == 1 {
        db.create_collection("to", schema()).expect("the name is free");
    }
    let names = |wanted: bool, names: &[&str]| {
        wanted.then(|| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>())
    };
    let import_options = ImportOptions {
        number_rows: how & 2 == 2,
        columns: names(how & 4 == 4, &["id", "vector", "words", "tags"]),
        except: names(how & 8 == 8, &["note", "late"]).unwrap_or_default(),
        ..ImportOptions::default()
    };
    let imported = match import(&db, "to", path, &import_options, &mut quietly) {
        Ok(imported) => imported,
        Err(Error::Io { operation, .. }) => panic!("an error of the system: {operation}"),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return false;
        }
    };
    let collection = db.collection("to").expect("an import makes it");
    let filter = of_all_tenants(&collection);
    let all = ScrollRequest { limit: 1_000, with_vectors: true, filter, ..ScrollRequest::default() };
    let rows = collection.scroll(&all).expect("what was imported can be read").points.len() as u64;
    assert!(rows <= imported.rows, "{rows} rows of {}", imported.rows);
    true
}
