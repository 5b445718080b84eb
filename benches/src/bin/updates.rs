//! What an update of a few fields costs beside a row that is written anew, in bytes and in time.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use ragstone::{Analyzer, Collection, Db, DbOptions, Point, Schema, Update};
use ragstone_benches::Failure;
use ragstone_benches::arguments;
use ragstone_benches::disk::written_bytes;
use ragstone_benches::index::rounded;
use ragstone_benches::random::Random;
use serde_json::{Value, json};

/// Writes rows, stores them as one segment, and then changes some of them: by updates of a field, of a text that is searched by word, and as new rows.
///
/// Prints JSON lines: rows a second of the first writes, and for each kind of change the bytes written for a row, by the write alone
/// and with what is stored of it, and rows a second.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Rows of the collection.
    #[arg(long, default_value_t = 50_000, value_name = "N")]
    rows: usize,
    /// Components of a vector.
    #[arg(long, default_value_t = 384, value_name = "N")]
    dimension: usize,
    /// Rows that are changed, a tenth or so of all: as many as no merge folds.
    #[arg(long, default_value_t = 5_000, value_name = "N")]
    changes: usize,
    /// Rows of one batch.
    #[arg(long, default_value_t = 500, value_name = "N")]
    batch: usize,
}

fn main() -> ExitCode {
    arguments::run(run)
}

struct Bench {
    db: Db,
    collection: Collection,
    random: Random,
}

impl Bench {
    fn point(&mut self, id: usize, dimension: usize) -> Point {
        let vector: Vec<f32> = (0..dimension).map(|_| self.random.normal()).collect();
        Point::new(id as u64, vector).with("title", format!("row {id}")).with("year", (id % 50) as i64)
    }

    /// Does some work on so many rows, and says what it wrote and how long it took; then stores it.
    fn line(
        &mut self,
        measured: &str,
        rows: usize,
        work: impl FnOnce(&mut Self) -> Result<(), Failure>,
    ) -> Result<Value, Failure> {
        let written = || written_bytes().ok_or("the system does not count written bytes");
        let (before, begun) = (written()?, Instant::now());
        work(self)?;
        let (logged, seconds) = (written()? - before, begun.elapsed().as_secs_f64());
        self.db.flush()?;
        let stored = written()? - before;
        let each = |bytes: u64| rounded(bytes as f64 / rows as f64, 1);
        Ok(json!({
            "measured": measured,
            "rows": rows,
            "rows_s": rounded(rows as f64 / seconds, 0),
            "bytes_logged_each": each(logged),
            "bytes_logged_and_stored_each": each(stored),
        }))
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let mut options = DbOptions::default();
    options.background = false;
    let db = Db::open_with(directory.path(), options)?;
    let schema = Schema::builder(arguments.dimension).text("title", Analyzer::English).build()?;
    let collection = db.create_collection("c", schema)?;
    let mut bench = Bench { db, collection, random: Random::new(1) };
    let upsert = |bench: &mut Bench, ids: Vec<usize>| -> Result<(), Failure> {
        for ids in ids.chunks(arguments.batch) {
            let points = ids.iter().map(|id| bench.point(*id, arguments.dimension)).collect();
            bench.collection.upsert(points)?;
        }
        Ok(())
    };
    let rows = arguments.rows;
    println!("{}", bench.line("bulk upsert", rows, |bench| upsert(bench, (0..rows).collect()))?);
    bench.db.compact()?;
    // Spread over all, so that nothing of them lies together.
    let ids: Vec<usize> = (0..arguments.changes).map(|n| n * rows / arguments.changes).collect();
    let update = |bench: &mut Bench, change: fn(usize) -> Update| -> Result<(), Failure> {
        for ids in ids.chunks(arguments.batch) {
            bench.collection.update(ids.iter().map(|id| change(*id)).collect())?;
        }
        Ok(())
    };
    let year = |id| Update::new(id as u64).set("year", 2_020);
    println!("{}", bench.line("update", ids.len(), |bench| update(bench, year))?);
    let title = |id| Update::new(id as u64).set("title", format!("another row {id}"));
    println!(
        "{}",
        bench.line("update of a text that is searched by word", ids.len(), |bench| update(bench, title))?
    );
    println!(
        "{}",
        bench.line("upsert of a row that is there", ids.len(), |bench| upsert(bench, ids.clone()))?
    );
    Ok(())
}
