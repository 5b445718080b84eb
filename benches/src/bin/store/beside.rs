//! Searches of one thread: idle, beside writes at a steady rate, and beside writes as fast as they go.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use ragstone::{Collection, SearchRequest};
use ragstone_benches::Failure;
use ragstone_benches::arguments::DataArguments;
use ragstone_benches::data::Data;
use ragstone_benches::index::{latency_line, request, rounded};
use ragstone_benches::quantiles::quantile;
use serde_json::json;

use super::{Place, batches};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    data: DataArguments,
    #[command(flatten)]
    place: Place,
    /// Rows a second of the paced writes.
    #[arg(long, default_value_t = 2_000, value_name = "N")]
    rate: usize,
    /// Rows of a paced write.
    #[arg(long, default_value_t = 100, value_name = "N")]
    batch: usize,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 20.0, value_name = "S")]
    seconds: f64,
}

/// How the rows are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writes {
    None,
    Paced,
    Bulk,
}

impl Arguments {
    pub(super) fn run(&self) -> Result<(), Failure> {
        if self.rate == 0 || self.batch == 0 {
            return Err("--rate and --batch are at least 1".into());
        }
        let data = Data::read(&self.data)?;
        let (db, collection) = self.place.create(self.place.options(), data.base.columns)?;
        // The paced writes add the other half, and then replace rows.
        let mut next = data.base.len() / 2;
        for batch in batches(&data.base, 0..next, 1_000) {
            collection.write(batch)?;
        }
        db.compact()?;
        let mut idle = None;
        for writes in [Writes::None, Writes::Paced, Writes::Bulk] {
            let (mut latencies, written) = self.measure(&collection, &data, writes, &mut next)?;
            let p99 = quantile(&mut latencies, 0.99).ok_or("nothing was searched")?;
            let idle = *idle.get_or_insert(p99);
            let name = match writes {
                Writes::None => "idle",
                Writes::Paced => "paced",
                Writes::Bulk => "bulk",
            };
            let line = json!({
                "phase": "beside", "writes": name, "rows_per_s": (written as f64 / self.seconds).round(),
                "searches": latencies.len(), "latency": latency_line(&mut latencies),
                "p99_to_idle": rounded(p99 / idle, 2), "segments": collection.info().segments,
            });
            println!("{line}");
        }
        drop(db);
        Ok(())
    }

    /// Seconds of each search, and the rows written meanwhile.
    fn measure(
        &self,
        collection: &Collection,
        data: &Data,
        writes: Writes,
        next: &mut usize,
    ) -> Result<(Vec<f64>, usize), Failure> {
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| self.write(collection, data, writes, (&mut *next, &is_over)));
            let requests: Vec<SearchRequest> = data.query.rows().map(request).collect();
            let (mut latencies, start) = (Vec::new(), Instant::now());
            for request in requests.iter().cycle() {
                if start.elapsed().as_secs_f64() >= self.seconds {
                    break;
                }
                let start = Instant::now();
                let found = collection.search(request);
                latencies.push(start.elapsed().as_secs_f64());
                if let Err(error) = found {
                    is_over.store(true, Ordering::Relaxed);
                    return Err(error.into());
                }
            }
            is_over.store(true, Ordering::Relaxed);
            let written = writer.join().map_err(|_| "the writer panicked")??;
            Ok((latencies, written))
        })
    }

    fn write(
        &self,
        collection: &Collection,
        data: &Data,
        writes: Writes,
        (next, is_over): (&mut usize, &AtomicBool),
    ) -> Result<usize, Failure> {
        let (size, pause) = match writes {
            Writes::None => return Ok(0),
            Writes::Paced => (self.batch, Duration::from_secs_f64(self.batch as f64 / self.rate as f64)),
            Writes::Bulk => (1_000, Duration::ZERO),
        };
        let (mut written, mut due) = (0, Instant::now());
        while !is_over.load(Ordering::Relaxed) {
            for batch in batches(&data.base, *next..*next + size, size) {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                due += pause;
                collection.write(batch)?;
            }
            written += size;
            *next += size;
            // Bulk and paced alike write over the ids of this run again: the collection stays as large as the data.
            if *next + size > data.base.len() {
                *next = 0;
            }
        }
        Ok(written)
    }
}
