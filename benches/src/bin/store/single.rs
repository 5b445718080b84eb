//! Single rows, each acknowledged when it is synced; rows of several threads share a sync (group commit).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use clap::Args;
use ragstone_benches::Failure;
use ragstone_benches::index::{latency_line, rounded};
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
    /// Threads that write, each number a measurement.
    #[arg(long, num_args = 1.., default_values_t = [1, 16, 64], value_name = "N")]
    writers: Vec<usize>,
    /// Seconds of a measurement.
    #[arg(long, default_value_t = 5.0, value_name = "S")]
    seconds: f64,
}

impl Arguments {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let base = read_floats(&self.base)?;
        let (db, collection) = self.place.create(self.place.options(), base.columns)?;
        let next = AtomicUsize::new(0);
        for &writers in &self.writers {
            let start = Instant::now();
            let write = || -> Result<Vec<f64>, Failure> {
                let mut latencies = Vec::new();
                while start.elapsed().as_secs_f64() < self.seconds {
                    let id = next.fetch_add(1, Ordering::Relaxed);
                    for batch in batches(&base, id..id + 1, 1) {
                        let start = Instant::now();
                        collection.write(batch)?;
                        latencies.push(start.elapsed().as_secs_f64());
                    }
                }
                Ok(latencies)
            };
            let written: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..writers).map(|_| scope.spawn(write)).collect();
                threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
            });
            let seconds = start.elapsed().as_secs_f64();
            let mut latencies = Vec::new();
            for thread in written {
                latencies.extend(thread.map_err(|_| "a writer panicked")??);
            }
            let line = json!({
                "phase": "single", "writers": writers, "rows": latencies.len(), "seconds": rounded(seconds, 2),
                "rows_per_s": (latencies.len() as f64 / seconds).round(), "write_latency": latency_line(&mut latencies),
            });
            println!("{line}");
        }
        drop(db);
        Ok(())
    }
}
