//! Snapshots: how long a first and a second one take while nobody writes and while somebody does, archiving, restoring;
//! and how much memory that takes.
//!
//! Copies go to a directory, each object synced; `--to` names another place.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use clap::Parser;
use ragstone::{Db, DbOptions, Metric, Point, Schema};
use ragstone_benches::Failure;
use ragstone_benches::arguments::run;
use ragstone_benches::index::rounded;
use ragstone_benches::measure::resident_bytes;
use ragstone_benches::npy::{Matrix, read_floats};
use ragstone_snapshot::{Repository, RestoreRequest, Taken, Until, quietly};
use serde_json::json;

/// Points of one upsert.
const BATCH: usize = 1_000;
/// Rows that are written between the first snapshot and the second.
const CHANGED: usize = 1_000;

/// Measures snapshots; prints JSON lines.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Rows to store: a .npy array of float32 or float16.
    #[arg(long, value_name = "FILE")]
    base: PathBuf,
    /// Where the data and the copies go, in directories that are made and removed; the system's scratch directory by default.
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Where the snapshots go instead: s3://bucket/prefix and so on.
    #[arg(long, value_name = "URL")]
    to: Option<String>,
}

fn main() -> ExitCode {
    run(measure)
}

fn measure(arguments: &Arguments) -> Result<(), Failure> {
    let base = read_floats(&arguments.base)?;
    let scratch = arguments.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let scratch = tempfile::tempdir_in(scratch)?;
    let copies = scratch.path().join("copies");
    let copies = copies.to_str().ok_or("the scratch directory is no text")?;
    let repository = Repository::open_or_make(arguments.to.as_deref().unwrap_or(copies))?;
    let mut options = DbOptions::default();
    options.keep_log_bytes = Some(1 << 30);
    let db = Db::open_with(scratch.path().join("data"), options)?;
    let schema = Schema::builder(base.columns).metric(Metric::Dot).build()?;
    let rows = db.create_collection("rows", schema)?;
    for start in (0..base.len()).step_by(BATCH) {
        rows.upsert(points(&base, start..(start + BATCH).min(base.len())))?;
    }
    db.compact()?;
    repository.archive(&db, quietly)?;
    take(&repository, &db, "full")?;
    take(&repository, &db, "nothing new")?;
    rows.upsert(points(&base, 0..CHANGED.min(base.len())))?;
    take(&repository, &db, "1,000 rows written")?;
    beside_writes(&repository, &db, &base)?;
    let started = Instant::now();
    let archived = repository.archive(&db, quietly)?;
    print("archive", started, json!({ "bytes": archived.uploaded_bytes, "position": archived.position }));
    for (what, request) in [
        ("restore", RestoreRequest::newest()),
        (
            "restore through the log",
            RestoreRequest { snapshot: Some("full".into()), until: Some(Until::End) },
        ),
    ] {
        let target = tempfile::tempdir_in(scratch.path())?;
        let started = Instant::now();
        let restored = repository.restore(&request, target.path(), quietly)?;
        print(what, started, json!({ "position": restored.position }));
    }
    Ok(())
}

fn points(base: &Matrix<f32>, rows: std::ops::Range<usize>) -> Vec<Point> {
    rows.map(|row| Point::new(row as u64, base.row(row).to_vec()).with("row", row as i64)).collect()
}

/// A snapshot under this name, but for what a name cannot have.
fn take(repository: &Repository, db: &Db, what: &str) -> Result<Taken, Failure> {
    let started = Instant::now();
    let (before, mut most) = (resident_bytes(), 0);
    let name = what.replace([' ', ','], "-");
    let taken = repository.take(db, Some(&name), |_| {
        most = resident_bytes().max(most);
        ControlFlow::Continue(())
    })?;
    let (bytes, uploaded_bytes) = (taken.snapshot.size_bytes(), taken.uploaded_bytes);
    let memory = most.saturating_sub(before);
    print(
        what,
        started,
        json!({ "files": taken.snapshot.files.len(), "bytes": bytes, "uploaded": taken.uploaded,
            "uploaded_bytes": uploaded_bytes, "memory_bytes_more": memory }),
    );
    Ok(taken)
}

/// One while a thread writes the rows again.
fn beside_writes(repository: &Repository, db: &Db, base: &Matrix<f32>) -> Result<(), Failure> {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| -> ragstone::Result<usize> {
            let rows = db.collection("rows")?;
            let mut written = 0;
            for start in (0..base.len()).step_by(BATCH) {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let batch = points(base, start..(start + BATCH).min(base.len()));
                written += batch.len();
                rows.upsert(batch)?;
            }
            Ok(written)
        });
        let taken = take(repository, db, "beside writes");
        is_over.store(true, Ordering::Relaxed);
        let written = writer.join().map_err(|_| "the writer panicked")??;
        println!("{}", json!({ "rows_written_meanwhile": written }));
        taken.map(drop)
    })
}

fn print(what: &str, started: Instant, mut line: serde_json::Value) {
    line["what"] = json!(what);
    line["seconds"] = json!(rounded(started.elapsed().as_secs_f64(), 4));
    println!("{line}");
}
