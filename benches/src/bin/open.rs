//! Opening a database and searching it from disk: how long until the first answer, and what is left of speed and
//! recall when memory is smaller than the data.
//!
//! Two runs, so that the second begins with nothing in memory: `build` makes a database and keeps it, `query` opens it.
//! `benches/record/larger_than_memory.sh` runs the second under a limit.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand, ValueEnum};
use ragstone::limits::SEAL_ROWS_MAX;
use ragstone::{Db, DbOptions, Metric, Point, PointId, Schema, SearchRequest, Storage, Verify};
use ragstone_benches::disk::bytes_of;
use ragstone_benches::measure::{self, K};
use ragstone_benches::npy::{read_floats, read_ids};
use serde_json::json;

/// Points of one upsert.
const BATCH: usize = 5_000;

/// Measures opening, and searching from disk; prints JSON lines.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes a database of one segment under the inner product.
    Build {
        /// Rows to index: a .npy array of float32 or float16.
        #[arg(long, value_name = "FILE")]
        base: PathBuf,
        /// Where; made if absent.
        #[arg(long, value_name = "DIR")]
        directory: PathBuf,
        /// How many times the rows are added. Each time after the first they are much shorter, so that the true
        /// nearest stay what they are.
        #[arg(long, default_value_t = 1, value_name = "N")]
        times: usize,
    },
    /// Opens it and searches.
    Query {
        /// The database.
        #[arg(long, value_name = "DIR")]
        directory: PathBuf,
        /// Queries: a .npy array of float32 or float16.
        #[arg(long, value_name = "FILE")]
        query: PathBuf,
        /// The true nearest rows of each query, nearest first: a .npy array of uint32 with ten columns or more.
        #[arg(long, value_name = "FILE")]
        truth: PathBuf,
        /// Widths of the walk (`ef`) to measure; none only opens.
        #[arg(long, num_args = 0.., value_name = "N", default_values_t = [48, 128])]
        ef: Vec<usize>,
        /// Queries of a measurement at most.
        #[arg(long, default_value_t = usize::MAX, value_name = "N")]
        queries: usize,
        /// When the segments are verified.
        #[arg(long, default_value = "on-demand", value_name = "WHEN")]
        verify: When,
        /// Where the segments are.
        #[arg(long, default_value = "mapped", value_name = "WHERE")]
        storage: Where,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum When {
    /// Before opening returns.
    OnOpen,
    /// By a thread, meanwhile.
    Background,
    /// Not at all.
    OnDemand,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Where {
    /// In mapped files.
    Mapped,
    /// In memory.
    Resident,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Build { base, directory, times } => build(&base, &directory, times),
        Command::Query { directory, query, truth, ef, queries, verify, storage } => {
            let mut options = DbOptions::default();
            options.verify = match verify {
                When::OnOpen => Verify::OnOpen,
                When::Background => Verify::Background,
                When::OnDemand => Verify::OnDemand,
            };
            options.storage = match storage {
                Where::Mapped => Storage::Mapped,
                Where::Resident => Storage::Resident,
            };
            let files = Files { query, truth, queries };
            measured(&directory, options, &files, &ef)
        }
    }
}

fn build(base: &Path, directory: &Path, times: usize) -> Result<(), Box<dyn Error>> {
    let base = read_floats(base)?;
    let mut options = DbOptions::default();
    // One segment, sealed by the flush.
    (options.seal_rows, options.seal_bytes) = (SEAL_ROWS_MAX, u64::MAX);
    (options.growing_bytes_max, options.log_bytes_max) = (u64::MAX / 2, u64::MAX);
    let db = Db::open_with(directory, options)?;
    let schema = Schema::builder(base.columns).metric(Metric::Dot).build()?;
    let collection = db.create_collection("rows", schema)?;
    let scale = |time: usize| if time == 0 { 1.0 } else { 0.3 / time as f32 };
    let all = (0..times).flat_map(|time| base.rows().map(move |row| (row, scale(time))));
    let mut rows = (0_u64..).zip(all).peekable();
    while rows.peek().is_some() {
        let points = rows.by_ref().take(BATCH).map(|(id, (row, scale))| {
            Point::new(id, row.iter().map(|component| component * scale).collect::<Vec<f32>>())
        });
        collection.upsert(points.collect())?;
    }
    db.flush()?;
    let info = collection.info();
    println!("{}", json!({ "rows": info.points, "segments": info.segments, "bytes": bytes_of(directory) }));
    Ok(())
}

struct Files {
    query: PathBuf,
    truth: PathBuf,
    queries: usize,
}

fn measured(
    directory: &Path,
    options: DbOptions,
    files: &Files,
    widths: &[usize],
) -> Result<(), Box<dyn Error>> {
    let (mut query, mut truth) = (read_floats(&files.query)?, read_ids(&files.truth)?);
    let both = query.len().min(truth.len()).min(files.queries);
    query.elements.truncate(both * query.columns);
    truth.elements.truncate(both * truth.columns);
    let bytes = bytes_of(directory);
    let start = Instant::now();
    let db = Db::open_with(directory, options)?;
    let open_ms = start.elapsed().as_secs_f64() * 1e3;
    let collection = db.collection("rows")?;
    let first = SearchRequest::new(query.rows().next().ok_or("there are no queries")?, K);
    let start = Instant::now();
    collection.search(&first)?;
    let first_search_ms = start.elapsed().as_secs_f64() * 1e3;
    println!("{}", json!({ "bytes": bytes, "open_ms": open_ms, "first_search_ms": first_search_ms }));
    for ef in widths {
        let point = measure::point(&truth, 1, |index| {
            let mut request = SearchRequest::new(query.row(index), K).ef(*ef);
            request.with_payload = false;
            let response = collection.search(&request);
            let number = |id: &PointId| if let PointId::Num(number) = id { Some(*number) } else { None };
            response
                .map(|found| found.hits.iter().filter_map(|hit| number(&hit.id)).collect())
                .unwrap_or_default()
        });
        println!("{}", json!({ "ef": ef, "recall_at_10": point.recall, "qps": point.qps.round() }));
    }
    Ok(())
}
