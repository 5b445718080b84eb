//! Exports and imports: rows a second, and memory beyond what the open collection has.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use ragstone::{Collection, Db, Metric, Point, Schema};
use ragstone_benches::Failure;
use ragstone_benches::arguments::run;
use ragstone_benches::index::rounded;
use ragstone_benches::measure::Memory;
use ragstone_benches::random::Random;
use ragstone_benches::rows::payload;
use ragstone_exchange::{ExportOptions, ImportOptions, Result, Sink, export, import, import_into, quietly};
use serde_json::json;

/// Points of one upsert.
const BATCH: usize = 1_000;

/// Measures exports to, and imports from, both formats; prints JSON lines.
///
/// A collection of random rows, each a vector and three fields, is written and merged. Then: its export; the reading of the file alone, whose
/// rows go nowhere; and the import into a new collection, which has everything an engine does with rows, indexing beside it included. Memory
/// is the peak of a step over what there was before it: of all pages (VmHWM), among them those of the mapped collection that were
/// not read before, and of those that are no file's (RssAnon).
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Rows of the collection.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    rows: usize,
    /// Components of the vectors.
    #[arg(long, value_name = "N", default_value_t = 384)]
    dimension: usize,
    /// Times that each is measured; the median counts.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// Where data and files go, in a directory that is made and removed; the system's scratch directory by default.
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Leave the rows as they were written, in several segments.
    #[arg(long)]
    as_written: bool,
}

/// Where rows go that nobody wants.
struct Nowhere;

impl Sink for Nowhere {
    fn schema(&mut self) -> Result<Option<Schema>> {
        Ok(None)
    }

    fn create(&mut self, _: &Schema) -> Result<()> {
        Ok(())
    }

    fn write(&mut self, points: Vec<Point>) -> Result<()> {
        drop(std::hint::black_box(points));
        Ok(())
    }
}

fn main() -> ExitCode {
    run(measure)
}

fn measure(arguments: &Arguments) -> Result<(), Failure> {
    let scratch = arguments.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let scratch = tempfile::tempdir_in(scratch)?;
    let db = Db::open(scratch.path().join("data"))?;
    let rows = filled(&db, arguments)?;
    for name in ["rows.arrow", "rows.parquet"] {
        let path = scratch.path().join(name);
        let options = ExportOptions { overwrite: true, ..ExportOptions::default() };
        step("export", &path, arguments, || Ok(export(&rows, &path, &options, &mut quietly)?.rows))?;
    }
    for name in ["rows.arrow", "rows.parquet"] {
        let path = scratch.path().join(name);
        let options = ImportOptions::default();
        step(
            "read",
            &path,
            arguments,
            || Ok(import_into(&mut Nowhere, &path, &options, &mut quietly)?.rows),
        )?;
        let again = || {
            if db.collection("again").is_ok() {
                db.delete_collection("again")?;
            }
            Ok(import(&db, "again", &path, &options, &mut quietly)?.rows)
        };
        step("import", &path, arguments, again)?;
    }
    Ok(())
}

fn filled(db: &Db, arguments: &Arguments) -> Result<Collection, Failure> {
    let schema = Schema::builder(arguments.dimension).metric(Metric::Dot).build()?;
    let rows = db.create_collection("rows", schema)?;
    let mut random = Random::new(1);
    for start in (0..arguments.rows).step_by(BATCH) {
        let point = |row: usize| {
            let vector: Vec<f32> = (0..arguments.dimension).map(|_| random.normal()).collect();
            Point { payload: payload(row), ..Point::new(row as u64, vector) }
        };
        rows.upsert((start..(start + BATCH).min(arguments.rows)).map(point).collect())?;
    }
    if !arguments.as_written {
        db.compact()?;
    }
    Ok(rows)
}

/// Does it several times and prints the median's rate, and the most memory.
fn step(
    what: &str,
    path: &Path,
    arguments: &Arguments,
    mut work: impl FnMut() -> Result<u64, Failure>,
) -> Result<(), Failure> {
    let mut seconds = vec![0.0; usize::from(arguments.rounds)];
    let (mut resident, mut anonymous) = (0, 0);
    for round in &mut seconds {
        let memory = Memory::begin();
        let started = Instant::now();
        let rows = work()?;
        *round = started.elapsed().as_secs_f64();
        let grown = memory.end();
        (resident, anonymous) = (grown.resident_bytes.max(resident), grown.anonymous_bytes.max(anonymous));
        if rows != arguments.rows as u64 {
            return Err(format!("{what}: {rows} of {} rows", arguments.rows).into());
        }
    }
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    let format = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let line = json!({
        "what": what,
        "format": format,
        "rows": arguments.rows,
        "dimension": arguments.dimension,
        "rounds": arguments.rounds,
        "seconds": rounded(median, 3),
        "rows_per_second": (arguments.rows as f64 / median).round(),
        "file_bytes": path.metadata()?.len(),
        "resident_bytes_more": resident,
        "anonymous_bytes_more": anonymous,
    });
    println!("{line}");
    Ok(())
}
