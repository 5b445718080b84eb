//! What the server adds: a service that does nothing, the server over the loopback interface, and the engine in this process, in turn.
//!
//! All three are in one process and one run, their rounds interleaved, so that whatever else the machine does meets all of them; ratios are
//! taken within a round, and the median of the rounds counts. The service that does nothing reads the same requests and sends answers that
//! the server gave, so that what it costs is gRPC, HTTP/2, the kernel, and this generator.

use std::sync::Arc;

use ragstone::Collection;
use ragstone::query::{Nearest, Query, Source};
use ragstone_benches::Failure;
use ragstone_benches::index::rounded;
use ragstone_benches::latencies::Latencies;
use ragstone_benches::quantiles::quantile;
use ragstone_proto::v1::QueryResponse;
use serde_json::json;

use super::calls::Calls;
use super::drive::{self, Measured, Outcome};
use super::place::{Place, connections};
use super::workload::{Kind, Load, Mix, Workload};
use super::{Arguments, noop};

/// Answers of the server that the service which does nothing gives in turn.
const ANSWERS: u64 = 256;
/// Of the throughput of a service that does nothing, the server's share that is enough.
const NOOP_SHARE: f64 = 0.6;
/// Of the engine's; the lower of both counts.
const ENGINE_SHARE: f64 = 0.7;
/// Queries that are answered exactly, too, to say how many of the right rows all three find.
const RECALL_QUERIES: usize = 100;
/// Microseconds that a lone search may take longer than in the engine.
const ADDED_US_MAX: f64 = 300.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tested {
    NoOp,
    Server,
    Engine,
}

const ALL: [Tested; 3] = [Tested::NoOp, Tested::Server, Tested::Engine];

impl Tested {
    fn name(self) -> &'static str {
        match self {
            Tested::NoOp => "noop",
            Tested::Server => "server",
            Tested::Engine => "engine",
        }
    }
}

/// Everything that is measured.
struct Places {
    noop: Arc<Load>,
    server: Arc<Load>,
    engine: Collection,
    queries: Vec<Query>,
}

impl Places {
    /// The share of the nearest rows that the engine's searches find, and with them the server's.
    fn recall(&self, arguments: &Arguments) -> Result<f64, Failure> {
        let view = self.engine.view();
        let (mut found, mut wanted) = (0, 0);
        for query in self.queries.iter().take(RECALL_QUERIES) {
            let Source::Nearest(nearest) = &query.source else { continue };
            let exact = Nearest { exact: true, ef: None, ..nearest.clone() };
            let right = view.query(&Query::new(exact, arguments.k as usize))?.hits;
            let hits = view.query(query)?.hits;
            wanted += right.len();
            found +=
                right.iter().filter(|right| hits.iter().any(|hit| hit.point.id == right.point.id)).count();
        }
        Ok(found as f64 / wanted.max(1) as f64)
    }
}

pub(crate) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let place = Place::of(arguments).await?;
    let measured = measure(arguments, &place).await;
    place.leave().await?;
    measured
}

async fn measure(arguments: &Arguments, place: &Place) -> Result<(), Failure> {
    let workload = Arc::new(Workload::new(arguments, Mix::searches(), place.dimension)?);
    let own = place.own.as_ref().ok_or("the engine is measured in this process")?;
    let calls = Calls::connect(&place.url, &arguments.headers).await?;
    let mut answers: Vec<QueryResponse> = Vec::new();
    for number in 0..ANSWERS {
        answers.push(calls.search().query(workload.query(number)).await?.into_inner());
    }
    let (noop_url, noop) = noop::serve(answers).await?;
    let (k, ef) = (arguments.k as usize, arguments.ef.map(|ef| ef as usize));
    let query = |vector: &Vec<f32>| Query::new(Nearest { ef, ..Nearest::new(vector.clone()) }, k);
    let places = Places {
        noop: Arc::new(Load::new(connections(&noop_url, arguments).await?, Arc::clone(&workload))),
        server: Arc::new(Load::new(connections(&place.url, arguments).await?, Arc::clone(&workload))),
        engine: own.rag.db().collection(&arguments.collection)?,
        queries: workload.vectors().iter().map(query).collect(),
    };
    let places = Arc::new(places);
    let recall = {
        let (places, arguments) = (Arc::clone(&places), arguments.clone());
        tokio::task::spawn_blocking(move || places.recall(&arguments)).await??
    };
    println!("{recall:.3} of the right rows are found");
    let mut concurrencies = vec![1, arguments.concurrency];
    concurrencies.dedup();
    for concurrency in &concurrencies {
        for tested in ALL {
            one(&places, tested, *concurrency, arguments.warming_up()).await?;
        }
    }
    let mut cells: Vec<Cell> = concurrencies
        .iter()
        .flat_map(|concurrency| ALL.map(|tested| (tested, *concurrency)))
        .map(|(tested, concurrency)| Cell::new(tested, concurrency))
        .collect::<Result<_, _>>()?;
    for round in 0..arguments.rounds {
        let count = cells.len();
        for turn in 0..count {
            // Who comes first changes, so that none always follows the same other.
            let cell = &mut cells[(turn + round) % count];
            let measured = one(&places, cell.tested, cell.concurrency, arguments.lasting()).await?;
            cell.add(round, measured)?;
        }
    }
    noop.abort();
    cells.iter().for_each(|cell| cell.show(arguments, recall));
    show_overhead(arguments, &cells)
}

