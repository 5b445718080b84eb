//! Ten full turnovers of a collection under searches, and what is left of recall and speed.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use ragstone::{Point, PointId};
use ragstone_benches::Failure;
use ragstone_benches::arguments::{self, DataArguments, EFS, IndexArguments};
use ragstone_benches::data::Data;
use ragstone_benches::encoding::Encoding;
use ragstone_benches::exact;
use ragstone_benches::index::{Index, ids, latency_line, request, rounded};
use ragstone_benches::measure::K;
use ragstone_benches::npy::Matrix;
use ragstone_benches::turnover::Turnovers;
use serde_json::json;

/// Turns a collection over again and again under searches, then compares it with a fresh one of the same rows.
///
/// Half of the rows are in the collection at a time. In a turnover, writers share the ids: each takes a batch of them,
/// deletes these and inserts them again with other vectors (which of the rows an id has follows from the seed), while
/// searchers go on without a pause. At last the collection is left alone until it has come to rest, and is measured beside one that is built from the same
/// final rows at once, width by width. Prints JSON lines: a line for each turnover (rows written per second, latency of
/// searches meanwhile, answers that were short of k), the seconds until rest, the cost of both, and for each width recall and speed of both, their
/// difference and ratio. At last, how many rows are not found by their own vector with the largest width: a row that no
/// walk reaches is among them. Metric: inner product of unit vectors.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    data: DataArguments,
    #[command(flatten)]
    index: IndexArguments,
    /// Rows of the collection; by default half of the base.
    #[arg(long, value_name = "N")]
    rows: Option<usize>,
    /// Times that every row is replaced.
    #[arg(long, default_value_t = 10, value_name = "N")]
    turnovers: usize,
    /// Threads that delete and insert.
    #[arg(long, default_value_t = 2, value_name = "N")]
    writers: usize,
    /// Threads that search meanwhile.
    #[arg(long, default_value_t = 1, value_name = "N")]
    searchers: usize,
    /// Rows that a writer replaces at a time.
    #[arg(long, default_value_t = 500, value_name = "N")]
    batch: usize,
    /// Width of the searches beside the writers.
    #[arg(long, default_value_t = 64, value_name = "N")]
    live_ef: usize,
    /// Widths of the walk (`ef`) to compare at.
    #[arg(long, num_args = 1.., value_name = "N", default_values_t = EFS)]
    ef: Vec<usize>,
    /// Rows that are looked for by their own vector, spread over all of them.
    #[arg(long, default_value_t = 20_000, value_name = "N")]
    probes: usize,
    /// Seconds, at most, until the database has merged its segments after the last write, unasked.
    #[arg(long, default_value_t = 120, value_name = "S")]
    rest_s: u64,
    /// Another seed, other vectors.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
}

fn main() -> ExitCode {
    arguments::run(run)
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    arguments.index.start_threads()?;
    let data = Data::read(&arguments.data)?;
    let live = arguments.rows.unwrap_or(data.base.len() / 2);
    if live > data.base.len() || live < 2 * K {
        return Err(format!("--rows: from {} to the base's {}, not {live}", 2 * K, data.base.len()).into());
    }
    if arguments.batch == 0 || arguments.writers == 0 {
        return Err("--batch and --writers are at least 1".into());
    }
    let turnovers = Turnovers { available: data.base.len(), live, seed: arguments.seed };
    for encoding in &arguments.index.encoding {
        Churn { arguments, data: &data, turnovers, encoding: *encoding }.run()?;
    }
    Ok(())
}

struct Churn<'a> {
    arguments: &'a Arguments,
    data: &'a Data,
    turnovers: Turnovers,
    encoding: Encoding,
}

