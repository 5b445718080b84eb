//! What the store does and costs: durable writes, searches beside them, recovery, and bytes on disk.
//!
//! Each subcommand is a run of its own, so that none begins with what another left in memory. `benches/record/store.py`
//! runs them all, and the rivals beside them. Rows have three fields ([`ragstone_benches::rows`]); every write is synced
//! before it is acknowledged, as always.

mod beside;
mod ingest;
mod recovery;
mod single;
mod turnover;

use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use ragstone::{Batch, Collection, Db, DbOptions, Metric, Schema};
use ragstone_benches::npy::Matrix;
use ragstone_benches::{Failure, arguments, rows};

/// Measures what the store does; prints JSON lines.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Writes all rows in batches, waits until they are indexed, searches them; keeps the database.
    Ingest(ingest::Arguments),
    /// Writes single rows from several threads at once, whose rows share syncs.
    Single(single::Arguments),
    /// Searches an idle collection, then beside paced writes, then beside writes as fast as they go.
    Beside(beside::Arguments),
    /// Opens a database whose rows are in its log alone, by the log's size.
    Recovery(recovery::Arguments),
    /// Replaces every row several times: bytes written for each byte accepted, and bytes on disk for each byte of live rows.
    Turnover(turnover::Arguments),
}

/// Where and how a database is made.
#[derive(Debug, Args)]
struct Place {
    /// Where the database is made; it must not exist yet.
    #[arg(long, value_name = "DIR")]
    directory: PathBuf,
    /// Threads of the database, for each kind of work.
    #[arg(long, default_value = "2", value_name = "N")]
    threads: NonZero<usize>,
}

impl Place {
    fn options(&self) -> DbOptions {
        let mut options = DbOptions::default();
        options.threads = Some(self.threads);
        options
    }

    /// A new database with one collection, under the inner product.
    fn create(&self, options: DbOptions, dimension: usize) -> Result<(Db, Collection), Failure> {
        let db = Db::open_with(&self.directory, options)?;
        let schema = Schema::builder(dimension).metric(Metric::Dot).build()?;
        let collection = db.create_collection("rows", schema)?;
        Ok((db, collection))
    }
}

/// All rows in batches, made before they are measured.
fn batches(base: &Matrix<f32>, ids: std::ops::Range<usize>, rows_each: usize) -> Vec<Batch> {
    let ids: Vec<usize> = ids.collect();
    ids.chunks(rows_each.max(1))
        .map(|chunk| {
            let points = chunk.iter().map(|&id| rows::point(base, id, id % base.len()));
            points.fold(Batch::new(), Batch::upsert)
        })
        .collect()
}

fn main() -> ExitCode {
    arguments::run(|arguments: &Arguments| match &arguments.command {
        Command::Ingest(arguments) => arguments.run(),
        Command::Single(arguments) => arguments.run(),
        Command::Beside(arguments) => arguments.run(),
        Command::Recovery(arguments) => arguments.run(),
        Command::Turnover(arguments) => arguments.run(),
    })
}