/// One loop over one of them.
async fn one(
    places: &Arc<Places>,
    tested: Tested,
    concurrency: usize,
    lasting: std::time::Duration,
) -> Result<Measured, Failure> {
    match tested {
        Tested::NoOp => drive::closed(&places.noop, concurrency, lasting).await,
        Tested::Server => drive::closed(&places.server, concurrency, lasting).await,
        Tested::Engine => {
            let places = Arc::clone(places);
            let search = move |number: u64| {
                let query = &places.queries[number as usize % places.queries.len()];
                let outcome: Outcome =
                    places.engine.view().query(query).map(drop).map_err(|error| error.to_string());
                (Kind::Search, outcome)
            };
            let threads = move || drive::closed_on_threads(search, concurrency, lasting);
            tokio::task::spawn_blocking(threads).await?
        }
    }
}

/// What the rounds of one of them found.
struct Cell {
    tested: Tested,
    concurrency: usize,
    latencies: Latencies,
    /// Searches a second of each round.
    per_s: Vec<f64>,
    p50_us: Vec<f64>,
}

impl Cell {
    fn new(tested: Tested, concurrency: usize) -> Result<Cell, Failure> {
        let latencies = Latencies::new()?;
        Ok(Cell { tested, concurrency, latencies, per_s: Vec::new(), p50_us: Vec::new() })
    }

    fn add(&mut self, round: usize, measured: Measured) -> Result<(), Failure> {
        if let Some(((_, code), count)) = measured.failures.first_key_value() {
            return Err(format!("{count} searches of {} failed with {code}", self.tested.name()).into());
        }
        let found = measured.latencies.get(&Kind::Search).ok_or("nothing was searched")?;
        let per_s = found.count() as f64 / measured.seconds;
        eprintln!(
            "round {}: {} x {}: {per_s:.0} a second, p50 {:.0} us",
            round + 1,
            self.tested.name(),
            self.concurrency,
            found.us(0.5)
        );
        self.per_s.push(per_s);
        self.p50_us.push(found.us(0.5));
        self.latencies.add(found)
    }

    fn show(&self, arguments: &Arguments, recall: f64) {
        let per_s = median(&self.per_s);
        println!("{}, concurrency {}: {per_s:.0} a second", self.tested.name(), self.concurrency);
        println!("{}", self.latencies.text());
        let line = json!({
            "measured": "compare",
            "place": self.tested.name(),
            "concurrency": self.concurrency,
            "connections": arguments.connections,
            "rows": arguments.rows,
            "dimension": arguments.dimension,
            "centres": arguments.centres,
            "base": arguments.base.as_ref().map(|base| base.display().to_string()),
            "k": arguments.k,
            "ef": arguments.ef,
            "recall": rounded(recall, 4),
            "logs": arguments.logs,
            "rounds": self.per_s.len(),
            "per_s": per_s.round(),
            "latency": self.latencies.json(),
        });
        println!("{line}");
    }
}

fn median(values: &[f64]) -> f64 {
    quantile(&mut values.to_vec(), 0.5).unwrap_or_default()
}

/// The median over the rounds of what a function makes of two values of each.
fn over_rounds(one: &[f64], other: &[f64], of_both: impl Fn(f64, f64) -> f64) -> f64 {
    let both: Vec<f64> = one.iter().zip(other).map(|(one, other)| of_both(*one, *other)).collect();
    median(&both)
}