impl Churn<'_> {
    fn run(&self) -> Result<(), Failure> {
        let first = self.turnovers.vectors(&self.data.base, 0);
        let churned = Index::build(&self.arguments.index, self.encoding, &first)?;
        for turnover in 1..=self.arguments.turnovers {
            self.turn_over(&churned, turnover)?;
        }
        let start = Instant::now();
        let is_at_rest = || {
            let info = churned.collection.info();
            info.segments == 1 && info.growing == 0
        };
        while !is_at_rest() && start.elapsed() < Duration::from_secs(self.arguments.rest_s) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let (seconds, segments) = (start.elapsed().as_secs_f64(), churned.collection.info().segments);
        let line = json!({ "at_rest": is_at_rest(), "seconds": rounded(seconds, 2), "segments": segments });
        println!("{line}");

        let base = self.turnovers.vectors(&self.data.base, self.arguments.turnovers);
        let truth = exact::truth(&base, &self.data.query, K, None)?;
        let last = Data { base, query: self.data.query.clone(), truth };
        let fresh = Index::build(&self.arguments.index, self.encoding, &last.base)?;
        for (name, index) in [("churned", &churned), ("fresh", &fresh)] {
            let mut line = index.cost_line();
            line["state"] = name.into();
            line["points"] = index.collection.info().points.into();
            println!("{line}");
        }
        self.compare(&churned, &fresh, &last)?;
        self.probe(&churned, "churned", &last.base)?;
        self.probe(&fresh, "fresh", &last.base)
    }

    /// One turnover: writers until all ids have their new vectors, searchers until the writers are done.
    fn turn_over(&self, index: &Index, turnover: usize) -> Result<(), Failure> {
        let vectors = self.turnovers.vectors(&self.data.base, turnover);
        let (next, is_done, start) = (AtomicUsize::new(0), AtomicBool::new(false), Instant::now());
        let (written, searched) = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..self.arguments.writers)
                .map(|_| scope.spawn(|| self.write_batches(index, &vectors, &next)))
                .collect();
            let searchers: Vec<_> = (0..self.arguments.searchers)
                .map(|searcher| {
                    let is_done = &is_done;
                    scope.spawn(move || self.search_until(index, searcher, is_done))
                })
                .collect();
            let written: Vec<_> = writers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
            is_done.store(true, Ordering::Relaxed);
            let searched: Vec<_> = searchers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
            (written, searched)
        });
        let seconds = start.elapsed().as_secs_f64();
        for writer in written {
            writer.map_err(|_| "a writer panicked")??;
        }
        let (mut latencies, mut short) = (Vec::new(), 0);
        for searcher in searched {
            let (more, more_short) = searcher.map_err(|_| "a searcher panicked")??;
            latencies.extend(more);
            short += more_short;
        }
        let line = json!({
            "index": self.encoding.index_name(),
            "turnover": turnover,
            "rows_per_s": (self.turnovers.live as f64 / seconds).round(),
            "segments": index.collection.info().segments,
            "searches": latencies.len(),
            "short_answers": short,
            "live_latency": latency_line(&mut latencies),
        });
        println!("{line}");
        Ok(())
    }

    fn write_batches(&self, index: &Index, vectors: &Matrix<f32>, next: &AtomicUsize) -> Result<(), Failure> {
        loop {
            let first = next.fetch_add(self.arguments.batch, Ordering::Relaxed);
            let rows = first..(first + self.arguments.batch).min(vectors.len());
            if rows.is_empty() {
                return Ok(());
            }
            let gone: Vec<PointId> = rows.clone().map(|row| PointId::Num(row as u64)).collect();
            let deleted = index.collection.delete(&gone)?.deleted;
            if deleted != rows.len() {
                return Err(format!("{deleted} of the rows {rows:?} were there to delete").into());
            }
            index.collection.upsert(rows.map(|row| Point::new(row as u64, vectors.row(row))).collect())?;
        }
    }

    /// Searches without a pause; seconds of each search, and how many had fewer than k hits.
    fn search_until(
        &self,
        index: &Index,
        searcher: usize,
        is_done: &AtomicBool,
    ) -> Result<(Vec<f64>, usize), Failure> {
        let requests: Vec<_> =
            self.data.query.rows().map(|query| request(query).ef(self.arguments.live_ef)).collect();
        // While so many rows are deleted and not yet inserted again, an answer may be shorter.
        let absent = self.arguments.writers * self.arguments.batch;
        let wanted = K.min(self.turnovers.live.saturating_sub(absent));
        let (mut seconds, mut short) = (Vec::new(), 0);
        for request in requests.iter().cycle().skip(searcher * requests.len() / 2) {
            if is_done.load(Ordering::Relaxed) {
                break;
            }
            let start = Instant::now();
            let response = index.collection.search(request)?;
            seconds.push(start.elapsed().as_secs_f64());
            short += usize::from(response.hits.len() < wanted);
        }
        Ok((seconds, short))
    }

    /// Both at each width, one after the other, so that a disturbance meets both.
    fn compare(&self, churned: &Index, fresh: &Index, data: &Data) -> Result<(), Failure> {
        for ef in &self.arguments.ef {
            let mut points = Vec::new();
            for index in [churned, fresh] {
                points.extend(index.sweep(data, &[*ef], 1, |_| ())?);
            }
            let [churned, fresh] = &points[..] else { return Err("a width was not measured".into()) };
            let line = json!({
                "index": self.encoding.index_name(),
                "setting": ef.to_string(),
                "recall_churned": rounded(churned.point.recall, 4),
                "recall_fresh": rounded(fresh.point.recall, 4),
                "recall_difference": rounded(churned.point.recall - fresh.point.recall, 4),
                "qps_churned": churned.point.qps.round(),
                "qps_fresh": fresh.point.qps.round(),
                "speed_ratio": rounded(churned.point.qps / fresh.point.qps, 3),
                "distances_churned": rounded(churned.distances_per_query, 1),
                "distances_fresh": rounded(fresh.distances_per_query, 1),
            });
            println!("{line}");
        }
        Ok(())
    }

    /// Looks for rows by their own vectors. Of rows that are equal, more than k even, any will do: what counts is the
    /// score.
    fn probe(&self, index: &Index, state: &str, base: &Matrix<f32>) -> Result<(), Failure> {
        let ef = self.arguments.ef.iter().copied().max().unwrap_or(self.arguments.live_ef);
        let step = base.len().div_ceil(self.arguments.probes.max(1)).max(1);
        let (mut probed, mut lost) = (0, 0);
        for row in (0..base.len()).step_by(step) {
            let response = index.collection.search(&request(base.row(row)).ef(ef))?;
            let own: f32 = base.row(row).iter().map(|value| value * value).sum();
            let is_found = ids(&response).contains(&(row as u64))
                || response.hits.last().is_some_and(|hit| hit.score >= own * (1.0 - 1e-6));
            probed += 1;
            lost += usize::from(!is_found);
        }
        let line = json!({
            "index": self.encoding.index_name(),
            "state": state,
            "probed_rows": probed,
            "not_found_by_own_vector": lost,
            "setting": ef.to_string(),
        });
        println!("{line}");
        Ok(())
    }
}
