//! Opening a database whose rows are in its log alone, as after a crash in the middle of a load.

use std::time::Instant;

use clap::Args;
use ragstone::limits::SEAL_ROWS_MAX;
use ragstone::{Db, SearchRequest};
use ragstone_benches::Failure;
use ragstone_benches::disk::bytes_of;
use ragstone_benches::index::rounded;
use ragstone_benches::npy::read_floats;
use serde_json::json;

use super::{Place, batches};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Rows to write: a .npy array of float32 or float16.
    #[arg(long, value_name = "FILE")]
    base: std::path::PathBuf,
    #[command(flatten)]
    place: Place,
    /// Rows in the log, each number a database.
    #[arg(long, num_args = 1.., default_values_t = [1_000, 10_000, 60_000, 240_000], value_name = "N")]
    rows: Vec<usize>,
}

impl Arguments {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let base = read_floats(&self.base)?;
        for &rows in &self.rows {
            let directory = self.place.directory.join(rows.to_string());
            let place = Place { directory, threads: self.place.threads };
            let mut options = place.options();
            // Nothing is sealed, so that everything is in the log.
            (options.seal_rows, options.seal_bytes) = (SEAL_ROWS_MAX, u64::MAX);
            (options.growing_bytes_max, options.log_bytes_max) = (u64::MAX / 4, u64::MAX);
            options.background = false;
            let (db, collection) = place.create(options, base.columns)?;
            for batch in batches(&base, 0..rows, 1_000) {
                collection.write(batch)?;
            }
            drop((collection, db));
            let bytes = bytes_of(&place.directory);

            let start = Instant::now();
            let db = Db::open_with(&place.directory, place.options())?;
            let open_s = start.elapsed().as_secs_f64();
            let collection = db.collection("rows")?;
            let start = Instant::now();
            let found = collection.search(&SearchRequest::new(base.row(0), 1))?;
            let first_search_s = start.elapsed().as_secs_f64();
            if found.hits.is_empty() || collection.info().points != rows as u64 {
                return Err(format!("of {rows} rows, {} came back", collection.info().points).into());
            }
            let line = json!({
                "phase": "recovery", "rows": rows, "log_bytes": bytes, "open_ms": rounded(open_s * 1e3, 1),
                "bytes_per_s": (bytes as f64 / open_s).round(), "first_search_ms": rounded(first_search_s * 1e3, 1),
            });
            println!("{line}");
            drop((collection, db));
            std::fs::remove_dir_all(&place.directory)?;
        }
        Ok(())
    }
}