/// What the server adds, in ratios and microseconds, and whether that is little enough.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Overhead {
    to_noop: f64,
    to_engine: f64,
    /// Which of the two bars is the lower one, and what the server reaches of it.
    lower: Tested,
    to_lower: f64,
    throughput_holds: bool,
    p50_added_us: f64,
    p50_holds: bool,
}

impl Overhead {
    /// Of searches a second of the three, and of the microseconds of lone searches of server and engine, all by round.
    fn of([noop, server, engine]: [&[f64]; 3], [server_us, engine_us]: [&[f64]; 2]) -> Overhead {
        let to_noop = over_rounds(server, noop, |server, noop| server / noop);
        let to_engine = over_rounds(server, engine, |server, engine| server / engine);
        let p50_added_us = over_rounds(server_us, engine_us, |server, engine| server - engine);
        let (noop_bar, engine_bar) = (to_noop / NOOP_SHARE, to_engine / ENGINE_SHARE);
        let (lower, to_lower) = match noop_bar >= engine_bar {
            true => (Tested::NoOp, noop_bar),
            false => (Tested::Engine, engine_bar),
        };
        Overhead {
            to_noop,
            to_engine,
            lower,
            to_lower,
            throughput_holds: to_noop >= NOOP_SHARE || to_engine >= ENGINE_SHARE,
            p50_added_us,
            p50_holds: p50_added_us <= ADDED_US_MAX,
        }
    }
}

fn show_overhead(arguments: &Arguments, cells: &[Cell]) -> Result<(), Failure> {
    let cell = |tested: Tested, concurrency: usize| {
        let found = cells.iter().find(|cell| (cell.tested, cell.concurrency) == (tested, concurrency));
        found.ok_or_else(|| Failure::from(format!("{} was not measured", tested.name())))
    };
    let many = arguments.concurrency;
    let overhead = Overhead::of(
        [
            &cell(Tested::NoOp, many)?.per_s,
            &cell(Tested::Server, many)?.per_s,
            &cell(Tested::Engine, many)?.per_s,
        ],
        [&cell(Tested::Server, 1)?.p50_us, &cell(Tested::Engine, 1)?.p50_us],
    );
    println!(
        "the server at concurrency {many}: {:.2} of a service that does nothing, {:.2} of the engine; a lone search takes {:.0} us longer",
        overhead.to_noop, overhead.to_engine, overhead.p50_added_us
    );
    let (share, of) = match overhead.lower {
        Tested::Engine => (ENGINE_SHARE, "the engine"),
        _ => (NOOP_SHARE, "a service that does nothing"),
    };
    println!("the lower bar is {share} of {of}, of which it reaches {:.2}", overhead.to_lower);
    let line = json!({
        "measured": "overhead",
        "concurrency": many,
        "server_to_noop": rounded(overhead.to_noop, 3),
        "server_to_engine": rounded(overhead.to_engine, 3),
        "lower_bar": overhead.lower.name(),
        "server_to_lower_bar": rounded(overhead.to_lower, 3),
        "throughput_holds": overhead.throughput_holds,
        "p50_added_us": rounded(overhead.p50_added_us, 1),
        "p50_noop_us": rounded(median(&cell(Tested::NoOp, 1)?.p50_us), 1),
        "p50_holds": overhead.p50_holds,
    });
    println!("{line}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_rounds_and_the_lower_bar_counts() {
        // A machine that was half as fast in the second round changes no ratio.
        let noop: &[f64] = &[10_000.0, 5_000.0, 10_000.0];
        let server: &[f64] = &[4_000.0, 2_000.0, 4_000.0];
        let us: [&[f64]; 2] = [&[400.0, 700.0, 400.0], &[100.0, 200.0, 100.0]];
        let found = Overhead::of([noop, server, &[5_000.0, 2_500.0, 5_000.0]], us);
        assert_eq!((found.to_noop, found.to_engine, found.p50_added_us), (0.4, 0.8, 300.0));
        assert!(found.throughput_holds && found.p50_holds, "0.7 of the engine is the lower bar: {found:?}");
        assert_eq!((found.lower, found.to_lower), (Tested::Engine, 0.8 / ENGINE_SHARE));
        let found = Overhead::of([noop, server, noop], us);
        assert!(!found.throughput_holds, "{found:?}");
        assert_eq!((found.lower, found.to_lower), (Tested::NoOp, 0.4 / NOOP_SHARE));
        let found = Overhead::of([server, server, noop], [&[401.0], &[100.0]]);
        assert!(found.throughput_holds && !found.p50_holds, "{found:?}");
    }
}
