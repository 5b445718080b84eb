//! Durable ingest in batches, the time until all rows are indexed, and searches then.

use std::time::{Duration, Instant};

use clap::Args;
use ragstone_benches::Failure;
use ragstone_benches::arguments::{DataArguments, EFS};
use ragstone_benches::data::Data;
use ragstone_benches::disk::{bytes_of, peak_of, written_bytes};
use ragstone_benches::index::{ids, latency_line, request, rounded};
use ragstone_benches::measure;
use ragstone_benches::rows::live_bytes;
use serde_json::json;

use super::{Place, batches};

/// Between two looks at whether all is indexed.
const LOOK: Duration = Duration::from_millis(5);
/// All is indexed after so long at most.
const PATIENCE: Duration = Duration::from_secs(300);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    data: DataArguments,
    #[command(flatten)]
    place: Place,
    /// Rows of a write.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    batch: usize,
    /// Rows to write; all of the base by default. More than that repeat it under further ids.
    #[arg(long, value_name = "N")]
    rows: Option<usize>,
    /// Widths of the walk (`ef`) to measure; none does not search.
    #[arg(long, num_args = 0.., value_name = "N", default_values_t = EFS)]
    ef: Vec<usize>,
}

impl Arguments {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let data = Data::read(&self.data)?;
        let rows = self.rows.unwrap_or(data.base.len());
        let (db, collection) = self.place.create(self.place.options(), data.base.columns)?;
        let batches = batches(&data.base, 0..rows, self.batch);
        let before = written_bytes();
        let (measured, most) = peak_of(&self.place.directory, || -> Result<_, Failure> {
            let (mut latencies, start) = (Vec::new(), Instant::now());
            for batch in batches {
                let start = Instant::now();
                collection.write(batch)?;
                latencies.push(start.elapsed().as_secs_f64());
            }
            let (write_s, end) = (start.elapsed().as_secs_f64(), Instant::now());
            let mut sealed_s = None;
            while end.elapsed() < PATIENCE {
                let info = collection.info();
                if info.growing == 0 {
                    let sealed_s = *sealed_s.get_or_insert(end.elapsed().as_secs_f64());
                    if info.segments == 1 {
                        return Ok((write_s, latencies, sealed_s, end.elapsed().as_secs_f64()));
                    }
                }
                std::thread::sleep(LOOK);
            }
            Err(format!("not indexed after {PATIENCE:?}: {:?}", collection.info()).into())
        });
        let (write_s, mut latencies, sealed_s, indexed_s) = measured?;
        let line = json!({
            "phase": "ingest", "rows": rows, "batch": self.batch, "seconds": rounded(write_s, 2),
            "rows_per_s": (rows as f64 / write_s).round(), "write_latency": latency_line(&mut latencies),
            "sealed_after_s": rounded(sealed_s, 2), "indexed_after_s": rounded(indexed_s, 2),
        });
        println!("{line}");
        let (live, bytes) = (live_bytes(rows, data.base.columns), bytes_of(&self.place.directory));
        let written = written_bytes().zip(before).map(|(now, before)| now - before);
        let line = json!({
            "phase": "space", "live_bytes": live, "bytes": bytes, "bytes_at_most": most,
            "times_live": rounded(bytes as f64 / live as f64, 2),
            "times_live_at_most": rounded(most as f64 / live as f64, 2),
            "written_per_byte": written.map(|written| rounded(written as f64 / live as f64, 2)),
        });
        println!("{line}");
        for ef in &self.ef {
            let point = measure::point(&data.truth, 1, |query| {
                let found = collection.search(&request(data.query.row(query)).ef(*ef));
                found.map(|response| ids(&response)).unwrap_or_default()
            });
            let line = json!({
                "phase": "search", "setting": ef.to_string(), "recall_at_10": rounded(point.recall, 4),
                "qps": point.qps.round(),
            });
            println!("{line}");
        }
        drop(db);
        Ok(())
    }
}
