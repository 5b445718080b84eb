//! Every row replaced again and again: write amplification and space.

use std::time::{Duration, Instant};

use clap::Args;
use ragstone::Batch;
use ragstone_benches::Failure;
use ragstone_benches::disk::{bytes_of, peak_of, written_bytes};
use ragstone_benches::index::rounded;
use ragstone_benches::npy::read_floats;
use ragstone_benches::random::{Random, hash};
use ragstone_benches::rows::{live_bytes, point};
use serde_json::json;

use super::Place;

/// A database that nobody writes to has come to rest after so long at most.
const REST: Duration = Duration::from_secs(120);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Rows to write: a .npy array of float32 or float16.
    #[arg(long, value_name = "FILE")]
    base: std::path::PathBuf,
    #[command(flatten)]
    place: Place,
    /// Times that every row is written, in an order drawn anew.
    #[arg(long, default_value_t = 10, value_name = "N")]
    times: u64,
    /// Rows of a write.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    batch: usize,
    /// Rows a second at most; by default as fast as they go.
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// Seconds without a write after every so many rows, so that the database comes to rest: no rest by default.
    #[arg(long, value_name = "N", requires = "rest_s")]
    rest_rows: Option<usize>,
    /// How long each of these rests is.
    #[arg(long, value_name = "S")]
    rest_s: Option<f64>,
    /// Rows after which a segment is sealed; by default the engine decides.
    #[arg(long, value_name = "N")]
    seal_rows: Option<usize>,
}

impl Arguments {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let base = read_floats(&self.base)?;
        let mut options = self.place.options();
        if let Some(rows) = self.seal_rows {
            options.seal_rows = rows;
        }
        let (db, collection) = self.place.create(options, base.columns)?;
        let (before, live) = (written_bytes(), live_bytes(base.len(), base.columns));
        let (write_s, most) = peak_of(&self.place.directory, || -> Result<f64, Failure> {
            let (start, mut due, mut since_rest) = (Instant::now(), Instant::now(), 0);
            for time in 0..self.times {
                let order = Random::new(hash(1, time)).permutation(base.len());
                for ids in order.chunks(self.batch.max(1)) {
                    let points = ids.iter().map(|&id| point(&base, id as usize, id as usize));
                    collection.write(points.fold(Batch::new(), Batch::upsert))?;
                    if let Some(rate) = self.rate {
                        due += Duration::from_secs_f64(ids.len() as f64 / rate);
                        std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    }
                    since_rest += ids.len();
                    if let (Some(rows), Some(seconds)) = (self.rest_rows, self.rest_s)
                        && since_rest >= rows
                    {
                        since_rest = 0;
                        std::thread::sleep(Duration::from_secs_f64(seconds));
                    }
                }
            }
            let write_s = start.elapsed().as_secs_f64();
            let end = Instant::now();
            while collection.info().growing > 0 || collection.info().segments > 1 {
                if end.elapsed() > REST {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            Ok(write_s)
        });
        let (accepted, bytes) = (live * self.times, bytes_of(&self.place.directory));
        let written = written_bytes().zip(before).map(|(now, before)| now - before);
        let line = json!({
            "phase": "turnover", "rows": base.len(), "times": self.times, "rests": self.rest_rows.is_some(),
            "rows_per_s": (base.len() as f64 * self.times as f64 / write_s?).round(),
            "bytes_accepted": accepted, "bytes_written": written,
            "written_per_byte": written.map(|written| rounded(written as f64 / accepted as f64, 2)),
            "times_live_at_most": rounded(most as f64 / live as f64, 2),
            "times_live_at_rest": rounded(bytes as f64 / live as f64, 2),
            "segments": collection.info().segments,
        });
        println!("{line}");
        drop(db);
        Ok(())
    }
}
